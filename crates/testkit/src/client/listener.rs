//! A stream of changes, as a client reads it.

use std::fmt;

use serde_json::Value;

use crate::error::{CallError, Refusal};
use crate::fleet::{Fleet, Stream};
use crate::message::{Broken, Exchange, Reply, Sent, Step, parsed};
use crate::replica::Served;

/// An open stream of changes. While it is open, the schedule does not kill its replica;
/// [`Fleet::kill`](crate::Fleet::kill) does.
pub struct Listener {
    fleet: Fleet,
    sent: Sent,
    honoured: Value,
    stream: Stream,
}

impl Listener {
    /// Opens a stream of changes, whose first message acknowledges it.
    pub(super) async fn open(fleet: &Fleet, sent: Sent) -> Result<Self, CallError> {
        let (sent, reply, stream) = start(fleet, sent).await?;
        match reply.answer.pointer("/params/notifications") {
            Some(honoured) => Ok(Self { fleet: fleet.clone(), sent, honoured: honoured.clone(), stream }),
            None => Err(CallError::Refused(Box::new(Refusal::new(stream.served(), &reply)))),
        }
    }

    /// Opens the stream of a legacy session, which nothing acknowledges.
    pub(super) async fn open_legacy(fleet: &Fleet, sent: Sent) -> Result<Self, CallError> {
        let (sent, reply, stream) = start(fleet, sent).await?;
        match reply.status {
            200 => Ok(Self { fleet: fleet.clone(), sent, honoured: Value::Null, stream }),
            _ => Err(CallError::Refused(Box::new(Refusal::new(stream.served(), &reply)))),
        }
    }

    /// What the server agreed to tell; null on the stream of a legacy session.
    pub const fn honoured(&self) -> &Value {
        &self.honoured
    }

    /// Who serves the stream.
    pub const fn served_by(&self) -> Served {
        self.stream.served()
    }

    /// The next message: a notification, or the response that ends the stream on purpose. `None` after that.
    /// Nothing is lost if the future is dropped, so that it can be given a time limit.
    ///
    /// # Errors
    /// If the replica was killed, or if what came is no stream of events.
    pub async fn next(&mut self) -> Result<Option<Value>, Broken> {
        let message = self.stream.message().await;
        let Step { call, part } = self.sent.step;
        self.sent.step = Step { call, part: part + 1 };
        let text = message.clone().map(Option::unwrap_or_default);
        let reply = text.map(|text| Reply::new(http::StatusCode::OK.as_u16(), vec![text]));
        self.fleet.record(Exchange { sent: self.sent.clone(), served: self.stream.served(), reply });
        Ok(message?.map(|text| parsed(&text)))
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("honoured", &self.honoured).finish_non_exhaustive()
    }
}

async fn start(fleet: &Fleet, sent: Sent) -> Result<(Sent, Reply, Stream), CallError> {
    let (Exchange { served, reply, sent }, stream) = fleet.open(sent).await?;
    let reply = reply.map_err(|source| CallError::Broken { served, source })?;
    // A reply came from a stream, so there is one.
    let stream = stream.ok_or(CallError::Broken { served, source: Broken::Died })?;
    Ok((sent, reply, stream))
}
