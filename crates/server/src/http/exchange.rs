//! One request and its answer: plain JSON if the answer is all there is to say, and a stream of events as
//! soon as something else is said before it or the answer takes long.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use anypod_proto::reject::Rejection;
use anypod_proto::sse;
use bytes::Bytes;
use http::{Response, StatusCode};
use tokio::time::{Instant, Sleep, sleep_until};
use tracing::Span;

use super::{Accepts, Body, empty, json, sse as sse_response};
use crate::completed;
use crate::limits::{Limits, NEVER};
use crate::load::Permit;
use crate::outbox::Outbox;
use crate::run::{Ended, Run};
use crate::server::Server;
use crate::telemetry;

/// What produces the answer.
pub(crate) enum Doing {
    /// A modern call.
    Modern(Modern),
    /// Legacy calls with all their rounds, which see to their own deadlines.
    Legacy(Pin<Box<dyn Future<Output = Finished> + Send>>),
}

/// A legacy call that is through.
pub(crate) struct Finished {
    /// None if the client has cancelled the request: then it gets no answer.
    pub(crate) response: Option<completed::Response>,
    /// Kept until the answer is sent.
    pub(crate) permit: Option<Permit>,
}

/// A modern call: ends with a result, a failure or a round.
pub(crate) struct Modern {
    server: Server,
    run: Run,
}

impl Modern {
    pub(crate) const fn new(server: Server, run: Run) -> Self {
        Self { server, run }
    }

    /// The raw JSON of the request's id.
    pub(crate) fn id(&self) -> &str {
        self.run.request().id()
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, span: &Span) -> Poll<completed::Response> {
        let Poll::Ready(ended) = Pin::new(&mut self.run).poll(cx) else { return Poll::Pending };
        let id = self.run.request().id();
        Poll::Ready(match ended {
            Ended::Complete(completed) => completed::Response::result(&self.server, id, completed),
            Ended::Asks(round) => completed::Response::round(&self.server, id, round),
            Ended::Failed(failure) => {
                telemetry::failed(span, &failure);
                completed::Response::failure(Some(id), &failure)
            }
        })
    }
}

/// A request under way. Dropping it cancels the work, which is what a client that goes away asks for.
pub(crate) struct Exchange {
    doing: Doing,
    answer: Option<completed::Response>,
    over: bool,
    outbox: Arc<Outbox>,
    span: Span,
    keep_alive: Duration,
    deadline: Instant,
    timer: Option<Pin<Box<Sleep>>>,
    permit: Option<Permit>,
}

/// What made the wait end.
enum Woken {
    Answer(completed::Response),
    Nothing,
    Message,
    Silence,
}

impl Exchange {
    pub(crate) fn new(doing: Doing, outbox: Arc<Outbox>, permit: Option<Permit>, span: Span, limits: &Limits) -> Self {
        let deadline = match doing {
            Doing::Modern(_) => Instant::now() + limits.request_deadline,
            Doing::Legacy(_) => Instant::now() + NEVER,
        };
        Self {
            doing,
            answer: None,
            over: false,
            outbox,
            span,
            keep_alive: limits.keep_alive,
            deadline,
            timer: None,
            permit,
        }
    }

    /// Works until it is known which kind of answer this will be.
    pub(crate) async fn respond(mut self, accepts: Accepts) -> Response<Body> {
        let woken = poll_fn(|cx| self.poll_first(cx, accepts)).await;
        match woken {
            // A refusal has a status of its own, which a stream that has begun can no longer carry; that is
            // worth more than the hints before it.
            Woken::Answer(answer)
                if self.outbox.is_empty() || accepts == Accepts::Json || !answer.status.is_success() =>
            {
                json(answer)
            }
            Woken::Answer(answer) => {
                self.answer = Some(answer);
                sse_response(Body::exchange(self))
            }
            Woken::Nothing if accepts == Accepts::Json => empty(StatusCode::NO_CONTENT),
            Woken::Nothing => {
                self.over = true;
                sse_response(Body::exchange(self))
            }
            Woken::Message | Woken::Silence => sse_response(Body::exchange(self)),
        }
    }

    fn poll_first(&mut self, cx: &mut Context<'_>, accepts: Accepts) -> Poll<Woken> {
        if self.poll_doing(cx).is_ready() {
            return Poll::Ready(self.answer.take().map_or(Woken::Nothing, Woken::Answer));
        }
        if accepts == Accepts::Streams && self.outbox.poll_ready(cx).is_ready() {
            return Poll::Ready(Woken::Message);
        }
        match self.poll_timer(cx) {
            Poll::Ready(Tick::Deadline(answer)) => Poll::Ready(Woken::Answer(answer)),
            // Nobody is kept waiting at a silent connection that some balancer will cut.
            Poll::Ready(Tick::Silence) if accepts == Accepts::Streams => Poll::Ready(Woken::Silence),
            Poll::Ready(Tick::Silence) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Poll::Pending => Poll::Pending,
        }
    }

    /// The next bytes of the event stream: messages in order, the answer last.
    pub(super) fn poll_events(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if self.over {
            return Poll::Ready(None);
        }
        if self.answer.is_none() {
            // Ready without an answer means that the stream ends without one.
            self.over = self.poll_doing(cx).is_ready() && self.answer.is_none();
        }
        let mut events = Vec::new();
        while let Poll::Ready(message) = self.outbox.poll_next(cx) {
            sse::encode_data(&mut events, &message);
        }
        if self.answer.is_none()
            && !self.over
            && let Poll::Ready(tick) = self.poll_timer(cx)
        {
            match tick {
                Tick::Deadline(answer) => self.answer = Some(answer),
                Tick::Silence => {
                    sse::encode_comment(&mut events, "");
                    cx.waker().wake_by_ref();
                }
            }
        }
        if let Some(answer) = self.answer.take() {
            sse::encode_data(&mut events, &String::from_utf8_lossy(&answer.body));
            self.over = true;
        }
        match events.is_empty() {
            false => Poll::Ready(Some(events.into())),
            true if self.over => Poll::Ready(None),
            true => Poll::Pending,
        }
    }

    /// Works on; when the work is through, its answer is in `answer`, if there is one.
    fn poll_doing(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let _entered = self.span.enter();
        match &mut self.doing {
            Doing::Modern(modern) => self.answer = Some(ready!(modern.poll(cx, &self.span))),
            Doing::Legacy(future) => {
                let Finished { response, permit } = ready!(future.as_mut().poll(cx));
                (self.answer, self.permit) = (response, permit);
            }
        }
        Poll::Ready(())
    }

    /// The timer is made when the work first has to wait, which most requests never do.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<Tick> {
        let next = |deadline: Instant, keep_alive| deadline.min(Instant::now() + keep_alive);
        let (deadline, keep_alive) = (self.deadline, self.keep_alive);
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(next(deadline, keep_alive))));
        if timer.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        if timer.deadline() >= deadline {
            tracing::warn!(parent: &self.span, "a request took longer than it may");
            let id = match &self.doing {
                Doing::Modern(modern) => Some(modern.id()),
                Doing::Legacy(_) => None,
            };
            return Poll::Ready(Tick::Deadline(completed::Response::failure(id, &Rejection::DeadlineExceeded.into())));
        }
        timer.as_mut().reset(next(deadline, keep_alive));
        Poll::Ready(Tick::Silence)
    }
}

enum Tick {
    Deadline(completed::Response),
    Silence,
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let dropped = self.outbox.close();
        if dropped > 0 {
            tracing::warn!(parent: &self.span, dropped, "log messages were dropped, the client reads too slowly");
        }
    }
}
