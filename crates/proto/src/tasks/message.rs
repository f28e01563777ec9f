//! What requests about tasks carry, what answers them, and what is told about tasks unasked.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{
    DetailedTask, RESULT_TYPE, Task,
    body::{Members, write},
    result_type,
};
use crate::{
    jsonrpc::{EmptyResult, JsonObject, NotificationKind, ResultType, TypedNotification, result_bodies},
    meta::{NotificationMeta, RequestMeta, ResultMeta},
    method,
    rounds::InputResponses,
};

/// What `tasks/get` and `tasks/cancel` carry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskRequestParams {
    /// Version, capabilities and the rest that makes a request stand alone.
    #[serde(rename = "_meta")]
    pub meta: RequestMeta,
    /// Which task. Over HTTP the name header says it too: [`crate::header::NAME`].
    pub task_id: String,
}

/// What `tasks/update` carries.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpdateTaskRequestParams {
    /// Version, capabilities and the rest that makes a request stand alone.
    #[serde(rename = "_meta")]
    pub meta: RequestMeta,
    /// Which task. Over HTTP the name header says it too: [`crate::header::NAME`].
    pub task_id: String,
    /// Answers to some or all of the open questions, by their keys.
    pub input_responses: InputResponses,
}

/// The answer to `tasks/update`: that the answers have come in. The task may show it later.
pub type UpdateTaskResult = EmptyResult;
/// The answer to `tasks/cancel`: that the wish is known. The task may end otherwise.
pub type CancelTaskResult = EmptyResult;

/// The answer to a request that has become a task.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateTaskResult {
    /// The task, which `tasks/get` knows from now on.
    pub task: Task,
    /// What travels beside the result.
    pub meta: Option<ResultMeta>,
    /// Everything else.
    pub extra: JsonObject,
}

impl CreateTaskResult {
    /// The request has become this task.
    pub fn new(task: Task) -> Self {
        Self { task, meta: None, extra: JsonObject::new() }
    }
}

result_bodies!(CreateTaskResult);

impl Serialize for CreateTaskResult {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        write(serializer, Some(&result_type()), &self.task, self.meta.as_ref(), &self.extra)
    }
}

/// Fails if `resultType` is another.
impl<'de> Deserialize<'de> for CreateTaskResult {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let members = Members::deserialize(deserializer)?;
        if members.result_type.as_str() != RESULT_TYPE {
            return Err(unexpected(&members.result_type));
        }
        let (task, _, meta, extra) = members.split();
        Ok(Self { task, meta, extra })
    }
}

/// The answer to `tasks/get`.
#[derive(Debug, Clone, PartialEq)]
pub struct GetTaskResult {
    /// The task as it is now.
    pub task: DetailedTask,
    /// What travels beside the result.
    pub meta: Option<ResultMeta>,
    /// Everything else.
    pub extra: JsonObject,
}

impl GetTaskResult {
    /// This is the task.
    pub fn new(task: DetailedTask) -> Self {
        Self { task, meta: None, extra: JsonObject::new() }
    }
}

result_bodies!(GetTaskResult);

impl Serialize for GetTaskResult {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        write(serializer, Some(&ResultType::Complete), &self.task, self.meta.as_ref(), &self.extra)
    }
}

/// Fails if `resultType` is neither complete nor, as examples of the extension have it, that of a task, or if what
/// the status brings along is missing.
impl<'de> Deserialize<'de> for GetTaskResult {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let members = Members::deserialize(deserializer)?;
        match &members.result_type {
            ResultType::Complete => {}
            ResultType::Other(name) if name == RESULT_TYPE => {}
            other @ (ResultType::InputRequired | ResultType::Other(_)) => return Err(unexpected(other)),
        }
        let (task, detail, meta, extra) = members.split();
        Ok(Self { task: detail.of(task)?, meta, extra })
    }
}

fn unexpected<E: serde::de::Error>(found: &ResultType) -> E {
    E::custom(format_args!("a task cannot come with the {} {found:?}", crate::jsonrpc::RESULT_TYPE))
}

/// The kind of a [`TaskStatusNotification`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskStatusChanged {}

impl NotificationKind for TaskStatusChanged {
    const METHOD: method::Notification = method::Notification::TaskStatus;
    type Params = TaskStatusNotificationParams;
}

/// A task has changed. Sent on the stream of a listen request that names the task, and only there.
pub type TaskStatusNotification = TypedNotification<TaskStatusChanged>;

/// Which task has changed, and into what: all that `tasks/get` would say.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskStatusNotificationParams {
    /// Which subscription it belongs to.
    pub meta: Option<NotificationMeta>,
    /// The task as it is now.
    pub task: DetailedTask,
    /// Everything else.
    pub extra: JsonObject,
}

impl TaskStatusNotificationParams {
    /// This is the task, on the stream of this subscription.
    pub fn new(subscription: NotificationMeta, task: DetailedTask) -> Self {
        Self { meta: Some(subscription), task, extra: JsonObject::new() }
    }
}

impl Serialize for TaskStatusNotificationParams {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        write(serializer, None, &self.task, self.meta.as_ref(), &self.extra)
    }
}

/// Fails if what the status brings along is missing.
impl<'de> Deserialize<'de> for TaskStatusNotificationParams {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (task, detail, meta, extra) = Members::deserialize(deserializer)?.split();
        Ok(Self { meta, task: detail.of(task)?, extra })
    }
}
