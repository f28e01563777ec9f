//! One request that takes its time, and what it says: notifications as they come, the response last.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use anypod_proto::cancellation::CancelledNotificationParams;
use anypod_proto::meta::NotificationMeta;
use anypod_proto::method::Notification;
use anypod_proto::reject::Rejection;
use tokio::sync::{mpsc, watch};
use tracing::Span;

use super::inflight::Ticket;
use super::lines::Outgoing;
use crate::backend::one_line;
use crate::completed;
use crate::cx::notification;
use crate::http::Modern;
use crate::listen::Listening;
use crate::load::Permit;
use crate::outbox::Outbox;
use crate::run::Run;
use crate::server::Server;

/// A request under way. Dropping it cancels the work.
pub(super) struct Exchange {
    pub(super) ticket: Ticket,
    pub(super) outbox: Arc<Outbox>,
    /// Where notifications go.
    pub(super) lines: mpsc::Sender<Outgoing>,
    /// Where the response goes: the same, or what gathers the responses of a batch.
    pub(super) answers: mpsc::Sender<Outgoing>,
}

/// What work on a request comes to.
pub(super) struct Answered {
    pub(super) response: Vec<u8>,
    /// The request's place among those that are worked on, kept until the response is queued.
    pub(super) permit: Option<Permit>,
}

impl Exchange {
    /// Works and sends. While the client does not read, notifications stay in the outbox, which has its
    /// rules for that, and the work goes on.
    pub(super) async fn run(self, work: impl Future<Output = Answered>) {
        let Self { ticket, outbox, lines, answers } = self;
        let outbox = Closing(outbox);
        let mut work = pin!(work);
        let mut next = None;
        let Answered { response, permit: _permit } = loop {
            tokio::select! {
                biased;
                answered = &mut work => break answered,
                message = poll_fn(|cx| outbox.0.poll_next(cx)), if next.is_none() => next = Some(message),
                place = lines.reserve(), if next.is_some() => {
                    let (Ok(place), Some(message)) = (place, next.take()) else { return };
                    place.send(Outgoing::of(ticket.call(), message));
                }
            }
        };
        while let Some(message) = next.take().or_else(|| outbox.pop()) {
            if lines.send(Outgoing::of(ticket.call(), message)).await.is_err() {
                return;
            }
        }
        answer(ticket, &answers, response).await;
    }
}

/// Queues the response to a request.
pub(super) async fn answer(ticket: Ticket, answers: &mpsc::Sender<Outgoing>, response: Vec<u8>) {
    let Ok(place) = answers.reserve().await else { return };
    let response = Outgoing::of(ticket.call(), response);
    // Before the client can see the response, as it may use the id again at once.
    drop(ticket);
    place.send(response);
}

/// An outbox that takes nothing more when the request is over.
struct Closing(Arc<Outbox>);

impl Closing {
    fn pop(&self) -> Option<String> {
        match self.0.poll_next(&Context::from_waker(Waker::noop())) {
            Poll::Ready(message) => Some(message),
            Poll::Pending => None,
        }
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        let dropped = self.0.close();
        if dropped > 0 {
            tracing::warn!(dropped, "log messages were dropped, the client reads too slowly");
        }
    }
}

/// The response to a modern call.
pub(super) async fn modern(server: Server, run: Run, permit: Permit, span: Span) -> Answered {
    let deadline = server.inner.limits().request_deadline;
    let from_backend = server.inner.backend.is_some();
    let mut modern = Modern::new(server, run);
    let answered = tokio::time::timeout(deadline, poll_fn(|cx| modern.poll(cx, &span))).await;
    let mut response = answered.unwrap_or_else(|_| {
        tracing::warn!("a request took longer than it may");
        completed::Response::failure(Some(modern.id()), &Rejection::DeadlineExceeded.into())
    });
    if from_backend {
        one_line(&mut response.body);
    }
    Answered { response: response.body, permit: Some(permit) }
}

/// Sends the messages of a listener until the client cancels it, which drops this, or the server ends it.
pub(super) async fn listen(
    mut listening: Listening,
    ticket: Ticket,
    lines: mpsc::Sender<Outgoing>,
    mut ending: watch::Receiver<bool>,
) {
    while !listening.is_over() {
        let message = tokio::select! {
            biased;
            message = poll_fn(|cx| listening.poll_next(cx)) => message,
            // An error means that the connection is gone, and nobody reads the result.
            _ = ending.wait_for(|ending| *ending) => Some(listening.end()),
        };
        let Some(message) = message else { return };
        let torn_down = listening.is_over().then(|| torn_down(&ticket)).flatten();
        for message in torn_down.into_iter().chain([message]) {
            if lines.send(Outgoing::of(ticket.call(), message)).await.is_err() {
                return;
            }
        }
    }
}

/// What goes before the result of a listener that the server ends.
///
/// Spec: basic/patterns/cancellation has it that a server MUST send `notifications/cancelled` for a listen
/// request that it tears down; basic/patterns/subscriptions, "Graceful Closure", that it SHOULD answer the
/// request. Both are done, in this order: a request can only be cancelled while it is not answered.
fn torn_down(ticket: &Ticket) -> Option<String> {
    let mut params = CancelledNotificationParams::new(ticket.id().clone()).with_reason("the server stops");
    params.meta = Some(NotificationMeta::subscription(ticket.id().clone()));
    notification(Notification::Cancelled, &params)
        .inspect_err(|error| tracing::error!(%error, "a cancellation is not JSON"))
        .ok()
}
