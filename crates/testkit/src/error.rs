//! Why a call has no answer.

use std::fmt;

use http::StatusCode;
use serde_json::Value;

use crate::divergence::Divergence;
use crate::fleet::{BuildFailed, Interrupted};
use crate::message::{Broken, Reply};
use crate::replica::Served;

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The server answered with an error.
    #[error(transparent)]
    Refused(Box<Refusal>),
    /// The client has no answer to a question of the server.
    #[error("the question `{key}` has no answer in the test: {question}")]
    Unanswered {
        /// The question's key.
        key: String,
        /// The question.
        question: Value,
    },
    /// `initialize` was answered, but no session of a known revision is open.
    #[error("no session was opened: {0}")]
    NoSession(Value),
    /// There is no end of rounds, or of pages.
    #[error("there is no end after {0} rounds or pages")]
    Endless(usize),
    /// The response ended before its time.
    #[error("the response of {served} broke off: {source}")]
    Broken {
        /// Who answered.
        served: Served,
        /// Why it ended.
        source: Broken,
    },
    /// A replica that was to take the place of a dead one could not be built.
    #[error(transparent)]
    Build(#[from] BuildFailed),
    /// The replicas answer the same request otherwise.
    #[error(transparent)]
    Diverged(Box<Divergence>),
}

/// An error that the server answered with.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// Who answered.
    pub served: Served,
    /// The HTTP status.
    pub status: StatusCode,
    /// The JSON-RPC code; 0 if the answer is no JSON-RPC error.
    pub code: i64,
    /// The message, or the whole answer if it is no JSON-RPC error.
    pub message: String,
    /// More, by code.
    pub data: Value,
}

impl Refusal {
    pub(crate) fn new(served: Served, reply: &Reply) -> Self {
        let error = &reply.answer["error"];
        Self {
            served,
            status: StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            code: error["code"].as_i64().unwrap_or_default(),
            message: error["message"].as_str().unwrap_or(&reply.text).to_owned(),
            data: error["data"].clone(),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { served, status, code, message, data } = self;
        write!(f, "{served} answered {status}, error {code}: {message}")?;
        match data {
            Value::Null => Ok(()),
            data => write!(f, " {data}"),
        }
    }
}

impl std::error::Error for Refusal {}

impl CallError {
    /// The server's error, if that is why.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            Self::Unanswered { .. } | Self::NoSession(_) | Self::Endless(_) => None,
            Self::Broken { .. } | Self::Build(_) | Self::Diverged(_) => None,
        }
    }
}

impl From<Interrupted> for CallError {
    fn from(interrupted: Interrupted) -> Self {
        match interrupted {
            Interrupted::Build(failed) => Self::Build(failed),
            Interrupted::Diverged(divergence) => Self::Diverged(divergence),
        }
    }
}
