//! Calls to the pods of an upstream: a [`Call`] in, an [`Exchange`] out, whatever the era of the server.
//!
//! This is the way of everything that is not relayed as bytes: what a legacy client asks, what a legacy upstream is asked,
//! what is merged from several upstreams, and what the gateway asks for itself.

mod change;
mod sender;
mod settings;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use anypod_client::{
    Answer, Call, Endpoint, Error, Exchange, Identity, Incoming, ModernUpstream, Notice, Probed, Ready, Refusal,
    Repeat, Sent,
};
use anypod_proto::capabilities::ClientCapabilities;
use anypod_proto::implementation::Implementation;
use anypod_proto::seal::digest;
use anypod_proto::version::Era;
use bytes::Bytes;
use foldhash::quality::RandomState;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Method, StatusCode};

pub(crate) use self::change::Change;
pub(crate) use self::sender::Sender;

use self::settings::Settings;
use crate::config;
use crate::failure::Failure;
use crate::glob::{Glob, all_of};
use crate::head::Head;
use crate::observe::{self, Observer};
use crate::sessions::{Bounds, Key, Session, Sessions};
use crate::start_error::StartError;
use crate::upstream::{Outbound, Outgoing, Picked, Pod, SendError, Tried, Upstream};

/// An upstream, and the ways to call it.
pub(crate) struct Reach {
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) sessions: Arc<Sessions>,
    /// Without its `pods`, which may change.
    config: config::Upstream,
    idempotent: Box<[Glob]>,
    ways: RwLock<Ways>,
    /// What the gateway calls itself when it asks for itself.
    own: Arc<Identity>,
    /// The child process, where it is one.
    child: Option<Endpoint>,
    series: Arc<observe::Upstream>,
    pods: RwLock<ByPod<Arc<observe::Pod>>>,
}

/// By the id of a pod, which every call looks up.
type ByPod<T> = HashMap<Arc<str>, T, RandomState>;

/// How its pods are called.
struct Ways {
    settings: Settings,
    endpoints: ByPod<Endpoint>,
}

/// A call under way.
pub(crate) struct Under {
    pub(crate) exchange: Exchange,
    /// How long nothing may come.
    pub(crate) patience: Duration,
    /// The session that it belongs to, of a legacy upstream.
    pub(crate) session: Option<Arc<Session>>,
    /// Counts as under way until it is dropped; none for a call that belongs to one pod and no other.
    pub(crate) picked: Option<Picked>,
}

impl std::fmt::Debug for Reach {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Reach").field(self.name()).finish()
    }
}

/// Where the next attempt goes.
struct Next {
    endpoint: Endpoint,
    pod: Arc<str>,
    picked: Option<Picked>,
}

/// Why an attempt failed.
enum Attempt {
    /// It certainly did not run, or does no harm if it runs again.
    Again(Failure),
    Failed(Failure),
}

impl Reach {
    /// `before` is what has been configured by this name until now: what waits there for the answers of clients is still
    /// found.
    ///
    /// # Errors
    /// If the configuration names something that cannot be used.
    pub(crate) fn new(
        config: &config::Upstream,
        limits: &config::Limits,
        upstream: Arc<Upstream>,
        observer: &Observer,
        before: Option<&Self>,
    ) -> Result<Arc<Self>, StartError> {
        let series = observer.upstream(&config.name);
        let settings = Settings::new(config, client_limits(config, limits))?;
        let child = match config.command.is_empty() {
            true => None,
            false => Some(settings::child(config, settings.limits().clone())),
        };
        let before = before.map(|reach| Arc::clone(&reach.sessions));
        Ok(Arc::new(Self {
            upstream,
            sessions: Sessions::new(Bounds::from(limits), Arc::clone(&series), before),
            config: config::Upstream { pods: Vec::new(), ..config.clone() },
            ways: RwLock::new(Ways { settings, endpoints: ByPod::default() }),
            own: Arc::new(Identity::new(info(), ClientCapabilities::default())),
            idempotent: all_of(&config.idempotent),
            child,
            series,
            pods: RwLock::default(),
        }))
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        self.upstream.name()
    }

    pub(crate) const fn config(&self) -> &config::Upstream {
        &self.config
    }

    /// What is counted of it.
    pub(crate) const fn series(&self) -> &Arc<observe::Upstream> {
        &self.series
    }

    /// What is counted of one of its pods.
    pub(crate) fn series_of(&self, observer: &Observer, pod: &Arc<str>) -> Arc<observe::Pod> {
        let known = self.pods.read().unwrap_or_else(PoisonError::into_inner).get(pod).cloned();
        known.unwrap_or_else(|| {
            let made = observer.pod(&self.series, pod);
            // Those of pods that are no more go when another comes.
            self.forget_gone();
            let mut pods = self.pods.write().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(pods.entry(Arc::clone(pod)).or_insert(made))
        })
    }

    /// Forgets what is counted of pods that are no more, and how to call them.
    fn forget_gone(&self) {
        let is_there = |id: &Arc<str>| self.upstream.pod(id).is_some();
        self.pods.write().unwrap_or_else(PoisonError::into_inner).retain(|id, _| is_there(id));
        self.ways_mut().endpoints.retain(|id, _| is_there(id));
    }

    /// Whether it is a child process, which nothing can be relayed to as bytes.
    pub(crate) const fn is_child(&self) -> bool {
        self.child.is_some()
    }

    /// Whether a tool may be called again when nobody knows whether a call ran.
    pub(crate) fn is_idempotent(&self, tool: &str) -> bool {
        self.idempotent.iter().any(|pattern| pattern.fits(tool))
    }

    /// The era of the upstream, found out if it is not known: in the gateway's name, with the credentials of `from`.
    ///
    /// # Errors
    /// If no pod says.
    pub(crate) async fn era(&self, from: &Sender) -> Result<Era, Failure> {
        match self.upstream.era() {
            Some(era) => Ok(era),
            // Rarer, and its future larger.
            None => Box::pin(self.find_era(from)).await,
        }
    }

    async fn find_era(&self, from: &Sender) -> Result<Era, Failure> {
        self.upstream.looked().await;
        let mut tried = Tried::default();
        let mut last = None;
        while let Ok(next) = self.next(&tried) {
            last = Some(match next.endpoint.probe(&self.own, &self.headers(from), None).await {
                Probed::Speaks(era) => {
                    self.upstream.settle_era(era);
                    return Ok(era);
                }
                Probed::Unauthorized(challenge) => self.failure(from, Error::Unauthorized(challenge)),
                Probed::NotNow(_) => self.no_pod(),
                Probed::Neither(error) | Probed::Unreachable(error) => Failure::of(self.name(), error),
            });
            match next.picked {
                Some(picked) => tried.add(&picked),
                None => break,
            }
        }
        Err(last.unwrap_or_else(|| self.no_pod()))
    }

    /// Sends a call to some pod that it has not been to; to another one if it did not run.
    ///
    /// # Errors
    /// As the upstream has it.
    pub(crate) async fn send(
        self: &Arc<Self>,
        call: &Call,
        from: &Sender,
        tried: &mut Tried,
    ) -> Result<Under, Failure> {
        let era = self.era(from).await?;
        let call = &*from.traced(call);
        let mut last = None;
        while let Ok(next) = self.next(tried) {
            from.notes.sent_to(self, &next.pod, tried.len());
            let failure = match self.attempt(era, &next, call, from).await {
                Ok((exchange, session)) => {
                    from.notes.answered();
                    return Ok(Under { exchange, patience: self.patience(), session, picked: next.picked });
                }
                Err(Attempt::Failed(failure)) => return Err(failure),
                Err(Attempt::Again(failure)) => failure,
            };
            tracing::warn!(upstream = &**self.name(), pod = &*next.pod, %failure, "a call goes to another pod");
            last = Some(failure);
            match next.picked {
                Some(picked) => {
                    picked.failed();
                    tried.add(&picked);
                }
                None => break,
            }
        }
        Err(last.unwrap_or_else(|| self.no_pod()))
    }

    /// Brings what is counted of pods, sessions and the era up to date.
    pub(crate) fn look(&self, observer: &Observer) {
        if let Some(era) = self.upstream.era() {
            self.series.found(era);
        }
        for pod in self.upstream.pods().iter() {
            let series = self.series_of(observer, pod.id());
            let well = pod.is_well();
            series.answers(well);
            if well { series.readmit() } else { series.eject() }
        }
    }

    /// Sends a call of the gateway's own, and gives its result. What is said along the way is of no interest.
    ///
    /// # Errors
    /// As [`Reach::send`], and the error that the upstream answers.
    pub(crate) async fn ask(self: &Arc<Self>, call: &Call, from: &Sender) -> Result<Bytes, Failure> {
        let mut tried = Tried::default();
        loop {
            let mut under = self.send(call, from, &mut tried).await?;
            match under.answer(drop).await {
                Ok(Answer::Result(raw)) => return Ok(raw.as_bytes().clone()),
                Ok(Answer::Error(error)) => return Err(error.into()),
                Err(error) if self.goes_on(call, &under, &error, &mut tried) => {}
                Err(error) => return Err(Failure::of(self.name(), error)),
            }
        }
    }

    /// Whether a call that broke off in its answer goes to another pod: it does no harm there, and there is one.
    pub(crate) fn goes_on(&self, call: &Call, under: &Under, error: &Error, tried: &mut Tried) -> bool {
        let Some(picked) = under.picked.as_ref().filter(|_| is_harmless(call, error)) else { return false };
        picked.failed();
        tried.add(picked);
        let goes_on = self.upstream.pods().len() > tried.len();
        let pod = under.picked.as_ref().map(|picked| &**picked.id());
        tracing::warn!(upstream = &**self.name(), pod, %error, goes_on, "a pod broke off in its answer");
        goes_on
    }

    /// The pods that take requests now, by their ids; the upstream itself where it is a child process.
    ///
    /// # Errors
    /// If there is none.
    pub(crate) async fn places(&self) -> Result<Vec<Arc<str>>, Failure> {
        if self.is_child() {
            return Ok(vec![Arc::clone(self.name())]);
        }
        self.upstream.looked().await;
        let well = |pod: &&Arc<Pod>| pod.is_well();
        let places: Vec<_> = self.upstream.pods().iter().filter(well).map(|pod| Arc::clone(pod.id())).collect();
        if places.is_empty() { Err(self.no_pod()) } else { Ok(places) }
    }

    /// Sends a call to one pod and no other.
    ///
    /// # Errors
    /// As the pod has it.
    pub(crate) async fn send_to(&self, pod: &Arc<str>, call: &Call, from: &Sender) -> Result<Under, Failure> {
        let era = self.era(from).await?;
        let endpoint = match &self.child {
            Some(child) => child.clone(),
            None => self.endpoint(&*self.upstream.pod(pod).ok_or_else(|| self.no_pod())?)?,
        };
        let next = Next { endpoint, pod: Arc::clone(pod), picked: None };
        match self.attempt(era, &next, call, from).await {
            Ok((exchange, session)) => Ok(Under { exchange, patience: self.patience(), session, picked: None }),
            Err(Attempt::Again(failure) | Attempt::Failed(failure)) => Err(failure),
        }
    }

    /// Closes the sessions, and ends the child process, if it is one.
    pub(crate) async fn close(&self) {
        self.sessions.close().await;
        if let Some(child) = &self.child {
            child.close().await;
        }
    }

    /// The endpoint of one pod.
    ///
    /// # Errors
    /// If its URL cannot be used, which the configuration should have said.
    fn endpoint(&self, pod: &Pod) -> Result<Endpoint, Failure> {
        let known = self.ways().endpoints.get(pod.id()).cloned();
        if let Some(endpoint) = known {
            return Ok(endpoint);
        }
        // Those of pods that are no more go when another comes.
        self.forget_gone();
        let mut ways = self.ways_mut();
        let made = ways.settings.builder(pod.target()).endpoint(&pod.target().url());
        let made = made.map_err(|error| Failure::of(self.name(), error))?;
        Ok(ways.endpoints.entry(Arc::clone(pod.id())).or_insert(made).clone())
    }

    fn ways(&self) -> RwLockReadGuard<'_, Ways> {
        self.ways.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn ways_mut(&self) -> RwLockWriteGuard<'_, Ways> {
        self.ways.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self, tried: &Tried) -> Result<Next, Failure> {
        if let Some(child) = &self.child {
            return match tried.len() == 0 {
                true => Ok(Next { endpoint: child.clone(), pod: Arc::clone(self.name()), picked: None }),
                false => Err(self.no_pod()),
            };
        }
        let picked = self.upstream.pick(tried).ok_or_else(|| self.no_pod())?;
        let endpoint = self.endpoint(&picked)?;
        Ok(Next { endpoint, pod: Arc::clone(picked.id()), picked: Some(picked) })
    }

    async fn attempt(
        &self,
        era: Era,
        next: &Next,
        call: &Call,
        from: &Sender,
    ) -> Result<(Exchange, Option<Arc<Session>>), Attempt> {
        match era {
            Era::Modern => {
                let (modern, headers) = (next.endpoint.modern(), self.headers(from));
                let sent = match self.relayed(next, &modern, call, from, &headers).await {
                    Some(sent) => sent,
                    None => Box::pin(self.in_time(modern.send(call, &from.identity, &headers))).await,
                };
                match sent.map_err(|error| self.failed(call, from, error))? {
                    Sent::Exchange(exchange) => Ok((exchange, None)),
                    Sent::Refused(refusal) => Err(self.refused(from, refusal)),
                }
            }
            Era::Legacy => {
                let (credential, apart) = self.credential(from);
                let (pod, capabilities) = (Arc::clone(&next.pod), Arc::clone(&from.spelled));
                let key = Key { pod, apart, capabilities };
                let session = self
                    .sessions
                    .of(&key, &next.endpoint, from.identity.capabilities(), credential.as_ref())
                    .map_err(|rejection| Attempt::Failed(rejection.into()))?;
                let sent = Box::pin(self.in_time(session.upstream.send(call))).await;
                Ok((sent.map_err(|error| self.failed(call, from, error))?, Some(session)))
            }
        }
    }

    /// The credential that goes along, and what keeps apart what is asked with it.
    fn credential(&self, from: &Sender) -> (Option<HeaderValue>, Option<[u8; 32]>) {
        match from.is_own.then(|| self.upstream.authorization()).flatten() {
            Some(own) => (Some(own), Some(digest(&[b"gateway"]))),
            None => (from.credentials.passed_on.clone(), from.credentials.kept_apart_by()),
        }
    }

    fn headers(&self, from: &Sender) -> HeaderMap {
        let mut headers = from.notes.headers();
        if let (Some(credential), _) = self.credential(from) {
            headers.insert(AUTHORIZATION, credential);
        }
        headers
    }

    /// Sends a call on a connection of those that requests are relayed on, which costs half of what the client's own does.
    /// None if it was not sent: because the pod is not called as simply as that, or all those connections are in use, where the
    /// client waits for its turn.
    async fn relayed(
        &self,
        next: &Next,
        modern: &ModernUpstream,
        call: &Call,
        from: &Sender,
        headers: &HeaderMap,
    ) -> Option<Result<Sent, Error>> {
        let pod = next.picked.as_ref().filter(|pod| pod.is_plain())?;
        let Ready { uri, headers, body, posted } = match modern.request(call, &from.identity, headers) {
            Ok(ready) => ready?,
            Err(error) => return Some(Err(error)),
        };
        let head = Head { method: Method::POST, uri, fields: headers.into() };
        let sent = pod.send(&mut Outbound { head, body: Outgoing::Whole(body) }).await;
        let source = match sent {
            Ok(answer) if answer.status.is_redirection() => return None,
            Ok(answer) => {
                let whole = answer.body.whole();
                let result = whole.and_then(|body| modern.result(&posted, answer.status, &answer.fields, body));
                return match result {
                    Some(sent) => Some(sent),
                    None => Some(Box::pin(self.in_time(modern.came(posted, answer.into()))).await),
                };
            }
            Err(SendError::Full) => return None,
            Err(SendError::TooSlow) => return Some(Err(Error::TimedOut(self.patience()))),
            Err(error @ (SendError::NotSent(_) | SendError::Broken(_))) => error,
        };
        let not_sent = matches!(source, SendError::NotSent(_));
        let (origin, source) = (pod.id().to_string(), source.into());
        Some(Err(match (not_sent, call.repeat) {
            (true, _) => Error::Unreachable { origin, source },
            (false, Repeat::Safe) => Error::Lost { source },
            (false, Repeat::Never) => Error::OutcomeUnknown { source },
        }))
    }

    /// How long an upstream may say nothing.
    pub(crate) const fn patience(&self) -> Duration {
        self.config.timeouts.head.get()
    }

    /// Waits for the head of an answer.
    async fn in_time<T>(&self, sent: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let patience = self.patience();
        tokio::time::timeout(patience, sent).await.unwrap_or(Err(Error::TimedOut(patience)))
    }

    fn failed(&self, call: &Call, from: &Sender, error: Error) -> Attempt {
        // A pod that wants other credentials is well, and the others will want them, too.
        let again = match &error {
            Error::Unauthorized(_) => false,
            error => is_harmless(call, error) || error.did_not_run(),
        };
        let failure = self.failure(from, error);
        if again { Attempt::Again(failure) } else { Attempt::Failed(failure) }
    }

    /// A challenge is passed on to whoever has credentials of its own for the upstream. Who is known here by a token of the
    /// gateway's could do nothing about it.
    fn failure(&self, from: &Sender, error: Error) -> Failure {
        match error {
            Error::Unauthorized(_) if !from.is_passed_on() => Failure::UpstreamUnauthorized(None),
            error => Failure::of(self.name(), error),
        }
    }

    /// An answer that says no: an error to be passed on, with its status, or something that another pod may do better.
    fn refused(&self, from: &Sender, refusal: Refusal) -> Attempt {
        let status = refusal.status;
        if refusal.challenge.is_some() && from.is_passed_on() {
            return Attempt::Failed(self.failure(from, refusal.into_error()));
        }
        if let Some(error) = refusal.error() {
            let failure = Failure::answered(Some(status), error);
            // A pod that is full says so before it begins.
            return match status {
                StatusCode::SERVICE_UNAVAILABLE => Attempt::Again(failure),
                _ => Attempt::Failed(failure),
            };
        }
        match status {
            StatusCode::SERVICE_UNAVAILABLE => Attempt::Again(self.no_pod()),
            _ => Attempt::Failed(self.failure(from, refusal.into_error())),
        }
    }

    fn no_pod(&self) -> Failure {
        Failure::NoPod { upstream: self.name().to_string() }
    }
}

impl Under {
    /// What comes next.
    ///
    /// # Errors
    /// As the exchange has it; and if nothing comes for too long.
    pub(crate) async fn next(&mut self) -> Result<Incoming, Error> {
        let patience = self.patience;
        tokio::time::timeout(patience, self.exchange.next()).await.unwrap_or(Err(Error::TimedOut(patience)))
    }

    /// The answer. What is said before it goes to `notice`.
    ///
    /// # Errors
    /// As [`Under::next`].
    pub(crate) async fn answer(&mut self, mut notice: impl FnMut(Notice)) -> Result<Answer, Error> {
        loop {
            match self.next().await? {
                Incoming::Notice(said) => notice(said),
                Incoming::Answer(answer) => return Ok(answer),
            }
        }
    }
}

/// Whether a call that ended so may run again.
fn is_harmless(call: &Call, error: &Error) -> bool {
    matches!(error, Error::Lost { .. }) && call.repeat == Repeat::Safe
}

/// What the gateway calls itself towards upstreams.
pub(crate) fn info() -> Implementation {
    Implementation::new("anypod-gateway", env!("CARGO_PKG_VERSION"))
}

/// The bounds of calls to an upstream.
fn client_limits(config: &config::Upstream, limits: &config::Limits) -> anypod_client::Limits {
    let mut client = anypod_client::Limits::default();
    client.connect_deadline = config.timeouts.connect.get();
    client.connections = config.connections;
    client.idle_deadline = config.timeouts.idle(None);
    client.request_deadline = config.timeouts.head.get();
    client.silence_deadline = config.timeouts.silence.get();
    client.body_bytes = limits.result_bytes;
    client.event_bytes = limits.result_bytes;
    client.header_bytes = limits.header_bytes;
    client.held_calls = limits.held_calls;
    client.answer_deadline = limits.answer_deadline.get();
    client
}
