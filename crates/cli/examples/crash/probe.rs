//! Requests while the store is away: whether they are answered as they should be, and how long that takes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use http::StatusCode;
use http::header::RETRY_AFTER;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use crate::client::{call, send};
use crate::verdict::{Verdict, is_over};

/// After how long a request is taken to hang.
const HANGS: Duration = Duration::from_secs(30);

/// What a request should be answered while the store is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expect {
    /// 503, with a time after which to come again.
    Away,
    /// A result.
    Result,
    /// One or the other: whether it can be done shows when it is tried.
    Either,
}

/// A request.
pub(crate) struct Probe {
    method: &'static str,
    name: String,
    params: Value,
    expect: Expect,
}

/// What came of the probes.
#[derive(Default)]
pub(crate) struct Probed {
    refused: u64,
    answered: u64,
    slowest: BTreeMap<bool, Duration>,
}

impl Probe {
    pub(crate) fn new(method: &'static str, name: &str, params: Value, expect: Expect) -> Self {
        Self { method, name: name.to_owned(), params, expect }
    }

    /// A call that becomes a task.
    pub(crate) fn call(task: i64, steps: usize, expect: Expect) -> Self {
        Self::new("tools/call", "job", call(task, steps, false), expect)
    }

    /// Those that need nothing that is stored.
    pub(crate) fn free() -> [Self; 3] {
        [
            Self::new("tools/call", "echo", json!({ "name": "echo" }), Expect::Result),
            Self::new("tools/list", "", json!({}), Expect::Result),
            Self::new("server/discover", "", json!({}), Expect::Result),
        ]
    }

    /// Asks a pod. Gives the result, if there is one.
    pub(crate) async fn ask(&self, port: u16, verdict: &Verdict, probed: &Mutex<Probed>) -> Option<Value> {
        let begun = Instant::now();
        let answer = timeout(HANGS, self.answer(port)).await;
        let took = begun.elapsed();
        let mut probed = probed.lock().unwrap_or_else(PoisonError::into_inner);
        let slowest = probed.slowest.entry(self.expect == Expect::Result).or_default();
        *slowest = took.max(*slowest);
        match answer {
            Ok(Ok(Some(result))) if self.expect != Expect::Away => {
                probed.answered += 1;
                Some(result)
            }
            Ok(Ok(None)) if self.expect != Expect::Result => {
                probed.refused += 1;
                None
            }
            Ok(Ok(answer)) => {
                verdict.broken(format!("{} {} is answered otherwise: {answer:?}", self.method, self.name));
                None
            }
            Ok(Err(error)) => {
                verdict.broken(format!("{} {} is not answered: {error:#}", self.method, self.name));
                None
            }
            Err(_) => {
                verdict.broken(format!("{} {} hangs", self.method, self.name));
                None
            }
        }
    }

    /// The result; none where the pod says when to come again.
    async fn answer(&self, port: u16) -> anyhow::Result<Option<Value>> {
        let response = send(port, self.method, &self.name, self.params.clone()).await?;
        let (head, body) = response.into_parts();
        let text = body.collect().await?.to_bytes();
        if head.status == StatusCode::SERVICE_UNAVAILABLE {
            let after = head.headers.get(RETRY_AFTER).context("503 without Retry-After")?;
            let seconds: u64 = after.to_str()?.parse().context("Retry-After")?;
            ensure!((1..=60).contains(&seconds), "Retry-After: {seconds}");
            return Ok(None);
        }
        let mut answer: Value = serde_json::from_slice(&text).context("an answer that is no JSON")?;
        let result = answer["result"].take();
        ensure!(head.status == StatusCode::OK && !result.is_null(), "{} {answer}", head.status);
        Ok(Some(result))
    }
}

impl Probed {
    /// Prints figures of it, and holds it to its bounds.
    pub(crate) fn report(&self, most: Duration, verdict: &Verdict) {
        if self.refused == 0 {
            verdict.broken("the store was there all the time");
        }
        println!("figure outage_refused {} number", self.refused);
        println!("figure outage_answered {} number", self.answered);
        for (is_free, what, most) in [(false, "stored", most), (true, "free", Duration::from_secs(2))] {
            let slowest = self.slowest.get(&is_free).copied().unwrap_or_default();
            println!("figure outage_slowest_{what} {} ms", slowest.as_millis());
            if slowest > most {
                verdict.broken(format!("an answer took {slowest:?}, and {most:?} at most is promised"));
            }
        }
    }
}

/// A listener to tasks, on one pod.
pub(crate) struct Listener {
    body: Incoming,
    text: String,
    ended: Arc<Mutex<BTreeSet<String>>>,
}

impl Listener {
    /// Listens to these tasks. What it hears of that has ended is put into the set.
    ///
    /// # Errors
    /// If the pod does not take that on.
    pub(crate) async fn open(port: u16, ids: &[String], ended: &Arc<Mutex<BTreeSet<String>>>) -> anyhow::Result<Self> {
        let params = json!({ "notifications": { "taskIds": ids } });
        let response = send(port, "subscriptions/listen", "", params).await?;
        ensure!(response.status() == StatusCode::OK, "{}", response.status());
        let mut listener = Self { body: response.into_body(), text: String::new(), ended: Arc::clone(ended) };
        let first = listener.next().await?.context("the stream has ended")?;
        let honoured = first["params"]["notifications"]["taskIds"].as_array().map_or(0, Vec::len);
        ensure!(honoured == ids.len(), "{honoured} of {} tasks are told of", ids.len());
        Ok(listener)
    }

    /// Listens until the stream ends.
    ///
    /// # Errors
    /// If it breaks off.
    pub(crate) async fn hear(mut self) -> anyhow::Result<()> {
        while let Some(message) = self.next().await? {
            let task = &message["params"];
            if is_over(task)
                && let Some(id) = task["taskId"].as_str()
            {
                self.ended.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned());
            }
        }
        Ok(())
    }

    async fn next(&mut self) -> anyhow::Result<Option<Value>> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let data: Option<String> = event.lines().find_map(|line| line.strip_prefix("data:")).map(str::to_owned);
                self.text = rest.to_owned();
                match data {
                    Some(data) => return Ok(Some(serde_json::from_str(&data)?)),
                    None => continue,
                }
            }
            let Some(frame) = self.body.frame().await else { return Ok(None) };
            if let Ok(data) = frame?.into_data() {
                self.text.push_str(std::str::from_utf8(&data)?);
            }
        }
    }
}
