//! Servers of both eras over a wire: which of them the client ends up speaking to, and how.

use std::future::IntoFuture;
use std::time::Duration;

use anypod_client::{Bearer, Client, Error};
use anypod_testkit::script::{Expect, Received, Reply, Script, Server};
use serde_json::{Value, json};

fn handshake() -> Value {
    json!({ "protocolVersion": "2025-06-18", "capabilities": { "tools": {} }, "serverInfo": { "name": "a", "version": "1" } })
}

/// A legacy server, which answers so whatever has no session.
async fn legacy(quirk: Reply) -> Server {
    let session = |expect: Expect| expect.with(anypod_client::proto::header::SESSION_ID, "s1");
    let page = json!({ "tools": [{ "name": "add", "inputSchema": { "type": "object" } }] });
    Script::new()
        .always(Expect::method("initialize"), Reply::result(&handshake()).header("mcp-session-id", "s1"))
        .always(session(Expect::method("notifications/initialized")), Reply::empty(202))
        .always(session(Expect::verb(http::Method::GET)), Reply::empty(405))
        .always(session(Expect::method("tools/list")), Reply::result(&page))
        .always(session(Expect::method("tools/call")), Reply::result(&json!({ "content": [] })))
        .always(Expect::any(), quirk)
        .serve()
        .await
        .unwrap()
}

fn quirks() -> Vec<Reply> {
    let json = |status, body: &str| Reply::text(status, "application/json", body.to_owned());
    let error = |code: i32| json!({ "code": code, "message": "no" });
    vec![
        json(400, r#"{"jsonrpc":"2.0","error":{"code":-32000,"message":"Server not initialized"},"id":null}"#),
        json(400, r#"{"jsonrpc":"2.0","error":{"code":-32000,"message":"Unsupported protocol version"},"id":null}"#),
        json(400, r#"{"jsonrpc":"2.0","error":{"code":-32600,"message":"no"},"id":"server-error"}"#),
        json(200, r#"{"jsonrpc":"2.0","error":{"code":-32600,"message":"no"},"id":"server-error"}"#),
        json(200, r#"{"jsonrpc":"2.0","error":{"code":-32600,"message":"no"},"id":null}"#),
        json(200, r#"[{"jsonrpc":"2.0","error":{"code":-32600,"message":"no"},"id":null}]"#),
        json(200, r#"{"status":"ok"}"#),
        json(200, ""),
        json(404, r#"{"jsonrpc":"2.0","error":{"code":-32001,"message":"Session not found"},"id":null}"#),
        Reply::error(200, -32601, "Method not found"),
        Reply::error(200, -32602, "Invalid request parameters"),
        Reply::error(400, -32602, "Invalid request parameters"),
        Reply::error(500, -32603, "Internal error"),
        Reply::events().event_error(-32601, "Method not found"),
        Reply::events().event_error(-32602, "Invalid request parameters"),
        Reply::events().event(&json!({ "jsonrpc": "2.0", "id": null, "error": error(-32000) })),
        Reply::events().event(&json!({ "jsonrpc": "2.0", "id": "server-error", "error": error(-32600) })),
        Reply::text(404, "text/plain", "invalid session"),
        Reply::text(400, "text/html", "<html>Bad Request</html>"),
        Reply::text(500, "text/html", "<html>Internal Server Error</html>"),
        Reply::text(200, "text/html", "<form action=/login>"),
        Reply::text(403, "text/html", "<html>Forbidden</html>"),
        Reply::text(422, "text/plain", "expected initialize request"),
        Reply::empty(404),
        Reply::empty(400),
        Reply::empty(202),
        Reply::empty(405),
        Reply::empty(406),
        Reply::empty(415),
    ]
}

#[tokio::test]
async fn no_known_quirk_stops_the_fallback_of_a_call() {
    for quirk in quirks() {
        let server = legacy(quirk.clone()).await;
        let client = Client::connect(&server.url()).unwrap();
        let called = bounded(client.call("add", json!({}))).await;
        assert!(called.is_ok(), "{quirk:?}: {called:?}");
        assert_eq!(count(&server, "tools/call"), 1, "{quirk:?}");
    }
}

#[tokio::test]
async fn no_known_quirk_stops_the_fallback_of_a_list() {
    for quirk in quirks() {
        let server = legacy(quirk.clone()).await;
        let client = Client::connect(&server.url()).unwrap();
        let tools = bounded(client.tools()).await;
        assert_eq!(tools.map(|tools| tools.len()).ok(), Some(1), "{quirk:?}: {:?}", server.methods());
    }
}

#[tokio::test]
async fn credentials_that_are_refused_where_a_session_is_missing_do_not_stop_the_fallback() {
    let server = legacy(Reply::text(401, "text/plain", "Session ID is required")).await;
    let client = Client::builder().credentials(Bearer::new("good").unwrap()).connect(&server.url()).unwrap();
    bounded(client.call("add", json!({}))).await.unwrap();
    bounded(client.tools()).await.unwrap();
}

#[tokio::test]
async fn a_modern_error_never_leads_to_initialize() {
    let supported = json!({ "supported": ["2099-01-01"], "requested": "2026-07-28" });
    let version = json!({ "code": -32022, "message": "no", "data": supported });
    let errors = [
        Reply::error(400, -32020, "header mismatch"),
        Reply::error(400, -32021, "needs elicitation"),
        Reply::error(400, -32022, "no such version"),
        Reply::error(404, -32601, "Method not found"),
        Reply::events().event_error(-32021, "needs elicitation"),
        Reply::json(&json!({ "jsonrpc": "2.0", "id": null, "error": version })).status(400),
    ];
    for error in errors {
        let server = Script::new().always(Expect::any(), error.clone()).serve().await.unwrap();
        let client = Client::connect(&server.url()).unwrap();
        assert!(bounded(client.call("add", json!({}))).await.is_err(), "{error:?}");
        assert!(bounded(client.prompts()).await.is_err(), "{error:?}");
        assert_eq!(count(&server, "initialize"), 0, "{error:?}");
    }
}

#[tokio::test]
async fn an_error_of_both_eras_from_a_server_of_both_eras_leaves_it_modern() {
    let versions = json!({ "resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": {} });
    let server = Script::new()
        .always(Expect::method("server/discover"), Reply::result(&versions))
        .always(Expect::method("initialize"), Reply::result(&handshake()))
        .always(Expect::any(), Reply::error(400, -32602, "unknown prompt"))
        .serve()
        .await
        .unwrap();
    let client = Client::connect(&server.url()).unwrap();
    let error = bounded(client.prompt("a", [("b", "c")])).await.unwrap_err();
    assert!(matches!(error, Error::Answered(_)), "{error:?}");
    assert_eq!(count(&server, "initialize"), 0);
}

#[tokio::test]
async fn the_first_answer_stands_where_nothing_answers_initialize_either() {
    let reply = |received: &Received| match received.method().as_deref() {
        Some("initialize") => Reply::text(500, "text/plain", "what?"),
        _ => Reply::error(200, -32601, "the first answer"),
    };
    let server = Script::new().always(Expect::any(), reply).serve().await.unwrap();
    let client = Client::connect(&server.url()).unwrap();
    let error = bounded(client.prompts()).await.unwrap_err();
    assert!(matches!(&error, Error::Answered(error) if error.message == "the first answer"), "{error:?}");
    assert!(count(&server, "initialize") > 0);
}

#[tokio::test]
async fn a_modern_server_that_says_so_to_initialize_is_modern_and_its_first_answer_stands() {
    let supported = json!({ "supported": ["2026-07-28"], "requested": "2025-11-25" });
    let refused = json!({ "code": -32022, "message": "no", "data": supported });
    let reply = move |received: &Received| match received.method().as_deref() {
        Some("initialize") => {
            Reply::json(&json!({ "jsonrpc": "2.0", "id": received.id(), "error": refused })).status(400)
        }
        _ => Reply::error(200, -32602, "the first answer"),
    };
    let server = Script::new().always(Expect::any(), reply).serve().await.unwrap();
    let client = Client::connect(&server.url()).unwrap();
    for _ in 0..2 {
        let error = bounded(client.prompts()).await.unwrap_err();
        assert!(matches!(&error, Error::Answered(error) if error.message == "the first answer"), "{error:?}");
    }
    assert_eq!(count(&server, "initialize"), 1);
}

fn count(server: &Server, method: &str) -> usize {
    server.methods().iter().filter(|asked| *asked == method).count()
}

async fn bounded<F: IntoFuture>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(20), future.into_future()).await.expect("a client never waits for ever")
}
