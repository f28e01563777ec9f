//! What is written down about requests: metrics, a report on who still speaks legacy, an access log and traces.
//!
//! The pipeline hands one [`Seen`] over per request. Counting it takes no allocation where its labels were seen before; the
//! log and the traces are written elsewhere, and what they cannot keep up with is dropped and counted.

mod admin;
mod errors;
mod exposition;
mod family;
mod label;
mod log;
mod met;
mod metrics;
mod names;
mod number;
mod otlp;
pub mod report;
mod seen;
mod series;
#[cfg(test)]
mod tests;
mod time;
mod trace;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use anypod_proto::header::Headers;
use anypod_proto::version::Era;
use anypod_server::Outside;
use tokio::time::timeout;

use crate::config;
use errors::Errors;
use family::Family;
use label::{NAME_BYTES, OTHER, VERSION_BYTES, clean, hex};
use log::Log;
use names::Names;
use otlp::Exporter;
use series::{Calls, Totals, Uses};
use time::{Nanos, Wall};
use trace::Recording;

pub(crate) use met::Met;
pub(crate) use number::Open;
pub(crate) use otlp::BadEndpoint;
pub(crate) use seen::{Called, Leg, Outcome, Seen};
pub(crate) use series::{Client, Pod, Route, Upstream};
pub(crate) use trace::{MetaTrace, SentOn, TRACEPARENT, TRACESTATE, Trace};

/// Sees every request.
#[derive(Debug)]
pub(crate) struct Observer {
    outside: Outside,
    wall: Wall,
    /// When counting began, in seconds since 1970-01-01.
    since: u64,
    /// Tells this process from others in a report and in traces.
    instance: Arc<str>,
    limit: usize,
    names: Names,
    calls: Family<5, Calls>,
    errors: Errors,
    clients: Family<2, Uses>,
    /// The series of the clients that do not say who they are.
    unnamed: Arc<Client>,
    /// The series of the clients that there is no room for.
    others: Arc<Client>,
    routes: Mutex<BTreeMap<Box<str>, Arc<Route>>>,
    upstreams: Mutex<BTreeMap<Box<str>, Arc<Upstream>>>,
    pods: Mutex<BTreeMap<PodKey, Weak<Pod>>>,
    totals: Totals,
    log: Option<Log>,
    exporter: Option<Exporter>,
}

/// The names of a pod's upstream and of the pod.
type PodKey = (Arc<str>, Arc<str>);

/// A request and when its answer was through, for who writes it elsewhere.
#[derive(Debug)]
struct Record {
    seen: Seen,
    ended: Nanos,
}

/// Why nothing can be written down as the configuration says.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ObserveError {
    /// The access log cannot be opened.
    #[error("the access log {path}: {error}")]
    AccessLog {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// No spans can be sent to the collector.
    #[error("otlp: {0}")]
    Otlp(#[from] BadEndpoint),
}

impl Observer {
    /// Begins to observe. Has to be called within a runtime.
    ///
    /// # Errors
    /// [`ObserveError`] if the access log cannot be opened, or the OTLP endpoint is no URL that can be called.
    pub(crate) fn new(config: &config::Observe, outside: Outside) -> Result<Arc<Self>, ObserveError> {
        let log = config
            .access_log
            .as_deref()
            .map(|path| Log::open(path).map_err(|error| ObserveError::AccessLog { path: path.to_owned(), error }));
        let instance: Arc<str> = hex(&outside.random::<8>()).into();
        let exporter = config.otlp.as_deref().map(|endpoint| Exporter::start(endpoint, Arc::clone(&instance)));
        let since = outside.now().0;
        let clients = Family::new();
        Ok(Arc::new(Self {
            wall: Wall::new(since),
            since,
            instance,
            limit: config.names.0,
            names: Names::new(config.names.0),
            calls: Family::new(),
            errors: Errors::new(),
            unnamed: clients.row(&["", ""]),
            others: clients.row(&[OTHER, ""]),
            clients,
            routes: Mutex::default(),
            upstreams: Mutex::default(),
            pods: Mutex::default(),
            totals: Totals::default(),
            log: log.transpose()?,
            exporter: exporter.transpose()?,
            outside,
        }))
    }

    /// The answer to a request is through.
    pub(crate) fn done(&self, seen: Seen) {
        let now = self.outside.now().0;
        self.count(&seen, now);
        let records = seen.trace.as_ref().is_some_and(|trace| trace.spans.is_some());
        let exporter = self.exporter.as_ref().filter(|_| records);
        if self.log.is_none() && exporter.is_none() {
            return;
        }
        let record = Arc::new(Record { seen, ended: self.wall.now(now) });
        if let Some(exporter) = exporter {
            exporter.send(Arc::clone(&record));
        }
        if let Some(log) = &self.log {
            log.write(record);
        }
    }

    /// The trace of a request, continued from `_meta` or its headers; none where it has none and none are recorded.
    pub(crate) fn trace(&self, headers: &dyn Headers, meta: MetaTrace<'_>) -> Option<Box<Trace>> {
        let recording = match (&self.exporter, &self.log) {
            (Some(_), _) => Recording::On,
            (None, Some(_) | None) => Recording::Off,
        };
        Trace::begin(headers, meta, recording, &self.outside)
    }

    /// The client of that name and version; `other` if there are too many. To be asked once the caller is let in, so that
    /// nobody else takes up the room.
    pub(crate) fn client(&self, name: &str, version: &str) -> Arc<Client> {
        let (name, version) = (clean(name, NAME_BYTES), clean(version, VERSION_BYTES));
        // The two that are always there do not count.
        let row = self.clients.row_if(&[&name, &version], |clients| clients < self.limit.saturating_add(2));
        row.unwrap_or_else(|| Arc::clone(&self.others))
    }

    /// A client has opened a legacy session.
    pub(crate) fn session_opened(&self, client: Option<&Client>) {
        self.totals.sessions.count();
        if let Some(client) = client {
            client.opened_session(self.outside.now().0);
        }
    }

    /// The route of that path.
    pub(crate) fn route(&self, path: &str) -> Arc<Route> {
        let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(routes.entry(path.into()).or_insert_with(|| Arc::new(Route::new(path))))
    }

    /// The upstream of that name.
    pub(crate) fn upstream(&self, name: &str) -> Arc<Upstream> {
        let mut upstreams = self.upstreams.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(upstreams.entry(name.into()).or_insert_with(|| Arc::new(Upstream::new(name))))
    }

    /// The pod of that name. It leaves the metrics when nobody keeps it any more.
    pub(crate) fn pod(&self, upstream: &Upstream, name: &str) -> Arc<Pod> {
        let mut pods = self.pods.lock().unwrap_or_else(PoisonError::into_inner);
        pods.retain(|_, pod| pod.strong_count() > 0);
        let entry = pods.entry((Arc::clone(&upstream.name), name.into())).or_default();
        entry.upgrade().unwrap_or_else(|| {
            let pod = Arc::new(Pod::new(Arc::clone(&upstream.name), name));
            *entry = Arc::downgrade(&pod);
            pod
        })
    }

    /// What other parts count.
    pub(crate) const fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Opens the access log again, as somebody has moved it away.
    pub(crate) fn reopen(&self) {
        if let Some(log) = &self.log {
            log.reopen();
        }
    }

    /// Done when what was handed over is written and sent, or after `patience`.
    pub(crate) async fn flush(&self, patience: Duration) {
        let log = async {
            if let Some(log) = &self.log {
                log.flush().await;
            }
        };
        let spans = async {
            if let Some(exporter) = &self.exporter {
                exporter.flush().await;
            }
        };
        // What is not done by then is lost with the process, as it would be if it were waited for without end.
        let _in_time = timeout(patience, async { tokio::join!(log, spans) }).await;
    }

    fn count(&self, seen: &Seen, now: u64) {
        self.totals.count(seen);
        if let Some(route) = &seen.route {
            route.bytes_in.add(seen.bytes_in);
            route.bytes_out.add(seen.bytes_out);
        }
        if let Some(upstream) = &seen.upstream {
            upstream.count(seen);
        }
        if let Some(leg) = &seen.leg {
            leg.pod.count(seen);
        }
        match (&seen.client, seen.era) {
            (Some(client), Some(era)) => client.series.count(era, seen.outcome, now),
            (None, Some(Era::Modern)) => self.unnamed.series.count(Era::Modern, seen.outcome, now),
            // Of a session only requests that somebody behind answers are known whose they are. The others are nobody's,
            // as not every legacy client that has a name is to be there a second time, without one.
            (None, Some(Era::Legacy)) | (Some(_) | None, None) => {}
        }
        self.count_call(seen);
    }

    fn count_call(&self, seen: &Seen) {
        let name = seen.shown_name().unwrap_or_default();
        let route = seen.route.as_ref().map_or("", |route| &route.path);
        let upstream = seen.upstream.as_ref().map_or("", |upstream| &upstream.name);
        let method = seen.called.as_str();
        let mut labels = [route, method, &name, upstream, seen::era_name(seen.era)];
        if self.calls.with(&labels, |calls| calls.count(seen)).is_none() {
            if !name.is_empty() && !self.names.has(&name, seen) {
                labels[2] = OTHER;
            }
            self.calls.row(&labels).series.count(seen);
        }
        if seen.outcome.is_error() {
            self.errors.count(seen, [route, method, upstream]);
        }
    }

    fn all_routes(&self) -> Vec<Arc<Route>> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    fn all_upstreams(&self) -> Vec<Arc<Upstream>> {
        self.upstreams.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    fn all_pods(&self) -> Vec<Arc<Pod>> {
        self.pods.lock().unwrap_or_else(PoisonError::into_inner).values().filter_map(Weak::upgrade).collect()
    }
}
