//! Whose turn it is: strict round robin over the pods that are up, counted per request.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::pool::Pool;

/// The pods that are up, in the order of their numbers, and a counter of requests.
#[derive(Debug, Default)]
pub(super) struct Rotation {
    pods: RwLock<Arc<[Arc<Pool>]>>,
    next: AtomicUsize,
}

impl Rotation {
    /// Takes a pod in.
    pub(super) fn join(&self, pod: Arc<Pool>) {
        self.change(|pods| {
            pods.push(pod);
            pods.sort_by_key(|pod| pod.number());
        });
    }

    /// Takes a pod out; no request that begins after this call reaches it.
    pub(super) fn leave(&self, number: u16) {
        self.change(|pods| pods.retain(|pod| pod.number() != number));
    }

    /// The pods to try for one request, each once, beginning with the one whose turn it is.
    pub(super) fn turn(&self) -> impl Iterator<Item = Arc<Pool>> + use<> {
        let pods = Arc::clone(&self.pods.read().unwrap_or_else(PoisonError::into_inner));
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        (0..pods.len()).map(move |step| Arc::clone(&pods[first.wrapping_add(step) % pods.len()]))
    }

    fn change(&self, edit: impl FnOnce(&mut Vec<Arc<Pool>>)) {
        let mut pods = self.pods.write().unwrap_or_else(PoisonError::into_inner);
        let mut edited = pods.to_vec();
        edit(&mut edited);
        *pods = edited.into();
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use super::*;

    fn pod(number: u16) -> Arc<Pool> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, number));
        Arc::new(Pool::new(number, address))
    }

    fn numbers(rotation: &Rotation) -> Vec<u16> {
        rotation.turn().map(|pod| pod.number()).collect()
    }

    #[test]
    fn gives_each_request_to_the_next_pod_and_the_others_as_fallback() {
        let rotation = Rotation::default();
        for number in [2, 3, 1] {
            rotation.join(pod(number));
        }
        assert_eq!(numbers(&rotation), [1, 2, 3]);
        assert_eq!(numbers(&rotation), [2, 3, 1]);
        assert_eq!(numbers(&rotation), [3, 1, 2]);
        assert_eq!(numbers(&rotation), [1, 2, 3]);
    }

    #[test]
    fn goes_on_with_the_pods_that_are_left() {
        let rotation = Rotation::default();
        rotation.join(pod(1));
        rotation.join(pod(2));
        rotation.leave(1);
        assert_eq!(numbers(&rotation), [2]);
        rotation.leave(2);
        assert_eq!(numbers(&rotation), [0; 0]);
    }
}
