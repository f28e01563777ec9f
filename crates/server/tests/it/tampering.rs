//! Every byte of every kind of token that the server hands out, changed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anypod_server::proto::sse::{self, Decoder};
use anypod_server::{Body, Limits, Server};
use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use tower_service::Service;

use crate::support::fixture::full;
use crate::support::{Modern, World, call, modern};

fn server() -> Server {
    let mut limits = Limits::default();
    limits.page_items = 1;
    full(&World::default()).limits(limits).build().expect("it builds")
}

/// The token with each of its bytes changed in some ways, cut, and made longer.
fn tampered(token: &str) -> Vec<String> {
    assert!(token.is_ascii() && token.len() > 40, "{token}");
    let mut all = Vec::new();
    for at in 0..token.len() {
        let (before, after) = (&token[..at], &token[at + 1..]);
        let byte = token.as_bytes()[at];
        // A neighbour in the alphabet changes the lowest bits, the others change more or leave the alphabet.
        let flipped = [0x01, 0x02, 0x20, 0x40].map(|bits| char::from(byte ^ bits));
        all.extend(
            flipped
                .iter()
                .chain(&['A', '_', '=', '+', '\0', 'é'])
                .filter(|new| **new != char::from(byte))
                .map(|new| format!("{before}{new}{after}")),
        );
        all.push(format!("{before}{after}"));
        all.push(before.to_owned());
    }
    all.extend(
        ["A", "=", " ", "\n", "%00"].iter().flat_map(|more| [format!("{token}{more}"), format!("{more}{token}")]),
    );
    all.push(token.repeat(2));
    all.retain(|changed| changed != token);
    all
}

/// Sends the request with each of these at `params.<member>`: all are refused, with one and the same answer.
async fn refuses_all(server: &Server, request: &Modern, member: &str, token: &str) {
    let mut answers = Vec::new();
    for changed in tampered(token) {
        let answer = request.clone().param(member, json!(changed)).send(server).await;
        answer.assert_refused(400, -32602);
        answers.push(answer.body);
    }
    // Why a token does not open is not for the caller to learn.
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]));
}

#[tokio::test]
async fn a_request_state_with_any_byte_changed_does_not_open() {
    let server = server();
    let ask = call("ask", json!({})).capable(json!({ "elicitation": {} }));
    let answered = json!({ "name": { "action": "accept", "content": { "name": "Ann" } } });
    let question = ask.send(&server).await;
    let state = question.result()["requestState"].as_str().expect("a state").to_owned();
    let resumed = ask.param("inputResponses", answered);
    assert_eq!(resumed.clone().param("requestState", json!(state)).send(&server).await.text(), "Ann");
    refuses_all(&server, &resumed, "requestState", &state).await;
}

#[tokio::test]
async fn a_cursor_with_any_byte_changed_does_not_open() {
    let server = server();
    for method in ["tools/list", "prompts/list", "resources/list"] {
        let list = modern(method, json!({}));
        let first = list.send(&server).await;
        let cursor = first.result()["nextCursor"].as_str().expect("a cursor").to_owned();
        assert_eq!(list.clone().param("cursor", json!(cursor)).send(&server).await.status, 200);
        refuses_all(&server, &list, "cursor", &cursor).await;
    }
}

#[tokio::test]
async fn a_token_of_one_kind_is_none_of_another() {
    let server = server();
    let ask = call("ask", json!({})).capable(json!({ "elicitation": {} }));
    let state = ask.send(&server).await.result()["requestState"].clone();
    let cursor = modern("tools/list", json!({})).send(&server).await.result()["nextCursor"].clone();
    ask.param("requestState", cursor).send(&server).await.assert_refused(400, -32602);
    modern("tools/list", json!({ "cursor": state })).send(&server).await.assert_refused(400, -32602);
}

#[tokio::test]
async fn a_state_never_looks_the_same_twice() {
    let server = server();
    let ask = call("ask", json!({})).capable(json!({ "elicitation": {} }));
    let mut seen = BTreeSet::new();
    for _ in 0..3 {
        let answer = ask.send(&server).await;
        assert!(seen.insert(answer.result()["requestState"].as_str().expect("a state").to_owned()));
    }
}

#[tokio::test]
async fn what_is_no_state_at_all_is_refused_before_anything_runs() {
    let ran = Arc::new(AtomicU64::new(0));
    let server = full(&World::default()).state(Arc::clone(&ran)).build().expect("it builds");
    for state in ["", "x", "null", "{}", "AAAA", &"A".repeat(70_000)] {
        call("count", json!({})).param("requestState", json!(state)).send(&server).await.assert_refused(400, -32602);
    }
    assert_eq!(ran.load(Ordering::Relaxed), 0);
    let null = call("count", json!({})).param("requestState", Value::Null).send(&server).await;
    null.assert_refused(400, -32602);
}

/// A message of a legacy client, raw.
async fn legacy(
    server: &Server,
    method: http::Method,
    session: Option<&str>,
    message: Value,
) -> Option<Response<Body>> {
    let mut request = Request::new(Full::<Bytes>::from(message.to_string()));
    *request.method_mut() = method;
    *request.uri_mut() = "/mcp".parse().expect("a path");
    let accept = "application/json, text/event-stream";
    let plain = [
        ("host", "localhost:8080"),
        ("content-type", "application/json"),
        ("accept", accept),
        ("mcp-protocol-version", "2025-06-18"),
    ];
    for (name, value) in plain {
        request.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    if let Some(session) = session {
        // What is no header value never gets here.
        request.headers_mut().insert("mcp-session-id", HeaderValue::from_bytes(session.as_bytes()).ok()?);
    }
    let Ok(response) = server.clone().call(request).await;
    Some(response)
}

async fn session(server: &Server) -> String {
    let client = json!({ "name": "old", "version": "1" });
    let params =
        json!({ "protocolVersion": "2025-06-18", "capabilities": { "elicitation": {} }, "clientInfo": client });
    let initialize = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params });
    let opened = legacy(server, http::Method::POST, None, initialize).await.expect("a response");
    opened.headers()["mcp-session-id"].to_str().expect("text").to_owned()
}

#[tokio::test]
async fn a_session_id_with_any_byte_changed_is_unknown_to_every_method() {
    let server = server();
    let session = session(&server).await;
    let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
    let good = legacy(&server, http::Method::POST, Some(&session), ping.clone()).await.expect("a response");
    assert_eq!(good.status(), 200);
    let mut bodies = BTreeSet::new();
    for changed in tampered(&session) {
        for method in [http::Method::POST, http::Method::GET, http::Method::DELETE] {
            let Some(answer) = legacy(&server, method.clone(), Some(&changed), ping.clone()).await else { continue };
            assert_eq!(answer.status(), 404, "{method} {changed:?}");
            let body = answer.into_body().collect().await.expect("bodies do not fail").to_bytes();
            let error: Value = serde_json::from_slice(&body).expect("JSON");
            bodies.insert(error["error"].to_string());
        }
    }
    assert_eq!(bodies.len(), 1, "why an id does not open is not for the caller to learn: {bodies:?}");
}

#[tokio::test]
async fn a_questions_id_with_any_byte_changed_answers_nothing() {
    let server = server();
    let session = session(&server).await;
    let params = json!({ "name": "ask", "arguments": {} });
    let ask = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
    let mut stream = legacy(&server, http::Method::POST, Some(&session), ask).await.expect("a response").into_body();
    let mut decoder = Decoder::new(sse::Limits::default());
    let question = loop {
        let mut bytes = stream.frame().await.expect("bytes").expect("bodies do not fail").into_data().expect("data");
        if let Some(event) = decoder.read(&mut bytes).expect("a stream") {
            break serde_json::from_str::<Value>(&event.data).expect("JSON");
        }
    };
    let id = question["id"].as_str().expect("a sealed id").to_owned();
    let answer = |id: &str, name: &str| {
        let result = json!({ "action": "accept", "content": { "name": name } });
        json!({ "jsonrpc": "2.0", "id": id, "result": result })
    };
    for changed in tampered(&id) {
        let forged = answer(&changed, "Eve");
        let refused = legacy(&server, http::Method::POST, Some(&session), forged).await.expect("a response");
        assert_eq!(refused.status(), 400, "{changed:?}");
    }
    let genuine = legacy(&server, http::Method::POST, Some(&session), answer(&id, "Ann")).await.expect("a response");
    assert_eq!(genuine.status(), 202);
    let rest = stream.collect().await.expect("bodies do not fail").to_bytes();
    let rest = String::from_utf8_lossy(&rest);
    assert!(rest.contains("Ann") && !rest.contains("Eve"), "{rest}");
}
