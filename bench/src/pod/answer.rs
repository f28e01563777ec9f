//! What a pod answers.

use std::{borrow::Cow, collections::HashMap, fmt::Write as _, ops::Range};

use memchr::{memchr2, memmem};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{http::Message, load::Era};

const TEXT: &[u8] = br#""text":""#;
const AFTER_TEXT: &[u8] = br#""}]}}"#;
/// What lists and the discovery say about how long they hold, and for whom.
const CACHEABLE: &str = r#""resultType":"complete","ttlMs":3600000,"cacheScope":"public""#;

/// One answer. Its text is a range of the request's body.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) before: Vec<u8>,
    pub(super) text: Range<usize>,
    pub(super) after: &'static [u8],
}

/// What a pod knows.
pub(super) struct Answers {
    era: Era,
    tools: usize,
    /// Part of the session ids, so that other pods do not know them.
    port: u16,
    sessions: u64,
    /// The members of `tools/list`, by the name that the tools are called after.
    lists: HashMap<String, String>,
}

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    method: Cow<'a, str>,
    #[serde(borrow)]
    params: Option<Params<'a>>,
}

#[derive(Deserialize)]
struct Params<'a> {
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
}

impl Answers {
    pub(super) fn new(era: Era, tools: usize, port: u16) -> Self {
        Self { era, tools, port, sessions: 0, lists: HashMap::new() }
    }

    pub(super) fn to(&mut self, request: &Message<'_>) -> Answer {
        let mut start = request.head.split(|byte| *byte == b' ').map(|part| str::from_utf8(part).unwrap_or_default());
        let (http_method, path) = (start.next().unwrap_or_default(), start.next().unwrap_or_default());
        let called_after = path.strip_prefix('/').and_then(|path| path.strip_suffix("/mcp")).unwrap_or("echo");
        match http_method {
            "POST" => self.post(request, called_after),
            "DELETE" if self.era == Era::Legacy => status("200 OK", ""),
            _ => status("405 Method Not Allowed", "Allow: POST\r\n"),
        }
    }

    fn post(&mut self, request: &Message<'_>, called_after: &str) -> Answer {
        let body = &*request.body;
        // A text with escapes is not cut out, and so not found to be one that can be echoed.
        let text = text_of(body).unwrap_or(0..0);
        let frame = [&body[..text.start], &body[text.end..]].concat();
        let Ok(Frame { id, method, params }) = serde_json::from_slice(&frame) else {
            return status("400 Bad Request", "");
        };
        let is_initialize = method == "initialize" && self.era == Era::Legacy;
        if self.era == Era::Legacy && !is_initialize && !self.is_open(request) {
            return status("400 Bad Request", "");
        }
        let Some(id) = id.map(RawValue::get) else { return status("202 Accepted", "") };
        let name = params.and_then(|params| params.name).unwrap_or_default();
        match (&*method, self.era) {
            ("tools/call", _) if self.has(&name, called_after) => echo(id, text, self.era),
            ("tools/list", _) => result(id, "", self.list(called_after)),
            ("server/discover", Era::Modern) => result(
                id,
                "",
                &format!(r#"{CACHEABLE},"supportedVersions":["2026-07-28"],"capabilities":{{"tools":{{}}}}"#),
            ),
            ("ping", Era::Legacy) => result(id, "", ""),
            ("initialize", Era::Legacy) => self.initialize(id),
            _ => refusal(id),
        }
    }

    fn has(&self, name: &str, called_after: &str) -> bool {
        match name.strip_prefix(called_after) {
            Some("") => true,
            Some(rest) => rest
                .strip_prefix('_')
                .and_then(|number| number.parse().ok())
                .is_some_and(|number| (1..self.tools).contains(&number)),
            None => false,
        }
    }

    /// The tool without a number comes last, where looking for it takes longest.
    fn list(&mut self, called_after: &str) -> &str {
        let (era, tools) = (self.era, self.tools);
        self.lists.entry(called_after.to_owned()).or_insert_with(|| {
            let numbered = (1..tools).map(|number| tool(&format!("{called_after}_{number}")));
            let tools: Vec<_> = numbered.chain([tool(called_after)]).collect();
            let tools = format!(r#""tools":[{}]"#, tools.join(","));
            match era {
                Era::Modern => format!("{CACHEABLE},{tools}"),
                Era::Legacy => tools,
            }
        })
    }

    fn initialize(&mut self, id: &str) -> Answer {
        let session = format!("Mcp-Session-Id: {}-{}\r\n", self.port, self.sessions);
        self.sessions += 1;
        let members = r#""protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"pod","version":"1.0.0"}"#;
        result(id, &session, members)
    }

    fn is_open(&self, request: &Message<'_>) -> bool {
        let session = request.header(b"mcp-session-id:").and_then(|value| str::from_utf8(value).ok());
        let number = session.and_then(|session| {
            let (port, number) = session.split_once('-')?;
            (port.parse() == Ok(self.port)).then_some(number)?.parse::<u64>().ok()
        });
        number.is_some_and(|number| number < self.sessions)
    }
}

fn tool(name: &str) -> String {
    format!(
        r#"{{"name":"{name}","description":"Says the text back.","inputSchema":{{"type":"object","properties":{{"text":{{"type":"string"}}}},"required":["text"]}}}}"#
    )
}

/// Where the text of a call stands in its body.
fn text_of(body: &[u8]) -> Option<Range<usize>> {
    let start = memmem::find(body, TEXT)? + TEXT.len();
    let end = start + memchr2(b'"', b'\\', &body[start..])?;
    (body[end] == b'"').then_some(start..end)
}

fn echo(id: &str, text: Range<usize>, era: Era) -> Answer {
    let complete = match era {
        Era::Modern => r#""resultType":"complete","#,
        Era::Legacy => "",
    };
    let start = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{{complete}"content":[{{"type":"text","text":""#);
    let mut before = head("200 OK", "", start.len() + text.len() + AFTER_TEXT.len());
    before.push_str(&start);
    Answer { before: before.into(), text, after: AFTER_TEXT }
}

fn result(id: &str, headers: &str, members: &str) -> Answer {
    json("200 OK", headers, &format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{{members}}}}}"#))
}

fn refusal(id: &str) -> Answer {
    let error =
        format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32601,"message":"No such method or tool"}}}}"#);
    json("404 Not Found", "", &error)
}

fn status(status: &str, headers: &str) -> Answer {
    json(status, headers, "")
}

fn json(status: &str, headers: &str, body: &str) -> Answer {
    Answer { before: (head(status, headers, body.len()) + body).into(), text: 0..0, after: b"" }
}

fn head(status: &str, headers: &str, length: usize) -> String {
    let mut head = String::with_capacity(256);
    let content_type = if length > 0 { "Content-Type: application/json\r\n" } else { "" };
    write!(head, "HTTP/1.1 {status}\r\n{content_type}{headers}Content-Length: {length}\r\n\r\n")
        .expect("writing to a string never fails");
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_found_only_where_it_has_no_escapes() {
        let body = br#"{"arguments":{"text":"abc"},"id":1}"#;
        assert_eq!(&body[text_of(body).unwrap()], b"abc");
        assert_eq!(text_of(br#"{"text":"a\"b"}"#), None);
        assert_eq!(text_of(br#"{"text":"abc"#), None);
    }
}
