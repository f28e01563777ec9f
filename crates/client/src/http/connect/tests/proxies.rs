//! Proxies of every kind that is supported, and what they may refuse.

use std::sync::Arc;

use hyper_util::client::proxy::matcher::Matcher;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::server::{Running, certified, echo, text};
use super::{Peer, trusting};
use crate::error::Error;
use crate::http::connect::proxy::{Route, by, route};
use crate::http::connect::{Connection, HttpVersion, Proxy, Settings, Target};
use crate::limits::Limits;

/// `Basic` for `user` and `p:ss`.
const BASIC: &str = "Basic dXNlcjpwOnNz";
const LOGIN: &str = "user:p%3Ass";

fn via(url: String) -> Settings {
    Settings { proxy: Proxy::Url(url), ..trusting() }
}

/// Reads the head of a request.
async fn head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// Connects for those who say who they are.
async fn connecting(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let head = head(&mut stream).await;
    if !head.contains(&format!("\r\nproxy-authorization: {BASIC}\r\n")) {
        let refusal = "HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 2\r\n\r\nno";
        stream.write_all(refusal.as_bytes()).await.unwrap();
        return;
    }
    let address = head.strip_prefix("CONNECT ").unwrap().split(' ').next().unwrap();
    let mut server = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"HTTP/1.1 200 Connection established\r\nvia: 1.1 test\r\n\r\n").await.unwrap();
    // Ends in whatever way the client ends.
    let _ = copy_bidirectional(&mut stream, &mut server).await;
}

/// A proxy that says this, whatever it is asked.
async fn saying(answer: &'static [u8]) -> Running {
    Running::raw(move |mut stream| async move {
        head(&mut stream).await;
        stream.write_all(answer).await.unwrap();
    })
    .await
}

#[tokio::test]
async fn https_goes_through_a_tunnel() {
    let server = Running::tls(certified(&[b"h2"]), echo).await;
    let proxy = Running::raw(connecting).await;
    let settings = via(format!("http://{LOGIN}@{}", proxy.address));
    let peer = Peer::new(&server.url("https"), &settings, &Limits::default());
    assert_eq!(peer.echo("x").await.unwrap(), "x");
    assert_eq!((proxy.count(), server.count()), (1, 1));
}

#[tokio::test]
async fn a_proxy_may_itself_be_spoken_to_in_tls() {
    let server = Running::tls(certified(&[b"h2"]), echo).await;
    let acceptor = TlsAcceptor::from(Arc::new(certified(&[b"http/1.1"])));
    let proxy = Running::raw(move |stream| {
        let acceptor = acceptor.clone();
        async move { connecting(acceptor.accept(stream).await.unwrap()).await }
    })
    .await;
    let settings = via(format!("https://{LOGIN}@{}", proxy.address));
    let peer = Peer::new(&server.url("https"), &settings, &Limits::default());
    assert_eq!(peer.echo("x").await.unwrap(), "x");
}

#[tokio::test]
async fn http2_without_tls_goes_through_a_tunnel() {
    let server = Running::http2(echo).await;
    let proxy = Running::raw(connecting).await;
    let settings = Settings { version: HttpVersion::Http2, ..via(format!("http://{LOGIN}@{}", proxy.address)) };
    let peer = Peer::new(&server.url("http"), &settings, &Limits::default());
    assert_eq!(peer.echo("x").await.unwrap(), "x");
    assert_eq!(proxy.count(), 1);
}

#[tokio::test]
async fn a_tunnel_that_is_refused_says_by_whom_and_with_what() {
    for (proxy, expected) in [
        (Running::raw(connecting).await, "wants (other) credentials: HTTP 407"),
        (saying(b"HTTP/1.1 403 Forbidden\r\n\r\n").await, "refused to connect: HTTP 403"),
        (saying(b"HTTP/1.0 502 Bad Gateway\r\ncontent-length: 1\r\n\r\nx").await, "refused to connect: HTTP 502"),
        (saying(b"SSH-2.0-OpenSSH\r\n\r\n").await, "did not answer in HTTP"),
        (saying(b"HTTP/1.1 2000 OK\r\n\r\n").await, "did not answer in HTTP"),
        (saying(b"HTTP/1.1 200 OK\r\n").await, "did not answer in HTTP"),
        (saying(b"HTTP/1.1 200 OK\r\n\r\nsurplus").await, "did not answer in HTTP"),
        (saying(&[b' '; 8192]).await, "did not answer in HTTP"),
    ] {
        let settings = via(format!("http://{}", proxy.address));
        let text = Peer::new("https://server.invalid/mcp", &settings, &Limits::default()).unreachable().await;
        let expected = format!("https://server.invalid: the proxy http://{} {expected}", proxy.address);
        assert!(text.starts_with(&expected), "{text}");
    }
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_named_without_its_password() {
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (proxy, server) in [("http", "https"), ("http", "http"), ("socks5", "http")] {
        let settings = via(format!("{proxy}://{LOGIN}@{address}"));
        let url = format!("{server}://server.invalid/mcp");
        let text = Peer::new(&url, &settings, &Limits::default()).unreachable().await;
        assert!(text.contains(&format!("the proxy {proxy}://{address} cannot be reached: ")), "{text}");
        assert!(!text.contains("user"), "{text}");
        assert!(!format!("{settings:?}").contains("user"));
    }
}

#[tokio::test]
async fn http_is_given_to_the_proxy_to_send_on() {
    let proxy = Running::http1(|request| async move {
        let header = |name: &str| request.headers()[name].to_str().unwrap().to_owned();
        text(format!("{} {} {}", request.uri(), header("host"), header("proxy-authorization")))
    })
    .await;
    let settings = via(format!("http://{LOGIN}@{}", proxy.address));
    let peer = Peer::new("http://server.invalid/mcp", &settings, &Limits::default());
    let expected = format!("http://server.invalid/mcp server.invalid {BASIC}");
    assert_eq!(peer.echo("x").await.unwrap(), expected);
    assert_eq!(peer.echo("x").await.unwrap(), expected);
    assert_eq!(proxy.count(), 1);
}

/// Speaks SOCKS5 with those who know the password.
async fn socks(mut stream: TcpStream) {
    let mut begin = [0; 3];
    stream.read_exact(&mut begin).await.unwrap();
    assert_eq!(begin, [5, 1, 2]);
    stream.write_all(&[5, 2]).await.unwrap();
    let mut login = [0; 11];
    stream.read_exact(&mut login).await.unwrap();
    let known = &login == b"\x01\x04user\x04p:ss";
    stream.write_all(&[1, u8::from(!known)]).await.unwrap();
    let mut connect = [0; 4];
    if !known || stream.read_exact(&mut connect).await.is_err() {
        return;
    }
    // A name, which is resolved here.
    assert_eq!(connect, [5, 1, 0, 3]);
    let mut name = vec![0; usize::from(stream.read_u8().await.unwrap())];
    stream.read_exact(&mut name).await.unwrap();
    assert_eq!(name, b"localhost");
    let mut server = TcpStream::connect(("127.0.0.1", stream.read_u16().await.unwrap())).await.unwrap();
    stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await.unwrap();
    let _ = copy_bidirectional(&mut stream, &mut server).await;
}

#[tokio::test]
async fn socks_proxies_resolve_names_and_connect() {
    let server = Running::http1(echo).await;
    let proxy = Running::raw(socks).await;
    let url = format!("http://localhost:{}/mcp", server.address.port());
    let settings = via(format!("socks5://{LOGIN}@{}", proxy.address));
    let peer = Peer::new(&url, &settings, &Limits::default());
    assert_eq!(peer.echo("x").await.unwrap(), "x");
    assert_eq!((proxy.count(), server.count()), (1, 1));
    let settings = via(format!("socks5h://user:nope@{}", proxy.address));
    let text = Peer::new(&url, &settings, &Limits::default()).unreachable().await;
    assert!(text.contains(&format!("the proxy socks5h://{}", proxy.address)), "{text}");
}

#[test]
fn a_proxy_that_is_none_is_refused_at_once() {
    for url in ["", "::", "ftp://proxy", "socks4://proxy", "http://"] {
        let target = Target::parse("https://server.invalid/mcp").unwrap();
        let error = Connection::new(&target, &via(url.to_owned()), &Limits::default()).map(|_| ()).unwrap_err();
        assert!(matches!(error, Error::Misuse(_)), "{url}: {error:?}");
    }
}

fn shown(route: Route) -> String {
    match route {
        Route::Direct => "direct".to_owned(),
        Route::Forward(via) => format!("forward {}", via.uri),
        Route::Tunnel(via) => format!("tunnel {}", via.uri),
        Route::Socks { uri, login } => format!("socks {uri} {login:?}"),
    }
}

#[test]
fn the_way_follows_from_the_environment_as_elsewhere() {
    let matcher =
        Matcher::builder().http("plain:3128").https("socks5://user@secure").no("intern.example, 10.0.0.0/8").build();
    let way =
        |url: &str, version| by(&matcher, &Target::parse(url).unwrap(), version).map(|route| shown(route.unwrap()));
    let negotiated = HttpVersion::Negotiated;
    assert_eq!(way("http://a.example/mcp", negotiated).unwrap(), "forward http://plain:3128/");
    assert_eq!(way("http://a.example/mcp", HttpVersion::Http2).unwrap(), "tunnel http://plain:3128/");
    assert_eq!(way("https://a.example/mcp", negotiated).unwrap(), r#"socks socks5://secure:1080/ Some(("user", ""))"#);
    for url in ["http://intern.example", "https://a.intern.example", "https://10.1.2.3:4/mcp"] {
        assert_eq!(way(url, negotiated), None, "{url}");
    }
}

#[test]
fn servers_on_this_machine_need_no_proxy_unless_it_is_set() {
    let set = Proxy::Url("http://proxy".to_owned());
    let way =
        |proxy: &Proxy, url: &str| shown(route(proxy, &Target::parse(url).unwrap(), HttpVersion::Negotiated).unwrap());
    assert_eq!(way(&Proxy::Environment, "http://127.0.0.1:8080/mcp"), "direct");
    assert_eq!(way(&Proxy::None, "http://a.example/mcp"), "direct");
    assert_eq!(way(&set, "http://127.0.0.1:8080/mcp"), "forward http://proxy/");
    assert_eq!(way(&set, "unix:/run/a.sock"), "direct");
}
