//! A request under way: what the server says about it, and then the answer.
//!
//! Dropping an exchange cancels the request.

use anypod_proto::jsonrpc::ErrorObject;
use bytes::Bytes;
use serde::de::DeserializeOwned;

use crate::credentials::BoxFuture;
use crate::error::{Broken, Error, Result};

/// JSON as it came: checked to be JSON in UTF-8, otherwise unread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raw(Bytes);

impl Raw {
    /// Checks a text.
    ///
    /// # Errors
    /// If it is no JSON in UTF-8.
    pub fn parse(json: Bytes) -> Result<Self, serde_json::Error> {
        serde_json::from_slice::<&serde_json::value::RawValue>(&json)?;
        Ok(Self(json))
    }

    /// Takes what has been checked.
    pub(crate) const fn checked(json: Bytes) -> Self {
        Self(json)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The bytes of the text.
    pub const fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// Reads it as `T`.
    ///
    /// # Errors
    /// [`Broken::Result`] if it has another form.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.0).map_err(|error| Broken::Result(error.to_string()).into())
    }
}

/// A notification of the server.
#[derive(Debug, Clone)]
pub struct Notice {
    /// The method.
    pub method: String,
    /// The parameters; `{}` if it has none.
    pub params: Raw,
}

/// What ends an exchange.
#[derive(Debug, Clone)]
pub enum Answer {
    /// A result of any `resultType`.
    Result(Raw),
    /// An error.
    Error(ErrorObject),
}

/// What comes in for a request.
#[derive(Debug, Clone)]
pub enum Incoming {
    /// Something along the way.
    Notice(Notice),
    /// The end.
    Answer(Answer),
}

/// Where a stream of messages for one request comes from. After an answer or an error, nothing more is asked of it.
pub(crate) trait Messages: Send {
    /// The next message. Cancel-safe: a future that is dropped loses no message.
    fn next(&mut self) -> BoxFuture<'_, Result<Incoming>>;
}

/// A request under way.
pub struct Exchange {
    /// What comes before all else.
    first: Option<Incoming>,
    rest: Kind,
}

enum Kind {
    /// There is no more.
    Ended,
    /// Messages come one by one.
    Stream(Box<dyn Messages>),
}

impl Exchange {
    /// One that has ended already.
    pub(crate) const fn answered(answer: Answer) -> Self {
        Self { first: Some(Incoming::Answer(answer)), rest: Kind::Ended }
    }

    /// One that goes on.
    pub(crate) fn stream(messages: impl Messages + 'static) -> Self {
        Self { first: None, rest: Kind::Stream(Box::new(messages)) }
    }

    /// The same, with a message put back that was read before all others.
    #[must_use]
    pub(crate) fn preceded(mut self, first: Incoming) -> Self {
        self.first = Some(first);
        self
    }

    /// The next message. Cancel-safe.
    ///
    /// # Errors
    /// If the stream breaks or the server breaks the protocol. Nothing comes after that, nor after the answer.
    pub async fn next(&mut self) -> Result<Incoming> {
        if let Some(first) = self.first.take() {
            return Ok(first);
        }
        match &mut self.rest {
            Kind::Ended => Err(Error::Broken(Broken::NoAnswer)),
            Kind::Stream(messages) => messages.next().await,
        }
    }
}

impl std::fmt::Debug for Exchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Exchange")
    }
}
