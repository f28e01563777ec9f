//! An answer that says no, as it came over HTTP: for who passes it on, and for who judges the server by it.

use std::time::Duration;

use anypod_proto::jsonrpc::ErrorObject;
use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};

use crate::credentials::Challenge;
use crate::era::{self, Verdict};
use crate::error::{Broken, Error};
use crate::exchange::Answer;
use crate::http::modern::check_id;
use crate::http::{Kind, printable};
use crate::message::Message;

/// An answer over HTTP that is no result and no stream: an error of the protocol with any status, or plain HTTP.
#[derive(Debug)]
pub struct Refusal {
    /// The status. One of success if the server sent an error so, or something that is no message.
    pub status: StatusCode,
    /// The headers, as they came: those of the connection too.
    pub headers: HeaderMap,
    /// The body: whole, up to [`Limits::body_bytes`](crate::Limits::body_bytes), if it says that it is JSON; else at most its
    /// first 16 KiB.
    pub body: Bytes,
    /// What it is about, if it is about credentials: 401, or 403 with `WWW-Authenticate`.
    pub challenge: Option<Box<Challenge>>,
    /// What the body says that it is.
    pub(crate) kind: Kind,
    /// The id of the request that it answers.
    pub(crate) id: u64,
}

impl Refusal {
    /// The error of the protocol, if there is one in the body.
    pub fn error(&self) -> Option<ErrorObject> {
        match Message::read(&self.body) {
            Ok(Message::Answer(found, answer)) => {
                let checked = check_id(self.id, found.as_ref(), &answer);
                match answer {
                    Answer::Error(error) if checked.is_ok() || !self.status.is_success() => Some(error),
                    Answer::Error(_) | Answer::Result(_) => None,
                }
            }
            Ok(Message::Notice(_) | Message::Request { .. }) | Err(_) => None,
        }
    }

    /// What its `Retry-After` says in seconds; a date is as good as none.
    pub fn retry_after(&self) -> Option<Duration> {
        seconds(&self.headers)
    }

    /// What it says about the server's era.
    pub fn verdict(&self) -> Verdict {
        era::judge(self.status, &self.body, self.id)
    }

    /// It as an error: [`Error::Unauthorized`], [`Error::Answered`], [`Error::Refused`] or [`Error::Broken`].
    pub fn into_error(self) -> Error {
        if let Some(challenge) = self.challenge {
            return Error::Unauthorized(challenge);
        }
        let read = Message::read(&self.body);
        if let Ok(Message::Answer(found, answer @ Answer::Error(error))) = &read {
            let checked = check_id(self.id, found.as_ref(), answer);
            return match checked {
                Err(broken) if self.status.is_success() => broken.into(),
                Ok(()) | Err(_) => Error::Answered(error.clone()),
            };
        }
        if !self.status.is_success() {
            let excerpt = printable(&self.body);
            return Error::Refused { status: self.status, excerpt, retry_after: self.retry_after() };
        }
        match (self.kind, read) {
            (Kind::Other(kind), _) => Broken::ContentType(kind).into(),
            (Kind::Json | Kind::Events, Err(broken)) => broken.into(),
            (Kind::Json | Kind::Events, Ok(Message::Request { method, .. })) => {
                Broken::UnexpectedRequest(method).into()
            }
            (Kind::Json | Kind::Events, Ok(Message::Notice(notice))) => {
                Broken::NotJsonRpc(format!("the notification {}", notice.method)).into()
            }
            (Kind::Json | Kind::Events, Ok(Message::Answer(..))) => Broken::NotJsonRpc(printable(&self.body)).into(),
        }
    }
}

/// `Retry-After` in seconds; a date is as good as none.
pub(crate) fn seconds(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}
