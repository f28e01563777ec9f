//! What a fleet gives to each of its replicas: the shared ring, bus and stores, virtual time, and seeded
//! randomness that differs from replica to replica.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use anypod_server::proto::seal::{KEY_LEN, Ring, UnixSeconds};
use anypod_server::{
    Bus, BusError, Clock, Entropy, Event, InMemory, InProcess, Once, OnceError, Outside, Receiver, ServerBuilder,
};
use tokio::time::Instant;

use crate::random::Random;

/// When the wall clock of every fleet starts: 2026-11-01 00:00:00 UTC.
pub const START: UnixSeconds = UnixSeconds(1_793_491_200);

/// How many single-use marks the shared store keeps.
const ONCE_CAPACITY: usize = 100_000;

/// One replica that is about to be built: what the fleet has for it.
#[derive(Clone)]
pub struct Replica {
    served: Served,
    world: Arc<World>,
}

/// A replica in one of its lives: one process, so to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Served {
    /// Which replica, counted from 0.
    pub replica: usize,
    /// 1 for the one that the fleet began with, 2 for the one that took its place, and so on.
    pub life: u32,
}

impl fmt::Display for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { replica, life } = self;
        match life {
            1 => write!(f, "replica {replica}"),
            _ => write!(f, "replica {replica} (life {life})"),
        }
    }
}

/// What all replicas of one fleet have in common.
pub(crate) struct World {
    replicas: usize,
    seed: u64,
    ring: Ring,
    clock: Wall,
    bus: Arc<InProcess>,
    once: Arc<InMemory>,
    shared: Mutex<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>,
}

impl World {
    pub(crate) fn new(replicas: usize, seed: u64) -> Self {
        let mut key = [0; KEY_LEN];
        Random::new(seed).fill(&mut key);
        Self {
            replicas,
            seed,
            ring: Ring::generate(key),
            clock: Wall { origin: Instant::now() },
            bus: Arc::default(),
            once: Arc::new(InMemory::new(ONCE_CAPACITY)),
            shared: Mutex::default(),
        }
    }

    pub(crate) const fn replicas(&self) -> usize {
        self.replicas
    }
}

impl Replica {
    pub(crate) const fn new(served: Served, world: Arc<World>) -> Self {
        Self { served, world }
    }

    /// Gives the builder what every replica of a real fleet is given: the ring, the number of replicas, the
    /// bus; and, as this is a test, the fleet's clock and seeded randomness.
    ///
    /// Replaces what the builder has of these. To test your own wiring of one of them, leave this out and
    /// call the others: [`Replica::ring`], [`Replica::outside`], [`Replica::bus`].
    pub fn configure(&self, builder: ServerBuilder) -> ServerBuilder {
        builder.keys(self.ring()).replicas(self.world.replicas).outside(self.outside()).bus(self.bus())
    }

    /// Which replica of the fleet this is, counted from 0.
    pub const fn index(&self) -> usize {
        self.served.replica
    }

    /// The ring that all replicas share.
    pub fn ring(&self) -> Ring {
        self.world.ring.clone()
    }

    /// Virtual time, and randomness of this replica's own.
    pub fn outside(&self) -> Outside {
        let Served { replica, life } = self.served;
        // From 1 on, so that no replica draws the numbers that made the ring.
        let parts = [replica as u64 + 1, u64::from(life)];
        let random = Random::derived(self.world.seed, parts);
        Outside::new(self.world.clock, Seeded(Mutex::new(random)))
    }

    /// The bus that all replicas share.
    pub fn bus(&self) -> impl Bus + use<> {
        SharedBus(Arc::clone(&self.world.bus))
    }

    /// A store of used tokens that all replicas share, for [`ServerBuilder::once`].
    pub fn once(&self) -> impl Once + use<> {
        SharedOnce(Arc::clone(&self.world.once))
    }

    /// Something that stands outside the replicas and outlives them, such as a database: made by the first
    /// replica that asks, and the same for all replicas of one fleet. Every run of a
    /// [`Check`](crate::Check) has its own.
    pub fn shared<T: Send + Sync + 'static>(&self, make: impl FnOnce() -> T) -> Arc<T> {
        if let Some(known) = self.known::<T>() {
            return known;
        }
        // Made without the lock, as it may share something itself.
        let made: Arc<T> = Arc::new(make());
        let kept: Arc<dyn Any + Send + Sync> = Arc::clone(&made) as _;
        self.lock().entry(TypeId::of::<T>()).or_insert(kept);
        self.known::<T>().unwrap_or(made)
    }

    fn known<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        let known = Arc::clone(self.lock().get(&TypeId::of::<T>())?);
        known.downcast::<T>().ok()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<TypeId, Arc<dyn Any + Send + Sync>>> {
        self.world.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Replica {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Replica").field(&self.served).finish()
    }
}

/// A wall clock that goes with the runtime's clock, and stands still when that is paused.
#[derive(Debug, Clone, Copy)]
struct Wall {
    origin: Instant,
}

impl Clock for Wall {
    fn now(&self) -> UnixSeconds {
        UnixSeconds(START.0 + self.origin.elapsed().as_secs())
    }
}

struct Seeded(Mutex<Random>);

impl Entropy for Seeded {
    fn fill(&self, bytes: &mut [u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fill(bytes);
    }
}

/// A bus that reaches every replica, as all are in one process.
struct SharedBus(Arc<InProcess>);

impl Bus for SharedBus {
    fn publish(&self, event: Event) -> Pin<Box<dyn Future<Output = Result<(), BusError>> + Send + '_>> {
        self.0.publish(event)
    }

    fn attach(&self, receiver: Weak<dyn Receiver>) {
        self.0.attach(receiver);
    }

    fn is_shared(&self) -> bool {
        true
    }
}

struct SharedOnce(Arc<InMemory>);

impl Once for SharedOnce {
    fn claim(
        &self,
        token: [u8; 32],
        now: UnixSeconds,
        until: UnixSeconds,
    ) -> Pin<Box<dyn Future<Output = Result<bool, OnceError>> + Send + '_>> {
        self.0.claim(token, now, until)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn replica(world: &Arc<World>, replica: usize, life: u32) -> Replica {
        Replica::new(Served { replica, life }, Arc::clone(world))
    }

    #[tokio::test(start_paused = true)]
    async fn randomness_follows_from_the_seed_and_differs_from_life_to_life() {
        let draw = |seed, index, life| replica(&Arc::new(World::new(3, seed)), index, life).outside().random::<16>();
        assert_eq!(draw(1, 0, 1), draw(1, 0, 1));
        for other in [draw(2, 0, 1), draw(1, 1, 1), draw(1, 0, 2)] {
            assert_ne!(draw(1, 0, 1), other);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_wall_clock_goes_with_the_runtime_clock() {
        let world = Arc::new(World::new(1, 0));
        let outside = replica(&world, 0, 1).outside();
        assert_eq!(outside.now(), START);
        tokio::time::advance(std::time::Duration::from_secs(90)).await;
        assert_eq!(outside.now(), UnixSeconds(START.0 + 90));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_shared_is_made_once() {
        let world = Arc::new(World::new(2, 0));
        let made = AtomicUsize::new(0);
        let share = |index| replica(&world, index, 1).shared(|| made.fetch_add(1, Ordering::SeqCst));
        assert!(Arc::ptr_eq(&share(0), &share(1)));
        assert_eq!(made.into_inner(), 1);
    }
}
