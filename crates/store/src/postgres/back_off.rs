//! How long to wait before the next attempt.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// The pause after the first failure; it doubles with each that follows.
const FIRST: Duration = Duration::from_millis(20);

/// The longest pause: how much later than the database a pod comes back at most.
const LONGEST: Duration = Duration::from_secs(2);

/// Waits longer with each attempt that fails, and not as long as others do that failed at the same moment.
#[derive(Default)]
pub(super) struct BackOff {
    failures: u32,
    began: Option<Instant>,
}

impl BackOff {
    /// An attempt has succeeded.
    pub(super) fn begin(&mut self) {
        self.began = Some(Instant::now());
    }

    /// What had begun is over, or did not begin.
    pub(super) async fn wait(&mut self) {
        // What lasted for a moment only is no better than what did not begin.
        if self.began.take().is_some_and(|began| began.elapsed() > LONGEST) {
            self.failures = 0;
        }
        let pause = FIRST.saturating_mul(1 << self.failures.min(10)).min(LONGEST);
        self.failures += 1;
        // Half of it is chance. A hasher's keys are enough of that.
        let share = u32::from(RandomState::new().hash_one(0) as u8);
        sleep(pause / 2 + pause / 2 * share / 256).await;
    }
}
