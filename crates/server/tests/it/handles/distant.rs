//! A store that is somewhere else: others get a turn before it answers, and it can be away or busy.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use anypod_server::store::{Later, Replaced, StoreError};
use tokio::task::yield_now;

use crate::support::store::{Before, Behind};

/// A store at the other end of a cable.
pub(crate) type Distant = Behind<Cable>;

#[derive(Default)]
pub(crate) struct Cable {
    /// The store cannot be reached.
    pub(crate) away: AtomicBool,
    /// Somebody gets ahead of every change.
    pub(super) busy: AtomicBool,
    /// How many changes came too late.
    pub(super) late: AtomicU64,
}

impl Before for Cable {
    fn read<'a, T: Send + 'a>(&'a self, act: Later<'a, T>) -> Later<'a, T> {
        Box::pin(async {
            yield_now().await;
            match self.away.load(Ordering::Relaxed) {
                true => Err(StoreError::Unavailable("the cable is cut".to_owned())),
                false => act.await,
            }
        })
    }

    fn write<'a, T: Send + 'a>(&'a self, act: Later<'a, T>) -> Later<'a, T> {
        self.read(act)
    }

    fn replace<'a>(&'a self, act: Later<'a, Replaced>) -> Later<'a, Replaced> {
        let act = match self.busy.load(Ordering::Relaxed) {
            true => Box::pin(std::future::ready(Ok(Replaced::Changed))),
            false => act,
        };
        Box::pin(async {
            let replaced = self.read(act).await?;
            self.late.fetch_add(u64::from(replaced == Replaced::Changed), Ordering::Relaxed);
            Ok(replaced)
        })
    }
}
