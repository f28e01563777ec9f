//! TLS of a listener: rustls with the certificate of a file, read again when the file has changed.

use std::io;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::config::ServerTls;

/// Accepts TLS connections with the newest certificate.
#[derive(Debug)]
pub(crate) struct Acceptor {
    files: ServerTls,
    config: RwLock<Arc<ServerConfig>>,
}

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {reason}")]
pub(crate) struct TlsError {
    file: String,
    reason: String,
}

impl Acceptor {
    /// Reads the files.
    ///
    /// # Errors
    /// If they cannot be read, or do not belong together.
    pub(crate) fn new(files: &ServerTls) -> Result<Arc<Self>, TlsError> {
        let config = RwLock::new(load(files)?);
        Ok(Arc::new(Self { files: files.clone(), config }))
    }

    /// Reads the files again. Connections that are open keep what they have.
    ///
    /// # Errors
    /// As [`Acceptor::new`]; then the certificate of before stays.
    pub(crate) fn reload(&self) -> Result<(), TlsError> {
        let config = load(&self.files)?;
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }

    pub(crate) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> io::Result<TlsStream<S>> {
        let config = Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner));
        TlsAcceptor::from(config).accept(stream).await
    }
}

fn load(files: &ServerTls) -> Result<Arc<ServerConfig>, TlsError> {
    let broken = |file: &Path, reason: &dyn std::fmt::Display| TlsError {
        file: file.display().to_string(),
        reason: reason.to_string(),
    };
    let chain = certificates(&files.certificate).map_err(|error| broken(&files.certificate, &error))?;
    if chain.is_empty() {
        return Err(broken(&files.certificate, &"there is no certificate in it"));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| broken(&files.key, &error))?;
    let builder = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| broken(&files.certificate, &error))?;
    let builder = match &files.client_authorities {
        None => builder.with_no_client_auth(),
        Some(file) => {
            let mut roots = RootCertStore::empty();
            for authority in certificates(file).map_err(|error| broken(file, &error))? {
                roots.add(authority).map_err(|error| broken(file, &error))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(
                Arc::new(roots),
                Arc::new(rustls::crypto::ring::default_provider()),
            );
            builder.with_client_cert_verifier(verifier.build().map_err(|error| broken(file, &error))?)
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|error| broken(&files.key, &error))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, rustls::pki_types::pem::Error> {
    CertificateDer::pem_file_iter(file)?.collect()
}
