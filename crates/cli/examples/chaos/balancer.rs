//! A plain round robin over the replicas, as a balancer does it: a request goes to the other one only if the first refuses
//! the connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::Principal;
use crate::tally::Tally;
use crate::world::Process;

/// The longest wait for a head or a piece of a body.
const PATIENCE: Duration = Duration::from_secs(20);

/// A round robin.
pub(crate) struct Balancer {
    replicas: Vec<Arc<Process>>,
    turn: AtomicUsize,
    tally: Arc<Tally>,
}

/// What is asked.
#[derive(Clone)]
pub(crate) struct Asked {
    pub(crate) method: hyper::Method,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Option<Value>,
}

/// Why there is no answer, or no more of it.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// All replicas refused the connection.
    Refused,
    /// The replica was killed meanwhile.
    Killed,
    /// The connection broke although the replica was not killed.
    Broke(String),
    /// Nothing came for too long.
    Slow,
}

/// A message of an answer.
pub(crate) enum Said {
    /// A request or a notification before it.
    Meanwhile(Value),
    Answer(Value),
}

/// An answer, message by message.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) session: Option<String>,
    is_stream: bool,
    body: Incoming,
    buffer: Vec<u8>,
    replica: Arc<Process>,
    mark: u64,
}

impl Asked {
    pub(crate) fn post(principal: &Principal, body: Value) -> Self {
        let headers = vec![
            ("content-type", "application/json".to_owned()),
            ("accept", "application/json, text/event-stream".to_owned()),
            ("authorization", format!("Bearer {}", principal.token)),
        ];
        Self { method: hyper::Method::POST, headers, body: Some(body) }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl Balancer {
    pub(crate) fn new(replicas: Vec<Arc<Process>>, tally: Arc<Tally>) -> Self {
        Self { replicas, turn: AtomicUsize::new(0), tally }
    }

    /// Sends a request to the replica whose turn it is.
    pub(crate) async fn send(&self, asked: &Asked) -> Result<Reply, Trouble> {
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        for step in 0..self.replicas.len() {
            let replica = &self.replicas[(first + step) % self.replicas.len()];
            let mark = replica.mark();
            self.tally.count("requests");
            match timeout(PATIENCE, exchange(replica, asked)).await {
                Err(_) => return Err(Trouble::Slow),
                Ok(Ok((status, session, is_stream, body))) => {
                    let replica = Arc::clone(replica);
                    return Ok(Reply { status, session, is_stream, body, buffer: Vec::new(), replica, mark });
                }
                Ok(Err(Failed::Refused)) => self.tally.count("refused by one replica"),
                Ok(Err(Failed::Broke(why))) => return Err(trouble(replica, mark, why)),
            }
        }
        Err(Trouble::Refused)
    }
}

fn trouble(replica: &Process, mark: u64, why: String) -> Trouble {
    match replica.was_killed_since(mark) {
        true => Trouble::Killed,
        false => Trouble::Broke(format!("{}: {why}", replica.name)),
    }
}

enum Failed {
    Refused,
    Broke(String),
}

impl From<hyper::Error> for Failed {
    fn from(error: hyper::Error) -> Self {
        let source = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
        Self::Broke(format!("{error}{source}"))
    }
}

type Exchanged = (StatusCode, Option<String>, bool, Incoming);

async fn exchange(replica: &Process, asked: &Asked) -> Result<Exchanged, Failed> {
    // Whatever it is, nothing was sent.
    let stream = TcpStream::connect(replica.address).await.map_err(|_| Failed::Refused)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // It ends with its one exchange.
    tokio::spawn(connection);
    let mut request = Request::builder()
        .method(asked.method.clone())
        .uri("/mcp")
        .header(header::HOST, replica.address.to_string())
        .header(header::CONNECTION, "close");
    for (name, value) in &asked.headers {
        request = request.header(*name, value);
    }
    let body = asked.body.as_ref().map(Value::to_string).unwrap_or_default();
    let request = request.body(Full::new(Bytes::from(body))).map_err(|error| Failed::Broke(error.to_string()))?;
    let response = sender.send_request(request).await?;
    let text = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let is_stream = text("content-type").is_some_and(|kind| kind.starts_with("text/event-stream"));
    Ok((response.status(), text("mcp-session-id"), is_stream, response.into_body()))
}

impl Reply {
    /// The next message; none at the end.
    pub(crate) async fn message(&mut self) -> Result<Option<Value>, Trouble> {
        loop {
            if let Some(message) = self.buffered() {
                return Ok(Some(message));
            }
            match timeout(PATIENCE, self.body.frame()).await {
                Err(_) => return Err(Trouble::Slow),
                Ok(None) if self.is_stream || self.buffer.is_empty() => return Ok(None),
                Ok(None) => {
                    let whole = std::mem::take(&mut self.buffer);
                    let unreadable = || Value::String(String::from_utf8_lossy(&whole).into_owned());
                    return Ok(Some(serde_json::from_slice(&whole).unwrap_or_else(|_| unreadable())));
                }
                Ok(Some(Err(error))) => return Err(trouble(&self.replica, self.mark, error.to_string())),
                Ok(Some(Ok(frame))) => self.buffer.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data)),
            }
        }
    }

    /// The next message of a stream that has come already.
    fn buffered(&mut self) -> Option<Value> {
        if !self.is_stream {
            return None;
        }
        loop {
            let end = self.buffer.windows(2).position(|two| two == b"\n\n")?;
            let event: Vec<u8> = self.buffer.drain(..end + 2).collect();
            let text = String::from_utf8_lossy(&event);
            let data: String = text.lines().filter_map(|line| line.strip_prefix("data:")).map(str::trim).collect();
            if let Ok(message) = serde_json::from_str(&data) {
                return Some(message);
            }
        }
    }

    /// The message that answers the request of this id, or what comes before it.
    pub(crate) async fn next(&mut self, id: u64) -> Result<Said, Trouble> {
        let Some(message) = self.message().await? else {
            return Err(trouble(&self.replica, self.mark, format!("{} and no answer", self.status)));
        };
        match message.get("method") {
            Some(_) => Ok(Said::Meanwhile(message)),
            None if message["id"] != id && message.get("result").is_some() => {
                Err(Trouble::Broke(format!("the answer to another request: {message}")))
            }
            None => Ok(Said::Answer(message)),
        }
    }

    /// The message that answers the request of this id.
    pub(crate) async fn answer(&mut self, id: u64) -> Result<Value, Trouble> {
        loop {
            if let Said::Answer(message) = self.next(id).await? {
                return Ok(message);
            }
        }
    }
}
