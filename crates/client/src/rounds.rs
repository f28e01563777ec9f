//! Driving a request to its end: rounds of questions, lists again where headers were refused, repeats where a stream
//! broke.
//!
//! Spec: basic/patterns/mrtr; basic/transports/streamable-http, "Server Validation".

use std::borrow::Cow;
use std::future::Future;
use std::pin::{Pin, pin};
use std::time::Duration;

use anypod_proto::code::Code;
use anypod_proto::jsonrpc::{ErrorObject, ResultType};
use anypod_proto::method::{Method, Notification};
use anypod_proto::rounds::{InputRequests, InputRequiredResult};
use anypod_proto::tasks::{self, CreateTaskResult};
use serde::Deserialize;
use tokio::time::Instant;
use tracing::Instrument;

use crate::call::{Answers, Call, Repeat};
use crate::client::Inner;
use crate::error::{Broken, Error, Result};
use crate::exchange::{Answer, Exchange, Incoming, Notice, Raw};
use crate::reply::Reply;
use crate::request::Options;
use crate::telemetry;
use crate::upstream::Upstream;

/// How often a request that may be repeated is sent again after its stream broke.
const REPEATS: usize = 2;

/// How one round ended.
pub(crate) enum Ended {
    /// With the result.
    Complete(Raw),
    /// With questions.
    Asks {
        /// The questions.
        requests: InputRequests,
        /// What goes back with the answers.
        state: Option<String>,
    },
    /// With a task that goes on.
    Task(Box<CreateTaskResult>),
    /// With a result of a type that an extension of the client has defined.
    Other(String, Raw),
}

impl Ended {
    /// The result, where there is nothing else that it may have ended with.
    pub(crate) fn into_raw(self) -> Result<Raw> {
        match self {
            Self::Complete(raw) => Ok(raw),
            Self::Asks { .. } => Err(Broken::ResultType(ResultType::InputRequired.to_string()).into()),
            Self::Task(_) => Err(Broken::ResultType(tasks::RESULT_TYPE.to_owned()).into()),
            Self::Other(name, _) => Err(Broken::ResultType(name).into()),
        }
    }

    /// The result, where it is read as `T`, which may be able to read more.
    pub(crate) fn into_raw_for<T: Reply>(self) -> Result<Raw> {
        match self {
            Self::Other(name, raw) if T::reads_type(&name) => Ok(raw),
            other => other.into_raw(),
        }
    }
}

/// The time that the server has left.
pub(crate) struct Budget {
    whole: Duration,
    left: Duration,
}

impl Budget {
    const fn new(whole: Duration) -> Self {
        Self { whole, left: whole }
    }

    /// Lets `future` use up some of it.
    ///
    /// It is lent, as a future that is moved into another is stored twice.
    pub(crate) async fn spend<T>(&mut self, future: Pin<&mut impl Future<Output = Result<T>>>) -> Result<T> {
        let begun = Instant::now();
        let spent = tokio::time::timeout(self.left, future).await;
        self.left = self.left.saturating_sub(begun.elapsed());
        spent.unwrap_or(Err(Error::TimedOut(self.whole)))
    }
}

impl Inner {
    /// Drives a request through all of its rounds. It never ends with questions.
    pub(crate) async fn run(&self, call: &mut Call, options: &mut Options) -> Result<Ended> {
        let span = telemetry::span(call);
        if span.is_disabled() {
            return self.all_rounds(call, options).await;
        }
        let ended = Box::pin(self.all_rounds(call, options)).instrument(span.clone()).await;
        ended.inspect_err(|error| telemetry::failed(&span, error))
    }

    async fn all_rounds(&self, call: &mut Call, options: &mut Options) -> Result<Ended> {
        let mut budget = self.budget(options);
        self.trace(call);
        let mut left = self.limits.rounds;
        loop {
            match self.fetch(call, options, &mut budget).await? {
                ended @ (Ended::Complete(_) | Ended::Task(_) | Ended::Other(..)) => return Ok(ended),
                Ended::Asks { requests, state } => {
                    let mut asked = Unanswered { upstream: &self.upstream, state };
                    // Nobody is asked for what cannot be sent any more.
                    left = left.checked_sub(1).ok_or(Error::TooManyRounds(self.limits.rounds))?;
                    let responses = cancellable(options, self.answerers.answer(requests)).await?;
                    call.answers = Some(Answers::new(&responses, asked.state.take()));
                }
            }
        }
    }

    /// Drives a request through one round.
    pub(crate) async fn round(&self, call: &mut Call, options: &mut Options) -> Result<Ended> {
        let mut budget = self.budget(options);
        let span = telemetry::span(call);
        span.in_scope(|| self.trace(call));
        let ended = Box::pin(self.fetch(call, options, &mut budget)).instrument(span.clone()).await;
        ended.inspect_err(|error| telemetry::failed(&span, error))
    }

    fn budget(&self, options: &Options) -> Budget {
        Budget::new(options.timeout.unwrap_or(self.limits.request_deadline))
    }

    /// One round, with what the client can repair by itself.
    pub(crate) async fn one(&self, call: &mut Call, options: &mut Options, budget: &mut Budget) -> Result<Ended> {
        let mut listed_again = false;
        let mut repeats = 0;
        loop {
            let sent = budget.spend(pin!(self.attempt(call, options))).await;
            match sent {
                Ok(Answer::Result(raw)) => return self.read(call, raw),
                Ok(Answer::Error(error)) if !listed_again && is_stale(call, &error) => {
                    listed_again = true;
                    let listed = Box::pin(cancellable(options, self.list_again(call)));
                    match budget.spend(pin!(listed)).await {
                        Ok(()) => {}
                        Err(cause @ (Error::Cancelled | Error::TimedOut(_) | Error::Misuse(_))) => return Err(cause),
                        Err(_) => return Err(Error::Answered(error)),
                    }
                }
                Ok(Answer::Error(error)) => return Err(Error::Answered(error)),
                Err(Error::Lost { source }) if call.repeat == Repeat::Safe && repeats < REPEATS => {
                    repeats += 1;
                    tracing::debug!(%source, repeats, "sending a request again whose stream broke");
                    budget.spend(pin!(Box::pin(cancellable(options, self.pause(repeats))))).await?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// A pause that grows, never the same for two clients.
    async fn pause(&self, repeats: usize) -> Result<()> {
        const FIRST: Duration = Duration::from_millis(100);
        tokio::time::sleep(self.outside.jitter(FIRST * u32::try_from(repeats).unwrap_or(u32::MAX))).await;
        Ok(())
    }

    /// Sends the request once and waits for its answer.
    async fn attempt(&self, call: &Call, options: &mut Options) -> Result<Answer> {
        let Options { cancel, on_progress, on_log, .. } = options;
        let mut tell = |notice: &Notice| {
            self.noticed(notice);
            match Notification::parse(&notice.method) {
                Some(Notification::Progress) => {
                    if let (Some(tell), Ok(params)) = (on_progress.as_mut(), notice.params.read()) {
                        tell(params);
                    }
                }
                Some(Notification::Message) => {
                    if let (Some(tell), Ok(params)) = (on_log.as_mut(), notice.params.read()) {
                        tell(params);
                    }
                }
                Some(_) | None => {}
            }
        };
        let mut answered = pin!(async {
            let exchange = self.upstream.send(call).await?;
            answer(exchange, &mut tell).await
        });
        match cancel {
            None => answered.await,
            Some(cancel) => tokio::select! {
                biased;
                () = cancel => Err(Error::Cancelled),
                answered = answered.as_mut() => answered,
            },
        }
    }

    /// Tells results apart.
    fn read(&self, call: &Call, raw: Raw) -> Result<Ended> {
        match result_type(&raw)? {
            ResultType::Complete => Ok(Ended::Complete(raw)),
            // What extensions allow is theirs to say.
            ResultType::InputRequired if call.known().is_none_or(Method::takes_rounds) => self.read_questions(&raw),
            ResultType::InputRequired => Err(Broken::ResultType(ResultType::InputRequired.to_string()).into()),
            ResultType::Other(name) if name == tasks::RESULT_TYPE && self.follows_tasks => {
                Ok(Ended::Task(Box::new(raw.read()?)))
            }
            ResultType::Other(name) if self.result_types.contains(&name) => Ok(Ended::Other(name, raw)),
            ResultType::Other(name) => Err(Broken::ResultType(name).into()),
        }
    }

    fn read_questions(&self, raw: &Raw) -> Result<Ended> {
        let result: InputRequiredResult = raw.read()?;
        let requests = result.input_requests.unwrap_or_default();
        self.check_questions(requests.len())?;
        if requests.is_empty() && result.request_state.is_none() {
            return Err(Broken::Result("input_required without inputRequests and requestState".to_owned()).into());
        }
        Ok(Ended::Asks { requests, state: result.request_state })
    }

    pub(crate) fn check_questions(&self, count: usize) -> Result<()> {
        match count > self.limits.round_questions {
            true => Err(Broken::TooMuch { what: "questions in one round", limit: self.limits.round_questions }.into()),
            false => Ok(()),
        }
    }

    /// Lists the tools until the one that was called has come by, and mirrors its arguments anew.
    async fn list_again(&self, call: &mut Call) -> Result<()> {
        self.relist(call.name.as_deref().unwrap_or_default()).await?;
        self.mirror_again(call)
    }
}

/// Questions that have not been answered. A legacy server's call is held open for them; whoever drops them gives it up.
struct Unanswered<'a> {
    upstream: &'a Upstream,
    state: Option<String>,
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if let Some(state) = &self.state {
            self.upstream.give_up(state);
        }
    }
}

/// Reads an exchange to its end.
async fn answer(mut exchange: Exchange, tell: &mut (dyn FnMut(&Notice) + Send)) -> Result<Answer> {
    loop {
        match exchange.next().await? {
            Incoming::Notice(notice) => tell(&notice),
            Incoming::Answer(answer) => return Ok(answer),
        }
    }
}

/// Whether the arguments were mirrored by a schema that the server no longer has.
fn is_stale(call: &Call, error: &ErrorObject) -> bool {
    error.code == Code::HeaderMismatch.number() && call.known() == Some(Method::ToolsCall)
}

/// Reads `resultType`, which legacy servers leave out.
fn result_type(raw: &Raw) -> Result<ResultType> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Head<'a> {
        #[serde(borrow)]
        result_type: Option<Cow<'a, str>>,
    }
    let head: Head<'_> = serde_json::from_slice(raw.as_bytes()).map_err(|error| Broken::Result(error.to_string()))?;
    Ok(head.result_type.map_or(ResultType::Complete, |name| ResultType::from(name.as_ref())))
}

/// Does something that the caller may cancel.
pub(crate) async fn cancellable<T>(options: &mut Options, future: impl Future<Output = Result<T>>) -> Result<T> {
    match &mut options.cancel {
        None => future.await,
        Some(cancel) => tokio::select! {
            biased;
            () = cancel => Err(Error::Cancelled),
            done = future => done,
        },
    }
}
