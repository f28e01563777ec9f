//! How many calls are on their way, so that a drain knows when they are done.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use anypod_proto::header;
use anypod_proto::method::Method;
use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use hyper::{Method as HttpMethod, Request};
use tokio::sync::watch;

use super::pool::Answer;

/// A counter of calls that have begun and not ended.
#[derive(Debug, Clone, Default)]
pub(super) struct Work(Arc<watch::Sender<usize>>);

/// A call that has begun. It ends when this is dropped, or the body that it counts.
#[derive(Debug)]
pub(super) struct Begun(Option<Work>);

impl Work {
    /// Counts a call. A stream that only listens has no end of its own and is not counted:
    /// a pod ends it when the pod is told to stop.
    pub(super) fn begin<B>(&self, request: &Request<B>) -> Begun {
        if only_listens(request) {
            return Begun(None);
        }
        self.0.send_modify(|calls| *calls += 1);
        Begun(Some(self.clone()))
    }

    /// Resolves when no call is on its way.
    pub(super) async fn done(&self) {
        // The sender lives in `self`, so the wait cannot fail.
        let _ = self.0.subscribe().wait_for(|calls| *calls == 0).await;
    }
}

impl Begun {
    /// Makes the call last as long as its answer's body.
    pub(super) fn count(self, answer: Answer) -> Counted {
        Counted { answer, _begun: self }
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        if let Some(work) = &self.0 {
            work.0.send_modify(|calls| *calls -= 1);
        }
    }
}

/// Whether the answer is a stream of notifications: `subscriptions/listen`, or the GET stream of legacy clients.
fn only_listens<B>(request: &Request<B>) -> bool {
    let says = |name, text: &str| {
        let value = request.headers().get(name);
        value.is_some_and(|value| value.as_bytes() == text.as_bytes())
    };
    match *request.method() {
        HttpMethod::GET => says(hyper::header::ACCEPT, "text/event-stream"),
        _ => says(header::METHOD, Method::SubscriptionsListen.as_str()),
    }
}

/// A pod's answer that counts as a call until it has ended.
pub(super) struct Counted {
    answer: Answer,
    _begun: Begun,
}

impl Body for Counted {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.answer).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.answer.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.answer.size_hint()
    }
}
