//! Bodies: reading a request's within its bounds, and what a response's can be.

use std::pin::Pin;
use std::task::{Context, Poll};

use anypod_proto::reject::Rejection;
use bytes::{Buf, Bytes};
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use std::convert::Infallible;

use super::exchange::Exchange;
use crate::front::stream::SessionStream;
use crate::limits::Limits;
use crate::listen::{Listening, ListeningBody};

/// Reads a whole body. One that has arrived in one piece is copied once, and not at all where nobody else has its
/// memory; a longer one is collected in a buffer of the length that was announced.
pub(super) async fn read<B>(limits: &Limits, headers: &HeaderMap, body: B) -> Result<Vec<u8>, Rejection>
where
    B: http_body::Body,
    B::Data: Buf,
{
    let limit = limits.body_bytes;
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(Rejection::TooLarge(limit));
    }
    let mut whole = Vec::new();
    let collect = async {
        let mut body = std::pin::pin!(body);
        while let Some(frame) = body.frame().await {
            let Ok(mut data) = frame.map_err(|_| Rejection::Truncated)?.into_data() else { continue };
            if data.remaining() > limit - whole.len() {
                return Err(Rejection::TooLarge(limit));
            }
            if whole.is_empty() && body.is_end_stream() {
                whole = data.copy_to_bytes(data.remaining()).into();
                return Ok(());
            }
            whole.reserve(announced.unwrap_or_default().saturating_sub(whole.len()).max(data.remaining()));
            while data.has_remaining() {
                let chunk = data.chunk();
                whole.extend_from_slice(chunk);
                let length = chunk.len();
                data.advance(length);
            }
        }
        Ok(())
    };
    tokio::time::timeout(limits.body_deadline, collect).await.map_err(|_| Rejection::Truncated)??;
    Ok(whole)
}

/// The body of a response.
#[derive(Debug)]
pub struct Body {
    kind: Kind,
}

enum Kind {
    /// Ready, and sent in one piece.
    Whole(Option<Bytes>),
    /// The stream of one request.
    Exchange(Box<Exchange>),
    /// The stream of a listener.
    Listening(Box<ListeningBody<Listening>>),
    /// The stream of a legacy session.
    Session(Box<ListeningBody<SessionStream>>),
}

impl std::fmt::Debug for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Whole(_) => "Whole",
            Self::Exchange(_) => "Exchange",
            Self::Listening(_) => "Listening",
            Self::Session(_) => "Session",
        })
    }
}

impl Body {
    pub(crate) fn whole(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self { kind: Kind::Whole((!bytes.is_empty()).then_some(bytes)) }
    }

    pub(super) fn exchange(exchange: Exchange) -> Self {
        Self { kind: Kind::Exchange(Box::new(exchange)) }
    }

    pub(crate) fn listening(listening: Listening, limits: &Limits) -> Self {
        Self { kind: Kind::Listening(Box::new(ListeningBody::new(listening, limits.keep_alive))) }
    }

    pub(crate) fn session(stream: SessionStream, limits: &Limits) -> Self {
        Self { kind: Kind::Session(Box::new(ListeningBody::new(stream, limits.keep_alive))) }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let frame = match &mut self.kind {
            Kind::Whole(bytes) => Poll::Ready(bytes.take()),
            Kind::Exchange(exchange) => exchange.poll_events(cx),
            Kind::Listening(listening) => listening.poll_events(cx),
            Kind::Session(stream) => stream.poll_events(cx),
        };
        frame.map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.kind, Kind::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Kind::Exchange(_) | Kind::Listening(_) | Kind::Session(_) => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;

    use super::*;

    #[tokio::test]
    async fn a_body_that_nobody_else_has_is_not_copied() {
        let body = Bytes::from(b"{}".repeat(1000));
        let place = body.as_ptr();
        let read = read(&Limits::default(), &HeaderMap::new(), Full::new(body)).await.unwrap();
        assert_eq!((read.len(), read.as_ptr()), (2000, place));
    }

    #[tokio::test]
    async fn one_byte_more_than_the_limit_is_too_much_in_one_piece_as_well() {
        let limits = Limits { body_bytes: 3, ..Limits::default() };
        for (body, outcome) in [("abc", Ok(b"abc".to_vec())), ("abcd", Err(Rejection::TooLarge(3)))] {
            assert_eq!(read(&limits, &HeaderMap::new(), Full::new(Bytes::from(body))).await, outcome);
        }
    }
}
