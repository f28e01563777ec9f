//! Usual requests, one after the other, and their answers. The first that is not usual ends this, and the connection goes to
//! a library that knows all of HTTP.
//!
//! Calls are small, come whole and are answered in one piece, many thousands a second; what a library has to be ready for
//! beyond that costs as much as all the rest of the way. See `docs/decisions/0026-usual-requests.md`.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http_body::Body as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::answer::{self, Date, Framing, Kept};
use super::head::{Longest, Parsed, parse};
use super::wire::Wire;
use super::{FIRST_REQUEST, Peer, Phase, reached};
use crate::body::{Body, Broke};
use crate::gateway::Gateway;
use crate::head::{Head, Reply};
use crate::http1::COPIED;
use crate::inbound::Inbound;
use crate::patience::Patience;
use crate::room::{Room, Taken};

/// How long an end of a connection may take to be said.
const FAREWELL: Duration = Duration::from_secs(1);

/// What became of a connection.
pub(super) enum Ended<S> {
    /// It is over.
    Closed,
    /// Its next request is not usual.
    Unusual(Wire<S>),
}

/// What bounds a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) longest: Longest,
    /// How long it may be without a request.
    pub(super) idle: Duration,
    /// How long a body may take.
    pub(super) body: Duration,
}

/// What a connection brings next.
#[expect(clippy::large_enum_variant, reason = "nearly always the large one, and taken apart at once")]
enum Next<'a> {
    /// A request, and the room that it takes up where it did not come in one piece.
    Request(Head, Bytes, Option<Taken<'a>>),
    Unusual,
    Over,
}

/// Answers usual requests as long as they come.
pub(super) async fn serve<S>(
    gateway: &Gateway,
    stream: S,
    peer: &Peer,
    bounds: Bounds,
    closing: &mut watch::Receiver<Phase>,
) -> Ended<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut wire = Wire::new(stream);
    let mut writer = Writer::default();
    let mut patience = Patience::default();
    let mut begun = false;
    loop {
        let (head, body, room) = match next(&mut wire, bounds, &mut patience, begun, gateway.room(), closing).await {
            Next::Request(head, body, room) => (head, Inbound::Whole(body), room),
            Next::Unusual => return Ended::Unusual(wire),
            Next::Over => break,
        };
        begun = true;
        let Some(answer) = wire.unless_gone(gateway.answer(peer, head, body)).await else { return Ended::Closed };
        // The request is gone with the work on it, while its answer may be a stream of many hours.
        drop(room);
        let kept = if *closing.borrow() >= Phase::Closing { Kept::Closed } else { Kept::Alive };
        match writer.answer(&mut wire, answer, kept, || gateway.now()).await {
            Ok(()) if kept == Kept::Alive => {}
            Ok(()) => break,
            Err(error) => {
                tracing::debug!(%error, "a connection broke");
                return Ended::Closed;
            }
        }
    }
    // Whoever does not take it in time does not miss it.
    let _in_time = timeout(FAREWELL, wire.end()).await;
    Ended::Closed
}

/// The next request. A gateway that closes does not wait for one, unless it is the first and has been promised an answer,
/// or has begun to come.
async fn next<'a, S>(
    wire: &mut Wire<S>,
    bounds: Bounds,
    patience: &mut Patience,
    begun: bool,
    all: &'a Room,
    closing: &mut watch::Receiver<Phase>,
) -> Next<'a>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut wait = (Instant::now(), bounds.idle);
    let mut wanted = 0;
    let mut room = None;
    let mut last_call = false;
    let mut closes = pin!(reached(closing, Phase::Closing));
    loop {
        if wire.read.len() >= wanted.max(1) {
            match parse(&mut wire.read, bounds.longest) {
                Parsed::Request(head, body) => return Next::Request(head, body, room),
                Parsed::Other => return Next::Unusual,
                Parsed::Part(None) => {}
                Parsed::Part(Some(whole)) => {
                    // Nobody has been let in yet: what all may have read together is bounded.
                    let Some(taken) = all.try_take(whole) else { return Next::Unusual };
                    (room, wanted) = (Some(taken), whole);
                    wait = (Instant::now(), bounds.body);
                }
            }
        }
        let more = poll_fn(|cx| {
            if let Poll::Ready(read) = wire.poll_more(cx, wanted) {
                return Poll::Ready(read);
            }
            if !last_call && closes.as_mut().poll(cx).is_ready() {
                if begun && wire.read.is_empty() {
                    return Poll::Ready(Ok(0));
                }
                last_call = true;
                wait = (Instant::now(), FIRST_REQUEST);
            }
            patience.poll(cx, wait.0, wait.1).map(|()| Err(io::ErrorKind::TimedOut.into()))
        });
        match more.await {
            Ok(0) => return Next::Over,
            Ok(_) => {}
            // A body that does not come is answered, by who would have waited for it.
            Err(error) if error.kind() == io::ErrorKind::TimedOut && wanted > 0 => return Next::Unusual,
            Err(error) => {
                tracing::debug!(%error, "a connection has no further request");
                return Next::Over;
            }
        }
    }
}

/// Writes answers.
#[derive(Debug, Default)]
struct Writer {
    out: Vec<u8>,
    date: Date,
}

impl Writer {
    async fn answer<S>(
        &mut self,
        wire: &mut Wire<S>,
        answer: Reply<Body>,
        kept: Kept,
        now: impl FnOnce() -> u64,
    ) -> Result<(), Broke>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let Reply { status, fields, mut body } = answer;
        self.out.clear();
        // Most answers are there, and all of them.
        let first = poll_fn(|cx| Poll::Ready(Pin::new(&mut body).poll_frame(cx))).await;
        let (first, length) = match first {
            Poll::Ready(None) => (Bytes::new(), Some(0)),
            Poll::Ready(Some(frame)) => {
                let first = frame?.into_data().unwrap_or_default();
                let rest = if body.is_end_stream() { Some(0) } else { body.size_hint().exact() };
                let length = rest.map(|rest| rest + first.len() as u64);
                (first, length)
            }
            Poll::Pending => (Bytes::new(), body.size_hint().exact()),
        };
        let framing = Framing::of(status, length);
        answer::head(&mut self.out, status, &fields, framing, kept, &mut self.date, now);
        drop(fields);
        if length == Some(first.len() as u64) {
            return self.last_piece(wire, framing, &first).await.map_err(Broke::upstream);
        }
        self.pieces(wire, framing, first, body).await
    }

    /// A body that comes piece by piece, of which `first` is there, and nothing where it is empty.
    async fn pieces<S>(
        &mut self,
        wire: &mut Wire<S>,
        framing: Framing,
        first: Bytes,
        mut body: Body,
    ) -> Result<(), Broke>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        // It may be a stream of many hours.
        wire.shrink();
        let mut piece = first;
        let mut left = match framing {
            Framing::Length(length) => length,
            Framing::Chunks | Framing::None => u64::MAX,
        };
        loop {
            left = left.checked_sub(piece.len() as u64).ok_or_else(|| Broke::upstream("longer than it said"))?;
            self.piece(wire, framing, &piece).await.map_err(Broke::upstream)?;
            // Whoever reads the next one may use its memory again.
            drop(piece);
            let frame = wire.unless_gone(poll_fn(|cx| Pin::new(&mut body).poll_frame(cx))).await;
            piece = match frame.ok_or_else(|| Broke::upstream("the client went away"))? {
                Some(frame) => frame?.into_data().unwrap_or_default(),
                None => break,
            };
        }
        if matches!(framing, Framing::Length(_)) && left > 0 {
            return Err(Broke::upstream("shorter than it said"));
        }
        wire.write(answer::end(framing), b"").await.map_err(Broke::upstream)
    }

    /// Writes what is out to be written, and a piece.
    async fn piece<S>(&mut self, wire: &mut Wire<S>, framing: Framing, piece: &[u8]) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        if !piece.is_empty() {
            answer::before_piece(&mut self.out, framing, piece.len());
        }
        if piece.is_empty() || piece.len() > COPIED {
            wire.write(&self.out, piece).await?;
            self.out.clear();
        } else {
            self.out.extend_from_slice(piece);
        }
        if !piece.is_empty() {
            self.out.extend_from_slice(answer::after_piece(framing));
        }
        let written = wire.write(&self.out, b"").await;
        self.out.clear();
        written
    }

    /// Writes what is out to be written, and a body that is there as a whole.
    async fn last_piece<S>(&mut self, wire: &mut Wire<S>, framing: Framing, body: &[u8]) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let body = if framing == Framing::None { b"" } else { body };
        if body.len() > COPIED {
            return wire.write(&self.out, body).await;
        }
        self.out.extend_from_slice(body);
        wire.write(&self.out, b"").await
    }
}
