//! A ring as text, for a file, a flag or the environment.

use super::ring::{KEY_LEN, MAX_KEYS, Ring};
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use base64::{DecodeError, Engine as _};
use zeroize::Zeroize as _;

/// Why a text is not a ring. Says where and what to write instead, and never repeats the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {kind}")]
pub struct KeyError {
    /// Counts from 1.
    pub line: usize,
    /// What is wrong there.
    pub kind: KeyErrorKind,
}

/// What is wrong with a line of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyErrorKind {
    /// The text ends without a key.
    #[error("there is no key; write one key per line as base64url of {KEY_LEN} random bytes")]
    NoKey,
    /// A key in the alphabet or with the padding of another base64.
    #[error("this is another base64; write base64url: `-` for `+`, `_` for `/`, no `=` at the end")]
    OtherBase64,
    /// A character that does not belong to base64url, at this column (from 1).
    #[error("column {0} is not base64url; write 43 characters of A-Z, a-z, 0-9, `-` and `_`")]
    Character(usize),
    /// A key of this many characters, not 43.
    #[error("the key has {0} characters; write 43, the base64url of {KEY_LEN} random bytes")]
    Length(usize),
    /// The last character sets bits beyond the 32nd byte: cut from a longer text, or mistyped.
    #[error("the last character is not one that ends a key; copy the key again")]
    LastCharacter,
    /// One byte over and over: a placeholder.
    #[error("the key is a placeholder; write {KEY_LEN} random bytes")]
    Placeholder,
    /// The same key as on that line.
    #[error("the same key is on line {0}; remove one of them")]
    Repeated(usize),
    /// More than [`MAX_KEYS`] keys.
    #[error("there are more than {MAX_KEYS} keys; remove the oldest, at the end")]
    TooMany,
}

impl Ring {
    /// Reads one key per line, the current one first. Blank lines and lines that start with `#` are
    /// passed over, and so is space around a key.
    ///
    /// # Errors
    /// The first line that is wrong, and how.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let mut keys: Vec<(usize, [u8; KEY_LEN])> = Vec::new();
        let mut lines = 1;
        for (line, text) in (1..).zip(text.lines()) {
            lines = line;
            let text = text.trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let key = read_key(text).map_err(|kind| KeyError { line, kind })?;
            let kind = match keys.iter().find(|(_, other)| *other == key) {
                Some((first, _)) => KeyErrorKind::Repeated(*first),
                None if keys.len() == MAX_KEYS => KeyErrorKind::TooMany,
                None => {
                    keys.push((line, key));
                    continue;
                }
            };
            return Err(KeyError { line, kind });
        }
        let (_, current) = *keys.first().ok_or(KeyError { line: lines, kind: KeyErrorKind::NoKey })?;
        let ring = Self::from_keys(current, keys.iter().skip(1).map(|(_, key)| *key));
        keys.iter_mut().for_each(|(_, key)| key.zeroize());
        Ok(ring)
    }

    /// What [`Ring::parse`] reads. This is the secret itself: for the key file only.
    pub fn to_text(&self) -> String {
        let mut text = String::with_capacity(44 * MAX_KEYS);
        for mut key in self.bytes() {
            URL_SAFE_NO_PAD.encode_string(key, &mut text);
            text.push('\n');
            key.zeroize();
        }
        text
    }
}

fn read_key(text: &str) -> Result<[u8; KEY_LEN], KeyErrorKind> {
    let other = |text| STANDARD.decode(text).is_ok() || URL_SAFE.decode(text).is_ok();
    let mut bytes = match URL_SAFE_NO_PAD.decode(text) {
        Ok(bytes) => bytes,
        Err(_) if text.len() == 44 && other(text) => return Err(KeyErrorKind::OtherBase64),
        Err(DecodeError::InvalidByte(at, _)) => return Err(KeyErrorKind::Character(at + 1)),
        Err(DecodeError::InvalidLastSymbol { .. }) if text.len() == 43 => {
            return Err(KeyErrorKind::LastCharacter);
        }
        Err(DecodeError::InvalidLastSymbol { .. } | DecodeError::InvalidLength(_) | DecodeError::InvalidPadding) => {
            return Err(KeyErrorKind::Length(text.chars().count()));
        }
    };
    let key = <[u8; KEY_LEN]>::try_from(bytes.as_slice()).map_err(|_| KeyErrorKind::Length(text.len()));
    bytes.zeroize();
    let key = key?;
    if key.iter().all(|byte| *byte == key[0]) {
        return Err(KeyErrorKind::Placeholder);
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u8) -> [u8; KEY_LEN] {
        std::array::from_fn(|at| seed.wrapping_add(at as u8))
    }

    fn line(seed: u8) -> String {
        URL_SAFE_NO_PAD.encode(key(seed))
    }

    fn kind(text: &str) -> (usize, KeyErrorKind) {
        let error = Ring::parse(text).expect_err("not a ring");
        (error.line, error.kind)
    }

    #[test]
    fn reads_keys_between_comments_and_blank_lines() {
        let text = format!("# ours\r\n\r\n {} \r\n\n#old\n{}", line(1), line(2));
        let ring = Ring::parse(&text).expect("a ring");
        assert_eq!(ring.bytes().collect::<Vec<_>>(), [key(1), key(2)]);
    }

    #[test]
    fn writes_what_it_reads() {
        let ring = Ring::from_keys(key(3), [key(4), key(5)]);
        let text = ring.to_text();
        let again = Ring::parse(&text).expect("a ring");
        assert_eq!(again.to_text(), text);
        assert!(again.fingerprints().eq(ring.fingerprints()));
    }

    #[test]
    fn says_which_line_is_wrong_and_how() {
        use KeyErrorKind::*;
        let good = line(1);
        assert_eq!(kind(""), (1, NoKey));
        assert_eq!(kind("# nothing\n\n"), (2, NoKey));
        assert_eq!(kind(&format!("{good}\n{good}=")), (2, OtherBase64));
        assert_eq!(kind(&STANDARD.encode([0xfb; KEY_LEN])), (1, OtherBase64));
        assert_eq!(kind(&format!("{}!{}", &good[..4], &good[5..])), (1, Character(5)));
        assert_eq!(kind(&format!("\n{}", &good[..42])), (2, Length(42)));
        assert_eq!(kind(&format!("{good}A")), (1, Length(44)));
        assert_eq!(kind("password"), (1, Length(8)));
        assert_eq!(kind(&format!("{}B", &"A".repeat(42))), (1, LastCharacter));
        assert_eq!(kind(&"A".repeat(43)), (1, Placeholder));
        assert_eq!(kind(&format!("{good}\n\n{good}")), (3, Repeated(1)));
        let many: String = (0..17).map(|seed| line(seed) + "\n").collect();
        assert_eq!(kind(&many), (17, TooMany));
    }

    #[test]
    fn an_error_never_repeats_the_key() {
        let secret = format!("{}=", line(1));
        let error = Ring::parse(&secret).expect_err("padded");
        let said = format!("{error} {error:?}");
        for at in 0..=secret.len() - 6 {
            assert!(!said.contains(&secret[at..at + 6]));
        }
    }
}
