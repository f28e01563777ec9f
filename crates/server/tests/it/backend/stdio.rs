//! A server with a backend on a pair of streams.

use std::future::ready;
use std::sync::Arc;

use anypod_server::proto::reject::Rejection;
use anypod_server::{Answered, Asked, Event};
use bytes::Bytes;
use serde_json::{Value, json};

use super::before;
use super::relay::Relay;
use super::scripted::{Scripted, asks, everything, text as answer};
use crate::stdio::client::{Client, Shared, call, legacy, modern, notice, text};
use crate::support::fixture;

fn initialize() -> Value {
    let params = json!({
        "protocolVersion": "2025-11-25",
        "capabilities": { "elicitation": {} },
        "clientInfo": { "name": "tester", "version": "1" },
    });
    legacy(0, "initialize", params)
}

fn client(scripted: Scripted) -> Client {
    Client::of(Shared::default(), before(scripted))
}

#[tokio::test(start_paused = true)]
async fn a_result_on_several_lines_goes_out_on_one() {
    let result = "{\"resultType\":\"complete\",\r\n  \"content\": [\n]}";
    let mut client = client(Scripted::answering(move |asked: Asked| async move {
        let params: Box<serde_json::value::RawValue> =
            serde_json::from_str("{\n\"progressToken\":\"p\",\r\"progress\":1}").expect("JSON");
        asked.notices.send("notifications/progress", &params);
        Answered::Result(Bytes::from(result))
    }));
    client.send(call(1, "any", json!({}))).await;
    assert_eq!(client.receive().await["params"]["progress"], 1);
    assert_eq!(client.receive().await["result"], json!({ "resultType": "complete", "content": [] }));
}

#[tokio::test(start_paused = true)]
async fn a_legacy_client_is_told_what_the_backend_is_and_asked_what_it_asks() {
    let scripted = Scripted::answering(|asked: Asked| async move {
        match asked.responses.get("name") {
            Some(name) => answer(name.get()),
            None => asks("s"),
        }
    });
    let mut client = client(scripted.discovering(|_| ready(Ok(everything().with_instructions("Mind the gap")))));
    let opened = client.ask(initialize()).await;
    assert_eq!(opened["result"]["instructions"], "Mind the gap");
    assert_eq!(opened["result"]["capabilities"]["prompts"], json!({ "listChanged": true }));
    let question = client.ask(legacy(1, "tools/call", json!({ "name": "any", "arguments": {} }))).await;
    assert_eq!(question["method"], "elicitation/create");
    let answered = json!({ "jsonrpc": "2.0", "id": question["id"], "result": { "action": "decline" } });
    assert_eq!(text(&client.ask(answered).await), r#"{"action":"decline"}"#);
}

#[tokio::test(start_paused = true)]
async fn no_session_begins_when_the_backend_does_not_say_what_it_is() {
    let mut client = client(Scripted::default().discovering(|_| ready(Err(Rejection::Internal.into()))));
    assert_eq!(client.ask(initialize()).await["error"]["code"], -32603);
    assert_eq!(client.ask(legacy(1, "tools/list", json!({}))).await["error"]["code"], -32602);
}

#[tokio::test(start_paused = true)]
async fn listeners_of_both_eras_hear_what_the_backend_listens_to() {
    let scripted = Scripted::default();
    let held = Arc::clone(&scripted.held);
    let mut client = client(scripted);
    client.ask(initialize()).await;
    client.send(notice("notifications/initialized", json!({}))).await;
    assert_eq!(client.ask(legacy(1, "resources/subscribe", json!({ "uri": "a:b" }))).await["result"], json!({}));
    let filter = json!({ "notifications": { "resourceSubscriptions": ["c:d"] } });
    let acknowledged = client.ask(modern(2, "subscriptions/listen", filter)).await;
    assert_eq!(acknowledged["params"]["notifications"]["resourceSubscriptions"], json!(["c:d"]));
    for uri in ["a:b", "c:d"] {
        client.server.announce(Event::ResourceUpdated { uri: uri.to_owned() }).await;
        assert_eq!(client.receive().await["params"]["uri"], uri);
    }
    // The lists and the resource for the session, and the listener's own.
    assert_eq!(Arc::strong_count(&held), 2 + 3);
    client.hang_up().await;
    client.rest().await;
    assert_eq!(Arc::strong_count(&held), 1, "and the server is gone as well");
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_the_backend_refuses_gets_its_error() {
    let refusing = Scripted::default().listening(|_, _| ready(Err(Rejection::Busy { retry_after_secs: 1 }.into())));
    let mut client = client(refusing);
    let filter = json!({ "notifications": { "toolsListChanged": true } });
    let refused = client.ask(modern(7, "subscriptions/listen", filter)).await;
    assert_eq!((&refused["id"], &refused["error"]["code"]), (&json!(7), &json!(-32603)));
}

#[tokio::test(start_paused = true)]
async fn a_real_server_answers_over_pipes_too() {
    let relay = Relay { upstream: fixture::server(), bus: Arc::default() };
    let mut client = Client::of(Shared::default(), before(relay));
    assert_eq!(text(&client.ask(call(1, "echo", json!({ "text": "here" }))).await), "here");
    let question = client.ask(call(2, "ask", json!({}))).await;
    assert_eq!(question["result"]["resultType"], "input_required");
}
