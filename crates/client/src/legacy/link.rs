//! What a session needs from its transport: HTTP in [`super::http`], lines over pipes in [`crate::stdio`].
//!
//! A link carries messages and knows nothing of what they mean, except which request a message belongs to.

use std::sync::Arc;

use anypod_proto::version::Version;
use bytes::Bytes;
use http::HeaderValue;

use crate::credentials::BoxFuture;
use crate::error::Result;
use crate::message::Message;

/// What a message is sent in. Over pipes a session is a process, and lasts as long.
#[derive(Debug, Clone, Default)]
pub(crate) struct Place {
    /// The session, if the server gave it an id.
    pub(crate) session: Option<HeaderValue>,
    /// The negotiated version; none before there is one.
    pub(crate) version: Option<Version>,
}

/// What became of a request.
pub(crate) enum Reply {
    /// It was sent, and this is where its messages come in.
    Taken {
        /// Progress, questions that the transport ties to the request, and the answer. To drop it is to listen no
        /// more: it tells the server nothing.
        inbox: Box<dyn Inbox>,
        /// The session id that came with it, not yet checked. Over pipes, the number of the process.
        session: Option<HeaderValue>,
    },
    /// The server knows the session no more, and refused the request before it ran. Over pipes, the process has ended,
    /// and nothing was written.
    Gone,
}

/// What became of a notification or an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// The server took it.
    Taken,
    /// The server knows the session no more.
    Gone,
}

/// The stream of what a server says unasked.
pub(crate) enum Unasked {
    /// This is it.
    Inbox(Box<dyn Inbox>),
    /// The server has none, as HTTP servers may.
    None,
    /// The server knows the session no more.
    Gone,
}

/// When the unasked stream is to be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    /// It flows by itself and has to be read from the start: lines over pipes. Where it ends, the session has ended.
    Always,
    /// It costs a connection, and is opened when someone needs it.
    OnDemand,
}

/// Messages, one by one.
pub(crate) trait Inbox: Send {
    /// The next message; `None` if no more will come. Cancel-safe: a future that is dropped loses no message.
    ///
    /// # Errors
    /// [`crate::Error::Lost`] if the connection or the process broke, [`crate::Broken`] for what is no message.
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Message>>>;

    /// Says who is expected to speak next. A stream may be given up as lost if the server is, and is silent.
    fn waits(&mut self, _waits: Waits) {}
}

/// Who is expected to speak next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waits {
    /// The server.
    ForServer,
    /// The caller, who was asked something.
    ForAnswers,
}

/// A way to one legacy server.
///
/// What belongs to a request comes in its inbox: an answer by its id, progress by its token, which is the id. Over
/// HTTP that is whatever comes on the stream of its POST. All else (requests of the server, log messages, changes,
/// answers that nobody waits for) is unasked. Every queue is bounded by [`crate::Limits`]; where one is full, progress
/// and log messages may be dropped, and requests and answers may not.
pub(crate) trait Link: Send + Sync + 'static {
    /// Sends the request of this id. Returns once the server has begun to answer (HTTP), or the line is written.
    ///
    /// # Errors
    /// [`crate::Error::Unreachable`] if it was not sent, and as [`Inbox::next`].
    fn request<'a>(&'a self, place: &'a Place, id: u64, text: Bytes) -> BoxFuture<'a, Result<Reply>>;

    /// Sends a notification, or the answer to a request of the server. Goes before requests that wait.
    ///
    /// # Errors
    /// As [`Link::request`].
    fn tell<'a>(&'a self, place: &'a Place, text: Bytes) -> BoxFuture<'a, Result<Told>>;

    /// Opens the stream of what the server says unasked. It has one reader at a time.
    ///
    /// # Errors
    /// As [`Link::request`].
    fn unasked<'a>(&'a self, place: &'a Place) -> BoxFuture<'a, Result<Unasked>>;

    /// When [`Link::unasked`] is to be called.
    fn flow(&self) -> Flow;

    /// Ends the session: DELETE, or the end of the pipe and of the process behind it.
    ///
    /// # Errors
    /// As [`Link::request`].
    fn end<'a>(&'a self, place: &'a Place) -> BoxFuture<'a, Result<()>>;
}

/// A way that others use too.
impl<L: Link> Link for Arc<L> {
    fn request<'a>(&'a self, place: &'a Place, id: u64, text: Bytes) -> BoxFuture<'a, Result<Reply>> {
        L::request(self, place, id, text)
    }

    fn tell<'a>(&'a self, place: &'a Place, text: Bytes) -> BoxFuture<'a, Result<Told>> {
        L::tell(self, place, text)
    }

    fn unasked<'a>(&'a self, place: &'a Place) -> BoxFuture<'a, Result<Unasked>> {
        L::unasked(self, place)
    }

    fn flow(&self) -> Flow {
        L::flow(self)
    }

    fn end<'a>(&'a self, place: &'a Place) -> BoxFuture<'a, Result<()>> {
        L::end(self, place)
    }
}
