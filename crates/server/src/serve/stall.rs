//! Writes that the peer has to take.
//!
//! A body is only polled while there is room to write, and with it its handler and its deadline. A client
//! that stops reading would keep a request, and its place among those that may be under way, for ever.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

pin_project! {
    /// A stream that breaks with [`io::ErrorKind::TimedOut`] when a write makes no progress for a time, for server loops
    /// of your own; [`Server::serve`](crate::Server::serve) has it.
    #[derive(Debug)]
    pub struct Stalling<S> {
        #[pin]
        stream: S,
        limit: Duration,
        // Made when a write first has to wait, which most never do.
        stalled: Option<Pin<Box<Sleep>>>,
    }
}

impl<S> Stalling<S> {
    /// Writes to `stream`, each within `limit`.
    pub const fn new(stream: S, limit: Duration) -> Self {
        Self { stream, limit, stalled: None }
    }
}

/// Starts, goes on with, or ends the wait for one write.
fn watch<T>(
    stalled: &mut Option<Pin<Box<Sleep>>>,
    limit: Duration,
    cx: &mut Context<'_>,
    written: Poll<io::Result<T>>,
) -> Poll<io::Result<T>> {
    if written.is_ready() {
        *stalled = None;
        return written;
    }
    ready!(stalled.get_or_insert_with(|| Box::pin(sleep(limit))).as_mut().poll(cx));
    Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the peer does not read")))
}

impl<S: AsyncRead> AsyncRead for Stalling<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.project().stream.poll_read(cx, buf)
    }
}

impl<S: AsyncWrite> AsyncWrite for Stalling<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.project();
        let written = this.stream.poll_write(cx, buf);
        watch(this.stalled, *this.limit, cx, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.project();
        let written = this.stream.poll_write_vectored(cx, bufs);
        watch(this.stalled, *this.limit, cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().stream.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().stream.poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::time::Instant;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn breaks_when_nothing_is_read() {
        let (near, _far) = tokio::io::duplex(64);
        let started = Instant::now();
        let broken = Stalling::new(near, LIMIT).write_all(&[0; 65]).await.unwrap_err();
        assert_eq!((broken.kind(), started.elapsed()), (io::ErrorKind::TimedOut, LIMIT));
    }

    #[tokio::test(start_paused = true)]
    async fn bears_with_a_peer_that_reads_slowly() {
        let (near, mut far) = tokio::io::duplex(64);
        let reader = tokio::spawn(async move {
            for _ in 0..4 {
                sleep(LIMIT - Duration::from_secs(1)).await;
                far.read_exact(&mut [0; 64]).await.unwrap();
            }
        });
        Stalling::new(near, LIMIT).write_all(&[0; 256]).await.unwrap();
        reader.await.unwrap();
    }
}
