//! Every bound of a server, named, with its default.

use std::time::Duration;

/// The bounds of a server. Start from [`Limits::default`] and change what you must. Times of more than ten
/// years count as ten years.
///
/// `connections`, `idle_deadline` and `write_deadline` are kept by [`Server::serve`](crate::Server::serve). Where a
/// server of yours accepts the connections, such as axum's, their bounds are its affair.
///
/// ```
/// use std::time::Duration;
/// use anypod_server::{Limits, Server};
///
/// let mut limits = Limits::default();
/// limits.body_bytes = 64 * 1024;
/// limits.request_deadline = Duration::from_secs(10);
/// Server::new("s", "1.0.0").limits(limits).build().unwrap();
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Limits {
    /// The longest body of a request, in bytes. Default 4 MiB.
    pub body_bytes: usize,
    /// The longest line on stdio, in bytes. Default 4 MiB.
    pub line_bytes: usize,
    /// Requests worked on at once; one more is answered 503. Default 1,024.
    pub concurrent_requests: usize,
    /// Open streams at once: of listeners, of legacy GETs, of legacy requests that wait for their client or for a task. One more is
    /// answered 503. Default 16,384.
    pub open_streams: usize,
    /// The longest that one request may take, questions to the user not counted. So long a legacy request waits for a task, too.
    /// Default 5 minutes.
    pub request_deadline: Duration,
    /// The longest that a body may take to arrive. Default 30 s.
    pub body_deadline: Duration,
    /// The longest until the header section of the next request has arrived on a connection, the time in
    /// which it is idle included. Default 90 s: balancers commonly close idle connections after 60 s, and one
    /// that the server closes first is lost to a request that is just being sent.
    pub idle_deadline: Duration,
    /// Connections at once; further ones wait until one is closed. Default 20,000.
    pub connections: usize,
    /// The longest that a connection may take none of what is written to it; then it is cut, and what it
    /// asked for is cancelled. Default 30 s.
    pub write_deadline: Duration,
    /// How long a stream may be silent before a comment is sent; at least a millisecond. Default 15 s, well
    /// below the 60 s after which common balancers give up.
    pub keep_alive: Duration,
    /// How long after a shutdown signal requests in flight may take. Default 10 s.
    pub drain: Duration,
    /// Notifications of one request that wait to be sent; then progress is merged and logs are dropped. Default 256.
    pub outbox_messages: usize,
    /// Items on one page of a list. Default 100.
    pub page_items: usize,
    /// How long `requestState` stays valid, in seconds. Default 1 hour.
    pub round_ttl_secs: u64,
    /// How long a cursor stays valid, in seconds. Default 1 day.
    pub cursor_ttl_secs: u64,
    /// How long a legacy session stays valid, in seconds. Default 30 days.
    pub session_ttl_secs: u64,
    /// How long a legacy client may take to answer a question. Default 10 minutes.
    pub answer_deadline: Duration,
    /// Rounds of questions that one legacy call may take. Default 10.
    pub legacy_rounds: usize,
    /// Questions to legacy clients that wait for their answers at once. Default 4,096.
    pub open_questions: usize,
    /// Resources that one listen stream may name, and as many topics of each extension, such as tasks. Default 1,000.
    pub listen_resources: usize,
    /// Sessions whose log level or subscriptions a pod remembers. Default 10,000.
    pub remembered_sessions: usize,
    /// Resources that a pod remembers per legacy session. Default 100.
    pub session_resources: usize,
    /// How long a [`Backend`](crate::Backend) may take to say what it is, and to begin to listen. Default 10 s.
    pub backend_deadline: Duration,
}

/// As far away as the runtime's clock can be relied on.
pub(crate) const NEVER: Duration = Duration::from_secs(10 * 365 * 86_400);

impl Limits {
    /// The same, with times that can be added to the present.
    pub(crate) fn within_reach(mut self) -> Self {
        for time in [
            &mut self.request_deadline,
            &mut self.body_deadline,
            &mut self.idle_deadline,
            &mut self.write_deadline,
            &mut self.keep_alive,
            &mut self.drain,
            &mut self.answer_deadline,
            &mut self.backend_deadline,
        ] {
            *time = (*time).min(NEVER);
        }
        // Zero would keep every stream busy with comments.
        self.keep_alive = self.keep_alive.max(Duration::from_millis(1));
        self
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 4 << 20,
            line_bytes: 4 << 20,
            concurrent_requests: 1024,
            open_streams: 16_384,
            request_deadline: Duration::from_secs(300),
            body_deadline: Duration::from_secs(30),
            idle_deadline: Duration::from_secs(90),
            connections: 20_000,
            write_deadline: Duration::from_secs(30),
            keep_alive: Duration::from_secs(15),
            drain: Duration::from_secs(10),
            outbox_messages: 256,
            page_items: 100,
            round_ttl_secs: 3600,
            cursor_ttl_secs: 86_400,
            session_ttl_secs: 30 * 86_400,
            answer_deadline: Duration::from_secs(600),
            legacy_rounds: 10,
            open_questions: 4096,
            listen_resources: 1000,
            remembered_sessions: 10_000,
            session_resources: 100,
            backend_deadline: Duration::from_secs(10),
        }
    }
}
