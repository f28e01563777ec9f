//! One upstream, one session: opened by the first call, shared by all, opened anew when the server has forgotten it.

use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::Shared;
use super::link::{Flow, Place};
use super::questions;
use super::session::Session;
use super::unasked::{Reader, Want};
use crate::error::{Error, Result};

/// How long the first call waits for the stream that questions may come on. Servers that have one and answer its GET
/// late would otherwise be called before anyone listens.
const HEAD_START: Duration = Duration::from_millis(100);

/// What there is of a session.
#[derive(Default)]
pub(super) enum State {
    /// None, until someone needs one.
    #[default]
    Idle,
    /// It is being opened.
    Opening(watch::Receiver<Option<Opened>>),
    /// It is open.
    Open {
        session: Arc<Session>,
        /// Reads what the server says unasked, where that must be read all the time.
        _want: Option<Want>,
    },
    /// The upstream was closed.
    Closed,
}

/// What all who waited for a session are told.
type Opened = Result<Arc<Session>, Arc<Error>>;

impl Shared {
    /// The session. Whoever comes while it is being opened waits for the same handshake.
    ///
    /// # Errors
    /// As [`Session::open`].
    pub(super) async fn session(self: &Arc<Self>) -> Result<Arc<Session>> {
        let mut opening = match &mut *self.state() {
            State::Open { session, .. } => return Ok(Arc::clone(session)),
            State::Closed => return Err(closed()),
            State::Opening(opening) => opening.clone(),
            state @ State::Idle => {
                let (opened, opening) = watch::channel(None);
                *state = State::Opening(opening.clone());
                let shared = Arc::clone(self);
                self.background.last(async move {
                    let session = shared.open().await;
                    opened.send_replace(Some(session));
                });
                opening
            }
        };
        match opening.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(Ok(session))) => Ok(Arc::clone(session)),
            Ok(Some(Err(error))) => Err(same(error)),
            Ok(None) | Err(_) => Err(closed()),
        }
    }

    /// The session that is open.
    pub(super) fn open_session(&self) -> Option<Arc<Session>> {
        match &*self.state() {
            State::Open { session, .. } => Some(Arc::clone(session)),
            State::Idle | State::Opening(_) | State::Closed => None,
        }
    }

    /// Whether it was closed for good.
    pub(super) fn is_closed(&self) -> bool {
        matches!(*self.state(), State::Closed)
    }

    /// The server does not know the session any more: the next call opens another.
    pub(super) fn forget(&self, gone: &Arc<Session>) {
        gone.end();
        let mut state = self.state();
        let forgotten = match &*state {
            State::Open { session, .. } if Arc::ptr_eq(session, gone) => std::mem::take(&mut *state),
            State::Open { .. } | State::Idle | State::Opening(_) | State::Closed => return,
        };
        drop(state);
        // Outside of the lock: it may end the reader.
        drop(forgotten);
    }

    /// Ends the session for good. What is under way is cancelled.
    ///
    /// # Errors
    /// As the link.
    pub(super) async fn close(&self) -> Result<()> {
        let state = std::mem::replace(&mut *self.state(), State::Closed);
        let session = match state {
            State::Open { session, _want } => Some(session),
            State::Opening(mut opening) => {
                let opened = opening.wait_for(Option::is_some);
                let opened = tokio::time::timeout(self.limits.connect_deadline, opened).await;
                opened.ok().and_then(Result::ok).and_then(|opened| opened.as_ref()?.as_ref().ok().cloned())
            }
            State::Idle | State::Closed => None,
        };
        if let Some(session) = &session {
            session.end();
        }
        self.held.clear();
        self.background.settle().await;
        let nowhere = Place::default();
        let place = session.as_ref().map_or(&nowhere, |session| &session.place);
        let deadline = self.limits.connect_deadline;
        tokio::time::timeout(deadline, self.link.end(place)).await.unwrap_or(Err(Error::TimedOut(deadline)))
    }

    async fn open(self: &Arc<Self>) -> Opened {
        let deadline = self.limits.request_deadline;
        let opened = tokio::time::timeout(deadline, Box::pin(Session::open(self))).await;
        let opened = opened.unwrap_or(Err(Error::TimedOut(deadline)));
        let want = match &opened {
            Ok(session) => self.listen_from_the_start(session).await,
            Err(_) => None,
        };
        let mut state = self.state();
        match (&*state, opened) {
            (State::Closed, opened) => opened.map_err(Arc::new),
            (State::Idle | State::Opening(_) | State::Open { .. }, Ok(session)) => {
                *state = State::Open { session: Arc::clone(&session), _want: want };
                Ok(session)
            }
            (State::Idle | State::Opening(_) | State::Open { .. }, Err(error)) => {
                *state = State::Idle;
                Err(Arc::new(error))
            }
        }
    }

    /// Reads what the server says unasked, if that is to be read all the time: where it flows by itself, and where
    /// the server may ask something, which many do there instead of on the stream of the call.
    async fn listen_from_the_start(self: &Arc<Self>, session: &Arc<Session>) -> Option<Want> {
        match self.link.flow() {
            Flow::Always => Some(Reader::want(self, session)),
            Flow::OnDemand if questions::are_declared(&self.declared) => {
                let want = Reader::want(self, session);
                session.reader.hearing(HEAD_START).await;
                Some(want)
            }
            Flow::OnDemand => None,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn closed() -> Error {
    Error::Misuse("the upstream is closed".to_owned())
}

/// The same error once more, for each who waited for the session.
fn same(error: &Error) -> Error {
    let again = |source: &dyn std::error::Error| source.to_string().into();
    match error {
        Error::Answered(error) => Error::Answered(error.clone()),
        Error::Unauthorized(challenge) => Error::Unauthorized(challenge.clone()),
        Error::Refused { status, excerpt, retry_after } => {
            Error::Refused { status: *status, excerpt: excerpt.clone(), retry_after: *retry_after }
        }
        Error::Broken(broken) => Error::Broken(broken.clone()),
        Error::Unreachable { origin, source } => {
            Error::Unreachable { origin: origin.clone(), source: again(source.as_ref()) }
        }
        // The handshake may always be repeated: what the call was about has not been sent.
        Error::OutcomeUnknown { source } | Error::Lost { source } => Error::Lost { source: again(source.as_ref()) },
        Error::TimedOut(deadline) => Error::TimedOut(*deadline),
        Error::Cancelled => Error::Cancelled,
        Error::TooManyRounds(rounds) => Error::TooManyRounds(*rounds),
        Error::NoAnswerer(what) => Error::NoAnswerer(what),
        Error::Answerer(source) => Error::Answerer(again(source.as_ref())),
        Error::Task { id, state } => Error::Task { id: id.clone(), state },
        Error::Tool(text) => Error::Tool(text.clone()),
        Error::Busy(what) => Error::Busy(what),
        Error::Misuse(text) => Error::Misuse(text.clone()),
    }
}
