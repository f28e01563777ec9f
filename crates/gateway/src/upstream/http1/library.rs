//! One exchange on a connection, by a library that knows all of HTTP: for requests that come piece by piece, and for answers
//! that do, or that are not usual.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::{Buf as _, Bytes};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::super::bell::Bell;
use super::super::body::Outgoing;
use super::super::stream::Stream;
use super::HEAD_BYTES;

/// A connection that the library drives, for one exchange.
pub(super) struct Library {
    sender: SendRequest<Outgoing>,
    /// Gone once the connection is over.
    driver: Option<Connection<TokioIo<Replay>, Outgoing>>,
    bell: Bell,
}

impl Library {
    /// Takes a connection over. Where its request has been written, it is not written once more, and `read` is what has
    /// been read of the answer.
    ///
    /// # Errors
    /// None that is known; the library has it so.
    pub(super) async fn new(stream: Stream, read: Bytes, request: Written) -> io::Result<Self> {
        let replay = Replay { stream, read, request, flushed: true, withheld: None };
        let handshake = Builder::new().max_header_size(HEAD_BYTES).handshake(TokioIo::new(replay)).await;
        let (sender, driver) = handshake.map_err(io::Error::other)?;
        Ok(Self { sender, driver: Some(driver), bell: Bell::new() })
    }

    pub(super) fn send(
        &mut self,
        request: Request<Outgoing>,
    ) -> impl Future<Output = Result<Response<Incoming>, TrySendError<Request<Outgoing>>>> + use<> {
        self.sender.try_send_request(request)
    }

    /// Moves the connection's bytes along. Nobody is woken when there are more, unless [`Self::ring_for`] says so.
    pub(super) fn drive(&mut self) {
        self.bell.silence();
        // What ended it reaches the request that is on it.
        let bell = &self.bell;
        if self.driver.as_mut().is_some_and(|driver| Pin::new(driver).poll(&mut bell.context()).is_ready()) {
            self.driver = None;
        }
    }

    /// Wakes the task of `cx` once there is more to be moved along.
    pub(super) fn ring_for(&self, cx: &Context<'_>) {
        self.bell.ring_for(cx);
    }

    /// Whether the exchange is over, with nothing of it left on the connection.
    pub(super) fn is_free(&self) -> bool {
        self.driver.is_some() && self.sender.is_ready()
    }

    /// The connection, if it may be used again.
    pub(super) fn into_stream(self) -> Option<Stream> {
        if !self.is_free() {
            return None;
        }
        let parts = self.driver?.into_parts();
        let replay = parts.io.into_inner();
        let is_clean = parts.read_buf.is_empty() && replay.read.is_empty() && replay.flushed;
        is_clean.then_some(replay.stream)
    }
}

/// Whether a request has been written before the library writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// It has been, but the library does not know yet.
    Unbelieved,
    /// It has been.
    Already,
    NotYet,
}

/// A connection, with what was read from it before.
struct Replay {
    stream: Stream,
    read: Bytes,
    request: Written,
    /// Whether everything that was written has gone out.
    flushed: bool,
    /// Who is to be woken once the library believes to have sent the request: an answer before it would be nobody's.
    withheld: Option<Waker>,
}

impl Replay {
    /// Whether what the library writes has been written before.
    fn is_written(&mut self) -> bool {
        match self.request {
            Written::NotYet => return false,
            Written::Already => {}
            Written::Unbelieved => self.request = Written::Already,
        }
        if let Some(waker) = self.withheld.take() {
            waker.wake();
        }
        true
    }
}

impl AsyncRead for Replay {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.request == Written::Unbelieved {
            self.withheld = Some(cx.waker().clone());
            return Poll::Pending;
        }
        if self.read.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, into);
        }
        let length = self.read.len().min(into.remaining());
        into.put_slice(&self.read[..length]);
        self.read.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Replay {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.is_written() {
            return Poll::Ready(Ok(bytes.len()));
        }
        self.flushed = false;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.is_written() {
            return Poll::Ready(Ok(pieces.iter().map(|piece| piece.len()).sum()));
        }
        self.flushed = false;
        Pin::new(&mut self.stream).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.flushed |= matches!(flushed, Poll::Ready(Ok(())));
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
