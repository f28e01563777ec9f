//! A backend at work on one request.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use anypod_proto::reject::Rejection;
use anypod_proto::request::Request;
use anypod_proto::rounds::InputRequiredResult;

use super::Ended;
use crate::backend::{Answered, Asked, Backend, Caller, Caught, Notices};
use crate::completed::{Completed, Failure};
use crate::cx::Client;
use crate::dispatch::{Call, Resume};

/// A request that a backend answers.
pub(crate) struct BackendRun {
    request: Arc<Request>,
    client: Client,
    answer: Caught<Answered>,
}

impl BackendRun {
    /// Hands a call to the backend.
    pub(crate) fn start(backend: &Arc<dyn Backend>, call: Call) -> Self {
        let Call { request, client, principal, outbox, resume, line: _, extensions } = call;
        // Volunteered answers and progress are the backend's affair, as the state is.
        let Resume { state, responses, volunteers: _, reported: _ } = resume;
        let caller = Caller::of(&client, &request, principal, extensions.unwrap_or_default());
        let notices = Notices::new(outbox, &request, caller.log_level);
        let asked = Asked { request: Arc::clone(&request), caller, state, responses, notices };
        let answer = Caught::begin(|| Arc::clone(backend).answer(asked));
        Self { request, client, answer }
    }

    pub(super) fn request(&self) -> &Request {
        &self.request
    }

    /// Nobody is asked for what was not declared, whoever it is that asks.
    fn asks(&self, round: InputRequiredResult) -> Result<InputRequiredResult, Failure> {
        let declared = self.client.capabilities(&self.request);
        for question in round.input_requests.iter().flat_map(|questions| questions.values()) {
            if let Some(missing) = declared.missing(&question.requires()) {
                return Err(Rejection::MissingCapability(Box::new(missing)).into());
            }
        }
        Ok(round)
    }
}

impl Future for BackendRun {
    type Output = Ended;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Ended> {
        Poll::Ready(match ready!(Pin::new(&mut self.answer).poll(cx)) {
            Ok(Answered::Result(result)) => Ended::Complete(Completed::Raw(result)),
            Ok(Answered::Asks(round)) => self.asks(round).map_or_else(Ended::Failed, Ended::Asks),
            Ok(Answered::Refused(refusal)) => Ended::Failed(refusal.into()),
            Err(panicked) => Ended::Failed(panicked.into()),
        })
    }
}
