//! Header fields, however they are kept.

use std::fmt;

use http::{HeaderMap, HeaderName};

/// Header fields that are held against a message: those of the crate `http`, or those of whoever keeps them in another way.
///
/// Names are equal whatever their case, RFC 9110, section 5.1.
pub trait Headers: fmt::Debug + Sync {
    /// What there is of this name.
    fn find(&self, name: &HeaderName) -> Found<'_> {
        let mut found = Found::Nothing;
        self.each(name, &mut |value| {
            found = found.and(value);
        });
        found
    }

    /// The value of the only field of this name, if it is plain text.
    fn text(&self, name: &HeaderName) -> Option<&str> {
        match self.find(name) {
            Found::One(value) => plain(value),
            Found::Nothing | Found::Several => None,
        }
    }

    /// Shows the values of all fields of this name, in their order.
    fn each<'h>(&'h self, name: &HeaderName, see: &mut dyn FnMut(&'h [u8]));
}

/// How many fields of one name there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found<'h> {
    /// None.
    Nothing,
    /// One, with this value, without white space around it.
    One(&'h [u8]),
    /// More than one. Readers differ in which of them they believe.
    Several,
}

impl<'h> Found<'h> {
    /// With one more, of this value.
    #[must_use]
    pub const fn and(self, value: &'h [u8]) -> Self {
        match self {
            Self::Nothing => Self::One(value),
            Self::One(_) | Self::Several => Self::Several,
        }
    }
}

impl Headers for HeaderMap {
    fn each<'h>(&'h self, name: &HeaderName, see: &mut dyn FnMut(&'h [u8])) {
        self.get_all(name).iter().for_each(|value| see(value.as_bytes()));
    }
}

/// A value that is plain text: of visible ASCII, blanks and tabs. RFC 9110, section 5.5.
pub fn plain(value: &[u8]) -> Option<&str> {
    // All of them, wherever it is that one is not: without a branch per byte, several are looked at together.
    let is_plain = value.iter().fold(true, |plain, byte| plain & matches!(byte, b' '..=b'~' | b'\t'));
    is_plain.then(|| std::str::from_utf8(value).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn several_are_not_one() {
        let name = HeaderName::from_static("a");
        let mut headers = HeaderMap::new();
        assert_eq!(headers.find(&name), Found::Nothing);
        headers.append(&name, HeaderValue::from_static("1"));
        assert_eq!(headers.find(&name), Found::One(b"1"));
        headers.append(&name, HeaderValue::from_static("1"));
        assert_eq!(headers.find(&name), Found::Several);
    }

    #[test]
    fn plain_text_is_what_the_library_takes_for_it() {
        for byte in 0..=u8::MAX {
            let Ok(value) = HeaderValue::from_bytes(&[byte]) else { continue };
            assert_eq!(plain(&[byte]), value.to_str().ok(), "{byte}");
        }
    }
}
