//! A server that is taken for a modern one.

use http::HeaderMap;

use super::{Endpoint, Transport, passable};
use crate::call::Call;
use crate::error::Result;
use crate::exchange::Exchange;
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
}
