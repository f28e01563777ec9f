//! Header values: what decodes can be encoded again, and what is encoded decodes.

use anypod_proto::header::{decode_value, encode_value};

/// Reads `data` as a header, and writes it as one where it is text.
pub fn run(data: &[u8]) {
    if let Ok(value) = decode_value(data) {
        round_trip(&value);
    }
    if let Ok(text) = std::str::from_utf8(data) {
        round_trip(text);
    }
}

fn round_trip(value: &str) {
    let header = encode_value(value);
    assert!(header.bytes().all(|byte| matches!(byte, b'\t' | b' '..=b'~')));
    assert_eq!(decode_value(header.as_bytes()).as_deref(), Ok(value));
}
