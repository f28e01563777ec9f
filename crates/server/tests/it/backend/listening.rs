//! Listeners of either era, for whom the backend listens.

use std::future::{pending, ready};
use std::sync::Arc;

use anypod_server::proto::reject::Rejection;
use anypod_server::proto::subscriptions::SubscriptionFilter;
use anypod_server::{Bus, Event, InProcess, Limits, Server};
use http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::relay::Relay;
use super::scripted::Scripted;
use super::{before, builder};
use crate::front::assert_error;
use crate::front::client::Client;
use crate::front::pods::Shared;
use crate::support::fixture::{base, full};
use crate::support::{Modern, World, modern};

fn listen(filter: Value) -> Modern {
    modern("subscriptions/listen", json!({ "notifications": filter }))
}

fn updated(uri: &str) -> Event {
    Event::ResourceUpdated { uri: uri.to_owned() }
}

/// Listens to what is wanted, and says what that was.
fn telling() -> (Scripted, mpsc::Receiver<SubscriptionFilter>) {
    let (says, said) = mpsc::channel(16);
    let scripted = Scripted::default().listening(move |_, wanted| {
        says.try_send(wanted.clone()).expect("the test listens");
        ready(Ok(wanted))
    });
    (scripted, said)
}

fn named(filter: Option<SubscriptionFilter>) -> Vec<String> {
    filter.and_then(|filter| filter.resource_subscriptions).unwrap_or_default()
}

#[tokio::test]
async fn changes_of_a_real_server_reach_a_listener() {
    let (upstream, bus) = (full(&World::default()).build().expect("it builds"), Arc::new(InProcess::default()));
    let relay = Relay { upstream: upstream.clone(), bus: Arc::clone(&bus) };
    let server = builder(relay).bus(bus).build().expect("it builds");
    let mut stream =
        listen(json!({ "toolsListChanged": true, "resourceSubscriptions": ["note://one"] })).open(&server).await;
    let first = stream.next().await.expect("an acknowledgement");
    assert_eq!(first["params"]["notifications"]["resourceSubscriptions"], json!(["note://one"]));
    upstream.announce(updated("note://one")).await;
    assert_eq!(stream.next().await.expect("an update")["params"]["uri"], "note://one");
    upstream.announce(Event::ToolsChanged).await;
    assert_eq!(stream.next().await.expect("a change")["method"], "notifications/tools/list_changed");
}

#[tokio::test]
async fn acknowledges_and_tells_what_the_backend_honours() {
    let scripted = Scripted::default().listening(|_, wanted| {
        ready(Ok(SubscriptionFilter { tools_list_changed: wanted.tools_list_changed, ..SubscriptionFilter::default() }))
    });
    let server = before(scripted);
    let mut stream = listen(json!({ "toolsListChanged": true, "promptsListChanged": true })).open(&server).await;
    let first = stream.next().await.expect("an acknowledgement");
    assert_eq!(first["params"]["notifications"], json!({ "toolsListChanged": true }));
    server.announce(Event::PromptsChanged).await;
    server.announce(Event::ToolsChanged).await;
    let methods: Vec<_> = stream.ready().await.iter().map(|message| message["method"].clone()).collect();
    assert_eq!(methods, ["notifications/tools/list_changed"]);
}

#[tokio::test]
async fn misses_nothing_that_happens_while_the_backend_begins_to_listen() {
    let bus = Arc::new(InProcess::default());
    let publishes = Arc::clone(&bus);
    let scripted = Scripted::default().listening(move |_, wanted| {
        let bus = Arc::clone(&publishes);
        async move {
            bus.publish(updated("a:b")).await.expect("it is in this process");
            Ok(wanted)
        }
    });
    let server = builder(scripted).bus(bus).build().expect("it builds");
    let mut stream = listen(json!({ "resourceSubscriptions": ["a:b"] })).open(&server).await;
    assert_eq!(stream.next().await.expect("first")["method"], "notifications/subscriptions/acknowledged");
    assert_eq!(stream.next().await.expect("an update")["params"]["uri"], "a:b");
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_the_backend_refuses_learns_why() {
    let busy = || Rejection::Busy { retry_after_secs: 2 };
    let server = before(Scripted::default().listening(move |_, _| ready(Err(busy().into()))));
    let refused = listen(json!({ "toolsListChanged": true })).send(&server).await;
    refused.assert_refused(503, -32603);
    let client = Client::connect(&server).await;
    assert_eq!(client.get(&server).await.status, StatusCode::SERVICE_UNAVAILABLE);
    let subscribe = client.request(&server, 1, "resources/subscribe", json!({ "uri": "a:b" })).await;
    assert_eq!(subscribe.status, StatusCode::SERVICE_UNAVAILABLE);
    let started = Instant::now();
    let server = before(Scripted::default().listening(|_, _| pending()));
    listen(json!({ "toolsListChanged": true })).send(&server).await.assert_refused(500, -32603);
    assert_eq!(started.elapsed(), Limits::default().backend_deadline);
    let server = before(Scripted::default().listening(|_, _| async { panic!("on purpose") }));
    listen(json!({ "toolsListChanged": true })).send(&server).await.assert_refused(500, -32603);
}

#[tokio::test]
async fn the_backend_listens_as_long_as_somebody_does() {
    let scripted = Scripted::default();
    let held = Arc::clone(&scripted.held);
    let listening = || Arc::strong_count(&held) - 2;
    let server = before(scripted);
    let stream = listen(json!({ "toolsListChanged": true })).open(&server).await;
    let client = Client::connect(&server).await;
    let legacy = client.get(&server).await;
    assert_eq!(listening(), 2);
    drop(stream);
    assert_eq!(listening(), 1);
    drop(legacy);
    assert_eq!(listening(), 0);
    client.request(&server, 1, "resources/subscribe", json!({ "uri": "a:b" })).await;
    assert_eq!(listening(), 1, "for the session");
    client.request(&server, 2, "resources/unsubscribe", json!({ "uri": "a:b" })).await;
    assert_eq!(listening(), 0);
}

#[tokio::test]
async fn a_session_that_ends_is_listened_for_no_more() {
    let scripted = Scripted::default();
    let held = Arc::clone(&scripted.held);
    let server = builder(scripted).peers(["http://10.0.0.5:1/mcp"]).advertise("http://10.0.0.5:1/mcp").build();
    let server = server.expect("it builds");
    let client = Client::connect(&server).await;
    client.request(&server, 1, "resources/subscribe", json!({ "uri": "a:b" })).await;
    assert_eq!(Arc::strong_count(&held), 3);
    assert_eq!(client.delete(&server).await.status, StatusCode::NO_CONTENT);
    assert_eq!(Arc::strong_count(&held), 2);
}

#[tokio::test]
async fn the_stream_of_a_session_hears_of_the_lists_and_of_what_it_subscribed_to() {
    let (scripted, mut said) = telling();
    let server = before(scripted);
    let client = Client::connect(&server).await;
    client.request(&server, 1, "resources/subscribe", json!({ "uri": "a:b" })).await;
    assert_eq!(named(said.recv().await), ["a:b"], "when it subscribes");
    let mut stream = client.get(&server).await;
    let lists = said.recv().await.expect("the lists");
    let lists = [lists.tools_list_changed, lists.prompts_list_changed, lists.resources_list_changed];
    assert_eq!(lists, [Some(true), Some(true), None], "what the backend announces");
    assert_eq!(named(said.recv().await), ["a:b"], "for the stream");
    server.announce(updated("a:b")).await;
    server.announce(Event::PromptsChanged).await;
    assert_eq!(stream.next().await.expect("a change")["method"], "notifications/prompts/list_changed");
    assert_eq!(stream.next().await.expect("an update")["params"]["uri"], "a:b");
}

#[tokio::test]
async fn a_subscription_on_one_pod_makes_the_backend_of_another_listen_for_the_open_stream() {
    let (bus, world) = (Shared::default(), World::default());
    let pod = |scripted| -> Server { base(&world).bus(bus.clone()).backend(scripted).build().expect("it builds") };
    let (scripted, mut said) = telling();
    let held = Arc::clone(&scripted.held);
    let (a, b) = (pod(Scripted::default()), pod(scripted));
    let client = Client::connect(&a).await;
    let mut stream = client.get(&b).await;
    assert_eq!(said.recv().await.expect("the lists").tools_list_changed, Some(true));
    client.request(&a, 1, "resources/subscribe", json!({ "uri": "a:b" })).await;
    assert_eq!(stream.ready().await, Vec::<Value>::new());
    assert_eq!(named(said.recv().await), ["a:b"]);
    assert_eq!(Arc::strong_count(&held), 4);
    client.request(&a, 2, "resources/unsubscribe", json!({ "uri": "a:b" })).await;
    assert_eq!(stream.ready().await, Vec::<Value>::new());
    assert_eq!(Arc::strong_count(&held), 3);
}

#[tokio::test]
async fn a_resource_that_the_backend_does_not_watch_cannot_be_subscribed_to() {
    let server = before(Scripted::default().listening(|_, _| ready(Ok(SubscriptionFilter::default()))));
    let client = Client::connect(&server).await;
    let reply = client.request(&server, 1, "resources/subscribe", json!({ "uri": "a:b" })).await;
    assert_error(&reply.json().await, -32002, "a:b");
}
