//! What of a request is kept while the rest of it streams by.

use std::ops::Range;

use crate::admit::member::Member;
use crate::request::Span;
use crate::scan::Kind;

/// How many bytes the members that are compared may have together: the id, the names, the version.
pub const MAX_KEPT: usize = 128 * 1024;

/// How much is kept of what is only of use to those who watch: 8 KiB is the bound that W3C Baggage asks for.
const WATCHED: usize = 8 * 1024;

/// No number that is an id has as many digits, and no spelling of the version of JSON-RPC as many bytes.
const SHORT: usize = 32;

/// What becomes of a value that is too long to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overlong {
    /// The request is refused, as it cannot be compared.
    Refused,
    /// It counts as a value, whose text is not known.
    Ignored,
}

/// The texts that are kept, one after the other, and the places of all members.
#[derive(Debug, Default)]
pub(super) struct Kept {
    text: String,
    places: [Option<(usize, usize)>; Member::COUNT],
}

impl Kept {
    /// What the positions of a frame count in.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// How many bytes of such a value are kept; `None` if its kind is all that counts.
    pub(super) fn limit(&self, member: Member, kind: Kind) -> Option<(usize, Overlong)> {
        let room = MAX_KEPT - self.text.len();
        let is_string = kind == Kind::String;
        match member {
            Member::JsonRpc => is_string.then_some((SHORT.min(room), Overlong::Ignored)),
            Member::Id | Member::ProgressToken if kind == Kind::Number => Some((SHORT.min(room), Overlong::Ignored)),
            Member::Id
            | Member::ProgressToken
            | Member::Method
            | Member::Name
            | Member::Uri
            | Member::ProtocolVersion
            | Member::LogLevel => is_string.then_some((room, Overlong::Refused)),
            Member::Traceparent | Member::Tracestate | Member::Baggage => {
                is_string.then_some((WATCHED.min(room), Overlong::Ignored))
            }
            Member::ClientInfo => (kind == Kind::Object).then_some((WATCHED.min(room), Overlong::Ignored)),
            Member::Params
            | Member::Result
            | Member::Error
            | Member::Meta
            | Member::Cursor
            | Member::Arguments
            | Member::InputResponses
            | Member::RequestState
            | Member::ClientCapabilities => None,
        }
    }

    /// Notes where a value stands in the body.
    pub(super) fn place(&mut self, member: Member, at: Range<usize>) {
        self.places[member as usize] = Some((at.start, at.end));
    }

    pub(super) fn at(&self, member: Member) -> Option<Range<usize>> {
        self.places[member as usize].map(|(start, end)| start..end)
    }

    /// Keeps a text, and says where.
    pub(super) fn keep(&mut self, text: &str) -> Span {
        let start = self.text.len();
        self.text.push_str(text);
        Span::between(start, self.text.len())
    }
}
