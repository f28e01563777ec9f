//! When to look how much the store takes, which costs too much for every task.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long what was seen counts.
const FRESH: Duration = Duration::from_secs(5);

/// What share of the bound this process may write between two looks.
const SHARE: u64 = 100;

/// What this process has written since it looked.
#[derive(Default)]
pub(super) struct Room {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    looked: Option<Instant>,
    written: u64,
}

impl Room {
    /// Whether it is time to look, before so many bytes are written.
    pub(super) fn look(&self, bytes: u64, most: u64) -> bool {
        let mut state = self.lock();
        state.written = state.written.saturating_add(bytes);
        let is_fresh = state.looked.is_some_and(|looked| looked.elapsed() < FRESH);
        if is_fresh && state.written < most / SHARE {
            return false;
        }
        *state = State { looked: Some(Instant::now()), written: 0 };
        true
    }

    /// The bound was reached: the next one looks again.
    pub(super) fn is_full(&self) {
        self.lock().looked = None;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // Two numbers that are right or looked at again.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_looks_at_first_and_then_now_and_then() {
        let room = Room::default();
        assert!(room.look(1, 1000));
        assert!(!room.look(4, 1000));
        assert!(room.look(6, 1000), "a hundredth is written");
        assert!(!room.look(1, 1000));
        tokio::time::advance(FRESH).await;
        assert!(room.look(1, 1000));
        assert!(!room.look(1, 1000));
        room.is_full();
        assert!(room.look(1, 1000));
    }

    #[tokio::test(start_paused = true)]
    async fn a_small_store_is_looked_at_each_time() {
        let room = Room::default();
        assert!((0..5).all(|_| room.look(1, 50)));
    }
}
