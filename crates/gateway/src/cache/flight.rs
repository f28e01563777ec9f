//! One asks for all who want the same at the same time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::Found;

/// Requests under way, by key.
#[derive(Debug, Clone, Default)]
pub(super) struct Flights(Arc<Mutex<HashMap<String, watch::Receiver<Option<Found>>>>>);

/// Whether somebody asks already.
pub(super) enum Place {
    /// Nobody does.
    First(Flight),
    /// Somebody does.
    Later(Waiting),
}

/// A request under way. If it is dropped, whoever waits asks for himself.
pub(super) struct Flight {
    flights: Flights,
    key: String,
    landing: watch::Sender<Option<Found>>,
}

/// Somebody who waits for it.
pub(super) struct Waiting(watch::Receiver<Option<Found>>);

impl Flights {
    pub(super) fn board(&self, key: &str) -> Place {
        let mut flights = self.lock();
        if let Some(landing) = flights.get(key) {
            return Place::Later(Waiting(landing.clone()));
        }
        let (landing, landed) = watch::channel(None);
        flights.insert(key.to_owned(), landed);
        Place::First(Flight { flights: self.clone(), key: key.to_owned(), landing })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, watch::Receiver<Option<Found>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Flight {
    /// Gives the result to whoever waits.
    pub(super) fn land(&self, found: &Found) {
        self.landing.send_replace(Some(Found { cached: true, ..found.clone() }));
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.flights.lock().remove(&self.key);
    }
}

impl Waiting {
    /// The result, if there is one that may be shared.
    pub(super) async fn landed(mut self) -> Option<Found> {
        self.0.wait_for(Option::is_some).await.ok().and_then(|found| found.clone())
    }
}
