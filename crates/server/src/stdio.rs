//! The server on a pair of byte streams: the process's stdin and stdout, or any other.
//!
//! Spec: basic/transports/stdio; for legacy clients 2025-11-25, basic/lifecycle and basic/transports, "stdio".

mod connection;
mod exchange;
mod inflight;
mod legacy;
mod lines;
mod pipes;
mod session;

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::server::Server;
use connection::Connection;
use lines::{Lines, write_lines};

/// Messages that wait for the client to read. When it does not, no more requests are read once these places
/// are taken; more of them would only hold more memory.
const QUEUE: usize = 64;
/// How long a client that reads has for what was queued when the time to drain ran out.
const LAST_WORDS: Duration = Duration::from_secs(1);

impl Server {
    /// Serves one client on stdin and stdout, until stdin ends or the server is drained
    /// ([`Server::drain`], from a handler of signals for instance). See [`Server::serve_stream`].
    ///
    /// Only messages of the protocol may go to stdout, so nothing else in the process may print there. Send
    /// logs to stderr: with `tracing_subscriber`, `fmt().with_writer(std::io::stderr)`.
    ///
    /// ```no_run
    /// use anypod_server::{Server, Tool};
    ///
    /// # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
    /// let server = Server::new("clock", "1.0.0").tool(Tool::new("tick", async || "tock")).build()?;
    /// server.serve_stdio().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If the streams cannot be served.
    pub async fn serve_stdio(self) -> io::Result<()> {
        let drain = self.inner.limits().drain;
        let (writer, written) = pipes::stdout()?;
        let (mut working, worker, load) = (JoinSet::new(), self.clone(), Arc::clone(&self.inner.load));
        working.spawn(async move { worker.work().await });
        let served = self.serve_stream(pipes::stdin()?, writer, std::future::pending()).await;
        load.drain();
        if tokio::time::timeout(drain, working.join_next()).await.is_err() {
            tracing::warn!("extensions were still at work when the time to drain was over");
        }
        if tokio::time::timeout(drain, written).await.is_err() {
            tracing::warn!("the client did not read the last messages");
        }
        served
    }

    /// Serves one client on a pair of byte streams, such as the halves of a socket: one JSON-RPC message per
    /// line, modern and legacy requests in any mixture. Requests are worked on at the same time and answered
    /// as they are done.
    ///
    /// Ends when the input ends, when `stop` completes, or when the server is drained: listeners get their
    /// result, requests in flight have [`Limits::drain`](crate::Limits::drain) to finish. A legacy session lasts as long.
    ///
    /// # Errors
    /// If reading or writing fails. A client that goes away is no error.
    pub async fn serve_stream<R, W>(self, reader: R, writer: W, stop: impl Future<Output = ()>) -> io::Result<()>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let drain = self.inner.limits().drain;
        let input = Lines::new(reader, self.inner.limits().line_bytes);
        let (lines, queue) = mpsc::channel(QUEUE);
        let mut writing = pin!(write_lines(writer, queue));
        let served = {
            let mut serving = pin!(Connection::new(self, lines).run(input, stop));
            tokio::select! {
                served = &mut serving => served,
                written = &mut writing => return gone(written),
            }
        };
        let until = served.ended + drain;
        let last = until.max(Instant::now() + LAST_WORDS);
        match timeout_at(last, writing).await {
            Ok(written) => gone(written)?,
            Err(_) => tracing::warn!("the client did not read the last messages"),
        }
        served.outcome
    }
}

/// A client that goes away closes its end; that is how it says good-bye.
fn gone(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) => {
            tracing::debug!(%error, "the client is gone");
            Ok(())
        }
        other => other,
    }
}
