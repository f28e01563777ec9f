//! Latencies in buckets whose width grows with the value, so that the error stays below one percent.

use std::time::Duration;

/// Each power of two is cut into this many buckets.
const BUCKETS_PER_OCTAVE: u64 = 1 << OCTAVE_BITS;
const OCTAVE_BITS: u32 = 7;
const BUCKETS: usize = (65 - OCTAVE_BITS as usize) << OCTAVE_BITS;

/// A histogram of nanoseconds over the whole range of `u64`.
#[derive(Clone, Debug)]
pub struct Histogram {
    buckets: Vec<u64>,
    count: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: vec![0; BUCKETS], count: 0 }
    }
}

impl Histogram {
    /// Adds one latency.
    pub fn record(&mut self, latency: Duration) {
        self.buckets[bucket_of(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX))] += 1;
        self.count += 1;
    }

    /// How many were recorded.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The latency in microseconds that `quantile` (0 to 1) of those recorded do not exceed; zero when empty.
    pub fn quantile_us(&self, quantile: f64) -> f64 {
        let wanted = (self.count as f64 * quantile).ceil() as u64;
        let mut seen = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= wanted && seen > 0 {
                return last_of(bucket) as f64 / 1_000.0;
            }
        }
        0.0
    }
}

fn bucket_of(value: u64) -> usize {
    let shift = (u64::BITS - value.leading_zeros()).saturating_sub(OCTAVE_BITS + 1);
    ((u64::from(shift) << OCTAVE_BITS) + (value >> shift)) as usize
}

/// The largest value that falls into `bucket`.
fn last_of(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < 2 * BUCKETS_PER_OCTAVE {
        return bucket;
    }
    let shift = (bucket >> OCTAVE_BITS) - 1;
    let first = (bucket - (shift << OCTAVE_BITS)) << shift;
    first + ((1 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_never_wider_than_a_percent_of_its_values() {
        for value in (0..64).flat_map(|bit| [1_u64 << bit, (1 << bit) + (1 << bit) / 3]).chain([0, u64::MAX]) {
            let last = last_of(bucket_of(value));
            assert!(last >= value && (last - value) as f64 <= value as f64 * 0.01, "{value} -> {last}");
        }
    }

    #[test]
    fn quantiles_are_taken_from_what_was_recorded() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile_us(0.99), 0.0);
        for micros in 1..=100 {
            histogram.record(Duration::from_micros(micros));
        }
        assert!((histogram.quantile_us(0.5) - 50.0).abs() < 0.5);
        assert!((histogram.quantile_us(0.99) - 99.0).abs() < 1.0);
        assert_eq!(histogram.count(), 100);
    }
}
