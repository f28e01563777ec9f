//! How many connections there may be at once: a bound that can be changed while there are some.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Places for connections.
#[derive(Debug)]
pub(crate) struct Places {
    taken: AtomicUsize,
    most: AtomicUsize,
    freed: Notify,
}

/// A place, free again when it is dropped.
#[derive(Debug)]
pub(crate) struct Place(Arc<Places>);

impl Places {
    /// So many, one at least.
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { taken: AtomicUsize::new(0), most: AtomicUsize::new(most.max(1)), freed: Notify::new() })
    }

    /// Another number from now on. Connections that are there stay.
    pub(crate) fn bound(&self, most: usize) {
        self.most.store(most.max(1), Ordering::SeqCst);
        self.freed.notify_waiters();
    }

    /// Waits for a place.
    pub(crate) async fn take(self: &Arc<Self>) -> Place {
        loop {
            let mut freed = std::pin::pin!(self.freed.notified());
            // Registered before it is looked, so that no place that becomes free in between is missed.
            freed.as_mut().enable();
            if let Some(place) = self.try_take() {
                return place;
            }
            freed.await;
        }
    }

    fn try_take(self: &Arc<Self>) -> Option<Place> {
        let one_more = |taken| (taken < self.most.load(Ordering::SeqCst)).then_some(taken + 1);
        self.taken.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more).ok()?;
        Some(Place(Arc::clone(self)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::SeqCst);
        self.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn a_place_is_free_again_when_its_connection_has_ended() {
        let places = Places::new(1);
        let place = places.take().now_or_never().unwrap();
        let mut next = Box::pin(places.take());
        assert!(next.as_mut().now_or_never().is_none());
        drop(place);
        assert!(next.now_or_never().is_some());
    }

    #[test]
    fn another_bound_holds_at_once_for_who_waits() {
        let places = Places::new(1);
        let _one = places.take().now_or_never().unwrap();
        let mut next = Box::pin(places.take());
        assert!(next.as_mut().now_or_never().is_none());
        places.bound(2);
        let other = next.now_or_never().unwrap();
        places.bound(1);
        drop(other);
        assert!(places.take().now_or_never().is_none());
    }
}
