//! The front: takes connections, gives each request to the pod whose turn it is, streams both ways.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anypod_proto::code::Code;
use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::HEAD_LIMIT;
use super::headers::{prepare, strip_hop_by_hop};
use super::pool::SendError;
use super::rotation::Rotation;
use super::work::{Counted, Work};
use crate::usage::Usage;

/// Clients connected at a time; more wait in the kernel's queue.
const CLIENTS: usize = 8192;
/// How long a client may take to send a request's head, and how long it may stay connected without a request.
const HEAD_READ: Duration = Duration::from_secs(30);
/// The pause after the system has refused to accept, as when no file descriptor is left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// When a client that found no pod may come again: restarts take a moment.
const RETRY_AFTER_SECS: u64 = 1;

type Body = Either<Counted, Full<Bytes>>;

/// A round-robin reverse proxy that listens but does not serve yet.
#[derive(Debug)]
pub(super) struct Front {
    listener: TcpListener,
    rotation: Arc<Rotation>,
}

/// A front that takes no more connections and finishes those it has.
#[derive(Debug)]
pub(super) struct Draining {
    connections: JoinSet<()>,
    work: Work,
}

impl Front {
    /// Takes the port.
    ///
    /// # Errors
    ///
    /// A [`Usage`] when the address cannot be listened on: taken, not ours, or not allowed.
    pub(super) async fn bind(address: SocketAddr, rotation: Arc<Rotation>) -> anyhow::Result<Self> {
        match TcpListener::bind(address).await {
            Ok(listener) => Ok(Self { listener, rotation }),
            Err(error) => Err(Usage::new(refusal(address, &error)).into()),
        }
    }

    /// Where it listens; the port is the real one where 0 was asked for.
    ///
    /// # Errors
    ///
    /// When the system does not say.
    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop` resolves, then closes the port and lets what is on its way finish.
    pub(super) async fn serve(self, stop: impl Future) -> Draining {
        let (stopping, stopped) = watch::channel(false);
        let work = Work::default();
        let clients = Arc::new(Semaphore::new(CLIENTS));
        let mut connections = JoinSet::new();
        let mut stop = std::pin::pin!(stop);
        loop {
            let accepted = tokio::select! {
                biased;
                _ = &mut stop => break,
                Some(_) = connections.join_next() => continue,
                accepted = self.accept(&clients) => accepted,
            };
            let Ok((stream, peer, slot)) = accepted else {
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            let connection = Connection { peer, rotation: Arc::clone(&self.rotation), work: work.clone() };
            let stopped = stopped.clone();
            connections.spawn(async move {
                connection.run(stream, stopped).await;
                drop(slot);
            });
        }
        // Nobody is left to tell when there is no connection.
        let _ = stopping.send(true);
        Draining { connections, work }
    }

    async fn accept(
        &self,
        clients: &Arc<Semaphore>,
    ) -> io::Result<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
        let slot = Arc::clone(clients).acquire_owned().await.map_err(io::Error::other)?;
        let (stream, peer) = self.listener.accept().await?;
        Ok((stream, peer, slot))
    }
}

impl Draining {
    /// Resolves when every call has been answered. Streams that only listen are not waited for.
    pub(super) async fn calls_done(&self) {
        self.work.done().await;
    }

    /// Resolves when every connection has ended.
    pub(super) async fn connections_closed(&mut self) {
        while self.connections.join_next().await.is_some() {}
    }
}

/// One client's connection.
struct Connection {
    peer: SocketAddr,
    rotation: Arc<Rotation>,
    work: Work,
}

impl Connection {
    async fn run(&self, stream: TcpStream, mut stopped: watch::Receiver<bool>) {
        // Without it, the small writes of an event stream wait for the client's acknowledgements.
        let _ = stream.set_nodelay(true);
        let service = service_fn(|request| async { Ok::<_, Infallible>(self.answer(request).await) });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_READ)
            .max_header_size(HEAD_LIMIT)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        // A client that breaks off or talks nonsense is its own loss, and hyper has answered what can be answered.
        tokio::select! {
            _ = connection.as_mut() => return,
            _ = stopped.wait_for(|stopped| *stopped) => {}
        }
        connection.as_mut().graceful_shutdown();
        let _ = connection.await;
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let begun = self.work.begin(&request);
        let Some(mut request) = prepare(request, self.peer.ip()) else {
            return refuse(StatusCode::BAD_REQUEST, "the request target has no path");
        };
        for pod in self.rotation.turn() {
            match pod.send(request).await {
                Ok(mut response) => {
                    strip_hop_by_hop(response.headers_mut());
                    return response.map(|body| Either::Left(begun.count(body)));
                }
                Err(SendError::NotSent(unsent, error)) => {
                    tracing::warn!(pod = pod.number(), %error, "cannot be reached");
                    request = *unsent;
                }
                Err(SendError::Broken(error)) => {
                    tracing::warn!(pod = pod.number(), %error, "broke off");
                    return refuse(StatusCode::BAD_GATEWAY, "the pod broke off before it answered");
                }
                Err(SendError::TooSlow) => {
                    return refuse(StatusCode::GATEWAY_TIMEOUT, "the pod took too long to answer");
                }
            }
        }
        let mut response = refuse(StatusCode::SERVICE_UNAVAILABLE, "no pod is up");
        let retry = HeaderValue::from(RETRY_AFTER_SECS);
        response.headers_mut().insert(header::RETRY_AFTER, retry);
        response
    }
}

/// An answer of the front's own. The body has not been read, so the request's id is not known.
fn refuse(status: StatusCode, message: &str) -> Response<Body> {
    let error = serde_json::json!({
        "jsonrpc": "2.0",
        "error": { "code": Code::InternalError.number(), "message": message },
    });
    let mut response = Response::new(Either::Right(Full::from(error.to_string())));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

fn refusal(address: SocketAddr, error: &io::Error) -> String {
    let port = address.port();
    match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "port {port} on {} is taken: stop what listens there, or choose another with --port (0 picks a free one)",
            address.ip()
        ),
        io::ErrorKind::AddrNotAvailable => {
            format!("{} is no address of this machine: choose one with --host", address.ip())
        }
        io::ErrorKind::PermissionDenied => {
            format!("port {port} on {} needs privileges: choose one from 1024 with --port", address.ip())
        }
        _ => format!("cannot listen on {address}: {error}; choose others with --host and --port"),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::up::pool::Pool;

    const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

    /// What a client of a front over these pods reads for one request.
    async fn answered(pods: &[SocketAddr]) -> String {
        let rotation = Arc::new(Rotation::default());
        for (number, pod) in (1..).zip(pods) {
            rotation.join(Arc::new(Pool::new(number, *pod)));
        }
        let front = Front::bind(ANY, rotation).await.unwrap();
        let mut client = TcpStream::connect(front.address().unwrap()).await.unwrap();
        let request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        client.write_all(request).await.unwrap();
        let mut answer = String::new();
        let read = async {
            client.read_to_string(&mut answer).await.unwrap();
        };
        front.serve(read).await;
        answer
    }

    /// An address where nobody listens.
    async fn nobody() -> SocketAddr {
        TcpListener::bind(ANY).await.unwrap().local_addr().unwrap()
    }

    #[tokio::test]
    async fn a_request_without_a_pod_is_503_and_says_when_to_come_again() {
        for pods in [&[][..], &[nobody().await]] {
            let answer = answered(pods).await;
            assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
            assert!(answer.contains("retry-after: 1\r\n"), "{answer}");
        }
    }

    #[tokio::test]
    async fn a_pod_that_refuses_the_connection_is_passed_over() {
        let pod = TcpListener::bind(ANY).await.unwrap();
        let pods = [nobody().await, pod.local_addr().unwrap()];
        let serve = async {
            let (mut stream, _) = pod.accept().await.unwrap();
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
            stream
        };
        let (answer, _stream) = tokio::join!(answered(&pods), serve);
        assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
    }

    #[tokio::test]
    async fn a_request_that_a_pod_has_seen_is_not_given_to_another() {
        let [seen, other] = [TcpListener::bind(ANY).await.unwrap(), TcpListener::bind(ANY).await.unwrap()];
        let pods = [seen.local_addr().unwrap(), other.local_addr().unwrap()];
        let serve = async {
            let (mut stream, _) = seen.accept().await.unwrap();
            stream.read_u8().await.unwrap();
        };
        let answer = tokio::select! {
            (answer, ()) = async { tokio::join!(answered(&pods), serve) } => answer,
            _ = other.accept() => panic!("the other pod was asked"),
        };
        assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    }
}
