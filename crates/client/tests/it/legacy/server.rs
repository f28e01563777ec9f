//! A legacy server in this process that does what a test tells it to, and remembers what it was sent.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use anypod_client::proto::capabilities::{ClientCapabilities, ElicitationCapability};
use anypod_client::proto::implementation::Implementation;
use anypod_client::proto::method::Method;
use anypod_client::{Call, Identity, LegacyUpstream, Limits, Outside};
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// A body that a test writes piece by piece.
pub(crate) struct Body(mpsc::Receiver<Bytes>);

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}

/// An open event stream. Dropping it ends the stream.
pub(crate) struct Events(mpsc::Sender<Bytes>);

impl Events {
    /// Sends a message.
    pub(crate) fn send(&self, message: &Value) {
        self.write(&format!("data: {message}\n\n"));
    }

    /// Sends text as it is.
    pub(crate) fn write(&self, text: &str) {
        self.0.try_send(Bytes::from(text.to_owned())).expect("the client reads");
    }

    /// Waits until the client has gone.
    pub(crate) async fn closed(&self) {
        self.0.closed().await;
    }
}

/// A request as the server got it.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    pub(crate) verb: http::Method,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
    pub(crate) at: Instant,
}

impl Heard {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("as the test has it"))
    }

    pub(crate) fn is(&self, method: &str) -> bool {
        self.body["method"] == method
    }

    pub(crate) fn id(&self) -> Value {
        self.body["id"].clone()
    }
}

pub(crate) type Reply = Response<Body>;

/// What a test does about a request; `None` leaves it to the default.
type Script = dyn Fn(&Heard) -> Option<Reply> + Send + Sync;

/// The server.
#[derive(Clone)]
pub(crate) struct Server {
    script: Arc<Script>,
    log: Arc<Mutex<Vec<Heard>>>,
    count: Arc<watch::Sender<usize>>,
}

impl Server {
    pub(crate) fn new(script: impl Fn(&Heard) -> Option<Reply> + Send + Sync + 'static) -> Self {
        Self { script: Arc::new(script), log: Arc::default(), count: Arc::new(watch::Sender::new(0)) }
    }

    /// Everything that it was sent.
    pub(crate) fn log(&self) -> Vec<Heard> {
        self.log.lock().expect("as the test has it").clone()
    }

    pub(crate) fn heard(&self, which: impl Fn(&Heard) -> bool) -> Vec<Heard> {
        self.log().into_iter().filter(which).collect()
    }

    /// Waits until it has been sent `count` such requests, and gives the last.
    pub(crate) async fn hears(&self, count: usize, which: impl Fn(&Heard) -> bool) -> Heard {
        let mut changes = self.count.subscribe();
        loop {
            changes.borrow_and_update();
            let mut found = self.heard(&which);
            if found.len() >= count {
                return found.swap_remove(count - 1);
            }
            changes.changed().await.expect("as the test has it");
        }
    }

    pub(crate) fn upstream(&self) -> LegacyUpstream {
        self.upstream_with(Limits::default())
    }

    pub(crate) fn upstream_with(&self, limits: Limits) -> LegacyUpstream {
        self.upstream_of(ClientCapabilities::default(), limits)
    }

    /// An upstream whose client answers forms.
    pub(crate) fn asking(&self) -> LegacyUpstream {
        self.asking_with(Limits::default())
    }

    pub(crate) fn asking_with(&self, limits: Limits) -> LegacyUpstream {
        self.upstream_of(forms(), limits)
    }

    pub(crate) fn upstream_of(&self, capabilities: ClientCapabilities, limits: Limits) -> LegacyUpstream {
        LegacyUpstream::service(self.clone(), identity(capabilities), Arc::new(limits), Outside::real())
    }
}

pub(crate) fn identity(capabilities: ClientCapabilities) -> Arc<Identity> {
    Arc::new(Identity::new(Implementation::new("tester", "1.0.0"), capabilities))
}

pub(crate) fn forms() -> ClientCapabilities {
    ClientCapabilities { elicitation: Some(ElicitationCapability::form()), ..ClientCapabilities::default() }
}

pub(crate) fn pages() -> ClientCapabilities {
    ClientCapabilities { elicitation: Some(ElicitationCapability::url()), ..ClientCapabilities::default() }
}

impl tower_service::Service<Request<Full<Bytes>>> for Server {
    type Response = Reply;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Reply, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Full<Bytes>>) -> Self::Future {
        let server = self.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let bytes = body.collect().await.unwrap().to_bytes();
            let body = if bytes.is_empty() {
                Value::Null
            } else {
                serde_json::from_slice(&bytes).expect("as the test has it")
            };
            let heard = Heard { verb: head.method, headers: head.headers, body, at: Instant::now() };
            server.log.lock().expect("as the test has it").push(heard.clone());
            let reply = (server.script)(&heard).unwrap_or_else(|| usual(&heard));
            server.count.send_modify(|count| *count += 1);
            match reply.headers().contains_key("x-never") {
                true => std::future::pending().await,
                false => Ok(reply),
            }
        })
    }
}

/// What a server does that nothing special is wanted of.
fn usual(heard: &Heard) -> Reply {
    match heard.verb {
        http::Method::GET => status(StatusCode::METHOD_NOT_ALLOWED),
        http::Method::DELETE => status(StatusCode::OK),
        _ if heard.is("initialize") => initialized(heard, "2025-11-25", "session-1"),
        _ if heard.body.get("id").is_some() && heard.body.get("method").is_some() => {
            json(&json!({ "jsonrpc": "2.0", "id": heard.id(), "result": {} }))
        }
        _ => status(StatusCode::ACCEPTED),
    }
}

/// The answer to `initialize`.
pub(crate) fn initialized(heard: &Heard, version: &str, session: &str) -> Reply {
    let capabilities = json!({
        "logging": {}, "completions": {}, "tools": { "listChanged": true }, "prompts": {},
        "resources": { "subscribe": true, "listChanged": true }, "tasks": { "list": {} },
    });
    let server = json!({ "name": "old", "version": "0.9" });
    let result = json!({
        "protocolVersion": version, "capabilities": capabilities, "serverInfo": server, "instructions": "Ask nicely.",
    });
    let mut reply = json(&json!({ "jsonrpc": "2.0", "id": heard.id(), "result": result }));
    reply.headers_mut().insert("mcp-session-id", session.parse().expect("as the test has it"));
    reply
}

pub(crate) fn status(status: StatusCode) -> Reply {
    let (_, body) = mpsc::channel(1);
    let mut reply = Response::new(Body(body));
    *reply.status_mut() = status;
    reply
}

pub(crate) fn json(message: &Value) -> Reply {
    let (sender, body) = mpsc::channel(1);
    sender.try_send(Bytes::from(message.to_string())).expect("as the test has it");
    let mut reply = Response::new(Body(body));
    reply.headers_mut().insert("content-type", "application/json".parse().expect("as the test has it"));
    reply
}

/// A request that is never answered, not even with a head.
pub(crate) fn never() -> Reply {
    let mut reply = status(StatusCode::OK);
    reply.headers_mut().insert("x-never", "1".parse().expect("as the test has it"));
    reply
}

pub(crate) fn events() -> (Events, Reply) {
    let (sender, body) = mpsc::channel(1024);
    let mut reply = Response::new(Body(body));
    reply.headers_mut().insert("content-type", "text/event-stream; charset=utf-8".parse().expect("as the test has it"));
    (Events(sender), reply)
}

/// A stream of these events, which ends.
pub(crate) fn streamed(text: &str) -> Reply {
    let (events, reply) = events();
    events.write(text);
    reply
}

/// A place where a script leaves the streams it has opened.
#[derive(Clone)]
pub(crate) struct Streams(mpsc::Sender<(Heard, Events)>, Arc<tokio::sync::Mutex<mpsc::Receiver<(Heard, Events)>>>);

impl Streams {
    pub(crate) fn new() -> Self {
        let (sender, receiver) = mpsc::channel(64);
        Self(sender, Arc::new(tokio::sync::Mutex::new(receiver)))
    }

    /// Answers with a stream, which the test takes with [`Streams::next`].
    pub(crate) fn open(&self, heard: &Heard) -> Option<Reply> {
        let (events, reply) = events();
        self.0.try_send((heard.clone(), events)).unwrap_or_else(|_| panic!("too many streams"));
        Some(reply)
    }

    pub(crate) async fn next(&self) -> (Heard, Events) {
        self.1.lock().await.recv().await.expect("as the test has it")
    }
}

/// A call of a tool.
pub(crate) fn tool(name: &str) -> Call {
    let mut call = Call::new(Method::ToolsCall);
    call.name = Some(name.to_owned());
    call.params = format!(r#""name":"{name}","arguments":{{}}"#).into_bytes();
    call
}

/// The answer of a tool to the request of this id.
pub(crate) fn done(id: &Value, text: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "result": { "content": [{ "type": "text", "text": text }] } })
}

/// Limits other than the default ones.
pub(crate) fn limits(change: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = Limits::default();
    change(&mut limits);
    limits
}

/// The call with changes.
pub(crate) fn with(mut call: Call, change: impl FnOnce(&mut Call)) -> Call {
    change(&mut call);
    call
}
