//! One server and its pods: `[[upstream]]`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use http::HeaderValue;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Time, files};

/// One server, run by any number of pods.
#[derive(Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Upstream {
    /// Its name: lower-case letters, digits and `-`, beginning with a letter, at most 32. Shown in metrics, and part of names
    /// and URIs where several upstreams are federated.
    pub name: String,
    /// The pods: `http://HOST:PORT/PATH`, `https://…`, or `unix:SOCKET:/PATH`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pods: Vec<String>,
    /// In place of `pods`: a URL whose host name is resolved, each address being a pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns: Option<String>,
    /// How often `dns` is resolved again. Default 10 s.
    #[serde(default = "resolve_every")]
    pub resolve_every: Time,
    /// In place of `pods`: a file with one pod a line, read again when it changes. Lines that begin with `#` are comments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pods_file: Option<PathBuf>,
    /// In place of `pods`: a program that serves stdio, and its arguments. It is started when needed, and again when it ends.
    /// A program with a `/` in it is a path, one without is looked for in `PATH`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// The environment of `command`, besides the gateway's own `PATH`, `HOME`, `LANG` and `TMPDIR`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// The era that it speaks. Default `auto`.
    #[serde(default)]
    pub era: EraChoice,
    /// What a legacy server keeps in its sessions. Default `shared`.
    #[serde(default)]
    pub sessions: Sessions,
    /// How requests are spread over its pods. Default `round-robin`.
    #[serde(default)]
    pub balance: Balance,
    /// How it is found out which pods are well.
    #[serde(default)]
    pub health: Health,
    /// The longest waits.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// Connections to one pod at once; further requests are answered 503. Default 1,024.
    #[serde(default = "connections")]
    pub connections: usize,
    /// Whether HTTP/2 is spoken to pods without TLS. With TLS it is negotiated. Default false.
    #[serde(default)]
    pub http2: bool,
    /// Headers that every request to it carries, such as `authorization`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// A file with the value of `Authorization`, such as `Bearer …`, for what the gateway asks without being asked: how pods
    /// are, and what changes. Read again when it changes. Requests of clients do not carry it. Default: none, so that of an
    /// upstream that wants one, no changes are heard but those that clients listen to with credentials of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization_file: Option<PathBuf>,
    /// Tools that may be called again on another pod when nobody knows whether a call ran, as globs. Default none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub idempotent: Vec<String>,
    /// Authorities to trust for `https` besides the platform's, as PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorities: Option<PathBuf>,
    /// The certificate that the gateway shows to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<ClientTls>,
}

impl Upstream {
    /// An upstream of this name, without pods.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            pods: Vec::new(),
            dns: None,
            resolve_every: resolve_every(),
            pods_file: None,
            command: Vec::new(),
            environment: BTreeMap::new(),
            era: EraChoice::default(),
            sessions: Sessions::default(),
            balance: Balance::default(),
            health: Health::default(),
            timeouts: Timeouts::default(),
            connections: connections(),
            http2: false,
            headers: BTreeMap::new(),
            authorization_file: None,
            idempotent: Vec::new(),
            authorities: None,
            identity: None,
        }
    }
}

impl Upstream {
    /// What stands in the file with the gateway's own credential.
    ///
    /// # Errors
    /// If it cannot be read, or is no value of a header. The text does not repeat what stands there.
    pub(crate) fn authorization(&self) -> Result<Option<HeaderValue>, String> {
        let Some(path) = &self.authorization_file else { return Ok(None) };
        let text = files::text(path)?;
        let wrong = |what| format!("{} {what}: write one line such as `Bearer TOKEN`", path.display());
        let line = text.trim();
        if line.is_empty() {
            return Err(wrong("is empty"));
        }
        let mut value = HeaderValue::from_str(line).map_err(|_| wrong("has more in it than a header may have"))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

// Headers, the environment and the arguments of a command may hold secrets.
impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream").field("name", &self.name).finish_non_exhaustive()
    }
}

const fn resolve_every() -> Time {
    Time::from_secs(10)
}

const fn connections() -> usize {
    1024
}

/// The certificate that the gateway shows to an upstream.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ClientTls {
    /// The certificate chain, as PEM.
    pub certificate: PathBuf,
    /// Its key, as PEM.
    pub key: PathBuf,
}

/// The era of an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EraChoice {
    /// Found out by asking, and again when it changes.
    #[default]
    Auto,
    /// 2026-07-28.
    Modern,
    /// Up to 2025-11-25.
    Legacy,
}

/// What a legacy server keeps in its sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Sessions {
    /// Nothing that matters: the gateway shares few sessions among its clients, and any pod will do.
    #[default]
    Shared,
    /// Something: each legacy client has a session of its own, on the pod that opened it. When that pod is gone, the
    /// client is told to begin again.
    Pinned,
}

/// How requests are spread over pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Balance {
    /// One after the other.
    #[default]
    RoundRobin,
    /// Of two picked at random, the one with fewer requests under way.
    LeastOfTwo,
}

/// How it is found out which pods are well.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Health {
    /// How often each pod is asked for `server/discover`; a legacy pod's refusal is an answer. Default 5 s; `0s` never.
    pub every: Time,
    /// How long it may take to say so. Default 2 s.
    pub timeout: Time,
    /// Failures in a row, of requests or of such questions, after which a pod gets no more requests. Default 3.
    pub failures: u32,
    /// How long a pod gets none, the first time. Doubled each time, up to `longest-pause`. Default 1 s.
    pub pause: Time,
    /// The longest pause. Default 30 s.
    pub longest_pause: Time,
    /// How long a pod that is new, or well again, takes to its full share. Default 10 s.
    pub slow_start: Time,
}

/// The longest waits for an upstream.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Timeouts {
    /// For a connection, TLS included. Default 5 s.
    pub connect: Time,
    /// From the end of the request to the head of the answer. Default 5 min: a tool may take its time.
    pub head: Time,
    /// Between two pieces of an answer. Default 5 min.
    pub silence: Time,
    /// How long an event stream is silent before the gateway sends a comment of its own. Default 15 s.
    pub keep_alive: Time,
    /// How long an unused connection is kept, at most. A pod that says how long it keeps them (`Keep-Alive: timeout=N`) is
    /// taken at its word, less a fifth. Default: 55 s for such pods, less than the 60 s of common balancers, and 4 s for others,
    /// since many servers close theirs after 5 s, and a request that meets the close may or may not have run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle: Option<Time>,
}

/// How long unused connections are kept to pods that say how long they do.
const IDLE: Duration = Duration::from_secs(55);
/// The same to pods that do not say: Node's default and uvicorn's is 5 s.
const IDLE_UNTOLD: Duration = Duration::from_secs(4);

impl Timeouts {
    /// How long an unused connection is kept to a pod that keeps it for `told`, as far as it has said.
    pub(crate) fn idle(&self, told: Option<Duration>) -> Duration {
        let configured = self.idle.map(Time::get);
        match told {
            Some(told) => (told / 5 * 4).min(configured.unwrap_or(IDLE)),
            None => configured.unwrap_or(IDLE_UNTOLD),
        }
    }

    /// How long one unused connection is kept for questions of health, which come once in `every`. Who meets the close of the
    /// pod asks again, so one that does not say how long it keeps them need not be believed to close them early.
    pub(crate) fn idle_for_questions(&self, told: Option<Duration>, every: Duration) -> Duration {
        let idle = self.idle(told);
        match (told, self.idle) {
            // A question comes up to one and a half times as late.
            (None, None) => idle.max(every * 2).min(IDLE),
            (Some(_), _) | (_, Some(_)) => idle,
        }
    }
}

impl Default for Health {
    fn default() -> Self {
        Self {
            every: Time::from_secs(5),
            timeout: Time::from_secs(2),
            failures: 3,
            pause: Time::from_secs(1),
            longest_pause: Time::from_secs(30),
            slow_start: Time::from_secs(10),
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Time::from_secs(5),
            head: Time::from_secs(300),
            silence: Time::from_secs(300),
            keep_alive: Time::from_secs(15),
            idle: None,
        }
    }
}
