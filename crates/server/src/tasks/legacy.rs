//! The tasks of 2025-11-25, for legacy sessions of that revision: the same tasks, by other words.
//!
//! There, the client says with the call whether it becomes a task (`params.task`), and asks for the result by a request of its
//! own, on whose stream it is asked what the task wants to know. What a tool's author says of it
//! ([`Tool::task`](crate::Tool::task)) is said of such clients, too: what becomes a task if the client has declared the extension is
//! optional, what always does is required. A tool [from within](AsTask::from_within) begins as a task at once, since the answer to
//! `params.task` has to be one; what its handler asks before it becomes one, it asks as a task.
//!
//! Spec: 2025-11-25, basic/utilities/tasks.

mod list;
mod result;
mod spelled;

use std::sync::Arc;
use std::time::Duration;

use anypod_proto::code::Code;
use anypod_proto::jsonrpc::JsonObject;
use anypod_proto::legacy::tasks::{CreateTaskResult, TASK, TaskMetadata, TaskSupport, ToolExecution};
use anypod_proto::method::LegacyTaskMethod;
use anypod_proto::version::Version;
use anypod_store::TaskId;
use serde::{Deserialize, Deserializer};
use serde_json::json;
use serde_json::value::RawValue;

use super::engine::{Engine, unavailable};
use super::methods::{Named, find, unknown};
use super::{AsTask, When};
use crate::cx::Cx;
use crate::error::{Error, Result};
use crate::extension::{LegacyPart, MarkedTool, MethodResult, Params, ToolCall, Verdict};
use crate::principal::{Principal, owner};

/// The only revision that has these tasks.
const REVISION: Version = Version::V2025_11_25;

/// The extension, as sessions of that revision see it.
pub(super) fn part(engine: &Arc<Engine>) -> LegacyPart {
    let [of_get, of_result, of_list, of_cancel] = [(); 4].map(|()| Arc::clone(engine));
    LegacyPart::of([REVISION])
        .capability("tasks", |principal: Option<&Principal>| {
            let mut offered = json!({ "cancel": {}, "requests": { "tools": { "call": {} } } });
            // Who cannot be told from others would be shown everybody's.
            if principal.is_some() {
                offered["list"] = json!({});
            }
            Some(offered)
        })
        .tool_members(execution)
        .method(LegacyTaskMethod::Get.as_str(), move |params, cx| get(Arc::clone(&of_get), params, cx))
        .method(LegacyTaskMethod::Result.as_str(), move |params, cx| result::result(Arc::clone(&of_result), params, cx))
        .method(LegacyTaskMethod::List.as_str(), move |params, cx| list::list(Arc::clone(&of_list), params, cx))
        .method(LegacyTaskMethod::Cancel.as_str(), move |params, cx| cancel(Arc::clone(&of_cancel), params, cx))
}

/// Whether a call is one of such a session.
pub(super) fn serves(cx: &Cx) -> bool {
    cx.revision() == REVISION
}

/// What becomes of a call of a tool.
pub(super) async fn before(engine: &Arc<Engine>, call: &ToolCall) -> Result<Verdict> {
    let as_task = call.mark::<AsTask>();
    match (support(as_task), wanted(call)?) {
        (TaskSupport::Forbidden | TaskSupport::Optional, None) => Ok(Verdict::GoOn),
        (TaskSupport::Required, None) => {
            let tool = call.name();
            Err(no_such(format_args!(
                "the tool `{tool}` runs as a task only: call it with `{TASK}` among the parameters"
            )))
        }
        (TaskSupport::Optional | TaskSupport::Required, Some(wanted)) => {
            let as_task = as_task.cloned().unwrap_or(AsTask::never());
            let ttl = shorter(wanted.ttl.map(Duration::from_millis), engine.ttl_of(&as_task));
            let task = engine.create(call.cx(), &as_task, ttl).await?;
            MethodResult::of(&CreateTaskResult::new(spelled::task(&task))).map(Verdict::Answer)
        }
        (TaskSupport::Forbidden, Some(_)) => {
            let tool = call.name();
            Err(no_such(format_args!("the tool `{tool}` does not run as a task: call it without `{TASK}`")))
        }
    }
}

/// Refuses a call that wanted to become a task, and whose client so cannot read a result of the tool that says what is wrong.
pub(super) fn unfit(call: &ToolCall, problem: &str) -> Result<()> {
    match serves(call.cx()) && wanted(call)?.is_some() {
        true => Err(Error::invalid_params(problem)),
        false => Ok(()),
    }
}

/// What a call wants of the task that it is to become; `None` if it is to become none.
fn wanted(call: &ToolCall) -> Result<Option<TaskMetadata>> {
    #[derive(Deserialize)]
    struct Augmented<'a> {
        #[serde(borrow, default, deserialize_with = "present")]
        task: Option<&'a RawValue>,
    }
    /// Null is there, and no task.
    fn present<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Option<&'de RawValue>, D::Error> {
        <&RawValue>::deserialize(deserializer).map(Some)
    }
    let malformed = |error| Error::invalid_params(format_args!("params.{TASK}: {error}"));
    let Augmented { task } = serde_json::from_str(call.cx().request().params()).map_err(malformed)?;
    task.map(|task| serde_json::from_str(task.get()).map_err(malformed)).transpose()
}

/// For how long a task is there: as wanted, but not longer than its tool allows.
fn shorter(wanted: Option<Duration>, allowed: Option<Duration>) -> Option<Duration> {
    match (wanted, allowed) {
        (Some(wanted), Some(allowed)) => Some(wanted.min(allowed)),
        (one, other) => one.or(other),
    }
}

const fn support(as_task: Option<&AsTask>) -> TaskSupport {
    match as_task {
        None => TaskSupport::Forbidden,
        Some(as_task) => match as_task.when {
            When::Never => TaskSupport::Forbidden,
            When::Declared => TaskSupport::Optional,
            When::Always => TaskSupport::Required,
        },
    }
}

/// What `tools/list` says of a tool. Nothing of one whose author says nothing, which is the same as that it is forbidden.
fn execution(tool: &MarkedTool<'_>) -> JsonObject {
    let Some(as_task) = tool.mark::<AsTask>() else { return JsonObject::new() };
    let execution = ToolExecution { task_support: Some(support(Some(as_task))) };
    JsonObject::from_iter([("execution".to_owned(), json!(execution))])
}

/// How a task is.
async fn get(engine: Arc<Engine>, Params(named): Params<Named>, cx: Cx) -> Result<MethodResult> {
    let task = find(&engine, &named.task_id, &cx).await?;
    MethodResult::of(&spelled::task(&task))
}

/// Cancels a task. It is cancelled when this answers.
async fn cancel(engine: Arc<Engine>, Params(named): Params<Named>, cx: Cx) -> Result<MethodResult> {
    let id = TaskId::parse(&named.task_id).ok_or_else(unknown)?;
    let message = Some("cancelled by request".to_owned());
    let before = engine.store.cancel(id, Some(owner(cx.principal())), message).await.map_err(unavailable)?;
    let had_ended = before.ok_or_else(unknown)?.is_terminal();
    let task = find(&engine, &named.task_id, &cx).await?;
    if had_ended {
        let status = spelled::status_name(&task);
        return Err(Error::invalid_params(format_args!("this task cannot be cancelled: it has ended as `{status}`")));
    }
    MethodResult::of(&spelled::task(&task))
}

/// -32601: what this is about is not to be had for the tool, or for the caller.
fn no_such(message: impl std::fmt::Display) -> Error {
    Error::protocol(Code::MethodNotFound.number(), message)
}
