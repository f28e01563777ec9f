//! Every bound of a client, named, with its default.

use std::time::Duration;

/// The bounds of a client. Start from [`Limits::default`] and change what you must.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The longest that connecting may take, name resolution, proxy and TLS included. Default 10 s.
    pub connect_deadline: Duration,
    /// Connections to one server at once; further requests wait for one of them. HTTP/2 needs one. Default 256.
    pub connections: usize,
    /// How long an idle connection is kept. Default 55 s: common balancers close theirs after 60 s.
    pub idle_deadline: Duration,
    /// The longest that one request may take, questions to the user not counted, where the call sets no timeout of
    /// its own. Subscriptions have none. Default 5 minutes.
    pub request_deadline: Duration,
    /// How long a stdio server may take to answer the probe for its era, and any server each step of
    /// `Endpoint::probe`. Default 5 s.
    pub probe_deadline: Duration,
    /// How long an event stream may be silent, comments counted as sound, before it is given up as lost.
    /// Default 5 minutes.
    pub silence_deadline: Duration,
    /// The longest body of an answer, in bytes. Default 16 MiB.
    pub body_bytes: usize,
    /// The longest event of a stream and the longest line of stdio, in bytes. Default 16 MiB.
    pub event_bytes: usize,
    /// The longest header section of an answer, in bytes. Default 64 KiB.
    pub header_bytes: usize,
    /// Notifications that one request may be sent; the next is an error. Default 100,000. Subscriptions have no such
    /// bound, but their reader is what makes them wait.
    pub notifications: usize,
    /// Messages of a stdio server that wait for the one request they belong to. Beyond, progress and log
    /// messages are dropped. Default 256.
    pub waiting_messages: usize,
    /// Redirects that one request follows. Default 3.
    pub redirects: usize,
    /// Pages of one list. Default 1,000.
    pub list_pages: usize,
    /// Items of one list, all pages together. Default 100,000.
    pub list_items: usize,
    /// Rounds of questions that one call may take. Default 10.
    pub rounds: usize,
    /// Questions in one round. Default 100.
    pub round_questions: usize,
    /// Calls to a legacy server that are held open while their questions are answered. Default 256.
    pub held_calls: usize,
    /// How long such a call is held open for its answers. Default 10 minutes.
    pub answer_deadline: Duration,
    /// How often a broken stream of a legacy server is resumed, or a subscription begun again, without any message in
    /// between, before it is given up. Default 5.
    pub resumptions: usize,
    /// The longest pause that a server's `retry`, `Retry-After` or `pollIntervalMs` is obeyed for. Default 1 minute.
    pub longest_pause: Duration,
    /// Tools whose schemas are remembered for headers and validation. Default 10,000.
    pub remembered_tools: usize,
    /// How deep a schema from a server may be nested. Default 64.
    pub schema_depth: usize,
    /// How large a schema from a server may be, in bytes. Default 1 MiB.
    pub schema_bytes: usize,
    /// What the cache holds at most, in bytes. Default 16 MiB.
    pub cache_bytes: usize,
    /// The longest that a result is taken as fresh, whatever the server says. Default 1 hour.
    pub cache_ttl: Duration,
    /// How long after its freshness a result may stand in for a server that cannot be reached. Default 10 minutes.
    pub cache_stale: Duration,
    /// How long the store of the cache may take before a request goes on without it. Default 1 s.
    pub cache_deadline: Duration,
    /// How long a server of a child process may take to end by itself once its input is closed. Default 3 s.
    pub shutdown_deadline: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect_deadline: Duration::from_secs(10),
            connections: 256,
            idle_deadline: Duration::from_secs(55),
            request_deadline: Duration::from_secs(300),
            probe_deadline: Duration::from_secs(5),
            silence_deadline: Duration::from_secs(300),
            body_bytes: 16 << 20,
            event_bytes: 16 << 20,
            header_bytes: 64 << 10,
            notifications: 100_000,
            waiting_messages: 256,
            redirects: 3,
            list_pages: 1000,
            list_items: 100_000,
            rounds: 10,
            round_questions: 100,
            held_calls: 256,
            answer_deadline: Duration::from_secs(600),
            resumptions: 5,
            longest_pause: Duration::from_secs(60),
            remembered_tools: 10_000,
            schema_depth: 64,
            schema_bytes: 1 << 20,
            cache_bytes: 16 << 20,
            cache_ttl: Duration::from_secs(3600),
            cache_stale: Duration::from_secs(600),
            cache_deadline: Duration::from_secs(1),
            shutdown_deadline: Duration::from_secs(3),
        }
    }
}
