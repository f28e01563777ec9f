//! HTTP towards one server: requests with the client's headers, answers within its bounds.
//!
//! This much both eras share. What a modern server is sent stands in [`modern`], the rest in [`crate::legacy`].
//! Spec: basic/transports/streamable-http.

pub(crate) mod body;
pub(crate) mod connect;
pub(crate) mod events;
pub(crate) mod modern;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, LOCATION, RETRY_AFTER, USER_AGENT, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::Full;

use crate::credentials::{Challenge, Credentials};
use crate::error::{Broken, Error, Result};
use crate::limits::Limits;
use crate::observe::Observe;

pub(crate) use body::Body;
pub(crate) use connect::Connection;
pub(crate) use events::Events;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const JSON_OR_EVENTS: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");
/// How often one request asks for other credentials.
const CHALLENGES: usize = 3;
/// How much of a foreign error page is shown, in characters.
const EXCERPT: usize = 200;

/// Whether a request waits for its turn where connections are scarce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It waits until one of [`Limits::connections`] is free.
    Waits,
    /// It goes at once: what others wait for, such as a cancellation or an answer.
    Now,
}

/// HTTP towards one server.
pub(crate) struct Wire {
    uri: Uri,
    connection: Connection,
    headers: HeaderMap,
    credentials: Option<Arc<dyn Credentials>>,
    observer: Option<Arc<dyn Observe>>,
    limits: Arc<Limits>,
    numbers: AtomicU64,
    moved: std::sync::Mutex<Option<Uri>>,
}

/// What an answer is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One JSON value.
    Json,
    /// A stream of events.
    Events,
    /// Something else, or nothing: its content type.
    Other(String),
}

/// An answer whose body has not been read.
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) kind: Kind,
    body: Body,
}
