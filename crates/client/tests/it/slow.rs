//! A server that answers when it may.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tokio::sync::Notify;
use tower_service::Service;

use crate::scripted::Scripted;

/// A server that takes a request each time that its gate is opened.
#[derive(Clone)]
pub(crate) struct Slow {
    server: Scripted,
    gate: Arc<Notify>,
}

impl Slow {
    pub(crate) fn new(server: Scripted, gate: &Arc<Notify>) -> Self {
        Self { server, gate: Arc::clone(gate) }
    }
}

impl Service<Request<Full<Bytes>>> for Slow {
    type Response = Response<Full<Bytes>>;
    type Error = std::convert::Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Full<Bytes>>) -> Self::Future {
        let Self { mut server, gate } = self.clone();
        Box::pin(async move {
            gate.notified().await;
            server.call(request).await
        })
    }
}
