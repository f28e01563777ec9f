//! Moments that are finer than the wall clock that comes in from outside tells them.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub(super) use anypod_proto::moment::words;
pub use anypod_proto::moment::{Moment, NoMoment};
use tokio::time::Instant;

const SECOND_NANOS: u64 = 1_000_000_000;

/// A moment with its nanoseconds, after 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Nanos(pub(super) u64);

impl Nanos {
    /// So much earlier.
    pub(super) fn before(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// Written with its milliseconds.
impl fmt::Display for Nanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = Moment::from_unix(self.0 / SECOND_NANOS).to_string();
        write!(f, "{}.{:03}Z", moment.trim_end_matches('Z'), self.0 % SECOND_NANOS / 1_000_000)
    }
}

/// The wall clock, which tells seconds, made finer with the runtime's clock, which tells no date: within the second that
/// the one says, the other moves on.
#[derive(Debug)]
pub(super) struct Wall {
    began: Instant,
    /// What lies between the beginning of 1970 and `began`, in nanoseconds, as far as is known.
    offset: AtomicU64,
}

impl Wall {
    /// With both clocks as they are now.
    pub(super) fn new(seconds: u64) -> Self {
        Self { began: Instant::now(), offset: AtomicU64::new(seconds.saturating_mul(SECOND_NANOS)) }
    }

    /// What it is now, when the wall clock says so many seconds.
    pub(super) fn now(&self, seconds: u64) -> Nanos {
        let since = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let supposed = self.offset.load(Ordering::Relaxed).saturating_add(since);
        let first = seconds.saturating_mul(SECOND_NANOS);
        let now = supposed.clamp(first, first.saturating_add(SECOND_NANOS - 1));
        if now != supposed {
            // The wall clock was set, or it ticks on before we thought it would.
            self.offset.store(now.saturating_sub(since), Ordering::Relaxed);
        }
        Nanos(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_with_its_milliseconds() {
        assert_eq!(Nanos(1_785_231_000_007_999_999).to_string(), "2026-07-28T09:30:00.007Z");
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_within_a_second_follows_both_clocks() {
        let wall = Wall::new(100);
        assert_eq!(wall.now(100), Nanos(100_000_000_000));
        tokio::time::advance(Duration::from_millis(300)).await;
        assert_eq!(wall.now(100), Nanos(100_300_000_000));
        // The wall clock was at 100.7 when we began: it ticks now.
        assert_eq!(wall.now(101), Nanos(101_000_000_000));
        tokio::time::advance(Duration::from_millis(500)).await;
        assert_eq!(wall.now(101), Nanos(101_500_000_000));
        // It was set back.
        assert_eq!(wall.now(50), Nanos(50_999_999_999));
    }
}
