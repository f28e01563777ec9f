//! HTTP/2 connections to one pod: each carries many requests at once.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, ready};
use std::time::Duration;

use anypod_client::is_refused;
use http::{Response, Uri, Version};
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::body::Outgoing;
use super::http1::{Break, HEAD_BYTES, Lost, wait};
use super::outbound::Outbound;
use super::stream::Stream;
use crate::patience::Patience;

/// Requests at once on one connection, before another is opened: what servers are asked to allow at least.
/// Spec: RFC 9113, section 6.5.2, SETTINGS_MAX_CONCURRENT_STREAMS.
const STREAMS: usize = 100;
/// What a pod may send of one answer that nobody reads, and of all of them over one connection, in bytes. As many
/// streams as are allowed may stall before they stop the others.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 32 << 20;
/// How often a pod is asked whether it is still there, and how long it may take to say so. Unused connections are asked as
/// well: one that leads nowhere any more, because a machine or something in between has gone without a word, would be found
/// out by the next request only, at its cost.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_DEADLINE: Duration = Duration::from_secs(20);

/// An open connection.
pub(super) struct Shared {
    sender: SendRequest<Outgoing>,
    streams: AtomicUsize,
    driver: JoinHandle<()>,
    _slot: OwnedSemaphorePermit,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// A request on a connection.
pub(super) struct Lease(Arc<Shared>);

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Shared {
    /// Speaks HTTP/2 on `stream`.
    ///
    /// # Errors
    /// If the connection breaks before the preface is sent.
    pub(super) async fn new(stream: Stream, slot: OwnedSemaphorePermit) -> io::Result<Arc<Self>> {
        let mut builder = Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_DEADLINE)
            .keep_alive_while_idle(true)
            .max_header_list_size(HEAD_BYTES as u32);
        let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        // What ends the connection reaches the requests that are on it.
        let driver = tokio::spawn(async { drop(connection.await) });
        Ok(Arc::new(Self { sender, streams: AtomicUsize::new(0), driver, _slot: slot }))
    }
}

impl Lease {
    /// Sends a request and waits for the head of the answer, at most `limit` from the end of the request on. Dropping the
    /// future resets the stream. A request that is there as a whole stays as it is; of another, nothing is left unless it
    /// was not sent.
    pub(super) async fn exchange(
        &self,
        request: &mut Outbound,
        target: Uri,
        limit: Duration,
    ) -> Result<Response<Incoming>, Lost> {
        let end = request.end();
        let is_kept = end.is_none();
        let begun = Instant::now();
        let mut patience = Patience::default();
        let mut sending = pin!(self.0.sender.clone().try_send_request(request.take(target, Version::HTTP_2)));
        let outcome = poll_fn(|cx| {
            if let Poll::Ready(outcome) = sending.as_mut().poll(cx) {
                return Poll::Ready(Some(outcome));
            }
            ready!(wait(&mut patience, cx, begun, end.as_ref(), limit));
            Poll::Ready(None)
        });
        match outcome.await {
            Some(Ok(response)) => Ok(response),
            Some(Err(mut error)) => {
                // The library does not give back what a pod says that it did nothing with.
                let refused = is_kept && is_refused(error.error());
                Err(match error.take_message() {
                    Some(unsent) => {
                        request.put_back(unsent);
                        Lost::Unsent
                    }
                    None if refused => Lost::Unsent,
                    None => Lost::Broken(Break::Http(error.into_error())),
                })
            }
            None => Err(Lost::TooSlow),
        }
    }
}

/// The connections that are open.
#[derive(Default)]
pub(super) struct Open(Mutex<Vec<Arc<Shared>>>);

impl Open {
    /// One that can carry one more request.
    pub(super) fn lease(&self) -> Option<Lease> {
        let mut open = self.lock();
        open.retain(|shared| !shared.sender.is_closed());
        let free = open.iter().find(|shared| shared.streams.load(Ordering::Relaxed) < STREAMS)?;
        free.streams.fetch_add(1, Ordering::Relaxed);
        Some(Lease(Arc::clone(free)))
    }

    /// Takes in a new one, for a first request.
    pub(super) fn add(&self, shared: Arc<Shared>) -> Lease {
        shared.streams.fetch_add(1, Ordering::Relaxed);
        self.lock().push(Arc::clone(&shared));
        Lease(shared)
    }

    /// Forgets those that are closed, and all without a request but the first.
    pub(super) fn sweep(&self) {
        let mut first = true;
        self.lock().retain(|shared| {
            let used = shared.streams.load(Ordering::Relaxed) > 0;
            !shared.sender.is_closed() && (used || std::mem::take(&mut first))
        });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Shared>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
