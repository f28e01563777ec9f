//! Questions that are on their way to legacy clients: each belongs to an open stream, is answered at most
//! once, and is forgotten when the call that asked it ends.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use anypod_proto::jsonrpc::ErrorObject;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::oneshot;

/// What a client answers: a result, or an error.
pub(crate) type Outcome = Result<Value, ErrorObject>;

/// Reads a response, of which only `result` and `error` count.
///
/// # Errors
/// If it has neither, or an error of another shape.
pub(crate) fn read_outcome(response: &str) -> Result<Outcome, String> {
    #[derive(Deserialize)]
    struct Response {
        #[serde(default, deserialize_with = "present")]
        result: Option<Value>,
        error: Option<ErrorObject>,
    }
    /// A result of `null` is there, and is for the question to refuse.
    fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
        Value::deserialize(deserializer).map(Some)
    }
    let response: Response = serde_json::from_str(response).map_err(|error| error.to_string())?;
    match (response.result, response.error) {
        (_, Some(error)) => Ok(Err(error)),
        (Some(result), None) => Ok(Ok(result)),
        (None, None) => Err("neither `result` nor `error`".to_owned()),
    }
}

/// The open questions of one process. Bounded; see [`crate::Limits::open_questions`].
#[derive(Debug)]
pub(crate) struct Questions {
    capacity: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Answers do not arrive any more.
    closed: bool,
    open: HashMap<u64, Open>,
}

#[derive(Debug)]
struct Open {
    session: u64,
    answer: oneshot::Sender<Outcome>,
}

/// Why a question cannot be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CannotOpen {
    /// See [`Questions::close`].
    Closed,
    /// As many are open as may be.
    TooMany,
}

/// Waits for the answer to one question; `None` if there will be none. Dropping it forgets the question.
#[derive(Debug)]
pub(crate) struct Waiting {
    questions: Arc<Questions>,
    number: u64,
    answer: oneshot::Receiver<Outcome>,
}

impl Questions {
    pub(crate) fn new(capacity: usize) -> Arc<Self> {
        Arc::new(Self { capacity, state: Mutex::default() })
    }

    /// Notes a question under a number that no other open one has.
    ///
    /// # Errors
    /// If answers do not arrive any more, too many questions are open, or the number is taken.
    pub(crate) fn open(self: &Arc<Self>, session: u64, number: u64) -> Result<Waiting, CannotOpen> {
        let (sender, receiver) = oneshot::channel();
        let State { closed, open } = &mut *self.lock();
        if *closed {
            return Err(CannotOpen::Closed);
        }
        if open.len() >= self.capacity || open.contains_key(&number) {
            return Err(CannotOpen::TooMany);
        }
        open.insert(number, Open { session, answer: sender });
        Ok(Waiting { questions: Arc::clone(self), number, answer: receiver })
    }

    /// Hands an answer to the call that waits for it. `false` if none does, or it is another session's.
    pub(crate) fn answer(&self, session: u64, number: u64, outcome: Outcome) -> bool {
        let open = &mut self.lock().open;
        if open.get(&number).is_none_or(|question| question.session != session) {
            return false;
        }
        open.remove(&number).is_some_and(|question| question.answer.send(outcome).is_ok())
    }

    /// There will be no answers any more: whoever waits for one learns it, and nothing is asked from now on.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.open.clear();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The map is consistent after every statement, so a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Future for Waiting {
    type Output = Option<Outcome>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.answer).poll(cx).map(Result::ok)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.questions.lock().open.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn delivers_an_answer_once_and_only_to_its_session() {
        let questions = Questions::new(2);
        let waiting = questions.open(1, 7).unwrap();
        assert!(!questions.answer(2, 7, Ok(json!({}))));
        assert!(!questions.answer(1, 8, Ok(json!({}))));
        assert!(questions.answer(1, 7, Ok(json!({ "action": "decline" }))));
        assert!(!questions.answer(1, 7, Ok(json!({}))));
        assert_eq!(waiting.await, Some(Ok(json!({ "action": "decline" }))));
    }

    #[test]
    fn forgets_a_question_that_nobody_waits_for() {
        let questions = Questions::new(1);
        let waiting = questions.open(1, 7).unwrap();
        assert_eq!(questions.open(1, 8).unwrap_err(), CannotOpen::TooMany);
        drop(waiting);
        assert!(!questions.answer(1, 7, Ok(json!({}))));
        assert!(questions.open(1, 8).is_ok());
    }

    #[tokio::test]
    async fn nothing_is_asked_once_answers_do_not_arrive() {
        let questions = Questions::new(2);
        let waiting = questions.open(1, 7).unwrap();
        questions.close();
        assert_eq!(waiting.await, None);
        assert_eq!(questions.open(1, 8).unwrap_err(), CannotOpen::Closed);
    }

    #[test]
    fn tells_results_from_errors() {
        assert_eq!(read_outcome(r#"{"id":1,"result":{"a":1}}"#), Ok(Ok(json!({ "a": 1 }))));
        assert_eq!(read_outcome(r#"{"result":null}"#), Ok(Ok(Value::Null)));
        let refused = read_outcome(r#"{"error":{"code":-1,"message":"no"}}"#).unwrap().unwrap_err();
        assert_eq!((refused.code, refused.message.as_str()), (-1, "no"));
        assert!(read_outcome("{}").is_err());
        assert!(read_outcome(r#"{"error":"no"}"#).is_err());
    }
}
