//! What a replica says about its requests: metrics, the report, and the access log.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anypod_client::Client;
use anypod_client::proto::version::Era;
use anypod_gateway::Config;
use anypod_gateway::config::{EraChoice, Route, Time, Upstream};
use anypod_testkit::script::{Expect, Reply, Script};
use serde_json::{Value, json};
use tokio::net::TcpSocket;

use crate::support::parser::Metrics;
use crate::support::{
    Pod, Replica, Scratch, Seen, Sent, config, legacy, modern, person, served, soon, text, token, upstream_at,
};

const REQUESTS: &str = "anypod_gateway_requests_total";

async fn observed(mut config: Config) -> Replica {
    config.admin = Some("127.0.0.1:0".to_owned());
    Replica::alone(config).await
}

/// A pod that nobody serves; no other process is given its port while the socket lives.
fn dead() -> (String, TcpSocket) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    (format!("http://{}/mcp", socket.local_addr().unwrap()), socket)
}

/// A modern upstream of a pod that is dead and one that is well, neither of which is ever paused.
fn half_dead(dead: &str, pod: &Pod) -> Upstream {
    let mut upstream = upstream_at("server", EraChoice::Modern, &[dead.to_owned(), pod.url()]);
    upstream.health.failures = u32::MAX;
    upstream.health.slow_start = Time::from_secs(0);
    upstream
}

/// The metrics once so many requests have been counted.
async fn after(replica: &Replica, requests: f64) -> Metrics {
    let metrics = replica.metrics(|metrics| metrics.sum(REQUESTS, &[]) >= requests).await;
    assert_eq!(metrics.sum(REQUESTS, &[]), requests);
    metrics
}

/// The metrics on the page about observing, each with its labels.
fn promised() -> BTreeMap<String, BTreeSet<String>> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/gateway-observing.md");
    let page = std::fs::read_to_string(page).unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| `anypod_gateway_"));
    rows.map(|row| {
        let mut cells = row.split('|').skip(1);
        let words = |cell: Option<&str>| -> Vec<String> {
            cell.unwrap().split('`').skip(1).step_by(2).map(str::to_owned).collect()
        };
        let name = words(cells.next()).remove(0);
        (name, words(cells.next()).into_iter().collect())
    })
    .collect()
}

/// Holds a page against what is promised: all of it is there, with these labels and no others.
fn is_as_promised(metrics: &Metrics) {
    let promised = promised();
    assert_eq!(promised.keys().collect::<Vec<_>>(), metrics.kinds.keys().collect::<Vec<_>>());
    for (sample, labels) in metrics.samples.keys() {
        let name = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| {
            sample.strip_suffix(suffix).filter(|name| metrics.kinds.get(*name).is_some_and(|kind| kind == "histogram"))
        });
        let labels = labels.keys().filter(|label| *label != "le").cloned().collect();
        assert_eq!(promised[name.unwrap_or(sample)], labels, "{sample}");
    }
}

/// A call of `wait` whose client goes away.
async fn cancelled(replica: &Replica, seen: &Seen) {
    let call = tokio::spawn(Sent::call("wait", json!({})).to(replica.address));
    seen.waiting(1).await;
    call.abort();
    seen.cancelled(1).await;
}

async fn opened(replica: &Replica) -> String {
    let opened = Sent::initialize().to(replica.address).await;
    let session = opened.header("mcp-session-id").unwrap().to_owned();
    let ready = Sent::post(json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }).to_string());
    assert_eq!(ready.in_session(&session).to(replica.address).await.status, 202);
    session
}

#[tokio::test]
async fn each_request_is_counted_under_what_it_was_and_what_became_of_it() {
    let seen = Seen::default();
    let ((dead, _socket), pod) = (dead(), Pod::start(served(&seen)).await);
    let replica = observed(config([half_dead(&dead, &pod)])).await;
    let at = replica.address;
    let echo = || Sent::call("echo", json!({ "text": "x" }));
    for _ in 0..4 {
        echo().to(at).await.result();
    }
    assert_eq!(Sent::call("ask", json!({})).to(at).await.result()["resultType"], "input_required");
    assert_eq!(Sent::call("nope", json!({})).to(at).await.refusal().1, -32602);
    assert_eq!(echo().with("mcp-name", "ask").to(at).await.refusal().1, -32020);
    for _ in 0..2 {
        Sent::modern("tools/list", json!({})).to(at).await.result();
    }
    let session = opened(&replica).await;
    Sent::legacy(&session, "tools/call", json!({ "name": "echo", "arguments": { "text": "x" } })).to(at).await.result();
    cancelled(&replica, &seen).await;

    let metrics = after(&replica, 13.0).await;
    is_as_promised(&metrics);
    let of = |labels: &[(&str, &str)]| metrics.sum(REQUESTS, labels);
    let call = [("route", "/mcp"), ("method", "tools/call"), ("upstream", "server")];
    let outcome = |name, era, outcome| of(&[&call[..], &[("name", name), ("era", era), ("outcome", outcome)]].concat());
    assert_eq!(outcome("echo", "modern", "ok"), 4.0);
    assert_eq!(outcome("echo", "legacy", "ok"), 1.0);
    assert_eq!(outcome("ask", "modern", "asked"), 1.0);
    // Nobody has a tool of that name, so it is no label.
    assert_eq!(outcome("other", "modern", "error"), 1.0);
    assert_eq!(outcome("other", "modern", "cancelled") + outcome("wait", "modern", "cancelled"), 1.0);
    assert_eq!(of(&[("method", "tools/list"), ("outcome", "ok")]), 2.0);
    assert_eq!(of(&[("method", "initialize"), ("era", "legacy"), ("outcome", "ok")]), 1.0);
    assert_eq!(of(&[("method", "unread"), ("outcome", "refused")]), 1.0);
    let errors = |labels: &[(&str, &str)]| metrics.sum("anypod_gateway_errors_total", labels);
    assert_eq!(errors(&[("outcome", "error"), ("code", "-32602")]), 1.0);
    assert_eq!(errors(&[("outcome", "refused"), ("code", "-32020")]), 1.0);
    assert_eq!(metrics.sum("anypod_gateway_request_duration_seconds_count", &[]), 13.0);
    assert!(metrics.sum("anypod_gateway_request_bytes_total", &[("route", "/mcp")]) > 1000.0);
    assert!(metrics.sum("anypod_gateway_response_bytes_total", &[("route", "/mcp")]) > 1000.0);

    let client = |metric: &str, era| {
        let labels = [("client", "tester"), ("version", "1"), ("era", era)];
        metrics.value(&format!("anypod_gateway_client_{metric}"), &labels)
    };
    // What it says within its session and nobody behind answers is nobody's.
    assert_eq!(client("requests_total", "legacy"), 2.0);
    assert_eq!(client("requests_total", "modern"), 9.0);
    assert_eq!(client("errors_total", "modern"), 1.0);
    assert!(client("last_request_timestamp_seconds", "legacy") > 1e9);
    assert_eq!(metrics.sum("anypod_gateway_sessions_opened_total", &[("client", "tester")]), 1.0);
    let eras = |era| [("upstream", "server"), ("era", era), ("upstream_era", "modern")];
    assert!(metrics.value("anypod_gateway_eras_requests_total", &eras("legacy")) >= 1.0);
    assert_eq!(metrics.sum("anypod_gateway_cache_total", &[("result", "miss")]), 2.0);
    assert_eq!(metrics.value("anypod_gateway_requests_in_flight", &[]), 0.0);
    assert_eq!(metrics.value("anypod_gateway_upstream_sessions", &[("upstream", "server")]), 0.0);
    of_pods(&metrics, &dead, &pod);
}

/// Each pod is named as it is configured, and by nothing else.
fn of_pods(metrics: &Metrics, dead: &str, pod: &Pod) {
    let there: BTreeSet<_> = [dead.to_owned(), pod.url()].into();
    for metric in ["requests_total", "head_seconds_count", "up", "ejected", "ejections_total"] {
        let metric = format!("anypod_gateway_pod_{metric}");
        let named: BTreeSet<_> = metrics.values(&metric, "pod").into_iter().map(str::to_owned).collect();
        assert!(named.is_subset(&there), "{metric}: {named:?}");
        assert!(named.contains(&pod.url()), "{metric}: {named:?}");
    }
    let url = pod.url();
    let of_pod = |metric: &str| metrics.sum(metric, &[("upstream", "server"), ("pod", &url)]);
    // All that were neither refused nor answered by the gateway itself.
    assert!(of_pod("anypod_gateway_pod_requests_total") >= 8.0);
    assert!(of_pod("anypod_gateway_pod_head_seconds_count") >= 7.0);
    assert_eq!((of_pod("anypod_gateway_pod_up"), of_pod("anypod_gateway_pod_ejected")), (1.0, 0.0));
    assert!(metrics.sum("anypod_gateway_retries_total", &[("upstream", "server")]) >= 4.0);
}

#[tokio::test]
async fn what_is_sent_again_in_a_session_is_counted_as_well() {
    let ((dead, _socket), pod) = (dead(), Pod::start(served(&Seen::default())).await);
    let upstream = Upstream { era: EraChoice::Legacy, ..half_dead(&dead, &pod) };
    let replica = observed(config([upstream])).await;
    for _ in 0..4 {
        Sent::call("echo", json!({ "text": "x" })).to(replica.address).await.result();
    }
    let metrics = after(&replica, 4.0).await;
    // Two tries a call: each turn begins with the dead one.
    assert_eq!(metrics.sum("anypod_gateway_retries_total", &[("upstream", "server")]), 4.0);
    let url = pod.url();
    assert_eq!(metrics.sum("anypod_gateway_pod_requests_total", &[("pod", &url), ("outcome", "ok")]), 4.0);
    assert_eq!(metrics.sum("anypod_gateway_pod_head_seconds_count", &[("pod", &url)]), 4.0);
}

#[tokio::test]
async fn what_a_session_could_not_be_opened_for_says_whose_it_was() {
    let (dead, _socket) = dead();
    let replica = observed(config([upstream_at("server", EraChoice::Legacy, &[dead])])).await;
    assert_eq!(Sent::call("echo", json!({ "text": "x" })).to(replica.address).await.refusal().0, 503);
    let metrics = after(&replica, 1.0).await;
    let failed = [("upstream", "server"), ("outcome", "failed")];
    assert_eq!(metrics.sum(REQUESTS, &failed), 1.0);
    assert_eq!(metrics.sum("anypod_gateway_errors_total", &failed), 1.0);
}

#[tokio::test]
async fn a_list_that_is_kept_is_sent_to_no_pod() {
    let tools = json!({ "resultType": "complete", "tools": [], "ttlMs": 60_000, "cacheScope": "public" });
    let server = Script::new().always(Expect::method("tools/list"), Reply::result(&tools)).serve().await.unwrap();
    let replica = observed(config([upstream_at("server", EraChoice::Modern, &[server.url()])])).await;
    for _ in 0..3 {
        Sent::modern("tools/list", json!({})).to(replica.address).await.result();
    }
    let metrics = after(&replica, 3.0).await;
    let cache = |result| metrics.sum("anypod_gateway_cache_total", &[("result", result)]);
    assert_eq!((cache("miss"), cache("hit")), (1.0, 2.0));
    assert_eq!(metrics.sum(REQUESTS, &[("upstream", "server"), ("outcome", "ok")]), 3.0);
    assert_eq!(metrics.values("anypod_gateway_pod_requests_total", "pod"), [&*server.url()].into());
    assert_eq!(metrics.sum("anypod_gateway_pod_requests_total", &[]), 1.0);
}

#[tokio::test]
async fn sessions_with_a_legacy_upstream_and_what_waits_in_them_are_counted() {
    let seen = Seen::default();
    let pod = Pod::start(served(&seen)).await;
    let mut upstream = legacy([&pod]);
    upstream.health.every = Time::from_secs(0);
    let replica = observed(config([upstream])).await;
    Sent::call("echo", json!({ "text": "x" })).to(replica.address).await.result();
    assert_eq!(Sent::call("ask", json!({})).to(replica.address).await.result()["resultType"], "input_required");
    let metrics = replica.metrics(|metrics| metrics.value("anypod_gateway_held_calls", &[]) == 1.0).await;
    is_as_promised(&metrics);
    assert_eq!(metrics.value("anypod_gateway_upstream_sessions", &[("upstream", "server")]), 1.0);
    assert_eq!(metrics.value("anypod_gateway_upstream_sessions_opened_total", &[("upstream", "server")]), 1.0);
    let bridged = [("upstream", "server"), ("era", "modern"), ("upstream_era", "legacy")];
    assert_eq!(metrics.value("anypod_gateway_eras_requests_total", &bridged), 2.0);
}

#[tokio::test]
async fn streams_and_connections_are_counted_while_they_are_there() {
    let pod = Pod::start(served(&Seen::default())).await;
    let replica = observed(config([modern([&pod])])).await;
    let session = opened(&replica).await;
    let old = Sent::empty(http::Method::GET).in_session(&session).open(replica.address).await;
    let client = Client::builder().era(Era::Modern).without_cache().connect(&replica.urls[0]).unwrap();
    let filter = serde_json::from_value(json!({ "toolsListChanged": true })).unwrap();
    let new = soon(client.listen(filter).into_future()).await.unwrap();
    let streams = |metrics: &Metrics, era| metrics.value("anypod_gateway_streams", &[("era", era)]);
    let open = replica.metrics(|metrics| streams(metrics, "legacy") == 1.0 && streams(metrics, "modern") == 1.0).await;
    assert!(open.value("anypod_gateway_connections", &[]) >= 2.0);
    drop((old, new, client));
    let closed = |metrics: &Metrics| streams(metrics, "legacy") == 0.0 && streams(metrics, "modern") == 0.0;
    replica.metrics(|metrics| closed(metrics) && metrics.value("anypod_gateway_connections", &[]) == 0.0).await;
}

#[tokio::test]
async fn reloads_and_what_is_shed_are_counted() {
    let seen = Seen::default();
    let pod = Pod::start(served(&seen)).await;
    let mut config = config([modern([&pod])]);
    config.limits.requests = 1;
    let replica = observed(config).await;
    let call = tokio::spawn(Sent::call("wait", json!({})).to(replica.address));
    seen.waiting(1).await;
    let shed = Sent::call("echo", json!({ "text": "x" })).to(replica.address).await;
    assert_eq!((shed.status.as_u16(), shed.header("retry-after")), (503, Some("1")));
    seen.go();
    soon(call).await.unwrap().result();
    let sound = (*replica.gateway.config()).clone();
    let mut unsound = sound.clone();
    unsound.upstream.clear();
    replica.gateway.reload(sound, None).unwrap();
    assert!(replica.gateway.reload(unsound, None).is_err());
    let metrics = after(&replica, 2.0).await;
    assert_eq!(metrics.value("anypod_gateway_shed_total", &[]), 1.0);
    for result in ["taken", "refused"] {
        assert_eq!(metrics.value("anypod_gateway_reloads_total", &[("result", result)]), 1.0, "{result}");
    }
}

#[tokio::test]
async fn the_report_says_who_still_speaks_legacy() {
    let pod = Pod::start(served(&Seen::default())).await;
    let mut upstream = legacy([&pod]);
    upstream.health.every = Time::from_secs(0);
    let replica = observed(config([upstream])).await;
    let at = replica.address;
    for _ in 0..2 {
        Sent::call("echo", json!({ "text": "x" })).to(at).await.result();
    }
    let session = opened(&replica).await;
    Sent::legacy(&session, "tools/call", json!({ "name": "echo", "arguments": { "text": "x" } })).to(at).await.result();
    after(&replica, 5.0).await;
    let (status, headers, _) = replica.told("/report").await;
    assert_eq!((status.as_u16(), headers["content-type"].to_str().unwrap()), (200, "application/json"));
    let report = replica.report().await;
    let [client] = report["clients"].as_array().unwrap().as_slice() else { panic!("{report}") };
    assert_eq!((&client["name"], &client["version"]), (&json!("tester"), &json!("1")));
    assert_eq!((&client["modern"]["requests"], &client["legacy"]["requests"]), (&json!(2), &json!(2)));
    assert_eq!(client["sessions"], 1);
    let [upstream] = report["upstreams"].as_array().unwrap().as_slice() else { panic!("{report}") };
    assert_eq!((&upstream["name"], &upstream["era"]), (&json!("server"), &json!("legacy")));
    assert_eq!((&upstream["fromModern"], &upstream["bridged"]), (&json!(2), &json!(2)));
    assert_eq!((&report["totals"]["sessions"], &report["totals"]["bridged"]), (&json!(1), &json!(2)));
    assert_eq!(report["verdict"]["maySwitchLegacyOff"], "notYet", "{report}");
}

/// The lines of an access log, once there are so many.
async fn lines(path: &Path, count: usize) -> Vec<Value> {
    soon(async {
        loop {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            if text.ends_with('\n') && text.lines().count() >= count {
                return text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

/// The fields on the page about observing.
fn fields() -> BTreeSet<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/gateway-observing.md");
    let page = std::fs::read_to_string(page).unwrap();
    let table = page.split("## Access log").nth(1).unwrap().split("## Traces").next().unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    rows.flat_map(|row| row.split('|').nth(1).unwrap().split('`').skip(1).step_by(2).map(str::to_owned)).collect()
}

#[tokio::test]
async fn a_line_is_logged_for_each_request_and_nothing_that_is_secret() {
    const SECRETS: [&str; 5] = ["sesame", "alice", "swordfish", "note://", "the first note"];
    let (scratch, pod) = (Scratch::new(), Pod::start(served(&Seen::default())).await);
    let log = scratch.path("access.jsonl");
    let mut config = config([modern([&pod])]);
    config.observe.access_log = Some(log.clone());
    config.route[0].token = vec![token("alice-sesame")];
    let replica = observed(config).await;
    let to = async |sent: Sent| sent.bearing("alice-sesame").to(replica.address).await;
    to(Sent::call("echo", json!({ "text": "swordfish" }))).await.result();
    to(Sent::modern("resources/read", json!({ "uri": "note://one" }))).await.result();
    to(Sent::modern("resources/read", json!({ "uri": "note://swordfish" }))).await;
    to(Sent::call("echo", json!({ "text": "x".repeat(3 << 20) + "swordfish" }))).await.result();
    assert_eq!(Sent::call("echo", json!({})).bearing("swordfish").to(replica.address).await.status, 401);
    let opened = to(Sent::initialize()).await;
    let session = opened.header("mcp-session-id").unwrap().to_owned();
    let call = json!({ "name": "echo", "arguments": { "text": "swordfish" } });
    to(Sent::legacy(&session, "tools/call", call)).await.result();
    let lines = lines(&log, 7).await;
    let text = std::fs::read_to_string(&log).unwrap();
    for secret in SECRETS.iter().chain(&[&*session]) {
        assert!(!text.contains(secret), "{secret} is in {text}");
    }
    let known = fields();
    for line in &lines {
        let named: BTreeSet<_> = line.as_object().unwrap().keys().cloned().collect();
        assert!(named.is_subset(&known), "{line}");
        for field in ["time", "took_ms", "http", "status", "route", "method", "outcome", "era", "bytes_in", "bytes_out"]
        {
            assert!(named.contains(field), "{field} is not in {line}");
        }
    }
    let first = &lines[0];
    assert_eq!(
        (&first["method"], &first["name"], &first["status"]),
        (&json!("tools/call"), &json!("echo"), &json!(200))
    );
    assert_eq!(
        (&first["era"], &first["client"], &first["pod"]),
        (&json!("modern"), &json!("tester"), &json!(pod.url()))
    );
    assert_eq!((&lines[4]["status"], &lines[4]["outcome"]), (&json!(401), &json!("refused")));
    // One person is one, whatever the era, and nobody whose token is unknown.
    assert!(first["principal"].is_string());
    assert_eq!((&first["principal"], lines[4].get("principal")), (&lines[6]["principal"], None));
}

#[tokio::test]
async fn a_log_that_was_moved_away_is_begun_anew_without_losing_a_line() {
    let (scratch, pod) = (Scratch::new(), Pod::start(served(&Seen::default())).await);
    let (log, old) = (scratch.path("access.jsonl"), scratch.path("access.jsonl.1"));
    let mut config = config([modern([&pod])]);
    config.observe.access_log = Some(log.clone());
    let replica = observed(config).await;
    let call = async |count: usize| {
        for _ in 0..count {
            Sent::call("echo", json!({ "text": "x" })).to(replica.address).await.result();
        }
    };
    call(3).await;
    lines(&log, 3).await;
    std::fs::rename(&log, &old).unwrap();
    // Until it is told, the gateway writes to the file that it has.
    call(2).await;
    lines(&old, 5).await;
    replica.gateway.reopen_log();
    call(4).await;
    assert_eq!((lines(&log, 4).await.len(), lines(&old, 5).await.len()), (4, 5));
    let metrics = replica.metrics(|metrics| metrics.value("anypod_gateway_access_log_lines_total", &[]) >= 9.0).await;
    assert_eq!(metrics.value("anypod_gateway_access_log_dropped_total", &[]), 0.0);
}

#[tokio::test]
async fn what_is_asked_on_another_path_is_counted_there() {
    let (one, other) = (Pod::start(served(&Seen::default())).await, Pod::start(served(&Seen::default())).await);
    let named = |name: &str, pod: &Pod| upstream_at(name, EraChoice::Modern, &[pod.url()]);
    let mut config = config([named("one", &one), named("other", &other)]);
    config.route = vec![Route::new("/mcp", ["one"]), Route::new("/other", ["other"])];
    let replica = observed(config).await;
    Sent::call("echo", json!({ "text": "x" })).to(replica.address).await.result();
    let client = person("Ann").era(Era::Modern).connect(&format!("http://{}/other", replica.address)).unwrap();
    assert_eq!(text(&soon(client.call("echo", json!({ "text": "y" })).into_future()).await.unwrap()), "y");
    let metrics = replica.metrics(|metrics| metrics.sum(REQUESTS, &[("name", "echo")]) >= 2.0).await;
    for (route, upstream) in [("/mcp", "one"), ("/other", "other")] {
        assert_eq!(metrics.sum(REQUESTS, &[("route", route), ("upstream", upstream), ("name", "echo")]), 1.0);
    }
}
