//! A body as a stream of events.

use std::time::Duration;

use anypod_proto::sse::{Decoder, Limits, MAX_NAME_LEN, Received, SseError};
use bytes::Bytes;

use super::{Body, Watch};
use crate::error::{Broken, Error, Result};

/// A stream of events. What has been read stays, so that reading is cancel-safe.
pub(crate) struct Events {
    body: Body,
    chunk: Bytes,
    decoder: Decoder,
    watch: Option<Watch>,
    silence: Duration,
    longest: usize,
}

impl Events {
    /// Reads `body`, event by event of at most `longest` bytes, as long as something comes every `silence`.
    pub(crate) fn new(body: Body, longest: usize, silence: Duration, watch: Option<Watch>) -> Self {
        // A line is a field name and its value.
        let limits = Limits { line: longest.saturating_add(8), data: longest };
        Self { body, chunk: Bytes::new(), decoder: Decoder::new(limits), watch, silence, longest }
    }

    /// The next event; `None` when the stream has ended. Cancel-safe.
    ///
    /// # Errors
    /// If the connection breaks or is silent for too long, or a line is too long or not UTF-8.
    pub(crate) async fn next(&mut self) -> Result<Option<Received>> {
        loop {
            let event = self.decoder.read(&mut self.chunk).map_err(|error| broken(error, self.longest))?;
            if let Some(event) = event {
                if let Some(watch) = &self.watch {
                    watch.received(event.data.as_bytes());
                }
                return Ok(Some(event));
            }
            match tokio::time::timeout(self.silence, self.body.chunk()).await {
                Ok(chunk) => match chunk? {
                    Some(chunk) => self.chunk = chunk,
                    None => return Ok(None),
                },
                Err(_) => return Err(Error::lost(format!("the stream was silent for {:?}", self.silence))),
            }
        }
    }

    /// Sets how long the stream may be silent from now on.
    pub(crate) const fn set_silence(&mut self, silence: Duration) {
        self.silence = silence;
    }

    /// The last id that the stream gave.
    pub(crate) fn last_event_id(&self) -> Option<&str> {
        self.decoder.last_event_id()
    }

    /// How long to wait before resuming, as the stream asked.
    pub(crate) fn retry(&self) -> Option<Duration> {
        self.decoder.retry()
    }
}

/// Why a stream cannot be read on, in terms of [`crate::Limits::event_bytes`].
fn broken(error: SseError, longest: usize) -> Broken {
    match error {
        SseError::LineTooLong(_) | SseError::DataTooLong(_) => Broken::TooMuch { what: "event", limit: longest },
        SseError::NameTooLong => Broken::TooMuch { what: "id or type of an event", limit: MAX_NAME_LEN },
        SseError::Utf8 => Broken::NotJsonRpc(error.to_string()),
    }
}
