//! What one kind is called, and what callers are told when something is wrong with a handle of it.

use std::fmt;
use std::time::Duration;

use anypod_store::StoreError;

use super::Held;
use crate::error::Error;

/// How long callers are asked to wait when the store is not there.
const AWAY: Duration = Duration::from_secs(2);

/// One kind of what handles stand for.
#[derive(Clone, Copy)]
pub(super) struct Kind {
    pub(super) name: &'static str,
    created_by: &'static str,
}

impl Kind {
    /// The kind of `T`, whose name is checked when this is compiled.
    pub(super) const fn of<T: Held>() -> Self {
        const {
            assert!(
                is_name(T::KIND),
                "a kind has lower-case letters, digits and single `_`, 32 at most, a letter first"
            );
            assert!(!T::CREATED_BY.is_empty(), "name the tool that creates it");
        }
        Self { name: T::KIND, created_by: T::CREATED_BY }
    }

    /// Nothing is there, or it is someone else's: nobody can tell which of the two.
    pub(super) fn unknown(self) -> Error {
        let Self { name, created_by } = self;
        Error::tool(format_args!("this {name} has expired or does not exist: call `{created_by}` for another"))
    }

    /// No handle of this kind ever looked like that.
    pub(super) fn malformed(self) -> Error {
        let Self { name, created_by } = self;
        Error::tool(format_args!(
            "this is no handle of kind `{name}`, which begins with `{name}_`: pass on what `{created_by}` gave, with every \
             character"
        ))
    }

    /// It is there, and is not what the program reads.
    pub(super) fn of_another_form(self, error: &serde_json::Error) -> Error {
        let Self { name, created_by } = self;
        tracing::warn!(kind = name, %error, "what a handle stands for has another form");
        Error::tool(format_args!(
            "this {name} was made by another version of the server, which this one cannot read: call `{created_by}` for \
             another"
        ))
    }

    /// It does not become JSON.
    pub(super) fn not_json(self, error: &serde_json::Error) -> Error {
        Error::internal(format_args!("what is to be kept as `{}` is not JSON: {error}", self.name))
    }

    /// It has more bytes than may be.
    pub(super) fn too_large(self, bytes: usize, most: usize) -> Error {
        Error::tool(format_args!(
            "this makes the {} too large: it would have {bytes} bytes, and {most} fit; nothing was changed, try with less",
            self.name
        ))
    }

    /// Its owner has as many things as one may have.
    pub(super) fn too_many(self) -> Error {
        Error::tool(format_args!(
            "there are as many things of this caller as may be kept, so no other {} fits: go on with one that is there, or \
             remove what is not needed any more",
            self.name
        ))
    }

    /// Others have changed it each time that this was about to.
    pub(super) fn contended(self) -> Error {
        Error::tool(format_args!(
            "others are changing this {} at the same time, and nothing was changed by this call: call again",
            self.name
        ))
    }

    /// The store does not do as it should.
    pub(super) fn failed(self, error: StoreError) -> Error {
        match error {
            StoreError::Unavailable(_) | StoreError::NoRoom(_) => {
                tracing::warn!(kind = self.name, %error, "what handles stand for cannot be had");
                Error::busy(AWAY)
            }
            StoreError::TooLong { bytes, most, .. } => self.too_large(bytes, most),
            StoreError::Corrupt(_) => Error::internal(error),
        }
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Whether handles can begin with it. It goes into texts for models and before a `_`.
const fn is_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.is_empty() || bytes.len() > 32 || !bytes[0].is_ascii_lowercase() {
        return false;
    }
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'a'..=b'z' | b'0'..=b'9' => {}
            b'_' if bytes[at - 1] != b'_' && at + 1 < bytes.len() => {}
            _ => return false,
        }
        at += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_a_word_that_handles_can_begin_with() {
        for name in ["cart", "shopping_cart", "a", "v2_0"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "Cart", "shopping cart", "_cart", "cart_", "a__b", "2d", "cärt", &"a".repeat(33)] {
            assert!(!is_name(name), "{name}");
        }
    }
}
