//! The files that a configuration names, and how they are read: within a bound.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::Config;

/// The longest file that is read, in bytes: a configuration, a certificate, a list of pods.
const LONGEST: u64 = 1 << 20;

/// What the access log is when it goes to standard output.
pub(super) const STANDARD_OUTPUT: &str = "-";

impl Config {
    /// The files whose content counts: key ring, certificates, credentials and lists of pods. For who watches them, beside the
    /// configuration itself.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut config = self.clone();
        config.observe.access_log = None;
        let mut found = Vec::new();
        for_each_path(&mut config, |path| found.push(path.clone()));
        found.sort();
        found.dedup();
        found
    }
}

/// Visits every path to a file.
pub(super) fn for_each_path(config: &mut Config, mut visit: impl FnMut(&mut PathBuf)) {
    for tls in config.listener.iter_mut().filter_map(|listener| listener.tls.as_mut()) {
        visit(&mut tls.certificate);
        visit(&mut tls.key);
        tls.client_authorities.as_mut().map(&mut visit);
    }
    config.fleet.key_file.as_mut().map(&mut visit);
    for upstream in &mut config.upstream {
        upstream.pods_file.as_mut().map(&mut visit);
        upstream.authorities.as_mut().map(&mut visit);
        upstream.authorization_file.as_mut().map(&mut visit);
        if let Some(identity) = &mut upstream.identity {
            visit(&mut identity.certificate);
            visit(&mut identity.key);
        }
    }
    let log = config.observe.access_log.as_mut();
    log.filter(|path| *path != Path::new(STANDARD_OUTPUT)).map(&mut visit);
}

/// The content of a file.
///
/// # Errors
///
/// What is wrong, as a text that names the file.
pub(super) fn bytes(path: &Path) -> Result<Vec<u8>, String> {
    let cannot = |error| format!("cannot read {}: {error}", path.display());
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(cannot)?;
    file.take(LONGEST + 1).read_to_end(&mut bytes).map_err(cannot)?;
    match bytes.len() as u64 > LONGEST {
        true => Err(format!("{} is longer than {LONGEST} bytes", path.display())),
        false => Ok(bytes),
    }
}

/// The content of a file that is text.
///
/// # Errors
///
/// As [`bytes`].
pub(super) fn text(path: &Path) -> Result<String, String> {
    String::from_utf8(bytes(path)?).map_err(|_| format!("{} is no text: it is not UTF-8", path.display()))
}
