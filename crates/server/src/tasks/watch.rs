//! Who waits on this pod for what becomes of a task.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anypod_store::TaskId;
use tokio::sync::watch;

/// The tasks that somebody waits for. As many as there are requests that wait.
#[derive(Debug, Default)]
pub(super) struct Watched {
    tasks: Mutex<HashMap<TaskId, watch::Sender<()>>>,
}

/// Waits for changes of one task, until it is dropped.
#[derive(Debug)]
pub(super) struct Watch {
    watched: Arc<Watched>,
    id: TaskId,
    changes: watch::Receiver<()>,
}

impl Watched {
    /// Waits for changes from now on.
    pub(super) fn watch(self: &Arc<Self>, id: &TaskId) -> Watch {
        let changes = self.lock().entry(id.clone()).or_insert_with(|| watch::Sender::new(())).subscribe();
        Watch { watched: Arc::clone(self), id: id.clone(), changes }
    }

    /// A task has changed, on whichever pod.
    pub(super) fn tell(&self, id: &TaskId) {
        if let Some(changes) = self.lock().get(id) {
            changes.send_replace(());
        }
    }

    /// Any task may have changed.
    pub(super) fn tell_all(&self) {
        for changes in self.lock().values() {
            changes.send_replace(());
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TaskId, watch::Sender<()>>> {
        // The map is consistent after every statement, so a panic elsewhere does not spoil it.
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watch {
    /// What has changed so far is known: to be said before the task is looked at.
    pub(super) fn begin(&mut self) {
        self.changes.mark_unchanged();
    }

    /// Completes when the task has changed since [`Watch::begin`].
    pub(super) async fn changed(&mut self) {
        if self.changes.changed().await.is_err() {
            // Cannot be, as the sender is there as long as this is.
            std::future::pending().await
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut tasks = self.watched.lock();
        // This one is still counted.
        if tasks.get(&self.id).is_some_and(|changes| changes.receiver_count() <= 1) {
            tasks.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn hears_of_its_task_only_and_of_nothing_that_was_before() {
        let watched = Arc::new(Watched::default());
        let [one, other] = [1, 2].map(|byte| TaskId::from_random([byte; 16]));
        let mut watch = watched.watch(&one);
        watched.tell(&one);
        watch.begin();
        watched.tell(&other);
        assert!(!watch.changes.has_changed().unwrap());
        watched.tell(&one);
        watch.changed().await;
        watch.begin();
        watched.tell_all();
        watch.changed().await;
    }

    #[test]
    fn what_nobody_waits_for_is_forgotten() {
        let watched = Arc::new(Watched::default());
        let id = TaskId::from_random([1; 16]);
        let (first, second) = (watched.watch(&id), watched.watch(&id));
        drop(first);
        assert_eq!(watched.lock().len(), 1);
        drop(second);
        assert!(watched.lock().is_empty());
    }
}
