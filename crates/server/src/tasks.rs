//! The Tasks extension: calls of tools that outlive their request, and the pod that took it.
//!
//! A task is a detached call in a [`Store`]. Any pod takes it up under a lease, gives its handler what earlier runs have
//! recorded, and writes down each step before the handler goes on. When the pod dies, another one takes the task up once
//! the lease is over; what the first one writes from then on is refused. The handler is the same as for a plain call.
//!
//! Everything here stands on the public parts of the crate, as an extension of yours would: [`Extension`], [`Intercept`],
//! [`Topics`](crate::Topics), [`Detached`](crate::Detached) and [`Keeper`](crate::Keeper).
//!
//! Clients of 2025-11-25, where tasks are a part of the protocol and otherwise spelled, are served from the same tasks ([`legacy`]).
//!
//! Spec: the extension `io.modelcontextprotocol/tasks`.

mod answers;
mod create;
mod engine;
mod keeper;
mod legacy;
mod methods;
mod run;
mod spelled;
mod topics;
mod watch;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use anypod_proto::method::TaskMethod;
use anypod_proto::tasks::EXTENSION;
use anypod_store::Store;

use crate::cx::Cx;
use crate::error::Result;
use crate::extension::Extension;
use crate::tool::Tool;
use create::{Before, Deferred};
use engine::Engine;
use topics::TaskTopics;

/// The Tasks extension of a server, for [`ServerBuilder::extension`](crate::ServerBuilder::extension).
///
/// ```
/// use std::sync::Arc;
/// use anypod_server::{AsTask, Cx, Result, Server, Tasks, Tool};
/// use anypod_store::Memory;
///
/// async fn count() -> std::io::Result<u64> { Ok(42) }
///
/// async fn report(cx: Cx) -> Result<String> {
///     // Runs once, whichever pods the task goes through.
///     let lines = cx.step("count", count).await?;
///     Ok(format!("{lines} lines"))
/// }
///
/// // One process; a fleet shares a database.
/// let store = Arc::new(Memory::default());
/// let server = Server::new("reports", "1.0.0")
///     .store(store.clone())
///     .extension(Tasks::new(store))
///     .tool(Tool::new("report", report).task(AsTask::when_declared()))
///     .build()
///     .unwrap();
/// ```
pub struct Tasks {
    store: Arc<dyn Store>,
    settings: Settings,
}

#[derive(Debug, Clone)]
pub(crate) struct Settings {
    workers: usize,
    lease: Duration,
    ttl: Option<Duration>,
    keep: Duration,
    poll: Duration,
    deaths: u32,
}

impl Tasks {
    /// Tasks that are kept in this store, which all pods share.
    pub fn new(store: Arc<dyn Store>) -> Self {
        let settings = Settings {
            workers: 16,
            lease: Duration::from_secs(10),
            ttl: Some(Duration::from_secs(3600)),
            keep: Duration::from_secs(300),
            poll: Duration::from_secs(1),
            deaths: 3,
        };
        Self { store, settings }
    }

    /// How many tasks run on this pod at once. Default 16; with 0 it creates tasks, and others run them.
    #[must_use]
    pub const fn workers(mut self, workers: usize) -> Self {
        self.settings.workers = workers;
        self
    }

    /// How long it takes until another pod takes up the task of one that died: at least 100 ms. A pod renews its leases three
    /// times within that. Default 10 s.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.settings.lease = lease.max(Duration::from_millis(100));
        self
    }

    /// How long a task may be there from its creation, unless its tool says otherwise; `None` is for ever. One that has not
    /// ended by then has failed. Default 1 hour.
    #[must_use]
    pub const fn ttl(mut self, ttl: Option<Duration>) -> Self {
        self.settings.ttl = ttl;
        self
    }

    /// How long a result is kept at least, however late it came. Default 5 min.
    #[must_use]
    pub const fn keep(mut self, keep: Duration) -> Self {
        self.settings.keep = keep;
        self
    }

    /// How long clients should wait between two looks, unless the tool says otherwise. Default 1 s.
    #[must_use]
    pub const fn poll(mut self, poll: Duration) -> Self {
        self.settings.poll = poll;
        self
    }

    /// After how many pods in a row died at a task, none of them having recorded a step, it has failed: it may be what kills
    /// them. Default 3.
    #[must_use]
    pub const fn deaths(mut self, deaths: u32) -> Self {
        self.settings.deaths = deaths;
        self
    }
}

impl From<Tasks> for Extension {
    fn from(tasks: Tasks) -> Self {
        let engine = Engine::new(tasks.store, tasks.settings);
        let (worker, follower) = (Arc::clone(&engine), Arc::clone(&engine));
        let extension = Self::new(EXTENSION)
            .intercept(Before(Arc::clone(&engine)))
            .topics(TaskTopics(Arc::clone(&engine)))
            .work(move |server| worker::work(Arc::clone(&worker), server))
            .work(move |server| worker::follow(Arc::clone(&follower), server));
        let extension = extension.legacy(legacy::part(&engine));
        let key = "taskId";
        let (get, update, cancel) = (Arc::clone(&engine), Arc::clone(&engine), engine);
        extension
            .named_method(TaskMethod::Get.as_str(), key, move |params, cx| methods::get(Arc::clone(&get), params, cx))
            .named_method(TaskMethod::Update.as_str(), key, move |params, cx| {
                methods::update(Arc::clone(&update), params, cx)
            })
            .named_method(TaskMethod::Cancel.as_str(), key, move |params, cx| {
                methods::cancel(Arc::clone(&cancel), params, cx)
            })
    }
}

/// Whether calls of a tool become tasks, and how those are run.
#[derive(Debug, Clone)]
pub struct AsTask {
    when: When,
    deferred: bool,
    ttl: Option<Option<Duration>>,
    poll: Option<Duration>,
    retries: u32,
    pause: Duration,
    attempt: Option<Duration>,
}

/// When a call becomes a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    Declared,
    Always,
    Never,
}

impl AsTask {
    const fn when(when: When) -> Self {
        let pause = Duration::from_secs(1);
        Self { when, deferred: false, ttl: None, poll: None, retries: 0, pause, attempt: None }
    }

    /// A call of a client that has declared the extension becomes a task; others wait for the result. In sessions of 2025-11-25,
    /// whose clients say so with each call, tasks are optional.
    pub const fn when_declared() -> Self {
        Self::when(When::Declared)
    }

    /// Every call becomes a task; clients that have not declared the extension are refused (-32021). In sessions of 2025-11-25,
    /// tasks are required, and a call that wants none is refused (-32601).
    pub const fn always() -> Self {
        Self::when(When::Always)
    }

    /// No call becomes a task. In sessions of 2025-11-25, tasks are forbidden, and a call that wants one is refused (-32601).
    pub const fn never() -> Self {
        Self::when(When::Never)
    }

    /// A call begins as a plain one, and becomes a task where its handler says so with [`Cx::become_task`]: what it asks before
    /// that, it asks in rounds of the request. In sessions of 2025-11-25, a call that wants to become a task becomes one at once, and
    /// one that wants none never does: there, the answer to a call cannot be either.
    #[must_use]
    pub const fn from_within(mut self) -> Self {
        self.deferred = true;
        self
    }

    /// How long such a task may be there, from its creation; `None` is for ever. A client of 2025-11-25 may want less.
    #[must_use]
    pub const fn ttl(mut self, ttl: Option<Duration>) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// How long clients should wait between two looks.
    #[must_use]
    pub const fn poll(mut self, poll: Duration) -> Self {
        self.poll = Some(poll);
        self
    }

    /// How often in a row the handler may panic, or fail by [`Error::internal`](crate::Error::internal), and is run again
    /// from what is recorded. A step that is recorded begins the count anew. Other errors end the task. Default 0.
    #[must_use]
    pub const fn retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// How long it is left alone after it failed for the first time; twice as long after each further time, 5 min at most. Default
    /// 1 s.
    #[must_use]
    pub const fn pause(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    /// How long one run may take, questions not counted; then it has failed as by an internal error. Not bounded by default.
    #[must_use]
    pub const fn attempt(mut self, attempt: Duration) -> Self {
        self.attempt = Some(attempt);
        self
    }
}

impl Tool {
    /// Says whether calls of the tool become tasks. The server needs the extension [`Tasks`].
    #[must_use]
    pub fn task(self, as_task: AsTask) -> Self {
        self.needs_extension(EXTENSION).mark(as_task)
    }
}

impl Cx {
    /// From here on, the call goes on as a task, if its tool is one [from within](AsTask::from_within) and the client has declared
    /// the extension. In a task, and in a call that cannot become one, this does nothing.
    ///
    /// # Errors
    /// If there is no room for another task, or a step or a question is under way.
    pub async fn become_task(&self) -> Result<()> {
        let Some(Deferred { engine, as_task }) = self.attached() else { return Ok(()) };
        let task = engine.create(self, &as_task, engine.ttl_of(&as_task)).await?;
        match self.answer_with(create::created(&task)?).await {}
    }
}
