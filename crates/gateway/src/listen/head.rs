//! Which requests are usual, and what they say: a `POST` over HTTP/1.1 whose body has a length and is there as a whole.
//!
//! Nothing is refused here. Whatever is not usual, or in doubt, is left to a library that knows all of HTTP, with every
//! byte of it.
//!
//! RFC 9112, sections 3, 5 and 6.

use std::mem::MaybeUninit;
use std::ops::Range;

use bytes::{Bytes, BytesMut};
use http::{Method, Uri};

use crate::head::{Fields, Head};
use crate::http1::{FIELDS, length, place, put_back};

/// What the unread bytes of a connection begin with.
#[expect(clippy::large_enum_variant, reason = "nearly always the large one, and taken apart at once")]
#[derive(Debug)]
pub(super) enum Parsed {
    /// A usual request, taken out of them.
    Request(Head, Bytes),
    /// The beginning of one. The whole of it has so many bytes, where that is known.
    Part(Option<usize>),
    /// Something else, left where it is.
    Other,
}

/// How long a usual request is at most, in bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Longest {
    pub(super) head: usize,
    pub(super) body: usize,
}

/// What stands where in a usual request.
struct Places {
    /// The length of the head, in bytes.
    head: usize,
    /// That of the body.
    body: usize,
    target: Range<usize>,
}

/// What the unread bytes turn out to be.
enum Seen {
    Usual(Places, Fields),
    Unfinished,
    Other,
}

/// Takes a usual request from the beginning of what was read.
pub(super) fn parse(read: &mut BytesMut, longest: Longest) -> Parsed {
    let (places, fields) = match find(read) {
        Seen::Usual(places, fields) if places.head <= longest.head && places.body <= longest.body => (places, fields),
        Seen::Unfinished if read.len() < longest.head => return Parsed::Part(None),
        Seen::Usual(..) | Seen::Unfinished | Seen::Other => return Parsed::Other,
    };
    let total = places.head + places.body;
    if read.len() < total {
        return Parsed::Part(Some(total));
    }
    let whole = read.split_to(total).freeze();
    match Uri::from_maybe_shared(whole.slice(places.target)) {
        Ok(uri) => {
            let body = whole.slice(places.head..);
            let mut head = Head { method: Method::POST, uri, fields };
            head.fields.stand_in(whole);
            Parsed::Request(head, body)
        }
        Err(_) => {
            put_back(read, whole);
            Parsed::Other
        }
    }
}

fn find(read: &[u8]) -> Seen {
    let mut headers = [const { MaybeUninit::uninit() }; FIELDS];
    let mut request = httparse::Request::new(&mut []);
    let head = match request.parse_with_uninit_headers(read, &mut headers) {
        Ok(httparse::Status::Complete(head)) => head,
        Ok(httparse::Status::Partial) => return Seen::Unfinished,
        Err(_) => return Seen::Other,
    };
    let (Some("POST"), Some(1), Some(target)) = (request.method, request.version, request.path) else {
        return Seen::Other;
    };
    if !target.starts_with('/') {
        return Seen::Other;
    }
    let mut body = None;
    for field in &*request.headers {
        match concerns(field.name, field.value) {
            Concern::Length(bytes) if body.is_none() => body = Some(bytes),
            Concern::Nothing => {}
            Concern::Length(_) | Concern::Unusual => return Seen::Other,
        }
    }
    let Some(body) = body else { return Seen::Other };
    let target = place(read, target.as_bytes());
    match Fields::note(read, request.headers) {
        Some(fields) => Seen::Usual(Places { head, body, target }, fields),
        None => Seen::Other,
    }
}

/// What a field has to do with how the message is framed and the connection kept.
enum Concern {
    Length(usize),
    /// It changes either, or is not as it should be.
    Unusual,
    Nothing,
}

fn concerns(name: &str, value: &[u8]) -> Concern {
    let is = |other: &str| name.eq_ignore_ascii_case(other);
    match name.len() {
        14 if is("content-length") => length(value).map_or(Concern::Unusual, Concern::Length),
        10 if is("connection") && !value.eq_ignore_ascii_case(b"keep-alive") => Concern::Unusual,
        6 if is("expect") => Concern::Unusual,
        7 if is("upgrade") || is("trailer") => Concern::Unusual,
        17 if is("transfer-encoding") => Concern::Unusual,
        _ => Concern::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use anypod_proto::header::NAME;

    use super::*;

    const LONGEST: Longest = Longest { head: 4096, body: 64 };

    fn parsed(text: &str) -> (Parsed, BytesMut) {
        let mut read = BytesMut::from(text);
        let parsed = parse(&mut read, LONGEST);
        (parsed, read)
    }

    #[test]
    fn takes_a_usual_request_and_leaves_what_follows() {
        let (parsed, rest) = parsed(
            "POST /mcp?a HTTP/1.1\r\nHost: a\r\nMcp-Name: x\r\nmcp-name: y\r\nConnection: Keep-Alive\r\n\
             Content-Length: 2\r\n\r\n{}POST",
        );
        let Parsed::Request(head, body) = parsed else { panic!("{parsed:?}") };
        assert_eq!(head.uri, "/mcp?a");
        assert_eq!(head.fields.all(&NAME).collect::<Vec<_>>(), [b"x", b"y"]);
        assert_eq!(body, "{}");
        assert_eq!(rest, "POST");
    }

    #[test]
    fn waits_for_the_rest() {
        let text = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc";
        let head = text.len() - 3;
        for end in 0..text.len() {
            let (parsed, rest) = parsed(&text[..end]);
            let Parsed::Part(whole) = parsed else { panic!("{parsed:?}") };
            assert_eq!(whole, (end >= head).then_some(text.len()), "{end}");
            assert_eq!(rest, text[..end]);
        }
    }

    /// Each of these is a way to have two readers disagree on where a message ends, or needs more than a body's length.
    #[test]
    fn leaves_what_is_not_usual_as_it_is() {
        let long = format!("POST / HTTP/1.1\r\nx: {}", "a".repeat(LONGEST.head));
        let many = format!("POST / HTTP/1.1\r\n{}content-length: 0\r\n\r\n", "a: b\r\n".repeat(FIELDS));
        for text in [
            "GET / HTTP/1.1\r\ncontent-length: 0\r\n\r\n",
            "POST / HTTP/1.0\r\ncontent-length: 0\r\n\r\n",
            "POST / HTTP/1.1\r\n\r\n",
            "POST http://a/ HTTP/1.1\r\ncontent-length: 0\r\n\r\n",
            "POST * HTTP/1.1\r\ncontent-length: 0\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length: 0\r\ncontent-length: 0\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length: 1, 1\r\n\r\na",
            "POST / HTTP/1.1\r\ncontent-length: +1\r\n\r\na",
            "POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\na",
            "POST / HTTP/1.1\r\ncontent-length: 0x1\r\n\r\na",
            "POST / HTTP/1.1\r\ncontent-length:\r\n\r\na",
            "POST / HTTP/1.1\r\ncontent-length: 18446744073709551617\r\n\r\na",
            "POST / HTTP/1.1\r\ncontent-length: 65\r\n\r\na",
            "POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\ntransfer-encoding: identity\r\ncontent-length: 0\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length: 0\r\nconnection: content-length\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length: 0\r\nExpect: 100-continue\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length: 0\r\nupgrade: h2c\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length: 0\r\ntrailer: x\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length : 0\r\n\r\n",
            "POST / HTTP/1.1\r\n content-length: 0\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length: 0\r\n x: folded\r\n\r\n",
            "POST / HTTP/1.1\r\nco\0ntent-length: 0\r\n\r\n",
            "POST / HTTP/1.1\r\nx: a\0b\r\ncontent-length: 0\r\n\r\n",
            "POST /a b HTTP/1.1\r\ncontent-length: 0\r\n\r\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            "\u{16}\u{3}\u{1}",
            long.as_str(),
            many.as_str(),
        ] {
            let (parsed, rest) = parsed(text);
            assert!(matches!(parsed, Parsed::Other), "{text:?}: {parsed:?}");
            assert_eq!(rest, text);
        }
    }
}
