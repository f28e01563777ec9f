//! The calls of one session that are under way, for messages that do not say which of them they belong to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anypod_proto::logging::LoggingLevel;
use tokio::sync::mpsc;

use crate::message::Message;

/// The calls under way, by their ids.
#[derive(Default)]
pub(super) struct Calls(Mutex<BTreeMap<u64, Ear>>);

/// How a call hears what does not come on its own stream.
struct Ear {
    sender: mpsc::Sender<Message>,
    wants: Wants,
    /// It waits for answers to questions, so that it is less likely to ask more.
    is_held: bool,
}

/// What a call takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wants {
    /// Questions: calls that modern servers may answer with some.
    pub(super) questions: bool,
    /// Progress.
    pub(super) progress: bool,
    /// Log messages from this level on.
    pub(super) log: Option<LoggingLevel>,
}

impl Wants {
    pub(super) fn logs(&self, level: LoggingLevel) -> bool {
        self.log.is_some_and(|least| level >= least)
    }
}

impl Calls {
    /// Registers a call; at most `waiting` messages wait for it.
    pub(super) fn register(self: &Arc<Self>, id: u64, wants: Wants, waiting: usize) -> Heard {
        let (sender, messages) = mpsc::channel(waiting.max(1));
        self.lock().insert(id, Ear { sender, wants, is_held: false });
        Heard { calls: Arc::clone(self), id, messages }
    }

    /// Gives progress to the call of this id. Where too much waits already, it is dropped.
    pub(super) fn progress(&self, id: u64, message: Message) {
        if let Some(ear) = self.lock().get(&id).filter(|ear| ear.wants.progress) {
            let _ = ear.sender.try_send(message);
        }
    }

    /// Gives a log message to every call that wants its level: nothing says which one it is about.
    pub(super) fn log(&self, level: LoggingLevel, mut message: impl FnMut() -> Message) {
        for ear in self.lock().values().filter(|ear| ear.wants.logs(level)) {
            let _ = ear.sender.try_send(message());
        }
    }

    /// Gives a question to the call that it must belong to: the only one that may ask and is not held, or the only
    /// one that may ask at all. Otherwise the question comes back.
    pub(super) fn question(&self, message: Message) -> Result<(), Message> {
        let calls = self.lock();
        let only = |is_held: bool| {
            let mut ears = calls.values().filter(|ear| ear.wants.questions && ear.is_held == is_held);
            ears.next().map(|first| ears.next().is_none().then_some(first))
        };
        let ear = match only(false) {
            Some(active) => active,
            None => only(true).flatten(),
        };
        match ear {
            Some(ear) => ear.sender.try_send(message).map_err(|error| match error {
                mpsc::error::TrySendError::Full(message) | mpsc::error::TrySendError::Closed(message) => message,
            }),
            None => Err(message),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Ear>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A registered call: what it hears. Dropping it ends the registration.
pub(super) struct Heard {
    calls: Arc<Calls>,
    id: u64,
    messages: mpsc::Receiver<Message>,
}

impl Heard {
    /// The next message. Never ends: whoever waits for it waits for something else too.
    pub(super) async fn next(&mut self) -> Message {
        match self.messages.recv().await {
            Some(message) => message,
            None => std::future::pending().await,
        }
    }

    /// Says whether the call waits for answers.
    pub(super) fn set_held(&self, is_held: bool) {
        if let Some(ear) = self.calls.lock().get_mut(&self.id) {
            ear.is_held = is_held;
        }
    }
}

impl Drop for Heard {
    fn drop(&mut self) {
        self.calls.lock().remove(&self.id);
    }
}
