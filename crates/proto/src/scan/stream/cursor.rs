//! A place in a piece, and how deep it is in the value.

use super::token::{Escape, Literal, Number};
use super::{Event, Role, State};
use crate::scan::{MAX_DEPTH, ScanError, ScanErrorKind, escape_length, plain_prefix};

/// The longest escape: a pair of surrogates.
const ESCAPE: usize = 12;

/// A place in a piece. Apart from the scanner, so that the compiler keeps it in registers.
pub(super) struct Cursor<'p> {
    pub(super) bytes: &'p [u8],
    pub(super) at: usize,
    pub(super) before: usize,
    pub(super) depth: u8,
    pub(super) objects: u128,
    pub(super) entered: u8,
}

/// What follows a value.
pub(super) enum Followed {
    By(State),
    /// The end of the container; there is an event if it was an entered one.
    Closed(Option<Event>),
}

impl Cursor<'_> {
    /// Whether the reader wants to know what stands here.
    #[inline]
    pub(super) const fn is_watched(&self) -> bool {
        self.depth == self.entered
    }

    /// The offset in the whole text.
    #[inline]
    pub(super) const fn offset(&self) -> usize {
        self.before + self.at
    }

    const fn error(&self, kind: ScanErrorKind) -> ScanError {
        ScanError { at: self.offset(), kind }
    }

    #[cold]
    pub(super) const fn expected(&self, what: &'static str) -> ScanError {
        self.error(ScanErrorKind::Expected(what))
    }

    /// The first byte of the next token, which is not consumed.
    #[inline]
    pub(super) fn token(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        if byte > b' ' { Some(byte) } else { self.token_after_space() }
    }

    fn token_after_space(&mut self) -> Option<u8> {
        loop {
            match self.bytes.get(self.at) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                found => return found.copied(),
            }
        }
    }

    /// Consumes the first byte of a value, or all of it. `token` is told where a literal begins that the piece does not
    /// end.
    #[inline]
    pub(super) fn begin(&mut self, byte: u8, token: &mut usize) -> Result<State, ScanError> {
        let state = match byte {
            b'"' => State::Text(Role::Value),
            b'{' => return self.open(1, State::FirstKey),
            b'[' => return self.open(0, State::FirstItem),
            b'-' => State::Number(Number::Minus),
            b'0' => State::Number(Number::Zero),
            b'1'..=b'9' => State::Number(Number::Integer),
            b'n' => return Ok(self.whole_literal(b"null", token)),
            b't' => return Ok(self.whole_literal(b"true", token)),
            b'f' => return Ok(self.whole_literal(b"false", token)),
            _ => return Err(self.expected("a value")),
        };
        self.at += 1;
        Ok(state)
    }

    #[inline]
    fn whole_literal<const N: usize>(&mut self, literal: &'static [u8; N], token: &mut usize) -> State {
        if self.bytes[self.at..].first_chunk() == Some(literal) {
            self.at += N;
            return State::Ended;
        }
        *token = self.offset();
        State::Literal(Literal(literal))
    }

    #[inline]
    fn open(&mut self, bit: u128, state: State) -> Result<State, ScanError> {
        if self.depth == MAX_DEPTH {
            return Err(self.error(ScanErrorKind::Depth));
        }
        self.at += 1;
        self.depth += 1;
        self.objects = self.objects << 1 | bit;
        Ok(state)
    }

    /// Consumes the end of the innermost container.
    #[inline]
    pub(super) fn close(&mut self) -> Option<Event> {
        let left = self.is_watched();
        self.at += 1;
        self.depth -= 1;
        self.objects >>= 1;
        self.entered -= u8::from(left);
        left.then_some(Event::Left)
    }

    /// Consumes the token after a value.
    #[inline]
    pub(super) fn after_value(&mut self, byte: u8) -> Result<Followed, ScanError> {
        if self.depth == 0 {
            return Err(self.error(ScanErrorKind::Trailing));
        }
        match (byte, self.objects & 1) {
            (b',', in_object) => {
                self.at += 1;
                Ok(Followed::By(if in_object == 1 { State::Key } else { State::Value }))
            }
            (b'}', 1) | (b']', 0) => Ok(Followed::Closed(self.close())),
            (_, 1) => Err(self.expected("`,` or `}`")),
            _ => Err(self.expected("`,` or `]`")),
        }
    }

    /// Consumes the text of a string up to its end or up to an escape that the piece may end in, and the quote or
    /// backslash there, which it gives.
    #[inline]
    pub(super) fn text(&mut self, escaped: &mut bool) -> Result<Option<u8>, ScanError> {
        loop {
            let rest = &self.bytes[self.at..];
            self.at += plain_prefix(rest);
            match self.bytes.get(self.at) {
                Some(b'\\') if self.bytes.len() - self.at >= ESCAPE => {
                    *escaped = true;
                    self.at += escape_length(&self.bytes[self.at..]).map_err(|kind| self.error(kind))?;
                }
                Some(byte @ (b'"' | b'\\')) => {
                    *escaped |= *byte == b'\\';
                    self.at += 1;
                    return Ok(Some(*byte));
                }
                Some(_) => return Err(self.error(ScanErrorKind::Control)),
                None => return Ok(None),
            }
        }
    }

    /// Consumes more of an escape that began at `start`. Gives what is seen of it at the end of the piece, or `None`
    /// if it has ended.
    pub(super) fn escape(&mut self, mut escape: Escape, start: usize) -> Result<Option<Escape>, ScanError> {
        while let Some(byte) = self.bytes.get(self.at) {
            self.at += 1;
            match escape.step(*byte).map_err(|kind| ScanError { at: start, kind })? {
                Some(more) => escape = more,
                None => return Ok(None),
            }
        }
        Ok(Some(escape))
    }

    /// Consumes more of a number. Gives what it is at the end of the piece, or `None` if it has ended before.
    #[inline]
    pub(super) fn number(&mut self, mut number: Number) -> Result<Option<Number>, ScanError> {
        while let Some(byte) = self.bytes.get(self.at) {
            if byte.is_ascii_digit() && number.takes_digits() {
                self.at += 1;
                continue;
            }
            match number.step(*byte).map_err(|kind| self.error(kind))? {
                Some(more) => number = more,
                None => return Ok(None),
            }
            self.at += 1;
        }
        Ok(Some(number))
    }

    /// Consumes more of a literal that began at `start`. Gives what is left at the end of the piece, or `None`
    /// if it has ended.
    #[inline]
    pub(super) fn literal(&mut self, literal: Literal, start: usize) -> Result<Option<Literal>, ScanError> {
        let here = &self.bytes[self.at..];
        let length = literal.0.len().min(here.len());
        let (now, left) = literal.0.split_at(length);
        if here[..length] != *now {
            return Err(ScanError { at: start, kind: Literal::EXPECTED });
        }
        self.at += length;
        Ok((!left.is_empty()).then_some(Literal(left)))
    }
}
