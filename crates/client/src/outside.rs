//! What comes in from outside the program: randomness. Time is the runtime's, which tests pause.

use std::sync::Arc;
use std::time::Duration;

/// A source of randomness fit for keys.
pub trait Entropy: Send + Sync + 'static {
    /// Fills `bytes`.
    fn fill(&self, bytes: &mut [u8]);
}

/// The randomness that a client uses.
#[derive(Clone)]
pub struct Outside {
    entropy: Arc<dyn Entropy>,
}

impl Outside {
    /// The operating system's randomness.
    pub fn real() -> Self {
        Self::new(System)
    }

    /// A source of randomness of your own.
    pub fn new(entropy: impl Entropy) -> Self {
        Self { entropy: Arc::new(entropy) }
    }

    /// `N` random bytes.
    pub fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.entropy.fill(&mut bytes);
        bytes
    }

    /// Between half of `pause` and one and a half times that.
    pub(crate) fn jitter(&self, pause: Duration) -> Duration {
        pause.mul_f64(0.5 + f64::from(u16::from_le_bytes(self.random())) / f64::from(u16::MAX))
    }
}

impl std::fmt::Debug for Outside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outside").finish_non_exhaustive()
    }
}

struct System;

impl Entropy for System {
    fn fill(&self, bytes: &mut [u8]) {
        // Without randomness neither tokens nor pauses are safe, so there is nothing better to do than to stop.
        getrandom::fill(bytes).expect("the operating system provides randomness");
    }
}
