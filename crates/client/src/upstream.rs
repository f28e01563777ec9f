//! Where calls go: a server of either era, over HTTP, stdio or in this process, told apart as they come.
//!
//! Spec: basic/versioning, "Backward Compatibility with Initialization-Based Versions".

use crate::call::Call;
use crate::error::Result;
use crate::exchange::Exchange;
use crate::http::modern::{Modern, Outcome};

/// One server.
pub(crate) struct Upstream {
    modern: Modern,
}

impl Upstream {
    pub(crate) const fn new(modern: Modern) -> Self {
        Self { modern }
    }

    /// Sends a call in the era of the server.
    ///
    /// # Errors
    /// As the transport has it.
    pub(crate) async fn send(&self, call: &Call) -> Result<Exchange> {
        match self.modern.send(call).await? {
            Outcome::Exchange(exchange) => Ok(exchange),
            Outcome::Refused(refusal) => Err(refusal.into_error()),
        }
    }
}
