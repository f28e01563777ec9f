//! HTTP/1.1: connections kept, connections lost, what is said of failures.

use std::net::TcpListener;
use std::sync::Arc;

use http::Version;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::Peer;
use super::server::{Answer, Running, echo, text};
use crate::error::{Broken, Error};
use crate::http::Turn;
use crate::http::connect::{Proxy, Settings};
use crate::limits::Limits;

/// Reads a request whose body is `{}`.
async fn request(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    while !read.ends_with(b"{}") {
        assert_ne!(stream.read_buf(&mut read).await.unwrap(), 0);
    }
    String::from_utf8(read).unwrap()
}

#[tokio::test]
async fn connections_are_kept_for_the_next_request() {
    let server = Running::http1(echo).await;
    let peer = Peer::plain(&server.url("http"));
    for text in ["a", "b", "c"] {
        assert_eq!(peer.echo(text).await.unwrap(), text);
    }
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn requests_have_the_form_that_servers_expect() {
    let server = Running::http1(|request| async move {
        let host = request.headers()["host"].to_str().unwrap().to_owned();
        text(format!("{} {:?} {host}", request.uri(), request.version()))
    })
    .await;
    let peer = Peer::plain(&server.url("http"));
    assert_eq!(peer.echo("").await.unwrap(), format!("/mcp {:?} {}", Version::HTTP_11, server.address));
}

#[tokio::test]
async fn an_address_stands_in_for_a_name_that_goes_on_being_said() {
    let server = Running::http1(|request| async move { text(request.headers()["host"].as_bytes().to_vec()) }).await;
    let port = server.address.port();
    let address = Some(server.address.ip());
    let settings = Settings { proxy: Proxy::None, address, ..Settings::default() };
    let peer = Peer::new(&format!("http://pod.invalid:{port}/mcp"), &settings, &Limits::default());
    assert_eq!(peer.echo("").await.unwrap(), format!("pod.invalid:{port}"));
    let resolved = Settings { address: None, ..settings };
    let text = Peer::new(&format!("http://pod.invalid:{port}/mcp"), &resolved, &Limits::default()).unreachable().await;
    assert!(text.contains("dns error"), "{text}");
}

#[tokio::test]
async fn a_refused_connection_says_where_and_why() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let text = Peer::plain(&format!("http://{address}/mcp")).unreachable().await;
    assert!(text.starts_with(&format!("http://{address}: ")), "{text}");
    assert!(text.contains("Connection refused"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn connecting_has_a_deadline() {
    // Nothing is accepted: what is waited for is the handshake, which TLS begins but the server does not answer.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/mcp", listener.local_addr().unwrap());
    let started = tokio::time::Instant::now();
    let text = Peer::new(&url, &super::trusting(), &Limits::default()).unreachable().await;
    assert!(text.ends_with("no connection within 10s"), "{text}");
    assert_eq!(started.elapsed().as_secs(), 10);
}

#[tokio::test]
async fn a_connection_that_breaks_after_the_request_is_lost() {
    let server = Running::raw(|mut stream| async move {
        request(&mut stream).await;
    })
    .await;
    let error = Peer::plain(&server.url("http")).send("{}", Turn::Waits).await.map(|_| ()).unwrap_err();
    assert!(matches!(error, Error::Lost { .. }), "{error:?}");
    assert_eq!(error.to_string(), "the connection was lost: connection closed before message completed");
}

#[tokio::test]
async fn an_answer_that_is_no_http_is_lost_too() {
    let server = Running::raw(|mut stream| async move {
        request(&mut stream).await;
        stream.write_all(b"SSH-2.0-OpenSSH\r\n\r\n").await.unwrap();
    })
    .await;
    let error = Peer::plain(&server.url("http")).send("{}", Turn::Waits).await.map(|_| ()).unwrap_err();
    assert!(matches!(error, Error::Lost { .. }), "{error:?}");
}

#[tokio::test]
async fn an_answer_that_ends_early_is_lost() {
    let server = Running::raw(|mut stream| async move {
        request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc").await.unwrap();
    })
    .await;
    let error = Peer::plain(&server.url("http")).echo("{}").await.unwrap_err();
    assert!(matches!(error, Error::Lost { .. }), "{error:?}");
}

#[tokio::test]
async fn a_header_section_beyond_the_bound_is_an_error() {
    let server = Running::http1(|_| async {
        let mut answer = text("");
        answer.headers_mut().insert("x-much", "x".repeat(9 << 10).parse().unwrap());
        answer
    })
    .await;
    let limits = Limits::default();
    assert_eq!(Peer::new(&server.url("http"), &Settings::default(), &limits).echo("").await.unwrap(), "");
    let limits = Limits { header_bytes: 1, ..limits };
    let peer = Peer::new(&server.url("http"), &Settings::default(), &limits);
    let error = peer.send("", Turn::Waits).await.map(|_| ()).unwrap_err();
    // hyper does not read with less than that.
    let expected = Broken::TooMuch { what: "bytes in a header section", limit: 8192 };
    assert!(matches!(&error, Error::Broken(broken) if *broken == expected), "{error:?}");
}

#[tokio::test]
async fn a_connection_that_the_server_closed_while_idle_is_replaced() {
    let closed = Arc::new(Notify::new());
    let closing = Arc::clone(&closed);
    let server = Running::raw(move |mut stream| {
        let closing = Arc::clone(&closing);
        async move {
            request(&mut stream).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
            drop(stream);
            closing.notify_one();
        }
    })
    .await;
    let other = Running::http1(echo).await;
    let (peer, other) = (Peer::plain(&server.url("http")), Peer::plain(&other.url("http")));
    for count in 1..20 {
        assert_eq!(peer.echo("{}").await.unwrap(), "ok");
        assert_eq!(server.count(), count);
        closed.notified().await;
        // Goes over the network, so that what has happened there is seen.
        assert_eq!(other.echo("meanwhile").await.unwrap(), "meanwhile");
    }
}

#[tokio::test(start_paused = true)]
async fn idle_connections_are_given_up_in_time() {
    let server = Running::http1(echo).await;
    let peer = Peer::plain(&server.url("http"));
    peer.echo("a").await.unwrap();
    tokio::time::advance(Limits::default().idle_deadline * 2).await;
    peer.echo("b").await.unwrap();
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn a_dropped_request_closes_its_connection() {
    let started = Arc::new(Notify::new());
    let ended = Arc::new(Notify::new());
    let (starts, ends) = (Arc::clone(&started), Arc::clone(&ended));
    let server = Running::http1(move |_| {
        let (starts, ends) = (Arc::clone(&starts), Tell(Arc::clone(&ends)));
        async move {
            starts.notify_one();
            let answer = std::future::pending::<Answer>().await;
            drop(ends);
            answer
        }
    })
    .await;
    let peer = Peer::plain(&server.url("http"));
    tokio::select! {
        _ = peer.send("", Turn::Waits) => panic!("there is no answer"),
        () = started.notified() => {}
    }
    ended.notified().await;
}

/// Tells when it is dropped.
struct Tell(Arc<Notify>);

impl Drop for Tell {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

#[cfg(unix)]
#[tokio::test]
async fn speaks_over_a_socket_on_this_machine() {
    let path = std::env::temp_dir().join(format!("anypod-{}.sock", std::process::id()));
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let peer = Peer::plain(&format!("unix:{}", path.display()));
    let serving = async {
        let (stream, _) = listener.accept().await.unwrap();
        super::server::serve(stream, false, |request| async move {
            text(format!("{} {}", request.uri(), request.headers()["host"].to_str().unwrap()))
        })
        .await;
    };
    tokio::select! {
        () = serving => panic!("the connection ended"),
        answer = peer.echo("{}") => assert_eq!(answer.unwrap(), "/mcp localhost"),
    }
    drop(listener);
    std::fs::remove_file(&path).unwrap();
    let text = Peer::plain(&format!("unix:{}", path.display())).unreachable().await;
    assert!(text.starts_with(&format!("unix:{}: ", path.display())) && text.contains("No such file"), "{text}");
}
