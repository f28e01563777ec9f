//! Series that bear the same labels, found by the values of these without an allocation.

use std::collections::BTreeMap;
use std::hash::BuildHasher as _;
use std::sync::{Arc, PoisonError, RwLock};

use foldhash::quality::RandomState;

/// All series with the same `N` labels.
#[derive(Debug)]
pub(crate) struct Family<const N: usize, S> {
    hasher: RandomState,
    rows: RwLock<Rows<N, S>>,
}

/// The series by the hash of their labels. Different labels with the same hash share a list.
type Rows<const N: usize, S> = BTreeMap<u64, Vec<Arc<Row<N, S>>>>;

/// A series with the values of its labels.
#[derive(Debug)]
pub(crate) struct Row<const N: usize, S> {
    /// The values, in the order of the family.
    pub(super) labels: [Box<str>; N],
    /// What is counted under them.
    pub(super) series: S,
}

impl<const N: usize, S: Default> Family<N, S> {
    /// A family without series.
    pub(super) fn new() -> Self {
        Self { hasher: RandomState::default(), rows: RwLock::default() }
    }

    /// Does something with the series, if it is there.
    pub(super) fn with<T>(&self, labels: &[&str; N], act: impl FnOnce(&S) -> T) -> Option<T> {
        let rows = self.rows.read().unwrap_or_else(PoisonError::into_inner);
        find(&rows, self.hasher.hash_one(labels), labels).map(|row| act(&row.series))
    }

    /// The series, if it is there.
    pub(super) fn find(&self, labels: &[&str; N]) -> Option<Arc<Row<N, S>>> {
        let rows = self.rows.read().unwrap_or_else(PoisonError::into_inner);
        find(&rows, self.hasher.hash_one(labels), labels).cloned()
    }

    /// The series, made if it is not there. Whoever asks for texts that callers chose bounds their number.
    pub(super) fn row(&self, labels: &[&str; N]) -> Arc<Row<N, S>> {
        let within_any_bound = |_| true;
        self.row_if(labels, within_any_bound).expect("any number is allowed")
    }

    /// The series; if it is not there, it is made where `may` agrees to one more than so many.
    pub(super) fn row_if(&self, labels: &[&str; N], may: impl FnOnce(usize) -> bool) -> Option<Arc<Row<N, S>>> {
        if let Some(row) = self.find(labels) {
            return Some(row);
        }
        let hash = self.hasher.hash_one(labels);
        let mut rows = self.rows.write().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have been faster.
        if let Some(row) = find(&rows, hash, labels) {
            return Some(Arc::clone(row));
        }
        if !may(rows.len()) {
            return None;
        }
        let row = Arc::new(Row { labels: labels.map(Box::from), series: S::default() });
        rows.entry(hash).or_default().push(Arc::clone(&row));
        Some(row)
    }

    /// All series, in the order of their labels.
    pub(super) fn all(&self) -> Vec<Arc<Row<N, S>>> {
        let rows = self.rows.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = rows.values().flatten().cloned().collect();
        drop(rows);
        all.sort_unstable_by(|one, other| one.labels.cmp(&other.labels));
        all
    }
}

fn find<'a, const N: usize, S>(rows: &'a Rows<N, S>, hash: u64, labels: &[&str; N]) -> Option<&'a Arc<Row<N, S>>> {
    rows.get(&hash)?.iter().find(|row| row.labels.iter().zip(labels).all(|(one, other)| **one == **other))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn labels_lead_to_the_same_series_whoever_asks_first() {
        let family = Family::<2, AtomicU64>::new();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for number in 0..100_u32 {
                        family.row(&["a", &number.to_string()]).series.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(family.all().len(), 100);
        assert!(family.all().iter().all(|row| row.series.load(Ordering::Relaxed) == 4));
    }

    #[test]
    fn labels_that_join_alike_are_different_series() {
        let family = Family::<2, AtomicU64>::new();
        family.row(&["ab", "c"]);
        assert!(family.find(&["a", "bc"]).is_none());
        assert!(family.with(&["ab", "c"], |_| ()).is_some());
    }

    #[test]
    fn a_bound_keeps_new_series_out_and_known_ones_in() {
        let family = Family::<1, AtomicU64>::new();
        let below_two = |count| count < 2;
        assert!(family.row_if(&["a"], below_two).is_some());
        assert!(family.row_if(&["b"], below_two).is_some());
        assert!(family.row_if(&["c"], below_two).is_none());
        assert!(family.row_if(&["a"], below_two).is_some());
    }
}
