//! What all parts of the extension share on one pod.

use std::collections::HashMap;
use std::slice;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use anypod_store::{Claimed, Fenced, Full, Lease, Store, StoreError, TaskId};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Instant;

use super::Settings;
use super::watch::Watched;
use crate::cx::hex;
use crate::error::Error;
use crate::outside::Outside;

/// How long callers are asked to wait when the store is not there.
const AWAY: Duration = Duration::from_secs(2);
/// The same when it is full.
const FULL: Duration = Duration::from_secs(5);

/// The tasks of one pod.
pub(super) struct Engine {
    pub(super) store: Arc<dyn Store>,
    pub(super) settings: Settings,
    /// Places for tasks that run here.
    pub(super) slots: Arc<Semaphore>,
    /// Whether somebody runs tasks here.
    working: AtomicBool,
    /// Whether tasks wait that come before those created now.
    crowded: AtomicBool,
    worker: OnceLock<String>,
    begun: mpsc::Sender<Begun>,
    to_begin: Mutex<Option<mpsc::Receiver<Begun>>>,
    running: Mutex<HashMap<TaskId, Running>>,
    /// Who waits here for what becomes of tasks.
    pub(super) watched: Arc<Watched>,
}

/// A task that was created here and is run here at once.
pub(super) struct Begun {
    pub(super) claimed: Box<Claimed>,
    /// Until when its lease is good.
    pub(super) good_until: Instant,
    pub(super) slot: OwnedSemaphorePermit,
}

/// A task that runs here.
struct Running {
    lease: Lease,
    lost: Arc<Notify>,
    /// Until when nobody else can have taken it up.
    good_until: Instant,
}

/// Keeps a task among those that run here until it is dropped.
pub(super) struct Place {
    engine: Arc<Engine>,
    lease: Lease,
    /// Told when the lease is over.
    pub(super) lost: Arc<Notify>,
}

impl Engine {
    pub(super) fn new(store: Arc<dyn Store>, settings: Settings) -> Arc<Self> {
        let workers = settings.workers.min(Semaphore::MAX_PERMITS);
        let (begun, to_begin) = mpsc::channel(workers.max(1));
        Arc::new(Self {
            store,
            settings,
            slots: Arc::new(Semaphore::new(workers)),
            working: AtomicBool::new(false),
            crowded: AtomicBool::new(false),
            worker: OnceLock::new(),
            begun,
            to_begin: Mutex::new(Some(to_begin)),
            running: Mutex::default(),
            watched: Arc::default(),
        })
    }

    /// What other pods, and people, call this one.
    pub(super) fn worker(&self, outside: &Outside) -> &str {
        self.worker.get_or_init(|| {
            let random: [u8; 6] = outside.random();
            format!("pod-{}", hex(&random))
        })
    }

    /// Begins to run tasks here. `None` if that is done already.
    pub(super) fn begin(&self) -> Option<mpsc::Receiver<Begun>> {
        let to_begin = self.to_begin.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        self.working.store(true, Ordering::Relaxed);
        Some(to_begin)
    }

    /// Takes no more tasks.
    pub(super) fn end(&self) {
        self.working.store(false, Ordering::Relaxed);
    }

    /// A place for a task that is about to be created, if there is one that is free and no other task waits for it.
    pub(super) fn slot(&self) -> Option<OwnedSemaphorePermit> {
        let may_run = self.working.load(Ordering::Relaxed) && !self.crowded.load(Ordering::Relaxed);
        may_run.then(|| Arc::clone(&self.slots).try_acquire_owned().ok()).flatten()
    }

    /// Notes whether tasks wait that come before those created from now on: then these take no places from them.
    pub(super) fn is_crowded(&self, crowded: bool) {
        self.crowded.store(crowded, Ordering::Relaxed);
    }

    /// Has a task run that was created here. Gives it back if nobody runs tasks any more.
    pub(super) fn hand_over(&self, begun: Begun) -> Result<(), Begun> {
        self.begun.try_send(begun).map_err(mpsc::error::TrySendError::into_inner)
    }

    /// Notes that a task runs here, whose lease is good until then.
    pub(super) fn enter(self: &Arc<Self>, lease: &Lease, good_until: Instant) -> Place {
        let lost = Arc::new(Notify::new());
        let running = Running { lease: lease.clone(), lost: Arc::clone(&lost), good_until };
        // A run of this pod whose lease was over, and that does not know it yet.
        if let Some(older) = self.running().insert(lease.id.clone(), running) {
            older.lost.notify_one();
        }
        Place { engine: Arc::clone(self), lease: lease.clone(), lost }
    }

    /// The leases of what runs here; of one task only, if it is given.
    fn leases(&self, only: Option<&TaskId>) -> Vec<Lease> {
        let running = self.running();
        match only {
            Some(id) => running.get(id).map(|running| running.lease.clone()).into_iter().collect(),
            None => running.values().map(|running| running.lease.clone()).collect(),
        }
    }

    /// Whether nobody else can have taken a task up: its lease was renewed less than a lease ago.
    pub(super) fn is_good(&self, lease: &Lease) -> bool {
        let running = self.running();
        running.get(&lease.id).is_some_and(|running| running.lease == *lease && Instant::now() < running.good_until)
    }

    /// Renews leases, and ends the runs of those that are over. The store is not asked about a task that does not run here.
    ///
    /// # Errors
    /// If the store is away.
    pub(super) async fn renew(&self, only: Option<&TaskId>) -> Result<(), StoreError> {
        let leases = self.leases(only);
        if leases.is_empty() {
            return Ok(());
        }
        for (lease, renewed) in leases.iter().zip(self.renew_these(&leases).await?) {
            if renewed == Fenced::Lost {
                self.lose(lease);
            }
        }
        Ok(())
    }

    /// Renews one lease, whether it is the newest of its task here or not.
    ///
    /// # Errors
    /// If the store is away.
    pub(super) async fn renew_one(&self, lease: &Lease) -> Result<Fenced, StoreError> {
        let renewed = self.renew_these(slice::from_ref(lease)).await?;
        Ok(renewed.first().copied().unwrap_or(Fenced::Lost))
    }

    async fn renew_these(&self, leases: &[Lease]) -> Result<Vec<Fenced>, StoreError> {
        let good_until = Instant::now() + self.settings.lease;
        let renewed = self.store.renew(leases.to_vec(), self.settings.lease).await?;
        for (lease, _) in leases.iter().zip(&renewed).filter(|(_, renewed)| **renewed == Fenced::Written) {
            self.prolong(lease, good_until);
        }
        Ok(renewed)
    }

    fn prolong(&self, lease: &Lease, good_until: Instant) {
        if let Some(running) = self.running().get_mut(&lease.id)
            && running.lease == *lease
        {
            running.good_until = running.good_until.max(good_until);
        }
    }

    /// Ends the run whose lease is over.
    fn lose(&self, lease: &Lease) {
        if let Some(running) = self.running().get(&lease.id)
            && running.lease == *lease
        {
            running.lost.notify_one();
        }
    }

    fn running(&self) -> MutexGuard<'_, HashMap<TaskId, Running>> {
        // Each entry stands for itself, so a panic in between leaves nothing inconsistent.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut running = self.engine.running();
        if running.get(&self.lease.id).is_some_and(|running| running.lease == self.lease) {
            running.remove(&self.lease.id);
        }
    }
}

/// What a caller is told when the store does not do as it should.
pub(super) fn unavailable(error: StoreError) -> Error {
    match error {
        StoreError::Unavailable(_) | StoreError::NoRoom(_) => {
            tracing::warn!(%error, "tasks cannot be had now");
            Error::busy(AWAY)
        }
        StoreError::TooLong { .. } => Error::invalid_params(error),
        StoreError::Corrupt(_) => Error::internal(error),
    }
}

/// What a caller is told when there is no room for another task.
pub(super) fn full(full: Full) -> Error {
    match full {
        Full::Queue | Full::Store => Error::busy(FULL),
        Full::Owner => Error::invalid_params(
            "you have as many tasks as you may have: wait until some are over and have expired, or cancel some",
        ),
    }
}
