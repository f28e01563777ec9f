//! TLS to pods: whom to trust, as whom to appear, which protocols to offer.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use crate::config;

/// The name of HTTP/2 in a handshake.
pub(super) const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

/// Why there can be no TLS to an upstream.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("{}: {source}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{}: there is no certificate in it", .0.display())]
    NoCertificate(PathBuf),
    #[error("{}: there is no private key in it: {source}", path.display())]
    NoKey { path: PathBuf, source: rustls::pki_types::pem::Error },
    #[error("{}: {source}", path.display())]
    Unfit { path: PathBuf, source: rustls::Error },
    #[error(
        "https needs authorities to trust, and this machine has none: install its ca-certificates, let SSL_CERT_FILE \
         name a PEM file of them, or set `authorities`"
    )]
    NoAuthorities,
    #[error(transparent)]
    Provider(rustls::Error),
}

/// The files that the configuration of an upstream is made from. Compared, they tell whether it has to be made anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Files {
    authorities: Option<(PathBuf, Vec<u8>)>,
    identity: Option<[(PathBuf, Vec<u8>); 2]>,
}

impl Files {
    /// Reads what `config` names.
    ///
    /// # Errors
    /// If one of the files cannot be read.
    pub(super) fn read(config: &config::Upstream) -> Result<Self, TlsError> {
        let authorities = config.authorities.as_deref().map(read).transpose()?;
        let identity = match &config.identity {
            Some(identity) => Some([read(&identity.certificate)?, read(&identity.key)?]),
            None => None,
        };
        Ok(Self { authorities, identity })
    }

    /// Whether there are none, so that none can change.
    pub(super) const fn is_empty(&self) -> bool {
        self.authorities.is_none() && self.identity.is_none()
    }

    /// The configuration for connections, which trusts the platform's authorities and these.
    ///
    /// # Errors
    /// If there is nobody to trust, or what the files hold is no certificate or does not fit.
    pub(super) fn config(&self) -> Result<ClientConfig, TlsError> {
        // The program's choice, if it made one. Another crate's features must not make this one ambiguous.
        let provider = CryptoProvider::get_default().cloned().unwrap_or_else(|| Arc::new(ring::default_provider()));
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.map_err(TlsError::Provider)?.with_root_certificates(self.roots()?);
        let mut config = match &self.identity {
            Some([(path, chain), (key_path, key)]) => {
                let chain = certificates(path, chain)?;
                let key = PrivateKeyDer::from_pem_slice(key)
                    .map_err(|source| TlsError::NoKey { path: key_path.clone(), source })?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|source| TlsError::Unfit { path: path.clone(), source })?
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![HTTP2.to_vec(), HTTP1.to_vec()];
        Ok(config)
    }

    fn roots(&self) -> Result<Arc<RootCertStore>, TlsError> {
        let Some((path, pem)) = &self.authorities else {
            return platform().cloned().ok_or(TlsError::NoAuthorities);
        };
        let mut roots = platform().map_or_else(RootCertStore::empty, |roots| RootCertStore::clone(roots));
        for certificate in certificates(path, pem)? {
            roots.add(certificate).map_err(|source| TlsError::Unfit { path: path.clone(), source })?;
        }
        Ok(Arc::new(roots))
    }
}

fn read(path: impl AsRef<Path>) -> Result<(PathBuf, Vec<u8>), TlsError> {
    let path = path.as_ref();
    match std::fs::read(path) {
        Ok(bytes) => Ok((path.to_owned(), bytes)),
        Err(source) => Err(TlsError::Unreadable { path: path.to_owned(), source }),
    }
}

fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    match CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>() {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) | Err(_) => Err(TlsError::NoCertificate(path.to_owned())),
    }
}

/// The platform's authorities, if it has any. Reading them takes milliseconds, so they are read once, when first needed.
fn platform() -> Option<&'static Arc<RootCertStore>> {
    static PLATFORM: OnceLock<Option<Arc<RootCertStore>>> = OnceLock::new();
    let found = PLATFORM.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        // Stores do have a few that cannot be read; they are no reason to trust none.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        (!roots.is_empty()).then(|| Arc::new(roots))
    });
    found.as_ref()
}
