//! A pull scanner over JSON text that validates as it goes and allocates nothing.
//!
//! It exists for the hot path: a request's frame is found, checked and cut into slices in one pass, and a
//! long string argument costs little more than a memory scan. It accepts exactly JSON (RFC 8259) with two
//! bounds: nesting is limited to [`MAX_DEPTH`], and a lone UTF-16 surrogate is an error, because it has no
//! value that two parsers agree on.

mod plain;
pub(crate) mod stream;
pub(crate) mod utf8;

use std::borrow::Cow;

pub(crate) use plain::plain_prefix;

/// How deep arrays and objects may nest; the limit of `serde_json`, so that both refuse the same texts.
pub const MAX_DEPTH: u8 = 127;

/// Why a text is not acceptable JSON, and at which byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at byte {at}")]
pub struct ScanError {
    /// Offset in bytes from the start of the text.
    pub at: usize,
    /// What is wrong there.
    pub kind: ScanErrorKind,
}

/// What is wrong with a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ScanErrorKind {
    /// The text ends inside a value.
    #[error("unexpected end of input")]
    End,
    /// A byte that cannot stand here.
    #[error("expected {0}")]
    Expected(&'static str),
    /// A control character inside a string.
    #[error("unescaped control character in a string")]
    Control,
    /// A backslash that starts no escape, or half a surrogate pair.
    #[error("invalid escape in a string")]
    Escape,
    /// A number that JSON does not know.
    #[error("invalid number")]
    Number,
    /// More than [`MAX_DEPTH`] levels.
    #[error("nested too deeply")]
    Depth,
    /// Something follows the value.
    #[error("trailing characters")]
    Trailing,
}

/// What kind of value comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `null`
    Null,
    /// `true` or `false`
    Bool,
    /// A number.
    Number,
    /// A string.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
}

impl Kind {
    /// The kind of a value, told by its first byte.
    pub const fn of_first_byte(byte: u8) -> Option<Self> {
        match byte {
            b'n' => Some(Self::Null),
            b't' | b'f' => Some(Self::Bool),
            b'-' | b'0'..=b'9' => Some(Self::Number),
            b'"' => Some(Self::String),
            b'[' => Some(Self::Array),
            b'{' => Some(Self::Object),
            _ => None,
        }
    }

    /// The name that JSON Schema uses.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool => "boolean",
            Self::Number => "number",
            Self::String => "string",
            Self::Array => "array",
            Self::Object => "object",
        }
    }
}

/// A scanned string: the text between its quotes, validated, escapes still in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Str<'a> {
    raw: &'a str,
    escaped: bool,
}

impl<'a> Str<'a> {
    /// Reads a complete JSON string literal, quotes included.
    ///
    /// # Errors
    /// If `literal` is not exactly one string literal.
    pub fn parse(literal: &'a str) -> Result<Self, ScanError> {
        let mut scanner = Scanner::new(literal);
        let string = scanner.string()?;
        scanner.end()?;
        Ok(string)
    }

    /// The string between the quotes of a literal that a scanner has passed.
    pub(crate) const fn from_scanned(raw: &'a str, escaped: bool) -> Self {
        Self { raw, escaped }
    }

    /// Whether the text has escapes in it.
    pub const fn is_escaped(self) -> bool {
        self.escaped
    }

    /// The text between the quotes, as it stands.
    pub const fn raw(self) -> &'a str {
        self.raw
    }

    /// The value, borrowed unless it has escapes.
    pub fn decode(self) -> Cow<'a, str> {
        if self.escaped { Cow::Owned(self.chars().collect()) } else { Cow::Borrowed(self.raw) }
    }

    /// Whether the value is `text`, without decoding into memory.
    pub fn is(self, text: &str) -> bool {
        if self.escaped { self.chars().eq(text.chars()) } else { self.raw == text }
    }

    /// How many characters (code points) the value has.
    pub fn char_count(self) -> usize {
        if self.escaped { self.chars().count() } else { self.raw.chars().count() }
    }

    /// The characters of the value.
    pub fn chars(self) -> impl Iterator<Item = char> + 'a {
        let mut rest = self.raw.chars();
        std::iter::from_fn(move || match rest.next()? {
            '\\' => Some(unescape(&mut rest)),
            plain => Some(plain),
        })
    }
}

/// Reads one escape whose backslash is already taken. The scanner has checked it.
fn unescape(rest: &mut std::str::Chars<'_>) -> char {
    match rest.next() {
        Some('b') => '\u{8}',
        Some('f') => '\u{c}',
        Some('n') => '\n',
        Some('r') => '\r',
        Some('t') => '\t',
        Some('u') => {
            let high = hex4(rest);
            if !(0xD800..0xDC00).contains(&high) {
                return char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER);
            }
            rest.next();
            rest.next();
            let low = hex4(rest);
            let code = 0x10000 + ((high - 0xD800) << 10) + low.wrapping_sub(0xDC00);
            char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
        }
        Some(plain) => plain,
        None => char::REPLACEMENT_CHARACTER,
    }
}

fn hex4(rest: &mut std::str::Chars<'_>) -> u32 {
    rest.take(4).fold(0, |code, digit| code << 4 | digit.to_digit(16).unwrap_or(0))
}

/// Walks over the members of one object or the items of one array.
#[derive(Debug)]
#[must_use = "a container is walked with `Scanner::member` or `Scanner::item`"]
pub struct Walk {
    first: bool,
}

/// The scanner: a position in a text.
#[derive(Debug, Clone)]
pub struct Scanner<'a> {
    text: &'a str,
    at: usize,
    depth: u8,
}

impl<'a> Scanner<'a> {
    /// A scanner at the start of `text`.
    pub const fn new(text: &'a str) -> Self {
        Self { text, at: 0, depth: 0 }
    }

    /// Offset in bytes of the next unread byte.
    pub const fn offset(&self) -> usize {
        self.at
    }

    /// The kind of the next value, which is not consumed.
    ///
    /// # Errors
    /// If no value starts here.
    #[inline]
    pub fn peek(&mut self) -> Result<Kind, ScanError> {
        self.whitespace();
        match self.byte() {
            Some(byte) => Kind::of_first_byte(byte).ok_or(self.error(ScanErrorKind::Expected("a value"))),
            None => Err(self.error(ScanErrorKind::End)),
        }
    }

    /// Consumes any value and gives its text.
    ///
    /// # Errors
    /// If the next value is malformed or too deep.
    pub fn value(&mut self) -> Result<&'a str, ScanError> {
        let kind = self.peek()?;
        let start = self.at;
        match kind {
            Kind::Null => self.literal("null")?,
            Kind::Bool if self.byte() == Some(b't') => self.literal("true")?,
            Kind::Bool => self.literal("false")?,
            Kind::Number => self.skip_number()?,
            Kind::String => drop(self.string()?),
            Kind::Array => {
                let mut walk = self.array()?;
                while self.item(&mut walk)? {
                    self.value()?;
                }
            }
            Kind::Object => {
                let mut walk = self.object()?;
                while self.member(&mut walk)?.is_some() {
                    self.value()?;
                }
            }
        }
        Ok(&self.text[start..self.at])
    }

    /// Consumes a string.
    ///
    /// # Errors
    /// If the next value is not a well-formed string.
    #[inline]
    pub fn string(&mut self) -> Result<Str<'a>, ScanError> {
        self.whitespace();
        self.expect(b'"', "a string")?;
        let start = self.at;
        let mut escaped = false;
        loop {
            self.at += plain_prefix(&self.text.as_bytes()[self.at..]);
            match self.byte() {
                Some(b'"') => {
                    let raw = &self.text[start..self.at];
                    self.at += 1;
                    return Ok(Str { raw, escaped });
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(_) => return Err(self.error(ScanErrorKind::Control)),
                None => return Err(self.error(ScanErrorKind::End)),
            }
        }
    }

    /// Enters an object.
    ///
    /// # Errors
    /// If the next value is no object or nests too deeply.
    pub fn object(&mut self) -> Result<Walk, ScanError> {
        self.enter(b'{', "an object")
    }

    /// Enters an array.
    ///
    /// # Errors
    /// If the next value is no array or nests too deeply.
    pub fn array(&mut self) -> Result<Walk, ScanError> {
        self.enter(b'[', "an array")
    }

    /// The key of the next member, whose value then has to be consumed; `None` at the end of the object.
    ///
    /// # Errors
    /// If the object is malformed here.
    #[inline]
    pub fn member(&mut self, walk: &mut Walk) -> Result<Option<Str<'a>>, ScanError> {
        if !self.advance(walk, b'}', "`,` or `}`")? {
            return Ok(None);
        }
        let key = self.string()?;
        self.whitespace();
        self.expect(b':', "`:`")?;
        Ok(Some(key))
    }

    /// Whether there is another item, which then has to be consumed.
    ///
    /// # Errors
    /// If the array is malformed here.
    pub fn item(&mut self, walk: &mut Walk) -> Result<bool, ScanError> {
        self.advance(walk, b']', "`,` or `]`")
    }

    /// Checks that nothing but white space is left.
    ///
    /// # Errors
    /// If something else follows.
    pub fn end(&mut self) -> Result<(), ScanError> {
        self.whitespace();
        if self.at == self.text.len() { Ok(()) } else { Err(self.error(ScanErrorKind::Trailing)) }
    }

    #[inline]
    fn enter(&mut self, open: u8, what: &'static str) -> Result<Walk, ScanError> {
        self.whitespace();
        if self.depth == MAX_DEPTH {
            return Err(self.error(ScanErrorKind::Depth));
        }
        self.expect(open, what)?;
        self.depth += 1;
        Ok(Walk { first: true })
    }

    #[inline]
    fn advance(&mut self, walk: &mut Walk, close: u8, what: &'static str) -> Result<bool, ScanError> {
        self.whitespace();
        match self.byte() {
            Some(byte) if byte == close => {
                self.at += 1;
                self.depth -= 1;
                Ok(false)
            }
            Some(_) if std::mem::take(&mut walk.first) => Ok(true),
            Some(b',') => {
                self.at += 1;
                Ok(true)
            }
            Some(_) => Err(self.error(ScanErrorKind::Expected(what))),
            None => Err(self.error(ScanErrorKind::End)),
        }
    }

    #[inline]
    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    const fn error(&self, kind: ScanErrorKind) -> ScanError {
        ScanError { at: self.at, kind }
    }

    #[inline]
    fn expect(&mut self, byte: u8, what: &'static str) -> Result<(), ScanError> {
        match self.byte() {
            Some(found) if found == byte => {
                self.at += 1;
                Ok(())
            }
            Some(_) => Err(self.error(ScanErrorKind::Expected(what))),
            None => Err(self.error(ScanErrorKind::End)),
        }
    }

    #[inline]
    fn whitespace(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.byte() {
            self.at += 1;
        }
    }

    fn literal(&mut self, literal: &'static str) -> Result<(), ScanError> {
        if self.text.as_bytes()[self.at..].starts_with(literal.as_bytes()) {
            self.at += literal.len();
            Ok(())
        } else {
            Err(self.error(ScanErrorKind::Expected("`null`, `true` or `false`")))
        }
    }

    /// `-? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?`
    fn skip_number(&mut self) -> Result<(), ScanError> {
        if self.byte() == Some(b'-') {
            self.at += 1;
        }
        if self.byte() == Some(b'0') {
            self.at += 1;
            if matches!(self.byte(), Some(b'0'..=b'9')) {
                return Err(self.error(ScanErrorKind::Number));
            }
        } else {
            self.digits()?;
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.byte(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.byte(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), ScanError> {
        let start = self.at;
        while matches!(self.byte(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { Err(self.error(ScanErrorKind::Number)) } else { Ok(()) }
    }

    /// Consumes one escape, whose backslash is next.
    fn escape(&mut self) -> Result<(), ScanError> {
        self.at += escape_length(&self.text.as_bytes()[self.at..]).map_err(|kind| self.error(kind))?;
        Ok(())
    }
}

/// How long the escape at the start of `bytes` is.
fn escape_length(bytes: &[u8]) -> Result<usize, ScanErrorKind> {
    match bytes.get(1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(2),
        Some(b'u') => match hex_unit(bytes) {
            Some(0xD800..=0xDBFF) => match bytes.get(6..).and_then(hex_unit) {
                Some(0xDC00..=0xDFFF) => Ok(12),
                Some(_) | None => Err(ScanErrorKind::Escape),
            },
            Some(0xDC00..=0xDFFF) | None => Err(ScanErrorKind::Escape),
            Some(_) => Ok(6),
        },
        Some(_) => Err(ScanErrorKind::Escape),
        None => Err(ScanErrorKind::End),
    }
}

/// The code unit of a `\uXXXX` at the start of `bytes`.
fn hex_unit(bytes: &[u8]) -> Option<u16> {
    let [b'\\', b'u', digits @ ..] = bytes else { return None };
    digits.get(..4)?.iter().try_fold(0u16, |unit, digit| Some(unit << 4 | hex_digit(*digit)?))
}

fn hex_digit(byte: u8) -> Option<u16> {
    char::from(byte).to_digit(16).and_then(|value| u16::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(text: &str) -> Result<&str, ScanError> {
        let mut scanner = Scanner::new(text);
        let value = scanner.value()?;
        scanner.end()?;
        Ok(value)
    }

    #[test]
    fn accepts_every_kind_of_value() {
        for text in [
            "null",
            "true",
            "false",
            "0",
            "-0.5e+10",
            "\"a\\n\\ud83d\\ude00\"",
            "[]",
            "[1, [2]]",
            "{}",
            r#"{"a":{"b":[1,2]}}"#,
        ] {
            assert_eq!(scan(text), Ok(text));
        }
        assert_eq!(scan(" \n[1 ,2]\t"), Ok("[1 ,2]"));
    }

    #[test]
    fn refuses_what_serde_json_refuses() {
        for text in [
            "",
            "nul",
            "01",
            "1.",
            "1e",
            "-",
            "\"",
            "\"\u{1}\"",
            "\"\\x\"",
            "\"\\u12\"",
            "[1,]",
            "[1 2]",
            "{\"a\"}",
            "{\"a\":1,}",
            "{a:1}",
            "1 2",
            "[",
            "{",
        ] {
            assert!(scan(text).is_err(), "{text:?}");
            assert!(serde_json::from_str::<serde_json::Value>(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn refuses_a_lone_surrogate() {
        for text in [r#""\ud800""#, r#""\udc00""#, r#""\ud800\u0041""#, r#""\ud800x""#] {
            assert_eq!(scan(text).map_err(|error| error.kind), Err(ScanErrorKind::Escape), "{text}");
        }
    }

    #[test]
    fn stops_at_the_depth_limit() {
        let deep = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(scan(&deep(MAX_DEPTH.into())).is_ok());
        assert_eq!(scan(&deep(usize::from(MAX_DEPTH) + 1)).map_err(|e| e.kind), Err(ScanErrorKind::Depth));
    }

    #[test]
    fn decodes_and_compares_escaped_strings() {
        let text = r#""n\u0061me \ud83d\ude00 \"q\" \/""#;
        let string = Str::parse(text).unwrap();
        assert_eq!(string.decode(), "name 😀 \"q\" /");
        assert!(string.is("name 😀 \"q\" /"));
        assert!(!string.is("name"));
        assert_eq!(string.char_count(), "name 😀 \"q\" /".chars().count());
    }

    #[test]
    fn finds_the_end_of_strings_of_every_length() {
        for length in 0..200 {
            let text = format!("\"{}\"", "x".repeat(length));
            assert_eq!(Str::parse(&text).unwrap().raw().len(), length);
            for special in ["\u{0}", "\u{1f}"] {
                let text = format!("\"{}{special}é{}\"", "é".repeat(length), "x".repeat(40));
                let expected = ScanError { at: 2 * length + 1, kind: ScanErrorKind::Control };
                assert_eq!(Str::parse(&text).unwrap_err(), expected);
            }
            let control = format!("\"{}\u{2}\"", "x".repeat(length));
            assert_eq!(Str::parse(&control).unwrap_err(), ScanError { at: length + 1, kind: ScanErrorKind::Control });
        }
    }
}
