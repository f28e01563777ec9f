//! What is noted about a request while it is worked on, for what is written down about it afterwards.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anypod_proto::implementation::Implementation;
use anypod_proto::version::Version;
use anypod_server::Caller;
use http::HeaderMap;
use tokio::time::Instant;

use crate::failure::Failure;
use crate::observe::{Leg, Observer, Outcome, Seen, SentOn};
use crate::reach::Reach;

/// In the extensions of a request: shared by whoever works on it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Notes(Arc<Mutex<Noted>>);

/// What is known so far.
#[derive(Debug, Default, Clone)]
struct Noted {
    /// Who answers.
    reach: Option<Arc<Reach>>,
    /// The last time that it was sent to a pod.
    attempt: Option<Attempt>,
    /// What the client speaks, and who it is, as its session has it.
    client: Option<(Version, Option<Arc<Implementation>>)>,
    cached: bool,
    stale: bool,
    hopped: bool,
    came_to: Option<Outcome>,
    /// Why there is no result, and the code of the error.
    failed: Option<(Outcome, i32)>,
    /// What goes along to upstreams: the trace.
    headers: HeaderMap,
    /// The same in `_meta`, where that is something else than what came.
    trace: Option<SentOn>,
}

/// A request sent to a pod.
#[derive(Debug, Clone)]
struct Attempt {
    pod: Arc<str>,
    /// How many pods were tried before.
    retries: u8,
    sent: Instant,
    /// From then to the head of the answer.
    head: Option<Duration>,
}

impl Notes {
    pub(crate) fn new(headers: HeaderMap, trace: Option<SentOn>) -> Self {
        Self(Arc::new(Mutex::new(Noted { headers, trace, ..Noted::default() })))
    }

    /// For what is asked besides, in the same trace: nothing of it is noted here.
    pub(crate) fn apart(&self) -> Self {
        let Noted { headers, trace, .. } = self.read();
        Self::new(headers, trace)
    }

    /// What was noted.
    fn read(&self) -> Noted {
        self.lock().clone()
    }

    pub(crate) fn headers(&self) -> HeaderMap {
        self.lock().headers.clone()
    }

    pub(crate) fn trace(&self) -> Option<SentOn> {
        self.lock().trace.clone()
    }

    /// It goes to a pod, after so many others.
    pub(crate) fn sent_to(&self, reach: &Arc<Reach>, pod: &Arc<str>, before: usize) {
        let retries = u8::try_from(before).unwrap_or(u8::MAX);
        let attempt = Attempt { pod: Arc::clone(pod), retries, sent: Instant::now(), head: None };
        let mut noted = self.lock();
        (noted.reach, noted.attempt) = (Some(Arc::clone(reach)), Some(attempt));
    }

    /// The pod has begun to answer.
    pub(crate) fn answered(&self) {
        if let Some(attempt) = &mut self.lock().attempt {
            attempt.head = Some(attempt.sent.elapsed());
        }
    }

    /// Whose it is to answer, wherever the answer comes from.
    pub(crate) fn answered_by(caller: &Caller, reach: &Arc<Reach>) {
        note(caller, |noted| noted.reach = Some(Arc::clone(reach)));
    }

    fn lock(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The client of a legacy session, which no message names.
    pub(crate) fn asked_by(caller: &Caller) {
        note(caller, |noted| noted.client = Some((caller.version, caller.info.clone())));
    }

    /// Writes what was noted into what is written down about a request that came at `started`.
    pub(crate) fn complete(&self, seen: &mut Seen, observer: &Observer, started: Instant) {
        let noted = {
            let mut noted = self.lock();
            // A call of a legacy client goes on when the client has gone, and with it the trace: these stay.
            let (headers, trace) = (std::mem::take(&mut noted.headers), noted.trace.take());
            std::mem::replace(&mut *noted, Noted { headers, trace, ..Noted::default() })
        };
        seen.cached |= noted.cached;
        seen.hopped |= noted.hopped;
        if let Some(outcome) = noted.came_to.filter(|_| seen.outcome == Outcome::Ok) {
            seen.outcome = outcome;
        }
        if noted.stale {
            observer.totals().cache_stale.count();
        }
        if let Some(reach) = noted.reach {
            seen.upstream = Some(Arc::clone(reach.series()));
            seen.upstream_era = reach.upstream.era();
            seen.leg = noted.attempt.map(|Attempt { pod, retries, sent, head }| {
                let after = sent.saturating_duration_since(started);
                Leg { pod: reach.series_of(observer, &pod), after, head, retries }
            });
        }
        if let Some((outcome, code)) = noted.failed {
            (seen.outcome, seen.code) = (outcome, Some(code));
        }
        if let Some((version, info)) = noted.client {
            let (name, of) = info.as_ref().map_or(("", ""), |info| (&info.name, &info.version));
            seen.version.get_or_insert(version);
            seen.client.get_or_insert_with(|| observer.client(name, of));
        }
    }

    pub(crate) fn hopped(caller: &Caller) {
        note(caller, |noted| noted.hopped = true);
    }

    /// It is answered from memory, by what is fresh or by what stands in.
    pub(crate) fn cached(caller: &Caller, fresh: bool) {
        note(caller, |noted| (noted.cached, noted.stale) = (true, !fresh));
    }

    /// Whether anybody behind the gateway was to answer it.
    pub(crate) fn has_asked(&self) -> bool {
        let noted = self.lock();
        noted.reach.is_some() || noted.failed.is_some()
    }

    /// There is no result.
    pub(crate) fn failed(&self, failure: &Failure) {
        self.lock().failed = Some((failure.outcome(), failure.code()));
    }

    /// What came of it, besides a plain result.
    pub(crate) fn came_to(caller: &Caller, outcome: Outcome) {
        note(caller, |noted| noted.came_to = Some(outcome));
    }
}

fn note(caller: &Caller, act: impl FnOnce(&mut Noted)) {
    if let Some(Notes(noted)) = caller.extensions.get::<Notes>() {
        act(&mut noted.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
