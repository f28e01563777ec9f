//! Calls that become tasks.

use std::sync::Arc;
use std::time::Duration;

use anypod_proto::tasks::{CreateTaskResult, EXTENSION, is_declared};
use anypod_store::{Claimed, Created, Made, NewTask, StoreError, Task, TaskId};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
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
        let good_until = Instant::now() + settings.lease;
        let call = new.call.clone();
        let created = Creation::begin(self, new).done().await?;
        let Made { task, lease } = match created {
            Created::Made(made) => *made,
            Created::Full(reason) => return Err(full(reason)),
        };
        if slot.is_some() {
            self.is_crowded(lease.is_none());
        }
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

/// A task on its way into the store. This goes on when the client goes away meanwhile, as whether there is a task must not be left
/// open: one that its client never learns of is cancelled.
struct Creation {
    engine: Arc<Engine>,
    created: oneshot::Receiver<Result<Created, StoreError>>,
}

impl Creation {
    fn begin(engine: &Arc<Engine>, new: NewTask) -> Self {
        let (done, created) = oneshot::channel();
        let creator = Arc::clone(engine);
        tokio::spawn(async move {
            let created = creator.store.create(new).await;
            if let Err(Ok(Created::Made(made))) = done.send(created) {
                creator.forget(made.task.id).await;
            }
        });
        Self { engine: Arc::clone(engine), created }
    }

    async fn done(mut self) -> Result<Created> {
        (&mut self.created).await.map_err(Error::internal)?.map_err(unavailable)
    }
}

impl Drop for Creation {
    fn drop(&mut self) {
        self.created.close();
        // What came and was not read: whatever comes later, its sender sees to.
        let Ok(Ok(Created::Made(made))) = self.created.try_recv() else { return };
        let engine = Arc::clone(&self.engine);
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move { engine.forget(made.task.id).await });
        }
    }
}

impl Engine {
    /// Cancels a task that its client has not learnt of.
    async fn forget(&self, id: TaskId) {
        if let Err(error) = self.store.cancel(id, None, Some("its client went away".to_owned())).await {
            tracing::debug!(%error, "a task that nobody waits for was not cancelled");
        }
    }
}

#[cfg(test)]
mod tests {
    use anypod_proto::tasks::TaskStatus;
    use anypod_store::{Memory, Owner, Store};

    use super::super::Tasks;
    use super::*;

    async fn settle() {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_task_that_its_client_does_not_learn_of_is_cancelled_whenever_the_client_goes() {
        let store = Arc::new(Memory::default());
        let tasks = Tasks::new(Arc::clone(&store) as Arc<dyn Store>);
        let engine = Engine::new(tasks.store, tasks.settings);
        let new = |byte| NewTask::new(TaskId::from_random([byte; 16]), Owner::nobody(), "t", "{}");
        let status = async |byte| {
            let task = store.task(TaskId::from_random([byte; 16]), None).await.unwrap();
            task.unwrap().status
        };
        drop(Creation::begin(&engine, new(1)));
        settle().await;
        assert_eq!(status(1).await, TaskStatus::Cancelled, "gone before it was there");
        let creation = Creation::begin(&engine, new(2));
        settle().await;
        assert_eq!(status(2).await, TaskStatus::Working);
        drop(creation);
        settle().await;
        assert_eq!(status(2).await, TaskStatus::Cancelled, "gone once it was there");
        Creation::begin(&engine, new(3)).done().await.unwrap();
        settle().await;
        assert_eq!(status(3).await, TaskStatus::Working, "not gone");
    }
}
