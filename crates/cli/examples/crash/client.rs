//! One client, which follows one task to its end, by whichever pod answers.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
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

    /// Creates a task of so many steps, and looks at it until it has ended.
    pub(crate) async fn follow(mut self, number: usize, steps: usize) {
        let id = self.create(number, steps).await;
        self.watch(&id, steps).await;
    }

    /// Looks at a task until it has ended.
    pub(crate) async fn watch(&mut self, id: &str, steps: usize) {
        loop {
            let answer = self.ask("tasks/get", id, json!({ "taskId": id })).await;
            let Some(result) = answer.get("result") else {
                self.verdict.broken(format!("a task is lost: {answer}"));
                return;
            };
            self.verdict.saw(id, result);
            if result["status"] == "input_required" {
                let go = json!({ "go": { "action": "accept", "content": { "go": true } } });
                self.ask("tasks/update", id, json!({ "taskId": id, "inputResponses": go })).await;
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

    /// Calls the tool until a task comes back, and gives its id. Whether there is one when no answer comes is not known, so each
    /// call has a number of its own.
    pub(crate) async fn create(&mut self, number: usize, steps: usize) -> String {
        self.created(None, number, steps).await
    }

    /// The same at one pod, with three steps.
    pub(crate) async fn create_at(&mut self, port: u16, number: usize) -> String {
        self.created(Some(port), number, 3).await
    }

    async fn created(&mut self, port: Option<u16>, number: usize, steps: usize) -> String {
        for tried in 0.. {
            let task = i64::try_from(number).unwrap_or_default() * 1000 + tried;
            let port = port.unwrap_or_else(|| self.any());
            let params = call(task, steps, number.is_multiple_of(5));
            match timeout(PATIENCE, post(port, "tools/call", "job", params)).await {
                Ok(Ok(answer)) => match answer["result"]["taskId"].as_str() {
                    Some(id) => {
                        self.verdict.created(task, id);
                        return id.to_owned();
                    }
                    None => self.verdict.count("calls refused for now"),
                },
                Ok(Err(_)) | Err(_) => self.verdict.count("calls without an answer"),
            }
            sleep(Duration::from_millis(200)).await;
        }
        unreachable!("it is tried for ever")
    }

    fn any(&mut self) -> u16 {
        self.fleet.ports[self.random.below(self.fleet.ports.len())]
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
        let port = self.any();
        timeout(PATIENCE, post(port, method, name, params)).await?
    }
}

/// The parameters of a call of the tool.
pub(crate) fn call(task: i64, steps: usize, asks: bool) -> Value {
    json!({ "name": "job", "arguments": { "task": task, "steps": steps, "asks": asks } })
}

/// One request to one pod, and its whole answer.
///
/// # Errors
/// If no answer comes, or the pod says that it cannot answer at the moment.
pub(crate) async fn post(port: u16, method: &str, name: &str, params: Value) -> anyhow::Result<Value> {
    let response = send(port, method, name, params).await?;
    if response.status() == StatusCode::SERVICE_UNAVAILABLE {
        bail!("busy");
    }
    let text = response.into_body().collect().await?.to_bytes();
    serde_json::from_slice(&text).context("an answer that is no JSON")
}

/// One request to one pod, and the beginning of its answer.
///
/// # Errors
/// If none comes.
pub(crate) async fn send(port: u16, method: &str, name: &str, mut params: Value) -> anyhow::Result<Response<Incoming>> {
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
    let mut request = Request::post("/mcp")
        .header("host", format!("127.0.0.1:{port}"))
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream")
        .header("mcp-protocol-version", "2026-07-28")
        .header("mcp-method", method);
    if !name.is_empty() {
        request = request.header("mcp-name", name);
    }
    Ok(sender.send_request(request.body(Full::new(Bytes::from(body)))?).await?)
}

/// The steps of a task that has so many.
pub(crate) fn steps(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(step)
}
