//! `notifications/tasks`, for listeners that name tasks.

use std::sync::Arc;

use anypod_proto::jsonrpc::JsonObject;
use anypod_proto::method::Notification;
use anypod_proto::tasks::{EXTENSION, TaskStatusNotificationParams, is_declared};
use anypod_store::TaskId;
use serde_json::Value;

use super::engine::{Engine, unavailable};
use super::spelled;
use crate::backend::BoxFuture;
use crate::error::{Error, Result};
use crate::extension::{Listener, Subscribed, Told, Topics};
use crate::principal::owner;

/// The field of the filter.
const TASK_IDS: &str = "taskIds";

/// What is told of tasks. A topic is a task.
pub(super) struct TaskTopics(pub(super) Arc<Engine>);

impl Topics for TaskTopics {
    fn fields(&self) -> &[&str] {
        &[TASK_IDS]
    }

    fn subscribe<'a>(&'a self, listener: &'a Listener, filter: &'a JsonObject) -> BoxFuture<'a, Result<Subscribed>> {
        Box::pin(async move {
            let Some(named) = filter.get(TASK_IDS) else { return Ok(Subscribed::default()) };
            if !is_declared(listener.capabilities().extensions.as_ref()) {
                return Err(Error::missing_extension(EXTENSION));
            }
            let (owner, mut topics) = (owner(listener.principal()), Vec::new());
            for id in named.as_array().into_iter().flatten().filter_map(Value::as_str) {
                let Some(known) = TaskId::parse(id) else { continue };
                if self.0.store.task(known, Some(owner.clone())).await.map_err(unavailable)?.is_some() {
                    topics.push(id.to_owned());
                }
            }
            let honoured = JsonObject::from_iter([(TASK_IDS.to_owned(), Value::from(topics.clone()))]);
            Ok(Subscribed { honoured, topics })
        })
    }

    fn tell<'a>(&'a self, listener: &'a Listener, topic: &'a str) -> BoxFuture<'a, Result<Option<Told>>> {
        Box::pin(async move {
            let Some(id) = TaskId::parse(topic) else { return Ok(None) };
            let task = self.0.store.task(id, Some(owner(listener.principal()))).await.map_err(unavailable)?;
            let Some(task) = task else { return Ok(None) };
            let params =
                TaskStatusNotificationParams { meta: None, task: spelled::detailed(&task)?, extra: JsonObject::new() };
            match serde_json::to_value(params).map_err(Error::internal)? {
                Value::Object(params) => {
                    Ok(Some(Told { method: Notification::TaskStatus.as_str().to_owned(), params }))
                }
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Ok(None),
            }
        })
    }
}
