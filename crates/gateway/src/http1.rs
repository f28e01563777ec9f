//! What requests and answers over HTTP/1.1 have in common where they are read and written by hand: their header fields, and
//! the length of their bodies.
//!
//! RFC 9112, sections 5 and 6.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue};

/// The most header fields of a usual message.
pub(crate) const FIELDS: usize = 64;
/// Up to this length, a body is copied behind its head, which costs less than to write two pieces.
pub(crate) const COPIED: usize = 4 << 10;
/// How much is read at once, in bytes, where it is not known how much there is.
pub(crate) const PIECE: usize = 8 << 10;

/// Where a part of a message stands.
type Place = Range<usize>;

/// Where the header fields of a message stand.
pub(crate) struct Fields {
    places: [(Place, Place); FIELDS],
    count: usize,
}

impl Fields {
    /// Of a head in `text`, which was read from there.
    pub(crate) fn of(text: &[u8], headers: &[httparse::Header<'_>]) -> Self {
        let mut places = [const { (0..0, 0..0) }; FIELDS];
        for (header, (name, value)) in headers.iter().zip(&mut places) {
            (*name, *value) = (place(text, header.name.as_bytes()), place(text, header.value));
        }
        Self { places, count: headers.len().min(FIELDS) }
    }

    /// The fields themselves, with room for `more`; `None` if one cannot be.
    pub(crate) fn read(&self, text: &Bytes, more: usize) -> Option<HeaderMap> {
        let mut headers = HeaderMap::with_capacity(self.count + more);
        for (name, value) in &self.places[..self.count] {
            let name = HeaderName::from_bytes(text.get(name.clone())?).ok()?;
            let value = HeaderValue::from_maybe_shared(text.slice(value.clone())).ok()?;
            headers.append(name, value);
        }
        Some(headers)
    }
}

/// Where `part` stands in `text`, of which it is a part.
pub(crate) fn place(text: &[u8], part: &[u8]) -> Place {
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

/// Writes header fields, but for those that say how the message is framed: whoever frames it says so.
pub(crate) fn write_fields(out: &mut Vec<u8>, headers: &HeaderMap) {
    for (name, value) in headers {
        if name != CONTENT_LENGTH && name != TRANSFER_ENCODING && name != CONNECTION {
            write_field(out, name.as_str(), value.as_bytes());
        }
    }
}

/// Writes one header field.
pub(crate) fn write_field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    for part in [name.as_bytes(), b": ", value, b"\r\n"] {
        out.extend_from_slice(part);
    }
}
