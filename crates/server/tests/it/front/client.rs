//! A legacy client whose every request can go to another pod.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::Poll;

use anypod_server::proto::sse::{Decoder, Limits};
use anypod_server::{Body, Principal, Server};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use tower_service::Service;

/// What a client can do that can do everything.
pub(crate) fn everything() -> Value {
    json!({
        "elicitation": { "form": {}, "url": {} },
        "sampling": { "tools": {} },
        "roots": { "listChanged": true },
    })
}

/// A client with its session.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) version: &'static str,
    pub(crate) session: Option<String>,
    pub(crate) principal: Option<Principal>,
    pub(crate) accept: &'static str,
}

impl Client {
    pub(crate) const fn new(version: &'static str) -> Self {
        Self { version, session: None, principal: None, accept: "application/json, text/event-stream" }
    }

    /// A client of the latest legacy revision with a session that `server` opened.
    pub(crate) async fn connect(server: &Server) -> Self {
        let mut client = Self::new("2025-11-25");
        client.initialize(server, everything()).await;
        client
    }

    /// Opens a session and gives the result.
    pub(crate) async fn initialize(&mut self, server: &Server, capabilities: Value) -> Value {
        let params = json!({
            "protocolVersion": self.version,
            "capabilities": capabilities,
            "clientInfo": { "name": "tester", "version": "0.1.0" },
        });
        let reply = self.request(server, 0, "initialize", params).await;
        assert_eq!(reply.status, StatusCode::OK);
        self.session = Some(reply.headers["mcp-session-id"].to_str().expect("visible ASCII").to_owned());
        let answer = reply.json().await;
        let note = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        assert_eq!(self.post(server, note).await.status, StatusCode::ACCEPTED);
        answer["result"].clone()
    }

    pub(crate) async fn request(&self, server: &Server, id: i64, method: &str, params: Value) -> Reply {
        self.post(server, json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })).await
    }

    pub(crate) async fn call(&self, server: &Server, tool: &str) -> Reply {
        self.request(server, 1, "tools/call", json!({ "name": tool, "arguments": {} })).await
    }

    /// Answers a question.
    pub(crate) async fn answer(&self, server: &Server, question: &Value, result: Value) -> Reply {
        self.post(server, json!({ "jsonrpc": "2.0", "id": question["id"], "result": result })).await
    }

    pub(crate) async fn post(&self, server: &Server, message: Value) -> Reply {
        self.send(server, Method::POST, message.to_string()).await
    }

    /// Sends a message as it is.
    pub(crate) async fn post_text(&self, server: &Server, message: String) -> Reply {
        self.send(server, Method::POST, message).await
    }

    pub(crate) async fn get(&self, server: &Server) -> Reply {
        self.send(server, Method::GET, String::new()).await
    }

    pub(crate) async fn delete(&self, server: &Server) -> Reply {
        self.send(server, Method::DELETE, String::new()).await
    }

    async fn send(&self, server: &Server, method: Method, body: String) -> Reply {
        let mut request = Request::new(Full::new(Bytes::from(body)));
        *request.method_mut() = method;
        *request.uri_mut() = "/mcp".parse().expect("a path");
        let mut header = |name: &'static str, value: &str| {
            request.headers_mut().insert(name, value.parse().expect("a header value"));
        };
        header("host", "localhost:8080");
        header("content-type", "application/json");
        header("accept", self.accept);
        if let Some(session) = &self.session {
            header("mcp-session-id", session);
            // The header came with the second of these revisions.
            if self.version != "2025-03-26" {
                header("mcp-protocol-version", self.version);
            }
        }
        if let Some(principal) = &self.principal {
            request.extensions_mut().insert(principal.clone());
        }
        let Ok(response) = server.clone().call(request).await;
        Reply::new(response)
    }
}

/// An answer, read as it comes. Dropping it is what a client does whose connection breaks.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    body: Body,
    decoder: Decoder,
    messages: VecDeque<Value>,
}

impl Reply {
    fn new(response: Response<Body>) -> Self {
        let (head, body) = response.into_parts();
        let decoder = Decoder::new(Limits::default());
        Self { status: head.status, headers: head.headers, body, decoder, messages: VecDeque::new() }
    }

    pub(crate) fn streams(&self) -> bool {
        self.headers.get("content-type").is_some_and(|kind| kind == "text/event-stream")
    }

    /// The next message of a stream; `None` at its end.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        assert!(self.streams(), "{} {:?}", self.status, self.headers);
        loop {
            if let Some(message) = self.messages.pop_front() {
                return Some(message);
            }
            let frame = self.body.frame().await?.expect("bodies do not fail");
            self.read(frame.into_data().expect("data"));
        }
    }

    /// The messages of a stream that are there without waiting.
    pub(crate) async fn ready(&mut self) -> Vec<Value> {
        loop {
            let frame =
                std::future::poll_fn(|cx| Poll::Ready(http_body::Body::poll_frame(Pin::new(&mut self.body), cx)));
            match frame.await {
                Poll::Ready(Some(frame)) => self.read(frame.expect("bodies do not fail").into_data().expect("data")),
                Poll::Ready(None) | Poll::Pending => return self.messages.drain(..).collect(),
            }
        }
    }

    /// The whole body as JSON.
    pub(crate) async fn json(self) -> Value {
        assert!(!self.streams());
        let body = self.body.collect().await.expect("bodies do not fail").to_bytes();
        serde_json::from_slice(&body).unwrap_or_else(|error| panic!("{}: {error}: {body:?}", self.status))
    }

    /// The response, whether it comes as JSON or at the end of a stream.
    pub(crate) async fn response(mut self) -> Value {
        if !self.streams() {
            return self.json().await;
        }
        let mut last = None;
        while let Some(message) = self.next().await {
            last = Some(message);
        }
        last.expect("a response")
    }

    /// The text of a tool's result.
    pub(crate) async fn text(self) -> String {
        let response = self.response().await;
        let text = response["result"]["content"][0]["text"].as_str();
        text.unwrap_or_else(|| panic!("{response}")).to_owned()
    }

    fn read(&mut self, mut bytes: Bytes) {
        while let Some(event) = self.decoder.read(&mut bytes).expect("a well-formed stream") {
            self.messages.push_back(serde_json::from_str(&event.data).expect("JSON"));
        }
    }
}
