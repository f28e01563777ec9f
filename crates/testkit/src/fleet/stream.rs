//! A response under way: messages as they come, until the replica has said everything or dies.

use anypod_server::Body;
use anypod_server::proto::header::SESSION_ID;
use anypod_server::proto::sse::Decoder;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response};
use http_body_util::BodyExt as _;

use super::Lease;
use crate::message::{Broken, Kind, Reply, Sent};
use crate::replica::Served;

/// A response. Holds its replica, which the schedule then does not kill.
pub(crate) struct Stream {
    lease: Lease,
    status: u16,
    session: Option<HeaderValue>,
    body: Body,
    framing: Framing,
}

enum Framing {
    /// One JSON message.
    Whole(Vec<u8>),
    /// Events, and what has arrived of them and is not read yet.
    Events(Box<Decoder>, Bytes),
}

impl Stream {
    /// Sends a request to the replica of `lease`.
    pub(super) async fn open(mut lease: Lease, sent: &Sent) -> Result<Self, Broken> {
        let server = lease.server.clone();
        let response = tokio::select! {
            biased;
            _ = lease.dead.changed() => return Err(Broken::Died),
            response = server.route(sent.to_http()) => response,
        };
        let (head, body) = match response {
            Ok(response) => Response::into_parts(response),
            Err(never) => match never {},
        };
        let events = head.headers.get(CONTENT_TYPE).is_some_and(|kind| kind == "text/event-stream");
        let framing = match events {
            true => Framing::Events(Box::default(), Bytes::new()),
            false => Framing::Whole(Vec::new()),
        };
        let session = head.headers.get(SESSION_ID).cloned();
        Ok(Self { lease, status: head.status.as_u16(), session, body, framing })
    }

    /// Who answers.
    pub(crate) const fn served(&self) -> Served {
        self.lease.served
    }

    /// The next message; `None` after the last. Nothing is lost if the future is dropped.
    pub(crate) async fn message(&mut self) -> Result<Option<String>, Broken> {
        loop {
            if let Framing::Events(decoder, arrived) = &mut self.framing
                && let Some(event) = decoder.read(arrived).map_err(Broken::Malformed)?
            {
                return Ok(Some(event.data));
            }
            let frame = tokio::select! {
                biased;
                _ = self.lease.dead.changed() => return Err(Broken::Died),
                frame = self.body.frame() => frame,
            };
            match (frame, &mut self.framing) {
                (Some(Ok(frame)), framing) => framing.add(frame.into_data().unwrap_or_default()),
                (Some(Err(never)), _) => match never {},
                (None, Framing::Whole(whole)) if !whole.is_empty() => {
                    let whole = std::mem::take(whole);
                    return Ok(Some(String::from_utf8_lossy(&whole).into_owned()));
                }
                (None, Framing::Whole(_) | Framing::Events(..)) => return Ok(None),
            }
        }
    }

    /// Reads to the end.
    pub(super) async fn finish(mut self) -> Result<Reply, Broken> {
        let mut messages = Vec::new();
        while let Some(message) = self.message().await? {
            messages.push(message);
        }
        Ok(self.reply(messages))
    }

    /// What these messages of the stream, the last of which is the answer, amount to.
    pub(crate) fn reply(&self, messages: Vec<String>) -> Reply {
        Reply { session: self.session.clone(), ..Reply::new(self.status, messages) }
    }

    /// What is said at once: the first message of a stream that stays open, or a whole refusal. A legacy
    /// stream says nothing at once.
    pub(super) async fn begin(&mut self, sent: &Sent) -> Result<Reply, Broken> {
        if let (Kind::Get(_), Framing::Events(..)) = (&sent.kind, &self.framing) {
            return Ok(self.reply(Vec::new()));
        }
        let first = self.message().await?;
        Ok(self.reply(first.into_iter().collect()))
    }
}

impl Framing {
    fn add(&mut self, data: Bytes) {
        match self {
            Self::Whole(whole) => whole.extend_from_slice(&data),
            // A chunk is only asked for when the one before is read.
            Self::Events(_, arrived) => *arrived = data,
        }
    }
}
