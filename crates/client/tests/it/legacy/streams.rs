//! What comes along the way, streams that break, and calls that nobody waits for any more.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anypod_client::proto::logging::LoggingLevel;
use anypod_client::proto::method::Method;
use anypod_client::{Broken, Call, Error, Repeat};
use http::StatusCode;
use serde_json::{Value, json};

use super::server::{Heard, Reply, Server, Streams, done, events, limits, never, status, streamed, tool, with};
use super::{finish, notice, result};

fn progress(token: &Value, progress: u32) -> Value {
    let params = json!({ "progressToken": token, "progress": progress });
    json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": params })
}

fn log(level: &str) -> Value {
    json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": { "level": level, "data": level } })
}

fn is_get(heard: &Heard) -> bool {
    heard.verb == http::Method::GET
}

fn cancellations(server: &Server) -> Vec<Heard> {
    server.heard(|heard| heard.is("notifications/cancelled"))
}

#[tokio::test(start_paused = true)]
async fn a_call_gets_its_own_progress_and_the_logs_it_wants() {
    let server = Server::new(|heard| {
        let (events, reply) = heard.is("tools/call").then(events)?;
        for message in [progress(&heard.id(), 1), progress(&json!(4711), 2), log("info"), log("error")] {
            events.send(&message);
        }
        events.send(&done(&heard.id(), "done"));
        Some(reply)
    });
    let upstream = server.upstream();
    let both = with(tool("a"), |call| {
        call.progress = true;
        call.log_level = Some(LoggingLevel::Warning);
    });
    let notices = finish(&mut upstream.send(&both).await.unwrap()).await.0;
    let told: Vec<Value> = notices.iter().map(|notice| notice.params.read().unwrap()).collect();
    assert_eq!((told.len(), &told[0]["progress"], &told[1]["level"]), (2, &json!(1), &json!("error")));
    assert!(finish(&mut upstream.send(&tool("a")).await.unwrap()).await.0.is_empty());
    // A call that wants less asks for nothing, one that wants more does.
    for (level, count) in [(LoggingLevel::Error, 1), (LoggingLevel::Debug, 2)] {
        finish(&mut upstream.send(&with(tool("a"), |call| call.log_level = Some(level))).await.unwrap()).await;
        let set = server.heard(|heard| heard.is("logging/setLevel"));
        assert_eq!(set.len(), count);
    }
    let set = server.heard(|heard| heard.is("logging/setLevel"));
    assert_eq!([&set[0].body["params"]["level"], &set[1].body["params"]["level"]], ["warning", "debug"]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_log_is_not_told_a_level() {
    let server = Server::new(|heard| {
        let info = json!({ "name": "quiet", "version": "1" });
        let result = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": info });
        let answer = json!({ "jsonrpc": "2.0", "id": heard.id(), "result": result });
        heard.is("initialize").then(|| super::server::json(&answer))
    });
    let call = with(tool("a"), |call| call.log_level = Some(LoggingLevel::Debug));
    result(&mut server.upstream().send(&call).await.unwrap()).await;
    assert!(server.heard(|heard| heard.is("logging/setLevel")).is_empty());
}

/// A server whose streams break after `first`, and which sends the answer on the resumed stream of that number.
fn breaking(first: &'static str, answered: usize) -> Server {
    let times = AtomicUsize::new(0);
    let id = std::sync::Mutex::new(Value::Null);
    Server::new(move |heard| {
        if heard.is("tools/call") {
            *id.lock().expect("as the test has it") = heard.id();
            return Some(streamed(first));
        }
        if !is_get(heard) {
            return None;
        }
        match times.fetch_add(1, Ordering::Relaxed) + 1 == answered {
            true => Some(streamed(&format!(
                "id: last\ndata: {}\n\n",
                done(&id.lock().expect("as the test has it"), "resumed")
            ))),
            false => Some(streamed(": nothing yet\n\n")),
        }
    })
}

#[tokio::test(start_paused = true)]
async fn resumes_a_stream_from_its_last_event_after_the_pause_the_server_asks_for() {
    for (first, pause) in
        [("id: e-1\nretry: 500\ndata: \n\n", 500), ("id: e-1\n\n", 1000), ("id: e-1\nretry: 0\ndata:\n\n", 0)]
    {
        let server = breaking(first, 1);
        let upstream = server.upstream();
        let called = result(&mut upstream.send(&tool("a")).await.unwrap()).await;
        assert_eq!(called["content"][0]["text"], "resumed");
        let (post, get) = (server.heard(|heard| heard.is("tools/call")), server.heard(is_get));
        let waited = get[0].at - post[0].at;
        assert!(waited >= Duration::from_millis(pause) && waited < Duration::from_millis(pause + 100), "{waited:?}");
        assert_eq!(get[0].header("last-event-id"), Some("e-1"));
        assert_eq!(get[0].header("mcp-session-id"), Some("session-1"));
        assert_eq!(get[0].header("accept"), Some("text/event-stream"));
        assert!(cancellations(&server).is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_beyond_the_bound_is_cut() {
    let server = breaking("id: e-1\nretry: 86400000\ndata:\n\n", 1);
    result(&mut server.upstream().send(&tool("a")).await.unwrap()).await;
    let waited = server.heard(is_get)[0].at - server.heard(|heard| heard.is("tools/call"))[0].at;
    assert!(waited < Duration::from_secs(61), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn keeps_the_place_and_the_pause_over_several_resumptions_and_then_gives_up() {
    let server = breaking("id: e-1\nretry: 100\ndata:\n\n", 5);
    result(&mut server.upstream().send(&tool("a")).await.unwrap()).await;
    let gets = server.heard(is_get);
    assert_eq!(gets.len(), 5);
    assert!(gets.iter().all(|get| get.header("last-event-id") == Some("e-1")));
    assert!(gets.windows(2).all(|two| two[1].at - two[0].at < Duration::from_millis(200)));
    let server = breaking("id: e-1\nretry: 100\ndata:\n\n", 6);
    let error = server.upstream().send(&tool("a")).await.unwrap().next().await.unwrap_err();
    assert!(matches!(error, Error::OutcomeUnknown { .. }), "{error}");
    assert_eq!(server.heard(is_get).len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_something_between_its_pauses_is_never_given_up() {
    let times = AtomicUsize::new(0);
    let id = std::sync::Mutex::new(Value::Null);
    let server = Server::new(move |heard| {
        if heard.is("tools/call") {
            *id.lock().unwrap() = heard.id();
        }
        let id = id.lock().unwrap().clone();
        let message = match times.load(Ordering::Relaxed) {
            0..20 => progress(&id, 1),
            _ => done(&id, "done"),
        };
        let speaks = heard.is("tools/call") || is_get(heard);
        speaks.then(|| {
            let step = times.fetch_add(1, Ordering::Relaxed);
            streamed(&format!("id: {step}\nretry: 10\ndata: {message}\n\n"))
        })
    });
    result(&mut server.upstream().send(&tool("a")).await.unwrap()).await;
    let ids: Vec<_> = server.heard(is_get).iter().map(|get| get.header("last-event-id").unwrap().to_owned()).collect();
    assert_eq!(ids, (0..20).map(|step| step.to_string()).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_polls_now_and_then_does_not_begin_the_pause_again() {
    let server = breaking("id: e-1\nretry: 500\ndata:\n\n", 1);
    let upstream = server.upstream();
    let mut exchange = upstream.send(&tool("a")).await.unwrap();
    let mut polls = 0;
    while tokio::time::timeout(Duration::from_millis(50), exchange.next()).await.is_err() {
        polls += 1;
        assert!(polls < 20, "the pause never ends");
    }
    assert_eq!(server.heard(is_get).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_cannot_be_resumed_leaves_the_outcome_unknown_unless_the_call_may_be_repeated() {
    for first in ["data: \n\n", "id: e-1\nretry: 1\ndata: \n\n"] {
        for repeat in [Repeat::Never, Repeat::Safe] {
            let server = Server::new(move |heard| match is_get(heard) {
                true => Some(status(StatusCode::METHOD_NOT_ALLOWED)),
                false => heard.is("tools/call").then(|| streamed(first)),
            });
            let call = with(tool("a"), |call| call.repeat = repeat);
            let error = server.upstream().send(&call).await.unwrap().next().await.unwrap_err();
            match repeat {
                Repeat::Never => assert!(matches!(error, Error::OutcomeUnknown { .. }), "{error}"),
                Repeat::Safe => assert!(matches!(error, Error::Lost { .. }), "{error}"),
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_is_cancelled_and_one_that_has_ended_is_not() {
    let streams = Streams::new();
    let opened = streams.clone();
    let server = Server::new(move |heard| if heard.is("tools/call") { opened.open(heard) } else { None });
    let upstream = server.upstream();
    let mut exchange = upstream.send(&tool("a")).await.unwrap();
    let (heard, events) = streams.next().await;
    events.send(&done(&heard.id(), "done"));
    result(&mut exchange).await;
    drop(exchange);
    let exchange = upstream.send(&tool("b")).await.unwrap();
    let (heard, events) = streams.next().await;
    drop(exchange);
    events.closed().await;
    let cancelled = server.hears(1, |heard| heard.is("notifications/cancelled")).await;
    assert_eq!(cancelled.body["params"], json!({ "requestId": heard.id() }));
    assert_eq!(cancelled.header("mcp-session-id"), Some("session-1"));
    upstream.close().await.unwrap();
    assert_eq!(cancellations(&server).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_is_cancelled_even_if_the_server_has_not_begun_to_answer() {
    let server = Server::new(|heard| heard.is("tools/call").then(never));
    let upstream = server.upstream();
    let given_up = tokio::time::timeout(Duration::from_secs(1), upstream.send(&tool("a"))).await;
    assert!(given_up.is_err());
    let cancelled = server.hears(1, |heard| heard.is("notifications/cancelled")).await;
    assert_eq!(cancelled.body["params"]["requestId"], server.hears(1, |heard| heard.is("tools/call")).await.id());
}

#[tokio::test(start_paused = true)]
async fn closing_waits_for_cancellations_but_not_for_ever() {
    let server = Server::new(|heard| match heard.body["method"].as_str() {
        Some("tools/call") => Some(streamed_open(heard)),
        Some("notifications/cancelled") => Some(never()),
        _ => None,
    });
    let upstream = server.upstream();
    drop(upstream.send(&tool("a")).await.unwrap());
    upstream.close().await.unwrap();
    let verbs: Vec<_> = server.log().iter().rev().take(2).map(|heard| heard.verb.clone()).collect();
    assert_eq!(verbs, [http::Method::DELETE, http::Method::POST]);
}

/// A stream that says something and then breaks without an id.
fn streamed_open(heard: &Heard) -> Reply {
    streamed(&format!("data: {}\n\n", progress(&heard.id(), 1)))
}

#[tokio::test(start_paused = true)]
async fn more_notifications_than_the_bound_are_an_error_and_the_call_is_cancelled() {
    let server = Server::new(|heard| {
        let text: String = (0..10).map(|step| format!("data: {}\n\n", progress(&heard.id(), step))).collect();
        heard.is("tools/call").then(|| streamed(&text))
    });
    let upstream = server.upstream_with(limits(|limits| limits.notifications = 3));
    let mut exchange = upstream.send(&with(tool("a"), |call| call.progress = true)).await.unwrap();
    for _ in 0..3 {
        notice(&mut exchange).await;
    }
    let error = exchange.next().await.unwrap_err();
    assert!(matches!(error, Error::Broken(Broken::TooMuch { limit: 3, .. })), "{error}");
    server.hears(1, |heard| heard.is("notifications/cancelled")).await;
}

#[tokio::test(start_paused = true)]
async fn as_many_notifications_as_the_bound_are_fine() {
    let server = Server::new(|heard| {
        let text: String = (0..3).map(|step| format!("data: {}\n\n", progress(&heard.id(), step))).collect();
        heard.is("tools/call").then(|| streamed(&format!("{text}data: {}\n\n", done(&heard.id(), "done"))))
    });
    let upstream = server.upstream_with(limits(|limits| limits.notifications = 3));
    result(&mut upstream.send(&tool("a")).await.unwrap()).await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_takes_no_log_level_is_called_all_the_same() {
    let server = Server::new(|heard| heard.is("logging/setLevel").then(never));
    let call = with(tool("a"), |call| call.log_level = Some(LoggingLevel::Info));
    let begun = tokio::time::Instant::now();
    result(&mut server.upstream().send(&call).await.unwrap()).await;
    assert!(begun.elapsed() <= Duration::from_secs(11), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_silent_for_too_long_is_resumed() {
    let streams = Streams::new();
    let opened = streams.clone();
    let server =
        Server::new(move |heard| if heard.is("tools/list") || is_get(heard) { opened.open(heard) } else { None });
    let upstream = server.upstream();
    let mut exchange = upstream.send(&Call::new(Method::ToolsList)).await.unwrap();
    let answered = async {
        let (heard, first) = streams.next().await;
        first.write("id: 1\nretry: 10\ndata:\n\n");
        let (_, second) = streams.next().await;
        second.send(&json!({ "jsonrpc": "2.0", "id": heard.id(), "result": { "tools": [] } }));
        first.closed().await;
    };
    let (listed, ()) = tokio::join!(result(&mut exchange), answered);
    assert_eq!(listed["tools"], json!([]));
}
