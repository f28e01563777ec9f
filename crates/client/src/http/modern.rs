//! A call to a modern server over HTTP: one POST, whose headers say what its body says.
//!
//! Spec: basic/transports/streamable-http, "Request Metadata" and "Receiving Messages".

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anypod_proto::header::{self, METHOD, NAME, PROTOCOL_VERSION};
use anypod_proto::jsonrpc::RequestId;
use anypod_proto::method::{Method as Rpc, Notification};
use anypod_proto::progress::{ProgressNotificationParams, ProgressToken};
use anypod_proto::version::Version;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};

use super::{Answered, Events, Kind, Turn, Wire, printable};
use crate::call::{Call, Repeat};
use crate::credentials::BoxFuture;
use crate::error::{Broken, Error, Result};
use crate::exchange::{Answer, Exchange, Incoming, Messages, Notice};
use crate::identity::Identity;
use crate::message::Message;

/// A modern server behind HTTP.
pub(crate) struct Modern {
    wire: Arc<Wire>,
    identity: Arc<Identity>,
    ids: AtomicU64,
}

/// What came of a modern request: an exchange, or an answer that may come from a server of the other era.
pub(crate) enum Outcome {
    /// A server of this protocol goes on.
    Exchange(Exchange),
    /// Plain HTTP: to be judged by [`crate::era`].
    Refused(Refusal),
}

/// An answer that says no.
pub(crate) struct Refusal {
    /// The answer's head.
    pub(crate) status: http::StatusCode,
    /// The content type.
    pub(crate) kind: Kind,
    /// The body, as far as it is needed.
    pub(crate) body: Bytes,
    /// The id of the request that it answers.
    pub(crate) id: u64,
    /// What its `Retry-After` said.
    pub(crate) retry_after: Option<Duration>,
}

impl Refusal {
    /// The refusal as the error that it is, if nobody falls back.
    pub(crate) fn into_error(self) -> Error {
        let read = Message::read(&self.body);
        if let Ok(Message::Answer(found, answer @ Answer::Error(error))) = &read {
            let checked = check_id(self.id, found.as_ref(), answer);
            return match checked {
                Err(broken) if self.status.is_success() => broken.into(),
                Ok(()) | Err(_) => Error::Answered(error.clone()),
            };
        }
        if !self.status.is_success() {
            let excerpt = printable(&self.body);
            return Error::Refused { status: self.status, excerpt, retry_after: self.retry_after };
        }
        match (self.kind, read) {
            (Kind::Other(kind), _) => Broken::ContentType(kind).into(),
            (Kind::Json | Kind::Events, Err(broken)) => broken.into(),
            (Kind::Json | Kind::Events, Ok(Message::Request { method, .. })) => {
                Broken::UnexpectedRequest(method).into()
            }
            (Kind::Json | Kind::Events, Ok(Message::Notice(notice))) => {
                Broken::NotJsonRpc(format!("the notification {}", notice.method)).into()
            }
            (Kind::Json | Kind::Events, Ok(Message::Answer(..))) => Broken::NotJsonRpc(printable(&self.body)).into(),
        }
    }
}

impl Modern {
    /// A modern server behind `wire`.
    pub(crate) const fn new(wire: Arc<Wire>, identity: Arc<Identity>) -> Self {
        Self { wire, identity, ids: AtomicU64::new(1) }
    }

    /// Whether requests carry credentials.
    pub(crate) fn has_credentials(&self) -> bool {
        self.wire.has_credentials()
    }

    /// Sends a call.
    ///
    /// # Errors
    /// As [`Wire::request`]; a connection that breaks leaves the outcome unknown, unless the call may be repeated.
    pub(crate) async fn send(&self, call: &Call) -> Result<Outcome> {
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        let body = Bytes::from(call.modern(id, &self.identity));
        let sent = self.wire.request(Method::POST, headers(call)?, body, Turn::Waits).await;
        let answered = sent.map_err(|error| broke(error, call.repeat))?;
        if answered.status.is_success() && answered.kind == Kind::Events {
            // What a subscription tells is as much as its reader takes.
            let endless = call.known() == Some(Rpc::SubscriptionsListen);
            let limit = if endless { usize::MAX } else { self.wire.limits.notifications };
            let stream = Stream { id, events: answered.events(), repeat: call.repeat, left: limit, limit };
            return Ok(Outcome::Exchange(Exchange::stream(stream)));
        }
        self.whole(id, answered, call.repeat).await
    }

    async fn whole(&self, id: u64, answered: Answered, repeat: Repeat) -> Result<Outcome> {
        let (status, kind, retry_after) = (answered.status, answered.kind.clone(), answered.retry_after());
        let body = match kind {
            Kind::Json => answered.whole().await.map_err(|error| broke(error, repeat))?,
            Kind::Events | Kind::Other(_) => answered.beginning().await,
        };
        if status.is_success()
            && kind == Kind::Json
            && let Ok(Message::Answer(found, answer @ Answer::Result(_))) = Message::read(&body)
        {
            check_id(id, found.as_ref(), &answer)?;
            return Ok(Outcome::Exchange(Exchange::answered(answer)));
        }
        Ok(Outcome::Refused(Refusal { status, kind, body, id, retry_after }))
    }
}

/// The headers that say what the body says.
fn headers(call: &Call) -> Result<HeaderMap> {
    let mut headers = HeaderMap::with_capacity(8 + call.param_headers.len());
    headers.insert(PROTOCOL_VERSION, HeaderValue::from_static(Version::LATEST.as_str()));
    let method = match call.known() {
        Some(method) => HeaderValue::from_static(method.as_str()),
        None => value(&call.method)?,
    };
    headers.insert(METHOD, method);
    if let Some(name) = &call.name {
        headers.insert(NAME, value(name)?);
    }
    headers.extend(call.param_headers.iter().cloned());
    Ok(headers)
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
