//! The scanner of JSON that arrives in pieces: the same language as that of [`Scanner`](super::Scanner), with the same
//! errors at the same places, wherever it is cut.
//!
//! Its reader follows a message along the few objects and arrays that it enters and is told of their members; what
//! it enters not is checked in one loop and passes by, without being stored. Bytes, not characters, are what
//! it reads: that they are UTF-8 is checked [elsewhere](super::utf8).

mod cursor;
mod token;

use super::{Kind, ScanError, ScanErrorKind};
use cursor::{Cursor, Followed};
use token::{Escape, Literal, Number};

/// How much of a key is kept. The longest key that anyone looks for has fewer than 64 characters, and an escape
/// makes six bytes of one.
const KEY: usize = 512;

/// What the scanner stops for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// A member of an entered object begins. Its key, without quotes, is what [`StreamScanner::kept`] gives.
    Key,
    /// The outermost value, or one in an entered container, begins with the next byte.
    /// [`StreamScanner::take`] says what becomes of it; if nothing does, it is skipped.
    Value(Kind),
    /// The value that began last has ended, and was not entered.
    Done,
    /// The container that was entered last has ended.
    Left,
}

/// What becomes of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Take {
    /// It is checked and passes by.
    Skip,
    /// The same, and at its end its text is there, unless it has more bytes than this.
    Keep(usize),
    /// Its members or items are told one by one. What has none is skipped.
    Enter,
}

/// Whose string it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Key,
    Value,
}

/// What is expected, or within which token the last piece ended.
#[derive(Debug, Clone, Copy)]
enum State {
    /// A value.
    Value,
    /// The first byte of a value, of which the reader has been told.
    Begin,
    /// A value or `]`.
    FirstItem,
    /// A key or `}`.
    FirstKey,
    /// A key.
    Key,
    /// What follows a key.
    Colon,
    /// A value has ended, and nobody has been told.
    Ended,
    /// What follows a value.
    Next,
    /// More of a string.
    Text(Role),
    /// More of an escape.
    Escape(Role, Escape),
    /// More of a number.
    Number(Number),
    /// More of `null`, `true` or `false`.
    Literal(Literal),
}

/// What is kept of the text, from where it began.
#[derive(Debug, Default)]
struct Kept {
    /// Where it began, in the whole text.
    start: usize,
    /// Where it ended, once it has.
    end: Option<usize>,
    limit: usize,
    active: bool,
    /// Whether its string has escapes; means nothing for other values.
    escaped: bool,
    /// What came of it in earlier pieces, if it is not too long.
    earlier: Vec<u8>,
}

/// The scanner. It holds no more than the text that its reader wants kept.
#[derive(Debug)]
pub(crate) struct StreamScanner {
    state: State,
    take: Take,
    depth: u8,
    /// The open containers, one bit each: set for objects, the innermost lowest.
    objects: u128,
    /// How many containers the reader has entered.
    entered: u8,
    /// How many bytes the earlier pieces had.
    before: usize,
    /// Where the current escape or literal began.
    token: usize,
    kept: Kept,
}

impl StreamScanner {
    /// A scanner at the start of a text.
    pub(crate) fn new() -> Self {
        Self {
            state: State::Value,
            take: Take::Skip,
            depth: 0,
            objects: 0,
            entered: 0,
            before: 0,
            token: 0,
            kept: Kept::default(),
        }
    }

    /// Says what becomes of the value of which [`Event::Value`] told.
    pub(crate) const fn take(&mut self, take: Take) {
        self.take = take;
    }

    /// How many containers have been entered and not been left.
    pub(crate) const fn entered(&self) -> u8 {
        self.entered
    }

    /// How many bytes the pieces had that have been read.
    pub(crate) const fn offset(&self) -> usize {
        self.before
    }

    /// Whether the outermost value has ended, if it is an object or array.
    pub(crate) const fn has_ended(&self) -> bool {
        matches!(self.state, State::Ended | State::Next) && self.depth == 0
    }

    /// Reads on in a piece, from `at`. `None` is the end of the piece, and then the next one is wanted; until then
    /// it has to be the same piece.
    ///
    /// # Errors
    /// If the text is not JSON, or nests too deeply. Nothing that is asked afterwards means anything.
    pub(crate) fn next(&mut self, piece: &[u8], at: &mut usize) -> Result<Option<Event>, ScanError> {
        let mut cursor = Cursor {
            bytes: piece,
            at: *at,
            before: self.before,
            depth: self.depth,
            objects: self.objects,
            entered: self.entered,
        };
        let (state, event) = self.run(&mut cursor)?;
        self.state = state;
        self.depth = cursor.depth;
        self.objects = cursor.objects;
        self.entered = cursor.entered;
        *at = cursor.at;
        if event.is_none() {
            self.kept.spill(piece, self.before);
            self.before += piece.len();
        }
        Ok(event)
    }

    /// Takes the end of the text.
    ///
    /// # Errors
    /// If it ends within the value, or before one.
    pub(crate) fn finish(&self) -> Result<(), ScanError> {
        let end = self.before;
        let error = |at, kind| Err(ScanError { at, kind });
        match self.state {
            State::Ended | State::Next if self.depth == 0 => Ok(()),
            State::Number(number) if !number.is_complete() => error(end, ScanErrorKind::Number),
            State::Number(_) if self.depth == 0 => Ok(()),
            State::Escape(_, Escape::Start) => error(self.token, ScanErrorKind::End),
            State::Escape(_, _) => error(self.token, ScanErrorKind::Escape),
            State::Literal(_) => error(self.token, Literal::EXPECTED),
            State::Value
            | State::Begin
            | State::FirstItem
            | State::FirstKey
            | State::Key
            | State::Colon
            | State::Ended
            | State::Next
            | State::Text(_)
            | State::Number(_) => error(end, ScanErrorKind::End),
        }
    }

    /// The text of the key or kept value that has just ended, and whether it is a string with escapes; `None` if it
    /// is longer than was to be kept.
    pub(crate) fn kept<'k>(&'k self, piece: &'k [u8]) -> Option<(&'k [u8], bool)> {
        let end = self.kept.end?;
        if end - self.kept.start > self.kept.limit {
            return None;
        }
        let text = match self.kept.earlier.is_empty() {
            true => piece.get(self.kept.start.checked_sub(self.before)?..end.checked_sub(self.before)?)?,
            false => &self.kept.earlier,
        };
        Some((text, self.kept.escaped))
    }

    /// Where the text begins that is being kept, or was kept last, in the whole text.
    pub(crate) const fn kept_start(&self) -> usize {
        self.kept.start
    }

    /// Whether what is being kept is longer than it may be.
    pub(crate) const fn is_overlong(&self) -> bool {
        self.kept.active && self.before - self.kept.start > self.kept.limit
    }

    /// Reads on to the next event or the end of the piece.
    fn run(&mut self, cursor: &mut Cursor<'_>) -> Result<(State, Option<Event>), ScanError> {
        let mut state = self.state;
        loop {
            state = match state {
                State::Value | State::FirstItem => {
                    let Some(byte) = cursor.token() else { return Ok((state, None)) };
                    if byte == b']' && matches!(state, State::FirstItem) {
                        match cursor.close() {
                            Some(event) => return Ok((State::Next, Some(event))),
                            None => State::Ended,
                        }
                    } else if cursor.is_watched() {
                        let kind = Kind::of_first_byte(byte).ok_or(cursor.expected("a value"))?;
                        self.take = Take::Skip;
                        return Ok((State::Begin, Some(Event::Value(kind))));
                    } else {
                        cursor.begin(byte, &mut self.token)?
                    }
                }
                State::Begin => {
                    let Some(byte) = cursor.token() else { return Ok((state, None)) };
                    if let Take::Keep(limit) = self.take {
                        self.kept.begin(cursor.offset(), limit);
                    }
                    let depth = cursor.depth;
                    let state = cursor.begin(byte, &mut self.token)?;
                    cursor.entered += u8::from(self.take == Take::Enter && cursor.depth > depth);
                    state
                }
                State::FirstKey | State::Key => {
                    let Some(byte) = cursor.token() else { return Ok((state, None)) };
                    if byte == b'"' {
                        cursor.at += 1;
                        if cursor.is_watched() {
                            self.kept.begin(cursor.offset(), KEY);
                        }
                        State::Text(Role::Key)
                    } else if byte == b'}' && matches!(state, State::FirstKey) {
                        match cursor.close() {
                            Some(event) => return Ok((State::Next, Some(event))),
                            None => State::Ended,
                        }
                    } else {
                        return Err(cursor.expected("a string"));
                    }
                }
                State::Colon => {
                    let Some(byte) = cursor.token() else { return Ok((state, None)) };
                    if byte != b':' {
                        return Err(cursor.expected("`:`"));
                    }
                    cursor.at += 1;
                    State::Value
                }
                State::Ended if cursor.is_watched() => {
                    self.kept.end(cursor, cursor.at);
                    return Ok((State::Next, Some(Event::Done)));
                }
                State::Ended | State::Next => {
                    let Some(byte) = cursor.token() else { return Ok((State::Next, None)) };
                    match cursor.after_value(byte)? {
                        Followed::By(state) => state,
                        Followed::Closed(Some(event)) => return Ok((State::Next, Some(event))),
                        Followed::Closed(None) => State::Ended,
                    }
                }
                State::Text(role) => match cursor.text(&mut self.kept.escaped)? {
                    None => return Ok((state, None)),
                    Some(b'"') if role == Role::Value => State::Ended,
                    Some(b'"') if cursor.is_watched() => {
                        self.kept.end(cursor, cursor.at - 1);
                        return Ok((State::Colon, Some(Event::Key)));
                    }
                    Some(b'"') => State::Colon,
                    Some(_) => {
                        self.token = cursor.offset() - 1;
                        State::Escape(role, Escape::Start)
                    }
                },
                State::Escape(role, escape) => match cursor.escape(escape, self.token)? {
                    None => State::Text(role),
                    Some(escape) => return Ok((State::Escape(role, escape), None)),
                },
                State::Number(number) => match cursor.number(number)? {
                    None => State::Ended,
                    Some(number) => return Ok((State::Number(number), None)),
                },
                State::Literal(literal) => match cursor.literal(literal, self.token)? {
                    None => State::Ended,
                    Some(literal) => return Ok((State::Literal(literal), None)),
                },
            };
        }
    }
}

impl Kept {
    fn begin(&mut self, start: usize, limit: usize) {
        self.earlier.clear();
        *self = Self { start, limit, active: true, earlier: std::mem::take(&mut self.earlier), ..Self::default() };
    }

    fn end(&mut self, cursor: &Cursor<'_>, at: usize) {
        if self.active {
            self.end = Some(cursor.before + at);
            if !self.earlier.is_empty() {
                self.store(&cursor.bytes[..at]);
            }
            self.active = false;
        }
    }

    /// Stores what a piece has of the text, after `before` bytes of other pieces.
    fn spill(&mut self, piece: &[u8], before: usize) {
        if !self.active {
            return;
        }
        self.store(piece.get(self.start.saturating_sub(before)..).unwrap_or_default());
    }

    fn store(&mut self, more: &[u8]) {
        if self.earlier.len() + more.len() <= self.limit {
            self.earlier.extend_from_slice(more);
        }
    }
}
