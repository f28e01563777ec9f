//! Bodies of answers, read within bounds.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;

use super::connect::Place;
use crate::error::{Broken, Error, Result, Source};

/// How much is made room for on a server's word alone, in bytes.
const PROMISED: u64 = 1 << 20;

/// The body of an answer. Until it has ended or is dropped, it takes up one of the places for requests. Dropped before
/// its end, it cancels the request.
pub(crate) struct Body {
    kind: Kind,
    place: Option<Place>,
}

enum Kind {
    Incoming(Incoming),
    Boxed(UnsyncBoxBody<Bytes, Source>),
}

impl Body {
    /// A body from a connection.
    pub(super) fn incoming(body: Incoming, place: Option<Place>) -> Self {
        let mut body = Self { kind: Kind::Incoming(body), place };
        body.leave_at_end();
        body
    }

    /// A body from a service in this process, or from a connection of somebody else's.
    pub(crate) fn boxed<B>(body: B) -> Self
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Source>,
    {
        Self { kind: Kind::Boxed(body.map_err(Into::into).boxed_unsync()), place: None }
    }

    /// The next piece; `None` at the end. Cancel-safe.
    ///
    /// # Errors
    /// [`Error::Lost`] if the connection breaks.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>> {
        loop {
            match self.frame().await {
                None => return Ok(None),
                Some(Err(error)) => return Err(Error::lost(error)),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    /// All of it. What comes in one piece is not copied.
    ///
    /// # Errors
    /// [`Broken::TooMuch`] as soon as it is known to be longer than `limit`; [`Error::Lost`] if the connection breaks.
    pub(crate) async fn whole(mut self, limit: usize) -> Result<Bytes> {
        let too_much = || Error::from(Broken::TooMuch { what: "bytes in a body", limit });
        let announced = http_body::Body::size_hint(&self).lower();
        if announced > limit as u64 {
            return Err(too_much());
        }
        let Some(first) = self.chunk().await? else { return Ok(Bytes::new()) };
        if first.len() > limit {
            return Err(too_much());
        }
        let Some(second) = self.chunk().await? else { return Ok(first) };
        let room = usize::try_from(announced.min(PROMISED)).unwrap_or_default();
        let mut all = BytesMut::with_capacity(room.max(first.len() + second.len()));
        all.extend_from_slice(&first);
        let mut next = Some(second);
        while let Some(chunk) = next {
            if chunk.len() > limit - all.len() {
                return Err(too_much());
            }
            all.extend_from_slice(&chunk);
            next = self.chunk().await?;
        }
        Ok(all.freeze())
    }

    /// At most its first `limit` bytes; up to where it breaks, if it breaks.
    pub(crate) async fn beginning(mut self, limit: usize) -> Vec<u8> {
        let mut text = Vec::new();
        while text.len() < limit
            && let Ok(Some(chunk)) = self.chunk().await
        {
            let take = chunk.len().min(limit - text.len());
            text.extend_from_slice(&chunk[..take]);
        }
        text
    }

    fn leave_at_end(&mut self) {
        if http_body::Body::is_end_stream(self) {
            self.place = None;
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Source;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Source>>> {
        let frame = match &mut self.kind {
            Kind::Incoming(body) => Pin::new(body).poll_frame(cx).map_err(Source::from),
            Kind::Boxed(body) => Pin::new(body).poll_frame(cx),
        };
        match &frame {
            Poll::Pending => {}
            Poll::Ready(Some(Ok(_))) => self.leave_at_end(),
            Poll::Ready(None | Some(Err(_))) => self.place = None,
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Incoming(body) => body.is_end_stream(),
            Kind::Boxed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Incoming(body) => body.size_hint(),
            Kind::Boxed(body) => body.size_hint(),
        }
    }
}
