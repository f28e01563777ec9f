//! What comes in from outside the program: the wall clock and randomness.
//!
//! Everything that needs either takes an [`Outside`], so that a test can run a fleet in virtual time with
//! seeded randomness. Deadlines and keep-alives use the runtime's clock, which tests pause.

use std::sync::Arc;
use std::time::Duration;

use anypod_proto::seal::{NONCE_LEN, UnixSeconds};

/// A wall clock.
pub trait Clock: Send + Sync + 'static {
    /// Now, in seconds since 1970-01-01 UTC.
    fn now(&self) -> UnixSeconds;
}

/// A source of randomness fit for keys.
pub trait Entropy: Send + Sync + 'static {
    /// Fills `bytes`.
    fn fill(&self, bytes: &mut [u8]);
}

/// The clock and the randomness that a server uses.
#[derive(Clone)]
pub struct Outside {
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl Outside {
    /// The machine's clock and the operating system's randomness.
    pub fn real() -> Self {
        Self::new(System, System)
    }

    /// A clock and a source of randomness of your own.
    pub fn new(clock: impl Clock, entropy: impl Entropy) -> Self {
        Self { clock: Arc::new(clock), entropy: Arc::new(entropy) }
    }

    /// Now, in seconds since 1970-01-01 UTC.
    pub fn now(&self) -> UnixSeconds {
        self.clock.now()
    }

    /// `N` random bytes.
    pub fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.entropy.fill(&mut bytes);
        bytes
    }

    /// Between half of `pause` and one and a half times that, so that pods which began together do not stay in step.
    pub fn jitter(&self, pause: Duration) -> Duration {
        pause.mul_f64(0.5 + f64::from(u16::from_le_bytes(self.random())) / f64::from(u16::MAX))
    }

    /// A nonce for one sealed token.
    pub(crate) fn nonce(&self) -> [u8; NONCE_LEN] {
        self.random()
    }
}

impl std::fmt::Debug for Outside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outside").finish_non_exhaustive()
    }
}

struct System;

impl Clock for System {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the machine's clock")]
    fn now(&self) -> UnixSeconds {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        UnixSeconds(since.map_or(0, |since| since.as_secs()))
    }
}

impl Entropy for System {
    fn fill(&self, bytes: &mut [u8]) {
        // Without randomness no token is safe, so there is nothing better to do than to stop.
        getrandom::fill(bytes).expect("the operating system provides randomness");
    }
}
