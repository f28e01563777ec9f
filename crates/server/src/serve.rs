//! The server on a socket: HTTP/1.1 connections, health endpoints and an orderly end.

mod stall;

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Buf;
use http::{Request, Response, StatusCode};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, ToSocketAddrs};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tower_service::Service;

use crate::http::{Body, empty};
use crate::server::Server;
pub use stall::Stalling;

/// The largest header section that is read, in bytes. Sealed session ids and base64 names fit several times.
const MAX_HEADER_BYTES: usize = 64 * 1024;
/// How long connections that are idle may take to close at the end.
const CLOSE_DEADLINE: Duration = Duration::from_secs(1);
/// How long to wait when the operating system has no more sockets for us.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

impl Server {
    /// Listens on `address` and serves at the path `/mcp` for ever. Bind to a loopback address unless
    /// something in front authenticates callers.
    ///
    /// # Errors
    /// If the address cannot be bound.
    pub async fn listen(self, address: impl ToSocketAddrs) -> io::Result<()> {
        self.serve(TcpListener::bind(address).await?, std::future::pending()).await
    }

    /// Serves `listener` until `stop` completes: MCP at `/mcp`, liveness at `/healthz`, readiness at
    /// `/readyz`. Then drains, see [`Server::drain`], and returns.
    ///
    /// ```no_run
    /// use anypod_server::{Server, Tool};
    /// use tokio::net::TcpListener;
    ///
    /// # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
    /// let server = Server::new("clock", "1.0.0").tool(Tool::new("tick", async || "tock")).build()?;
    /// let stop = async {
    ///     // If the signal cannot be caught, the server stops at once.
    ///     let _ = tokio::signal::ctrl_c().await;
    /// };
    /// server.serve(TcpListener::bind("127.0.0.1:8080").await?, stop).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If the listener breaks.
    pub async fn serve(self, listener: TcpListener, stop: impl Future<Output = ()>) -> io::Result<()> {
        self.inner.front.is_reached_at(listener.local_addr()?);
        let (closing, closed) = watch::channel(false);
        let places = Arc::new(Semaphore::new(self.inner.limits().connections.min(Semaphore::MAX_PERMITS)));
        let door = Door { server: self.clone(), listener, closed, places };
        let mut stop = std::pin::pin!(stop);
        let mut working = JoinSet::new();
        let worker = self.clone();
        working.spawn(async move { worker.work().await });
        loop {
            tokio::select! {
                () = door.take_next() => {}
                () = &mut stop => break,
            }
        }
        // A balancer may still send requests until it learns that the pod is not ready, so the listener
        // stays open while requests in flight end.
        let mut draining = std::pin::pin!(self.drain());
        loop {
            tokio::select! {
                () = &mut draining => break,
                () = door.take_next() => {}
            }
        }
        // Extensions give away what they have begun, for which they have as long as requests have.
        if tokio::time::timeout(self.inner.limits().drain, working.join_next()).await.is_err() {
            tracing::warn!("extensions were still at work when the time to drain was over");
        }
        self.leave();
        closing.send_replace(true);
        // The last connection to end drops the last receiver.
        drop(door);
        let _ = tokio::time::timeout(CLOSE_DEADLINE, closing.closed()).await;
        Ok(())
    }

    /// The service behind the health endpoints and `/mcp`, for a server loop of your own.
    ///
    /// # Errors
    /// Never.
    pub async fn route<B>(&self, request: Request<B>) -> Result<Response<Body>, Infallible>
    where
        B: http_body::Body + Send + 'static,
        B::Data: Buf + Send,
        B::Error: Send,
    {
        match request.uri().path() {
            "/mcp" | "/mcp/" => self.clone().call(request).await,
            "/healthz" => Ok(empty(StatusCode::OK)),
            "/readyz" if self.is_ready() => Ok(empty(StatusCode::OK)),
            "/readyz" => Ok(empty(StatusCode::SERVICE_UNAVAILABLE)),
            _ => Ok(empty(StatusCode::NOT_FOUND)),
        }
    }

    /// Whether new requests are welcome; false as soon as the server drains.
    pub fn is_ready(&self) -> bool {
        !self.inner.load.is_draining()
    }
}

/// Where connections come in.
struct Door {
    server: Server,
    listener: TcpListener,
    closed: watch::Receiver<bool>,
    places: Arc<Semaphore>,
}

impl Door {
    /// Takes the next connection, once there is a place for it.
    async fn take_next(&self) {
        // The semaphore is never closed.
        let Ok(place) = Arc::clone(&self.places).acquire_owned().await else { return };
        match self.listener.accept().await {
            Ok((stream, _)) => {
                // Small answers go out at once; they are written whole, so nothing is gained by waiting.
                let _ = stream.set_nodelay(true);
                let connection = connection(self.server.clone(), stream, self.closed.clone());
                tokio::spawn(async move {
                    connection.await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Completes when idle connections are to be closed.
async fn closing(closed: &mut watch::Receiver<bool>) {
    // An error means that the server itself is gone, which says the same.
    let _ = closed.wait_for(|closed| *closed).await;
}

/// Serves one connection. When the server has drained, a connection that is idle is closed at once and one
/// that is busy after its answer.
async fn connection<S>(server: Server, stream: S, mut closed: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let idle_deadline = server.inner.limits().idle_deadline;
    let stream = Stalling::new(stream, server.inner.limits().write_deadline);
    let server = Arc::new(server);
    let service = service_fn(move |request| {
        let server = Arc::clone(&server);
        async move { server.route(request).await }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(idle_deadline)
        .max_buf_size(MAX_HEADER_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = closing(&mut closed) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke");
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use tokio::io::AsyncWriteExt as _;

    use super::*;
    use crate::{Cx, Limits, Tool};

    /// Reports for ever, and much.
    async fn flood(cx: Cx) {
        for step in 0.. {
            cx.progress(f64::from(step), None, Some(&"x".repeat(4096)));
            tokio::task::yield_now().await;
        }
    }

    fn call() -> String {
        let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"flood","_meta":{
            "progressToken":1,
            "io.modelcontextprotocol/protocolVersion":"2026-07-28",
            "io.modelcontextprotocol/clientCapabilities":{}}}}"#;
        let mut request = String::from("POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n");
        request.push_str("mcp-protocol-version: 2026-07-28\r\nmcp-method: tools/call\r\nmcp-name: flood\r\n");
        write!(request, "content-length: {}\r\n\r\n{body}", body.len()).unwrap();
        request
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_stops_reading_does_not_keep_its_place() {
        let server = Server::new("s", "1").tool(Tool::new("flood", flood)).build().unwrap();
        let (near, mut far) = tokio::io::duplex(16 * 1024);
        let (_closing, closed) = watch::channel(false);
        far.write_all(call().as_bytes()).await.unwrap();
        let started = tokio::time::Instant::now();
        connection(server.clone(), near, closed).await;
        assert_eq!(started.elapsed(), Limits::default().write_deadline);
        server.inner.load.idle().await;
    }
}
