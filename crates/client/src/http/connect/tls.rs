//! TLS as a client: whom to trust, as whom to appear, which protocols to offer.

use std::sync::{Arc, OnceLock};

use rustls::client::WantsClientCert;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore};

use super::settings::{HttpVersion, Tls};
use crate::error::{Error, Result};

const HTTP1: &[u8] = b"http/1.1";
/// The name of HTTP/2 in a handshake.
pub(super) const HTTP2: &[u8] = b"h2";

/// The configuration for connections to a server.
///
/// # Errors
/// [`Error::Misuse`] if there is nobody to trust, or what was set cannot be read.
pub(super) fn config(tls: &Tls, version: HttpVersion) -> Result<ClientConfig> {
    let mut config = match &tls.config {
        Some(config) => ClientConfig::clone(config),
        None => identify(trusting(roots(&tls.authorities)?)?, tls.identity.as_deref())?,
    };
    config.alpn_protocols = match version {
        HttpVersion::Negotiated => vec![HTTP2.to_vec(), HTTP1.to_vec()],
        HttpVersion::Http1 => vec![HTTP1.to_vec()],
        HttpVersion::Http2 => vec![HTTP2.to_vec()],
    };
    Ok(config)
}

fn trusting(roots: Arc<RootCertStore>) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>> {
    // The program's choice, if it made one. Another crate's features must not make this one ambiguous.
    let provider = CryptoProvider::get_default().cloned().unwrap_or_else(|| Arc::new(ring::default_provider()));
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Ok(builder.map_err(|error| Error::Misuse(error.to_string()))?.with_root_certificates(roots))
}

fn identify(builder: ConfigBuilder<ClientConfig, WantsClientCert>, pem: Option<&[u8]>) -> Result<ClientConfig> {
    let Some(pem) = pem else { return Ok(builder.with_no_client_auth()) };
    let misuse = |what: String| Error::Misuse(format!("the client's certificate: {what}"));
    let chain = certificates(pem).map_err(misuse)?;
    let key = PrivateKeyDer::from_pem_slice(pem).map_err(|error| misuse(format!("no private key: {error}")))?;
    builder.with_client_auth_cert(chain, key).map_err(|error| misuse(error.to_string()))
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if found.is_empty() => Err("there is no certificate in the PEM text".to_owned()),
        Ok(found) => Ok(found),
        Err(error) => Err(error.to_string()),
    }
}

/// The platform's authorities, and these.
fn roots(more: &[u8]) -> Result<Arc<RootCertStore>> {
    if more.is_empty() {
        return platform().clone().map_err(Error::Misuse);
    }
    let mut roots = platform().as_deref().cloned().unwrap_or_else(|_| RootCertStore::empty());
    let misuse = |what: String| Error::Misuse(format!("an authority to trust: {what}"));
    for certificate in certificates(more).map_err(misuse)? {
        roots.add(certificate).map_err(|error| misuse(error.to_string()))?;
    }
    Ok(Arc::new(roots))
}

/// The platform's authorities. Reading them takes milliseconds, so they are read once, when first needed.
fn platform() -> &'static Result<Arc<RootCertStore>, String> {
    static PLATFORM: OnceLock<Result<Arc<RootCertStore>, String>> = OnceLock::new();
    PLATFORM.get_or_init(|| {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        // Stores do have a few that cannot be read; they are no reason to trust none.
        roots.add_parsable_certificates(found.certs);
        match roots.is_empty() {
            false => Ok(Arc::new(roots)),
            true => Err(nobody(&found.errors)),
        }
    })
}

pub(super) fn nobody(errors: &[rustls_native_certs::Error]) -> String {
    let mut text = "https needs authorities to trust, and this machine has none: install its ca-certificates, let \
                    SSL_CERT_FILE name a PEM file of them, or set some to trust"
        .to_owned();
    if let Some(error) = errors.first() {
        text.push_str(&format!(" ({error})"));
    }
    text
}
