//! The server as a tower service over HTTP.
//!
//! Spec: basic/transports/streamable-http.

mod body;
mod exchange;
mod respond;

use std::cell::OnceCell;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use anypod_proto::admit::{Admitted, Carrier, admit, check_name};
use anypod_proto::header::{Headers, plain};
use anypod_proto::method::Method;
use anypod_proto::reject::{Refused, Rejection};
use anypod_proto::request::Request;
use bytes::Buf;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::request::Parts;
use http::{Extensions, HeaderMap, Response, StatusCode};

pub use body::Body;
pub(crate) use exchange::{Doing, Exchange, Finished, Modern};
pub(crate) use respond::{empty, failure, json, refused, sse};

use crate::completed;
use crate::cx::Client;
use crate::dispatch::{Call, Resume, Started};
use crate::front;
use crate::listen::Listening;
use crate::load::{Permit, What};
use crate::outbox::Outbox;
use crate::server::Server;
use crate::telemetry;

/// What the MCP endpoint takes. Legacy clients open streams with GET and close sessions with DELETE.
const ALLOWED: &str = "GET, POST, DELETE";

impl<B> tower_service::Service<http::Request<B>> for Server
where
    B: http_body::Body + Send + 'static,
    B::Data: Buf + Send,
    B::Error: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // A full server answers 503 at once; a queue in front of it would only hide that.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let server = self.clone();
        Box::pin(async move { Ok(answer(&server, request).await) })
    }
}

/// What the client accepts. JSON it has to; without event streams it gets no notifications.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepts {
    /// JSON only.
    Json,
    /// JSON and event streams.
    Streams,
}

impl Accepts {
    /// What the headers of a POST say. Clients must list both media types; one that lists nothing takes anything, as
    /// HTTP has it.
    ///
    /// # Errors
    /// If JSON is not among what the client accepts.
    pub fn of(headers: &dyn Headers) -> Result<Self, Rejection> {
        match accepted(headers) {
            (true, true) => Ok(Self::Streams),
            (true, false) => Ok(Self::Json),
            (false, _) => Err(Rejection::NotAcceptable("application/json and text/event-stream")),
        }
    }
}

async fn answer<B>(server: &Server, request: http::Request<B>) -> Response<Body>
where
    B: http_body::Body,
    B::Data: Buf,
{
    let (head, body) = request.into_parts();
    // A pod calls another by an address that need not be among the allowed hosts; its seal is what counts,
    // and no web page can make one.
    if front::is_hop(&head.method, &head.headers) {
        return hop(server, &head, body).await.unwrap_or_else(|rejection| failure(&rejection));
    }
    if let Err(rejection) = server.inner.guard.check(&head.headers, &head.uri) {
        return failure(&rejection);
    }
    match head.method {
        http::Method::POST => post(server, head, body).await.unwrap_or_else(|rejection| failure(&rejection)),
        http::Method::GET => front::get(server, head).await.unwrap_or_else(|rejection| failure(&rejection)),
        http::Method::DELETE => front::delete(server, &head).await.unwrap_or_else(|rejection| failure(&rejection)),
        _ => failure(&Rejection::HttpMethod(ALLOWED)),
    }
}

async fn post<B>(server: &Server, head: Parts, body: B) -> Result<Response<Body>, Rejection>
where
    B: http_body::Body,
    B::Data: Buf,
{
    check_media_type(&head.headers)?;
    let accepts = Accepts::of(&head.headers)?;
    let permit = server.inner.load.enter(What::Request)?;
    let body = body::read(&server.inner.limits(), &head.headers, body).await?;
    Ok(match admitted(server, &head.headers, body) {
        Ok(message) => message_of(server, &head.headers, head.extensions, accepts, message, permit).await,
        Err(reason) => refused(&reason),
    })
}

async fn message_of(
    server: &Server,
    headers: &dyn Headers,
    extensions: Extensions,
    accepts: Accepts,
    message: Admitted,
    permit: Permit,
) -> Response<Body> {
    match message {
        Admitted::Request(request) if request.method() == Some(Method::SubscriptionsListen) => {
            drop(permit);
            listen(server, accepts, &request, extensions).await
        }
        Admitted::Request(request) => match named(server, headers, &request) {
            Ok(()) => modern(server, accepts, request, extensions, permit).await,
            Err(rejection) => refused(&Refused { id: Some(request.id().to_owned()), rejection }),
        },
        // This revision defines no notifications over HTTP; unknown ones are no error.
        Admitted::Notice(_) => empty(StatusCode::ACCEPTED),
        Admitted::Legacy(message) => front::post(server, headers, extensions, accepts, message, permit).await,
        // In a box, so that the many requests that are no batch do not carry the room for one.
        Admitted::LegacyBatch(messages) => {
            Box::pin(front::post_batch(server, headers, extensions, accepts, messages, permit)).await
        }
    }
}

impl Server {
    /// Answers a message that was posted with these headers and has been admitted already, `Host` and `Origin` checked, for who
    /// reads messages before the server does. `permit` is the request's place, of [`Server::enter_request`].
    pub async fn answer_admitted(
        &self,
        headers: &dyn Headers,
        extensions: Extensions,
        message: Admitted,
        permit: Permit,
    ) -> Response<Body> {
        match Accepts::of(headers) {
            Ok(accepts) => message_of(self, headers, extensions, accepts, message, permit).await,
            Err(rejection) => failure(&rejection),
        }
    }

    /// Takes `url` for where other pods reach this one, unless something else was advertised.
    pub fn is_reached_at(&self, url: &str) {
        self.inner.front.is_reached_by(url);
    }
}

/// Admits what was posted. Which arguments a tool wants mirrored, the server knows, or its backend.
fn admitted(server: &Server, headers: &HeaderMap, body: Vec<u8>) -> Result<Admitted, Refused> {
    let tools = &server.inner.registry.tools;
    let from_backend = OnceCell::new();
    admit(Carrier::Http(headers), body, |name| match &server.inner.backend {
        None => tools.get(name).map(|tool| tool.input.params()),
        Some(backend) => {
            let params = backend.param_headers(name)?;
            Some(&**from_backend.get_or_init(|| params))
        }
    })
}

/// Holds `Mcp-Name` against what a method of an extension is about.
fn named(server: &Server, headers: &dyn Headers, request: &Request) -> Result<(), Rejection> {
    if request.method().is_some() {
        return Ok(());
    }
    let method = server.inner.registry.extensions.methods.get(&*request.method_name());
    match method.and_then(|method| method.name_param) {
        Some(member) => check_name(headers, request, member),
        None => Ok(()),
    }
}

async fn hop<B>(server: &Server, head: &Parts, body: B) -> Result<Response<Body>, Rejection>
where
    B: http_body::Body,
    B::Data: Buf,
{
    let _permit = server.inner.load.enter(What::Request)?;
    let body = body::read(&server.inner.limits(), &head.headers, body).await?;
    Ok(front::hop::receive(server, &head.headers, &body).await)
}

async fn modern(
    server: &Server,
    accepts: Accepts,
    request: Request,
    extensions: Extensions,
    permit: Permit,
) -> Response<Body> {
    let span = telemetry::span(&request, telemetry::Transport::Http);
    let request = Arc::new(request);
    let outbox = Arc::new(Outbox::new(server.inner.limits().outbox_messages));
    let principal = extensions.get().cloned();
    let extensions = server.inner.backend.is_some().then(|| Arc::new(extensions));
    let started = Resume::of(&request).map_err(Into::into).and_then(|resume| {
        let _entered = span.enter();
        server.start(Call {
            request: Arc::clone(&request),
            client: Client::Modern,
            principal,
            outbox: Arc::clone(&outbox),
            resume,
            line: None,
            extensions,
        })
    });
    let run = match started {
        Ok(Started::Done(done)) => return json(completed::Response::result(server, request.id(), done)),
        Ok(Started::Running(run)) => run,
        Err(reason) => {
            telemetry::failed(&span, &reason);
            return json(completed::Response::failure(Some(request.id()), &reason));
        }
    };
    let doing = Doing::Modern(Modern::new(server.clone(), run));
    Exchange::new(doing, outbox, Some(permit), span, &server.inner.limits()).respond(accepts).await
}

async fn listen(server: &Server, accepts: Accepts, request: &Request, extensions: Extensions) -> Response<Body> {
    let opened = match accepts {
        Accepts::Json => Err(Rejection::NotAcceptable("text/event-stream").into()),
        Accepts::Streams => Listening::open(server, request, extensions).await,
    };
    match opened {
        Ok(listening) => sse(Body::listening(listening, &server.inner.limits())),
        Err(failure) => json(completed::Response::failure(Some(request.id()), &failure)),
    }
}

fn check_media_type(headers: &HeaderMap) -> Result<(), Rejection> {
    let declared = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = declared.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") { Ok(()) } else { Err(Rejection::MediaType) }
}

/// Whether the client accepts an event stream; for requests whose answer can be nothing else.
pub(crate) fn accepts_streams(headers: &HeaderMap) -> bool {
    accepted(headers).1
}

/// What clients accept as a rule, as the specification writes it. To take that apart takes longer than to know it.
const USUAL: &str = "application/json, text/event-stream";

/// JSON, and event streams.
fn accepted(headers: &dyn Headers) -> (bool, bool) {
    let mut anything = true;
    let (mut json, mut streams) = (false, false);
    headers.each(&ACCEPT, &mut |value| {
        anything = false;
        if value == USUAL.as_bytes() {
            (json, streams) = (true, true);
            return;
        }
        for range in plain(value).unwrap_or_default().split(',') {
            let essence = range.split(';').next().unwrap_or_default().trim();
            let is = |name: &str| essence.eq_ignore_ascii_case(name);
            json |= is("application/json") || is("application/*") || is("*/*");
            streams |= is("text/event-stream") || is("text/*") || is("*/*");
        }
    });
    (anything || json, anything || streams)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(value: Option<&str>) -> Result<Accepts, Rejection> {
        let mut headers = HeaderMap::new();
        if let Some(value) = value {
            headers.insert(ACCEPT, value.parse().unwrap());
        }
        Accepts::of(&headers)
    }

    #[test]
    fn reads_what_a_client_accepts() {
        for both in [
            None,
            Some("application/json, text/event-stream"),
            Some("*/*"),
            Some("application/json, text/event-stream;q=0.9"),
            Some("Application/*,TEXT/*"),
        ] {
            assert_eq!(accepted(both), Ok(Accepts::Streams), "{both:?}");
        }
        assert_eq!(accepted(Some("application/json")), Ok(Accepts::Json));
        assert!(accepted(Some("text/event-stream")).is_err());
        assert!(accepted(Some("text/html")).is_err());
    }
}
