//! `LegacyFront`: serves clients of revisions 2025-03-26 to 2025-11-25 with what answers modern requests.
//!
//! There is no session store and no stickiness: what `initialize` settled travels in the session id
//! ([`session`]), what changes later is remembered as well as possible ([`memory`]), and the answer to a
//! question finds the pod that asked through the question's id ([`deliver`]). So POST, GET and DELETE work
//! on every pod. HTTP+SSE of 2024-11-05 is not built.
//!
//! Spec: 2025-11-25, basic/lifecycle, basic/transports.

pub(crate) mod asked;
mod batch;
pub(crate) mod call;
mod deliver;
pub(crate) mod feed;
pub(crate) mod hop;
pub(crate) mod initialize;
pub(crate) mod memory;
pub(crate) mod peers;
pub(crate) mod questions;
mod recent;
mod remembered;
mod running;
mod session;
pub(crate) mod settings;
pub(crate) mod stream;

use std::any::Any;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use anypod_proto::admit::{LegacyKind, LegacyMessage, declared_version};
use anypod_proto::code::Code;
use anypod_proto::header::{self, Headers};
use anypod_proto::logging::LoggingLevel;
use anypod_proto::method::{LegacyMethod, Notification};
use anypod_proto::reject::{Refused, Rejection, error_response};
use anypod_proto::request::{Notice, Request};
use anypod_proto::version::{Era, Version};
use http::header::ALLOW;
use http::request::Parts;
use http::{Extensions, HeaderMap, HeaderValue, Response, StatusCode};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::Semaphore;
use tokio::task::JoinError;
use tracing::Instrument as _;

use self::call::{LegacyCall, NOTHING, refusal, success};
use self::hop::Holder;
use self::initialize::Opened;
use self::memory::Memory;
use self::peers::Peers;
use self::questions::Questions;
use self::remembered::Remembered;
use self::running::Running;
use self::session::{Known, Session};
use self::stream::{SessionStream, Streams};
use crate::backend::{self, Backend, Listened};
use crate::bus::{Event, Receiver, Seat, SessionChange, Subject};
use crate::completed::{self, Failure};
use crate::cx::LegacyClient;
use crate::dispatch::Started;
use crate::http::{Accepts, Body, Doing, Exchange, Finished, empty, json, refused, sse};
use crate::limits::Limits;
use crate::load::Permit;
use crate::outbox::Outbox;
use crate::outside::Outside;
use crate::principal::Principal;
use crate::server::Server;
use crate::telemetry;

pub use self::hop::is_hop;

/// What a client is told who changes its session in a moment in which no other pod can be told of it: to try again. To say that
/// it is done would be no more than a hope.
const BUS_AWAY: Rejection = Rejection::Busy { retry_after_secs: 2 };

/// What a pod holds for its legacy clients: live streams, and caches whose loss nobody notices.
#[derive(Debug)]
pub(crate) struct Front {
    /// Tells this process from others, also from those before it at the same address.
    pod: u64,
    /// Where other pods reach this one.
    holder: OnceLock<Holder>,
    memory: Memory,
    /// What stands in session ids that were opened lately.
    opened: Remembered,
    questions: Arc<Questions>,
    running: Arc<Running>,
    streams: Arc<Streams>,
    /// Answers on their way to other pods.
    hops: Semaphore,
    /// Events on their way to other pods.
    tidings: Semaphore,
    peers: Peers,
    /// Whether this process is all the fleet there is.
    alone: AtomicBool,
    /// Whether what is announced here reaches every pod that opens a session's id.
    reaches_all: bool,
    seats: Mutex<Vec<Seat>>,
}

impl Front {
    pub(crate) fn new(
        outside: &Outside,
        limits: &Limits,
        holder: Option<Holder>,
        peers: Vec<Holder>,
        alone: bool,
        reaches_all: bool,
    ) -> Arc<Self> {
        Arc::new(Self {
            pod: u64::from_be_bytes(outside.random()),
            holder: holder.map(OnceLock::from).unwrap_or_default(),
            memory: Memory::new(limits),
            opened: Remembered::new(limits.remembered_sessions),
            questions: Questions::new(limits.open_questions),
            running: Arc::default(),
            streams: Arc::default(),
            hops: Semaphore::new(hop::MAX_HOPS),
            tidings: Semaphore::new(hop::MAX_HOPS),
            peers: Peers::new(peers),
            alone: AtomicBool::new(alone),
            reaches_all,
            seats: Mutex::default(),
        })
    }

    /// Whether every pod that opens a session's id learns that the session has ended.
    fn ends_sessions(&self) -> bool {
        self.reaches_all || self.alone.load(Ordering::Relaxed)
    }

    /// From now on, others open the tokens of this process.
    pub(crate) fn is_joined(&self) {
        self.alone.store(false, Ordering::Relaxed);
    }

    /// Takes `address` for where other pods reach this one, unless something else was advertised or the
    /// address is none that others could use.
    pub(crate) fn is_reached_at(&self, address: SocketAddr) {
        if !address.ip().is_unspecified() {
            self.is_reached_by(&format!("http://{address}/mcp"));
        }
    }

    /// The same for a URL.
    pub(crate) fn is_reached_by(&self, url: &str) {
        if let Some(holder) = Holder::parse(url) {
            // What was advertised stays.
            let _ = self.holder.set(holder);
        }
    }

    /// Answers of clients do not arrive any more.
    pub(crate) fn leave(&self) {
        self.questions.close();
    }

    fn holder(&self) -> Option<&Holder> {
        self.holder.get()
    }
}

impl Receiver for Front {
    fn deliver(&self, event: &Event) {
        match event {
            Event::Session { session, change: SessionChange::Cancel { request } } => {
                self.running.cancel(*session, request);
            }
            Event::Session { session, change } => self.memory.note(*session, change),
            Event::ToolsChanged
            | Event::PromptsChanged
            | Event::ResourcesChanged
            | Event::ResourceUpdated { .. }
            | Event::Topic(_) => {}
        }
    }

    fn gap(&self) {
        // What is remembered may be old, as it may be on a pod that has never heard of it.
    }

    fn seated(&self, seat: Seat) {
        seat.add([Subject::Sessions]);
        self.seats.lock().unwrap_or_else(PoisonError::into_inner).push(seat);
    }
}

/// A legacy client, as one request of its session shows it.
#[derive(Clone)]
struct Caller {
    server: Server,
    session: Arc<Known>,
    principal: Option<Principal>,
    accepts: Accepts,
    /// What came with the HTTP request, for a backend.
    extensions: Option<Arc<Extensions>>,
}

/// GET: opens a stream of the session.
pub(crate) async fn get(server: &Server, head: Parts) -> Result<Response<Body>, Rejection> {
    check_version(&head.headers)?;
    if !head.headers.contains_key(header::SESSION_ID) {
        return Ok(no_stream_without_session());
    }
    let streams = crate::http::accepts_streams(&head.headers);
    let caller = Caller::of(server, &head.headers, head.extensions, Accepts::Streams)?;
    if !streams {
        return Err(Rejection::NotAcceptable("text/event-stream"));
    }
    match SessionStream::open(server, caller.session.number, caller.described()).await {
        Ok(stream) => Ok(sse(Body::session(stream, &server.inner.limits()))),
        Err(Failure::Rejected(rejection)) => Err(rejection),
        Err(failure) => Ok(json(completed::Response::failure(None, &failure))),
    }
}

/// DELETE: ends the session, if all pods learn of it; otherwise the session lives until it expires, and
/// the client is told that sessions are not ended here, as the specification allows.
pub(crate) async fn delete(server: &Server, head: &Parts) -> Result<Response<Body>, Rejection> {
    check_version(&head.headers)?;
    let session = Session::of(server, &head.headers, principal(&head.extensions).map(Principal::id))?;
    if !server.inner.front.ends_sessions() {
        return Err(Rejection::HttpMethod("GET, POST"));
    }
    let end = Event::Session { session: session.number, change: SessionChange::End };
    server.tell_pods(end).await.map_err(|_| BUS_AWAY)?;
    // What the client sends next may reach another pod, which is to know it by then.
    let spread = server.inner.bus.spread();
    if !spread.is_zero() {
        tokio::time::sleep(spread).await;
    }
    Ok(empty(StatusCode::NO_CONTENT))
}

/// POST of one message.
pub(crate) async fn post(
    server: &Server,
    headers: &dyn Headers,
    extensions: Extensions,
    accepts: Accepts,
    message: LegacyMessage,
    permit: Permit,
) -> Response<Body> {
    if let LegacyKind::Request(request) = &message.kind
        && message.opens_session()
    {
        // In a box, so that requests that are no handshake do not carry the room for one.
        return Box::pin(initialize(server, extensions, request)).await;
    }
    let caller = match Caller::of(server, headers, extensions, accepts) {
        Ok(caller) => caller,
        Err(rejection) => return refused(&Refused { id: request_id(&message.kind), rejection }),
    };
    match message.kind {
        LegacyKind::Request(request) => caller.request(request, permit).await,
        LegacyKind::Notice(notice) => {
            caller.notice(&notice).await;
            empty(StatusCode::ACCEPTED)
        }
        // In a box for the same reason: it may have to travel.
        LegacyKind::Answer(answer) => match Box::pin(caller.deliver(&answer)).await {
            Ok(()) => empty(StatusCode::ACCEPTED),
            Err(undelivered) => undelivered.respond(),
        },
    }
}

/// POST of several messages.
pub(crate) async fn post_batch(
    server: &Server,
    headers: &dyn Headers,
    extensions: Extensions,
    accepts: Accepts,
    messages: Vec<LegacyMessage>,
    permit: Permit,
) -> Response<Body> {
    match Caller::of(server, headers, extensions, accepts) {
        Ok(caller) => caller.batch(messages, permit).await,
        Err(rejection) => refused(&Refused::anonymous(rejection)),
    }
}

async fn initialize(server: &Server, extensions: Extensions, request: &Request) -> Response<Body> {
    let principal = principal(&extensions).cloned();
    let extensions = for_backend(server, extensions).unwrap_or_default();
    let opened = initialize::open(server, request, principal.clone(), extensions).await;
    let opened = opened.and_then(|Opened { session, result, .. }| {
        let id = session.seal(server, principal.as_ref().map(Principal::id)).map_err(|_| Rejection::Internal)?;
        let id = HeaderValue::from_str(&id).map_err(|_| Rejection::Internal)?;
        Ok((id, result))
    });
    match opened {
        Ok((id, result)) => {
            let mut answer = json(success(request.id(), &result));
            answer.headers_mut().insert(header::SESSION_ID, id);
            answer
        }
        Err(failure) => json(refusal(request.id(), &failure)),
    }
}

impl Caller {
    fn of(server: &Server, headers: &dyn Headers, extensions: Extensions, accepts: Accepts) -> Result<Self, Rejection> {
        let principal = principal(&extensions).cloned();
        let session = Session::of(server, headers, principal.as_ref().map(Principal::id))?;
        let extensions = for_backend(server, extensions);
        Ok(Self { server: server.clone(), session, principal, accepts, extensions })
    }

    /// The same as a backend is told.
    fn described(&self) -> backend::Caller {
        let extensions = self.extensions.clone().unwrap_or_default();
        backend::Caller::in_session(&self.client(), self.principal.clone(), extensions)
    }

    /// What is known of the client.
    fn client(&self) -> LegacyClient {
        let inner = &self.server.inner;
        // Whether a backend declares Logging, it knows itself.
        let logs = inner.capabilities.logging.is_some() || inner.backend.is_some();
        let wanted = || inner.front.memory.level(self.session.number).unwrap_or(LoggingLevel::Debug);
        self.session.client(logs.then(wanted))
    }

    async fn request(self, request: Request, permit: Permit) -> Response<Body> {
        if let Some(response) = self.setting(&request).await {
            return json(response);
        }
        let span = telemetry::span(&request, telemetry::Transport::Http);
        let limits = self.server.inner.limits();
        let outbox = Arc::new(Outbox::new(limits.outbox_messages));
        let mut call = self.call(request, Arc::clone(&outbox), Some(permit));
        let run = match span.in_scope(|| call.start(&self)) {
            Ok(Started::Running(run)) => run,
            Ok(Started::Done(completed)) => return json(span.in_scope(|| call.respond(Ok(completed)))),
            Err(failure) => return json(span.in_scope(|| call.respond(Err(failure)))),
        };
        let (id, accepts) = (call.request.id().to_owned(), self.accepts);
        let (front, session) = (Arc::clone(&self.server.inner.front), self.session.number);
        let work = async move {
            let response = call.finish(run, &self).await;
            (response, call.permit.take())
        };
        let task = front.running.spawn(session, &id.clone(), work.instrument(span.clone()));
        let answer = async move {
            match task.await {
                Ok((response, permit)) => Finished { response: Some(response), permit },
                Err(error) => Finished { response: ended(Err(error), &id), permit: None },
            }
        };
        Exchange::new(Doing::Legacy(Box::pin(answer)), outbox, None, span, &limits).respond(accepts).await
    }

    /// Answers `ping` and what changes the session.
    async fn setting(&self, request: &Request) -> Option<completed::Response> {
        let method = LegacyMethod::parse(&request.method_name())?;
        // In a box as well: most requests set nothing.
        Some(match Box::pin(self.set(method, request)).await {
            Ok(()) => success(request.id(), NOTHING),
            Err(failure) => refusal(request.id(), &failure),
        })
    }

    async fn set(&self, method: LegacyMethod, request: &Request) -> Result<(), Failure> {
        if method == LegacyMethod::Ping {
            return Ok(());
        }
        let capabilities = self.server.capabilities(|| self.described()).await?;
        let Some(change) = settings::read(method, &capabilities, request)? else { return Ok(()) };
        if let Some(backend) = &self.server.inner.backend
            && let SessionChange::Subscribe { uri } = &change
        {
            let keep = self.listen(Arc::clone(backend), uri).await?;
            self.server.inner.front.memory.hold(self.session.number, uri, keep);
        }
        self.server.tell_pods(self.event(change)).await.map_err(|_| BUS_AWAY)?;
        Ok(())
    }

    /// Lets the backend listen to a resource.
    async fn listen(&self, backend: Arc<dyn Backend>, uri: &str) -> Result<Box<dyn Any + Send>, Failure> {
        let deadline = self.server.inner.limits().backend_deadline;
        // That it listens is noted here; what it hears is for the session's stream.
        let Listened { honoured, own: _, aside: _, keep } =
            backend::listen(backend, self.described(), feed::resource(uri.to_owned()), deadline).await?;
        match honoured.resource_subscriptions.iter().flatten().any(|honoured| honoured == uri) {
            true => Ok(keep),
            false => {
                Err(Rejection::Unknown { what: "resource", key: "uri", name: uri.chars().take(256).collect() }.into())
            }
        }
    }

    /// Notifications are hints; one that makes no sense is ignored.
    async fn notice(&self, notice: &Notice) {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Cancelled<'a> {
            #[serde(borrow)]
            request_id: &'a RawValue,
        }
        if notice.method_name() != Notification::Cancelled.as_str() {
            return;
        }
        if let Ok(cancelled) = serde_json::from_str::<Cancelled<'_>>(notice.params()) {
            let event = self.event(SessionChange::Cancel { request: cancelled.request_id.get().to_owned() });
            if self.server.tell_pods(event.clone()).await.is_err() {
                // The call may well be here.
                self.server.inner.front.deliver(&event);
            }
        }
    }

    fn event(&self, change: SessionChange) -> Event {
        Event::Session { session: self.session.number, change }
    }

    fn call(&self, request: Request, outbox: Arc<Outbox>, permit: Option<Permit>) -> LegacyCall {
        LegacyCall {
            server: self.server.clone(),
            request: Arc::new(request),
            client: Arc::new(self.client()),
            principal: self.principal.clone(),
            outbox,
            permit,
            extensions: self.extensions.clone(),
        }
    }
}

/// The answer of a call whose task has ended; a cancelled one has none.
fn ended(task: Result<completed::Response, JoinError>, id: &str) -> Option<completed::Response> {
    match task {
        Ok(response) => Some(response),
        Err(error) if error.is_cancelled() => None,
        Err(error) => {
            tracing::error!(%error, "a legacy call broke");
            Some(refusal(id, &Rejection::Internal.into()))
        }
    }
}

/// What a client of 2024-11-05 sends first is a GET without a session; it learns why that does not work.
fn no_stream_without_session() -> Response<Body> {
    let spoken = Version::LEGACY.map(Version::as_str).join(", ");
    let message = format!(
        "no stream without a session: POST `initialize` to this URL and send its mcp-session-id \
         (revisions {spoken}); the HTTP+SSE transport of 2024-11-05 is not built"
    );
    let body = error_response(None, Code::InvalidRequest.number(), &message, None);
    let status = StatusCode::METHOD_NOT_ALLOWED;
    let mut answer = json(completed::Response::new(status, body));
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
    answer
}

/// Holds GET and DELETE to the version header. Modern revisions have POST only.
///
/// Spec: 2025-11-25, basic/transports, "Protocol Version Header".
fn check_version(headers: &HeaderMap) -> Result<(), Rejection> {
    match declared_version(headers)?.map(Version::era) {
        Some(Era::Modern) => Err(Rejection::HttpMethod("POST")),
        Some(Era::Legacy) | None => Ok(()),
    }
}

/// What came with the request; handlers see none of it.
fn for_backend(server: &Server, extensions: Extensions) -> Option<Arc<Extensions>> {
    server.inner.backend.as_ref().map(|_| Arc::new(extensions))
}

fn principal(extensions: &Extensions) -> Option<&Principal> {
    extensions.get()
}

fn request_id(message: &LegacyKind) -> Option<String> {
    match message {
        LegacyKind::Request(request) => Some(request.id().to_owned()),
        LegacyKind::Notice(_) | LegacyKind::Answer(_) => None,
    }
}
