//! Values that travel: the handle is a sealed token with the value in it.

use anypod_proto::seal::Purpose;

use super::Found;
use super::kind::Kind;
use super::ttl::Ttl;
use crate::cx::Cx;
use crate::error::{Error, Result};
use crate::principal::Principal;
use crate::tokens::Binding;

/// How long values of one kind are good that travel.
pub(super) struct Sealed {
    pub(super) kind: Kind,
    pub(super) ttl: Ttl,
}

impl Sealed {
    /// Seals a text for the caller.
    pub(super) fn create(&self, cx: &Cx, text: &str) -> Result<String> {
        self.seal(cx, self.ttl.secs(), text)
    }

    /// What is in a token of the caller.
    pub(super) fn load(&self, cx: &Cx, token: &str) -> Result<Option<Found>> {
        let inner = &cx.server().inner;
        let opened = self.with(cx, |binding| inner.tokens.open_until(&inner.outside, binding, token));
        let (payload, until, _) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                tracing::debug!(kind = self.kind.name, %error, "a handle did not open");
                return Ok(None);
            }
        };
        let text = String::from_utf8(payload).map_err(Error::internal)?;
        Ok(Some(Found { text, mark: until.0 }))
    }

    /// Seals what a text has become whose token is over at `until`.
    pub(super) fn replace(&self, cx: &Cx, until: u64, text: &str) -> Result<String> {
        let secs = match self.ttl.slides {
            true => self.ttl.secs(),
            // What is over by a second is good for this one, as it was when the change began.
            false => until.saturating_sub(cx.server().outside().now().0).max(1),
        };
        self.seal(cx, secs, text)
    }

    fn seal(&self, cx: &Cx, secs: u64, text: &str) -> Result<String> {
        let inner = &cx.server().inner;
        let sealed = self.with(cx, |binding| inner.tokens.seal(&inner.outside, binding, secs, text.as_bytes()));
        sealed.map_err(Error::internal)
    }

    fn with<R>(&self, cx: &Cx, act: impl FnOnce(Binding<'_>) -> R) -> R {
        let context: [&[u8]; 2] = [b"value", self.kind.name.as_bytes()];
        let principal = cx.principal().map(Principal::id);
        act(Binding { purpose: Purpose::Handle, principal, context: &context })
    }
}
