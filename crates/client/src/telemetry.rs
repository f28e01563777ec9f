//! Traces: what a request says of the trace it belongs to, and its own span. Never a payload.
//!
//! Fields bear the names of the OpenTelemetry conventions for MCP. Spec: basic/index, "`_meta`".

use std::sync::Arc;

use anypod_proto::escape;
use anypod_proto::meta;
use anypod_proto::method::Method;
use anypod_proto::trace::{self, TraceContext, TraceParent};
use tracing::Span;
use tracing::field::Empty;

use crate::call::{Call, each_member, push_member};
use crate::client::Inner;
use crate::error::Error;

/// How many bytes of a name a span shows. Each line of the log may repeat them.
const MAX_SHOWN: usize = 128;

/// The trace that a request belongs to. What is not well-formed or too long is left out: a broken trace must never
/// break a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trace {
    /// `traceparent`: the trace, and the span that sends the request.
    pub parent: Option<TraceParent>,
    /// `tracestate`; left out without a parent.
    pub state: Option<String>,
    /// `baggage`.
    pub baggage: Option<String>,
}

/// Where the trace of a request comes from.
pub(crate) type Tracer = Arc<dyn Fn() -> Option<Trace> + Send + Sync>;

impl Trace {
    /// Adds it to a `_meta` that is being written, but for what stands there already.
    pub(crate) fn push(&self, text: &mut Vec<u8>, said: &[u8]) {
        let parent = self.parent.map(|parent| parent.to_string());
        let context = parent.as_ref().and_then(|parent| TraceContext::parse(parent, self.state.as_deref(), None));
        if let (Some(context), Some(parent)) = (context, &parent)
            && !says(said, meta::TRACEPARENT)
        {
            push_text(text, meta::TRACEPARENT, parent);
            if let Some(state) = context.tracestate.filter(|_| !says(said, meta::TRACESTATE)) {
                push_text(text, meta::TRACESTATE, state);
            }
        }
        let baggage = self.baggage.as_deref().and_then(trace::baggage);
        if let Some(baggage) = baggage.filter(|_| !says(said, meta::BAGGAGE)) {
            push_text(text, meta::BAGGAGE, baggage);
        }
    }
}

fn push_text(text: &mut Vec<u8>, key: &str, value: &str) {
    let mut json = Vec::with_capacity(value.len() + 2);
    escape::push_string(&mut json, value);
    push_member(text, key, &json);
}

/// Whether a member of that name stands in these, which have no braces.
fn says(meta: &[u8], key: &str) -> bool {
    let object = [b"{", meta, b"}"].concat();
    let mut found = false;
    let read = std::str::from_utf8(&object).map(|object| each_member(object, |name, _| found |= name.is(key)));
    // What cannot be read is not made worse.
    found || !matches!(read, Ok(Ok(())))
}

impl Inner {
    /// Adds the trace, if there is one and the caller gave none.
    pub(crate) fn trace(&self, call: &mut Call) {
        if call.trace.is_none()
            && let Some(tracer) = &self.tracer
        {
            call.trace = tracer().map(Box::new);
        }
    }
}

/// The span of one request, its rounds included.
pub(crate) fn span(call: &Call) -> Span {
    let method = call.known();
    let span = tracing::info_span!(
        "mcp.client.request",
        otel.kind = "client",
        mcp.method.name = method.map_or("unknown", Method::as_str),
        gen_ai.tool.name = Empty,
        gen_ai.prompt.name = Empty,
        gen_ai.operation.name = Empty,
        rpc.response.status_code = Empty,
        error.type = Empty,
    );
    if !span.is_disabled()
        && let Some(name) = &call.name
    {
        let shown = &name[..name.floor_char_boundary(MAX_SHOWN)];
        // Resources are told apart by their URI, which may hold what must not be logged.
        if method == Some(Method::ToolsCall) {
            span.record("gen_ai.tool.name", shown);
            span.record("gen_ai.operation.name", "execute_tool");
        } else if method == Some(Method::PromptsGet) {
            span.record("gen_ai.prompt.name", shown);
        }
    }
    span
}

/// Notes in the span that the request failed.
pub(crate) fn failed(span: &Span, error: &Error) {
    if let Error::Answered(error) = error {
        span.record("rpc.response.status_code", error.code);
    }
    span.record("error.type", kind(error));
}

const fn kind(error: &Error) -> &'static str {
    match error {
        Error::Answered(_) => "answered",
        Error::Unauthorized(_) => "unauthorized",
        Error::Refused { .. } => "refused",
        Error::Broken(_) => "broken_protocol",
        Error::Unreachable { .. } => "unreachable",
        Error::OutcomeUnknown { .. } => "outcome_unknown",
        Error::Lost { .. } => "lost",
        Error::TimedOut(_) => "timeout",
        Error::Cancelled => "cancelled",
        Error::TooManyRounds(_) => "too_many_rounds",
        Error::NoAnswerer(_) | Error::Answerer(_) => "unanswered",
        Error::Task { .. } => "task",
        Error::Tool(_) => "tool_error",
        Error::Busy(_) => "busy",
        Error::Misuse(_) => "misuse",
    }
}
