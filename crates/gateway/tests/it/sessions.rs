//! Legacy sessions: one id for every replica, and none of them keeps it.

use std::net::SocketAddr;

use anypod_client::proto::version::Era;
use http::{Method, StatusCode};
use serde_json::json;

use crate::support::{
    Fleet, Pod, Replica, Seen, Sent, config, fixture, legacy, modern, person, ring, served, soon, text,
};

/// Opens a session.
async fn opened(at: SocketAddr) -> String {
    let answer = Sent::initialize().to(at).await;
    assert_eq!(answer.result()["protocolVersion"], "2025-11-25");
    let session = answer.header("mcp-session-id").unwrap().to_owned();
    let ready = Sent::post(json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }).to_string());
    assert_eq!(ready.in_session(&session).to(at).await.status, StatusCode::ACCEPTED);
    session
}

fn echo(session: &str, says: &str) -> Sent {
    Sent::legacy(session, "tools/call", json!({ "name": "echo", "arguments": { "text": says } }))
}

#[tokio::test]
async fn a_session_is_valid_on_every_replica_and_after_their_restart() {
    let pod = Pod::start(served(&Seen::default())).await;
    for upstream in [modern([&pod]), legacy([&pod])] {
        let mut fleet = Fleet::of(config([upstream])).await;
        let session = opened(fleet.at(0)).await;
        for restarted in [false, true] {
            if restarted {
                fleet.restart().await;
            }
            for replica in [1, 0] {
                let answer = echo(&session, "still here").to(fleet.at(replica)).await;
                assert_eq!(answer.result()["content"][0]["text"], "still here");
                let stream = Sent::empty(Method::GET).in_session(&session).open(fleet.at(replica)).await;
                assert_eq!(stream.status(), StatusCode::OK);
            }
        }
    }
}

#[tokio::test]
async fn a_session_that_is_ended_on_one_replica_is_ended_on_all() {
    let pod = Pod::start(served(&Seen::default())).await;
    let fleet = Fleet::of(config([modern([&pod])])).await;
    let (ended, other) = (opened(fleet.at(0)).await, opened(fleet.at(0)).await);
    let answer = Sent::empty(Method::DELETE).in_session(&ended).to(fleet.at(1)).await;
    assert!(answer.status.is_success(), "{answer:?}");
    for replica in [0, 1] {
        assert_eq!(echo(&ended, "?").to(fleet.at(replica)).await.status, StatusCode::NOT_FOUND);
        let stream = Sent::empty(Method::GET).in_session(&ended).open(fleet.at(replica)).await;
        assert_eq!(stream.status(), StatusCode::NOT_FOUND);
        echo(&other, "!").to(fleet.at(replica)).await.result();
    }
}

#[tokio::test]
async fn the_only_replica_ends_sessions_until_others_have_its_keys() {
    let pod = Pod::start(served(&Seen::default())).await;
    let config = config([modern([&pod])]);
    let replica = Replica::with_own_keys(config.clone()).await;
    let (ended, other) = (opened(replica.address).await, opened(replica.address).await);
    let answer = Sent::empty(Method::DELETE).in_session(&ended).to(replica.address).await;
    assert!(answer.status.is_success(), "{answer:?}");
    assert_eq!(echo(&ended, "?").to(replica.address).await.status, StatusCode::NOT_FOUND);
    echo(&other, "!").to(replica.address).await.result();
    replica.gateway.reload(config, Some(ring(9))).unwrap();
    let session = opened(replica.address).await;
    let answer = Sent::empty(Method::DELETE).in_session(&session).to(replica.address).await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn replicas_that_cannot_end_a_session_everywhere_say_so() {
    let pod = Pod::start(served(&Seen::default())).await;
    let mut config = config([modern([&pod])]);
    config.fleet.replicas.0 = 2;
    let fleet = Fleet::of_strangers(config).await;
    let session = opened(fleet.at(0)).await;
    let answer = Sent::empty(Method::DELETE).in_session(&session).to(fleet.at(1)).await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    echo(&session, "!").to(fleet.at(1)).await.result();
}

#[tokio::test]
async fn nobody_makes_a_session_up() {
    let pod = Pod::start(served(&Seen::default())).await;
    let fleet = Fleet::of(config([modern([&pod])])).await;
    let session = opened(fleet.at(0)).await;
    for forged in ["1234", &session[1..], &format!("{session}A")] {
        assert_eq!(echo(forged, "?").to(fleet.at(1)).await.status, StatusCode::NOT_FOUND, "{forged}");
    }
}

#[tokio::test]
async fn a_session_goes_on_when_the_pod_behind_has_forgotten_its_own() {
    let seen = Seen::default();
    let mut pod = Pod::start(served(&seen)).await;
    let fleet = Fleet::of(config([legacy([&pod])])).await;
    let legacy = fleet.client_of(person("Ann"), Era::Legacy);
    let modern = fleet.client_of(person("Ann"), Era::Modern);
    for ring_of in [5, 6] {
        for client in [&legacy, &modern] {
            for _ in 0..2 {
                let result = soon(client.call("echo", json!({ "text": "here" })).into_future()).await.unwrap();
                assert_eq!(text(&result), "here");
            }
        }
        // Another key opens no session of the pod before.
        pod.restart(fixture("fixture", &seen).keys(ring(ring_of)).build().unwrap()).await;
    }
    for client in [&legacy, &modern] {
        let result = soon(client.call("ask", json!({})).into_future()).await.unwrap();
        assert_eq!(text(&result), "Hello, Ann!");
    }
}

#[tokio::test]
async fn a_modern_request_is_taken_with_a_stray_session() {
    let pod = Pod::start(served(&Seen::default())).await;
    let fleet = Fleet::of(config([modern([&pod])])).await;
    let answer = Sent::call("echo", json!({ "text": "x" })).with("mcp-session-id", "left over").to(fleet.at(0)).await;
    assert_eq!(answer.result()["content"][0]["text"], "x");
}

#[tokio::test]
async fn few_sessions_with_a_legacy_server_do_for_many_clients() {
    let pod = Pod::start(served(&Seen::default())).await;
    let fleet = Fleet::of(config([legacy([&pod])])).await;
    let first = opened(fleet.at(0)).await;
    let second = opened(fleet.at(1)).await;
    assert_ne!(first, second);
    for (session, replica) in [(&first, 1), (&second, 0), (&first, 0), (&second, 1)] {
        assert_eq!(echo(session, session).to(fleet.at(replica)).await.result()["content"][0]["text"], **session);
    }
}
