//! Questions to legacy clients, as they go out on the stream of a call and are taken back.
//!
//! Spec: 2025-11-25, client/elicitation, client/sampling, client/roots.

use std::sync::Arc;

use anypod_proto::code::Code;
use anypod_proto::elicitation::ElicitRequestParams;
use anypod_proto::jsonrpc::JsonObject;
use anypod_proto::legacy;
use anypod_proto::method::{ClientMethod, Notification};
use anypod_proto::rounds::InputRequest;
use anypod_proto::version::Version;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::questions::{Outcome, Waiting};
use crate::completed::Failure;
use crate::cx::notification;
use crate::error::Error;
use crate::outbox::{Kind, Outbox};
use crate::run::failure;
use crate::server::Server;

/// How a transport asks: it names a question and knows when its answer comes. The question itself goes
/// out through the call's outbox, as a message of [`Kind::Request`].
pub(crate) trait Asker: Send + Sync {
    /// Prepares for the answer to a question that is about to be sent.
    ///
    /// # Errors
    /// [`CannotAsk`] if the question could never be answered.
    fn expect(&self) -> Result<Expected, CannotAsk>;
}

impl<A: Asker + ?Sized> Asker for Arc<A> {
    fn expect(&self) -> Result<Expected, CannotAsk> {
        A::expect(self)
    }
}

/// A question that is about to be sent.
pub(crate) struct Expected {
    /// The raw JSON of its request id.
    pub(crate) id: Box<RawValue>,
    /// Its answer.
    pub(crate) answer: Waiting,
}

/// Why a client cannot be asked; the text is for it to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CannotAsk(pub(crate) &'static str);

/// The way to a client for a call that asks while it works.
#[derive(Clone)]
pub(crate) struct Line {
    pub(crate) asker: Arc<dyn Asker>,
    /// The revision of the client.
    pub(crate) version: Version,
}

/// A question that can be sent.
pub(crate) struct Ready {
    key: String,
    /// Method and parameters, as a legacy client knows them.
    members: JsonObject,
    expected: Expected,
    /// `_meta` of everything that is said about the question.
    meta: Option<JsonObject>,
}

impl Ready {
    /// Prepares a question.
    ///
    /// # Errors
    /// If it cannot be asked.
    pub(crate) fn new(
        server: &Server,
        version: Version,
        asker: &(impl Asker + ?Sized),
        key: String,
        question: InputRequest,
    ) -> Result<Self, Failure> {
        let members = members(server, version, question).map_err(|reason| cannot_ask(&key, reason))?;
        let expected = asker.expect().map_err(|CannotAsk(reason)| cannot_ask(&key, reason))?;
        Ok(Self { key, members, expected, meta: None })
    }

    /// The same with this `_meta`.
    pub(crate) fn with_meta(mut self, meta: JsonObject) -> Self {
        let params = self.members.entry("params").or_insert_with(|| json!({}));
        if let Value::Object(params) = params {
            params.insert("_meta".to_owned(), Value::Object(meta.clone()));
        }
        self.meta = Some(meta);
        self
    }

    /// Sends it.
    ///
    /// # Errors
    /// If it is no JSON.
    pub(crate) fn send(self, outbox: &Outbox) -> Result<Asked<'_>, Failure> {
        let Self { key, mut members, expected: Expected { id, answer }, meta } = self;
        let mut write = || {
            members.insert("jsonrpc".to_owned(), "2.0".into());
            members.insert("id".to_owned(), serde_json::to_value(&id)?);
            serde_json::to_string(&members)
        };
        let message = write().map_err(|error| failure(Error::internal(error)))?;
        outbox.push(Kind::Request, message);
        Ok(Asked { key, outbox, id, answer: Some(answer), meta })
    }
}

/// A question that was sent. If it is dropped before it is answered, the client is told to forget it.
pub(crate) struct Asked<'a> {
    pub(crate) key: String,
    outbox: &'a Outbox,
    id: Box<RawValue>,
    answer: Option<Waiting>,
    meta: Option<JsonObject>,
}

impl Asked<'_> {
    /// Waits for the answer.
    ///
    /// # Errors
    /// If there is none.
    pub(crate) async fn answer(&mut self) -> Result<Value, Failure> {
        let outcome: Option<Outcome> = match &mut self.answer {
            Some(answer) => answer.await,
            None => None,
        };
        self.answer = None;
        let key = &self.key;
        match outcome {
            Some(Ok(answer)) => Ok(answer),
            Some(Err(error)) => {
                let message: String = error.message.chars().take(400).collect();
                Err(unanswered(format_args!("the client refused the question `{key}`: {message} ({})", error.code)))
            }
            None => Err(unanswered(format_args!("the question `{key}` was dropped; call again"))),
        }
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        if self.answer.is_none() {
            return;
        }
        let mut params = json!({ "requestId": self.id });
        if let Some(meta) = self.meta.take() {
            params["_meta"] = Value::Object(meta);
        }
        if let Ok(message) = notification(Notification::Cancelled, &params) {
            self.outbox.push(Kind::Request, message);
        }
    }
}

fn members(server: &Server, version: Version, question: InputRequest) -> Result<JsonObject, String> {
    if !legacy::supports(version, &question) {
        return Err(format!("revision {version} has no place for this {}", question.method()));
    }
    let members = match question {
        InputRequest::Elicit(ElicitRequestParams::Url(page)) => {
            let id = format!("{:032x}", u128::from_be_bytes(server.inner.outside.random()));
            let params = legacy::ElicitRequestUrlParams::new(page, id);
            Ok(json!({ "method": ClientMethod::Elicit.as_str(), "params": params }))
        }
        other => serde_json::to_value(other),
    };
    match members.map_err(|error| error.to_string())? {
        Value::Object(members) => Ok(members),
        _ => Err("it is no request".to_owned()),
    }
}

fn cannot_ask(key: &str, reason: impl std::fmt::Display) -> Failure {
    unanswered(format_args!("the question `{key}` cannot be asked: {reason}"))
}

/// The call fails because the client has not answered what it needs.
pub(crate) fn unanswered(reason: impl std::fmt::Display) -> Failure {
    let message = format!("this call needs an answer from the client: {reason}");
    Failure::Protocol { code: Code::InternalError.number(), message, data: None }
}
