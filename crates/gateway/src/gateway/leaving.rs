//! Upstreams that are configured no more, or otherwise: each ends when nothing is under way on it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::reach::Reach;

/// How often it is looked whether nothing is under way any more.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The upstreams of configurations before.
#[derive(Debug)]
pub(super) struct Leaving {
    each: Mutex<JoinSet<()>>,
    ending: watch::Sender<bool>,
}

impl Leaving {
    pub(super) fn new() -> Self {
        Self { each: Mutex::default(), ending: watch::Sender::new(false) }
    }

    /// Has an upstream end once nobody uses it.
    pub(super) fn see_off(&self, reach: Arc<Reach>) {
        let mut ending = self.ending.subscribe();
        let mut each = self.lock();
        while each.try_join_next().is_some() {}
        each.spawn(async move {
            tokio::select! {
                () = unused(&reach) => {}
                // The sender is gone only with the gateway.
                _ = ending.wait_for(|ending| *ending) => {}
            }
            reach.close().await;
        });
    }

    /// Ends those that are left, whatever is under way.
    pub(super) async fn end(&self) {
        self.ending.send_replace(true);
        let mut each = std::mem::take(&mut *self.lock());
        while each.join_next().await.is_some() {}
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, JoinSet<()>> {
        self.each.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Completes when no request has the upstream in hands and no session with it is left.
async fn unused(reach: &Arc<Reach>) {
    loop {
        let in_hands = Arc::strong_count(reach) > 1;
        // Whoever has it in hands may have opened another.
        reach.sessions.leave(|_| true);
        if !in_hands && reach.sessions.is_empty() {
            return;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
