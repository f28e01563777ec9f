//! A request with its options, before it is sent: awaiting it sends it, dropping it then cancels it.

use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;
use std::time::Duration;

use anypod_proto::logging::{LoggingLevel, LoggingMessageNotificationParams};
use anypod_proto::meta;
use anypod_proto::progress::ProgressNotificationParams;
use anypod_proto::rounds::{InputRequests, InputResponses};

use crate::cache::Fetched;
use crate::call::{Answers, Call, Repeat, push_member};
use crate::client::Client;
use crate::credentials::BoxFuture;
use crate::error::{Error, Result};
use crate::exchange::Raw;
use crate::reply::{Json, Reply};
use crate::rounds::Ended;
use crate::tasks::{Started, Task};
use crate::telemetry::Trace;

/// How a request uses the client's cache. Only lists, reads and `server/discover` are ever kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CacheUse {
    /// A fresh result that is kept is as good as the server's, and so is one that the server is asked for by another
    /// request right now, if it may be kept. Where the server cannot be reached, one that was fresh up to
    /// [`Limits::cache_stale`](crate::Limits::cache_stale) ago stands in, marked as stale: see [`Fetched`].
    #[default]
    Use,
    /// Asks the server, and keeps what it says.
    Refresh,
    /// Asks the server, and keeps nothing.
    Bypass,
}

/// The members of `_meta` that follow from the client and the request's options.
const OWN_META: [&str; 5] =
    [meta::PROTOCOL_VERSION, meta::CLIENT_INFO, meta::CLIENT_CAPABILITIES, meta::LOG_LEVEL, meta::PROGRESS_TOKEN];

type OnProgress = Box<dyn FnMut(ProgressNotificationParams) + Send>;
type OnLog = Box<dyn FnMut(LoggingMessageNotificationParams) + Send>;

/// What a request may be told to do besides its defaults.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) timeout: Option<Duration>,
    pub(crate) on_progress: Option<OnProgress>,
    pub(crate) on_log: Option<OnLog>,
    pub(crate) cancel: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    pub(crate) cache: CacheUse,
    /// Where the result came from, once there is one.
    pub(crate) fetched: Fetched<()>,
}

/// A request that awaits to be sent.
///
/// ```no_run
/// # async fn example(client: anypod_client::Client) -> anypod_client::Result<()> {
/// use std::time::Duration;
/// use serde_json::json;
///
/// let result = client
///     .call("reindex", json!({ "shelf": 4 }))
///     .timeout(Duration::from_secs(20))
///     .on_progress(|progress| println!("{}", progress.progress))
///     .await?;
/// # let _ = result; Ok(())
/// # }
/// ```
///
/// Dropping the future that it becomes cancels the request: over HTTP by closing the stream, over stdio and towards
/// legacy servers by a notification.
#[must_use = "a request is sent when it is awaited"]
pub struct Request<T> {
    client: Client,
    call: Result<Call>,
    options: Options,
    reply: PhantomData<fn() -> T>,
}

impl<T> Request<T> {
    pub(crate) fn new(client: &Client, call: Result<Call>) -> Self {
        Self { client: client.clone(), call, options: Options::default(), reply: PhantomData }
    }

    fn change(mut self, change: impl FnOnce(&mut Call)) -> Self {
        if let Ok(call) = &mut self.call {
            change(call);
        }
        self
    }

    /// How long the server may take, questions to the user not counted.
    /// [`Limits::request_deadline`](crate::Limits::request_deadline) by default.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options.timeout = Some(timeout);
        self
    }

    /// Asks for progress, and hands on what comes.
    pub fn on_progress(mut self, tell: impl FnMut(ProgressNotificationParams) + Send + 'static) -> Self {
        self.options.on_progress = Some(Box::new(tell));
        self.change(|call| call.progress = true)
    }

    /// Asks for log messages from this level up, and hands on what comes.
    ///
    /// Deprecated since 2026-07-28, as logging is, but servers still have it.
    pub fn on_log(
        mut self,
        level: LoggingLevel,
        tell: impl FnMut(LoggingMessageNotificationParams) + Send + 'static,
    ) -> Self {
        self.options.on_log = Some(Box::new(tell));
        self.change(|call| call.log_level = Some(level))
    }

    /// Cancels the request when this future is ready; it then ends as [`Error::Cancelled`](crate::Error::Cancelled).
    pub fn cancel_when(mut self, cancel: impl Future<Output = ()> + Send + 'static) -> Self {
        self.options.cancel = Some(Box::pin(cancel));
        self
    }

    /// How to use the cache.
    pub fn cache(mut self, cache: CacheUse) -> Self {
        self.options.cache = cache;
        self
    }

    /// Says whether the request may be sent again when its stream breaks and nobody knows whether it ran. By default
    /// what only reads may, and tools whose annotations say that they may.
    pub fn repeatable(self, repeat: Repeat) -> Self {
        self.change(|call| call.repeat = repeat)
    }

    /// The trace that the request belongs to, instead of the one that
    /// [`ClientBuilder::trace`](crate::ClientBuilder::trace) gives.
    pub fn trace(self, trace: Trace) -> Self {
        self.change(|call| call.trace = Some(Box::new(trace)))
    }

    /// Adds a member to `_meta`, such as one of your own. The cache does not look at it: where it changes the result,
    /// use [`CacheUse::Bypass`].
    ///
    /// What the client writes there itself is refused, with [`Error::Misuse`](crate::Error::Misuse).
    pub fn meta(mut self, key: &str, value: impl Into<serde_json::Value>) -> Self {
        if OWN_META.contains(&key) {
            self.call = Err(Error::Misuse(format!("{key} is written by the client itself")));
        }
        let (key, value) = (serde_json::Value::from(key).to_string(), value.into().to_string());
        self.change(|call| push_member(&mut call.meta, &key[1..key.len() - 1], value.as_bytes()))
    }

    /// The same request whose result is left as JSON.
    pub fn raw(self) -> Request<Raw> {
        Request { client: self.client, call: self.call, options: self.options, reply: PhantomData }
    }

    /// The same request whose result is read as `U`, whatever its type: complete, or one that an
    /// [`Extension`](crate::Extension) of the client has defined.
    pub fn read_as<U>(self) -> Request<Json<U>> {
        Request { client: self.client, call: self.call, options: self.options, reply: PhantomData }
    }
}

impl<T: Reply> Request<T> {
    /// Sends one round: questions come to the caller, not to the client's answerers.
    ///
    /// # Errors
    /// As awaiting the request does.
    pub async fn round(mut self) -> Result<Round<T>> {
        let mut call = self.call?;
        Ok(match self.client.inner().round(&mut call, &mut self.options).await? {
            ended @ (Ended::Complete(_) | Ended::Other(..)) => {
                Round::Done(read(ended.into_raw_for::<T>()?, &self.client, &call)?)
            }
            Ended::Task(task) => Round::Task(Task::new(&self.client, task.task.task_id, call)),
            Ended::Asks { requests, state } => {
                let next = Self { client: self.client, call: Ok(call), options: self.options, reply: PhantomData };
                Round::Asks(Asked { requests, state, next: Some(Box::new(next)) })
            }
        })
    }
}

impl<T: Reply> Request<T> {
    /// Sends the request, and does not wait where the server makes a task of it.
    ///
    /// # Errors
    /// As awaiting the request does.
    pub async fn detach(mut self) -> Result<Started<T>> {
        let mut call = self.call?;
        Ok(match self.client.inner().run(&mut call, &mut self.options).await? {
            Ended::Task(task) => Started::Task(Box::new(Task::new(&self.client, task.task.task_id, call))),
            ended => Started::Done(read(ended.into_raw_for::<T>()?, &self.client, &call)?),
        })
    }
}

impl<T: Reply> Request<T> {
    /// Sends the request, as awaiting it does, and says where the result comes from.
    ///
    /// # Errors
    /// As awaiting the request does.
    pub async fn fetched(mut self) -> Result<Fetched<T>> {
        let value = self.send().await?;
        Ok(self.options.fetched.with(value))
    }

    async fn send(&mut self) -> Result<T> {
        let mut call = std::mem::replace(&mut self.call, Ok(Call::default()))?;
        let inner = self.client.inner();
        let raw = match inner.run(&mut call, &mut self.options).await? {
            Ended::Task(task) => Box::pin(inner.follow(&self.client, *task, &mut self.options)).await?,
            ended => ended.into_raw_for::<T>()?,
        };
        read(raw, &self.client, &call)
    }
}

impl<T: Reply> IntoFuture for Request<T> {
    type Output = Result<T>;
    type IntoFuture = BoxFuture<'static, Result<T>>;

    fn into_future(mut self) -> Self::IntoFuture {
        Box::pin(async move { self.send().await })
    }
}

/// Reads a result. What cannot be read is not kept either.
fn read<T: Reply>(raw: Raw, client: &Client, call: &Call) -> Result<T> {
    T::read(raw, client, call).inspect_err(|_| client.inner().reject(call))
}

/// What one round gave.
pub enum Round<T> {
    /// The result.
    Done(T),
    /// Questions first.
    Asks(Asked<T>),
    /// The server works on it, and questions may come from there.
    Task(Task<T>),
}

/// The questions of a round, and the request that will bring their answers. Dropping them gives the request up.
#[must_use = "the server waits for answers"]
pub struct Asked<T> {
    requests: InputRequests,
    state: Option<String>,
    /// There until the answers are.
    next: Option<Box<Request<T>>>,
}

impl<T> Asked<T> {
    /// What the server asks, by keys of its choice.
    pub const fn requests(&self) -> &InputRequests {
        &self.requests
    }

    /// The next round, with these answers and the state that the server wants back.
    pub fn answer(mut self, responses: InputResponses) -> Request<T> {
        let next = self.next.take().expect("nothing else takes it");
        let state = self.state.take();
        next.change(|call| call.answers = Some(Answers::new(&responses, state)))
    }
}

impl<T> Drop for Asked<T> {
    fn drop(&mut self) {
        if let (Some(next), Some(state)) = (&self.next, &self.state) {
            next.client.inner().upstream.give_up(state);
        }
    }
}

impl<T> std::fmt::Debug for Request<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request").field("method", &self.call.as_ref().map(|call| &call.method)).finish_non_exhaustive()
    }
}
