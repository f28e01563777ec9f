//! Questions that a handler gets wrong, which no client is to see.

use anypod_server::proto::sampling::CreateMessageRequestParams;
use anypod_server::{Args, Cx, Result, Server, Tool, url};
use serde_json::{Value, json};

use crate::support::fixture::{Text, base};
use crate::support::{Answer, World, call};

async fn ask(server: &Server, tool: &str, arguments: Value) -> Answer {
    let everything = json!({ "elicitation": { "url": {} }, "sampling": { "tools": {} } });
    call(tool, arguments).capable(everything).send(server).await
}

#[track_caller]
fn assert_asked(answer: &Answer) {
    assert_eq!(answer.result()["resultType"], "input_required");
}

#[expect(deprecated, reason = "deprecated features work until the specification removes them")]
async fn model(Args(params): Args<Value>, cx: Cx) -> Result<String> {
    let params: CreateMessageRequestParams = serde_json::from_value(params)?;
    Ok(cx.ask("model", anypod_server::sample(params)).await?.model)
}

async fn visit(Args(Text { text }): Args<Text>, cx: Cx) -> Result<String> {
    Ok(format!("{:?}", cx.ask("visit", url("Sign in", text)).await?))
}

fn server() -> Server {
    let builder = base(&World::default()).tool(Tool::new("model", model)).tool(Tool::new("visit", visit));
    builder.build().expect("it builds")
}

/// A conversation in which the model has called a tool, and `next` comes after it.
fn conversation(next: &Value) -> Value {
    let used = json!([{ "type": "tool_use", "id": "a", "name": "t", "input": {} }]);
    let messages = json!([{ "role": "assistant", "content": used }, { "role": "user", "content": next }]);
    json!({ "messages": messages, "maxTokens": 16 })
}

fn result() -> Value {
    json!({ "type": "tool_result", "toolUseId": "a", "content": [] })
}

#[tokio::test]
async fn a_tool_call_is_answered_by_results_and_nothing_else() {
    let server = server();
    assert_asked(&ask(&server, "model", conversation(&json!([result()]))).await);
    let (text, other) =
        (json!({ "type": "text", "text": "and?" }), json!({ "type": "tool_result", "toolUseId": "b", "content": [] }));
    for spoiled in [json!([result(), text]), json!([text]), json!([other]), json!([])] {
        ask(&server, "model", conversation(&spoiled)).await.assert_refused(500, -32603);
    }
}

#[tokio::test]
async fn a_conversation_in_which_tools_are_used_needs_the_capability() {
    let plain = call("model", conversation(&json!(result()))).capable(json!({ "sampling": {} }));
    let refused = plain.send(&server()).await;
    refused.assert_refused(400, -32021);
    assert_eq!(refused.data(), &json!({ "requiredCapabilities": { "sampling": { "tools": {} } } }));
}

#[tokio::test]
async fn the_context_of_servers_is_asked_for_where_it_is_declared() {
    let question = json!({ "messages": [], "maxTokens": 16, "includeContext": "thisServer" });
    let declaring = |sampling: Value| call("model", question.clone()).capable(json!({ "sampling": sampling }));
    let server = server();
    assert_asked(&declaring(json!({ "context": {} })).send(&server).await);
    let refused = declaring(json!({})).send(&server).await;
    refused.assert_refused(400, -32021);
    assert_eq!(refused.data(), &json!({ "requiredCapabilities": { "sampling": { "context": {} } } }));
}

#[tokio::test]
async fn a_page_to_visit_has_a_url() {
    let server = server();
    for good in ["https://id.example/a?b=%20", "app:open"] {
        assert_asked(&ask(&server, "visit", json!({ "text": good })).await);
    }
    for bad in ["", "/login", "https://", "https://id example/", "https:///login"] {
        ask(&server, "visit", json!({ "text": bad })).await.assert_refused(500, -32603);
    }
}
