//! What a legacy server says that belongs to no request of ours: its own requests, log messages, changes.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::Notify;

use super::slot::{is_dispensable, same, weight};
use crate::error::Broken;
use crate::limits::Limits;
use crate::message::Message;

/// The queue of such messages, which is only kept once somebody reads it: in the modern era there are none.
#[derive(Default)]
pub(super) struct Unasked {
    changed: Option<Arc<Notify>>,
    waiting: VecDeque<Message>,
    /// How many have come, and how many of them have been passed on to whom they are for, or dropped.
    came: u64,
    passed: u64,
    reader: Reader,
}

/// Whoever takes them.
#[derive(Debug, Default, PartialEq, Eq)]
enum Reader {
    /// Nobody, or nobody yet.
    #[default]
    None,
    /// It has passed on what it took.
    Waits,
    /// It has taken one, which it may not have passed on yet.
    Holds,
}

impl Unasked {
    /// Keeps them from now on. The [`Notify`] is woken with each message.
    pub(super) fn open(&mut self) -> Arc<Notify> {
        Arc::clone(self.changed.get_or_insert_default())
    }

    pub(super) fn wake(&self) {
        if let Some(changed) = &self.changed {
            changed.notify_one();
        }
    }

    /// Somebody takes them from now on.
    pub(super) fn begin(&mut self) {
        self.reader = Reader::Waits;
    }

    /// Nobody takes them any more.
    pub(super) fn stop(&mut self) {
        let held = std::mem::take(&mut self.reader) == Reader::Holds;
        self.passed += u64::from(held);
    }

    /// The next one, for a reader that has passed on the one before. Whether there was one before.
    pub(super) fn pop(&mut self) -> (Option<Message>, bool) {
        let message = self.waiting.pop_front();
        let next = match (&self.reader, &message) {
            (Reader::None, _) => Reader::None,
            (Reader::Waits | Reader::Holds, Some(_)) => Reader::Holds,
            (Reader::Waits | Reader::Holds, None) => Reader::Waits,
        };
        let passed = std::mem::replace(&mut self.reader, next) == Reader::Holds;
        self.passed += u64::from(passed);
        (message, passed)
    }

    /// How many have come so far.
    pub(super) const fn came(&self) -> u64 {
        self.came
    }

    /// Whether the first so many have been passed on, as far as anybody takes them.
    pub(super) fn are_passed(&self, came: u64) -> bool {
        self.reader == Reader::None || self.passed >= came
    }

    /// Takes a message in. `held` is what waits in all, in bytes.
    ///
    /// # Errors
    /// If there is no room, and it may not be dropped.
    pub(super) fn push(&mut self, message: Message, held: &mut usize, limits: &Limits) -> Result<(), Broken> {
        let Some(changed) = &self.changed else {
            ignore(&message);
            return Ok(());
        };
        let weight = Self::weight(&message);
        if self.waiting.len() < limits.waiting_messages && held.saturating_add(weight) <= limits.event_bytes {
            *held += weight;
            self.came += 1;
            self.waiting.push_back(message);
            changed.notify_one();
            return Ok(());
        }
        if self.is_dispensable(&message) {
            return Ok(());
        }
        if let Some(at) = self.waiting.iter().position(|waiting| self.is_dispensable(waiting))
            && let Some(dropped) = self.waiting.remove(at)
        {
            *held -= Self::weight(&dropped);
            self.passed += 1;
            return self.push(message, held, limits);
        }
        Err(Broken::TooMuch { what: "messages that nobody took", limit: limits.waiting_messages })
    }

    /// Whether nothing goes wrong without it: progress, log messages, and what another that waits says too.
    fn is_dispensable(&self, message: &Message) -> bool {
        let Message::Notice(notice) = message else { return false };
        is_dispensable(notice) || {
            let alike = |waiting: &&Message| matches!(waiting, Message::Notice(waiting) if same(waiting, notice));
            self.waiting.iter().filter(alike).any(|waiting| !std::ptr::eq(waiting, message))
        }
    }

    /// What a message takes up, in bytes.
    pub(super) fn weight(message: &Message) -> usize {
        match message {
            Message::Notice(notice) => weight(notice),
            Message::Request { method, params, .. } => method.len() + params.as_bytes().len(),
            Message::Answer(..) => 0,
        }
    }
}

/// Says that nobody takes a message. A modern server must not send requests, and gets no answer to one: the client
/// must not send any.
///
/// Spec: basic/transports/stdio, "Sending Messages" and "Receiving Messages".
fn ignore(message: &Message) {
    match message {
        Message::Request { method, .. } => {
            tracing::warn!(method = %method.escape_debug(), "the server sent a request, which is ignored");
        }
        Message::Notice(notice) => {
            tracing::debug!(method = %notice.method.escape_debug(), "a notification that belongs to no request");
        }
        Message::Answer(..) => {}
    }
}

#[cfg(test)]
mod tests {
    use anypod_proto::jsonrpc::RequestId;
    use anypod_proto::method::{ClientMethod, Notification};
    use bytes::Bytes;

    use super::*;
    use crate::exchange::{Notice, Raw};

    fn request(id: i64) -> Message {
        let params = Raw::checked(Bytes::from_static(b"{}"));
        Message::Request { id: RequestId::from(id), method: ClientMethod::Elicit.to_string(), params }
    }

    fn notice(kind: Notification, params: &'static str) -> Message {
        Message::Notice(Notice {
            method: kind.to_string(),
            params: Raw::checked(Bytes::from_static(params.as_bytes())),
        })
    }

    fn limits(waiting: usize) -> Limits {
        Limits { waiting_messages: waiting, ..Limits::default() }
    }

    #[test]
    fn nothing_is_kept_before_somebody_reads() {
        let (mut unasked, mut held) = (Unasked::default(), 0);
        unasked.push(request(1), &mut held, &limits(1)).unwrap();
        assert!(unasked.pop().0.is_none() && held == 0);
    }

    #[test]
    fn what_is_dispensable_makes_room_for_what_is_not() {
        let (mut unasked, mut held) = (Unasked::default(), 0);
        unasked.open();
        let mut push = |message| unasked.push(message, &mut held, &limits(3));
        push(notice(Notification::Message, "{}")).unwrap();
        push(notice(Notification::ToolsListChanged, "{}")).unwrap();
        push(notice(Notification::ToolsListChanged, "{}")).unwrap();
        push(notice(Notification::Progress, "{}")).unwrap();
        push(request(1)).unwrap();
        push(request(2)).unwrap();
        push(notice(Notification::ToolsListChanged, "{}")).unwrap();
        push(request(3)).unwrap_err();
        push(notice(Notification::PromptsListChanged, "{}")).unwrap_err();
        let kept: Vec<_> = std::iter::from_fn(|| unasked.pop().0).collect();
        assert!(
            matches!(&kept[..], [Message::Notice(_), Message::Request { .. }, Message::Request { .. }]),
            "a change, and both requests: {kept:?}"
        );
        assert_eq!(held, kept.iter().map(Unasked::weight).sum::<usize>());
    }
}
