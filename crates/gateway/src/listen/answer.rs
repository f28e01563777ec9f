//! Answers over HTTP/1.1, as they are written: with their length where it is known, in chunks where it is not.
//!
//! RFC 9112, sections 6 and 7.1.

use std::io::Write as _;
use std::time::{Duration, UNIX_EPOCH};

use http::StatusCode;
use http::header::DATE;
use httpdate::HttpDate;

use crate::head::Fields;
use crate::http1::{write_field, write_length};

/// How the end of a body is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// After so many bytes.
    Length(u64),
    /// By its last chunk.
    Chunks,
    /// There is none, by the status.
    None,
}

impl Framing {
    /// That of an answer whose body has this length, if it is known.
    pub(super) fn of(status: StatusCode, length: Option<u64>) -> Self {
        match (status, length) {
            (StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED, _) => Self::None,
            (_, Some(length)) => Self::Length(length),
            (_, None) => Self::Chunks,
        }
    }
}

/// The date of answers, written once a second.
#[derive(Debug, Default)]
pub(super) struct Date {
    second: u64,
    text: String,
}

impl Date {
    /// `now` is in seconds since 1970-01-01.
    fn at(&mut self, now: u64) -> &str {
        if self.second != now || self.text.is_empty() {
            self.second = now;
            self.text = HttpDate::from(UNIX_EPOCH + Duration::from_secs(now)).to_string();
        }
        &self.text
    }
}

/// Whether the connection is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    Alive,
    /// It is closed after this answer.
    Closed,
}

/// Writes the head of an answer. `now` gives the seconds since 1970-01-01.
pub(super) fn head(
    out: &mut Vec<u8>,
    status: StatusCode,
    fields: &Fields,
    framing: Framing,
    kept: Kept,
    date: &mut Date,
    now: impl FnOnce() -> u64,
) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    out.extend_from_slice(b"\r\n");
    fields.write(out);
    if !fields.has(&DATE) {
        write_field(out, b"date", date.at(now()).as_bytes());
    }
    match framing {
        Framing::Length(length) => {
            write_length(out, length);
        }
        Framing::Chunks => write_field(out, b"transfer-encoding", b"chunked"),
        Framing::None => {}
    }
    if kept == Kept::Closed {
        write_field(out, b"connection", b"close");
    }
    out.extend_from_slice(b"\r\n");
}

/// What stands before a piece of a body. An empty one must not be written: it would be the end.
pub(super) fn before_piece(out: &mut Vec<u8>, framing: Framing, length: usize) {
    if framing == Framing::Chunks {
        let _: std::io::Result<()> = write!(out, "{length:x}\r\n");
    }
}

/// What stands after one.
pub(super) fn after_piece(framing: Framing) -> &'static [u8] {
    match framing {
        Framing::Chunks => b"\r\n",
        Framing::Length(_) | Framing::None => b"",
    }
}

/// What stands at the end.
pub(super) fn end(framing: Framing) -> &'static [u8] {
    match framing {
        Framing::Chunks => b"0\r\n\r\n",
        Framing::Length(_) | Framing::None => b"",
    }
}

#[cfg(test)]
mod tests {
    use http::Response;

    use super::*;
    use crate::head::Reply;

    fn written(length: Option<u64>, kept: Kept, headers: &[(&'static str, &'static str)], status: u16) -> String {
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        let Reply { status, fields, body: () } = response.body(()).unwrap().into();
        let mut out = Vec::new();
        head(&mut out, status, &fields, Framing::of(status, length), kept, &mut Date::default(), || 784_111_777);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn says_how_the_body_ends_whatever_the_headers_said() {
        let headers = [("content-length", "9"), ("transfer-encoding", "gzip"), ("connection", "x"), ("a", "b")];
        assert_eq!(
            written(Some(2), Kept::Alive, &headers, 200),
            "HTTP/1.1 200 OK\r\na: b\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\ncontent-length: 2\r\n\r\n"
        );
        let chunked = written(None, Kept::Closed, &headers, 404);
        assert!(chunked.starts_with("HTTP/1.1 404 Not Found\r\n"), "{chunked}");
        assert!(chunked.ends_with("transfer-encoding: chunked\r\nconnection: close\r\n\r\n"), "{chunked}");
        let none = written(Some(0), Kept::Alive, &headers, 204);
        assert!(!none.contains("content-length") && !none.contains("transfer-encoding"), "{none}");
    }

    #[test]
    fn keeps_the_date_of_a_pod() {
        let dated = written(Some(0), Kept::Alive, &[("date", "then")], 299);
        assert_eq!(dated, "HTTP/1.1 299 \r\ndate: then\r\ncontent-length: 0\r\n\r\n");
    }

    #[test]
    fn the_date_moves_on() {
        let mut date = Date::default();
        let first = date.at(0).to_owned();
        assert_eq!(first, "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_ne!(date.at(1), first);
    }
}
