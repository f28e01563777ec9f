//! Modern to modern: the request goes on as bytes, and so does the answer.
//!
//! What is edited on the way is the name of a tool where several servers are federated, and the state of a round, which
//! is sealed before a client sees it. A request goes to another pod only if it cannot have run, or if that does no harm.

mod answer;
mod events;
mod state;
mod upload;

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response, StatusCode};

pub(crate) use self::answer::{Relayed, pass};
pub(crate) use self::state::{Rewriter, came_to, result_of};
pub(crate) use self::upload::{Replace, Upload, Verdict};

use crate::body::Body;
use crate::body::Ticket;
use crate::config::Timeouts;
use crate::failure::Failure;
use crate::reach::Reach;
use crate::upstream::{Outgoing, Picked, SendError, Tried};

/// A request on its way to an upstream.
pub(crate) struct Relay {
    pub(crate) reach: Arc<Reach>,
    /// The head as it goes out.
    pub(crate) head: Parts,
    pub(crate) content: Content,
    /// Whether it may run twice.
    pub(crate) repeatable: bool,
    /// What has to be done to the answer.
    pub(crate) rewriter: Option<Rewriter>,
    pub(crate) result_bytes: usize,
    /// Of a body that is held against its headers on the way.
    pub(crate) verdict: Option<Verdict>,
}

/// The body of a request.
pub(crate) enum Content {
    /// All of it, so that it can be sent again.
    Whole(Bytes),
    /// As it comes, once.
    Stream(Outgoing),
}

impl Relay {
    /// Sends the request, and gives the answer as it comes.
    ///
    /// # Errors
    /// If no pod takes it, or the pod that took it does not answer.
    pub(crate) async fn run(self, ticket: &mut Ticket) -> Result<Response<Body>, Failure> {
        let Self { reach, head, content, repeatable, rewriter, result_bytes, verdict } = self;
        let upstream = &*reach.upstream;
        let mut tried = Tried::default();
        let mut request = Some(Request::from_parts(head, content));
        let response = loop {
            let no_pod = || Failure::NoPod { upstream: upstream.name().to_string() };
            let picked = upstream.pick(&tried).ok_or_else(no_pod)?;
            let (outgoing, kept) = keep(request.take().ok_or_else(no_pod)?, upstream.pods().len() > tried.len() + 1);
            ticket.sent_to(&reach, picked.id());
            match picked.send(outgoing).await {
                // Nothing of it has run: a pod that is full says so before it begins.
                Ok(answer) if answer.status() == StatusCode::SERVICE_UNAVAILABLE && kept.is_some() => {
                    picked.failed();
                    request = kept;
                }
                Ok(answer) => break (answer, picked),
                Err(SendError::NotSent(unsent, error)) => {
                    tracing::warn!(upstream = &**upstream.name(), pod = &**picked.id(), %error, "a pod is not reached");
                    picked.failed();
                    request = Some(unsent.map(Content::from));
                }
                Err(SendError::Full(unsent)) => request = Some(unsent.map(Content::from)),
                // The body was broken off here, by no fault of the pod; whoever gave the verdict says why.
                Err(SendError::Broken(_)) if verdict.as_ref().is_some_and(Verdict::is_given) => {
                    return Err(Failure::Lost { upstream: upstream.name().to_string() });
                }
                Err(SendError::Broken(error)) => {
                    tracing::warn!(upstream = &**upstream.name(), pod = &**picked.id(), %error, "a pod broke off");
                    picked.failed();
                    match (repeatable, kept) {
                        (true, Some(kept)) => request = Some(kept),
                        (true, None) => return Err(Failure::Lost { upstream: upstream.name().to_string() }),
                        (false, _) => return Err(Failure::OutcomeUnknown { upstream: upstream.name().to_string() }),
                    }
                }
                Err(SendError::TooSlow) => {
                    picked.failed();
                    return Err(Failure::TimedOut { upstream: upstream.name().to_string() });
                }
            }
            tried.add(&picked);
        };
        let (answer, picked) = response;
        ticket.answered();
        judge(&picked, answer.status());
        answer::respond(answer, picked, upstream, rewriter, result_bytes, ticket).await
    }
}

impl From<Outgoing> for Content {
    fn from(body: Outgoing) -> Self {
        match body {
            Outgoing::Whole(bytes) => Self::Whole(bytes),
            stream @ Outgoing::Stream(_) => Self::Stream(stream),
        }
    }
}

/// The request as it goes out, and a copy for another pod, where there is one and the body allows it.
fn keep(request: Request<Content>, others: bool) -> (Request<Outgoing>, Option<Request<Content>>) {
    let (head, content) = request.into_parts();
    match content {
        Content::Whole(bytes) => {
            let kept = others.then(|| Request::from_parts(head.clone(), Content::Whole(bytes.clone())));
            (Request::from_parts(head, Outgoing::Whole(bytes)), kept)
        }
        Content::Stream(stream) => (Request::from_parts(head, stream), None),
    }
}

/// What an answer says about the pod.
fn judge(picked: &Picked, status: StatusCode) {
    match status {
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => picked.failed(),
        _ => picked.succeeded(),
    }
}

/// Bounds that hold for every stream of answers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) keep_alive: std::time::Duration,
}

impl From<&Timeouts> for Pace {
    fn from(timeouts: &Timeouts) -> Self {
        Self { keep_alive: timeouts.keep_alive.get() }
    }
}
