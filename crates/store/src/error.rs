//! Why a store did not do what it was asked to.

/// Why a store did not do what it was asked to. Nothing of it has been done, unless it says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached, or does not answer in time. It may come back, and the same may be asked again: what
    /// is written once writes nothing when it is written again.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// The disk, or the room that the store may take on it, is used up.
    #[error("the store has no room: {0}")]
    NoRoom(String),
    /// A text is longer than the store keeps.
    #[error("{what} has {bytes} bytes, and the store keeps {most} at most")]
    TooLong {
        /// Which text.
        what: &'static str,
        /// How long it is.
        bytes: usize,
        /// The bound.
        most: usize,
    },
    /// What is stored cannot be read: the file is damaged, or was written by something else.
    #[error("the store cannot be read: {0}")]
    Corrupt(String),
}

impl StoreError {
    /// Whether it makes sense to ask again later.
    pub const fn is_passing(&self) -> bool {
        match self {
            Self::Unavailable(_) | Self::NoRoom(_) => true,
            Self::TooLong { .. } | Self::Corrupt(_) => false,
        }
    }
}

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The address is none of a store.
    #[error("`{url}` is no store: {problem}; write `sqlite:PATH` or `postgres://USER@HOST/DATABASE`")]
    Address {
        /// What was given, without a password.
        url: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A newer program has changed its form.
    #[error("{place} has form {found}, and this program knows forms up to {known}: use a newer one")]
    Newer {
        /// Which store.
        place: String,
        /// The form that it has.
        found: i64,
        /// The newest that is known here.
        known: i64,
    },
    /// There is something, but no store, or a damaged one. It is left as it is.
    #[error("{place} is no store that can be used: {problem}; it is left as it is, move it away to begin a new one")]
    Unusable {
        /// Which one.
        place: String,
        /// What is wrong with it.
        problem: String,
    },
    /// It cannot be reached.
    #[error("{place} cannot be opened: {problem}")]
    Unreachable {
        /// Which one.
        place: String,
        /// Why not.
        problem: String,
    },
}
