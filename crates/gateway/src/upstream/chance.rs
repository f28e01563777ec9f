//! Chance for balancing: not secret, but not predictable from outside either, and at the cost of an addition.

use std::sync::atomic::{AtomicU64, Ordering};

use anypod_server::Outside;

/// A stream of chance that many threads draw from. `SplitMix64`, whose state is a counter.
#[derive(Debug)]
pub(super) struct Chance(AtomicU64);

/// The golden ratio of 64 bits.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

impl Chance {
    /// Begins where `outside` says.
    pub(super) fn new(outside: &Outside) -> Self {
        Self(AtomicU64::new(u64::from_le_bytes(outside.random())))
    }

    /// A number below `end`, which is not 0.
    pub(super) fn below(&self, end: usize) -> usize {
        let product = u128::from(self.draw()) * end as u128;
        // Below `end`, by construction.
        (product >> 64) as usize
    }

    /// A number from 0 to just below 1.
    pub(super) fn unit(&self) -> f64 {
        // As many bits as the fraction has.
        (self.draw() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn draw(&self) -> u64 {
        let mut z = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
pub(super) fn seeded(seed: u64) -> Outside {
    struct Still;
    impl anypod_server::Clock for Still {
        fn now(&self) -> anypod_proto::seal::UnixSeconds {
            anypod_proto::seal::UnixSeconds(0)
        }
    }
    struct Seed(Chance);
    impl anypod_server::Entropy for Seed {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.iter_mut().for_each(|byte| *byte = self.0.draw().to_le_bytes()[0]);
        }
    }
    Outside::new(Still, Seed(Chance(AtomicU64::new(seed))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_spread_evenly_within_their_bounds() {
        let chance = Chance::new(&seeded(7));
        let mut drawn = [0_u32; 5];
        for _ in 0..10_000 {
            drawn[chance.below(5)] += 1;
        }
        assert!(drawn.iter().all(|count| (1850..2150).contains(count)), "{drawn:?}");
        let units: Vec<f64> = (0..10_000).map(|_| chance.unit()).collect();
        assert!(units.iter().all(|unit| (0.0..1.0).contains(unit)));
        let mean = units.iter().sum::<f64>() / 10_000.0;
        assert!((0.48..0.52).contains(&mean), "{mean}");
    }
}
