//! Where clients connect: TLS with HTTP/1.1 and HTTP/2, and Unix sockets.

use std::path::Path;
use std::sync::Arc;

use anypod_client::proto::version::Era;
use anypod_client::{Client, HttpVersion, Proxy, Tls};
use anypod_gateway::Config;
use anypod_gateway::config::{Listener, ServerTls};
use bytes::Bytes;
use http::{Request, StatusCode, Version};
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::json;
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::support::tls::{self, certificate, pem};
use crate::support::{Pod, Replica, Scratch, Seen, config, modern, person, served, soon, text};

fn secured(mut config: Config, certificate: &Path, key: &Path) -> Config {
    let files = ServerTls { certificate: certificate.to_owned(), key: key.to_owned(), client_authorities: None };
    config.listener[0].tls = Some(files);
    config
}

/// A gateway behind `server.pem`.
fn behind_tls(pod: &Pod) -> Config {
    secured(config([modern([pod])]), &certificate("server.pem"), &certificate("server.pem"))
}

/// What clients of both eras do with a gateway at this URL.
async fn is_used(url: &str, version: HttpVersion, tls: &Tls) {
    for era in [Era::Modern, Era::Legacy] {
        let client = person("Ann").era(era).proxy(Proxy::None).http_version(version).tls(tls.clone());
        let client = client.connect(url).unwrap();
        let echoed = soon(client.call("echo", json!({ "text": "x" })).into_future()).await.unwrap();
        assert_eq!(text(&echoed), "x", "{url} {version:?} {era:?}");
        let asked = soon(client.call("ask", json!({})).into_future()).await.unwrap();
        assert_eq!(text(&asked), "Hello, Ann!", "{url} {version:?} {era:?}");
    }
}

/// A connection on which this certificate is trusted and this protocol offered.
async fn connected(replica: &Replica, trusted: &str, protocol: &str) -> std::io::Result<TlsStream<TcpStream>> {
    let connector = TlsConnector::from(Arc::new(tls::client(trusted, protocol)));
    let stream = TcpStream::connect(replica.address).await.unwrap();
    soon(connector.connect(ServerName::try_from("localhost").unwrap(), stream)).await
}

#[tokio::test]
async fn clients_of_both_eras_speak_both_versions_of_http_over_tls() {
    let pod = Pod::start(served(&Seen::default())).await;
    let replica = Replica::alone(behind_tls(&pod)).await;
    let [url] = replica.urls.as_slice() else { panic!("{:?}", replica.urls) };
    assert!(url.starts_with("https://127.0.0.1:"), "{url}");
    let tls = Tls::default().trust(&pem("authority.pem"));
    for version in [HttpVersion::Http1, HttpVersion::Http2, HttpVersion::Negotiated] {
        is_used(url, version, &tls).await;
    }
    // Of two that both sides speak, the better one.
    for protocol in ["h2", "http/1.1"] {
        let stream = connected(&replica, "authority.pem", protocol).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(protocol.as_bytes()));
    }
}

#[tokio::test]
async fn clients_without_tls_speak_both_versions_of_http() {
    let pod = Pod::start(served(&Seen::default())).await;
    let replica = Replica::alone(config([modern([&pod])])).await;
    for version in [HttpVersion::Http1, HttpVersion::Http2] {
        is_used(&replica.urls[0], version, &Tls::default()).await;
    }
}

#[tokio::test]
async fn who_shows_no_certificate_is_not_served_where_one_is_wanted() {
    let pod = Pod::start(served(&Seen::default())).await;
    let mut config = behind_tls(&pod);
    if let Some(tls) = &mut config.listener[0].tls {
        tls.client_authorities = Some(certificate("authority.pem"));
    }
    let replica = Replica::alone(config).await;
    let trusting = Tls::default().trust(&pem("authority.pem"));
    is_used(&replica.urls[0], HttpVersion::Negotiated, &trusting.clone().identity(pem("client.pem"))).await;
    for stranger in [trusting.clone(), trusting.identity(pem("other.pem"))] {
        let client = Client::builder().era(Era::Modern).proxy(Proxy::None).tls(stranger);
        let client = client.connect(&replica.urls[0]).unwrap();
        assert!(soon(client.call("echo", json!({ "text": "x" })).into_future()).await.is_err());
    }
}

#[tokio::test]
async fn a_socket_of_this_machine_is_a_listener_as_well() {
    let scratch = Scratch::new();
    let path = scratch.path("gateway.sock");
    // One that nobody listens on any more is in the way of nobody.
    drop(UnixListener::bind(&path).unwrap());
    let pod = Pod::start(served(&Seen::default())).await;
    let mut config = config([modern([&pod])]);
    config.listener.push(Listener { address: format!("unix:{}", path.display()), tls: None });
    let mut replica = Replica::alone(config).await;
    assert_eq!(replica.urls[1], format!("unix:{}:/mcp", path.display()));
    for url in &replica.urls {
        is_used(url, HttpVersion::Negotiated, &Tls::default()).await;
    }
    is_used(&replica.urls[1], HttpVersion::Http2, &Tls::default()).await;
    // A call that is under way there is seen through as well.
    let stream = UnixStream::connect(&path).await.unwrap();
    let mut sender = http2(TokioIo::new(stream)).await;
    assert_eq!(asked(&mut sender).await, StatusCode::OK);
    replica.stop();
    replica.stopped().await;
    assert!(!path.exists());
}

/// HTTP/2 on a connection.
async fn http2<S>(stream: S) -> SendRequest<Full<Bytes>>
where
    S: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream);
    let (sender, connection) = soon(handshake).await.unwrap();
    tokio::spawn(async { drop(connection.await) });
    sender
}

/// How a gateway is, as it says on this connection.
async fn asked(sender: &mut SendRequest<Full<Bytes>>) -> StatusCode {
    let request = Request::get("https://localhost/readyz").body(Full::default()).unwrap();
    let answer = soon(sender.send_request(request)).await.unwrap();
    assert_eq!(answer.version(), Version::HTTP_2);
    answer.status()
}

/// Whether a new connection is one with this certificate.
async fn shows(replica: &Replica, name: &str) -> bool {
    let trusted = if name == "server.pem" { "authority.pem" } else { name };
    let Ok(stream) = connected(replica, trusted, "h2").await else { return false };
    let shown = stream.get_ref().1.peer_certificates().unwrap()[0].clone();
    assert_eq!(shown, first_of(name));
    true
}

fn first_of(name: &str) -> CertificateDer<'static> {
    use rustls::pki_types::pem::PemObject as _;
    CertificateDer::from_pem_file(certificate(name)).unwrap()
}

#[tokio::test]
async fn another_certificate_is_shown_from_then_on_and_no_connection_is_lost() {
    let (scratch, seen) = (Scratch::new(), Seen::default());
    let pod = Pod::start(served(&seen)).await;
    let file = scratch.holding("tls.pem", pem("server.pem"));
    let replica = Replica::alone(secured(config([modern([&pod])]), &file, &file)).await;
    let config = (*replica.gateway.config()).clone();
    assert!(shows(&replica, "server.pem").await);
    // One connection that is idle, and one with a call under way.
    let mut idle = http2(TokioIo::new(connected(&replica, "authority.pem", "h2").await.unwrap())).await;
    assert_eq!(asked(&mut idle).await, StatusCode::OK);
    let tls = Tls::default().trust(&pem("authority.pem"));
    let client = Client::builder().era(Era::Modern).proxy(Proxy::None).tls(tls).connect(&replica.urls[0]).unwrap();
    let waiting = tokio::spawn(client.call("wait", json!({})).into_future());
    seen.waiting(1).await;

    // What is wrong changes nothing.
    std::fs::write(&file, "no certificate").unwrap();
    assert!(replica.gateway.reload(config.clone(), None).is_err());
    assert!(shows(&replica, "server.pem").await);
    std::fs::write(&file, pem("other.pem")).unwrap();
    replica.gateway.reload(config, None).unwrap();
    assert!(shows(&replica, "other.pem").await);
    assert!(!shows(&replica, "server.pem").await);

    assert_eq!(asked(&mut idle).await, StatusCode::OK);
    seen.go();
    assert_eq!(text(&soon(waiting).await.unwrap().unwrap()), "waited");
    let echoed = soon(client.call("echo", json!({ "text": "x" })).into_future()).await.unwrap();
    assert_eq!(text(&echoed), "x");
}

#[tokio::test]
async fn who_speaks_no_tls_where_it_is_wanted_disturbs_nobody() {
    let pod = Pod::start(served(&Seen::default())).await;
    let replica = Replica::alone(behind_tls(&pod)).await;
    let stream = TcpStream::connect(replica.address).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(async { drop(connection.await) });
    let request = Request::get("/healthz").body(Empty::<Bytes>::new()).unwrap();
    assert!(soon(sender.send_request(request)).await.is_err());
    assert!(shows(&replica, "server.pem").await);
    let mut sender = http2(TokioIo::new(connected(&replica, "authority.pem", "h2").await.unwrap())).await;
    let request = Request::get("https://localhost/nowhere").body(Full::default()).unwrap();
    let answer = soon(sender.send_request(request)).await.unwrap();
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    answer.into_body().collect().await.unwrap();
}
