//! Server-sent events: writing them, and reading them from chunks that end anywhere.
//!
//! Spec: basic/transports/streamable-http; the format by WHATWG HTML, "Server-sent events".

mod decode;

pub use self::decode::{Decoder, Limits, MAX_NAME_LEN, Received, SseError};

use std::time::Duration;

/// One event of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Event<'a> {
    /// Where the stream can be resumed after this event. Legacy revisions only.
    pub id: Option<&'a str>,
    /// The type. `None` is `message`.
    pub event: Option<&'a str>,
    /// The content. May have several lines; how they end is not kept.
    pub data: &'a str,
    /// How long the reader shall wait before it connects again.
    pub retry: Option<Duration>,
}

/// Appends `event` to `out`, ready to be sent.
///
/// Line breaks have no place in `id` and `event`, nor has NUL in `id`; from there on they are cut off, so
/// that no value can add a field or an event of its own.
pub fn encode_event(out: &mut Vec<u8>, event: &Event<'_>) {
    if let Some(id) = event.id {
        push_field(out, b"id", until(id, &['\r', '\n', '\0']));
    }
    if let Some(name) = event.event {
        push_field(out, b"event", until(name, &['\r', '\n']));
    }
    if let Some(retry) = event.retry {
        push_field(out, b"retry", &retry.as_millis().to_string());
    }
    encode_data(out, event.data);
}

/// Appends an event that has only `data`. Serialized JSON has no line breaks and is copied at once.
pub fn encode_data(out: &mut Vec<u8>, data: &str) {
    out.reserve(data.len() + 8);
    for line in lines(data) {
        push_field(out, b"data", line);
    }
    out.push(b'\n');
}

/// Appends a comment, which readers pass over: it keeps a quiet connection open.
pub fn encode_comment(out: &mut Vec<u8>, text: &str) {
    for line in lines(text) {
        push_field(out, b"", line);
    }
    out.push(b'\n');
}

fn push_field(out: &mut Vec<u8>, name: &[u8], value: &str) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value.as_bytes());
    out.push(b'\n');
}

/// The lines between CR, LF and CRLF; unlike `str::lines` also the empty one after the last break.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let Some(at) = text.bytes().position(|byte| matches!(byte, b'\r' | b'\n')) else {
            return rest.take();
        };
        let width = if text[at..].starts_with("\r\n") { 2 } else { 1 };
        rest = Some(&text[at + width..]);
        Some(&text[..at])
    })
}

fn until<'a>(text: &'a str, ends: &[char]) -> &'a str {
    text.split(ends).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(event: &Event<'_>) -> String {
        let mut out = Vec::new();
        encode_event(&mut out, event);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn writes_a_single_line_as_one_field() {
        assert_eq!(encoded(&Event { data: "{\"a\":1}", ..Event::default() }), "data: {\"a\":1}\n\n");
    }

    #[test]
    fn writes_all_fields_and_splits_data_at_every_kind_of_line_break() {
        let event = Event {
            id: Some("7"),
            event: Some("message"),
            data: "a\nb\r\nc\rd\n",
            retry: Some(Duration::from_millis(1500)),
        };
        let lines = "id: 7\nevent: message\nretry: 1500\ndata: a\ndata: b\ndata: c\ndata: d\ndata: \n\n";
        assert_eq!(encoded(&event), lines);
    }

    #[test]
    fn no_value_can_add_a_field() {
        let event = Event { id: Some("1\ndata: x"), event: Some("a\rid: 2"), data: "\n\ndata: y", retry: None };
        assert_eq!(encoded(&event), "id: 1\nevent: a\ndata: \ndata: \ndata: data: y\n\n");
    }

    #[test]
    fn a_comment_stays_a_comment_over_several_lines() {
        let mut out = Vec::new();
        encode_comment(&mut out, "a\ndata: b");
        assert_eq!(out, b": a\n: data: b\n\n");
    }
}
