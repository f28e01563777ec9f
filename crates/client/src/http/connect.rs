//! Connections to one server: kept, counted, and made when needed; or a service in this process in their place.
//!
//! The connections themselves are hyper's, and so is their pool. What is ours is the way to a server ([`dial`]), the
//! bound on connections ([`places`]), and the question that matters after a failure: whether the request was sent.

mod dial;
mod failure;
mod places;
mod proxy;
mod settings;
mod socket;
mod target;
#[cfg(test)]
mod tests;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HOST, PROXY_AUTHORIZATION};
use http::{HeaderValue, Request, Response};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tower_service::Service;

use super::{Body, Turn};
use crate::credentials::BoxFuture;
use crate::error::{Error, Result, Source};
use crate::limits::Limits;

use dial::Connector;
use places::Places;
use proxy::Route;

pub use failure::is_refused;
pub(crate) use places::Place;
pub(crate) use settings::Settings;
pub use settings::{HttpVersion, Proxy, Tls};
pub(crate) use target::Target;

/// The smallest buffer that hyper reads a header section into, in bytes.
const HEADER_BYTES: usize = 8 << 10;
/// What a server may send of one response that nobody reads, and of all of them over one connection, in bytes. A
/// server lets 100 to 250 requests run at once: as many streams may stall before they stop the others.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 64 << 20;
/// How often the server of an HTTP/2 connection with requests under way is asked whether it is still there, and how
/// long it may take to say so.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_DEADLINE: Duration = Duration::from_secs(20);

/// Connections to one server.
pub(crate) struct Connection(Kind);

enum Kind {
    Network(Box<Network>),
    Service(Box<Call>),
}

/// Calls a service.
type Call = dyn Fn(Request<Full<Bytes>>) -> BoxFuture<'static, Result<Response<Body>>> + Send + Sync;

struct Network {
    client: Client<Connector, Full<Bytes>>,
    places: Arc<Places>,
    origin: String,
    /// `Host`, where HTTP/1.1 is certain, so that it need not be made for every request.
    host: Option<HeaderValue>,
    /// `Proxy-Authorization`, for a proxy that reads the requests.
    authorization: Option<HeaderValue>,
    header_bytes: usize,
}

/// A service that is called in this process, in place of a server behind a URL: any `tower` service of whole bodies that can be
/// cloned, such as a `Server`. There is nothing to implement: whatever fits is one.
pub trait InProcess:
    Service<Request<Full<Bytes>>, Response = Response<<Self as InProcess>::Body>, Future: Send, Error: Into<Source>>
    + Clone
    + Send
    + Sync
    + 'static
{
    /// The body of its answers.
    type Body: http_body::Body<Data = Bytes, Error: Into<Source>> + Send + 'static;
}

impl<S, B> InProcess for S
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>, Future: Send, Error: Into<Source>>,
    S: Clone + Send + Sync + 'static,
    B: http_body::Body<Data = Bytes, Error: Into<Source>> + Send + 'static,
{
    type Body = B;
}

impl Connection {
    /// Connections to `target`. The first is made when there is a request for it.
    ///
    /// # Errors
    /// [`Error::Misuse`] if `settings` name no proxy or certificates that cannot be read, or `https` finds no authorities
    /// to trust.
    pub(crate) fn new(target: &Target, settings: &Settings, limits: &Limits) -> Result<Self> {
        let route = proxy::route(&settings.proxy, target, settings.version)?;
        let authorization = match &route {
            Route::Forward(via) => via.authorization.clone(),
            Route::Direct | Route::Tunnel(_) | Route::Socks { .. } => None,
        };
        let (places, host) = match (settings.version, target.is_https()) {
            (HttpVersion::Http2, _) => (Places::http2(), None),
            (HttpVersion::Negotiated, true) => (Places::unknown(limits.connections), None),
            (HttpVersion::Http1, true) => (Places::http1(limits.connections), None),
            (HttpVersion::Negotiated | HttpVersion::Http1, false) => (Places::http1(limits.connections), host(target)),
        };
        let places = Arc::new(places);
        let connector = Connector::new(target, route, settings, limits.connect_deadline, Arc::clone(&places))?;
        let client = client(connector, settings.version, limits);
        let header_bytes = limits.header_bytes.max(HEADER_BYTES);
        let network = Network { client, places, origin: target.origin(), host, authorization, header_bytes };
        Ok(Self(Kind::Network(Box::new(network))))
    }

    /// A service in this process.
    pub(crate) fn service(service: impl InProcess) -> Self {
        Self(Kind::Service(Box::new(move |request| {
            let mut service = service.clone();
            Box::pin(async move {
                let ready = std::future::poll_fn(|cx| service.poll_ready(cx)).await;
                ready.map_err(|error| Error::unreachable("the service in this process", error))?;
                let response = service.call(request).await.map_err(Error::lost)?;
                Ok(response.map(Body::boxed))
            })
        })))
    }

    /// Sends a request, and waits for the head of its answer. Dropping the future cancels the request.
    ///
    /// # Errors
    /// [`Error::Unreachable`] if it certainly did not run; [`crate::Broken::TooMuch`] if the answer's header section is
    /// longer than [`Limits::header_bytes`]; else [`Error::Lost`].
    pub(crate) async fn send(&self, request: Request<Full<Bytes>>, turn: Turn) -> Result<Response<Body>> {
        match &self.0 {
            Kind::Network(network) => network.send(request, turn).await,
            Kind::Service(call) => call(request).await,
        }
    }
}

impl Network {
    async fn send(&self, mut request: Request<Full<Bytes>>, turn: Turn) -> Result<Response<Body>> {
        if let Some(host) = &self.host {
            request.headers_mut().entry(HOST).or_insert_with(|| host.clone());
        }
        if let Some(authorization) = &self.authorization {
            request.headers_mut().insert(PROXY_AUTHORIZATION, authorization.clone());
        }
        let place = match turn {
            Turn::Waits => self.places.take().await,
            Turn::Now => None,
        };
        match self.client.request(request).await {
            Ok(response) => Ok(response.map(|body| Body::incoming(body, place))),
            Err(error) => Err(failure::sort(error, &self.origin, self.header_bytes)),
        }
    }
}

fn client(connector: Connector, version: HttpVersion, limits: &Limits) -> Client<Connector, Full<Bytes>> {
    Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(limits.idle_deadline)
        .pool_max_idle_per_host(limits.connections.max(1))
        // Only what was given back unsent, and only on a connection that served before.
        .retry_canceled_requests(true)
        .http1_max_buf_size(limits.header_bytes.max(HEADER_BYTES))
        .http2_only(version == HttpVersion::Http2)
        .http2_max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
        .http2_initial_stream_window_size(STREAM_WINDOW)
        .http2_initial_connection_window_size(CONNECTION_WINDOW)
        .http2_keep_alive_interval(PING_INTERVAL)
        .http2_keep_alive_timeout(PING_DEADLINE)
        .build(connector)
}

/// `Host` for requests to `target`. Without a port where it is the scheme's own. Spec: RFC 9110, section 7.2.
fn host(target: &Target) -> Option<HeaderValue> {
    let authority = target.uri().authority()?;
    let text = match authority.port_u16() {
        Some(80) => authority.host(),
        Some(_) | None => authority.as_str(),
    };
    HeaderValue::from_str(text).ok()
}
