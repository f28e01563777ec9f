//! Structured content against the schema that the tool was listed with, and schemas that mean harm.

use anypod_client::proto::version::Era;
use anypod_client::{Broken, Client, Error};
use serde_json::{Value, json};

use crate::legacy::server::{Server, limits};
use crate::modern::{pinned, result, tools};
use crate::scripted::{Scripted, plain};

/// A call of a tool of this output schema, with this result.
async fn called(schema: Value, answer: Value) -> Result<(), Error> {
    let server = Server::new(move |heard| {
        let tool = json!([{ "name": "t", "inputSchema": { "type": "object" }, "outputSchema": schema }]);
        Some(if heard.is("tools/list") { tools(heard, &tool) } else { result(heard, answer.clone()) })
    });
    let client = pinned(Client::builder().limits(limits(|limits| limits.schema_bytes = 64 << 10)), &server);
    assert_eq!(client.tools().await?.len(), 1, "whatever its output schema is");
    client.call("t", ()).await.map(drop)
}

fn sum() -> Value {
    json!({ "type": "object", "properties": { "sum": { "type": "integer" } }, "required": ["sum"] })
}

fn structured(content: Value) -> Value {
    json!({ "content": [], "structuredContent": content })
}

#[tokio::test]
async fn structured_content_has_the_form_that_the_tool_has_published() {
    called(sum(), structured(json!({ "sum": 3 }))).await.unwrap();
    for content in [json!({ "sum": "3" }), json!({}), json!([]), json!(3)] {
        let error = called(sum(), structured(content)).await.unwrap_err();
        assert!(matches!(error, Error::Broken(Broken::OutputSchema(_))), "{error}");
    }
    let error = called(sum(), json!({ "content": [] })).await.unwrap_err();
    assert!(matches!(error, Error::Broken(Broken::OutputSchema(_))), "{error}");
}

#[tokio::test]
async fn a_failure_of_the_tool_needs_no_structured_content() {
    let failed = json!({ "content": [{ "type": "text", "text": "no" }], "isError": true });
    called(sum(), failed).await.unwrap();
}

#[tokio::test]
async fn content_that_is_no_object_may_be_what_the_tool_gives() {
    called(json!({ "type": "array", "items": { "type": "integer" } }), structured(json!([1, 2]))).await.unwrap();
}

fn nested(depth: usize) -> Value {
    (0..depth).fold(json!({ "type": "object" }), |schema, _| json!({ "type": "object", "properties": { "a": schema } }))
}

#[tokio::test]
async fn a_list_that_is_nested_without_end_is_a_protocol_error() {
    let server = Scripted::http(|_, request| {
        let (open, close) = (r#"{"a":"#.repeat(200_000), "}".repeat(200_000));
        let list = format!(r#"{{"resultType":"complete","tools":[{{"name":"t","inputSchema":{open}1{close}}}]}}"#);
        plain(200, "application/json", &format!(r#"{{"jsonrpc":"2.0","id":{},"result":{list}}}"#, request["id"]))
    });
    let error = Client::builder().era(Era::Modern).service(server).tools().await.unwrap_err();
    assert!(matches!(error, Error::Broken(Broken::Result(_))), "{error}");
}

#[tokio::test]
async fn schemas_that_cannot_be_used_neither_crash_nor_fetch() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let remote = format!("http://{}/schema.json", listener.local_addr().unwrap());
    let deep = nested(55);
    let branching = Value::Array((0..40).map(|at| json!({ "$ref": format!("#/$defs/{}", (at + 1) % 40) })).collect());
    let hostile = [
        json!({ "$ref": remote }),
        json!({ "type": "object", "properties": { "a": { "$ref": remote } } }),
        json!({ "$schema": remote, "type": "object" }),
        json!({ "$id": remote, "type": "object", "properties": { "a": { "$ref": "other.json" } } }),
        json!({ "$ref": "file:///etc/passwd" }),
        json!({ "$ref": "#" }),
        json!({ "$defs": { "0": { "anyOf": branching } }, "$ref": "#/$defs/0" }),
        json!({ "type": "object", "description": "x".repeat(100 << 10) }),
        json!({ "type": "object", "patternProperties": { "^(a+)+$": {} } }),
        json!({ "type": "nonsense" }),
        deep,
    ];
    for schema in hostile {
        let shown = schema.to_string().chars().take(100).collect::<String>();
        let called = called(schema, structured(json!({ "a": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!" }))).await;
        assert!(matches!(called, Ok(()) | Err(Error::Broken(Broken::OutputSchema(_)))), "{shown}: {called:?}");
    }
    let fetched = listener.accept().map(drop).map_err(|error| error.kind());
    assert_eq!(fetched, Err(std::io::ErrorKind::WouldBlock), "nobody came for the schema");
}
