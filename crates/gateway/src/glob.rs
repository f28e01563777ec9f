//! Globs over names: `*` is any run of characters, `?` is one, all else is itself.

/// A pattern. Matching takes time in the product of both lengths at most, and no memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Glob(Box<str>);

impl Glob {
    pub(crate) fn new(pattern: &str) -> Self {
        Self(pattern.into())
    }

    /// Whether the whole of `text` fits.
    pub(crate) fn fits(&self, text: &str) -> bool {
        let (pattern, text) = (self.0.as_bytes(), text.as_bytes());
        let (mut p, mut t) = (0, 0);
        // Where the last `*` stands, and how much of the text it has taken so far.
        let mut star: Option<(usize, usize)> = None;
        while t < text.len() {
            match pattern.get(p) {
                Some(b'*') => {
                    star = Some((p, t));
                    p += 1;
                }
                Some(b'?') => {
                    p += 1;
                    t = next_character(text, t);
                }
                Some(byte) if *byte == text[t] => {
                    p += 1;
                    t += 1;
                }
                Some(_) | None => match &mut star {
                    Some((at, taken)) => {
                        *taken += 1;
                        (p, t) = (*at + 1, *taken);
                    }
                    None => return false,
                },
            }
        }
        pattern[p..].iter().all(|byte| *byte == b'*')
    }
}

/// Whether any of the patterns fits; without patterns, everything does.
pub(crate) fn any(patterns: &[Glob], text: &str) -> bool {
    patterns.is_empty() || patterns.iter().any(|pattern| pattern.fits(text))
}

pub(crate) fn all_of(patterns: &[String]) -> Box<[Glob]> {
    patterns.iter().map(|pattern| Glob::new(pattern)).collect()
}

/// The start of the character after the one that begins at `at`.
fn next_character(text: &[u8], at: usize) -> usize {
    let continued = text[at + 1..].iter().take_while(|byte| **byte & 0xC0 == 0x80).count();
    at + 1 + continued
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fits_as_shells_have_it() {
        for (pattern, text, fits) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "anything", true),
            ("tools/*", "tools/call", true),
            ("tools/*", "prompts/get", false),
            ("*_admin", "delete_admin", true),
            ("*_admin", "admin", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-b-b", false),
            ("?", "é", true),
            ("??", "é", false),
            ("a?c", "abc", true),
            ("a\\*", "ab", false),
        ] {
            assert_eq!(Glob::new(pattern).fits(text), fits, "{pattern} {text}");
        }
    }

    /// The definition, without regard to time.
    fn by_definition(pattern: &[char], text: &[char]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some(('*', rest)), _) => (0..=text.len()).any(|taken| by_definition(rest, &text[taken..])),
            (Some(('?', rest)), Some((_, others))) => by_definition(rest, others),
            (Some((expected, rest)), Some((found, others))) => expected == found && by_definition(rest, others),
            (None, Some(_)) | (Some(_), None) => false,
        }
    }

    proptest! {
        #[test]
        fn fits_by_definition(pattern in "[ab*?é]{0,7}", text in "[abé]{0,9}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(Glob::new(&pattern).fits(&text), by_definition(&chars(&pattern), &chars(&text)));
        }
    }

    #[test]
    fn hostile_patterns_take_no_longer_than_the_product_of_the_lengths() {
        let pattern = Glob::new(&"a*".repeat(500));
        assert!(!pattern.fits(&format!("{}b", "a".repeat(400))) || pattern.fits("a"));
    }
}
