//! A connection's bytes, whatever carries them.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::MaybeHttpsStream;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::places::Alive;

/// A connection to a server or to its proxy, before the server's own TLS.
pub(super) struct Socket {
    carrier: Carrier,
    /// Whether a proxy reads the requests and sends them on.
    forwarded: bool,
    alive: Option<Alive>,
}

/// TCP, with TLS where the proxy is spoken to in it.
pub(super) type Tcp = MaybeHttpsStream<TokioIo<TcpStream>>;

enum Carrier {
    /// Boxed, since the state of TLS is large and most connections have none here.
    Tcp(Box<Tcp>),
    #[cfg(unix)]
    Unix(TokioIo<tokio::net::UnixStream>),
}

impl Socket {
    pub(super) fn tcp(stream: Tcp) -> Self {
        Self { carrier: Carrier::Tcp(Box::new(stream)), forwarded: false, alive: None }
    }

    pub(super) fn forwarded(stream: Tcp) -> Self {
        Self { carrier: Carrier::Tcp(Box::new(stream)), forwarded: true, alive: None }
    }

    #[cfg(unix)]
    pub(super) fn unix(stream: tokio::net::UnixStream) -> Self {
        Self { carrier: Carrier::Unix(TokioIo::new(stream)), forwarded: false, alive: None }
    }
}

impl Socket {
    /// Keeps `alive` as long as itself.
    pub(super) fn keep(&mut self, alive: Alive) {
        self.alive = Some(alive);
    }
}

impl Connection for Socket {
    fn connected(&self) -> Connected {
        // Not what the stream says of itself: addresses would be copied into every response.
        Connected::new().proxy(self.forwarded)
    }
}

impl Read for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        match &mut self.carrier {
            Carrier::Tcp(stream) => Pin::new(stream).poll_read(cx, into),
            #[cfg(unix)]
            Carrier::Unix(stream) => Pin::new(stream).poll_read(cx, into),
        }
    }
}

impl Write for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.carrier {
            Carrier::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            #[cfg(unix)]
            Carrier::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.carrier {
            Carrier::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            #[cfg(unix)]
            Carrier::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.carrier {
            Carrier::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            #[cfg(unix)]
            Carrier::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.carrier {
            Carrier::Tcp(stream) => stream.is_write_vectored(),
            #[cfg(unix)]
            Carrier::Unix(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.carrier {
            Carrier::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, pieces),
            #[cfg(unix)]
            Carrier::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, pieces),
        }
    }
}
