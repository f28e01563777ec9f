//! The fleet: its replicas, who of them gets which request, and what they said.

mod stream;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error as StdError;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anypod_server::Server;
use tokio::sync::watch;

pub(crate) use self::stream::Stream;
use crate::client::Client;
use crate::compare::{Difference, Rules, Witness};
use crate::divergence::Divergence;
use crate::message::{Broken, Exchange, Repeat, Reply, Sent, Step};
use crate::replica::{Replica, Served, World};
use crate::schedule::{Plan, Schedule};

/// Any error.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// Builds one replica.
pub(crate) type Factory = Arc<dyn Fn(&Replica) -> Result<Server, BoxError> + Send + Sync>;

/// A replica that cannot be built.
#[derive(Debug, thiserror::Error)]
#[error("{served} cannot be built: {source}")]
pub struct BuildFailed {
    served: Served,
    source: BoxError,
}

/// Replicas of one server in one process, and a schedule that distributes requests to them. Cheap to clone;
/// every clone is the same fleet.
///
/// Use it in a test with paused time (`#[tokio::test(start_paused = true)]`): on one thread and with
/// virtual time, a run follows from its schedule alone.
#[derive(Clone)]
pub struct Fleet {
    inner: Arc<Inner>,
}

struct Inner {
    world: Arc<World>,
    factory: Factory,
    schedule: Schedule,
    rules: Arc<Rules>,
    calls: AtomicUsize,
    state: Mutex<State>,
}

struct State {
    slots: Vec<Slot>,
    plan: Plan,
    transcript: Vec<Exchange>,
    divergence: Option<Divergence>,
}

/// A place in the fleet and the replica that fills it now.
struct Slot {
    server: Server,
    served: Served,
    /// Requests and streams under way.
    busy: usize,
    /// Dropped when the replica dies.
    alive: watch::Sender<()>,
}

/// A replica at work on one request.
pub(crate) struct Lease {
    server: Server,
    served: Served,
    /// Changes when the replica dies.
    dead: watch::Receiver<()>,
    fleet: Arc<Inner>,
}

impl Fleet {
    /// A fleet behind a round-robin balancer. `factory` builds each replica, and again each that takes the
    /// place of a dead one; what it must build them with, [`Replica`] has.
    ///
    /// # Errors
    /// If the factory fails.
    ///
    /// # Panics
    /// If `replicas` is 0.
    pub fn new<E: Into<BoxError>>(
        replicas: usize,
        factory: impl Fn(&Replica) -> Result<Server, E> + Send + Sync + 'static,
    ) -> Result<Self, BuildFailed> {
        Self::scheduled(replicas, Schedule::RoundRobin, factory)
    }

    /// A fleet with another schedule.
    ///
    /// # Errors
    /// If the factory fails.
    ///
    /// # Panics
    /// If `replicas` is 0.
    pub fn scheduled<E: Into<BoxError>>(
        replicas: usize,
        schedule: Schedule,
        factory: impl Fn(&Replica) -> Result<Server, E> + Send + Sync + 'static,
    ) -> Result<Self, BuildFailed> {
        Self::with(replicas, schedule, erased(factory), Arc::default())
    }

    pub(crate) fn with(
        replicas: usize,
        schedule: Schedule,
        factory: Factory,
        rules: Arc<Rules>,
    ) -> Result<Self, BuildFailed> {
        assert!(replicas > 0, "a fleet has at least one replica");
        let world = Arc::new(World::new(replicas, schedule.seed()));
        let slots = (0..replicas).map(|replica| Slot::fill(&factory, &world, Served { replica, life: 1 }));
        let slots = slots.collect::<Result<_, _>>()?;
        let state = State { slots, plan: Plan::new(schedule), transcript: Vec::new(), divergence: None };
        let inner = Inner { world, factory, schedule, rules, calls: AtomicUsize::new(0), state: Mutex::new(state) };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// A client of the fleet.
    pub fn client(&self) -> Client {
        Client::new(self.clone())
    }

    /// How many replicas there are.
    pub fn replicas(&self) -> usize {
        self.inner.world.replicas()
    }

    /// Kills a replica, with everything it holds in memory and all its open streams, and puts a fresh one
    /// in its place.
    ///
    /// # Errors
    /// If the factory fails; the dead replica then stays in its place.
    ///
    /// # Panics
    /// If there is no replica of that number.
    pub fn kill(&self, replica: usize) -> Result<(), BuildFailed> {
        self.inner.kill(&mut self.inner.lock(), replica)
    }

    /// Lets time pass: timers fire, and the wall clock of every replica goes on.
    ///
    /// # Panics
    /// If the runtime's time is not paused.
    pub async fn advance(&self, duration: Duration) {
        tokio::time::advance(duration).await;
    }

    /// One replica's server, to announce changes or to drain it.
    ///
    /// # Panics
    /// If there is no replica of that number.
    pub fn server(&self, replica: usize) -> Server {
        self.inner.lock().slots[replica].server.clone()
    }

    /// The number of a call that begins, from 1.
    pub(crate) fn begin_call(&self) -> usize {
        self.inner.calls.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Sends a request to the replica whose turn it is and reads its answer. `before` served the round before.
    pub(crate) async fn exchange(&self, sent: Sent, before: Option<Served>) -> Result<Exchange, Interrupted> {
        let lease = self.inner.dispatch(before)?;
        let served = lease.served;
        let reply = reply(lease, &sent).await;
        let exchange = Exchange { sent, served, reply };
        self.inner.lock().transcript.push(exchange.clone());
        if exchange.sent.repeat != Repeat::No {
            self.ask_others(&exchange).await?;
        }
        Ok(exchange)
    }

    /// Sends a request to the replica whose turn it is, and leaves it to the caller to read and record what
    /// comes back.
    pub(crate) async fn start(&self, sent: &Sent) -> Result<(Served, Result<Stream, Broken>), BuildFailed> {
        let lease = self.inner.dispatch(None)?;
        let served = lease.served;
        Ok((served, Stream::open(lease, sent).await))
    }

    /// Opens a stream at the replica whose turn it is, and reads what it says at once.
    pub(crate) async fn open(&self, sent: Sent) -> Result<(Exchange, Option<Stream>), BuildFailed> {
        let (served, stream) = self.start(&sent).await?;
        let (reply, stream) = match stream {
            Ok(mut stream) => (stream.begin(&sent).await, Some(stream)),
            Err(broken) => (Err(broken), None),
        };
        let exchange = Exchange { sent, served, reply };
        self.record(exchange.clone());
        Ok((exchange, stream))
    }

    /// Sends to the replica of that number, whoever's turn it is.
    pub(crate) async fn send_to(&self, replica: usize, sent: Sent) -> Exchange {
        let lease = self.inner.lease(&mut self.inner.lock(), replica);
        let served = lease.served;
        let reply = reply(lease, &sent).await;
        let exchange = Exchange { sent, served, reply };
        self.record(exchange.clone());
        exchange
    }

    /// Adds to the transcript.
    pub(crate) fn record(&self, exchange: Exchange) {
        self.inner.lock().transcript.push(exchange);
    }

    /// Sends the same request to all other replicas, which must answer the same.
    async fn ask_others(&self, first: &Exchange) -> Result<(), Interrupted> {
        let others = self.inner.lock().plan.others(self.replicas(), first.served.replica);
        for replica in others {
            let lease = self.inner.lease(&mut self.inner.lock(), replica);
            let served = lease.served;
            let reply = reply(lease, &first.sent).await;
            let second = Exchange { sent: first.sent.clone(), served, reply };
            if let Some(difference) = self.inner.rules.difference(first, &second, Witness::Replica(first.served)) {
                let mut state = self.inner.lock();
                let divergence = self.report(&state.transcript, second, difference);
                state.divergence.get_or_insert_with(|| divergence.clone());
                return Err(Interrupted::Diverged(Box::new(divergence)));
            }
        }
        Ok(())
    }

    fn report(&self, transcript: &[Exchange], exchange: Exchange, difference: Difference) -> Divergence {
        Divergence::new(self.inner.schedule, self.replicas(), transcript, exchange, difference)
    }

    /// The divergence that was found while the fleet was at work.
    pub(crate) fn divergence(&self) -> Option<Divergence> {
        self.inner.lock().divergence.clone()
    }

    /// The first step at which this fleet and `reference` went apart.
    pub(crate) fn compare(&self, reference: &Self, extent: Extent) -> Option<Divergence> {
        let (expected, got) = (reference.transcript(), self.transcript());
        let by_step = |transcript: &[Exchange]| -> BTreeMap<Step, Exchange> {
            transcript.iter().map(|exchange| (exchange.sent.step, exchange.clone())).collect()
        };
        let (expected, taken) = (by_step(&expected), by_step(&got));
        let steps: BTreeSet<Step> = expected.keys().chain(taken.keys()).copied().collect();
        steps.into_iter().find_map(|step| {
            let (standard, exchange) = match (expected.get(&step), taken.get(&step)) {
                (Some(standard), Some(exchange)) => (standard.clone(), exchange.clone()),
                (Some(standard), None) if extent == Extent::Whole => {
                    // Whoever served the call so far is who stays silent.
                    let before = taken.range(..step).next_back().filter(|(taken, _)| taken.call == step.call);
                    let served = before.map_or(standard.served, |(_, exchange)| exchange.served);
                    (standard.clone(), Exchange { served, ..standard.silent() })
                }
                (None, Some(exchange)) => (exchange.silent(), exchange.clone()),
                (_, None) => return None,
            };
            let difference = self.inner.rules.difference(&standard, &exchange, Witness::Reference)?;
            let came_before = got.iter().position(|other| other.sent.step == step).unwrap_or(got.len());
            Some(self.report(&got[..came_before], exchange, difference))
        })
    }

    fn transcript(&self) -> Vec<Exchange> {
        self.inner.lock().transcript.clone()
    }
}

/// How much of a scenario a fleet has gone through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// All of it: what the reference did and the fleet did not is a difference.
    Whole,
    /// It was cut short.
    Part,
}

/// Why an exchange did not come to an end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Interrupted {
    #[error(transparent)]
    Build(#[from] BuildFailed),
    #[error(transparent)]
    Diverged(Box<Divergence>),
}

impl Inner {
    /// Kills whom the schedule wants dead and takes the replica whose turn it is.
    fn dispatch(self: &Arc<Self>, before: Option<Served>) -> Result<Lease, BuildFailed> {
        let mut state = self.lock();
        let before = before.map(|served| served.replica);
        let idle: Vec<_> = (0..state.slots.len()).filter(|replica| state.slots[*replica].busy == 0).collect();
        if let Some(victim) = state.plan.victim(&idle, before) {
            self.kill(&mut state, victim)?;
        }
        let replica = state.plan.replica(self.world.replicas(), before);
        Ok(self.lease(&mut state, replica))
    }

    fn lease(self: &Arc<Self>, state: &mut State, replica: usize) -> Lease {
        let slot = &mut state.slots[replica];
        slot.busy += 1;
        let (server, served, dead) = (slot.server.clone(), slot.served, slot.alive.subscribe());
        Lease { server, served, dead, fleet: Arc::clone(self) }
    }

    fn kill(&self, state: &mut State, replica: usize) -> Result<(), BuildFailed> {
        let slot = &mut state.slots[replica];
        let served = Served { replica, life: slot.served.life + 1 };
        // The old one is dead before the new one is built, as it is with processes.
        slot.alive = watch::Sender::new(());
        *slot = Slot::fill(&self.factory, &self.world, served)?;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A factory that panics leaves the replica in its place that was there before.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    fn fill(factory: &Factory, world: &Arc<World>, served: Served) -> Result<Self, BuildFailed> {
        let replica = Replica::new(served, Arc::clone(world));
        let server = factory(&replica).map_err(|source| BuildFailed { served, source })?;
        Ok(Self { server, served, busy: 0, alive: watch::Sender::new(()) })
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut state = self.fleet.lock();
        let slot = &mut state.slots[self.served.replica];
        if slot.served == self.served {
            slot.busy = slot.busy.saturating_sub(1);
        }
    }
}

impl fmt::Debug for Fleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let schedule = &self.inner.schedule;
        f.debug_struct("Fleet").field("replicas", &self.replicas()).field("schedule", schedule).finish_non_exhaustive()
    }
}

/// A factory whose error can be any.
pub(crate) fn erased<E: Into<BoxError>>(
    factory: impl Fn(&Replica) -> Result<Server, E> + Send + Sync + 'static,
) -> Factory {
    Arc::new(move |replica| factory(replica).map_err(Into::into))
}

async fn reply(lease: Lease, sent: &Sent) -> Result<Reply, Broken> {
    Stream::open(lease, sent).await?.finish().await
}
