//! How long things are kept.

use std::time::Duration;

/// How long what is behind a handle is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ttl {
    pub(super) lasts: Option<Duration>,
    pub(super) slides: bool,
}

impl Ttl {
    /// So long from its creation, whatever is done with it.
    pub const fn fixed(lasts: Duration) -> Self {
        Self { lasts: Some(lasts), slides: false }
    }

    /// So long from when it was last used. Loading what is sealed does not count, as the handle stays the same.
    pub const fn sliding(lasts: Duration) -> Self {
        Self { lasts: Some(lasts), slides: true }
    }

    /// Until it is removed.
    pub const fn forever() -> Self {
        Self { lasts: None, slides: false }
    }

    /// In seconds rounded up, as tokens have it.
    pub(super) fn secs(self) -> u64 {
        self.lasts.map_or(u64::MAX, |lasts| lasts.as_secs() + u64::from(lasts.subsec_nanos() > 0))
    }
}

/// A day from when it was last used.
impl Default for Ttl {
    fn default() -> Self {
        Self::sliding(Duration::from_secs(86_400))
    }
}
