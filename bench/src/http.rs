//! As much of HTTP/1.1 as it takes to find where a message ends, and what its headers say.

use std::{borrow::Cow, ops::Range};

use anyhow::{Context, Result};
use memchr::memmem;

/// How much of a wrong message an error shows.
const SHOWN: usize = 400;

/// What has no length and no chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bare {
    /// A message without a body, as a request may be.
    Empty,
    /// An error: the end of a response that only closes its connection cannot be seen.
    Refused,
}

/// A message that has arrived as a whole.
#[derive(Debug)]
pub(crate) struct Message<'a> {
    /// The start line and the headers, without the empty line.
    pub(crate) head: &'a [u8],
    /// The body, taken out of its chunks where there were any.
    pub(crate) body: Cow<'a, [u8]>,
    /// How many bytes of the input the message took.
    pub(crate) taken: usize,
}

impl Message<'_> {
    /// The value of the header `name`, which is written in lower case and ends in a colon.
    pub(crate) fn header(&self, name: &[u8]) -> Option<&[u8]> {
        headers(self.head).find_map(|line| value_of(line, name))
    }
}

/// Parses the message at the start of `input`; `None` while some of it is missing.
///
/// # Errors
/// When it is not HTTP, or is bare where it may not be.
pub(crate) fn parse(input: &[u8], bare: Bare) -> Result<Option<Message<'_>>> {
    let Some(head) = head(input) else { return Ok(None) };
    let start = head.len() + 4;
    match framing(head, bare)? {
        Framing::Length(length) => {
            let taken = start + length;
            Ok(input.get(start..taken).map(|body| Message { head, body: Cow::Borrowed(body), taken }))
        }
        Framing::Chunked => {
            let mut body = Vec::new();
            let Some(taken) = join_chunks(input, start, |range| body.extend_from_slice(&input[range]))? else {
                return Ok(None);
            };
            Ok(Some(Message { head, body: Cow::Owned(body), taken }))
        }
    }
}

/// The head at the start of `input`, without the empty line; `None` while some of it is missing.
pub(crate) fn head(input: &[u8]) -> Option<&[u8]> {
    memmem::find(input, b"\r\n\r\n").map(|end| &input[..end])
}

/// The beginning of `bytes`, for an error.
pub(crate) fn shown(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN)])
}

/// How the body of a message is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Length(usize),
    Chunked,
}

fn framing(head: &[u8], bare: Bare) -> Result<Framing> {
    let mut framing = (bare == Bare::Empty).then_some(Framing::Length(0));
    for line in headers(head) {
        if let Some(value) = value_of(line, b"content-length:") {
            framing = Some(Framing::Length(std::str::from_utf8(value)?.parse()?));
        } else if value_of(line, b"transfer-encoding:").is_some() {
            framing = Some(Framing::Chunked);
        }
    }
    framing.with_context(|| format!("neither length nor chunks: {}", shown(head)))
}

/// The header lines of `head`.
fn headers(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    memmem::find_iter(head, b"\r\n").map(move |end| {
        let line = &head[end + 2..];
        &line[..memchr::memchr(b'\r', line).unwrap_or(line.len())]
    })
}

/// The value of the header `line` if it is called `name`.
fn value_of<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (called, value) = line.split_at_checked(name.len())?;
    called.eq_ignore_ascii_case(name).then(|| value.trim_ascii())
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

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: x\r\nContent-Length: 3\r\n\r\nabcHTTP";
    const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n";

    #[test]
    fn a_message_is_whole_at_its_last_byte_and_not_before() {
        for (input, taken) in [(PLAIN, PLAIN.len() - 4), (CHUNKED, CHUNKED.len())] {
            for cut in 0..taken {
                assert!(parse(&input[..cut], Bare::Refused).unwrap().is_none(), "{cut}");
            }
            let message = parse(input, Bare::Refused).unwrap().unwrap();
            assert_eq!((&*message.body, message.taken), (&b"abc"[..], taken));
        }
    }

    #[test]
    fn only_a_request_may_have_neither_length_nor_chunks() {
        let bare = b"GET /mcp HTTP/1.1\r\nAccept: x\r\n\r\n";
        assert!(parse(bare, Bare::Refused).is_err());
        let request = parse(bare, Bare::Empty).unwrap().unwrap();
        assert_eq!((request.body.len(), request.taken), (0, bare.len()));
    }

    #[test]
    fn a_header_is_found_whatever_its_case_and_not_by_a_part_of_its_name() {
        let message = parse(PLAIN, Bare::Refused).unwrap().unwrap();
        assert_eq!(message.header(b"content-type:"), Some(&b"x"[..]));
        assert_eq!(message.header(b"content-length:"), Some(&b"3"[..]));
        assert_eq!(message.header(b"length:"), None);
    }
}
