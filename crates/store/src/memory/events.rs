//! What was told, for as long as followers may ask for it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::Shared;
use crate::event::{Event, Follower, Heard};
use crate::store::Later;
use crate::time::Millis;

/// What was told, in order.
#[derive(Debug, Default)]
pub(super) struct Log {
    kept: VecDeque<(Millis, Event)>,
    /// How many were told before those that are kept.
    forgotten: u64,
}

impl Log {
    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    /// The position after the last one.
    pub(super) fn end(&self) -> u64 {
        self.forgotten + self.kept.len() as u64
    }

    pub(super) fn tell(&mut self, event: Event, now: Millis) {
        self.kept.push_back((now, event));
    }

    /// Forgets those that are older than that, at most so many. Gives how many they were.
    pub(super) fn forget(&mut self, keep: Duration, now: Millis, most: usize) -> u64 {
        let old = self.kept.iter().take(most).take_while(|(at, _)| at.after(keep) < now).count();
        self.kept.drain(..old);
        self.forgotten += old as u64;
        old as u64
    }

    /// What came after a position, and whether there was more.
    fn heard(&self, position: u64) -> Heard {
        let skipped = usize::try_from(position.saturating_sub(self.forgotten)).unwrap_or(usize::MAX);
        let events = self.kept.iter().skip(skipped).map(|(_, event)| event.clone()).collect();
        Heard { events, gap: position < self.forgotten }
    }
}

/// Hears what is told in this process.
pub(super) struct Listening {
    pub(super) shared: Arc<Shared>,
    pub(super) position: u64,
    pub(super) woken: watch::Receiver<u64>,
}

impl Follower for Listening {
    fn next(&mut self) -> Later<'_, Heard> {
        Box::pin(async move {
            loop {
                self.woken.mark_unchanged();
                let heard = self.hear();
                if heard.gap || !heard.events.is_empty() {
                    return Ok(heard);
                }
                // The sender is in `shared`, so it is there for as long as this is.
                let _ = self.woken.changed().await;
            }
        })
    }
}

impl Listening {
    fn hear(&mut self) -> Heard {
        let state = self.shared.lock();
        let heard = state.log.heard(self.position);
        self.position = state.log.end();
        heard
    }
}
