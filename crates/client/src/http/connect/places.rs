//! How many requests may use connections at once.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A place for a request; free again once it is dropped.
pub(crate) type Place = OwnedSemaphorePermit;

/// The places for requests, each of which needs a connection of its own over HTTP/1.1 and none over HTTP/2.
pub(super) struct Places {
    most: usize,
    now: Mutex<Now>,
}

struct Now {
    known: Known,
    /// Connections that speak HTTP/2.
    alive: usize,
    /// Closed where no places are needed.
    places: Arc<Semaphore>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    Nothing,
    Http1,
    Http2,
}

impl Places {
    /// For a server that speaks HTTP/1.1, of whom `most` requests may be under way.
    pub(super) fn http1(most: usize) -> Self {
        Self::new(most, Known::Http1, most)
    }

    /// For a server of which a handshake will tell what it speaks. Until then one request has to do: if it is HTTP/2,
    /// the others need no connections, and a burst of them should not begin with as many handshakes.
    pub(super) fn unknown(most: usize) -> Self {
        Self::new(most, Known::Nothing, 1)
    }

    /// For a server that speaks HTTP/2, where the pool makes one connection at a time. How many requests are under way
    /// on it is for the server to say.
    pub(super) fn http2() -> Self {
        let places = Self::new(1, Known::Http2, 1);
        places.now().places.close();
        places
    }

    fn new(most: usize, known: Known, free: usize) -> Self {
        // With none, every request would wait for ever.
        let places = Arc::new(Semaphore::new(free.clamp(1, Semaphore::MAX_PERMITS)));
        Self { most: most.clamp(1, Semaphore::MAX_PERMITS), now: Mutex::new(Now { known, alive: 0, places }) }
    }

    /// Waits for a place, behind all who came before; `None` if none is needed.
    pub(super) async fn take(&self) -> Option<Place> {
        let places = Arc::clone(&self.now().places);
        places.acquire_owned().await.ok()
    }

    /// The server speaks HTTP/1.1, or cannot be reached: nothing is to be gained by waiting for the first.
    pub(super) fn learn_http1(&self) {
        let mut now = self.now();
        match now.known {
            Known::Nothing => now.places.add_permits(self.most - 1),
            Known::Http1 => {}
            Known::Http2 => now.places = Arc::new(Semaphore::new(self.most)),
        }
        now.known = Known::Http1;
    }

    /// The server cannot be reached. That says nothing about one that is known.
    pub(super) fn learn_failure(&self) {
        if self.now().known == Known::Nothing {
            self.learn_http1();
        }
    }

    /// The server speaks HTTP/2: who waits need not wait any longer, as long as what is returned lives.
    pub(super) fn learn_http2(self: &Arc<Self>) -> Alive {
        let mut now = self.now();
        now.known = Known::Http2;
        now.alive += 1;
        now.places.close();
        Alive(Arc::clone(self))
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that speaks HTTP/2. Once there is none, one request has to make the next, as in the beginning.
pub(super) struct Alive(Arc<Places>);

impl Drop for Alive {
    fn drop(&mut self) {
        let mut now = self.0.now();
        now.alive -= 1;
        if now.alive == 0 && now.known == Known::Http2 {
            now.known = Known::Nothing;
            now.places = Arc::new(Semaphore::new(1));
        }
    }
}
