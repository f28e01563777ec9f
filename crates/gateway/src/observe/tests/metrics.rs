//! `/metrics` as Prometheus reads it.

use std::sync::Arc;
use std::time::Duration;

use anypod_proto::code::Code;
use anypod_proto::method::{Method, TaskMethod};
use anypod_proto::version::Era;

use super::parser::Metrics;
use super::world::{START, World};
use crate::observe::{Called, Observer, Outcome, Pod, Seen, metrics};

const REQUESTS: &str = "anypod_gateway_requests_total";

fn read(observer: &Observer) -> Metrics {
    Metrics::read(&metrics::page(observer))
}

/// One of everything that can be counted.
fn busy(world: &World) -> (Arc<Observer>, Arc<Pod>) {
    let observer = world.metrics(10);
    let call = observer.call("add");
    let pod = Arc::clone(&call.leg.as_ref().unwrap().pod);
    observer.done(call);
    let old = observer.client("claude-desktop", "1.2");
    observer.session_opened(Some(&old));
    observer.done(observer.legacy_call(&old));
    observer.done(Seen { outcome: Outcome::Refused("rate"), status: 429, leg: None, ..observer.call("add") });
    observer.upstream("tools").found(Era::Modern);
    (observer, pod)
}

#[tokio::test]
async fn a_request_is_counted_under_what_it_was() {
    let world = World::default();
    let (observer, _pod) = busy(&world);
    let metrics = read(&observer);
    let call = [("route", "/mcp"), ("method", "tools/call"), ("name", "add"), ("upstream", "tools")];
    let of = |era, outcome| [call.as_slice(), &[("era", era), ("outcome", outcome)]].concat();
    assert_eq!(metrics.value(REQUESTS, &of("modern", "ok")), 1.0);
    assert_eq!(metrics.value(REQUESTS, &of("modern", "refused")), 1.0);
    assert_eq!(metrics.value(REQUESTS, &of("legacy", "ok")), 1.0);
    let took = [call.as_slice(), &[("era", "legacy")]].concat();
    assert_eq!(metrics.value("anypod_gateway_request_duration_seconds_sum", &took), 0.005);
    let bucket = [took.as_slice(), &[("le", "0.0025")]].concat();
    assert_eq!(metrics.value("anypod_gateway_request_duration_seconds_bucket", &bucket), 0.0);
    let bucket = [took.as_slice(), &[("le", "0.005")]].concat();
    assert_eq!(metrics.value("anypod_gateway_request_duration_seconds_bucket", &bucket), 1.0);
    assert_eq!(metrics.sum("anypod_gateway_errors_total", &[("reason", "rate"), ("code", "")]), 1.0);
    assert_eq!(metrics.value("anypod_gateway_request_bytes_total", &[("route", "/mcp")]), 300.0);
    let pod = [("upstream", "tools"), ("pod", "10.0.0.5:9000")];
    // The one that was refused never got there.
    assert_eq!(metrics.sum("anypod_gateway_pod_requests_total", &pod), 2.0);
    let client = [("client", "claude-desktop"), ("version", "1.2"), ("era", "legacy")];
    assert_eq!(metrics.value("anypod_gateway_client_requests_total", &client), 1.0);
    assert_eq!(metrics.value("anypod_gateway_client_last_request_timestamp_seconds", &client), START as f64);
    let eras = [("upstream", "tools"), ("era", "legacy"), ("upstream_era", "modern")];
    assert_eq!(metrics.value("anypod_gateway_eras_requests_total", &eras), 1.0);
    assert_eq!(metrics.value("anypod_gateway_affinity_total", &[]), 1.0);
}

#[tokio::test]
async fn every_metric_is_on_the_page_about_observing() {
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/gateway-observing.md");
    let page = std::fs::read_to_string(page).unwrap();
    let named: std::collections::BTreeSet<_> =
        page.split('`').filter(|word| word.starts_with("anypod_gateway_")).map(str::to_owned).collect();
    let metrics = read(&World::default().metrics(10));
    assert_eq!(named, metrics.kinds.into_keys().collect());
}

#[tokio::test]
async fn names_that_callers_make_up_share_one_series() {
    let observer = World::default().metrics(1000);
    for number in 0..100 {
        let made_up = observer.call(&format!("made-up-{number}"));
        let code = Some(Code::InvalidParams.number());
        observer.done(Seen { outcome: Outcome::Error, code, ..made_up });
        observer.done(Seen { outcome: Outcome::ToolError, ..observer.call(&format!("not-there-{number}")) });
        observer.done(Seen { outcome: Outcome::Refused("policy"), ..observer.call(&format!("denied-{number}")) });
    }
    let metrics = read(&observer);
    assert_eq!(metrics.values(REQUESTS, "name").into_iter().collect::<Vec<_>>(), ["other"]);
    assert_eq!(metrics.sum(REQUESTS, &[("name", "other")]), 300.0);
}

#[tokio::test]
async fn a_name_has_its_series_once_it_is_known() {
    let observer = World::default().metrics(1000);
    observer.done(Seen { outcome: Outcome::Failed("connect"), ..observer.call("answered") });
    observer.done(observer.call("answered"));
    observer.done(Seen { outcome: Outcome::ToolError, ..observer.call("answered") });
    let metrics = read(&observer);
    assert_eq!(metrics.sum(REQUESTS, &[("name", "other"), ("outcome", "failed")]), 1.0);
    assert_eq!(metrics.sum(REQUESTS, &[("name", "answered"), ("outcome", "tool_error")]), 1.0);
}

#[tokio::test]
async fn there_are_never_more_names_and_clients_than_configured() {
    let observer = World::default().metrics(3);
    for number in 0..10 {
        let client = observer.client(&format!("client-{number}"), "1");
        observer.done(Seen { client: Some(client), ..observer.call(&format!("tool-{number}")) });
    }
    let metrics = read(&observer);
    let names: Vec<_> = metrics.values(REQUESTS, "name").into_iter().collect();
    assert_eq!(names, ["other", "tool-0", "tool-1", "tool-2"]);
    assert_eq!(metrics.sum(REQUESTS, &[("name", "other")]), 7.0);
    let clients: Vec<_> = metrics.values("anypod_gateway_client_requests_total", "client").into_iter().collect();
    // The client of `call` has the third place, and no requests.
    assert_eq!(clients, ["client-0", "client-1", "other"]);
}

#[tokio::test]
async fn uris_and_ids_of_tasks_are_not_written_down() {
    let observer = World::default().metrics(10);
    for called in [
        Called::Request(Method::ResourcesRead),
        Called::Task(TaskMethod::Get),
        Called::parse("files/open"),
        Called::Unread,
    ] {
        observer.done(Seen { called, ..observer.call("file:///home/alice/secret") });
    }
    let text = metrics::page(&observer);
    assert!(!text.contains("alice"), "{text}");
    assert_eq!(Metrics::read(&text).sum(REQUESTS, &[("name", "")]), 4.0);
}

#[tokio::test]
async fn texts_of_hostile_clients_stay_values_of_labels() {
    let observer = World::default().metrics(10);
    let texts = ["\"} 1\nevil_total 7", "a\\", "\r\n\0\u{85}", "é日本\u{202e}", &"x".repeat(100_000), ""];
    for text in texts {
        let client = observer.client(text, text);
        observer.session_opened(Some(&client));
        observer.done(Seen { client: Some(client), ..observer.call(text) });
    }
    // Those that only differ in what is not kept are one.
    observer.done(Seen { client: Some(observer.client("a\\", "a\\")), ..observer.call("\n\n\0\u{85}") });
    let text = metrics::page(&observer);
    let metrics = Metrics::read(&text);
    assert!(text.lines().all(|line| line.len() < 1000));
    assert!(metrics.kinds.keys().all(|name| name.starts_with("anypod_gateway_")));
    assert_eq!(metrics.sum("anypod_gateway_client_requests_total", &[("client", "a\\")]), 2.0);
    assert_eq!(metrics.sum(REQUESTS, &[("name", "????")]), 2.0);
}

#[tokio::test]
async fn requests_without_a_client_a_route_or_an_era_are_counted_too() {
    let observer = World::default().metrics(10);
    let nothing = || Seen { client: None, route: None, upstream: None, leg: None, name: None, ..observer.call("") };
    observer.done(nothing());
    observer.done(Seen { era: None, called: Called::Unread, outcome: Outcome::Refused("host"), ..nothing() });
    let metrics = read(&observer);
    assert_eq!(metrics.sum(REQUESTS, &[("route", ""), ("upstream", "")]), 2.0);
    assert_eq!(metrics.sum(REQUESTS, &[("era", "unknown"), ("method", "unread")]), 1.0);
    assert_eq!(metrics.sum("anypod_gateway_client_requests_total", &[("client", ""), ("version", "")]), 1.0);
}

#[tokio::test]
async fn codes_that_an_upstream_makes_up_share_one_series() {
    let observer = World::default().metrics(10);
    for code in -40_000..-39_900 {
        observer.done(Seen { outcome: Outcome::Error, code: Some(code), ..observer.call("add") });
    }
    let metrics = read(&observer);
    assert_eq!(metrics.sum("anypod_gateway_errors_total", &[("code", "other")]), 100.0);
    assert_eq!(metrics.values("anypod_gateway_errors_total", "code").len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_lost_when_many_count_at_once() {
    let observer = World::default().metrics(4);
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let observer = Arc::clone(&observer);
            tokio::spawn(async move {
                for number in 0..500 {
                    let client = observer.client(&format!("client-{}", number % 6), "1");
                    let seen = observer.call(&format!("tool-{}", (number + task) % 6));
                    observer.done(Seen { client: Some(client), took: Duration::from_micros(number), ..seen });
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let metrics = read(&observer);
    assert_eq!(metrics.sum(REQUESTS, &[]), 4000.0);
    assert_eq!(metrics.sum("anypod_gateway_request_duration_seconds_count", &[]), 4000.0);
    assert_eq!(metrics.sum("anypod_gateway_client_requests_total", &[]), 4000.0);
    assert_eq!(metrics.values(REQUESTS, "name").len(), 5);
}

#[tokio::test]
async fn a_pod_that_nobody_keeps_leaves_the_metrics() {
    let observer = World::default().metrics(10);
    let upstream = observer.upstream("tools");
    let (one, other) = (observer.pod(&upstream, "a"), observer.pod(&upstream, "b"));
    one.answers(false);
    other.eject();
    other.eject();
    assert!(Arc::ptr_eq(&one, &observer.pod(&upstream, "a")), "a pod of the same name is the same");
    let metrics = read(&observer);
    assert_eq!(metrics.sum("anypod_gateway_pod_up", &[("pod", "a")]), 0.0);
    assert_eq!(metrics.sum("anypod_gateway_pod_up", &[("pod", "b")]), 1.0);
    assert_eq!(metrics.sum("anypod_gateway_pod_ejections_total", &[("pod", "b")]), 1.0);
    drop(one);
    assert_eq!(read(&observer).values("anypod_gateway_pod_up", "pod").into_iter().collect::<Vec<_>>(), ["b"]);
}

#[tokio::test]
async fn the_admin_address_answers_what_it_has_and_refuses_the_rest() {
    let (observer, _pod) = busy(&World::default());
    let (status, text) = observer.read("/metrics").await;
    assert_eq!(status, 200);
    Metrics::read(&text);
    assert_eq!(observer.read("/report?quiet-for=1h").await.0, 200);
    for (path, status) in [("/", 404), ("/report?quiet-for=soon", 400), ("/report?x=1", 400)] {
        assert_eq!(observer.read(path).await.0, status, "{path}");
    }
    let posted = http::Request::post("/metrics").body(()).unwrap();
    assert_eq!(observer.admin(&posted).status(), 405);
}
