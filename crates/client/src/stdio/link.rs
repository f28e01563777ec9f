//! Lines to a legacy server, as its sessions need them: one session per process.
//!
//! Spec: 2025-11-25, basic/lifecycle and basic/transports, "stdio".

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Notify;

use super::connection::Connection;
use super::desk::{Next, Parting};
use super::pending::Pending;
use super::slot::Wants;
use super::wire::Wire;
use crate::call::Repeat;
use crate::credentials::BoxFuture;
use crate::error::{Error, Result};
use crate::exchange::Incoming;
use crate::legacy::link::{Flow, Inbox, Link, Place, Reply, Told, Unasked};
use crate::message::Message;

/// A legacy session does not say which of its requests may be repeated; that is judged above.
const WANTS: Wants = Wants { progress: true, logs: false, changes: false, repeat: Repeat::Safe };

impl Wire {
    /// The connection of a session; of a new one, if it has no version yet. A process that was started since knows
    /// nothing of a session before.
    async fn session(&self, place: &Place) -> Result<Arc<Connection>> {
        if place.version.is_none() {
            let connection = self.connect().await?;
            // What the server says before somebody reads it belongs to the session too.
            connection.desk().keep_unasked();
            return Ok(connection);
        }
        match self.current() {
            Some(connection) if connection.lived().is_none() => Ok(connection),
            Some(connection) => Err(connection.desk().gone()),
            None => Err(Error::unreachable(self.peer().to_string(), "there is no session")),
        }
    }
}

impl Link for Wire {
    fn request<'a>(&'a self, place: &'a Place, id: u64, text: Bytes) -> BoxFuture<'a, Result<Reply>> {
        Box::pin(async move {
            let connection = self.session(place).await?;
            let pending = Pending::new(Arc::clone(&connection), id, WANTS, Parting::Silent)?;
            connection.send(id, text.into()).await?;
            pending.sent().await?;
            Ok(Reply::Taken { inbox: Box::new(Answering { pending, id, over: false }), session: None })
        })
    }

    fn tell<'a>(&'a self, place: &'a Place, text: Bytes) -> BoxFuture<'a, Result<Told>> {
        Box::pin(async move {
            self.session(place).await?.tell(text.into()).await?;
            Ok(Told::Taken)
        })
    }

    fn unasked<'a>(&'a self, place: &'a Place) -> BoxFuture<'a, Result<Unasked>> {
        Box::pin(async move {
            let connection = self.session(place).await?;
            let changed = connection.desk().keep_unasked();
            Ok(Unasked::Inbox(Box::new(Listening { connection, changed })))
        })
    }

    fn flow(&self) -> Flow {
        Flow::Always
    }

    fn end<'a>(&'a self, _place: &'a Place) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            self.close().await;
            Ok(())
        })
    }
}

/// What belongs to one request.
struct Answering {
    pending: Pending,
    id: u64,
    over: bool,
}

impl Inbox for Answering {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Message>>> {
        Box::pin(async move {
            if self.over {
                return Ok(None);
            }
            let message = self.pending.receive().await?;
            Ok(Some(match message {
                Incoming::Notice(notice) => Message::Notice(notice),
                Incoming::Answer(answer) => {
                    self.over = true;
                    Message::Answer(i64::try_from(self.id).ok().map(Into::into), answer)
                }
            }))
        })
    }
}

/// What belongs to none.
struct Listening {
    connection: Arc<Connection>,
    changed: Arc<Notify>,
}

impl Inbox for Listening {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Message>>> {
        Box::pin(async move {
            loop {
                match self.connection.desk().next_unasked() {
                    Next::Message(message) => return message.map(Some),
                    Next::Nothing | Next::Soon => self.changed.notified().await,
                }
            }
        })
    }
}
