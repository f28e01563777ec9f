//! A request that waits for its answer.

use std::sync::Arc;

use tokio::sync::Notify;
use tokio::time::timeout;

use super::LAST_WORDS;
use super::connection::Connection;
use super::desk::{Next, Parting};
use super::slot::Wants;
use crate::credentials::BoxFuture;
use crate::error::{Broken, Error, Result};
use crate::exchange::{Incoming, Messages};

/// A request that was handed to a connection, which stays open as long. Dropping it gives the request up.
pub(super) struct Pending {
    connection: Arc<Connection>,
    id: u64,
    changed: Arc<Notify>,
    parting: Parting,
}

impl Pending {
    /// Takes a place for the answer to the request `id`, which is to be sent next.
    ///
    /// # Errors
    /// If the connection has ended.
    pub(super) fn new(connection: Arc<Connection>, id: u64, wants: Wants, parting: Parting) -> Result<Self> {
        let changed = connection.desk().open(id, wants)?;
        Ok(Self { connection, id, changed, parting })
    }

    /// Waits until the request has begun to be written.
    ///
    /// # Errors
    /// If it never will.
    pub(super) async fn sent(&self) -> Result<()> {
        while !self.connection.desk().is_sent(self.id)? {
            self.changed.notified().await;
        }
        Ok(())
    }

    /// What comes next. Cancel-safe.
    pub(super) async fn receive(&self) -> Result<Incoming> {
        loop {
            match self.connection.desk().next(self.id) {
                Next::Message(message) => return message,
                Next::Nothing => self.changed.notified().await,
                Next::Soon => {
                    let soon = timeout(LAST_WORDS, self.changed.notified()).await;
                    soon.map_err(|_| Error::lost(Broken::NoAnswer))?;
                }
            }
        }
    }
}

impl Messages for Pending {
    fn next(&mut self) -> BoxFuture<'_, Result<Incoming>> {
        Box::pin(self.receive())
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.connection.desk().leave(self.id, self.parting);
    }
}
