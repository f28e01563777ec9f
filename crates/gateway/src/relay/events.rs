//! A stream of events that passes by: event by event where a state may have to be sealed, with a comment where the pod is
//! silent for so long that something on the way might take the stream for dead.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use anypod_proto::sse::{self, Decoder, Event, Limits};
use bytes::{Buf as _, Bytes, BytesMut};
use http_body::{Body as _, Frame};
use tokio::time::{Instant, Sleep, sleep};

use super::state::{came_to, error_code};
use super::{Pace, Rewriter};
use crate::body::Broke;
use crate::observe::Outcome;
use crate::upstream::Answer;

const COMMENT: &[u8] = b":\n\n";

/// The stream.
pub(crate) struct Events {
    body: Answer,
    rewriter: Option<Arc<Rewriter>>,
    /// The start of an event whose end has not come yet.
    begun: BytesMut,
    /// How much of it is known to hold no end.
    searched: usize,
    longest: usize,
    pace: Pace,
    /// Made when the stream is first waited for.
    silence: Option<Pin<Box<Sleep>>>,
    over: bool,
    came_to: Option<(Outcome, Option<i32>)>,
}

impl Events {
    pub(super) fn new(body: Answer, rewriter: Option<Arc<Rewriter>>, pace: Pace, longest: usize) -> Self {
        Self {
            body,
            rewriter,
            begun: BytesMut::new(),
            searched: 0,
            longest,
            pace,
            silence: None,
            over: false,
            came_to: None,
        }
    }

    /// What the events say that have passed by, besides a plain result.
    pub(super) const fn came_to(&self) -> Option<(Outcome, Option<i32>)> {
        self.came_to
    }

    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broke>>> {
        loop {
            if self.over {
                return Poll::Ready(None);
            }
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    self.silence = None;
                    let Ok(data) = frame.into_data() else { continue };
                    match self.pass(data) {
                        Ok(passed) if passed.is_empty() => {}
                        Ok(passed) => return Poll::Ready(Some(Ok(Frame::data(passed)))),
                        Err(broke) => return self.broken(broke),
                    }
                }
                Poll::Ready(Some(Err(error))) => return self.broken(Broke::upstream(error)),
                Poll::Ready(None) => {
                    self.over = true;
                    let rest = std::mem::take(&mut self.begun).freeze();
                    return Poll::Ready((!rest.is_empty()).then_some(Ok(Frame::data(rest))));
                }
                Poll::Pending => return self.poll_silence(cx),
            }
        }
    }

    fn broken(&mut self, broke: Broke) -> Poll<Option<Result<Frame<Bytes>, Broke>>> {
        self.over = true;
        Poll::Ready(Some(Err(broke)))
    }

    /// What of the stream can go on, now that `data` has come: whole events.
    fn pass(&mut self, data: Bytes) -> Result<Bytes, Broke> {
        if self.begun.is_empty() && ends_an_event(&data) {
            return self.sealed(data);
        }
        self.begun.extend_from_slice(&data);
        // An end may have begun in what came before.
        let from = self.searched.saturating_sub(3);
        let Some(end) = last_end(&self.begun[from..]).map(|end| from + end) else {
            self.searched = self.begun.len();
            return match self.begun.len() > self.longest {
                true => Err(Broke::event_too_long(self.longest)),
                false => Ok(Bytes::new()),
            };
        };
        let whole = self.begun.split_to(end).freeze();
        self.searched = self.begun.len();
        self.sealed(whole)
    }

    /// Whole events, with their states sealed.
    fn sealed(&mut self, events: Bytes) -> Result<Bytes, Broke> {
        if self.rewriter.is_some() {
            let error = error_code(&events).map(|code| (Outcome::Error, Some(code)));
            self.came_to = came_to(&events).map(|outcome| (outcome, None)).or(error).or(self.came_to);
        }
        let Some(rewriter) = self.rewriter.as_ref().filter(|rewriter| rewriter.concerns(&events)) else {
            return Ok(events);
        };
        let mut decoder = Decoder::new(Limits { line: self.longest, data: self.longest });
        let mut rest = events;
        let mut out = Vec::with_capacity(rest.len() + 512);
        while rest.has_remaining() {
            let Some(event) = decoder.read(&mut rest).map_err(Broke::events)? else { break };
            let sealed = rewriter.message(event.data.as_bytes()).map_err(Broke::failed)?;
            let data = match &sealed {
                Some(text) => std::str::from_utf8(text).unwrap_or_default(),
                None => &event.data,
            };
            let (id, kind) = (event.id.as_deref(), event.event.as_deref());
            sse::encode_event(&mut out, &Event { id, event: kind, data, retry: None });
        }
        Ok(out.into())
    }

    /// A comment between two events, where the pod has said nothing for a while.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broke>>> {
        let pace = self.pace.keep_alive;
        let silence = self.silence.get_or_insert_with(|| Box::pin(sleep(pace)));
        ready!(silence.as_mut().poll(cx));
        silence.as_mut().reset(Instant::now() + pace);
        // So that the timer wakes this task again.
        cx.waker().wake_by_ref();
        // What has begun of an event was not passed on, so a comment can stand before it.
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(COMMENT)))))
    }
}

/// Whether the bytes end with the blank line after an event.
fn ends_an_event(bytes: &[u8]) -> bool {
    bytes.ends_with(b"\n\n") || bytes.ends_with(b"\r\n\r\n") || bytes.ends_with(b"\r\r")
}

/// Where the last whole event ends.
fn last_end(bytes: &[u8]) -> Option<usize> {
    let after = |end: &[u8]| memchr::memmem::rfind(bytes, end).map(|at| at + end.len());
    [after(b"\n\n"), after(b"\r\n\r\n"), after(b"\r\r")].into_iter().flatten().max()
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_end_of_the_last_event() {
        for (text, end) in [
            ("data: 1\n\ndata: 2", Some(9)),
            ("data: 1\r\n\r\n", Some(11)),
            ("data: 1\r\rx", Some(9)),
            ("data: 1\n", None),
            ("", None),
        ] {
            assert_eq!(last_end(text.as_bytes()), end, "{text:?}");
            assert_eq!(ends_an_event(text.as_bytes()), end == Some(text.len()), "{text:?}");
        }
    }
}
