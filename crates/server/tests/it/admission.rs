//! What a server refuses, with which status and code, and what it says about it.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use anypod_server::{Limits, Rate, Server, State, Tool};
use bytes::Bytes;
use http_body::Frame;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tower_service::Service;

use crate::support::fixture::{base, full, server};
use crate::support::{Answer, Modern, VERSION, World, call, modern};

fn echo() -> Modern {
    call("echo", json!({ "text": "hello" }))
}

async fn refused(request: Modern, status: u16, code: i32) -> Answer {
    let answer = request.send(&server()).await;
    answer.assert_refused(status, code);
    answer
}

/// A header that does not agree: which one, what the body says, what came.
async fn mismatch(request: Modern, header: &str, expected: Value, found: Value) {
    let answer = refused(request, 400, -32020).await;
    assert_eq!(answer.data(), &json!({ "header": header, "expected": expected, "found": found }));
    assert_eq!(answer.response()["id"], 1);
}

#[tokio::test]
async fn takes_a_request_that_is_right() {
    let answer = echo().send(&server()).await;
    assert_eq!((answer.status.as_u16(), answer.text()), (200, "hello"));
    assert_eq!(answer.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn headers_that_do_not_belong_to_a_modern_request_do_not_matter() {
    let server = server();
    for (name, value) in [("mcp-session-id", "x"), ("last-event-id", "7"), ("mcp-param-other", "=?base64?!?=")] {
        assert_eq!(echo().header(name, value).send(&server).await.text(), "hello", "{name}");
    }
    let list = modern("tools/list", json!({})).header("mcp-name", "whatever").send(&server).await;
    assert_eq!(list.status, 200);
}

#[tokio::test]
async fn names_the_header_that_says_something_else_than_the_body() {
    let version = "mcp-protocol-version";
    mismatch(echo().header(version, "2026-07-29"), version, json!(VERSION), json!("2026-07-29")).await;
    mismatch(echo().header(version, "2025-11-25"), version, json!(VERSION), json!("2025-11-25")).await;
    mismatch(echo().header("mcp-method", "tools/list"), "mcp-method", json!("tools/call"), json!("tools/list")).await;
    mismatch(echo().header("mcp-method", "TOOLS/CALL"), "mcp-method", json!("tools/call"), json!("TOOLS/CALL")).await;
    mismatch(echo().header("mcp-name", "add"), "mcp-name", json!("echo"), json!("add")).await;
    mismatch(echo().header("mcp-name", "Echo"), "mcp-name", json!("echo"), json!("Echo")).await;
    mismatch(echo().header("mcp-name", ""), "mcp-name", json!("echo"), json!("")).await;
    mismatch(echo().header("mcp-name", "=?base64?YWRk?="), "mcp-name", json!("echo"), json!("add")).await;
    let read = modern("resources/read", json!({ "uri": "note://one" })).header("mcp-name", "note://two");
    mismatch(read, "mcp-name", json!("note://one"), json!("note://two")).await;
    let get = modern("prompts/get", json!({ "name": "essay" })).header("mcp-name", "interview");
    mismatch(get, "mcp-name", json!("essay"), json!("interview")).await;
}

#[tokio::test]
async fn names_the_header_that_is_missing() {
    let expected = [("mcp-protocol-version", VERSION), ("mcp-method", "tools/call"), ("mcp-name", "echo")];
    for (header, expected) in expected {
        mismatch(echo().without(header), header, json!(expected), Value::Null).await;
    }
}

#[tokio::test]
async fn refuses_a_header_that_is_given_twice_even_with_the_same_value() {
    for (header, value) in [("mcp-protocol-version", VERSION), ("mcp-method", "tools/call"), ("mcp-name", "echo")] {
        let answer = refused(echo().more(header, value.as_bytes()), 400, -32020).await;
        assert_eq!(answer.data()["header"], header);
    }
}

#[tokio::test]
async fn says_why_a_header_cannot_be_read() {
    for value in ["=?base64?ZWNobw?=", "=?base64?!!!?=", "=?base64?/w==?="] {
        let answer = refused(echo().header("mcp-name", value), 400, -32020).await;
        assert_eq!(answer.data()["header"], "mcp-name", "{value}");
        assert!(answer.data()["reason"].is_string(), "{value}");
    }
    for header in ["mcp-name", "mcp-method", "mcp-protocol-version"] {
        let answer = refused(echo().without(header).more(header, b"\xff"), 400, -32020).await;
        assert_eq!(answer.data()["header"], header);
    }
}

#[tokio::test]
async fn reads_encoded_names_and_space_around_values() {
    let server = server();
    for value in ["=?base64?ZWNobw==?=", "  echo\t", " =?base64?ZWNobw==?= "] {
        assert_eq!(echo().header("mcp-name", value).send(&server).await.text(), "hello", "{value}");
    }
    let spaced = echo().header("mcp-method", " tools/call ").header("mcp-protocol-version", "\t2026-07-28 ");
    assert_eq!(spaced.send(&server).await.text(), "hello");
    // The markers are case-sensitive: another spelling stands for itself.
    refused(echo().header("mcp-name", "=?BASE64?ZWNobw==?="), 400, -32020).await;
}

#[tokio::test]
async fn refuses_versions_that_it_does_not_speak_and_lists_those_that_it_does() {
    for version in ["2027-01-01", "1.0", "", "2026-07-28 ", "2025-11-25"] {
        let request = echo().meta("protocolVersion", json!(version)).header("mcp-protocol-version", version);
        let answer = request.send(&server()).await;
        if version.ends_with(' ') {
            // Space around a header's value is not part of it, in the body it is.
            answer.assert_refused(400, -32020);
            continue;
        }
        answer.assert_refused(400, -32022);
        assert_eq!(answer.data(), &json!({ "supported": [VERSION], "requested": version }));
    }
}

#[tokio::test]
async fn checks_the_version_headers_before_the_version_and_that_before_all_else() {
    let broken = |request: Modern| request.without("mcp-method").without("mcp-name").without_meta("clientCapabilities");
    // The header says an unknown version, the body another: the mismatch comes first.
    let both = broken(echo()).meta("protocolVersion", json!("2027-01-01")).header("mcp-protocol-version", "2027-01-02");
    assert_eq!(refused(both, 400, -32020).await.data()["header"], "mcp-protocol-version");
    // Both say the same unknown version: nothing else of that version is judged.
    let unknown =
        broken(echo()).meta("protocolVersion", json!("2027-01-01")).header("mcp-protocol-version", "2027-01-01");
    refused(unknown, 400, -32022).await;
    assert_eq!(refused(broken(echo()), 400, -32020).await.data()["header"], "mcp-method");
    let name = echo().without("mcp-name").without_meta("clientCapabilities");
    assert_eq!(refused(name, 400, -32020).await.data()["header"], "mcp-name");
    let field = "params._meta.io.modelcontextprotocol/clientCapabilities";
    assert_eq!(refused(echo().without_meta("clientCapabilities"), 400, -32602).await.data()["field"], field);
}

#[tokio::test]
async fn names_the_field_of_meta_that_is_missing_or_of_another_kind() {
    for name in ["protocolVersion", "clientCapabilities"] {
        let field = format!("params._meta.io.modelcontextprotocol/{name}");
        assert_eq!(refused(echo().without_meta(name), 400, -32602).await.data()["field"], field);
        for (wrong, kind) in [(json!(5), "number"), (json!(null), "null"), (json!([]), "array")] {
            let answer = refused(echo().meta(name, wrong), 400, -32602).await;
            assert_eq!((&answer.data()["field"], &answer.data()["found"]), (&json!(field), &json!(kind)));
        }
    }
    let level = refused(echo().meta("logLevel", json!("loud")), 400, -32602).await;
    assert_eq!(level.data()["field"], "params._meta.io.modelcontextprotocol/logLevel");
    let token = refused(echo().meta("progressToken", json!([1])), 400, -32602).await;
    assert_eq!(
        (&token.data()["field"], &token.data()["found"]),
        (&json!("params._meta.progressToken"), &json!("array"))
    );
    let meta = refused(echo().param("_meta", json!("none")), 400, -32602).await;
    assert_eq!((&meta.data()["field"], &meta.data()["found"]), (&json!("params._meta"), &json!("string")));
}

#[tokio::test]
async fn names_the_parameter_that_is_missing_or_of_another_kind() {
    for (method, field) in [("tools/call", "name"), ("prompts/get", "name"), ("resources/read", "uri")] {
        let field_path = format!("params.{field}");
        let missing = refused(modern(method, json!({})), 400, -32602).await;
        assert_eq!(missing.data()["field"], field_path);
        let wrong = refused(modern(method, json!({ field: 7 })).header("mcp-name", "7"), 400, -32602).await;
        assert_eq!(wrong.data(), &json!({ "field": field_path, "expected": "a string", "found": "number" }));
    }
    for (name, value) in [("arguments", json!([1])), ("inputResponses", json!("x")), ("requestState", json!({}))] {
        let answer = refused(echo().param(name, value), 400, -32602).await;
        assert_eq!(answer.data()["field"], format!("params.{name}"));
    }
    let cursor = refused(modern("tools/list", json!({ "cursor": 3 })), 400, -32602).await;
    assert_eq!(cursor.data()["field"], "params.cursor");
    let params = echo().edited(|text| text.replace("\"params\":{", "\"params\":[],\"more\":{"));
    assert_eq!(refused(params, 400, -32602).await.data()["field"], "params");
}

#[tokio::test]
async fn refuses_a_member_that_stands_twice_in_whatever_spelling() {
    let twice = [
        ("\"id\":1", "\"id\":1,\"id\":1", "id"),
        ("\"id\":1", "\"id\":1,\"\\u0069d\":2", "id"),
        ("\"jsonrpc\":\"2.0\"", "\"jsonrpc\":\"2.0\",\"jsonrpc\":\"2.0\"", "jsonrpc"),
        ("\"method\":", "\"method\":\"tools/list\",\"method\":", "method"),
        ("\"method\":", "\"m\\u0065thod\":\"tools/call\",\"method\":", "method"),
        ("\"name\":\"echo\"", "\"name\":\"echo\",\"na\\u006de\":\"boom\"", "params.name"),
        ("\"name\":\"echo\"", "\"name\":\"boom\",\"name\":\"echo\"", "params.name"),
        ("\"arguments\":", "\"arguments\":{},\"argument\\u0073\":", "params.arguments"),
        ("\"_meta\":", "\"_meta\":{},\"_meta\":", "params._meta"),
        ("\"params\":", "\"params\":{},\"params\":", "params"),
    ];
    for (what, with, field) in twice {
        let answer = echo().edited(|text| text.replacen(what, with, 1)).send(&server()).await;
        assert_eq!(answer.status, 400, "{with}");
        assert_eq!(answer.data()["field"], field, "{with}: {}", answer.response());
    }
    let version = "\"io.modelcontextprotocol/protocolVersion\":";
    for again in [version.to_owned(), version.replace("io", "\\u0069o")] {
        let edited = echo().edited(|text| text.replacen(version, &format!("{version}\"{VERSION}\",{again}"), 1));
        let answer = refused(edited, 400, -32600).await;
        assert_eq!(answer.data()["field"], "params._meta.io.modelcontextprotocol/protocolVersion");
    }
}

#[tokio::test]
async fn reads_escaped_spellings_of_names_and_values() {
    let escaped = echo().edited(|text| text.replace("\"name\":\"echo\"", "\"na\\u006de\":\"\\u0065cho\""));
    assert_eq!(escaped.send(&server()).await.text(), "hello");
    // And no such spelling passes by the comparison with the header.
    let hidden = echo().edited(|text| text.replace("\"name\":\"echo\"", "\"na\\u006de\":\"\\u0062oom\""));
    refused(hidden, 400, -32020).await;
}

#[tokio::test]
async fn refuses_what_is_not_json() {
    for body in ["", "{", "hello", "{\"jsonrpc\":\"2.0\",}", "\u{feff}{}", "{} {}", "{'a':1}", "NaN", "[1,"] {
        let answer = refused(echo().body(body), 400, -32700).await;
        assert!(answer.response().get("id").is_none(), "{body}");
    }
    let answer = refused(echo().body(b"{\"a\":\"\xff\"}"), 400, -32700).await;
    assert_eq!(answer.data(), &json!({ "at": 6 }));
    let deep = format!("{}{}", "{\"a\":".repeat(200), "}".repeat(200));
    refused(echo().body(deep), 400, -32700).await;
    let deep = format!("[{}{}]", "[".repeat(10_000), "]".repeat(10_000));
    refused(echo().body(deep), 400, -32700).await;
}

#[tokio::test]
async fn refuses_json_that_is_no_message_of_a_client() {
    for body in [
        "null",
        "1",
        "\"tools/list\"",
        "{}",
        r#"{"id":1,"method":"tools/list"}"#,
        r#"{"jsonrpc":"1.0","id":1,"method":"tools/list"}"#,
        r#"{"jsonrpc":2.0,"id":1,"method":"tools/list"}"#,
        r#"{"jsonrpc":"2.0","id":1}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":null}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":["tools/list"]}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"no"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","result":{}}"#,
    ] {
        let answer = echo().body(body).send(&server()).await;
        assert_eq!((answer.status.as_u16(), &answer.error()["code"]), (400, &json!(-32600)), "{body}");
    }
}

#[tokio::test]
async fn takes_strings_and_integers_as_ids_and_nothing_else() {
    let server = server();
    for id in [json!(0), json!(-7), json!("a"), json!(""), json!("\u{0}\"\u{1f600}"), json!(i64::MAX)] {
        let answer = echo().id(id.clone()).send(&server).await;
        assert_eq!((answer.text(), &answer.response()["id"]), ("hello", &id));
    }
    for id in ["null", "1.5", "true", "[1]", "{\"a\":1}", "1e400"] {
        let answer = echo().edited(|text| text.replace("\"id\":1", &format!("\"id\":{id}"))).send(&server).await;
        answer.assert_refused(400, -32600);
        assert!(answer.response().get("id").is_none(), "{id}");
    }
}

#[tokio::test]
async fn refuses_batches() {
    let one = String::from_utf8(echo().bytes()).expect("text");
    for body in [format!("[{one}]"), format!(" \n[{one},{one}]"), "[]".to_owned()] {
        refused(echo().body(body), 400, -32600).await;
    }
    // A version that nobody knows has no batches either, as far as we can tell.
    let legacy = r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#;
    let answer = echo().body(legacy).header("mcp-protocol-version", "2027-01-01").send(&server()).await;
    assert_eq!((answer.status.as_u16(), &answer.error()["code"]), (400, &json!(-32022)));
    let twice = echo().body(legacy).header("mcp-protocol-version", "2025-03-26").more("mcp-protocol-version", b"x");
    refused(twice, 400, -32020).await;
}

#[tokio::test]
async fn answers_404_to_methods_that_it_does_not_know() {
    let unknown = ["tools/destroy", "initialize", "ping", "logging/setLevel", "resources/subscribe", "", "Tools/List"];
    for method in unknown {
        let answer = refused(modern(method, json!({})), 404, -32601).await;
        assert_eq!(answer.response()["id"], 1, "{method}");
    }
    let bare = base(&World::default()).build().expect("it builds");
    let tools = base(&World::default()).tool(Tool::new("t", async || "t")).build().expect("it builds");
    for (server, method, params) in [
        (&bare, "tools/list", json!({})),
        (&bare, "tools/call", json!({ "name": "x" })),
        (&bare, "resources/read", json!({ "uri": "x:y" })),
        (&bare, "resources/templates/list", json!({})),
        (&tools, "prompts/list", json!({})),
        (&tools, "prompts/get", json!({ "name": "x" })),
        (&tools, "completion/complete", json!({})),
    ] {
        modern(method, params).send(server).await.assert_refused(404, -32601);
    }
}

#[tokio::test]
async fn answers_202_and_nothing_to_notifications() {
    for notice in ["notifications/cancelled", "notifications/whatever"] {
        let mut request = modern(notice, json!({}));
        request.message.as_object_mut().expect("an object").remove("id");
        for request in [request.clone(), request.without("mcp-method")] {
            let answer = request.send(&server()).await;
            assert_eq!((answer.status.as_u16(), answer.body.len()), (202, 0), "{notice}");
        }
    }
}

#[tokio::test]
async fn refuses_media_types_that_it_does_not_read() {
    for value in ["text/plain", "application/jsonx", "text/event-stream", "", "application/x-www-form-urlencoded"] {
        refused(echo().header("content-type", value), 415, -32600).await;
    }
    refused(echo().without("content-type"), 415, -32600).await;
    let server = server();
    for value in ["application/json; charset=utf-8", "Application/JSON", "application/json;charset=UTF-8"] {
        assert_eq!(echo().header("content-type", value).send(&server).await.text(), "hello", "{value}");
    }
}

#[tokio::test]
async fn refuses_to_answer_what_the_client_does_not_accept() {
    for value in ["text/html", "text/event-stream", "application/xml, image/*"] {
        refused(echo().header("accept", value), 406, -32600).await;
    }
    let listen = modern("subscriptions/listen", json!({ "notifications": {} })).header("accept", "application/json");
    let answer = refused(listen, 406, -32600).await;
    assert_eq!(answer.response()["id"], 1, "the request could be read, so the error names it");
    let server = server();
    for value in ["application/json", "*/*", "text/event-stream, application/json", "application/*"] {
        assert_eq!(echo().header("accept", value).send(&server).await.text(), "hello", "{value}");
    }
}

#[tokio::test]
async fn says_which_http_methods_there_are() {
    for method in [http::Method::PUT, http::Method::PATCH, http::Method::OPTIONS, http::Method::HEAD] {
        let answer = refused(echo().http_method(method), 405, -32600).await;
        assert!(answer.header("allow").is_some_and(|allow| allow.contains("POST")));
    }
}

#[tokio::test]
async fn refuses_bodies_over_the_limit_announced_or_not() {
    let mut limits = Limits::default();
    limits.body_bytes = 512;
    let server = base(&World::default()).tool(Tool::new("t", async || "t")).limits(limits).build().expect("it builds");
    let long = call("t", json!({ "text": "x".repeat(600) }));
    for request in [long.clone(), long.clone().header("content-length", "900")] {
        let answer = request.send(&server).await;
        answer.assert_refused(413, -32600);
        assert_eq!(answer.data(), &json!({ "limit": 512 }));
    }
    // The announcement alone is enough: nothing is read.
    let unread = pieces(&long.header("content-length", "513"), 0, Then::Panic);
    send(&server, unread).await.assert_refused(413, -32600);
    let exact = call("t", json!({ "text": "" }));
    let padding = 512 - exact.bytes().len();
    let exact = call("t", json!({ "text": "x".repeat(padding) }));
    assert_eq!((exact.bytes().len(), exact.send(&server).await.text()), (512, "t"));
    // What a header claims does not matter as long as what comes is within the bounds.
    assert_eq!(exact.header("content-length", "1").send(&server).await.text(), "t");
}

/// A body that comes in pieces, and then ends, breaks or stalls.
struct Pieces {
    pieces: VecDeque<Bytes>,
    then: Then,
}

enum Then {
    End,
    Break,
    Stall,
    /// It must not be read this far.
    Panic,
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match (self.pieces.pop_front(), &self.then) {
            (Some(piece), _) => Poll::Ready(Some(Ok(Frame::data(piece)))),
            (None, Then::End) => Poll::Ready(None),
            (None, Then::Break) => Poll::Ready(Some(Err(std::io::ErrorKind::ConnectionReset.into()))),
            (None, Then::Stall) => Poll::Pending,
            (None, Then::Panic) => panic!("the body was read"),
        }
    }
}

/// The request's body byte by byte, as far as `len`.
fn pieces(request: &Modern, len: usize, then: Then) -> http::Request<Pieces> {
    let pieces = request.bytes().iter().take(len).map(|byte| Bytes::copy_from_slice(&[*byte])).collect();
    request.request_with(Pieces { pieces, then })
}

async fn send<B>(server: &Server, request: http::Request<B>) -> Answer
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Send,
{
    let Ok(response) = server.clone().call(request).await;
    Answer::read("tools/call", response).await
}

#[tokio::test]
async fn reads_bodies_that_come_in_pieces() {
    assert_eq!(send(&server(), pieces(&echo(), usize::MAX, Then::End)).await.text(), "hello");
}

#[tokio::test(start_paused = true)]
async fn gives_up_on_bodies_that_break_or_stall() {
    for then in [Then::Break, Then::Stall] {
        send(&server(), pieces(&echo(), 20, then)).await.assert_refused(400, -32600);
    }
    // What did arrive is no message.
    send(&server(), pieces(&echo(), 20, Then::End)).await.assert_refused(400, -32700);
}

/// A tool that works until it is told to stop.
fn busy(limit: usize) -> (Server, Arc<Notify>) {
    let stop = Arc::new(Notify::new());
    let mut limits = Limits::default();
    limits.concurrent_requests = limit;
    limits.open_streams = limit;
    let server = base(&World::default())
        .limits(limits)
        .state(Arc::clone(&stop))
        .tool(Tool::new("work", async |State(stop): State<Arc<Notify>>| {
            stop.notified().await;
            "done"
        }))
        .build()
        .expect("it builds");
    (server, stop)
}

#[tokio::test]
async fn sends_callers_away_when_it_is_full_and_takes_them_again_afterwards() {
    let (server, stop) = busy(1);
    let work = call("work", json!({}));
    let first = tokio::spawn({
        let (server, work) = (server.clone(), work.clone());
        async move { work.send(&server).await }
    });
    tokio::task::yield_now().await;
    let away = work.send(&server).await;
    away.assert_refused(503, -32603);
    assert_eq!(away.header("retry-after"), Some("1"));
    assert_eq!(away.data(), &json!({ "retryAfterMs": 1000 }));
    stop.notify_one();
    assert_eq!(first.await.expect("no panic").text(), "done");
    stop.notify_one();
    assert_eq!(work.send(&server).await.text(), "done");
}

#[tokio::test(start_paused = true)]
async fn starts_no_more_calls_than_its_rate_and_lists_all_the_same() {
    let server = full(&World::default()).rate(Rate::per_second(1).burst(2)).build().expect("it builds");
    for _ in 0..2 {
        assert_eq!(echo().send(&server).await.text(), "hello");
    }
    let away = echo().send(&server).await;
    away.assert_refused(429, -32603);
    assert_eq!(away.header("retry-after"), Some("1"));
    modern("tools/list", json!({})).send(&server).await.result();
    tokio::time::advance(std::time::Duration::from_secs(1)).await;
    assert_eq!(echo().send(&server).await.text(), "hello");
}

#[tokio::test]
async fn bounds_open_streams_apart_from_requests() {
    let (server, stop) = busy(1);
    let listen = modern("subscriptions/listen", json!({ "notifications": {} }));
    let stream = listen.open(&server).await;
    assert_eq!(stream.status, 200);
    let away = listen.send(&server).await;
    away.assert_refused(503, -32603);
    assert_eq!((away.header("retry-after"), &away.response()["id"]), (Some("1"), &json!(1)));
    stop.notify_one();
    assert_eq!(call("work", json!({})).send(&server).await.text(), "done");
    drop(stream);
    assert_eq!(listen.open(&server).await.status, 200);
}

#[tokio::test]
async fn refuses_hosts_and_origins_of_others_on_every_method() {
    let foreign = [
        ("host", "evil.example"),
        ("host", "localhost.evil.example"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
    ];
    for (header, value) in foreign {
        for method in [http::Method::POST, http::Method::GET, http::Method::DELETE, http::Method::OPTIONS] {
            let answer = refused(echo().header(header, value).http_method(method), 403, -32600).await;
            assert_eq!(answer.data(), &json!({ "header": header, "found": value }));
            assert!(answer.response().get("id").is_none());
        }
    }
    refused(echo().without("host"), 403, -32600).await;
    // No media type is a way around.
    let hop = echo().header("content-type", "application/vnd.anypod.hop").header("origin", "https://evil.example");
    refused(hop, 403, -32600).await;
    // Whoever is not allowed learns nothing else.
    refused(echo().header("origin", "https://evil.example").body("{").header("content-type", "x/y"), 403, -32600).await;
}

#[tokio::test]
async fn answers_to_the_hosts_and_origins_that_it_was_given() {
    let server = full(&World::default())
        .allow_host("mcp.example.com")
        .allow_origin("https://app.example.com")
        .build()
        .expect("it builds");
    for (host, origin) in [
        ("localhost", "http://localhost"),
        ("127.0.0.1:9", "http://127.0.0.1:9"),
        ("[::1]:9", "https://app.example.com"),
        ("mcp.example.com", "https://mcp.example.com"),
        ("MCP.example.com:443", "https://APP.example.com"),
    ] {
        assert_eq!(echo().header("host", host).header("origin", origin).send(&server).await.text(), "hello", "{host}");
    }
}
