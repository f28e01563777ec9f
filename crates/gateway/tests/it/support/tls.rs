//! Certificates of the tests, and what makes servers and clients of them.
//!
//! `server.pem` and `client.pem` come from `authority.pem`; nobody vouches for `other.pem` but itself. All are for
//! `localhost` and 127.0.0.1.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// The file of a certificate.
pub(crate) fn certificate(name: &str) -> PathBuf {
    // One of them is of this crate; the tests of the client have the others as well.
    let folder = if name == "other.pem" { "tests/tls" } else { "../client/tests/tls" };
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(folder).join(name)
}

/// What is in it.
pub(crate) fn pem(name: &str) -> Vec<u8> {
    std::fs::read(certificate(name)).unwrap()
}

fn roots(trusted: &str) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate(trusted)).unwrap()).unwrap();
    roots
}

/// A server with `server.pem` that offers these protocols.
pub(crate) fn server(protocols: &[&str]) -> ServerConfig {
    serving(ServerConfig::builder().with_no_client_auth(), protocols)
}

/// The same, for clients that the authority vouches for.
pub(crate) fn demanding_server() -> ServerConfig {
    let verifier = WebPkiClientVerifier::builder(Arc::new(roots("authority.pem"))).build().unwrap();
    serving(ServerConfig::builder().with_client_cert_verifier(verifier), &[])
}

fn serving(
    builder: rustls::ConfigBuilder<ServerConfig, rustls::server::WantsServerCert>,
    protocols: &[&str],
) -> ServerConfig {
    let pem = pem("server.pem");
    let chain = CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>().unwrap();
    let mut config = builder.with_single_cert(chain, PrivateKeyDer::from_pem_slice(&pem).unwrap()).unwrap();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    config
}

/// A client that trusts nobody but this certificate, and speaks this protocol.
pub(crate) fn client(trusted: &str, protocol: &str) -> ClientConfig {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_root_certificates(roots(trusted)).with_no_client_auth();
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    config
}
