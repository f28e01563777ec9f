//! What a backend is asked, so that neither a panic nor a wait without end leaves its callers without an answer.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use anypod_proto::discover::DiscoverResult;
use anypod_proto::reject::Rejection;
use anypod_proto::subscriptions::SubscriptionFilter;
use tokio::time::timeout;

use super::{Backend, BoxFuture, Caller, Listened, Refusal};
use crate::completed::Failure;

/// A future of a backend. Its panic is an internal error.
pub(crate) struct Caught<T> {
    /// None once it has panicked; what it left half done is never polled again.
    future: Option<BoxFuture<'static, T>>,
}

impl<T> Caught<T> {
    pub(crate) fn begin(begin: impl FnOnce() -> BoxFuture<'static, T>) -> Self {
        let future = catch_unwind(AssertUnwindSafe(begin)).ok();
        Self { future }
    }
}

impl<T> Future for Caught<T> {
    type Output = Result<T, Rejection>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(future) = &mut self.future
            && let Ok(poll) = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx)))
        {
            return poll.map(Ok);
        }
        self.future = None;
        tracing::error!("a backend panicked");
        Poll::Ready(Err(Rejection::Internal))
    }
}

/// What the backend says about itself.
pub(crate) async fn discover(
    backend: &Arc<dyn Backend>,
    caller: Caller,
    deadline: Duration,
) -> Result<DiscoverResult, Failure> {
    within(deadline, Caught::begin(|| Arc::clone(backend).discover(caller))).await
}

/// Lets the backend listen.
pub(crate) async fn listen(
    backend: Arc<dyn Backend>,
    caller: Caller,
    wanted: SubscriptionFilter,
    deadline: Duration,
) -> Result<Listened, Failure> {
    within(deadline, Caught::begin(|| backend.listen(caller, wanted))).await
}

async fn within<T>(deadline: Duration, caught: Caught<Result<T, Refusal>>) -> Result<T, Failure> {
    match timeout(deadline, caught).await {
        Ok(answered) => Ok(answered??),
        Err(_) => Err(Rejection::DeadlineExceeded.into()),
    }
}
