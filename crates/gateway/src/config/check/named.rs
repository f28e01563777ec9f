//! The files that a configuration names: there, readable, and what they should be.

use std::path::Path;

use anypod_proto::seal::Ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::{Findings, key, urls};
use crate::config::document::Key;
use crate::config::{Config, files};

pub(super) fn check(config: &Config, found: &mut Findings<'_>) {
    for (at, listener) in config.listener.iter().enumerate() {
        let Some(tls) = &listener.tls else { continue };
        let here = key("listener").index(at).name("tls");
        identity(&tls.certificate, &tls.key, &here, found);
        if let Some(path) = &tls.client_authorities {
            note(authorities(path), &here.name("client-authorities"), found);
        }
    }
    if let Some(path) = &config.fleet.key_file {
        note(ring(path), &key("fleet").name("key-file"), found);
    }
    for (at, upstream) in config.upstream.iter().enumerate() {
        let here = key("upstream").index(at);
        if let Some(path) = &upstream.pods_file {
            note(pods(path), &here.name("pods-file"), found);
        }
        if let Some(path) = &upstream.authorities {
            note(authorities(path), &here.name("authorities"), found);
        }
        note(upstream.authorization().map(drop), &here.name("authorization-file"), found);
        if let Some(identity_of) = &upstream.identity {
            identity(&identity_of.certificate, &identity_of.key, &here.name("identity"), found);
        }
    }
    let log = config.observe.access_log.as_deref().filter(|path| *path != Path::new(files::STANDARD_OUTPUT));
    if let Some(path) = log {
        note(folder(path), &key("observe").name("access-log"), found);
    }
}

fn note(checked: Result<(), String>, here: &Key, found: &mut Findings<'_>) {
    if let Err(text) = checked {
        found.add(here, text);
    }
}

fn ring(path: &Path) -> Result<(), String> {
    let name = path.display();
    if !path.exists() {
        return Err(format!("there is no key file {name}: `anypod keys new --out {name}` makes one"));
    }
    Ring::parse(&files::text(path)?).map(drop).map_err(|error| format!("bad key file {name}: {error}"))
}

fn pods(path: &Path) -> Result<(), String> {
    let text = files::text(path)?;
    let lines = text.lines().map(str::trim).enumerate();
    for (at, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
        urls::check(line).map_err(|what| format!("{}:{}: {what}", path.display(), at + 1))?;
    }
    Ok(())
}

fn authorities(path: &Path) -> Result<(), String> {
    certificates(path).map(drop)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = files::bytes(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match found {
        Ok(found) if found.is_empty() => Err(format!(
            "{} has no certificate in it: it should have a line -----BEGIN CERTIFICATE-----",
            path.display()
        )),
        Ok(found) => Ok(found),
        Err(error) => Err(format!("{} is no PEM: {error}", path.display())),
    }
}

/// A certificate and its key, each a file, that belong to each other.
fn identity(certificate: &Path, key_file: &Path, here: &Key, found: &mut Findings<'_>) {
    let chain = certificates(certificate);
    let private = files::bytes(key_file).and_then(|pem| {
        // The error could repeat what stands in the file.
        PrivateKeyDer::from_pem_slice(&pem).map_err(|_| {
            format!(
                "{} has no private key in it: it should have a line -----BEGIN PRIVATE KEY-----",
                key_file.display()
            )
        })
    });
    match (chain, private) {
        (Ok(chain), Ok(private)) => {
            let provider = rustls::crypto::ring::default_provider();
            if let Err(error) = CertifiedKey::from_der(chain, private, &provider) {
                let (certificate, key) = (certificate.display(), key_file.display());
                found.add(&here.name("key"), format!("{key} cannot be used with {certificate}: {error}"));
            }
        }
        (chain, private) => {
            note(chain.map(drop), &here.name("certificate"), found);
            note(private.map(drop), &here.name("key"), found);
        }
    }
}

fn folder(path: &Path) -> Result<(), String> {
    let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    match folder.is_dir() && !path.is_dir() {
        true => Ok(()),
        false => Err(format!("no file can be written at {}: its folder has to exist", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;
    use crate::config::{ClientTls, Listener, ServerTls, Upstream};

    /// A certificate with its key, in one file.
    fn pem(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../client/tests/tls").join(name)
    }

    /// A file that is removed at the end of a test.
    struct File(PathBuf);

    impl File {
        fn new(name: &str, text: &str) -> Self {
            let path = std::env::temp_dir().join(format!("anypod-named-{name}-{}", std::process::id()));
            fs::write(&path, text).unwrap();
            Self(path)
        }
    }

    impl Drop for File {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0);
        }
    }

    fn sound() -> Config {
        Config::of_upstreams(&["https://a/mcp".to_owned()])
    }

    fn problems(config: &Config) -> Vec<String> {
        let error = config.check().expect_err("it is refused");
        error.problems().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn certificates_are_read_and_belong_to_their_keys() {
        let tls = |certificate, key| {
            let tls = ServerTls { certificate, key, client_authorities: Some(pem("authority.pem")) };
            Config { listener: vec![Listener { address: "127.0.0.1:0".to_owned(), tls: Some(tls) }], ..sound() }
        };
        assert_eq!(tls(pem("server.pem"), pem("server.pem")).check(), Ok(()));
        let mixed = problems(&tls(pem("server.pem"), pem("client.pem")));
        assert!(mixed.len() == 1 && mixed[0].starts_with("listener[0].tls.key: "), "{mixed:#?}");
        assert!(mixed[0].contains("client.pem cannot be used with "), "{mixed:#?}");
        let missing = problems(&tls(pem("nothing.pem"), pem("authority.pem")));
        let [certificate, key] = missing.as_slice() else { panic!("{missing:#?}") };
        assert!(certificate.contains("cannot read ") && certificate.contains("nothing.pem"), "{certificate}");
        assert!(key.contains("authority.pem has no private key in it"), "{key}");
    }

    #[test]
    fn an_upstreams_files_are_what_they_should_be() {
        let pods = File::new("pods", "# ours\nhttp://a/mcp\n\n  unix:/run/a.sock\nftp://a\n");
        let mut config = sound();
        config.upstream = vec![Upstream {
            pods_file: Some(pods.0.clone()),
            authorities: Some(pods.0.clone()),
            identity: Some(ClientTls { certificate: pem("client.pem"), key: pem("client.pem") }),
            ..Upstream::new("server")
        }];
        let found = problems(&config);
        let [of_pods, authorities] = found.as_slice() else { panic!("{found:#?}") };
        assert!(of_pods.contains(&format!("{}:5: \"ftp://a\"", pods.0.display())), "{of_pods}");
        assert!(authorities.contains("has no certificate in it"), "{authorities}");
    }

    #[test]
    fn a_key_file_is_a_ring_and_no_message_repeats_it() {
        let mut config = sound();
        let ring = File::new("ring", &Ring::generate(*b"any thirty-two bytes, no pattern").to_text());
        config.fleet.key_file = Some(ring.0.clone());
        assert_eq!(config.check(), Ok(()));
        let bad = File::new("bad", "sesame\n");
        config.fleet.key_file = Some(bad.0.clone());
        let found = problems(&config);
        assert!(found[0].contains("bad key file") && !found[0].contains("sesame"), "{found:#?}");
        config.fleet.key_file = Some(PathBuf::from("no-such-ring"));
        assert!(problems(&config)[0].contains("`anypod keys new --out no-such-ring` makes one"));
    }

    #[test]
    fn the_access_log_has_a_folder() {
        let mut config = sound();
        config.observe.access_log = Some(PathBuf::from("-"));
        assert_eq!(config.check(), Ok(()));
        for path in ["/no-such-folder/access.log", "/"] {
            config.observe.access_log = Some(PathBuf::from(path));
            assert!(problems(&config)[0].contains("its folder has to exist"), "{path}");
        }
    }
}
