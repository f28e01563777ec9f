//! Tasks of the store in the words of the protocol.

use anypod_proto::jsonrpc::ErrorObject;
use anypod_proto::rounds::InputRequests;
use anypod_proto::tasks::{self, DetailedTask, TaskOutcome, TaskState, TaskStatus};
use anypod_store::Task;
use serde_json::value::RawValue;

use crate::error::{Error, Result};

/// A task with its status alone.
pub(super) fn task(task: &Task) -> tasks::Task {
    with_state(task, task.status)
}

/// A task with what its status brings along.
///
/// # Errors
/// If what is stored is not what it should be.
pub(super) fn detailed(task: &Task) -> Result<DetailedTask> {
    let state = match task.status {
        TaskStatus::Working => TaskState::Working,
        TaskStatus::InputRequired => TaskState::InputRequired(questions(task)?),
        TaskStatus::Completed => TaskState::Completed(outcome(task)?),
        TaskStatus::Failed => TaskState::Failed(error(task)?),
        TaskStatus::Cancelled => TaskState::Cancelled,
    };
    Ok(with_state(task, state))
}

fn with_state<S>(task: &Task, state: S) -> tasks::Task<S> {
    let mut spelled = tasks::Task::new(task.id.as_str(), state, task.created_at.to_string());
    spelled.last_updated_at = task.updated_at.to_string();
    spelled.status_message = task.message.clone();
    // A time of nothing would say that it is gone.
    spelled.ttl_ms = task.expires_at.map(|at| at.0.saturating_sub(task.created_at.0).max(1));
    spelled.poll_interval_ms = task.poll.map(|poll| u64::try_from(poll.as_millis()).unwrap_or(u64::MAX));
    spelled
}

fn questions(task: &Task) -> Result<InputRequests> {
    let read = |text: &str| serde_json::from_str(text).map_err(Error::internal);
    task.questions.iter().map(|question| Ok((question.key.clone(), read(&question.request)?))).collect()
}

fn outcome(task: &Task) -> Result<TaskOutcome> {
    let outcome = task.outcome.clone().unwrap_or_else(|| "{}".to_owned());
    let raw = RawValue::from_string(outcome).map_err(Error::internal)?;
    TaskOutcome::new(&raw).map_err(Error::internal)
}

fn error(task: &Task) -> Result<ErrorObject> {
    serde_json::from_str(task.outcome.as_deref().unwrap_or("{}")).map_err(Error::internal)
}
