//! Our own server at the other end, in either era.

use std::sync::Arc;

use anypod_client::proto::capabilities::{ClientCapabilities, ElicitationCapability};
use anypod_client::proto::implementation::Implementation;
use anypod_client::proto::method::Method;
use anypod_client::proto::rounds::InputResponse;
use anypod_client::stdio::{Probe, Wire};
use anypod_client::{Answer, Answers, Call, Identity, LegacyUpstream, Limits, Outside};
use anypod_server::{Args, Cx, Event, Json, Server, Tool, form};
use serde_json::{Value, json};

use super::{identity, notice, pipes, progressing, result, send};

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
    let answer = cx.ask("color", form::<Color>("Which color?")).await?;
    Ok(answer.into_accepted().map_or_else(String::new, |color| color.color))
}

async fn count(cx: Cx) -> &'static str {
    cx.progress(1.0, Some(2.0), None);
    "counted"
}

/// A server, and a wire to it.
fn served() -> (Server, Arc<Wire>) {
    let server = Server::new("own", "1.0.0")
        .tool(Tool::new("add", add))
        .tool(Tool::new("paint", paint))
        .tool(Tool::new("count", count))
        .build()
        .expect("a server");
    let (pipes, peer) = pipes();
    tokio::spawn(server.clone().serve_stream(peer.reader, peer.writer, std::future::pending()));
    (server, Arc::new(Wire::new(pipes, Arc::default(), None)))
}

fn call(tool: &str, arguments: &Value) -> Call {
    let mut call = super::call(tool);
    call.params = format!(r#""name":"{tool}","arguments":{arguments}"#).into_bytes();
    call
}

#[tokio::test]
async fn a_thousand_requests_share_the_pipes() {
    let (_server, wire) = served();
    let mut exchanges = Vec::new();
    for a in 0..1000 {
        exchanges.push(send(&wire, &call("add", &json!({ "a": a, "b": 1 }))).await);
    }
    for (a, exchange) in exchanges.iter_mut().enumerate().rev() {
        assert_eq!(result(exchange).await["structuredContent"], json!({ "sum": a + 1 }));
    }
}

#[tokio::test(start_paused = true)]
async fn is_probed_called_and_listened_to() {
    let (server, wire) = served();
    let Probe::Answered(Answer::Result(found)) = wire.probe(&identity()).await.unwrap() else { panic!("a result") };
    assert!(found.as_str().contains("supportedVersions"), "{found:?}");
    let mut counting = send(&wire, &progressing("count")).await;
    assert_eq!(notice(&mut counting).await.1["total"].as_f64(), Some(2.0));
    assert_eq!(result(&mut counting).await["content"][0]["text"], "counted");
    let mut listen = Call::new(Method::SubscriptionsListen);
    listen.params = br#""notifications":{"toolsListChanged":true}"#.to_vec();
    let mut listening = send(&wire, &listen).await;
    assert_eq!(notice(&mut listening).await.0, "notifications/subscriptions/acknowledged");
    server.announce(Event::ToolsChanged).await;
    assert_eq!(notice(&mut listening).await.0, "notifications/tools/list_changed");
    let (ended, ()) = tokio::join!(result(&mut listening), server.drain());
    assert_eq!(ended["resultType"], "complete");
}

#[tokio::test(start_paused = true)]
async fn a_question_is_a_round_in_either_era() {
    let elicitation = Some(ElicitationCapability::default());
    let capabilities = ClientCapabilities { elicitation, ..ClientCapabilities::default() };
    let identity = Arc::new(Identity::new(Implementation::new("test", "1.0.0"), capabilities));
    let (_server, wire) = served();
    let limits = Arc::new(Limits::default());
    let legacy = LegacyUpstream::stdio(Arc::clone(&wire), Arc::clone(&identity), limits, Outside::real());
    for era in ["modern", "legacy"] {
        let mut paint = call("paint", &json!({}));
        for round in 0..2 {
            let mut exchange = match era {
                "modern" => wire.send(&paint, &identity).await.unwrap(),
                _ => legacy.send(&paint).await.unwrap(),
            };
            let answer = result(&mut exchange).await;
            if round == 1 {
                assert_eq!(answer["content"][0]["text"], "red", "{era}");
                continue;
            }
            assert_eq!(answer["resultType"], "input_required", "{era}: {answer}");
            let red = InputResponse(json!({ "action": "accept", "content": { "color": "red" } }));
            let questions = answer["inputRequests"].as_object().unwrap();
            let responses = questions.keys().map(|key| (key.clone(), red.clone())).collect();
            let state = answer["requestState"].as_str().map(str::to_owned);
            paint.answers = Some(Answers::new(&responses, state));
        }
    }
    legacy.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_legacy_session_hears_of_changes() {
    let (server, wire) = served();
    let limits = Arc::new(Limits::default());
    let legacy = LegacyUpstream::stdio(wire, Arc::new(identity()), limits, Outside::real());
    let mut listen = Call::new(Method::SubscriptionsListen);
    listen.params = br#""notifications":{"toolsListChanged":true}"#.to_vec();
    let mut listening = legacy.send(&listen).await.unwrap();
    assert_eq!(notice(&mut listening).await.0, "notifications/subscriptions/acknowledged");
    // The session is being told of changes once it has been heard of.
    let mut listed = legacy.send(&Call::new(Method::ToolsList)).await.unwrap();
    assert_eq!(result(&mut listed).await["tools"].as_array().unwrap().len(), 3);
    server.announce(Event::ToolsChanged).await;
    assert_eq!(notice(&mut listening).await.0, "notifications/tools/list_changed");
    legacy.close().await.unwrap();
}
