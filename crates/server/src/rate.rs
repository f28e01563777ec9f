//! How many calls a pod starts in a second, whoever makes them.
//!
//! It protects what the handlers use. A pod knows no caller from one request to the next, so it does not
//! share the rate out between callers; that belongs to what stands in front of all pods.
//!
//! Spec: server/tools, "Security Considerations"; server/utilities/completion, "Security".

use std::sync::atomic::{AtomicU64, Ordering};

use anypod_proto::reject::Rejection;
use tokio::time::Instant;

/// In nanoseconds.
const SECOND: u64 = 1_000_000_000;

/// A rate of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    per_second: u32,
    burst: u32,
}

impl Rate {
    /// So many calls a second, and as many at once. At least one.
    pub const fn per_second(calls: u32) -> Self {
        let calls = if calls == 0 { 1 } else { calls };
        Self { per_second: calls, burst: calls }
    }

    /// So many calls at once after a quiet time. At least one.
    #[must_use]
    pub const fn burst(self, calls: u32) -> Self {
        Self { burst: if calls == 0 { 1 } else { calls }, ..self }
    }
}

/// Keeps a rate. It remembers one instant: the one at which, at the rate, all calls so far would have begun.
#[derive(Debug)]
pub(crate) struct Limiter {
    start: Instant,
    interval: u64,
    tolerance: u64,
    /// Nanoseconds since the start.
    due: AtomicU64,
}

impl Limiter {
    pub(crate) fn new(rate: Rate) -> Self {
        let interval = SECOND / u64::from(rate.per_second);
        let tolerance = interval.saturating_mul(u64::from(rate.burst - 1));
        Self { start: Instant::now(), interval, tolerance, due: AtomicU64::new(0) }
    }

    /// Counts a call, unless there have been too many.
    pub(crate) fn take(&self) -> Result<(), Rejection> {
        let now = u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let next = |due: u64| {
            let due = due.max(now);
            (due - now <= self.tolerance).then(|| due.saturating_add(self.interval))
        };
        match self.due.fetch_update(Ordering::AcqRel, Ordering::Acquire, next) {
            Ok(_) => Ok(()),
            Err(due) => {
                let wait = due.saturating_sub(now).saturating_sub(self.tolerance);
                let secs = u32::try_from(wait.div_ceil(SECOND)).unwrap_or(u32::MAX);
                Err(Rejection::RateLimited { retry_after_secs: secs.max(1) })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn lets_a_burst_through_and_then_the_rate() {
        let limiter = Limiter::new(Rate::per_second(10).burst(3));
        let taken = || std::iter::repeat_with(|| limiter.take()).take(100).filter(Result::is_ok).count();
        assert_eq!(taken(), 3);
        assert_eq!(limiter.take(), Err(Rejection::RateLimited { retry_after_secs: 1 }));
        tokio::time::advance(Duration::from_millis(100)).await;
        assert_eq!(taken(), 1);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(taken(), 3, "a quiet minute earns one burst, no more");
    }

    #[tokio::test(start_paused = true)]
    async fn says_when_the_next_call_will_be_taken() {
        let limiter = Limiter::new(Rate::per_second(0).burst(0));
        limiter.take().unwrap();
        assert_eq!(limiter.take(), Err(Rejection::RateLimited { retry_after_secs: 1 }));
        tokio::time::advance(Duration::from_secs(1)).await;
        limiter.take().unwrap();
    }
}
