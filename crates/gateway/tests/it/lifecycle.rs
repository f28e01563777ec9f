//! Beginning, changing and ending, while requests are under way.

use std::net::SocketAddr;

use anypod_client::proto::version::Era;
use anypod_client::{End, Subscription};
use anypod_gateway::Config;
use anypod_gateway::config::{EraChoice, Upstream};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::TokioExecutor;
use serde_json::json;

use crate::support::{Fleet, Pod, Seen, Sent, config, fixture, legacy, modern, served, soon, text, upstream_at};

async fn ready(at: SocketAddr) -> Result<StatusCode, Error> {
    let request = Request::get(format!("http://{at}/readyz")).body(Empty::<Bytes>::new()).unwrap();
    let client = Client::builder(TokioExecutor::new()).build_http();
    soon(client.request(request)).await.map(|answer| answer.status())
}

/// Waits until a replica says that it takes no more requests.
async fn not_ready(at: SocketAddr) {
    soon(async {
        while ready(at).await.is_ok_and(|status| status == StatusCode::OK) {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_request_under_way_is_answered_after_the_replica_was_told_to_stop() {
    for era in [Era::Modern, Era::Legacy] {
        let seen = Seen::default();
        let pod = Pod::start(served(&seen)).await;
        let upstream = if era == Era::Modern { modern([&pod]) } else { legacy([&pod]) };
        let mut fleet = Fleet::of(config([upstream])).await;
        let at = fleet.at(0);
        let call = tokio::spawn(Sent::call("wait", json!({})).to(at));
        seen.waiting(1).await;
        fleet.replicas[0].stop();
        not_ready(at).await;
        assert!(!call.is_finished());
        seen.go();
        let answer = soon(call).await.unwrap();
        assert_eq!(answer.result()["content"][0]["text"], "waited", "{era:?}");
        fleet.replicas[0].stopped().await;
        assert!(ready(at).await.is_err());
    }
}

async fn listens(fleet: &Fleet, era: Era) -> Subscription {
    let filter = serde_json::from_value(json!({ "toolsListChanged": true })).unwrap();
    soon(fleet.client(era).listen(filter).into_future()).await.unwrap()
}

#[tokio::test]
async fn streams_of_changes_end_with_their_result_when_a_replica_stops() {
    let pod = Pod::start(served(&Seen::default())).await;
    let mut fleet = Fleet::of(config([modern([&pod])])).await;
    let mut changes = listens(&fleet, Era::Modern).await;
    for replica in &mut fleet.replicas {
        replica.stop();
    }
    assert!(soon(changes.next()).await.is_none());
    assert!(matches!(changes.end(), Some(End::Graceful)), "{:?}", changes.end());
    for replica in &mut fleet.replicas {
        replica.stopped().await;
    }
}

#[tokio::test]
async fn a_replica_without_requests_stops_at_once() {
    let pod = Pod::start(served(&Seen::default())).await;
    let mut fleet = Fleet::of(config([modern([&pod])])).await;
    Sent::call("echo", json!({ "text": "x" })).to(fleet.at(0)).await.result();
    assert_eq!(ready(fleet.at(0)).await.unwrap(), StatusCode::OK);
    fleet.replicas[0].stop();
    fleet.replicas[0].stopped().await;
}

#[tokio::test]
async fn another_upstream_is_taken_without_dropping_a_request() {
    let (old, new) = (Seen::default(), Seen::default());
    let (before, after) = (Pod::start(served(&old)).await, Pod::start(served(&new)).await);
    for to_legacy in [false, true] {
        let fleet = Fleet::of(config([modern([&before])])).await;
        let waiting = old.calls("wait") + 1;
        let call = tokio::spawn(Sent::call("wait", json!({})).to(fleet.at(0)));
        old.waiting(waiting).await;
        let changed = if to_legacy { legacy([&after]) } else { modern([&after]) };
        let gateway = &fleet.replicas[0].gateway;
        let mut next = (*gateway.config()).clone();
        next.upstream = vec![changed];
        gateway.reload(next, None).unwrap();
        let echoed = new.calls("echo") + 1;
        let answer = Sent::call("echo", json!({ "text": "new" })).to(fleet.at(0)).await;
        assert_eq!(answer.result()["content"][0]["text"], "new");
        assert_eq!(new.calls("echo"), echoed);
        old.go();
        assert_eq!(soon(call).await.unwrap().result()["content"][0]["text"], "waited");
    }
    assert_eq!(old.calls("echo"), 0);
}

#[tokio::test]
async fn rules_and_routes_that_are_added_hold_from_then_on() {
    let seen = Seen::default();
    let pod = Pod::start(served(&seen)).await;
    let fleet = Fleet::of(config([modern([&pod])])).await;
    let gateway = &fleet.replicas[0].gateway;
    let echo = || Sent::call("echo", json!({ "text": "x" }));
    echo().to(fleet.at(0)).await.result();
    let mut next = (*gateway.config()).clone();
    next.route[0].token = vec![crate::support::token("alice")];
    gateway.reload(next, None).unwrap();
    assert_eq!(echo().to(fleet.at(0)).await.status, StatusCode::UNAUTHORIZED);
    echo().bearing("alice").to(fleet.at(0)).await.result();
}

#[tokio::test]
async fn a_configuration_that_cannot_be_used_changes_nothing() {
    let seen = Seen::default();
    let pod = Pod::start(served(&seen)).await;
    let fleet = Fleet::of(config([modern([&pod])])).await;
    let gateway = &fleet.replicas[0].gateway;
    let before = gateway.config();
    let refused: [fn(&mut Config); 3] = [
        |config| config.upstream.clear(),
        |config| config.route[0].upstreams.push("nobody".to_owned()),
        |config| config.upstream[0] = Upstream { pods: vec!["ftp://x".to_owned()], ..Upstream::new("server") },
    ];
    for (number, change) in refused.into_iter().enumerate() {
        let mut next = (*before).clone();
        change(&mut next);
        assert!(gateway.reload(next, None).is_err(), "{number}");
        assert_eq!(gateway.config(), before);
        Sent::call("echo", json!({ "text": "x" })).to(fleet.at(0)).await.result();
    }
}

#[tokio::test]
async fn a_legacy_session_outlives_another_configuration() {
    let seen = Seen::default();
    let pod = Pod::start(served(&seen)).await;
    let other = Pod::start(fixture("other", &seen).build().unwrap()).await;
    let fleet = Fleet::of(config([modern([&pod])])).await;
    let client = fleet.client(Era::Legacy);
    let echo = async || {
        let result = soon(client.call("echo", json!({ "text": "x" })).into_future()).await.unwrap();
        assert_eq!(text(&result), "x");
    };
    echo().await;
    for replica in &fleet.replicas {
        let mut next = (*replica.gateway.config()).clone();
        next.upstream = vec![upstream_at("server", EraChoice::Auto, &[other.url()])];
        replica.gateway.reload(next, None).unwrap();
    }
    for _ in 0..4 {
        echo().await;
    }
}

#[tokio::test]
async fn what_listens_goes_on_hearing_after_another_configuration() {
    let pod = Pod::start(served(&Seen::default())).await;
    let other = Pod::start(served(&Seen::default())).await;
    let fleet = Fleet::of(config([modern([&pod])])).await;
    let mut changes = listens(&fleet, Era::Modern).await;
    for replica in &fleet.replicas {
        let mut next = (*replica.gateway.config()).clone();
        next.upstream = vec![modern([&other])];
        replica.gateway.reload(next, None).unwrap();
    }
    soon(async {
        loop {
            other.server().announce(anypod_server::Event::ToolsChanged).await;
            let heard = tokio::time::timeout(std::time::Duration::from_millis(100), changes.next()).await;
            if let Ok(Some(anypod_client::Event::ToolsChanged)) = heard {
                return;
            }
            assert!(heard.is_err(), "{heard:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn health_is_told_beside_the_routes() {
    let pod = Pod::start(served(&Seen::default())).await;
    let fleet = Fleet::of(config([modern([&pod])])).await;
    for (path, expected) in [("healthz", 200), ("readyz", 200), ("elsewhere", 404)] {
        let request = Request::get(format!("http://{}/{path}", fleet.at(0))).body(Empty::<Bytes>::new()).unwrap();
        let answer = soon(Client::builder(TokioExecutor::new()).build_http().request(request)).await.unwrap();
        assert_eq!(answer.status(), expected, "{path}");
        answer.into_body().collect().await.unwrap();
    }
}
