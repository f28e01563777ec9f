//! The bars: what `echo` costs when nothing is checked that the protocol asks to be checked.
//!
//! Both read the JSON-RPC frame first and the parameters from its raw text, as a server must that
//! dispatches by method. They differ in who owns the text on its way from the request to the answer.

use std::borrow::Cow;

use axum::{
    Router,
    body::Body,
    http::{HeaderValue, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::post,
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Room for everything in an answer but the text.
const ANSWER_FRAME: usize = 160;

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow)]
    id: &'a RawValue,
    #[serde(borrow)]
    method: Cow<'a, str>,
    #[serde(borrow)]
    params: &'a RawValue,
}

#[derive(Deserialize)]
struct Call<'a, A> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    arguments: A,
}

#[derive(Deserialize)]
struct BorrowedArguments<'a> {
    #[serde(borrow)]
    text: Cow<'a, str>,
}

#[derive(Deserialize)]
struct OwnedArguments {
    text: String,
}

#[derive(Serialize)]
struct Answer<'a, R> {
    jsonrpc: &'static str,
    id: &'a RawValue,
    result: R,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CallToolResult<C> {
    result_type: &'static str,
    content: C,
}

#[derive(Serialize)]
struct Text<T> {
    r#type: &'static str,
    text: T,
}

/// The limit: the text is borrowed from the request's body and written into an answer of the right size.
pub fn borrowed() -> Router {
    Router::new().route("/mcp", post(async |body: Bytes| respond(echo_borrowed(&body))))
}

/// The typed limit: the arguments are deserialized into a struct that owns the text, and a result that
/// owns it is serialized. Large payloads are measured against this one.
pub fn typed() -> Router {
    Router::new().route("/mcp", post(async |body: Bytes| respond(echo_typed(&body))))
}

fn echo_borrowed(body: &[u8]) -> Option<Vec<u8>> {
    let (id, params) = call_of(body)?;
    let call: Call<'_, BorrowedArguments<'_>> = serde_json::from_str(params).ok()?;
    if call.name != "echo" {
        return None;
    }
    let mut answer = Vec::with_capacity(call.arguments.text.len() + ANSWER_FRAME);
    let content = [Text { r#type: "text", text: &*call.arguments.text }];
    serde_json::to_writer(&mut answer, &answer_to(id, content)).ok()?;
    Some(answer)
}

fn echo_typed(body: &[u8]) -> Option<Vec<u8>> {
    let (id, params) = call_of(body)?;
    let call: Call<'_, OwnedArguments> = serde_json::from_str(params).ok()?;
    if call.name != "echo" {
        return None;
    }
    let content = vec![Text { r#type: "text", text: call.arguments.text }];
    serde_json::to_vec(&answer_to(id, content)).ok()
}

fn call_of(body: &[u8]) -> Option<(&RawValue, &str)> {
    let frame: Frame<'_> = serde_json::from_slice(body).ok()?;
    (frame.method == "tools/call").then_some((frame.id, frame.params.get()))
}

fn answer_to<C>(id: &RawValue, content: C) -> Answer<'_, CallToolResult<C>> {
    Answer { jsonrpc: "2.0", id, result: CallToolResult { result_type: "complete", content } }
}

fn respond(answer: Option<Vec<u8>>) -> Response {
    let Some(answer) = answer else { return StatusCode::BAD_REQUEST.into_response() };
    let mut response = Response::new(Body::from(answer));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: &str = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"_meta":{"a":{}},"name":"echo","arguments":{"text":"a\nb"}}}"#;
    const ANSWER: &str =
        r#"{"jsonrpc":"2.0","id":7,"result":{"resultType":"complete","content":[{"type":"text","text":"a\nb"}]}}"#;

    #[test]
    fn both_limits_answer_the_same_bytes() {
        assert_eq!(echo_borrowed(CALL.as_bytes()).unwrap(), ANSWER.as_bytes());
        assert_eq!(echo_typed(CALL.as_bytes()).unwrap(), ANSWER.as_bytes());
    }

    #[test]
    fn both_limits_refuse_another_tool_and_another_method() {
        for other in [CALL.replace("\"echo\"", "\"other\""), CALL.replace("tools/call", "tools/list")] {
            assert!(echo_borrowed(other.as_bytes()).is_none());
            assert!(echo_typed(other.as_bytes()).is_none());
        }
    }
}
