//! Tasks, as those see them who created them.

use std::fmt;
use std::time::Duration;

use anypod_proto::tasks::TaskStatus;
use serde::{Deserialize, Serialize};

use crate::time::Millis;
use crate::work::{Claimed, Lease};

/// Names a task: 128 random bits as 32 hexadecimal digits. Who knows it may be able to read the task, so it belongs in no
/// log as a whole.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TaskId(Box<str>);

impl TaskId {
    /// An id of 16 random bytes.
    pub fn from_random(bytes: [u8; 16]) -> Self {
        let digits = bytes.iter().fold(String::with_capacity(32), |digits, byte| format!("{digits}{byte:02x}"));
        Self(digits.into())
    }

    /// The id that this is; `None` for what no store has ever given.
    pub fn parse(text: &str) -> Option<Self> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f');
        (text.len() == 32 && text.bytes().all(is_digit)).then(|| Self(text.into()))
    }

    /// The characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// As much of it as a log may know.
impl fmt::Debug for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TaskId({}…)", self.0.get(..6).unwrap_or_default())
    }
}

/// Whose something is: a text that says so to the server, such as a digest of issuer and subject. Nobody, where callers are
/// not authenticated.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Owner(Box<str>);

impl Owner {
    /// An owner; nobody if the text is empty.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// Nobody in particular.
    pub fn nobody() -> Self {
        Self("".into())
    }

    /// Whether it is nobody.
    pub fn is_nobody(&self) -> bool {
        self.0.is_empty()
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A task that is to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTask {
    /// Its id.
    pub id: TaskId,
    /// Whose it is.
    pub owner: Owner,
    /// What runs it: workers claim tasks of the tools that they have.
    pub tool: String,
    /// The call, as JSON: all that it takes to run it on another pod.
    pub call: String,
    /// What it is doing at first, for people.
    pub message: Option<String>,
    /// How long it may be there, from its creation; `None` is for ever. What has not ended by then is given up to be failed
    /// ([`Claimed::is_expired`](crate::Claimed)), what has ended is deleted.
    pub ttl: Option<Duration>,
    /// How long clients should wait between two looks.
    pub poll: Option<Duration>,
    /// Who takes it up at once, and for how long: its creator, if it has a free hand. With `None` it waits for a worker.
    pub lease: Option<(String, Duration)>,
}

impl NewTask {
    /// A task that waits for a worker, and is kept for ever.
    pub fn new(id: TaskId, owner: Owner, tool: impl Into<String>, call: impl Into<String>) -> Self {
        let (tool, call) = (tool.into(), call.into());
        Self { id, owner, tool, call, message: None, ttl: None, poll: None, lease: None }
    }
}

/// What became of a task that was to be created.
#[derive(Debug)]
pub enum Created {
    /// It is there, on every pod.
    Made(Box<Made>),
    /// There is no room. Nothing was created.
    Full(Full),
}

/// A task that was created.
#[derive(Debug)]
pub struct Made {
    /// The task.
    pub task: Task,
    /// The right to work on it, where its creator asked for it and nothing waits that comes first.
    pub lease: Option<Lease>,
}

/// What there is too much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// Tasks that wait for workers.
    Queue,
    /// Tasks, or values, of this owner.
    Owner,
    /// All together.
    Store,
}

/// A task as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// Whose it is.
    pub owner: Owner,
    /// What runs it.
    pub tool: String,
    /// How far it is.
    pub status: TaskStatus,
    /// What it is doing, for people.
    pub message: Option<String>,
    /// When it was created.
    pub created_at: Millis,
    /// When something of it last changed that clients see.
    pub updated_at: Millis,
    /// When it may be gone; `None` is never.
    pub expires_at: Option<Millis>,
    /// How long clients should wait between two looks.
    pub poll: Option<Duration>,
    /// Its result, or its error, as JSON; none while it has not ended, and of what was cancelled.
    pub outcome: Option<String>,
    /// What it has asked, as far as nobody has answered: all that is open. In the order in which it was asked.
    pub questions: Vec<Question>,
}

/// Something that a task asks its client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Names it for the whole life of the task.
    pub key: String,
    /// What is asked, as JSON.
    pub request: String,
}

/// What became of answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answered {
    /// They are stored, as far as somebody has asked for them. The task goes on once all are there.
    Taken,
    /// There is no such task, or it is someone else's.
    Unknown,
}

/// What becomes of a task next, for those who look after a fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It waits for a worker.
    Queued,
    /// It waits for its time, after something failed.
    Delayed,
    /// A worker has it.
    Leased,
    /// It waits for answers.
    Parked,
    /// It has ended.
    Ended,
}

impl Created {
    /// What was made of it.
    pub fn made(self) -> Option<Box<Made>> {
        match self {
            Self::Made(made) => Some(made),
            Self::Full(_) => None,
        }
    }
}

impl Claimed {
    /// Whether its time is over: it is there to be ended, not to be run.
    pub fn is_expired(&self) -> bool {
        self.expires_at.is_some_and(|expires_at| expires_at <= self.now)
    }
}
