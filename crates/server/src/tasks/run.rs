//! One run of a task, from taking it up to giving it away.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use anypod_proto::code::Code;
use anypod_proto::jsonrpc::ErrorObject;
use anypod_proto::tasks::TaskStatus;
use anypod_store::{Claimed, End, Fenced, HandBack, Lease, Question, Reason};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

use super::AsTask;
use super::engine::{Begun, Engine};
use super::keeper::{TaskKeeper, until_written};
use crate::detached::{Answer, Detached, Stop};
use crate::error::{Error, Result};
use crate::limits::NEVER;
use crate::server::Server;

/// How often what a task is doing is written down.
const SAYS_EVERY: Duration = Duration::from_secs(1);
/// The longest that a task is left alone after it failed.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// How many characters of what a tool says that failed are a message.
const COMPLAINT: usize = 400;

/// What becomes of a task after a run.
enum Next {
    Ends(End),
    Asks(Vec<Question>),
    GoesBack(HandBack),
}

/// Runs a task that this pod has taken up.
pub(super) async fn run(engine: Arc<Engine>, server: Server, begun: Begun) {
    let Begun { claimed, good_until, slot: _slot } = begun;
    let lease = claimed.lease.clone();
    let place = engine.enter(&lease, good_until);
    let attempt = async {
        let next = tokio::select! {
            // What has come to its end is not given away.
            biased;
            next = attempt(&engine, &server, *claimed, &place.lost) => next,
            () = server.drained() => Next::GoesBack(leaving()),
        };
        write(&engine, &lease, next).await;
    };
    tokio::select! {
        () = place.lost.notified() => tracing::info!(task = ?lease.id, "a task is no longer this pod's"),
        () = attempt => {}
    }
}

async fn attempt(engine: &Arc<Engine>, server: &Server, claimed: Claimed, lost: &Arc<Notify>) -> Next {
    if claimed.is_expired() {
        return fails("the task has expired before it was done".to_owned(), Code::InternalError.number(), None);
    }
    if claimed.deaths >= engine.settings.deaths {
        let message = format!("{} pods in a row died while they ran the task", claimed.deaths);
        return fails(message, Code::InternalError.number(), None);
    }
    let as_task = server.mark_of::<AsTask>(&claimed.tool).unwrap_or(AsTask::never());
    let failures = claimed.failures;
    let (keeper, said) = TaskKeeper::new(engine, &claimed.lease, lost);
    let lease = claimed.lease.clone();
    let run = match begin(server, claimed, keeper) {
        Ok(run) => run,
        Err(error) => {
            tracing::error!(%error, "a task cannot be run");
            return failed(&as_task, failures, Code::InternalError.number(), "Internal error".to_owned(), None, true);
        }
    };
    let stop = tokio::select! {
        stop = timeout(as_task.attempt.unwrap_or(NEVER), run) => stop,
        () = say(engine, &lease, said) => return Next::GoesBack(leaving()),
    };
    match stop {
        Ok(Stop::Result(result)) => {
            let message = complaint(&result);
            Next::Ends(End { message, ..End::new(TaskStatus::Completed, result) })
        }
        Ok(Stop::Asks(asked)) => {
            Next::Asks(asked.into_iter().map(|(key, request)| Question { key, request }).collect())
        }
        Ok(Stop::Failed { code, message, data, again }) => failed(&as_task, failures, code, message, data, again),
        Err(_) => {
            let message = "the task took longer than its tool allows".to_owned();
            failed(&as_task, failures, Code::InternalError.number(), message, None, true)
        }
    }
}

fn begin(server: &Server, claimed: Claimed, keeper: TaskKeeper) -> Result<crate::detached::DetachedRun> {
    let detached: Detached = serde_json::from_str(&claimed.call).map_err(Error::internal)?;
    let read = |text: &str| serde_json::from_str::<Value>(text).map_err(Error::internal);
    let steps = claimed.steps.into_iter().map(|step| Ok((step.key, read(&step.result)?))).collect::<Result<_>>()?;
    let answers = claimed.answers.into_iter().map(|(question, answer)| {
        Ok(Answer { key: question.key, request: question.request, response: read(&answer)? })
    });
    detached.run(server, steps, answers.collect::<Result<_>>()?, Arc::new(keeper))
}

/// What a result says whose tool has failed. A task that is completed has a message in this case only, which tells the two apart
/// for those who do not read the result.
fn complaint(result: &str) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Failed<'a> {
        #[serde(default)]
        is_error: bool,
        #[serde(borrow, default)]
        content: Vec<Block<'a>>,
    }
    #[derive(Deserialize)]
    struct Block<'a> {
        #[serde(borrow, default)]
        text: Option<Cow<'a, str>>,
    }
    let failed = serde_json::from_str::<Failed<'_>>(result).ok().filter(|result| result.is_error)?;
    let text = failed.content.into_iter().find_map(|block| block.text).filter(|text| !text.is_empty());
    let text = text.unwrap_or(Cow::Borrowed("the tool failed and does not say why"));
    Some(text.chars().take(COMPLAINT).collect())
}

/// Writes down what the task is doing, whenever it says something else. Never done.
async fn say(engine: &Arc<Engine>, lease: &Lease, mut said: watch::Receiver<Option<String>>) {
    while said.changed().await.is_ok() {
        let message = said.borrow_and_update().clone();
        if let Some(message) = message
            && let Err(error) = engine.store.say(lease.clone(), message).await
        {
            tracing::debug!(%error, "what a task is doing was not written down");
        }
        sleep(SAYS_EVERY).await;
    }
    // Nobody is left who could say something, so the run is about to stop.
    std::future::pending().await
}

/// How a task is given away with which nothing is wrong.
pub(super) const fn leaving() -> HandBack {
    HandBack { reason: Reason::Leaving, pause: Duration::ZERO, message: None }
}

fn failed(as_task: &AsTask, failures: u32, code: i32, message: String, data: Option<Value>, again: bool) -> Next {
    if !again || failures >= as_task.retries {
        return fails(message, code, data);
    }
    let pause = as_task.pause.saturating_mul(2_u32.saturating_pow(failures)).min(LONGEST_PAUSE);
    let message = Some(format!("failed, and is run again ({} of {})", failures + 1, as_task.retries));
    Next::GoesBack(HandBack { reason: Reason::Failed, pause, message })
}

fn fails(message: String, code: i32, data: Option<Value>) -> Next {
    let error = ErrorObject { code, message: message.clone(), data };
    let outcome = serde_json::to_string(&error).ok();
    Next::Ends(End { status: TaskStatus::Failed, outcome, message: Some(message), keep: Duration::ZERO })
}

/// Writes down what becomes of the task.
async fn write(engine: &Arc<Engine>, lease: &Lease, next: Next) {
    let store = &engine.store;
    let keep = engine.settings.keep;
    let written = match next {
        Next::Ends(end) => until_written(|| store.finish(lease.clone(), End { keep, ..end.clone() })).await,
        Next::Asks(questions) => until_written(|| store.park(lease.clone(), questions.clone())).await,
        Next::GoesBack(back) => until_written(|| store.hand_back(lease.clone(), back.clone())).await,
    };
    match written {
        Ok(Fenced::Written) => {}
        Ok(Fenced::Lost) => tracing::info!(task = ?lease.id, "a task ended here that is no longer this pod's"),
        Err(error) => {
            // What it gave is more than can be kept.
            tracing::warn!(task = ?lease.id, %error, "a task has failed");
            let Next::Ends(end) = fails(error.to_string(), Code::InternalError.number(), None) else { return };
            if let Err(error) = until_written(|| store.finish(lease.clone(), End { keep, ..end.clone() })).await {
                tracing::error!(task = ?lease.id, %error, "a task could not be ended");
            }
        }
    }
}
