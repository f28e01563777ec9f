//! A legacy call: the rounds of a modern one, with each question sent to the client as a request of its own.
//!
//! The handler cannot tell. Its call is started again with the answers, the state between two rounds is
//! sealed as ever and never leaves the process. Nothing in here knows how messages travel.
//!
//! Spec: 2025-11-25, client/elicitation, client/sampling, client/roots.

use std::future::{Future as _, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use anypod_proto::code::Code;
use anypod_proto::jsonrpc::ErrorObject;
use anypod_proto::method::Method;
use anypod_proto::reject::{Rejection, error_response};
use anypod_proto::request::Request;
use anypod_proto::rounds::InputRequests;
use http::{Extensions, StatusCode};
use serde_json::value::{RawValue, to_raw_value};
use tokio::time::{Instant, sleep, timeout};

use super::asked::{Asker, Line, Ready, unanswered};
use crate::completed::{Completed, Failure, Response};
use crate::cx::{Client, LegacyClient};
use crate::dispatch::{Call, Resume, Started, unknown_method};
use crate::load::Permit;
use crate::outbox::Outbox;
use crate::principal::Principal;
use crate::run::{Ended, Run, failure};
use crate::server::Server;
use crate::{Error, telemetry};

/// How long to wait with a round that asks nothing but to come again, as busy servers do.
const AGAIN: Duration = Duration::from_secs(1);

/// One call of a legacy client.
pub(crate) struct LegacyCall {
    pub(crate) server: Server,
    pub(crate) request: Arc<Request>,
    pub(crate) client: Arc<LegacyClient>,
    pub(crate) principal: Option<Principal>,
    pub(crate) outbox: Arc<Outbox>,
    /// The call's place among the requests; left to others while it waits for the client.
    pub(crate) permit: Option<Permit>,
    /// What came with the HTTP request, for a backend.
    pub(crate) extensions: Option<Arc<Extensions>>,
}

impl LegacyCall {
    /// The whole call: [`LegacyCall::start`], then [`LegacyCall::finish`] if there is more to do.
    pub(crate) async fn answer<A: Asker + Clone + 'static>(&mut self, asker: &A) -> Response {
        match self.start(asker) {
            Ok(Started::Done(completed)) => self.respond(Ok(completed)),
            Ok(Started::Running(run)) => self.finish(run, asker).await,
            Err(failure) => self.respond(Err(failure)),
        }
    }

    /// Starts the first round. Lists, and calls that fail early, are through with this.
    ///
    /// # Errors
    /// If there is nothing to start; [`LegacyCall::respond`] makes it an answer.
    pub(crate) fn start<A: Asker + Clone + 'static>(&self, asker: &A) -> Result<Started, Failure> {
        match self.request.method() {
            Some(Method::Discover | Method::SubscriptionsListen) => Err(unknown_method(&self.request)),
            Some(_) | None => self.start_round(Resume::default(), asker),
        }
    }

    /// Works until the answer is there: runs, asks, runs again.
    pub(crate) async fn finish<A: Asker + Clone + 'static>(&mut self, run: Run, asker: &A) -> Response {
        let outcome = self.rounds(run, asker).await;
        self.respond(outcome)
    }

    /// The JSON-RPC response. Its status is 200 unless the server has no place for the request, because in
    /// legacy revisions errors of JSON-RPC are none of HTTP.
    pub(crate) fn respond(&self, outcome: Result<Completed, Failure>) -> Response {
        let id = self.request.id();
        let result = outcome.and_then(|completed| {
            completed.into_legacy(self.request.method(), self.client.version).map_err(|error| {
                tracing::error!(%error, "a result is none for a legacy client");
                Rejection::Internal.into()
            })
        });
        match result {
            Ok(result) => success(id, &result),
            Err(failure) => {
                telemetry::failed(&tracing::Span::current(), &failure);
                refusal(id, &self.reworded(failure))
            }
        }
    }

    /// What a backend passes on has the code of modern revisions for a resource that is not there.
    fn reworded(&self, failure: Failure) -> Failure {
        match failure {
            Failure::Passed { status, code, message, data }
                if self.request.method() == Some(Method::ResourcesRead)
                    && code == Code::InvalidParams.number()
                    && data.as_ref().is_some_and(|data| data.get("uri").is_some()) =>
            {
                Failure::Passed { status, code: Code::LegacyResourceNotFound.number(), message, data }
            }
            other => other,
        }
    }

    fn start_round<A: Asker + Clone + 'static>(&self, resume: Resume, asker: &A) -> Result<Started, Failure> {
        // A method of an extension may ask while it works.
        let is_extension = self.request.method().is_none();
        let line = || Line { asker: Arc::new(asker.clone()), version: self.client.version };
        self.server.start(Call {
            request: Arc::clone(&self.request),
            client: Client::Legacy(Arc::clone(&self.client)),
            principal: self.principal.clone(),
            outbox: Arc::clone(&self.outbox),
            resume,
            line: is_extension.then(line),
            extensions: self.extensions.clone(),
        })
    }

    async fn rounds<A: Asker + Clone + 'static>(&mut self, mut run: Run, asker: &A) -> Result<Completed, Failure> {
        let server = self.server.clone();
        let limits = server.inner.limits();
        let mut time_left = limits.request_deadline;
        for _ in 0..limits.legacy_rounds {
            let (questions, state) = match self.run(&mut run, &mut time_left).await? {
                Round::Over(completed) => return Ok(*completed),
                Round::Asks(questions, state) => (questions, state),
            };
            let reported = run.reported();
            // What asked is done for; the next round runs anew.
            drop(run);
            self.permit.as_mut().map_or(Ok(()), Permit::wait)?;
            if questions.is_empty() {
                sleep(AGAIN).await;
            }
            // In a box, so that calls that ask nothing do not carry the room for it.
            let responses = Box::pin(timeout(limits.answer_deadline, self.ask(questions, asker))).await;
            self.permit.iter_mut().for_each(Permit::resume);
            let responses = responses
                .map_err(|_| unanswered(format_args!("{} s are over", limits.answer_deadline.as_secs())))??;
            let resume = Resume { state, responses: responses.into_iter().collect(), reported, ..Resume::default() };
            run = match self.start_round(resume, asker)? {
                Started::Done(completed) => return Ok(completed),
                Started::Running(run) => run,
            };
        }
        match self.run(&mut run, &mut time_left).await? {
            Round::Over(completed) => Ok(*completed),
            Round::Asks(..) => {
                Err(unanswered(format_args!("a call may ask in {} rounds at most", limits.legacy_rounds)))
            }
        }
    }

    /// Works until there is an end or a question. Waiting for the client does not count as work, and neither does what the
    /// handler says is none.
    async fn run(&mut self, run: &mut Run, time_left: &mut Duration) -> Result<Round, Failure> {
        let mut works_since = Some(Instant::now());
        let mut timer = pin!(sleep(*time_left));
        let ended = poll_fn(|cx| {
            if let Poll::Ready(ended) = Pin::new(&mut *run).poll(cx) {
                return Poll::Ready(Ok(ended));
            }
            match (works_since, run.is_idle()) {
                (Some(since), true) => {
                    *time_left = time_left.saturating_sub(since.elapsed());
                    works_since = None;
                    self.permit.as_mut().map_or(Ok(()), Permit::wait)?;
                }
                (None, false) => {
                    works_since = Some(Instant::now());
                    timer.as_mut().reset(Instant::now() + *time_left);
                    self.permit.iter_mut().for_each(Permit::resume);
                }
                (Some(_), false) | (None, true) => {}
            }
            match works_since {
                Some(_) => timer.as_mut().poll(cx).map(|()| Err(Rejection::DeadlineExceeded)),
                None => Poll::Pending,
            }
        });
        let ended = ended.await;
        match works_since {
            Some(since) => *time_left = time_left.saturating_sub(since.elapsed()),
            None => self.permit.iter_mut().for_each(Permit::resume),
        }
        match ended? {
            Ended::Complete(completed) => Ok(Round::Over(Box::new(completed))),
            Ended::Failed(failure) => Err(failure),
            Ended::Asks(round) => Ok(Round::Asks(round.input_requests.unwrap_or_default(), round.request_state)),
        }
    }

    /// Sends all questions of a round at once, and waits for all answers.
    async fn ask(&self, questions: InputRequests, asker: &impl Asker) -> Result<Vec<(String, Box<RawValue>)>, Failure> {
        let mut ready = Vec::with_capacity(questions.len());
        for (key, question) in questions {
            ready.push(Ready::new(&self.server, self.client.version, asker, key, question)?);
        }
        let open: Vec<_> = ready.into_iter().map(|ready| ready.send(&self.outbox)).collect::<Result<_, _>>()?;
        let answers = async {
            let mut answers = Vec::with_capacity(open.len());
            for mut question in open {
                let answer =
                    to_raw_value(&question.answer().await?).map_err(|error| failure(Error::internal(error)))?;
                answers.push((question.key.clone(), answer));
            }
            Ok(answers)
        };
        tokio::select! {
            biased;
            answers = answers => answers,
            () = self.outbox.closed() => Err(unanswered("the stream that carried the question is gone")),
        }
    }
}

enum Round {
    Over(Box<Completed>),
    Asks(InputRequests, Option<String>),
}

/// A JSON-RPC result; `result` is JSON on one line.
pub(crate) fn success(id: &str, result: &str) -> Response {
    let parts = [r#"{"jsonrpc":"2.0","id":"#, id, r#","result":"#, result, "}"];
    Response::new(StatusCode::OK, parts.concat().into_bytes())
}

/// A JSON-RPC result that says nothing.
pub(crate) const NOTHING: &str = "{}";

/// A rejection with the code and the words that legacy revisions know.
pub(crate) fn worded(rejection: &Rejection) -> ErrorObject {
    let (code, message, data) = match rejection {
        Rejection::Unknown { what: "resource", .. } => {
            (Code::LegacyResourceNotFound, rejection.to_string(), rejection.data())
        }
        Rejection::InputResponse { key, reason } => {
            (rejection.code(), format!("the answer to the question `{key}` does not fit it: {reason}"), None)
        }
        other => (other.code(), other.to_string(), other.data()),
    };
    ErrorObject { code: code.number(), message, data }
}

/// A JSON-RPC error, with the codes and words that legacy revisions know.
pub(crate) fn refusal(id: &str, failure: &Failure) -> Response {
    match failure {
        Failure::Rejected(rejection) => {
            let retry_after_secs = rejection.retry_after_secs();
            let status = retry_after_secs.map_or(StatusCode::OK, |_| rejection.status());
            let ErrorObject { code, message, data } = worded(rejection);
            let body = error_response(Some(id), code, &message, data.as_ref());
            Response { retry_after_secs, ..Response::new(status, body) }
        }
        Failure::Protocol { code, message, data } | Failure::Passed { code, message, data, status: _ } => {
            Response::new(StatusCode::OK, error_response(Some(id), *code, message, data.as_ref()))
        }
        // What concerns HTTP is said by HTTP: a client looks for the challenge there.
        Failure::Unauthorized { .. } => Response::failure(Some(id), failure),
    }
}
