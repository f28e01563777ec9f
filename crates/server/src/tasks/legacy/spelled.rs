//! Tasks of the store in the words of 2025-11-25.

use std::time::Duration;

use anypod_proto::legacy::tasks;
use anypod_proto::tasks::TaskStatus;
use anypod_store::{Task, TaskRow};

/// A task.
pub(super) fn task(task: &Task) -> tasks::Task {
    tasks::Task {
        task_id: task.id.as_str().to_owned(),
        status: status(task),
        status_message: task.message.clone(),
        created_at: task.created_at.to_string(),
        last_updated_at: task.updated_at.to_string(),
        // A time of nothing would say that it is gone.
        ttl: task.expires_at.map(|at| at.0.saturating_sub(task.created_at.0).max(1)),
        poll_interval: task.poll.map(|poll| u64::try_from(poll.as_millis()).unwrap_or(u64::MAX)),
    }
}

/// The same of one in a list, whose clients should wait so long between two looks.
pub(super) fn row(row: TaskRow, poll: Duration) -> tasks::Task {
    task(&Task {
        id: row.id,
        owner: row.owner,
        tool: row.tool,
        status: row.status,
        message: row.message,
        created_at: row.created_at,
        updated_at: row.updated_at,
        expires_at: row.expires_at,
        poll: Some(poll),
        outcome: None,
        questions: Vec::new(),
    })
}

/// How far it is. What a tool says that failed is the message of a completed task, and such a task has failed.
const fn status(task: &Task) -> TaskStatus {
    match (task.status, &task.message) {
        (TaskStatus::Completed, Some(_)) => TaskStatus::Failed,
        (status, _) => status,
    }
}

/// The name of its status.
pub(super) const fn status_name(task: &Task) -> &'static str {
    match status(task) {
        TaskStatus::Working => "working",
        TaskStatus::InputRequired => "input_required",
        TaskStatus::Completed => "completed",
        TaskStatus::Failed => "failed",
        TaskStatus::Cancelled => "cancelled",
    }
}
