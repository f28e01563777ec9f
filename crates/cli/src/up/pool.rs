//! The HTTP/1.1 connections to one pod: reused, bounded, and closed at once when a request is given up.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::HEAD_LIMIT;

/// Connections to one pod at a time, those that wait for reuse included. Each open stream holds one.
const CONNECTIONS: usize = 4096;
/// Connections that wait for reuse.
const IDLE: usize = 64;
/// How long a connection may wait for reuse. Common servers close idle ones after 5 s; a request that
/// crosses such a close cannot be repeated safely, so ours goes first.
const IDLE_FOR: Duration = Duration::from_secs(4);
/// How long a connection may take to open.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a pod may take to its answer's head. Generous: a tool that streams nothing answers when it is done.
const HEAD: Duration = Duration::from_secs(600);

/// One pod as the front sees it.
pub(super) struct Pool {
    number: u16,
    address: SocketAddr,
    idle: Mutex<Vec<Idle>>,
    slots: Arc<Semaphore>,
}

/// Why a pod did not answer a request.
#[derive(Debug)]
pub(super) enum SendError {
    /// No connection could be made: the request has not been sent and comes back.
    NotSent(Box<Request<Incoming>>, io::Error),
    /// The connection broke after something had been sent.
    Broken(hyper::Error),
    /// The head of the answer took too long.
    TooSlow,
}

struct Idle {
    connection: Connection,
    since: Instant,
}

struct Connection {
    sender: SendRequest<Incoming>,
    _driver: Driver,
    _slot: OwnedSemaphorePermit,
}

/// The task that moves a connection's bytes. Dropping it closes the connection.
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Pool {
    /// A pod without a connection yet.
    pub(super) fn new(number: u16, address: SocketAddr) -> Self {
        Self { number, address, idle: Mutex::new(Vec::new()), slots: Arc::new(Semaphore::new(CONNECTIONS)) }
    }

    /// The pod's number, from 1.
    pub(super) fn number(&self) -> u16 {
        self.number
    }

    /// Sends a request and waits for the head of the answer. Dropping the future or the answer's body
    /// closes the connection, which tells the pod that nobody listens any more.
    ///
    /// # Errors
    ///
    /// See [`SendError`].
    pub(super) async fn send(self: &Arc<Self>, request: Request<Incoming>) -> Result<Response<Answer>, SendError> {
        timeout(HEAD, self.send_unhurried(request)).await.unwrap_or(Err(SendError::TooSlow))
    }

    async fn send_unhurried(self: &Arc<Self>, mut request: Request<Incoming>) -> Result<Response<Answer>, SendError> {
        // An idle connection may turn out closed. Each pass uses one up, so this ends with a fresh one.
        while let Some(mut connection) = self.reuse() {
            match connection.sender.try_send_request(request).await {
                Ok(response) => return Ok(self.answer(response, connection)),
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(SendError::Broken(error.into_error())),
                },
            }
        }
        let mut connection = match self.connect().await {
            Ok(connection) => connection,
            Err(error) => return Err(SendError::NotSent(Box::new(request), error)),
        };
        match connection.sender.try_send_request(request).await {
            Ok(response) => Ok(self.answer(response, connection)),
            Err(error) => Err(SendError::Broken(error.into_error())),
        }
    }

    fn answer(self: &Arc<Self>, response: Response<Incoming>, connection: Connection) -> Response<Answer> {
        response.map(|body| {
            let mut answer = Answer { body, lease: Some((Arc::clone(self), connection)) };
            answer.finish_if_at_end();
            answer
        })
    }

    /// The most recently used connection that is ready; closed and stale ones are dropped on the way.
    fn reuse(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|idle| !idle.connection.sender.is_closed() && idle.since.elapsed() < IDLE_FOR);
        // One whose request body is still on its way (the pod answered early) is not ready yet.
        let at = idle.iter().rposition(|idle| idle.connection.sender.is_ready())?;
        Some(idle.swap_remove(at).connection)
    }

    fn give_back(&self, connection: Connection) {
        if connection.sender.is_closed() {
            return;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE {
            let since = Instant::now();
            idle.push(Idle { connection, since });
        }
    }

    async fn connect(&self) -> io::Result<Connection> {
        let slot = Arc::clone(&self.slots)
            .try_acquire_owned()
            .map_err(|_| io::Error::other("all connections to the pod are in use"))?;
        let stream = timeout(CONNECT, TcpStream::connect(self.address)).await??;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::Builder::new()
            .max_header_size(HEAD_LIMIT)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(io::Error::other)?;
        // An error of the connection also reaches the request that is on it.
        let driver = Driver(tokio::spawn(async { drop(connection.await) }));
        Ok(Connection { sender, _driver: driver, _slot: slot })
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("number", &self.number).field("address", &self.address).finish_non_exhaustive()
    }
}

/// The body of a pod's answer, as it comes. At its end the connection goes back to the pool; dropped
/// before its end, it closes the connection.
pub(super) struct Answer {
    body: Incoming,
    lease: Option<(Arc<Pool>, Connection)>,
}

impl Answer {
    fn finish_if_at_end(&mut self) {
        if self.body.is_end_stream() {
            self.finish();
        }
    }

    fn finish(&mut self) {
        if let Some((pool, connection)) = self.lease.take() {
            pool.give_back(connection);
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            // A body of known length is not polled again after its last byte.
            Some(Ok(_)) => self.finish_if_at_end(),
            Some(Err(_)) => self.lease = None,
            None => self.finish(),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
