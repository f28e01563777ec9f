//! What all tests share: requests as bytes, answers as bytes, and a virtual world outside.
//!
//! Everything that a server answers here is held against the specification's JSON Schema.

pub(crate) mod fixture;
pub(crate) mod logs;
pub(crate) mod schema;
pub(crate) mod store;
pub(crate) mod stream;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anypod_server::proto::seal::{KEY_LEN, Ring, UnixSeconds};
use anypod_server::{Body, Clock, Entropy, Outside, Principal, Server};
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use tower_service::Service;

use stream::Stream;

pub(crate) const VERSION: &str = "2026-07-28";
/// When the virtual clock starts.
pub(crate) const START: u64 = 1_795_000_000;

const PREFIX: &str = "io.modelcontextprotocol/";

/// A clock that only moves when it is told to, and randomness that repeats itself.
#[derive(Clone, Default)]
pub(crate) struct World {
    elapsed: Arc<AtomicU64>,
    drawn: Arc<AtomicU64>,
}

impl World {
    pub(crate) fn outside(&self) -> Outside {
        Outside::new(self.clone(), self.clone())
    }

    pub(crate) fn advance(&self, secs: u64) {
        self.elapsed.fetch_add(secs, Ordering::Relaxed);
    }
}

impl Clock for World {
    fn now(&self) -> UnixSeconds {
        UnixSeconds(START + self.elapsed.load(Ordering::Relaxed))
    }
}

impl Entropy for World {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let drawn = self.drawn.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
            let mixed = drawn.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            chunk.copy_from_slice(&(mixed ^ mixed >> 29).to_le_bytes()[..chunk.len()]);
        }
    }
}

/// A ring that several servers can share.
pub(crate) fn ring() -> Ring {
    Ring::from_keys([7; KEY_LEN], [])
}

pub(crate) fn alice() -> Principal {
    Principal::new("https://id.example", "alice")
}

/// A modern request with everything that belongs to it, to be spoiled by the test.
#[derive(Clone)]
pub(crate) struct Modern {
    pub(crate) message: Value,
    headers: Vec<(String, Vec<u8>)>,
    body: Option<Vec<u8>>,
    uri: String,
    http_method: http::Method,
    principal: Option<Principal>,
}

/// A modern request; `params` without `_meta`.
pub(crate) fn modern(method: &str, params: Value) -> Modern {
    let name = ["name", "uri", "taskId"].iter().find_map(|key| params.get(key)?.as_str()).map(str::to_owned);
    let mut message = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    message["params"]["_meta"] = json!({
        (format!("{PREFIX}protocolVersion")): VERSION,
        (format!("{PREFIX}clientInfo")): { "name": "tester", "version": "0.1.0" },
        (format!("{PREFIX}clientCapabilities")): {},
    });
    let plain = Modern {
        message,
        headers: Vec::new(),
        body: None,
        uri: "/mcp".to_owned(),
        http_method: http::Method::POST,
        principal: None,
    }
    .header("host", "localhost:8080")
    .header("content-type", "application/json")
    .header("accept", "application/json, text/event-stream")
    .header("mcp-protocol-version", VERSION)
    .header("mcp-method", method);
    match (method, name) {
        ("tools/call" | "prompts/get" | "resources/read", Some(name)) => plain.header("mcp-name", &name),
        ("tasks/get" | "tasks/update" | "tasks/cancel", Some(name)) => plain.header("mcp-name", &name),
        _ => plain,
    }
}

/// A call of a tool.
pub(crate) fn call(tool: &str, arguments: Value) -> Modern {
    modern("tools/call", json!({ "name": tool, "arguments": arguments }))
}

impl Modern {
    /// Sets the only line of a header.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(other, _)| other != name);
        self.more(name, value.as_bytes())
    }

    /// Adds one more line.
    pub(crate) fn more(mut self, name: &str, value: &[u8]) -> Self {
        self.headers.push((name.to_owned(), value.to_vec()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(other, _)| other != name);
        self
    }

    pub(crate) fn id(mut self, id: Value) -> Self {
        self.message["id"] = id;
        self
    }

    /// Sets a member of `params`.
    pub(crate) fn param(mut self, name: &str, value: Value) -> Self {
        self.message["params"][name] = value;
        self
    }

    /// Sets a member of `_meta`; names of the specification's own come without their prefix.
    pub(crate) fn meta(mut self, name: &str, value: Value) -> Self {
        self.message["params"]["_meta"][key(name)] = value;
        self
    }

    pub(crate) fn without_meta(mut self, name: &str) -> Self {
        self.message["params"]["_meta"].as_object_mut().expect("an object").remove(&key(name));
        self
    }

    pub(crate) fn capable(self, capabilities: Value) -> Self {
        self.meta("clientCapabilities", capabilities)
    }

    /// Goes on with a round: the state of `answer` and these responses.
    pub(crate) fn resume(self, answer: &Answer, responses: Value) -> Self {
        let state = answer.result()["requestState"].clone();
        self.param("requestState", state).param("inputResponses", responses).id(json!("another"))
    }

    pub(crate) fn principal(mut self, principal: Principal) -> Self {
        self.principal = Some(principal);
        self
    }

    /// Sends these bytes instead of the message.
    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// The message as text, changed by hand.
    pub(crate) fn edited(self, edit: impl FnOnce(String) -> String) -> Self {
        let text = self.message.to_string();
        let edited = edit(text.clone());
        assert_ne!(text, edited, "the edit does nothing");
        self.body(edited)
    }

    pub(crate) fn http_method(mut self, method: http::Method) -> Self {
        self.http_method = method;
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.body.clone().unwrap_or_else(|| self.message.to_string().into_bytes())
    }

    pub(crate) fn request(&self) -> Request<Full<Bytes>> {
        self.request_with(Full::from(self.bytes()))
    }

    pub(crate) fn request_with<B>(&self, body: B) -> Request<B> {
        let mut request = Request::new(body);
        *request.uri_mut() = self.uri.parse().expect("a path");
        *request.method_mut() = self.http_method.clone();
        for (name, value) in &self.headers {
            let name: http::HeaderName = name.parse().expect("a header name");
            request.headers_mut().append(name, http::HeaderValue::from_bytes(value).expect("a header value"));
        }
        if let Some(principal) = &self.principal {
            request.extensions_mut().insert(principal.clone());
        }
        request
    }

    /// Sends it and reads the whole answer.
    pub(crate) async fn send(&self, server: &Server) -> Answer {
        Answer::read(self.method(), self.begin(server).await).await
    }

    /// Sends it and reads what came, event by event.
    pub(crate) async fn open(&self, server: &Server) -> Stream {
        Stream::new(self.method(), self.begin(server).await)
    }

    /// Sends it and gives the response with its body unread.
    pub(crate) async fn begin(&self, server: &Server) -> Response<Body> {
        let Ok(response) = server.clone().call(self.request()).await;
        response
    }

    fn method(&self) -> &str {
        self.message["method"].as_str().unwrap_or_default()
    }
}

fn key(name: &str) -> String {
    match name {
        "progressToken" | "traceparent" | "tracestate" | "baggage" => name.to_owned(),
        _ => format!("{PREFIX}{name}"),
    }
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// The messages before the response.
    pub(crate) notifications: Vec<Value>,
    response: Option<Value>,
}

impl Answer {
    pub(crate) async fn read(method: &str, response: Response<Body>) -> Self {
        let (head, body) = response.into_parts();
        let body = body.collect().await.expect("bodies do not fail").to_bytes();
        let mut messages = match head.headers.get("content-type").map(http::HeaderValue::as_bytes) {
            Some(b"text/event-stream") => stream::events(&body),
            Some(b"application/json") => vec![serde_json::from_slice(&body).expect("JSON")],
            Some(other) => panic!("an answer of type {other:?}"),
            None => Vec::new(),
        };
        messages.iter().for_each(|message| schema::check(method, message));
        let response = messages.pop();
        assert!(response.as_ref().is_none_or(|last| last.get("method").is_none()), "{response:?}");
        assert!(messages.iter().all(|message| message.get("method").is_some()), "{messages:?}");
        Self { status: head.status, headers: head.headers, body, notifications: messages, response }
    }

    /// The JSON-RPC response.
    pub(crate) fn response(&self) -> &Value {
        self.response.as_ref().unwrap_or_else(|| panic!("{} without a response", self.status))
    }

    #[track_caller]
    pub(crate) fn result(&self) -> &Value {
        self.response().get("result").unwrap_or_else(|| panic!("{} {}", self.status, self.response()))
    }

    /// The text of a tool's result.
    #[track_caller]
    pub(crate) fn text(&self) -> &str {
        let text = self.result()["content"][0]["text"].as_str();
        text.unwrap_or_else(|| panic!("no text in {}", self.response()))
    }

    #[track_caller]
    pub(crate) fn error(&self) -> &Value {
        self.response().get("error").unwrap_or_else(|| panic!("{} {}", self.status, self.response()))
    }

    pub(crate) fn data(&self) -> &Value {
        &self.error()["data"]
    }

    /// Checks status and code, and that a refusal of what cannot be repaired carries no result.
    #[track_caller]
    pub(crate) fn assert_refused(&self, status: u16, code: i32) -> &Self {
        assert_eq!((self.status.as_u16(), &self.error()["code"]), (status, &json!(code)), "{}", self.response());
        self
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("text"))
    }
}
