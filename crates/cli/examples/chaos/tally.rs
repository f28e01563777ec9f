//! What is counted, and which promises were broken.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How many broken promises are told one by one.
const TOLD: usize = 20;

pub(crate) struct Tally {
    begun: Instant,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    figures: BTreeMap<String, u64>,
    broken: Vec<String>,
    slowest: Duration,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self { begun: Instant::now(), counts: Mutex::default() }
    }

    /// Since the beginning.
    pub(crate) fn now(&self) -> u128 {
        self.begun.elapsed().as_millis()
    }

    /// One more of this.
    pub(crate) fn count(&self, what: impl Into<String>) {
        self.change(|counts| *counts.figures.entry(what.into()).or_default() += 1);
    }

    /// How long a request took, with everything that was tried.
    pub(crate) fn took(&self, time: Duration) {
        self.change(|counts| counts.slowest = counts.slowest.max(time));
    }

    /// A promise was broken.
    pub(crate) fn broken(&self, how: impl Into<String>) {
        let how = format!("{:>6} ms {}", self.now(), how.into());
        self.change(|counts| counts.broken.push(how));
    }

    /// Prints the figures. Returns whether every promise was kept, and was put to the test.
    pub(crate) fn report(&self, seed: u64) -> bool {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        for (what, number) in &counts.figures {
            println!("figure {} {number} count", what.replace(' ', "-"));
        }
        println!("figure slowest-request {} ms", counts.slowest.as_millis());
        println!("figure promises-broken {} count", counts.broken.len());
        for how in counts.broken.iter().take(TOLD) {
            println!("broken: {how}");
        }
        let tried = ["modern answered", "modern book answered", "legacy answered", "legacy book answered"];
        let untried: Vec<_> = tried.into_iter().filter(|what| !counts.figures.contains_key(*what)).collect();
        if !untried.is_empty() {
            println!("broken: nothing was ever {untried:?}");
        }
        let kept = counts.broken.is_empty() && untried.is_empty();
        println!("{} with --seed {seed}", if kept { "every promise was kept" } else { "promises were broken" });
        kept
    }

    fn change(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
