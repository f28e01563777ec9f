//! `tasks/result` of 2025-11-25: waits until a task has ended, asks meanwhile what the task wants to know, and gives its result.
//!
//! The request may reach any pod. Nothing of it is kept: who goes away from it has lost nothing, and the task goes on. Of several
//! requests at once each asks, the first answer counts, and the other questions are taken back.
//!
//! An answer that does not fit its question, or none, ends the request and not the task: the question is open as before, and the next
//! request asks it again.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use anypod_proto::code::Code;
use anypod_proto::jsonrpc::{ErrorObject, JsonObject, ResultType};
use anypod_proto::legacy::{downgrade, tasks};
use anypod_proto::method::Method;
use anypod_proto::rounds::InputRequest;
use anypod_proto::tasks::TaskStatus;
use anypod_store::{Answered, Task, TaskId};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::super::engine::{Engine, unavailable};
use super::super::methods::{Named, find, fitting, unknown};
use super::super::watch::Watch;
use crate::backend::BoxFuture;
use crate::cx::Cx;
use crate::error::{Error, Result};
use crate::extension::{MethodResult, Params};
use crate::principal::owner;

/// How often a task is looked at that nobody says anything of: this pod may have lost touch with the others.
const LOOKS_EVERY: Duration = Duration::from_secs(5);

/// Waits for a task.
pub(super) async fn result(engine: Arc<Engine>, Params(named): Params<Named>, cx: Cx) -> Result<MethodResult> {
    let id = TaskId::parse(&named.task_id).ok_or_else(unknown)?;
    let mut watch = engine.watched.watch(&id);
    let mut open = Open::default();
    let patience = cx.server().limits().request_deadline;
    let mut left = patience;
    loop {
        watch.begin();
        let task = find(&engine, &named.task_id, &cx).await?;
        if task.status.is_terminal() {
            return outcome(&task, &cx);
        }
        open.follow(&task, &cx)?;
        // While the client is asked, its time counts for nothing.
        let counts_since = open.questions.is_empty().then(Instant::now);
        let happened = next(&mut watch, &mut open, left, &cx).await;
        left = left.saturating_sub(counts_since.map_or(Duration::ZERO, |since| since.elapsed()));
        match happened {
            Happened::Changed => {}
            Happened::Answered(asked, answer) => {
                let answer = fitting(asked.key, &asked.question, &answer?)?;
                let answered = engine.store.answer(id.clone(), Some(owner(cx.principal())), vec![answer]).await;
                match answered.map_err(unavailable)? {
                    Answered::Taken => {}
                    Answered::Unknown => return Err(unknown()),
                }
            }
            Happened::NotYet => {
                return Err(not_yet(format_args!("it has not ended within {} s", patience.as_secs())));
            }
            Happened::Leaving => return Err(not_yet("this pod shuts down")),
            Happened::Gone => return Err(not_yet("nobody waits for it here")),
        }
    }
}

/// What a wait for a task comes to.
enum Happened {
    /// It may have changed.
    Changed,
    /// The client has answered a question, or will not.
    Answered(Box<Asked>, Result<Value>),
    /// It takes longer than a request may wait.
    NotYet,
    /// The pod is about to end.
    Leaving,
    /// The client has gone away.
    Gone,
}

/// Waits for what happens next. While the client is asked, the pod waits for its answer as long as it can.
async fn next(watch: &mut Watch, open: &mut Open, left: Duration, cx: &Cx) -> Happened {
    let waits = open.questions.is_empty();
    cx.idle(async {
        tokio::select! {
            biased;
            (asked, answer) = open.answered(), if !waits => Happened::Answered(asked, answer),
            () = cx.gone() => Happened::Gone,
            () = watch.changed() => Happened::Changed,
            () = cx.server().drained(), if waits => Happened::Leaving,
            () = sleep(left), if waits => Happened::NotYet,
            () = sleep(LOOKS_EVERY) => Happened::Changed,
        }
    })
    .await
}

/// The questions that the client is asked on the stream of this request.
#[derive(Default)]
struct Open {
    questions: Vec<(Box<Asked>, BoxFuture<'static, Result<Value>>)>,
}

/// A question that the client is asked.
struct Asked {
    key: String,
    question: InputRequest,
}

impl Open {
    /// Asks what the task asks, and takes back what it does not ask any more.
    fn follow(&mut self, task: &Task, cx: &Cx) -> Result<()> {
        self.questions.retain(|(asked, _)| task.questions.iter().any(|question| question.key == asked.key));
        for question in &task.questions {
            if self.questions.iter().any(|(asked, _)| asked.key == question.key) {
                continue;
            }
            let key = question.key.clone();
            let question: InputRequest = serde_json::from_str(&question.request).map_err(Error::internal)?;
            let (cx, related) = (cx.clone(), tasks::related(task.id.as_str()));
            let asks = (key.clone(), question.clone());
            let answer = Box::pin(async move {
                let (key, question) = asks;
                cx.ask_on_stream(&key, question, related).await
            });
            self.questions.push((Box::new(Asked { key, question }), answer));
        }
        Ok(())
    }

    /// The next answer.
    async fn answered(&mut self) -> (Box<Asked>, Result<Value>) {
        poll_fn(|context| {
            // All of them, as each goes out when it is first looked at.
            let mut answered = None;
            for (at, (_, answer)) in self.questions.iter_mut().enumerate() {
                if let Poll::Ready(answer) = answer.as_mut().poll(context) {
                    answered = Some((at, answer));
                    break;
                }
            }
            match answered {
                Some((at, answer)) => Poll::Ready((self.questions.remove(at).0, answer)),
                None => Poll::Pending,
            }
        })
        .await
    }
}

/// What the call would have been answered with: a result, which names its task, or the error.
fn outcome(task: &Task, cx: &Cx) -> Result<MethodResult> {
    let read = task.outcome.as_deref().unwrap_or("{}");
    match task.status {
        TaskStatus::Completed => {
            let mut result: JsonObject = serde_json::from_str(read).map_err(Error::internal)?;
            downgrade(Method::ToolsCall, cx.revision(), &mut result);
            let meta = result.entry("_meta").or_insert_with(|| Value::Object(JsonObject::new()));
            if let Value::Object(meta) = meta {
                meta.extend(tasks::related(task.id.as_str()));
            }
            Ok(MethodResult::new(ResultType::Complete, result))
        }
        TaskStatus::Failed => {
            let ErrorObject { code, message, data } = serde_json::from_str(read).map_err(Error::internal)?;
            let error = Error::protocol(code, message);
            Err(data.into_iter().fold(error, Error::with_data))
        }
        TaskStatus::Cancelled => {
            let why = task.message.as_deref().unwrap_or("nobody says why");
            let message = format_args!("the task was cancelled and has no result: {why}");
            Err(Error::protocol(Code::InternalError.number(), message))
        }
        TaskStatus::Working | TaskStatus::InputRequired => Err(Error::internal("the task has not ended")),
    }
}

/// The task goes on, and so there is no result yet.
fn not_yet(why: impl std::fmt::Display) -> Error {
    let message = format_args!("the task still works, and goes on: {why}; ask for its result again");
    Error::protocol(Code::InternalError.number(), message)
}
