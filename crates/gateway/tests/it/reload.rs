//! Another configuration while requests are under way: what stays, what changes at once, and that nothing is lost by it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use anypod_client::proto::elicitation::ElicitResult;
use anypod_client::proto::version::Era;
use anypod_client::{Client, ClientBuilder};
use anypod_gateway::Config;
use anypod_gateway::config::{Each, Effect, EraChoice, Listener, Rate, Rule, Time, Upstream};
use anypod_testkit::script::{Expect, Reply, Script};
use http::{Method, StatusCode};
use serde_json::json;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::support::{
    Fleet, Pod, Replica, Seen, Sent, Wired, config, legacy, modern, person, served, soon, text, token, upstream_at,
};

async fn observed(mut config: Config) -> Replica {
    config.admin = Some("127.0.0.1:0".to_owned());
    Replica::alone(config).await
}

/// The same configuration, with something changed.
fn changed(replica: &Replica, change: impl FnOnce(&mut Config)) {
    let mut config = (*replica.gateway.config()).clone();
    change(&mut config);
    replica.gateway.reload(config, None).unwrap();
}

fn pods(replica: &Replica, urls: &[String]) {
    changed(replica, |config| config.upstream[0].pods = urls.to_vec());
}

fn echo() -> Sent {
    Sent::call("echo", json!({ "text": "x" }))
}

/// Calls as many as reach every pod of an upstream.
async fn around(replica: &Replica) {
    for _ in 0..6 {
        assert_eq!(echo().to(replica.address).await.result()["content"][0]["text"], "x");
    }
}

/// An upstream whose pods have their full share from their beginning, and are not asked how they are.
fn quick(era: EraChoice, urls: &[String]) -> Upstream {
    let mut upstream = upstream_at("server", era, urls);
    upstream.health.slow_start = Time::from_secs(0);
    upstream
}

async fn three() -> [Pod; 3] {
    let pod = || async { Pod::start(served(&Seen::default())).await };
    [pod().await, pod().await, pod().await]
}

#[tokio::test]
async fn sessions_with_pods_that_stay_stay_open_and_those_with_others_are_closed() {
    let all = three().await;
    let urls = all.each_ref().map(Pod::url);
    let replica = observed(config([quick(EraChoice::Legacy, &urls[..2])])).await;
    let opened = "anypod_gateway_upstream_sessions_opened_total";
    let open = "anypod_gateway_upstream_sessions";
    let of = [("upstream", "server")];
    around(&replica).await;
    assert_eq!(replica.metrics(|_| true).await.value(opened, &of), 2.0);
    pods(&replica, &[urls[1].clone(), urls[2].clone()]);
    around(&replica).await;
    let metrics = replica.metrics(|metrics| metrics.value(open, &of) == 2.0).await;
    assert_eq!(metrics.value(opened, &of), 3.0);
    // Nor is anything more said of the one that left.
    let metrics = replica.metrics(|metrics| !metrics.values("anypod_gateway_pod_up", "pod").contains(&*urls[0])).await;
    assert_eq!(metrics.values("anypod_gateway_pod_up", "pod"), [&*urls[1], &*urls[2]].into());
    // A list that says the same changes nothing.
    pods(&replica, &[urls[1].clone(), urls[2].clone()]);
    around(&replica).await;
    assert_eq!(replica.metrics(|_| true).await.value(opened, &of), 3.0);
}

#[tokio::test]
async fn connections_to_pods_that_stay_stay_open() {
    let wired = [Wired::plain(served(&Seen::default())).await, Wired::plain(served(&Seen::default())).await];
    let urls = wired.each_ref().map(|pod| pod.url.clone());
    let replica = observed(config([quick(EraChoice::Modern, &urls[..1])])).await;
    around(&replica).await;
    for list in [&urls[..], &urls[..1], &urls[..]] {
        pods(&replica, list);
        around(&replica).await;
    }
    assert_eq!(wired[0].connections(), 1);
    assert!(wired[1].connections() >= 1);
}

#[tokio::test]
async fn a_pod_that_is_not_well_is_not_well_because_others_came() {
    let full = Script::new().always(Expect::any(), Reply::empty(503)).serve().await.unwrap();
    let all = three().await;
    let mut upstream = quick(EraChoice::Modern, &[full.url(), all[0].url()]);
    upstream.health.failures = 2;
    upstream.health.pause = Time::from_secs(3600);
    upstream.health.longest_pause = Time::from_secs(3600);
    let replica = observed(config([upstream])).await;
    around(&replica).await;
    assert_eq!(full.received().len(), 2);
    pods(&replica, &[full.url(), all[0].url(), all[1].url()]);
    around(&replica).await;
    assert_eq!(full.received().len(), 2);
}

#[tokio::test]
async fn pods_that_speak_tls_may_come_to_those_that_do_not() {
    use crate::support::tls;
    let plain = Pod::start(served(&Seen::default())).await;
    let secure = Wired::tls(served(&Seen::default()), tls::server(&["h2"])).await;
    for era in [EraChoice::Modern, EraChoice::Legacy] {
        let mut upstream = quick(era, &[plain.url()]);
        upstream.authorities = Some(tls::certificate("authority.pem"));
        let replica = observed(config([upstream])).await;
        around(&replica).await;
        pods(&replica, std::slice::from_ref(&secure.url));
        around(&replica).await;
        assert!(!secure.versions().is_empty(), "{era:?}");
    }
}

#[tokio::test]
async fn a_list_with_a_pod_that_is_none_changes_nothing() {
    let all = three().await;
    let replica = observed(config([quick(EraChoice::Modern, &[all[0].url()])])).await;
    for list in [vec![all[1].url(), "ftp://x".to_owned()], Vec::new()] {
        let mut config = (*replica.gateway.config()).clone();
        config.upstream[0].pods = list;
        assert!(replica.gateway.reload(config, None).is_err());
    }
    assert_eq!(replica.gateway.config().upstream[0].pods, [all[0].url()]);
    around(&replica).await;
}

#[tokio::test]
async fn a_call_on_a_pod_that_is_taken_away_is_seen_through() {
    for era in [EraChoice::Modern, EraChoice::Legacy] {
        let seen = Seen::default();
        let (old, new) = (Pod::start(served(&seen)).await, Pod::start(served(&Seen::default())).await);
        // Taken away from its upstream, with an upstream that is configured anew, and with an upstream that is no more.
        let changes: [fn(&mut Config, &Pod); 3] = [
            |config, new| config.upstream[0].pods = vec![new.url()],
            |config, new| {
                config.upstream[0].pods = vec![new.url()];
                config.upstream[0].timeouts.silence = Time::from_secs(299);
            },
            |config, new| {
                config.upstream = vec![Upstream { name: "other".to_owned(), ..modern([new]) }];
                config.route[0].upstreams = vec!["other".to_owned()];
            },
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let replica = observed(config([quick(era, &[old.url()])])).await;
            let call = tokio::spawn(Sent::call("wait", json!({})).to(replica.address));
            seen.waiting(number + 1).await;
            changed(&replica, |config| change(config, &new));
            let ran = seen.calls("echo");
            around(&replica).await;
            assert_eq!(seen.calls("echo"), ran, "{era:?} {number}");
            seen.go();
            assert_eq!(soon(call).await.unwrap().result()["content"][0]["text"], "waited", "{era:?} {number}");
            let open = |metrics: &crate::support::parser::Metrics| {
                metrics.value("anypod_gateway_upstream_sessions", &[("upstream", "server")])
            };
            // Of a legacy one, the session of the pod that is there.
            let left = if era == EraChoice::Legacy && number < 2 { 1.0 } else { 0.0 };
            replica.metrics(|metrics| open(metrics) == left).await;
        }
    }
}

/// A person who changes something before he answers.
fn meddler(change: impl Fn() + Send + Sync + 'static) -> ClientBuilder {
    let answer = json!({ "action": "accept", "content": { "name": "Ann" } });
    let answer: ElicitResult = serde_json::from_value(answer).unwrap();
    Client::builder().on_form(move |_| {
        change();
        std::future::ready(Ok::<_, std::io::Error>(answer.clone()))
    })
}

#[tokio::test]
async fn a_question_that_is_open_is_answered_where_it_was_asked() {
    let changes: [fn(&mut Config, &Pod); 3] = [
        |config, new| config.upstream[0].pods = vec![new.url()],
        |config, _| config.upstream[0].timeouts.silence = Time::from_secs(299),
        |config, _| config.limits.held_calls = 7,
    ];
    for client in [Era::Modern, Era::Legacy] {
        for server in [EraChoice::Modern, EraChoice::Legacy] {
            for change in changes {
                let seen = Seen::default();
                let old = Pod::start(served(&seen)).await;
                let new = Arc::new(Pod::start(served(&seen)).await);
                let replica = Arc::new(observed(config([quick(server, &[old.url()])])).await);
                let asked = {
                    let (replica, new) = (Arc::clone(&replica), Arc::clone(&new));
                    meddler(move || changed(&replica, |config| change(config, &new)))
                };
                let client = asked.era(client).connect(&replica.urls[0]).unwrap();
                let result = soon(client.call("ask", json!({})).into_future()).await.unwrap();
                assert_eq!(text(&result), "Hello, Ann!");
                assert_eq!(seen.calls("ask"), 1);
                // And once more, as it is now.
                let result = soon(client.call("ask", json!({})).into_future()).await.unwrap();
                assert_eq!(text(&result), "Hello, Ann!");
            }
        }
    }
}

fn long() -> Sent {
    Sent::call("echo", json!({ "text": "x".repeat(2000) }))
}

#[tokio::test]
async fn bounds_of_messages_take_effect_at_once() {
    let pod = Pod::start(served(&Seen::default())).await;
    for upstream in [modern([&pod]), legacy([&pod])] {
        let replica = observed(config([upstream])).await;
        let opened = Sent::initialize().to(replica.address).await;
        let session = opened.header("mcp-session-id").unwrap().to_owned();
        let call = json!({ "name": "echo", "arguments": { "text": "x".repeat(2000) } });
        for (body_bytes, expected) in [(1024, 413), (4096, 200), (1500, 413)] {
            changed(&replica, |config| config.limits.body_bytes = body_bytes);
            assert_eq!(long().to(replica.address).await.status, expected);
            let answer = Sent::legacy(&session, "tools/call", call.clone()).to(replica.address).await;
            assert_eq!(answer.status, expected, "{answer:?}");
        }
        changed(&replica, |config| config.limits.body_bytes = 4096);
        let list = || Sent::modern("tools/list", json!({}));
        for (result_bytes, expected) in [(100, 502), (1 << 20, 200), (100, 502)] {
            changed(&replica, |config| config.limits.result_bytes = result_bytes);
            assert_eq!(list().to(replica.address).await.status, expected, "{result_bytes}");
        }
    }
}

#[tokio::test]
async fn bounds_on_what_is_under_way_take_effect_at_once() {
    let seen = Seen::default();
    let pod = Pod::start(served(&seen)).await;
    let replica = observed(config([modern([&pod])])).await;
    let opened = Sent::initialize().to(replica.address).await;
    let session = opened.header("mcp-session-id").unwrap().to_owned();
    let call = tokio::spawn(Sent::call("wait", json!({})).to(replica.address));
    seen.waiting(1).await;
    for (requests, streams, expected) in [(1, 0, 503), (2, 1, 200), (1, 0, 503)] {
        changed(&replica, |config| (config.limits.requests, config.limits.streams) = (requests, streams));
        assert_eq!(echo().to(replica.address).await.status, expected);
        let stream = Sent::empty(Method::GET).in_session(&session).open(replica.address).await;
        assert_eq!(stream.status(), expected);
        drop(stream);
        // A stream that is gone is noticed when it is.
        let none = |metrics: &crate::support::parser::Metrics| metrics.sum("anypod_gateway_streams", &[]) == 0.0;
        replica.metrics(none).await;
    }
    seen.go();
    soon(call).await.unwrap().result();
}

#[tokio::test]
async fn more_connections_are_taken_as_soon_as_they_may() {
    let pod = Pod::start(served(&Seen::default())).await;
    let mut config = config([modern([&pod])]);
    config.limits.connections = 1;
    let replica = observed(config).await;
    let idle = TcpStream::connect(replica.address).await.unwrap();
    replica.metrics(|metrics| metrics.value("anypod_gateway_connections", &[]) == 1.0).await;
    let waits = tokio::spawn(echo().to(replica.address));
    changed(&replica, |config| config.limits.connections = 2);
    soon(waits).await.unwrap().result();
    drop(idle);
}

#[tokio::test]
async fn bounds_of_sessions_with_upstreams_take_effect_at_once() {
    let seen = Seen::default();
    let pod = Pod::start(served(&seen)).await;
    let mut config = config([quick(EraChoice::Legacy, &[pod.url()])]);
    config.limits.upstream_sessions = 1;
    let replica = observed(config).await;
    let call = tokio::spawn(Sent::call("wait", json!({})).to(replica.address));
    seen.waiting(1).await;
    // Another caller needs another session.
    let other = || echo().bearing("somebody");
    assert_eq!(other().to(replica.address).await.status, StatusCode::SERVICE_UNAVAILABLE);
    changed(&replica, |config| config.limits.upstream_sessions = 2);
    other().to(replica.address).await.result();
    seen.go();
    soon(call).await.unwrap().result();
}

#[tokio::test]
async fn who_stops_waits_as_long_as_is_configured_then() {
    let seen = Seen::default();
    let pod = Pod::start(served(&seen)).await;
    let mut config = config([modern([&pod])]);
    config.limits.drain = Time::from_secs(24 * 3600);
    let mut replica = observed(config).await;
    let call = tokio::spawn(Sent::call("wait", json!({})).to(replica.address));
    seen.waiting(1).await;
    changed(&replica, |config| config.limits.drain = Time::from_secs(0));
    replica.stop();
    replica.stopped().await;
    call.abort();
}

#[tokio::test]
async fn what_needs_a_restart_waits_for_it_and_the_rest_is_taken() {
    let pod = Pod::start(served(&Seen::default())).await;
    let replica = observed(config([modern([&pod])])).await;
    let before = replica.gateway.config();
    changed(&replica, |config| {
        config.listener.push(Listener { address: "127.0.0.1:0".to_owned(), tls: None });
        config.admin = None;
        config.observe.names.0 = 7;
        config.fleet.replicas.0 = 9;
        config.fleet.advertise = Some("http://127.0.0.1:1".to_owned());
        config.fleet.peers = vec!["http://127.0.0.1:1".to_owned()];
        config.route[0].token = vec![token("alice")];
    });
    let after = replica.gateway.config();
    assert_eq!((&after.listener, &after.admin), (&before.listener, &before.admin));
    assert_eq!((&after.observe, &after.fleet), (&before.observe, &before.fleet));
    assert_eq!(echo().to(replica.address).await.status, StatusCode::UNAUTHORIZED);
    echo().bearing("alice").to(replica.address).await.result();
    replica.metrics(|_| true).await;
}

/// Reads what may be kept, and says how often its server was asked for it so far.
async fn kept(replica: &Replica, seen: &Seen, uri: &str) -> usize {
    Sent::modern("resources/read", json!({ "uri": uri })).bearing("alice").to(replica.address).await.result();
    seen.calls("kept")
}

#[tokio::test]
async fn what_is_kept_is_kept_as_long_as_what_it_depends_on_is_configured_as_it_was() {
    type Asked = (&'static str, bool, fn(&mut Config, &[String]));
    let changes: [Asked; 10] = [
        ("nothing", false, |_, _| {}),
        ("a bound", false, |config, _| config.limits.result_bytes = 1 << 20),
        ("another token", false, |config, _| config.route[0].token.push(token("bob"))),
        ("a rate", false, |config, _| config.route[0].rate.push(rate(100.0, 100))),
        ("a pod more", false, |config, urls| config.upstream[0].pods = urls[..2].to_vec()),
        ("no pod but that one", false, |config, urls| config.upstream[0].pods = urls[1..2].to_vec()),
        ("no pod that was there before", true, |config, urls| config.upstream[0].pods = urls[..1].to_vec()),
        ("a rule", true, |config, _| {
            let (effect, names) = (Effect::Deny, vec!["note://one".to_owned()]);
            let (principals, methods, arguments) = (Vec::new(), Vec::new(), std::collections::BTreeMap::new());
            config.route[0].rule.push(Rule { effect, principals, methods, names, arguments });
        }),
        ("an upstream begun anew", true, |config, _| config.upstream[0].timeouts.silence = Time::from_secs(299)),
        ("what is kept for how long", true, |config, _| config.route[0].cache.longest = Time::from_secs(30)),
    ];
    for others in [&[][..], &["other"]] {
        let seen = Seen::default();
        let pods = [Pod::start(served(&seen)).await, Pod::start(served(&seen)).await];
        let urls = pods.each_ref().map(Pod::url);
        let other = others.iter().map(|name| upstream_at(name, EraChoice::Modern, &urls[..1]));
        let mut config = config([quick(EraChoice::Modern, &urls[..1])].into_iter().chain(other));
        config.route[0].token = vec![token("alice")];
        let replica = observed(config).await;
        let uri = if others.is_empty() { "note://kept" } else { "server+note://kept" };
        assert_eq!([kept(&replica, &seen, uri).await, kept(&replica, &seen, uri).await], [1, 1]);
        let mut asked = 1;
        for (what, anew, change) in changes {
            changed(&replica, |config| change(config, &urls));
            asked += usize::from(anew);
            assert_eq!(kept(&replica, &seen, uri).await, asked, "{what} {others:?}");
            assert_eq!(kept(&replica, &seen, uri).await, asked, "{what} {others:?}");
        }
    }
}

fn rate(per_second: f64, burst: u32) -> Rate {
    Rate { per_second, burst: Some(burst), each: Each::Principal, methods: Vec::new(), names: Vec::new() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_let_through_more_often_because_configurations_change() {
    const BURST: usize = 10;
    let all = three().await;
    let urls = all.each_ref().map(Pod::url);
    let mut config = config([quick(EraChoice::Modern, &urls[..2])]);
    config.route[0].rate = vec![rate(0.5, BURST as u32)];
    let replica = Arc::new(observed(config).await);
    let (over, passed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let (begun, mut callers) = (Instant::now(), JoinSet::new());
    for _ in 0..4 {
        let (replica, over, passed) = (Arc::clone(&replica), Arc::clone(&over), Arc::clone(&passed));
        callers.spawn(async move {
            while !over.load(Ordering::Relaxed) {
                match echo().to(replica.address).await.status {
                    StatusCode::OK => drop(passed.fetch_add(1, Ordering::Relaxed)),
                    status => assert_eq!(status, StatusCode::TOO_MANY_REQUESTS),
                }
            }
        });
    }
    for round in 0..40_usize {
        changed(&replica, |config| {
            config.upstream[0].pods = [urls[round % 3].clone(), urls[(round + 1) % 3].clone()].into();
            config.upstream[0].timeouts.silence = Time::from_secs(200 + round as u64 / 2);
            // A rule that comes and goes beside it, in front of it or behind.
            config.route[0].rate = vec![rate(0.5, BURST as u32)];
            config.route[0].rate.insert(round % 2, rate(1e6, 1_000_000));
        });
        around_refused(&replica).await;
    }
    over.store(true, Ordering::Relaxed);
    while let Some(ended) = soon(callers.join_next()).await {
        ended.unwrap();
    }
    let most = BURST + (begun.elapsed().as_secs_f64() * 0.5).ceil() as usize;
    let passed = passed.load(Ordering::Relaxed);
    assert!((BURST / 2..=most).contains(&passed), "{passed} of at most {most}");
}

/// Asks for what does not count, so that a configuration has been used before the next one.
async fn around_refused(replica: &Replica) {
    Sent::modern("tools/list", json!({})).to(replica.address).await.result();
}

/// A server on stdio that says its process id. Asked to wait, it says so by one pipe and waits for how to end by another.
const PROGRAM: &str = r#"next() { read -r line || exit 0; id=${line#*\"id\":}; id=${id%%,*}; }
answer() { printf '{"jsonrpc":"2.0","id":%s,"result":%s}\n' "$id" "$1"; }
while next; do case $line in
*'"notifications/'*) continue ;;
*'"initialize"'*) answer '{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"old","version":"1"}}'; continue ;;
*'"wait"'*) echo > "$BEGAN"; read -r how < "$GO"; [ "$how" = well ] || exit 1 ;;
esac; answer "{\"resultType\":\"complete\",\"content\":[{\"type\":\"text\",\"text\":\"$$\"}]}"; done"#;

/// The process that answers a call.
async fn process(answer: impl Future<Output = crate::support::Answered>) -> u32 {
    soon(answer).await.result()["content"][0]["text"].as_str().unwrap().parse().unwrap()
}

/// Whether a process is there, be it one that has ended and that nobody has asked about since.
fn is_there(process: u32) -> bool {
    std::path::Path::new("/proc").join(process.to_string()).exists()
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_program_that_is_configured_anew_sees_its_call_through_and_ends() {
    for (era, how) in [EraChoice::Modern, EraChoice::Legacy].into_iter().flat_map(|era| [(era, "well"), (era, "badly")])
    {
        let scratch = crate::support::Scratch::new();
        let pipes = ["began", "go"].map(|name| scratch.path(name));
        assert!(std::process::Command::new("mkfifo").args(&pipes).status().unwrap().success());
        let [began, go] = pipes;
        let mut upstream = Upstream { era, ..Upstream::new("program") };
        upstream.command = ["sh", "-c", PROGRAM].map(str::to_owned).into();
        let pipe = |name: &str, path: &std::path::Path| (name.to_owned(), path.display().to_string());
        upstream.environment = [pipe("BEGAN", &began), pipe("GO", &go)].into();
        let mut replica = observed(config([upstream])).await;
        let at = replica.address;
        let before = process(Sent::call("who", json!({})).to(at)).await;
        let call = tokio::spawn(Sent::call("wait", json!({})).to(at));
        soon(tokio::task::spawn_blocking(move || std::fs::read(began))).await.unwrap().unwrap();
        changed(&replica, |config| drop(config.upstream[0].environment.insert("MORE".to_owned(), "1".to_owned())));
        let after = process(Sent::call("who", json!({})).to(at)).await;
        assert!(before != after && is_there(before), "{era:?} {how}");
        soon(tokio::task::spawn_blocking(move || std::fs::write(go, format!("{how}\n")))).await.unwrap().unwrap();
        if how == "well" {
            assert_eq!(process(async { call.await.unwrap() }).await, before, "{era:?}");
        } else {
            let answer = soon(call).await.unwrap();
            assert_eq!(answer.status, StatusCode::BAD_GATEWAY, "{era:?}: {answer:?}");
            let message = answer.json()["error"]["message"].as_str().unwrap().to_owned();
            assert!(message.contains("`program` broke off; nobody knows whether the request ran"), "{message}");
        }
        let gone = async |process| {
            while is_there(process) {
                tokio::task::yield_now().await;
            }
        };
        soon(gone(before)).await;
        assert_eq!(process(Sent::call("who", json!({})).to(at)).await, after, "{era:?} {how}");
        replica.stop();
        replica.stopped().await;
        soon(gone(after)).await;
    }
}

/// Clients that call without a pause, and count what they are not given.
struct Load {
    clients: JoinSet<()>,
    over: Arc<AtomicBool>,
    calls: Arc<AtomicUsize>,
}

impl Load {
    fn of(clients: impl IntoIterator<Item = Client>) -> Self {
        let mut load = Self { clients: JoinSet::new(), over: Arc::default(), calls: Arc::default() };
        for (number, client) in clients.into_iter().enumerate() {
            let (over, calls) = (Arc::clone(&load.over), Arc::clone(&load.calls));
            load.clients.spawn(async move {
                while !over.load(Ordering::Relaxed) {
                    let tool = if number % 4 == 0 { "ask" } else { "echo" };
                    let result = soon(client.call(tool, json!({ "text": "x" })).into_future()).await.unwrap();
                    assert_eq!(text(&result), if tool == "ask" { "Hello, Ann!" } else { "x" });
                    calls.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        load
    }

    /// Waits until so many more calls were answered.
    async fn goes_on(&self, more: usize) {
        let enough = self.calls.load(Ordering::Relaxed) + more;
        soon(async {
            while self.calls.load(Ordering::Relaxed) < enough {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    /// Panics if one has failed.
    async fn ends(mut self) {
        self.over.store(true, Ordering::Relaxed);
        while let Some(ended) = soon(self.clients.join_next()).await {
            ended.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_is_lost_while_configurations_change() {
    let all = three().await;
    for era in [EraChoice::Modern, EraChoice::Legacy] {
        let urls = all.each_ref().map(Pod::url);
        let fleet = Fleet::of(config([quick(era, &urls[..2])])).await;
        let clients = (0..8).map(|number| {
            let era = if number % 2 == 0 { Era::Modern } else { Era::Legacy };
            fleet.client_of(person("Ann"), era)
        });
        let load = Load::of(clients);
        for round in 0..24 {
            let list = [urls[round % 3].clone(), urls[(round + 1) % 3].clone()];
            for replica in &fleet.replicas {
                changed(replica, |config| {
                    config.upstream[0].pods = list.to_vec();
                    config.limits.result_bytes = (1 << 20) + (round / 3) * 1000;
                    config.upstream[0].timeouts.silence = Time::from_secs(200 + round as u64 / 4);
                });
            }
            load.goes_on(16).await;
        }
        load.ends().await;
    }
}
