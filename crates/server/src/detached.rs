//! Calls of tools that go on without their client: everything that it takes to run one on another pod, later.
//!
//! A detached call is a value. Whoever keeps it, runs it as often as it takes: a run begins from the start, is given what
//! earlier runs have recorded, and ends with a result, an error, or questions. What it does on the way is written down by a
//! [`Keeper`] before the handler goes on.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use anypod_proto::admit::{Admitted, Carrier, LegacyKind, admit};
use anypod_proto::capabilities::ClientCapabilities;
use anypod_proto::implementation::Implementation;
use anypod_proto::jsonrpc::ErrorObject;
use anypod_proto::reject::Rejection;
use anypod_proto::request::Request;
use anypod_proto::version::Version;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::backend::{BoxFuture, Kept};
use crate::completed::{self, Completed, Failure};
use crate::cx::{CallState, Client, Cx, LegacyClient};
use crate::error::{Error, Result};
use crate::front::call::worded;
use crate::journal::{Journal, Record};
use crate::outbox::Outbox;
use crate::principal::Principal;
use crate::run::{HandlerRun, Stopped, Work};
use crate::server::Server;

/// A call of a tool, with all that it takes to run it on any pod. It can be written as JSON and read again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Detached {
    /// The whole message, as it came.
    message: String,
    /// Who calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    principal: Option<(String, String)>,
    /// What the session of a legacy client says of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    legacy: Option<Session>,
    /// What was recorded before it was detached.
    #[serde(default)]
    record: Record,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Session {
    version: String,
    info: Option<Implementation>,
    capabilities: ClientCapabilities,
}

/// The answer to a question of a detached call.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Names the question.
    pub key: String,
    /// What was asked: the JSON that [`Stop::Asks`] gave.
    pub request: String,
    /// What was answered.
    pub response: Value,
}

/// Writes down what a detached call does.
pub trait Keeper: Send + Sync + 'static {
    /// Tells the call from all others, in all of its runs.
    fn id(&self) -> &str;

    /// Waits until it is certain that nobody else runs the call, as a step is about to begin.
    fn may_begin(&self) -> BoxFuture<'_, ()>;

    /// Records the result of a step. Done when it outlasts the process, as the handler goes on then. That a step failed is
    /// recorded too, by a name that begins with `!`.
    ///
    /// # Errors
    /// If it cannot be recorded. The handler sees it as the error of the step.
    fn record<'a>(&'a self, step: &'a str, result: &'a Value) -> BoxFuture<'a, Result<()>>;

    /// The handler reports progress.
    fn progress(&self, progress: f64, total: Option<f64>, message: Option<&str>);
}

/// How a run of a detached call stopped.
#[derive(Debug, Clone, PartialEq)]
pub enum Stop {
    /// With a result, as JSON.
    Result(String),
    /// Without one.
    Failed {
        /// The JSON-RPC code.
        code: i32,
        /// What the client is told.
        message: String,
        /// And more.
        data: Option<Value>,
        /// Whether another run may end otherwise: the handler panicked, or failed by an error for the log.
        again: bool,
    },
    /// It needs answers to these, by key and request as JSON.
    Asks(Vec<(String, String)>),
}

/// A run of a detached call. Dropping it ends the handler where it waits.
#[must_use]
pub struct DetachedRun {
    server: Server,
    run: HandlerRun,
}

impl Detached {
    /// The call that a handler, or what stands before it, is answering, with what it has recorded so far.
    ///
    /// # Errors
    /// If a step or a question is under way.
    pub fn of(cx: &Cx) -> Result<Self> {
        let call = cx.call();
        let Some(record) = call.journal().snapshot() else {
            return Err(Error::internal("a call cannot be detached while a step or a question is under way"));
        };
        let legacy = match &call.client {
            Client::Modern => None,
            Client::Legacy(client) => Some(Session {
                version: client.version.as_str().to_owned(),
                info: client.info.as_deref().cloned(),
                capabilities: (*client.capabilities).clone(),
            }),
        };
        let principal = call.principal.as_ref().map(|principal| {
            let id = principal.id();
            (id.iss.clone(), id.sub.clone())
        });
        Ok(Self { message: call.request.body().to_owned(), principal, legacy, record })
    }

    /// Begins a run on this pod, with the steps that earlier runs recorded and the answers to what they asked.
    ///
    /// # Errors
    /// If this server cannot read the call, or does not have its tool.
    pub fn run(
        self,
        server: &Server,
        steps: Vec<(String, Value)>,
        answers: Vec<Answer>,
        keeper: Arc<dyn Keeper>,
    ) -> Result<DetachedRun> {
        let Self { message, principal, legacy, mut record } = self;
        let request = read(message)?;
        let client = legacy.map_or(Ok(Client::Modern), |session| session.client().map(Client::Legacy))?;
        steps.into_iter().for_each(|(key, result)| record.add_step(key, result));
        answers.into_iter().for_each(|Answer { key, request, response }| record.add_answer(key, &request, response));
        let name = request.name().unwrap_or_default().into_owned();
        let Some(tool) = server.inner.registry.tools.get(&name) else {
            return Err(Error::internal(format_args!("this server has no tool `{name}`")));
        };
        let principal = principal.map(|(iss, sub)| Principal::new(iss, sub));
        // What is said along the way goes to the keeper.
        let outbox = Arc::new(Outbox::new(0));
        outbox.close();
        let journal = Journal::of(record);
        let call = CallState::new(server.clone(), Arc::new(request), client, principal, outbox, journal, None);
        let call = Arc::new(call.kept_by(keeper));
        let running = (tool.handler)(Cx::new(Arc::clone(&call)));
        // What came before the handler was done when the call was detached.
        let (_, last) = server.intercept(&call, &tool.marks);
        let run = HandlerRun::new(call, Work::Tool(running)).before(last);
        Ok(DetachedRun { server: server.clone(), run })
    }
}

/// Reads a message that was admitted before.
fn read(message: String) -> Result<Request> {
    match admit(Carrier::Stream, message.into_bytes(), |_| None) {
        Ok(Admitted::Request(request)) => Ok(request),
        Ok(Admitted::Legacy(message)) => match message.kind {
            LegacyKind::Request(request) => Ok(request),
            LegacyKind::Notice(_) | LegacyKind::Answer(_) => Err(Error::internal("a detached call is no request")),
        },
        Ok(Admitted::Notice(_) | Admitted::LegacyBatch(_)) => Err(Error::internal("a detached call is no request")),
        Err(refused) => Err(Error::internal(format_args!("a detached call cannot be read: {}", refused.rejection))),
    }
}

impl Session {
    fn client(self) -> Result<Arc<LegacyClient>> {
        let version = Version::parse(&self.version)
            .ok_or_else(|| Error::internal(format_args!("a detached call speaks `{}`", self.version)))?;
        Ok(Arc::new(LegacyClient {
            version,
            session: 0,
            info: self.info.map(Arc::new),
            capabilities: Arc::new(self.capabilities),
            log_level: None,
            kept: Kept::default(),
        }))
    }
}

impl Future for DetachedRun {
    type Output = Stop;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Stop> {
        let stopped = std::task::ready!(self.run.poll_stop(cx));
        Poll::Ready(match stopped {
            Stopped::Complete(completed) => result(&self.server, self.run.call(), completed),
            Stopped::Failed(failure) => failed(&failure, self.run.call()),
            Stopped::Asks(pending, _) => {
                let asked = pending.into_iter().map(|pending| {
                    let request = serde_json::to_string(&pending.request);
                    request.map(|request| (pending.key, request))
                });
                asked.collect::<std::result::Result<_, _>>().map_or_else(
                    |error| {
                        tracing::error!(%error, "a question is not JSON");
                        failed(&Rejection::Internal.into(), self.run.call())
                    },
                    Stop::Asks,
                )
            }
        })
    }
}

fn result(server: &Server, call: &CallState, completed: Completed) -> Stop {
    match completed::kept(server, completed) {
        Ok(result) => Stop::Result(result),
        Err(error) => {
            tracing::error!(%error, "a result is not JSON");
            failed(&Rejection::Internal.into(), call)
        }
    }
}

/// The error that the call would have ended with, had its client waited.
fn failed(failure: &Failure, call: &CallState) -> Stop {
    let again = matches!(failure, Failure::Rejected(Rejection::Internal));
    let ErrorObject { code, message, data } = match (failure, &call.client) {
        (Failure::Rejected(rejection), Client::Legacy(_)) => worded(rejection),
        (Failure::Rejected(rejection), Client::Modern) => {
            ErrorObject { code: failure.code(), message: rejection.to_string(), data: rejection.data() }
        }
        (Failure::Protocol { code, message, data } | Failure::Passed { code, message, data, .. }, _) => {
            ErrorObject { code: *code, message: message.clone(), data: data.clone() }
        }
        (Failure::Unauthorized { .. }, _) => {
            ErrorObject { code: failure.code(), message: completed::UNAUTHORIZED.to_owned(), data: None }
        }
    };
    Stop::Failed { code, message, data, again }
}
