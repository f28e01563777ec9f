//! A task with what its status brings along, and how tasks are spelled within results and notifications.

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeOwned, Error as _},
    ser::SerializeMap,
};
use serde_json::value::RawValue;

use super::{Task, TaskStatus};
use crate::{
    caching,
    jsonrpc::{ErrorObject, JsonObject, RESULT_TYPE, ResultType},
    rounds::InputRequests,
};

/// A task with its questions, its result or its error.
pub type DetailedTask = Task<TaskState>;

/// How far a task is, with what that brings along.
#[derive(Debug, Clone, PartialEq)]
pub enum TaskState {
    /// It is being worked on.
    Working,
    /// It waits for answers to these questions, which are all that are open. A key names one question for the task's
    /// whole life.
    InputRequired(InputRequests),
    /// It has this result.
    Completed(TaskOutcome),
    /// Its request has ended with this error.
    Failed(ErrorObject),
    /// It was cancelled before it was done.
    Cancelled,
}

impl TaskState {
    /// The status alone.
    pub const fn status(&self) -> TaskStatus {
        match self {
            Self::Working => TaskStatus::Working,
            Self::InputRequired(_) => TaskStatus::InputRequired,
            Self::Completed(_) => TaskStatus::Completed,
            Self::Failed(_) => TaskStatus::Failed,
            Self::Cancelled => TaskStatus::Cancelled,
        }
    }
}

impl DetailedTask {
    /// How far it is.
    pub const fn status(&self) -> TaskStatus {
        self.state.status()
    }
}

/// The result of what ran as a task, as JSON that is yet to be read: of the type that answers the original request.
/// Always an object.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct TaskOutcome(Box<RawValue>);

impl TaskOutcome {
    /// A result.
    ///
    /// # Errors
    /// If it cannot be written as JSON, or is no object.
    pub fn new<R: Serialize>(result: &R) -> Result<Self, serde_json::Error> {
        Self::checked(serde_json::value::to_raw_value(result)?)
    }

    fn checked(raw: Box<RawValue>) -> Result<Self, serde_json::Error> {
        match raw.get().starts_with('{') {
            true => Ok(Self(raw)),
            false => Err(serde_json::Error::custom("the result of a task must be an object")),
        }
    }

    /// The JSON.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// The JSON, given away without a copy.
    pub fn into_text(self) -> Box<str> {
        self.0.into()
    }

    /// Reads it as the result of the original request.
    ///
    /// # Errors
    /// If it has another form.
    pub fn read<R: DeserializeOwned>(&self) -> Result<R, serde_json::Error> {
        serde_json::from_str(self.as_str())
    }
}

/// Of equal text.
impl PartialEq for TaskOutcome {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl<'de> Deserialize<'de> for TaskOutcome {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::checked(Box::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// Every member of an object that is a task among other things. `M` is the type of its `_meta`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", bound = "M: Deserialize<'de>")]
pub(super) struct Members<M> {
    #[serde(default)]
    pub(super) result_type: ResultType,
    task_id: String,
    status: TaskStatus,
    status_message: Option<String>,
    created_at: String,
    last_updated_at: String,
    #[serde(default, deserialize_with = "millis")]
    ttl_ms: Option<u64>,
    #[serde(default, deserialize_with = "millis")]
    poll_interval_ms: Option<u64>,
    input_requests: Option<InputRequests>,
    result: Option<TaskOutcome>,
    error: Option<ErrorObject>,
    #[serde(rename = "_meta", default = "Option::default")]
    pub(super) meta: Option<M>,
    #[serde(flatten)]
    pub(super) extra: JsonObject,
}

/// Milliseconds or null. What is negative is 0, as with caching hints.
fn millis<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    #[derive(Deserialize)]
    struct Millis(#[serde(deserialize_with = "caching::ttl")] u64);
    Ok(Option::<Millis>::deserialize(deserializer)?.map(|Millis(millis)| millis))
}

impl<M> Members<M> {
    /// The task with its status, what came with it, `_meta` and the rest.
    pub(super) fn split(self) -> (Task, Detail, Option<M>, JsonObject) {
        let task = Task {
            task_id: self.task_id,
            state: self.status,
            status_message: self.status_message,
            created_at: self.created_at,
            last_updated_at: self.last_updated_at,
            ttl_ms: self.ttl_ms,
            poll_interval_ms: self.poll_interval_ms,
        };
        let detail = Detail { input_requests: self.input_requests, result: self.result, error: self.error };
        (task, detail, self.meta, self.extra)
    }
}

/// What may come with a status.
pub(super) struct Detail {
    input_requests: Option<InputRequests>,
    result: Option<TaskOutcome>,
    error: Option<ErrorObject>,
}

impl Detail {
    /// The task with what its status brings along, which must be there.
    pub(super) fn of<E: serde::de::Error>(self, task: Task) -> Result<DetailedTask, E> {
        let state = match task.state {
            TaskStatus::Working => TaskState::Working,
            TaskStatus::InputRequired => {
                TaskState::InputRequired(self.input_requests.ok_or_else(|| E::missing_field("inputRequests"))?)
            }
            TaskStatus::Completed => TaskState::Completed(self.result.ok_or_else(|| E::missing_field("result"))?),
            TaskStatus::Failed => TaskState::Failed(self.error.ok_or_else(|| E::missing_field("error"))?),
            TaskStatus::Cancelled => TaskState::Cancelled,
        };
        Ok(task.with_state(state))
    }
}

/// A state as members of the object that the task is.
pub(super) trait Spelled {
    fn put<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error>;
}

impl Spelled for TaskStatus {
    fn put<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        map.serialize_entry("status", self)
    }
}

impl Spelled for TaskState {
    fn put<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        self.status().put(map)?;
        match self {
            Self::Working | Self::Cancelled => Ok(()),
            Self::InputRequired(questions) => map.serialize_entry("inputRequests", questions),
            Self::Completed(result) => map.serialize_entry("result", result),
            Self::Failed(error) => map.serialize_entry("error", error),
        }
    }
}

/// Writes a task and what stands beside it as one object.
pub(super) fn write<S: Serializer, T: Spelled, M: Serialize>(
    serializer: S,
    result_type: Option<&ResultType>,
    task: &Task<T>,
    meta: Option<&M>,
    extra: &JsonObject,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(None)?;
    if let Some(result_type) = result_type {
        map.serialize_entry(RESULT_TYPE, result_type)?;
    }
    map.serialize_entry("taskId", &task.task_id)?;
    task.state.put(&mut map)?;
    if let Some(message) = &task.status_message {
        map.serialize_entry("statusMessage", message)?;
    }
    map.serialize_entry("createdAt", &task.created_at)?;
    map.serialize_entry("lastUpdatedAt", &task.last_updated_at)?;
    map.serialize_entry("ttlMs", &task.ttl_ms)?;
    if let Some(interval) = task.poll_interval_ms {
        map.serialize_entry("pollIntervalMs", &interval)?;
    }
    if let Some(meta) = meta {
        map.serialize_entry("_meta", meta)?;
    }
    extra.iter().try_for_each(|(key, value)| map.serialize_entry(key, value))?;
    map.end()
}
