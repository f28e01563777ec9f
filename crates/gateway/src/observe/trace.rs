//! Where a request stands in a distributed trace: continued from `_meta` or the header, and sent on.
//!
//! Spec: basic/index, "OpenTelemetry trace context". The OpenTelemetry conventions for MCP take the parent from `_meta`
//! and link what the header says, since the two need not be of the same trace.

use anypod_proto::header::Headers;
use anypod_proto::meta;
use anypod_proto::trace::{TraceContext, TraceParent};
use anypod_server::Outside;
use http::{HeaderName, HeaderValue};

pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static(meta::TRACEPARENT);
pub(crate) const TRACESTATE: HeaderName = HeaderName::from_static(meta::TRACESTATE);

/// What a request says of its trace in `_meta`: `traceparent` and `tracestate`.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct MetaTrace<'a> {
    /// The sending span.
    pub(crate) parent: Option<&'a str>,
    /// What tracing systems add.
    pub(crate) state: Option<&'a str>,
}

/// The trace of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trace {
    /// The span of the caller.
    pub(super) parent: Option<TraceParent>,
    /// What the header said, where `_meta` said something else.
    pub(super) link: Option<TraceParent>,
    pub(super) state: Option<Box<str>>,
    /// The spans that we record, unless the caller does not record its own.
    pub(super) spans: Option<Spans>,
}

/// What is said upstream of a trace, in the header and in `_meta`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SentOn {
    /// The span of the call.
    pub(crate) parent: TraceParent,
    /// What came as `tracestate`.
    pub(crate) state: Option<Box<str>>,
}

/// The spans that we record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spans {
    /// Of the request.
    pub(super) server: TraceParent,
    /// Of what is sent upstream for it.
    pub(super) client: TraceParent,
}

/// Whether spans of our own are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Recording {
    /// They are, unless the caller says that it does not record.
    On,
    /// None are: what comes is passed on as it is.
    Off,
}

impl Trace {
    /// Reads what a request says, and makes the ids of what we add to it. None where there is nothing to say.
    pub(super) fn begin(
        headers: &dyn Headers,
        meta: MetaTrace<'_>,
        recording: Recording,
        outside: &Outside,
    ) -> Option<Box<Self>> {
        let said = meta.parent.and_then(|parent| TraceContext::parse(parent, meta.state, None));
        let sent = headers.text(&TRACEPARENT);
        let sent = sent.and_then(|parent| TraceContext::parse(parent, headers.text(&TRACESTATE), None));
        let context = said.or(sent);
        let parent = context.map(|context| context.traceparent);
        let records = recording == Recording::On && parent.is_none_or(TraceParent::is_sampled);
        let spans = records.then(|| Spans::below(parent, outside));
        if parent.is_none() && spans.is_none() {
            return None;
        }
        let link = said.and(sent).map(|sent| sent.traceparent).filter(|link| Some(*link) != parent);
        let state = context.and_then(|context| context.tracestate).map(Box::from);
        Some(Box::new(Self { parent, link, state, spans }))
    }

    /// What is said upstream in place of what came. None where that goes on as it is.
    pub(crate) fn sent_on(&self) -> Option<SentOn> {
        self.spans.map(|spans| SentOn { parent: spans.client, state: self.state.clone() })
    }

    /// What came with it as `tracestate`.
    pub(super) fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }

    /// Names the trace.
    pub(super) fn id(&self) -> Option<[u8; 16]> {
        self.spans.map(|spans| spans.client).or(self.parent).map(|parent| parent.trace_id)
    }
}

impl SentOn {
    /// The header fields that say so; one without a value is not to be there. A state that came without the trace belongs to
    /// another one.
    pub(crate) fn fields(&self) -> [(HeaderName, Option<HeaderValue>); 2] {
        let parent = HeaderValue::try_from(self.parent.to_string());
        let parent = parent.expect("it is of hexadecimal digits and dashes");
        let state = self.state.as_deref().and_then(|state| HeaderValue::try_from(state).ok());
        [(TRACEPARENT, Some(parent)), (TRACESTATE, state)]
    }
}

impl Spans {
    fn below(parent: Option<TraceParent>, outside: &Outside) -> Self {
        // One look at the source of randomness for all three ids: each may be a call to the operating system.
        let random: [u8; 32] = outside.random();
        let (trace_id, spans) = random.split_at(16);
        let (server, client) = spans.split_at(8);
        let root = || TraceParent {
            version: 0,
            trace_id: never_zero(trace_id),
            parent_id: never_zero(server),
            flags: TraceParent::SAMPLED,
        };
        let server = parent.map_or_else(root, |parent| parent.child(never_zero(server)));
        Self { server, client: server.child(never_zero(client)) }
    }
}

/// An id of zeros is none.
fn never_zero<const N: usize>(random: &[u8]) -> [u8; N] {
    let mut id = [0; N];
    id.copy_from_slice(random);
    if id == [0; N] {
        id[N - 1] = 1;
    }
    id
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    const META: &str = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01";
    const HEADER: &str = "00-11111111111111111111111111111111-2222222222222222-01";

    fn headers(parent: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(meta::TRACEPARENT, HeaderValue::from_str(parent).unwrap());
        headers.insert(meta::TRACESTATE, HeaderValue::from_static("from=header"));
        headers
    }

    fn begin(headers: &HeaderMap, parent: Option<&str>, recording: Recording) -> Option<Box<Trace>> {
        let meta = MetaTrace { parent, state: Some("from=meta") };
        Trace::begin(headers, meta, recording, &Outside::real())
    }

    #[test]
    fn meta_wins_over_the_header_which_becomes_a_link() {
        let trace = begin(&headers(HEADER), Some(META), Recording::On).unwrap();
        assert_eq!(trace.parent, TraceParent::parse(META));
        assert_eq!(trace.link, TraceParent::parse(HEADER));
        assert_eq!(trace.state(), Some("from=meta"));
        let trace = begin(&headers(META), Some(META), Recording::On).unwrap();
        assert_eq!(trace.link, None);
    }

    #[test]
    fn the_header_counts_where_meta_says_nothing_valid() {
        for meta in [None, Some(""), Some("00-0-0-0")] {
            let trace = begin(&headers(HEADER), meta, Recording::On).unwrap();
            assert_eq!((trace.parent, trace.link), (TraceParent::parse(HEADER), None));
            assert_eq!(trace.state(), Some("from=header"));
        }
    }

    #[test]
    fn what_is_sent_on_is_a_span_of_ours_in_the_same_trace() {
        let trace = begin(&HeaderMap::new(), Some(META), Recording::On).unwrap();
        let (spans, sent) = (trace.spans.unwrap(), trace.sent_on().unwrap());
        assert_eq!((sent.parent, sent.state.as_deref()), (spans.client, Some("from=meta")));
        assert_eq!(trace.id(), Some(TraceParent::parse(META).unwrap().trace_id));
        let ids = [trace.parent.unwrap().parent_id, spans.server.parent_id, spans.client.parent_id];
        assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2]);
        assert!(sent.parent.is_sampled());
    }

    #[test]
    fn what_is_sent_on_takes_the_place_of_what_came() {
        let trace = begin(&headers(HEADER), Some(META), Recording::On).unwrap();
        let [(parent_name, parent), (state_name, state)] = trace.sent_on().unwrap().fields();
        assert_eq!((parent_name.as_str(), state_name.as_str()), (meta::TRACEPARENT, meta::TRACESTATE));
        assert_eq!(parent.unwrap(), trace.sent_on().unwrap().parent.to_string());
        assert_eq!(state.unwrap(), "from=meta");
        // Whose state it would be, nobody could tell.
        let trace = Trace::begin(
            &headers(HEADER),
            MetaTrace { parent: Some(META), state: None },
            Recording::On,
            &Outside::real(),
        );
        let [_, (_, state)] = trace.unwrap().sent_on().unwrap().fields();
        assert_eq!(state, None);
    }

    #[test]
    fn a_request_without_a_trace_begins_one_only_where_spans_are_recorded() {
        let trace = begin(&HeaderMap::new(), None, Recording::On).unwrap();
        assert_eq!((trace.parent, trace.state()), (None, None));
        assert!(TraceParent::parse(&trace.sent_on().unwrap().parent.to_string()).is_some());
        assert_eq!(begin(&HeaderMap::new(), None, Recording::Off), None);
    }

    #[test]
    fn what_nobody_records_is_passed_on_as_it_came() {
        let unsampled = META.replace("-01", "-00");
        for (parent, recording) in [(META, Recording::Off), (&unsampled, Recording::On), (&unsampled, Recording::Off)] {
            let trace = begin(&HeaderMap::new(), Some(parent), recording).unwrap();
            assert_eq!((trace.spans, trace.sent_on()), (None, None));
            assert_eq!(trace.id(), TraceParent::parse(parent).map(|parent| parent.trace_id));
        }
    }
}
