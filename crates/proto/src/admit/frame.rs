//! The JSON-RPC frame, cut into its parts in one pass over the body.

use crate::meta::{self, path};
use crate::method::Method;
use crate::reject::{Refused, Rejection};
use crate::request::{MetaSpans, ParamSpans, Span, StrSpan};
use crate::scan::{Kind, ScanError, Scanner, Str, Walk};

/// The parts of a frame. What is wrong with it beyond JSON is kept in `problem`, so that the whole frame is
/// read and the refusal can name the request it answers.
#[derive(Debug, Default)]
pub(super) struct Frame {
    jsonrpc: Option<bool>,
    pub(super) id: Option<Span>,
    pub(super) method: Option<StrSpan>,
    /// The method, if the specification defines it.
    pub(super) known: Option<Method>,
    pub(super) params: ParamSpans,
    pub(super) outcome: Option<Outcome>,
    pub(super) problem: Option<Rejection>,
}

/// What a response carries.
#[derive(Debug, Clone, Copy)]
pub(super) enum Outcome {
    Result(Span),
    Error(Span),
}

impl Frame {
    /// The raw JSON of the id, to be echoed.
    pub(super) fn id_text(&self, body: &str) -> Option<String> {
        self.id.map(|id| id.of(body).to_owned())
    }

    fn problem(&mut self, rejection: Rejection) {
        self.problem.get_or_insert(rejection);
    }

    fn put<T>(&mut self, name: &'static str, slot: fn(&mut Self) -> &mut Option<T>, value: T) {
        if slot(self).replace(value).is_some() {
            self.problem(Rejection::DuplicateMember(name));
        }
    }

    fn malformed(&mut self, field: &'static str, expected: &'static str, found: Kind) {
        self.problem(Rejection::ParamMalformed { field, expected, found: found.name().to_owned() });
    }
}

/// Parses a frame.
pub(super) fn parse(body: &str) -> Result<Frame, Refused> {
    let mut scanner = Scanner::new(body);
    let mut frame = Frame::default();
    read(&mut scanner, &mut frame).map_err(|error| Refused::anonymous(Rejection::NotJson(error)))?;
    if frame.jsonrpc != Some(true) {
        frame.problem = Some(Rejection::NotJsonRpc("`jsonrpc` must be \"2.0\""));
    }
    if frame.problem.is_none() && frame.method.is_none() && frame.outcome.is_none() {
        frame.problem = Some(Rejection::NotJsonRpc("`method` is missing"));
    }
    frame.known = frame.method.and_then(|method| Method::parse(&method.of(body).decode()));
    match &frame.problem {
        Some(problem @ Rejection::NotJsonRpc(_)) => {
            Err(Refused { id: frame.id_text(body), rejection: problem.clone() })
        }
        _ => Ok(frame),
    }
}

/// The texts of a batch's messages.
pub(super) fn items(body: &str, limit: usize) -> Result<Vec<&str>, Rejection> {
    let mut scanner = Scanner::new(body);
    let mut items = Vec::new();
    let mut walk = scanner.array().map_err(Rejection::NotJson)?;
    while scanner.item(&mut walk).map_err(Rejection::NotJson)? {
        if items.len() == limit {
            return Err(Rejection::NotJsonRpc("the batch holds too many messages"));
        }
        items.push(scanner.value().map_err(Rejection::NotJson)?);
    }
    scanner.end().map_err(Rejection::NotJson)?;
    if items.is_empty() { Err(Rejection::NotJsonRpc("the batch is empty")) } else { Ok(items) }
}

fn read(scanner: &mut Scanner<'_>, frame: &mut Frame) -> Result<(), ScanError> {
    if scanner.peek()? != Kind::Object {
        frame.problem(Rejection::NotJsonRpc("a message is an object"));
        scanner.value()?;
        return scanner.end();
    }
    let mut walk = scanner.object()?;
    while let Some(key) = scanner.member(&mut walk)? {
        match member(key, &["jsonrpc", "id", "method", "params", "result", "error"]) {
            Some("jsonrpc") => {
                let version = scanner.value()?;
                // Other spellings of the same string are as good, though nobody writes them.
                let known = version == "\"2.0\"" || Str::parse(version).is_ok_and(|version| version.is("2.0"));
                frame.put("jsonrpc", |frame| &mut frame.jsonrpc, known);
            }
            Some("id") => id(scanner, frame)?,
            Some("method") => {
                if scanner.peek()? != Kind::String {
                    frame.problem(Rejection::NotJsonRpc("`method` must be a string"));
                }
                if let Some(method) = string(scanner, frame, "method")? {
                    frame.put("method", |frame| &mut frame.method, method);
                }
            }
            Some("params") => params(scanner, frame)?,
            Some("result") => {
                let result = span(scanner)?;
                frame.put("result", |frame| &mut frame.outcome, Outcome::Result(result));
            }
            Some("error") => {
                let error = span(scanner)?;
                frame.put("error", |frame| &mut frame.outcome, Outcome::Error(error));
            }
            Some(_) | None => drop(scanner.value()?),
        }
    }
    scanner.end()
}

/// The known member that `key` names. Keys with escapes are compared by value, so that no spelling of a
/// member goes unseen.
fn member(key: Str<'_>, known: &[&'static str]) -> Option<&'static str> {
    known.iter().copied().find(|name| key.is(name))
}

fn span(scanner: &mut Scanner<'_>) -> Result<Span, ScanError> {
    let text = scanner.value()?;
    Ok(Span::ending_at(scanner.offset(), text))
}

/// Ids are strings or integers, never `null`.
fn id(scanner: &mut Scanner<'_>, frame: &mut Frame) -> Result<(), ScanError> {
    let kind = scanner.peek()?;
    let text = scanner.value()?;
    let integer = kind == Kind::Number && text.parse::<i64>().is_ok();
    if kind == Kind::String || integer {
        let id = Span::ending_at(scanner.offset(), text);
        frame.put("id", |frame| &mut frame.id, id);
    } else {
        frame.problem(Rejection::NotJsonRpc("`id` must be a string or an integer"));
    }
    Ok(())
}

fn string(scanner: &mut Scanner<'_>, frame: &mut Frame, field: &'static str) -> Result<Option<StrSpan>, ScanError> {
    let kind = scanner.peek()?;
    if kind != Kind::String {
        scanner.value()?;
        frame.malformed(field, "a string", kind);
        return Ok(None);
    }
    let string = scanner.string()?;
    // The closing quote is consumed, so the text ends one byte earlier.
    let span = Span::ending_at(scanner.offset() - 1, string.raw());
    Ok(Some(StrSpan { span, escaped: string.is_escaped() }))
}

fn object(scanner: &mut Scanner<'_>, frame: &mut Frame, field: &'static str) -> Result<Option<Span>, ScanError> {
    let kind = scanner.peek()?;
    let span = span(scanner)?;
    if kind != Kind::Object {
        frame.malformed(field, "an object", kind);
        return Ok(None);
    }
    Ok(Some(span))
}

/// Enters `params` or `_meta`; anything but an object is a problem of the frame.
fn enter(scanner: &mut Scanner<'_>, frame: &mut Frame, field: &'static str) -> Result<Option<Walk>, ScanError> {
    let kind = scanner.peek()?;
    if kind != Kind::Object {
        scanner.value()?;
        frame.malformed(field, "an object", kind);
        return Ok(None);
    }
    scanner.object().map(Some)
}

fn params(scanner: &mut Scanner<'_>, frame: &mut Frame) -> Result<(), ScanError> {
    let Some(mut walk) = enter(scanner, frame, "params")? else { return Ok(()) };
    let start = scanner.offset() - 1;
    let before = std::mem::take(&mut frame.params);
    if before.raw.is_some() {
        frame.problem(Rejection::DuplicateMember("params"));
    }
    const KNOWN: [&str; 7] = ["_meta", "name", "arguments", "uri", "cursor", "inputResponses", "requestState"];
    while let Some(key) = scanner.member(&mut walk)? {
        match member(key, &KNOWN) {
            Some("_meta") => meta(scanner, frame)?,
            Some("arguments") => {
                if let Some(span) = object(scanner, frame, "params.arguments")? {
                    frame.put("params.arguments", |frame| &mut frame.params.arguments, span);
                }
            }
            Some("inputResponses") => {
                if let Some(span) = object(scanner, frame, "params.inputResponses")? {
                    frame.put("params.inputResponses", |frame| &mut frame.params.input_responses, span);
                }
            }
            Some("name") => text(scanner, frame, "params.name", |params| &mut params.name)?,
            Some("uri") => text(scanner, frame, "params.uri", |params| &mut params.uri)?,
            Some("cursor") => text(scanner, frame, "params.cursor", |params| &mut params.cursor)?,
            Some("requestState") => text(scanner, frame, "params.requestState", |params| &mut params.request_state)?,
            Some(_) | None => drop(scanner.value()?),
        }
    }
    frame.params.raw = Some(Span::between(start, scanner.offset()));
    Ok(())
}

fn text(
    scanner: &mut Scanner<'_>,
    frame: &mut Frame,
    field: &'static str,
    slot: fn(&mut ParamSpans) -> &mut Option<StrSpan>,
) -> Result<(), ScanError> {
    if let Some(string) = string(scanner, frame, field)?
        && slot(&mut frame.params).replace(string).is_some()
    {
        frame.problem(Rejection::DuplicateMember(field));
    }
    Ok(())
}

fn meta(scanner: &mut Scanner<'_>, frame: &mut Frame) -> Result<(), ScanError> {
    let Some(mut walk) = enter(scanner, frame, "params._meta")? else { return Ok(()) };
    let before = std::mem::replace(&mut frame.params.meta, MetaSpans { present: true, ..MetaSpans::default() });
    if before.present {
        frame.problem(Rejection::DuplicateMember("params._meta"));
    }
    while let Some(key) = scanner.member(&mut walk)? {
        meta_member(scanner, frame, key)?;
    }
    Ok(())
}

fn meta_member(scanner: &mut Scanner<'_>, frame: &mut Frame, key: Str<'_>) -> Result<(), ScanError> {
    const KNOWN: [&str; 8] = [
        meta::PROTOCOL_VERSION,
        meta::CLIENT_CAPABILITIES,
        meta::CLIENT_INFO,
        meta::LOG_LEVEL,
        meta::PROGRESS_TOKEN,
        meta::TRACEPARENT,
        meta::TRACESTATE,
        meta::BAGGAGE,
    ];
    let Some(field) = member(key, &KNOWN) else { return scanner.value().map(drop) };
    match field {
        meta::CLIENT_CAPABILITIES => {
            if let Some(span) = object(scanner, frame, path::CLIENT_CAPABILITIES)? {
                let field = path::CLIENT_CAPABILITIES;
                frame.put(field, |frame| &mut frame.params.meta.client_capabilities, span);
            }
        }
        meta::CLIENT_INFO => {
            if let Some(span) = object(scanner, frame, path::CLIENT_INFO)? {
                frame.put(path::CLIENT_INFO, |frame| &mut frame.params.meta.client_info, span);
            }
        }
        meta::PROGRESS_TOKEN => {
            let kind = scanner.peek()?;
            let text = scanner.value()?;
            if kind == Kind::String || kind == Kind::Number && text.parse::<i64>().is_ok() {
                let token = Span::ending_at(scanner.offset(), text);
                frame.put(path::PROGRESS_TOKEN, |frame| &mut frame.params.meta.progress_token, token);
            } else {
                frame.malformed(path::PROGRESS_TOKEN, "a string or an integer", kind);
            }
        }
        meta::PROTOCOL_VERSION => {
            meta_text(scanner, frame, path::PROTOCOL_VERSION, |meta| &mut meta.protocol_version)?;
        }
        meta::LOG_LEVEL => meta_text(scanner, frame, path::LOG_LEVEL, |meta| &mut meta.log_level)?,
        meta::TRACEPARENT => meta_text(scanner, frame, path::TRACEPARENT, |meta| &mut meta.traceparent)?,
        meta::TRACESTATE => meta_text(scanner, frame, path::TRACESTATE, |meta| &mut meta.tracestate)?,
        meta::BAGGAGE => meta_text(scanner, frame, path::BAGGAGE, |meta| &mut meta.baggage)?,
        _ => drop(scanner.value()?),
    }
    Ok(())
}

fn meta_text(
    scanner: &mut Scanner<'_>,
    frame: &mut Frame,
    field: &'static str,
    slot: fn(&mut MetaSpans) -> &mut Option<StrSpan>,
) -> Result<(), ScanError> {
    if let Some(string) = string(scanner, frame, field)?
        && slot(&mut frame.params.meta).replace(string).is_some()
    {
        frame.problem(Rejection::DuplicateMember(field));
    }
    Ok(())
}
