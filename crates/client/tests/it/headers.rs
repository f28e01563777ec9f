//! Headers that say what the body says, and tools that say which arguments do.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anypod_client::proto::version::Era;
use anypod_client::{Client, Error, Repeat};
use anypod_server::{Args, Tool};
use serde_json::{Value, json};

use crate::legacy::server::{Heard, Server};
use crate::modern::{client, error, text, tools};

const MISMATCH: i32 = -32020;

fn tool(name: &str, properties: &Value) -> Value {
    json!({ "name": name, "inputSchema": { "type": "object", "properties": properties } })
}

/// A tool whose arguments become headers.
fn query() -> Value {
    let nested = json!({ "type": "object", "properties": { "id": { "type": "integer", "x-mcp-header": "Tenant" } } });
    tool(
        "query",
        &json!({
            "region": { "type": "string", "x-mcp-header": "Region" },
            "count": { "type": "integer", "x-mcp-header": "Count" },
            "dry": { "type": "boolean", "x-mcp-header": "Dry" },
            "tenant": nested,
            "sql": { "type": "string" },
        }),
    )
}

/// A server that lists these and answers every call.
fn listing(listed: Value) -> Server {
    Server::new(move |heard| Some(if heard.is("tools/list") { tools(heard, &listed) } else { text(heard, "done") }))
}

fn params_of(heard: &Heard) -> Vec<(&str, &str)> {
    let mut found: Vec<_> = heard
        .headers
        .iter()
        .filter(|(name, _)| name.as_str().starts_with("mcp-param-"))
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
        .collect();
    found.sort_unstable();
    found
}

#[tokio::test]
async fn every_request_says_its_version_method_and_name() {
    let server = Server::new(|heard| Some(error(heard, 400, -32602)));
    let client = client(&server);
    let _ = client.call("add", ()).await;
    let _ = client.call("añadir", ()).await;
    let _ = client.call(" padded ", ()).await;
    let _ = client.call("=?base64?eA==?=", ()).await;
    let _ = client.read("file:///a b/é").await;
    let _ = client.prompt::<&str, &str>("p", []).await;
    let _ = client.tools().await;
    let _ = client.task::<anypod_client::Raw>("t-1").get().await;
    let sent: Vec<_> = server
        .log()
        .iter()
        .map(|heard| {
            assert_eq!(heard.header("mcp-protocol-version"), Some("2026-07-28"));
            assert_eq!(heard.header("content-type"), Some("application/json"));
            assert_eq!(heard.header("accept"), Some("application/json, text/event-stream"));
            assert_eq!(heard.header("mcp-method"), heard.body["method"].as_str());
            heard.header("mcp-name").unwrap_or("none").to_owned()
        })
        .collect();
    assert_eq!(
        sent,
        [
            "add",
            "=?base64?YcOxYWRpcg==?=",
            "=?base64?IHBhZGRlZCA=?=",
            "=?base64?PT9iYXNlNjQ/ZUE9PT89?=",
            "=?base64?ZmlsZTovLy9hIGIvw6k=?=",
            "p",
            "none",
            "t-1",
        ]
    );
}

#[tokio::test]
async fn arguments_become_headers_once_the_tool_is_listed() {
    let server = listing(json!([query()]));
    let client = client(&server);
    let arguments = json!({ "region": "us-west1", "count": -7, "dry": false, "tenant": { "id": 42 }, "sql": "select" });
    client.call("query", &arguments).await.unwrap();
    client.tools().await.unwrap();
    client.call("query", &arguments).await.unwrap();
    client.call("query", json!({ "region": "Hello, 世界", "count": null, "tenant": {} })).await.unwrap();
    client.call("query", json!({ "region": "line1\nline2", "count": "5", "dry": true })).await.unwrap();
    client.call("query", ()).await.unwrap();
    let log = server.log();
    let calls: Vec<_> = log.iter().filter(|heard| heard.is("tools/call")).map(params_of).collect();
    let all = [
        ("mcp-param-count", "-7"),
        ("mcp-param-dry", "false"),
        ("mcp-param-region", "us-west1"),
        ("mcp-param-tenant", "42"),
    ];
    assert_eq!(calls[0], [], "not listed yet");
    assert_eq!(calls[1], all);
    assert_eq!(calls[2], [("mcp-param-region", "=?base64?SGVsbG8sIOS4lueVjA==?=")]);
    assert_eq!(calls[3], [("mcp-param-dry", "true"), ("mcp-param-region", "=?base64?bGluZTEKbGluZTI=?=")]);
    assert_eq!(calls[4], []);
}

#[tokio::test]
async fn an_integer_that_no_header_can_say_is_refused_before_it_is_sent() {
    let server = listing(json!([query()]));
    let client = client(&server);
    client.tools().await.unwrap();
    let error = client.call("query", json!({ "count": 9_007_199_254_740_993_i64 })).await.unwrap_err();
    assert!(matches!(error, Error::Misuse(_)), "{error}");
    assert_eq!(server.log().len(), 1);
}

#[tokio::test]
async fn tools_with_invalid_annotations_are_left_out_and_the_others_kept() {
    let header = |kind: &str, name: Value| tool("bad", &json!({ "a": { "type": kind, "x-mcp-header": name } }));
    let invalid = [
        header("string", json!("")),
        header("string", json!("a b")),
        header("string", json!("a\r\nb")),
        header("string", json!("é")),
        header("string", json!(5)),
        header("number", json!("A")),
        header("object", json!("A")),
        header("array", json!("A")),
        tool(
            "bad",
            &json!({ "a": { "type": "string", "x-mcp-header": "X" }, "b": { "type": "string", "x-mcp-header": "x" } }),
        ),
        tool("bad", &json!({ "a": { "type": "array", "items": { "type": "string", "x-mcp-header": "X" } } })),
        tool("bad", &json!({ "a": { "anyOf": [{ "type": "string", "x-mcp-header": "X" }] } })),
    ];
    for bad in invalid {
        let server = listing(json!([tool("plain", &json!({})), bad, query()]));
        let listed = client(&server).tools().await.unwrap();
        let names: Vec<_> = listed.iter().map(|tool| tool.name.as_str()).collect();
        assert_eq!(names, ["plain", "query"], "{bad}");
    }
}

#[tokio::test]
async fn a_legacy_servers_annotations_mean_nothing() {
    let bad = tool("bad", &json!({ "a": { "type": "number", "x-mcp-header": "A" } }));
    let listed = json!([bad, query()]);
    let server = Server::new(move |heard| {
        heard.is("tools/list").then(|| {
            crate::legacy::server::json(&json!({ "jsonrpc": "2.0", "id": heard.id(), "result": { "tools": listed } }))
        })
    });
    let client = Client::builder().era(Era::Legacy).service(server.clone());
    assert_eq!(client.tools().await.unwrap().len(), 2);
    let _ = client.call("query", json!({ "count": 9_007_199_254_740_993_i64 })).await;
    let called = server.heard(|heard| heard.is("tools/call"));
    assert_eq!(called[0].body["params"]["arguments"]["count"], 9_007_199_254_740_993_i64);
    assert_eq!(params_of(&called[0]), []);
}

/// A server that refuses calls without a header, and lists the tool with these properties.
fn strict(properties: Value) -> Server {
    Server::new(move |heard| {
        Some(match heard.header("mcp-param-zone") {
            _ if heard.is("tools/list") => tools(heard, &json!([tool("query", &properties)])),
            Some("eu") => text(heard, "done"),
            Some(_) | None => error(heard, 400, MISMATCH),
        })
    })
}

fn methods(server: &Server) -> Vec<String> {
    server.log().iter().map(|heard| heard.body["method"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_call_whose_headers_are_refused_is_sent_once_more_after_the_tools_are_listed() {
    let server = strict(json!({ "zone": { "type": "string", "x-mcp-header": "Zone" } }));
    client(&server).call("query", json!({ "zone": "eu" })).await.unwrap();
    assert_eq!(methods(&server), ["tools/call", "tools/list", "tools/call"]);
    assert_ne!(server.log()[0].id(), server.log()[2].id());
}

#[tokio::test]
async fn a_call_whose_headers_are_refused_again_is_not_sent_a_third_time() {
    let server = strict(json!({}));
    let error = client(&server).call("query", json!({ "zone": "eu" })).await.unwrap_err();
    assert!(matches!(&error, Error::Answered(error) if error.code == MISMATCH), "{error}");
    assert_eq!(methods(&server), ["tools/call", "tools/list", "tools/call"]);
}

#[tokio::test]
async fn a_list_that_cannot_be_had_leaves_the_refusal() {
    let server = Server::new(|heard| {
        Some(if heard.is("tools/list") { error(heard, 404, -32601) } else { error(heard, 400, MISMATCH) })
    });
    let error = client(&server).call("query", ()).await.unwrap_err();
    assert!(matches!(&error, Error::Answered(error) if error.code == MISMATCH), "{error}");
    assert_eq!(methods(&server), ["tools/call", "tools/list"]);
}

#[tokio::test]
async fn the_tool_is_looked_for_on_all_pages() {
    let server = Server::new(|heard| {
        let zone = json!({ "zone": { "type": "string", "x-mcp-header": "Zone" } });
        Some(match (heard.header("mcp-method"), heard.body["params"].get("cursor")) {
            (Some("tools/list"), None) => crate::modern::result(
                heard,
                json!({ "tools": [], "nextCursor": "", "ttlMs": 0, "cacheScope": "private" }),
            ),
            (Some("tools/list"), Some(_)) => tools(heard, &json!([tool("query", &zone)])),
            _ if heard.header("mcp-param-zone").is_some() => text(heard, "done"),
            _ => error(heard, 400, MISMATCH),
        })
    });
    client(&server).call("query", json!({ "zone": "eu" })).await.unwrap();
    assert_eq!(methods(&server), ["tools/call", "tools/list", "tools/list", "tools/call"]);
}

#[tokio::test]
async fn listing_again_does_not_overrule_what_the_caller_said_of_repeats() {
    let mut reading = tool("query", &json!({ "zone": { "type": "string", "x-mcp-header": "Zone" } }));
    reading["annotations"] = json!({ "readOnlyHint": true });
    let server = Server::new(move |heard| {
        Some(match heard.header("mcp-param-zone") {
            _ if heard.is("tools/list") => tools(heard, &json!([reading])),
            Some(_) => crate::legacy::server::streamed(": and nothing more\n\n"),
            None => error(heard, 400, MISMATCH),
        })
    });
    let call = client(&server).call("query", json!({ "zone": "eu" })).repeatable(Repeat::Never);
    let error = call.await.unwrap_err();
    assert!(matches!(error, Error::OutcomeUnknown { .. }), "{error}");
    assert_eq!(methods(&server), ["tools/call", "tools/list", "tools/call"]);
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Zone {
    zone: String,
}

#[tokio::test]
async fn our_own_server_takes_what_our_own_client_mirrors() {
    let ran = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&ran);
    let handler = move |Args(Zone { zone }): Args<Zone>| {
        counted.fetch_add(1, Ordering::Relaxed);
        async move { zone }
    };
    let schema = json!({
        "type": "object", "properties": { "zone": { "type": "string", "x-mcp-header": "Zone" } }, "required": ["zone"]
    });
    let tool = Tool::new("query", handler).input_schema(schema);
    let server = anypod_server::Server::new("zones", "1.0.0").tool(tool).build().unwrap();
    let client = Client::builder().service(server);
    assert_eq!(client.call_as::<String>("query", json!({ "zone": "Île 7 " })).await.unwrap(), "Île 7 ");
    assert_eq!(ran.load(Ordering::Relaxed), 1);
}
