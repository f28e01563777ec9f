//! Bodies of answers, read within bounds.

use std::pin::Pin;

use bytes::{Bytes, BytesMut};
use http_body::Body as _;
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;

use crate::error::{Broken, Error, Result, Source};

/// The body of an answer.
pub(crate) enum Body {
    Incoming(hyper::body::Incoming),
    Boxed(UnsyncBoxBody<Bytes, Source>),
}

impl Body {
    /// The next piece; `None` at the end. Cancel-safe.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>> {
        loop {
            let frame = match self {
                Self::Incoming(body) => Pin::new(body).frame().await.map(|frame| frame.map_err(Source::from)),
                Self::Boxed(body) => body.frame().await,
            };
            match frame {
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

    /// All of it.
    pub(crate) async fn whole(mut self, limit: usize) -> Result<Bytes> {
        let too_much = || Error::from(Broken::TooMuch { what: "body", limit });
        if self.announced() > limit as u64 {
            return Err(too_much());
        }
        let Some(first) = self.chunk().await? else { return Ok(Bytes::new()) };
        if first.len() > limit {
            return Err(too_much());
        }
        let Some(second) = self.chunk().await? else { return Ok(first) };
        let mut all = BytesMut::from(first);
        let mut next = Some(second);
        while let Some(chunk) = next {
            if all.len() + chunk.len() > limit {
                return Err(too_much());
            }
            all.extend_from_slice(&chunk);
            next = self.chunk().await?;
        }
        Ok(all.freeze())
    }

    /// At most its first `limit` bytes, and nothing on errors.
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

    fn announced(&self) -> u64 {
        match self {
            Self::Incoming(body) => body.size_hint().lower(),
            Self::Boxed(body) => body.size_hint().lower(),
        }
    }
}
