//! How many requests use connections at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http_body_util::BodyExt;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::bodies::pieces;
use super::server::{Answer, Running, echo, text};
use super::{DEADLINE, Peer};
use crate::http::Turn;
use crate::http::connect::Settings;
use crate::limits::Limits;

fn limits(connections: usize) -> Limits {
    Limits { connections, ..Limits::default() }
}

/// A request that waits for its answer.
struct Asked {
    body: String,
    answer: oneshot::Sender<()>,
}

/// A server that answers when it is told to.
async fn stalling() -> (Running, mpsc::Receiver<Asked>) {
    let (asks, asked) = mpsc::channel(64);
    let server = Running::http1(move |request| {
        let asks = asks.clone();
        async move {
            let body = request.into_body().collect().await.unwrap().to_bytes();
            let (answer, answered) = oneshot::channel();
            asks.send(Asked { body: String::from_utf8(body.to_vec()).unwrap(), answer }).await.unwrap();
            // The test may be over.
            let _ = answered.await;
            text(body)
        }
    })
    .await;
    (server, asked)
}

#[tokio::test]
async fn no_more_requests_than_connections_are_under_way_and_the_rest_come_in_order() {
    let (server, mut asked) = stalling().await;
    let peer = Arc::new(Peer::new(&server.url("http"), &Settings::default(), &limits(2)));
    let mut requests = JoinSet::new();
    for body in ["1", "2", "3", "4", "5", "6"] {
        let peer = Arc::clone(&peer);
        requests.spawn(async move { peer.echo(body).await.unwrap() });
    }
    let mut waiting = vec![asked.recv().await.unwrap(), asked.recv().await.unwrap()];
    waiting.sort_by(|a, b| a.body.cmp(&b.body));
    assert_eq!([waiting[0].body.as_str(), &waiting[1].body], ["1", "2"]);
    // What others wait for does not wait behind them.
    let urgent = peer.send("now", Turn::Now);
    let (urgent, ()) = tokio::join!(urgent, async {
        let next = asked.recv().await.unwrap();
        assert_eq!(next.body, "now");
        next.answer.send(()).unwrap();
    });
    urgent.unwrap();
    for next in ["3", "4", "5", "6"] {
        assert!(asked.is_empty());
        waiting.pop().unwrap().answer.send(()).unwrap();
        let asked = asked.recv().await.unwrap();
        assert_eq!(asked.body, next);
        waiting.push(asked);
    }
    drop(waiting);
    assert_eq!(requests.join_all().await.len(), 6);
}

#[tokio::test]
async fn an_answer_keeps_its_place_until_it_has_been_read() {
    let server = Running::http1(|_| async { text("x".repeat(1 << 20)) }).await;
    let peer = Peer::new(&server.url("http"), &Settings::default(), &limits(1));
    let unread = peer.send("", Turn::Waits).await.unwrap();
    let mut next = std::pin::pin!(peer.send("", Turn::Waits));
    tokio::select! {
        biased;
        _ = &mut next => panic!("two requests over one connection"),
        _ = peer.send("", Turn::Now) => {}
    }
    assert_eq!(unread.into_body().whole(1 << 20).await.unwrap().len(), 1 << 20);
    next.await.unwrap();
}

#[tokio::test]
async fn a_dropped_answer_frees_its_place() {
    let server = Running::http1(|_| async { text("x".repeat(1 << 20)) }).await;
    let peer = Peer::new(&server.url("http"), &Settings::default(), &limits(1));
    for _ in 0..5 {
        drop(peer.send("", Turn::Waits).await.unwrap());
    }
    // So does an answer that has ended, whoever still holds it.
    let server = Running::http1(|_| async { Answer::new(pieces(&["x"]).boxed_unsync()) }).await;
    let peer = Peer::new(&server.url("http"), &Settings::default(), &limits(1));
    let mut held = Vec::new();
    for _ in 0..5 {
        let sent = timeout(DEADLINE, peer.send("", Turn::Waits)).await.expect("a place is free");
        let mut body = sent.unwrap().into_body();
        assert_eq!(body.chunk().await.unwrap().unwrap(), "x");
        assert_eq!(body.chunk().await.unwrap(), None);
        held.push(body);
    }
}

#[tokio::test]
async fn ten_thousand_requests_at_once_all_finish() {
    const CONNECTIONS: usize = 64;
    let most = Arc::new(AtomicUsize::new(0));
    let (under_way, highest) = (Arc::new(AtomicUsize::new(0)), Arc::clone(&most));
    let server = Running::http1(move |request| {
        let (under_way, highest) = (Arc::clone(&under_way), Arc::clone(&highest));
        async move {
            highest.fetch_max(under_way.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            let answer = echo(request).await;
            tokio::task::yield_now().await;
            under_way.fetch_sub(1, Ordering::SeqCst);
            answer
        }
    })
    .await;
    let peer = Arc::new(Peer::new(&server.url("http"), &Settings::default(), &limits(CONNECTIONS)));
    let mut requests = JoinSet::new();
    for _ in 0..10_000 {
        let peer = Arc::clone(&peer);
        requests.spawn(async move { peer.echo("x").await.unwrap() });
    }
    assert_eq!(requests.join_all().await.len(), 10_000);
    assert!(most.load(Ordering::SeqCst) <= CONNECTIONS, "{most:?}");
    // One that has just become free may not be seen yet when the next is wanted.
    assert!(server.count() <= 2 * CONNECTIONS, "{} connections", server.count());
}
