//! What is counted, by what it belongs to: a method and name, a client, an upstream, a pod, a route.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use anypod_proto::version::Era;

use super::family::Row;
use super::number::{Counter, Gauge, Histogram, Latest, Open};
use super::seen::{ERAS, Outcome, Seen, era_index};

/// How often each outcome was.
#[derive(Debug, Default)]
pub(super) struct Outcomes([Counter; Outcome::NAMES.len()]);

impl Outcomes {
    fn count(&self, outcome: Outcome) {
        self.0[outcome.index()].count();
    }

    /// Each outcome that there was, with its name.
    pub(super) fn each(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Outcome::NAMES.into_iter().zip(self.0.iter().map(Counter::value)).filter(|(_, count)| *count > 0)
    }
}

/// Requests of one method, name, route, upstream and era.
#[derive(Debug, Default)]
pub(super) struct Calls {
    pub(super) outcomes: Outcomes,
    pub(super) took: Histogram,
}

impl Calls {
    pub(super) fn count(&self, seen: &Seen) {
        self.outcomes.count(seen.outcome);
        self.took.observe(seen.took);
    }
}

/// One way into the gateway.
#[derive(Debug)]
pub(crate) struct Route {
    pub(super) path: Box<str>,
    pub(super) bytes_in: Counter,
    pub(super) bytes_out: Counter,
}

impl Route {
    pub(super) fn new(path: &str) -> Self {
        Self { path: path.into(), bytes_in: Counter::default(), bytes_out: Counter::default() }
    }
}

/// A client, by the name and version that it gives itself.
pub(crate) type Client = Row<2, Uses>;

/// What a client did.
#[derive(Debug, Default)]
pub(crate) struct Uses {
    eras: [Use; ERAS.len()],
    sessions: Counter,
    last_session: Latest,
}

/// What a client did in one era.
#[derive(Debug, Default)]
pub(super) struct Use {
    pub(super) requests: Counter,
    pub(super) errors: Counter,
    pub(super) refused: Counter,
    /// The last that was not refused.
    pub(super) last: Latest,
}

impl Client {
    /// Its name.
    pub(super) fn name(&self) -> &str {
        &self.labels[0]
    }

    /// Its version.
    pub(super) fn version(&self) -> &str {
        &self.labels[1]
    }

    /// What it did in this era.
    pub(super) fn in_era(&self, era: Era) -> &Use {
        &self.series.eras[era_index(era)]
    }

    /// How many legacy sessions it opened.
    pub(super) fn sessions(&self) -> u64 {
        self.series.sessions.value()
    }

    /// When it opened the last of them, in seconds since 1970-01-01.
    pub(super) fn last_session(&self) -> Option<u64> {
        self.series.last_session.value()
    }

    pub(super) fn opened_session(&self, now: u64) {
        self.series.sessions.count();
        self.series.last_session.mark(now);
    }
}

impl Uses {
    pub(super) fn count(&self, era: Era, outcome: Outcome, now: u64) {
        let of = &self.eras[era_index(era)];
        of.requests.count();
        if outcome.is_error() {
            of.errors.count();
        }
        match outcome.is_served() {
            true => of.last.mark(now),
            false => of.refused.count(),
        }
    }
}

/// A server that the gateway stands before.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(super) name: Arc<str>,
    /// 0 while it is not known, else one more than the index of the era.
    era: AtomicU8,
    /// Requests, by the era of the client and that of the upstream.
    cells: [[Counter; ERAS.len()]; ERAS.len()],
    pub(super) retries: Counter,
    pub(super) sessions_opened: Counter,
    sessions: Gauge,
}

impl Upstream {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            era: AtomicU8::new(0),
            cells: Default::default(),
            retries: Counter::default(),
            sessions_opened: Counter::default(),
            sessions: Gauge::default(),
        }
    }

    /// What it was found to speak.
    pub(crate) fn found(&self, era: Era) {
        let code = match era {
            Era::Modern => 1,
            Era::Legacy => 2,
        };
        self.era.store(code, Ordering::Relaxed);
    }

    /// What it speaks, if that is known.
    pub(super) fn era(&self) -> Option<Era> {
        match self.era.load(Ordering::Relaxed) {
            1 => Some(Era::Modern),
            2 => Some(Era::Legacy),
            _ => None,
        }
    }

    /// A session with a legacy upstream was opened. It is open until what this returns is dropped.
    pub(crate) fn open_session(&self) -> Open {
        self.sessions_opened.count();
        self.sessions.open()
    }

    /// How many sessions are open.
    pub(super) fn sessions(&self) -> i64 {
        self.sessions.value()
    }

    /// How many requests of clients of one era it took in another.
    pub(super) fn requests(&self, client: Era, upstream: Era) -> u64 {
        self.cells[era_index(client)][era_index(upstream)].value()
    }

    pub(super) fn count(&self, seen: &Seen) {
        if let (Some(client), Some(upstream)) = (seen.era, seen.upstream_era) {
            self.cells[era_index(client)][era_index(upstream)].count();
        }
        if let Some(leg) = seen.leg.as_ref().filter(|leg| leg.retries > 0) {
            self.retries.add(leg.retries.into());
        }
    }
}

/// One pod of an upstream.
#[derive(Debug)]
pub(crate) struct Pod {
    pub(super) upstream: Arc<str>,
    pub(super) name: Arc<str>,
    pub(super) outcomes: Outcomes,
    pub(super) head: Histogram,
    pub(super) ejections: Counter,
    up: AtomicBool,
    ejected: AtomicBool,
}

impl Pod {
    /// A pod that is up until somebody says otherwise.
    pub(super) fn new(upstream: Arc<str>, name: &str) -> Self {
        Self {
            upstream,
            name: name.into(),
            outcomes: Outcomes::default(),
            head: Histogram::default(),
            ejections: Counter::default(),
            up: AtomicBool::new(true),
            ejected: AtomicBool::new(false),
        }
    }

    /// Whether it answered when it was last asked for its health.
    pub(crate) fn answers(&self, up: bool) {
        self.up.store(up, Ordering::Relaxed);
    }

    /// It gets no requests for a while.
    pub(crate) fn eject(&self) {
        if !self.ejected.swap(true, Ordering::Relaxed) {
            self.ejections.count();
        }
    }

    /// It gets requests again.
    pub(crate) fn readmit(&self) {
        self.ejected.store(false, Ordering::Relaxed);
    }

    pub(super) fn is_up(&self) -> bool {
        self.up.load(Ordering::Relaxed)
    }

    pub(super) fn is_ejected(&self) -> bool {
        self.ejected.load(Ordering::Relaxed)
    }

    pub(super) fn count(&self, seen: &Seen) {
        self.outcomes.count(seen.outcome);
        if let Some(head) = seen.leg.as_ref().and_then(|leg| leg.head) {
            self.head.observe(head);
        }
    }
}

/// What belongs to the gateway as a whole. Other parts count what they do.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    /// Requests under way.
    pub(crate) requests: Gauge,
    /// Open streams of modern clients: of listeners.
    pub(crate) modern_streams: Gauge,
    /// Open streams of legacy clients: of their sessions.
    pub(crate) legacy_streams: Gauge,
    /// Calls to legacy upstreams that wait for a client's answers.
    pub(crate) held_calls: Gauge,
    /// Connections of clients.
    pub(crate) connections: Gauge,
    /// Requests that were answered 503, because there were too many.
    pub(crate) shed: Counter,
    /// Results that were answered from memory.
    pub(crate) cache_hits: Counter,
    /// Results that might have been, and were not there.
    pub(crate) cache_misses: Counter,
    /// Results that were kept beyond their time and stood in for an upstream that could not be reached.
    pub(crate) cache_stale: Counter,
    /// New configurations that were taken.
    pub(crate) reloads: Counter,
    /// New configurations that were refused.
    pub(crate) reloads_refused: Counter,
    pub(super) hops: Counter,
    pub(super) affinity: Counter,
    pub(super) sessions: Counter,
}

impl Totals {
    pub(super) fn count(&self, seen: &Seen) {
        if seen.hopped {
            self.hops.count();
        }
        if seen.affinity {
            self.affinity.count();
        }
    }
}
