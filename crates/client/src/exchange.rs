//! A request under way: what the server says about it, and then the answer.
//!
//! Dropping an exchange cancels the request.

use anypod_proto::jsonrpc::ErrorObject;
use anypod_proto::meta;
use anypod_proto::method::Notification;
use anypod_proto::scan::Scanner;
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

impl Notice {
    /// The same notification with another progress token, the JSON of a string or an integer. The token of a call under way
    /// is the number that it has here, and means nothing to whoever the call is made for. Other notifications stay as they
    /// are.
    #[must_use]
    pub fn with_token(self, token: &str) -> Self {
        if self.method != Notification::Progress.as_str() {
            return self;
        }
        let params = replaced(self.params.as_str(), meta::PROGRESS_TOKEN, token);
        Self { params: params.map_or(self.params, |text| Raw(text.into())), ..self }
    }
}

/// The object with another value for a member. `None` if it is no object.
fn replaced(object: &str, member: &str, json: &str) -> Option<String> {
    let mut scanner = Scanner::new(object);
    let mut walk = scanner.object().ok()?;
    let mut text = String::with_capacity(object.len() + json.len());
    let mut copied = 0;
    while let Some(key) = scanner.member(&mut walk).ok()? {
        let value = scanner.value().ok()?;
        if key.is(member) {
            text.push_str(object.get(copied..scanner.offset() - value.len())?);
            text.push_str(json);
            copied = scanner.offset();
        }
    }
    text.push_str(object.get(copied..)?);
    Some(text)
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
