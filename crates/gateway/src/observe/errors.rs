//! What went wrong, by why and by code.

use std::sync::Arc;

use anypod_proto::code::Code;

use super::family::{Family, Row};
use super::label::OTHER;
use super::number::Counter;
use super::seen::Seen;

/// The codes that are counted apart. Upstreams can make others up.
const CODES: [Code; 10] = [
    Code::ParseError,
    Code::InvalidRequest,
    Code::MethodNotFound,
    Code::InvalidParams,
    Code::InternalError,
    Code::HeaderMismatch,
    Code::MissingRequiredClientCapability,
    Code::UnsupportedProtocolVersion,
    Code::LegacyResourceNotFound,
    Code::LegacyUrlElicitationRequired,
];

/// Errors, by route, method, upstream, outcome, reason and code.
#[derive(Debug)]
pub(super) struct Errors {
    family: Family<6, Counter>,
    /// Those of [`CODES`] as texts, so that none has to be made for a request.
    codes: [(i32, String); CODES.len()],
}

impl Errors {
    pub(super) fn new() -> Self {
        Self { family: Family::new(), codes: CODES.map(|code| (code.number(), code.number().to_string())) }
    }

    /// Counts one.
    pub(super) fn count(&self, seen: &Seen, [route, method, upstream]: [&str; 3]) {
        let reason = seen.outcome.reason().unwrap_or("");
        let code = seen.code.map_or("", |code| self.code(code));
        let labels = [route, method, upstream, seen.outcome.as_str(), reason, code];
        if self.family.with(&labels, Counter::count).is_none() {
            self.family.row(&labels).series.count();
        }
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<Arc<Row<6, Counter>>> {
        self.family.all()
    }

    fn code(&self, code: i32) -> &str {
        self.codes.iter().find(|(number, _)| *number == code).map_or(OTHER, |(_, text)| text)
    }
}
