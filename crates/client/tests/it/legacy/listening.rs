//! `subscriptions/listen` at legacy servers.

use std::sync::atomic::{AtomicUsize, Ordering};

use anypod_client::proto::method::Method;
use anypod_client::{Call, Error, Exchange, Incoming};
use http::StatusCode;
use serde_json::{Value, json};

use super::server::{Events, Heard, Server, Streams, done, events, limits, status, tool};
use super::{error, notice, result};

fn listen(filter: &Value) -> Call {
    let mut call = Call::new(Method::SubscriptionsListen);
    call.params = format!(r#""notifications":{filter}"#).into_bytes();
    call
}

fn is_get(heard: &Heard) -> bool {
    heard.verb == http::Method::GET
}

/// A server with a stream of changes, which is left to the test.
fn telling(streams: &Streams) -> Server {
    let opened = streams.clone();
    Server::new(move |heard| if is_get(heard) { opened.open(heard) } else { None })
}

fn changed(what: &str) -> Value {
    json!({ "jsonrpc": "2.0", "method": format!("notifications/{what}/list_changed") })
}

fn updated(uri: &str) -> Value {
    json!({ "jsonrpc": "2.0", "method": "notifications/resources/updated", "params": { "uri": uri } })
}

/// The acknowledged part of the filter, and the id of the subscription.
async fn acknowledged(exchange: &mut Exchange) -> (Value, Value) {
    let notice = notice(exchange).await;
    assert_eq!(notice.method, "notifications/subscriptions/acknowledged");
    let params: Value = notice.params.read().expect("as the test has it");
    (params["notifications"].clone(), params["_meta"]["io.modelcontextprotocol/subscriptionId"].clone())
}

#[tokio::test(start_paused = true)]
async fn a_listener_is_acknowledged_and_told_what_it_asked_for_and_nothing_else() {
    let streams = Streams::new();
    let server = telling(&streams);
    let upstream = server.upstream();
    let filter = json!({ "toolsListChanged": true, "promptsListChanged": true, "resourcesListChanged": false });
    let mut exchange = upstream.send(&listen(&filter)).await.unwrap();
    let (granted, id) = acknowledged(&mut exchange).await;
    // The server has not declared to tell of changes of its prompts.
    assert_eq!(granted, json!({ "toolsListChanged": true }));
    let (_, unasked) = streams.next().await;
    for message in [changed("resources"), updated("file:///a"), changed("tools")] {
        unasked.send(&message);
    }
    let told = notice(&mut exchange).await;
    assert_eq!(told.method, "notifications/tools/list_changed");
    let params: Value = told.params.read().unwrap();
    assert_eq!(params, json!({ "_meta": { "io.modelcontextprotocol/subscriptionId": id } }));
}

#[tokio::test(start_paused = true)]
async fn all_listeners_share_one_stream_that_ends_with_the_last() {
    let streams = Streams::new();
    let server = telling(&streams);
    let upstream = server.upstream();
    let filter = listen(&json!({ "toolsListChanged": true }));
    let mut first = upstream.send(&filter).await.unwrap();
    let mut second = upstream.send(&filter).await.unwrap();
    let ids = (acknowledged(&mut first).await.1, acknowledged(&mut second).await.1);
    assert_ne!(ids.0, ids.1);
    let (_, unasked) = streams.next().await;
    unasked.send(&changed("tools"));
    notice(&mut first).await;
    notice(&mut second).await;
    drop(first);
    unasked.send(&changed("tools"));
    notice(&mut second).await;
    drop(second);
    unasked.closed().await;
    assert_eq!(server.heard(is_get).len(), 1);
    // The next listener opens it again.
    let mut third = upstream.send(&filter).await.unwrap();
    acknowledged(&mut third).await;
    assert_eq!(server.heard(is_get).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_takes_the_stream_before_for_open_is_asked_again() {
    let streams = Streams::new();
    let opened = streams.clone();
    let conflicts = AtomicUsize::new(0);
    let server = Server::new(move |heard| match is_get(heard) {
        true if conflicts.fetch_add(1, Ordering::Relaxed) == 0 => Some(status(StatusCode::CONFLICT)),
        true => opened.open(heard),
        false => None,
    });
    let upstream = server.upstream();
    let filter = json!({ "toolsListChanged": true });
    let mut exchange = upstream.send(&listen(&filter)).await.unwrap();
    assert_eq!(acknowledged(&mut exchange).await.0, filter);
    let (_, unasked) = streams.next().await;
    unasked.send(&changed("tools"));
    assert_eq!(notice(&mut exchange).await.method, "notifications/tools/list_changed");
}

#[tokio::test(start_paused = true)]
async fn a_resource_is_subscribed_to_once_and_until_its_last_listener_goes() {
    let streams = Streams::new();
    let server = telling(&streams);
    let upstream = server.upstream();
    let both = listen(&json!({ "resourceSubscriptions": ["file:///a", "file:///b"] }));
    let one = listen(&json!({ "resourceSubscriptions": ["file:///b", "file:///b"] }));
    let mut first = upstream.send(&both).await.unwrap();
    let mut second = upstream.send(&one).await.unwrap();
    assert_eq!(acknowledged(&mut first).await.0, json!({ "resourceSubscriptions": ["file:///a", "file:///b"] }));
    assert_eq!(acknowledged(&mut second).await.0, json!({ "resourceSubscriptions": ["file:///b"] }));
    let uris = |method: &'static str| {
        let heard = server.heard(|heard| heard.is(method));
        heard.iter().map(|heard| heard.body["params"]["uri"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(uris("resources/subscribe"), ["file:///a", "file:///b"]);
    let (_, unasked) = streams.next().await;
    unasked.send(&updated("file:///a"));
    unasked.send(&updated("file:///b"));
    let told: Value = notice(&mut second).await.params.read().unwrap();
    assert_eq!(told["uri"], "file:///b");
    drop(first);
    server.hears(1, |heard| heard.is("resources/unsubscribe")).await;
    assert_eq!(uris("resources/unsubscribe"), ["file:///a"]);
    drop(second);
    server.hears(2, |heard| heard.is("resources/unsubscribe")).await;
    assert_eq!(uris("resources/unsubscribe"), ["file:///a", "file:///b"]);
}

#[tokio::test(start_paused = true)]
async fn a_resource_that_the_server_does_not_know_is_not_acknowledged() {
    let streams = Streams::new();
    let opened = streams.clone();
    let server = Server::new(move |heard| {
        if is_get(heard) {
            return opened.open(heard);
        }
        let unknown = heard.is("resources/subscribe") && heard.body["params"]["uri"] == "file:///b";
        let error = json!({ "code": -32002, "message": "Resource not found" });
        unknown.then(|| super::server::json(&json!({ "jsonrpc": "2.0", "id": heard.id(), "error": error })))
    });
    let filter = listen(&json!({ "resourceSubscriptions": ["file:///a", "file:///b"] }));
    let mut exchange = server.upstream().send(&filter).await.unwrap();
    assert_eq!(acknowledged(&mut exchange).await.0, json!({ "resourceSubscriptions": ["file:///a"] }));
}

#[tokio::test(start_paused = true)]
async fn without_a_stream_nothing_is_promised_and_what_comes_on_others_is_told() {
    let server = Server::new(|heard| {
        let (events, reply) = heard.is("tools/call").then(events)?;
        events.send(&changed("tools"));
        events.send(&done(&heard.id(), "done"));
        Some(reply)
    });
    let upstream = server.upstream();
    let filter = json!({ "toolsListChanged": true, "resourceSubscriptions": ["file:///a"] });
    let mut exchange = upstream.send(&listen(&filter)).await.unwrap();
    assert_eq!(acknowledged(&mut exchange).await.0, json!({}));
    assert!(server.heard(|heard| heard.is("resources/subscribe")).is_empty());
    let mut call = upstream.send(&tool("a")).await.unwrap();
    let called = super::finish(&mut call).await;
    assert!(called.0.is_empty(), "a change is nothing that the call is about");
    assert_eq!(notice(&mut exchange).await.method, "notifications/tools/list_changed");
}

async fn lost(exchange: &mut Exchange) {
    loop {
        match exchange.next().await {
            Ok(Incoming::Notice(_)) => {}
            Ok(Incoming::Answer(answer)) => panic!("{answer:?}"),
            Err(error) => return assert!(matches!(error, Error::Lost { .. }), "{error}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_where_nothing_can_be_missed_goes_on_and_another_is_lost() {
    let streams = Streams::new();
    let server = telling(&streams);
    let upstream = server.upstream();
    let mut exchange = upstream.send(&listen(&json!({ "toolsListChanged": true }))).await.unwrap();
    acknowledged(&mut exchange).await;
    let (_, first) = streams.next().await;
    first.write(&format!("id: 1\nretry: 20\ndata: {}\n\n", changed("tools")));
    notice(&mut exchange).await;
    drop(first);
    let (get, second): (Heard, Events) = streams.next().await;
    assert_eq!(get.header("last-event-id"), Some("1"));
    second.send(&changed("tools"));
    notice(&mut exchange).await;
    drop((exchange, second));
    let mut exchange = upstream.send(&listen(&json!({ "toolsListChanged": true }))).await.unwrap();
    acknowledged(&mut exchange).await;
    let (_, third) = streams.next().await;
    drop(third);
    lost(&mut exchange).await;
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_does_not_read_is_lost_and_holds_nobody_up() {
    let streams = Streams::new();
    let server = telling(&streams);
    let upstream = server.upstream_with(limits(|limits| limits.waiting_messages = 4));
    let filter = listen(&json!({ "toolsListChanged": true }));
    let mut slow = upstream.send(&filter).await.unwrap();
    let mut quick = upstream.send(&filter).await.unwrap();
    acknowledged(&mut quick).await;
    let (_, unasked) = streams.next().await;
    for _ in 0..6 {
        unasked.send(&changed("tools"));
        notice(&mut quick).await;
    }
    let begun = tokio::time::Instant::now();
    acknowledged(&mut slow).await;
    for _ in 0..4 {
        notice(&mut slow).await;
    }
    lost(&mut slow).await;
    unasked.send(&changed("tools"));
    notice(&mut quick).await;
    assert_eq!(begun.elapsed(), std::time::Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn listeners_are_lost_with_their_session() {
    let streams = Streams::new();
    let opened = streams.clone();
    let server = Server::new(move |heard| match heard.is("tools/call") {
        true => Some(super::server::status(http::StatusCode::NOT_FOUND)),
        false if is_get(heard) => opened.open(heard),
        false => None,
    });
    let upstream = server.upstream();
    let mut exchange = upstream.send(&listen(&json!({ "toolsListChanged": true }))).await.unwrap();
    acknowledged(&mut exchange).await;
    let (_, unasked) = streams.next().await;
    upstream.send(&tool("a")).await.unwrap_err();
    lost(&mut exchange).await;
    unasked.closed().await;
}

#[tokio::test(start_paused = true)]
async fn a_filter_that_is_none_is_refused() {
    let server = Server::new(|_| None);
    let call = Call::new(Method::SubscriptionsListen);
    assert_eq!(error(&mut server.upstream().send(&call).await.unwrap()).await.0, -32602);
    result(&mut server.upstream().send(&tool("a")).await.unwrap()).await;
}
