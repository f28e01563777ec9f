//! Results on their way to the wire.

use anypod_proto::code::Code;
use anypod_proto::completion::CompleteResult;
use anypod_proto::content::ContentBlock;
use anypod_proto::escape;
use anypod_proto::jsonrpc::{ResultBody, ResultType};
use anypod_proto::legacy::{self, downgraded_text};
use anypod_proto::method::Method;
use anypod_proto::prompts::GetPromptResult;
use anypod_proto::reject::{Rejection, error_response};
use anypod_proto::resources::ReadResourceResult;
use anypod_proto::rounds::InputRequiredResult;
use anypod_proto::tools::CallToolResult;
use anypod_proto::version::Version;
use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use serde::de::Error as _;
use serde_json::{Map, Value};
use std::sync::Arc;

use crate::backend::Refusal;
use crate::extension::MethodResult;
use crate::server::Server;

/// A complete result.
pub(crate) enum Completed {
    /// Of `tools/call`.
    Tool(CallToolResult),
    /// Of `prompts/get`.
    Prompt(GetPromptResult),
    /// Of `resources/read`.
    Read(ReadResourceResult),
    /// Of `completion/complete`.
    Completion(CompleteResult),
    /// Of a method of an extension, or of a tool that an extension answers.
    Method(MethodResult),
    /// A whole result object, `_meta` included.
    Ready(Arc<str>),
    /// The same from a backend.
    Raw(Bytes),
}

/// Why there is no result.
#[derive(Debug, Clone)]
pub(crate) enum Failure {
    /// The protocol says so.
    Rejected(Rejection),
    /// The handler says so.
    Protocol {
        /// The JSON-RPC code.
        code: i32,
        /// What the caller is told.
        message: String,
        /// And more.
        data: Option<Value>,
    },
    /// Somebody behind the backend says so, to be passed on as it is.
    Passed {
        /// The status of plain JSON to a modern client.
        status: StatusCode,
        /// The JSON-RPC code.
        code: i32,
        /// What the caller is told.
        message: String,
        /// And more.
        data: Option<Value>,
    },
    /// Somebody behind the backend wants credentials, or others.
    Unauthorized {
        /// The status, of legacy clients too.
        status: StatusCode,
        /// The values of `WWW-Authenticate`.
        challenge: Vec<HeaderValue>,
    },
}

/// What a caller is told whose credentials will not do.
pub(crate) const UNAUTHORIZED: &str = "the server wants authorization";

impl Failure {
    /// The JSON-RPC code.
    pub(crate) const fn code(&self) -> i32 {
        match self {
            Self::Rejected(rejection) => rejection.code().number(),
            Self::Unauthorized { .. } => Code::InvalidRequest.number(),
            Self::Protocol { code, .. } | Self::Passed { code, .. } => *code,
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Rejected(rejection) => Self::Rejected(rejection),
            Refusal::Error { status, code, message, data } => Self::Passed { status, code, message, data },
            Refusal::Unauthorized { status, challenge } => Self::Unauthorized { status, challenge },
        }
    }
}

impl From<Rejection> for Failure {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

/// A response of the modern era: its body, and its status if it goes out as plain JSON.
pub(crate) struct Response {
    pub(crate) status: StatusCode,
    pub(crate) retry_after_secs: Option<u32>,
    /// The values of `WWW-Authenticate`.
    pub(crate) challenge: Vec<HeaderValue>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// One that says nothing beyond its body.
    pub(crate) const fn new(status: StatusCode, body: Vec<u8>) -> Self {
        Self { status, retry_after_secs: None, challenge: Vec::new(), body }
    }

    /// A result; `id` is the raw JSON of the request's id.
    pub(crate) fn result(server: &Server, id: &str, completed: Completed) -> Self {
        match write(server, id, completed) {
            Ok(body) => Self::new(StatusCode::OK, body),
            Err(error) => {
                tracing::error!(%error, "a result is not JSON");
                Self::failure(Some(id), &Rejection::Internal.into())
            }
        }
    }

    /// A round's questions.
    pub(crate) fn round(server: &Server, id: &str, result: InputRequiredResult) -> Self {
        match write_body(server, id, result, 1024) {
            Ok(body) => Self::new(StatusCode::OK, body),
            Err(error) => {
                tracing::error!(%error, "a round is not JSON");
                Self::failure(Some(id), &Rejection::Internal.into())
            }
        }
    }

    /// An error.
    pub(crate) fn failure(id: Option<&str>, failure: &Failure) -> Self {
        match failure {
            Failure::Rejected(rejection) => Self {
                retry_after_secs: rejection.retry_after_secs(),
                ..Self::new(rejection.status(), rejection.to_response(id))
            },
            // The request was well-formed and reached its handler; what the handler says is JSON-RPC's
            // business, not HTTP's.
            Failure::Protocol { code, message, data } => {
                Self::new(StatusCode::OK, error_response(id, Code::permitted(*code), message, data.as_ref()))
            }
            Failure::Passed { status, code, message, data } => {
                Self::new(*status, error_response(id, *code, message, data.as_ref()))
            }
            Failure::Unauthorized { status, challenge } => Self {
                challenge: challenge.clone(),
                ..Self::new(*status, error_response(id, failure.code(), UNAUTHORIZED, None))
            },
        }
    }
}

fn write(server: &Server, id: &str, completed: Completed) -> serde_json::Result<Vec<u8>> {
    match completed {
        Completed::Tool(result) => write_tool(server, id, result),
        Completed::Prompt(result) => write_body(server, id, result, 256),
        Completed::Read(result) => write_body(server, id, result, 1024),
        Completed::Completion(result) => write_body(server, id, result, 256),
        Completed::Method(result) => write_body(server, id, result.0, 1024),
        Completed::Ready(text) => Ok(splice(id, text.as_bytes())),
        Completed::Raw(json) => Ok(splice(id, &json)),
    }
}

/// A whole result behind the id.
fn splice(id: &str, result: &[u8]) -> Vec<u8> {
    let mut out = envelope(id, result.len());
    out.extend_from_slice(result);
    out.push(b'}');
    out
}

/// Writes the result of a tool. The common one, plain text and nothing else, is written without `serde`,
/// whose string serializer is several times slower on long texts; a test holds both to the same bytes.
fn write_tool(server: &Server, id: &str, result: CallToolResult) -> serde_json::Result<Vec<u8>> {
    let payload: usize = result.content.iter().map(ContentBlock::payload_len).sum();
    let CallToolResult {
        result_type: ResultType::Complete,
        content,
        structured_content: None,
        is_error: None,
        meta: None,
        extra,
    } = &result
    else {
        return write_body(server, id, result, payload);
    };
    let is_plain = |block: &ContentBlock| match block {
        ContentBlock::Text(text) => text.annotations.is_none() && text.meta.is_none(),
        ContentBlock::Image(_) | ContentBlock::Audio(_) | ContentBlock::ResourceLink(_) | ContentBlock::Resource(_) => {
            false
        }
    };
    if !(extra.is_empty() && content.iter().all(is_plain)) {
        return write_body(server, id, result, payload);
    }
    let identity = &server.inner.identity;
    let mut out = envelope(id, payload + payload / 16 + identity.len() + 128);
    out.push(b'{');
    out.extend_from_slice(identity.as_bytes());
    out.extend_from_slice(br#","resultType":"complete","content":["#);
    for (at, text) in content.iter().filter_map(ContentBlock::as_text).enumerate() {
        out.extend_from_slice(if at == 0 { br#"{"type":"text","text":"# } else { br#",{"type":"text","text":"# });
        escape::push_string(&mut out, text);
        out.push(b'}');
    }
    out.extend_from_slice(b"]}}");
    Ok(out)
}

fn envelope(id: &str, size_hint: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 + id.len() + size_hint);
    out.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
    out.extend_from_slice(id.as_bytes());
    out.extend_from_slice(br#","result":"#);
    out
}

/// A result of a tool as JSON that stands alone, for who keeps it.
///
/// # Errors
/// If it is no JSON.
pub(crate) fn kept(server: &Server, completed: Completed) -> serde_json::Result<String> {
    let response = write(server, "null", completed)?;
    let result = response.strip_prefix(br#"{"jsonrpc":"2.0","id":null,"result":"#.as_slice());
    let result = result.and_then(|rest| rest.strip_suffix(b"}")).unwrap_or_default();
    Ok(String::from_utf8_lossy(result).into_owned())
}

/// Writes a result once, with the server's identity in its `_meta`. Where the handler has set no `_meta`
/// of its own, which is the rule, the identity is spliced in as ready text.
fn write_body<R: ResultBody>(
    server: &Server,
    id: &str,
    mut result: R,
    size_hint: usize,
) -> serde_json::Result<Vec<u8>> {
    let identity = &server.inner.identity;
    let mut out = envelope(id, size_hint + identity.len() + 128);
    if let Some(meta) = result.meta_mut() {
        meta.server_info.get_or_insert_with(|| Arc::clone(&server.inner.info));
        serde_json::to_writer(&mut out, &result)?;
    } else {
        out.push(b'{');
        out.extend_from_slice(identity.as_bytes());
        let comma = out.len();
        serde_json::to_writer(&mut out, &result)?;
        // Every result has at least `resultType`, so the brace that opens it becomes the comma before it.
        if let Some(brace) = out.get_mut(comma) {
            *brace = b',';
        }
    }
    out.push(b'}');
    Ok(out)
}

impl Completed {
    /// The result as a legacy client of that revision may see it, as JSON on one line; `method` is none that the
    /// specification defines if it is `None`.
    pub(crate) fn into_legacy(self, method: Option<Method>, version: Version) -> serde_json::Result<String> {
        if let (Self::Raw(json), Some(method)) = (&self, method)
            && let Some(text) = std::str::from_utf8(json).ok().and_then(|text| downgraded_text(method, version, text))
        {
            return Ok(text);
        }
        serde_json::to_string(&self.read_as_legacy(method, version)?)
    }

    fn read_as_legacy(self, method: Option<Method>, version: Version) -> serde_json::Result<Map<String, Value>> {
        let value = match self {
            Self::Tool(result) => serde_json::to_value(result)?,
            Self::Prompt(result) => serde_json::to_value(result)?,
            Self::Read(result) => serde_json::to_value(result)?,
            Self::Completion(result) => serde_json::to_value(result)?,
            Self::Method(result) => serde_json::to_value(result.0)?,
            Self::Ready(text) => serde_json::from_str(&text)?,
            Self::Raw(json) => return downgraded(serde_json::from_slice(&json)?, method, version),
        };
        match value {
            Value::Object(result) => downgraded(result, method, version),
            other => downgraded(Map::from_iter([("value".to_owned(), other)]), method, version),
        }
    }
}

/// # Errors
/// If the result is not complete, but of a kind that came later than the client.
fn downgraded(
    mut result: Map<String, Value>,
    method: Option<Method>,
    version: Version,
) -> serde_json::Result<Map<String, Value>> {
    let Some(method) = method else {
        legacy::downgrade_any(version, &mut result);
        return Ok(result);
    };
    match ResultType::of(&result) {
        ResultType::Complete => legacy::downgrade(method, version, &mut result),
        kind @ (ResultType::InputRequired | ResultType::Other(_)) => {
            return Err(serde_json::Error::custom(format_args!("a legacy client cannot read a result of type {kind}")));
        }
    }
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_is_written_as_serde_writes_it() {
        let server = Server::new("s", "1").build().unwrap();
        for texts in [vec![], vec!["a\u{1}\"b"], vec!["one", "two", ""]] {
            let result = CallToolResult::new(texts.into_iter().map(ContentBlock::text).collect());
            let by_serde = write_body(&server, "7", result.clone(), 0).unwrap();
            assert_eq!(String::from_utf8(write_tool(&server, "7", result).unwrap()), String::from_utf8(by_serde));
        }
    }
}
