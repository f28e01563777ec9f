//! Servers in child processes: shell scripts that are just clever enough.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anypod_client::proto::method::Method;
use anypod_client::stdio::{Command, Probe, Stderr, Wire};
use anypod_client::{Call, Error, LegacyUpstream, Limits, Outside};
use rustix::process::{Pid, test_kill_process};
use serde_json::{Value, json};

use super::{call, identity, result, send};

/// Reads a request and gives `$id` its id.
const READ: &str = r#"next() { read -r line || exit 0; id=${line#*\"id\":}; id=${id%%,*}; }
answer() { printf '{"jsonrpc":"2.0","id":%s,"result":%s}\n' "$id" "$1"; }
"#;

fn script(text: &str) -> Command {
    Command::new("sh").args(["-c", &format!("{READ}{text}")]).stderr(Stderr::Capture)
}

/// A server that answers every request with its process id.
fn steady() -> Command {
    script(r#"while next; do answer "{\"pid\":$$}"; done"#)
}

fn run(command: Command) -> Wire {
    let mut limits = Limits::default();
    limits.shutdown_deadline = Duration::from_millis(50);
    Wire::new(command, Arc::new(limits), None)
}

fn list() -> Call {
    Call::new(Method::ToolsList)
}

async fn pid(wire: &Wire) -> Pid {
    let result: Value = result(&mut send(wire, &list()).await).await;
    let pid = result["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok());
    pid.and_then(Pid::from_raw).expect("a process id")
}

/// Whether a process runs. One that has ended, and that nobody has waited for, does not.
fn is_there(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    test_kill_process(pid).is_ok() && !stat.is_ok_and(|stat| stat.contains(") Z "))
}

/// Waits for the end of a process that nobody tells us about.
async fn gone(pid: Pid) {
    let gone = async {
        while is_there(pid) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone).await.expect("it ends");
}

#[tokio::test]
async fn is_started_once_and_ends_when_its_input_does() {
    let wire = run(steady());
    let (one, two) = tokio::join!(pid(&wire), pid(&wire));
    assert_eq!(one, two);
    wire.close().await;
    assert!(!is_there(one));
    assert_ne!(pid(&wire).await, one, "a later request starts it again");
}

#[tokio::test]
async fn does_not_outlive_its_client() {
    let wire = run(steady());
    let pid = pid(&wire).await;
    drop(wire);
    gone(pid).await;
}

#[tokio::test]
async fn ignores_the_end_of_its_input_and_signals_in_vain() {
    let wire = run(script(r#"trap '' TERM; next; answer "{\"pid\":$$}"; exec tail -f /dev/null"#));
    let pid = pid(&wire).await;
    wire.close().await;
    assert!(!is_there(pid));
}

#[tokio::test]
async fn what_it_has_started_ends_with_it() {
    let wire = run(script(r#"next; sleep 600 & answer "{\"pid\":$!}"; next; wait"#));
    let grandchild = pid(&wire).await;
    wire.close().await;
    gone(grandchild).await;
}

#[tokio::test]
async fn a_runtime_that_ends_leaves_no_process_behind() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let pid = std::thread::spawn(move || {
        let wire = run(script(r#"trap '' TERM; next; answer "{\"pid\":$$}"; exec tail -f /dev/null"#));
        runtime().block_on(pid(&wire))
    });
    gone(pid.join().unwrap()).await;
}

#[tokio::test]
async fn says_how_it_died_in_the_middle_of_a_call() {
    let wire = run(script("next; echo 'disk full' >&2; exit 3"));
    let unknown = send(&wire, &call("once")).await.next().await.unwrap_err();
    assert!(matches!(unknown, Error::OutcomeUnknown { .. }), "{unknown}");
    let lost = send(&wire, &list()).await.next().await.unwrap_err();
    assert!(matches!(lost, Error::Lost { .. }), "{lost}");
    for error in [unknown, lost] {
        let text = error.to_string();
        assert!(text.contains("exit status: 3") && text.ends_with("disk full"), "{text}");
    }
}

#[tokio::test]
async fn is_started_again_after_it_died() {
    let wire = run(script(r#"next; answer "{\"pid\":$$}"; next; exit 1"#));
    let first = pid(&wire).await;
    send(&wire, &list()).await.next().await.unwrap_err();
    assert_ne!(pid(&wire).await, first);
}

#[tokio::test]
async fn is_not_started_in_a_loop() {
    let wire = run(script("exit 1"));
    let begun = Instant::now();
    for _ in 0..4 {
        match wire.send(&list(), &identity()).await {
            Ok(mut exchange) => drop(exchange.next().await.unwrap_err()),
            Err(error) => assert!(matches!(error, Error::Unreachable { .. }), "{error}"),
        }
    }
    assert!(begun.elapsed() >= Duration::from_millis(300), "100 ms before the third start, 200 before the fourth");
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named() {
    let wire = run(Command::new("/no/such/server").arg("--token=secret"));
    let error = wire.send(&list(), &identity()).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("/no/such/server") && !error.to_string().contains("secret"), "{error}");
    assert!(wire.probe(&identity()).await.is_err(), "which says nothing about its era");
}

#[tokio::test]
async fn gets_its_environment_and_directory_and_its_stderr_is_handed_over() {
    let (said, mut lines) = tokio::sync::mpsc::channel(8);
    let command = script(r#"echo "said $WORD" >&2; next; answer "{\"word\":\"$WORD\",\"dir\":\"$PWD\"}""#)
        .env("WORD", "hello")
        .current_dir("/")
        .stderr(Stderr::Lines(Arc::new(move |line| said.try_send(line.to_owned()).unwrap())));
    let wire = run(command);
    let answer = result(&mut send(&wire, &list()).await).await;
    assert_eq!(answer, json!({ "word": "hello", "dir": "/" }));
    assert_eq!(lines.recv().await.unwrap(), "said hello");
}

#[tokio::test]
async fn what_it_said_before_it_ended_counts() {
    for _ in 0..5 {
        let wire = run(script(r#"next; answer "{\"pid\":$$}"; exit 1"#));
        pid(&wire).await;
    }
}

#[tokio::test]
async fn somebody_else_may_keep_its_output_open() {
    // The new session is out of reach of the signal to the group.
    let wire = run(script(r#"next; setsid timeout 20 tail -f /dev/null & exit 4"#));
    let lost = send(&wire, &list()).await.next().await.unwrap_err();
    assert!(lost.to_string().contains("exit status: 4"), "{lost}");
}

#[tokio::test]
async fn a_legacy_server_that_ends_when_it_is_probed_is_started_again_for_its_session() {
    let server = r#"next
case $line in *'"initialize"'*) ;; *) exit 1 ;; esac
answer '{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"old","version":"1"}}'
read -r initialized
next; answer '{"tools":[]}'
next; exit 1"#;
    let wire = Arc::new(run(script(server)));
    let identity = Arc::new(identity());
    let Probe::Failed(error) = wire.probe(&identity).await.unwrap() else { panic!("it ends") };
    assert!(error.to_string().contains("exit status: 1"), "{error}");
    let legacy = LegacyUpstream::stdio(Arc::clone(&wire), identity, Arc::default(), Outside::real());
    for _ in 0..2 {
        let listed = result(&mut legacy.send(&list()).await.unwrap()).await;
        assert_eq!(listed["tools"], json!([]));
        // The session ends with the process, and the next call begins another.
        let mut lost = legacy.send(&list()).await.unwrap();
        assert!(matches!(lost.next().await, Err(Error::Lost { .. })));
    }
    legacy.close().await.unwrap();
}
