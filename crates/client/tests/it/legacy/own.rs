//! Our own server, which serves legacy clients by its front.

use std::sync::Arc;

use anypod_client::proto::logging::LoggingLevel;
use anypod_client::proto::method::Method;
use anypod_client::proto::rounds::InputResponse;
use anypod_client::{Answers, Call, LegacyUpstream, Limits, Outside};
use anypod_server::{Args, Cx, Event, Json, Server, Tool, form};
use serde_json::{Value, json};

use super::server::{forms, identity, with};
use super::{finish, notice, result};

#[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
struct Add {
    a: i64,
    b: i64,
}

#[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
struct Color {
    color: String,
}

async fn add(Args(Add { a, b }): Args<Add>) -> Json<Value> {
    Json(json!({ "sum": a + b }))
}

async fn paint(cx: Cx) -> anypod_server::Result<String> {
    let wall = cx.ask("wall", form::<Color>("Which color for the wall?")).await?;
    let door = cx.ask("door", form::<Color>("Which color for the door?")).await?;
    let colors = [wall, door].map(|answer| answer.into_accepted().map_or_else(String::new, |color| color.color));
    Ok(colors.join(" "))
}

#[expect(deprecated, reason = "deprecated features work until the specification removes them")]
async fn count(cx: Cx) -> &'static str {
    cx.progress(1.0, Some(2.0), None);
    cx.log(LoggingLevel::Debug, None, "one");
    cx.log(LoggingLevel::Error, None, "two");
    "counted"
}

async fn wait(cx: Cx) -> &'static str {
    cx.progress(0.0, None, None);
    std::future::pending().await
}

#[expect(deprecated, reason = "deprecated features work until the specification removes them")]
fn server() -> Server {
    Server::new("own", "1.0.0")
        .tool(Tool::new("add", add))
        .tool(Tool::new("paint", paint))
        .tool(Tool::new("count", count))
        .tool(Tool::new("wait", wait))
        .with_logging()
        .build()
        .expect("as the test has it")
}

fn upstream(server: Server) -> LegacyUpstream {
    LegacyUpstream::service(server, identity(forms()), Arc::new(Limits::default()), Outside::real())
}

fn call(name: &str, arguments: &str) -> Call {
    let mut call = Call::new(Method::ToolsCall);
    call.name = Some(name.to_owned());
    call.params = format!(r#""name":"{name}","arguments":{arguments}"#).into_bytes();
    call
}

#[tokio::test]
async fn lists_calls_and_ends_its_session() {
    let upstream = upstream(server());
    let found = result(&mut upstream.send(&Call::new(Method::Discover)).await.unwrap()).await;
    assert_eq!(found["supportedVersions"], json!(["2026-07-28"]));
    assert_eq!(upstream.server_info().unwrap().name, "own");
    let listed = result(&mut upstream.send(&Call::new(Method::ToolsList)).await.unwrap()).await;
    assert_eq!(listed["tools"].as_array().unwrap().len(), 4);
    let sum = result(&mut upstream.send(&call("add", r#"{"a":1,"b":2}"#)).await.unwrap()).await;
    assert_eq!(sum["structuredContent"], json!({ "sum": 3 }));
    upstream.close().await.unwrap();
}

#[tokio::test]
async fn every_question_of_a_tool_is_a_round() {
    let upstream = upstream(server());
    let mut paint = call("paint", "{}");
    for color in ["red", "blue"] {
        let asked = result(&mut upstream.send(&paint).await.unwrap()).await;
        assert_eq!(asked["resultType"], "input_required", "{asked}");
        let questions = asked["inputRequests"].as_object().unwrap();
        let answer = InputResponse(json!({ "action": "accept", "content": { "color": color } }));
        let responses = questions.keys().map(|key| (key.clone(), answer.clone())).collect();
        let state = asked["requestState"].as_str().map(str::to_owned);
        paint.answers = Some(Answers::new(&responses, state));
    }
    let painted = result(&mut upstream.send(&paint).await.unwrap()).await;
    assert_eq!(painted["content"][0]["text"], "red blue");
}

#[tokio::test]
async fn progress_and_logs_arrive_with_their_call() {
    let upstream = upstream(server());
    let count = with(call("count", "{}"), |call| {
        call.progress = true;
        call.log_level = Some(LoggingLevel::Warning);
    });
    let (notices, _) = finish(&mut upstream.send(&count).await.unwrap()).await;
    let mut methods: Vec<_> = notices.iter().map(|notice| notice.method.as_str()).collect();
    methods.sort_unstable();
    assert_eq!(methods, ["notifications/message", "notifications/progress"]);
}

#[tokio::test]
async fn a_call_that_is_dropped_is_cancelled() {
    let server = server();
    let upstream = upstream(server.clone());
    let mut waiting = upstream.send(&with(call("wait", "{}"), |call| call.progress = true)).await.unwrap();
    notice(&mut waiting).await;
    drop(waiting);
    upstream.close().await.unwrap();
    // Draining waits for what is under way: the tool that would wait for ever is not.
    tokio::time::timeout(std::time::Duration::from_secs(20), server.drain()).await.expect("nothing is under way");
}

#[tokio::test]
async fn tells_listeners_of_changes() {
    let server = server();
    let upstream = upstream(server.clone());
    let mut listen = Call::new(Method::SubscriptionsListen);
    listen.params = br#""notifications":{"toolsListChanged":true}"#.to_vec();
    let mut exchange = upstream.send(&listen).await.unwrap();
    let acknowledged: Value = notice(&mut exchange).await.params.read().unwrap();
    assert_eq!(acknowledged["notifications"], json!({ "toolsListChanged": true }));
    server.announce(Event::ToolsChanged).await;
    assert_eq!(notice(&mut exchange).await.method, "notifications/tools/list_changed");
}
