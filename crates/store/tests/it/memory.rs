//! The contract, kept by the store within one process.

use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anypod_store::contract::{Fixture, Fixtures};
use anypod_store::{Event, Heard, Memory, Millis, Options, Store};

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
        self.now.fetch_add(u64::try_from(by.as_millis()).expect("less than ages"), Ordering::Relaxed);
        Box::pin(ready(()))
    }
}

anypod_store::contract!(InMemory);

#[tokio::test(start_paused = true)]
async fn its_time_is_that_of_tokio_unless_it_is_given_a_clock() {
    let store = Memory::default();
    let made = store.now().await.expect("it is there");
    tokio::time::advance(Duration::from_secs(90)).await;
    assert_eq!(store.now().await, Ok(made.after(Duration::from_secs(90))));
}

#[tokio::test]
async fn a_follower_is_told_once_that_it_has_missed_something() {
    let shared = InMemory.fresh(Options::default()).await;
    let store = shared.pod().await;
    let mut follower = store.follow().await.expect("it is there");
    store.publish(vec!["early".to_owned()]).await.expect("there is room");
    shared.advance(Options::default().events_for + Duration::from_secs(1)).await;
    store.publish(vec!["late".to_owned()]).await.expect("there is room");
    let late = vec![Event::Told("late".to_owned())];
    assert_eq!(follower.next().await, Ok(Heard { events: late, gap: true }));
    store.publish(vec!["later".to_owned()]).await.expect("there is room");
    let later = vec![Event::Told("later".to_owned())];
    assert_eq!(follower.next().await, Ok(Heard { events: later, gap: false }));
}
