//! One run of what answers a call, from its start to a result, a failure or the end of a round.

mod backend;
mod handler;

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use anypod_proto::request::Request;
use anypod_proto::rounds::InputRequiredResult;

use crate::completed::{Completed, Failure};

pub(crate) use backend::BackendRun;
pub(crate) use handler::{Described, First, HandlerRun, Last, Stopped, Work, failure};

/// How a run ended.
pub(crate) enum Ended {
    /// With a result.
    Complete(Completed),
    /// Without one.
    Failed(Failure),
    /// With questions; the state among them has to come back with their answers.
    Asks(InputRequiredResult),
}

/// What answers a call, at work. Dropping it cancels the work.
pub(crate) enum Run {
    /// A handler of the server.
    Handler(HandlerRun),
    /// What stands in for handlers.
    Backend(BackendRun),
}

impl Run {
    /// The request that it answers.
    pub(crate) fn request(&self) -> &Request {
        match self {
            Self::Handler(run) => &run.call().request,
            Self::Backend(run) => run.request(),
        }
    }

    /// Whether what it waits for is no work, as its handler says.
    pub(crate) fn is_idle(&self) -> bool {
        match self {
            Self::Handler(run) => run.call().is_idle(),
            Self::Backend(_) => false,
        }
    }

    /// The progress that was reported last, where the next round must not report less.
    pub(crate) fn reported(&self) -> Option<f64> {
        match self {
            Self::Handler(run) => run.call().reported(),
            Self::Backend(_) => None,
        }
    }
}

impl Future for Run {
    type Output = Ended;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Ended> {
        match self.get_mut() {
            Self::Handler(run) => Pin::new(run).poll(cx),
            Self::Backend(run) => Pin::new(run).poll(cx),
        }
    }
}
