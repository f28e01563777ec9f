//! How a value travels in a header: as it is where that is safe, as base64 between markers otherwise.
//!
//! Spec: basic/transports/streamable-http, "Value Encoding".

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::borrow::Cow;

const PREFIX: &str = "=?base64?";
const SUFFIX: &str = "?=";

/// Why the value of a header cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// A byte outside visible ASCII, space and tab, at this offset.
    #[error("the byte at offset {0} is not visible ASCII, space or tab")]
    Character(usize),
    /// Between the markers stands something else than padded base64 in its canonical spelling.
    #[error("what stands between `=?base64?` and `?=` is not canonical padded base64")]
    Base64,
    /// The base64 is of bytes that are not UTF-8.
    #[error("the base64 value is not UTF-8")]
    Utf8,
}

/// What to put into a header for `value`. Borrows where the value can stand for itself.
///
/// The result is always a valid header value, which [`decode_value`] turns back into `value`.
pub fn encode_value(value: &str) -> Cow<'_, str> {
    match is_plain(value) {
        true => Cow::Borrowed(value),
        false => Cow::Owned(format!("{PREFIX}{}{SUFFIX}", STANDARD.encode(value))),
    }
}

/// The value that a header carries. Space and tabs around it are not part of it.
///
/// What has only one of the two markers, or one in other letters, stands for itself.
///
/// # Errors
/// See [`ValueError`]. Offsets count from the start of `raw`.
pub fn decode_value(raw: &[u8]) -> Result<Cow<'_, str>, ValueError> {
    if let Some(at) = raw.iter().position(|byte| !is_allowed(*byte)) {
        return Err(ValueError::Character(at));
    }
    // Every allowed byte is ASCII, so this cannot fail; it still is the cheapest way to say so.
    let text = std::str::from_utf8(raw).map_err(|error| ValueError::Character(error.valid_up_to()))?;
    let text = text.trim_matches([' ', '\t']);
    let Some(encoded) = between_markers(text) else {
        return Ok(Cow::Borrowed(text));
    };
    // One spelling only: the engine wants the padding and refuses set bits after the last byte.
    let bytes = STANDARD.decode(encoded).map_err(|_| ValueError::Base64)?;
    String::from_utf8(bytes).map(Cow::Owned).map_err(|_| ValueError::Utf8)
}

fn is_plain(value: &str) -> bool {
    let edge = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    let bytes = value.as_bytes();
    bytes.iter().all(|byte| is_allowed(*byte))
        && !edge(bytes.first())
        && !edge(bytes.last())
        && between_markers(value).is_none()
}

const fn is_allowed(byte: u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'~')
}

/// Both markers must be there in full: in `=?base64?=` they would share a character.
fn between_markers(text: &str) -> Option<&str> {
    text.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodes_what_the_specification_shows() {
        let shown = [
            ("us-west1", "us-west1"),
            ("Hello, 世界", "=?base64?SGVsbG8sIOS4lueVjA==?="),
            (" padded ", "=?base64?IHBhZGRlZCA=?="),
            ("line1\nline2", "=?base64?bGluZTEKbGluZTI=?="),
            ("=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="),
        ];
        for (value, header) in shown {
            assert_eq!(encode_value(value), header);
            assert_eq!(decode_value(header.as_bytes()), Ok(value.into()));
        }
    }

    #[test]
    fn lets_safe_values_stand_for_themselves() {
        for value in ["", "a b\tc", "=?base64?", "?=", "=?base64?=", "=?BASE64?SGk=?=", "x=?base64?SGk=?="] {
            assert!(matches!(encode_value(value), Cow::Borrowed(same) if same == value), "{value}");
            assert_eq!(decode_value(value.as_bytes()), Ok(value.into()));
        }
    }

    #[test]
    fn an_empty_value_can_stand_between_the_markers() {
        assert_eq!(decode_value(b"=?base64??="), Ok("".into()));
    }

    #[test]
    fn space_around_a_value_does_not_belong_to_it() {
        assert_eq!(decode_value(b" \tname\t "), Ok("name".into()));
        assert_eq!(decode_value(b" =?base64?SGVsbG8=?= "), Ok("Hello".into()));
    }

    #[test]
    fn refuses_base64_that_is_not_canonical_and_padded() {
        for inner in ["SGVsbG8", "SGVs!!!bG8=", "SGVsbG9=", "SGVsbG8==", "SGVs bG8=", "_-8=", "=", "S"] {
            let header = format!("=?base64?{inner}?=");
            assert_eq!(decode_value(header.as_bytes()), Err(ValueError::Base64), "{inner}");
        }
    }

    #[test]
    fn refuses_bytes_that_no_header_may_have_and_says_where() {
        for byte in (0..=8).chain(10..32).chain(127..=255) {
            assert_eq!(decode_value(&[b' ', b'a', byte]), Err(ValueError::Character(2)), "{byte}");
        }
        assert_eq!(decode_value("é".as_bytes()), Err(ValueError::Character(0)));
    }

    #[test]
    fn refuses_base64_of_what_is_not_utf8() {
        assert_eq!(decode_value(b"=?base64?/w==?="), Err(ValueError::Utf8));
    }
}
