//! One usual exchange on a connection: a request that is there as a whole, and an answer of a known length. A short one is
//! read as a whole, of a long one the rest comes piece by piece.
//!
//! An answer that is not usual, or in doubt, is left to a library that knows all of HTTP, with every byte of it.
//!
//! RFC 9112, sections 4 to 6.

use std::future::Future as _;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Bytes, BytesMut};
use http::uri::PathAndQuery;
use http::{Method, StatusCode};
use tokio::io::{AsyncReadExt as _, AsyncWrite as _};
use tokio::time::Instant;

use super::super::stream::Stream;
use super::HEAD_BYTES;
use crate::head::{Fields, Head, Reply};
use crate::http1::{self, COPIED, FIELDS, SLACK, room, write_length};

/// The longest body of an answer that is read as a whole, and the longest piece of another, in bytes.
const LONGEST: usize = 128 << 10;

/// A connection on which nothing is under way between two exchanges.
pub(super) struct Usual {
    pub(super) stream: Stream,
    /// What was read of the answer so far.
    pub(super) read: BytesMut,
    out: Vec<u8>,
    /// How much of `out`, and of the body behind it, has been written.
    written: usize,
    /// How much has to be read before there is a whole answer, as far as that is known.
    wanted: usize,
    /// How much of the answer's body comes piece by piece, and has not been handed on.
    left: usize,
    /// Whether this is the last exchange.
    closes: bool,
    /// When something was last read of an answer whose head is there.
    read_since: Option<Instant>,
}

/// How far an exchange has come.
pub(super) enum Step {
    /// This is the answer, or the beginning of it: see [`Usual::left`].
    Answer(Reply<Bytes>),
    /// What has been read is the beginning of an answer that is not usual.
    Unusual,
}

impl Usual {
    pub(super) fn new(stream: Stream) -> Self {
        Self {
            stream,
            read: BytesMut::new(),
            out: Vec::new(),
            written: 0,
            wanted: 0,
            left: 0,
            closes: false,
            read_since: None,
        }
    }

    /// Whether another exchange may follow.
    pub(super) fn is_free(&self) -> bool {
        !self.closes && self.read.is_empty() && self.left == 0
    }

    /// How much of the answer's body is still to come.
    pub(super) const fn left(&self) -> usize {
        self.left
    }

    /// The next piece of the body that is still to come.
    pub(super) fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        if self.read.is_empty() {
            let read = ready!(self.poll_read_into(cx, self.left.min(LONGEST) + SLACK))?;
            if read == 0 {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
        }
        let length = self.read.len().min(self.left);
        self.left -= length;
        Poll::Ready(Ok(self.read.split_to(length).freeze()))
    }

    /// Whether the pod has left the connection as it should be between two exchanges: open, and silent.
    pub(super) fn is_quiet(&mut self) -> bool {
        self.is_free() && self.poll_read(&mut Context::from_waker(Waker::noop())).is_pending()
    }

    /// When something was last read of an answer whose head is there.
    pub(super) const fn read_since(&self) -> Option<Instant> {
        self.read_since
    }

    /// Begins an exchange, unless the pod has closed the connection, or has said something that it was not asked.
    pub(super) fn begin(&mut self, head: &Head, target: &PathAndQuery, body: &Bytes) -> bool {
        if !self.is_quiet() {
            return false;
        }
        (self.written, self.wanted, self.read_since) = (0, 0, None);
        self.out.clear();
        write_head(&mut self.out, head, target, body.len());
        if body.len() <= COPIED {
            self.out.extend_from_slice(body);
        }
        true
    }

    /// Goes on with an exchange. Ready with its answer, or as soon as it is known to have no usual one.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, body: &Bytes) -> Poll<io::Result<Step>> {
        // What the pod has to say is heard even if it does not take all that it is sent.
        let sent = self.poll_send(cx, body);
        loop {
            if self.read.len() >= self.wanted.max(1) {
                match take(&mut self.read, &mut self.closes, &mut self.left) {
                    Taken::Answer(answer) if matches!(sent, Poll::Ready(Ok(()))) => {
                        return Poll::Ready(Ok(Step::Answer(answer)));
                    }
                    // The rest of the request would be taken for the next.
                    Taken::Answer(answer) => {
                        self.closes = true;
                        return Poll::Ready(Ok(Step::Answer(answer)));
                    }
                    Taken::Part(None) => {}
                    Taken::Part(Some(total)) => {
                        self.wanted = total;
                        self.read_since = Some(Instant::now());
                    }
                    Taken::Unusual => return Poll::Ready(Ok(Step::Unusual)),
                }
            }
            match (self.poll_read(cx), &sent) {
                (Poll::Ready(Ok(read)), _) if read > 0 => {
                    if let Some(since) = &mut self.read_since {
                        *since = Instant::now();
                    }
                }
                (_, Poll::Ready(Err(_))) => return sent.map(|sent| sent.and(Err(io::ErrorKind::BrokenPipe.into()))),
                (Poll::Ready(Ok(_)), _) => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                (Poll::Ready(Err(error)), _) => return Poll::Ready(Err(error)),
                (Poll::Pending, _) => return Poll::Pending,
            }
        }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, body: &Bytes) -> Poll<io::Result<()>> {
        let apart: &[u8] = if body.len() <= COPIED { b"" } else { body };
        let total = self.out.len() + apart.len();
        while self.written < total {
            let first = &self.out[self.written.min(self.out.len())..];
            let second = &apart[self.written.saturating_sub(self.out.len())..];
            let stream = Pin::new(&mut self.stream);
            let written = match (first.is_empty(), second.is_empty()) {
                (true, _) => stream.poll_write(cx, second),
                (false, true) => stream.poll_write(cx, first),
                (false, false) => stream.poll_write_vectored(cx, &[IoSlice::new(first), IoSlice::new(second)]),
            };
            match ready!(written)? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.written += written,
            }
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.poll_read_into(cx, room(self.wanted, &self.read))
    }

    fn poll_read_into(&mut self, cx: &mut Context<'_>, room: usize) -> Poll<io::Result<usize>> {
        self.read.reserve(room);
        pin!(self.stream.read_buf(&mut self.read)).poll(cx)
    }
}

fn write_head(out: &mut Vec<u8>, head: &Head, target: &PathAndQuery, length: usize) {
    for part in [head.method.as_str(), " ", target.as_str(), " HTTP/1.1\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
    // How it is framed is for us to say.
    head.fields.write(out);
    if length > 0 || head.method != Method::GET {
        write_length(out, length as u64);
    }
    out.extend_from_slice(b"\r\n");
}

/// What the bytes of an answer are so far.
enum Taken {
    /// A usual one, taken out of them, or the beginning of a long one.
    Answer(Reply<Bytes>),
    /// The beginning of a short one, and how many bytes all of it has, once that is known.
    Part(Option<usize>),
    /// Something else, left where it is.
    Unusual,
}

fn take(read: &mut BytesMut, closes: &mut bool, left: &mut usize) -> Taken {
    let mut fields = [const { MaybeUninit::uninit() }; FIELDS];
    let mut answer = httparse::Response::new(&mut []);
    let parsed = httparse::ParserConfig::default().parse_response_with_uninit_headers(&mut answer, read, &mut fields);
    let head = match parsed {
        Ok(httparse::Status::Complete(head)) => head,
        Ok(httparse::Status::Partial) if read.len() < HEAD_BYTES => return Taken::Part(None),
        Ok(httparse::Status::Partial) | Err(_) => return Taken::Unusual,
    };
    let Some(Framed { status, length, kept }) = framed(&answer) else { return Taken::Unusual };
    let total = head + length;
    let here = if length > LONGEST { total.min(read.len()) } else { total };
    if read.len() < here {
        return Taken::Part(Some(here));
    }
    let Some(mut fields) = Fields::note(read, answer.headers) else { return Taken::Unusual };
    let whole = read.split_to(here).freeze();
    fields.stand_in(whole.clone());
    (*closes, *left) = (!kept, total - here);
    Taken::Answer(Reply { status, fields, body: whole.slice(head..) })
}

/// How a usual answer is framed.
struct Framed {
    status: StatusCode,
    length: usize,
    /// Whether the connection is.
    kept: bool,
}

fn framed(answer: &httparse::Response<'_, '_>) -> Option<Framed> {
    if answer.version != Some(1) {
        return None;
    }
    let status = StatusCode::from_u16(answer.code?).ok()?;
    if status.is_informational() || status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED {
        return None;
    }
    let (mut length, mut kept) = (None, true);
    for field in &*answer.headers {
        let is = |other: &str| field.name.eq_ignore_ascii_case(other);
        match field.name.len() {
            14 if is("content-length") && length.is_none() => length = Some(http1::length(field.value)?),
            14 if is("content-length") => return None,
            17 if is("transfer-encoding") => return None,
            10 if is("connection") => match field.value {
                value if value.eq_ignore_ascii_case(b"keep-alive") => {}
                value if value.eq_ignore_ascii_case(b"close") => kept = false,
                _ => return None,
            },
            _ => {}
        }
    }
    Some(Framed { status, length: length?, kept })
}
