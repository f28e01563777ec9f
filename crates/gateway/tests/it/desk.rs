//! Calls of legacy clients to modern servers, which go out on the connections that requests are relayed on.

use std::net::SocketAddr;

use anypod_gateway::config::{EraChoice, Time, Upstream};
use anypod_testkit::script::{Expect, Reply, Script, Server};
use futures_util::future::join_all;
use http::StatusCode;
use serde_json::{Value, json};

use crate::support::{Fleet, Pod, Seen, Sent, config, modern, served, soon, upstream_at};

fn complete(mut result: Value) -> Reply {
    result["resultType"] = json!("complete");
    Reply::result(&result)
}

fn says(text: &str) -> Reply {
    complete(json!({ "content": [{ "type": "text", "text": text }] }))
}

/// What every pod answers that is a server at all.
fn pod() -> Script {
    let about = json!({
        "supportedVersions": ["2026-07-28"],
        "capabilities": { "tools": {} },
        "ttlMs": 0,
        "cacheScope": "private",
    });
    let list = json!({ "tools": [], "ttlMs": 60_000, "cacheScope": "public" });
    Script::new()
        .always(Expect::method("server/discover"), complete(about))
        .always(Expect::method("tools/list"), complete(list))
}

/// A pod that does this about calls.
async fn that(reply: Reply) -> Server {
    pod().always(Expect::method("tools/call"), reply).serve().await.unwrap()
}

/// These pods, that are never paused.
fn patient(urls: &[String]) -> Upstream {
    let mut upstream = upstream_at("server", EraChoice::Modern, urls);
    upstream.health.failures = u32::MAX;
    upstream.health.slow_start = Time::from_secs(0);
    upstream
}

async fn opened(at: SocketAddr) -> String {
    Sent::initialize().to(at).await.header("mcp-session-id").unwrap().to_owned()
}

fn call(session: &str) -> Sent {
    Sent::legacy(session, "tools/call", json!({ "name": "echo", "arguments": { "text": "a" } }))
}

fn calls(pod: &Server) -> usize {
    pod.methods().iter().filter(|method| *method == "tools/call").count()
}

#[tokio::test]
async fn a_call_that_may_have_run_is_not_sent_again() {
    let (breaks, well) = (that(Reply::closes()).await, that(says("well")).await);
    let fleet = Fleet::of(config([patient(&[breaks.url(), well.url()])])).await;
    let session = opened(fleet.at(0)).await;
    let mut unknown = 0;
    for _ in 0..4 {
        let answer = call(&session).to(fleet.at(0)).await.json();
        match answer["error"]["message"].as_str() {
            None => assert_eq!(answer["result"], json!({ "content": [{ "type": "text", "text": "well" }] })),
            Some(message) => {
                assert!(message.contains("nobody knows whether"), "{message}");
                unknown += 1;
            }
        }
    }
    assert!(unknown > 0);
    assert_eq!((calls(&breaks), calls(&well)), (unknown, 4 - unknown));
}

#[tokio::test]
async fn a_call_that_does_no_harm_twice_or_was_turned_away_goes_to_another_pod() {
    for reply in [Reply::closes(), Reply::empty(503)] {
        let (fails, well) = (that(reply).await, that(says("well")).await);
        let mut upstream = patient(&[fails.url(), well.url()]);
        upstream.idempotent = vec!["echo".to_owned()];
        let fleet = Fleet::of(config([upstream])).await;
        let session = opened(fleet.at(0)).await;
        for _ in 0..4 {
            assert_eq!(call(&session).to(fleet.at(0)).await.result()["content"][0]["text"], "well");
        }
        assert!(calls(&fails) > 0);
    }
}

#[tokio::test]
async fn a_call_follows_where_it_is_sent() {
    let script = pod()
        .always(Expect::method("tools/call").at("/mcp"), Reply::redirect(307, "/moved"))
        .always(Expect::method("tools/call").at("/moved"), says("moved"));
    let pod = script.serve().await.unwrap();
    let fleet = Fleet::of(config([patient(&[pod.url()])])).await;
    let session = opened(fleet.at(0)).await;
    for _ in 0..2 {
        assert_eq!(call(&session).to(fleet.at(0)).await.result()["content"][0]["text"], "moved");
    }
}

#[tokio::test]
async fn an_answer_to_another_request_is_none() {
    let other = json!({ "jsonrpc": "2.0", "id": 999_999, "result": { "resultType": "complete", "content": [] } });
    let pod = that(Reply::json(&other)).await;
    let fleet = Fleet::of(config([patient(&[pod.url()])])).await;
    let session = opened(fleet.at(0)).await;
    let answer = call(&session).to(fleet.at(0)).await.json();
    assert_eq!(answer["error"]["code"], -32603, "{answer}");
}

#[tokio::test]
async fn where_all_connections_are_in_use_a_call_waits_for_its_turn() {
    let pod = Pod::start(served(&Seen::default())).await;
    let mut upstream = modern([&pod]);
    upstream.connections = 1;
    let fleet = Fleet::of(config([upstream])).await;
    let session = opened(fleet.at(0)).await;
    let answers = soon(join_all((0..24).map(|_| call(&session).to(fleet.at(0))))).await;
    for answer in answers {
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.result()["content"][0]["text"], "a");
    }
}
