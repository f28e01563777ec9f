//! A call to a modern server over HTTP: one POST, whose headers say what its body says.
//!
//! Spec: basic/transports/streamable-http, "Request Metadata" and "Receiving Messages".

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anypod_proto::header::{self, Found, Headers, METHOD, NAME, PROTOCOL_VERSION};
use anypod_proto::jsonrpc::RequestId;
use anypod_proto::method::{Method as Rpc, Notification};
use anypod_proto::progress::{ProgressNotificationParams, ProgressToken};
use anypod_proto::version::Version;
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Uri};

use super::{Answered, Body, Events, Kind, Turn, Wire, put_media};
use crate::call::{Call, Repeat};
use crate::credentials::{BoxFuture, Challenge};
use crate::endpoint::Sent;
use crate::error::{Broken, Error, Result};
use crate::exchange::{Answer, Exchange, Incoming, Messages, Notice};
use crate::identity::Identity;
use crate::message::Message;
use crate::refusal::Refusal;

/// A modern server behind HTTP.
pub(crate) struct Modern {
    wire: Arc<Wire>,
    ids: AtomicU64,
}

impl Modern {
    /// A modern server behind `wire`.
    pub(crate) const fn new(wire: Arc<Wire>) -> Self {
        Self { wire, ids: AtomicU64::new(1) }
    }

    pub(crate) const fn wire(&self) -> &Arc<Wire> {
        &self.wire
    }

    /// Sends a call. The protocol's own headers take the place of their namesakes among `headers`.
    ///
    /// # Errors
    /// As [`Wire::ask`]; a connection that breaks leaves the outcome unknown, unless the call may be repeated.
    pub(crate) async fn send(&self, call: &Call, identity: &Identity, headers: HeaderMap) -> Result<Sent> {
        let (posted, body) = self.posted(call, identity);
        let sent = self.wire.ask(Method::POST, with_own(headers, call)?, body, Turn::Waits).await;
        let (answered, challenge) = sent.map_err(|error| broke(error, call.repeat))?;
        self.judged(posted, answered, challenge).await
    }

    /// The request that sends a call, for who sends it by other means; none where it takes more than to send one request.
    ///
    /// # Errors
    /// If the call has something in it that no header can say.
    pub(crate) fn request(&self, call: &Call, identity: &Identity, headers: &HeaderMap) -> Result<Option<Ready>> {
        let Some(uri) = self.wire.plain_place().filter(|_| !is_endless(call)) else { return Ok(None) };
        let (posted, body) = self.posted(call, identity);
        // The client's, these, the protocol's own.
        let mut all = Vec::with_capacity(self.wire.headers.len() + headers.len() + OWN + call.param_headers.len());
        let clients = self.wire.headers.iter().filter(|(name, _)| !headers.contains_key(*name));
        all.extend(clients.chain(headers.iter()).map(|(name, value)| (name.clone(), value.clone())));
        let mut put = |name, value| {
            all.retain(|(known, _)| *known != name);
            all.push((name, value));
        };
        put_own(call, &mut put)?;
        put_media(&Method::POST, put);
        Ok(Some(Ready { uri, headers: all, body, posted }))
    }

    /// What came of such a request.
    ///
    /// # Errors
    /// As [`Modern::send`].
    pub(crate) async fn came(&self, posted: Posted, response: Response<Body>) -> Result<Sent> {
        let (answered, challenge) = self.wire.answered(response)?;
        self.judged(posted, answered, challenge).await
    }

    /// The same at once, where the answer is a result and `body` all of it. `None` where it is something else.
    pub(crate) fn result(
        &self,
        posted: &Posted,
        status: StatusCode,
        headers: &dyn Headers,
        body: &Bytes,
    ) -> Option<Result<Sent>> {
        let is_usual = status.is_success()
            && Kind::of(headers.text(&CONTENT_TYPE).map(str::as_bytes)) == Kind::Json
            && headers.find(&CONTENT_ENCODING) == Found::Nothing
            && body.len() <= self.wire.limits.body_bytes;
        if !is_usual {
            return None;
        }
        let Ok(Message::Answer(found, answer @ Answer::Result(_))) = Message::read(body) else { return None };
        let checked = check_id(posted.id, found.as_ref(), &answer);
        Some(checked.map(|()| Sent::Exchange(Exchange::answered(answer))).map_err(Error::from))
    }

    /// Gives a call a number, and writes its message.
    fn posted(&self, call: &Call, identity: &Identity) -> (Posted, Bytes) {
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        let body = Bytes::from(call.modern(id, identity));
        (Posted { id, repeat: call.repeat, is_endless: is_endless(call) }, body)
    }

    async fn judged(&self, posted: Posted, answered: Answered, challenge: Option<Box<Challenge>>) -> Result<Sent> {
        let Posted { id, repeat, is_endless } = posted;
        if answered.status.is_success() && answered.kind == Kind::Events {
            // What a subscription tells is as much as its reader takes.
            let limit = if is_endless { usize::MAX } else { self.wire.limits.notifications };
            let stream = Stream { id, events: answered.events(), repeat, left: limit, limit };
            return Ok(Sent::Exchange(Exchange::stream(stream)));
        }
        self.whole(id, answered, challenge, repeat).await
    }

    async fn whole(
        &self,
        id: u64,
        mut answered: Answered,
        challenge: Option<Box<Challenge>>,
        repeat: Repeat,
    ) -> Result<Sent> {
        let (status, kind, headers) = (answered.status, answered.kind.clone(), std::mem::take(&mut answered.headers));
        let body = match kind {
            Kind::Json => answered.whole().await.map_err(|error| broke(error, repeat))?,
            Kind::Events | Kind::Other(_) => answered.beginning().await,
        };
        if status.is_success()
            && kind == Kind::Json
            && let Ok(Message::Answer(found, answer @ Answer::Result(_))) = Message::read(&body)
        {
            check_id(id, found.as_ref(), &answer)?;
            return Ok(Sent::Exchange(Exchange::answered(answer)));
        }
        Ok(Sent::Refused(Refusal { status, headers, body, challenge, kind, id }))
    }
}

/// A call as a request, a `POST`, for who has connections of his own.
#[derive(Debug)]
pub struct Ready {
    /// Where it goes.
    pub uri: Uri,
    /// Its headers, without `Host` and those that say how the body is framed.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Its body, as JSON.
    pub body: Bytes,
    /// What its answer is read by.
    pub posted: Posted,
}

/// A call that was made a request.
#[derive(Debug)]
pub struct Posted {
    id: u64,
    repeat: Repeat,
    is_endless: bool,
}

fn is_endless(call: &Call) -> bool {
    call.known() == Some(Rpc::SubscriptionsListen)
}

/// How many headers a call has at most besides those that mirror arguments.
const OWN: usize = 8;

/// `headers`, and those that say what the body says.
fn with_own(mut headers: HeaderMap, call: &Call) -> Result<HeaderMap> {
    headers.reserve(OWN + call.param_headers.len());
    put_own(call, |name, value| drop(headers.insert(name, value)))?;
    Ok(headers)
}

fn put_own(call: &Call, mut put: impl FnMut(HeaderName, HeaderValue)) -> Result<()> {
    put(PROTOCOL_VERSION, HeaderValue::from_static(Version::LATEST.as_str()));
    let method = match call.known() {
        Some(method) => HeaderValue::from_static(method.as_str()),
        None => value(&call.method)?,
    };
    put(METHOD, method);
    if let Some(name) = &call.name {
        put(NAME, value(name)?);
    }
    for (name, value) in &call.param_headers {
        put(name.clone(), value.clone());
    }
    Ok(())
}

fn value(text: &str) -> Result<HeaderValue> {
    HeaderValue::from_str(&header::encode_value(text)).map_err(|error| Error::Misuse(error.to_string()))
}

/// A connection that broke once the request was out.
pub(crate) fn broke(error: Error, repeat: Repeat) -> Error {
    match (error, repeat) {
        (Error::Lost { source }, Repeat::Never) => Error::OutcomeUnknown { source },
        (error, _) => error,
    }
}

/// An answer must be that of the request. An error may come without an id, if the server could not read it.
pub(crate) fn check_id(expected: u64, found: Option<&RequestId>, answer: &Answer) -> Result<(), Broken> {
    let same = match (found, answer) {
        (Some(RequestId::Integer(found)), _) => u64::try_from(*found) == Ok(expected),
        (Some(RequestId::String(_)), _) | (None, Answer::Result(_)) => false,
        (None, Answer::Error(_)) => true,
    };
    match same {
        true => Ok(()),
        false => Err(Broken::WrongId {
            expected: expected.to_string(),
            found: found.map_or_else(|| "none".to_owned(), ToString::to_string),
        }),
    }
}

/// Spec: basic/patterns/progress: only of the token of an active request, which is the request's id here.
fn is_progress_of_another(notice: &Notice, id: u64) -> bool {
    Notification::parse(&notice.method) == Some(Notification::Progress)
        && notice.params.read::<ProgressNotificationParams>().is_ok_and(|params| match params.progress_token {
            ProgressToken::Integer(token) => u64::try_from(token) != Ok(id),
            ProgressToken::String(_) => true,
        })
}

/// The messages of one stream.
struct Stream {
    id: u64,
    events: Events,
    repeat: Repeat,
    left: usize,
    limit: usize,
}

impl Stream {
    async fn read(&mut self) -> Result<Incoming> {
        loop {
            let Some(event) = self.events.next().await? else { return Err(Error::lost(Broken::NoAnswer)) };
            // Spec: HTML, "Event stream interpretation": events of other types are not for us.
            if event.data.is_empty() || event.event.as_deref().is_some_and(|kind| kind != "message") {
                continue;
            }
            match Message::read(&Bytes::from(event.data))? {
                Message::Answer(found, answer) => {
                    check_id(self.id, found.as_ref(), &answer)?;
                    return Ok(Incoming::Answer(answer));
                }
                Message::Notice(notice) => {
                    self.left = self
                        .left
                        .checked_sub(1)
                        .ok_or(Broken::TooMuch { what: "notifications for one request", limit: self.limit })?;
                    if !is_progress_of_another(&notice, self.id) {
                        return Ok(Incoming::Notice(notice));
                    }
                }
                Message::Request { method, .. } => return Err(Broken::UnexpectedRequest(method).into()),
            }
        }
    }
}

impl Messages for Stream {
    fn next(&mut self) -> BoxFuture<'_, Result<Incoming>> {
        Box::pin(async move {
            let repeat = self.repeat;
            self.read().await.map_err(|error| broke(error, repeat))
        })
    }
}
