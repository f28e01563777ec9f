//! The tokens of a route: sealed with the ring that all replicas share, bound to the route and to whoever they are for.

use std::sync::Arc;
use std::time::Duration;

use anypod_proto::seal::{OpenError, PayloadTooLong};
use anypod_server::{Binding, Outside, Tokens};

/// Seals and opens the tokens of one route.
#[derive(Debug, Clone)]
pub(crate) struct Sealer {
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) outside: Outside,
}

impl Sealer {
    /// # Errors
    /// If the payload is longer than a token can be.
    pub(crate) fn seal(&self, bound: Binding<'_>, ttl: Duration, payload: &[u8]) -> Result<String, PayloadTooLong> {
        self.tokens.seal(&self.outside, bound, ttl.as_secs().max(1), payload)
    }

    /// # Errors
    /// Why it does not open; for the log only.
    pub(crate) fn open(&self, bound: Binding<'_>, token: &str) -> Result<Vec<u8>, OpenError> {
        self.tokens.open(&self.outside, bound, token)
    }
}
