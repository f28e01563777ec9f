//! The notifications of one request, on their way to its stream.
//!
//! The queue is bounded. When it is full, a progress notification replaces the one before it, and a log
//! message is dropped and counted: both are hints, and a handler must not wait for a slow reader.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::sync::Notify;

/// What a message in the queue is, which decides what happens when the queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Replaced by a later one.
    Progress,
    /// Dropped.
    Log,
    /// Anything else that is said about a request: dropped too.
    Other,
    /// A request of the legacy front to its client; never dropped, there are few.
    Request,
}

/// The queue.
#[derive(Debug)]
pub(crate) struct Outbox {
    capacity: usize,
    queue: Mutex<Queue>,
    closed: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    messages: VecDeque<(Kind, String)>,
    dropped: usize,
    reader: Option<Waker>,
    closed: bool,
}

impl Queue {
    fn wake_later(&mut self, cx: &Context<'_>) {
        match &mut self.reader {
            Some(reader) => reader.clone_from(cx.waker()),
            None => self.reader = Some(cx.waker().clone()),
        }
    }
}

impl Outbox {
    /// A queue for `capacity` messages.
    pub(crate) const fn new(capacity: usize) -> Self {
        let queue = Queue { messages: VecDeque::new(), dropped: 0, reader: None, closed: false };
        Self { capacity, queue: Mutex::new(queue), closed: Notify::const_new() }
    }

    /// Queues a complete JSON-RPC message.
    pub(crate) fn push(&self, kind: Kind, message: String) {
        let reader = {
            let mut queue = self.lock();
            if queue.closed {
                return;
            }
            let full = queue.messages.len() >= self.capacity;
            match (kind, queue.messages.back_mut()) {
                (Kind::Progress, Some(last)) if full && last.0 == Kind::Progress => last.1 = message,
                (Kind::Progress | Kind::Log | Kind::Other, _) if full => queue.dropped += 1,
                (Kind::Progress | Kind::Log | Kind::Other | Kind::Request, _) => {
                    queue.messages.push_back((kind, message))
                }
            }
            queue.reader.take()
        };
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// The next message; pending while there is none.
    pub(crate) fn poll_next(&self, cx: &Context<'_>) -> Poll<String> {
        let mut queue = self.lock();
        match queue.messages.pop_front() {
            Some((_, message)) => Poll::Ready(message),
            None => {
                queue.wake_later(cx);
                Poll::Pending
            }
        }
    }

    /// Ready when a message waits.
    pub(crate) fn poll_ready(&self, cx: &Context<'_>) -> Poll<()> {
        let mut queue = self.lock();
        if queue.messages.is_empty() {
            queue.wake_later(cx);
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    /// Whether a message waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().messages.is_empty()
    }

    /// Takes no more messages, as nobody will read them. Says how many had been dropped.
    pub(crate) fn close(&self) -> usize {
        let mut queue = self.lock();
        queue.closed = true;
        queue.messages.clear();
        self.closed.notify_waiters();
        queue.dropped
    }

    /// Completes when nobody reads any more.
    pub(crate) async fn closed(&self) {
        let notified = self.closed.notified();
        tokio::pin!(notified);
        // Registered before the flag is read, so that a close in between is not missed.
        notified.as_mut().enable();
        if !self.lock().closed {
            notified.await;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Queue> {
        // The queue is consistent after every statement, so a panic elsewhere does not spoil it.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(outbox: &Outbox) -> Vec<String> {
        let mut messages = Vec::new();
        while let Poll::Ready(message) = outbox.poll_next(&Context::from_waker(Waker::noop())) {
            messages.push(message);
        }
        messages
    }

    #[test]
    fn merges_progress_and_drops_logs_when_full() {
        let outbox = Outbox::new(2);
        outbox.push(Kind::Log, "a".to_owned());
        outbox.push(Kind::Progress, "1".to_owned());
        outbox.push(Kind::Progress, "2".to_owned());
        outbox.push(Kind::Log, "b".to_owned());
        outbox.push(Kind::Request, "ask".to_owned());
        assert_eq!(drain(&outbox), ["a".to_owned(), "2".to_owned(), "ask".to_owned()]);
        assert_eq!(outbox.close(), 1);
    }

    #[test]
    fn takes_nothing_after_it_is_closed() {
        let outbox = Outbox::new(2);
        outbox.close();
        outbox.push(Kind::Request, "late".to_owned());
        assert!(outbox.is_empty());
    }

    #[tokio::test]
    async fn tells_writers_that_it_was_closed() {
        let outbox = std::sync::Arc::new(Outbox::new(2));
        let waiting = tokio::spawn({
            let outbox = std::sync::Arc::clone(&outbox);
            async move { outbox.closed().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        outbox.close();
        waiting.await.unwrap();
        outbox.closed().await;
    }
}
