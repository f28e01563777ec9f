//! `/metrics`: every metric, by its name. `docs/gateway-observing.md` lists them.

use super::Observer;
use super::exposition::{Kind, Label, Page};
use super::number::Counter;
use super::seen::{ERAS, era_name};
use super::series::{Calls, Client, Pod, Use};

const CALL: [&str; 5] = ["route", "method", "name", "upstream", "era"];
const ERROR: [&str; 6] = ["route", "method", "upstream", "outcome", "reason", "code"];

/// The page as it is now.
pub(super) fn page(observer: &Observer) -> String {
    let mut page = Page::default();
    about(observer, &mut page);
    calls(observer, &mut page);
    routes(observer, &mut page);
    clients(observer, &mut page);
    upstreams(observer, &mut page);
    pods(observer, &mut page);
    totals(observer, &mut page);
    written(observer, &mut page);
    page.into_text()
}

fn about(observer: &Observer, page: &mut Page) {
    page.metric("anypod_gateway_build_info", Kind::Gauge, "1, with the version of the gateway.");
    page.sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
    page.metric("anypod_gateway_start_time_seconds", Kind::Gauge, "When counting began, in seconds since 1970.");
    page.sample(&[], observer.since);
}

fn calls(observer: &Observer, page: &mut Page) {
    let rows = observer.calls.all();
    page.metric("anypod_gateway_requests_total", Kind::Counter, "Requests, when their answers were through.");
    for row in &rows {
        let labels = zip(CALL, &row.labels);
        let Calls { outcomes, .. } = &row.series;
        for (outcome, count) in outcomes.each() {
            page.sample(&[labels.as_slice(), &[("outcome", outcome)]].concat(), count);
        }
    }
    page.metric(
        "anypod_gateway_request_duration_seconds",
        Kind::Histogram,
        "From the head of a request to the end of its answer.",
    );
    for row in &rows {
        page.histogram(&zip(CALL, &row.labels), &row.series.took);
    }
    page.metric("anypod_gateway_errors_total", Kind::Counter, "Requests that failed or were refused, and why.");
    for row in observer.errors.all() {
        page.sample(&zip(ERROR, &row.labels), row.series.value());
    }
}

fn routes(observer: &Observer, page: &mut Page) {
    let routes = observer.all_routes();
    page.metric("anypod_gateway_request_bytes_total", Kind::Counter, "Bytes of the bodies of requests.");
    for route in &routes {
        page.sample(&[("route", &route.path)], route.bytes_in.value());
    }
    page.metric("anypod_gateway_response_bytes_total", Kind::Counter, "Bytes of the bodies of answers.");
    for route in &routes {
        page.sample(&[("route", &route.path)], route.bytes_out.value());
    }
}

fn clients(observer: &Observer, page: &mut Page) {
    let clients = observer.clients.all();
    let mut uses = |name, kind, help, value: fn(&Use) -> Option<u64>| {
        page.metric(name, kind, help);
        for client in &clients {
            for era in ERAS {
                let of = client.in_era(era);
                if let Some(value) = value(of).filter(|_| of.requests.value() > 0) {
                    let labels: [Label<'_>; 3] =
                        [("client", client.name()), ("version", client.version()), ("era", era_name(Some(era)))];
                    page.sample(&labels, value);
                }
            }
        }
    };
    uses("anypod_gateway_client_requests_total", Kind::Counter, "Requests, by the client as it calls itself.", |of| {
        Some(of.requests.value())
    });
    uses("anypod_gateway_client_errors_total", Kind::Counter, "Those of them that failed or were refused.", |of| {
        Some(of.errors.value())
    });
    uses(
        "anypod_gateway_client_last_request_timestamp_seconds",
        Kind::Gauge,
        "When the last that was not refused came, in seconds since 1970.",
        |of| of.last.value(),
    );
    page.metric("anypod_gateway_sessions_opened_total", Kind::Counter, "Legacy sessions that clients opened.");
    let opened = |client: &&std::sync::Arc<Client>| client.sessions() > 0;
    for client in clients.iter().filter(opened) {
        page.sample(&[("client", client.name()), ("version", client.version())], client.sessions());
    }
}

fn upstreams(observer: &Observer, page: &mut Page) {
    let upstreams = observer.all_upstreams();
    page.metric(
        "anypod_gateway_eras_requests_total",
        Kind::Counter,
        "Requests that an upstream took, by the era of the client and its own: where they differ, they were bridged.",
    );
    for upstream in &upstreams {
        for client in ERAS {
            for own in ERAS {
                let count = upstream.requests(client, own);
                if count > 0 {
                    let eras = [("era", era_name(Some(client))), ("upstream_era", era_name(Some(own)))];
                    page.sample(&[&[("upstream", &*upstream.name)], eras.as_slice()].concat(), count);
                }
            }
        }
    }
    page.metric("anypod_gateway_retries_total", Kind::Counter, "Requests sent again, to another pod.");
    for upstream in &upstreams {
        page.sample(&[("upstream", &upstream.name)], upstream.retries.value());
    }
    page.metric(
        "anypod_gateway_upstream_sessions_opened_total",
        Kind::Counter,
        "Sessions opened with legacy upstreams.",
    );
    for upstream in &upstreams {
        page.sample(&[("upstream", &upstream.name)], upstream.sessions_opened.value());
    }
    page.metric("anypod_gateway_upstream_sessions", Kind::Gauge, "Open sessions with legacy upstreams.");
    for upstream in &upstreams {
        page.sample(&[("upstream", &upstream.name)], upstream.sessions());
    }
}

fn pods(observer: &Observer, page: &mut Page) {
    let pods = observer.all_pods();
    page.metric("anypod_gateway_pod_requests_total", Kind::Counter, "Requests sent to a pod.");
    for pod in &pods {
        for (outcome, count) in pod.outcomes.each() {
            page.sample(&[pod_labels(pod).as_slice(), &[("outcome", outcome)]].concat(), count);
        }
    }
    page.metric(
        "anypod_gateway_pod_head_seconds",
        Kind::Histogram,
        "From sending a request to a pod to the head of its answer.",
    );
    for pod in &pods {
        page.histogram(&pod_labels(pod), &pod.head);
    }
    page.metric("anypod_gateway_pod_up", Kind::Gauge, "Whether a pod answered when last asked for its health.");
    for pod in &pods {
        page.sample(&pod_labels(pod), u8::from(pod.is_up()));
    }
    page.metric("anypod_gateway_pod_ejected", Kind::Gauge, "Whether a pod gets no requests for a while.");
    for pod in &pods {
        page.sample(&pod_labels(pod), u8::from(pod.is_ejected()));
    }
    page.metric("anypod_gateway_pod_ejections_total", Kind::Counter, "How often a pod was ejected.");
    for pod in &pods {
        page.sample(&pod_labels(pod), pod.ejections.value());
    }
}

fn totals(observer: &Observer, page: &mut Page) {
    let totals = observer.totals();
    let gauges = [
        ("anypod_gateway_requests_in_flight", "Requests under way.", &totals.requests),
        ("anypod_gateway_connections", "Connections of clients.", &totals.connections),
        ("anypod_gateway_held_calls", "Calls to legacy upstreams that wait for answers.", &totals.held_calls),
    ];
    for (name, help, gauge) in gauges {
        page.metric(name, Kind::Gauge, help);
        page.sample(&[], gauge.value());
    }
    page.metric("anypod_gateway_streams", Kind::Gauge, "Open streams of listeners and of legacy sessions.");
    page.sample(&[("era", era_name(Some(ERAS[0])))], totals.modern_streams.value());
    page.sample(&[("era", era_name(Some(ERAS[1])))], totals.legacy_streams.value());
    let counters = [
        ("anypod_gateway_shed_total", "Requests answered 503 because there were too many.", &totals.shed),
        ("anypod_gateway_hops_total", "Requests that another replica answered.", &totals.hops),
        ("anypod_gateway_affinity_total", "Requests that a plain balancer needs stickiness for.", &totals.affinity),
    ];
    for (name, help, counter) in counters {
        page.metric(name, Kind::Counter, help);
        page.sample(&[], counter.value());
    }
    let mut by = |name, help, label, values: &[(&str, &Counter)]| {
        page.metric(name, Kind::Counter, help);
        for (value, counter) in values {
            page.sample(&[(label, value)], counter.value());
        }
    };
    by(
        "anypod_gateway_cache_total",
        "Looks into the cache.",
        "result",
        &[("hit", &totals.cache_hits), ("miss", &totals.cache_misses), ("stale", &totals.cache_stale)],
    );
    by(
        "anypod_gateway_reloads_total",
        "New configurations.",
        "result",
        &[("taken", &totals.reloads), ("refused", &totals.reloads_refused)],
    );
}

fn written(observer: &Observer, page: &mut Page) {
    let log = observer.log.as_ref().map(|log| (log.written(), log.dropped())).unwrap_or_default();
    let spans = observer.exporter.as_ref().map(|spans| (spans.sent(), spans.dropped())).unwrap_or_default();
    for (name, help, count) in [
        ("anypod_gateway_access_log_lines_total", "Lines written to the access log.", log.0),
        ("anypod_gateway_access_log_dropped_total", "Lines that were not written.", log.1),
        ("anypod_gateway_traces_sent_total", "Requests whose spans the collector took.", spans.0),
        ("anypod_gateway_traces_dropped_total", "Requests whose spans were lost.", spans.1),
    ] {
        page.metric(name, Kind::Counter, help);
        page.sample(&[], count);
    }
}

fn pod_labels(pod: &Pod) -> [Label<'_>; 2] {
    [("upstream", &pod.upstream), ("pod", &pod.name)]
}

fn zip<'a, const N: usize>(names: [&'static str; N], values: &'a [Box<str>; N]) -> [Label<'a>; N] {
    std::array::from_fn(|index| (names[index], &*values[index]))
}
