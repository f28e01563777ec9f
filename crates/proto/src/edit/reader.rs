//! Finds the strings that rules name, in a message that comes whole or in pieces.

use super::EditError;
use super::rules::{Container, Place, Rules, Way};
use crate::scan::stream::{Event, StreamScanner, Take};
use crate::scan::{Kind, Str};

/// A string that a rule names, whose end has been read.
pub(super) struct Target<'p> {
    /// The index of the rule's path.
    pub(super) rule: usize,
    /// All of it, quotes and escapes included.
    pub(super) literal: &'p str,
    escaped: bool,
    /// Where it begins in the whole message, in bytes.
    pub(super) start: usize,
}

impl<'p> Target<'p> {
    pub(super) fn string(&self) -> Str<'p> {
        Str::from_scanned(&self.literal[1..self.literal.len() - 1], self.escaped)
    }
}

/// Reads along the paths of rules; the rest it checks and skips.
#[derive(Debug)]
pub(super) struct Reader {
    scanner: StreamScanner,
    way: Way,
    /// The place of the value whose key came last.
    member: Option<Place>,
    /// The rule of the string that is being read.
    rule: Option<usize>,
    /// How long such a string may be, in bytes with quotes and escapes.
    limit: usize,
}

impl Reader {
    pub(super) fn new(limit: usize) -> Self {
        Self { scanner: StreamScanner::new(), way: Way::default(), member: None, rule: None, limit }
    }

    /// Reads on in a piece, from `at`, up to the end of the next string that a rule names; `None` at the end of the
    /// piece.
    pub(super) fn next<'p>(
        &'p mut self,
        rules: &Rules,
        piece: &'p [u8],
        at: &mut usize,
    ) -> Result<Option<Target<'p>>, EditError> {
        while let Some(event) = self.scanner.next(piece, at)? {
            match event {
                Event::Key => self.key(rules, piece),
                Event::Value(kind) => self.value(rules, kind),
                Event::Left => self.way.leave(),
                Event::Done => {
                    if let Some(rule) = self.rule.take() {
                        return self.target(rule, piece).map(Some);
                    }
                }
            }
        }
        match self.rule {
            Some(rule) if self.scanner.is_overlong() => Err(EditError::TooLong { rule, limit: self.limit }),
            Some(_) | None => Ok(None),
        }
    }

    /// Takes the end of the message.
    pub(super) fn finish(&self) -> Result<(), EditError> {
        Ok(self.scanner.finish()?)
    }

    /// Where the string begins that a rule names and that the last piece did not end, in the whole message.
    pub(super) fn pending(&self) -> Option<usize> {
        self.rule.map(|_| self.scanner.kept_start())
    }

    /// How many bytes the pieces had that have been read.
    pub(super) const fn offset(&self) -> usize {
        self.scanner.offset()
    }

    fn key(&mut self, rules: &Rules, piece: &[u8]) {
        let key = self.scanner.kept(piece).and_then(|(key, escaped)| Some((std::str::from_utf8(key).ok()?, escaped)));
        self.member = match (self.way.here(), key) {
            (Some(Container::Object(place)), Some((key, escaped))) => {
                rules.member(place, Str::from_scanned(key, escaped))
            }
            (Some(Container::Object(_) | Container::Array(_)) | None, _) => None,
        };
    }

    fn value(&mut self, rules: &Rules, kind: Kind) {
        let place = match self.way.here() {
            None => Some(Place::default()),
            Some(Container::Array(items)) => Some(items),
            Some(Container::Object(_)) => self.member.take(),
        };
        let Some(place) = place else { return };
        if let Some(container) = rules.container(place, kind) {
            self.way.enter(container);
            self.scanner.take(Take::Enter);
        } else if kind == Kind::String
            && let Some(rule) = rules.rule(place)
        {
            self.rule = Some(rule);
            self.scanner.take(Take::Keep(self.limit));
        }
    }

    fn target<'p>(&'p self, rule: usize, piece: &'p [u8]) -> Result<Target<'p>, EditError> {
        let start = self.scanner.kept_start();
        let (text, escaped) = self.scanner.kept(piece).ok_or(EditError::TooLong { rule, limit: self.limit })?;
        let literal = std::str::from_utf8(text).map_err(|error| EditError::NotUtf8(start + error.valid_up_to()))?;
        Ok(Target { rule, literal, escaped, start })
    }
}
