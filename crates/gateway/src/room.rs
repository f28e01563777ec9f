//! Room for what is read of requests before they go on, in bytes, on all connections together: a bound that can be changed
//! while some of it is taken.

use std::sync::atomic::{AtomicUsize, Ordering};

/// The room.
#[derive(Debug)]
pub(crate) struct Room {
    taken: AtomicUsize,
    most: AtomicUsize,
}

/// A part of it, free again when it is dropped.
#[derive(Debug)]
pub(crate) struct Taken<'a>(&'a Room, usize);

impl Room {
    /// So many bytes.
    pub(crate) const fn new(most: usize) -> Self {
        Self { taken: AtomicUsize::new(0), most: AtomicUsize::new(most) }
    }

    /// Another number from now on. What is taken stays so.
    pub(crate) fn bound(&self, most: usize) {
        self.most.store(most, Ordering::Relaxed);
    }

    /// So many bytes of it, if they are free.
    pub(crate) fn try_take(&self, bytes: usize) -> Option<Taken<'_>> {
        let most = self.most.load(Ordering::Relaxed);
        let more = |taken: usize| taken.checked_add(bytes).filter(|taken| *taken <= most);
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Taken(self, bytes))
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(self.1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_free_again_when_it_is_dropped() {
        let room = Room::new(10);
        let some = room.try_take(6).unwrap();
        assert!(room.try_take(5).is_none());
        let rest = room.try_take(4).unwrap();
        assert!(room.try_take(1).is_none());
        drop(some);
        assert!(room.try_take(6).is_some());
        drop(rest);
        assert!(room.try_take(10).is_some());
        assert!(room.try_take(usize::MAX).is_none());
    }

    #[test]
    fn another_bound_holds_at_once() {
        let room = Room::new(10);
        let _some = room.try_take(8).unwrap();
        room.bound(4);
        assert!(room.try_take(1).is_none());
        room.bound(12);
        assert!(room.try_take(4).is_some());
    }
}
