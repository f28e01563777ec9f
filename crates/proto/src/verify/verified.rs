//! What a verified request said.

use std::borrow::Cow;
use std::ops::Range;

use super::kept::Kept;
use crate::admit::member::Member;
use crate::method::Method;
use crate::request::{ParamSpans, Span, StrSpan};
use crate::version::Version;

/// What is known of a request that has streamed by and agrees with its headers.
#[derive(Debug)]
pub struct Verified {
    pub(super) kept: Kept,
    pub(super) id: Span,
    pub(super) method: StrSpan,
    pub(super) known: Option<Method>,
    pub(super) version: Version,
    pub(super) params: ParamSpans,
}

impl Verified {
    /// The raw JSON of the id, to be echoed as it came.
    pub fn id(&self) -> &str {
        self.id.of(self.kept.text())
    }

    /// The method, if the specification defines it.
    pub const fn method(&self) -> Option<Method> {
        self.known
    }

    /// The method's name, whoever defines it.
    pub fn method_name(&self) -> Cow<'_, str> {
        self.method.of(self.kept.text()).decode()
    }

    /// The revision that the request speaks.
    pub const fn version(&self) -> Version {
        self.version
    }

    /// `params.name`.
    pub fn name(&self) -> Option<Cow<'_, str>> {
        self.string(self.params.name)
    }

    /// `params.uri`.
    pub fn uri(&self) -> Option<Cow<'_, str>> {
        self.string(self.params.uri)
    }

    /// The least severe log level that the client wants.
    pub fn log_level(&self) -> Option<Cow<'_, str>> {
        self.string(self.params.meta.log_level)
    }

    /// The raw JSON (a string or an integer) of the progress token.
    pub fn progress_token(&self) -> Option<&str> {
        self.params.meta.progress_token.map(|span| span.of(self.kept.text()))
    }

    /// The raw JSON object of the client's name and version, unless it has more than 8 KiB.
    pub fn client_info(&self) -> Option<&str> {
        self.params.meta.client_info.map(|span| span.of(self.kept.text())).filter(|text| !text.is_empty())
    }

    /// `traceparent`, `tracestate` and `baggage` as they came, not yet checked, unless they are empty or have more
    /// than 8 KiB.
    pub fn trace_fields(&self) -> [Option<Cow<'_, str>>; 3] {
        let meta = &self.params.meta;
        [meta.traceparent, meta.tracestate, meta.baggage]
            .map(|field| self.string(field).filter(|text| !text.is_empty()))
    }

    /// Where the value of a member stands in the body, in bytes, with the quotes or brackets around it; `None` if the
    /// request does not have it.
    pub fn at(&self, member: Member) -> Option<Range<usize>> {
        self.kept.at(member)
    }

    fn string(&self, span: Option<StrSpan>) -> Option<Cow<'_, str>> {
        span.map(|span| span.of(self.kept.text()).decode())
    }
}
