//! Pods behind other wires than HTTP/1.1 over TCP.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use anypod_server::Server;
use http::{Request, Version};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tower_service::Service as _;

use super::Scratch;

/// A pod, and the versions of HTTP in which it was asked. Dropped, it ends.
pub(crate) struct Wired {
    pub(crate) url: String,
    versions: Versions,
    connections: Arc<AtomicUsize>,
    _accepting: JoinSet<()>,
}

type Versions = Arc<Mutex<Vec<Version>>>;

impl Wired {
    /// Without TLS, and whatever the other side begins with: HTTP/1.1 or HTTP/2.
    pub(crate) async fn plain(server: Server) -> Self {
        let (listener, address) = listener().await;
        Self::accepting(format!("http://{address}/mcp"), server, move || {
            let listener = Arc::clone(&listener);
            async move { listener.accept().await.unwrap().0 }
        })
    }

    pub(crate) async fn tls(server: Server, config: ServerConfig) -> Self {
        let (listener, address) = listener().await;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Self::accepting(format!("https://localhost:{}/mcp", address.port()), server, move || {
            let (listener, acceptor) = (Arc::clone(&listener), acceptor.clone());
            async move {
                loop {
                    // Those that do not come to terms are not served.
                    if let Ok(stream) = acceptor.accept(listener.accept().await.unwrap().0).await {
                        return stream;
                    }
                }
            }
        })
    }

    pub(crate) fn unix(server: Server, scratch: &Scratch) -> Self {
        let path = scratch.path("pod.sock");
        let listener = Arc::new(UnixListener::bind(&path).unwrap());
        Self::accepting(format!("unix:{}:/mcp", path.display()), server, move || {
            let listener = Arc::clone(&listener);
            async move { listener.accept().await.unwrap().0 }
        })
    }

    fn accepting<S, F>(url: String, server: Server, next: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        F: Future<Output = S> + Send,
    {
        let versions = Versions::default();
        let seen = Arc::clone(&versions);
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            let mut serving = JoinSet::new();
            loop {
                serving.spawn(connection(next().await, server.clone(), Arc::clone(&seen)));
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self { url, versions, connections, _accepting: accepting }
    }

    /// How many connections there have been.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// The versions in which it was asked, each once.
    pub(crate) fn versions(&self) -> Vec<Version> {
        let mut versions = self.versions.lock().unwrap().clone();
        versions.sort_unstable_by_key(|version| format!("{version:?}"));
        versions.dedup();
        versions
    }
}

async fn listener() -> (Arc<TcpListener>, std::net::SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    (Arc::new(listener), address)
}

async fn connection<S>(stream: S, server: Server, versions: Versions)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        versions.lock().unwrap().push(request.version());
        server.clone().call(request)
    });
    // How a connection ends is between its two ends.
    let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
}
