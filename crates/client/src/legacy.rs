//! `LegacyUpstream`: a server of 2025-11-25, 2025-06-18 or 2025-03-26 that looks like a modern one.
//!
//! A session is opened by the first call and shared by all. What a server asks on the stream of a call ends a round of
//! that call ([`held`]); what it says unasked is read on a stream of its own ([`unasked`]) and given to whom it is for.
//! Spec: 2025-11-25, basic/lifecycle, basic/transports.

mod background;
mod calls;
mod held;
pub(crate) mod http;
mod hub;
pub(crate) mod link;
mod listen;
mod modern;
mod notices;
mod opening;
mod questions;
mod resume;
mod session;
mod stream;
mod tally;
mod unasked;
mod wording;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use ::http::{HeaderMap, Request, Response, Uri};
use anypod_proto::capabilities::ServerCapabilities;
use anypod_proto::code::Code;
use anypod_proto::implementation::Implementation;
use anypod_proto::jsonrpc::{ErrorObject, JsonObject};
use anypod_proto::legacy::{ClientCapabilities, SetLevelRequestParams, upgrade};
use anypod_proto::logging::LoggingLevel;
use anypod_proto::method::{LegacyMethod, Method};
use anypod_proto::version::Version;
use bytes::Bytes;
use http_body_util::Full;
use serde::Serialize;

use self::background::Background;
use self::held::Held;
use self::link::{Link, Reply};
use self::opening::State;
use self::session::Session;
use self::stream::{Reading, Stream};
use self::tally::{One, Tally};
use crate::call::Call;
use crate::error::{Broken, Error, Result, Source};
use crate::exchange::{Answer, Exchange};
use crate::http::{Connection, Settings, Wire};
use crate::identity::Identity;
use crate::limits::Limits;
use crate::outside::Outside;

/// A legacy server that looks like a modern one.
///
/// It takes any [`Call`], `server/discover` and `subscriptions/listen` included, and says in the name of one client what
/// the revision of its server has for it. There is at most one session, opened by the first call. What the server asks
/// becomes an `input_required` result, whose `requestState` works once, with this same upstream.
///
/// Clones are the same upstream. End it with [`LegacyUpstream::close`]. When the last clone is dropped instead, the calls
/// that wait for answers are cancelled, and the server keeps its session until it expires.
#[derive(Clone)]
pub struct LegacyUpstream {
    owner: Arc<Owner>,
}

/// Whoever holds it wants the upstream to go on.
struct Owner {
    shared: Arc<Shared>,
}

/// What calls under way need of their upstream.
struct Shared {
    link: Box<dyn Link>,
    identity: Arc<Identity>,
    /// What of the client's capabilities a legacy server can be told.
    declared: ClientCapabilities,
    limits: Arc<Limits>,
    outside: Outside,
    ids: AtomicU64,
    state: Mutex<State>,
    held: Held,
    under_way: Tally,
    background: Background,
}

/// What came of a call in one session.
enum Attempt {
    Exchange(Exchange),
    /// The session is gone, and the call did not run.
    Gone,
}

impl LegacyUpstream {
    /// The server at the other end of `link`, for the client that `identity` names.
    pub(crate) fn new(link: impl Link, identity: Arc<Identity>, limits: Arc<Limits>, outside: Outside) -> Self {
        let background = Background::new(limits.connections, limits.connect_deadline);
        let declared = upgrade::client_capabilities(Version::LATEST_LEGACY, identity.capabilities());
        let shared = Arc::new(Shared {
            link: Box::new(link),
            identity,
            declared,
            limits,
            outside,
            ids: AtomicU64::new(1),
            state: Mutex::default(),
            held: Held::default(),
            under_way: Tally::default(),
            background,
        });
        Self { owner: Arc::new(Owner { shared }) }
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.owner.shared
    }

    /// The server behind `wire`, all of whose requests carry `headers`.
    pub(crate) fn over(
        wire: Arc<Wire>,
        headers: HeaderMap,
        identity: Arc<Identity>,
        limits: Arc<Limits>,
        outside: Outside,
    ) -> Self {
        Self::new(http::Http::new(wire, headers, Arc::clone(&limits)), identity, limits, outside)
    }

    /// A server that is a service in this process.
    pub fn service<S, B>(service: S, identity: Arc<Identity>, limits: Arc<Limits>, outside: Outside) -> Self
    where
        S: tower_service::Service<Request<Full<Bytes>>, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Future: Send,
        S::Error: Into<Source>,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Source>,
    {
        let uri = Uri::from_static("http://localhost/mcp");
        let wire = Wire::new(uri, Connection::service(service), Settings::default(), Arc::clone(&limits));
        Self::over(Arc::new(wire), HeaderMap::new(), identity, limits, outside)
    }

    /// Opens the session, if none is open.
    ///
    /// # Errors
    /// As [`LegacyUpstream::send`], if no session could be opened.
    pub async fn open(&self) -> Result<()> {
        self.shared().session().await.map(drop)
    }

    /// Sends a call. Dropping the exchange, or the future of this function, cancels it.
    ///
    /// A call with the state of a round goes on with the call that was held for it. If the session is gone, a call is
    /// sent again in a new one, once.
    ///
    /// # Errors
    /// If no session could be opened: [`Broken::NoCommonVersion`], [`Broken::Handshake`], and as any request. If the
    /// connection breaks, the outcome is unknown, unless the call may be repeated.
    pub async fn send(&self, call: &Call) -> Result<Exchange> {
        // Every round of ours has a state, so answers without one are to nothing that was asked here.
        // Spec: basic/patterns/mrtr, "Error Handling": what is not recognized is ignored, what is missing is asked for.
        if let Some(answers) = call.answers.as_ref().filter(|answers| answers.state.is_some()) {
            if !modern::is_anew(answers.state.as_deref()) {
                return held::resume(self.shared(), call, answers).await;
            }
            if let Err(error) = answers.read().and_then(|responses| modern::visited(&responses)) {
                return Ok(Exchange::answered(Answer::Error(error)));
            }
        }
        let Some(method) = call.known() else {
            // What extensions have belongs to the modern era.
            let error = ErrorObject::new(Code::MethodNotFound, "Legacy servers have no such method");
            return Ok(Exchange::answered(Answer::Error(error)));
        };
        for _ in 0..2 {
            let one = self.shared().under_way.one();
            let session = self.shared().session().await?;
            match Box::pin(self.shared().attempt(&session, method, call, one)).await? {
                Attempt::Exchange(exchange) => return Ok(exchange),
                Attempt::Gone => self.shared().forget(&session),
            }
        }
        Err(Broken::Handshake("a session that was opened just now is unknown already".to_owned()).into())
    }

    /// Asks the server whether it is there, in the session, which is opened if none is open.
    ///
    /// # Errors
    /// As [`LegacyUpstream::send`]. A server that answers with an error is there.
    pub async fn ping(&self) -> Result<()> {
        let session = self.shared().session().await?;
        match self.shared().ask(&session, LegacyMethod::Ping, JsonObject::new()).await? {
            Some(Answer::Result(_) | Answer::Error(_)) => Ok(()),
            None => {
                self.shared().forget(&session);
                self.shared().session().await.map(drop)
            }
        }
    }

    /// How many calls have not ended, subscriptions and those that are held among them. One counts from when its message is
    /// about to be sent.
    pub fn under_way(&self) -> usize {
        self.shared().under_way.count()
    }

    /// How many calls are held open while their questions are answered.
    pub fn held(&self) -> usize {
        self.shared().held.count()
    }

    /// Whether nothing is under way, so that nobody notices if the session is closed.
    pub fn is_idle(&self) -> bool {
        self.under_way() == 0
    }

    /// Whether there is a session. The server may have forgotten it, which the next call finds out.
    pub fn is_open(&self) -> bool {
        self.shared().open_session().is_some()
    }

    /// Whether it was closed, and takes no more calls.
    pub fn is_closed(&self) -> bool {
        self.shared().is_closed()
    }

    /// Cancels the call that is held for the answers of this round, if there is one.
    pub fn give_up(&self, state: &str) {
        self.shared().held.give_up(state);
    }

    /// Ends the session, and everything that is under way in it. Further calls are refused.
    ///
    /// # Errors
    /// If the server could not be told, or refused. The upstream is closed all the same.
    pub async fn close(&self) -> Result<()> {
        self.shared().close().await
    }

    /// The version that was negotiated, while there is a session.
    pub fn version(&self) -> Option<Version> {
        self.shared().open_session().map(|session| session.version)
    }

    /// Who the server is, in its own words, while there is a session.
    pub fn server_info(&self) -> Option<Implementation> {
        self.shared().open_session().map(|session| session.server.server_info.clone())
    }

    /// What the server offers, while there is a session.
    pub fn capabilities(&self) -> Option<ServerCapabilities> {
        self.shared().open_session().map(|session| session.server.capabilities.clone().into())
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.shared.held.clear();
        self.shared.background.stop();
    }
}

impl std::fmt::Debug for LegacyUpstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LegacyUpstream").field("version", &self.version()).finish_non_exhaustive()
    }
}

impl Shared {
    fn next_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }

    async fn attempt(
        self: &Arc<Self>,
        session: &Arc<Session>,
        method: Method,
        call: &Call,
        one: One,
    ) -> Result<Attempt> {
        match method {
            Method::Discover => Ok(Attempt::Exchange(Exchange::answered(modern::discover(session)))),
            Method::SubscriptionsListen => listen::listen(self, session, call, one).await,
            Method::ToolsList
            | Method::ToolsCall
            | Method::PromptsList
            | Method::PromptsGet
            | Method::ResourcesList
            | Method::ResourceTemplatesList
            | Method::ResourcesRead
            | Method::Complete => {
                if let Some(level) = call.log_level {
                    self.tell_level(session, level).await;
                }
                let reading = Reading::start(self, session, method, call, one).await?;
                Ok(reading.map_or(Attempt::Gone, |reading| Attempt::Exchange(Exchange::stream(Stream::new(reading)))))
            }
        }
    }

    /// Lets the server log from `level` on, if it does not already. Calls that want less are not told more: each
    /// takes what it wants.
    async fn tell_level(&self, session: &Session, level: LoggingLevel) {
        if !session.logs() {
            return;
        }
        let mut told = session.level.lock().await;
        if told.is_some_and(|told| told <= level) {
            return;
        }
        // Logs are not worth a long wait.
        let told_now = self.ask(session, LegacyMethod::SetLevel, SetLevelRequestParams { level });
        let deadline = self.limits.connect_deadline;
        match tokio::time::timeout(deadline, told_now).await.unwrap_or(Err(Error::TimedOut(deadline))) {
            Ok(Some(Answer::Result(_))) => *told = Some(level),
            // The call finds out itself.
            Ok(None) => {}
            Ok(Some(Answer::Error(error))) => tracing::debug!(code = error.code, "the server takes no log level"),
            Err(error) => tracing::debug!(%error, "the server could not be told the log level"),
        }
    }

    /// Sends a request of this layer; `None` if the session is gone.
    async fn ask(&self, session: &Session, method: LegacyMethod, params: impl Serialize) -> Result<Option<Answer>> {
        let id = self.next_id();
        let text = wording::request(id, method, params);
        let deadline = self.limits.request_deadline;
        let asked = async {
            match self.link.request(&session.place, id, text).await? {
                Reply::Gone => Ok(None),
                Reply::Taken { mut inbox, .. } => {
                    session::answer(self, &session.place, id, inbox.as_mut()).await.map(Some)
                }
            }
        };
        tokio::time::timeout(deadline, Box::pin(asked)).await.unwrap_or(Err(Error::TimedOut(deadline)))
    }

    /// Sends notifications or answers, one after the other, without anyone waiting for it.
    fn tell(self: &Arc<Self>, session: &Arc<Session>, texts: Vec<Bytes>) {
        let (shared, session) = (Arc::clone(self), Arc::clone(session));
        self.background.run(async move {
            for text in texts {
                if let Err(error) = shared.link.tell(&session.place, text).await {
                    tracing::debug!(%error, "a message to a legacy server was not taken");
                }
            }
        });
    }
}
