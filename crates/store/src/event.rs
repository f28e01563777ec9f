//! What one pod tells all others.

use crate::store::Later;
use crate::task::TaskId;

/// Something that every pod should hear of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A task has become something else that clients see. The store says so by itself.
    Task(TaskId),
    /// A text that somebody published.
    Told(String),
}

/// What a follower has heard since it was asked last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heard {
    /// What was written, mostly in the order in which it was; of two events that were written at once either may come first.
    /// The same may come again.
    pub events: Vec<Event>,
    /// Whether there was more, which is lost: the follower was out of touch for longer than events are kept.
    pub gap: bool,
}

/// Hears of everything that any pod has written since the follower was made.
pub trait Follower: Send {
    /// Waits for something, and gives what there is. Dropping the future loses nothing; while it is neither polled nor dropped,
    /// other followers of this process may have to wait for it.
    ///
    /// # Errors
    /// If the store cannot be asked. The next call goes on where this one began.
    fn next(&mut self) -> Later<'_, Heard>;
}
