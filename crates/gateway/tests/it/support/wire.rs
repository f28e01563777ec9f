//! Requests as a test writes them, and answers as they are.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

use super::soon;

/// A request to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    verb: Method,
    headers: HeaderMap,
    body: Bytes,
}

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Sent {
    /// A POST of this body, as JSON.
    pub(crate) fn post(body: impl Into<Bytes>) -> Self {
        let sent = Self { verb: Method::POST, headers: HeaderMap::new(), body: body.into() };
        sent.with("content-type", "application/json").with("accept", "application/json, text/event-stream")
    }

    /// A request without a body.
    pub(crate) fn empty(verb: Method) -> Self {
        Self { verb, headers: HeaderMap::new(), body: Bytes::new() }.with("accept", "text/event-stream")
    }

    /// A modern request. Of `params`, `_meta` is added.
    pub(crate) fn modern(method: &str, mut params: Value) -> Self {
        params["_meta"] = meta();
        let name = params.get("name").or_else(|| params.get("uri")).and_then(Value::as_str).map(str::to_owned);
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let sent = Self::post(body.to_string()).with("mcp-protocol-version", "2026-07-28").with("mcp-method", method);
        match name {
            Some(name) => sent.with("mcp-name", &name),
            None => sent,
        }
    }

    /// A modern call of a tool.
    pub(crate) fn call(tool: &str, arguments: Value) -> Self {
        Self::modern("tools/call", json!({ "name": tool, "arguments": arguments }))
    }

    /// A legacy request in a session.
    pub(crate) fn legacy(session: &str, method: &str, params: Value) -> Self {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        Self::post(body.to_string()).in_session(session)
    }

    /// `initialize`.
    pub(crate) fn initialize() -> Self {
        let client = json!({ "name": "tester", "version": "1" });
        let params = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client });
        Self::post(json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params }).to_string())
    }

    pub(crate) fn in_session(self, session: &str) -> Self {
        self.with("mcp-session-id", session).with("mcp-protocol-version", "2025-11-25")
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(HeaderName::try_from(name).unwrap(), HeaderValue::try_from(value).unwrap());
        self
    }

    /// With a part of the body, which stands in it once, written otherwise.
    pub(crate) fn written_with(mut self, part: &str, otherwise: &str) -> Self {
        let body = std::str::from_utf8(&self.body).unwrap();
        assert_eq!(body.matches(part).count(), 1, "{body}");
        self.body = body.replace(part, otherwise).into();
        self
    }

    /// One more header of a name that may stand already.
    pub(crate) fn and(mut self, name: &str, value: &str) -> Self {
        self.headers.append(HeaderName::try_from(name).unwrap(), HeaderValue::try_from(value).unwrap());
        self
    }

    pub(crate) fn bearing(self, token: &str) -> Self {
        self.with("authorization", &format!("Bearer {token}"))
    }

    /// The answer as it comes.
    pub(crate) async fn open(self, to: SocketAddr) -> http::Response<Incoming> {
        let mut request = Request::new(Full::new(self.body));
        *request.method_mut() = self.verb;
        *request.uri_mut() = format!("http://{to}/mcp").parse().unwrap();
        *request.headers_mut() = self.headers;
        soon(Client::builder(TokioExecutor::new()).build_http().request(request)).await.unwrap()
    }

    /// The whole answer.
    pub(crate) async fn to(self, to: SocketAddr) -> Answered {
        let (head, body) = self.open(to).await.into_parts();
        let body = soon(body.collect()).await.unwrap().to_bytes();
        Answered { status: head.status, headers: head.headers, body }
    }
}

impl Answered {
    /// The answer, wherever it stands: a JSON body, or the last event of a stream.
    pub(crate) fn json(&self) -> Value {
        let text = std::str::from_utf8(&self.body).unwrap();
        let data = text.lines().filter_map(|line| line.strip_prefix("data:")).next_back().unwrap_or(text);
        serde_json::from_str(data).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The status, and the code of the error; 0 for none.
    pub(crate) fn refusal(&self) -> (u16, i64) {
        (self.status.as_u16(), self.json()["error"]["code"].as_i64().unwrap_or_default())
    }

    /// The result.
    #[track_caller]
    pub(crate) fn result(&self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{self:?}");
        let json = self.json();
        json.get("result").unwrap_or_else(|| panic!("no result: {json}")).clone()
    }
}

/// The `_meta` of a modern client that answers forms.
pub(crate) fn meta() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { "name": "tester", "version": "1" },
        "io.modelcontextprotocol/clientCapabilities": { "elicitation": { "form": {} } },
    })
}
