//! What a call can do on the open stream of its request while it works: for methods of extensions in legacy sessions.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};

use anypod_proto::jsonrpc::JsonObject;
use anypod_proto::reject::Rejection;
use anypod_proto::rounds::InputRequest;
use anypod_proto::version::Version;
use serde_json::Value;
use tokio::time::timeout;

use super::{CallState, Cx};
use crate::error::{Error, Result};
use crate::front::asked::{Ready, unanswered};

impl Cx {
    /// The revision of the protocol that the client speaks: the one that a modern request declares, or that a legacy session has
    /// agreed on.
    pub fn revision(&self) -> Version {
        self.call.client.revision(&self.call.request)
    }

    /// Asks a legacy client and waits for the answer, on the stream of this request, without ending the round: the handler goes on
    /// where it is, and nothing is recorded. Any number of questions may be open at once. One whose future is dropped is
    /// taken back. The time is not counted as work, see [`Cx::idle`].
    ///
    /// For methods of extensions in legacy sessions ([`LegacyPart`](crate::LegacyPart)); handlers of tools ask with [`Cx::ask`].
    /// `key` names the question in errors. `meta` goes into `_meta` of everything that is said about it.
    ///
    /// The answer is as it came: hold it against the question.
    ///
    /// # Errors
    /// If the client did not declare what the question needs, cannot be asked, refuses, goes away, or does not answer within
    /// [`Limits::answer_deadline`](crate::Limits::answer_deadline); and where there is no such stream.
    pub async fn ask_on_stream(&self, key: &str, question: InputRequest, meta: JsonObject) -> Result<Value> {
        let call = &*self.call;
        let Some(line) = &call.line else {
            return Err(Error::internal("only methods of extensions in legacy sessions have a stream to ask on"));
        };
        if let Some(missing) = self.client_capabilities().missing(&question.requires()) {
            return Err(Error::rejected(Rejection::MissingCapability(Box::new(missing))));
        }
        let ready = Ready::new(&call.server, line.version, &line.asker, key.to_owned(), question);
        let mut asked = ready.and_then(|ready| ready.with_meta(meta).send(&call.outbox)).map_err(Error::of)?;
        let patience = call.server.limits().answer_deadline;
        let answer = async {
            tokio::select! {
                biased;
                answer = timeout(patience, asked.answer()) => answer.unwrap_or_else(|_| {
                    Err(unanswered(format_args!("{} s are over", patience.as_secs())))
                }),
                () = call.outbox.closed() => Err(unanswered("the stream that carried the question is gone")),
            }
        };
        self.idle(answer).await.map_err(Error::of)
    }

    /// Waits for something that is not worked on here, such as the end of what another pod does. In a method of an extension in a
    /// legacy session, the time does not count against [`Limits::request_deadline`](crate::Limits::request_deadline), and the
    /// request's place among those that are worked on is left to others; it takes one among the open streams. Elsewhere it
    /// just waits. Bound the wait, and end it when [`Cx::gone`] completes.
    pub async fn idle<T>(&self, wait: impl Future<Output = T>) -> T {
        let _idle = Idle::begin(&self.call.idle);
        wait.await
    }

    /// Completes when nobody reads the answer to this request any more: its client has gone away.
    pub async fn gone(&self) {
        self.call.outbox.closed().await;
    }
}

impl CallState {
    /// Whether its handler waits for what is no work, as only those may that can ask while they work.
    pub(crate) fn is_idle(&self) -> bool {
        self.line.is_some() && self.idle.load(Ordering::Relaxed) > 0
    }
}

/// A part of a handler that waits.
struct Idle<'a>(&'a AtomicUsize);

impl<'a> Idle<'a> {
    fn begin(idle: &'a AtomicUsize) -> Self {
        idle.fetch_add(1, Ordering::Relaxed);
        Self(idle)
    }
}

impl Drop for Idle<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
