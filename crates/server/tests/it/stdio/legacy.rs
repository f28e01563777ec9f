//! Legacy clients on a stream: the connection is the session.

use std::sync::Arc;
use std::time::Duration;

use anypod_server::store::Memory;
use anypod_server::{AsTask, Cx, Event, Result, Server, Tasks, Tool, form};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::client::{Client, Name, Shared, call, cancel, echo, legacy, notice, text};
use super::limits;
use crate::support::schema::fits_legacy;

/// The request that opens a session.
pub(super) fn initialize(id: i64, version: &str) -> Value {
    legacy(
        id,
        "initialize",
        json!({
            "protocolVersion": version,
            "capabilities": { "elicitation": {}, "sampling": {}, "roots": { "listChanged": true } },
            "clientInfo": { "name": "old", "version": "0.1" },
        }),
    )
}

async fn session(client: &mut Client, version: &str) -> Value {
    let opened = client.ask(initialize(0, version)).await;
    client.send(notice("notifications/initialized", json!({}))).await;
    opened["result"].clone()
}

fn old_call(id: impl Into<Value>, tool: &str) -> Value {
    legacy(id, "tools/call", json!({ "name": tool, "arguments": {} }))
}

fn answer(question: &Value, result: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": question["id"], "result": result })
}

#[tokio::test(start_paused = true)]
async fn opens_a_session_of_the_revision_that_is_asked_for_or_the_latest() {
    for (asked, agreed) in [
        ("2025-11-25", "2025-11-25"),
        ("2025-06-18", "2025-06-18"),
        ("2025-03-26", "2025-03-26"),
        ("2024-11-05", "2025-11-25"),
        ("2026-07-28", "2025-11-25"),
    ] {
        let mut client = Client::new();
        let opened = session(&mut client, asked).await;
        assert_eq!(opened["protocolVersion"], agreed);
        assert_eq!(opened["serverInfo"], json!({ "name": "streaming", "version": "1.0.0" }));
        assert_eq!(opened["instructions"], "Ask away");
        assert_eq!(opened["capabilities"]["resources"], json!({ "listChanged": true, "subscribe": true }));
        let listed = client.ask(legacy(1, "tools/list", json!({}))).await;
        assert_eq!(listed["result"].get("resultType"), None, "legacy results have none");
        client.hang_up().await;
        assert_eq!(client.rest().await, Vec::<Value>::new());
    }
}

#[tokio::test(start_paused = true)]
async fn a_stray_first_message_does_not_end_the_server() {
    let mut client = Client::new();
    client.send(notice("notifications/initialized", json!({}))).await;
    client.send(json!({ "jsonrpc": "2.0", "id": 9, "result": {} })).await;
    let refused = client.ask(legacy(1, "tools/list", json!({}))).await;
    assert_eq!((&refused["id"], &refused["error"]["code"]), (&json!(1), &json!(-32602)));
    assert!(refused["error"]["message"].as_str().unwrap().starts_with("send `initialize` first"));
    assert_eq!(client.ask(legacy(2, "ping", json!({}))).await, json!({ "jsonrpc": "2.0", "id": 2, "result": {} }));
    let malformed = client.ask(legacy(3, "initialize", json!({}))).await;
    assert_eq!(malformed["error"]["code"], -32602);
    session(&mut client, "2025-11-25").await;
    assert!(client.ask(legacy(4, "tools/list", json!({}))).await["result"]["tools"].is_array());
}

#[tokio::test(start_paused = true)]
async fn asks_the_client_by_requests_of_its_own() {
    let mut client = Client::new();
    session(&mut client, "2025-11-25").await;
    let question = client.ask(old_call("c", "greet")).await;
    assert_eq!(question["method"], "elicitation/create");
    assert_eq!(question["params"]["message"], "Who are you?");
    assert_eq!(client.ask(legacy(2, "ping", json!({}))).await["id"], 2, "nobody waits for the person");
    client.send(answer(&question, json!({ "action": "accept", "content": { "name": "Ada" } }))).await;
    let greeted = client.receive().await;
    assert_eq!((&greeted["id"], text(&greeted)), (&json!("c"), "Hello, Ada"));

    let question = client.ask(old_call(3, "muse")).await;
    assert_eq!(question["method"], "sampling/createMessage");
    let said = json!({ "role": "assistant", "model": "m1", "content": { "type": "text", "text": "word" } });
    client.send(answer(&question, said)).await;
    assert_eq!(text(&client.receive().await), "m1");
}

#[tokio::test(start_paused = true)]
async fn two_questions_at_once_get_their_own_answers() {
    let mut client = Client::new();
    session(&mut client, "2025-06-18").await;
    let first = client.ask(old_call(1, "greet")).await;
    let second = client.ask(old_call(2, "greet")).await;
    assert_ne!(first["id"], second["id"]);
    for (question, name, id) in [(second, "Bo", 2), (first, "Al", 1)] {
        let reply = answer(&question, json!({ "action": "accept", "content": { "name": name } }));
        client.send(reply.clone()).await;
        client.send(reply).await;
        let greeted = client.receive().await;
        assert_eq!((&greeted["id"], text(&greeted)), (&json!(id), format!("Hello, {name}").as_str()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_question_fails_its_call() {
    let mut client = Client::new();
    session(&mut client, "2025-11-25").await;
    let question = client.ask(old_call(1, "greet")).await;
    let error = json!({ "jsonrpc": "2.0", "id": question["id"], "error": { "code": -1, "message": "not now" } });
    let failed = client.ask(error).await;
    assert_eq!(failed["id"], 1);
    assert!(failed["error"]["message"].as_str().unwrap().contains("not now"));
}

#[tokio::test(start_paused = true)]
async fn a_question_that_can_no_longer_be_answered_ends_at_once() {
    let mut client = Client::new();
    session(&mut client, "2025-11-25").await;
    client.ask(old_call(1, "greet")).await;
    let hung_up = tokio::time::Instant::now();
    client.hang_up().await;
    let rest = client.rest().await;
    assert_eq!((&rest[0]["id"], &rest[0]["error"]["code"]), (&json!(1), &json!(-32603)));
    assert_eq!(hung_up.elapsed().as_secs(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_call_asks_nothing_more() {
    let mut client = Client::new();
    session(&mut client, "2025-11-25").await;
    let question = client.ask(old_call(1, "greet")).await;
    client.send(cancel(1)).await;
    client.send(answer(&question, json!({ "action": "decline" }))).await;
    assert_eq!(client.ask(legacy(2, "ping", json!({}))).await["id"], 2);
    client.hang_up().await;
    assert_eq!(client.rest().await, Vec::<Value>::new());
}

#[tokio::test(start_paused = true)]
async fn tells_a_session_what_changed() {
    let mut client = Client::new();
    session(&mut client, "2025-11-25").await;
    client.server.announce(Event::PromptsChanged).await;
    client.server.announce(Event::ToolsChanged).await;
    assert_eq!(client.receive().await["method"], "notifications/tools/list_changed", "there are no prompts");

    let updated = || Event::ResourceUpdated { uri: "note://a".to_owned() };
    client.server.announce(updated()).await;
    let subscribe = |id, method: &str| legacy(id, method, json!({ "uri": "note://a" }));
    assert_eq!(client.ask(subscribe(1, "resources/subscribe")).await["result"], json!({}));
    client.server.announce(updated()).await;
    let told = client.receive().await;
    assert_eq!(
        (&told["method"], &told["params"]),
        (&json!("notifications/resources/updated"), &json!({ "uri": "note://a" }))
    );
    assert_eq!(client.ask(subscribe(2, "resources/unsubscribe")).await["result"], json!({}));
    client.server.announce(updated()).await;
    client.hang_up().await;
    assert_eq!(client.rest().await, Vec::<Value>::new());
}

#[tokio::test(start_paused = true)]
async fn refuses_one_subscription_more_than_a_session_may_have() {
    let mut client = Client::with(limits(|limits| limits.session_resources = 1));
    session(&mut client, "2025-11-25").await;
    let subscribe = |uri: &str| legacy(1, "resources/subscribe", json!({ "uri": uri }));
    assert_eq!(client.ask(subscribe("a")).await["result"], json!({}));
    assert_eq!(client.ask(subscribe("a")).await["result"], json!({}));
    assert_eq!(client.ask(subscribe("b")).await["error"]["code"], -32602);
}

#[tokio::test(start_paused = true)]
async fn sends_logs_of_the_level_that_the_session_wants() {
    let mut client = Client::new();
    session(&mut client, "2025-11-25").await;
    assert_eq!(client.ask(old_call(1, "log")).await["params"]["data"], "details");
    assert_eq!(client.receive().await["params"]["data"], "careful");
    assert_eq!(text(&client.receive().await), "logged");
    assert_eq!(client.ask(legacy(2, "logging/setLevel", json!({ "level": "warning" }))).await["result"], json!({}));
    assert_eq!(client.ask(old_call(3, "log")).await["params"]["data"], "careful");
    assert_eq!(text(&client.receive().await), "logged");
    assert_eq!(client.ask(legacy(4, "logging/setLevel", json!({ "level": "loud" }))).await["error"]["code"], -32602);
}

#[tokio::test(start_paused = true)]
async fn answers_a_batch_at_once_for_the_revision_that_has_them() {
    let mut client = Client::new();
    session(&mut client, "2025-03-26").await;
    let batch = json!([
        old_call(1, "wait"),
        legacy(2, "ping", json!({})),
        notice("notifications/roots/list_changed", json!({})),
        legacy(3, "no/such", json!({})),
        old_call(4, "wait"),
    ]);
    client.send(batch).await;
    client.send(cancel(4)).await;
    client.shared.dropped.notified().await;
    client.shared.gate.notify_one();
    let answers = client.receive().await;
    let mut ids: Vec<_> = answers.as_array().unwrap().iter().map(|answer| answer["id"].as_i64().unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(ids, [1, 2, 3], "a cancelled request has no answer");
    client.send(json!([notice("notifications/initialized", json!({}))])).await;
    assert_eq!(client.ask(echo(5)).await["id"], 5, "a batch without requests has no answer");
}

#[tokio::test(start_paused = true)]
async fn refuses_a_batch_of_a_revision_without_them() {
    let mut client = Client::new();
    session(&mut client, "2025-06-18").await;
    let refused = client.ask(json!([legacy(1, "ping", json!({}))])).await;
    assert_eq!((refused.get("id"), &refused["error"]["code"]), (None, &json!(-32600)));
}

#[tokio::test(start_paused = true)]
async fn both_eras_share_a_connection() {
    let mut client = Client::new();
    assert_eq!(client.ask(echo(1)).await["result"]["resultType"], "complete");
    session(&mut client, "2025-11-25").await;
    assert_eq!(client.ask(call(2, "greet", json!({}))).await["result"]["resultType"], "input_required");
    assert_eq!(client.ask(old_call(3, "greet")).await["method"], "elicitation/create");
    let missing = client.ask(legacy(4, "resources/read", json!({ "uri": "note://none" }))).await;
    assert_eq!(missing["error"]["code"], -32002);
    let missing = client.ask(super::modern(5, "resources/read", json!({ "uri": "note://none" }))).await;
    assert_eq!(missing["error"]["code"], -32602);
}

#[tokio::test(start_paused = true)]
async fn a_second_initialize_opens_a_new_session() {
    let mut client = Client::new();
    client.send(initialize(1, "2025-11-25")).await;
    client.send(initialize(2, "2025-03-26")).await;
    assert_eq!(client.receive().await["result"]["protocolVersion"], "2025-11-25");
    assert_eq!(client.receive().await["result"]["protocolVersion"], "2025-03-26");
    client.server.announce(Event::ToolsChanged).await;
    assert_eq!(client.receive().await["method"], "notifications/tools/list_changed");
    client.hang_up().await;
    assert_eq!(client.rest().await, Vec::<Value>::new(), "it is told once");
}

/// A server whose calls become tasks, and that runs them.
async fn with_tasks() -> Client {
    let shared = Shared::default();
    let store = Arc::new(Memory::default());
    let greet = async |cx: Cx| -> Result<String> {
        let name = cx.ask("name", form::<Name>("Who are you?")).await?;
        Ok(format!("Hello, {}", name.into_accepted().map_or("stranger".to_owned(), |name| name.name)))
    };
    let server = Server::new("tasks", "1.0.0")
        .store(store.clone())
        .extension(Tasks::new(store))
        .tool(Tool::new("greet", greet).task(AsTask::when_declared()))
        .tool(Tool::new("wait", async || std::future::pending::<&str>().await).task(AsTask::always()))
        .build()
        .expect("it builds");
    let worker = server.clone();
    tokio::spawn(async move { worker.work().await });
    // It has begun to follow the store, which is a change for sessions that are there already.
    sleep(Duration::from_secs(1)).await;
    Client::of(shared, server)
}

/// Begins a task, and gives its id.
async fn began(client: &mut Client, id: i64, tool: &str) -> String {
    let params = json!({ "name": tool, "arguments": {}, "task": { "ttl": 60_000 } });
    let created = client.ask(legacy(id, "tools/call", params)).await;
    fits_legacy("CreateTaskResult", &created["result"]);
    created["result"]["task"]["taskId"].as_str().unwrap_or_else(|| panic!("{created}")).to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_session_on_a_stream_has_tasks_of_its_revision() {
    let mut client = with_tasks().await;
    let opened = session(&mut client, "2025-11-25").await;
    assert_eq!(opened["capabilities"]["tasks"], json!({ "cancel": {}, "requests": { "tools": { "call": {} } } }));
    let listed = client.ask(legacy(1, "tools/list", json!({}))).await;
    assert_eq!(listed["result"]["tools"][1]["execution"], json!({ "taskSupport": "required" }));

    let id = began(&mut client, 2, "greet").await;
    let question = client.ask(legacy(3, "tasks/result", json!({ "taskId": id }))).await;
    fits_legacy("ElicitRequest", &question);
    assert_eq!(question["params"]["_meta"], json!({ "io.modelcontextprotocol/related-task": { "taskId": id } }));
    let waiting = client.ask(legacy(4, "tasks/get", json!({ "taskId": id }))).await;
    assert_eq!(waiting["result"]["status"], "input_required", "nobody waits for the person");
    client.send(answer(&question, json!({ "action": "accept", "content": { "name": "Ada" } }))).await;
    let greeted = client.receive().await;
    assert_eq!((&greeted["id"], text(&greeted)), (&json!(3), "Hello, Ada"));

    let id = began(&mut client, 5, "wait").await;
    client.send(legacy(6, "tasks/result", json!({ "taskId": id }))).await;
    let cancelled = client.ask(legacy(7, "tasks/cancel", json!({ "taskId": id }))).await;
    fits_legacy("CancelTaskResult", &cancelled["result"]);
    assert_eq!(cancelled["result"]["status"], "cancelled");
    let ended = client.receive().await;
    assert_eq!((&ended["id"], &ended["error"]["code"]), (&json!(6), &json!(-32603)));
    let unlisted = client.ask(legacy(8, "tasks/list", json!({}))).await;
    assert_eq!(unlisted["error"]["code"], -32601);
}

#[tokio::test(start_paused = true)]
async fn a_result_on_a_stream_that_is_not_wanted_any_more_is_not_waited_for() {
    let mut client = with_tasks().await;
    session(&mut client, "2025-11-25").await;
    let id = began(&mut client, 1, "greet").await;
    let question = client.ask(legacy(2, "tasks/result", json!({ "taskId": id }))).await;
    client.send(cancel(2)).await;
    client.send(answer(&question, json!({ "action": "decline" }))).await;
    // The question is asked anew, as nobody has taken the answer.
    let again = client.ask(legacy(3, "tasks/result", json!({ "taskId": id }))).await;
    assert_ne!(again["id"], question["id"]);
    client.send(answer(&again, json!({ "action": "decline" }))).await;
    assert_eq!(text(&client.receive().await), "Hello, stranger");
}

#[tokio::test(start_paused = true)]
async fn an_older_session_on_a_stream_has_no_tasks() {
    let mut client = with_tasks().await;
    let opened = session(&mut client, "2025-06-18").await;
    assert!(opened["capabilities"].get("tasks").is_none(), "{opened}");
    let listed = client.ask(legacy(1, "tools/list", json!({}))).await;
    assert!(listed["result"]["tools"][1].get("execution").is_none(), "{listed}");
    let unknown = client.ask(legacy(2, "tasks/get", json!({ "taskId": "0".repeat(32) }))).await;
    assert_eq!(unknown["error"]["code"], -32601);
}
