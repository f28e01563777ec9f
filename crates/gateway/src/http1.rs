//! What requests and answers over HTTP/1.1 have in common where they are read and written by hand: their header fields, and
//! the length of their bodies.
//!
//! RFC 9112, sections 5 and 6.

use std::ops::Range;

use anypod_proto::header;
use bytes::{Bytes, BytesMut};
use http::HeaderName;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, DATE, HOST, USER_AGENT};

/// The most header fields of a usual message.
pub(crate) const FIELDS: usize = 64;
/// Up to this length, a body is copied behind its head, which costs less than to write two pieces.
pub(crate) const COPIED: usize = 4 << 10;
/// How much is read at once, in bytes, where it is not known how much there is.
const PIECE: usize = 8 << 10;
/// How much more than is wanted there is room for: a read that fills its room says nothing of whether there is more, and
/// the next one has to ask the system in vain.
pub(crate) const SLACK: usize = 64;

/// How much room to read more into, where `wanted` bytes are wanted in all and `read` are there.
pub(crate) fn room(wanted: usize, read: &BytesMut) -> usize {
    (wanted.saturating_sub(read.len()) + SLACK).max(PIECE)
}

/// Whether a field is about nothing but how its message is framed and whether the connection is kept.
pub(crate) const fn frames(name: &[u8]) -> bool {
    match name.len() {
        10 => name.eq_ignore_ascii_case(b"connection"),
        14 => name.eq_ignore_ascii_case(b"content-length"),
        17 => name.eq_ignore_ascii_case(b"transfer-encoding"),
        _ => false,
    }
}

/// The names that nearly every message has, which are found by their lengths; of ours, which the library does not know,
/// another would be copied.
static USUAL: [HeaderName; 9] = [
    HOST,
    DATE,
    ACCEPT,
    header::NAME,
    USER_AGENT,
    header::METHOD,
    CONTENT_TYPE,
    ACCEPT_ENCODING,
    header::PROTOCOL_VERSION,
];

/// The name that stands in a message, if it is one.
pub(crate) fn name_of(text: &[u8]) -> Option<HeaderName> {
    let candidates = match text.len() {
        4 => 0..2,
        6 => 2..3,
        8 => 3..4,
        10 => 4..6,
        12 => 6..7,
        15 => 7..8,
        20 => 8..9,
        _ => 0..0,
    };
    let usual = |known: &&HeaderName| known.as_str().as_bytes().eq_ignore_ascii_case(text);
    match USUAL[candidates].iter().find(usual) {
        Some(known) => Some(known.clone()),
        None => HeaderName::from_bytes(text).ok(),
    }
}

/// Where `part` stands in `text`, of which it is a part.
pub(crate) fn place(text: &[u8], part: &[u8]) -> Range<usize> {
    let start = part.as_ptr() as usize - text.as_ptr() as usize;
    start..start + part.len()
}

/// A length in plain digits: no sign, no blanks, no list.
pub(crate) fn length(value: &[u8]) -> Option<usize> {
    let fits = (1..=12).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
    fits.then(|| std::str::from_utf8(value).ok()?.parse().ok()).flatten()
}

/// Puts what was taken from the beginning of `read` back there.
pub(crate) fn put_back(read: &mut BytesMut, taken: Bytes) {
    let rest = std::mem::replace(read, BytesMut::from(taken));
    read.extend_from_slice(&rest);
}

/// Writes one header field.
pub(crate) fn write_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    for part in [name, b": ", value, b"\r\n"] {
        out.extend_from_slice(part);
    }
}

/// Writes how long the body is, in bytes.
pub(crate) fn write_length(out: &mut Vec<u8>, length: u64) {
    write_field(out, b"content-length", itoa::Buffer::new().format(length).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_names_are_found_by_their_lengths() {
        for usual in &USUAL {
            for text in [usual.as_str().to_owned(), usual.as_str().to_uppercase()] {
                let found = name_of(text.as_bytes()).unwrap();
                assert_eq!(found, usual);
                // A name of ours that is copied stands elsewhere.
                assert!(std::ptr::eq(found.as_str(), usual.as_str()), "{usual}");
            }
        }
        assert_eq!(name_of(b"x-else").unwrap(), "x-else");
        assert_eq!(name_of(b"x\0"), None);
    }
}
