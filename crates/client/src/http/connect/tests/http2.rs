//! HTTP/2: one connection for all, and what one stream may do to the others.

use std::sync::Arc;

use bytes::Bytes;
use h2::Reason;
use http::Version;
use http_body_util::BodyExt;
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::server::{Running, certified, echo, text};
use super::{DEADLINE, Peer, trusting};
use crate::error::Error;
use crate::http::Turn;
use crate::http::connect::{HttpVersion, Settings};
use crate::limits::Limits;

const BOTH: &[&[u8]] = &[b"h2", b"http/1.1"];

fn spoken() -> Settings {
    Settings { version: HttpVersion::Http2, ..Settings::default() }
}

/// Sends as many requests at once, and waits for all their answers.
async fn burst(peer: &Arc<Peer>, count: usize) {
    let mut requests = JoinSet::new();
    for _ in 0..count {
        let peer = Arc::clone(peer);
        requests.spawn(async move { peer.echo("x").await.unwrap() });
    }
    assert_eq!(requests.join_all().await.len(), count);
}

#[tokio::test]
async fn is_chosen_where_the_server_offers_it() {
    let server = Running::tls(certified(BOTH), echo).await;
    let peer = Peer::new(&server.url("https"), &trusting(), &Limits::default());
    assert_eq!(peer.send("", Turn::Waits).await.unwrap().version(), Version::HTTP_2);
    for (version, expected) in [(HttpVersion::Http1, Version::HTTP_11), (HttpVersion::Http2, Version::HTTP_2)] {
        let peer = Peer::new(&server.url("https"), &Settings { version, ..trusting() }, &Limits::default());
        assert_eq!(peer.send("", Turn::Waits).await.unwrap().version(), expected);
    }
}

#[tokio::test]
async fn is_spoken_without_tls_where_that_is_set() {
    let server = Running::http2(echo).await;
    let peer = Arc::new(Peer::new(&server.url("http"), &spoken(), &Limits::default()));
    assert_eq!(peer.send("", Turn::Waits).await.unwrap().version(), Version::HTTP_2);
    burst(&peer, 1000).await;
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn is_an_error_where_it_is_set_and_the_server_does_not_offer_it() {
    let server = Running::tls(certified(&[]), echo).await;
    let settings = Settings { version: HttpVersion::Http2, ..trusting() };
    let text = Peer::new(&server.url("https"), &settings, &Limits::default()).unreachable().await;
    assert!(text.ends_with("the server does not offer HTTP/2"), "{text}");
}

#[tokio::test]
async fn a_burst_begins_with_one_handshake() {
    let server = Running::tls(certified(BOTH), echo).await;
    let peer = Arc::new(Peer::new(&server.url("https"), &trusting(), &Limits::default()));
    burst(&peer, 1000).await;
    assert_eq!(server.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_burst_after_a_pause_begins_with_one_handshake_too() {
    let server = Running::tls(certified(BOTH), echo).await;
    let peer = Arc::new(Peer::new(&server.url("https"), &trusting(), &Limits::default()));
    burst(&peer, 1000).await;
    // Once for the pool to notice that the connection is idle for too long, and once for that to take effect.
    for _ in 0..3 {
        tokio::time::sleep(Limits::default().idle_deadline).await;
    }
    burst(&peer, 1000).await;
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn requests_need_no_connection_of_their_own() {
    // Each is answered once all have come.
    let all = Arc::new(Barrier::new(10));
    let server = Running::tls(certified(BOTH), move |_| {
        let all = Arc::clone(&all);
        async move {
            all.wait().await;
            text("")
        }
    })
    .await;
    let limits = Limits { connections: 1, ..Limits::default() };
    burst(&Arc::new(Peer::new(&server.url("https"), &trusting(), &limits)), 10).await;
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn a_burst_over_http1_goes_on_once_that_is_known() {
    let all = Arc::new(Barrier::new(10));
    let server = Running::tls(certified(&[b"http/1.1"]), move |_| {
        let all = Arc::clone(&all);
        async move {
            all.wait().await;
            text("")
        }
    })
    .await;
    let limits = Limits { connections: 10, ..Limits::default() };
    burst(&Arc::new(Peer::new(&server.url("https"), &trusting(), &limits)), 10).await;
    assert_eq!(server.count(), 10);
}

#[tokio::test]
async fn answers_that_nobody_reads_do_not_stop_the_others() {
    const LONG: usize = 1 << 20;
    let server = Running::http2(|_| async { text(Bytes::from(vec![b'x'; LONG])) }).await;
    let peer = Peer::new(&server.url("http"), &spoken(), &Limits::default());
    let mut unread = Vec::new();
    for _ in 0..100 {
        unread.push(peer.send("", Turn::Waits).await.unwrap());
    }
    let read = async { peer.send("", Turn::Waits).await?.into_body().whole(LONG).await };
    let read = timeout(DEADLINE, read).await.expect("a window that is not full");
    assert_eq!(read.unwrap().len(), LONG);
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn a_stream_that_the_server_refuses_did_not_run() {
    for (reason, ran) in [(Reason::REFUSED_STREAM, false), (Reason::INTERNAL_ERROR, true)] {
        let server = Running::raw(move |stream| async move {
            let mut connection = h2::server::handshake(stream).await.unwrap();
            while let Some(Ok((_, mut respond))) = connection.accept().await {
                respond.send_reset(reason);
            }
        })
        .await;
        let peer = Peer::new(&server.url("http"), &spoken(), &Limits::default());
        let error = peer.send("", Turn::Waits).await.map(|_| ()).unwrap_err();
        assert_eq!(error.did_not_run(), !ran, "{error:?}");
        assert_eq!(matches!(error, Error::Lost { .. }), ran, "{error:?}");
    }
}

#[tokio::test]
async fn a_header_section_beyond_the_bound_is_an_error() {
    let server = Running::http2(|_| async {
        let mut answer = text("");
        answer.headers_mut().insert("x-much", "x".repeat(2000).parse().unwrap());
        answer
    })
    .await;
    let limits = Limits { header_bytes: 1000, ..Limits::default() };
    let error = Peer::new(&server.url("http"), &spoken(), &limits).echo("").await.unwrap_err();
    assert!(matches!(error, Error::Lost { .. }), "{error:?}");
}

#[tokio::test]
async fn a_long_request_arrives() {
    let server = Running::http2(|request| async move {
        let body = request.into_body().collect().await.unwrap().to_bytes();
        text(body.len().to_string())
    })
    .await;
    let long: &'static str = Box::leak("x".repeat(4 << 20).into_boxed_str());
    let peer = Peer::new(&server.url("http"), &spoken(), &Limits::default());
    assert_eq!(peer.echo(long).await.unwrap(), (4 << 20).to_string());
}
