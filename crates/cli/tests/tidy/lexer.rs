//! Just enough of Rust's lexical grammar to tell code, comments and string literals apart, and tests from the rest.

use std::ops::Range;

/// A Rust file.
pub(crate) struct Source {
    /// From the root of the repository.
    pub(crate) path: String,
    pub(crate) text: String,
    /// The text with comments and the insides of literals blanked; as long as the text.
    pub(crate) code: String,
    /// The text with everything but comments blanked.
    pub(crate) comments: String,
    /// The insides of string literals, as written, and where each begins.
    literals: Vec<(usize, String)>,
    tests: Vec<Range<usize>>,
}

impl Source {
    pub(crate) fn read(text: String, path: String) -> Self {
        let mut lexer =
            Lexer { text: text.as_bytes(), at: 0, code: Vec::new(), comments: Vec::new(), literals: vec![] };
        while lexer.at < text.len() {
            lexer.step();
        }
        let [code, comments] = [lexer.code, lexer.comments].map(|bytes| String::from_utf8(bytes).unwrap());
        let literals = lexer.literals.into_iter().map(|inside| (inside.start, text[inside].to_owned())).collect();
        let whole = path.contains("/tests/") || path.ends_with("/tests.rs");
        let tests = if whole { std::iter::once(0..text.len()).collect() } else { test_items(&code) };
        Self { path, text, code, comments, literals, tests }
    }

    pub(crate) fn is_test(&self, at: usize) -> bool {
        self.tests.iter().any(|range| range.contains(&at))
    }

    /// Whether this is what others depend on or run: no test, example or benchmark.
    pub(crate) fn is_src(&self) -> bool {
        self.path.split('/').nth(2) == Some("src") && !self.is_test(0)
    }

    pub(crate) fn place(&self, at: usize) -> String {
        format!("{}:{}", self.path, self.text[..at].matches('\n').count() + 1)
    }

    /// Literals outside of tests.
    pub(crate) fn literals(&self) -> impl Iterator<Item = (usize, &str)> {
        self.literals.iter().filter(|(at, _)| !self.is_test(*at)).map(|(at, text)| (*at, text.as_str()))
    }

    /// Where `words` stand in the code, as whole words.
    pub(crate) fn uses(&self, words: &str) -> Vec<usize> {
        find_words(&self.code, words)
    }
}

/// Where `words` begin in `text`, if no word goes on before or behind them.
pub(crate) fn find_words(text: &str, words: &str) -> Vec<usize> {
    let in_word = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    let bytes = text.as_bytes();
    let (first, last) = (in_word(words.as_bytes().first()), in_word(words.as_bytes().last()));
    let goes_on =
        |at: usize| first && at > 0 && in_word(bytes.get(at - 1)) || last && in_word(bytes.get(at + words.len()));
    text.match_indices(words).map(|(at, _)| at).filter(|at| !goes_on(*at)).collect()
}

/// The items that are compiled for tests only.
fn test_items(code: &str) -> Vec<Range<usize>> {
    let end = |start: usize| {
        let opens = code[start..].find(['{', ';']).map_or(code.len(), |at| start + at);
        let mut depth = 0;
        for (at, byte) in code.bytes().enumerate().skip(opens) {
            match byte {
                b'{' => depth += 1,
                b'}' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return at + 1;
            }
        }
        code.len()
    };
    code.match_indices("#[cfg(test)]").map(|(start, _)| start..end(start)).collect()
}

struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
    code: Vec<u8>,
    comments: Vec<u8>,
    literals: Vec<Range<usize>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Code,
    Comment,
    Literal,
}

impl Lexer<'_> {
    fn step(&mut self) {
        let rest = &self.text[self.at..];
        match rest {
            [b'/', b'/', ..] => {
                let length = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
                self.take(length, Kind::Comment);
            }
            [b'/', b'*', ..] => self.take(block_comment(rest), Kind::Comment),
            [b'"', ..] => self.string(0, 0),
            [b'r' | b'b' | b'c', ..] if !self.in_word() => match raw_prefix(rest) {
                Some((prefix, hashes)) => self.string(prefix, hashes),
                None => self.take(1, Kind::Code),
            },
            [b'\'', ..] => match char_literal(rest) {
                Some(length) => self.take(length, Kind::Literal),
                None => self.take(1, Kind::Code),
            },
            _ => self.take(1, Kind::Code),
        }
    }

    fn in_word(&self) -> bool {
        self.at > 0 && (self.text[self.at - 1].is_ascii_alphanumeric() || self.text[self.at - 1] == b'_')
    }

    /// A string whose quote stands after `prefix` bytes; raw if there are `hashes` or an `r` in the prefix.
    fn string(&mut self, prefix: usize, hashes: usize) {
        let raw = self.text[self.at..self.at + prefix].contains(&b'r');
        self.take(prefix + 1, Kind::Code);
        let rest = &self.text[self.at..];
        let mut end = 0;
        while end < rest.len() {
            match rest[end] {
                b'\\' if !raw => end += 1,
                b'"' if rest[end + 1..].iter().take_while(|byte| **byte == b'#').count() >= hashes => break,
                _ => {}
            }
            end += 1;
        }
        self.literals.push(self.at..self.at + end);
        self.take(end, Kind::Literal);
        self.take((1 + hashes).min(self.text.len() - self.at), Kind::Code);
    }

    fn take(&mut self, length: usize, kind: Kind) {
        let taken = &self.text[self.at..self.at + length];
        let blank = |byte: &u8| if *byte == b'\n' { b'\n' } else { b' ' };
        self.code.extend(taken.iter().map(|byte| if kind == Kind::Code { *byte } else { blank(byte) }));
        self.comments.extend(taken.iter().map(|byte| if kind == Kind::Comment { *byte } else { blank(byte) }));
        self.at += length;
    }
}

/// The bytes before the quote and the number of hashes, if a literal with a prefix begins here.
fn raw_prefix(rest: &[u8]) -> Option<(usize, usize)> {
    let letters = rest.iter().take_while(|byte| matches!(byte, b'r' | b'b' | b'c')).count();
    let hashes = rest[letters..].iter().take_while(|byte| **byte == b'#').count();
    let raw = rest[..letters].contains(&b'r');
    (rest.get(letters + hashes) == Some(&b'"') && letters <= 2 && (raw || hashes == 0))
        .then_some((letters + hashes, hashes))
}

fn block_comment(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        match &rest[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// The length of a character literal; `None` for a lifetime.
fn char_literal(rest: &[u8]) -> Option<usize> {
    if rest.get(1) == Some(&b'\\') {
        return rest.iter().skip(3).position(|byte| *byte == b'\'').map(|at| at + 4);
    }
    let character = std::str::from_utf8(&rest[1..rest.len().min(5)]).map_or_else(
        |error| std::str::from_utf8(&rest[1..1 + error.valid_up_to()]).ok()?.chars().next(),
        |text| text.chars().next(),
    )?;
    (rest.get(1 + character.len_utf8()) == Some(&b'\'')).then_some(2 + character.len_utf8())
}

#[test]
fn tells_code_comments_literals_and_tests_apart() {
    let text = r##"//! said "here"
fn f<'a>(x: &'a str) -> char { let _ = ("a \" // b", br#"c " d"#, b"e", '"', '\'', 'é'); /* g /* h */ i */ '\u{1}' }
#[cfg(test)]
mod tests { fn t() { "in a test"; } }
fn after() { "after"; }
"##;
    let source = Source::read(text.to_owned(), "crates/a/src/b.rs".to_owned());
    let literals: Vec<_> = source.literals().map(|(_, text)| text).collect();
    assert_eq!(literals, ["a \\\" // b", "c \" d", "e", "after"]);
    assert_eq!(source.comments.split_whitespace().collect::<String>(), r#"//!said"here"/*g/*h*/i*/"#);
    assert_eq!(source.code.len(), text.len());
    assert!(source.code.contains("fn f<'a>(x: &'a str)") && !source.code.contains(" h "));
    assert_eq!(source.uses("t").len(), 1);
    assert!(source.is_test(source.uses("t")[0]) && !source.is_test(source.uses("after")[0]));
    assert_eq!(source.place(source.uses("after")[0]), "crates/a/src/b.rs:5");
}
