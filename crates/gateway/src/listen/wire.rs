//! A client's connection: its bytes, and those of them that were read ahead.

use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};

use crate::http1::room;

/// The same where nothing is expected, but for the end of the connection.
const UNASKED: usize = 256;
/// How much a client may send ahead of an answer before it is no longer read, in bytes.
const AHEAD: usize = 64 << 10;

/// A connection whose bytes are looked at before it is decided who reads them.
#[derive(Debug)]
pub(super) struct Wire<S> {
    stream: S,
    /// What was read ahead.
    pub(super) read: BytesMut,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, read: BytesMut::new() }
    }

    /// Reads on, with room for `wanted` bytes in all. Ready with 0 at the end.
    pub(super) fn poll_more(&mut self, cx: &mut Context<'_>, wanted: usize) -> Poll<io::Result<usize>> {
        self.poll_read_into(cx, room(wanted, &self.read))
    }

    fn poll_read_into(&mut self, cx: &mut Context<'_>, room: usize) -> Poll<io::Result<usize>> {
        self.read.reserve(room);
        pin!(self.stream.read_buf(&mut self.read)).poll(cx)
    }

    /// Gives back what memory it has for reading: nothing is expected for a while.
    pub(super) fn shrink(&mut self) {
        if self.read.is_empty() {
            self.read = BytesMut::new();
        }
    }

    /// What comes of `work`; `None` if the client goes away before. What it sends meanwhile is kept for later.
    pub(super) async fn unless_gone<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        poll_fn(|cx| {
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                return Poll::Ready(Some(done));
            }
            while self.read.len() < AHEAD {
                match ready!(self.poll_read_into(cx, UNASKED)) {
                    Ok(0) | Err(_) => return Poll::Ready(None),
                    Ok(_) => {}
                }
            }
            Poll::Pending
        })
        .await
    }

    /// Writes all of two pieces, in one call if the system takes them so.
    pub(super) async fn write(&mut self, mut first: &[u8], mut second: &[u8]) -> io::Result<()> {
        while !first.is_empty() && !second.is_empty() {
            let pieces = [IoSlice::new(first), IoSlice::new(second)];
            let written = self.stream.write_vectored(&pieces).await?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            let of_first = written.min(first.len());
            first = &first[of_first..];
            second = &second[written - of_first..];
        }
        let rest = if first.is_empty() { second } else { first };
        if !rest.is_empty() {
            self.stream.write_all(rest).await?;
        }
        self.stream.flush().await
    }

    /// Says that nothing more is written.
    pub(super) async fn end(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.read.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, into);
        }
        let length = self.read.len().min(into.remaining());
        into.put_slice(&self.read.split_to(length));
        if self.read.is_empty() {
            self.read = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
