//! One place of a server, for who routes calls by himself, as gateways do: its connections, and no client behind them.
//!
//! Clients are values that come with each call ([`Identity`]) or with each session, so that any number of them share one
//! pool, one certificate, one child process.

mod modern;
mod probe;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::header::{
    ACCEPT_ENCODING, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, EXPECT, HOST, TE, TRAILER, TRANSFER_ENCODING,
    UPGRADE,
};
use http::{HeaderMap, HeaderName};

use crate::http::Wire;
use crate::http::modern::Modern;
use crate::identity::Identity;
use crate::legacy::LegacyUpstream;
use crate::limits::Limits;
use crate::outside::Outside;
use crate::stdio;
use anypod_proto::header::{LAST_EVENT_ID, SESSION_ID};

pub use crate::http::modern::{Posted, Ready};
pub use modern::{ModernUpstream, Sent};
pub use probe::Probed;

/// Headers that belong to the connection, to the body as it is written here, or to a session.
const OWN: [HeaderName; 12] = [
    ACCEPT_ENCODING,
    CONNECTION,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    EXPECT,
    HOST,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    SESSION_ID,
    LAST_EVENT_ID,
];

/// One place of a server: what is behind one URL, a child process, or a service in this process.
///
/// Made by [`ClientBuilder::endpoint`](crate::ClientBuilder::endpoint) and its siblings without a round trip, and cheap to
/// clone. When the last clone and everything that came of it are dropped, connections are closed and processes end.
#[derive(Clone)]
pub struct Endpoint {
    shared: Arc<Shared>,
}

struct Shared {
    transport: Transport,
    limits: Arc<Limits>,
    outside: Outside,
    /// Over pipes, the one session that the process has.
    session: Mutex<Option<LegacyUpstream>>,
}

/// How a server is spoken to.
pub(crate) enum Transport {
    /// Over HTTP, or as if.
    Http(Modern),
    /// Over pipes.
    Stdio(Arc<stdio::Wire>),
}

impl Endpoint {
    /// What is behind `wire`.
    pub(crate) fn http(wire: Wire, limits: Arc<Limits>, outside: Outside) -> Self {
        Self::new(Transport::Http(Modern::new(Arc::new(wire))), limits, outside)
    }

    /// What is at the other end of `wire`.
    pub(crate) fn stdio(wire: stdio::Wire, limits: Arc<Limits>, outside: Outside) -> Self {
        Self::new(Transport::Stdio(Arc::new(wire)), limits, outside)
    }

    fn new(transport: Transport, limits: Arc<Limits>, outside: Outside) -> Self {
        Self { shared: Arc::new(Shared { transport, limits, outside, session: Mutex::default() }) }
    }

    pub(crate) fn transport(&self) -> &Transport {
        &self.shared.transport
    }

    /// The server, taken for a modern one.
    pub fn modern(&self) -> ModernUpstream {
        ModernUpstream::new(self.clone())
    }

    /// The server, taken for a legacy one: a session for the client that `identity` names, opened by the first call. All of
    /// its requests carry `headers`, but for those that are the connection's or the message's own.
    ///
    /// Over pipes there is one session for all, since it is the process's: while it is not closed, it is what everyone gets,
    /// and the server has been told who asked first. Whoever shares such a process gives every session the same identity.
    pub fn legacy(&self, identity: Arc<Identity>, headers: &HeaderMap) -> LegacyUpstream {
        let (limits, outside) = (Arc::clone(&self.shared.limits), self.shared.outside.clone());
        match &self.shared.transport {
            Transport::Http(modern) => {
                LegacyUpstream::over(Arc::clone(modern.wire()), passable(headers), identity, limits, outside)
            }
            Transport::Stdio(wire) => {
                let mut session = self.session();
                let open = session.take().filter(|session| !session.is_closed());
                let open = open.unwrap_or_else(|| LegacyUpstream::stdio(Arc::clone(wire), identity, limits, outside));
                session.insert(open).clone()
            }
        }
    }

    /// Ends the child process, if it is one; whoever still waits for it is told. It is started again by the next request.
    /// Sessions over HTTP are closed one by one, and connections by themselves.
    pub async fn close(&self) {
        match &self.shared.transport {
            Transport::Http(_) => {}
            Transport::Stdio(wire) => wire.close().await,
        }
    }

    /// The session of the process, while it is open.
    fn open_session(&self) -> Option<LegacyUpstream> {
        self.session().as_ref().filter(|session| session.is_open()).cloned()
    }

    fn session(&self) -> MutexGuard<'_, Option<LegacyUpstream>> {
        self.shared.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn limits(&self) -> &Limits {
        &self.shared.limits
    }
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut debug = f.debug_struct("Endpoint");
        match &self.shared.transport {
            Transport::Http(_) => debug.finish_non_exhaustive(),
            Transport::Stdio(wire) => debug.field("peer", wire.peer()).finish_non_exhaustive(),
        }
    }
}

/// What of these headers may go along with a message.
fn passable(headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    if !headers.is_empty() {
        OWN.iter().for_each(|name| drop(headers.remove(name)));
    }
    headers
}
