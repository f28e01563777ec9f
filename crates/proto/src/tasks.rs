//! Tasks: a server answers a request with a handle, and the client asks later how it went.
//!
//! Spec: the extension `io.modelcontextprotocol/tasks` (ext-tasks, specification/draft/tasks). So far `tools/call`
//! alone may become a task, and only of a client that has declared the extension.

mod body;
mod message;

use serde::{Deserialize, Serialize};

pub use body::{DetailedTask, TaskOutcome, TaskState};
pub use message::{
    CancelTaskResult, CreateTaskResult, GetTaskResult, TaskRequestParams, TaskStatusChanged, TaskStatusNotification,
    TaskStatusNotificationParams, UpdateTaskRequestParams, UpdateTaskResult,
};

pub use crate::meta::TASKS_EXTENSION as EXTENSION;

use crate::{
    capabilities::{ClientCapabilities, NamedSettings},
    code::Code,
    jsonrpc::{ErrorObject, JsonObject, ResultType, optional_setters},
};

/// The `resultType` of a [`CreateTaskResult`], reserved for it.
pub const RESULT_TYPE: &str = "task";

/// How to read a [`CreateTaskResult`].
pub fn result_type() -> ResultType {
    ResultType::Other(RESULT_TYPE.to_owned())
}

/// The extension as a capability of a client or a server. It has no settings.
pub fn capability() -> NamedSettings {
    NamedSettings::from([(EXTENSION.to_owned(), JsonObject::new())])
}

/// Whether a client or a server has the extension, by the `extensions` of its capabilities.
pub fn is_declared(extensions: Option<&NamedSettings>) -> bool {
    extensions.is_some_and(|extensions| extensions.contains_key(EXTENSION))
}

/// -32021: the answer to a client that has not declared the extension and sends a request of it, listens to tasks, or
/// calls what can only run as a task.
pub fn not_declared() -> ErrorObject {
    let required = ClientCapabilities { extensions: Some(capability()), ..ClientCapabilities::default() };
    ErrorObject::missing_capability(&required)
}

/// -32602: the answer to a request for a task that does not exist, has expired, or belongs to someone else. These must
/// look the same.
pub fn not_found() -> ErrorObject {
    ErrorObject::new(Code::InvalidParams, "No such task")
}

/// How far a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskStatus {
    /// It is being worked on.
    Working,
    /// It waits for answers of the client.
    InputRequired,
    /// It has a result, which may be that a tool failed.
    Completed,
    /// Its request has ended with an error.
    Failed,
    /// It was cancelled before it was done.
    Cancelled,
}

impl TaskStatus {
    /// Whether nothing comes after it.
    pub const fn is_terminal(self) -> bool {
        match self {
            Self::Working | Self::InputRequired => false,
            Self::Completed | Self::Failed | Self::Cancelled => true,
        }
    }
}

/// A task: by default with its status alone, as it is created. See [`DetailedTask`] for one with what its status
/// brings along.
#[derive(Debug, Clone, PartialEq)]
pub struct Task<S = TaskStatus> {
    /// Names the task. Who knows it may be able to read the task, so it belongs in no log.
    pub task_id: String,
    /// How far it is.
    pub state: S,
    /// What it is doing, for people.
    pub status_message: Option<String>,
    /// When it was created, in ISO 8601.
    pub created_at: String,
    /// When it last changed, in ISO 8601.
    pub last_updated_at: String,
    /// Milliseconds from its creation after which it may be gone; `None` is never. May change.
    pub ttl_ms: Option<u64>,
    /// Milliseconds to wait between two looks at it. May change.
    pub poll_interval_ms: Option<u64>,
}

impl<S> Task<S> {
    /// A task of that id, created at this time in ISO 8601, that is kept for ever.
    pub fn new(task_id: impl Into<String>, state: S, created_at: impl Into<String>) -> Self {
        let created_at = created_at.into();
        Self {
            task_id: task_id.into(),
            state,
            status_message: None,
            last_updated_at: created_at.clone(),
            created_at,
            ttl_ms: None,
            poll_interval_ms: None,
        }
    }

    /// The same task in another state.
    pub fn with_state<T>(self, state: T) -> Task<T> {
        let Self { task_id, state: _, status_message, created_at, last_updated_at, ttl_ms, poll_interval_ms } = self;
        Task { task_id, state, status_message, created_at, last_updated_at, ttl_ms, poll_interval_ms }
    }
}

impl Task {
    /// How far it is.
    pub const fn status(&self) -> TaskStatus {
        self.state
    }
}

optional_setters! { Task {
    /// Says what it is doing.
    with_status_message(status_message: impl Into<String>);
    /// Says after how many milliseconds it may be gone.
    with_ttl_ms(ttl_ms: u64);
    /// Says how many milliseconds to wait between two looks.
    with_poll_interval_ms(poll_interval_ms: u64);
} }
