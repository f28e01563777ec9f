//! The check: one scenario, first on a single replica and then on many, which must all answer as the one did.

use std::any::Any;
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use anypod_server::Server;
use tokio::time::error::Elapsed;

use crate::client::Client;
use crate::compare::Rules;
use crate::divergence::Divergence;
use crate::fleet::{BoxError, BuildFailed, Extent, Factory, Fleet, erased};
use crate::replica::Replica;
use crate::schedule::Schedule;

/// The seeds that a check tries unless it is told others.
pub const SEEDS: [u64; 8] = [1, 2, 3, 4, 5, 6, 7, 8];

/// How many replicas a check runs unless it is told otherwise: enough that a request can avoid both the
/// replica of the round before and that of the last request.
const REPLICAS: usize = 3;

/// How much virtual time a scenario may take unless a check is told otherwise: more than any bound of a server
/// that a scenario is likely to wait for, and little enough that a wait for nothing soon ends.
const DEADLINE: Duration = Duration::from_secs(3600);

/// Checks that a server answers the same, however its requests are spread over replicas.
#[derive(Clone)]
#[must_use = "a check does nothing until it runs"]
pub struct Check {
    factory: Factory,
    replicas: usize,
    schedules: Vec<Schedule>,
    deadline: Duration,
    rules: Rules,
}

/// Why a check failed. What it prints, with `{}` and with `{:?}` alike, is meant to be read.
#[derive(thiserror::Error)]
pub enum CheckError {
    /// A replica could not be built.
    #[error(transparent)]
    Build(#[from] BuildFailed),
    /// The scenario itself failed, and no replica is to blame.
    #[error("the scenario failed ({under}): {source}")]
    Scenario {
        /// What ran it.
        under: String,
        /// What it failed with.
        source: BoxError,
    },
    /// A replica answered otherwise.
    #[error(transparent)]
    Diverged(Box<Divergence>),
}

impl fmt::Debug for CheckError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl CheckError {
    /// The report, if a replica answered otherwise.
    pub fn divergence(&self) -> Option<&Divergence> {
        match self {
            Self::Diverged(divergence) => Some(divergence),
            Self::Build(_) | Self::Scenario { .. } => None,
        }
    }
}

/// How a scenario ended.
enum End {
    Done,
    Failed(BoxError),
    Stuck(Elapsed),
    Panicked(Box<dyn Any + Send>),
}

impl Check {
    /// A check of the server that `factory` builds, see [`Fleet::new`].
    pub fn new<E: Into<BoxError>>(factory: impl Fn(&Replica) -> Result<Server, E> + Send + Sync + 'static) -> Self {
        let schedules = std::iter::once(Schedule::RoundRobin).chain(SEEDS.map(Schedule::Seeded)).collect();
        let rules = Rules::default();
        Self { factory: erased(factory), replicas: REPLICAS, schedules, deadline: DEADLINE, rules }
    }

    /// With so many replicas, at least 2. Default 3.
    pub const fn replicas(mut self, replicas: usize) -> Self {
        self.replicas = replicas;
        self
    }

    /// Under these schedules. Default round robin and then [`SEEDS`].
    pub fn schedules(mut self, schedules: impl IntoIterator<Item = Schedule>) -> Self {
        self.schedules = schedules.into_iter().collect();
        self
    }

    /// Under these seeds only: one that failed, or many more than the default ones.
    pub fn seeds(self, seeds: impl IntoIterator<Item = u64>) -> Self {
        self.schedules(seeds.into_iter().map(Schedule::Seeded))
    }

    /// Ends a run of the scenario that takes longer, in virtual time: it waits for something that does not come.
    /// Default 1 hour.
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Does not compare what `pointer` points at within the JSON-RPC answers: what is random or new each time
    /// by nature. `*` stands for any one segment, as in `/result/structuredContent/items/*/id`.
    pub fn ignore(mut self, pointer: &str) -> Self {
        self.rules.ignore(pointer);
        self
    }

    /// Runs `scenario` on a single replica, then on a fleet under each schedule, and compares
    /// answer by answer: status, notifications and message, without `requestState` and `nextCursor`,
    /// which are random by nature.
    ///
    /// The scenario is run many times, each time with a fresh fleet. It must do the same each time.
    ///
    /// # Errors
    /// At the first answer that differs; if the scenario fails where all answers agree; if a replica cannot
    /// be built.
    ///
    /// # Panics
    /// If the scenario panics where all answers agree; and with fewer than 2 replicas or without a schedule,
    /// as nothing would be checked.
    pub async fn run(&self, scenario: impl AsyncFn(Client) -> Result<(), BoxError>) -> Result<(), CheckError> {
        assert!(self.replicas > 1 && !self.schedules.is_empty(), "nothing would be checked: {self:?}");
        let reference = self.fleet(1, Schedule::Fixed(0))?;
        conclude(self.play(&reference, &scenario).await, "on a single replica")?;
        for schedule in self.schedules.iter().copied() {
            let fleet = self.fleet(self.replicas, schedule)?;
            let end = self.play(&fleet, &scenario).await;
            let extent = match end {
                End::Done | End::Stuck(_) => Extent::Whole,
                End::Failed(_) | End::Panicked(_) => Extent::Part,
            };
            // What the fleet met last may only follow from what it had answered otherwise before.
            if let Some(divergence) = fleet.compare(&reference, extent).or_else(|| fleet.divergence()) {
                return Err(CheckError::Diverged(Box::new(divergence)));
            }
            conclude(end, &format!("{} replicas, {schedule}", self.replicas))?;
        }
        Ok(())
    }

    /// Runs the scenario to its end, whatever that is. A panic waits until the answers have been compared: an
    /// assertion that fails says less than the answer that was the reason.
    async fn play(&self, fleet: &Fleet, scenario: &impl AsyncFn(Client) -> Result<(), BoxError>) -> End {
        let mut running = pin!(scenario(fleet.client()));
        let ended = poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| running.as_mut().poll(cx))) {
            Ok(poll) => poll.map(Ok),
            Err(panic) => Poll::Ready(Err(panic)),
        });
        match tokio::time::timeout(self.deadline, ended).await {
            Ok(Ok(Ok(()))) => End::Done,
            Ok(Ok(Err(error))) => End::Failed(error),
            Ok(Err(panic)) => End::Panicked(panic),
            Err(elapsed) => End::Stuck(elapsed),
        }
    }

    fn fleet(&self, replicas: usize, schedule: Schedule) -> Result<Fleet, BuildFailed> {
        Fleet::with(replicas, schedule, Arc::clone(&self.factory), Arc::new(self.rules.clone()))
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { factory: _, replicas, schedules, deadline: _, rules } = self;
        let mut shown = f.debug_struct("Check");
        shown.field("replicas", replicas).field("schedules", schedules).field("rules", rules).finish()
    }
}

fn conclude(end: End, under: &str) -> Result<(), CheckError> {
    match end {
        End::Done => Ok(()),
        End::Failed(source) => Err(CheckError::Scenario { under: under.to_owned(), source }),
        End::Stuck(elapsed) => Err(CheckError::Scenario { under: under.to_owned(), source: elapsed.into() }),
        End::Panicked(panic) => resume_unwind(panic),
    }
}
