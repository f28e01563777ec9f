//! What is noted about a request while it is worked on, for what is written down about it afterwards.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anypod_proto::implementation::Implementation;
use anypod_proto::version::Era;
use anypod_server::Caller;
use http::HeaderMap;

use crate::observe::{Leg, Observer, Outcome, Seen};
use crate::reach::Reach;

/// In the extensions of a request: shared by whoever works on it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Notes(Arc<Mutex<Noted>>);

/// What is known so far.
#[derive(Debug, Default, Clone)]
struct Noted {
    /// Who answers, and the pod.
    reach: Option<(Arc<Reach>, Arc<str>)>,
    /// The client, as its session has it.
    client: Option<(Era, Option<Implementation>)>,
    cached: bool,
    stale: bool,
    hopped: bool,
    came_to: Option<Outcome>,
    /// What goes along to upstreams: the trace.
    headers: HeaderMap,
}

impl Notes {
    pub(crate) fn with_headers(headers: HeaderMap) -> Self {
        Self(Arc::new(Mutex::new(Noted { headers, ..Noted::default() })))
    }

    /// What was noted.
    fn read(&self) -> Noted {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn headers(&self) -> HeaderMap {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).headers.clone()
    }

    pub(crate) fn answered_by(caller: &Caller, reach: &Arc<Reach>, pod: &Arc<str>) {
        note(caller, |noted| noted.reach = Some((Arc::clone(reach), Arc::clone(pod))));
    }

    /// The client of a legacy session, which no message names.
    pub(crate) fn asked_by(caller: &Caller) {
        note(caller, |noted| noted.client = Some((caller.version.era(), caller.info.clone())));
    }

    /// Writes what was noted into what is written down.
    pub(crate) fn complete(&self, seen: &mut Seen, observer: &Observer) {
        let noted = self.read();
        seen.cached |= noted.cached;
        seen.hopped |= noted.hopped;
        if let Some(outcome) = noted.came_to.filter(|_| seen.outcome == Outcome::Ok) {
            seen.outcome = outcome;
        }
        if noted.stale {
            observer.totals().cache_stale.count();
        }
        if let Some((reach, pod)) = noted.reach {
            seen.upstream = Some(Arc::clone(reach.series()));
            seen.upstream_era = reach.upstream.era();
            let pod = reach.series_of(observer, &pod);
            seen.leg = Some(Leg { pod, after: Duration::ZERO, head: None, retries: 0 });
        }
        if let (None, Some((_, Some(info)))) = (&seen.client, noted.client) {
            seen.client = Some(observer.client(&info.name, &info.version));
        }
    }

    pub(crate) fn hopped(caller: &Caller) {
        note(caller, |noted| noted.hopped = true);
    }

    /// It is answered from memory, by what is fresh or by what stands in.
    pub(crate) fn cached(caller: &Caller, fresh: bool) {
        note(caller, |noted| (noted.cached, noted.stale) = (true, !fresh));
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
