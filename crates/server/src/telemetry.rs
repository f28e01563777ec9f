//! Spans and their fields, in the words of the OpenTelemetry conventions for MCP. Never a payload.
//!
//! The trace of the caller stands in the fields `trace_id` and `parent_span_id`, so that a subscriber that
//! exports spans can continue it.

use anypod_proto::code::Code;
use anypod_proto::method::Method;
use anypod_proto::request::Request;
use anypod_proto::trace::TraceParent;
use tracing::Span;
use tracing::field::Empty;

use crate::completed::Failure;

/// How many bytes of a caller's id or name a span shows. Each line of the log may repeat them.
const MAX_SHOWN: usize = 128;

/// How a request came.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Transport {
    Http,
    Pipe,
}

impl Transport {
    const fn name(self) -> &'static str {
        match self {
            Self::Http => "tcp",
            Self::Pipe => "pipe",
        }
    }
}

/// The span of one request.
pub(crate) fn span(request: &Request, transport: Transport) -> Span {
    let span = tracing::info_span!(
        "mcp.server.request",
        otel.kind = "server",
        mcp.method.name = request.method().map_or("unknown", Method::as_str),
        mcp.protocol.version = request.version().as_str(),
        network.transport = transport.name(),
        jsonrpc.request.id = shown(request.id()),
        gen_ai.tool.name = Empty,
        gen_ai.prompt.name = Empty,
        gen_ai.operation.name = Empty,
        rpc.response.status_code = Empty,
        error.type = Empty,
        trace_id = Empty,
        parent_span_id = Empty,
    );
    if !span.is_disabled() {
        describe(&span, request);
    }
    span
}

fn describe(span: &Span, request: &Request) {
    if let Some(name) = request.name() {
        match request.method() {
            Some(Method::ToolsCall) => {
                span.record("gen_ai.tool.name", shown(&name));
                span.record("gen_ai.operation.name", "execute_tool");
            }
            Some(Method::PromptsGet) => drop(span.record("gen_ai.prompt.name", shown(&name))),
            // Resources are told apart by their URI, which may hold what must not be logged.
            _ => {}
        }
    }
    if let Some(parent) = request.trace_fields()[0].as_deref().and_then(TraceParent::parse) {
        span.record("trace_id", tracing::field::display(format_args!("{:032x}", u128::from_be_bytes(parent.trace_id))));
        span.record(
            "parent_span_id",
            tracing::field::display(format_args!("{:016x}", u64::from_be_bytes(parent.parent_id))),
        );
    }
}

fn shown(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_SHOWN)]
}

/// Notes in the span that the request failed.
pub(crate) fn failed(span: &Span, failure: &Failure) {
    let code = failure.code();
    span.record("rpc.response.status_code", code);
    span.record("error.type", if code == Code::InternalError.number() { "internal" } else { "refused" });
}
