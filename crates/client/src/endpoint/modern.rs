//! A server that is taken for a modern one.

use anypod_proto::header::Headers;
use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};

use super::{Endpoint, Posted, Ready, Transport, passable};
use crate::call::Call;
use crate::error::{Error, Result};
use crate::exchange::Exchange;
use crate::http::Body;
use crate::identity::Identity;
use crate::refusal::Refusal;

/// A server that is taken for a modern one, for any number of clients. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ModernUpstream {
    endpoint: Endpoint,
}

/// What came of a modern request.
#[derive(Debug)]
pub enum Sent {
    /// The server goes on: notifications, and the answer.
    Exchange(Exchange),
    /// The server, or something in front of it, said no.
    Refused(Refusal),
}

impl ModernUpstream {
    pub(super) const fn new(endpoint: Endpoint) -> Self {
        Self { endpoint }
    }

    /// Sends a call in the name of the client that `identity` says, with these headers besides the protocol's own. Headers
    /// that are the connection's or the message's own are left out; pipes carry none. Dropping the exchange, or the future
    /// of this function, cancels the call.
    ///
    /// # Errors
    /// [`Error::Unreachable`](crate::Error::Unreachable) if it was not sent, as
    /// [`Error::did_not_run`](crate::Error::did_not_run) tells; [`Error::Lost`](crate::Error::Lost) or
    /// [`Error::OutcomeUnknown`](crate::Error::OutcomeUnknown) if the connection broke, by whether the call may be repeated;
    /// and how the server broke the protocol.
    pub async fn send(&self, call: &Call, identity: &Identity, headers: &HeaderMap) -> Result<Sent> {
        match self.endpoint.transport() {
            Transport::Http(modern) => modern.send(call, identity, passable(headers)).await,
            Transport::Stdio(wire) => wire.send(call, identity).await.map(Sent::Exchange),
        }
    }

    /// The request that [`ModernUpstream::send`] would send, for who has connections of his own to the same place. What comes of
    /// it goes to [`ModernUpstream::came`]; a redirect does not, since the request has not run then and may be sent as ever.
    /// None where it takes more than one request and its answer: over pipes, of subscriptions, and where the endpoint has
    /// credentials or an observer, or has moved.
    ///
    /// # Errors
    /// [`Error::Misuse`](crate::Error::Misuse) if the call has something in it that no header can say.
    pub fn request(&self, call: &Call, identity: &Identity, headers: &HeaderMap) -> Result<Option<Ready>> {
        match self.endpoint.transport() {
            Transport::Http(modern) => modern.request(call, identity, &passable(headers)),
            Transport::Stdio(_) => Ok(None),
        }
    }

    /// What came of a request of [`ModernUpstream::request`], where the answer is a result as JSON and `body` is all of it, so
    /// that there is nothing to wait for. `None` where it is anything else: see [`ModernUpstream::came`].
    pub fn result(
        &self,
        posted: &Posted,
        status: StatusCode,
        headers: &dyn Headers,
        body: &Bytes,
    ) -> Option<Result<Sent>> {
        match self.endpoint.transport() {
            Transport::Http(modern) => modern.result(posted, status, headers, body),
            Transport::Stdio(_) => None,
        }
    }

    /// What came of a request of [`ModernUpstream::request`], by the answer to it.
    ///
    /// # Errors
    /// As [`ModernUpstream::send`].
    pub async fn came<B>(&self, posted: Posted, response: Response<B>) -> Result<Sent>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        match self.endpoint.transport() {
            Transport::Http(modern) => modern.came(posted, response.map(Body::boxed)).await,
            Transport::Stdio(_) => Err(Error::Misuse("pipes have no answers of their own".to_owned())),
        }
    }
}
