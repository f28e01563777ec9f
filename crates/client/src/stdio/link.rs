//! Lines to a legacy server, as its sessions need them: one session per process.
//!
//! Spec: 2025-11-25, basic/lifecycle and basic/transports, "stdio".

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderValue;
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
use crate::identity::Identity;
use crate::legacy::LegacyUpstream;
use crate::legacy::link::{Flow, Inbox, Link, Place, Reply, Told, Unasked};
use crate::limits::Limits;
use crate::message::Message;
use crate::outside::Outside;

/// A legacy session does not say which of its requests may be repeated; that is judged above.
const WANTS: Wants = Wants { progress: true, logs: false, changes: false, repeat: Repeat::Safe };

/// A server that is asked for sessions.
struct Sessions(Arc<Wire>);

impl LegacyUpstream {
    /// A server over lines, which may have been probed before: see [`Wire::probe`].
    pub fn stdio(wire: Arc<Wire>, identity: Arc<Identity>, limits: Arc<Limits>, outside: Outside) -> Self {
        Self::new(Sessions(wire), identity, limits, outside)
    }
}

impl Sessions {
    /// The connection of a session: of a new one where there is no version yet; `None` if it has ended. A process that
    /// was started since knows nothing of the session before, and could end at a word of it.
    async fn connection(&self, place: &Place) -> Result<Option<Arc<Connection>>> {
        if place.version.is_none() {
            let connection = self.0.connect().await?;
            // What the server says before somebody reads it belongs to the session too.
            connection.desk().keep_unasked();
            return Ok(Some(connection));
        }
        let is_it = |connection: &Arc<Connection>| {
            connection.lived().is_none() && place.session == Some(HeaderValue::from(connection.number()))
        };
        Ok(self.0.current().filter(is_it))
    }
}

/// Nothing of it was written: whoever asked may ask in a new session.
fn gone<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Err(Error::Unreachable { .. }) => Ok(None),
        other => other.map(Some),
    }
}

impl Link for Sessions {
    fn request<'a>(&'a self, place: &'a Place, id: u64, text: Bytes) -> BoxFuture<'a, Result<Reply>> {
        Box::pin(async move {
            let Some(connection) = self.connection(place).await? else { return Ok(Reply::Gone) };
            let sent = async {
                let pending = Pending::new(Arc::clone(&connection), id, WANTS, Parting::Silent)?;
                connection.send(id, text.into()).await?;
                pending.sent().await?;
                Ok(pending)
            };
            let sent = sent.await;
            let pending = if place.version.is_none() { Some(sent?) } else { gone(sent)? };
            let Some(pending) = pending else { return Ok(Reply::Gone) };
            let inbox = Box::new(Answering { pending, id, over: false });
            Ok(Reply::Taken { inbox, session: Some(HeaderValue::from(connection.number())) })
        })
    }

    fn tell<'a>(&'a self, place: &'a Place, text: Bytes) -> BoxFuture<'a, Result<Told>> {
        Box::pin(async move {
            let Some(connection) = self.connection(place).await? else { return Ok(Told::Gone) };
            Ok(gone(connection.tell(text.into()).await)?.map_or(Told::Gone, |()| Told::Taken))
        })
    }

    fn unasked<'a>(&'a self, place: &'a Place) -> BoxFuture<'a, Result<Unasked>> {
        Box::pin(async move {
            let Some(connection) = self.connection(place).await? else { return Ok(Unasked::Gone) };
            let changed = connection.desk().keep_unasked();
            connection.desk().begin_unasked();
            Ok(Unasked::Inbox(Box::new(Listening { connection, changed })))
        })
    }

    fn flow(&self) -> Flow {
        Flow::Always
    }

    fn end<'a>(&'a self, _place: &'a Place) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            self.0.close().await;
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

impl Drop for Listening {
    fn drop(&mut self) {
        self.connection.desk().stop_unasked();
    }
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

#[cfg(test)]
mod tests {
    use anypod_proto::version::Version;

    use super::*;
    use crate::stdio::Pipes;

    #[tokio::test(start_paused = true)]
    async fn a_session_that_is_over_reaches_no_other_process() {
        let (ours, theirs) = tokio::io::duplex(1024);
        let (reader, writer) = tokio::io::split(ours);
        let wire = Arc::new(Wire::new(Pipes::new(reader, writer), Arc::default(), None));
        let sessions = Sessions(Arc::clone(&wire));
        let number = sessions.connection(&Place::default()).await.unwrap().unwrap().number();
        let place = |number: u64| Place { session: Some(number.into()), version: Some(Version::V2025_11_25) };
        assert!(sessions.connection(&place(number)).await.unwrap().is_some());
        assert!(sessions.connection(&place(number - 1)).await.unwrap().is_none());
        drop(theirs);
        wire.close().await;
        assert!(sessions.connection(&place(number)).await.unwrap().is_none());
        assert!(matches!(sessions.tell(&place(number), Bytes::new()).await, Ok(Told::Gone)));
    }
}
