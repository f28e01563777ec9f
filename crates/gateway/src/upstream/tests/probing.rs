//! How pods are asked how they are, and what follows.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anypod_proto::header::{METHOD, PROTOCOL_VERSION, SESSION_ID};
use anypod_proto::version::Era;
use anypod_server::{Server, Tool};
use http::{HeaderMap, Request, StatusCode};
use hyper::body::Incoming;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::server::{Reply, Running, read_head, text};
use super::*;

/// An upstream that is asked how it is.
fn asked(pods: &[&str]) -> config::Upstream {
    config::Upstream { health: Health::default(), ..configured(pods) }
}

/// Waits until `what`, in steps that take no time of the machine's own.
async fn until(what: impl Fn() -> bool) {
    let begun = Instant::now();
    while !what() {
        assert!(begun.elapsed() < Duration::from_secs(120), "it does not happen");
        sleep(Duration::from_millis(100)).await;
    }
}

fn reply(status: StatusCode, body: &'static str) -> Reply {
    let mut reply = text(body);
    *reply.status_mut() = status;
    reply
}

/// What a server says, and what it has been asked.
#[derive(Clone)]
struct Says(Arc<Mutex<(StatusCode, &'static str)>>, Arc<Mutex<Vec<HeaderMap>>>);

impl Says {
    fn new(status: StatusCode, body: &'static str) -> Self {
        Self(Arc::new(Mutex::new((status, body))), Arc::default())
    }

    async fn serve(&self) -> Running {
        let says = self.clone();
        Running::http1(move |request: Request<Incoming>| {
            says.1.lock().unwrap().push(request.headers().clone());
            let (status, body) = *says.0.lock().unwrap();
            async move { reply(status, body) }
        })
        .await
    }

    fn change(&self, status: StatusCode, body: &'static str) {
        *self.0.lock().unwrap() = (status, body);
    }

    fn questions(&self) -> Vec<HeaderMap> {
        self.1.lock().unwrap().clone()
    }
}

const MODERN: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete","supportedVersions":["2026-07-28"],
    "capabilities":{},"ttlMs":0,"cacheScope":"private"}}"#;
const NO_SESSION: &str = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"Bad Request: No session"}}"#;

#[tokio::test]
async fn a_modern_server_is_found_out() {
    let server = Server::new("a", "1").tool(Tool::new("tick", async || "tock")).build().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let mut serving = JoinSet::new();
    serving.spawn(async move { server.serve(listener, std::future::pending()).await.unwrap() });
    let upstream = started(&asked(&[&url]));
    let found = async {
        while upstream.era().is_none() {
            tokio::task::yield_now().await;
        }
    };
    timeout(DEADLINE, found).await.unwrap();
    assert_eq!((upstream.era(), upstream.pods()[0].era()), (Some(Era::Modern), Some(Era::Modern)));
    assert!(upstream.pods()[0].is_well());
}

#[tokio::test(start_paused = true)]
async fn a_legacy_server_is_alive_and_asked_without_opening_sessions() {
    let says = Says::new(StatusCode::BAD_REQUEST, NO_SESSION);
    let server = says.serve().await;
    let upstream = started(&asked(&[&server.url()]));
    until(|| upstream.era() == Some(Era::Legacy)).await;
    until(|| says.questions().len() >= 4).await;
    assert!(upstream.pods()[0].is_well());
    let questions = says.questions();
    assert!(!questions[0].contains_key(SESSION_ID));
    for question in &questions[1..] {
        assert!(question.contains_key(SESSION_ID));
        assert_eq!(question[METHOD], "server/discover");
        assert_eq!(question[PROTOCOL_VERSION], "2026-07-28");
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_version_of_the_server_may_be_of_another_era() {
    let says = Says::new(StatusCode::NOT_FOUND, "Session not found");
    let server = says.serve().await;
    let upstream = started(&asked(&[&server.url()]));
    until(|| upstream.era() == Some(Era::Legacy)).await;
    says.change(StatusCode::OK, MODERN);
    until(|| upstream.era() == Some(Era::Modern)).await;
    assert_eq!(upstream.pods()[0].era(), Some(Era::Modern));
}

#[tokio::test(start_paused = true)]
async fn what_says_nothing_about_the_era_settles_none() {
    for (status, body) in [
        (StatusCode::UNAUTHORIZED, ""),
        (StatusCode::FORBIDDEN, NO_SESSION),
        (StatusCode::TOO_MANY_REQUESTS, ""),
        (StatusCode::INTERNAL_SERVER_ERROR, "oops"),
    ] {
        let says = Says::new(status, body);
        let server = says.serve().await;
        let upstream = started(&asked(&[&server.url()]));
        until(|| says.questions().len() >= 4).await;
        assert_eq!((upstream.era(), upstream.pods()[0].is_well()), (None, true), "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_too_long_says_that_the_pod_is_alive_and_no_more() {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let server = Running::http1(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        async { text(vec![b' '; 1 << 20]) }
    })
    .await;
    let upstream = started(&asked(&[&server.url()]));
    until(|| count.load(Ordering::SeqCst) >= 4).await;
    assert_eq!((upstream.era(), upstream.pods()[0].is_well()), (None, true));
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_is_away_is_paused_and_gets_requests_again_once_it_is_back() {
    let says = Says::new(StatusCode::OK, MODERN);
    let (server, other) = (says.serve().await, Says::new(StatusCode::OK, MODERN).serve().await);
    let mut config = asked(&[&server.url(), &other.url()]);
    // So long that only an answer can end it.
    config.health.pause = Time::from_secs(3600);
    config.health.longest_pause = Time::from_secs(3600);
    let upstream = started(&config);
    let pod = Arc::clone(&upstream.pods()[0]);
    until(|| pod.era().is_some()).await;
    for status in [StatusCode::SERVICE_UNAVAILABLE, StatusCode::BAD_GATEWAY, StatusCode::GATEWAY_TIMEOUT] {
        says.change(status, MODERN);
        until(|| !pod.is_well()).await;
        for _ in 0..10 {
            assert_ne!(upstream.pick(&Tried::default()).unwrap().id(), pod.id());
        }
        says.change(StatusCode::OK, MODERN);
        until(|| pod.is_well()).await;
    }
    assert!((0..200).any(|_| upstream.pick(&Tried::default()).unwrap().id() == pod.id()));
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_cannot_be_reached_or_does_not_answer_is_paused() {
    let silent = Running::http1(|_| std::future::pending()).await;
    for url in [nobody().await, silent.url()] {
        let upstream = started(&asked(&[&url]));
        until(|| !upstream.pods()[0].is_well()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn each_pod_is_asked_once_in_the_time_set() {
    let says = [Says::new(StatusCode::OK, MODERN), Says::new(StatusCode::OK, MODERN)];
    let servers = [says[0].serve().await, says[1].serve().await];
    let _upstream = started(&asked(&[&servers[0].url(), &servers[1].url()]));
    sleep(Health::default().every.get() * 100).await;
    for said in says {
        let questions = said.questions().len();
        assert!((90..=110).contains(&questions), "{questions}");
    }
}

#[tokio::test(start_paused = true)]
async fn questions_carry_the_headers_of_the_upstream() {
    let says = Says::new(StatusCode::OK, MODERN);
    let server = says.serve().await;
    let mut config = asked(&[&server.url()]);
    config.headers.insert("authorization".to_owned(), "Bearer x".to_owned());
    let _upstream = started(&config);
    until(|| !says.questions().is_empty()).await;
    assert_eq!(says.questions()[0]["authorization"], "Bearer x");
}

#[tokio::test(start_paused = true)]
async fn nobody_is_asked_once_the_upstream_is_gone() {
    let says = Says::new(StatusCode::OK, MODERN);
    let server = says.serve().await;
    let upstream = started(&asked(&[&server.url()]));
    until(|| !says.questions().is_empty()).await;
    drop(upstream);
    let asked = says.questions().len();
    sleep(Duration::from_secs(60)).await;
    assert!(says.questions().len() <= asked + 1);
}

#[tokio::test(start_paused = true)]
async fn a_pod_whose_connections_are_all_in_use_is_not_taken_for_away() {
    let server = Running::http1(|request: Request<Incoming>| async move {
        if request.headers().get(METHOD).is_none() {
            std::future::pending::<()>().await;
        }
        text(MODERN)
    })
    .await;
    let upstream = started(&config::Upstream { connections: 1, ..asked(&[&server.url()]) });
    let pod = Arc::clone(&upstream.pods()[0]);
    until(|| pod.era().is_some() && pod.idle() == 1).await;
    let busy = Arc::clone(&pod);
    let mut sending = JoinSet::new();
    sending.spawn(async move { send(&busy, "").await });
    until(|| pod.idle() == 0).await;
    sleep(Duration::from_secs(60)).await;
    assert!(pod.is_well());
}

#[tokio::test(start_paused = true)]
async fn questions_go_on_one_connection() {
    let says = Says::new(StatusCode::OK, MODERN);
    let server = says.serve().await;
    let upstream = started(&asked(&[&server.url()]));
    until(|| says.questions().len() >= 20).await;
    assert_eq!((server.count(), upstream.pods()[0].connections()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_kept_for_questions_is_too_old_for_requests() {
    let says = Says::new(StatusCode::OK, MODERN);
    let server = says.serve().await;
    let mut config = asked(&[&server.url()]);
    config.health.every = Time::from_secs(20);
    let upstream = started(&config);
    let pod = &upstream.pods()[0];
    until(|| says.questions().len() >= 3).await;
    sleep(Duration::from_secs(8)).await;
    assert_eq!((server.count(), pod.idle()), (1, 1));
    send(pod, "").await.unwrap();
    assert_eq!((server.count(), pod.connections()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_question_that_meets_the_close_of_its_connection_is_asked_again() {
    let server = Running::raw(|mut stream| async move {
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{MODERN}", MODERN.len());
        read_head(&mut stream).await;
        stream.write_all(answer.as_bytes()).await.unwrap();
        // The next one is read and not answered.
        read_head(&mut stream).await;
    })
    .await;
    let upstream = started(&asked(&[&server.url()]));
    until(|| server.count() >= 20).await;
    assert!(upstream.pods()[0].is_well());
    assert_eq!(upstream.pods()[0].era(), Some(Era::Modern));
}
