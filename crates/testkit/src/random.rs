//! Seeded randomness, the same on every machine: SplitMix64, which needs no more than a test's fairness.

/// A sequence of numbers that follows from its seed.
#[derive(Debug, Clone)]
pub(crate) struct Random {
    state: u64,
}

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// A sequence of its own for each of `parts`.
    pub(crate) fn derived(seed: u64, parts: [u64; 2]) -> Self {
        parts.into_iter().fold(Self::new(seed), |mut random, part| Self::new(random.number() ^ part))
    }

    pub(crate) const fn number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is not 0.
    const fn below(&mut self, bound: usize) -> usize {
        // The remainder is below a `usize`, so nothing is cut off.
        (self.number() % bound as u64) as usize
    }

    /// One of `items`, if there are any.
    pub(crate) fn pick<T: Copy>(&mut self, items: &[T]) -> Option<T> {
        (!items.is_empty()).then(|| items[self.below(items.len())])
    }

    /// True once in `times` on average.
    pub(crate) const fn one_in(&mut self, times: u64) -> bool {
        self.number().is_multiple_of(times)
    }

    pub(crate) fn shuffle<T: Copy>(&mut self, items: &mut [T]) {
        for end in (2..=items.len()).rev() {
            items.swap(self.below(end), end - 1);
        }
    }

    pub(crate) fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let number = self.number().to_le_bytes();
            chunk.copy_from_slice(&number[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_always_gives_the_same_sequence() {
        let sequence = |seed| {
            let mut random = Random::new(seed);
            [random.number(), random.number()]
        };
        // The published first outputs of SplitMix64 for seed 0.
        assert_eq!(sequence(0), [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4]);
        assert_ne!(sequence(1), sequence(2));
    }

    #[test]
    fn shuffling_keeps_every_item() {
        let mut items = [1, 2, 3, 4, 5, 6];
        Random::new(7).shuffle(&mut items);
        assert_ne!(items, [1, 2, 3, 4, 5, 6]);
        items.sort_unstable();
        assert_eq!(items, [1, 2, 3, 4, 5, 6]);
    }
}
