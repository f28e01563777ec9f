//! `tasks/get`, `tasks/update` and `tasks/cancel`.

use std::collections::BTreeMap;
use std::sync::Arc;

use anypod_proto::jsonrpc::{JsonObject, ResultType};
use anypod_proto::reject::Rejection;
use anypod_proto::rounds::InputRequest;
use anypod_proto::tasks::{GetTaskResult, not_found};
use anypod_store::{Answered, Task, TaskId};
use serde::Deserialize;
use serde_json::Value;

use super::engine::{Engine, unavailable};
use super::{answers, spelled};
use crate::cx::Cx;
use crate::error::{Error, Result};
use crate::extension::{MethodResult, Params};
use crate::principal::owner;

/// What all of them carry.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Named {
    pub(super) task_id: String,
}

/// What `tasks/update` carries.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Update {
    task_id: String,
    input_responses: BTreeMap<String, Value>,
}

/// How a task is.
pub(super) async fn get(engine: Arc<Engine>, Params(named): Params<Named>, cx: Cx) -> Result<MethodResult> {
    let task = find(&engine, &named.task_id, &cx).await?;
    MethodResult::of(&GetTaskResult::new(spelled::detailed(&task)?))
}

/// Answers what a task asks.
pub(super) async fn update(engine: Arc<Engine>, Params(update): Params<Update>, cx: Cx) -> Result<MethodResult> {
    let task = find(&engine, &update.task_id, &cx).await?;
    let mut answered = Vec::with_capacity(update.input_responses.len().min(task.questions.len()));
    for (key, answer) in update.input_responses {
        // What nobody asks, or was answered before, is passed over.
        let Some(question) = task.questions.iter().find(|question| question.key == key) else { continue };
        let question: InputRequest = serde_json::from_str(&question.request).map_err(Error::internal)?;
        answered.push(fitting(key, &question, &answer)?);
    }
    if answered.is_empty() {
        return Ok(acknowledged());
    }
    let owner = owner(cx.principal());
    match engine.store.answer(task.id, Some(owner), answered).await.map_err(unavailable)? {
        Answered::Taken => Ok(acknowledged()),
        Answered::Unknown => Err(unknown()),
    }
}

/// An answer as it is stored.
///
/// # Errors
/// If it does not fit its question.
pub(super) fn fitting(key: String, question: &InputRequest, answer: &Value) -> Result<(String, String)> {
    match answers::check(question, answer) {
        Ok(()) => Ok((key, answer.to_string())),
        Err(reason) => {
            let reason = reason.chars().take(400).collect();
            Err(Error::rejected(Rejection::InputResponse { key, reason }))
        }
    }
}

/// Cancels a task, unless it has ended.
pub(super) async fn cancel(engine: Arc<Engine>, Params(named): Params<Named>, cx: Cx) -> Result<MethodResult> {
    let id = TaskId::parse(&named.task_id).ok_or_else(unknown)?;
    let message = Some("cancelled by request".to_owned());
    let cancelled = engine.store.cancel(id, Some(owner(cx.principal())), message).await.map_err(unavailable)?;
    cancelled.map(|_| acknowledged()).ok_or_else(unknown)
}

/// A task of the caller.
///
/// # Errors
/// If there is none of that id, or the store cannot be reached.
pub(super) async fn find(engine: &Engine, id: &str, cx: &Cx) -> Result<Task> {
    let id = TaskId::parse(id).ok_or_else(unknown)?;
    let task = engine.store.task(id, Some(owner(cx.principal()))).await.map_err(unavailable)?;
    task.ok_or_else(unknown)
}

fn acknowledged() -> MethodResult {
    MethodResult::new(ResultType::Complete, JsonObject::new())
}

/// The same for what is not there, has expired, and is someone else's.
pub(super) fn unknown() -> Error {
    let error = not_found();
    Error::protocol(error.code, error.message)
}
