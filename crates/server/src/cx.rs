//! The context of one call: what a handler can ask, report and know.

mod line;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::ops::RangeInclusive;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use anypod_proto::capabilities::ClientCapabilities;
use anypod_proto::implementation::Implementation;
use anypod_proto::logging::LoggingLevel;
use anypod_proto::method::{Method, Notification};
use anypod_proto::reject::Rejection;
use anypod_proto::request::Request;
use anypod_proto::trace::{self, TraceContext, TraceParent};
use anypod_proto::version::Version;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

use anypod_proto::seal::digest;

use crate::ask::Question;
use crate::backend::Kept;
use crate::detached::Keeper;
use crate::error::{Error, Result};
use crate::extension::{MethodResult, declared};
use crate::front::asked::Line;
use crate::journal::{FAILED, Journal};
use crate::outbox::{Kind, Outbox};
use crate::principal::Principal;
use crate::server::Server;

/// How long a new step waits for the handler to come by what is recorded, which takes a moment if it does at all.
const REPLAY_PATIENCE: Duration = Duration::from_secs(30);

/// The context of one call. Cheap to clone; every clone speaks for the same call.
///
/// A handler takes it like any other argument. When the client goes away, the handler is dropped where it waits.
#[derive(Clone)]
pub struct Cx {
    call: Arc<CallState>,
}

/// The trace of a caller, as it came in `_meta`. Spec: basic/index, "`_meta`".
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trace {
    /// `traceparent`: the trace and the caller's span. What is sent on names a span of your own, see
    /// [`TraceParent::child`].
    pub parent: Option<TraceParent>,
    /// `tracestate`, to be sent on as it is; none without a parent.
    pub state: Option<String>,
    /// `baggage`, to be sent on as it is.
    pub baggage: Option<String>,
}

/// Everything that belongs to one run of a handler.
pub(crate) struct CallState {
    pub(crate) server: Server,
    pub(crate) request: Arc<Request>,
    pub(crate) client: Client,
    pub(crate) principal: Option<Principal>,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) journal: Mutex<Journal>,
    pub(crate) variables: BTreeMap<String, String>,
    /// The way to the client, where it can be asked while the call works.
    pub(crate) line: Option<Line>,
    /// How many parts of the handler wait for what is no work.
    idle: AtomicUsize,
    /// Who writes steps down as they are done; nobody where the journal travels with the client.
    keeper: Option<Arc<dyn Keeper>>,
    attached: Mutex<http::Extensions>,
    /// What answers in place of the handler.
    ending: Mutex<Option<MethodResult>>,
    children: Mutex<Vec<tokio::task::AbortHandle>>,
    progress: Mutex<Option<f64>>,
}

/// Where the facts about the client come from.
#[derive(Debug, Clone)]
pub(crate) enum Client {
    /// From `_meta` of the request.
    Modern,
    /// From the sealed session of a legacy client.
    Legacy(Arc<LegacyClient>),
}

/// What a legacy client said when it opened its session.
#[derive(Debug, Clone)]
pub(crate) struct LegacyClient {
    /// The revision that was negotiated; requests need not declare it.
    pub(crate) version: Version,
    /// Tells its session from others.
    pub(crate) session: u64,
    pub(crate) info: Option<Arc<Implementation>>,
    pub(crate) capabilities: Arc<ClientCapabilities>,
    /// The least severe level to be sent; none where the server has not declared Logging.
    pub(crate) log_level: Option<LoggingLevel>,
    /// What a backend makes of the two.
    pub(crate) kept: Kept,
}

impl Client {
    /// The revision that the client speaks.
    pub(crate) fn revision(&self, request: &Request) -> Version {
        match self {
            Self::Modern => request.version(),
            Self::Legacy(client) => client.version,
        }
    }

    /// The client's name and version, as it says.
    pub(crate) fn info(&self, request: &Request) -> Option<Arc<Implementation>> {
        match self {
            Self::Modern => serde_json::from_str(request.client_info()?).ok().map(Arc::new),
            Self::Legacy(client) => client.info.clone(),
        }
    }

    /// What the client declared that it can do.
    pub(crate) fn capabilities(&self, request: &Request) -> Arc<ClientCapabilities> {
        match self {
            Self::Modern => {
                let declared = request.client_capabilities().and_then(|raw| serde_json::from_str(raw).ok());
                declared.map_or_else(Arc::default, Arc::new)
            }
            Self::Legacy(client) => Arc::clone(&client.capabilities),
        }
    }

    /// The least severe level that the client wants.
    pub(crate) fn log_level(&self, request: &Request) -> Option<LoggingLevel> {
        match self {
            Self::Modern => LoggingLevel::parse(&request.log_level()?),
            Self::Legacy(client) => client.log_level,
        }
    }
}

impl CallState {
    pub(crate) fn new(
        server: Server,
        request: Arc<Request>,
        client: Client,
        principal: Option<Principal>,
        outbox: Arc<Outbox>,
        journal: Journal,
        reported: Option<f64>,
    ) -> Self {
        Self {
            server,
            request,
            client,
            principal,
            outbox,
            journal: Mutex::new(journal),
            variables: BTreeMap::new(),
            line: None,
            idle: AtomicUsize::new(0),
            keeper: None,
            attached: Mutex::default(),
            ending: Mutex::default(),
            children: Mutex::default(),
            progress: Mutex::new(reported),
        }
    }

    /// The same, with steps written down as they are done.
    pub(crate) fn kept_by(mut self, keeper: Arc<dyn Keeper>) -> Self {
        self.keeper = Some(keeper);
        self
    }

    /// What an extension has answered in place of the handler.
    pub(crate) fn take_ending(&self) -> Option<MethodResult> {
        self.ending.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The progress that was reported last.
    pub(crate) fn reported(&self) -> Option<f64> {
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn journal(&self) -> MutexGuard<'_, Journal> {
        // Every method of the journal leaves it consistent, so a panic in between does not spoil it.
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends what the handler has spawned.
    pub(crate) fn abort_children(&self) {
        let mut children = self.children.lock().unwrap_or_else(PoisonError::into_inner);
        children.drain(..).for_each(|child| child.abort());
    }
}

impl Cx {
    pub(crate) const fn new(call: Arc<CallState>) -> Self {
        Self { call }
    }

    pub(crate) fn call(&self) -> &CallState {
        &self.call
    }

    /// Asks the client and waits for the answer. `key` names the question within this call.
    ///
    /// The handler must be replayable: a modern client answers with a new request, which may reach another
    /// pod, and the handler then runs again from the start; this call gives the answer at once. Effects
    /// before a question belong into [`Cx::step`]. Questions that wait at the same time, for instance
    /// joined, go out in one round, and the handler must come by all of them again: do not race them.
    ///
    /// ```
    /// use anypod_server::{Cx, Error, Reply, Result, Tool, form, url};
    ///
    /// #[derive(serde::Deserialize, schemars::JsonSchema)]
    /// struct Stay { nights: u8 }
    ///
    /// #[derive(serde::Deserialize, schemars::JsonSchema)]
    /// struct Guest { name: String }
    ///
    /// async fn book(cx: Cx) -> Result<String> {
    ///     // Both questions go out together.
    ///     let (stay, guest) = tokio::try_join!(
    ///         cx.ask("stay", form::<Stay>("How long?")),
    ///         cx.ask("guest", form::<Guest>("Who is coming?")),
    ///     )?;
    ///     let stay = match stay {
    ///         Reply::Accepted(stay) => stay,
    ///         Reply::Declined => return Ok("no room is needed".to_owned()),
    ///         Reply::Cancelled => return Err(Error::tool("the question was closed, ask again")),
    ///     };
    ///     let Some(guest) = guest.into_accepted() else { return Err(Error::tool("who is coming?")) };
    ///     let page = "https://hotel.example.com/pay";
    ///     if !cx.ask("payment", url("Leave your card number here", page)).await?.accepted() {
    ///         return Err(Error::tool("nothing was booked"));
    ///     }
    ///     Ok(format!("{} nights for {}", stay.nights, guest.name))
    /// }
    /// # anypod_server::Server::new("s", "1").tool(Tool::new("book", book)).build().unwrap();
    /// ```
    ///
    /// # Errors
    /// If the client did not declare what the question needs, if the answer does not fit the question, if
    /// `key` was used before in this call, if the handler asked something else in an earlier round, or if
    /// this is a call for suggestions, which the specification answers at once.
    pub async fn ask<Q: Question>(&self, key: &str, question: Q) -> Result<Q::Answer> {
        // Spec: basic/patterns/mrtr, "Supported Requests": no answer to a completion may ask.
        if self.call.request.method() == Some(Method::Complete) {
            return Err(Error::internal(format_args!("suggestions are made without questions such as `{key}`")));
        }
        if let Some(missing) = self.client_capabilities().missing(&question.requires()) {
            return Err(Error::rejected(Rejection::MissingCapability(Box::new(missing))));
        }
        let answer = self.call.journal().ask(key, question.request()?)?;
        let Some(answer) = answer else {
            let _withdraw = Withdraw { call: &self.call, key };
            // The round ends while this waits; the next one comes past here with the answer.
            return std::future::pending().await;
        };
        question.answer(answer).map_err(|reason| {
            let reason = reason.chars().take(400).collect();
            Error::rejected(Rejection::InputResponse { key: key.to_owned(), reason })
        })
    }

    /// Runs an effect once: its result is kept in the journal, and when the handler is replayed it is
    /// taken from there. `key` names the step within this call. A step that fails is not kept.
    ///
    /// ```
    /// use anypod_server::{Cx, Result, Tool, form};
    ///
    /// #[derive(serde::Deserialize, schemars::JsonSchema)]
    /// struct Confirm { sure: bool }
    ///
    /// async fn quote() -> Result<u32, std::num::ParseIntError> { "120".parse() }
    ///
    /// async fn order(cx: Cx) -> Result<String> {
    ///     // The person agrees to this price, so it must not be another one after the question.
    ///     let price = cx.step("quote", quote).await?;
    ///     match cx.ask("confirm", form(format!("Order for {price} euros?"))).await?.into_accepted() {
    ///         Some(Confirm { sure: true }) => Ok(format!("ordered for {price} euros")),
    ///         Some(Confirm { sure: false }) | None => Ok("nothing was ordered".to_owned()),
    ///     }
    /// }
    /// # anypod_server::Server::new("s", "1").tool(Tool::new("order", order)).build().unwrap();
    /// ```
    ///
    /// # Errors
    /// What the effect fails with; or if `key` was used before in this call, or if the result cannot be
    /// kept as JSON.
    pub async fn step<T, E, F>(&self, key: &str, effect: impl FnOnce() -> F) -> Result<T>
    where
        T: Serialize + DeserializeOwned,
        E: Into<Error>,
        F: Future<Output = std::result::Result<T, E>>,
    {
        if let Some(done) = self.call.journal().begin_step(key)? {
            return serde_json::from_value(done)
                .map_err(|error| Error::internal(format_args!("the recorded result of step `{key}`: {error}")));
        }
        let mut step = Step { call: &self.call, key, result: None };
        self.catch_up(key).await?;
        if let Some(keeper) = &self.call.keeper {
            keeper.may_begin().await;
        }
        let result = match effect().await {
            Ok(result) => result,
            Err(error) => {
                let error = error.into();
                if let Some(keeper) = &self.call.keeper {
                    keeper.record(&format!("{FAILED}{key}"), &Value::Null).await?;
                }
                self.call.journal().note_failure(key);
                return Err(error);
            }
        };
        let value = serde_json::to_value(&result)
            .map_err(|error| Error::internal(format_args!("the result of step `{key}` is not JSON: {error}")))?;
        if let Some(keeper) = &self.call.keeper {
            keeper.record(key, &value).await?;
        }
        step.result = Some(value);
        Ok(result)
    }

    /// Waits until the handler has come by all that is recorded.
    async fn catch_up(&self, key: &str) -> Result<()> {
        let caught_up = poll_fn(|cx| match self.call.journal().has_caught_up(key, cx.waker()) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        });
        match tokio::time::timeout(REPLAY_PATIENCE, caught_up).await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.call.journal().never_caught_up(key)),
        }
    }

    /// A key for the effect of a step: the same in every run of this call and on every pod, and of no other step. An effect
    /// that is done and whose record is lost, as its pod dies in between, is done again; a system that remembers the key
    /// does it once.
    ///
    /// ```
    /// use anypod_server::{Cx, Error, Result, Tool};
    ///
    /// async fn charge(key: String) -> Result<u64, std::fmt::Error> { Ok(key.len() as u64) }
    ///
    /// async fn pay(cx: Cx) -> Result<String> {
    ///     let receipt = cx.step("charge", || charge(cx.step_key("charge"))).await?;
    ///     Ok(format!("receipt {receipt}"))
    /// }
    /// # anypod_server::Server::new("s", "1").tool(Tool::new("pay", pay)).build().unwrap();
    /// ```
    pub fn step_key(&self, step: &str) -> String {
        let call = match &self.call.keeper {
            Some(keeper) => keeper.id().to_owned(),
            None => {
                let outside = &self.call.server.inner.outside;
                self.call.journal().id(|| hex(&outside.random::<16>()))
            }
        };
        hex(&digest(&[b"step", call.as_bytes(), step.as_bytes()])[..16])
    }

    /// Which version of a piece of the handler this call runs, where calls may be under way while the handler changes: the
    /// newest for a call that comes here for the first time, and for every later run of it the same. A call that was past
    /// here before there were versions has the oldest.
    ///
    /// ```
    /// use anypod_server::{Cx, Result, Tool};
    ///
    /// async fn ship(cx: Cx) -> Result<String> {
    ///     if cx.version("insurance", 1..=2).await? >= 2 {
    ///         cx.step("insure", async || Ok::<_, std::fmt::Error>(())).await?;
    ///     }
    ///     cx.step("ship", async || Ok::<_, std::fmt::Error>("on its way".to_owned())).await
    /// }
    /// # anypod_server::Server::new("s", "1").tool(Tool::new("ship", ship)).build().unwrap();
    /// ```
    ///
    /// # Errors
    /// If the call has a version that is not among `known` any more, or the key was used before in this call.
    pub async fn version(&self, key: &str, known: RangeInclusive<u32>) -> Result<u32> {
        let came_past = {
            let journal = self.call.journal();
            !journal.has_step(key) && journal.is_replaying()
        };
        if came_past {
            return Ok(*known.start());
        }
        let version = self.step(key, || std::future::ready(Ok::<_, Error>(*known.end()))).await?;
        match known.contains(&version) {
            true => Ok(version),
            false => Err(Error::internal(format_args!(
                "this call has version {version} of `{key}`, and the handler knows {} to {}",
                known.start(),
                known.end()
            ))),
        }
    }

    /// The client's settings of the extension of that identifier; `None` if it has not declared it for this request.
    ///
    /// # Errors
    /// If they are no `S`.
    pub fn extension<S: DeserializeOwned>(&self, id: &str) -> Result<Option<S>> {
        declared(&self.call.client.capabilities(&self.call.request), id)
    }

    /// Answers the request with a result of an extension, in place of the handler, which does not go on.
    pub async fn answer_with(&self, result: MethodResult) -> Infallible {
        *self.call.ending.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        self.call.journal().wake_driver();
        std::future::pending().await
    }

    /// Leaves something with this call, for whoever looks for its type with [`Cx::attached`].
    pub fn attach<T: Clone + Send + Sync + 'static>(&self, value: T) {
        self.call.attached.lock().unwrap_or_else(PoisonError::into_inner).insert(value);
    }

    /// What was left with this call.
    pub fn attached<T: Clone + Send + Sync + 'static>(&self) -> Option<T> {
        self.call.attached.lock().unwrap_or_else(PoisonError::into_inner).get().cloned()
    }

    /// Reports progress. Sent only if the client asked for it and only if `progress` is more than before.
    pub fn progress(&self, progress: f64, total: Option<f64>, message: Option<&str>) {
        let (token, keeper) = (self.call.request.progress_token(), self.call.keeper.as_ref());
        if token.is_none() && keeper.is_none() {
            return;
        }
        {
            let mut last = self.call.progress.lock().unwrap_or_else(PoisonError::into_inner);
            if !progress.is_finite() || last.is_some_and(|last| progress <= last) {
                return;
            }
            *last = Some(progress);
        }
        if let Some(keeper) = keeper {
            keeper.progress(progress, total, message);
        }
        let Some(token) = token else { return };
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Params<'a> {
            progress_token: Option<&'a RawValue>,
            progress: f64,
            #[serde(skip_serializing_if = "Option::is_none")]
            total: Option<f64>,
            #[serde(skip_serializing_if = "Option::is_none")]
            message: Option<&'a str>,
        }
        let progress_token = serde_json::from_str(token).ok();
        self.notify(Kind::Progress, Notification::Progress, &Params { progress_token, progress, total, message });
    }

    /// Sends a log message. Sent only if the client asked for messages of this severity, and if the server
    /// declares Logging, see [`ServerBuilder::with_logging`](crate::ServerBuilder::with_logging).
    #[deprecated(note = "the specification deprecates Logging: write to stderr on stdio, or use OpenTelemetry")]
    pub fn log(&self, level: LoggingLevel, logger: Option<&str>, data: impl Serialize) {
        let declared = self.call.server.inner.capabilities.logging.is_some();
        if !declared || self.call.client.log_level(&self.call.request).is_none_or(|wanted| level < wanted) {
            return;
        }
        #[derive(Serialize)]
        struct Params<'a, D> {
            level: LoggingLevel,
            #[serde(skip_serializing_if = "Option::is_none")]
            logger: Option<&'a str>,
            data: D,
        }
        self.notify(Kind::Log, Notification::Message, &Params { level, logger, data });
    }

    /// Starts a task that ends with this call at the latest: when the handler returns, when the round
    /// ends, and when the client goes away.
    pub fn spawn<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> tokio::task::JoinHandle<T> {
        let handle = tokio::spawn(task);
        let mut children = self.call.children.lock().unwrap_or_else(PoisonError::into_inner);
        children.retain(|child| !child.is_finished());
        children.push(handle.abort_handle());
        handle
    }

    /// The client's name and version, as it says. For display and logs only; nothing verifies it.
    pub fn client_info(&self) -> Option<Implementation> {
        self.call.client.info(&self.call.request).map(Arc::unwrap_or_clone)
    }

    /// What the client declared that it can do for this request.
    pub fn client_capabilities(&self) -> ClientCapabilities {
        Arc::unwrap_or_clone(self.call.client.capabilities(&self.call.request))
    }

    /// Who calls, where callers are authenticated.
    pub fn principal(&self) -> Option<&Principal> {
        self.call.principal.as_ref()
    }

    /// The request, as it was admitted.
    pub fn request(&self) -> &Request {
        &self.call.request
    }

    /// The server that this call reached; to announce changes, for instance.
    pub fn server(&self) -> &Server {
        &self.call.server
    }

    /// The trace that this call belongs to, for calls to other systems. What is not well-formed is left out.
    pub fn trace(&self) -> Trace {
        let [parent, state, baggage] = self.call.request.trace_fields();
        let context = parent.as_deref().and_then(|parent| TraceContext::parse(parent, state.as_deref(), None));
        Trace {
            parent: context.as_ref().map(|context| context.traceparent),
            state: context.and_then(|context| context.tracestate.map(str::to_owned)),
            baggage: baggage.as_deref().and_then(trace::baggage).map(str::to_owned),
        }
    }

    fn notify(&self, kind: Kind, method: Notification, params: &impl Serialize) {
        match notification(method, params) {
            Ok(message) => self.call.outbox.push(kind, message),
            Err(error) => tracing::warn!(%error, method = method.as_str(), "a notification is not JSON"),
        }
    }
}

impl std::fmt::Debug for Cx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cx").field("method", &self.call.request.method()).finish_non_exhaustive()
    }
}

/// Bytes in lower case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A complete JSON-RPC notification.
pub(crate) fn notification(method: Notification, params: &impl Serialize) -> serde_json::Result<String> {
    #[derive(Serialize)]
    struct Message<'a, P> {
        jsonrpc: &'static str,
        method: &'static str,
        params: &'a P,
    }
    serde_json::to_string(&Message { jsonrpc: "2.0", method: method.as_str(), params })
}

/// Takes a question back when the handler stops waiting for it.
struct Withdraw<'a> {
    call: &'a CallState,
    key: &'a str,
}

impl Drop for Withdraw<'_> {
    fn drop(&mut self) {
        self.call.journal().withdraw(self.key);
    }
}

/// Ends a step in the journal, however it ends.
struct Step<'a> {
    call: &'a CallState,
    key: &'a str,
    result: Option<Value>,
}

impl Drop for Step<'_> {
    fn drop(&mut self) {
        self.call.journal().finish_step(self.key, self.result.take());
    }
}
