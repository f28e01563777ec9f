//! A long body on its way to a pod: read along, held against its headers, edited where names and states have to be, its end
//! withheld until all of it is known to be as it should.
//!
//! Spec: basic/transports/streamable-http, "Server Validation".

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use anypod_proto::edit::{EditError, Editor, Rules};
use anypod_proto::reject::{Refused, Rejection};
use anypod_proto::verify::Verifier;
use bytes::Bytes;
use http_body::Frame;
use tokio::time::{Sleep, sleep};

use crate::inbound::Inbound;
use crate::upstream::BodyError;

/// The longest string that is replaced, in bytes: a sealed state, or the name of a tool.
const LONGEST: usize = 128 << 10;

/// What strings of a body become, by the index of the rule that leads to them; `Err` refuses the whole.
pub(crate) type Replace = Box<dyn FnMut(usize, &str) -> Result<Option<String>, Rejection> + Send>;

/// Why a body was refused on its way. Shared with whoever sends it and sees it break off.
#[derive(Debug, Clone, Default)]
pub(crate) struct Verdict(Arc<Mutex<Option<Refused>>>);

impl Verdict {
    /// Takes the refusal, if there was one.
    pub(crate) fn take(&self) -> Option<Refused> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Whether there was one.
    pub(crate) fn is_given(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    fn give(&self, refused: Refused) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(refused);
    }
}

/// The body.
pub(crate) struct Upload {
    body: Inbound,
    /// None where the upstream holds the body against its headers.
    verifier: Option<Verifier>,
    editor: Option<Editor>,
    replace: Replace,
    withheld: Vec<u8>,
    left: usize,
    limit: usize,
    deadline: Pin<Box<Sleep>>,
    verdict: Verdict,
}

impl Upload {
    /// A body of at most `limit` bytes that has to arrive within `deadline`. Without a verifier, its headers are believed.
    pub(crate) fn new(
        body: Inbound,
        verifier: Option<Verifier>,
        rules: &Rules,
        replace: Replace,
        limit: usize,
        deadline: Duration,
    ) -> (Self, Verdict) {
        let verdict = Verdict::default();
        let upload = Self {
            body,
            verifier,
            editor: Some(Editor::new(rules, LONGEST)),
            replace,
            withheld: Vec::new(),
            left: limit,
            limit,
            deadline: Box::pin(sleep(deadline)),
            verdict: verdict.clone(),
        };
        (upload, verdict)
    }

    /// What goes on, now that a piece has come.
    fn piece(&mut self, piece: &Bytes) -> Result<Bytes, Refused> {
        self.left = self.left.checked_sub(piece.len()).ok_or(Refused::anonymous(Rejection::TooLarge(self.limit)))?;
        let passed = match &mut self.verifier {
            Some(verifier) => verifier.push(piece)?.min(piece.len()),
            None => piece.len(),
        };
        self.withheld.extend_from_slice(&piece[passed..]);
        self.edited(&piece[..passed])
    }

    /// What was withheld, now that the body is complete.
    fn end(&mut self) -> Result<Bytes, Refused> {
        if let Some(verifier) = self.verifier.take() {
            verifier.finish()?;
        }
        let withheld = std::mem::take(&mut self.withheld);
        let last = self.edited(&withheld)?;
        self.editor.take().map_or(Ok(()), Editor::finish).map_err(not_editable)?;
        Ok(last)
    }

    fn edited(&mut self, text: &[u8]) -> Result<Bytes, Refused> {
        let Some(editor) = &mut self.editor else { return Ok(Bytes::new()) };
        let mut out = Vec::with_capacity(text.len() + 64);
        let (replace, mut refused) = (&mut self.replace, None);
        let edited = editor.push(text, &mut out, |rule, string| match replace(rule, &string) {
            Ok(new) => new,
            Err(rejection) => {
                refused.get_or_insert(rejection);
                None
            }
        });
        edited.map_err(not_editable)?;
        match refused {
            Some(rejection) => Err(Refused::anonymous(rejection)),
            None => Ok(out.into()),
        }
    }

    fn refuse(&mut self, refused: Refused) -> BodyError {
        let error = refused.rejection.to_string();
        self.verdict.give(refused);
        (self.verifier, self.editor) = (None, None);
        error.into()
    }
}

fn not_editable(error: EditError) -> Refused {
    Refused::anonymous(match error {
        EditError::NotJson(error) => Rejection::NotJson(error),
        EditError::NotUtf8(at) => Rejection::NotUtf8(at),
        EditError::TooLong { .. } => Rejection::UnknownState,
    })
}

impl http_body::Body for Upload {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        if this.deadline.as_mut().poll(cx).is_ready() {
            let error = this.refuse(Refused::anonymous(Rejection::Truncated));
            return Poll::Ready(Some(Err(error)));
        }
        loop {
            let passed = match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(piece) => this.piece(&piece),
                    Err(_) => continue,
                },
                Some(Err(_)) => Err(Refused::anonymous(Rejection::Truncated)),
                None => match this.end() {
                    Ok(last) if last.is_empty() => return Poll::Ready(None),
                    end => end,
                },
            };
            match passed {
                Ok(passed) if passed.is_empty() => {}
                Ok(passed) => return Poll::Ready(Some(Ok(Frame::data(passed)))),
                Err(refused) => {
                    let error = this.refuse(refused);
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
    }
}
