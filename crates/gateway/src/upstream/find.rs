//! Which pods there are: by name, by file, or once and for all.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anypod_server::Outside;
use http::HeaderValue;
use tokio::time::sleep;

use super::pods::Pods;
use super::target::{NoTarget, Target};

/// How often a file of pods is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// The longest file of pods, in bytes.
const FILE_BYTES: u64 = 1 << 20;
/// How soon a name is resolved again as long as it has never been.
const FIRST_AGAIN: Duration = Duration::from_secs(1);

/// Why a file names no pods.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    #[error("{}: {source}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{}: it is longer than {FILE_BYTES} bytes", .0.display())]
    TooLong(PathBuf),
    #[error("{}: line {line}: {source}", path.display())]
    Line { path: PathBuf, line: usize, source: NoTarget },
    #[error("{}: there is no pod in it", .0.display())]
    Empty(PathBuf),
}

/// A file with one pod a line.
#[derive(Debug)]
pub(super) struct PodsFile {
    path: PathBuf,
    /// By which name the pods are called, where it is not that of their URLs.
    host: Option<HeaderValue>,
    text: String,
}

impl PodsFile {
    /// Reads the file.
    ///
    /// # Errors
    /// If it cannot be read, or there is something in it that is no pod, or nothing that is.
    pub(super) fn read(path: &Path, host: Option<HeaderValue>) -> Result<(Self, Vec<Target>), FileError> {
        let mut file = Self { path: path.to_owned(), host, text: String::new() };
        let targets = file.refresh()?;
        Ok((file, targets.unwrap_or_default()))
    }

    /// What is in it now; `None` if that is what was in it last.
    fn refresh(&mut self) -> Result<Option<Vec<Target>>, FileError> {
        let text = read(&self.path)?;
        if text == self.text {
            return Ok(None);
        }
        // Kept even if it is wrong, so that what is wrong is said once.
        self.text = text;
        let lines = self.text.lines().map(str::trim).zip(1..);
        let targets = lines.filter(|(text, _)| !text.is_empty() && !text.starts_with('#')).map(|(text, line)| {
            Target::parse(text).map_err(|source| FileError::Line { path: self.path.clone(), line, source })
        });
        let targets = targets.collect::<Result<Vec<_>, _>>()?;
        if targets.is_empty() {
            return Err(FileError::Empty(self.path.clone()));
        }
        Ok(Some(targets.into_iter().map(|target| called(target, self.host.as_ref())).collect()))
    }
}

/// The target by the name that the upstream's own headers say, if they do.
pub(super) fn called(target: Target, host: Option<&HeaderValue>) -> Target {
    match host {
        Some(host) => target.known_as(host.clone()),
        None => target,
    }
}

fn read(path: &Path) -> Result<String, FileError> {
    let unreadable = |source| FileError::Unreadable { path: path.to_owned(), source };
    if std::fs::metadata(path).map_err(unreadable)?.len() > FILE_BYTES {
        return Err(FileError::TooLong(path.to_owned()));
    }
    std::fs::read_to_string(path).map_err(unreadable)
}

/// Looks at a file of pods again and again. A file that is wrong changes nothing, and is complained of once.
pub(super) async fn watch_file(pods: Arc<Pods>, mut file: PodsFile) {
    let mut complaint = String::new();
    loop {
        sleep(LOOK_EVERY).await;
        // Files may be on a network.
        let Ok((back, found)) = tokio::task::spawn_blocking(move || {
            let found = file.refresh();
            (file, found)
        })
        .await
        else {
            return;
        };
        file = back;
        match found {
            Ok(Some(targets)) => {
                pods.set(targets);
                complaint.clear();
            }
            Ok(None) => {}
            Err(error) if error.to_string() == complaint => {}
            Err(error) => {
                complaint = error.to_string();
                tracing::warn!(%error, "the pods stay as they were");
            }
        }
    }
}

/// Resolves the name of `target` again and again with `lookup`. A name that cannot be resolved changes nothing, and is
/// complained of once.
pub(super) async fn watch_name<L, F>(pods: Arc<Pods>, target: Target, every: Duration, outside: Outside, lookup: L)
where
    L: Fn(String, u16) -> F,
    F: Future<Output = io::Result<Vec<SocketAddr>>>,
{
    let (name, port) = match target.name() {
        Some((name, port)) => (name.to_owned(), port),
        // There is nothing to resolve about an address.
        None => return pods.found(vec![target]),
    };
    let mut complained = false;
    loop {
        let found = match lookup(name.clone(), port).await {
            Ok(found) if found.is_empty() => Err(io::Error::other("it has no addresses")),
            found => found,
        };
        match found {
            Ok(mut addresses) => {
                // Resolvers shuffle them; replicas should have the same order.
                addresses.sort();
                pods.found(addresses.into_iter().map(|address| target.at(address)).collect());
                complained = false;
            }
            Err(error) => {
                pods.found_nothing();
                if !std::mem::replace(&mut complained, true) {
                    tracing::warn!(name, %error, "the pods stay as they were");
                }
            }
        }
        let pause = if pods.all().is_empty() { every.min(FIRST_AGAIN) } else { every };
        sleep(outside.jitter(pause)).await;
    }
}

/// The addresses of a name, as the system resolves it.
pub(super) async fn lookup(name: String, port: u16) -> io::Result<Vec<SocketAddr>> {
    Ok(tokio::net::lookup_host((name, port)).await?.collect())
}
