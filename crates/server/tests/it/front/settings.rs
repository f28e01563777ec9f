//! What a session changes after it was opened, its streams, and batches.

use anypod_server::{Event, Limits, Server};
use http::StatusCode;
use serde_json::{Value, json};

use super::client::Client;
use super::hops::reachable;
use super::pods::{one, pod, two, two_on_a_bus};
use super::{assert_error, question};
use crate::support::World;

async fn logged(client: &Client, server: &Server) -> usize {
    let mut reply = client.call(server, "log").await;
    let mut messages = 0;
    while let Some(message) = reply.next().await {
        messages += usize::from(message["method"] == "notifications/message");
    }
    messages
}

#[tokio::test]
async fn a_log_level_holds_on_every_pod_that_hears_of_it() {
    let (a, b) = two_on_a_bus();
    let (lonely, other) = two();
    for (set_at, silent, also) in [(&a, &b, true), (&lonely, &other, false)] {
        let client = Client::connect(set_at).await;
        assert_eq!(logged(&client, set_at).await, 8, "everything, until a client asks for less");
        let reply = client.request(set_at, 1, "logging/setLevel", json!({ "level": "alert" })).await;
        assert_eq!(reply.json().await["result"], json!({}));
        assert_eq!(logged(&client, set_at).await, 2);
        assert_eq!(logged(&client, silent).await, if also { 2 } else { 8 });
        assert_eq!(logged(&Client::connect(set_at).await, set_at).await, 8, "another session");
    }
}

#[tokio::test]
async fn pods_that_have_met_tell_each_other_without_a_bus() {
    let (a, b) = reachable().await;
    let client = Client::connect(&a).await;
    // By the session's id, the other pod learns where it was opened.
    assert_eq!(logged(&client, &b).await, 8);
    client.request(&b, 1, "logging/setLevel", json!({ "level": "alert" })).await;
    assert_eq!((logged(&client, &a).await, logged(&client, &b).await), (2, 2));
    let mut stream = client.get(&a).await;
    client.request(&b, 2, "resources/subscribe", json!({ "uri": "test://a" })).await;
    b.announce(Event::ResourceUpdated { uri: "test://a".to_owned() }).await;
    assert_eq!(stream.next().await.expect("an update")["params"]["uri"], "test://a");
}

#[tokio::test]
async fn nothing_is_logged_to_clients_of_a_server_that_has_not_declared_it() {
    #[expect(deprecated, reason = "deprecated features work until the specification removes them")]
    async fn log(cx: anypod_server::Cx) -> &'static str {
        cx.log(anypod_server::proto::logging::LoggingLevel::Emergency, None, "x");
        "logged"
    }
    let server = Server::new("quiet", "1").tool(anypod_server::Tool::new("log", log)).build().expect("it builds");
    let client = Client::connect(&server).await;
    assert!(!client.call(&server, "log").await.streams());
}

#[tokio::test]
async fn a_stream_hears_of_lists_and_of_what_its_session_has_subscribed_to() {
    let (a, b) = two_on_a_bus();
    let client = Client::connect(&a).await;
    let subscribe = async |method: &str, uri: &str| {
        let reply = client.request(&a, 1, method, json!({ "uri": uri })).await;
        assert_eq!(reply.json().await["result"], json!({}));
    };
    subscribe("resources/subscribe", "test://before").await;
    let mut stream = client.get(&b).await;
    assert!(stream.streams());
    subscribe("resources/subscribe", "test://after").await;
    subscribe("resources/subscribe", "test://dropped").await;
    subscribe("resources/unsubscribe", "test://dropped").await;
    for uri in ["test://before", "test://after", "test://dropped", "test://other"] {
        a.announce(Event::ResourceUpdated { uri: uri.to_owned() }).await;
    }
    a.announce(Event::ToolsChanged).await;
    a.announce(Event::PromptsChanged).await;
    let heard: Vec<_> = stream
        .ready()
        .await
        .iter()
        .map(|message| (message["method"].clone(), message["params"]["uri"].clone()))
        .collect();
    let updated = |uri: &str| (json!("notifications/resources/updated"), json!(uri));
    let tools = (json!("notifications/tools/list_changed"), Value::Null);
    assert_eq!(heard, [tools, updated("test://after"), updated("test://before")], "this server has no prompts");
}

#[tokio::test]
async fn of_several_streams_one_gets_each_message() {
    let server = one();
    let client = Client::connect(&server).await;
    let (mut first, mut second) = (client.get(&server).await, client.get(&server).await);
    server.announce(Event::ToolsChanged).await;
    assert_eq!((first.ready().await.len(), second.ready().await.len()), (0, 1));
    drop(second);
    server.announce(Event::ToolsChanged).await;
    assert_eq!(first.ready().await.len(), 1);
}

#[tokio::test]
async fn streams_are_bounded_and_end_when_the_server_does() {
    let mut limits = Limits::default();
    limits.open_streams = 1;
    let server = pod(&World::default()).0.limits(limits).build().expect("it builds");
    let client = Client::connect(&server).await;
    let mut stream = client.get(&server).await;
    assert_eq!(client.get(&server).await.status, StatusCode::SERVICE_UNAVAILABLE);
    let picky = Client { accept: "application/json", ..client.clone() };
    assert_eq!(picky.get(&server).await.status, StatusCode::NOT_ACCEPTABLE);
    let (ended, ()) = tokio::join!(stream.next(), async {
        tokio::spawn({
            let server = server.clone();
            async move { server.drain().await }
        });
    });
    assert_eq!(ended, None);
}

#[tokio::test]
async fn modern_clients_find_neither_get_nor_delete() {
    let server = one();
    let modern = Client { session: Some("x".to_owned()), ..Client::new("2026-07-28") };
    for reply in [modern.get(&server).await, modern.delete(&server).await] {
        assert_eq!((reply.status, reply.headers["allow"].as_bytes()), (StatusCode::METHOD_NOT_ALLOWED, &b"POST"[..]));
    }
}

#[tokio::test]
async fn a_version_that_is_not_spoken_is_refused_by_every_method() {
    let server = one();
    let client = Client::connect(&server).await;
    let strange = Client { version: "1900-01-01", ..client.clone() };
    let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
    for reply in [strange.get(&server).await, strange.delete(&server).await, strange.post(&server, ping).await] {
        assert_eq!(reply.status, StatusCode::BAD_REQUEST);
        assert_error(&reply.json().await, -32022, "1900-01-01");
    }
    assert!(client.get(&server).await.streams(), "its session goes on");
}

async fn old_client(server: &Server) -> Client {
    let mut client = Client::new("2025-03-26");
    client.initialize(server, json!({ "roots": {}, "sampling": {} })).await;
    client
}

#[tokio::test]
async fn a_batch_is_answered_request_by_request() {
    let (a, b) = two();
    let client = old_client(&a).await;
    let batch = json!([
        { "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "hello" } },
        { "jsonrpc": "2.0", "method": "notifications/roots/list_changed" },
        { "jsonrpc": "2.0", "id": "two", "method": "ping" },
        { "jsonrpc": "2.0", "id": 3, "method": "no/such" },
    ]);
    let reply = client.post(&b, batch).await;
    assert_eq!(reply.status, StatusCode::OK);
    let answers = reply.json().await;
    assert_eq!(answers[0]["result"]["content"][0]["text"], "hello");
    assert_eq!((&answers[1]["id"], &answers[1]["result"]), (&json!("two"), &json!({})));
    assert_error(&answers[2], -32601, "no/such");
    assert_eq!(answers.as_array().map(Vec::len), Some(3));
}

#[tokio::test]
async fn a_batch_of_notifications_is_accepted() {
    let server = one();
    let client = old_client(&server).await;
    let batch = json!([{ "jsonrpc": "2.0", "method": "notifications/roots/list_changed" }]);
    assert_eq!(client.post(&server, batch.clone()).await.status, StatusCode::ACCEPTED);
    let made_up = json!([{ "jsonrpc": "2.0", "id": "x", "result": {} }]);
    assert_eq!(client.post(&server, made_up).await.status, StatusCode::BAD_REQUEST);
    let newer = Client { version: "2025-03-26", ..Client::connect(&server).await };
    assert_eq!(newer.post(&server, batch).await.status, StatusCode::BAD_REQUEST, "its session has no batches");
}

#[tokio::test]
async fn a_batch_keeps_its_place_until_the_last_of_it_has_ended() {
    let mut limits = Limits::default();
    limits.concurrent_requests = 1;
    let (builder, inside, mut said) = pod(&World::default());
    let server = builder.limits(limits).build().expect("it builds");
    let client = old_client(&server).await;
    let params = json!({ "name": "wait", "_meta": { "progressToken": 1 } });
    let batch = json!([{ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params }]);
    let reply = client.post(&server, batch).await;
    assert_eq!(said.recv().await, Some("waiting"));
    drop(reply);
    assert_eq!(client.call(&server, "hello").await.status, StatusCode::SERVICE_UNAVAILABLE, "it goes on");
    inside.go.notify_one();
    assert_eq!(said.recv().await, Some("done"));
    server.drain().await;
    assert_eq!(client.call(&server, "hello").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_batch_may_ask_and_may_be_answered_by_a_batch() {
    let server = one();
    let client = old_client(&server).await;
    let call =
        |id: i64| json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": { "name": "ask-roots" } });
    let mut reply = client.post(&server, json!([call(1), call(2)])).await;
    let mut answers = Vec::new();
    for uri in ["file:///a", "file:///b"] {
        let asked = question(&mut reply).await;
        answers.push(json!({ "jsonrpc": "2.0", "id": asked["id"], "result": { "roots": [{ "uri": uri }] } }));
    }
    assert_eq!(client.post(&server, json!(answers)).await.status, StatusCode::ACCEPTED);
    let response = reply.response().await;
    assert_eq!(response[0]["result"]["content"][0]["text"], "file:///a");
    assert_eq!((&response[1]["id"], &response[1]["result"]["content"][0]["text"]), (&json!(2), &json!("file:///b")));
}
