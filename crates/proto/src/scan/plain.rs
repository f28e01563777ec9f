//! How far a string goes on without an escape or its end: the loop that reads most bytes.

/// How many bytes at the start need no attention. Most strings end within a word or a few; longer ones are
/// tested in blocks without a branch per byte, so that the compiler can use vector instructions.
#[inline]
pub(crate) fn plain_prefix(bytes: &[u8]) -> usize {
    if let Some(word) = bytes.first_chunk() {
        let special = special_bytes(u64::from_le_bytes(*word));
        if special != 0 {
            return special.trailing_zeros() as usize / 8;
        }
        return long_prefix(bytes, WORD);
    }
    long_prefix(bytes, 0)
}

const WORD: usize = size_of::<u64>();

/// The same of bytes whose first `at` need no attention.
fn long_prefix(bytes: &[u8], at: usize) -> usize {
    const SHORT: usize = 4 * WORD;
    /// So long that to test it costs more than to say what came of it.
    const BLOCK: usize = 128;
    let mut at = match words(bytes, at, SHORT) {
        Ok(at) => at,
        Err(special) => return special,
    };
    while let Some(block) = bytes[at..].first_chunk::<BLOCK>() {
        if block.iter().fold(false, |hit, byte| hit | is_special(*byte)) {
            break;
        }
        at += BLOCK;
    }
    match words(bytes, at, usize::MAX) {
        Ok(at) => at + bytes[at..].iter().position(|byte| is_special(*byte)).unwrap_or(bytes.len() - at),
        Err(special) => special,
    }
}

/// How far `bytes` need no attention word by word, from `at` up to `until` at least; `Err` says where one does.
fn words(bytes: &[u8], mut at: usize, until: usize) -> Result<usize, usize> {
    while at < until
        && let Some(word) = bytes[at..].first_chunk::<WORD>()
    {
        let special = special_bytes(u64::from_le_bytes(*word));
        if special != 0 {
            return Err(at + special.trailing_zeros() as usize / 8);
        }
        at += WORD;
    }
    Ok(at)
}

const fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// Marks the special bytes of a word with their high bit. A mark above the lowest one may be false, as a
/// subtraction borrows from the byte above; the lowest one is exact, and no other is used.
const fn special_bytes(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    const fn zeros(word: u64) -> u64 {
        word.wrapping_sub(ONES) & !word
    }
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    let quote = zeros(word ^ (ONES * b'"' as u64));
    let backslash = zeros(word ^ (ONES * b'\\' as u64));
    (control | quote | backslash) & (ONES * 0x80)
}
