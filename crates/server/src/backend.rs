//! What answers in place of handlers: anything that takes modern requests, such as the upstreams of a gateway.
//!
//! A server with a backend has no tools, prompts and resources of its own. It admits messages, holds its bounds, opens
//! legacy sessions and asks legacy clients as ever; the rest is the backend's.

mod aside;
mod caught;

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use anypod_proto::capabilities::ClientCapabilities;
use anypod_proto::discover::DiscoverResult;
use anypod_proto::escape;
use anypod_proto::implementation::Implementation;
use anypod_proto::logging::LoggingLevel;
use anypod_proto::method::Notification;
use anypod_proto::param_header::ParamHeaders;
use anypod_proto::reject::Rejection;
use anypod_proto::request::Request;
use anypod_proto::rounds::InputRequiredResult;
use anypod_proto::subscriptions::SubscriptionFilter;
use anypod_proto::version::Version;
use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::bus::Mailbox;
use crate::cx::{Client, LegacyClient};
use crate::outbox::{Kind, Outbox};
use crate::principal::Principal;

pub use aside::{Aside, Teller};
pub(crate) use caught::{Caught, discover, listen};

/// A future that can be named.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Something that answers modern requests. An `Arc` of one is one, too.
///
/// A panic is an internal error for the one who asked.
pub trait Backend: Send + Sync + 'static {
    /// What the server is and can do. `initialize` of a legacy client says the same, and what a legacy client may set
    /// depends on it, so it is asked often and should be answered from memory.
    fn discover(self: Arc<Self>, caller: Caller) -> BoxFuture<'static, Result<DiscoverResult, Refusal>>;

    /// Answers a request: one of the protocol but `subscriptions/listen`, or one of an extension. Dropping the future
    /// cancels it.
    fn answer(self: Arc<Self>, asked: Asked) -> BoxFuture<'static, Answered>;

    /// Begins to hear of changes, which then come over the server's [`Bus`](crate::Bus), or into [`Listened::own`]. Done when nothing that happens
    /// from now on is missed, as far as that can be had.
    fn listen(
        self: Arc<Self>,
        caller: Caller,
        wanted: SubscriptionFilter,
    ) -> BoxFuture<'static, Result<Listened, Refusal>>;

    /// The arguments that a tool wants mirrored into headers, if that is known. What is not known is not checked.
    fn param_headers(&self, tool: &str) -> Option<Arc<ParamHeaders>>;
}

impl<B: Backend + ?Sized> Backend for Arc<B> {
    fn discover(self: Arc<Self>, caller: Caller) -> BoxFuture<'static, Result<DiscoverResult, Refusal>> {
        B::discover(Arc::clone(&self), caller)
    }

    fn answer(self: Arc<Self>, asked: Asked) -> BoxFuture<'static, Answered> {
        B::answer(Arc::clone(&self), asked)
    }

    fn listen(
        self: Arc<Self>,
        caller: Caller,
        wanted: SubscriptionFilter,
    ) -> BoxFuture<'static, Result<Listened, Refusal>> {
        B::listen(Arc::clone(&self), caller, wanted)
    }

    fn param_headers(&self, tool: &str) -> Option<Arc<ParamHeaders>> {
        (**self).param_headers(tool)
    }
}

/// Who asks, as the request or the legacy session says.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The revision that the client speaks.
    pub version: Version,
    /// Who that is, where it was authenticated.
    pub principal: Option<Principal>,
    /// The client's name and version; of legacy clients, long ones are cut.
    pub info: Option<Arc<Implementation>>,
    /// What the client can do.
    pub capabilities: Arc<ClientCapabilities>,
    /// The least severe log level that it wants.
    pub log_level: Option<LoggingLevel>,
    /// The legacy session, by a number that tells it from others.
    pub session: Option<u64>,
    /// What was put into the HTTP request before it came here.
    pub extensions: Arc<http::Extensions>,
    /// What the backend has made of `info` and `capabilities`.
    pub kept: Kept,
}

/// A place for what a backend makes of a client's name and capabilities. The requests of a legacy session share one for as
/// long as the session is remembered here, so that it need not be made for each; any other request has its own.
#[derive(Clone, Default)]
pub struct Kept(Arc<OnceLock<Box<dyn Any + Send + Sync>>>);

impl Kept {
    /// What was made, or is made now. It must follow from name and capabilities alone. A place holds values of one type: those
    /// of another are made each time.
    pub fn remember<T: Clone + Send + Sync + 'static>(&self, make: impl Fn() -> T) -> T {
        let kept = self.0.get_or_init(|| Box::new(make()));
        kept.downcast_ref::<T>().cloned().unwrap_or_else(make)
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kept")
    }
}

impl Caller {
    /// Who sends a request.
    pub(crate) fn of(
        client: &Client,
        request: &Request,
        principal: Option<Principal>,
        extensions: Arc<http::Extensions>,
    ) -> Self {
        match client {
            Client::Legacy(client) => Self::in_session(client, principal, extensions),
            Client::Modern => Self {
                version: request.version(),
                principal,
                info: client.info(request),
                capabilities: client.capabilities(request),
                log_level: client.log_level(request),
                session: None,
                extensions,
                kept: Kept::default(),
            },
        }
    }

    /// Who speaks in a legacy session.
    pub(crate) fn in_session(
        client: &LegacyClient,
        principal: Option<Principal>,
        extensions: Arc<http::Extensions>,
    ) -> Self {
        Self {
            version: client.version,
            principal,
            info: client.info.clone(),
            capabilities: Arc::clone(&client.capabilities),
            log_level: client.log_level,
            session: Some(client.session),
            extensions,
            kept: client.kept.clone(),
        }
    }
}

/// A request to a backend.
pub struct Asked {
    /// The request. Of a legacy client, its `_meta` is that of its revision.
    pub request: Arc<Request>,
    /// Who asks.
    pub caller: Caller,
    /// The `requestState` of the round before.
    pub state: Option<String>,
    /// The answers to its questions, as they came.
    pub responses: BTreeMap<String, Box<RawValue>>,
    /// Where notifications about the request go.
    pub notices: Notices,
}

/// Takes what is said about a request before its answer. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Notices {
    outbox: Arc<Outbox>,
    /// Whether the request asks for progress.
    progress: bool,
    /// The least severe level that the caller wants.
    log_level: Option<LoggingLevel>,
}

impl Notices {
    pub(crate) fn new(outbox: Arc<Outbox>, request: &Request, log_level: Option<LoggingLevel>) -> Self {
        Self { outbox, progress: request.progress_token().is_some(), log_level }
    }

    /// Sends a notification: its method, and the object `params` as it is.
    ///
    /// Progress goes out if the request asks for it; `params` names the caller's token, which is
    /// [`Request::progress_token`]. Log messages go out from the level that the caller wants, and to nobody who wants
    /// none. When the client reads slowly, progress is merged and everything else is dropped.
    pub fn send(&self, method: &str, params: &RawValue) {
        let (kind, wanted) = if method == Notification::Progress.as_str() {
            (Kind::Progress, self.progress)
        } else if method == Notification::Message.as_str() {
            (Kind::Log, self.wants(params))
        } else {
            (Kind::Other, true)
        };
        if !wanted {
            return;
        }
        if !params.get().starts_with('{') {
            tracing::warn!(method, "a notification whose parameters are no object is dropped");
            return;
        }
        let mut message = Vec::with_capacity(64 + method.len() + params.get().len());
        message.extend_from_slice(br#"{"jsonrpc":"2.0","method":"#);
        escape::push_string(&mut message, method);
        message.extend_from_slice(br#","params":"#);
        message.extend_from_slice(params.get().as_bytes());
        message.push(b'}');
        one_line(&mut message);
        if let Ok(message) = String::from_utf8(message) {
            self.outbox.push(kind, message);
        }
    }

    fn wants(&self, params: &RawValue) -> bool {
        #[derive(Deserialize)]
        struct Params {
            level: LoggingLevel,
        }
        let Some(wanted) = self.log_level else { return false };
        serde_json::from_str::<Params>(params.get()).is_ok_and(|params| params.level >= wanted)
    }
}

/// Puts JSON on one line. Within its strings, line ends are escaped.
pub(crate) fn one_line(json: &mut [u8]) {
    json.iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r')).for_each(|byte| *byte = b' ');
}

/// What came of a request.
#[derive(Debug)]
pub enum Answered {
    /// A whole result object as JSON of the modern era, with `resultType` and `_meta`.
    Result(Bytes),
    /// Questions, and the state that has to come back with their answers.
    Asks(InputRequiredResult),
    /// An error.
    Refused(Refusal),
}

/// Why there is no result.
#[derive(Debug, Clone)]
pub enum Refusal {
    /// A rule of the protocol, or a bound.
    Rejected(Rejection),
    /// What somebody else has answered, to be passed on.
    Error {
        /// The status, where the answer is plain JSON to a modern client.
        status: StatusCode,
        /// The code.
        code: i32,
        /// The text.
        message: String,
        /// More.
        data: Option<Value>,
    },
    /// Whoever is behind wants credentials, or others, of the caller. An answer over HTTP says so with this status, to legacy
    /// clients too: authorization is HTTP's business in every revision.
    Unauthorized {
        /// 401, or 403.
        status: StatusCode,
        /// The values of `WWW-Authenticate`.
        challenge: Vec<HeaderValue>,
    },
}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

/// What a listener will hear of.
pub struct Listened {
    /// The part of the filter that is honoured.
    pub honoured: SubscriptionFilter,
    /// Where the changes come in that are for this listener and no other. Without one they come over the server's
    /// [`Bus`](crate::Bus).
    pub own: Option<Arc<Mailbox>>,
    /// What is told besides changes, of fields of the filter that are an extension's. Legacy clients have no such fields.
    pub aside: Option<Aside>,
    /// Dropped when the listener has gone, maybe under a lock: its `Drop` neither blocks nor calls the server.
    pub keep: Box<dyn Any + Send>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_made_once_for_all_who_share_the_place() {
        let (kept, other) = (Kept::default(), Kept::default());
        assert_eq!(kept.clone().remember(|| 1), 1);
        assert_eq!(kept.remember(|| 2), 1);
        assert_eq!(kept.remember(|| "another type"), "another type");
        assert_eq!(other.remember(|| 3), 3);
    }
}
