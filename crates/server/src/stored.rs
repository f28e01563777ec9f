//! What a server has a store do for it: carry changes between pods, and remember which tokens were used.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use anypod_proto::seal::UnixSeconds;
use anypod_store::{Heard, Store};
use tokio::time::sleep;

use crate::backend::BoxFuture;
use crate::bus::{Bus, BusError, Event, InProcess, Receiver};
use crate::once::{Once, OnceError};
use crate::server::Server;

/// How long it takes at most, as a rule, until every pod has read what one has written: ten times as long as a pod waits between
/// two looks at a file.
const SPREAD: Duration = Duration::from_millis(100);
/// How long to wait when the store is away.
const AWAY: Duration = Duration::from_secs(1);

/// The bus of all pods that share a store. What is published is heard here as on every other pod: when it comes out of the
/// store, which a server that has the store sees to.
pub struct StoreBus {
    store: Arc<dyn Store>,
    local: InProcess,
    /// Whether what is published comes back out of the store.
    follows: AtomicBool,
}

impl StoreBus {
    /// A bus over this store.
    pub fn new(store: Arc<dyn Store>) -> Arc<Self> {
        Arc::new(Self { store, local: InProcess::default(), follows: AtomicBool::new(false) })
    }

    /// Tells the listeners on every pod whose bus this store is, also where no server runs.
    ///
    /// # Errors
    /// If the store does not take it. Nobody has been told anything then.
    pub async fn announce_in(store: &dyn Store, events: &[Event]) -> Result<(), BusError> {
        let texts = events.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>();
        let texts = texts.map_err(|error| BusError(error.to_string()))?;
        store.publish(texts).await.map_err(|error| BusError(error.to_string()))
    }

    /// Delivers what any pod publishes to the receivers of this one, until the server drains.
    pub(crate) fn follow(self: Arc<Self>, server: Server) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            tokio::select! {
                () = server.drained() => {}
                () = self.hear() => {}
            }
            self.follows.store(false, Ordering::Relaxed);
        })
    }

    async fn hear(&self) {
        let mut follower = loop {
            match self.store.follow().await {
                Ok(follower) => break follower,
                Err(error) => away(&error).await,
            }
        };
        self.follows.store(true, Ordering::Relaxed);
        // What was published before this pod was listening, its receivers may have missed.
        self.local.gap();
        loop {
            match follower.next().await {
                Ok(Heard { events, gap }) => {
                    events.iter().for_each(|event| self.deliver(event));
                    if gap {
                        self.local.gap();
                    }
                }
                Err(error) => away(&error).await,
            }
        }
    }

    fn deliver(&self, event: &anypod_store::Event) {
        let anypod_store::Event::Told(text) = event else { return };
        match serde_json::from_str(text) {
            Ok(event) => self.local.deliver(&event),
            // Of a newer program, or of something else.
            Err(error) => tracing::debug!(%error, "an event is not understood"),
        }
    }
}

async fn away(error: &anypod_store::StoreError) {
    tracing::warn!(%error, "changes on other pods cannot be heard");
    sleep(AWAY).await;
}

impl Bus for StoreBus {
    fn publish(&self, event: Event) -> Pin<Box<dyn Future<Output = Result<(), BusError>> + Send + '_>> {
        Box::pin(async move {
            let events = [event];
            Self::announce_in(&*self.store, &events).await?;
            // Whoever does not work, see `Server::work`, hears of its own changes all the same.
            if !self.follows.load(Ordering::Relaxed) {
                events.iter().for_each(|event| self.local.deliver(event));
            }
            Ok(())
        })
    }

    fn attach(&self, receiver: Weak<dyn Receiver>) {
        self.local.attach(receiver);
    }

    fn is_shared(&self) -> bool {
        self.store.is_shared()
    }

    fn spread(&self) -> Duration {
        if self.is_shared() { SPREAD } else { Duration::ZERO }
    }
}

/// Remembers used tokens in a store, for all pods alike.
pub struct StoreOnce(pub Arc<dyn Store>);

impl Once for StoreOnce {
    fn claim(
        &self,
        token: [u8; 32],
        now: UnixSeconds,
        until: UnixSeconds,
    ) -> Pin<Box<dyn Future<Output = Result<bool, OnceError>> + Send + '_>> {
        Box::pin(async move {
            let keep = Duration::from_secs(until.0.saturating_sub(now.0));
            self.0.mark(token, keep).await.map_err(|error| OnceError(error.to_string()))
        })
    }
}
