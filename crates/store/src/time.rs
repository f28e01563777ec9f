//! Time, as all pods of a fleet see it.

use std::fmt;
use std::time::Duration;

use anypod_proto::moment::Moment;
use serde::{Deserialize, Serialize};

/// A moment, in milliseconds since 1970-01-01 UTC, by the clock of the store: whoever compares moments that several pods
/// have written asks the store what time it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Millis(pub u64);

impl Millis {
    /// The moment that comes `pause` later; a part of a millisecond counts as a whole one.
    #[must_use]
    pub fn after(self, pause: Duration) -> Self {
        Self(self.0.saturating_add(millis(pause)))
    }

    /// How long it is from `earlier` to this; nothing if it is the other way round.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// As RFC 3339 has it, with milliseconds: `2026-07-28T09:30:00.007Z`.
impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = Moment::from_unix(self.0 / 1000).to_string();
        write!(f, "{}.{:03}Z", moment.trim_end_matches('Z'), self.0 % 1000)
    }
}

/// A clock, for stores that have none of their own.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Millis;
}

impl<F: Fn() -> Millis + Send + Sync + 'static> Clock for F {
    fn now(&self) -> Millis {
        self()
    }
}

/// A duration in whole milliseconds, rounded up, so that what has to wait does not wait for too short.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}
