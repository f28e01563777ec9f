//! HTTP/1.1 connections to one pod: kept for reuse, last in first out.
//!
//! A connection has no task of its own. Whoever waits for its answer moves its bytes along, and while it is kept nobody
//! does: that spares two changes of task per request, and there is no driver to stop when a request is given up.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::bell::Bell;
use super::body::{End, Outgoing};
use super::patience::Patience;
use super::stream::Stream;

/// The longest head of an answer, in bytes.
pub(super) const HEAD_BYTES: usize = 64 << 10;

/// How long a connection has to be unused before anybody looks whether the pod has closed it.
const QUIET: Duration = Duration::from_secs(1);

/// An open connection. Dropped, it is closed, and the pod sees that nobody listens any more.
pub(super) struct Live {
    sender: SendRequest<Outgoing>,
    /// Gone once the connection is over.
    driver: Option<Connection<TokioIo<Stream>, Outgoing>>,
    bell: Bell,
    pub(super) patience: Patience,
    _slot: OwnedSemaphorePermit,
}

/// Why there is no answer.
pub(super) enum Lost {
    /// The connection was closed before anything was sent: the request comes back.
    Unsent(Box<Request<Outgoing>>),
    /// It broke after something had been sent.
    Broken(hyper::Error),
    /// The head of the answer took too long.
    TooSlow,
}

impl Live {
    /// Speaks HTTP/1.1 on `stream`.
    ///
    /// # Errors
    /// None that is known; the library has it so.
    pub(super) async fn new(stream: Stream, slot: OwnedSemaphorePermit) -> io::Result<Box<Self>> {
        let handshake = Builder::new().max_header_size(HEAD_BYTES).handshake(TokioIo::new(stream)).await;
        let (sender, driver) = handshake.map_err(io::Error::other)?;
        Ok(Box::new(Self {
            sender,
            driver: Some(driver),
            bell: Bell::new(),
            patience: Patience::default(),
            _slot: slot,
        }))
    }

    /// Sends a request and waits for the head of the answer, at most `limit` from the end of the request on, or from
    /// `begun` where it is there as a whole.
    pub(super) async fn exchange(
        &mut self,
        request: Request<Outgoing>,
        begun: Instant,
        limit: Duration,
    ) -> Result<Response<Incoming>, Lost> {
        let end = request.body().end();
        let mut sending = pin!(self.sender.try_send_request(request));
        let outcome = poll_fn(|cx| {
            drive(&mut self.driver, &self.bell);
            // Only driving brings the answer, so nobody has to be woken for it.
            if let Poll::Ready(outcome) = sending.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                return Poll::Ready(Some(outcome));
            }
            self.bell.ring_for(cx);
            ready!(wait(&mut self.patience, cx, begun, end.as_ref(), limit));
            Poll::Ready(None)
        });
        match outcome.await {
            Some(Ok(response)) => Ok(response),
            Some(Err(mut error)) => Err(match error.take_message() {
                Some(request) => Lost::Unsent(Box::new(request)),
                None => Lost::Broken(error.into_error()),
            }),
            None => Err(Lost::TooSlow),
        }
    }

    /// Moves the connection's bytes along. Nobody is woken when there are more, unless [`Self::ring_for`] says so.
    pub(super) fn drive(&mut self) {
        drive(&mut self.driver, &self.bell);
    }

    /// Wakes the task of `cx` once there is more to be moved along.
    pub(super) fn ring_for(&self, cx: &Context<'_>) {
        self.bell.ring_for(cx);
    }

    /// Whether the next request may be sent: the last answer has been read to its end, and the request before it sent to
    /// its own.
    pub(super) fn is_free(&self) -> bool {
        self.driver.is_some() && self.sender.is_ready()
    }
}

fn drive(driver: &mut Option<Connection<TokioIo<Stream>, Outgoing>>, bell: &Bell) {
    bell.silence();
    // What ended it reaches the request that is on it.
    if driver.as_mut().is_some_and(|driver| Pin::new(driver).poll(&mut bell.context()).is_ready()) {
        *driver = None;
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
    /// The one used last. It may have been closed meanwhile: then the request comes back from it.
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
        let since = Instant::now();
        self.lock().push(Kept { live, since });
    }

    /// Closes those that have waited for `longest`, and those that the pod has closed.
    pub(super) fn sweep(&self, longest: Duration) {
        let now = Instant::now();
        let mut kept = self.lock();
        // Those used last stand at the end, and need no look.
        let quiet = kept.partition_point(|kept| now - kept.since >= QUIET);
        let over = |kept: &mut Kept| {
            kept.live.drive();
            !kept.live.is_free() || now - kept.since >= longest
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
