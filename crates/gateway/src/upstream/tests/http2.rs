//! HTTP/2: many requests on one connection.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::net::TcpStream;
use tokio::sync::{Barrier, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::server::{Reply, Running, text};
use super::*;

fn http2(server: &Running) -> config::Upstream {
    config::Upstream { http2: true, ..configured(&[&server.url()]) }
}

/// Answers with the target of the request, once as many as `barrier` wants are there.
async fn address(request: Request<Incoming>, barrier: Arc<Barrier>) -> Reply {
    barrier.wait().await;
    assert_eq!(request.version(), Version::HTTP_2);
    text(format!("{} {}", request.uri(), request.headers().contains_key("host")))
}

/// Sends so many at once, and returns the answers.
async fn send_many(pod: &Arc<Pod>, many: usize) -> Vec<String> {
    let mut tasks = JoinSet::new();
    for _ in 0..many {
        let pod = Arc::clone(pod);
        tasks.spawn(async move { read(send(&pod, "x").await.unwrap()).await.unwrap() });
    }
    timeout(DEADLINE, tasks.join_all()).await.unwrap()
}

#[tokio::test]
async fn many_requests_share_a_connection() {
    let barrier = Arc::new(Barrier::new(100));
    let server = Running::http2(move |request| address(request, Arc::clone(&barrier))).await;
    let pod = pod(&http2(&server));
    let answers = send_many(&pod, 100).await;
    assert!(answers.iter().all(|answer| *answer == format!("{} false", server.url())), "{answers:?}");
    assert_eq!((server.count(), pod.connections()), (1, 1));
}

#[tokio::test]
async fn more_requests_than_a_connection_carries_get_another() {
    let barrier = Arc::new(Barrier::new(150));
    let server = Running::http2(move |request| address(request, Arc::clone(&barrier))).await;
    let pod = pod(&http2(&server));
    assert_eq!(send_many(&pod, 150).await.len(), 150);
    assert_eq!((server.count(), pod.connections()), (2, 2));
    pod.sweep();
    assert_eq!(pod.connections(), 1);
}

#[tokio::test]
async fn giving_up_an_answer_ends_its_stream_and_no_other() {
    let (saw, mut seen) = mpsc::channel(1);
    let server = Running::raw(move |stream: TcpStream| {
        let saw = saw.clone();
        async move {
            let mut connection = h2::server::handshake(stream).await.unwrap();
            while let Some(request) = connection.accept().await {
                let (_, mut respond) = request.unwrap();
                let mut stream = respond.send_response(Response::new(()), false).unwrap();
                stream.send_data(Bytes::from_static(b"begun"), false).unwrap();
                let saw = saw.clone();
                tokio::spawn(async move {
                    let reset = std::future::poll_fn(|cx| stream.poll_reset(cx)).await.unwrap();
                    saw.send(reset).await.unwrap();
                });
            }
        }
    })
    .await;
    let pod = pod(&http2(&server));
    let (mut kept, dropped) = (send(&pod, "").await.unwrap(), send(&pod, "").await.unwrap());
    drop(dropped);
    assert_eq!(timeout(DEADLINE, seen.recv()).await.unwrap(), Some(h2::Reason::CANCEL));
    assert_eq!(kept.body.frame().await.unwrap().unwrap().into_data().unwrap(), "begun");
    assert_eq!(kept.body.bytes(), 5);
    assert_eq!((server.count(), pod.connections()), (1, 1));
}

#[tokio::test]
async fn a_request_that_the_pod_says_it_did_nothing_with_is_sent_again() {
    let refused = Arc::new(Mutex::new(false));
    let server = Running::raw(move |stream: TcpStream| {
        let refused = Arc::clone(&refused);
        async move {
            let mut connection = h2::server::handshake(stream).await.unwrap();
            while let Some(request) = connection.accept().await {
                let (request, mut respond) = request.unwrap();
                if !std::mem::replace(&mut *refused.lock().unwrap(), true) {
                    respond.send_reset(h2::Reason::REFUSED_STREAM);
                    continue;
                }
                tokio::spawn(async move {
                    let body = request.into_body().data().await.unwrap().unwrap();
                    let mut stream = respond.send_response(Response::new(()), false).unwrap();
                    stream.send_data(body, true).unwrap();
                });
            }
        }
    })
    .await;
    assert_eq!(super::echo(&pod(&http2(&server)), "again").await, "again");
}

#[tokio::test]
async fn a_connection_that_was_closed_is_replaced() {
    let server = Running::raw(async |stream: TcpStream| {
        let mut connection = h2::server::handshake(stream).await.unwrap();
        let (_, mut respond) = connection.accept().await.unwrap().unwrap();
        respond.send_response(Response::new(()), true).unwrap();
        connection.graceful_shutdown();
        while connection.accept().await.is_some() {}
    })
    .await;
    let pod = pod(&http2(&server));
    for _ in 0..3 {
        assert_eq!(super::echo(&pod, "x").await, "");
    }
    assert!(server.count() > 1);
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_does_not_answer_is_given_up_in_time() {
    let server = Running::http2(|_| std::future::pending()).await;
    let config = http2(&server);
    let pod = pod(&config);
    let begun = tokio::time::Instant::now();
    let error = send(&pod, "").await.map(|_| ()).unwrap_err();
    assert!(matches!(error, SendError::TooSlow), "{error}");
    assert!(begun.elapsed() >= config.timeouts.head.get());
}

#[tokio::test]
async fn requests_to_nobody_are_not_sent() {
    let config = config::Upstream { http2: true, ..configured(&[&nobody().await]) };
    let pod = pod(&config);
    let (one, two) = tokio::join!(send(&pod, "one"), send(&pod, "two"));
    for outcome in [one, two] {
        assert!(unsent(outcome).contains("refused"));
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_falls_silent_is_given_up_in_time() {
    let server = Running::raw(async |stream: TcpStream| {
        let mut connection = h2::server::handshake(stream).await.unwrap();
        let mut streams = Vec::new();
        while let Some(request) = connection.accept().await {
            let (_, mut respond) = request.unwrap();
            let mut stream = respond.send_response(Response::new(()), false).unwrap();
            stream.send_data(Bytes::from_static(b"begun"), false).unwrap();
            streams.push(stream);
        }
    })
    .await;
    let config = http2(&server);
    let pod = pod(&config);
    let mut body = send(&pod, "").await.unwrap().body;
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "begun");
    let begun = tokio::time::Instant::now();
    let error = body.frame().await.unwrap().unwrap_err();
    assert!(matches!(error, AnswerError::Silent(_)), "{error}");
    let (silent, limit) = (begun.elapsed(), config.timeouts.silence.get());
    assert!(silent >= limit && silent < limit + Duration::from_secs(1), "{silent:?}");
}

/// Answers the first request of each connection, and reads what comes after it as long as `reads` says so. The connection
/// stays open, as one whose other end has lost its power.
async fn answers_once(stream: TcpStream, reads: bool) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    let (_, mut respond) = connection.accept().await.unwrap().unwrap();
    respond.send_response(Response::new(()), true).unwrap();
    // What is to be written is written while more is waited for.
    let _ = timeout(Duration::from_secs(1), connection.accept()).await;
    while reads && connection.accept().await.is_some() {}
    std::future::pending::<()>().await;
}

#[tokio::test(start_paused = true)]
async fn an_unused_connection_that_leads_nowhere_is_found_out_before_a_request_is_sent_on_it() {
    let servers = [
        Running::raw(|stream| answers_once(stream, true)).await,
        Running::raw(|stream| answers_once(stream, false)).await,
    ];
    for (server, left) in servers.iter().zip([1, 0]) {
        let pod = pod(&http2(server));
        assert_eq!(super::echo(&pod, "").await, "");
        tokio::time::sleep(Duration::from_secs(60)).await;
        pod.sweep();
        assert_eq!(pod.connections(), left);
        if left == 0 {
            assert_eq!(super::echo(&pod, "").await, "");
            assert_eq!(server.count(), 2);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_is_gone_without_a_word_is_found_out_while_a_request_waits() {
    let server = Running::raw(async |stream: TcpStream| {
        let mut connection = h2::server::handshake(stream).await.unwrap();
        let _request = connection.accept().await;
        std::future::pending::<()>().await;
    })
    .await;
    let config = http2(&server);
    let begun = tokio::time::Instant::now();
    let error = send(&pod(&config), "").await.map(|_| ()).unwrap_err();
    assert!(matches!(error, SendError::Broken(_)), "{error}");
    assert!(
        begun.elapsed() < Duration::from_secs(60) && begun.elapsed() < config.timeouts.head.get(),
        "{:?}",
        begun.elapsed()
    );
}
