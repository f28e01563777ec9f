//! Every way in which a message can be refused before a handler sees it, and what each becomes on the wire.
//!
//! Spec: basic/index, "Error Codes"; basic/transports/streamable-http, "Server Validation".

use http::{HeaderName, StatusCode};
use serde_json::{Value, json};

use crate::capabilities::ClientCapabilities;
use crate::code::Code;
use crate::param_header::{ParamMismatch, ParamMismatchKind};
use crate::scan::ScanError;
use crate::version::Version;

/// Why a message is refused. Sorted by whose fault it is.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Rejection {
    // The message is malformed.
    /// The body is not UTF-8; the number is the offset of the first bad byte.
    #[error("the body is not UTF-8 (byte {0})")]
    NotUtf8(usize),
    /// The body is not JSON.
    #[error("the body is not JSON: {0}")]
    NotJson(ScanError),
    /// The JSON is not a JSON-RPC message of the kind that belongs here.
    #[error("not a valid JSON-RPC message: {0}")]
    NotJsonRpc(&'static str),
    /// A member that counts stands twice, so that two readers could see two requests.
    #[error("`{0}` is given twice")]
    DuplicateMember(&'static str),
    /// A required member of `params` is missing.
    #[error("`{0}` is missing")]
    ParamMissing(&'static str),
    /// A member of `params` is of the wrong kind.
    #[error("`{field}` must be {expected}, got {found}")]
    ParamMalformed {
        /// The path of the member.
        field: &'static str,
        /// What belongs there.
        expected: &'static str,
        /// The kind of value that came.
        found: String,
    },
    /// An argument of a prompt is missing or is no text.
    #[error("`params.arguments.{name}` {problem}")]
    Argument {
        /// The argument.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The client's answer to a question does not fit the question.
    #[error("`params.inputResponses.{key}` does not fit what was asked: {reason}")]
    InputResponse {
        /// The key of the question.
        key: String,
        /// What is wrong with the answer.
        reason: String,
    },
    /// A member of `params` names something that does not exist, or must not be known to exist.
    #[error("unknown {what}: {name}")]
    Unknown {
        /// What kind of thing was asked for: `tool`, `prompt`, `resource`, `cursor`, …
        what: &'static str,
        /// The member of the error's `data` that carries the name: `name` or `uri`.
        key: &'static str,
        /// What was asked for.
        name: String,
    },
    /// A cursor that does not open here, or whose place in the list is gone.
    #[error("`params.cursor` is not valid for this list; list again from the start")]
    UnknownCursor,
    /// A required header is missing.
    #[error("header {header} is missing; expected `{expected}`")]
    HeaderMissing {
        /// The header.
        header: HeaderName,
        /// What the body says it should have been.
        expected: String,
    },
    /// A header stands twice.
    #[error("header {0} is given more than once")]
    HeaderRepeated(HeaderName),
    /// A header's value cannot be read.
    #[error("header {header} cannot be read: {reason}")]
    HeaderMalformed {
        /// The header.
        header: HeaderName,
        /// What is wrong with it.
        reason: String,
    },
    /// A header says something else than the body.
    #[error("header {header} is `{found}` but the body says `{expected}`")]
    HeaderMismatch {
        /// The header.
        header: HeaderName,
        /// What the body says.
        expected: String,
        /// What the header says.
        found: String,
    },
    /// A `Mcp-Param-*` header does not agree with the arguments.
    #[error(transparent)]
    ParamHeader(ParamMismatch),
    /// The body is longer than the limit in bytes.
    #[error("the body is larger than {0} bytes")]
    TooLarge(usize),
    /// The body did not arrive in full.
    #[error("the body could not be read")]
    Truncated,

    // Not allowed, or unknown.
    /// The `Origin` or `Host` is not one that this server answers to.
    #[error("{header} `{value}` is not allowed")]
    Forbidden {
        /// The header.
        header: HeaderName,
        /// Its value.
        value: String,
    },
    /// A rule lets the caller use the tool or prompt, but not with these arguments.
    #[error("not allowed with these arguments")]
    ForbiddenArguments,
    /// No such method.
    #[error("unknown method: {0}")]
    UnknownMethod(String),
    /// The HTTP method is none that this endpoint takes.
    #[error("HTTP method not allowed: {0}")]
    HttpMethod(&'static str),
    /// The client does not accept what this endpoint sends.
    #[error("the Accept header must allow {0}")]
    NotAcceptable(&'static str),
    /// The body is not declared as JSON.
    #[error("Content-Type must be application/json")]
    MediaType,
    /// The session does not open: forged, expired, or of another deployment.
    #[error("unknown session; send `initialize` again")]
    UnknownSession,
    /// A legacy request without a session.
    #[error("header mcp-session-id is missing; send `initialize` first, or say in `_meta` which revision this speaks")]
    SessionMissing,
    /// The state of a round does not open here: forged, expired, or made for another request.
    #[error("`requestState` is not valid for this request; start again without it")]
    UnknownState,

    // The peer cannot.
    /// The declared version is none that this server speaks.
    #[error("unsupported protocol version: {0}")]
    UnsupportedVersion(String),
    /// The request needs capabilities that the client did not declare.
    #[error("the client did not declare a capability that this request needs")]
    MissingCapability(Box<ClientCapabilities>),

    // Our side.
    /// The caller has used up its share for now.
    #[error("too many requests; try again in {retry_after_secs} s")]
    RateLimited {
        /// When to try again.
        retry_after_secs: u32,
    },
    /// The server is full or about to stop.
    #[error("the server is busy; try again in {retry_after_secs} s")]
    Busy {
        /// When to try again.
        retry_after_secs: u32,
    },
    /// The request took longer than it may.
    #[error("the request took too long")]
    DeadlineExceeded,
    /// Something broke; the log says what.
    #[error("internal error")]
    Internal,
}

impl Rejection {
    /// The status of the HTTP answer that carries this refusal.
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::NotUtf8(_)
            | Self::NotJson(_)
            | Self::NotJsonRpc(_)
            | Self::DuplicateMember(_)
            | Self::ParamMissing(_)
            | Self::ParamMalformed { .. }
            | Self::Argument { .. }
            | Self::InputResponse { .. }
            | Self::Unknown { .. }
            | Self::UnknownCursor
            | Self::HeaderMissing { .. }
            | Self::HeaderRepeated(_)
            | Self::HeaderMalformed { .. }
            | Self::HeaderMismatch { .. }
            | Self::ParamHeader(_)
            | Self::Truncated
            | Self::SessionMissing
            | Self::UnknownState
            | Self::UnsupportedVersion(_)
            | Self::MissingCapability(_) => StatusCode::BAD_REQUEST,
            Self::Forbidden { .. } | Self::ForbiddenArguments => StatusCode::FORBIDDEN,
            Self::UnknownMethod(_) | Self::UnknownSession => StatusCode::NOT_FOUND,
            Self::HttpMethod(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotAcceptable(_) => StatusCode::NOT_ACCEPTABLE,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::RateLimited { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Busy { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::DeadlineExceeded | Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The JSON-RPC code of the error that carries this refusal.
    pub const fn code(&self) -> Code {
        match self {
            Self::NotUtf8(_) | Self::NotJson(_) => Code::ParseError,
            Self::NotJsonRpc(_)
            | Self::DuplicateMember(_)
            | Self::TooLarge(_)
            | Self::Truncated
            | Self::Forbidden { .. }
            | Self::HttpMethod(_)
            | Self::NotAcceptable(_)
            | Self::MediaType
            | Self::UnknownSession
            | Self::SessionMissing => Code::InvalidRequest,
            Self::ParamMissing(_)
            | Self::ParamMalformed { .. }
            | Self::Argument { .. }
            | Self::InputResponse { .. }
            | Self::Unknown { .. }
            | Self::UnknownCursor
            | Self::ForbiddenArguments
            | Self::UnknownState => Code::InvalidParams,
            Self::HeaderMissing { .. }
            | Self::HeaderRepeated(_)
            | Self::HeaderMalformed { .. }
            | Self::HeaderMismatch { .. }
            | Self::ParamHeader(_) => Code::HeaderMismatch,
            Self::UnknownMethod(_) => Code::MethodNotFound,
            Self::UnsupportedVersion(_) => Code::UnsupportedProtocolVersion,
            Self::MissingCapability(_) => Code::MissingRequiredClientCapability,
            Self::RateLimited { .. } | Self::Busy { .. } | Self::DeadlineExceeded | Self::Internal => {
                Code::InternalError
            }
        }
    }

    /// What the error says beyond its message: which header or field, what was expected, what came.
    pub fn data(&self) -> Option<Value> {
        Some(match self {
            Self::NotUtf8(at) => json!({ "at": at }),
            Self::NotJson(error) => json!({ "at": error.at }),
            Self::DuplicateMember(field) => json!({ "field": field, "expected": "one value" }),
            Self::ParamMissing(field) => json!({ "field": field, "expected": "a value" }),
            Self::ParamMalformed { field, expected, found } => {
                json!({ "field": field, "expected": expected, "found": found })
            }
            Self::Argument { name, problem } => {
                json!({ "field": format!("params.arguments.{name}"), "reason": problem })
            }
            Self::InputResponse { key, reason } => {
                json!({ "field": format!("params.inputResponses.{key}"), "reason": reason })
            }
            Self::Unknown { key, name, .. } => json!({ *key: name }),
            Self::HeaderMissing { header, expected } => {
                json!({ "header": header.as_str(), "expected": expected, "found": null })
            }
            Self::HeaderRepeated(header) => json!({ "header": header.as_str(), "expected": "one value" }),
            Self::HeaderMalformed { header, reason } => json!({ "header": header.as_str(), "reason": reason }),
            Self::HeaderMismatch { header, expected, found } => {
                json!({ "header": header.as_str(), "expected": expected, "found": found })
            }
            Self::ParamHeader(mismatch) => param_header(mismatch),
            Self::TooLarge(limit) => json!({ "limit": limit }),
            Self::Forbidden { header, value } => json!({ "header": header.as_str(), "found": value }),
            Self::ForbiddenArguments => json!({ "field": "params.arguments" }),
            Self::UnsupportedVersion(requested) => {
                json!({ "supported": Version::MODERN.map(Version::as_str), "requested": requested })
            }
            Self::MissingCapability(required) => json!({ "requiredCapabilities": required }),
            Self::RateLimited { retry_after_secs } | Self::Busy { retry_after_secs } => {
                json!({ "retryAfterMs": u64::from(*retry_after_secs) * 1000 })
            }
            Self::UnknownCursor => json!({ "field": "params.cursor" }),
            Self::UnknownState => json!({ "field": "params.requestState" }),
            Self::NotJsonRpc(_)
            | Self::Truncated
            | Self::UnknownMethod(_)
            | Self::HttpMethod(_)
            | Self::NotAcceptable(_)
            | Self::MediaType
            | Self::UnknownSession
            | Self::SessionMissing
            | Self::DeadlineExceeded
            | Self::Internal => return None,
        })
    }

    /// How long the caller is to wait, for the `Retry-After` header, in seconds.
    pub const fn retry_after_secs(&self) -> Option<u32> {
        if let Self::RateLimited { retry_after_secs } | Self::Busy { retry_after_secs } = self {
            return Some(*retry_after_secs);
        }
        None
    }

    /// The JSON-RPC error response; `id` is the raw JSON of the request's id, where it could be read.
    pub fn to_response(&self, id: Option<&str>) -> Vec<u8> {
        error_response(id, self.code().number(), &self.to_string(), self.data().as_ref())
    }
}

fn param_header(mismatch: &ParamMismatch) -> Value {
    let mut data = json!({
        "header": mismatch.header.as_str(),
        "field": format!("params.arguments{}", mismatch.path),
        "reason": mismatch.kind.to_string(),
    });
    let (expected, found) = match &mismatch.kind {
        ParamMismatchKind::Missing { body_value } => (Some(body_value), None),
        ParamMismatchKind::Unexpected { header_value } => (None, Some(header_value)),
        ParamMismatchKind::Differs { header_value, body_value } => (Some(body_value), Some(header_value)),
        ParamMismatchKind::Repeated
        | ParamMismatchKind::Malformed(_)
        | ParamMismatchKind::OutOfRange { .. }
        | ParamMismatchKind::DuplicateKey
        | ParamMismatchKind::Arguments(_) => return data,
    };
    data["expected"] = json!(expected);
    data["found"] = json!(found);
    data
}

/// A JSON-RPC error response; `id` is raw JSON.
pub fn error_response(id: Option<&str>, code: i32, message: &str, data: Option<&Value>) -> Vec<u8> {
    let mut error = json!({ "code": code, "message": message });
    if let Some(data) = data {
        error["data"] = data.clone();
    }
    let id = id.map(|id| format!(r#""id":{id},"#)).unwrap_or_default();
    format!(r#"{{"jsonrpc":"2.0",{id}"error":{error}}}"#).into_bytes()
}

/// A refusal together with the request that it answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Refused {
    /// The raw JSON of the request's id, where it could be read.
    pub id: Option<String>,
    /// Why.
    pub rejection: Rejection,
}

impl Refused {
    /// A refusal of a message whose id is not known.
    pub const fn anonymous(rejection: Rejection) -> Self {
        Self { id: None, rejection }
    }

    /// The JSON-RPC error response.
    pub fn to_response(&self) -> Vec<u8> {
        self.rejection.to_response(self.id.as_deref())
    }
}
