//! What has come in for one request and was not taken yet.

use std::collections::VecDeque;
use std::sync::Arc;

use anypod_proto::method::Notification;
use tokio::sync::Notify;

use crate::call::Repeat;
use crate::error::{Broken, Error, Result};
use crate::exchange::{Answer, Notice};
use crate::limits::Limits;

/// What a request wants besides its answer, and what may become of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wants {
    /// Progress, under its id as the token.
    pub(super) progress: bool,
    /// Log messages.
    pub(super) logs: bool,
    /// Notifications for as long as it lasts: a listen request.
    pub(super) changes: bool,
    /// Whether it may be sent again.
    pub(super) repeat: Repeat,
}

/// The place of one request.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) wants: Wants,
    /// Woken with each change, for the one who waits.
    pub(super) changed: Arc<Notify>,
    /// Whether the writer has begun to write the request.
    pub(super) sent: bool,
    /// Whether the server has said that it ends a listen request, so that nothing but the answer can come.
    pub(super) torn_down: bool,
    pub(super) notices: VecDeque<Notice>,
    /// How much the server had said unasked when it answered.
    pub(super) after: u64,
    outcome: Option<Result<Answer>>,
    settled: bool,
    received: usize,
    dropped: usize,
}

/// What becomes of a notification.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// It waits to be taken.
    Yes,
    /// It is as good as one that waits, or dispensable.
    No,
    /// It came too much: the request has failed, and is to be cancelled.
    Failed,
}

impl Slot {
    pub(super) fn new(wants: Wants) -> Self {
        Self {
            wants,
            changed: Arc::default(),
            sent: false,
            torn_down: false,
            notices: VecDeque::new(),
            after: 0,
            outcome: None,
            settled: false,
            received: 0,
            dropped: 0,
        }
    }

    /// Whether the answer or a failure has come.
    pub(super) const fn is_settled(&self) -> bool {
        self.settled
    }

    /// What the request comes to. Only the first counts: servers must not answer twice.
    pub(super) fn settle(&mut self, outcome: Result<Answer>) -> bool {
        if std::mem::replace(&mut self.settled, true) {
            return false;
        }
        self.outcome = Some(outcome);
        if self.dropped > 0 {
            tracing::warn!(dropped = self.dropped, "notifications were dropped, nobody took them in time");
        }
        self.changed.notify_one();
        true
    }

    /// Takes a notification in, if there is `room` for its bytes.
    pub(super) fn notice(&mut self, notice: Notice, room: bool, limits: &Limits) -> Kept {
        if self.settled {
            return Kept::No;
        }
        self.received = self.received.saturating_add(1);
        if !self.wants.changes && self.received > limits.notifications {
            let what = "notifications for one request";
            self.settle(Err(Broken::TooMuch { what, limit: limits.notifications }.into()));
            return Kept::Failed;
        }
        if room && self.notices.len() < limits.waiting_messages {
            self.notices.push_back(notice);
            self.changed.notify_one();
            return Kept::Yes;
        }
        if is_dispensable(&notice) || self.notices.iter().any(|waiting| same(waiting, &notice)) {
            self.dropped += usize::from(is_dispensable(&notice));
            return Kept::No;
        }
        // A change that is not told would be taken for none: whoever listens has to look again.
        self.settle(Err(Error::lost("more notifications came than were taken")));
        Kept::Failed
    }

    /// The server ends a listen request. The answer follows, or nothing.
    ///
    /// Spec: basic/patterns/cancellation, and basic/patterns/subscriptions, "Graceful Closure".
    pub(super) fn tear_down(&mut self) {
        self.torn_down = true;
        self.changed.notify_one();
    }

    /// What the request came to, once every notification has been taken.
    pub(super) fn take_outcome(&mut self) -> Option<Result<Answer>> {
        self.outcome.take().or_else(|| self.settled.then_some(Err(Error::Broken(Broken::NoAnswer))))
    }
}

/// Whether nothing goes wrong without it.
pub(super) fn is_dispensable(notice: &Notice) -> bool {
    [Notification::Progress, Notification::Message].iter().any(|kind| notice.method == kind.as_str())
}

/// Whether two notifications say the same.
pub(super) fn same(one: &Notice, other: &Notice) -> bool {
    one.method == other.method && one.params == other.params
}

/// What a notification takes up, in bytes.
pub(super) fn weight(notice: &Notice) -> usize {
    notice.method.len() + notice.params.as_bytes().len()
}
