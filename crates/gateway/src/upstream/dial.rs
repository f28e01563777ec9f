//! Making one connection: name resolution, TCP or a socket, TLS.

use std::io;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::stream::Stream;
use super::target::{Place, Target};
use super::tls;

/// What is spoken on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// Makes connections to the pods of one upstream.
#[derive(Debug)]
pub(super) struct Dialer {
    /// What is spoken without TLS, where nothing is negotiated.
    plain: Protocol,
    deadline: Duration,
    tls: RwLock<Option<Arc<ClientConfig>>>,
}

impl Dialer {
    /// Connections that are there within `deadline`, TLS included.
    pub(super) fn new(plain: Protocol, deadline: Duration, tls: Option<ClientConfig>) -> Self {
        Self { plain, deadline, tls: RwLock::new(tls.map(Arc::new)) }
    }

    /// Connections from now on use these certificates.
    pub(super) fn secure(&self, config: ClientConfig) {
        *self.tls.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(config));
    }

    /// Whether there is what TLS takes.
    pub(super) fn is_secured(&self) -> bool {
        self.tls.read().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// What will be spoken with `target`, if that is known before there is a connection.
    pub(super) fn expected(&self, target: &Target) -> Option<Protocol> {
        target.secured().is_none().then_some(self.plain)
    }

    /// The longest that [`Self::connect`] takes.
    pub(super) const fn deadline(&self) -> Duration {
        self.deadline
    }

    /// A new connection.
    ///
    /// # Errors
    /// If there is none within the deadline.
    pub(super) async fn connect(&self, target: &Target) -> io::Result<(Stream, Protocol)> {
        let connected = timeout(self.deadline, self.connect_unhurried(target)).await;
        connected.unwrap_or_else(|_| {
            Err(io::Error::new(io::ErrorKind::TimedOut, format!("no connection within {:?}", self.deadline)))
        })
    }

    async fn connect_unhurried(&self, target: &Target) -> io::Result<(Stream, Protocol)> {
        let tcp = match target.place() {
            Place::Name(name, port) => TcpStream::connect((&**name, *port)).await?,
            Place::Address(address) => TcpStream::connect(address).await?,
            #[cfg(unix)]
            Place::Socket(path) => {
                return Ok((Stream::Unix(tokio::net::UnixStream::connect(path).await?), self.plain));
            }
            #[cfg(not(unix))]
            Place::Socket(_) => return Err(io::Error::other("this system has no Unix sockets")),
        };
        // The small writes of a request must not wait for acknowledgements.
        tcp.set_nodelay(true)?;
        let Some(name) = target.secured() else { return Ok((Stream::Tcp(tcp), self.plain)) };
        let config = self.tls.read().unwrap_or_else(PoisonError::into_inner).clone();
        let config = config.ok_or_else(|| io::Error::other("no TLS has been configured"))?;
        let stream = TlsConnector::from(config).connect(name.clone(), tcp).await?;
        let protocol = match stream.get_ref().1.alpn_protocol() {
            Some(tls::HTTP2) => Protocol::Http2,
            Some(_) | None => Protocol::Http1,
        };
        Ok((Stream::Tls(Box::new(stream)), protocol))
    }
}
