//! TLS: who is trusted, and who appears.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use super::server::{Running, certified, demanding, echo};
use super::{AUTHORITY, Peer, trusting};
use crate::error::Error;
use crate::http::connect::{Connection, Proxy, Settings, Target, Tls};
use crate::limits::Limits;

const CLIENT: &[u8] = include_bytes!("../../../../tests/tls/client.pem");

fn refused(tls: Tls) -> String {
    let target = Target::parse("https://localhost/mcp").unwrap();
    let settings = Settings { tls, ..Settings::default() };
    match Connection::new(&target, &settings, &Limits::default()).map(|_| ()).unwrap_err() {
        Error::Misuse(text) => text,
        error => panic!("{error:?}"),
    }
}

#[tokio::test]
async fn trusts_the_authorities_that_are_set() {
    let server = Running::tls(certified(&[]), echo).await;
    let peer = Peer::new(&server.url("https"), &trusting(), &Limits::default());
    assert_eq!(peer.echo("secret").await.unwrap(), "secret");
    assert_eq!(peer.echo("again").await.unwrap(), "again");
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn does_not_trust_a_server_that_nobody_vouches_for() {
    let server = Running::tls(certified(&[]), echo).await;
    // Someone else's authority.
    let settings = Settings { tls: Tls::default().trust(CLIENT), ..Settings::default() };
    let text = Peer::new(&server.url("https"), &settings, &Limits::default()).unreachable().await;
    assert!(text.contains("invalid peer certificate"), "{text}");
}

#[tokio::test]
async fn does_not_trust_a_server_under_another_name() {
    let server = Running::tls(certified(&[]), echo).await;
    let url = format!("https://127.0.0.2:{}/mcp", server.address.port());
    let settings = trusting();
    let text = Peer::new(&url, &settings, &Limits::default()).unreachable().await;
    // The test's server listens on one address only, where the others are not routed to it.
    assert!(text.contains("invalid peer certificate") || text.contains("refused"), "{text}");
    let url = format!("https://localhost:{}/mcp", server.address.port());
    assert_eq!(Peer::new(&url, &settings, &Limits::default()).echo("x").await.unwrap(), "x");
}

#[tokio::test]
async fn a_certificate_is_that_of_the_name_whatever_the_address() {
    let server = Running::tls(certified(&[]), echo).await;
    let (port, address) = (server.address.port(), Some(server.address.ip()));
    let settings = Settings { proxy: Proxy::None, address, ..trusting() };
    let text = Peer::new(&format!("https://pod.invalid:{port}/mcp"), &settings, &Limits::default()).unreachable().await;
    assert!(text.contains("invalid peer certificate"), "{text}");
    let url = format!("https://localhost:{port}/mcp");
    assert_eq!(Peer::new(&url, &settings, &Limits::default()).echo("x").await.unwrap(), "x");
}

#[tokio::test]
async fn appears_with_a_certificate_where_the_server_wants_one() {
    let server = Running::tls(demanding(), echo).await;
    let tls = trusting().tls.identity(CLIENT);
    let known = Peer::new(&server.url("https"), &Settings { tls, ..Settings::default() }, &Limits::default());
    assert_eq!(known.echo("x").await.unwrap(), "x");
    let unknown = Peer::new(&server.url("https"), &trusting(), &Limits::default());
    let text = unknown.unreachable().await;
    assert!(text.contains("CertificateRequired"), "{text}");
}

#[tokio::test]
async fn takes_a_whole_configuration() {
    let server = Running::tls(certified(&[b"h2"]), echo).await;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(AUTHORITY).unwrap()).unwrap();
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let settings = Settings { tls: Tls::default().config(Arc::new(config)), ..Settings::default() };
    assert_eq!(Peer::new(&server.url("https"), &settings, &Limits::default()).echo("x").await.unwrap(), "x");
}

#[tokio::test]
async fn a_server_without_tls_is_no_https_server() {
    let server = Running::http1(echo).await;
    let text = Peer::new(&server.url("https"), &trusting(), &Limits::default()).unreachable().await;
    assert!(text.contains("received corrupt message"), "{text}");
}

#[test]
fn certificates_that_cannot_be_read_are_said_at_once() {
    assert!(refused(Tls::default().trust(b"no PEM")).starts_with("an authority to trust: there is no certificate"));
    assert!(
        refused(Tls::default().trust(AUTHORITY).identity(b"x")).starts_with("the client's certificate: there is no")
    );
    assert!(refused(Tls::default().trust(AUTHORITY).identity(AUTHORITY)).contains("no private key"));
}

#[test]
fn a_machine_without_authorities_is_told_what_to_do() {
    let text = super::super::tls::nobody(&[]);
    assert!(text.contains("ca-certificates") && text.contains("SSL_CERT_FILE"), "{text}");
}
