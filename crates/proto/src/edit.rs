//! Replacing strings in a message, in place: everything else stays byte for byte as it came.
//!
//! A gateway renames tools, wraps cursors and URIs, and must neither parse a message nor lose what it does not
//! know. Keys are compared by value, and where a member stands twice both are replaced, so that no reader sees
//! one that was not.

mod reader;
mod rules;

use std::borrow::Cow;

use crate::escape::push_string;
use crate::scan::{ScanError, utf8::Utf8};
use reader::Reader;

pub use rules::{PathError, Rules};

/// Why a message cannot be edited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// It is no JSON.
    #[error(transparent)]
    NotJson(#[from] ScanError),
    /// It is not UTF-8; the number is the offset of the first bad byte.
    #[error("not UTF-8 (byte {0})")]
    NotUtf8(usize),
    /// A string that may have to be replaced is longer than is held back for it.
    #[error("the string of rule {rule} is longer than {limit} bytes")]
    TooLong {
        /// The index of its path.
        rule: usize,
        /// The bound in bytes, with quotes and escapes.
        limit: usize,
    },
}

impl Rules {
    /// Edits a whole message. `replace` gets the index of the rule and the string, and gives what stands there
    /// instead, or `None` to leave it as it is. The result borrows if nothing is replaced.
    ///
    /// # Errors
    /// If the message is no JSON.
    pub fn edit<'m>(
        &self,
        message: &'m str,
        mut replace: impl FnMut(usize, Cow<'_, str>) -> Option<String>,
    ) -> Result<Cow<'m, str>, EditError> {
        let mut reader = Reader::new(usize::MAX);
        let (mut out, mut copied, mut at) = (String::new(), 0, 0);
        while let Some(target) = reader.next(self, message.as_bytes(), &mut at)? {
            if let Some(new) = replace(target.rule, target.string().decode()) {
                if copied == 0 {
                    out.reserve(message.len() + new.len());
                }
                out.push_str(&message[copied..target.start]);
                push_literal(&mut out, &new);
                copied = at;
            }
        }
        reader.finish()?;
        if copied == 0 {
            return Ok(Cow::Borrowed(message));
        }
        out.push_str(&message[copied..]);
        Ok(Cow::Owned(out))
    }
}

/// An edit of a message that streams by. It holds back no more than one string that may have to be replaced.
#[derive(Debug)]
pub struct Editor {
    rules: Rules,
    reader: Reader,
    utf8: Utf8,
    /// Once it has failed, it does nothing else.
    failed: Option<EditError>,
}

impl Editor {
    /// An editor that holds back strings of at most `limit` bytes, quotes and escapes included.
    pub fn new(rules: &Rules, limit: usize) -> Self {
        Self { rules: rules.clone(), reader: Reader::new(limit), utf8: Utf8::default(), failed: None }
    }

    /// Reads the next piece of the message, cut anywhere, and appends to `out` what the message now says instead.
    /// `replace` is that of [`Rules::edit`].
    ///
    /// # Errors
    /// If this is no JSON or a string is too long. What is in `out` then must not be sent on.
    pub fn push(
        &mut self,
        piece: &[u8],
        out: &mut Vec<u8>,
        replace: impl FnMut(usize, Cow<'_, str>) -> Option<String>,
    ) -> Result<(), EditError> {
        if let Some(failed) = self.failed {
            return Err(failed);
        }
        self.edit(piece, out, replace).inspect_err(|error| self.failed = Some(*error))
    }

    /// Takes the end of the message.
    ///
    /// # Errors
    /// If it is not complete.
    pub fn finish(self) -> Result<(), EditError> {
        self.failed.map_or(Ok(()), Err)?;
        self.utf8.finish().map_err(EditError::NotUtf8)?;
        self.reader.finish()
    }

    fn edit(
        &mut self,
        piece: &[u8],
        out: &mut Vec<u8>,
        mut replace: impl FnMut(usize, Cow<'_, str>) -> Option<String>,
    ) -> Result<(), EditError> {
        self.utf8.push(piece).map_err(EditError::NotUtf8)?;
        let before = self.reader.offset();
        let (mut copied, mut at) = (0, 0);
        while let Some(target) = self.reader.next(&self.rules, piece, &mut at)? {
            let new = replace(target.rule, target.string().decode());
            // What began in this piece and stays is copied with what is around it.
            if new.is_some() || target.start < before {
                out.extend_from_slice(&piece[copied..target.start.saturating_sub(before)]);
                match new {
                    Some(new) => push_string(out, &new),
                    None => out.extend_from_slice(target.literal.as_bytes()),
                }
                copied = at;
            }
        }
        let end = self.reader.pending().map_or(piece.len(), |start| start.saturating_sub(before));
        out.extend_from_slice(&piece[copied..end]);
        Ok(())
    }
}

fn push_literal(out: &mut String, text: &str) {
    let mut literal = Vec::new();
    push_string(&mut literal, text);
    out.push_str(std::str::from_utf8(&literal).expect("a literal is made of whole characters"));
}
