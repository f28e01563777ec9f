//! The contract, kept by the store within one process.

use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anypod_store::contract::{Fixture, Fixtures};
use anypod_store::{Memory, Millis, Options, Store};

/// Makes stores whose clocks stand still.
struct InMemory;

struct Shared {
    store: Arc<Memory>,
    now: Arc<AtomicU64>,
}

impl Fixtures for InMemory {
    fn fresh(&self, options: Options) -> Pin<Box<dyn Future<Output = Box<dyn Fixture>> + Send + '_>> {
        let now = Arc::new(AtomicU64::new(1_700_000_000_000));
        let clock = Arc::clone(&now);
        let store = Arc::new(Memory::with(options, move || Millis(clock.load(Ordering::Relaxed))));
        Box::pin(ready(Box::new(Shared { store, now }) as Box<dyn Fixture>))
    }
}

impl Fixture for Shared {
    fn pod(&self) -> Pin<Box<dyn Future<Output = Arc<dyn Store>> + Send + '_>> {
        Box::pin(ready(Arc::clone(&self.store) as Arc<dyn Store>))
    }

    fn advance(&self, by: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        self.now.fetch_add(u64::try_from(by.as_millis()).unwrap(), Ordering::Relaxed);
        Box::pin(ready(()))
    }
}

anypod_store::contract!(InMemory);
