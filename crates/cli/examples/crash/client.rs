//! One client, which follows one task to its end, by whichever pod answers.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::pod::step;
use crate::random::Random;
use crate::storm::Fleet;
use crate::verdict::{Verdict, is_over};

/// How long a client waits for an answer before it asks another pod.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long between two looks.
const POLL: Duration = Duration::from_millis(500);

pub(crate) struct Client {
    fleet: Arc<Fleet>,
    verdict: Arc<Verdict>,
    random: Random,
}

impl Client {
    pub(crate) fn new(fleet: Arc<Fleet>, verdict: Arc<Verdict>, random: Random) -> Self {
        Self { fleet, verdict, random }
    }

    /// Creates a task, and looks at it until it has ended.
    pub(crate) async fn follow(mut self, number: usize) {
        let steps = 3 + number % 4;
        let (task, id) = self.create(number, steps).await;
        self.verdict.created(task, &id);
        loop {
            let answer = self.ask("tasks/get", &id, json!({ "taskId": id })).await;
            let Some(result) = answer.get("result") else {
                self.verdict.broken(format!("a task is lost: {answer}"));
                return;
            };
            self.verdict.saw(&id, result);
            if result["status"] == "input_required" {
                let go = json!({ "go": { "action": "accept", "content": { "go": true } } });
                self.ask("tasks/update", &id, json!({ "taskId": id, "inputResponses": go })).await;
            }
            if is_over(result) {
                self.check(result, steps);
                return;
            }
            sleep(POLL).await;
        }
    }

    fn check(&self, result: &Value, steps: usize) {
        let receipts = result["result"]["structuredContent"]["receipts"].as_array().map_or(0, Vec::len);
        if result["status"] != "completed" || receipts != steps {
            self.verdict.broken(format!("a task ended otherwise: {result}"));
        }
    }

    /// Calls the tool until a task comes back. Whether there is one when no answer comes is not known, so each call has a number
    /// of its own.
    async fn create(&mut self, number: usize, steps: usize) -> (i64, String) {
        for tried in 0.. {
            let task = i64::try_from(number).unwrap_or_default() * 1000 + tried;
            let arguments = json!({ "task": task, "steps": steps, "asks": number.is_multiple_of(5) });
            let params = json!({ "name": "job", "arguments": arguments });
            match self.once("tools/call", "job", params).await {
                Ok(answer) => match answer["result"]["taskId"].as_str() {
                    Some(id) => return (task, id.to_owned()),
                    None => self.verdict.count("calls refused for now"),
                },
                Err(_) => self.verdict.count("calls without an answer"),
            }
            sleep(Duration::from_millis(200)).await;
        }
        unreachable!("it is tried for ever")
    }

    /// Asks one pod after the other until one answers.
    async fn ask(&mut self, method: &str, name: &str, params: Value) -> Value {
        loop {
            match self.once(method, name, params.clone()).await {
                Ok(answer) => return answer,
                Err(_) => sleep(Duration::from_millis(100)).await,
            }
        }
    }

    async fn once(&mut self, method: &str, name: &str, params: Value) -> anyhow::Result<Value> {
        let port = self.fleet.ports[self.random.below(self.fleet.ports.len())];
        timeout(PATIENCE, post(port, method, name, params)).await?
    }
}

/// One request to one pod.
///
/// # Errors
/// If no answer comes, or the pod says that it cannot answer at the moment.
pub(crate) async fn post(port: u16, method: &str, name: &str, mut params: Value) -> anyhow::Result<Value> {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {
            "elicitation": { "form": {} },
            "extensions": { "io.modelcontextprotocol/tasks": {} },
        },
    });
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = Request::post("/mcp")
        .header("host", format!("127.0.0.1:{port}"))
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream")
        .header("mcp-protocol-version", "2026-07-28")
        .header("mcp-method", method)
        .header("mcp-name", name)
        .body(Full::new(Bytes::from(body)))?;
    let response = sender.send_request(request).await?;
    let busy = response.status() == http::StatusCode::SERVICE_UNAVAILABLE;
    let text = response.into_body().collect().await?.to_bytes();
    if busy {
        bail!("busy");
    }
    serde_json::from_slice(&text).context("an answer that is no JSON")
}

/// The steps of a task that has so many.
pub(crate) fn steps(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(step)
}
