//! HTTP towards one server: requests with the client's headers, answers within its bounds.
//!
//! This much both eras share. What a modern server is sent stands in [`modern`], the rest in [`crate::legacy`].
//! Spec: basic/transports/streamable-http.

pub(crate) mod body;
pub(crate) mod connect;
pub(crate) mod events;
pub(crate) mod modern;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, LOCATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::Full;

use crate::credentials::{Challenge, Credentials};
use crate::error::{Broken, Error, Result};
use crate::limits::Limits;
use crate::observe::Observe;

pub(crate) use body::Body;
pub(crate) use connect::Connection;
pub(crate) use events::Events;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const JSON_OR_EVENTS: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");
/// How often one request asks for other credentials.
const CHALLENGES: usize = 3;
/// How much of a foreign body is read, in bytes.
const BEGINNING: usize = 16 << 10;
/// How much of a foreign error page is shown, in characters.
const EXCERPT: usize = 200;

/// Whether a request waits for its turn where connections are scarce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It waits until one of [`Limits::connections`] is free.
    Waits,
    /// It goes at once: what others wait for, such as a cancellation or an answer.
    Now,
}

/// HTTP towards one server.
pub(crate) struct Wire {
    uri: Uri,
    connection: Connection,
    headers: HeaderMap,
    credentials: Option<Arc<dyn Credentials>>,
    observer: Option<Arc<dyn Observe>>,
    limits: Arc<Limits>,
    numbers: AtomicU64,
    moved: std::sync::Mutex<Option<Uri>>,
}

/// What an answer is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One JSON value.
    Json,
    /// A stream of events.
    Events,
    /// Something else, or nothing: its content type.
    Other(String),
}

/// An answer whose body has not been read.
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) kind: Kind,
    body: Body,
    watch: Option<Watch>,
    bounds: Bounds,
}

/// What holds for the body of an answer, of [`Limits`].
#[derive(Clone, Copy)]
struct Bounds {
    body: usize,
    event: usize,
    silence: Duration,
}

impl Wire {
    /// HTTP towards `uri`.
    pub(crate) fn new(uri: Uri, connection: Connection, settings: Settings, limits: Arc<Limits>) -> Self {
        let Settings { headers, credentials, observer } = settings;
        Self {
            uri,
            connection,
            headers,
            credentials,
            observer,
            limits,
            numbers: AtomicU64::new(1),
            moved: std::sync::Mutex::new(None),
        }
    }

    /// Whether requests carry credentials.
    pub(crate) fn has_credentials(&self) -> bool {
        self.credentials.is_some() || self.headers.contains_key(AUTHORIZATION)
    }

    /// Sends a request, with credentials where they are wanted, and follows it where it is sent.
    ///
    /// # Errors
    /// [`Error::Unreachable`] if it was not sent, [`Error::Lost`] if the connection broke, [`Error::Unauthorized`], or
    /// how the server broke the protocol. Other statuses are for the caller to judge.
    pub(crate) async fn request(
        &self,
        method: Method,
        headers: HeaderMap,
        body: Bytes,
        turn: Turn,
    ) -> Result<Answered> {
        match self.ask(method, headers, body, turn).await? {
            (_, Some(challenge)) => Err(Error::Unauthorized(challenge)),
            (answered, None) => Ok(answered),
        }
    }

    /// Sends a request as [`Wire::request`] does, for who passes on an answer that wants credentials too: it comes with its
    /// challenge.
    ///
    /// # Errors
    /// As [`Wire::request`], but for [`Error::Unauthorized`].
    pub(crate) async fn ask(
        &self,
        method: Method,
        headers: HeaderMap,
        body: Bytes,
        turn: Turn,
    ) -> Result<(Answered, Option<Box<Challenge>>)> {
        let mut headers = self.with_own(headers);
        put_media(&method, |name, value| drop(headers.insert(name, value)));
        let mut challenges = 0;
        loop {
            let answered = self.follow(&method, &headers, &body, turn).await?;
            let Some(challenge) = self.challenge(&answered).map(Box::new) else { return Ok((answered, None)) };
            let Some(credentials) = self.credentials.as_ref().filter(|_| challenges < CHALLENGES) else {
                return Ok((answered, Some(challenge)));
            };
            challenges += 1;
            if !credentials.challenged(&challenge).await.map_err(Error::Answerer)? {
                return Ok((answered, Some(challenge)));
            }
        }
    }

    /// Where a request goes that nothing has to be done for but to send it: without credentials to be asked for, an observer
    /// to be told, or another place that the server has named.
    fn plain_place(&self) -> Option<Uri> {
        let is_plain = self.credentials.is_none() && self.observer.is_none();
        is_plain.then(|| self.place()).filter(|place| *place == self.uri)
    }

    /// An answer that has come by other means, and its challenge, if it is one.
    fn answered(&self, response: http::Response<Body>) -> Result<(Answered, Option<Box<Challenge>>)> {
        let answered = Answered::new(response, None, &self.limits)?;
        let challenge = self.challenge(&answered).map(Box::new);
        Ok((answered, challenge))
    }

    /// The headers that every request has, and these, which take the place of their namesakes.
    fn with_own(&self, headers: HeaderMap) -> HeaderMap {
        if self.headers.is_empty() {
            return headers;
        }
        let mut all = self.headers.clone();
        all.extend(headers);
        all
    }

    /// 401, and 403 with a challenge, are about credentials. A 403 without one is an answer like others.
    fn challenge(&self, answered: &Answered) -> Option<Challenge> {
        const MOST: usize = 8;
        const LONGEST: usize = 4096;
        let values = answered.headers.get_all(WWW_AUTHENTICATE);
        let www_authenticate: Vec<_> = values
            .iter()
            .filter_map(|value| value.to_str().ok().filter(|text| text.len() <= LONGEST))
            .take(MOST)
            .map(str::to_owned)
            .collect();
        let wanted = match answered.status {
            StatusCode::UNAUTHORIZED => true,
            StatusCode::FORBIDDEN => !www_authenticate.is_empty(),
            _ => false,
        };
        wanted.then(|| Challenge::new(answered.status, www_authenticate, self.uri.to_string()))
    }

    async fn follow(&self, method: &Method, headers: &HeaderMap, body: &Bytes, turn: Turn) -> Result<Answered> {
        let mut uri = self.place();
        for _ in 0..=self.limits.redirects {
            let answered = self.once(&uri, method, headers, body, turn).await?;
            match redirect(&uri, &answered)? {
                None => return Ok(answered),
                Some((target, permanent)) => {
                    if permanent {
                        *self.moved.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(target.clone());
                    }
                    uri = target;
                }
            }
        }
        Err(Broken::TooMuch { what: "redirects", limit: self.limits.redirects }.into())
    }

    /// Where the server is: where it was configured, or where it has said for good that it is.
    fn place(&self) -> Uri {
        let moved = self.moved.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        moved.as_ref().unwrap_or(&self.uri).clone()
    }

    async fn once(
        &self,
        uri: &Uri,
        method: &Method,
        headers: &HeaderMap,
        body: &Bytes,
        turn: Turn,
    ) -> Result<Answered> {
        let mut request = Request::new(Full::new(body.clone()));
        *request.method_mut() = method.clone();
        *request.uri_mut() = uri.clone();
        *request.headers_mut() = headers.clone();
        if let Some(credentials) = &self.credentials
            && let Some(value) = credentials.authorization().await.map_err(Error::Answerer)?
        {
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        let watch = self.observer.as_ref().map(|observer| {
            let number = self.numbers.fetch_add(1, Ordering::Relaxed);
            let (parts, _) = request.clone().into_parts();
            observer.request(number, &parts, body);
            Watch { observer: Arc::clone(observer), number }
        });
        let response = self.connection.send(request, turn).await?;
        Answered::new(response, watch, &self.limits)
    }
}

/// What a request is made of, and its answer may be.
fn put_media(method: &Method, mut put: impl FnMut(HeaderName, HeaderValue)) {
    put(ACCEPT, if method == Method::GET { EVENTS } else { JSON_OR_EVENTS });
    if method == Method::POST {
        put(CONTENT_TYPE, JSON);
    }
}

/// What is the same for every request to a server.
#[derive(Clone, Default)]
pub(crate) struct Settings {
    pub(crate) headers: HeaderMap,
    pub(crate) credentials: Option<Arc<dyn Credentials>>,
    pub(crate) observer: Option<Arc<dyn Observe>>,
}

/// An observer, and under which number it knows this request.
#[derive(Clone)]
pub(crate) struct Watch {
    observer: Arc<dyn Observe>,
    number: u64,
}

impl Watch {
    pub(crate) fn received(&self, text: &[u8]) {
        self.observer.received(self.number, text);
    }
}

impl Answered {
    fn new(response: http::Response<Body>, watch: Option<Watch>, limits: &Limits) -> Result<Self> {
        let (parts, body) = response.into_parts();
        if let Some(watch) = &watch {
            watch.observer.response(watch.number, &parts);
        }
        if let Some(encoding) = parts.headers.get(CONTENT_ENCODING)
            && !encoding.as_bytes().eq_ignore_ascii_case(b"identity")
        {
            return Err(Broken::ContentEncoding(printable(encoding.as_bytes())).into());
        }
        let kind = Kind::of(parts.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes));
        let bounds = Bounds { body: limits.body_bytes, event: limits.event_bytes, silence: limits.silence_deadline };
        Ok(Self { status: parts.status, headers: parts.headers, kind, body, watch, bounds })
    }

    /// The whole body.
    ///
    /// # Errors
    /// If it is longer than [`Limits::body_bytes`], or the connection breaks.
    pub(crate) async fn whole(self) -> Result<Bytes> {
        let body = self.body.whole(self.bounds.body).await?;
        if let Some(watch) = self.watch {
            watch.received(&body);
        }
        Ok(body)
    }

    /// The body as a stream of events.
    pub(crate) fn events(self) -> Events {
        Events::new(self.body, self.bounds.event, self.bounds.silence, self.watch)
    }

    /// At most the beginning of the body, which is about something else.
    pub(crate) async fn beginning(self) -> Bytes {
        let text = Bytes::from(self.body.beginning(BEGINNING).await);
        if let Some(watch) = self.watch {
            watch.received(&text);
        }
        text
    }

    /// An answer that is no message of the protocol, as an error.
    pub(crate) async fn refused(self) -> Error {
        let (status, retry_after) = (self.status, self.retry_after());
        Error::Refused { status, excerpt: printable(&self.beginning().await), retry_after }
    }

    /// `Retry-After` in seconds; a date is as good as none.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        crate::refusal::seconds(&self.headers)
    }
}

impl Kind {
    fn of(value: Option<&[u8]>) -> Self {
        let Some(value) = value else { return Self::Other(String::new()) };
        let essence = value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        if essence.eq_ignore_ascii_case(b"application/json") {
            Self::Json
        } else if essence.eq_ignore_ascii_case(b"text/event-stream") {
            Self::Events
        } else {
            Self::Other(printable(value))
        }
    }
}

/// Where an answer sends the request, and whether for good. Only to the same origin, so that neither credentials nor
/// arguments leave it, and only with 307 and 308, which keep method and body.
fn redirect(from: &Uri, answered: &Answered) -> Result<Option<(Uri, bool)>> {
    if !answered.status.is_redirection() || answered.status == StatusCode::NOT_MODIFIED {
        return Ok(None);
    }
    let location = answered.headers.get(LOCATION).map(HeaderValue::as_bytes).unwrap_or_default();
    let refused = || Error::from(Broken::Redirect(printable(location)));
    let permanent = match answered.status {
        StatusCode::TEMPORARY_REDIRECT => false,
        StatusCode::PERMANENT_REDIRECT => true,
        _ => return Err(refused()),
    };
    let target = std::str::from_utf8(location).ok().and_then(|location| resolve(from, location));
    target.map(|target| Some((target, permanent))).ok_or_else(refused)
}

/// `location` as seen from `from`, if it is of the same origin.
fn resolve(from: &Uri, location: &str) -> Option<Uri> {
    if location.starts_with('/') && !location.starts_with("//") {
        let mut parts = from.clone().into_parts();
        parts.path_and_query = Some(location.parse().ok()?);
        return Uri::from_parts(parts).ok();
    }
    let target: Uri = location.parse().ok()?;
    let port = |uri: &Uri| uri.port_u16().or(if uri.scheme_str() == Some("https") { Some(443) } else { Some(80) });
    let same = target.scheme() == from.scheme()
        && target.host().zip(from.host()).is_some_and(|(a, b)| a.eq_ignore_ascii_case(b))
        && port(&target) == port(from);
    same.then_some(target)
}

/// The beginning of a foreign text, fit to be shown.
pub(crate) fn printable(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let text = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(EXCERPT).collect::<String>();
    text.trim().to_owned()
}
