//! The body of a request to a pod: whole, or as it comes.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;

/// Why a body broke off.
pub(crate) type BodyError = Box<dyn Error + Send + Sync>;

/// A body that comes piece by piece.
pub(crate) type Pieces = Pin<Box<dyn Body<Data = Bytes, Error = BodyError> + Send>>;

/// The body of a request to a pod.
pub(crate) enum Outgoing {
    /// All of it. It costs no allocation, and goes out with the head in one piece.
    Whole(Bytes),
    /// As it comes. If it breaks off, so does the request, and the pod never sees an end.
    Stream(Upload),
}

/// A body that comes piece by piece.
pub(crate) struct Upload {
    pieces: Pieces,
    end: End,
}

/// When an upload has come to its end: from then on, the pod is waited for.
#[derive(Debug, Clone, Default)]
pub(super) struct End(Arc<OnceLock<Instant>>);

impl Outgoing {
    #[cfg(test)]
    /// Nothing.
    pub(crate) const fn empty() -> Self {
        Self::Whole(Bytes::new())
    }

    /// What comes out of `pieces`.
    pub(crate) fn stream<B>(pieces: B) -> Self
    where
        B: Body<Data = Bytes, Error = BodyError> + Send + 'static,
    {
        Self::Stream(Upload { pieces: Box::pin(pieces), end: End::default() })
    }

    /// Where to see whether it has come to its end; `None` for one that is there as a whole.
    pub(super) fn end(&self) -> Option<End> {
        match self {
            Self::Whole(_) => None,
            Self::Stream(upload) => Some(upload.end.clone()),
        }
    }

    /// Takes it to be sent. One that is there as a whole stays as it is.
    pub(super) fn take(&mut self) -> Self {
        match self {
            Self::Whole(bytes) => Self::Whole(bytes.clone()),
            Self::Stream(_) => std::mem::replace(self, Self::Whole(Bytes::new())),
        }
    }
}

impl End {
    /// When that was.
    pub(super) fn at(&self) -> Option<Instant> {
        self.0.get().copied()
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            Self::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Stream(upload) => {
                let frame = ready!(upload.pieces.as_mut().poll_frame(cx));
                if frame.is_none() || upload.pieces.is_end_stream() {
                    upload.end.0.get_or_init(Instant::now);
                }
                Poll::Ready(frame)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_empty(),
            Self::Stream(upload) => upload.pieces.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Stream(upload) => upload.pieces.size_hint(),
        }
    }
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(bytes) => write!(f, "Whole({} bytes)", bytes.len()),
            Self::Stream(_) => f.write_str("Stream"),
        }
    }
}
