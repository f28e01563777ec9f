//! As much of HTTP/1.1 as it takes to find where an answer ends and to check it.

use std::{borrow::Cow, ops::Range};

use anyhow::{Context, Result, bail, ensure};
use memchr::memmem;
use serde_json::Value;

/// The id is looked for in this many bytes at either end of an answer.
const ID_WINDOW: usize = 256;

/// How much of a wrong answer an error shows.
const SHOWN: usize = 400;

/// How the body of a response is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Length(usize),
    Chunked,
}

/// The body of a response that has arrived as a whole.
#[derive(Debug)]
pub(super) struct Response<'a> {
    /// The body, taken out of its chunks where there were any.
    pub(super) body: Cow<'a, [u8]>,
    /// How many bytes of the input the response took.
    pub(super) taken: usize,
}

/// Parses the response at the start of `input`; `None` while some of it is missing.
///
/// # Errors
/// When the status is not 200 or the response is not HTTP.
pub(super) fn parse(input: &[u8]) -> Result<Option<Response<'_>>> {
    let Some((start, framing)) = parse_head(input)? else { return Ok(None) };
    match framing {
        Framing::Length(length) => {
            let taken = start + length;
            Ok(input.get(start..taken).map(|body| Response { body: Cow::Borrowed(body), taken }))
        }
        Framing::Chunked => {
            let mut body = Vec::new();
            let Some(end) = join_chunks(input, start, |range| body.extend_from_slice(&input[range]))? else {
                return Ok(None);
            };
            Ok(Some(Response { body: Cow::Owned(body), taken: end }))
        }
    }
}

/// Whether the head at the start of `input` is complete; it is checked when it is.
///
/// # Errors
/// As [`parse`].
pub(super) fn has_head(input: &[u8]) -> Result<bool> {
    Ok(parse_head(input)?.is_some())
}

fn parse_head(input: &[u8]) -> Result<Option<(usize, Framing)>> {
    let Some(end) = memmem::find(input, b"\r\n\r\n") else { return Ok(None) };
    let head = &input[..end];
    ensure!(head.starts_with(b"HTTP/1.1 200"), "not a 200: {}", shown(input));
    let mut framing = None;
    let mut rest = head;
    while let Some(line) = memmem::find(rest, b"\r\n") {
        rest = &rest[line + 2..];
        if let Some(value) = value_of(rest, b"content-length:") {
            framing = Some(Framing::Length(std::str::from_utf8(value)?.trim().parse()?));
        } else if value_of(rest, b"transfer-encoding:").is_some() {
            framing = Some(Framing::Chunked);
        }
    }
    let framing = framing.with_context(|| format!("neither length nor chunks: {}", shown(input)))?;
    Ok(Some((end + 4, framing)))
}

/// The value of the header line at the start of `rest` if it is called `name`.
fn value_of<'a>(rest: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let called = rest.get(..name.len())?;
    if !called.eq_ignore_ascii_case(name) {
        return None;
    }
    let value = &rest[name.len()..];
    Some(&value[..memchr::memchr(b'\r', value).unwrap_or(value.len())])
}

/// Hands each chunk's range to `take` and returns where the last one ends; `None` while it is missing.
fn join_chunks(input: &[u8], mut at: usize, mut take: impl FnMut(Range<usize>)) -> Result<Option<usize>> {
    loop {
        let Some(line) = memmem::find(&input[at..], b"\r\n") else { return Ok(None) };
        let size = usize::from_str_radix(std::str::from_utf8(&input[at..at + line])?.trim(), 16)?;
        let start = at + line + 2;
        let end = start + size;
        if input.len() < end + 2 {
            return Ok(None);
        }
        if size == 0 {
            return Ok(Some(end + 2));
        }
        take(start..end);
        at = end + 2;
    }
}

/// Checks what can be checked at full speed: that the answer is to this request.
///
/// # Errors
/// When the id is in neither end of the body.
pub(super) fn check_id(body: &[u8], id_member: &[u8]) -> Result<()> {
    let (head, tail) = (&body[..body.len().min(ID_WINDOW)], &body[body.len().saturating_sub(ID_WINDOW)..]);
    let found = memmem::find(head, id_member).is_some() || memmem::find(tail, id_member).is_some();
    ensure!(found, "an answer without {}: {}", String::from_utf8_lossy(id_member), shown(body));
    Ok(())
}

/// Checks everything: a complete result of the call `id` whose one content block is `text`.
///
/// # Errors
/// When anything differs.
pub(super) fn check_echo(body: &[u8], id: u64, text: &str) -> Result<()> {
    let answer: Value = serde_json::from_slice(json_of(body)).with_context(|| format!("not JSON: {}", shown(body)))?;
    let result = &answer["result"];
    let content = result["content"].as_array().map_or(&[][..], Vec::as_slice);
    let is_right = answer["jsonrpc"] == "2.0"
        && answer["id"] == id
        && result["resultType"] == "complete"
        && result["isError"].as_bool() != Some(true)
        && content.len() == 1
        && content[0]["type"] == "text"
        && content[0]["text"] == text;
    if !is_right {
        bail!("not the echo of call {id}: {}", shown(body));
    }
    Ok(())
}

/// The message in a body, which is the last event's data where it is an event stream.
fn json_of(body: &[u8]) -> &[u8] {
    match memmem::rfind(body, b"\ndata:") {
        Some(at) => &body[at + "\ndata:".len()..],
        None => body.strip_prefix(b"data:").unwrap_or(body),
    }
}

fn shown(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN)])
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: x\r\nContent-Length: 3\r\n\r\nabcHTTP";
    const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n";

    #[test]
    fn a_response_is_whole_at_its_last_byte_and_not_before() {
        for (input, taken) in [(PLAIN, PLAIN.len() - 4), (CHUNKED, CHUNKED.len())] {
            for cut in 0..taken {
                assert!(parse(&input[..cut]).unwrap().is_none(), "{cut}");
            }
            let response = parse(input).unwrap().unwrap();
            assert_eq!((&*response.body, response.taken), (&b"abc"[..], taken));
        }
    }

    #[test]
    fn a_status_other_than_200_is_an_error() {
        assert!(parse(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n").is_err());
        assert!(parse(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }

    #[test]
    fn an_echo_is_checked_in_full_whether_plain_or_an_event() {
        let answer =
            r#"{"jsonrpc":"2.0","id":7,"result":{"resultType":"complete","content":[{"type":"text","text":"a"}]}}"#;
        check_echo(answer.as_bytes(), 7, "a").unwrap();
        check_echo(format!("event: message\ndata: {answer}\n\n").as_bytes(), 7, "a").unwrap();
        assert!(check_echo(answer.as_bytes(), 8, "a").is_err());
        assert!(check_echo(answer.as_bytes(), 7, "b").is_err());
        assert!(check_echo(answer.replace("]}}", "],\"isError\":true}}").as_bytes(), 7, "a").is_err());
    }

    #[test]
    fn an_id_is_found_at_either_end() {
        let long = "x".repeat(2 * ID_WINDOW);
        check_id(format!("{{\"id\":12,{long}").as_bytes(), b"\"id\":12").unwrap();
        check_id(format!("{long},\"id\":12}}").as_bytes(), b"\"id\":12").unwrap();
        assert!(check_id(long.as_bytes(), b"\"id\":12").is_err());
    }
}
