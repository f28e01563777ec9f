//! Reads events out of a stream of bytes.

use bytes::Buf;
use std::mem;
use std::time::Duration;

/// The longest id and the longest type of an event, in bytes. An id returns in a header, and is copied
/// into every event that follows it: a long one would multiply what a stream costs.
pub const MAX_NAME_LEN: usize = 4096;

const BYTE_ORDER_MARK: char = '\u{feff}';

/// How much a stream may make its reader hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest line in bytes, without its end.
    pub line: usize,
    /// The longest data of one event in bytes.
    pub data: usize,
}

impl Default for Limits {
    /// 4 MiB each.
    fn default() -> Self {
        Self { line: 4 << 20, data: 4 << 20 }
    }
}

/// Why a stream cannot be read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SseError {
    /// A line is longer than [`Limits::line`].
    #[error("a line of the event stream is longer than {0} bytes")]
    LineTooLong(usize),
    /// The data of an event is longer than [`Limits::data`].
    #[error("the data of an event is longer than {0} bytes")]
    DataTooLong(usize),
    /// An id or a type is longer than [`MAX_NAME_LEN`].
    #[error("the id or the type of an event is longer than {MAX_NAME_LEN} bytes")]
    NameTooLong,
    /// A line is not UTF-8. Where a browser would replace characters, a message would be changed.
    #[error("a line of the event stream is not UTF-8")]
    Utf8,
}

/// An event as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The last id that the stream gave, with this event or before it.
    pub id: Option<String>,
    /// The type. `None` is `message`.
    pub event: Option<String>,
    /// The content, its lines joined by LF. Empty for an event that only gives an id.
    pub data: String,
}

/// Reads a stream, chunk by chunk. How the stream is cut into chunks makes no difference.
///
/// What follows the last blank line of a stream is not an event and is dropped with the decoder.
///
/// ```
/// use anypod_proto::sse::Decoder;
/// let mut decoder = Decoder::default();
/// let mut chunk: &[u8] = b"data: {}\n\n: quiet\n";
/// let event = decoder.read(&mut chunk).unwrap().unwrap();
/// assert_eq!(event.data, "{}");
/// assert_eq!(decoder.read(&mut chunk), Ok(None));
/// ```
#[derive(Debug, Default)]
pub struct Decoder {
    limits: Limits,
    /// The start of a line whose end has not come yet.
    line: Vec<u8>,
    /// The first line has been read, and with it a byte order mark.
    begun: bool,
    /// The last byte was a CR: a LF that follows belongs to it.
    after_cr: bool,
    failed: Option<SseError>,
    /// `None` until the event has a `data` field.
    data: Option<String>,
    event: String,
    id: String,
    last_id: String,
    retry: Option<Duration>,
}

impl Decoder {
    /// A decoder for one stream.
    pub fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// The next event, if `input` completes one. Takes from `input` what it has read: call again with
    /// the rest after an event, and with the next chunk after `None`.
    ///
    /// # Errors
    /// See [`SseError`]. The stream cannot be read on: every further call fails the same.
    pub fn read(&mut self, input: &mut impl Buf) -> Result<Option<Received>, SseError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        while input.has_remaining() {
            let (used, event) = self.read_line(input.chunk()).inspect_err(|error| self.failed = Some(*error))?;
            input.advance(used);
            if event.is_some() {
                return Ok(event);
            }
        }
        Ok(None)
    }

    /// The last id that the stream gave: where to ask for it to go on.
    pub fn last_event_id(&self) -> Option<&str> {
        Some(self.last_id.as_str()).filter(|id| !id.is_empty())
    }

    /// How long the stream asks to wait before connecting again.
    pub fn retry(&self) -> Option<Duration> {
        self.retry
    }

    /// Reads up to the end of a line or of `chunk`; says how many bytes that were. `chunk` is not empty.
    fn read_line(&mut self, chunk: &[u8]) -> Result<(usize, Option<Received>), SseError> {
        if mem::take(&mut self.after_cr) && chunk[0] == b'\n' {
            return Ok((1, None));
        }
        let end = chunk.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
        let part = &chunk[..end.unwrap_or(chunk.len())];
        if self.line.len() + part.len() > self.limits.line {
            return Err(SseError::LineTooLong(self.limits.line));
        }
        let Some(end) = end else {
            self.line.extend_from_slice(part);
            return Ok((chunk.len(), None));
        };
        self.after_cr = chunk[end] == b'\r';
        let event = if self.line.is_empty() {
            self.end_line(part)?
        } else {
            let mut line = mem::take(&mut self.line);
            line.extend_from_slice(part);
            self.end_line(&line)?
        };
        Ok((end + 1, event))
    }

    fn end_line(&mut self, line: &[u8]) -> Result<Option<Received>, SseError> {
        let mut line = std::str::from_utf8(line).map_err(|_| SseError::Utf8)?;
        if !mem::replace(&mut self.begun, true) {
            line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
        }
        if line.is_empty() {
            return Ok(self.end_event());
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        self.set_field(name, value.strip_prefix(' ').unwrap_or(value))?;
        Ok(None)
    }

    /// Comments, whose name is empty, and unknown fields are passed over.
    fn set_field(&mut self, name: &str, value: &str) -> Result<(), SseError> {
        match name {
            "data" => self.push_data(value)?,
            "event" | "id" if value.len() > MAX_NAME_LEN => return Err(SseError::NameTooLong),
            "event" => self.event = value.to_owned(),
            "id" if !value.contains('\0') => self.id = value.to_owned(),
            "retry" if value.bytes().all(|byte| byte.is_ascii_digit()) => {
                self.retry = value.parse().ok().map(Duration::from_millis).or(self.retry);
            }
            _ => {}
        }
        Ok(())
    }

    fn push_data(&mut self, value: &str) -> Result<(), SseError> {
        let before = self.data.as_ref().map_or(0, |data| data.len() + 1);
        if before + value.len() > self.limits.data {
            return Err(SseError::DataTooLong(self.limits.data));
        }
        match &mut self.data {
            None => self.data = Some(value.to_owned()),
            Some(data) => {
                data.push('\n');
                data.push_str(value);
            }
        }
        Ok(())
    }

    /// An id takes effect at the end of its event, even of one without data.
    fn end_event(&mut self) -> Option<Received> {
        if self.last_id != self.id {
            self.last_id.clone_from(&self.id);
        }
        let event = mem::take(&mut self.event);
        Some(Received {
            data: self.data.take()?,
            event: Some(event).filter(|name| !name.is_empty()),
            id: self.last_event_id().map(str::to_owned),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(decoder: &mut Decoder, mut bytes: &[u8]) -> Result<Vec<Received>, SseError> {
        let mut events = Vec::new();
        while let Some(event) = decoder.read(&mut bytes)? {
            events.push(event);
        }
        assert!(bytes.is_empty());
        Ok(events)
    }

    fn read(bytes: &[u8]) -> Vec<Received> {
        read_all(&mut Decoder::default(), bytes).expect("valid")
    }

    fn data(bytes: &[u8]) -> Vec<String> {
        read(bytes).into_iter().map(|event| event.data).collect()
    }

    #[test]
    fn reads_events_whatever_ends_their_lines() {
        for end in ["\n", "\r", "\r\n"] {
            let text = ["event: e", "data: a", "data: b", "id: 1", "", "data:c", "", ""].join(end);
            let events = read(text.as_bytes());
            assert_eq!(events.len(), 2, "{end:?}");
            let first = Received { id: Some("1".into()), event: Some("e".into()), data: "a\nb".into() };
            assert_eq!(events[0], first);
            let second = Received { id: Some("1".into()), event: None, data: "c".into() };
            assert_eq!(events[1], second);
        }
    }

    #[test]
    fn takes_one_space_off_a_value_and_no_more() {
        assert_eq!(data(b"data:a\n\ndata: a\n\ndata:  a\n\ndata:\ta\n\n"), ["a", "a", " a", "\ta"]);
    }

    #[test]
    fn an_event_can_have_empty_data_but_not_none() {
        assert_eq!(data(b"data\n\ndata:\n\ndata\ndata\n\n: quiet\n\nevent: x\n\n\n"), ["", "", "\n"]);
    }

    #[test]
    fn an_event_without_data_forgets_its_type_and_keeps_its_id() {
        let events = read(b"event: x\nid: 5\n\ndata: a\n\n");
        assert_eq!(events, [Received { id: Some("5".into()), event: None, data: "a".into() }]);
    }

    #[test]
    fn an_id_takes_effect_with_its_event_and_not_before() {
        let mut decoder = Decoder::default();
        read_all(&mut decoder, b"id: 1\ndata: a\n\nid: 2\n").expect("valid");
        assert_eq!(decoder.last_event_id(), Some("1"));
        read_all(&mut decoder, b"\nid: \0\n\n").expect("valid");
        assert_eq!(decoder.last_event_id(), Some("2"));
        read_all(&mut decoder, b"id\n\n").expect("valid");
        assert_eq!(decoder.last_event_id(), None);
    }

    #[test]
    fn reads_only_whole_numbers_as_retry() {
        let mut decoder = Decoder::default();
        read_all(&mut decoder, b"retry: 250\nretry: 1s\nretry: -1\nretry:\nretry: 99999999999999999999\n").expect("ok");
        assert_eq!(decoder.retry(), Some(Duration::from_millis(250)));
    }

    #[test]
    fn passes_over_one_byte_order_mark_at_the_start() {
        assert_eq!(data("\u{feff}data: a\n\n\u{feff}data: b\n\ndata: \u{feff}\n\n".as_bytes()), ["a", "\u{feff}"]);
        assert_eq!(data("\u{feff}\u{feff}data: a\n\n".as_bytes()), Vec::<String>::new());
    }

    #[test]
    fn drops_what_no_blank_line_ends() {
        assert_eq!(data(b"data: a\n\ndata: b\n"), ["a"]);
    }

    #[test]
    fn a_line_feed_in_the_next_chunk_belongs_to_the_carriage_return() {
        let mut decoder = Decoder::default();
        assert_eq!(read_all(&mut decoder, b"data: a\r"), Ok(vec![]));
        assert_eq!(read_all(&mut decoder, b"\n"), Ok(vec![]));
        assert_eq!(read_all(&mut decoder, b""), Ok(vec![]));
        assert_eq!(read_all(&mut decoder, b"\r").expect("valid").len(), 1);
        assert_eq!(read_all(&mut decoder, b"\ndata: b\n\n").expect("valid").len(), 1);
    }

    #[test]
    fn refuses_lines_and_data_that_are_too_long_even_without_an_end() {
        let limits = Limits { line: 10, data: 9 };
        let read = |bytes: &[u8]| read_all(&mut Decoder::new(limits), bytes);
        assert!(read(b"data: 1234\n\n").is_ok());
        assert_eq!(read(b"data: 12345\n\n"), Err(SseError::LineTooLong(10)));
        assert_eq!(read(b": 123456789"), Err(SseError::LineTooLong(10)));
        assert!(read(b"data: 1234\ndata: 1234\n\n").is_ok());
        assert_eq!(read(b"data: 1234\ndata: 1234\ndata\n"), Err(SseError::DataTooLong(9)));
    }

    #[test]
    fn refuses_ids_and_types_that_would_multiply() {
        for name in ["id", "event"] {
            let line = |len: usize| format!("{name}: {}\n", "x".repeat(len));
            let read = |text: &str| read_all(&mut Decoder::default(), text.as_bytes());
            assert_eq!(read(&line(MAX_NAME_LEN)), Ok(vec![]));
            assert_eq!(read(&line(MAX_NAME_LEN + 1)), Err(SseError::NameTooLong));
        }
    }

    #[test]
    fn refuses_what_is_not_utf8_and_stays_refusing() {
        let mut decoder = Decoder::default();
        assert_eq!(read_all(&mut decoder, b"data: \xff\n\n"), Err(SseError::Utf8));
        assert_eq!(read_all(&mut decoder, b"data: a\n\n"), Err(SseError::Utf8));
    }

    #[test]
    fn reads_a_character_that_two_chunks_share() {
        let mut decoder = Decoder::default();
        let bytes = "data: é\n\n".as_bytes();
        assert_eq!(read_all(&mut decoder, &bytes[..7]), Ok(vec![]));
        assert_eq!(read_all(&mut decoder, &bytes[7..]).expect("valid")[0].data, "é");
    }
}
