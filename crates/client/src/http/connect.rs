//! Connections to one server.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tower_service::Service;

use super::{Body, Turn};
use crate::credentials::BoxFuture;
use crate::error::{Error, Result, Source};

/// Connections to one server.
pub(crate) struct Connection(Kind);

enum Kind {
    Hyper(Client<HttpConnector, Full<Bytes>>),
    Service(Box<dyn Fn(Request<Full<Bytes>>) -> BoxFuture<'static, Result<Response<Body>, Source>> + Send + Sync>),
}

impl Connection {
    pub(crate) fn new() -> Self {
        Self(Kind::Hyper(Client::builder(TokioExecutor::new()).build_http()))
    }

    /// A service in this process.
    pub(crate) fn service<S, B>(service: S) -> Self
    where
        S: Service<Request<Full<Bytes>>, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Future: Send,
        S::Error: Into<Source>,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Source>,
    {
        Self(Kind::Service(Box::new(move |request| {
            let mut service = service.clone();
            Box::pin(async move {
                std::future::poll_fn(|cx| service.poll_ready(cx)).await.map_err(Into::into)?;
                let response = service.call(request).await.map_err(Into::into)?;
                Ok(response.map(|body| Body::Boxed(body.map_err(Into::into).boxed_unsync())))
            })
        })))
    }

    pub(crate) async fn send(&self, request: Request<Full<Bytes>>, _turn: Turn) -> Result<Response<Body>> {
        match &self.0 {
            Kind::Hyper(client) => {
                let origin = request.uri().to_string();
                let response = client.request(request).await.map_err(|error| match error.is_connect() {
                    true => Error::unreachable(origin, error),
                    false => Error::lost(error),
                })?;
                Ok(response.map(Body::Incoming))
            }
            Kind::Service(call) => call(request).await.map_err(Error::lost),
        }
    }
}
