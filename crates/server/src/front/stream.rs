//! The stream that a legacy client opens with GET: changes of lists, and updates of resources that its
//! session has subscribed to.
//!
//! A client may open several; each message goes to the one that this pod opened last, as a message must
//! not be sent twice. Streams are not resumable: what was missed is a hint that something changed.
//!
//! Spec: 2025-11-25, basic/transports, "Listening for Messages from the Server", "Multiple Connections".

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use anypod_proto::method::Notification;
use serde_json::json;

use super::feed::Feed;
use crate::backend::Caller;
use crate::bus::{Change, Event, Receiver as _, SessionChange};
use crate::completed::Failure;
use crate::cx::notification;
use crate::listen::Messages;
use crate::load::{Permit, What};
use crate::server::Server;

/// An open stream of a session.
pub(crate) struct SessionStream {
    feed: Feed,
    drained: Pin<Box<dyn Future<Output = ()> + Send>>,
    turn: Turn,
    _permit: Permit,
}

impl SessionStream {
    /// Opens the stream.
    ///
    /// # Errors
    /// If too many are open, the server is about to stop, or the backend does not listen.
    pub(crate) async fn open(server: &Server, session: u64, caller: Caller) -> Result<Self, Failure> {
        let permit = server.inner.load.enter(What::Stream)?;
        let capabilities = server.capabilities(|| caller.clone()).await?;
        let mut feed = Feed::new(server, session, caller, &capabilities);
        // Attached first, so that no subscription is missed in between.
        for uri in server.inner.front.memory.subscriptions(session) {
            feed.mailbox().deliver(&Event::Session { session, change: SessionChange::Subscribe { uri } });
        }
        feed.listens().await?;
        let load = Arc::clone(&server.inner.load);
        Ok(Self {
            feed,
            drained: Box::pin(async move { load.drained().await }),
            turn: server.inner.front.streams.enter(session),
            _permit: permit,
        })
    }
}

impl Messages for SessionStream {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<String>> {
        while let Poll::Ready(change) = self.feed.poll_next(cx) {
            if !self.turn.is_last() {
                continue;
            }
            match message(change) {
                Ok(Some(message)) => return Poll::Ready(Some(message)),
                Ok(None) => {}
                Err(error) => tracing::error!(%error, "a notification is not JSON"),
            }
        }
        match self.feed.mailbox().is_over() || self.drained.as_mut().poll(cx).is_ready() {
            true => Poll::Ready(None),
            false => Poll::Pending,
        }
    }
}

/// The notification of a change; none of what no session asks for.
pub(crate) fn message(change: Change) -> serde_json::Result<Option<String>> {
    let (method, params) = match change {
        Change::Tools => (Notification::ToolsListChanged, json!({})),
        Change::Prompts => (Notification::PromptsListChanged, json!({})),
        Change::Resources => (Notification::ResourcesListChanged, json!({})),
        Change::Resource(uri) => (Notification::ResourceUpdated, json!({ "uri": uri })),
        Change::Task(_) | Change::Topic(_) => return Ok(None),
    };
    notification(method, &params).map(Some)
}

/// The open streams of each session, oldest first. As many as there are permits for streams.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    by_session: HashMap<u64, Vec<u64>>,
    opened: u64,
}

/// The place of one stream among those of its session.
#[derive(Debug)]
struct Turn {
    streams: Arc<Streams>,
    session: u64,
    number: u64,
}

impl Streams {
    fn enter(self: &Arc<Self>, session: u64) -> Turn {
        let mut open = self.lock();
        open.opened += 1;
        let number = open.opened;
        open.by_session.entry(session).or_default().push(number);
        Turn { streams: Arc::clone(self), session, number }
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        // The map is consistent after every statement, so a panic elsewhere does not spoil it.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    fn is_last(&self) -> bool {
        self.streams.lock().by_session.get(&self.session).and_then(|open| open.last()) == Some(&self.number)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut open = self.streams.lock();
        if let Some(streams) = open.by_session.get_mut(&self.session) {
            streams.retain(|stream| *stream != self.number);
            if streams.is_empty() {
                open.by_session.remove(&self.session);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_that_was_opened_last_has_the_turn() {
        let streams = Arc::new(Streams::default());
        let (first, other) = (streams.enter(1), streams.enter(2));
        let second = streams.enter(1);
        assert!(!first.is_last() && second.is_last() && other.is_last());
        drop(second);
        assert!(first.is_last());
        drop((first, other));
        assert!(streams.lock().by_session.is_empty());
    }
}
