//! What is noted about a request on its way through the stages.

use std::sync::Arc;
use std::time::Duration;

use anypod_proto::admit::{Admitted, LegacyKind, LegacyMessage};
use anypod_proto::header::Headers;
use anypod_proto::method::Method;
use anypod_proto::request::Request as Message;
use anypod_proto::version::Era;
use http::{HeaderMap, HeaderName, StatusCode};
use tokio::time::Instant;

use crate::authenticate::Credentials;
use crate::body::{Body, Ticket};
use crate::desk::{Notes, subject};
use crate::failure::Failure;
use crate::head::{Fields, Reply};
use crate::observe::{Called, Leg, Met, MetaTrace, Observer, Outcome, Seen, SentOn, TRACEPARENT, TRACESTATE, Trace};
use crate::reach::Reach;
use crate::route::Route;

impl Ticket {
    /// For a request that has just come in.
    pub(super) fn new(observer: &Arc<Observer>, route: &Route, http_method: &http::Method) -> Self {
        let seen = Seen {
            http_method: http_method.clone(),
            route: Some(Arc::clone(&route.series)),
            called: Called::Unread,
            name: None,
            era: None,
            version: None,
            client: None,
            principal: None,
            upstream: None,
            upstream_era: None,
            leg: None,
            status: 0,
            code: None,
            outcome: Outcome::Ok,
            took: Duration::ZERO,
            bytes_in: 0,
            bytes_out: 0,
            cached: false,
            hopped: false,
            affinity: false,
            trace: None,
        };
        let _counted = observer.totals().requests.open();
        let observer = Arc::clone(observer);
        Self {
            seen: Some(seen),
            started: Instant::now(),
            observer,
            notes: None,
            through: false,
            permit: None,
            _counted,
            stream: None,
        }
    }

    fn note(&mut self, act: impl FnOnce(&mut Seen)) {
        if let Some(seen) = &mut self.seen {
            act(seen);
        }
    }

    /// Whose it is, as far as that was checked here.
    pub(super) fn asked_by(&mut self, credentials: &Credentials) {
        self.note(|seen| seen.principal.clone_from(&credentials.principal));
    }

    /// It is in a session that does not say whose it is.
    pub(super) fn in_unnamed_session(&mut self) {
        let client = self.observer.client("", "");
        self.note(|seen| seen.client = Some(client));
    }

    /// The body was read.
    pub(super) fn read(&mut self, bytes: usize) {
        self.note(|seen| seen.bytes_in = bytes as u64);
    }

    /// It is a modern request.
    pub(super) fn message(&mut self, message: &Message<&str>, headers: &dyn Headers, met: &Met) {
        let [parent, state, _] = message.trace_fields();
        let trace = self.observer.trace(headers, MetaTrace { parent: parent.as_deref(), state: state.as_deref() });
        let client = message.client_info().and_then(|info| self.observer.client_again(info, met));
        if message.method() == Some(Method::SubscriptionsListen) {
            self.stream = Some(self.observer.totals().modern_streams.open());
        }
        self.note(|seen| {
            seen.called = message.method().map_or_else(|| Called::parse(&message.method_name()), Called::Request);
            seen.name = subject(message).map(|name| name.as_ref().into());
            seen.era = Some(Era::Modern);
            seen.version = Some(message.version());
            seen.client = client;
            seen.affinity = message.request_state().is_some();
            seen.trace = trace;
        });
    }

    /// It is a modern request that is not read before it is sent on.
    pub(super) fn by_headers(&mut self, method: Method, name: &str, headers: &dyn Headers) {
        let trace = self.observer.trace(headers, MetaTrace::default());
        self.note(|seen| {
            seen.called = Called::Request(method);
            seen.name = Some(name.into());
            seen.era = Some(Era::Modern);
            seen.trace = trace;
        });
    }

    /// What the request is about, where it has a name or URI.
    pub(super) fn name(&self) -> Option<Arc<str>> {
        self.seen.as_ref()?.name.clone()
    }

    /// It is something else.
    pub(super) fn other(&mut self, message: &Admitted, headers: &dyn Headers) {
        let (called, era) = match message {
            Admitted::Request(request) => (Called::parse(&request.method_name()), Era::Modern),
            Admitted::Notice(notice) => (Called::parse(&notice.method_name()), Era::Modern),
            Admitted::Legacy(message) => (
                match &message.kind {
                    LegacyKind::Request(request) => Called::parse(&request.method_name()),
                    LegacyKind::Notice(notice) => Called::parse(&notice.method_name()),
                    LegacyKind::Answer(_) => Called::Answer,
                },
                Era::Legacy,
            ),
            Admitted::LegacyBatch(_) => (Called::Other, Era::Legacy),
        };
        let in_session = match message {
            Admitted::Legacy(message) => !message.opens_session(),
            Admitted::LegacyBatch(_) => true,
            Admitted::Request(_) | Admitted::Notice(_) => false,
        };
        let name = match message {
            Admitted::Request(request) | Admitted::Legacy(LegacyMessage { kind: LegacyKind::Request(request), .. }) => {
                subject(request).map(|name| name.as_ref().into())
            }
            Admitted::Notice(_) | Admitted::Legacy(_) | Admitted::LegacyBatch(_) => None,
        };
        let trace = self.trace(message, headers);
        self.note(|seen| {
            (seen.called, seen.era, seen.affinity) = (called, Some(era), in_session);
            (seen.name, seen.trace) = (name, trace);
        });
    }

    /// The trace of a message; of several at once, that of the headers.
    fn trace(&self, message: &Admitted, headers: &dyn Headers) -> Option<Box<Trace>> {
        let fields = match message {
            Admitted::Request(request) => request.trace_fields(),
            Admitted::Legacy(LegacyMessage { kind: LegacyKind::Request(request), .. }) => request.trace_fields(),
            Admitted::Notice(_) | Admitted::Legacy(_) | Admitted::LegacyBatch(_) => [None, None, None],
        };
        let [parent, state, _] = &fields;
        self.observer.trace(headers, MetaTrace { parent: parent.as_deref(), state: state.as_deref() })
    }

    /// It opens or ends the stream of a legacy session.
    pub(super) fn stream(&mut self, method: &http::Method) {
        let called = if *method == http::Method::DELETE { Called::End } else { Called::Stream };
        if called == Called::Stream {
            self.stream = Some(self.observer.totals().legacy_streams.open());
        }
        self.note(|seen| (seen.called, seen.era, seen.affinity) = (called, Some(Era::Legacy), true));
    }

    /// It was answered from memory.
    pub(super) fn cached(&mut self, reach: &Reach) {
        self.note(|seen| {
            seen.cached = true;
            seen.upstream = Some(Arc::clone(reach.series()));
            seen.upstream_era = reach.upstream.era();
        });
    }

    /// It goes to a pod.
    pub(crate) fn sent_to(&mut self, reach: &Reach, pod: &Arc<str>, now: Instant) {
        let after = now.saturating_duration_since(self.started);
        let pod = reach.series_of(&self.observer, pod);
        self.note(|seen| {
            seen.upstream = Some(Arc::clone(reach.series()));
            seen.upstream_era = reach.upstream.era();
            let retries = seen.leg.as_ref().map_or(0, |leg| leg.retries.saturating_add(1));
            seen.leg = Some(Leg { pod, after, head: None, retries });
        });
    }

    /// The pod has begun to answer.
    pub(crate) fn answered(&mut self) {
        let elapsed = self.started.elapsed();
        self.note(|seen| {
            if let Some(leg) = &mut seen.leg {
                leg.head = Some(elapsed.saturating_sub(leg.after));
            }
        });
    }

    /// What the pod's answer says, where it was read: that it ends a round, or that the tool failed.
    pub(crate) fn came_to(&mut self, outcome: Outcome) {
        self.note(|seen| seen.outcome = outcome);
    }

    /// The pod's answer is an error.
    pub(crate) fn came_to_error(&mut self, code: i32) {
        self.note(|seen| (seen.outcome, seen.code) = (Outcome::Error, Some(code)));
    }

    /// The gateway has no result to give.
    pub(super) fn refused(&mut self, failure: &Failure) {
        let (outcome, code) = (failure.outcome(), failure.code());
        if failure.is_shed() {
            self.observer.totals().shed.count();
        }
        self.note(|seen| (seen.outcome, seen.code) = (outcome, Some(code)));
    }

    /// What upstreams are told of the trace in place of what came; none where that goes on as it is.
    pub(super) fn sent_on(&self) -> Option<SentOn> {
        self.seen.as_ref()?.trace.as_ref()?.sent_on()
    }

    /// Writes the trace into the headers of what is sent to an upstream.
    pub(super) fn sends_on(&self, fields: &mut Fields) {
        let Some(sent_on) = self.sent_on() else { return };
        for (name, value) in sent_on.fields() {
            match value {
                Some(value) => fields.insert(name, value),
                None => fields.remove(&name),
            }
        }
    }

    /// What goes along to upstreams of these headers: the trace.
    pub(super) fn headers_to_send_on(&self, came: &Fields) -> HeaderMap {
        let kept = |name: HeaderName| came.value(&name).map(|value| (name, value));
        match self.sent_on() {
            Some(sent_on) => sent_on.fields().into_iter().filter_map(|(name, value)| Some((name, value?))).collect(),
            None => [TRACEPARENT, TRACESTATE].into_iter().filter_map(kept).collect(),
        }
    }

    /// Gives an answer to the client, and stays with it until it is through.
    pub(super) fn give(mut self: Box<Self>, reply: Reply<Body>) -> Reply<Body> {
        let status = reply.status;
        let asked = self.notes.as_ref().is_none_or(Notes::has_asked);
        self.note(|seen| {
            seen.status = status.as_u16();
            if seen.outcome == Outcome::Ok && (status.is_client_error() || status.is_server_error()) {
                // Where nobody behind was asked, the server of the route has refused it.
                seen.outcome = if asked { Outcome::Error } else { Outcome::Refused(reason_of(status)) };
            }
        });
        reply.map(|body| body.with(self))
    }
}

/// Why the server of a route refuses something, as far as its answer says.
fn reason_of(status: StatusCode) -> &'static str {
    match status {
        StatusCode::NOT_FOUND => "unknown",
        StatusCode::SERVICE_UNAVAILABLE => "busy",
        _ => "malformed",
    }
}
