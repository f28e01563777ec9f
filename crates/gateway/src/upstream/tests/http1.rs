//! HTTP/1.1: which connection a request gets, what comes back when there is none, and what ends with whom.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::{Request, StatusCode};
use http_body::{Body, Frame};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Incoming;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{Instant, advance, sleep, timeout};

use super::server::{Reply, Running, echo, read_head, text};
use super::*;
use crate::upstream::BodyError;

/// The length of an answer that is not read as a whole before it is passed on.
const LONG: usize = 1 << 20;

/// A body whose pieces the test gives.
fn pieces() -> (mpsc::Sender<Result<&'static str, BodyError>>, Outgoing) {
    struct Pieces(mpsc::Receiver<Result<&'static str, BodyError>>);
    impl Body for Pieces {
        type Data = Bytes;
        type Error = BodyError;
        fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
            let piece = self.0.poll_recv(cx);
            piece.map(|piece| piece.map(|piece| piece.map(|text| Frame::data(Bytes::from_static(text.as_bytes())))))
        }
    }
    let (give, take) = mpsc::channel(8);
    (give, Outgoing::stream(Pieces(take)))
}

/// Lets the runtime hear of what has happened to sockets meanwhile.
async fn hear() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (_one, _other) = tokio::join!(TcpStream::connect(address), listener.accept());
}

/// Answers with the target and the `Host` of the request.
async fn address(request: Request<Incoming>) -> Reply {
    text(format!("{} {}", request.uri(), request.headers()[HOST].to_str().unwrap()))
}

#[tokio::test]
async fn a_connection_is_used_again_and_the_last_one_first() {
    let server = Running::http1(echo).await;
    let pod = pod_at(&server.url());
    for _ in 0..3 {
        assert_eq!(super::echo(&pod, "one").await, "one");
    }
    assert_eq!((server.count(), pod.idle(), pod.connections()), (1, 1, 1));
    let (one, two) = tokio::join!(super::echo(&pod, "one"), super::echo(&pod, "two"));
    assert_eq!((one, two), ("one".to_owned(), "two".to_owned()));
    assert_eq!((server.count(), pod.idle()), (2, 2));
}

#[tokio::test]
async fn the_connection_of_a_small_answer_is_free_before_the_answer_is_read() {
    let server = Running::http1(echo).await;
    let pod = pod_at(&server.url());
    let response = send(&pod, "small").await.unwrap();
    assert_eq!(pod.idle(), 1);
    assert_eq!(super::echo(&pod, "next").await, "next");
    assert_eq!(read(response).await.unwrap(), "small");
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn a_large_answer_comes_in_pieces_and_is_counted() {
    const BYTES: usize = 3 << 20;
    let server = Running::http1(|_| async { text(vec![b'x'; BYTES]) }).await;
    let pod = pod_at(&server.url());
    let mut response = send(&pod, "").await.unwrap();
    assert_eq!(pod.idle(), 0);
    let mut read = 0;
    while let Some(frame) = response.body.frame().await {
        read += frame.unwrap().into_data().unwrap().len();
        assert_eq!(response.body.bytes(), read as u64);
    }
    assert_eq!((read, pod.idle()), (BYTES, 1));
}

#[tokio::test]
async fn what_comes_unasked_behind_a_long_answer_closes_its_connection() {
    let server = Running::raw(async |mut stream: TcpStream| {
        read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 300000\r\n\r\n").await.unwrap();
        stream.write_all(&vec![b'x'; 300_001]).await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let pod = pod_at(&server.url());
    let answer = read(send(&pod, "").await.unwrap()).await.unwrap();
    assert_eq!(answer.len(), 300_000);
    read(send(&pod, "").await.unwrap()).await.unwrap();
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn an_answer_of_unknown_length_gives_its_connection_back_at_its_end() {
    let server = Running::raw(async |mut stream: TcpStream| {
        loop {
            read_head(&mut stream).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n").await.unwrap();
            hear().await;
            stream.write_all(b"3\r\ntwo\r\n0\r\n\r\n").await.unwrap();
        }
    })
    .await;
    let pod = pod_at(&server.url());
    for _ in 0..2 {
        let response = pod.send(&mut Request::get("/mcp").body(Outgoing::empty()).unwrap().into()).await.unwrap();
        assert_eq!(read(response).await.unwrap(), "onetwo");
        assert_eq!((pod.idle(), server.count()), (1, 1));
    }
}

#[tokio::test]
async fn a_request_on_a_connection_that_the_pod_has_closed_goes_on_a_new_one() {
    let (close, closed) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let told = (Arc::clone(&close), Arc::clone(&closed));
    let server = Running::raw(move |mut stream| {
        let (close, closed) = told.clone();
        async move {
            let mut request = Vec::new();
            while !request.ends_with(b"x") {
                request.push(stream.read_u8().await.unwrap());
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
            close.notified().await;
            drop(stream);
            closed.notify_one();
        }
    })
    .await;
    let pod = pod_at(&server.url());
    assert_eq!(super::echo(&pod, "x").await, "ok");
    assert_eq!(pod.idle(), 1);
    close.notify_one();
    closed.notified().await;
    hear().await;
    assert_eq!(super::echo(&pod, "x").await, "ok");
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn a_request_to_nobody_comes_back_as_it_was() {
    let pod = pod_at(&nobody().await);
    let mut request = post(whole("intact"));
    let why = unsent(pod.send(&mut request).await);
    assert!(why.contains("refused"), "{why}");
    let body = request.body.collect().await.unwrap().to_bytes();
    assert_eq!((&body[..], pod.connections()), (&b"intact"[..], 0));
}

#[tokio::test]
async fn a_request_that_may_have_run_is_said_to() {
    let server = Running::raw(async |mut stream: TcpStream| {
        read_head(&mut stream).await;
    })
    .await;
    let pod = pod_at(&server.url());
    let error = send(&pod, "").await.map(|_| ()).unwrap_err();
    assert!(matches!(error, SendError::Broken(_)) && error.is_the_pods(), "{error}");
    assert_eq!((pod.idle(), pod.connections()), (0, 0));
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_no_whole_one() {
    for length in [9, LONG] {
        let server = Running::raw(move |mut stream: TcpStream| async move {
            read_head(&mut stream).await;
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\nhalf");
            stream.write_all(answer.as_bytes()).await.unwrap();
        })
        .await;
        let pod = pod_at(&server.url());
        match send(&pod, "").await {
            // A short one is not begun before all of it is there.
            Err(error) => assert!(length == 9 && matches!(error, SendError::Broken(_)), "{error}"),
            Ok(answer) => {
                assert_eq!(answer.body.size_hint().exact(), Some(length as u64));
                let error = read(answer).await.unwrap_err();
                assert!(length == LONG && matches!(error, AnswerError::Connection(_)), "{error}");
            }
        }
        assert_eq!(pod.connections(), 0);
    }
}

#[tokio::test]
async fn one_request_more_than_there_may_be_connections_is_not_sent() {
    let server = Running::raw(async |mut stream: TcpStream| {
        read_head(&mut stream).await;
        stream.write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: {LONG}\r\n\r\no").as_bytes()).await.unwrap();
        let _ = stream.read_u8().await;
    })
    .await;
    let pod = pod(&config::Upstream { connections: 1, ..configured(&[&server.url()]) });
    let response = send(&pod, "").await.unwrap();
    assert_eq!(unsent(send(&pod, "full").await), "all connections are in use");
    drop(response);
    assert!(send(&pod, "").await.is_ok());
}

#[tokio::test]
async fn giving_up_a_request_or_an_answer_closes_the_connection() {
    let (saw, mut seen) = mpsc::channel(2);
    let server = Running::raw(move |mut stream: TcpStream| {
        let saw = saw.clone();
        async move {
            let head = read_head(&mut stream).await;
            if head.starts_with("GET /answered") {
                let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {LONG}\r\n\r\nhalf");
                stream.write_all(answer.as_bytes()).await.unwrap();
            } else {
                saw.send("begun").await.unwrap();
            }
            assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
            saw.send("closed").await.unwrap();
        }
    })
    .await;
    let get = |path: &str| Outbound::from(Request::get(path).body(Outgoing::empty()).unwrap());
    let waiting = pod_at(&server.url());
    let mut request = get("/");
    tokio::select! {
        _ = waiting.send(&mut request) => panic!("nobody answers"),
        begun = seen.recv() => assert_eq!(begun, Some("begun")),
    }
    assert_eq!(seen.recv().await, Some("closed"));
    let answered = pod_at(&format!("http://{}/answered", server.address));
    let mut response = answered.send(&mut get("/")).await.unwrap();
    assert!(response.body.frame().await.unwrap().is_ok());
    drop(response);
    assert_eq!(seen.recv().await, Some("closed"));
    assert_eq!((waiting.connections(), answered.connections()), (0, 0));
}

#[tokio::test]
async fn a_body_goes_out_as_it_comes() {
    let server = Running::http1(echo).await;
    let pod = pod_at(&server.url());
    let (give, body) = pieces();
    let giving = async {
        for piece in ["as ", "it ", "comes"] {
            give.send(Ok(piece)).await.unwrap();
            hear().await;
        }
        drop(give);
    };
    let mut request = post(body);
    let (response, ()) = tokio::join!(pod.send(&mut request), giving);
    assert_eq!(read(response.unwrap()).await.unwrap(), "as it comes");
    assert_eq!(pod.idle(), 1);
}

#[tokio::test]
async fn a_body_that_breaks_off_never_reaches_an_end_at_the_pod() {
    let (saw, seen) = oneshot::channel();
    let saw = Mutex::new(Some(saw));
    let server = Running::raw(move |mut stream: TcpStream| {
        let saw = saw.lock().unwrap().take().unwrap();
        async move {
            let mut all = Vec::new();
            stream.read_to_end(&mut all).await.unwrap();
            saw.send(String::from_utf8(all).unwrap()).unwrap();
        }
    })
    .await;
    let pod = pod_at(&server.url());
    let (give, body) = pieces();
    give.send(Ok("half")).await.unwrap();
    give.send(Err("not what its headers say".into())).await.unwrap();
    let error = pod.send(&mut post(body)).await.map(|_| ()).unwrap_err();
    assert!(matches!(error, SendError::Broken(_)) && !error.is_the_pods(), "{error}");
    let seen = seen.await.unwrap();
    assert!(!seen.ends_with("0\r\n\r\n"), "{seen}");
}

#[tokio::test]
async fn a_connection_whose_request_nobody_read_to_its_end_is_not_used_again() {
    let server = Running::raw(async |mut stream: TcpStream| {
        read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 2\r\n\r\nno").await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let pod = pod_at(&server.url());
    let (_give, body) = pieces();
    let response = pod.send(&mut post(body)).await.unwrap();
    assert_eq!(response.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(read(response).await.unwrap(), "no");
    assert_eq!((pod.idle(), pod.connections()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_does_not_answer_is_given_up_in_time() {
    let server = Running::raw(async |mut stream: TcpStream| {
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let config = configured(&[&server.url()]);
    let pod = pod(&config);
    let begun = Instant::now();
    let error = send(&pod, "").await.map(|_| ()).unwrap_err();
    assert!(matches!(error, SendError::TooSlow), "{error}");
    assert!(begun.elapsed() - config.timeouts.head.get() < Duration::from_millis(10), "{:?}", begun.elapsed());
    assert_eq!(pod.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_time_of_an_upload_is_not_that_of_the_answer() {
    let server = Running::http1(echo).await;
    let config = configured(&[&server.url()]);
    let pod = pod(&config);
    let slow = config.timeouts.head.get() * 2;
    let body = futures_util::stream::once(async move {
        sleep(slow).await;
        Ok::<_, BodyError>(Frame::data(Bytes::from_static(b"late")))
    });
    let begun = Instant::now();
    let response = pod.send(&mut post(Outgoing::stream(StreamBody::new(body)))).await.unwrap();
    assert_eq!(read(response).await.unwrap(), "late");
    assert!(begun.elapsed() >= slow);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_falls_silent_is_given_up_in_time() {
    let server = Running::raw(async |mut stream: TcpStream| {
        read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n: one\n\n").await.unwrap();
        sleep(Duration::from_secs(40)).await;
        stream.write_all(b": two\n\n").await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let mut config = configured(&[&server.url()]);
    config.timeouts.silence = Time::from_secs(60);
    let pod = pod(&config);
    let mut body = send(&pod, "").await.unwrap().body;
    let begun = Instant::now();
    for piece in [": one\n\n", ": two\n\n"] {
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), piece);
    }
    let error = body.frame().await.unwrap().unwrap_err();
    assert!(matches!(error, AnswerError::Silent(limit) if limit.as_secs() == 60), "{error}");
    assert!(begun.elapsed() - Duration::from_secs(100) < Duration::from_millis(10), "{:?}", begun.elapsed());
    assert_eq!(pod.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_not_used_again_after_its_time() {
    let server = Running::http1(echo).await;
    let mut config = configured(&[&server.url()]);
    config.timeouts.idle = Some(Time::from_secs(55));
    let pod = pod(&config);
    assert_eq!(super::echo(&pod, "one").await, "one");
    advance(Duration::from_secs(54)).await;
    assert_eq!(super::echo(&pod, "two").await, "two");
    assert_eq!(server.count(), 1);
    advance(Duration::from_secs(55)).await;
    assert_eq!(super::echo(&pod, "three").await, "three");
    assert_eq!((server.count(), pod.connections()), (2, 1));
}

/// Node and uvicorn close connections after 5 s. Node says so, uvicorn does not.
#[tokio::test(start_paused = true)]
async fn a_connection_to_a_pod_that_does_not_say_how_long_it_keeps_it_is_not_used_until_it_may_close() {
    let server = Running::http1(echo).await;
    let pod = pod_at(&server.url());
    for (pause, count) in [(0, 1), (3900, 1), (4000, 2)] {
        advance(Duration::from_millis(pause)).await;
        assert_eq!(super::echo(&pod, "x").await, "x");
        assert_eq!(server.count(), count);
    }
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_says_how_long_it_keeps_connections_is_taken_at_its_word() {
    for (said, kept) in [("timeout=5, max=100", 4000), ("timeout=30", 24_000), ("timeout=3600", 55_000)] {
        let server = Running::http1(move |request| async move {
            let mut reply = echo(request).await;
            reply.headers_mut().insert("keep-alive", said.parse().unwrap());
            reply
        })
        .await;
        let pod = pod_at(&server.url());
        for (pause, count) in [(0, 1), (kept - 100, 1), (kept, 2)] {
            advance(Duration::from_millis(pause)).await;
            assert_eq!(super::echo(&pod, "x").await, "x");
            assert_eq!(server.count(), count, "{said}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn connections_that_nobody_needs_are_closed() {
    let server = Running::http1(echo).await;
    let mut config = configured(&[&server.url()]);
    config.timeouts.idle = Some(Time::from_secs(55));
    let upstream = started(&config);
    let pod = Arc::clone(&upstream.pods()[0]);
    assert_eq!(super::echo(&pod, "one").await, "one");
    advance(Duration::from_secs(27)).await;
    tokio::join!(super::echo(&pod, "one"), super::echo(&pod, "two"));
    assert_eq!(pod.idle(), 2);
    advance(Duration::from_secs(45)).await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(pod.idle(), 2);
    sleep(Duration::from_secs(20)).await;
    assert_eq!((pod.idle(), pod.connections()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_the_pod_has_closed_does_not_stay() {
    let server = Running::http1(echo).await;
    let upstream = started(&configured(&[&server.url()]));
    let pod = Arc::clone(&upstream.pods()[0]);
    assert_eq!(super::echo(&pod, "one").await, "one");
    drop(server);
    sleep(Duration::from_secs(20)).await;
    assert_eq!((pod.idle(), pod.connections()), (0, 0));
}

#[tokio::test]
async fn a_request_is_addressed_to_the_pod() {
    let server = Running::http1(address).await;
    let authority = server.address.to_string();
    let exchange = async |config: &config::Upstream, path: &str| {
        let request = Request::post(path).header(HOST, "mcp.example").body(Outgoing::empty()).unwrap();
        read(pod(config).send(&mut request.into()).await.unwrap()).await.unwrap()
    };
    let mut config = configured(&[&format!("http://{authority}/a/b")]);
    assert_eq!(exchange(&config, "/mcp").await, format!("/a/b {authority}"));
    assert_eq!(exchange(&config, "http://mcp.example/mcp?key=1").await, format!("/a/b?key=1 {authority}"));
    config.headers.insert("Host".to_owned(), "virtual.example".to_owned());
    assert_eq!(exchange(&config, "/mcp").await, "/a/b virtual.example");
}

#[cfg(unix)]
#[tokio::test]
async fn a_pod_may_be_behind_a_socket_of_this_machine() {
    let path = Temporary::new("pod.sock");
    let listener = tokio::net::UnixListener::bind(&path.0).unwrap();
    let _serving = spawned(async move {
        let (stream, _) = listener.accept().await.unwrap();
        server::serve(stream, false, address).await;
    });
    let pod = pod_at(&format!("unix:{}:/a", path.0.display()));
    for _ in 0..2 {
        assert_eq!(super::echo(&pod, "").await, "/a localhost");
    }
}

/// A task that ends with the test.
#[cfg(unix)]
fn spawned(task: impl Future<Output = ()> + Send + 'static) -> tokio::task::JoinSet<()> {
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(task);
    tasks
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_requests_on_many_threads_each_get_their_own_answer() {
    let server = Running::http1(echo).await;
    let pod = pod_at(&server.url());
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..32_usize {
        let pod = Arc::clone(&pod);
        tasks.spawn(async move {
            for round in 0..50_usize {
                // Of all lengths, so that some come in one piece and others in many, in both directions.
                let text = format!("{number}-{round}-").repeat(1 + (number * round * 37) % 9000);
                let body = Bytes::from(text.clone());
                let body = match round % 2 {
                    0 => Outgoing::Whole(body),
                    _ => Outgoing::stream(http_body_util::Full::new(body).map_err(|never| match never {})),
                };
                let response = pod.send(&mut post(body)).await.unwrap();
                assert_eq!(read(response).await.unwrap(), text);
            }
        });
    }
    timeout(DEADLINE * 3, tasks.join_all()).await.unwrap();
    assert_eq!((pod.idle(), pod.in_flight()), (pod.connections(), 0));
    assert!(server.count() <= 32, "{}", server.count());
}

#[tokio::test]
async fn what_a_request_under_way_takes_stays_small() {
    let pod = pod_at("http://a/mcp");
    let mut request = post(Outgoing::empty());
    let bytes = size_of_val(&pod.send(&mut request));
    assert!(bytes <= 2304, "{bytes}");
    assert!(size_of::<Answer>() <= 128, "{}", size_of::<Answer>());
}
