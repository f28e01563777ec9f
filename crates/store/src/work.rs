//! What workers do with tasks.

use std::time::Duration;

use anypod_proto::tasks::TaskStatus;

use crate::task::{Owner, Question, TaskId};
use crate::time::Millis;

/// The right to work on a task. Everything that a worker writes names it, and is refused once it is over.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Lease {
    /// The task.
    pub id: TaskId,
    /// Grows each time that the task is taken up: of several who believe that they have it, one has the highest.
    pub fence: u64,
}

/// What a worker wants to take up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Who it is, for people.
    pub worker: String,
    /// What it can run.
    pub tools: Vec<String>,
    /// How many it takes at most.
    pub most: usize,
    /// How long it has them, unless it renews its leases.
    pub lease: Duration,
}

/// What a worker has got.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claims {
    /// What it has taken up.
    pub tasks: Vec<Claimed>,
    /// How long it is until something more becomes due, such as another worker's lease, as far as that is known now. What
    /// is created or answered meanwhile comes before it, see [`Store::woken`](crate::Store::woken).
    pub next: Option<Duration>,
}

/// A task that a worker has taken up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// The right to it.
    pub lease: Lease,
    /// Whose it is.
    pub owner: Owner,
    /// What runs it.
    pub tool: String,
    /// The call, as it was created with.
    pub call: String,
    /// The results of its steps, in their order.
    pub steps: Vec<Step>,
    /// What it has asked and was answered, in the order in which it was asked.
    pub answers: Vec<(Question, String)>,
    /// How often in a row it was taken up by a worker who was not heard of again. A step that is recorded ends the row.
    pub deaths: u32,
    /// How often in a row it was handed back because it failed. A step that is recorded ends the row.
    pub failures: u32,
    /// When it was created.
    pub created_at: Millis,
    /// When it may be gone; `None` is never.
    pub expires_at: Option<Millis>,
    /// When it was taken up.
    pub now: Millis,
}

/// Something that a task did, which is not done again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Names it within the task.
    pub key: String,
    /// What it gave, as JSON.
    pub result: String,
}

/// Whether something was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Fenced {
    /// It was.
    Written,
    /// The lease is over: the task has ended, or another worker has it. Nothing was written.
    Lost,
}

/// How a task ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// Completed, failed or cancelled.
    pub status: TaskStatus,
    /// The result, or the error, as JSON.
    pub outcome: Option<String>,
    /// What there is to say of it, for people.
    pub message: Option<String>,
    /// How long it is kept at least from now on, if it is kept for some time only.
    pub keep: Duration,
}

impl End {
    /// An end with an outcome, kept for as long as the task was to be there.
    pub fn new(status: TaskStatus, outcome: impl Into<String>) -> Self {
        Self { status, outcome: Some(outcome.into()), message: None, keep: Duration::ZERO }
    }
}

/// How a task is handed back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandBack {
    /// Why.
    pub reason: Reason,
    /// How long nobody takes it up.
    pub pause: Duration,
    /// What it is doing now, for people; `None` leaves what there is.
    pub message: Option<String>,
}

/// Why a task is handed back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The worker leaves; nothing is wrong with the task.
    Leaving,
    /// It failed.
    Failed,
}
