//! The bus: how a change on one pod reaches the listeners of every pod.
//!
//! A bus carries [`Event`]s to [`Receiver`]s, most of them [`Mailbox`]es. What listeners may rely on is the mailbox's rule and the same
//! for every bus: a listener learns *that* something changed, not how often. Each mailbox holds at most one
//! mark per thing its listener asked for, so it is bounded by what was asked, a slow listener costs no
//! memory, and nothing it asked for is missed. A bus that may have lost events says so with
//! [`Receiver::gap`], which marks everything.
//!
//! What is told of a task says what it has become, for those who may know. That is no event for a bus: whoever has it puts it
//! into the mailbox of a listener ([`Mailbox::put_task`]), which keeps the newest of each task.

mod in_process;
mod mailbox;

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub(crate) use in_process::Subject;
pub use in_process::{InProcess, Seat};
pub use mailbox::{Change, Interest, Mailbox};

/// Something that every pod should hear of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "camelCase")]
pub enum Event {
    /// The list of tools changed.
    ToolsChanged,
    /// The list of prompts changed.
    PromptsChanged,
    /// The list of resources changed.
    ResourcesChanged,
    /// A resource changed.
    ResourceUpdated {
        /// Its URI.
        uri: String,
    },
    /// A topic of an extension changed, see [`Topics`](crate::Topics).
    Topic(Topic),
    /// A legacy session changed what it wants to hear.
    Session {
        /// Tells the session from others; not the session id itself.
        session: u64,
        /// What it wants.
        change: SessionChange,
    },
}

/// Something that an extension tells listeners of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Topic {
    /// The identifier of the extension.
    pub extension: String,
    /// What the extension calls it.
    pub topic: String,
}

/// What a legacy session can change after it was opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "camelCase")]
pub enum SessionChange {
    /// `logging/setLevel`, with the level's name.
    Level {
        /// The least severe level to be sent.
        level: String,
    },
    /// `resources/subscribe`.
    Subscribe {
        /// The resource.
        uri: String,
    },
    /// `resources/unsubscribe`.
    Unsubscribe {
        /// The resource.
        uri: String,
    },
    /// `notifications/cancelled`, with the raw JSON of the request's id.
    Cancel {
        /// The request.
        request: String,
    },
    /// DELETE: the session is over.
    End,
}

/// Why an event did not get through.
#[derive(Debug, thiserror::Error)]
#[error("the bus is unavailable: {0}")]
pub struct BusError(pub String);

/// A bus.
pub trait Bus: Send + Sync + 'static {
    /// Carries an event to the receivers of every pod, this one's included.
    fn publish(&self, event: Event) -> Pin<Box<dyn Future<Output = Result<(), BusError>> + Send + '_>>;

    /// Delivers to this receiver from now on, until it is dropped. A receiver takes no notice of what it did not ask for, so a bus
    /// may deliver everything to all; [`InProcess`] knows who wants what.
    fn attach(&self, receiver: Weak<dyn Receiver>);

    /// Whether what is published here reaches every pod of the fleet. If not, a server whose keys others may
    /// have does not promise its legacy clients what only a fleet can keep, such as the end of a session.
    fn is_shared(&self) -> bool {
        false
    }

    /// How long it takes, as a rule, until every pod has heard what was published. What may be told only then waits so long,
    /// such as that a session has ended.
    fn spread(&self) -> Duration {
        Duration::ZERO
    }
}

/// Something that a bus delivers to. Must not block: it is called on the way of every event.
pub trait Receiver: Send + Sync + 'static {
    /// Takes note of an event.
    fn deliver(&self, event: &Event);

    /// Events may have been lost since the last one.
    fn gap(&self);

    /// The changes that it wants to hear of, for a bus that has to fetch them from elsewhere. None by default; events
    /// about sessions go to every receiver.
    fn interest(&self) -> Interest {
        Interest::default()
    }

    /// Has been attached to a bus of one process, and says at its seat what it wants to have delivered: everything, by default. A
    /// [`Mailbox`] has delivered what its listener asked for.
    fn seated(&self, seat: Seat) {
        seat.hear_everything();
    }
}

impl<B: Bus + ?Sized> Bus for Arc<B> {
    fn publish(&self, event: Event) -> Pin<Box<dyn Future<Output = Result<(), BusError>> + Send + '_>> {
        (**self).publish(event)
    }

    fn attach(&self, receiver: Weak<dyn Receiver>) {
        (**self).attach(receiver);
    }

    fn is_shared(&self) -> bool {
        (**self).is_shared()
    }

    fn spread(&self) -> Duration {
        (**self).spread()
    }
}
