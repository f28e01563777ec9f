//! The fixture as a server that was written before 2026-07-28, and knows nothing of it.

use std::io;

use anypod_server::Server;
use anypod_server::proto::header::PROTOCOL_VERSION;
use anypod_server::proto::version::{Era, Version};
use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use tokio::net::TcpListener;

/// Serves legacy clients until `stop` completes, and refuses others as such servers do.
///
/// # Errors
/// If the listener breaks.
pub(crate) async fn serve(
    server: Server,
    listener: TcpListener,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    server.is_reached_at(&format!("http://{}/mcp", listener.local_addr()?));
    let worker = server.clone();
    tokio::spawn(async move { worker.work().await });
    let router = Router::new().route_service("/mcp", server.clone()).layer(from_fn(refuse_modern));
    let stopped = async move {
        stop.await;
        server.drain().await;
    };
    axum::serve(listener, router).with_graceful_shutdown(stopped).await
}

/// No text that a client could read a version from: such servers have none to offer that would help.
async fn refuse_modern(request: Request, next: Next) -> Response {
    let version = request.headers().get(PROTOCOL_VERSION).map(|value| value.to_str().ok().and_then(Version::parse));
    match version.map(|version| version.map(Version::era)) {
        None | Some(Some(Era::Legacy)) => next.run(request).await,
        Some(Some(Era::Modern) | None) => (StatusCode::BAD_REQUEST, "unsupported protocol version").into_response(),
    }
}
