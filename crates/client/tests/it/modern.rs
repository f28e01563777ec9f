//! What the tests of the core say as a modern server.

use anypod_client::proto::elicitation::ElicitResult;
use anypod_client::proto::version::Era;
use anypod_client::{Client, ClientBuilder};
use http::StatusCode;
use serde_json::{Value, json};

use crate::legacy::server::{Heard, Reply, Server, json as whole};

/// A client of a server whose era is not in question.
pub(crate) fn client(server: &Server) -> Client {
    pinned(Client::builder(), server)
}

pub(crate) fn pinned(builder: ClientBuilder, server: &Server) -> Client {
    builder.era(Era::Modern).service(server.clone())
}

/// Answers every form, empty.
pub(crate) fn agreeing() -> ClientBuilder {
    Client::builder().on_form(|_| async { Ok::<_, std::io::Error>(ElicitResult::accept(Default::default())) })
}

/// A result, complete unless it says otherwise.
pub(crate) fn result(heard: &Heard, mut result: Value) -> Reply {
    let members = result.as_object_mut().expect("as the test has it");
    members.entry("resultType").or_insert(json!("complete"));
    whole(&json!({ "jsonrpc": "2.0", "id": heard.id(), "result": result }))
}

/// The result of a tool.
pub(crate) fn text(heard: &Heard, text: &str) -> Reply {
    result(heard, json!({ "content": [{ "type": "text", "text": text }] }))
}

pub(crate) fn error(heard: &Heard, status: u16, code: i32) -> Reply {
    let error = json!({ "code": code, "message": "as the test has it" });
    let mut reply = whole(&json!({ "jsonrpc": "2.0", "id": heard.id(), "error": error }));
    *reply.status_mut() = StatusCode::from_u16(status).expect("as the test has it");
    reply
}

/// Questions: a form for each of these keys.
pub(crate) fn asks(heard: &Heard, keys: &[&str], state: Option<&str>) -> Reply {
    let questions: serde_json::Map<_, _> = keys.iter().map(|key| ((*key).to_owned(), form())).collect();
    let mut asked = json!({ "resultType": "input_required" });
    if !questions.is_empty() {
        asked["inputRequests"] = Value::Object(questions);
    }
    if let Some(state) = state {
        asked["requestState"] = json!(state);
    }
    result(heard, asked)
}

pub(crate) fn form() -> Value {
    let schema = json!({ "type": "object", "properties": {} });
    json!({ "method": "elicitation/create", "params": { "message": "Well?", "requestedSchema": schema } })
}

/// A list of tools, in one page.
pub(crate) fn tools(heard: &Heard, tools: &Value) -> Reply {
    result(heard, json!({ "tools": tools, "ttlMs": 0, "cacheScope": "private" }))
}
