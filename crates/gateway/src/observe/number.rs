//! What is counted: counters, gauges and histograms. Each is one or a few atomics, and no update waits for another.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// A number that grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub(crate) fn count(&self) {
        self.add(1);
    }

    /// So many more.
    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// How many so far.
    pub(crate) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A moment that only moves forwards, in seconds since 1970-01-01 UTC; 0 is never.
#[derive(Debug, Default)]
pub(super) struct Latest(AtomicU64);

impl Latest {
    /// It happened now.
    pub(super) fn mark(&self, now: u64) {
        // Most of the time it is still the same second, and a read costs less than a write that other cores see.
        if self.0.load(Ordering::Relaxed) < now {
            self.0.fetch_max(now, Ordering::Relaxed);
        }
    }

    /// When it happened last.
    pub(super) fn value(&self) -> Option<u64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|at| *at > 0)
    }
}

/// How many there are now.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gauge(Arc<AtomicI64>);

/// One of those that a [`Gauge`] counts, until it is dropped.
#[derive(Debug)]
#[must_use = "it counts as long as it is kept"]
pub(crate) struct Open(Gauge);

impl Gauge {
    /// One more, until it is dropped.
    pub(crate) fn open(&self) -> Open {
        self.0.fetch_add(1, Ordering::Relaxed);
        Open(self.clone())
    }

    /// How many there are, counted elsewhere.
    pub(crate) fn set(&self, value: usize) {
        self.0.store(i64::try_from(value).unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    /// How many there are.
    pub(crate) fn value(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The upper bounds of the buckets of a histogram, in microseconds.
pub(super) const BUCKETS: [u64; 16] = [
    500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
    10_000_000, 30_000_000, 60_000_000,
];

/// How long things took.
#[derive(Debug, Default)]
pub(crate) struct Histogram {
    buckets: [AtomicU64; BUCKETS.len() + 1],
    nanos: AtomicU64,
}

impl Histogram {
    /// One took so long.
    pub(super) fn observe(&self, took: Duration) {
        let micros = u64::try_from(took.as_nanos().div_ceil(1000)).unwrap_or(u64::MAX);
        let bucket = BUCKETS.partition_point(|bound| *bound < micros);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// How many took at most as long as each bound, and how many there were at all.
    pub(super) fn cumulated(&self) -> [u64; BUCKETS.len() + 1] {
        let mut sum = 0;
        std::array::from_fn(|index| {
            sum += self.buckets[index].load(Ordering::Relaxed);
            sum
        })
    }

    /// How long all took together, in seconds.
    pub(super) fn sum(&self) -> f64 {
        Duration::from_nanos(self.nanos.load(Ordering::Relaxed)).as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_counts_in_the_first_bucket_that_is_not_below_it() {
        let histogram = Histogram::default();
        let micros = Duration::from_micros;
        for took in [Duration::ZERO, micros(500), Duration::from_nanos(500_001), Duration::from_secs(61)] {
            histogram.observe(took);
        }
        let cumulated = histogram.cumulated();
        assert_eq!(cumulated[..3], [2, 3, 3]);
        assert_eq!(cumulated[BUCKETS.len() - 1..], [3, 4]);
        assert!((histogram.sum() - 61.001_000_001).abs() < 1e-6);
    }

    #[test]
    fn what_is_dropped_no_longer_counts() {
        let gauge = Gauge::default();
        let (one, other) = (gauge.open(), gauge.open());
        assert_eq!(gauge.value(), 2);
        drop(one);
        assert_eq!(gauge.value(), 1);
        drop(other);
        assert_eq!(gauge.value(), 0);
    }

    #[test]
    fn the_latest_moment_never_moves_back() {
        let latest = Latest::default();
        assert_eq!(latest.value(), None);
        latest.mark(7);
        latest.mark(5);
        assert_eq!(latest.value(), Some(7));
    }
}
