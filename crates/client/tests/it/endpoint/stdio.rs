//! A child process that many clients share.

use std::time::Duration;

use anypod_client::proto::method::Method;
use anypod_client::proto::version::Era;
use anypod_client::stdio::{Command, Pipes, Stderr};
use anypod_client::{Call, Client, Endpoint, Error, Limits, Probed};
use http::HeaderMap;
use serde_json::{Value, json};

use super::{exchange, named, result};

/// Reads a request and gives `$id` its id.
const READ: &str = r#"next() { read -r line || exit 0; id=${line#*\"id\":}; id=${id%%,*}; }
answer() { printf '{"jsonrpc":"2.0","id":%s,"result":%s}\n' "$id" "$1"; }
"#;

/// A legacy server that answers what is no handshake with its process id, and ends at what is no `initialize`.
const LEGACY: &str = r#"next
case $line in *'"initialize"'*) ;; *) exit 1 ;; esac
answer '{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"old","version":"1"}}'
read -r initialized
while next; do case $line in *'"die"'*) exit 1 ;; esac; answer "{\"tools\":[],\"pid\":$$}"; done"#;

fn run(script: &str) -> Endpoint {
    let mut limits = Limits::default();
    limits.shutdown_deadline = Duration::from_millis(50);
    let command = Command::new("sh").args(["-c", &format!("{READ}{script}")]).stderr(Stderr::Capture);
    Client::builder().limits(limits).stdio_endpoint(command)
}

fn list() -> Call {
    Call::new(Method::ToolsList)
}

fn dying() -> Call {
    let mut call = list();
    call.set_param("cursor", Some(br#""die""#)).unwrap();
    call
}

async fn modern(endpoint: &Endpoint, name: &str, call: &Call) -> anypod_client::Result<Value> {
    let sent = endpoint.modern().send(call, &named(name), &HeaderMap::new()).await?;
    match exchange(sent).next().await? {
        anypod_client::Incoming::Answer(anypod_client::Answer::Result(result)) => result.read(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn one_process_serves_all_and_is_started_again() {
    let endpoint = run(r#"while next; do case $line in *'"die"'*) exit 1 ;; esac
name=${line#*clientInfo*name\":\"}; answer "{\"pid\":$$,\"name\":\"${name%%\"*}\"}"; done"#);
    let call = list();
    let (one, two) = tokio::join!(modern(&endpoint, "one", &call), modern(&endpoint, "two", &call));
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!((&one["name"], &two["name"]), (&json!("one"), &json!("two")));
    assert_eq!(one["pid"], two["pid"]);
    let lost = modern(&endpoint, "one", &dying()).await.unwrap_err();
    assert!(matches!(lost, Error::Lost { .. }), "{lost}");
    let again = modern(&endpoint, "one", &list()).await.unwrap();
    assert_ne!(again["pid"], one["pid"]);
    endpoint.close().await;
    assert_ne!(modern(&endpoint, "one", &list()).await.unwrap()["pid"], again["pid"]);
}

#[tokio::test]
async fn a_legacy_process_has_one_session_whoever_asks_for_it() {
    let endpoint = run(LEGACY);
    let legacy = |name: &str| endpoint.legacy(named(name), &HeaderMap::new());
    let one = result(&mut legacy("one").send(&list()).await.unwrap()).await;
    let two = legacy("two");
    assert!(two.is_open(), "though the first is dropped");
    assert_eq!(result(&mut two.send(&list()).await.unwrap()).await["pid"], one["pid"]);

    // It ends, and the same upstream opens a session in another process.
    let lost = two.send(&dying()).await.unwrap().next().await.unwrap_err();
    assert!(matches!(lost, Error::Lost { .. }), "{lost}");
    let again = result(&mut two.send(&list()).await.unwrap()).await;
    assert_ne!(again["pid"], one["pid"]);

    // It is closed, and the next who asks gets another one.
    two.close().await.unwrap();
    let three = legacy("three");
    assert!(!three.is_closed() && !three.is_open());
    assert_ne!(result(&mut three.send(&list()).await.unwrap()).await["pid"], again["pid"]);
}

#[tokio::test]
async fn a_probe_of_a_legacy_process_opens_its_session_and_pings_it_from_then_on() {
    let endpoint = run(LEGACY);
    let probe = || async { endpoint.probe(&named("gateway"), &HeaderMap::new(), None).await };
    let found = probe().await;
    assert!(matches!(found, Probed::Speaks(Era::Legacy)), "{found:?}");
    let legacy = endpoint.legacy(named("gateway"), &HeaderMap::new());
    assert!(legacy.is_open());
    let pid = result(&mut legacy.send(&list()).await.unwrap()).await["pid"].clone();
    for known in [None, Some(Era::Legacy)] {
        let found = endpoint.probe(&named("gateway"), &HeaderMap::new(), known).await;
        assert!(matches!(found, Probed::Speaks(Era::Legacy)), "{found:?}");
    }
    // `server/discover` would have ended the process.
    assert_eq!(result(&mut legacy.send(&list()).await.unwrap()).await["pid"], pid);
}

#[tokio::test]
async fn a_probe_tells_processes_apart() {
    let probe = |endpoint: Endpoint| async move { endpoint.probe(&named("gateway"), &HeaderMap::new(), None).await };
    let modern = run(r#"while next; do answer '{"resultType":"complete","supportedVersions":["2026-07-28"]}'; done"#);
    let found = probe(modern).await;
    assert!(matches!(found, Probed::Speaks(Era::Modern)), "{found:?}");
    let later = run(r#"while next; do answer '{"resultType":"complete","supportedVersions":["2099-01-01"]}'; done"#);
    let found = probe(later).await;
    assert!(matches!(found, Probed::Neither(_)), "{found:?}");
    let other = run(r#"while next; do answer '{}'; done"#);
    let found = probe(other).await;
    assert!(matches!(found, Probed::Neither(_)), "{found:?}");
    let missing = Client::builder().stdio_endpoint(Command::new("/no/such/server"));
    let found = probe(missing).await;
    assert!(matches!(found, Probed::Unreachable(Error::Unreachable { .. })), "{found:?}");
    let dead = run("exit 1");
    let found = probe(dead).await;
    assert!(matches!(found, Probed::Unreachable(_)), "{found:?}");
}

#[tokio::test(start_paused = true)]
async fn a_process_that_says_nothing_is_not_there() {
    let (ours, _theirs) = tokio::io::duplex(64 << 10);
    let (reader, writer) = tokio::io::split(ours);
    let endpoint = Client::builder().stdio_endpoint(Pipes::new(reader, writer));
    let found = endpoint.probe(&named("gateway"), &HeaderMap::new(), None).await;
    assert!(matches!(found, Probed::Unreachable(Error::TimedOut(_))), "{found:?}");
}
