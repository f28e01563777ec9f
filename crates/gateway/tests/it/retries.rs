//! Pods that fail: when a request goes to another one, when it must not, and what the client is told.

use anypod_gateway::config::{EraChoice, Time, Upstream};
use anypod_testkit::script::{Expect, Reply, Script, Server};
use http::StatusCode;
use serde_json::{Value, json};
use tokio::net::TcpSocket;

use crate::support::{Fleet, Pod, Seen, Sent, config, legacy, served, upstream_at};

/// A pod that nobody serves; no other process is given its port while the socket lives.
fn dead() -> (String, TcpSocket) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    (format!("http://{}/mcp", socket.local_addr().unwrap()), socket)
}

fn complete(mut result: Value) -> Reply {
    result["resultType"] = json!("complete");
    Reply::result(&result)
}

fn says(text: &str) -> Reply {
    complete(json!({ "content": [{ "type": "text", "text": text }] }))
}

/// A pod that does its work.
async fn well() -> Server {
    let list = complete(json!({ "tools": [], "ttlMs": 0, "cacheScope": "private" }));
    let script = Script::new().always(Expect::method("tools/call"), says("well"));
    script.always(Expect::method("tools/list"), list).serve().await.unwrap()
}

/// A pod that does this about everything.
async fn that(reply: Reply) -> Server {
    Script::new().always(Expect::any(), reply).serve().await.unwrap()
}

/// These pods, that are never paused.
fn patient(urls: &[String]) -> Upstream {
    let mut upstream = upstream_at("server", EraChoice::Modern, urls);
    upstream.health.failures = u32::MAX;
    upstream.health.slow_start = Time::from_secs(0);
    upstream
}

fn call() -> Sent {
    Sent::call("echo", json!({}))
}

fn list() -> Sent {
    Sent::modern("tools/list", json!({}))
}

#[tokio::test]
async fn what_a_dead_pod_cannot_have_run_goes_to_another() {
    let ((url, _socket), well) = (dead(), well().await);
    let fleet = Fleet::of(config([patient(&[url, well.url()])])).await;
    for _ in 0..4 {
        assert_eq!(call().to(fleet.at(0)).await.result()["content"][0]["text"], "well");
        list().to(fleet.at(0)).await.result();
    }
}

#[tokio::test]
async fn what_a_full_pod_turns_away_goes_to_another() {
    let (full, well) = (that(Reply::empty(503)).await, well().await);
    let fleet = Fleet::of(config([patient(&[full.url(), well.url()])])).await;
    for _ in 0..4 {
        assert_eq!(call().to(fleet.at(0)).await.result()["content"][0]["text"], "well");
    }
    assert_eq!(well.methods(), ["tools/call"; 4]);
    assert!(!full.received().is_empty());
}

#[tokio::test]
async fn a_call_that_may_have_run_is_not_sent_again() {
    let (breaks, well) = (that(Reply::closes()).await, well().await);
    let fleet = Fleet::of(config([patient(&[breaks.url(), well.url()])])).await;
    let mut refused = 0;
    for _ in 0..4 {
        let answer = call().to(fleet.at(0)).await;
        if answer.status == StatusCode::OK {
            continue;
        }
        refused += 1;
        assert_eq!(answer.refusal(), (502, -32603));
        assert!(answer.json()["error"]["message"].as_str().unwrap().contains("nobody knows whether"), "{answer:?}");
    }
    // Each call ran at most once.
    assert!(refused > 0);
    assert_eq!((breaks.received().len(), well.received().len()), (refused, 4 - refused));
}

#[tokio::test]
async fn a_call_that_does_no_harm_twice_is_sent_again() {
    let (breaks, well) = (that(Reply::closes()).await, well().await);
    let mut upstream = patient(&[breaks.url(), well.url()]);
    upstream.idempotent = vec!["ec*".to_owned()];
    let fleet = Fleet::of(config([upstream])).await;
    for _ in 0..4 {
        assert_eq!(call().to(fleet.at(0)).await.result()["content"][0]["text"], "well");
    }
    assert!(!breaks.received().is_empty());
}

#[tokio::test]
async fn a_list_is_asked_for_again() {
    let (breaks, well) = (that(Reply::closes()).await, well().await);
    let mut config = config([patient(&[breaks.url(), well.url()])]);
    for enabled in [false, true] {
        config.route[0].cache.enabled = enabled;
        let fleet = Fleet::of(config.clone()).await;
        for _ in 0..4 {
            assert_eq!(list().to(fleet.at(0)).await.result()["tools"], json!([]), "{enabled}");
        }
    }
    assert!(!breaks.received().is_empty());
}

#[tokio::test]
async fn a_pod_that_fails_in_a_row_is_left_alone() {
    let (full, well) = (that(Reply::empty(503)).await, well().await);
    let mut upstream = patient(&[full.url(), well.url()]);
    upstream.health.failures = 2;
    upstream.health.pause = Time::from_secs(3600);
    upstream.health.longest_pause = Time::from_secs(3600);
    let fleet = Fleet::of(config([upstream])).await;
    for _ in 0..20 {
        call().to(fleet.at(0)).await.result();
    }
    assert_eq!(full.received().len(), 2);
}

#[tokio::test]
async fn without_a_pod_a_client_is_told_when_to_come_again() {
    let (url, _socket) = dead();
    let mut fleets = Vec::new();
    for era in [EraChoice::Modern, EraChoice::Legacy, EraChoice::Auto] {
        fleets.push((era, Fleet::of(config([upstream_at("server", era, std::slice::from_ref(&url))])).await));
    }
    for (era, fleet) in fleets {
        for sent in [call(), list()] {
            let answer = sent.to(fleet.at(0)).await;
            assert_eq!(answer.refusal(), (503, -32603), "{era:?}: {answer:?}");
            assert_eq!(answer.header("retry-after"), Some("1"), "{era:?}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn a_legacy_pod_that_is_gone_leaves_its_clients_to_another() {
    let seen = Seen::default();
    let mut pods = [Pod::start(served(&seen)).await, Pod::start(served(&seen)).await];
    let mut upstream = legacy(&pods);
    upstream.health.every = Time::from_secs(0);
    let fleet = Fleet::of(config([upstream])).await;
    let echo = || Sent::call("echo", json!({ "text": "x" }));
    for _ in 0..4 {
        echo().to(fleet.at(0)).await.result();
    }
    pods[0].stop().await;
    for _ in 0..4 {
        assert_eq!(echo().to(fleet.at(0)).await.result()["content"][0]["text"], "x");
    }
    assert_eq!(seen.calls("echo"), 8);
}

#[tokio::test]
async fn an_answer_that_is_no_mcp_is_not_passed_off_as_one() {
    let page = that(Reply::text(200, "text/html", "<h1>Sign in</h1>")).await;
    let fleet = Fleet::of(config([patient(&[page.url()])])).await;
    let answer = list().to(fleet.at(0)).await;
    assert_eq!(answer.refusal(), (502, -32603), "{answer:?}");
    assert!(!String::from_utf8_lossy(&answer.body).contains("Sign in"), "{answer:?}");
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_not_taken_for_a_whole_one() {
    let breaks = that(says("a text that is cut").breaks_off()).await;
    let fleet = Fleet::of(config([patient(&[breaks.url()])])).await;
    let (head, body) = call().open(fleet.at(0)).await.into_parts();
    let whole = crate::support::soon(http_body_util::BodyExt::collect(body)).await;
    assert!(head.status != StatusCode::OK || whole.is_err(), "{head:?} {whole:?}");
}

/// A pod that says what it has, and does this about calls.
async fn calling(reply: Reply) -> Server {
    let about = json!({ "supportedVersions": ["2026-07-28"], "capabilities": { "tools": {} } });
    let list = json!({ "tools": [], "ttlMs": 60_000, "cacheScope": "public" });
    let script = Script::new().always(Expect::method("server/discover"), complete(about));
    let script = script.always(Expect::method("tools/list"), complete(list));
    script.always(Expect::method("tools/call"), reply).serve().await.unwrap()
}

/// An answer that begins, and breaks off.
fn cut() -> Reply {
    let content = json!([{ "type": "text", "text": "a text that is cut" }]);
    Reply::events().event_result(&json!({ "resultType": "complete", "content": content })).breaks_off()
}

/// What four calls of a legacy client come to: each a text or an error.
async fn called_in_a_session(fleet: &Fleet) -> Vec<Value> {
    let opened = Sent::initialize().to(fleet.at(0)).await;
    let session = opened.header("mcp-session-id").unwrap_or_else(|| panic!("{opened:?}"));
    let mut came = Vec::new();
    for _ in 0..4 {
        let call = json!({ "name": "echo", "arguments": {} });
        came.push(Sent::legacy(session, "tools/call", call).to(fleet.at(1)).await.json());
    }
    came
}

#[tokio::test]
async fn a_call_whose_answer_breaks_off_is_sent_again_if_it_does_no_harm_twice() {
    let (breaks, well) = (calling(cut()).await, calling(says("well")).await);
    let mut upstream = patient(&[breaks.url(), well.url()]);
    upstream.idempotent = vec!["ec*".to_owned()];
    let fleet = Fleet::of(config([upstream])).await;
    for answer in called_in_a_session(&fleet).await {
        assert_eq!(answer["result"]["content"][0]["text"], "well", "{answer}");
    }
    assert!(breaks.methods().contains(&"tools/call".to_owned()));
}

#[tokio::test]
async fn a_call_whose_answer_breaks_off_is_not_sent_again_if_it_may_do_harm() {
    let (breaks, well) = (calling(cut()).await, calling(says("well")).await);
    let fleet = Fleet::of(config([patient(&[breaks.url(), well.url()])])).await;
    let came = called_in_a_session(&fleet).await;
    let lost =
        came.iter().filter(|answer| answer["error"]["message"].as_str().unwrap_or_default().contains("nobody knows"));
    let calls = |server: &Server| server.methods().iter().filter(|method| *method == "tools/call").count();
    assert!(calls(&breaks) > 0);
    assert_eq!((calls(&breaks), calls(&well)), (lost.count(), 4 - calls(&breaks)), "{came:?}");
}

#[tokio::test]
async fn a_list_whose_answer_breaks_off_is_asked_for_again() {
    let (breaks, well) = (that(cut()).await, well().await);
    let fleet = Fleet::of(config([patient(&[breaks.url(), well.url()])])).await;
    for _ in 0..4 {
        assert_eq!(list().to(fleet.at(0)).await.result()["tools"], json!([]));
    }
    assert!(!breaks.received().is_empty());
}
