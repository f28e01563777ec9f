//! A legacy call: the rounds of a modern one, with each question sent to the client as a request of its own.
//!
//! The handler cannot tell. Its call is started again with the answers, the state between two rounds is
//! sealed as ever and never leaves the process. Nothing in here knows how messages travel.
//!
//! Spec: 2025-11-25, client/elicitation, client/sampling, client/roots.

use std::sync::Arc;
use std::time::Duration;

use anypod_proto::code::Code;
use anypod_proto::legacy;
use anypod_proto::method::{Method, Notification};
use anypod_proto::reject::{Rejection, error_response};
use anypod_proto::request::Request;
use anypod_proto::rounds::{InputRequest, InputRequests};
use anypod_proto::version::Version;
use http::{Extensions, StatusCode};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep, timeout};

use super::questions::{Outcome, Waiting};
use crate::completed::{Completed, Failure, Response};
use crate::cx::{Client, LegacyClient, notification};
use crate::dispatch::{Call, Resume, Started, unknown_method};
use crate::load::Permit;
use crate::outbox::{Kind, Outbox};
use crate::principal::Principal;
use crate::run::{Ended, Run, failure};
use crate::server::Server;
use crate::{Error, telemetry};

/// How long to wait with a round that asks nothing but to come again, as busy servers do.
const AGAIN: Duration = Duration::from_secs(1);

/// How a transport asks: it names a question and knows when its answer comes. The question itself goes
/// out through the call's outbox, as a message of [`Kind::Request`].
pub(crate) trait Asker: Send + Sync {
    /// Prepares for the answer to a question that is about to be sent.
    ///
    /// # Errors
    /// [`CannotAsk`] if the question could never be answered.
    fn expect(&self) -> Result<Expected, CannotAsk>;
}

/// A question that is about to be sent.
pub(crate) struct Expected {
    /// The raw JSON of its request id.
    pub(crate) id: Box<RawValue>,
    /// Its answer.
    pub(crate) answer: Waiting,
}

/// Why a client cannot be asked; the text is for it to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CannotAsk(pub(crate) &'static str);

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
    pub(crate) async fn answer(&mut self, asker: &impl Asker) -> Response {
        match self.start() {
            Ok(Started::Done(completed)) => self.respond(Ok(completed)),
            Ok(Started::Running(run)) => self.finish(run, asker).await,
            Err(failure) => self.respond(Err(failure)),
        }
    }

    /// Starts the first round. Lists, and calls that fail early, are through with this.
    ///
    /// # Errors
    /// If there is nothing to start; [`LegacyCall::respond`] makes it an answer.
    pub(crate) fn start(&self) -> Result<Started, Failure> {
        match self.request.method() {
            Some(Method::Discover | Method::SubscriptionsListen) => Err(unknown_method(&self.request)),
            _ => self.start_round(Resume::default()),
        }
    }

    /// Works until the answer is there: runs, asks, runs again.
    pub(crate) async fn finish(&mut self, run: Run, asker: &impl Asker) -> Response {
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

    fn start_round(&self, resume: Resume) -> Result<Started, Failure> {
        self.server.start(Call {
            request: Arc::clone(&self.request),
            client: Client::Legacy(Arc::clone(&self.client)),
            principal: self.principal.clone(),
            outbox: Arc::clone(&self.outbox),
            resume,
            extensions: self.extensions.clone(),
        })
    }

    async fn rounds(&mut self, mut run: Run, asker: &impl Asker) -> Result<Completed, Failure> {
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
            run = match self.start_round(Resume {
                state,
                responses: responses.into_iter().collect(),
                reported,
                ..Resume::default()
            })? {
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

    /// Works until there is an end or a question. Waiting for the client does not count as work.
    async fn run(&self, run: &mut Run, time_left: &mut Duration) -> Result<Round, Failure> {
        let started = Instant::now();
        let ended = timeout(*time_left, &mut *run).await.map_err(|_| Rejection::DeadlineExceeded)?;
        *time_left = time_left.saturating_sub(started.elapsed());
        match ended {
            Ended::Complete(completed) => Ok(Round::Over(Box::new(completed))),
            Ended::Failed(failure) => Err(failure),
            Ended::Asks(round) => Ok(Round::Asks(round.input_requests.unwrap_or_default(), round.request_state)),
        }
    }

    /// Sends all questions of a round at once, and waits for all answers.
    async fn ask(&self, questions: InputRequests, asker: &impl Asker) -> Result<Vec<(String, Box<RawValue>)>, Failure> {
        let mut asked = Vec::with_capacity(questions.len());
        for (key, question) in questions {
            let question = legacy_question(self.client.version, question, &self.server)
                .map_err(|reason| cannot_ask(&key, reason))?;
            let expected = asker.expect().map_err(|CannotAsk(reason)| cannot_ask(&key, reason))?;
            asked.push((key, question, expected));
        }
        let mut open = Vec::with_capacity(asked.len());
        for (key, question, Expected { id, answer }) in asked {
            let message = question.message(&id).map_err(|error| failure(Error::internal(error)))?;
            self.outbox.push(Kind::Request, message);
            open.push((key, Asked { outbox: &self.outbox, id, answer: Some(answer) }));
        }
        let answers = async {
            let mut answers = Vec::with_capacity(open.len());
            for (key, mut question) in open {
                let answer =
                    to_raw_value(&question.answer(&key).await?).map_err(|error| failure(Error::internal(error)))?;
                answers.push((key, answer));
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

/// A question that was sent. If it is dropped before it is answered, the client is told to forget it.
struct Asked<'a> {
    outbox: &'a Outbox,
    id: Box<RawValue>,
    answer: Option<Waiting>,
}

impl Asked<'_> {
    async fn answer(&mut self, key: &str) -> Result<Value, Failure> {
        let outcome: Option<Outcome> = match &mut self.answer {
            Some(answer) => answer.await,
            None => None,
        };
        self.answer = None;
        match outcome {
            Some(Ok(answer)) => Ok(answer),
            Some(Err(error)) => {
                let message: String = error.message.chars().take(400).collect();
                Err(unanswered(format_args!("the client refused the question `{key}`: {message} ({})", error.code)))
            }
            None => Err(unanswered(format_args!("the question `{key}` was dropped; call again"))),
        }
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        if self.answer.is_some()
            && let Ok(message) = notification(Notification::Cancelled, &json!({ "requestId": self.id }))
        {
            self.outbox.push(Kind::Request, message);
        }
    }
}

/// A question as a legacy client knows it: method and parameters.
struct LegacyQuestion(Map<String, Value>);

impl LegacyQuestion {
    fn message(self, id: &RawValue) -> serde_json::Result<String> {
        let mut message = self.0;
        message.insert("jsonrpc".to_owned(), "2.0".into());
        message.insert("id".to_owned(), serde_json::to_value(id)?);
        serde_json::to_string(&message)
    }
}

fn legacy_question(version: Version, question: InputRequest, server: &Server) -> Result<LegacyQuestion, String> {
    if !legacy::supports(version, &question) {
        return Err(format!("revision {version} has no place for this {}", question.method()));
    }
    let members = match question {
        InputRequest::Elicit(anypod_proto::elicitation::ElicitRequestParams::Url(page)) => {
            let id = format!("{:032x}", u128::from_be_bytes(server.inner.outside.random()));
            let params = legacy::ElicitRequestUrlParams::new(page, id);
            Ok(json!({ "method": anypod_proto::method::ClientMethod::Elicit.as_str(), "params": params }))
        }
        other => serde_json::to_value(other),
    };
    match members.map_err(|error| error.to_string())? {
        Value::Object(members) => Ok(LegacyQuestion(members)),
        _ => Err("it is no request".to_owned()),
    }
}

fn cannot_ask(key: &str, reason: impl std::fmt::Display) -> Failure {
    unanswered(format_args!("the question `{key}` cannot be asked: {reason}"))
}

/// The call fails because the client has not answered what it needs.
fn unanswered(reason: impl std::fmt::Display) -> Failure {
    let message = format!("this call needs an answer from the client: {reason}");
    Failure::Protocol { code: Code::InternalError.number(), message, data: None }
}

/// A JSON-RPC result; `result` is JSON on one line.
pub(crate) fn success(id: &str, result: &str) -> Response {
    let parts = [r#"{"jsonrpc":"2.0","id":"#, id, r#","result":"#, result, "}"];
    Response::new(StatusCode::OK, parts.concat().into_bytes())
}

/// A JSON-RPC result that says nothing.
pub(crate) const NOTHING: &str = "{}";

/// A JSON-RPC error, with the codes and words that legacy revisions know.
pub(crate) fn refusal(id: &str, failure: &Failure) -> Response {
    match failure {
        Failure::Rejected(rejection) => {
            let retry_after_secs = rejection.retry_after_secs();
            let status = retry_after_secs.map_or(StatusCode::OK, |_| rejection.status());
            let body = match rejection {
                Rejection::Unknown { what: "resource", .. } => {
                    let code = Code::LegacyResourceNotFound.number();
                    error_response(Some(id), code, &rejection.to_string(), rejection.data().as_ref())
                }
                Rejection::InputResponse { key, reason } => {
                    let message = format!("the answer to the question `{key}` does not fit it: {reason}");
                    error_response(Some(id), rejection.code().number(), &message, None)
                }
                other => other.to_response(Some(id)),
            };
            Response { retry_after_secs, ..Response::new(status, body) }
        }
        Failure::Protocol { code, message, data } | Failure::Passed { code, message, data, status: _ } => {
            Response::new(StatusCode::OK, error_response(Some(id), *code, message, data.as_ref()))
        }
        // What concerns HTTP is said by HTTP: a client looks for the challenge there.
        Failure::Unauthorized { .. } => Response::failure(Some(id), failure),
    }
}
