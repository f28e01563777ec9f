//! A batch as an `ExportTraceServiceRequest` in the JSON that OTLP makes of it: ids in hexadecimal digits, 64-bit
//! numbers as texts. Attributes bear the names of the OpenTelemetry conventions for MCP and HTTP, and for what these do
//! not know, `anypod.` in front.

use std::borrow::Cow;
use std::sync::Arc;

use anypod_proto::method::Method;
use anypod_proto::trace::TraceParent;
use serde::Serialize;

use crate::observe::Record;
use crate::observe::label::hex;
use crate::observe::seen::{Called, Leg, Outcome, Seen, era_name};
use crate::observe::time::Nanos;
use crate::observe::trace::{Spans, Trace};

/// `SPAN_KIND_SERVER` and `SPAN_KIND_CLIENT`.
const SERVER: u8 = 2;
const CLIENT: u8 = 3;
/// `STATUS_CODE_ERROR`.
const ERROR: u8 = 2;

/// The request for a batch.
pub(super) fn json(batch: &[Arc<Record>], instance: &str) -> Vec<u8> {
    let version = env!("CARGO_PKG_VERSION");
    let service = vec![
        text("service.name", "anypod-gateway"),
        text("service.version", version),
        text("service.instance.id", instance),
    ];
    let scope = Scope { name: "anypod-gateway", version };
    let spans = batch.iter().flat_map(|record| spans(record)).collect();
    let export = Export {
        resource_spans: [ResourceSpans {
            resource: Resource { attributes: service },
            scope_spans: [ScopeSpans { scope, spans }],
        }],
    };
    serde_json::to_vec(&export).expect("texts and numbers are JSON, and memory takes them")
}

/// The span of a request, and that of what was sent upstream for it.
fn spans(record: &Record) -> impl Iterator<Item = Span<'_>> {
    let trace = record.seen.trace.as_deref();
    let recorded = trace.and_then(|trace| trace.spans.map(|spans| (trace, spans)));
    let server = recorded.map(|(trace, spans)| server(record, trace, spans));
    let client = recorded.zip(record.seen.leg.as_ref()).map(|((trace, spans), leg)| client(record, trace, spans, leg));
    server.into_iter().chain(client)
}

fn server<'a>(record: &'a Record, trace: &'a Trace, spans: Spans) -> Span<'a> {
    let seen = &record.seen;
    let mut attributes = common(seen);
    attributes.push(text("http.request.method", seen.shown_http_method()));
    attributes.push(number("http.response.status_code", seen.status.into()));
    attributes.extend(seen.route.as_ref().map(|route| text("http.route", &*route.path)));
    attributes.extend(seen.version.map(|version| text("mcp.protocol.version", version.as_str())));
    attributes.extend(seen.era.map(|era| text("anypod.client.era", era_name(Some(era)))));
    if let Some(client) = &seen.client {
        attributes.push(text("anypod.client.name", client.name()));
        attributes.push(text("anypod.client.version", client.version()));
    }
    attributes.push(flag("anypod.cached", seen.cached));
    let parent = trace.parent.map(|parent| hex(&parent.parent_id));
    let links = trace.link.iter().map(|link| Link { trace_id: hex(&link.trace_id), span_id: hex(&link.parent_id) });
    let start = record.ended.before(seen.took);
    Span {
        links: links.collect(),
        ..span(seen, trace, (spans.server, parent), SERVER, (start, record.ended), attributes)
    }
}

fn client<'a>(record: &'a Record, trace: &'a Trace, spans: Spans, leg: &'a Leg) -> Span<'a> {
    let seen = &record.seen;
    let mut attributes = common(seen);
    attributes.push(text("anypod.upstream", &*leg.pod.upstream));
    attributes.push(text("anypod.pod", &*leg.pod.name));
    attributes.extend(seen.upstream_era.map(|era| text("anypod.upstream.era", era_name(Some(era)))));
    if leg.retries > 0 {
        attributes.push(number("http.request.resend_count", leg.retries.into()));
    }
    let parent = Some(hex(&spans.server.parent_id));
    let start = record.ended.before(seen.took.saturating_sub(leg.after));
    span(seen, trace, (spans.client, parent), CLIENT, (start, record.ended), attributes)
}

fn span<'a>(
    seen: &'a Seen,
    trace: &'a Trace,
    (own, parent): (TraceParent, Option<String>),
    kind: u8,
    (start, end): (Nanos, Nanos),
    attributes: Vec<Attribute<'a>>,
) -> Span<'a> {
    let method = seen.called.as_str();
    let name = seen.shown_name().map_or(Cow::Borrowed(method), |name| Cow::Owned(format!("{method} {name}")));
    Span {
        trace_id: hex(&own.trace_id),
        span_id: hex(&own.parent_id),
        parent_span_id: parent,
        trace_state: trace.state(),
        flags: own.flags.into(),
        name,
        kind,
        start_time_unix_nano: start.0.to_string(),
        end_time_unix_nano: end.0.to_string(),
        attributes,
        links: Vec::new(),
        status: Status { code: if seen.outcome.is_error() { ERROR } else { 0 } },
    }
}

/// What both spans say.
fn common(seen: &Seen) -> Vec<Attribute<'_>> {
    let mut attributes = vec![
        text("mcp.method.name", seen.called.as_str()),
        text("network.transport", "tcp"),
        text("anypod.outcome", seen.outcome.as_str()),
    ];
    match (seen.called, seen.shown_name()) {
        (Called::Request(Method::ToolsCall), Some(name)) => {
            attributes.push(text("gen_ai.operation.name", "execute_tool"));
            attributes.push(text("gen_ai.tool.name", name));
        }
        (Called::Request(Method::PromptsGet), Some(name)) => attributes.push(text("gen_ai.prompt.name", name)),
        (_, None | Some(_)) => {}
    }
    attributes.extend(seen.code.map(|code| text("rpc.response.status_code", code.to_string())));
    attributes.extend(error_type(seen).map(|kind| text("error.type", kind)));
    attributes
}

/// The code, where there is one; else `tool_error` as the conventions have it, or why there was no answer.
fn error_type(seen: &Seen) -> Option<Cow<'static, str>> {
    if !seen.outcome.is_error() {
        return None;
    }
    let kind = match (seen.outcome, seen.code) {
        (Outcome::ToolError, None | Some(_)) => Cow::Borrowed(seen.outcome.as_str()),
        (_, Some(code)) => Cow::Owned(code.to_string()),
        (outcome, None) => Cow::Borrowed(outcome.reason().unwrap_or(outcome.as_str())),
    };
    Some(kind)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Export<'a> {
    resource_spans: [ResourceSpans<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResourceSpans<'a> {
    resource: Resource<'a>,
    scope_spans: [ScopeSpans<'a>; 1],
}

#[derive(Serialize)]
struct Resource<'a> {
    attributes: Vec<Attribute<'a>>,
}

#[derive(Serialize)]
struct ScopeSpans<'a> {
    scope: Scope,
    spans: Vec<Span<'a>>,
}

#[derive(Serialize)]
struct Scope {
    name: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Span<'a> {
    trace_id: String,
    span_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_span_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_state: Option<&'a str>,
    flags: u32,
    name: Cow<'a, str>,
    kind: u8,
    start_time_unix_nano: String,
    end_time_unix_nano: String,
    attributes: Vec<Attribute<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    links: Vec<Link>,
    status: Status,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Link {
    trace_id: String,
    span_id: String,
}

#[derive(Serialize)]
struct Status {
    code: u8,
}

#[derive(Serialize)]
struct Attribute<'a> {
    key: &'static str,
    value: Value<'a>,
}

#[derive(Serialize)]
enum Value<'a> {
    #[serde(rename = "stringValue")]
    Text(Cow<'a, str>),
    #[serde(rename = "intValue")]
    Number(String),
    #[serde(rename = "boolValue")]
    Flag(bool),
}

fn text<'a>(key: &'static str, value: impl Into<Cow<'a, str>>) -> Attribute<'a> {
    Attribute { key, value: Value::Text(value.into()) }
}

fn number<'a>(key: &'static str, value: i64) -> Attribute<'a> {
    Attribute { key, value: Value::Number(value.to_string()) }
}

const fn flag<'a>(key: &'static str, value: bool) -> Attribute<'a> {
    Attribute { key, value: Value::Flag(value) }
}
