//! Where clients connect: TCP and Unix sockets, with or without TLS, HTTP/1.1 and HTTP/2.
//!
//! How many connections there are is bounded, and so is how long each may be without a request and how long it may take
//! none of what is written to it.

mod answer;
mod head;
mod places;
pub(crate) mod tls;
mod usual;
mod wire;

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anypod_server::Stalling;
use http::uri::Scheme;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use self::head::Longest;
use self::places::Place;
pub(crate) use self::places::Places;
use self::tls::Acceptor;
use self::usual::{Bounds, Ended};
use self::wire::Wire;
use crate::config::Limits;
use crate::gateway::Gateway;
use crate::inbound::Inbound;
use crate::observe::Met;
use crate::upstream::headers::Sender;

/// How long to wait when the operating system has no more sockets for us.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long the next connection in the queue of the system is waited for when the gateway closes.
const QUEUED: Duration = Duration::from_millis(1);
/// How long connections are taken from that queue, however many come.
const QUEUE: Duration = Duration::from_millis(50);
/// How long a connection that has brought no request yet may take to bring its first one when the gateway closes: whoever
/// connected before the listener closed has been promised an answer.
const FIRST_REQUEST: Duration = Duration::from_millis(500);
/// What a client may have under way at once on one HTTP/2 connection.
const HTTP2_STREAMS: u32 = 250;

/// Who is at the other end of a connection, and how it came.
#[derive(Debug)]
pub(crate) struct Peer {
    /// What upstreams are told about it.
    pub(crate) sender: Sender,
    /// The client that it brought last.
    pub(crate) met: Met,
}

impl Peer {
    fn new(address: Option<IpAddr>, secure: bool) -> Self {
        let scheme = if secure { Scheme::HTTPS } else { Scheme::HTTP };
        Self { sender: Sender::new(address, scheme), met: Met::default() }
    }
}

/// A listener that is bound.
#[derive(Debug)]
pub(crate) struct Door {
    socket: Socket,
    tls: Option<Arc<Acceptor>>,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener, PathBuf),
}

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Door {
    /// Binds `HOST:PORT` or `unix:PATH`. A socket that nobody listens on any more is replaced.
    ///
    /// # Errors
    /// As the operating system has it.
    pub(crate) async fn bind(address: &str, tls: Option<Arc<Acceptor>>) -> io::Result<Self> {
        let socket = match address.strip_prefix("unix:") {
            Some(path) => bind_unix(Path::new(path)).await?,
            None => Socket::Tcp(TcpListener::bind(address).await?),
        };
        Ok(Self { socket, tls })
    }

    /// Where it listens, if that is an address of the network.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        match &self.socket {
            Socket::Tcp(listener) => listener.local_addr().ok(),
            Socket::Unix(..) => None,
        }
    }

    /// The URL of a path on it, as a client on this machine would write it.
    pub(crate) fn url(&self, path: &str) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        match &self.socket {
            Socket::Tcp(listener) => match listener.local_addr() {
                Ok(address) => format!("{scheme}://{}{path}", reachable(address)),
                Err(_) => format!("{scheme}://?{path}"),
            },
            Socket::Unix(_, at) => format!("unix:{}:{path}", at.display()),
        }
    }

    /// Takes connections until it is told to close, those included that wait in the queue of the system then.
    pub(crate) async fn serve(
        self,
        gateway: Gateway,
        places: Arc<Places>,
        mut closing: watch::Receiver<Phase>,
        closed: watch::Receiver<Phase>,
    ) {
        let mut closing_since = None;
        loop {
            let accepted = tokio::select! {
                biased;
                () = reached(&mut closing, Phase::NoMore) => {
                    let begun = closing_since.get_or_insert_with(Instant::now);
                    match timeout(QUEUED, self.accept(&places)).await {
                        Ok(accepted) if begun.elapsed() < QUEUE => accepted,
                        Ok(_) | Err(_) => return,
                    }
                }
                accepted = self.accept(&places) => accepted,
            };
            let (stream, peer, place) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let (gateway, tls, closed) = (gateway.clone(), self.tls.clone(), closed.clone());
            tokio::spawn(async move {
                match stream {
                    Stream::Tcp(stream) => secured(gateway, stream, tls, peer, closed).await,
                    Stream::Unix(stream) => secured(gateway, stream, tls, peer, closed).await,
                }
                drop(place);
            });
        }
    }

    async fn accept(&self, places: &Arc<Places>) -> io::Result<(Stream, Peer, Place)> {
        let place = places.take().await;
        let secure = self.tls.is_some();
        match &self.socket {
            Socket::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                // Small answers go out at once; they are written whole, so nothing is gained by waiting.
                let _ = stream.set_nodelay(true);
                Ok((Stream::Tcp(stream), Peer::new(Some(address.ip()), secure), place))
            }
            Socket::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                Ok((Stream::Unix(stream), Peer::new(None, secure), place))
            }
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let Self::Unix(_, path) = self {
            // Whoever finds it gone has less to wonder about than who finds it dead.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// How far a gateway is on its way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Not at all.
    Serving,
    /// No further connections are taken.
    NoMore,
    /// Connections that are idle are closed.
    Closing,
}

/// Completes when the gateway is that far on its way out. That it is gone says the same.
pub(crate) async fn reached(watched: &mut watch::Receiver<Phase>, phase: Phase) {
    let _ = watched.wait_for(|now| *now >= phase).await;
}

async fn bind_unix(path: &Path) -> io::Result<Socket> {
    match UnixListener::bind(path) {
        Ok(listener) => Ok(Socket::Unix(listener, path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            // Only what nobody listens on is taken over.
            match UnixStream::connect(path).await {
                Err(refused) if refused.kind() == io::ErrorKind::ConnectionRefused => {
                    std::fs::remove_file(path)?;
                    Ok(Socket::Unix(UnixListener::bind(path)?, path.to_owned()))
                }
                Ok(_) | Err(_) => Err(error),
            }
        }
        Err(error) => Err(error),
    }
}

async fn secured<S>(gateway: Gateway, stream: S, tls: Option<Arc<Acceptor>>, peer: Peer, closed: watch::Receiver<Phase>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    match tls {
        None => connection(gateway, stream, peer, closed).await,
        Some(acceptor) => match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => connection(gateway, stream, peer, closed).await,
            Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
            Err(_) => tracing::debug!("a TLS handshake took too long"),
        },
    }
}

/// Serves one connection. When the gateway closes, a connection that is idle is closed at once and one that is busy after
/// its answer.
async fn connection<S>(gateway: Gateway, stream: S, peer: Peer, mut closed: watch::Receiver<Phase>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let _counted = gateway.count_connection();
    let limits = gateway.limits();
    let stream = Stalling::new(stream, limits.write.get());
    let bounds = Bounds {
        longest: Longest { head: limits.header_bytes, body: limits.whole_body_bytes },
        idle: limits.idle.get(),
        body: limits.body_deadline.get(),
    };
    match usual::serve(&gateway, stream, &peer, bounds, &mut closed).await {
        Ended::Closed => {}
        Ended::Unusual(wire) => Box::pin(unusual(gateway, wire, peer, &limits, closed)).await,
    }
}

/// Serves a connection by all that HTTP allows.
async fn unusual<S>(gateway: Gateway, wire: Wire<S>, peer: Peer, limits: &Limits, mut closed: watch::Receiver<Phase>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let stream = TokioIo::new(wire);
    let header_bytes = limits.header_bytes.max(8192);
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.idle.get()).max_buf_size(header_bytes);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(HTTP2_STREAMS)
        .max_header_list_size(u32::try_from(header_bytes).unwrap_or(u32::MAX))
        .keep_alive_interval(limits.idle.get());
    let (begin, mut begun) = watch::channel(false);
    let peer = Arc::new(peer);
    let service = service_fn(move |request: Request<Incoming>| {
        begin.send_if_modified(|begun| !std::mem::replace(begun, true));
        let (gateway, peer) = (gateway.clone(), Arc::clone(&peer));
        async move {
            let (head, body) = request.into_parts();
            Ok::<_, Infallible>(Response::from(gateway.answer(&peer, head.into(), Inbound::Streamed(body)).await))
        }
    });
    let connection = builder.serve_connection(stream, service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = reached(&mut closed, Phase::Closing) => {
            let first = timeout(FIRST_REQUEST, async {
                // The other end is gone only with the connection.
                let _ = begun.wait_for(|begun| *begun).await;
            });
            tokio::select! {
                ended = connection.as_mut() => ended,
                _ = first => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke");
    }
}

/// Where a client on this machine reaches a listener.
fn reachable(address: SocketAddr) -> SocketAddr {
    use std::net::{Ipv4Addr, Ipv6Addr};
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::sync::oneshot;

    use super::*;
    use crate::Config;

    #[tokio::test]
    async fn who_connected_before_the_end_is_answered() {
        let mut config = Config::of_upstreams(&["http://127.0.0.1:1/mcp".to_owned()]);
        config.listener[0].address = "127.0.0.1:0".to_owned();
        let bound = Gateway::new(config, None).unwrap().bind().await.unwrap();
        let address = bound.addresses()[0];
        let (stop, stopped) = oneshot::channel::<()>();
        let mut client = TcpStream::connect(address).await.unwrap();
        let served = tokio::spawn(bound.serve(async {
            let _ = stopped.await;
        }));
        drop(stop);
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
        client.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        served.await.unwrap();
    }

    #[test]
    fn names_a_wildcard_listener_by_loopback() {
        let name = |text: &str| reachable(text.parse().unwrap()).to_string();
        assert_eq!(name("0.0.0.0:80"), "127.0.0.1:80");
        assert_eq!(name("[::]:80"), "[::1]:80");
        assert_eq!(name("192.0.2.1:80"), "192.0.2.1:80");
    }
}
