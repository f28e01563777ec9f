//! A message from a peer as a value: its body, and where in it each part stands.
//!
//! Parts are kept as positions in the body, so that admission copies nothing and a handler can own the
//! whole message cheaply. Everything a position refers to has been checked to be well-formed JSON.

use std::borrow::Cow;
use std::ops::Range;

use crate::escape::push_string;
use crate::meta::{TRACEPARENT, TRACESTATE};
use crate::method::Method;
use crate::scan::Str;
use crate::trace::TraceParent;
use crate::version::Version;

/// Where a raw JSON value stands in the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// From `start` up to `end`. Bodies are limited to 4 GiB by type and to far less by configuration.
    pub(crate) fn between(start: usize, end: usize) -> Self {
        Self { start: u32::try_from(start).unwrap_or(u32::MAX), end: u32::try_from(end).unwrap_or(u32::MAX) }
    }

    /// The position of what is between the quotes of a string.
    pub(crate) const fn within_quotes(self) -> Self {
        Self { start: self.start.saturating_add(1), end: self.end.saturating_sub(1) }
    }

    pub(crate) fn of(self, body: &str) -> &str {
        body.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

/// Where a JSON string stands in the body, without its quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StrSpan {
    pub(crate) span: Span,
    pub(crate) escaped: bool,
}

/// The same text with these ranges, which follow each other, replaced.
fn splice(text: &str, edits: &[(Range<usize>, String)]) -> String {
    let mut out = String::with_capacity(text.len() + edits.iter().map(|(_, new)| new.len()).sum::<usize>());
    let mut copied = 0;
    for (range, new) in edits {
        out.push_str(text.get(copied..range.start).unwrap_or_default());
        out.push_str(new);
        copied = range.end;
    }
    out.push_str(text.get(copied..).unwrap_or_default());
    out
}

fn quoted(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len() + 2);
    push_string(&mut bytes, text);
    String::from_utf8(bytes).expect("escapes are ASCII, and the rest is a string's")
}

impl StrSpan {
    /// Where it stands with its quotes.
    const fn with_quotes(self) -> Range<usize> {
        (self.span.start as usize).saturating_sub(1)..self.span.end as usize + 1
    }

    pub(crate) fn of(self, body: &str) -> Str<'_> {
        Str::from_scanned(self.span.of(body), self.escaped)
    }
}

/// The members of `_meta` that the protocol knows.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct MetaSpans {
    pub(crate) present: bool,
    pub(crate) protocol_version: Option<StrSpan>,
    pub(crate) client_info: Option<Span>,
    pub(crate) client_capabilities: Option<Span>,
    pub(crate) log_level: Option<StrSpan>,
    pub(crate) progress_token: Option<Span>,
    pub(crate) traceparent: Option<StrSpan>,
    pub(crate) tracestate: Option<StrSpan>,
    pub(crate) baggage: Option<StrSpan>,
}

/// The members of `params` that the hot path needs; the rest is read from [`Request::params`].
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ParamSpans {
    pub(crate) raw: Option<Span>,
    pub(crate) meta: MetaSpans,
    pub(crate) name: Option<StrSpan>,
    pub(crate) uri: Option<StrSpan>,
    pub(crate) cursor: Option<StrSpan>,
    pub(crate) arguments: Option<Span>,
    pub(crate) input_responses: Option<Span>,
    pub(crate) request_state: Option<StrSpan>,
}

/// An admitted request, which owns its body or borrows it.
#[derive(Debug, Clone)]
pub struct Request<B = String> {
    pub(crate) body: B,
    pub(crate) id: Span,
    pub(crate) method: StrSpan,
    pub(crate) known: Option<Method>,
    pub(crate) version: Version,
    pub(crate) params: ParamSpans,
}

impl Request<&str> {
    /// The same, with a body of its own.
    pub fn to_owned(&self) -> Request {
        let Self { body, id, method, known, version, params } = *self;
        Request { body: body.to_owned(), id, method, known, version, params }
    }
}

impl<B: AsRef<str>> Request<B> {
    /// The whole message, as it came.
    pub fn body(&self) -> &str {
        self.body.as_ref()
    }

    /// The whole message, as it came, without a copy.
    pub fn into_body(self) -> B {
        self.body
    }

    /// The raw JSON of the id, to be echoed as it came.
    pub fn id(&self) -> &str {
        self.id.of(self.body())
    }

    /// The method, if the specification defines it.
    pub const fn method(&self) -> Option<Method> {
        self.known
    }

    /// The method's name, whoever defines it.
    pub fn method_name(&self) -> Cow<'_, str> {
        self.method.of(self.body()).decode()
    }

    /// The revision that the request speaks.
    pub const fn version(&self) -> Version {
        self.version
    }

    /// The raw JSON of `params`; `{}` where the request has none.
    pub fn params(&self) -> &str {
        self.params.raw.map_or("{}", |span| span.of(self.body()))
    }

    /// `params.name`.
    pub fn name(&self) -> Option<Cow<'_, str>> {
        self.string(self.params.name)
    }

    /// `params.uri`.
    pub fn uri(&self) -> Option<Cow<'_, str>> {
        self.string(self.params.uri)
    }

    /// `params.cursor`.
    pub fn cursor(&self) -> Option<Cow<'_, str>> {
        self.string(self.params.cursor)
    }

    /// The raw JSON object `params.arguments`.
    pub fn arguments(&self) -> Option<&str> {
        self.raw(self.params.arguments)
    }

    /// The raw JSON object `params.inputResponses`.
    pub fn input_responses(&self) -> Option<&str> {
        self.raw(self.params.input_responses)
    }

    /// `params.requestState`.
    pub fn request_state(&self) -> Option<Cow<'_, str>> {
        self.string(self.params.request_state)
    }

    /// The raw JSON object of the client's capabilities, as this request declares them.
    pub fn client_capabilities(&self) -> Option<&str> {
        self.raw(self.params.meta.client_capabilities)
    }

    /// The raw JSON object of the client's name and version.
    pub fn client_info(&self) -> Option<&str> {
        self.raw(self.params.meta.client_info)
    }

    /// The least severe log level that the client wants.
    pub fn log_level(&self) -> Option<Cow<'_, str>> {
        self.string(self.params.meta.log_level)
    }

    /// The raw JSON (a string or an integer) of the progress token.
    pub fn progress_token(&self) -> Option<&str> {
        self.raw(self.params.meta.progress_token)
    }

    /// `traceparent`, `tracestate` and `baggage` as they came, not yet checked.
    pub fn trace_fields(&self) -> [Option<Cow<'_, str>>; 3] {
        let meta = &self.params.meta;
        [meta.traceparent, meta.tracestate, meta.baggage].map(|field| self.string(field))
    }

    /// The whole message with this trace in its `_meta`: in place of the one that stands there, or beside what else does.
    /// Everything else stays byte for byte as it came. `state` is that of the trace; what is said of another one goes.
    pub fn with_trace(&self, parent: TraceParent, state: Option<&str>) -> String {
        let meta = &self.params.meta;
        let mut added = String::new();
        let mut edits = Vec::new();
        for (key, field, value) in [
            (TRACEPARENT, meta.traceparent, Some(parent.to_string())),
            (TRACESTATE, meta.tracestate, state.map(str::to_owned)),
        ] {
            match (field, value) {
                (Some(field), value) => edits.push((field.with_quotes(), quoted(&value.unwrap_or_default()))),
                (None, Some(value)) => added.push_str(&format!(",\"{key}\":{}", quoted(&value))),
                (None, None) => {}
            }
        }
        // What was admitted has a version there.
        if let Some(version) = meta.protocol_version {
            let end = version.with_quotes().end;
            edits.push((end..end, added));
        }
        edits.sort_unstable_by_key(|(range, _)| range.start);
        splice(self.body(), &edits)
    }

    fn string(&self, span: Option<StrSpan>) -> Option<Cow<'_, str>> {
        span.map(|span| span.of(self.body()).decode())
    }

    fn raw(&self, span: Option<Span>) -> Option<&str> {
        span.map(|span| span.of(self.body()))
    }
}

/// An admitted notification.
#[derive(Debug, Clone)]
pub struct Notice {
    pub(crate) body: String,
    pub(crate) method: StrSpan,
    pub(crate) params: Option<Span>,
}

impl Notice {
    /// The method's name.
    pub fn method_name(&self) -> Cow<'_, str> {
        self.method.of(&self.body).decode()
    }

    /// The raw JSON of `params`; `{}` where there are none.
    pub fn params(&self) -> &str {
        self.params.map_or("{}", |span| span.of(&self.body))
    }
}

/// An admitted response; only legacy clients send them.
#[derive(Debug, Clone)]
pub struct Answer {
    pub(crate) body: String,
    pub(crate) id: Span,
    pub(crate) outcome: Result<Span, Span>,
}

impl Answer {
    /// The raw JSON of the id.
    pub fn id(&self) -> &str {
        self.id.of(&self.body)
    }

    /// The raw JSON of `result`, or of `error`.
    ///
    /// # Errors
    /// Holds the raw JSON of `error` if the peer refused.
    pub fn outcome(&self) -> Result<&str, &str> {
        match self.outcome {
            Ok(span) => Ok(span.of(&self.body)),
            Err(span) => Err(span.of(&self.body)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admit::{Admitted, Carrier, admit};

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01";
    const OTHER: &str = "00-11111111111111111111111111111111-2222222222222222-01";

    fn traced(meta: &str, state: Option<&str>) -> String {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"a","_meta":{{{meta}}}, "x" : "é"}}}}"#
        );
        let admitted = admit(Carrier::Stream, body.into_bytes(), |_| None);
        let Ok(Admitted::Request(request)) = admitted else { panic!("{admitted:?}") };
        let text = request.with_trace(TraceParent::parse(PARENT).unwrap(), state);
        let (before, after) = text.split_once(r#""_meta":{"#).unwrap();
        assert!(before.ends_with(r#""params":{"name":"a","#), "{text}");
        after.strip_suffix(r#"}, "x" : "é"}}"#).unwrap_or_else(|| panic!("{text}")).to_owned()
    }

    const SAYS: &str =
        r#""io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}"#;

    #[test]
    fn a_trace_is_added_where_there_is_none() {
        let version = r#""io.modelcontextprotocol/protocolVersion":"2026-07-28""#;
        let capabilities = r#""io.modelcontextprotocol/clientCapabilities":{}"#;
        assert_eq!(traced(SAYS, None), format!(r#"{version},"traceparent":"{PARENT}",{capabilities}"#));
        assert_eq!(
            traced(SAYS, Some(r#"a="\"#)),
            format!(r#"{version},"traceparent":"{PARENT}","tracestate":"a=\"\\",{capabilities}"#)
        );
    }

    #[test]
    fn a_trace_takes_the_place_of_the_one_that_is_there() {
        let meta = |parent: &str, state: &str| format!(r#""tracestate" : "{state}",{SAYS},"traceparent":"{parent}""#);
        assert_eq!(traced(&meta(OTHER, "b=2"), Some("a=1")), meta(PARENT, "a=1"));
        assert_eq!(traced(&meta("", "b=\\u0022"), None), meta(PARENT, ""));
    }
}
