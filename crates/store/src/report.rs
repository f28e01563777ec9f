//! What those see who look after a fleet.

use anypod_proto::tasks::TaskStatus;
use serde::Serialize;

use crate::task::{Owner, Phase, TaskId};
use crate::time::Millis;

/// How a store is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoreStatus {
    /// What it is, such as `sqlite:/var/lib/anypod/tasks.db`, without a password.
    pub place: String,
    /// The form of what is stored.
    pub form: i64,
    /// The time by its clock.
    pub now: Millis,
    /// How many tasks are in each phase.
    pub phases: Vec<(Phase, u64)>,
    /// How many tasks have each status.
    pub statuses: Vec<(TaskStatus, u64)>,
    /// When the task was created that has waited longest for a worker.
    pub oldest_queued: Option<Millis>,
    /// Recorded steps.
    pub steps: u64,
    /// Values behind handles.
    pub values: u64,
    /// Marks of what was used.
    pub marks: u64,
    /// Events that are kept.
    pub events: u64,
    /// What all of it takes, in bytes.
    pub bytes: u64,
}

/// Which tasks are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskQuery {
    /// Of this status only.
    pub status: Option<TaskStatus>,
    /// Of this tool only.
    pub tool: Option<String>,
    /// Of this owner only. Those of [nobody](Owner::nobody) are looked for among all; those of anybody else are found at once,
    /// however many others there are.
    pub owner: Option<Owner>,
    /// Those created before this one, which was the last of the page before.
    pub before: Option<(Millis, TaskId)>,
    /// How many at most.
    pub most: usize,
}

/// A task in a list, the youngest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TaskRow {
    /// Its id.
    pub id: TaskId,
    /// Whose it is.
    pub owner: Owner,
    /// What runs it.
    pub tool: String,
    /// How far it is.
    pub status: TaskStatus,
    /// What becomes of it next.
    pub phase: Phase,
    /// What it is doing, for people.
    pub message: Option<String>,
    /// When it was created.
    pub created_at: Millis,
    /// When something of it last changed that clients see.
    pub updated_at: Millis,
    /// When it may be gone.
    pub expires_at: Option<Millis>,
    /// How often it was taken up.
    pub attempts: u64,
    /// How often in a row its worker was not heard of again.
    pub deaths: u32,
    /// How often in a row it failed.
    pub failures: u32,
    /// Who has it, or had it last.
    pub worker: Option<String>,
    /// When its lease ends, or its pause.
    pub due_at: Option<Millis>,
    /// Recorded steps.
    pub steps: u64,
    /// What its call, journal and outcome take, in bytes.
    pub bytes: u64,
}

/// One task with all that is stored of it but its call and its outcome, which are its client's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TaskReport {
    /// As in a list.
    pub task: TaskRow,
    /// Its journal, in order.
    pub journal: Vec<JournalEntry>,
}

/// An entry of a journal: how long it is, not what it says, which is its client's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "entry")]
pub enum JournalEntry {
    /// A step that ran.
    Step {
        /// Its name.
        key: String,
        /// When it was recorded.
        at: Millis,
        /// Bytes of its result.
        bytes: usize,
    },
    /// A question.
    Question {
        /// Its name.
        key: String,
        /// When it was asked.
        at: Millis,
        /// When it was answered.
        answered_at: Option<Millis>,
    },
}

/// How much was deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Swept {
    /// Tasks that had ended and were kept for long enough.
    pub tasks: u64,
    /// Values whose time was over.
    pub values: u64,
    /// Marks that say nothing any more.
    pub marks: u64,
    /// Events that every follower has had the time to hear.
    pub events: u64,
    /// Whether there may be more.
    pub more: bool,
}
