//! The other end of a server on a stream, and the server that these tests talk to.

use std::sync::Arc;
use std::time::Duration;

use anypod_server::proto::logging::LoggingLevel;
use anypod_server::proto::sampling::{CreateMessageRequestParams, SamplingMessage};
use anypod_server::{Args, Cx, Error, Limits, Resource, Result, Server, State, Tool, form};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{
    AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, DuplexStream, ReadHalf, WriteHalf, duplex, split,
};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Longer than any limit of the server, in virtual time. Who waits this long waits for nothing.
pub(crate) const FOR_EVER: Duration = Duration::from_secs(7200);

const PREFIX: &str = "io.modelcontextprotocol/";

/// What the handlers share with the test.
#[derive(Clone, Default)]
pub(crate) struct Shared {
    /// Lets `wait` go on.
    pub(crate) gate: Arc<Notify>,
    /// Told when a call of `wait` was dropped before it was through.
    pub(crate) dropped: Arc<Notify>,
}

#[derive(Deserialize, JsonSchema)]
struct Text {
    text: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Name {
    pub(crate) name: String,
}

struct Dropped(Option<Arc<Notify>>);

impl Drop for Dropped {
    fn drop(&mut self) {
        if let Some(dropped) = self.0.take() {
            dropped.notify_one();
        }
    }
}

async fn wait(State(shared): State<Shared>, cx: Cx) -> &'static str {
    let mut dropped = Dropped(Some(shared.dropped));
    cx.progress(0.5, Some(1.0), Some("waiting"));
    shared.gate.notified().await;
    dropped.0 = None;
    cx.progress(1.0, Some(1.0), None);
    "waited"
}

async fn greet(cx: Cx) -> Result<String> {
    let reply = cx.ask("name", form::<Name>("Who are you?")).await?;
    Ok(reply.into_accepted().map_or_else(|| "Hello, stranger".to_owned(), |name| format!("Hello, {}", name.name)))
}

#[expect(deprecated, reason = "deprecated features work until the specification removes them")]
async fn muse(cx: Cx) -> Result<String> {
    let question = CreateMessageRequestParams::new(vec![SamplingMessage::user("A word, please")], 10);
    Ok(cx.ask("word", anypod_server::sample(question)).await?.model)
}

#[expect(deprecated, reason = "deprecated features work until the specification removes them")]
async fn log(cx: Cx) -> &'static str {
    cx.log(LoggingLevel::Debug, None, "details");
    cx.log(LoggingLevel::Warning, None, "careful");
    "logged"
}

async fn blow_up() -> String {
    panic!("on purpose")
}

/// A server with `limits`.
#[expect(deprecated, reason = "deprecated features work until the specification removes them")]
pub(crate) fn server(shared: &Shared, limits: Limits) -> Server {
    Server::new("streaming", "1.0.0")
        .instructions("Ask away")
        .with_logging()
        .limits(limits)
        .state(shared.clone())
        .tool(Tool::new("echo", async |Args(Text { text }): Args<Text>| text))
        .tool(Tool::new("wait", wait))
        .tool(Tool::new("greet", greet))
        .tool(Tool::new("muse", muse))
        .tool(Tool::new("log", log))
        .tool(Tool::new("panic", blow_up))
        .resource(Resource::new("note://a", "a", async || "text"))
        .resource(Resource::new("note://gone", "gone", async || Err::<String, _>(Error::internal("broken"))))
        .build()
        .expect("it builds")
}

/// A client of one server.
pub(crate) struct Client {
    pub(crate) shared: Shared,
    pub(crate) server: Server,
    input: Option<WriteHalf<DuplexStream>>,
    output: BufReader<ReadHalf<DuplexStream>>,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<std::io::Result<()>>,
}

impl Client {
    pub(crate) fn new() -> Self {
        Self::with(Limits::default())
    }

    pub(crate) fn with(limits: Limits) -> Self {
        let shared = Shared::default();
        let server = server(&shared, limits);
        Self::of(shared, server)
    }

    /// A client of any server.
    pub(crate) fn of(shared: Shared, server: Server) -> Self {
        let (ours, theirs) = duplex(4096);
        let (output, input) = split(ours);
        let (reader, writer) = split(theirs);
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = async { assert!(stopped.await.is_ok(), "the client is still there") };
        let serving = tokio::spawn(server.clone().serve_stream(reader, writer, stopped));
        Self { shared, server, input: Some(input), output: BufReader::new(output), stop: Some(stop), serving }
    }

    /// Sends bytes as they are.
    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        let input = self.input.as_mut().expect("the input is open");
        timeout(FOR_EVER, input.write_all(bytes)).await.expect("the server reads").expect("the server is there");
    }

    /// Sends a message.
    pub(crate) async fn send(&mut self, message: Value) {
        self.send_bytes(format!("{message}\n").as_bytes()).await;
    }

    /// The next message; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        let mut line = String::new();
        let read = timeout(FOR_EVER, self.output.read_line(&mut line)).await.expect("the server says something");
        if read.expect("the server is there") == 0 {
            return None;
        }
        assert!(line.ends_with('\n'), "`{line}` is a whole line");
        Some(serde_json::from_str(&line).expect("it is JSON"))
    }

    /// The next message, which there is.
    pub(crate) async fn receive(&mut self) -> Value {
        self.next().await.expect("there is a message")
    }

    /// Sends a message and gives the next one back.
    pub(crate) async fn ask(&mut self, message: Value) -> Value {
        self.send(message).await;
        self.receive().await
    }

    /// Everything up to the end; the server must end without an error.
    pub(crate) async fn rest(mut self) -> Vec<Value> {
        let mut rest = Vec::new();
        while let Some(message) = self.next().await {
            rest.push(message);
        }
        self.serving.await.expect("it does not panic").expect("it ends well");
        rest
    }

    /// Closes the input.
    pub(crate) async fn hang_up(&mut self) {
        if let Some(mut input) = self.input.take() {
            input.shutdown().await.expect("the server is there");
        }
    }

    /// Tells the server to stop.
    pub(crate) fn stop(&mut self) {
        self.stop.take().expect("it is not stopped yet").send(()).expect("the server is there");
    }

    /// Goes away without a word.
    pub(crate) async fn vanish(self) -> std::io::Result<()> {
        let Self { input, output, stop, serving, .. } = self;
        drop((input, output));
        let served = timeout(FOR_EVER, serving).await.expect("the server ends").expect("it does not panic");
        drop(stop);
        served
    }

    /// Sends the same message until the server reads no more, and says how many whole ones it took.
    pub(crate) async fn flood(&mut self, message: &Value, at_most: usize) -> usize {
        let line = format!("{message}\n").into_bytes();
        let input = self.input.as_mut().expect("the input is open");
        for sent in 0..at_most {
            let mut rest = &line[..];
            while !rest.is_empty() {
                match timeout(Duration::from_secs(1), input.write(rest)).await {
                    Ok(written) => rest = &rest[written.expect("the server is there")..],
                    Err(_) => return sent,
                }
            }
        }
        at_most
    }

    /// Reads whatever comes within a second.
    pub(crate) async fn drain(&mut self) -> usize {
        let mut lines = 0;
        let mut chunk = [0; 4096];
        while let Ok(read) = timeout(Duration::from_secs(1), self.output.read(&mut chunk)).await {
            lines += chunk[..read.expect("the server is there")].iter().filter(|byte| **byte == b'\n').count();
        }
        lines
    }
}

/// A modern request; `params` without `_meta`.
pub(crate) fn modern(id: impl Into<Value>, method: &str, mut params: Value) -> Value {
    params["_meta"] = json!({
        (format!("{PREFIX}protocolVersion")): "2026-07-28",
        (format!("{PREFIX}clientCapabilities")): { "elicitation": { "form": {} } },
        "progressToken": "p",
    });
    legacy(id, method, params)
}

/// A modern call of a tool.
pub(crate) fn call(id: impl Into<Value>, tool: &str, arguments: Value) -> Value {
    modern(id, "tools/call", json!({ "name": tool, "arguments": arguments }))
}

/// A modern call of `echo`, as cheap as they come.
pub(crate) fn echo(id: impl Into<Value>) -> Value {
    call(id, "echo", json!({ "text": "here" }))
}

/// A request without anything that declares its revision.
pub(crate) fn legacy(id: impl Into<Value>, method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id.into(), "method": method, "params": params })
}

/// A notification.
pub(crate) fn notice(method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "method": method, "params": params })
}

pub(crate) fn cancel(id: impl Into<Value>) -> Value {
    notice("notifications/cancelled", json!({ "requestId": id.into() }))
}

/// The text of a tool's result.
pub(crate) fn text(message: &Value) -> &str {
    message["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("no text in {message}"))
}

/// The subscription that a message belongs to.
pub(crate) fn subscription(message: &Value) -> &Value {
    let holder = if message.get("result").is_some() { "result" } else { "params" };
    &message[holder]["_meta"][format!("{PREFIX}subscriptionId")]
}
