//! Texts that callers chose, made fit to be labels: bounded, in one line, without control characters.

use std::borrow::Cow;

/// The longest name of a tool, a prompt or a client that is kept, in bytes.
pub(super) const NAME_BYTES: usize = 128;
/// The longest HTTP method that is kept, in bytes. Callers may make some up.
pub(super) const HTTP_METHOD_BYTES: usize = 16;
/// The longest version of a client that is kept, in bytes.
pub(super) const VERSION_BYTES: usize = 64;
/// What stands in for everything that has no series of its own.
pub(super) const OTHER: &str = "other";

/// The text, cut to `limit` bytes at most. Two texts that are the same afterwards share a series. Allocates only for
/// what has control characters in it.
pub(super) fn clean(text: &str, limit: usize) -> Cow<'_, str> {
    let text = &text[..text.floor_char_boundary(limit)];
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) || !text.chars().any(char::is_control) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(|char| if char.is_control() { '?' } else { char }).collect())
}

/// Bytes as hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters_and_loses_its_control_characters() {
        assert_eq!(clean("add", 8), "add");
        assert_eq!(clean("héé", 4), "hé");
        assert_eq!(clean("a\nb\u{7f}c\u{85}d\0", 64), "a?b?c?d?");
        assert!(matches!(clean("日本", 64), Cow::Borrowed("日本")));
    }
}
