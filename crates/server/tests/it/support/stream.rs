//! Event streams, read as they come.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use anypod_server::Body;
use anypod_server::proto::sse::{Decoder, Limits};
use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;

use super::schema;

/// The messages of a whole stream.
pub(super) fn events(mut bytes: &[u8]) -> Vec<Value> {
    let mut decoder = Decoder::new(Limits::default());
    let mut messages = Vec::new();
    while let Some(event) = decoder.read(&mut bytes).expect("a well-formed stream") {
        messages.push(serde_json::from_str(&event.data).expect("JSON"));
    }
    messages
}

/// An open answer. Dropping it is what a client does that goes away.
pub(crate) struct Stream {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    method: String,
    body: Body,
    decoder: Decoder,
    messages: VecDeque<Value>,
    /// The bytes so far.
    pub(crate) raw: Vec<u8>,
}

impl Stream {
    pub(super) fn new(method: &str, response: Response<Body>) -> Self {
        let (head, body) = response.into_parts();
        Self {
            status: head.status,
            headers: head.headers,
            method: method.to_owned(),
            body,
            decoder: Decoder::new(Limits::default()),
            messages: VecDeque::new(),
            raw: Vec::new(),
        }
    }

    /// The next message; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(message) = self.messages.pop_front() {
                return Some(message);
            }
            let bytes = self.body.frame().await?.expect("bodies do not fail").into_data().expect("data");
            self.take(bytes);
        }
    }

    /// The messages that are there without waiting.
    pub(crate) async fn ready(&mut self) -> Vec<Value> {
        loop {
            let polled = poll_fn(|cx| Poll::Ready(http_body::Body::poll_frame(Pin::new(&mut self.body), cx))).await;
            match polled {
                Poll::Ready(Some(frame)) => self.take(frame.expect("bodies do not fail").into_data().expect("data")),
                Poll::Ready(None) | Poll::Pending => return self.messages.drain(..).collect(),
            }
        }
    }

    /// The next bytes, comments included.
    pub(crate) async fn bytes(&mut self) -> Option<Bytes> {
        Some(self.body.frame().await?.expect("bodies do not fail").into_data().expect("data"))
    }

    fn take(&mut self, mut bytes: Bytes) {
        self.raw.extend_from_slice(&bytes);
        while let Some(event) = self.decoder.read(&mut bytes).expect("a well-formed stream") {
            let message = serde_json::from_str(&event.data).expect("JSON");
            schema::check(&self.method, &message);
            self.messages.push_back(message);
        }
    }
}
