//! What a request can fail with, sorted by whose fault it is.

use std::time::Duration;

use anypod_proto::jsonrpc::ErrorObject;
use http::StatusCode;

use crate::credentials::Challenge;

/// The short form that the client's functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What underlies a failure to connect, to read or to write.
pub(crate) type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why a request has no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server understood and answered with an error.
    #[error("the server answered {}: {}", .0.code, .0.message)]
    Answered(ErrorObject),
    /// The server wants (other) credentials: 401, or 403 with a challenge.
    #[error("the server wants authorization: {0}")]
    Unauthorized(Box<Challenge>),
    /// Something that speaks HTTP but not MCP answered, such as a balancer or a login page.
    #[error("HTTP {status}: {excerpt}")]
    Refused {
        /// The status.
        status: StatusCode,
        /// The beginning of what it said, without control characters; at most 200 characters.
        excerpt: String,
        /// What its `Retry-After` said.
        retry_after: Option<Duration>,
    },
    /// The server broke the protocol.
    #[error("the server broke the protocol: {0}")]
    Broken(#[from] Broken),
    /// No connection came about: the request did not run.
    #[error("{origin} cannot be reached: {source}")]
    Unreachable {
        /// What was to be reached: an origin, a socket or a command.
        origin: String,
        /// Why not.
        source: Source,
    },
    /// The connection or the stream broke after the request was sent. It may have run, and may not be repeated: see
    /// [`crate::Request::repeatable`].
    #[error("nobody knows whether the request ran: {source}")]
    OutcomeUnknown {
        /// How it broke.
        source: Source,
    },
    /// The connection or the stream broke; the request could be repeated, and was, without success.
    #[error("the connection was lost: {source}")]
    Lost {
        /// How it broke.
        source: Source,
    },
    /// No answer in time. The request was cancelled, and may have run.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// The caller cancelled.
    #[error("cancelled")]
    Cancelled,
    /// The server went on asking.
    #[error("the server asked in more than {0} rounds")]
    TooManyRounds(usize),
    /// The server asked for something that no answerer is registered for.
    #[error("the server asked for {0}, which this client did not declare")]
    NoAnswerer(&'static str),
    /// An answerer failed.
    #[error("the question could not be answered: {0}")]
    Answerer(Source),
    /// The task ended without a result.
    #[error("the task {id} {state}")]
    Task {
        /// The task's id.
        id: String,
        /// How it ended, as `was cancelled`.
        state: &'static str,
    },
    /// The tool's result says that the tool failed, where the caller asked for its value.
    #[error("the tool failed: {0}")]
    Tool(String),
    /// Too much is under way in this client: a bound of [`crate::Limits`].
    #[error("too many {0} at once")]
    Busy(&'static str),
    /// The client was configured or called with something that makes no sense.
    #[error("{0}")]
    Misuse(String),
}

/// How a server broke the protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Broken {
    /// The body is not JSON, or not JSON-RPC.
    #[error("what it sent is no JSON-RPC message: {0}")]
    NotJsonRpc(String),
    /// The answer has the id of no request that waits.
    #[error("an answer to request {found}, where {expected} was asked")]
    WrongId {
        /// The request's id.
        expected: String,
        /// The answer's id; `none` if it has none.
        found: String,
    },
    /// Neither JSON nor an event stream.
    #[error("the content type {0:?} is neither JSON nor an event stream")]
    ContentType(String),
    /// The body is compressed, which was not asked for.
    #[error("the content encoding {0:?} was not asked for")]
    ContentEncoding(String),
    /// More than a bound allows.
    #[error("more than {limit} {what}")]
    TooMuch {
        /// What there is too much of, as `bytes in one line`.
        what: &'static str,
        /// The bound, of [`crate::Limits`].
        limit: usize,
    },
    /// A cursor came a second time: the list would never end.
    #[error("the list does not end: a cursor was repeated")]
    EndlessList,
    /// A redirect that must not be followed.
    #[error("a redirect to {0}, which is not followed")]
    Redirect(String),
    /// The result does not have the form that its request calls for.
    #[error("a result that does not fit: {0}")]
    Result(String),
    /// The structured content does not match the schema that the tool has published for it.
    #[error("structured content that does not match the tool's output schema: {0}")]
    OutputSchema(String),
    /// A `resultType` that nobody negotiated.
    #[error("the unknown result type {0:?}")]
    ResultType(String),
    /// A request on a modern stream, where there are none.
    #[error("a request ({0}) where only notifications and the answer may come")]
    UnexpectedRequest(String),
    /// The stream ended without the answer.
    #[error("the stream ended without an answer")]
    NoAnswer,
    /// No version that both sides speak.
    #[error("no common protocol version: the server speaks {0:?}")]
    NoCommonVersion(Vec<String>),
    /// The legacy handshake went wrong.
    #[error("the legacy handshake failed: {0}")]
    Handshake(String),
}

impl Error {
    /// Whether the request certainly did not run, so that anyone may send it again.
    pub fn did_not_run(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Busy(_) | Self::Misuse(_) | Self::Unauthorized(_))
    }

    /// Whether the same may go well a little later.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Refused { status, .. } => status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS,
            Self::Lost { .. } | Self::Unreachable { .. } | Self::TimedOut(_) | Self::Busy(_) => true,
            Self::Answered(_)
            | Self::Unauthorized(_)
            | Self::Broken(_)
            | Self::OutcomeUnknown { .. }
            | Self::Cancelled
            | Self::TooManyRounds(_)
            | Self::NoAnswerer(_)
            | Self::Answerer(_)
            | Self::Task { .. }
            | Self::Tool(_)
            | Self::Misuse(_) => false,
        }
    }

    pub(crate) fn unreachable(origin: impl Into<String>, source: impl Into<Source>) -> Self {
        Self::Unreachable { origin: origin.into(), source: source.into() }
    }

    pub(crate) fn lost(source: impl Into<Source>) -> Self {
        Self::Lost { source: source.into() }
    }
}
