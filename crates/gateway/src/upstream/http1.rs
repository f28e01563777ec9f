//! HTTP/1.1 connections to one pod: kept for reuse, last in first out.
//!
//! A connection has no task of its own. Whoever waits for its answer moves its bytes along, and while it is kept nobody
//! does: that spares two changes of task per request, and there is no driver to stop when a request is given up.
//!
//! Usual exchanges are made here. For the others, a library gets the connection, and gives it back when it is through.

mod library;
mod usual;

use std::future::{Future as _, poll_fn};
use std::io;
use std::mem::replace;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use http::Version;
use http::uri::PathAndQuery;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use self::library::{Library, Written};
use self::usual::{Step, Usual};
use super::body::{End, Outgoing};
use super::outbound::Outbound;
use super::stream::Stream;
use crate::head::Reply;
use crate::inbound::Inbound;
use crate::patience::Patience;

/// The longest head of an answer, in bytes.
pub(super) const HEAD_BYTES: usize = 64 << 10;

/// How long a connection has to be unused before anybody looks whether the pod has closed it.
const QUIET: Duration = Duration::from_secs(1);

/// An open connection. Dropped, it is closed, and the pod sees that nobody listens any more.
pub(super) struct Live {
    carrier: Carrier,
    pub(super) patience: Patience,
    _slot: OwnedSemaphorePermit,
}

/// How long an answer may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Until its head is there.
    pub(super) head: Duration,
    /// From then on, between two pieces.
    pub(super) silence: Duration,
}

/// Who makes the exchanges.
enum Carrier {
    Usual(Box<Usual>),
    Library(Box<Library>),
    /// The connection is over.
    None,
}

/// Why there is no answer.
pub(super) enum Lost {
    /// The connection was closed before anything was sent: the request is as it was.
    Unsent,
    /// It broke after something had been sent.
    Broken(Break),
    /// The head of the answer took too long.
    TooSlow,
}

/// How an exchange broke off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Break {
    /// By what the library found.
    #[error(transparent)]
    Http(hyper::Error),
    /// By what the connection said.
    #[error(transparent)]
    Connection(io::Error),
}

impl Break {
    /// Whether the request is to blame, whose body broke off.
    pub(super) fn is_the_requests(&self) -> bool {
        match self {
            Self::Http(error) => error.is_user(),
            Self::Connection(_) => false,
        }
    }
}

impl Live {
    /// Speaks HTTP/1.1 on `stream`.
    pub(super) fn new(stream: Stream, slot: OwnedSemaphorePermit) -> Box<Self> {
        let carrier = Carrier::Usual(Box::new(Usual::new(stream)));
        Box::new(Self { carrier, patience: Patience::default(), _slot: slot })
    }

    /// Sends a request and waits for the head of the answer, and for all of a short one: from the end of the request on, or
    /// from `begun` where it is there as a whole. Such a request stays as it is; of another, nothing is left unless it was
    /// not sent.
    pub(super) async fn exchange(
        &mut self,
        request: &mut Outbound,
        target: &PathAndQuery,
        begun: Instant,
        limits: Limits,
    ) -> Result<Reply<Inbound>, Lost> {
        let limit = limits.head;
        let body = match &request.body {
            Outgoing::Whole(bytes) => bytes.clone(),
            Outgoing::Stream(_) => {
                return Box::pin(self.unusual(request, target, Written::NotYet, begun, limit)).await;
            }
        };
        let Self { carrier, patience, .. } = self;
        let Carrier::Usual(usual) = carrier else { return Err(Lost::Unsent) };
        if !usual.begin(&request.head, target, &body) {
            return Err(Lost::Unsent);
        }
        let step = poll_fn(|cx| {
            if let Poll::Ready(step) = usual.poll(cx, &body) {
                return Poll::Ready(step.map(Some));
            }
            let (since, limit) = usual.read_since().map_or((begun, limit), |since| (since, limits.silence));
            patience.poll(cx, since, limit).map(|()| Ok(None))
        });
        match step.await {
            Ok(Some(Step::Answer(answer))) => Ok(answer.map(Inbound::Whole)),
            Ok(Some(Step::Unusual)) => Box::pin(self.unusual(request, target, Written::Unbelieved, begun, limit)).await,
            Ok(None) => Err(Lost::TooSlow),
            Err(error) => Err(Lost::Broken(Break::Connection(error))),
        }
    }

    /// The same by the library.
    async fn unusual(
        &mut self,
        request: &mut Outbound,
        target: &PathAndQuery,
        written: Written,
        begun: Instant,
        limit: Duration,
    ) -> Result<Reply<Inbound>, Lost> {
        let Carrier::Usual(mut usual) = replace(&mut self.carrier, Carrier::None) else { return Err(Lost::Unsent) };
        if written == Written::NotYet && !usual.is_quiet() {
            return Err(Lost::Unsent);
        }
        let read = usual.read.split().freeze();
        let library = Library::new(usual.stream, read, written).await;
        let mut library = library.map_err(|error| Lost::Broken(Break::Connection(error)))?;
        let end = request.end();
        let outgoing = request.take(target.clone().into(), Version::HTTP_11);
        let mut sending = pin!(library.send(outgoing));
        let outcome = poll_fn(|cx| {
            library.drive();
            // Only driving brings the answer, so nobody has to be woken for it.
            if let Poll::Ready(outcome) = sending.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                return Poll::Ready(Some(outcome));
            }
            library.ring_for(cx);
            ready!(wait(&mut self.patience, cx, begun, end.as_ref(), limit));
            Poll::Ready(None)
        });
        let outcome = outcome.await;
        match outcome {
            Some(Ok(response)) => {
                self.carrier = Carrier::Library(Box::new(library));
                Ok(Reply::from(response).map(Inbound::Streamed))
            }
            Some(Err(mut error)) => Err(match error.take_message() {
                Some(unsent) if written == Written::NotYet => {
                    request.put_back(unsent);
                    Lost::Unsent
                }
                Some(_) | None => Lost::Broken(Break::Http(error.into_error())),
            }),
            None => Err(Lost::TooSlow),
        }
    }

    /// How much of the answer's body comes piece by piece, and is still to come.
    pub(super) fn left(&self) -> usize {
        match &self.carrier {
            Carrier::Usual(usual) => usual.left(),
            Carrier::Library(_) | Carrier::None => 0,
        }
    }

    /// The next piece of it.
    pub(super) fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        match &mut self.carrier {
            Carrier::Usual(usual) => usual.poll_piece(cx),
            Carrier::Library(_) | Carrier::None => Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
        }
    }

    /// Moves the connection's bytes along. Nobody is woken when there are more, unless [`Self::ring_for`] says so.
    pub(super) fn drive(&mut self) {
        if let Carrier::Library(library) = &mut self.carrier {
            library.drive();
        }
    }

    /// Wakes the task of `cx` once there is more to be moved along.
    pub(super) fn ring_for(&self, cx: &Context<'_>) {
        if let Carrier::Library(library) = &self.carrier {
            library.ring_for(cx);
        }
    }

    /// Whether the next request may be sent: the last answer has been read to its end, and the request before it sent to
    /// its own.
    pub(super) fn is_free(&self) -> bool {
        match &self.carrier {
            Carrier::Usual(usual) => usual.is_free(),
            Carrier::Library(library) => library.is_free(),
            Carrier::None => false,
        }
    }

    /// Ready for the next exchange; `None` if there cannot be one.
    fn renewed(mut self: Box<Self>) -> Option<Box<Self>> {
        self.carrier = match replace(&mut self.carrier, Carrier::None) {
            Carrier::Library(library) => Carrier::Usual(Box::new(Usual::new(library.into_stream()?))),
            same @ Carrier::Usual(_) => same,
            Carrier::None => return None,
        };
        self.is_free().then_some(self)
    }

    /// Whether a connection that is kept is still open.
    fn is_open(&mut self) -> bool {
        match &mut self.carrier {
            Carrier::Usual(usual) => usual.is_quiet(),
            Carrier::Library(_) | Carrier::None => false,
        }
    }
}

/// Waits `limit` from the end of an upload on, or from `begun` where there is none.
pub(super) fn wait(
    patience: &mut Patience,
    cx: &mut Context<'_>,
    begun: Instant,
    end: Option<&End>,
    limit: Duration,
) -> Poll<()> {
    let since = match end {
        None => begun,
        // How long an upload may take is not for us to say, and it moves on while we are polled.
        Some(end) => end.at().unwrap_or_else(Instant::now),
    };
    patience.poll(cx, since, limit)
}

/// The connections that wait for reuse.
#[derive(Default)]
pub(super) struct Idle(Mutex<Vec<Kept>>);

struct Kept {
    live: Box<Live>,
    since: Instant,
}

impl Idle {
    /// The one used last. It may have been closed meanwhile: then the request is not sent on it.
    pub(super) fn take(&self, now: Instant, longest: Duration) -> Option<Box<Live>> {
        let stale = {
            let mut kept = self.lock();
            match kept.last() {
                None => return None,
                Some(last) if now.saturating_duration_since(last.since) < longest => {
                    return kept.pop().map(|kept| kept.live);
                }
                // The others have waited longer still.
                Some(_) => std::mem::take(&mut *kept),
            }
        };
        // Closing takes a while, and others need not wait for it.
        drop(stale);
        None
    }

    /// Keeps a connection that is free. How many there are is bounded by the slots that they hold.
    pub(super) fn keep(&self, live: Box<Live>) {
        let Some(live) = live.renewed() else { return };
        let since = Instant::now();
        self.lock().push(Kept { live, since });
    }

    /// Closes those that have waited for `longest`, `longest_of_last` for the one used last, and those that the pod has closed.
    pub(super) fn sweep(&self, longest: Duration, longest_of_last: Duration) {
        let now = Instant::now();
        let mut kept = self.lock();
        // Those used last stand at the end, and need no look.
        let quiet = kept.partition_point(|kept| now - kept.since >= QUIET);
        let mut after = kept.len();
        let over = |kept: &mut Kept| {
            after -= 1;
            !kept.live.is_open() || now - kept.since >= if after == 0 { longest_of_last } else { longest }
        };
        let over: Vec<Kept> = kept.extract_if(..quiet, over).collect();
        drop(kept);
        // Closing takes a while, and others need not wait for it.
        drop(over);
    }

    /// How many there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
