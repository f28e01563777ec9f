//! A stream of events that is resumed where it broke, for as long as the server gives ids to resume it by.
//!
//! Spec: 2025-11-25, basic/transports, "Resumability and Redelivery".

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use anypod_proto::header::LAST_EVENT_ID;
use anypod_proto::sse::Received;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde_json::value::RawValue;

use super::link::{Inbox, Waits};
use crate::credentials::BoxFuture;
use crate::error::{Broken, Error, Result};
use crate::http::{Answered, Events, Kind, Turn, Wire};
use crate::limits::Limits;
use crate::message::Message;

/// How long to wait where the server does not say.
const PAUSE: Duration = Duration::from_secs(1);

/// Messages that have come already.
pub(crate) struct Several(pub(crate) VecDeque<Bytes>);

impl Several {
    fn take(&mut self) -> Result<Option<Message>> {
        self.0.pop_front().map(|text| Message::read(&text)).transpose().map_err(Error::from)
    }
}

impl Inbox for Several {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Message>>> {
        Box::pin(std::future::ready(self.take()))
    }
}

/// The messages of a body: one, or several in an array, as 2025-03-26 has it.
pub(crate) fn unpack(body: Bytes, most: usize) -> Result<VecDeque<Bytes>, Broken> {
    if body.trim_ascii_start().first() != Some(&b'[') {
        return Ok(VecDeque::from([body]));
    }
    let messages: Vec<&RawValue> =
        serde_json::from_slice(&body).map_err(|error| Broken::NotJsonRpc(error.to_string()))?;
    if messages.len() > most {
        return Err(Broken::TooMuch { what: "messages in one batch", limit: most });
    }
    Ok(messages.into_iter().map(|message| body.slice_ref(message.get().as_bytes())).collect())
}

/// A stream that is resumed.
pub(crate) struct Resumable {
    wire: Arc<Wire>,
    limits: Arc<Limits>,
    headers: HeaderMap,
    source: Source,
    several: Several,
    /// The last id that the stream gave, on this connection or on one before.
    last: Option<String>,
    retry: Option<Duration>,
    /// How often in a row it was resumed without a message.
    fruitless: usize,
    waits: Waits,
}

enum Source {
    Live(Box<Events>),
    /// The pause and the GET that comes after it, kept here so that whoever polls may stop in between.
    Pausing(BoxFuture<'static, Result<Answered>>),
    Ended,
}

impl Resumable {
    pub(crate) fn new(wire: Arc<Wire>, limits: Arc<Limits>, headers: HeaderMap, events: Events) -> Self {
        Self {
            wire,
            limits,
            headers,
            source: Source::Live(Box::new(events)),
            several: Several(VecDeque::new()),
            last: None,
            retry: None,
            fruitless: 0,
            waits: Waits::ForServer,
        }
    }

    async fn read(&mut self) -> Result<Option<Message>> {
        loop {
            if let Some(message) = self.several.take()? {
                self.fruitless = 0;
                return Ok(Some(message));
            }
            match &mut self.source {
                Source::Ended => return Ok(None),
                Source::Live(events) => {
                    let event = events.next().await;
                    self.last = events.last_event_id().map(str::to_owned).or_else(|| self.last.take());
                    self.retry = events.retry().or(self.retry);
                    match event {
                        Ok(Some(event)) => self.take_in(event)?,
                        Ok(None) => self.resume(None)?,
                        Err(Error::Lost { source }) => self.resume(Some(Error::Lost { source }))?,
                        Err(error) => return Err(error),
                    }
                }
                Source::Pausing(get) => {
                    let answered = get.await;
                    self.source = Source::Ended;
                    self.resumed(answered).await?;
                }
            }
        }
    }

    /// Events without data only give an id; events of other types are not for us.
    fn take_in(&mut self, event: Received) -> Result<()> {
        if !event.data.is_empty() && event.event.as_deref().is_none_or(|kind| kind == "message") {
            self.several.0 = unpack(Bytes::from(event.data), self.limits.notifications)?;
        }
        Ok(())
    }

    /// Begins to resume the stream, if that is possible; otherwise it has ended, or failed with `error`.
    fn resume(&mut self, error: Option<Error>) -> Result<()> {
        self.source = Source::Ended;
        let last = self.last.as_deref().and_then(|id| HeaderValue::from_str(id).ok());
        let Some(last) = last else { return error.map_or(Ok(()), Err) };
        if self.fruitless >= self.limits.resumptions {
            let why = format!("the stream ended again after {} resumptions", self.fruitless);
            return Err(error.unwrap_or_else(|| Error::lost(why)));
        }
        self.fruitless += 1;
        let pause = self.retry.unwrap_or(PAUSE).min(self.limits.longest_pause);
        let mut headers = self.headers.clone();
        headers.insert(LAST_EVENT_ID, last);
        let wire = Arc::clone(&self.wire);
        tracing::debug!(?pause, "a stream has ended and is to be resumed");
        self.source = Source::Pausing(Box::pin(async move {
            tokio::time::sleep(pause).await;
            wire.request(Method::GET, headers, Bytes::new(), Turn::Now).await
        }));
        Ok(())
    }

    async fn resumed(&mut self, answered: Result<Answered>) -> Result<()> {
        match answered {
            Ok(answered) if answered.status.is_success() && answered.kind == Kind::Events => {
                let mut events = answered.events();
                events.set_silence(self.silence());
                self.source = Source::Live(Box::new(events));
                Ok(())
            }
            Ok(answered) => {
                let passing = answered.status.is_server_error() || answered.status == StatusCode::TOO_MANY_REQUESTS;
                let error = Error::lost(format!("the stream cannot be resumed: {}", answered.refused().await));
                if passing { self.resume(Some(error)) } else { Err(error) }
            }
            Err(Error::Lost { source } | Error::Unreachable { source, .. }) => {
                self.resume(Some(Error::Lost { source }))
            }
            Err(error) => Err(error),
        }
    }

    fn silence(&self) -> Duration {
        match self.waits {
            Waits::ForServer => self.limits.silence_deadline,
            // Whoever holds the stream has a deadline of its own.
            Waits::ForAnswers => Duration::MAX,
        }
    }
}

impl Inbox for Resumable {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Message>>> {
        Box::pin(self.read())
    }

    fn waits(&mut self, waits: Waits) {
        self.waits = waits;
        let silence = self.silence();
        if let Source::Live(events) = &mut self.source {
            events.set_silence(silence);
        }
    }
}
