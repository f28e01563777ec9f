//! Modern to modern: the request goes on as bytes, and so does the answer.
//!
//! What is edited on the way is the name of a tool where several servers are federated, and the state of a round, which
//! is sealed before a client sees it. A request goes to another pod only if it cannot have run, or if that does no harm.

mod answer;
mod events;
mod state;
mod upload;

use std::sync::Arc;

use http::StatusCode;
use tokio::time::Instant;

use self::answer::Responded;
pub(crate) use self::answer::{Relayed, pass};
pub(crate) use self::state::{Rewriter, came_to, result_of};
pub(crate) use self::upload::{Replace, Upload, Verdict};

use crate::body::Body;
use crate::body::Ticket;
use crate::config::Timeouts;
use crate::failure::Failure;
use crate::head::Reply;
use crate::reach::Reach;
use crate::upstream::{Outbound, Outgoing, Picked, SendError, Tried};

/// A request on its way to an upstream.
pub(crate) struct Relay {
    pub(crate) reach: Arc<Reach>,
    /// As it goes out. It can be sent again if its body is there as a whole.
    pub(crate) request: Outbound,
    /// Whether it may run twice.
    pub(crate) repeatable: bool,
    /// What has to be done to the answer.
    pub(crate) rewriter: Option<Rewriter>,
    pub(crate) result_bytes: usize,
    /// Of a body that is held against its headers on the way.
    pub(crate) verdict: Option<Verdict>,
}

impl Relay {
    /// Sends the request, and gives the answer as it comes.
    ///
    /// # Errors
    /// If no pod takes it, or the pod that took it does not answer.
    pub(crate) async fn run(&mut self, ticket: &mut Ticket) -> Result<Reply<Body>, Failure> {
        // Stays where it is: what is moved into a future is copied.
        let Self { reach, request, repeatable, rewriter, result_bytes, verdict } = self;
        let upstream = &*reach.upstream;
        let mut tried = Tried::default();
        // What is there as a whole is there again for another pod, if there is one besides the one that is tried.
        let is_whole = matches!(request.body, Outgoing::Whole(_));
        let can_go_on = |tried: &Tried| is_whole && upstream.pods().len() > tried.len() + 1;
        let response = loop {
            let no_pod = || Failure::NoPod { upstream: upstream.name().to_string() };
            let picked = upstream.pick(&tried).ok_or_else(no_pod)?;
            let now = Instant::now();
            ticket.sent_to(reach, picked.id(), now);
            match picked.send_at(now, request).await {
                // Nothing of it has run: a pod that is full says so before it begins.
                Ok(answer) if answer.status == StatusCode::SERVICE_UNAVAILABLE && can_go_on(&tried) => picked.failed(),
                Ok(answer) => break (answer, picked),
                Err(SendError::NotSent(error)) => {
                    tracing::warn!(upstream = &**upstream.name(), pod = &**picked.id(), %error, "a pod is not reached");
                    picked.failed();
                }
                Err(SendError::Full) => {}
                // The body was broken off here, by no fault of the pod; whoever gave the verdict says why.
                Err(SendError::Broken(_)) if verdict.as_ref().is_some_and(Verdict::is_given) => {
                    return Err(Failure::Lost { upstream: upstream.name().to_string() });
                }
                Err(SendError::Broken(error)) => {
                    tracing::warn!(upstream = &**upstream.name(), pod = &**picked.id(), %error, "a pod broke off");
                    picked.failed();
                    if !*repeatable {
                        return Err(Failure::OutcomeUnknown { upstream: upstream.name().to_string() });
                    }
                    if !can_go_on(&tried) {
                        return Err(Failure::Lost { upstream: upstream.name().to_string() });
                    }
                }
                Err(SendError::TooSlow) => {
                    picked.failed();
                    return Err(Failure::TimedOut { upstream: upstream.name().to_string() });
                }
            }
            tried.add(&picked);
        };
        // It is not needed any more, and keeps what was read alive.
        drop(std::mem::take(&mut request.head));
        let (answer, picked) = response;
        ticket.answered();
        judge(&picked, answer.status);
        match answer::respond(answer, picked, upstream, rewriter.take(), *result_bytes, ticket) {
            Responded::Done(done) => done,
            Responded::Reading(answer) => answer.await,
        }
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
