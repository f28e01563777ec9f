//! The body of a pod's answer, as it comes.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::http1::Live;
use super::http2::Lease;
use super::pod::Pod;
use crate::inbound::Inbound;
use crate::patience::Patience;

/// The body of an answer. At its end the connection goes back to its pod. Dropped before its end, it closes an
/// HTTP/1.1 connection and resets an HTTP/2 stream: the pod sees that nobody listens any more.
pub(crate) struct Answer {
    body: Inbound,
    carrier: Carrier,
    bytes: u64,
    /// When it was first waited for since the last piece.
    waiting: Option<Instant>,
    limit: Duration,
}

/// Where the rest of a body comes from.
enum Carrier {
    Http1(Arc<Pod>, Box<Live>),
    Http2(#[expect(dead_code, reason = "counts as under way as long as it is kept")] Lease, Patience),
    /// Nowhere: what is left has arrived, or the connection is over.
    None,
}

/// Why the body of an answer broke off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AnswerError {
    /// It broke, by what the library found.
    #[error(transparent)]
    Broken(#[from] hyper::Error),
    /// It broke, by what the connection said.
    #[error(transparent)]
    Connection(#[from] io::Error),
    /// Nothing came for as long as it may take.
    #[error("the upstream was silent for {0:?}")]
    Silent(Duration),
}

impl Answer {
    pub(super) fn http1(body: Inbound, pod: &Arc<Pod>, live: Box<Live>, limit: Duration) -> Self {
        let mut answer = Self::new(body, Carrier::Http1(Arc::clone(pod), live), limit);
        answer.release();
        answer
    }

    pub(super) fn http2(body: Incoming, lease: Lease, limit: Duration) -> Self {
        Self::new(Inbound::Streamed(body), Carrier::Http2(lease, Patience::default()), limit)
    }

    const fn new(body: Inbound, carrier: Carrier, limit: Duration) -> Self {
        Self { body, carrier, bytes: 0, waiting: None, limit }
    }

    /// All of it, where that is there and the connection needs nobody any more.
    pub(crate) fn whole(&self) -> Option<&Bytes> {
        match (&self.body, &self.carrier) {
            (Inbound::Whole(bytes), Carrier::None) => Some(bytes),
            (Inbound::Whole(_) | Inbound::Streamed(_), _) => None,
        }
    }

    #[cfg(test)]
    /// The bytes that have been read, without what frames them.
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Gives an HTTP/1.1 connection back as soon as nothing more comes over it, even if not all has been read yet.
    fn release(&mut self) {
        if matches!(&self.carrier, Carrier::Http1(_, live) if live.is_free())
            && let Carrier::Http1(pod, live) = std::mem::replace(&mut self.carrier, Carrier::None)
        {
            pod.give_back(live);
        }
    }

    /// Moves the bytes of a connection along that nobody else moves.
    fn drive(&mut self) {
        match &mut self.carrier {
            Carrier::Http1(_, live) => {
                live.drive();
                self.release();
            }
            Carrier::Http2(..) | Carrier::None => {}
        }
    }

    /// Ready once nothing has come for too long.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let patience = match &mut self.carrier {
            Carrier::Http1(_, live) => &mut live.patience,
            Carrier::Http2(_, patience) => patience,
            // The next poll ends it.
            Carrier::None => return Poll::Pending,
        };
        patience.poll(cx, *self.waiting.get_or_insert_with(Instant::now), self.limit)
    }

    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, AnswerError>>> {
        if let Carrier::Http2(..) = self.carrier {
            return Pin::new(&mut self.body).poll_frame(cx).map_err(AnswerError::from);
        }
        // Only driving brings more, so nobody has to be woken for it.
        let mut nobody = Context::from_waker(Waker::noop());
        let frame = match Pin::new(&mut self.body).poll_frame(&mut nobody) {
            Poll::Ready(None) if self.left() > 0 => return self.poll_piece(cx),
            Poll::Ready(frame) => Poll::Ready(frame),
            Poll::Pending => {
                self.drive();
                let frame = Pin::new(&mut self.body).poll_frame(&mut nobody);
                if let (Poll::Pending, Carrier::Http1(_, live)) = (&frame, &self.carrier) {
                    live.ring_for(cx);
                }
                frame
            }
        };
        frame.map_err(AnswerError::from)
    }

    /// How much comes piece by piece, behind what was read with the head.
    fn left(&self) -> usize {
        match &self.carrier {
            Carrier::Http1(_, live) => live.left(),
            Carrier::Http2(..) | Carrier::None => 0,
        }
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, AnswerError>>> {
        let Carrier::Http1(_, live) = &mut self.carrier else { return Poll::Ready(None) };
        live.poll_piece(cx).map(|piece| Some(piece.map(Frame::data).map_err(AnswerError::from)))
    }

    /// After the last piece: a connection that is not free by now, because the request is still being sent, is closed.
    fn finish(&mut self) {
        self.drive();
        self.carrier = Carrier::None;
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = AnswerError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, AnswerError>>> {
        let this = self.get_mut();
        let Poll::Ready(frame) = this.poll_body(cx) else {
            return this.poll_silence(cx).map(|()| {
                this.carrier = Carrier::None;
                Some(Err(AnswerError::Silent(this.limit)))
            });
        };
        this.waiting = None;
        match &frame {
            Some(Ok(frame)) => {
                this.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
                // A body of known length is not polled again after its last byte.
                if this.is_end_stream() {
                    this.finish();
                }
            }
            Some(Err(_)) => this.carrier = Carrier::None,
            None => this.finish(),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream() && self.left() == 0
    }

    fn size_hint(&self) -> SizeHint {
        match (self.body.size_hint().exact(), self.left()) {
            (Some(here), left) if left > 0 => SizeHint::with_exact(here + left as u64),
            _ => self.body.size_hint(),
        }
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}
