//! Calls that become tasks.

use std::sync::Arc;
use std::time::Duration;

use anypod_proto::tasks::{CreateTaskResult, EXTENSION, is_declared};
use anypod_store::{Claimed, Created, Made, NewTask, Task, TaskId};
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::engine::{Begun, Engine, full, unavailable};
use super::{AsTask, When, legacy, spelled};
use crate::backend::BoxFuture;
use crate::cx::Cx;
use crate::detached::Detached;
use crate::error::{Error, Result};
use crate::extension::{Intercept, MethodResult, ToolCall, Verdict};
use crate::principal::owner;

/// Stands before tools.
pub(super) struct Before(pub(super) Arc<Engine>);

/// What a call is left with that becomes a task where its handler says so.
#[derive(Clone)]
pub(super) struct Deferred {
    pub(super) engine: Arc<Engine>,
    pub(super) as_task: AsTask,
}

impl Intercept for Before {
    fn before<'a>(&'a self, call: &'a ToolCall) -> BoxFuture<'a, Result<Verdict>> {
        Box::pin(async move {
            if legacy::serves(call.cx()) {
                return legacy::before(&self.0, call).await;
            }
            let Some(as_task) = call.mark::<AsTask>() else { return Ok(Verdict::GoOn) };
            let declared = is_declared(call.cx().client_capabilities().extensions.as_ref());
            match (as_task.when, declared) {
                (When::Never, _) | (When::Declared, false) => Ok(Verdict::GoOn),
                (When::Always, false) => Err(Error::missing_extension(EXTENSION)),
                (When::Declared | When::Always, true) if as_task.deferred => {
                    call.cx().attach(Deferred { engine: Arc::clone(&self.0), as_task: as_task.clone() });
                    Ok(Verdict::GoOn)
                }
                (When::Declared | When::Always, true) => {
                    let task = self.0.create(call.cx(), as_task, self.0.ttl_of(as_task)).await?;
                    created(&task).map(Verdict::Answer)
                }
            }
        })
    }

    fn unfit(&self, call: &ToolCall, problem: &str) -> Result<()> {
        legacy::unfit(call, problem)
    }
}

/// What tells the client of a task that was created.
pub(super) fn created(task: &Task) -> Result<MethodResult> {
    MethodResult::of(&CreateTaskResult::new(spelled::task(task)))
}

impl Engine {
    /// How long a task of such a tool may be there.
    pub(super) fn ttl_of(&self, as_task: &AsTask) -> Option<Duration> {
        as_task.ttl.unwrap_or(self.settings.ttl)
    }

    /// Creates a task of a call, which may be there for so long. When this is done, every pod knows it.
    ///
    /// # Errors
    /// If there is no room, or the store cannot be reached. Then there is no task.
    pub(super) async fn create(self: &Arc<Self>, cx: &Cx, as_task: &AsTask, ttl: Option<Duration>) -> Result<Task> {
        let outside = cx.server().outside();
        let call = serde_json::to_string(&Detached::of(cx)?).map_err(Error::internal)?;
        let slot = self.slot();
        let settings = &self.settings;
        let lease = slot.as_ref().map(|_| (self.worker(outside).to_owned(), settings.lease));
        let new = NewTask {
            ttl,
            poll: Some(as_task.poll.unwrap_or(settings.poll)),
            lease,
            ..NewTask::new(
                TaskId::from_random(outside.random()),
                owner(cx.principal()),
                cx.request().name().unwrap_or_default(),
                call,
            )
        };
        // Goes on when the client goes away meanwhile: whether there is a task must not be left open.
        let good_until = Instant::now() + settings.lease;
        let (engine, id, call) = (Arc::clone(self), new.id.clone(), new.call.clone());
        let creating = tokio::spawn(async move { engine.store.create(new).await });
        let mut gone = Gone { engine: self, id: Some(id) };
        let created = creating.await.map_err(Error::internal)?.map_err(unavailable);
        gone.id = None;
        let Made { task, lease } = match created? {
            Created::Made(made) => *made,
            Created::Full(reason) => return Err(full(reason)),
        };
        if let (Some(lease), Some(slot)) = (lease, slot) {
            let claimed = Claimed {
                lease,
                owner: task.owner.clone(),
                tool: task.tool.clone(),
                call,
                steps: Vec::new(),
                answers: Vec::new(),
                deaths: 0,
                failures: 0,
                created_at: task.created_at,
                expires_at: task.expires_at,
                now: task.created_at,
            };
            if self.hand_over(Begun { claimed: Box::new(claimed), good_until, slot }).is_err() {
                tracing::debug!("a task that was created here waits for another pod");
            }
        }
        Ok(task)
    }
}

/// Cancels a task whose creator has gone before it learnt of it.
struct Gone<'a> {
    engine: &'a Arc<Engine>,
    id: Option<TaskId>,
}

impl Drop for Gone<'_> {
    fn drop(&mut self) {
        let Some(id) = self.id.take() else { return };
        let engine = Arc::clone(self.engine);
        let Ok(runtime) = Handle::try_current() else { return };
        // It may not be there yet. Then it runs, and nobody asks for its result.
        runtime.spawn(async move {
            if let Err(error) = engine.store.cancel(id, None, Some("its client went away".to_owned())).await {
                tracing::debug!(%error, "a task that nobody waits for was not cancelled");
            }
        });
    }
}
