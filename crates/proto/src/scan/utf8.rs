//! UTF-8 that arrives in pieces.

/// Checks pieces of one text; a character may be split between them.
#[derive(Debug, Default)]
pub(crate) struct Utf8 {
    /// The bytes before the piece that comes next, or before the character that it goes on with.
    sound: usize,
    /// That character, as far as it came.
    split: [u8; 4],
    held: usize,
}

impl Utf8 {
    /// Takes the next piece.
    ///
    /// # Errors
    /// Holds the offset in the whole text of the first bytes that are no character.
    pub(crate) fn push(&mut self, piece: &[u8]) -> Result<(), usize> {
        let rest = self.complete(piece)?;
        match std::str::from_utf8(rest) {
            Ok(_) => self.sound += rest.len(),
            Err(error) => {
                let (_, tail) = rest.split_at(error.valid_up_to());
                self.sound += error.valid_up_to();
                if error.error_len().is_some() {
                    return Err(self.sound);
                }
                self.hold(tail);
            }
        }
        Ok(())
    }

    /// Takes the end of the text.
    ///
    /// # Errors
    /// If it ends within a character; holds the character's offset.
    pub(crate) const fn finish(&self) -> Result<(), usize> {
        if self.held == 0 { Ok(()) } else { Err(self.sound) }
    }

    /// Goes on with the character that was split, and gives what follows it.
    fn complete<'p>(&mut self, piece: &'p [u8]) -> Result<&'p [u8], usize> {
        if self.held == 0 {
            return Ok(piece);
        }
        let missing = width(self.split[0]).saturating_sub(self.held);
        let (more, rest) = piece.split_at(missing.min(piece.len()));
        self.hold(more);
        match std::str::from_utf8(&self.split[..self.held]) {
            Ok(_) => self.sound += std::mem::take(&mut self.held),
            Err(error) if error.error_len().is_some() => return Err(self.sound),
            Err(_) => {}
        }
        Ok(rest)
    }

    fn hold(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.split[self.held] = *byte;
            self.held += 1;
        }
    }
}

/// How many bytes a character has that begins with `first`.
const fn width(first: u8) -> usize {
    match first {
        0xF0.. => 4,
        0xE0.. => 3,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pieces<'t>(pieces: impl IntoIterator<Item = &'t [u8]>) -> Result<(), usize> {
        let mut utf8 = Utf8::default();
        pieces.into_iter().try_for_each(|piece| utf8.push(piece))?;
        utf8.finish()
    }

    fn whole(text: &[u8]) -> Result<(), usize> {
        std::str::from_utf8(text).map(drop).map_err(|error| error.valid_up_to())
    }

    #[test]
    fn agrees_with_the_standard_library_on_every_split_of_what_is_close_to_a_character() {
        let edges = [0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xed, 0xef];
        let edges: Vec<u8> = edges.into_iter().chain([0xf0, 0xf1, 0xf4, 0xf5, 0xff]).collect();
        for first in &edges {
            for (second, third) in edges.iter().flat_map(|second| edges.iter().map(move |third| (second, third))) {
                for fourth in [0x41, 0x80, 0xbf, 0xc2] {
                    let text = [*first, *second, *third, fourth];
                    assert_eq!(pieces(text.chunks(1)), whole(&text), "{text:x?}");
                    for at in 0..text.len() {
                        assert_eq!(pieces([&text[..at], &text[at..]]), whole(&text), "{text:x?} {at}");
                    }
                }
            }
        }
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(text in any::<String>(), damage in any::<Option<(prop::sample::Index, u8)>>(), size in 1..7_usize) {
            let mut bytes = text.into_bytes();
            if let Some((at, with)) = damage && !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = with;
            }
            prop_assert_eq!(pieces(bytes.chunks(size)), whole(&bytes));
            bytes.pop();
            prop_assert_eq!(pieces(bytes.chunks(size)), whole(&bytes));
        }
    }
}
