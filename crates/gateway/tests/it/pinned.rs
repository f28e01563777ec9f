//! Sessions that are pinned to the pod which opened them.

use std::net::SocketAddr;

use anypod_gateway::config::{EraChoice, Sessions, Time, Upstream};
use anypod_server::{Server, Tool};
use http::{Method, StatusCode};
use serde_json::json;

use crate::support::{Fleet, Pod, Seen, Sent, config, served, upstream};

fn pinned(pods: &[Pod]) -> Upstream {
    let mut upstream = upstream("server", EraChoice::Legacy, pods);
    upstream.sessions = Sessions::Pinned;
    upstream.health.every = Time::from_secs(0);
    upstream
}

async fn opened(at: SocketAddr) -> String {
    let answer = Sent::initialize().to(at).await;
    answer.result();
    let session = answer.header("mcp-session-id").unwrap().to_owned();
    let ready = Sent::post(json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }).to_string());
    assert_eq!(ready.in_session(&session).to(at).await.status, StatusCode::ACCEPTED);
    session
}

fn echo(session: &str) -> Sent {
    Sent::legacy(session, "tools/call", json!({ "name": "echo", "arguments": { "text": "x" } }))
}

#[tokio::test]
async fn every_replica_takes_a_pinned_session_to_its_pod() {
    let seen = [Seen::default(), Seen::default()];
    let pods = [Pod::start(served(&seen[0])).await, Pod::start(served(&seen[1])).await];
    let mut fleet = Fleet::of(config([pinned(&pods)])).await;
    let session = opened(fleet.at(0)).await;
    for restarted in [false, true] {
        if restarted {
            fleet.restart().await;
        }
        for replica in [0, 1, 0, 1] {
            echo(&session).to(fleet.at(replica)).await.result();
        }
    }
    let mut calls = [seen[0].calls("echo"), seen[1].calls("echo")];
    calls.sort_unstable();
    assert_eq!(calls, [0, 8]);
}

#[tokio::test]
async fn a_pinned_session_ends_with_its_pod() {
    let seen = Seen::default();
    let mut pods = [Pod::start(served(&seen)).await, Pod::start(served(&seen)).await];
    let fleet = Fleet::of(config([pinned(&pods)])).await;
    let session = opened(fleet.at(0)).await;
    echo(&session).to(fleet.at(1)).await.result();
    for pod in &mut pods {
        pod.stop().await;
    }
    for replica in [0, 1] {
        let answer = echo(&session).to(fleet.at(replica)).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{answer:?}");
    }
}

#[tokio::test]
async fn the_pod_is_told_of_the_end_of_a_pinned_session() {
    // One that has no peers, and so can end a session.
    let alone = Server::new("alone", "1.0.0").tool(Tool::new("echo", async || "x")).build().unwrap();
    let pods = [Pod::start(alone).await];
    let fleet = Fleet::of(config([pinned(&pods)])).await;
    let session = opened(fleet.at(0)).await;
    echo(&session).to(fleet.at(0)).await.result();
    let ended = Sent::empty(Method::DELETE).in_session(&session).to(fleet.at(1)).await;
    assert!(ended.status.is_success(), "{ended:?}");
    for replica in [0, 1] {
        assert_eq!(echo(&session).to(fleet.at(replica)).await.status, StatusCode::NOT_FOUND);
    }
}
