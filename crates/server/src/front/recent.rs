//! A bounded map of what was used lately.

use std::collections::HashMap;

/// What counts against the bounds of a [`Recent`].
pub(super) trait Weigh {
    fn weight(&self) -> usize;
}

/// A map that forgets what was not used lately. Two generations: when the younger is full it becomes the
/// older, and what the older held is gone. What is used moves to the younger, with all its weight.
#[derive(Debug)]
pub(super) struct Recent<V> {
    /// The most that a generation weighs.
    capacity: usize,
    weight: usize,
    young: HashMap<u64, V>,
    old: HashMap<u64, V>,
}

impl<V: Weigh> Recent<V> {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity: (capacity / 2).max(1), weight: 0, young: HashMap::new(), old: HashMap::new() }
    }

    pub(super) fn find(&mut self, key: u64) -> Option<&mut V> {
        // Mostly there is none, and nothing to be looked for.
        if !self.old.is_empty()
            && let Some(value) = self.old.remove(&key)
        {
            self.make_room(value.weight());
            self.young.insert(key, value);
        }
        self.young.get_mut(&key)
    }

    pub(super) fn entry(&mut self, key: u64) -> &mut V
    where
        V: Default,
    {
        if self.find(key).is_none() {
            self.make_room(V::default().weight());
        }
        self.young.entry(key).or_default()
    }

    pub(super) fn remove(&mut self, key: u64) {
        self.young.remove(&key);
        self.old.remove(&key);
    }

    /// Puts in an entry, in place of what was there.
    pub(super) fn insert(&mut self, key: u64, value: V) {
        self.remove(key);
        self.make_room(value.weight());
        self.young.insert(key, value);
    }

    #[cfg(test)]
    pub(super) fn values(&self) -> impl Iterator<Item = &V> {
        self.young.values().chain(self.old.values())
    }

    /// An entry has become heavier.
    pub(super) fn grow(&mut self, weight: usize) {
        self.weight += weight;
    }

    /// Makes room for an entry of this weight.
    fn make_room(&mut self, weight: usize) {
        if self.weight >= self.capacity {
            self.old = std::mem::take(&mut self.young);
            self.weight = 0;
        }
        self.weight += weight;
    }
}
