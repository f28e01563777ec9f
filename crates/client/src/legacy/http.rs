//! A legacy server behind HTTP: a POST per message, one GET for what it says unasked, DELETE at the end.
//!
//! Spec: 2025-11-25, basic/transports, "Streamable HTTP".

use std::sync::Arc;

use anypod_proto::code::Code;
use anypod_proto::header::{PROTOCOL_VERSION, SESSION_ID};
use anypod_proto::version::Version;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use super::link::{Flow, Inbox, Link, Place, Reply, Told, Unasked};
use super::resume::{Resumable, Several, unpack};
use crate::credentials::BoxFuture;
use crate::error::{Broken, Error, Result};
use crate::exchange::Answer;
use crate::http::{Answered, Kind, Turn, Wire, printable};
use crate::limits::Limits;
use crate::message::Message;

/// HTTP towards a legacy server.
pub(crate) struct Http {
    wire: Arc<Wire>,
    /// What every request carries besides what belongs to its session.
    headers: HeaderMap,
    limits: Arc<Limits>,
}

impl Http {
    pub(crate) const fn new(wire: Arc<Wire>, headers: HeaderMap, limits: Arc<Limits>) -> Self {
        Self { wire, headers, limits }
    }

    /// Spec: "Session Management"; "Protocol Version Header", which came with 2025-06-18.
    fn headers(&self, place: &Place) -> HeaderMap {
        let mut headers = self.headers.clone();
        if let Some(session) = &place.session {
            headers.insert(SESSION_ID, session.clone());
        }
        if let Some(version) = place.version.filter(|version| *version >= Version::V2025_06_18) {
            headers.insert(PROTOCOL_VERSION, HeaderValue::from_static(version.as_str()));
        }
        headers
    }

    async fn post(&self, place: &Place, text: Bytes, turn: Turn) -> Result<Answered> {
        let answered = self.wire.request(Method::POST, self.headers(place), text, turn).await?;
        keeps_its_session(place, &answered)?;
        Ok(answered)
    }

    async fn ask(&self, place: &Place, text: Bytes) -> Result<Reply> {
        let answered = self.post(place, text, Turn::Waits).await?;
        let session = answered.headers.get(SESSION_ID).cloned();
        if !answered.status.is_success() {
            return self.refused(place, answered).await;
        }
        let inbox: Box<dyn Inbox> = match answered.kind.clone() {
            Kind::Json => Box::new(Several(unpack(answered.whole().await?, self.limits.notifications)?)),
            Kind::Events => Box::new(self.resumable(place, answered)),
            Kind::Other(kind) => return Err(Broken::ContentType(kind).into()),
        };
        Ok(Reply::Taken { inbox, session })
    }

    fn resumable(&self, place: &Place, answered: Answered) -> Resumable {
        Resumable::new(Arc::clone(&self.wire), Arc::clone(&self.limits), self.headers(place), answered.events())
    }

    /// A request that was answered with a status that says no: the session is gone, or there is an error to pass on.
    async fn refused(&self, place: &Place, answered: Answered) -> Result<Reply> {
        if is_gone(place, &answered) {
            return Ok(Reply::Gone);
        }
        if answered.kind != Kind::Json {
            return Err(answered.refused().await);
        }
        let (status, retry_after) = (answered.status, answered.retry_after());
        let body = answered.whole().await?;
        let Ok(message) = Message::read(&body) else {
            return Err(Error::Refused { status, excerpt: printable(&body), retry_after });
        };
        if forgets_session(place, status, &message) {
            return Ok(Reply::Gone);
        }
        Ok(Reply::Taken { inbox: Box::new(Several(unpack(body, 1)?)), session: None })
    }

    async fn notify(&self, place: &Place, text: Bytes) -> Result<Told> {
        let answered = self.post(place, text, Turn::Now).await?;
        if is_gone(place, &answered) {
            return Ok(Told::Gone);
        }
        match answered.status.is_success() {
            true => Ok(Told::Taken),
            false => Err(answered.refused().await),
        }
    }

    async fn listen(&self, place: &Place) -> Result<Unasked> {
        let answered = self.wire.request(Method::GET, self.headers(place), Bytes::new(), Turn::Now).await?;
        if is_gone(place, &answered) {
            return Ok(Unasked::Gone);
        }
        if answered.status.is_success() && answered.kind == Kind::Events {
            keeps_its_session(place, &answered)?;
            return Ok(Unasked::Inbox(Box::new(self.resumable(place, answered))));
        }
        match answered.status {
            // Servers that allow one stream a session have not always seen yet that the one before has ended.
            StatusCode::CONFLICT => Err(answered.refused().await),
            status if status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED => {
                Err(answered.refused().await)
            }
            // 405 is what the specification asks for where there is none; servers say so in other ways too.
            _ => Ok(Unasked::None),
        }
    }

    /// Servers may refuse DELETE with 405, and may have forgotten the session.
    async fn delete(&self, place: &Place) -> Result<()> {
        if place.session.is_none() {
            return Ok(());
        }
        let answered = self.wire.request(Method::DELETE, self.headers(place), Bytes::new(), Turn::Now).await?;
        let fine = answered.status.is_success()
            || matches!(answered.status, StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_FOUND);
        if fine { Ok(()) } else { Err(answered.refused().await) }
    }
}

impl Link for Http {
    fn request<'a>(&'a self, place: &'a Place, _id: u64, text: Bytes) -> BoxFuture<'a, Result<Reply>> {
        Box::pin(self.ask(place, text))
    }

    fn tell<'a>(&'a self, place: &'a Place, text: Bytes) -> BoxFuture<'a, Result<Told>> {
        Box::pin(self.notify(place, text))
    }

    fn unasked<'a>(&'a self, place: &'a Place) -> BoxFuture<'a, Result<Unasked>> {
        Box::pin(self.listen(place))
    }

    fn flow(&self) -> Flow {
        Flow::OnDemand
    }

    fn end<'a>(&'a self, place: &'a Place) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.delete(place))
    }
}

/// Spec: "Session Management": 404 in response to a request with a session id, and nothing else.
fn is_gone(place: &Place, answered: &Answered) -> bool {
    place.session.is_some() && answered.status == StatusCode::NOT_FOUND
}

/// Many servers that were written after the TypeScript SDK's first examples answer 400 where 404 belongs. The error
/// has no id, so that the request was not even read, and only its text tells what is meant.
fn forgets_session(place: &Place, status: StatusCode, message: &Message) -> bool {
    let Message::Answer(None, Answer::Error(error)) = message else { return false };
    let codes = [Code::ParseError, Code::InvalidRequest, Code::MethodNotFound, Code::InvalidParams];
    place.session.is_some()
        && status == StatusCode::BAD_REQUEST
        && !codes.iter().any(|code| code.number() == error.code)
        && error.message.to_ascii_lowercase().contains("session")
}

/// A session keeps its id for life: an answer with another one comes from somewhere else.
fn keeps_its_session(place: &Place, answered: &Answered) -> Result<(), Broken> {
    match (&place.session, answered.headers.get(SESSION_ID)) {
        (Some(ours), Some(theirs)) if ours != theirs => {
            Err(Broken::Handshake("an answer came with another session id than the session's".to_owned()))
        }
        (Some(_) | None, Some(_) | None) => Ok(()),
    }
}
