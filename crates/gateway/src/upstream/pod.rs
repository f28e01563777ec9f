//! One pod: how it is reached, how well it is, and what is under way on it.

use std::fmt;
use std::io;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use anypod_proto::header::Headers as _;
use anypod_proto::version::Era;
use http::uri::PathAndQuery;
use http::{HeaderName, header};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use super::answer::Answer;
use super::cell::Cell;
use super::condition::{Condition, Standing};
use super::dial::{Dialer, Protocol};
use super::http1::{Break, Idle, Limits, Live, Lost};
use super::http2::{Lease, Open, Shared};
use super::outbound::Outbound;
use super::target::Target;
use crate::config::{Health, Timeouts};
use crate::head::{Fields, Reply};

/// Connections to one pod that are tried for one request, beyond those that turn out to be closed already.
const ATTEMPTS: usize = 3;

/// What the pods of one upstream share.
#[derive(Debug)]
pub(super) struct Terms {
    pub(super) dialer: Dialer,
    pub(super) timeouts: Timeouts,
    pub(super) health: Health,
    /// Connections to one pod.
    pub(super) connections: usize,
    /// Set when a pod gets or loses its part in the rotation.
    pub(super) changed: AtomicBool,
}

/// One pod.
pub(crate) struct Pod {
    target: Target,
    /// No other pod of this upstream has it, nor ever had.
    serial: u32,
    terms: Arc<Terms>,
    condition: Condition,
    era: Cell<Era>,
    in_flight: AtomicUsize,
    slots: Arc<Semaphore>,
    idle: Idle,
    /// What it spoke last, once that is known.
    protocol: Cell<Protocol>,
    open: Open,
    /// Held by who opens a connection that others may share.
    opening: Mutex<()>,
    /// How long the pod keeps a connection that is not used, in seconds, or [`UNTOLD`].
    keeps: AtomicU64,
}

/// Why a pod did not answer a request.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    /// There was no connection: the request certainly did not run.
    #[error("no connection: {0}")]
    NotSent(#[source] io::Error),
    /// All connections that are allowed are in use: the request certainly did not run.
    #[error("all connections are in use")]
    Full,
    /// The connection broke, or the body of the request did. It may have run.
    #[error("the connection broke off: {0}")]
    Broken(#[source] Break),
    /// The head of the answer took too long. It may have run, and was given up.
    #[error("no answer in time")]
    TooSlow,
}

impl SendError {
    /// Whether the pod is to blame, so that [`Pod::failed`] is in place. It is not where the client's body broke off, nor
    /// where the gateway keeps to its own bound.
    pub(crate) fn is_the_pods(&self) -> bool {
        match self {
            Self::NotSent(_) | Self::TooSlow => true,
            Self::Broken(error) => !error.is_the_requests(),
            Self::Full => false,
        }
    }
}

/// Why there is no new connection.
enum NoConnection {
    Full,
    Failed(io::Error),
}

impl Pod {
    pub(super) fn new(target: Target, serial: u32, terms: Arc<Terms>, since: Option<Instant>) -> Arc<Self> {
        let protocol = Cell::new(terms.dialer.expected(&target));
        let slots = Arc::new(Semaphore::new(terms.connections.clamp(1, Semaphore::MAX_PERMITS)));
        Arc::new(Self {
            target,
            serial,
            terms,
            condition: Condition::begun(since),
            era: Cell::new(None),
            in_flight: AtomicUsize::new(0),
            slots,
            idle: Idle::default(),
            protocol,
            open: Open::default(),
            opening: Mutex::new(()),
            keeps: AtomicU64::new(UNTOLD),
        })
    }

    /// What tells it from others and stays the same, on every replica: `SCHEME://ADDRESS:PORT/PATH`.
    pub(crate) const fn id(&self) -> &Arc<str> {
        self.target.id()
    }

    pub(super) const fn serial(&self) -> u32 {
        self.serial
    }

    /// Where it is.
    pub(crate) const fn target(&self) -> &Target {
        &self.target
    }

    /// The era that it spoke last, once that is known. Pods of one upstream may differ while a new version rolls out.
    pub(crate) fn era(&self) -> Option<Era> {
        self.era.load()
    }

    pub(super) fn settle_era(&self, era: Era) {
        self.era.store(era);
    }

    /// Whether it speaks HTTP/1.1 without TLS, as far as is known: there, nothing but the connection says whether a request
    /// can have run.
    pub(crate) fn is_plain(&self) -> bool {
        self.target.secured().is_none() && self.protocol.load() == Some(Protocol::Http1)
    }

    /// Requests under way.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Whether it gets requests.
    pub(crate) fn is_well(&self) -> bool {
        matches!(self.standing(Instant::now()), Standing::Well { .. })
    }

    pub(super) fn standing(&self, now: Instant) -> Standing {
        self.condition.standing(now)
    }

    /// A request to it went well.
    pub(crate) fn succeeded(&self) {
        if self.condition.succeeded() {
            self.recovered();
        }
    }

    /// A request to it failed in a way that says that the pod is not well: it could not be reached, broke off, took too
    /// long, or something in front of it answered in its place.
    pub(crate) fn failed(&self) {
        if let Some(pause) = self.condition.failed(Instant::now(), &self.terms.health) {
            self.paused(pause, "requests failed");
        }
    }

    pub(super) fn answered(&self) {
        if self.condition.answered(Instant::now()) {
            self.recovered();
        }
    }

    pub(super) fn unanswered(&self) {
        if let Some(pause) = self.condition.unanswered(Instant::now(), &self.terms.health) {
            self.paused(pause, "it does not say how it is");
        }
    }

    fn recovered(&self) {
        self.terms.changed.store(true, Ordering::Release);
        tracing::info!(pod = %self.target, "gets requests again");
    }

    fn paused(&self, pause: Duration, why: &'static str) {
        self.terms.changed.store(true, Ordering::Release);
        tracing::warn!(pod = %self.target, ?pause, why, "gets no requests for now");
    }

    /// Sends a request and waits for the head of the answer. The request is addressed here: its target and `Host`
    /// become the pod's. One that is there as a whole stays as it is otherwise; of another, nothing is left once it has been
    /// sent. Dropping the future, or the answer's body, ends the request at the pod.
    ///
    /// # Errors
    /// See [`SendError`].
    pub(crate) async fn send(self: &Arc<Self>, request: &mut Outbound) -> Result<Reply<Answer>, SendError> {
        self.send_at(Instant::now(), request).await
    }

    /// The same for whoever knows what time it is.
    pub(crate) async fn send_at(
        self: &Arc<Self>,
        now: Instant,
        request: &mut Outbound,
    ) -> Result<Reply<Answer>, SendError> {
        match self.protocol.load() {
            Some(Protocol::Http1) => self.send_alone(now, request).await,
            // Rarer, and its future larger.
            Some(Protocol::Http2) | None => Box::pin(self.send_shared(request)).await,
        }
    }

    /// The same for what may be asked twice: it goes on a connection that is too old for other requests, if there is one, and
    /// on another one where the pod has closed that.
    pub(super) async fn ask(self: &Arc<Self>, question: &mut Outbound) -> Result<Reply<Answer>, SendError> {
        if self.protocol.load() == Some(Protocol::Http1)
            && let Some(live) = self.idle.take(Instant::now(), Duration::MAX)
        {
            let target = self.address_http1(question);
            match self.exchange(live, question, &target, Instant::now()).await {
                Err(Lost::Unsent | Lost::Broken(_)) => {}
                outcome => return outcome.map_err(SendError::from),
            }
        }
        self.send(question).await
    }

    /// On a connection that nobody else uses meanwhile.
    async fn send_alone(self: &Arc<Self>, now: Instant, request: &mut Outbound) -> Result<Reply<Answer>, SendError> {
        let target = self.address_http1(request);
        // Each turn uses one up, so this ends with a new one.
        while let Some(live) = self.idle.take(now, self.longest_idle()) {
            match self.exchange(live, request, &target, now).await {
                Err(Lost::Unsent) => {}
                outcome => return outcome.map_err(SendError::from),
            }
        }
        match Box::pin(self.connect()).await? {
            Connected::Alone(live) => Ok(self.exchange(live, request, &target, Instant::now()).await?),
            // It has learnt another protocol.
            Connected::Shared(lease) => Ok(Box::pin(self.exchange_shared(lease, request)).await?),
        }
    }

    async fn exchange(
        self: &Arc<Self>,
        mut live: Box<Live>,
        request: &mut Outbound,
        target: &PathAndQuery,
        begun: Instant,
    ) -> Result<Reply<Answer>, Lost> {
        let response = live.exchange(request, target, begun, self.answer_limits()).await?;
        self.learn_keeps(&response.fields);
        Ok(response.map(|body| Answer::http1(body, self, live, self.terms.timeouts.silence.get())))
    }

    fn answer_limits(&self) -> Limits {
        Limits { head: self.terms.timeouts.head.get(), silence: self.terms.timeouts.silence.get() }
    }

    /// On a connection that may be carrying other requests, if the pod speaks a protocol that can.
    async fn send_shared(self: &Arc<Self>, request: &mut Outbound) -> Result<Reply<Answer>, SendError> {
        for _ in 0..ATTEMPTS {
            let lease = match self.lease().await? {
                Connected::Shared(lease) => lease,
                Connected::Alone(live) => {
                    let target = self.address_http1(request);
                    return Ok(self.exchange(live, request, &target, Instant::now()).await?);
                }
            };
            match self.exchange_shared(lease, request).await {
                Err(Lost::Unsent) => {}
                outcome => return Ok(outcome?),
            }
        }
        Err(SendError::NotSent(io::ErrorKind::ConnectionAborted.into()))
    }

    async fn exchange_shared(&self, lease: Lease, request: &mut Outbound) -> Result<Reply<Answer>, Lost> {
        let target = self.target.absolute_form(&request.head.uri);
        // `:authority` stands for it.
        request.head.fields.remove(&header::HOST);
        let response = lease.exchange(request, target, self.terms.timeouts.head.get()).await?;
        Ok(Reply::from(response).map(|body| Answer::http2(body, lease, self.terms.timeouts.silence.get())))
    }

    /// A place on an open connection, or on a new one. Of many that need a new one at once, one opens it.
    async fn lease(&self) -> Result<Connected, NoConnection> {
        if let Some(lease) = self.open.lease() {
            return Ok(Connected::Shared(lease));
        }
        let opening = timeout(self.terms.dialer.deadline(), self.opening.lock());
        let Ok(opening) = opening.await else {
            return Err(NoConnection::Failed(io::ErrorKind::TimedOut.into()));
        };
        if let Some(lease) = self.open.lease() {
            return Ok(Connected::Shared(lease));
        }
        // Those that nobody can share are opened side by side.
        let _opening = (self.protocol.load() != Some(Protocol::Http1)).then_some(opening);
        self.connect().await
    }

    async fn connect(&self) -> Result<Connected, NoConnection> {
        let slot = self.slot()?;
        let (stream, protocol) = self.terms.dialer.connect(&self.target).await.map_err(NoConnection::Failed)?;
        self.protocol.store(protocol);
        match protocol {
            Protocol::Http1 => Ok(Connected::Alone(Live::new(stream, slot))),
            Protocol::Http2 => {
                let shared = Shared::new(stream, slot).await.map_err(NoConnection::Failed)?;
                Ok(Connected::Shared(self.open.add(shared)))
            }
        }
    }

    fn slot(&self) -> Result<OwnedSemaphorePermit, NoConnection> {
        Arc::clone(&self.slots).try_acquire_owned().map_err(|_| NoConnection::Full)
    }

    pub(super) fn give_back(&self, live: Box<Live>) {
        self.idle.keep(live);
    }

    /// Closes connections that nobody needs.
    pub(super) fn sweep(&self) {
        let Terms { timeouts, health, .. } = &*self.terms;
        self.idle.sweep(self.longest_idle(), timeouts.idle_for_questions(self.keeps(), health.every.get()));
        self.open.sweep();
    }

    fn longest_idle(&self) -> Duration {
        self.terms.timeouts.idle(self.keeps())
    }

    /// How long it keeps a connection that is not used, as far as it has said.
    fn keeps(&self) -> Option<Duration> {
        match self.keeps.load(Ordering::Relaxed) {
            UNTOLD => None,
            seconds => Some(Duration::from_secs(seconds)),
        }
    }

    /// Servers that say how long they keep a connection close it then, and a request that crosses the close may or may
    /// not have run: ours goes first.
    fn learn_keeps(&self, fields: &Fields) {
        let Some(value) = fields.text(&KEEP_ALIVE) else { return };
        let timeout = value.split(',').find_map(|part| part.trim().strip_prefix("timeout="));
        if let Some(seconds) = timeout.and_then(|timeout| timeout.parse::<u32>().ok()) {
            self.keeps.store(seconds.into(), Ordering::Relaxed);
        }
    }

    /// Names the pod as the host, and gives the target as it is there.
    fn address_http1(&self, request: &mut Outbound) -> PathAndQuery {
        request.head.fields.insert(header::HOST, self.target.host().clone());
        self.target.origin_form(&request.head.uri)
    }

    /// Connections that wait for reuse.
    #[cfg(test)]
    pub(super) fn idle(&self) -> usize {
        self.idle.len()
    }

    /// Connections that are open.
    #[cfg(test)]
    pub(super) fn connections(&self) -> usize {
        self.terms.connections - self.slots.available_permits()
    }
}

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
/// What stands for a pod that has not said how long it keeps connections.
const UNTOLD: u64 = u64::MAX;

/// A connection for one request.
enum Connected {
    Alone(Box<Live>),
    Shared(Lease),
}

impl From<NoConnection> for SendError {
    fn from(reason: NoConnection) -> Self {
        match reason {
            NoConnection::Full => Self::Full,
            NoConnection::Failed(error) => Self::NotSent(error),
        }
    }
}

impl From<Lost> for SendError {
    fn from(lost: Lost) -> Self {
        match lost {
            Lost::Unsent => Self::NotSent(io::ErrorKind::ConnectionAborted.into()),
            Lost::Broken(error) => Self::Broken(error),
            Lost::TooSlow => Self::TooSlow,
        }
    }
}

impl fmt::Debug for Pod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pod").field(&self.target.id()).finish()
    }
}

/// A pod that has been picked for one request, which counts as under way until this is dropped.
#[derive(Debug)]
pub(crate) struct Picked(Arc<Pod>);

impl Picked {
    pub(super) fn new(pod: Arc<Pod>) -> Self {
        pod.in_flight.fetch_add(1, Ordering::Relaxed);
        Self(pod)
    }
}

impl Drop for Picked {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Deref for Picked {
    type Target = Arc<Pod>;

    fn deref(&self) -> &Arc<Pod> {
        &self.0
    }
}

/// The pods that one request has been to.
#[derive(Debug, Default)]
pub(crate) struct Tried(Vec<u32>);

impl Tried {
    /// The request has been there, and need not go again.
    pub(crate) fn add(&mut self, pod: &Pod) {
        self.0.push(pod.serial);
    }

    /// How many there are.
    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn has(&self, serial: u32) -> bool {
        self.0.contains(&serial)
    }
}
