//! A server over lines: scripted ones, our own, and child processes.

mod damage;
mod own;
mod process;
mod routing;

use std::sync::Arc;

use anypod_client::proto::capabilities::ClientCapabilities;
use anypod_client::proto::implementation::Implementation;
use anypod_client::proto::method::Method;
use anypod_client::stdio::{Pipes, Wire};
use anypod_client::{Answer, Call, Exchange, Identity, Incoming, Limits, Observe};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, ReadHalf, WriteHalf};

/// The other end of the pipes, in the hands of a test.
struct Peer {
    reader: BufReader<ReadHalf<DuplexStream>>,
    writer: WriteHalf<DuplexStream>,
}

impl Peer {
    /// The next message of the client; `None` if it has closed its end.
    async fn line(&mut self) -> Option<Value> {
        let mut line = String::new();
        self.reader.read_line(&mut line).await.expect("UTF-8");
        (!line.is_empty()).then(|| serde_json::from_str(&line).expect("JSON"))
    }

    async fn receive(&mut self) -> Value {
        self.line().await.expect("a line")
    }

    async fn write(&mut self, text: &str) {
        self.writer.write_all(text.as_bytes()).await.expect("a client that reads");
    }

    async fn send(&mut self, message: Value) {
        self.write(&format!("{message}\n")).await;
    }

    async fn answer(&mut self, request: &Value, result: Value) {
        self.send(json!({ "jsonrpc": "2.0", "id": request["id"], "result": result })).await;
    }

    async fn notify(&mut self, method: &str, params: Value) {
        self.send(json!({ "jsonrpc": "2.0", "method": method, "params": params })).await;
    }
}

fn pipes() -> (Pipes, Peer) {
    let (ours, theirs) = tokio::io::duplex(64 << 10);
    let (reader, writer) = tokio::io::split(ours);
    let (from, to) = tokio::io::split(theirs);
    (Pipes::new(reader, writer), Peer { reader: BufReader::new(from), writer: to })
}

fn limited(change: impl FnOnce(&mut Limits)) -> (Wire, Peer) {
    let mut limits = Limits::default();
    change(&mut limits);
    let (pipes, peer) = pipes();
    (Wire::new(pipes, Arc::new(limits), None), peer)
}

fn wire() -> (Wire, Peer) {
    limited(|_| {})
}

fn observed(observer: Arc<dyn Observe>) -> (Wire, Peer) {
    let (pipes, peer) = pipes();
    (Wire::new(pipes, Arc::default(), Some(observer)), peer)
}

fn identity() -> Identity {
    Identity::new(Implementation::new("test", "1.0.0"), ClientCapabilities::default())
}

/// A call that may not be repeated.
fn call(tool: &str) -> Call {
    let mut call = Call::new(Method::ToolsCall);
    call.name = Some(tool.to_owned());
    call.params = format!(r#""name":"{tool}""#).into_bytes();
    call
}

fn progressing(tool: &str) -> Call {
    let mut call = call(tool);
    call.progress = true;
    call
}

async fn send(wire: &Wire, call: &Call) -> Exchange {
    wire.send(call, &identity()).await.expect("a server")
}

/// Sends a call, and has the peer take it.
async fn begin(wire: &Wire, peer: &mut Peer, call: &Call) -> (Exchange, Value) {
    let exchange = send(wire, call).await;
    (exchange, peer.receive().await)
}

/// The result, which must come next.
async fn result(exchange: &mut Exchange) -> Value {
    match exchange.next().await.expect("a message") {
        Incoming::Answer(Answer::Result(result)) => result.read().expect("JSON"),
        other => panic!("{other:?}"),
    }
}

/// The notification that must come next: its method and its parameters.
async fn notice(exchange: &mut Exchange) -> (String, Value) {
    match exchange.next().await.expect("a message") {
        Incoming::Notice(notice) => (notice.method, notice.params.read().expect("JSON")),
        other => panic!("{other:?}"),
    }
}
