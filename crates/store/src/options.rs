//! The bounds of a store.

use std::time::Duration;

/// The bounds of a store. Every pod of a fleet should have the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Tasks that may wait for a worker before [`Created::Full`](crate::Created::Full). Default 10,000.
    pub queue: usize,
    /// Tasks of one owner that may be there, kept results included; nobody's tasks are not counted. Default 1,000.
    pub tasks_of_owner: usize,
    /// Values behind handles of one owner; nobody's are not counted. Default 1,000.
    pub values_of_owner: usize,
    /// Bytes of one text: a call, the result of a step, a question, an answer, a value, an outcome. Default 4 MiB.
    pub text_bytes: usize,
    /// Bytes of all that one task's journal holds. Default 16 MiB.
    pub journal_bytes: usize,
    /// Bytes that the whole store may take before nothing new is begun. Default 16 GiB.
    pub store_bytes: u64,
    /// How long events are kept for followers that lost touch. Default 10 min.
    pub events_for: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            queue: 10_000,
            tasks_of_owner: 1_000,
            values_of_owner: 1_000,
            text_bytes: 4 << 20,
            journal_bytes: 16 << 20,
            store_bytes: 16 << 30,
            events_for: Duration::from_secs(600),
        }
    }
}

impl Options {
    /// Refuses a text that is too long.
    ///
    /// # Errors
    /// If it is.
    pub(crate) fn check(&self, what: &'static str, text: &str) -> Result<(), crate::StoreError> {
        match text.len() <= self.text_bytes {
            true => Ok(()),
            false => Err(crate::StoreError::TooLong { what, bytes: text.len(), most: self.text_bytes }),
        }
    }
}
