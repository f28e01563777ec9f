//! What a script says, in pieces that are written as they are: nothing is checked, and nothing large is kept.

use std::io;

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};
use tokio::io::{AsyncWrite, AsyncWriteExt};

/// White space that is written over and over where a reply is to be large.
const BLANKS: [u8; 16 * 1024] = [b' '; 16 * 1024];

/// A reply, right or wrong.
///
/// It begins as one answer ([`Reply::result`], [`Reply::error`], [`Reply::text`] …) or as a stream
/// ([`Reply::events`]), to which messages are added. Over a pipe, each message is a line.
#[derive(Debug, Clone)]
#[must_use = "a reply is for a step of a script"]
pub struct Reply {
    pub(super) head: Option<Head>,
    pub(super) messages: Vec<Message>,
    pub(super) end: End,
}

#[derive(Debug, Clone)]
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, Vec<u8>)>,
    pub(super) events: bool,
}

/// What a reply ends with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum End {
    /// All that was to be said has been said.
    Whole,
    /// The last message by half, and the connection closes.
    Breaks,
    /// The last message by half, and then silence.
    Hangs,
}

/// A message, said some times over.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) pieces: Vec<Piece>,
    pub(super) times: u64,
    /// Whether it is written as it is, with nothing around it.
    pub(super) bare: bool,
}

#[derive(Debug, Clone)]
pub(super) enum Piece {
    Bytes(Bytes),
    Blanks(u64),
    /// The id of the request.
    Id,
}

impl Reply {
    /// A result, under the request's id.
    pub fn result(result: &Value) -> Self {
        Self::of(StatusCode::OK, "application/json").add(envelope("result", result))
    }

    /// An error, under the request's id.
    pub fn error(status: u16, code: i32, message: &str) -> Self {
        let error = json!({ "code": code, "message": message });
        Self::of(StatusCode::OK, "application/json").status(status).add(envelope("error", &error))
    }

    /// This JSON, whatever it is.
    pub fn json(value: &Value) -> Self {
        Self::of(StatusCode::OK, "application/json").event(value)
    }

    /// This body of this type.
    pub fn text(status: u16, kind: &str, body: impl Into<Bytes>) -> Self {
        Self::of(StatusCode::OK, kind).status(status).add(vec![Piece::Bytes(body.into())])
    }

    /// This status, and nothing else.
    pub fn empty(status: u16) -> Self {
        let head = Head { status, headers: Vec::new(), events: false };
        Self { head: Some(head), messages: Vec::new(), end: End::Whole }
    }

    /// A redirect.
    pub fn redirect(status: u16, location: &str) -> Self {
        Self::empty(status).header("location", location)
    }

    /// An event stream, to which events are added.
    pub fn events() -> Self {
        let mut reply = Self::of(StatusCode::OK, "text/event-stream");
        if let Some(head) = &mut reply.head {
            head.events = true;
        }
        reply
    }

    /// These bytes in the place of an HTTP response; then the connection closes.
    pub fn raw(bytes: impl Into<Bytes>) -> Self {
        let reply = Self { head: None, messages: Vec::new(), end: End::Whole };
        reply.bytes(bytes)
    }

    /// No byte, ever.
    pub const fn never() -> Self {
        Self { head: None, messages: Vec::new(), end: End::Hangs }
    }

    /// No byte, and the connection closes.
    pub const fn closes() -> Self {
        Self { head: None, messages: Vec::new(), end: End::Breaks }
    }

    fn of(status: StatusCode, kind: &str) -> Self {
        Self::empty(status.as_u16()).header("content-type", kind)
    }

    /// Another status.
    pub fn status(mut self, status: u16) -> Self {
        if let Some(head) = &mut self.head {
            head.status = status;
        }
        self
    }

    /// Another header. Those that stand already stay.
    pub fn header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        if let Some(head) = &mut self.head {
            head.headers.push((name.to_owned(), value.into()));
        }
        self
    }

    /// Adds a message: this JSON, whatever it is.
    pub fn event(self, value: &Value) -> Self {
        self.add(vec![Piece::Bytes(value.to_string().into())])
    }

    /// Adds a result under the request's id.
    pub fn event_result(self, result: &Value) -> Self {
        self.add(envelope("result", result))
    }

    /// Adds an error under the request's id.
    pub fn event_error(self, code: i32, message: &str) -> Self {
        self.add(envelope("error", &json!({ "code": code, "message": message })))
    }

    /// Adds bytes as they are: comments, ids, `retry`, broken lines.
    pub fn bytes(mut self, bytes: impl Into<Bytes>) -> Self {
        self.messages.push(Message { pieces: vec![Piece::Bytes(bytes.into())], times: 1, bare: true });
        self
    }

    /// Begins the last message with so many blanks, which JSON does not mind, in one line.
    pub fn padded(mut self, blanks: u64) -> Self {
        if let Some(message) = self.messages.last_mut() {
            message.pieces.insert(0, Piece::Blanks(blanks));
        }
        self
    }

    /// Says the last message so often.
    pub fn times(mut self, times: u64) -> Self {
        if let Some(message) = self.messages.last_mut() {
            message.times = times;
        }
        self
    }

    /// Breaks off in the middle of the last message, and closes the connection.
    pub const fn breaks_off(mut self) -> Self {
        self.end = End::Breaks;
        self
    }

    /// Says half of the last message, and then nothing more, without closing the connection.
    pub const fn hangs(mut self) -> Self {
        self.end = End::Hangs;
        self
    }

    fn add(mut self, pieces: Vec<Piece>) -> Self {
        self.messages.push(Message { pieces, times: 1, bare: false });
        self
    }
}

fn envelope(member: &str, value: &Value) -> Vec<Piece> {
    let text = |text: String| Piece::Bytes(text.into());
    vec![text(r#"{"jsonrpc":"2.0","id":"#.to_owned()), Piece::Id, text(format!(",\"{member}\":{value}}}"))]
}

impl Message {
    /// Its length in bytes, said once.
    pub(super) fn len(&self, id: &str) -> u64 {
        let len = |piece: &Piece| match piece {
            Piece::Bytes(bytes) => bytes.len() as u64,
            Piece::Blanks(count) => *count,
            Piece::Id => id.len() as u64,
        };
        self.pieces.iter().map(len).sum()
    }

    /// Writes it once, but no more than `most` bytes of it.
    pub(super) async fn write(&self, out: &mut (impl AsyncWrite + Unpin), id: &str, mut most: u64) -> io::Result<()> {
        for piece in &self.pieces {
            let (bytes, mut left): (&[u8], u64) = match piece {
                Piece::Bytes(bytes) => (bytes, bytes.len() as u64),
                Piece::Blanks(count) => (&BLANKS, *count),
                Piece::Id => (id.as_bytes(), id.len() as u64),
            };
            left = left.min(most);
            most -= left;
            while left > 0 {
                let take = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                out.write_all(&bytes[..take]).await?;
                left -= take as u64;
            }
        }
        Ok(())
    }
}
