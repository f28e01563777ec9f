//! A handler at work.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use anypod_proto::caching::{Cacheable, Caching};
use anypod_proto::completion::{CompleteResult, Completion};
use anypod_proto::content::{BlobResourceContents, ResourceContents, TextResourceContents};
use anypod_proto::prompts::GetPromptResult;
use anypod_proto::reject::Rejection;
use anypod_proto::resources::ReadResourceResult;
use anypod_proto::tools::CallToolResult;

use super::Ended;
use crate::completed::{Completed, Failure};
use crate::cx::CallState;
use crate::error::{Error, Kind};
use crate::extension::MethodResult;
use crate::handler::{Contents, Running, Suggestions};
use crate::journal::{Pending, Record};

/// A handler at work. Dropping it cancels the handler and everything that it has spawned.
pub(crate) struct HandlerRun {
    call: Arc<CallState>,
    /// What is done before the handler starts.
    first: Option<First>,
    work: Work,
    /// What is done with the result of a tool.
    last: Option<Last>,
}

/// What is done before a handler starts: it may be that the handler does not.
pub(crate) type First = Pin<Box<dyn Future<Output = Result<Option<Completed>, Failure>> + Send>>;
/// What is done with the result of a tool.
pub(crate) type Last = Box<dyn FnOnce(&mut CallToolResult) + Send>;

/// How a handler stopped.
pub(crate) enum Stopped {
    /// With a result.
    Complete(Completed),
    /// Without one.
    Failed(Failure),
    /// With questions, and what has to be there when it goes on with their answers.
    Asks(Vec<Pending>, Record),
}

/// The handler, by what it answers.
pub(crate) enum Work {
    Tool(Running<CallToolResult>),
    Prompt(Running<GetPromptResult>),
    Read(Running<Contents>, Described),
    Complete(Running<Suggestions>),
    Method(Running<MethodResult>),
}

/// What a resource's definition says about its contents.
pub(crate) struct Described {
    pub(crate) uri: String,
    pub(crate) mime_type: Option<String>,
    /// None if the contents depend on what the client was asked, which no cache can know.
    pub(crate) cache: Option<Caching>,
}

impl HandlerRun {
    pub(crate) const fn new(call: Arc<CallState>, work: Work) -> Self {
        Self { call, first: None, work, last: None }
    }

    /// The same with something that comes before the handler.
    pub(crate) fn after(mut self, first: Option<First>) -> Self {
        self.first = first;
        self
    }

    /// The same with something that comes after it.
    pub(crate) fn before(mut self, last: Option<Last>) -> Self {
        self.last = last;
        self
    }

    pub(crate) fn call(&self) -> &CallState {
        &self.call
    }

    fn poll_first(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Completed>, Failure>> {
        let Some(first) = &mut self.first else { return Poll::Ready(Ok(None)) };
        let done = ready!(self.call.caught(|| first.as_mut().poll(cx)));
        self.first = None;
        Poll::Ready(done)
    }

    fn poll_work(&mut self, cx: &mut Context<'_>) -> Poll<Result<Completed, Failure>> {
        let Self { call, work, last, .. } = self;
        call.caught(|| work.poll(call, last, cx))
    }

    /// Works until the handler is through or waits for answers.
    pub(crate) fn poll_stop(&mut self, cx: &mut Context<'_>) -> Poll<Stopped> {
        match ready!(self.poll_first(cx)) {
            Ok(None) => {}
            Ok(Some(completed)) => return Poll::Ready(Stopped::Complete(completed)),
            Err(failure) => return Poll::Ready(Stopped::Failed(failure)),
        }
        let polled = self.poll_work(cx);
        if let Some(ending) = self.call.take_ending() {
            return Poll::Ready(Stopped::Complete(Completed::Method(ending)));
        }
        match polled {
            Poll::Ready(Ok(completed)) => {
                let complete = self.call.journal().check_complete();
                Poll::Ready(match complete {
                    Ok(()) => Stopped::Complete(completed),
                    Err(error) => Stopped::Failed(failure(error)),
                })
            }
            Poll::Ready(Err(failure)) => Poll::Ready(Stopped::Failed(failure)),
            Poll::Pending => {
                let mut journal = self.call.journal();
                if !journal.round_ends(cx.waker()) {
                    return Poll::Pending;
                }
                let (pending, record) = journal.end_round();
                Poll::Ready(Stopped::Asks(pending, record))
            }
        }
    }
}

impl CallState {
    /// What `poll` gives, or that it panicked. What has panicked is not polled again, so nobody sees what it left half done.
    fn caught<T>(&self, poll: impl FnOnce() -> Poll<Result<T, Failure>>) -> Poll<Result<T, Failure>> {
        match catch_unwind(AssertUnwindSafe(poll)) {
            Ok(poll) => poll,
            Err(_) => {
                tracing::error!(method = self.request.method().map(|m| m.as_str()), "a handler panicked");
                Poll::Ready(Err(Rejection::Internal.into()))
            }
        }
    }
}

impl Future for HandlerRun {
    type Output = Ended;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Ended> {
        Poll::Ready(match ready!(self.poll_stop(cx)) {
            Stopped::Complete(completed) => Ended::Complete(completed),
            Stopped::Failed(failure) => Ended::Failed(failure),
            Stopped::Asks(pending, record) => {
                let round = self.call.server.seal_round(&self.call, pending, &record);
                round.map_or_else(Ended::Failed, Ended::Asks)
            }
        })
    }
}

impl Drop for HandlerRun {
    fn drop(&mut self) {
        self.call.abort_children();
    }
}

impl Work {
    fn poll(
        &mut self,
        call: &CallState,
        last: &mut Option<Last>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Completed, Failure>> {
        Poll::Ready(match self {
            Self::Tool(running) => {
                let result = match ready!(running.as_mut().poll(cx)) {
                    Ok(result) => check_output(call, result),
                    Err(error) => match error.into_kind() {
                        Kind::Tool(message) => Ok(CallToolResult::error(message)),
                        other => Err(failure_of(other)),
                    },
                };
                result.map(|mut result| {
                    last.take().into_iter().for_each(|last| last(&mut result));
                    Completed::Tool(result)
                })
            }
            Self::Prompt(running) => ready!(running.as_mut().poll(cx)).map(Completed::Prompt).map_err(failure),
            Self::Read(running, described) => ready!(running.as_mut().poll(cx))
                .map(|contents| Completed::Read(described.result(contents)))
                .map_err(failure),
            Self::Complete(running) => ready!(running.as_mut().poll(cx))
                .map(|found| Completed::Completion(suggestions(found)))
                .map_err(failure),
            Self::Method(running) => ready!(running.as_mut().poll(cx)).map(Completed::Method).map_err(failure),
        })
    }
}

impl Described {
    fn result(&mut self, contents: Contents) -> ReadResourceResult {
        let (uri, mime) = (std::mem::take(&mut self.uri), self.mime_type.take());
        let cache = self.cache.unwrap_or_default();
        let contents = match contents {
            Contents::Full(mut result) => {
                // What the handler says of this result goes before what its resource says of all.
                if self.cache.is_none() || result.caching() == Caching::default() {
                    result.set_caching(cache);
                }
                return *result;
            }
            Contents::Text(text) => {
                let mut contents = TextResourceContents::new(uri, text);
                contents.mime_type = mime;
                ResourceContents::Text(contents)
            }
            Contents::Bytes(bytes) => {
                let mime = mime.unwrap_or_else(|| "application/octet-stream".to_owned());
                ResourceContents::Blob(BlobResourceContents::from_bytes(uri, mime, &bytes))
            }
        };
        ReadResourceResult::from(contents).with_caching(cache)
    }
}

fn suggestions(found: Suggestions) -> CompleteResult {
    let Suggestions { values, total } = found;
    let total = total.unwrap_or(values.len() as u64);
    let mut completion = Completion::new(values);
    completion.has_more = Some(total > completion.values.len() as u64);
    completion.total = Some(total);
    completion.into()
}

/// A result that does not fit the tool's own output schema is our mistake, not the caller's.
fn check_output(call: &CallState, result: CallToolResult) -> Result<CallToolResult, Failure> {
    let name = call.request.name().unwrap_or_default();
    let Some(schema) = call.server.inner.registry.tools.get(&*name).and_then(|tool| tool.output.as_ref()) else {
        return Ok(result);
    };
    if result.is_error == Some(true) {
        return Ok(result);
    }
    let problem = match &result.structured_content {
        // Not what is wrong there: results do not belong into logs.
        Some(value) => schema.validate_value(value).map_err(|violations| violations.paths()).err(),
        None => Some("`structuredContent` is missing".to_owned()),
    };
    match problem {
        None => Ok(result),
        Some(problem) => {
            tracing::error!(tool = %name, at = %problem, "a result does not fit the tool's output schema");
            Err(Rejection::Internal.into())
        }
    }
}

/// What the caller sees of an error where there is no model to read it.
pub(crate) fn failure(error: Error) -> Failure {
    failure_of(error.into_kind())
}

fn failure_of(kind: Kind) -> Failure {
    match kind {
        Kind::Rejected(rejection) => rejection.into(),
        Kind::Protocol { code, message, data } => Failure::Protocol { code, message, data },
        Kind::Tool(message) | Kind::Internal(message) => {
            tracing::error!(error = message, "a handler failed");
            Rejection::Internal.into()
        }
    }
}
