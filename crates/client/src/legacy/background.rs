//! Work that nobody waits for: cancellations, answers to pings, ends of subscriptions. It has an owner, bounds, and
//! deadlines.

use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::{AbortHandle, JoinSet};

/// Owns tasks.
pub(super) struct Background {
    /// Tasks that last: ended with the upstream.
    lasting: Mutex<JoinSet<()>>,
    /// Tasks that end by themselves, within the deadline.
    brief: Mutex<JoinSet<()>>,
    most: usize,
    deadline: Duration,
}

impl Background {
    /// At most `most` brief tasks at once, none longer than `deadline`.
    pub(super) fn new(most: usize, deadline: Duration) -> Self {
        Self { lasting: Mutex::default(), brief: Mutex::default(), most, deadline }
    }

    /// Runs a task until it ends, or the upstream does. Whoever starts it bounds how many there are.
    pub(super) fn last(&self, work: impl Future<Output = ()> + Send + 'static) -> Option<AbortHandle> {
        // Without a runtime there is nobody who could wait for it.
        let handle = Handle::try_current().ok()?;
        let mut tasks = lock(&self.lasting);
        reap(&mut tasks);
        Some(tasks.spawn_on(work, &handle))
    }

    /// Runs a short task. Where too many run already, it is not run.
    pub(super) fn run(&self, work: impl Future<Output = ()> + Send + 'static) {
        let Ok(handle) = Handle::try_current() else { return };
        let deadline = self.deadline;
        let mut tasks = lock(&self.brief);
        reap(&mut tasks);
        if tasks.len() >= self.most {
            tracing::debug!(most = self.most, "too much is under way: a message to a legacy server was not sent");
            return;
        }
        tasks.spawn_on(
            async move {
                let _ = tokio::time::timeout(deadline, work).await;
            },
            &handle,
        );
    }

    /// Ends the lasting tasks.
    pub(super) fn stop(&self) {
        let mut tasks = std::mem::take(&mut *lock(&self.lasting));
        tasks.abort_all();
    }

    /// Ends the lasting tasks and waits for the brief ones.
    pub(super) async fn settle(&self) {
        let mut lasting = std::mem::take(&mut *lock(&self.lasting));
        lasting.shutdown().await;
        let mut brief = std::mem::take(&mut *lock(&self.brief));
        while brief.join_next().await.is_some() {}
    }
}

fn reap(tasks: &mut JoinSet<()>) {
    while tasks.try_join_next().is_some() {}
}

fn lock(tasks: &Mutex<JoinSet<()>>) -> MutexGuard<'_, JoinSet<()>> {
    tasks.lock().unwrap_or_else(PoisonError::into_inner)
}
