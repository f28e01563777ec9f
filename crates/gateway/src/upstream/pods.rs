//! The pods of one upstream, and whose turn it is.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use anypod_proto::version::Era;
use anypod_server::Outside;
use tokio::sync::SetOnce;
use tokio::time::Instant;

use super::cell::Cell;
use super::chance::Chance;
use super::condition::Standing;
use super::pod::{Picked, Pod, Terms, Tried};
use super::target::Target;
use crate::config::Balance;

/// The most pods of one upstream. Further ones are left out, and the log says so.
const PODS: usize = 1024;
/// The least share of a pod that begins slowly: none at all would tell nothing about it.
const LEAST_SHARE: f64 = 0.05;

/// The pods of one upstream.
#[derive(Debug)]
pub(super) struct Pods {
    pub(super) terms: Arc<Terms>,
    balance: Balance,
    chance: Chance,
    turn: AtomicUsize,
    serial: AtomicU32,
    roster: RwLock<Roster>,
    era: Cell<Era>,
    /// Whether the era is configured, and nothing changes it.
    era_is_fixed: bool,
    looked: SetOnce<()>,
}

/// Who gets requests now. Made anew when that changes, so that a pick only reads.
#[derive(Debug, Default)]
struct Roster {
    all: Arc<[Arc<Pod>]>,
    by_id: HashMap<Arc<str>, Arc<Pod>>,
    well: Vec<Seat>,
    /// Those that are paused, with the least bad ones first.
    paused: Vec<Arc<Pod>>,
    /// How many of these are as little bad as the first.
    least_bad: usize,
    /// When it changes by itself: a pause or a slow start ends.
    due: Option<Instant>,
    /// Whether one that is well begins slowly.
    slow: bool,
}

#[derive(Debug)]
struct Seat {
    pod: Arc<Pod>,
    /// When its slow start began, if it is not over.
    since: Option<Instant>,
}

impl Pods {
    /// None yet.
    pub(super) fn new(terms: Arc<Terms>, balance: Balance, era: Option<Era>, outside: &Outside) -> Self {
        Self {
            terms,
            balance,
            chance: Chance::new(outside),
            turn: AtomicUsize::new(0),
            serial: AtomicU32::new(0),
            roster: RwLock::default(),
            era: Cell::new(era),
            era_is_fixed: era.is_some(),
            looked: SetOnce::new(),
        }
    }

    /// Resolves once pods have been looked for.
    pub(super) async fn looked(&self) {
        self.looked.wait().await;
    }

    /// Looking for pods has found these.
    pub(super) fn found(&self, targets: Vec<Target>) {
        self.set(targets);
        self.found_nothing();
    }

    /// Looking for pods has found out nothing.
    pub(super) fn found_nothing(&self) {
        // The first time counts.
        let _ = self.looked.set(());
    }

    /// The era as configured, or as last found out.
    pub(super) fn era(&self) -> Option<Era> {
        self.era.load()
    }

    /// An answer has shown the era.
    pub(super) fn settle_era(&self, era: Era) {
        if !self.era_is_fixed && self.era.store(era) != Some(era) {
            tracing::info!(?era, "the era is settled");
        }
    }

    /// An answer of this pod has shown the era.
    pub(super) fn settle_era_of(&self, pod: &Pod, era: Era) {
        pod.settle_era(era);
        self.settle_era(era);
    }

    /// All of them, in the order in which they were found.
    pub(super) fn all(&self) -> Arc<[Arc<Pod>]> {
        Arc::clone(&self.read().all)
    }

    /// The one of that id.
    pub(super) fn pod(&self, id: &str) -> Option<Arc<Pod>> {
        self.read().by_id.get(id).cloned()
    }

    /// These are the pods from now on. Those that are there already stay as they are; those that are gone finish what
    /// they have.
    pub(super) fn set(&self, targets: Vec<Target>) {
        let now = Instant::now();
        let mut roster = self.write();
        // At first all are new, and none should get less than the others.
        let since = (!roster.all.is_empty()).then_some(now);
        let mut by_id = HashMap::new();
        let mut all = Vec::new();
        for target in targets {
            if by_id.contains_key(target.id()) {
                continue;
            }
            if all.len() == PODS {
                tracing::warn!(most = PODS, "there are more pods than are used");
                break;
            }
            let pod = roster.by_id.get(target.id()).cloned().unwrap_or_else(|| self.begin(target, since));
            by_id.insert(Arc::clone(pod.id()), Arc::clone(&pod));
            all.push(pod);
        }
        for gone in roster.all.iter().filter(|pod| !by_id.contains_key(pod.id())) {
            tracing::info!(pod = %gone.target(), "is gone");
        }
        roster.all = all.into();
        roster.by_id = by_id;
        self.seat(&mut roster, now);
    }

    fn begin(&self, target: Target, since: Option<Instant>) -> Arc<Pod> {
        tracing::info!(pod = %target, "is there");
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        Pod::new(target, serial, Arc::clone(&self.terms), since)
    }

    /// The pod whose turn it is, of those that are well and that the request has not been to; then of those that are
    /// paused, as they may have recovered unnoticed. `None` once the request has been to all.
    pub(super) fn pick(&self, tried: &Tried) -> Option<Picked> {
        let roster = self.read();
        let overdue = roster.due.is_some_and(|due| Instant::now() >= due);
        if !overdue && !self.terms.changed.load(Ordering::Acquire) {
            return self.pick_from(&roster, tried);
        }
        drop(roster);
        self.seat(&mut self.write(), Instant::now());
        self.pick_from(&self.read(), tried)
    }

    /// Makes the roster anew.
    fn seat(&self, roster: &mut Roster, now: Instant) {
        // Before anything is looked at: what changes meanwhile is looked at again.
        self.terms.changed.store(false, Ordering::Release);
        let slow_start = self.terms.health.slow_start.get();
        let mut due: Option<Instant> = None;
        let mut paused = Vec::new();
        roster.well.clear();
        for pod in roster.all.iter() {
            let end = match pod.standing(now) {
                Standing::Well { since } => {
                    let end = since.and_then(|since| since.checked_add(slow_start)).filter(|end| *end > now);
                    roster.well.push(Seat { pod: Arc::clone(pod), since: since.filter(|_| end.is_some()) });
                    end
                }
                Standing::Paused { until, pauses } => {
                    paused.push((pauses, until, Arc::clone(pod)));
                    Some(until)
                }
            };
            due = due.into_iter().chain(end).min();
        }
        paused.sort_by_key(|(pauses, until, _)| (*pauses, *until));
        roster.least_bad = paused.iter().take_while(|(pauses, ..)| *pauses == paused[0].0).count();
        roster.paused = paused.into_iter().map(|(.., pod)| pod).collect();
        roster.slow = roster.well.iter().any(|seat| seat.since.is_some());
        roster.due = due;
    }

    fn pick_from(&self, roster: &Roster, tried: &Tried) -> Option<Picked> {
        let shares = roster.slow.then(|| Shares::new(roster, self.terms.health.slow_start.get()));
        let draw = Draw { pods: self, seats: &roster.well, shares, tried };
        let pod = match self.balance {
            Balance::RoundRobin => draw.in_turn(),
            Balance::LeastOfTwo => draw.less_busy_of_two(),
        };
        let pod = pod.or_else(|| self.last_resort(roster, tried))?;
        Some(Picked::new(Arc::clone(pod)))
    }

    /// Better a pod that failed a moment ago than none.
    fn last_resort<'a>(&self, roster: &'a Roster, tried: &Tried) -> Option<&'a Arc<Pod>> {
        let (least_bad, others) = roster.paused.split_at(roster.least_bad);
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % least_bad.len().max(1);
        let (later, first) = least_bad.split_at(turn);
        first.iter().chain(later).chain(others).find(|pod| !tried.has(pod.serial()))
    }

    fn read(&self) -> RwLockReadGuard<'_, Roster> {
        self.roster.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Roster> {
        self.roster.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The shares of pods while some begin slowly.
struct Shares {
    now: Instant,
    slow_start: Duration,
    /// The largest share of all: when every pod begins slowly, none does.
    largest: f64,
}

impl Shares {
    fn new(roster: &Roster, slow_start: Duration) -> Self {
        let mut shares = Self { now: Instant::now(), slow_start, largest: 1.0 };
        shares.largest = roster.well.iter().map(|seat| shares.share(seat)).fold(LEAST_SHARE, f64::max);
        shares
    }

    fn share(&self, seat: &Seat) -> f64 {
        let Some(since) = seat.since else { return 1.0 };
        let gone = self.now.saturating_duration_since(since).as_secs_f64() / self.slow_start.as_secs_f64();
        gone.clamp(LEAST_SHARE, 1.0) / self.largest
    }
}

/// One choice.
struct Draw<'a> {
    pods: &'a Pods,
    seats: &'a [Seat],
    shares: Option<Shares>,
    tried: &'a Tried,
}

impl<'a> Draw<'a> {
    fn in_turn(&self) -> Option<&'a Arc<Pod>> {
        // A pod that begins slowly gives its turn away: not to the next one, which would get all that it gives, but by
        // going on to the next turn.
        let turns = (0..2 * self.seats.len()).map(|_| self.pods.turn.fetch_add(1, Ordering::Relaxed));
        turns
            .map(|turn| &self.seats[turn % self.seats.len()])
            .find(|seat| self.takes(seat))
            .map(|seat| &seat.pod)
            .or_else(|| self.any())
    }

    fn less_busy_of_two(&self) -> Option<&'a Arc<Pod>> {
        let mut found = (0..4 * self.seats.len())
            .map(|_| &self.seats[self.pods.chance.below(self.seats.len())])
            .filter(|seat| self.takes(seat));
        let Some(one) = found.next() else { return self.any() };
        let two = found.find(|seat| seat.pod.serial() != one.pod.serial()).unwrap_or(one);
        Some(if two.pod.in_flight() < one.pod.in_flight() { &two.pod } else { &one.pod })
    }

    /// The first that the request has not been to.
    fn any(&self) -> Option<&'a Arc<Pod>> {
        self.seats.iter().map(|seat| &seat.pod).find(|pod| !self.tried.has(pod.serial()))
    }

    /// Whether the request may go there, and the pod takes its turn.
    fn takes(&self, seat: &Seat) -> bool {
        !self.tried.has(seat.pod.serial())
            && self.shares.as_ref().is_none_or(|shares| {
                let share = shares.share(seat);
                share >= 1.0 || self.pods.chance.unit() < share
            })
    }
}
