//! What is said before the answer, what happens when nobody listens any more, and streams of changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anypod_server::proto::logging::LoggingLevel;
use anypod_server::{Cx, Event, Limits, Result, Server, State, Tool, form};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::support::fixture::{Text, base, full, server};
use crate::support::stream::Stream;
use crate::support::{Modern, World, call, modern};

const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

fn progressing() -> Modern {
    call("report", json!({})).meta("progressToken", json!("p"))
}

// Notifications of a request

#[tokio::test]
async fn answers_json_when_nothing_else_is_said() {
    let answer = call("report", json!({})).send(&server()).await;
    assert_eq!((answer.header("content-type"), answer.text()), (Some("application/json"), "done"));
}

#[tokio::test]
async fn streams_when_progress_was_asked_for_and_only_what_is_more_than_before() {
    for token in [json!("p"), json!(""), json!(7), json!(-1), json!("\"\\")] {
        let answer = progressing().meta("progressToken", token.clone()).send(&server()).await;
        assert_eq!((answer.status.as_u16(), answer.text()), (200, "done"));
        for (name, value) in
            [("content-type", "text/event-stream"), ("x-accel-buffering", "no"), ("cache-control", "no-cache")]
        {
            assert_eq!(answer.header(name), Some(value));
        }
        let params: Vec<_> = answer.notifications.iter().map(|message| &message["params"]).collect();
        let steps: Vec<_> = params.iter().map(|params| params["progress"].as_f64().expect("a number")).collect();
        assert_eq!(steps, [1.0, 2.0, 3.0]);
        assert!(params.iter().all(|params| params["progressToken"] == token), "{params:?}");
        assert_eq!((&params[0]["total"], &params[0]["message"]), (&json!(3.0), &json!("on the way")));
    }
}

#[tokio::test]
async fn logs_at_or_above_the_level_that_the_request_sets() {
    let all = ["debug", "info", "warning", "emergency"];
    for (level, expected) in [
        ("debug", &all[..]),
        ("info", &all[1..]),
        ("notice", &all[2..]),
        ("warning", &all[2..]),
        ("critical", &all[3..]),
        ("emergency", &all[3..]),
    ] {
        let answer = call("report", json!({})).meta("logLevel", json!(level)).send(&server()).await;
        let levels: Vec<_> = answer.notifications.iter().map(|message| &message["params"]["level"]).collect();
        assert_eq!(levels, expected, "{level}");
    }
}

#[tokio::test]
async fn a_server_that_did_not_declare_logging_does_not_log() {
    #[expect(deprecated, reason = "deprecated features work until the specification removes them")]
    let tool = Tool::new("t", async |cx: Cx| cx.log(LoggingLevel::Error, None, "a line"));
    let server = base(&World::default()).tool(tool).build().expect("it builds");
    let answer = call("t", json!({})).meta("logLevel", json!("debug")).send(&server).await;
    assert_eq!((answer.status.as_u16(), answer.notifications.len()), (200, 0));
}

#[tokio::test]
async fn a_client_that_accepts_json_only_gets_json() {
    let request = progressing().meta("logLevel", json!("debug")).header("accept", "application/json");
    let answer = request.send(&server()).await;
    assert_eq!((answer.header("content-type"), answer.text()), (Some("application/json"), "done"));
}

/// A tool that reports, waits to be told, and goes on.
fn staged() -> (Server, Arc<Notify>) {
    let go = Arc::new(Notify::new());
    let tool = async |State(go): State<Arc<Notify>>, cx: Cx| {
        cx.progress(1.0, None, None);
        go.notified().await;
        cx.progress(2.0, None, None);
        "done"
    };
    let server = base(&World::default()).state(Arc::clone(&go)).tool(Tool::new("report", tool)).build();
    (server.expect("it builds"), go)
}

#[tokio::test]
async fn the_first_event_arrives_before_the_handler_ends() {
    let (server, go) = staged();
    let mut stream = progressing().open(&server).await;
    assert_eq!(stream.next().await.expect("an event")["params"]["progress"], 1.0);
    assert!(stream.ready().await.is_empty());
    go.notify_one();
    assert_eq!(stream.next().await.expect("an event")["params"]["progress"], 2.0);
    assert_eq!(stream.next().await.expect("the answer")["result"]["content"][0]["text"], "done");
    assert!(stream.next().await.is_none(), "the answer ends the stream");
}

#[tokio::test(start_paused = true)]
async fn what_a_task_of_the_handler_reports_is_not_held_back_either() {
    let tool = async |cx: Cx| {
        let reporter = cx.clone();
        let child = cx.spawn(async move {
            tokio::time::sleep(Duration::from_millis(10)).await;
            reporter.progress(1.0, None, None);
        });
        std::future::pending::<()>().await;
        child.abort();
    };
    let server = base(&World::default()).tool(Tool::new("report", tool)).build().expect("it builds");
    let started = tokio::time::Instant::now();
    let mut stream = progressing().open(&server).await;
    assert_eq!(stream.next().await.expect("an event")["params"]["progress"], 1.0);
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_refusal_keeps_its_status_when_nothing_was_sent_before_it() {
    // Spec: basic/index: on HTTP, -32021 comes with 400.
    let tool = async |cx: Cx| -> Result<&'static str> {
        cx.progress(1.0, None, None);
        cx.ask("name", form::<Text>("Who are you?")).await?;
        Ok("done")
    };
    let server = base(&World::default()).tool(Tool::new("report", tool)).build().expect("it builds");
    progressing().send(&server).await.assert_refused(400, -32021);
}

#[tokio::test]
async fn a_round_may_follow_progress() {
    let tool = async |cx: Cx| -> Result<&'static str> {
        cx.progress(1.0, None, None);
        cx.ask("name", form::<Text>("Who are you?")).await?;
        Ok("done")
    };
    let server = base(&World::default()).tool(Tool::new("report", tool)).build().expect("it builds");
    let answer = progressing().capable(json!({ "elicitation": {} })).send(&server).await;
    assert_eq!((answer.notifications.len(), &answer.result()["resultType"]), (1, &json!("input_required")));
}

#[tokio::test]
async fn a_flood_of_notifications_is_bounded_and_the_last_progress_arrives() {
    #[expect(deprecated, reason = "deprecated features work until the specification removes them")]
    let tool = async |cx: Cx| {
        for step in 0..1000 {
            cx.log(LoggingLevel::Error, None, step);
            cx.progress(f64::from(step), None, None);
        }
    };
    let mut limits = Limits::default();
    limits.outbox_messages = 8;
    #[expect(deprecated, reason = "deprecated features work until the specification removes them")]
    let server = base(&World::default()).with_logging().limits(limits).tool(Tool::new("report", tool)).build();
    let answer = progressing().meta("logLevel", json!("debug")).send(&server.expect("it builds")).await;
    assert_eq!(answer.notifications.len(), 8);
    assert_eq!(answer.notifications.last().expect("one")["params"]["progress"], 999.0);
}

// Waiting

#[tokio::test(start_paused = true)]
async fn times_without_end_are_very_long_times() {
    let tool = async || {
        tokio::time::sleep(Duration::from_secs(86_400)).await;
        "done"
    };
    let mut limits = Limits::default();
    for time in [&mut limits.request_deadline, &mut limits.body_deadline, &mut limits.keep_alive, &mut limits.drain] {
        *time = Duration::MAX;
    }
    let server = base(&World::default()).limits(limits).tool(Tool::new("report", tool)).build().expect("it builds");
    assert_eq!(call("report", json!({})).send(&server).await.text(), "done");
    server.drain().await;
}

#[tokio::test(start_paused = true)]
async fn a_silent_stream_is_kept_alive_with_comments() {
    let (server, _go) = staged();
    let mut stream = progressing().open(&server).await;
    stream.next().await.expect("an event");
    for _ in 0..3 {
        let before = tokio::time::Instant::now();
        let comment = stream.bytes().await.expect("bytes");
        assert!(comment.starts_with(b":") && comment.ends_with(b"\n"), "{comment:?}");
        assert_eq!(before.elapsed().as_secs(), 15);
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_handler_gets_a_stream_before_a_balancer_gives_up() {
    let (server, go) = staged();
    let started = tokio::time::Instant::now();
    // Nothing was asked for, so nothing is said until the keep-alive.
    let mut stream = call("report", json!({})).open(&server).await;
    assert_eq!(
        (started.elapsed().as_secs(), stream.headers["content-type"].as_bytes()),
        (15, &b"text/event-stream"[..])
    );
    go.notify_one();
    assert_eq!(stream.next().await.expect("the answer")["result"]["content"][0]["text"], "done");
}

#[tokio::test(start_paused = true)]
async fn a_request_takes_no_longer_than_its_deadline() {
    for accept in ["application/json", "application/json, text/event-stream"] {
        let (server, _go) = staged();
        let started = tokio::time::Instant::now();
        let answer = call("report", json!({})).header("accept", accept).send(&server).await;
        assert_eq!((started.elapsed().as_secs(), &answer.error()["code"]), (300, &json!(-32603)));
        assert_eq!(answer.response()["id"], 1);
    }
}

// Going away

/// Tells when it is dropped.
struct Dropped(Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A tool that never ends, and has a child that never ends either.
fn endless() -> (Server, Arc<AtomicUsize>) {
    let dropped = Arc::new(AtomicUsize::new(0));
    let tool = async |State(dropped): State<Arc<AtomicUsize>>, cx: Cx| {
        let (own, childs) = (Dropped(Arc::clone(&dropped)), Dropped(dropped));
        cx.spawn(async move {
            std::future::pending::<()>().await;
            drop(childs);
        });
        cx.progress(1.0, None, None);
        std::future::pending::<()>().await;
        drop(own);
    };
    let mut limits = Limits::default();
    limits.concurrent_requests = 1;
    let builder = base(&World::default()).limits(limits).state(Arc::clone(&dropped));
    (builder.tool(Tool::new("report", tool)).build().expect("it builds"), dropped)
}

async fn settle() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn dropping_the_stream_cancels_the_handler_and_its_children() {
    let (server, dropped) = endless();
    let mut stream = progressing().open(&server).await;
    stream.next().await.expect("an event");
    assert_eq!(dropped.load(Ordering::Relaxed), 0);
    drop(stream);
    settle().await;
    assert_eq!(dropped.load(Ordering::Relaxed), 2);
    // Its place is free again.
    assert_eq!(progressing().open(&server).await.status, 200);
}

#[tokio::test]
async fn dropping_the_request_before_there_is_an_answer_cancels_too() {
    let (server, dropped) = endless();
    let silent = call("report", json!({}));
    let request = tokio::spawn(async move { silent.begin(&server).await });
    settle().await;
    assert_eq!(dropped.load(Ordering::Relaxed), 0);
    request.abort();
    settle().await;
    assert_eq!(dropped.load(Ordering::Relaxed), 2);
}

fn spawn_endless(cx: &Cx, dropped: Arc<AtomicUsize>) {
    let dropped = Dropped(dropped);
    cx.spawn(async move {
        std::future::pending::<()>().await;
        drop(dropped);
    });
}

#[tokio::test]
async fn children_end_with_the_handler_and_with_the_round() {
    let dropped = Arc::new(AtomicUsize::new(0));
    let ends = async |State(dropped): State<Arc<AtomicUsize>>, cx: Cx| spawn_endless(&cx, dropped);
    let asks = async |State(dropped): State<Arc<AtomicUsize>>, cx: Cx| -> Result<()> {
        spawn_endless(&cx, dropped);
        cx.ask("name", form::<Text>("Who are you?")).await?;
        Ok(())
    };
    let builder = base(&World::default()).state(Arc::clone(&dropped));
    let server = builder.tool(Tool::new("ends", ends)).tool(Tool::new("asks", asks)).build().expect("it builds");
    for (tool, expected) in [("ends", 1), ("asks", 2)] {
        call(tool, json!({})).capable(json!({ "elicitation": {} })).send(&server).await.result();
        settle().await;
        assert_eq!(dropped.load(Ordering::Relaxed), expected, "{tool}");
    }
}

// Listening

fn listen(filter: Value) -> Modern {
    modern("subscriptions/listen", json!({ "notifications": filter })).id(json!("sub-1"))
}

async fn listening(server: &Server, filter: Value) -> (Stream, Value) {
    let mut stream = listen(filter).open(server).await;
    assert_eq!((stream.status.as_u16(), stream.headers["x-accel-buffering"].as_bytes()), (200, &b"no"[..]));
    let first = stream.next().await.expect("the acknowledgement");
    assert_eq!(first["method"], "notifications/subscriptions/acknowledged");
    (stream, first)
}

fn updated(uri: &str) -> Event {
    Event::ResourceUpdated { uri: uri.to_owned() }
}

fn methods(messages: &[Value]) -> Vec<&str> {
    messages.iter().map(|message| message["method"].as_str().expect("a method")).collect()
}

#[tokio::test]
async fn acknowledges_first_what_it_honours() {
    let everything = json!({
        "toolsListChanged": true,
        "promptsListChanged": true,
        "resourcesListChanged": false,
        "resourceSubscriptions": ["note://one"],
    });
    let (_stream, first) = listening(&server(), everything.clone()).await;
    let honoured =
        json!({ "toolsListChanged": true, "promptsListChanged": true, "resourceSubscriptions": ["note://one"] });
    assert_eq!(first["params"]["notifications"], honoured);
    let tools_only = base(&World::default()).tool(Tool::new("t", async || "t")).build().expect("it builds");
    let (_stream, first) = listening(&tools_only, everything).await;
    assert_eq!(first["params"]["notifications"], json!({ "toolsListChanged": true }));
}

#[tokio::test]
async fn tells_a_listener_what_it_asked_for_and_nothing_else() {
    let server = server();
    let (mut stream, first) =
        listening(&server, json!({ "toolsListChanged": true, "resourceSubscriptions": ["a:1", "a:2"] })).await;
    assert_eq!(first["params"]["_meta"][SUBSCRIPTION], "sub-1");
    for event in [Event::PromptsChanged, Event::ResourcesChanged, updated("a:3"), updated("a:")] {
        server.announce(event).await;
    }
    assert!(stream.ready().await.is_empty());
    server.announce(updated("a:2")).await;
    server.announce(Event::ToolsChanged).await;
    let messages = stream.ready().await;
    assert_eq!(methods(&messages), ["notifications/tools/list_changed", "notifications/resources/updated"]);
    assert_eq!(messages[1]["params"]["uri"], "a:2");
    assert!(messages.iter().all(|message| message["params"]["_meta"][SUBSCRIPTION] == "sub-1"));
}

#[tokio::test]
async fn keeps_listeners_apart() {
    let server = server();
    let (mut tools, _) = listening(&server, json!({ "toolsListChanged": true })).await;
    let (mut prompts, _) = listening(&server, json!({ "promptsListChanged": true })).await;
    server.announce(Event::PromptsChanged).await;
    assert!(tools.ready().await.is_empty());
    assert_eq!(methods(&prompts.ready().await), ["notifications/prompts/list_changed"]);
}

#[tokio::test]
async fn merges_what_a_slow_listener_has_not_read_yet() {
    let server = server();
    let (mut stream, _) =
        listening(&server, json!({ "resourcesListChanged": true, "resourceSubscriptions": ["a:1"] })).await;
    for _ in 0..10_000 {
        server.announce(updated("a:1")).await;
        server.announce(Event::ResourcesChanged).await;
    }
    assert_eq!(stream.ready().await.len(), 2);
    server.announce(updated("a:1")).await;
    assert_eq!(stream.ready().await.len(), 1, "a change after the last one that was read is told again");
}

#[tokio::test]
async fn misses_nothing_between_the_request_and_the_acknowledgement() {
    let server = server();
    let mut stream = listen(json!({ "toolsListChanged": true })).open(&server).await;
    server.announce(Event::ToolsChanged).await;
    assert_eq!(
        methods(&stream.ready().await),
        ["notifications/subscriptions/acknowledged", "notifications/tools/list_changed"]
    );
}

#[tokio::test]
async fn bounds_what_one_listener_may_name() {
    let mut limits = Limits::default();
    limits.listen_resources = 2;
    let server = full(&World::default()).limits(limits).build().expect("it builds");
    let (_stream, _) = listening(&server, json!({ "resourceSubscriptions": ["a:1", "a:2"] })).await;
    let answer = listen(json!({ "resourceSubscriptions": ["a:1", "a:2", "a:3"] })).send(&server).await;
    answer.assert_refused(400, -32602);
    for malformed in
        [json!([]), json!("all"), json!({ "toolsListChanged": "yes" }), json!({ "resourceSubscriptions": [1] })]
    {
        listen(malformed).send(&server).await.assert_refused(400, -32602);
    }
}

#[tokio::test(start_paused = true)]
async fn keeps_a_listener_alive() {
    let (mut stream, _) = listening(&server(), json!({})).await;
    for _ in 0..3 {
        let before = tokio::time::Instant::now();
        assert!(stream.bytes().await.expect("bytes").starts_with(b":"));
        assert_eq!(before.elapsed().as_secs(), 15);
    }
}

// The end

#[tokio::test]
async fn a_drain_ends_listeners_with_their_result() {
    let server = server();
    let (mut stream, _) = listening(&server, json!({ "toolsListChanged": true })).await;
    server.announce(Event::ToolsChanged).await;
    let draining = tokio::spawn({
        let server = server.clone();
        async move { server.drain().await }
    });
    settle().await;
    assert_eq!(stream.next().await.expect("what was not told yet")["method"], "notifications/tools/list_changed");
    let last = stream.next().await.expect("the result");
    assert_eq!((&last["id"], &last["result"]["resultType"]), (&json!("sub-1"), &json!("complete")));
    assert_eq!(last["result"]["_meta"][SUBSCRIPTION], "sub-1");
    assert!(stream.next().await.is_none());
    drop(stream);
    draining.await.expect("the drain ends");
    listen(json!({})).send(&server).await.assert_refused(503, -32603);
}

async fn health(server: &Server, path: &str) -> u16 {
    let request = http::Request::get(path).body(Full::<bytes::Bytes>::default()).expect("a request");
    let Ok(response) = server.route(request).await;
    let status = response.status().as_u16();
    assert!(response.into_body().collect().await.expect("bodies do not fail").to_bytes().is_empty());
    status
}

#[tokio::test]
async fn a_drain_lets_requests_in_flight_end_and_flips_readiness() {
    let (server, go) = staged();
    for (path, status) in [("/healthz", 200), ("/readyz", 200), ("/", 404), ("/mcpx", 404)] {
        assert_eq!(health(&server, path).await, status, "{path}");
    }
    let mut stream = progressing().open(&server).await;
    stream.next().await.expect("an event");
    let drained = Arc::new(AtomicBool::new(false));
    let draining = tokio::spawn({
        let (server, drained) = (server.clone(), Arc::clone(&drained));
        async move {
            server.drain().await;
            drained.store(true, Ordering::Relaxed);
        }
    });
    settle().await;
    assert_eq!((health(&server, "/readyz").await, health(&server, "/healthz").await), (503, 200));
    assert!(!drained.load(Ordering::Relaxed));
    go.notify_one();
    let rest: Vec<_> = [stream.next().await, stream.next().await].into_iter().flatten().collect();
    assert_eq!(rest[1]["result"]["content"][0]["text"], "done");
    drop(stream);
    draining.await.expect("the drain ends");
}

#[tokio::test(start_paused = true)]
async fn a_drain_does_not_wait_for_ever() {
    let (server, _go) = staged();
    let _stream = progressing().open(&server).await;
    let started = tokio::time::Instant::now();
    server.drain().await;
    assert_eq!(started.elapsed().as_secs(), 10);
}

#[tokio::test]
async fn the_endpoint_is_at_mcp() {
    let server = full(&World::default()).build().expect("it builds");
    let request = call("echo", json!({ "text": "x" })).request();
    let Ok(response) = server.route(request).await;
    assert_eq!(response.status(), 200);
}
