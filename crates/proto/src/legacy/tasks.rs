//! Tasks as they were in 2025-11-25, where they are experimental: a part of the protocol, not the extension
//! [`crate::tasks`], which is another protocol.
//!
//! Spec: 2025-11-25, basic/utilities/tasks.

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::Value;

use crate::{jsonrpc::JsonObject, meta, tasks::TaskStatus};

/// The member of `params` that makes a task of a request.
pub const TASK: &str = "task";

/// What a request asks of the task that it is to become.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TaskMetadata {
    /// For how many milliseconds from its creation the task is wanted; `None` leaves that to the server.
    pub ttl: Option<u64>,
}

/// Fails if the time is negative or no number. Fractions are rounded up, as the prose has a number where the schema has an
/// integer; null is no time, as some clients write it; other members are passed over.
impl<'de> Deserialize<'de> for TaskMetadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let object = JsonObject::deserialize(deserializer)?;
        let ttl = match object.get("ttl") {
            None | Some(Value::Null) => None,
            Some(Value::Number(number)) => match (number.as_u64(), number.as_f64()) {
                (Some(millis), _) => Some(millis),
                // Beyond any time that there is, which the conversion keeps it at.
                (None, Some(millis)) if millis >= 0.0 => Some(millis.ceil() as u64),
                (None, _) => return Err(D::Error::custom("`ttl` is negative")),
            },
            Some(_) => return Err(D::Error::custom("`ttl` is no number of milliseconds")),
        };
        Ok(Self { ttl })
    }
}

/// A task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Task {
    /// Names the task. Who knows it may be able to read the task, so it belongs in no log.
    pub task_id: String,
    /// How far it is. That of a tool whose result is an error has failed.
    pub status: TaskStatus,
    /// What it is doing, or why it has failed, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_message: Option<String>,
    /// When it was created, in ISO 8601.
    pub created_at: String,
    /// When it last changed, in ISO 8601.
    pub last_updated_at: String,
    /// Milliseconds from its creation after which it may be gone; `None` is never.
    pub ttl: Option<u64>,
    /// Milliseconds to wait between two looks at it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub poll_interval: Option<u64>,
}

/// The answer to a request that has become a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CreateTaskResult {
    /// The task.
    pub task: Task,
    /// Names it once more, as everything does that belongs to a task.
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    pub meta: Option<JsonObject>,
}

impl CreateTaskResult {
    /// The request has become this task.
    pub fn new(task: Task) -> Self {
        let meta = related(&task.task_id);
        Self { task, meta: Some(meta) }
    }
}

/// A page of the caller's tasks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListTasksResult {
    /// The tasks.
    pub tasks: Vec<Task>,
    /// Where the next page begins, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// Whether calls of a tool may become tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskSupport {
    /// None may, which is what holds where nothing is said.
    Forbidden,
    /// Those may whose client wants it.
    Optional,
    /// All must.
    Required,
}

/// The member `execution` of a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolExecution {
    /// Whether its calls may become tasks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_support: Option<TaskSupport>,
}

/// `_meta` of what belongs to a task.
pub fn related(task_id: &str) -> JsonObject {
    let task = JsonObject::from_iter([("taskId".to_owned(), task_id.into())]);
    JsonObject::from_iter([(meta::RELATED_TASK.to_owned(), Value::Object(task))])
}
