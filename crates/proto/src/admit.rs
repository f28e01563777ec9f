//! Admission: the one function that decides what a message is and whether it may be looked at.
//!
//! Nothing else reads a message first. It parses the frame, decides the era, and for modern requests holds
//! the headers against the body, in an order that lets a client of another revision learn what it needs:
//! the frame, `_meta`'s version against the version header, whether that version is spoken, the other
//! headers (whose rules an unknown version may have changed), then the required `_meta` fields.
//!
//! Spec: basic/index, "`_meta`"; basic/versioning; basic/transports/streamable-http, "Server Validation".

pub(crate) mod frame;
mod headers;
pub(crate) mod member;

use crate::header::{self, Headers};
use crate::logging::LoggingLevel;
use crate::meta::path;
use crate::method::{LegacyMethod, Method};
use crate::name_param::NameParam;
use crate::param_header::ParamHeaders;
use crate::reject::{Refused, Rejection};
use crate::request::{Answer, Notice, Request, StrSpan};
use crate::scan::Scanner;
use crate::version::{Era, Version};
use frame::{Frame, Outcome};

pub use member::Member;

/// The most messages that a legacy batch may hold. Only revision 2025-03-26 has batches.
pub const MAX_BATCH: usize = 64;

/// A message that may be looked at.
#[derive(Debug)]
pub enum Admitted {
    /// A modern request.
    Request(Request),
    /// A modern notification.
    Notice(Notice),
    /// A message of a legacy client; its session is for the front to check.
    Legacy(LegacyMessage),
    /// Several messages of a legacy client, in the order in which they came.
    LegacyBatch(Vec<LegacyMessage>),
}

/// A message of a legacy client.
#[derive(Debug)]
pub struct LegacyMessage {
    /// The revision that the version header declares, where there is one.
    pub declared: Option<Version>,
    /// What the message is.
    pub kind: LegacyKind,
}

/// The kinds of messages that legacy clients send.
#[derive(Debug)]
pub enum LegacyKind {
    /// A request.
    Request(Request),
    /// A notification.
    Notice(Notice),
    /// The answer to a request that the server sent.
    Answer(Answer),
}

/// How a message came.
#[derive(Debug, Clone, Copy)]
pub enum Carrier<'a> {
    /// By HTTP, with these headers, which must agree with the body.
    Http(&'a dyn Headers),
    /// On a stream that has no headers: stdio and its like.
    Stream,
}

/// Admits one message. `param_headers` finds the arguments that a tool wants mirrored into headers.
///
/// # Errors
/// [`Refused`] says why, and which request it answers where that could be read.
pub fn admit<'t>(
    carrier: Carrier<'_>,
    body: Vec<u8>,
    param_headers: impl FnOnce(&str) -> Option<&'t ParamHeaders>,
) -> Result<Admitted, Refused> {
    let body = String::from_utf8(body)
        .map_err(|error| Refused::anonymous(Rejection::NotUtf8(error.utf8_error().valid_up_to())))?;
    if body.trim_ascii_start().starts_with('[') {
        return batch(carrier, &body);
    }
    let frame = frame::parse(&body)?;
    let refuse = |rejection| Refused { id: frame.id_text(&body), rejection };
    let era = era(carrier, &frame).map_err(refuse)?;
    match era {
        Era::Legacy => {
            let declared = declared(carrier).map_err(refuse)?;
            legacy(declared, frame, body).map(Admitted::Legacy)
        }
        Era::Modern => {
            answers_nothing(&frame).map_err(refuse)?;
            if frame.id.is_none() {
                return notice(frame, body).map(Admitted::Notice);
            }
            let version = check_modern(carrier, &frame, &body, param_headers).map_err(refuse)?;
            request(version, frame, body).map(Admitted::Request)
        }
    }
}

/// Admits one modern request whose body stays where it is. `None` is any other message, which is for [`admit`].
///
/// # Errors
/// Those of [`admit`].
pub fn check<'b, 't>(
    carrier: Carrier<'_>,
    body: &'b [u8],
    param_headers: impl FnOnce(&str) -> Option<&'t ParamHeaders>,
) -> Result<Option<Request<&'b str>>, Refused> {
    let body =
        std::str::from_utf8(body).map_err(|error| Refused::anonymous(Rejection::NotUtf8(error.valid_up_to())))?;
    if body.trim_ascii_start().starts_with('[') {
        return Ok(None);
    }
    let frame = frame::parse(body)?;
    let refuse = |rejection| Refused { id: frame.id_text(body), rejection };
    if era(carrier, &frame).map_err(refuse)? == Era::Legacy {
        return Ok(None);
    }
    answers_nothing(&frame).map_err(refuse)?;
    if frame.id.is_none() {
        return Ok(None);
    }
    let version = check_modern(carrier, &frame, body, param_headers).map_err(refuse)?;
    request(version, frame, body).map(Some)
}

fn declared(carrier: Carrier<'_>) -> Result<Option<Version>, Rejection> {
    match carrier {
        Carrier::Http(headers) => declared_version(headers),
        Carrier::Stream => Ok(None),
    }
}

/// The revision that the version header names, where there is one; of requests without a message too.
///
/// # Errors
/// If the header stands twice, cannot be read, or names a version that is not spoken.
pub fn declared_version(headers: &dyn Headers) -> Result<Option<Version>, Rejection> {
    let header = headers::single(headers, &header::PROTOCOL_VERSION)?;
    let version = |value| Version::parse(value).ok_or_else(|| Rejection::UnsupportedVersion(value.to_owned()));
    header.map(version).transpose()
}

/// Which era's rules a message follows. A message that declares a version in `_meta` is modern, whatever
/// else it says; without that, the header decides; without both, only what legacy revisions lack is taken
/// for modern, so that the refusal tells the sender what is missing: some methods, and `_meta` that says
/// who the client is or what it can do.
fn era(carrier: Carrier<'_>, frame: &Frame) -> Result<Era, Rejection> {
    let meta = &frame.params.meta;
    if meta.protocol_version.is_some() {
        return Ok(Era::Modern);
    }
    let of_body = || match meta.client_capabilities.is_some() || meta.client_info.is_some() {
        true => Era::Modern,
        false => era_of_method(frame),
    };
    Ok(declared(carrier)?.map_or_else(of_body, Version::era))
}

fn era_of_method(frame: &Frame) -> Era {
    match frame.known {
        Some(Method::Discover | Method::SubscriptionsListen) => Era::Modern,
        Some(
            Method::ToolsList
            | Method::ToolsCall
            | Method::PromptsList
            | Method::PromptsGet
            | Method::ResourcesList
            | Method::ResourceTemplatesList
            | Method::ResourcesRead
            | Method::Complete,
        )
        | None => Era::Legacy,
    }
}

/// In modern revisions only servers answer.
pub(crate) fn answers_nothing(frame: &Frame) -> Result<(), Rejection> {
    match frame.outcome {
        Some(_) => Err(Rejection::NotJsonRpc("clients send no responses in this revision")),
        None => Ok(()),
    }
}

/// What holds for every modern request, in the order that the module's documentation gives.
pub(crate) fn check_modern<'t>(
    carrier: Carrier<'_>,
    frame: &Frame,
    body: &str,
    param_headers: impl FnOnce(&str) -> Option<&'t ParamHeaders>,
) -> Result<Version, Rejection> {
    let meta = &frame.params.meta;
    // A version of the wrong kind is a problem of the frame, which says so; it is not missing.
    let missing = || frame.problem.clone().unwrap_or(Rejection::ParamMissing(path::PROTOCOL_VERSION));
    let requested = meta.protocol_version.ok_or_else(missing)?.of(body);
    if let Carrier::Http(headers) = carrier {
        headers::must_equal(headers, &header::PROTOCOL_VERSION, requested)?;
    }
    let requested = requested.decode();
    let version = Version::parse(&requested)
        .filter(|version| version.era() == Era::Modern)
        .ok_or_else(|| Rejection::UnsupportedVersion(requested.into_owned()))?;
    frame.problem.clone().map_or(Ok(()), Err)?;
    let method = frame.method.ok_or(Rejection::NotJsonRpc("`method` is missing"))?.of(body);
    if let Carrier::Http(headers) = carrier {
        headers::must_equal(headers, &header::METHOD, method)?;
    }
    let name = name_source(frame)?;
    if let (Carrier::Http(headers), Some(name)) = (carrier, name) {
        headers::must_equal_encoded(headers, &header::NAME, name.of(body))?;
    }
    if meta.client_capabilities.is_none() {
        return Err(Rejection::ParamMissing(path::CLIENT_CAPABILITIES));
    }
    if let Some(level) = meta.log_level.map(|level| level.of(body).decode())
        && LoggingLevel::parse(&level).is_none()
    {
        let expected = "one of debug, info, notice, warning, error, critical, alert, emergency";
        return Err(Rejection::ParamMalformed { field: path::LOG_LEVEL, expected, found: format!("`{level}`") });
    }
    if let (Carrier::Http(headers), true, Some(name)) = (carrier, frame.known == Some(Method::ToolsCall), name)
        && let Some(expected) = param_headers(&name.of(body).decode())
    {
        let arguments = frame.params.arguments.map(|span| span.of(body));
        expected.check(headers, arguments).map_err(Rejection::ParamHeader)?;
    }
    Ok(version)
}

/// Holds `Mcp-Name` against `params.<member>` of an admitted request, for the methods of an extension that has it so.
///
/// # Errors
/// If the member is missing or no string, or the header says something else.
pub fn check_name<B: AsRef<str>>(
    headers: &dyn Headers,
    request: &Request<B>,
    member: &'static str,
) -> Result<(), Rejection> {
    let mut scanner = Scanner::new(request.params());
    let mut walk = scanner.object().map_err(Rejection::NotJson)?;
    while let Some(key) = scanner.member(&mut walk).map_err(Rejection::NotJson)? {
        if !key.is(member) {
            scanner.value().map_err(Rejection::NotJson)?;
            continue;
        }
        let malformed = |_| Rejection::ParamMalformed { field: member, expected: "a string", found: String::new() };
        return headers::must_equal_encoded(headers, &header::NAME, scanner.string().map_err(malformed)?);
    }
    Err(Rejection::ParamMissing(member))
}

/// Where the member of `params` stands that `Mcp-Name` mirrors; the methods that have one require it.
fn name_source(frame: &Frame) -> Result<Option<StrSpan>, Rejection> {
    let params = &frame.params;
    match frame.known.and_then(Method::name_param) {
        Some(NameParam::Name) => params.name.map(Some).ok_or(Rejection::ParamMissing("params.name")),
        Some(NameParam::Uri) => params.uri.map(Some).ok_or(Rejection::ParamMissing("params.uri")),
        Some(NameParam::TaskId) | None => Ok(None),
    }
}

fn request<B: AsRef<str>>(version: Version, frame: Frame, body: B) -> Result<Request<B>, Refused> {
    let refuse = |rejection| Refused { id: frame.id_text(body.as_ref()), rejection };
    if let Some(problem) = frame.problem.clone() {
        return Err(refuse(problem));
    }
    let (Some(id), Some(method)) = (frame.id, frame.method) else {
        return Err(refuse(Rejection::NotJsonRpc("`id` or `method` is missing")));
    };
    name_source(&frame).map_err(refuse)?;
    Ok(Request { id, method, known: frame.known, version, params: frame.params, body })
}

fn notice(frame: Frame, body: String) -> Result<Notice, Refused> {
    if let Some(problem) = frame.problem {
        return Err(Refused::anonymous(problem));
    }
    let Some(method) = frame.method else {
        return Err(Refused::anonymous(Rejection::NotJsonRpc("`id` or `method` is missing")));
    };
    Ok(Notice { method, params: frame.params.raw, body })
}

fn legacy(declared: Option<Version>, frame: Frame, body: String) -> Result<LegacyMessage, Refused> {
    let kind = match (frame.method, frame.id, frame.outcome) {
        (Some(_), Some(_), None) => {
            LegacyKind::Request(request(declared.unwrap_or(Version::V2025_03_26), frame, body)?)
        }
        (Some(_), None, None) => LegacyKind::Notice(notice(frame, body)?),
        (None, Some(id), Some(outcome)) => {
            if let Some(problem) = frame.problem {
                return Err(Refused::anonymous(problem));
            }
            let outcome = match outcome {
                Outcome::Result(span) => Ok(span),
                Outcome::Error(span) => Err(span),
            };
            LegacyKind::Answer(Answer { body, id, outcome })
        }
        (Some(_), _, Some(_)) | (None, None, _) | (None, Some(_), None) => {
            let rejection = Rejection::NotJsonRpc("neither a request, a notification nor a response");
            return Err(Refused { id: frame.id_text(&body), rejection: frame.problem.unwrap_or(rejection) });
        }
    };
    Ok(LegacyMessage { declared, kind })
}

/// A batch, which only 2025-03-26 knows; clients of that revision need not send the version header.
fn batch(carrier: Carrier<'_>, body: &str) -> Result<Admitted, Refused> {
    let items = frame::items(body, MAX_BATCH).map_err(Refused::anonymous)?;
    let declared = declared(carrier).map_err(Refused::anonymous)?;
    if declared.is_some_and(|version| version != Version::V2025_03_26) {
        return Err(Refused::anonymous(Rejection::NotJsonRpc("this revision has no batches")));
    }
    let mut messages = Vec::with_capacity(items.len());
    for item in items {
        let frame = frame::parse(item)?;
        if frame.params.meta.protocol_version.is_some() {
            return Err(Refused::anonymous(Rejection::NotJsonRpc("this revision has no batches")));
        }
        messages.push(legacy(declared, frame, item.to_owned())?);
    }
    match messages.iter().any(LegacyMessage::opens_session) {
        true => Err(Refused::anonymous(Rejection::NotJsonRpc("`initialize` cannot be part of a batch"))),
        false => Ok(Admitted::LegacyBatch(messages)),
    }
}

impl LegacyMessage {
    /// Whether this is the `initialize` request.
    pub fn opens_session(&self) -> bool {
        match &self.kind {
            LegacyKind::Request(request) => request.method_name() == LegacyMethod::Initialize.as_str(),
            LegacyKind::Notice(_) | LegacyKind::Answer(_) => false,
        }
    }
}
