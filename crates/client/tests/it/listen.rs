//! Subscriptions: what they tell, how they end, and how they begin again.

use std::sync::Mutex;
use std::time::Duration;

use anypod_client::proto::subscriptions::SubscriptionFilter;
use anypod_client::{Broken, Client, End, Error, Event, Subscription};
use serde_json::{Value, json};

use crate::legacy::server::{Events, Heard, Server, Streams, events, limits};
use crate::modern::{client, error, pinned, result};

fn streams() -> (Server, Streams) {
    let streams = Streams::new();
    let opened = streams.clone();
    (Server::new(move |heard| opened.open(heard)), streams)
}

fn filter() -> SubscriptionFilter {
    serde_json::from_value(json!({ "toolsListChanged": true, "resourceSubscriptions": ["a:b", "a:c"] })).unwrap()
}

fn notice(heard: &Heard, method: &str, mut params: Value) -> Value {
    params["_meta"] = json!({ "io.modelcontextprotocol/subscriptionId": heard.id() });
    json!({ "jsonrpc": "2.0", "method": method, "params": params })
}

fn acknowledge(heard: &Heard, events: &Events, accepted: Value) {
    let params = json!({ "notifications": accepted });
    events.send(&notice(heard, "notifications/subscriptions/acknowledged", params));
}

fn end(heard: &Heard) -> Value {
    json!({ "jsonrpc": "2.0", "id": heard.id(), "result": { "resultType": "complete" } })
}

/// The next stream, acknowledged.
async fn accept(streams: &Streams) -> (Heard, Events) {
    let (heard, events) = streams.next().await;
    acknowledge(&heard, &events, heard.body["params"]["notifications"].clone());
    (heard, events)
}

async fn begun(client: &Client, streams: &Streams) -> (Subscription, Heard, Events) {
    let (subscription, (heard, events)) = tokio::join!(client.listen(filter()).into_future(), accept(streams));
    (subscription.unwrap(), heard, events)
}

#[tokio::test]
async fn changes_come_as_typed_events_in_order() {
    let (server, streams) = streams();
    let client = client(&server);
    let (mut subscription, heard, events) = begun(&client, &streams).await;
    assert_eq!(heard.body["params"]["notifications"]["resourceSubscriptions"], json!(["a:b", "a:c"]));
    events.send(&notice(&heard, "notifications/tools/list_changed", json!({})));
    events.write(": still here\n\n");
    events.send(&notice(&heard, "notifications/prompts/list_changed", json!({})));
    events.send(&notice(&heard, "notifications/resources/list_changed", json!({})));
    events.send(&notice(&heard, "notifications/resources/updated", json!({ "uri": "a:b" })));
    events.send(&notice(&heard, "notifications/resources/updated", json!({ "uri": 5 })));
    events.send(&notice(&heard, "notifications/of/an/extension", json!({ "x": 1 })));
    assert!(matches!(subscription.next().await, Some(Event::ToolsChanged)));
    assert!(matches!(subscription.next().await, Some(Event::PromptsChanged)));
    assert!(matches!(subscription.next().await, Some(Event::ResourcesChanged)));
    assert!(matches!(subscription.next().await, Some(Event::ResourceUpdated { uri }) if uri == "a:b"));
    assert!(matches!(subscription.next().await, Some(Event::Other(_))));
    assert!(matches!(subscription.next().await, Some(Event::Other(other)) if other.method.ends_with("extension")));
    assert!(subscription.end().is_none());
}

#[tokio::test]
async fn what_the_server_does_not_honour_is_known() {
    let (server, streams) = streams();
    let client = client(&server);
    let partly = async {
        let (heard, events) = streams.next().await;
        acknowledge(&heard, &events, json!({ "toolsListChanged": true }));
        events
    };
    let (subscription, _events) = tokio::join!(client.listen(filter()).into_future(), partly);
    let accepted = subscription.unwrap().accepted();
    assert_eq!(serde_json::to_value(accepted).unwrap(), json!({ "toolsListChanged": true }));
}

#[tokio::test]
async fn an_end_on_purpose_is_graceful() {
    let (server, streams) = streams();
    let client = client(&server);
    let (mut subscription, heard, events) = begun(&client, &streams).await;
    events.send(&end(&heard));
    assert!(subscription.next().await.is_none());
    assert!(matches!(subscription.end(), Some(End::Graceful)));
    assert!(subscription.next().await.is_none());
    assert_eq!(server.log().len(), 1);
}

#[tokio::test]
async fn cancelling_closes_the_stream() {
    let (server, streams) = streams();
    let client = client(&server);
    let (mut subscription, _, events) = begun(&client, &streams).await;
    subscription.cancel();
    events.closed().await;
    assert!(subscription.next().await.is_none());
    assert!(matches!(subscription.end(), Some(End::Cancelled)));
    let (subscription, _, events) = begun(&client, &streams).await;
    drop(subscription);
    events.closed().await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_stream_is_begun_again_with_a_gap() {
    let (server, streams) = streams();
    let client = client(&server);
    let (mut subscription, first, events) = begun(&client, &streams).await;
    events.send(&notice(&first, "notifications/tools/list_changed", json!({})));
    drop(events);
    assert!(matches!(subscription.next().await, Some(Event::ToolsChanged)));
    let (gap, (heard, events)) = tokio::join!(subscription.next(), accept(&streams));
    assert!(matches!(gap, Some(Event::Gap)));
    assert_ne!(heard.id(), first.id());
    assert_eq!(heard.body["params"]["notifications"], first.body["params"]["notifications"]);
    events.send(&notice(&heard, "notifications/tools/list_changed", json!({})));
    assert!(matches!(subscription.next().await, Some(Event::ToolsChanged)));
}

#[tokio::test(start_paused = true)]
async fn a_persistent_subscription_goes_on_after_a_graceful_end() {
    let (server, streams) = streams();
    let client = client(&server);
    let (subscription, (heard, events)) =
        tokio::join!(client.listen(filter()).persistent().into_future(), accept(&streams));
    let mut subscription = subscription.unwrap();
    events.send(&end(&heard));
    let (gap, _again) = tokio::join!(subscription.next(), accept(&streams));
    assert!(matches!(gap, Some(Event::Gap)));
    assert!(subscription.end().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_lost_again_and_again_is_given_up() {
    let (server, streams) = streams();
    let client = pinned(Client::builder().limits(limits(|limits| limits.resumptions = 3)), &server);
    let (mut subscription, _, events) = begun(&client, &streams).await;
    drop(events);
    let server_side = async {
        for _ in 0..3 {
            drop(accept(&streams).await);
        }
    };
    let reads = async {
        let mut gaps = 0;
        while let Some(event) = subscription.next().await {
            assert!(matches!(event, Event::Gap));
            gaps += 1;
        }
        gaps
    };
    let (gaps, ()) = tokio::join!(reads, server_side);
    assert_eq!(gaps, 3);
    assert!(matches!(subscription.end(), Some(End::Lost(Error::Lost { .. }))), "{subscription:?}");
    assert_eq!(server.log().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_looks_away_again_and_again_does_not_keep_a_lost_stream_from_beginning_again() {
    let kept = Mutex::new(Vec::new());
    let server = Server::new(move |heard| {
        let (events, reply) = events();
        acknowledge(heard, &events, json!({ "toolsListChanged": true }));
        let mut kept = kept.lock().unwrap();
        // The first stream breaks.
        let lasts = !kept.is_empty();
        kept.push(lasts.then_some(events));
        Some(reply)
    });
    let mut subscription = client(&server).listen(filter()).await.unwrap();
    for _ in 0..10_000 {
        if let Ok(event) = tokio::time::timeout(Duration::from_millis(10), subscription.next()).await {
            return assert!(matches!(event, Some(Event::Gap)));
        }
    }
    panic!("never begun again")
}

#[tokio::test(start_paused = true)]
async fn a_subscription_may_tell_more_than_a_request() {
    let (server, streams) = streams();
    let client = pinned(Client::builder().limits(limits(|limits| limits.notifications = 3)), &server);
    let (mut subscription, heard, events) = begun(&client, &streams).await;
    for _ in 0..100 {
        events.send(&notice(&heard, "notifications/tools/list_changed", json!({})));
        assert!(matches!(subscription.next().await, Some(Event::ToolsChanged)));
    }
}

#[tokio::test]
async fn a_refusal_is_an_error_and_is_not_begun_again() {
    let server = Server::new(|heard| Some(error(heard, 404, -32601)));
    let refused = client(&server).listen(filter()).await.map(drop).unwrap_err();
    assert!(matches!(refused, Error::Answered(_)), "{refused}");
    assert_eq!(server.log().len(), 1);
}

#[tokio::test]
async fn a_server_that_tells_before_it_acknowledges_breaks_the_protocol() {
    let (server, streams) = streams();
    let client = client(&server);
    let early = async {
        let (heard, events) = streams.next().await;
        events.send(&notice(&heard, "notifications/tools/list_changed", json!({})));
        events
    };
    let (subscription, _events) = tokio::join!(client.listen(filter()).into_future(), early);
    let error = subscription.map(drop).unwrap_err();
    assert!(matches!(error, Error::Broken(Broken::Result(_))), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_acknowledges_is_given_up_in_time() {
    let (server, _streams) = streams();
    let settings = limits(|limits| limits.request_deadline = Duration::from_secs(3));
    let client = pinned(Client::builder().limits(settings), &server);
    let error = client.listen(filter()).await.map(drop).unwrap_err();
    assert!(matches!(error, Error::TimedOut(_)), "{error}");
}

#[tokio::test]
async fn a_subscription_that_ends_at_once_has_not_begun() {
    let server = Server::new(|heard| Some(result(heard, json!({}))));
    let error = client(&server).listen(filter()).await.map(drop).unwrap_err();
    assert!(matches!(error, Error::Lost { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_error_that_is_no_loss_ends_the_subscription() {
    let (server, streams) = streams();
    let client = client(&server);
    let (mut subscription, _, events) = begun(&client, &streams).await;
    events.write("data: this is no message\n\n");
    assert!(subscription.next().await.is_none());
    assert!(matches!(subscription.end(), Some(End::Lost(Error::Broken(_)))), "{subscription:?}");
    assert_eq!(server.log().len(), 1);
}

#[tokio::test]
async fn our_own_server_tells_our_own_client() {
    let server = anypod_server::Server::new("told", "1.0.0")
        .tool(anypod_server::Tool::new("t", || async { "x" }))
        .build()
        .unwrap();
    let client = Client::builder().service(server.clone());
    let wanted = serde_json::from_value(json!({ "toolsListChanged": true })).unwrap();
    let mut subscription = client.listen(wanted).await.unwrap();
    server.announce(anypod_server::Event::ToolsChanged).await;
    assert!(matches!(subscription.next().await, Some(Event::ToolsChanged)));
}
