//! The bounds of the whole gateway: `[limits]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Time;

/// The bounds of the whole gateway.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Limits {
    /// Connections of clients at once; further ones wait. Default 20,000.
    pub connections: usize,
    /// Requests under way at once; one more is answered 503 with `Retry-After`. Default 4,096.
    pub requests: usize,
    /// Open streams at once, of listeners and of legacy sessions. Default 16,384.
    pub streams: usize,
    /// The longest body of a request, in bytes. Default 4 MiB.
    pub body_bytes: usize,
    /// Up to this length, a body is read before it is passed on, while there is room; longer ones are passed on as they come.
    /// Default 2 MiB.
    pub whole_body_bytes: usize,
    /// The room for bodies that are read before they are passed on, until their answers begin, in bytes. Where there is none
    /// left, bodies longer than 128 KiB are passed on as they come. Default 64 MiB.
    pub read_ahead_bytes: usize,
    /// The longest result that is read as a whole, to be kept, merged or translated, in bytes. Default 16 MiB.
    pub result_bytes: usize,
    /// The longest header section, in bytes. Default 64 KiB.
    pub header_bytes: usize,
    /// How long a body may take to arrive. Default 30 s.
    pub body_deadline: Time,
    /// How long a connection may be without a request. Default 90 s.
    pub idle: Time,
    /// How long a client may take none of what is written to it. Default 30 s.
    pub write: Time,
    /// How long requests under way may take once the gateway is told to stop. Default 30 s.
    pub drain: Time,
    /// How long readiness is false before the listeners close, so that balancers learn of it. Default 0 s.
    pub drain_delay: Time,
    /// Sessions with legacy upstreams at once. Default 1,024.
    pub upstream_sessions: usize,
    /// How long one of those is kept unused. Default 5 min.
    pub upstream_session_idle: Time,
    /// Calls to legacy upstreams that wait for a client's answers at once. Default 4,096.
    pub held_calls: usize,
    /// How long such a call waits, and how long a `requestState` is valid. Default 10 min.
    pub answer_deadline: Time,
    /// How long a legacy session is valid. Default 30 days.
    pub session_ttl: Time,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 20_000,
            requests: 4096,
            streams: 16_384,
            body_bytes: 4 << 20,
            whole_body_bytes: 2 << 20,
            read_ahead_bytes: 64 << 20,
            result_bytes: 16 << 20,
            header_bytes: 64 << 10,
            body_deadline: Time::from_secs(30),
            idle: Time::from_secs(90),
            write: Time::from_secs(30),
            drain: Time::from_secs(30),
            drain_delay: Time::from_secs(0),
            upstream_sessions: 1024,
            upstream_session_idle: Time::from_secs(300),
            held_calls: 4096,
            answer_deadline: Time::from_secs(600),
            session_ttl: Time::from_secs(30 * 86_400),
        }
    }
}
