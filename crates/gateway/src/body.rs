//! Bodies on their way to clients, and what is noted when they are through.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use anypod_proto::method::LegacyMethod;
use anypod_server::Permit;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::Instant;

use crate::desk::Notes;
use crate::failure::Failure;
use crate::observe::{Called, Observer, Open, Outcome, Seen};
use crate::relay::Relayed;

/// The body of an answer.
#[derive(Debug)]
pub(crate) struct Body {
    kind: Kind,
    // Apart, as a body is handed on often.
    ticket: Option<Box<Ticket>>,
}

#[derive(Debug)]
enum Kind {
    /// Ready, and sent in one piece.
    Whole(Option<Bytes>),
    /// Of what is not relayed.
    Served(anypod_server::Body),
    /// Of a pod.
    Relayed(Box<Relayed>),
}

/// Why an answer broke off after its head was sent. Whoever reads it sees the connection close.
#[derive(Debug)]
pub(crate) struct Broke(Box<dyn Error + Send + Sync>);

impl Broke {
    pub(crate) fn upstream(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(error.into())
    }

    pub(crate) fn event_too_long(longest: usize) -> Self {
        Self(format!("an event is longer than {longest} bytes").into())
    }

    pub(crate) fn events(error: impl Error + Send + Sync + 'static) -> Self {
        Self(error.into())
    }

    pub(crate) fn failed(failure: Failure) -> Self {
        Self(failure.into())
    }
}

impl fmt::Display for Broke {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for Broke {}

/// One request until its answer is through: its place among those under way, and what will be written down about it.
pub(crate) struct Ticket {
    pub(crate) seen: Option<Seen>,
    pub(crate) started: Instant,
    pub(crate) observer: Arc<Observer>,
    /// What those have noted who worked on it.
    pub(crate) notes: Option<Notes>,
    /// Whether the answer came to its end; what is dropped before has been given up by the client.
    pub(crate) through: bool,
    pub(crate) permit: Option<Permit>,
    /// Counts as under way.
    pub(crate) _counted: Open,
    /// Counts as a stream, where it is one.
    pub(crate) stream: Option<Open>,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let Some(mut seen) = self.seen.take() else { return };
        if let Some(notes) = &self.notes {
            notes.complete(&mut seen, &self.observer, self.started);
        }
        seen.took = self.started.elapsed();
        if !self.through && !seen.outcome.is_over() {
            seen.outcome = Outcome::Cancelled;
        }
        if seen.called == Called::Legacy(LegacyMethod::Initialize) && seen.outcome == Outcome::Ok {
            self.observer.session_opened(seen.client.as_deref());
        }
        if matches!(seen.called, Called::Request(method) if method.is_cacheable()) {
            let totals = self.observer.totals();
            if seen.cached { totals.cache_hits.count() } else { totals.cache_misses.count() }
        }
        self.observer.done(seen);
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").finish_non_exhaustive()
    }
}

impl Body {
    pub(crate) fn whole(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self { kind: Kind::Whole((!bytes.is_empty()).then_some(bytes)), ticket: None }
    }

    pub(crate) const fn served(body: anypod_server::Body) -> Self {
        Self { kind: Kind::Served(body), ticket: None }
    }

    pub(crate) fn relayed(relayed: Relayed) -> Self {
        Self { kind: Kind::Relayed(Box::new(relayed)), ticket: None }
    }

    /// The same, with something to note when it is through.
    #[must_use]
    pub(crate) fn with(mut self, ticket: Box<Ticket>) -> Self {
        self.ticket = Some(ticket);
        self
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Broke;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broke>>> {
        let frame = match &mut self.kind {
            Kind::Whole(bytes) => bytes.take().map(|bytes| Ok(Frame::data(bytes))),
            Kind::Served(body) => {
                ready!(Pin::new(body).poll_frame(cx)).map(|frame| frame.map_err(|never| match never {}))
            }
            Kind::Relayed(relayed) => ready!(relayed.poll_frame(cx)),
        };
        let ended = frame.is_none() || self.is_end_stream();
        let came_to = match &self.kind {
            Kind::Relayed(relayed) => relayed.came_to(),
            Kind::Whole(_) | Kind::Served(_) => None,
        };
        if let Some(Ticket { seen: Some(seen), through, .. }) = self.ticket.as_deref_mut() {
            if let Some((outcome, code)) = came_to {
                (seen.outcome, seen.code) = (outcome, code);
            }
            match &frame {
                Some(Ok(frame)) => seen.bytes_out += frame.data_ref().map_or(0, |data| data.len() as u64),
                Some(Err(_)) => seen.outcome = Outcome::Failed("broke_off"),
                None => {}
            }
            *through |= ended;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Whole(bytes) => bytes.is_none(),
            Kind::Served(body) => body.is_end_stream(),
            Kind::Relayed(relayed) => relayed.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Kind::Served(body) => body.size_hint(),
            Kind::Relayed(relayed) => relayed.size_hint(),
        }
    }
}
