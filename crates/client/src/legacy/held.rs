//! Calls that are held open while their questions are answered.
//!
//! The caller of a modern server goes on by sending its request again, with the answers and a state. Here the state
//! names a call that is held: by a random id that nobody guesses, and that works once.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use anypod_proto::code::Code;
use anypod_proto::jsonrpc::ErrorObject;
use anypod_proto::method::Method;
use anypod_proto::rounds::{InputRequests, InputRequiredResult};
use tokio::sync::oneshot;

use super::link::Waits;
use super::stream::{Reading, Stream};
use super::{Shared, modern};
use crate::call::{Answers, Call};
use crate::error::Result;
use crate::exchange::{Answer, Exchange};

/// The calls that are held, by their states.
#[derive(Default)]
pub(super) struct Held(Mutex<HashMap<String, Entry>>);

struct Entry {
    method: Method,
    name: Option<String>,
    /// Asks the task that holds the call to hand it over. When this is dropped, the task gives the call up.
    wanted: oneshot::Sender<oneshot::Sender<Box<Reading>>>,
}

impl Held {
    /// Takes out a call, if `call` is the same request as before.
    async fn take(&self, state: &str, call: &Call) -> Option<Box<Reading>> {
        let entry = {
            let mut calls = self.lock();
            let entry = calls.get(state)?;
            if Some(entry.method) != call.known() || entry.name != call.name {
                return None;
            }
            calls.remove(state)?
        };
        let (to, reading) = oneshot::channel();
        entry.wanted.send(to).ok()?;
        reading.await.ok()
    }

    pub(super) fn count(&self) -> usize {
        self.lock().len()
    }

    /// Gives up one call.
    pub(super) fn give_up(&self, state: &str) {
        let call = self.lock().remove(state);
        drop(call);
    }

    /// Gives up all calls.
    pub(super) fn clear(&self) {
        let calls = std::mem::take(&mut *self.lock());
        drop(calls);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Holds a call that has asked something; gives what its caller is asked.
pub(super) fn hold(mut reading: Box<Reading>) -> Answer {
    let shared = Arc::clone(&reading.shared);
    let state = state(shared.outside.random());
    let requests: InputRequests =
        reading.questions.iter().map(|question| (question.key.clone(), question.request.clone())).collect();
    let (wanted, asked) = oneshot::channel();
    let entry = Entry { method: reading.method, name: reading.name.clone(), wanted };
    {
        let mut calls = shared.held.lock();
        if calls.len() >= shared.limits.held_calls {
            drop(calls);
            return Answer::Error(ErrorObject::new(Code::InternalError, "Too many requests wait for answers"));
        }
        calls.insert(state.clone(), entry);
    }
    reading.wait(Waits::ForAnswers);
    let deadline = shared.limits.answer_deadline;
    shared.background.last(keep(Arc::downgrade(&shared), state.clone(), reading, asked, deadline));
    modern::asked(&InputRequiredResult::new(requests).with_request_state(state))
}

/// Holds the call until it is wanted, or nobody can want it any more.
async fn keep(
    shared: Weak<Shared>,
    state: String,
    mut reading: Box<Reading>,
    mut wanted: oneshot::Receiver<oneshot::Sender<Box<Reading>>>,
    deadline: Duration,
) {
    let mut deadline = pin!(tokio::time::sleep(deadline));
    loop {
        tokio::select! {
            biased;
            to = &mut wanted => {
                if let Ok(to) = to {
                    reading.wait(Waits::ForServer);
                    // If the caller has gone meanwhile, the call comes back, and is dropped.
                    let _ = to.send(reading);
                }
                return;
            }
            () = &mut deadline => break,
            () = reading.read_ahead(), if reading.reads_ahead() => {}
        }
    }
    tracing::debug!("nobody has answered the questions of a legacy server in time");
    if let Some(shared) = shared.upgrade() {
        shared.held.lock().remove(&state);
    }
}

/// Goes on with a call whose questions are answered.
///
/// # Errors
/// If the answers could not be sent.
pub(super) async fn resume(shared: &Shared, call: &Call, answers: &Answers) -> Result<Exchange> {
    let Some(state) = &answers.state else { return Ok(Exchange::answered(unknown())) };
    let Some(mut reading) = shared.held.take(state, call).await else { return Ok(Exchange::answered(unknown())) };
    let responses = match answers.read().and_then(|responses| reading.answers(&responses)) {
        Ok(responses) => responses,
        Err(error) => return Ok(Exchange::answered(Answer::Error(error))),
    };
    reading.answer(responses).await?;
    match reading.questions.is_empty() {
        true => Ok(Exchange::stream(Stream::new(reading))),
        // As a modern server may: what was not answered is asked again.
        false => Ok(Exchange::answered(hold(reading))),
    }
}

fn unknown() -> Answer {
    let message = "The request state is unknown, was used already, or has expired: start the request again";
    Answer::Error(ErrorObject::new(Code::InvalidParams, message))
}

fn state(random: [u8; 16]) -> String {
    random.iter().fold(String::with_capacity(32), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
