//! Values that outlive a call: what is behind a handle.

use std::time::Duration;

use crate::task::Owner;
use crate::time::Millis;

/// Names a value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValueId {
    /// What kind of thing it is: ids of one kind do not name things of another.
    pub kind: String,
    /// Within its kind.
    pub id: String,
    /// Whose it is.
    pub owner: Owner,
}

/// A value that is to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewValue {
    /// Names it.
    pub id: ValueId,
    /// The value.
    pub text: String,
    /// How long it is kept; `None` is for ever.
    pub ttl: Option<Duration>,
    /// Whether every look at it begins that time anew.
    pub sliding: bool,
}

/// A value as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// The value.
    pub text: String,
    /// Grows with each change.
    pub version: u64,
    /// When it is gone; `None` is never.
    pub expires_at: Option<Millis>,
}

/// What became of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replaced {
    /// It has been made, and this is the version now.
    Done(u64),
    /// Somebody else has changed it meanwhile. Nothing was changed.
    Changed,
    /// It is not there, or not any more.
    Gone,
}
