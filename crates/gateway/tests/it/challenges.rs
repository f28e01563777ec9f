//! Servers that want credentials of their callers: what they say about it reaches who can do something about it.

use anypod_gateway::config::{Config, EraChoice};
use anypod_testkit::script::{Expect, Reply, Script, Server};
use http::header::AUTHORIZATION;
use serde_json::json;

use crate::support::{Answered, Fleet, Sent, config, token, upstream_at};

/// What the server says to who shows nothing, and to who has shown too little.
const NOTHING: &str = r#"Bearer resource_metadata="https://mcp.example/.well-known/oauth-protected-resource""#;
const LITTLE: &str = r#"Bearer error="insufficient_scope", scope="notes""#;

/// A modern server that knows `alice`, and `bob`, who may do nothing.
async fn guarded() -> Server {
    let about =
        json!({ "resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": { "tools": {} } });
    let list = json!({ "resultType": "complete", "tools": [], "ttlMs": 0, "cacheScope": "private" });
    let alice = |method: &str| Expect::method(method).with(AUTHORIZATION, "Bearer alice");
    let script = Script::new()
        .always(Expect::any().without(AUTHORIZATION), Reply::empty(401).header("www-authenticate", NOTHING))
        .always(Expect::any().with(AUTHORIZATION, "Bearer bob"), Reply::empty(403).header("www-authenticate", LITTLE))
        .always(alice("server/discover"), Reply::result(&about))
        .always(alice("tools/list"), Reply::result(&list));
    script.serve().await.unwrap()
}

fn before(server: &Server, era: EraChoice) -> Config {
    config([upstream_at("server", era, &[server.url()])])
}

/// What is not relayed as bytes: what is read here, and what legacy clients ask.
fn asked() -> [Sent; 2] {
    [Sent::modern("tools/list", json!({})), Sent::initialize()]
}

fn challenged(answer: &Answered) -> (u16, Option<&str>) {
    (answer.status.as_u16(), answer.header("www-authenticate"))
}

#[tokio::test]
async fn a_challenge_of_the_server_reaches_the_client() {
    let server = guarded().await;
    for era in [EraChoice::Modern, EraChoice::Auto] {
        let fleet = Fleet::of(before(&server, era)).await;
        for sent in asked() {
            let nothing = sent.clone().to(fleet.at(0)).await;
            assert_eq!(challenged(&nothing), (401, Some(NOTHING)), "{era:?} {nothing:?}");
            let little = sent.clone().bearing("bob").to(fleet.at(0)).await;
            assert_eq!(challenged(&little), (403, Some(LITTLE)), "{era:?} {little:?}");
            assert!(!String::from_utf8_lossy(&little.body).contains(&server.url()), "{little:?}");
            sent.bearing("alice").to(fleet.at(0)).await.result();
        }
    }
}

#[tokio::test]
async fn a_challenge_of_a_legacy_server_reaches_the_client() {
    let server = guarded().await;
    let fleet = Fleet::of(before(&server, EraChoice::Legacy)).await;
    for sent in asked() {
        assert_eq!(challenged(&sent.clone().to(fleet.at(0)).await), (401, Some(NOTHING)));
        assert_eq!(challenged(&sent.bearing("bob").to(fleet.at(0)).await), (403, Some(LITTLE)));
    }
}

#[tokio::test]
async fn a_call_in_a_legacy_session_is_challenged_too() {
    let server = guarded().await;
    let fleet = Fleet::of(before(&server, EraChoice::Modern)).await;
    let opened = Sent::initialize().bearing("alice").to(fleet.at(0)).await;
    let session = opened.header("mcp-session-id").unwrap();
    let list = Sent::legacy(session, "tools/list", json!({}));
    list.clone().bearing("alice").to(fleet.at(1)).await.result();
    assert_eq!(challenged(&list.to(fleet.at(1)).await), (401, Some(NOTHING)));
}

#[tokio::test]
async fn a_challenge_that_is_for_the_gateway_goes_no_further() {
    let server = guarded().await;
    let mut config = before(&server, EraChoice::Modern);
    config.route[0].token = vec![token("alice")];
    let fleet = Fleet::of(config).await;
    for sent in asked() {
        let answer = sent.bearing("alice").to(fleet.at(0)).await;
        assert!(answer.header("www-authenticate").is_none(), "{answer:?}");
        assert_eq!(answer.json()["error"]["message"], "the upstream wants authorization", "{answer:?}");
    }
}
