//! What is noted about a request on its way through the stages.

use std::sync::Arc;
use std::time::Duration;

use anypod_proto::admit::{Admitted, LegacyKind};
use anypod_proto::meta;
use anypod_proto::method::Method;
use anypod_proto::request::Request as Message;
use anypod_proto::version::Era;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use serde::Deserialize;
use tokio::time::Instant;

use crate::body::{Body, Ticket};
use crate::desk::subject;
use crate::failure::Failure;
use crate::observe::{Called, Leg, MetaTrace, Observer, Outcome, Seen};
use crate::reach::Reach;
use crate::route::Route;

const TRACEPARENT: HeaderName = HeaderName::from_static(meta::TRACEPARENT);
const TRACESTATE: HeaderName = HeaderName::from_static(meta::TRACESTATE);

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

    /// The body was read.
    pub(super) fn read(&mut self, bytes: usize) {
        self.note(|seen| seen.bytes_in = bytes as u64);
    }

    /// It is a modern request.
    pub(super) fn message(&mut self, message: &Message, headers: &HeaderMap) {
        #[derive(Deserialize)]
        struct Info<'a> {
            #[serde(borrow, default)]
            name: std::borrow::Cow<'a, str>,
            #[serde(borrow, default)]
            version: std::borrow::Cow<'a, str>,
        }
        let [parent, state, _] = message.trace_fields();
        let trace = self.observer.trace(headers, MetaTrace { parent: parent.as_deref(), state: state.as_deref() });
        let info = message.client_info().and_then(|info| serde_json::from_str::<Info<'_>>(info).ok());
        let client = info.map(|info| self.observer.client(&info.name, &info.version));
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
    pub(super) fn by_headers(&mut self, method: Method, name: &str, headers: &HeaderMap) {
        let trace = self.observer.trace(headers, MetaTrace::default());
        self.note(|seen| {
            seen.called = Called::Request(method);
            seen.name = Some(name.into());
            seen.era = Some(Era::Modern);
            seen.trace = trace;
        });
    }

    /// It is something else.
    pub(super) fn other(&mut self, message: &Admitted) {
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
        self.note(|seen| (seen.called, seen.era, seen.affinity) = (called, Some(era), in_session));
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
    pub(crate) fn sent_to(&mut self, reach: &Reach, pod: &Arc<str>) {
        let after = self.started.elapsed();
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

    /// The gateway has no result to give.
    pub(super) fn refused(&mut self, failure: &Failure) {
        let (outcome, code) = (failure.outcome(), failure.code());
        if failure.is_shed() {
            self.observer.totals().shed.count();
        }
        self.note(|seen| (seen.outcome, seen.code) = (outcome, Some(code)));
    }

    /// What goes along to an upstream: the trace.
    pub(super) fn headers_to_send_on(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        self.sends_on(&mut headers);
        headers
    }

    /// Writes the trace into the headers of what is sent to an upstream.
    pub(super) fn sends_on(&self, headers: &mut HeaderMap) {
        let Some(trace) = self.seen.as_ref().and_then(|seen| seen.trace.as_ref()) else { return };
        let Some(parent) = trace.sent_on() else { return };
        if let Ok(value) = HeaderValue::try_from(parent.to_string()) {
            headers.insert(TRACEPARENT, value);
        }
        if let Some(value) = trace.state().and_then(|state| HeaderValue::try_from(state).ok()) {
            headers.insert(TRACESTATE, value);
        }
    }

    /// Gives an answer to the client, and stays with it until it is through.
    pub(super) fn give(mut self, response: Response<Body>) -> Response<Body> {
        let status = response.status();
        self.note(|seen| {
            seen.status = status.as_u16();
            if seen.outcome == Outcome::Ok && (status.is_client_error() || status.is_server_error()) {
                seen.outcome = Outcome::Error;
            }
        });
        response.map(|body| body.with(self))
    }
}
