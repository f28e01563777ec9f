//! What must be right about an answer.

use std::borrow::Cow;

use anyhow::{Context, Result, ensure};
use memchr::memmem;
use serde_json::Value;

use super::Era;
use crate::http::{self, Bare, Message, shown};

/// The id is looked for in this many bytes at either end of an answer.
const ID_WINDOW: usize = 256;

/// Parses the response at the start of `input`; `None` while some of it is missing.
///
/// # Errors
/// When the status is not `status` or the response is not HTTP.
pub(super) fn response<'a>(input: &'a [u8], status: &str) -> Result<Option<Message<'a>>> {
    if !has_head(input, status)? {
        return Ok(None);
    }
    http::parse(input, Bare::Refused)
}

/// Whether the head at the start of `input` is complete; its status is checked when it is.
///
/// # Errors
/// As [`response`].
pub(super) fn has_head(input: &[u8], status: &str) -> Result<bool> {
    let Some(head) = http::head(input) else { return Ok(false) };
    let is_right = head.strip_prefix(b"HTTP/1.1 ").is_some_and(|rest| rest.starts_with(status.as_bytes()));
    ensure!(is_right, "not a {status}: {}", shown(input));
    Ok(true)
}

/// Checks what can be checked at full speed: that the answer is to this request.
///
/// # Errors
/// When the id is in neither end of the body.
pub(super) fn id(body: &[u8], id_member: &[u8]) -> Result<()> {
    let (head, tail) = (&body[..body.len().min(ID_WINDOW)], &body[body.len().saturating_sub(ID_WINDOW)..]);
    let found = memmem::find(head, id_member).is_some() || memmem::find(tail, id_member).is_some();
    ensure!(found, "an answer without {}: {}", String::from_utf8_lossy(id_member), shown(body));
    Ok(())
}

/// Checks everything: a complete result of the call `id` whose one content block is `text`.
///
/// # Errors
/// When anything differs.
pub(super) fn echo(body: &[u8], id: u64, text: &str, era: Era) -> Result<()> {
    let result = result(body, id, era)?;
    let content = result["content"].as_array().map_or(&[][..], Vec::as_slice);
    let is_right = result["isError"].as_bool() != Some(true)
        && content.len() == 1
        && content[0]["type"] == "text"
        && content[0]["text"] == text;
    ensure!(is_right, "not the echo of call {id}: {}", shown(body));
    Ok(())
}

/// Checks that it is a list with the tool `echo`.
///
/// # Errors
/// When it is not.
pub(super) fn list(body: &[u8], id: u64, era: Era) -> Result<()> {
    let result = result(body, id, era)?;
    let tools = result["tools"].as_array().map_or(&[][..], Vec::as_slice);
    ensure!(tools.iter().any(|tool| tool["name"] == "echo"), "not a list with echo: {}", shown(body));
    Ok(())
}

/// Checks that it is the beginning of a session.
///
/// # Errors
/// When it is not.
pub(super) fn initialized(body: &[u8], id: u64) -> Result<()> {
    let result = result(body, id, Era::Legacy)?;
    ensure!(result["protocolVersion"].is_string(), "not the answer to initialize: {}", shown(body));
    Ok(())
}

/// The session that a response opens.
///
/// # Errors
/// When it opens none.
pub(super) fn session<'a>(response: &'a Message<'_>) -> Result<Cow<'a, str>> {
    let session = response.header(b"mcp-session-id:").filter(|session| !session.is_empty());
    let session = session.with_context(|| format!("no session in {}", shown(response.head)))?;
    Ok(String::from_utf8_lossy(session))
}

/// The message in a body, which is the last event's data where it is an event stream.
pub(super) fn json_of(body: &[u8]) -> &[u8] {
    let json = match memmem::rfind(body, b"\ndata:") {
        Some(at) => &body[at + "\ndata:".len()..],
        None => body.strip_prefix(b"data:").unwrap_or(body),
    };
    json.trim_ascii()
}

fn result(body: &[u8], id: u64, era: Era) -> Result<Value> {
    let mut answer: Value =
        serde_json::from_slice(json_of(body)).with_context(|| format!("not JSON: {}", shown(body)))?;
    let is_complete = match era {
        Era::Modern => answer["result"]["resultType"] == "complete",
        Era::Legacy => answer["result"].is_object(),
    };
    ensure!(answer["jsonrpc"] == "2.0" && answer["id"] == id && is_complete, "not the answer to {id}: {}", shown(body));
    Ok(answer["result"].take())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ECHO: &str =
        r#"{"jsonrpc":"2.0","id":7,"result":{"resultType":"complete","content":[{"type":"text","text":"a"}]}}"#;

    #[test]
    fn a_status_other_than_the_right_one_is_an_error() {
        assert!(response(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", "200").is_err());
        assert!(response(b"HTTP/1.1 200 OK\r\n\r\n", "200").is_err());
        assert!(response(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n", "202").unwrap().is_some());
    }

    #[test]
    fn an_echo_is_checked_in_full_whether_plain_or_an_event() {
        let modern = |body: &str, id, text| echo(body.as_bytes(), id, text, Era::Modern);
        modern(ECHO, 7, "a").unwrap();
        modern(&format!("event: message\ndata: {ECHO}\n\n"), 7, "a").unwrap();
        assert!(modern(ECHO, 8, "a").is_err());
        assert!(modern(ECHO, 7, "b").is_err());
        assert!(modern(&ECHO.replace("]}}", "],\"isError\":true}}"), 7, "a").is_err());
    }

    #[test]
    fn only_a_modern_answer_has_to_say_that_it_is_complete() {
        let legacy = ECHO.replace("\"resultType\":\"complete\",", "");
        assert!(echo(legacy.as_bytes(), 7, "a", Era::Modern).is_err());
        echo(legacy.as_bytes(), 7, "a", Era::Legacy).unwrap();
    }

    #[test]
    fn an_id_is_found_at_either_end() {
        let long = "x".repeat(2 * ID_WINDOW);
        id(format!("{{\"id\":12,{long}").as_bytes(), b"\"id\":12").unwrap();
        id(format!("{long},\"id\":12}}").as_bytes(), b"\"id\":12").unwrap();
        assert!(id(long.as_bytes(), b"\"id\":12").is_err());
    }

    #[test]
    fn a_session_is_needed_and_a_list_has_echo() {
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n";
        let opened = format!("{head}Mcp-Session-Id: s-1\r\n\r\n");
        assert_eq!(session(&response(opened.as_bytes(), "200").unwrap().unwrap()).unwrap(), "s-1");
        assert!(session(&response(format!("{head}\r\n").as_bytes(), "200").unwrap().unwrap()).is_err());
        let tools = |name| format!(r#"{{"jsonrpc":"2.0","id":7,"result":{{"tools":[{{"name":"{name}"}}]}}}}"#);
        list(tools("echo").as_bytes(), 7, Era::Legacy).unwrap();
        assert!(list(tools("other").as_bytes(), 7, Era::Legacy).is_err());
    }
}
