//! The JSON-RPC frame, cut into its parts in one pass over the body.

use super::member::{Member, Within};
use crate::method::Method;
use crate::reject::{Refused, Rejection};
use crate::request::{MetaSpans, ParamSpans, Span, StrSpan};
use crate::scan::{Kind, ScanError, Scanner, Str};

/// The parts of a frame. What is wrong with it beyond JSON is kept in `problem`, so that the whole frame is
/// read and the refusal can name the request it answers.
#[derive(Debug, Default)]
pub(crate) struct Frame {
    jsonrpc: Option<bool>,
    pub(crate) id: Option<Span>,
    pub(crate) method: Option<StrSpan>,
    /// The method, if the specification defines it.
    pub(crate) known: Option<Method>,
    pub(crate) params: ParamSpans,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) problem: Option<Rejection>,
}

/// What a response carries.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Outcome {
    Result(Span),
    Error(Span),
}

/// The value of a member that counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found<'a> {
    pub(crate) kind: Kind,
    /// Its text; that of a string without the quotes.
    pub(crate) text: &'a str,
    /// Whether a string has escapes.
    pub(crate) escaped: bool,
    /// Where all of it stands.
    pub(crate) span: Span,
}

impl Found<'_> {
    /// Ids are strings or integers, never `null`; progress tokens too.
    fn is_id(&self) -> bool {
        match self.kind {
            Kind::String => true,
            Kind::Number => self.text.parse::<i64>().is_ok(),
            Kind::Null | Kind::Bool | Kind::Array | Kind::Object => false,
        }
    }

    fn is_string(&self, text: &str) -> bool {
        self.kind == Kind::String && Str::from_scanned(self.text, self.escaped).is(text)
    }
}

impl Frame {
    /// The raw JSON of the id, to be echoed.
    pub(crate) fn id_text(&self, body: &str) -> Option<String> {
        self.id.map(|id| id.of(body).to_owned())
    }

    /// Notes what is wrong, if nothing has been wrong before.
    pub(crate) fn problem(&mut self, rejection: Rejection) {
        self.problem.get_or_insert(rejection);
    }

    /// An object whose members count begins.
    pub(crate) fn enter(&mut self, within: Within) {
        let twice = match within {
            Within::Message => false,
            Within::Params => std::mem::take(&mut self.params).raw.is_some(),
            Within::Meta => {
                let meta = MetaSpans { present: true, ..MetaSpans::default() };
                std::mem::replace(&mut self.params.meta, meta).present
            }
        };
        if twice {
            self.problem(Rejection::DuplicateMember(match within {
                Within::Message | Within::Params => Member::Params.path(),
                Within::Meta => Member::Meta.path(),
            }));
        }
    }

    /// It has ended.
    pub(crate) fn leave(&mut self, within: Within, span: Span) {
        if within == Within::Params {
            self.params.raw = Some(span);
        }
    }

    /// Puts the value of a member where it belongs, or notes that it does not.
    pub(crate) fn put(&mut self, member: Member, found: Found<'_>) {
        match member {
            Member::JsonRpc => {
                let known = found.is_string("2.0");
                self.fill(member, |frame| &mut frame.jsonrpc, known);
            }
            Member::Id if found.is_id() => self.fill(member, |frame| &mut frame.id, found.span),
            Member::Id => self.problem(Rejection::NotJsonRpc("`id` must be a string or an integer")),
            Member::Method if found.kind == Kind::String => self.text(member, |frame| &mut frame.method, found),
            Member::Method => self.problem(Rejection::NotJsonRpc("`method` must be a string")),
            Member::Params | Member::Meta => self.malformed(member, "an object", found.kind),
            Member::Result => self.fill(member, |frame| &mut frame.outcome, Outcome::Result(found.span)),
            Member::Error => self.fill(member, |frame| &mut frame.outcome, Outcome::Error(found.span)),
            Member::Name => self.text(member, |frame| &mut frame.params.name, found),
            Member::Uri => self.text(member, |frame| &mut frame.params.uri, found),
            Member::Cursor => self.text(member, |frame| &mut frame.params.cursor, found),
            Member::Arguments => self.object(member, |frame| &mut frame.params.arguments, found),
            Member::InputResponses => self.object(member, |frame| &mut frame.params.input_responses, found),
            Member::RequestState => self.text(member, |frame| &mut frame.params.request_state, found),
            Member::ProtocolVersion => self.text(member, |frame| &mut frame.params.meta.protocol_version, found),
            Member::ClientCapabilities => {
                self.object(member, |frame| &mut frame.params.meta.client_capabilities, found);
            }
            Member::ClientInfo => self.object(member, |frame| &mut frame.params.meta.client_info, found),
            Member::LogLevel => self.text(member, |frame| &mut frame.params.meta.log_level, found),
            Member::ProgressToken if found.is_id() => {
                self.fill(member, |frame| &mut frame.params.meta.progress_token, found.span);
            }
            Member::ProgressToken => self.malformed(member, "a string or an integer", found.kind),
            Member::Traceparent => self.text(member, |frame| &mut frame.params.meta.traceparent, found),
            Member::Tracestate => self.text(member, |frame| &mut frame.params.meta.tracestate, found),
            Member::Baggage => self.text(member, |frame| &mut frame.params.meta.baggage, found),
        }
    }

    fn fill<T>(&mut self, member: Member, slot: fn(&mut Self) -> &mut Option<T>, value: T) {
        if slot(self).replace(value).is_some() {
            self.problem(Rejection::DuplicateMember(member.path()));
        }
    }

    fn text(&mut self, member: Member, slot: fn(&mut Self) -> &mut Option<StrSpan>, found: Found<'_>) {
        match found.kind {
            Kind::String => {
                self.fill(member, slot, StrSpan { span: found.span.within_quotes(), escaped: found.escaped });
            }
            other => self.malformed(member, "a string", other),
        }
    }

    fn object(&mut self, member: Member, slot: fn(&mut Self) -> &mut Option<Span>, found: Found<'_>) {
        match found.kind {
            Kind::Object => self.fill(member, slot, found.span),
            other => self.malformed(member, "an object", other),
        }
    }

    fn malformed(&mut self, member: Member, expected: &'static str, found: Kind) {
        let found = found.name().to_owned();
        self.problem(Rejection::ParamMalformed { field: member.path(), expected, found });
    }

    /// Says whether what was read is a message of JSON-RPC. `body` is what the positions count in.
    pub(crate) fn conclude(&mut self, body: &str) -> Result<(), Refused> {
        if self.jsonrpc != Some(true) {
            self.problem = Some(Rejection::NotJsonRpc("`jsonrpc` must be \"2.0\""));
        }
        if self.problem.is_none() && self.method.is_none() && self.outcome.is_none() {
            self.problem = Some(Rejection::NotJsonRpc("`method` is missing"));
        }
        self.known = self.method.and_then(|method| Method::parse(&method.of(body).decode()));
        match &self.problem {
            Some(problem @ Rejection::NotJsonRpc(_)) => {
                Err(Refused { id: self.id_text(body), rejection: problem.clone() })
            }
            _ => Ok(()),
        }
    }
}

/// Parses a frame.
pub(super) fn parse(body: &str) -> Result<Frame, Refused> {
    let mut scanner = Scanner::new(body);
    let mut frame = Frame::default();
    read(&mut scanner, &mut frame).map_err(|error| Refused::anonymous(Rejection::NotJson(error)))?;
    frame.conclude(body)?;
    Ok(frame)
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
    if scanner.peek()? == Kind::Object {
        members(scanner, frame, Within::Message)?;
    } else {
        frame.problem(Rejection::NotJsonRpc("a message is an object"));
        scanner.value()?;
    }
    scanner.end()
}

fn members(scanner: &mut Scanner<'_>, frame: &mut Frame, within: Within) -> Result<(), ScanError> {
    let mut walk = scanner.object()?;
    while let Some(key) = scanner.member(&mut walk)? {
        match within.member(key) {
            Some(member) => value(scanner, frame, member)?,
            None => drop(scanner.value()?),
        }
    }
    Ok(())
}

fn value(scanner: &mut Scanner<'_>, frame: &mut Frame, member: Member) -> Result<(), ScanError> {
    let kind = scanner.peek()?;
    let start = scanner.offset();
    if let (Kind::Object, Some(within)) = (kind, member.within()) {
        frame.enter(within);
        members(scanner, frame, within)?;
        frame.leave(within, Span::between(start, scanner.offset()));
        return Ok(());
    }
    let (text, escaped) = match kind {
        Kind::String => scanner.string().map(|string| (string.raw(), string.is_escaped()))?,
        Kind::Null | Kind::Bool | Kind::Number | Kind::Array | Kind::Object => (scanner.value()?, false),
    };
    frame.put(member, Found { kind, text, escaped, span: Span::between(start, scanner.offset()) });
    Ok(())
}
