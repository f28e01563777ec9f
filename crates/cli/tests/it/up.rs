//! `anypod up`: the gateway before pods of its own and of others, restarts, and the end.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::json;

use crate::supervisor::{Http, Supervisor, call, pod_command, send, whoami};

fn says(text: &str) -> impl Fn(&str) -> bool {
    move |line| line.contains(text)
}

/// A call that is under way: its first progress has come.
fn countdown(up: &Supervisor, from: u8) -> Http {
    let mut http = up.connect();
    call(&mut http, "countdown", json!({ "from": from }));
    assert_eq!(http.head().header("content-type"), Some("text/event-stream"));
    http
}

fn is_there(pid: i32) -> bool {
    test_kill_process(Pid::from_raw(pid).unwrap()).is_ok()
}

fn kill(pid: i32) {
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
}

#[test]
fn alternates_strictly_per_request_on_one_connection_and_across() {
    let up = Supervisor::start(3, &[]);
    let mut http = up.connect();
    let one: Vec<i64> = (0..6).map(|_| whoami(&mut http)).collect();
    let across: Vec<i64> = (0..3).map(|_| whoami(&mut up.connect())).collect();
    let expected: BTreeSet<i64> = up.pods.iter().map(|(pid, _)| i64::from(*pid)).collect();
    assert_eq!(one[..3].iter().copied().collect::<BTreeSet<_>>(), expected);
    assert_eq!((&one[..3], &one[..3]), (&one[3..], &across[..]));
}

#[test]
fn answers_to_loopback_names_and_to_the_hosts_that_are_allowed() {
    let up = Supervisor::start(1, &["--allow-host", "pods.example"]);
    let mut status = |host: &str| {
        let mut http = up.connect();
        send(&mut http, host, "tools/call", "whoami", json!({ "name": "whoami", "arguments": {} }));
        http.head().status
    };
    assert_eq!(["localhost:1", "127.0.0.1", "pods.example:1"].map(&mut status), [200; 3]);
    assert_eq!(status("evil.example"), 403);
}

#[test]
fn a_client_that_leaves_ends_the_call_at_the_pod() {
    let up = Supervisor::start(1, &[]);
    let pod = up.pods[0].0;
    drop(countdown(&up, 60));
    // A pod that still had the call would wait for it before it ends.
    kill_process(Pid::from_raw(pod).unwrap(), Signal::TERM).unwrap();
    up.line(says("pod 1 ended (exit status: 0)"));
}

#[test]
fn a_dead_pod_is_started_again_on_its_port_and_costs_no_request() {
    let up = Supervisor::start(2, &[]);
    let (pid, address) = up.pods[0];
    kill(pid);
    let said = up.line(says("starting it again"));
    assert!(said.starts_with("pod 1 ended (signal: 9 (SIGKILL))"), "{said}");
    let mut http = up.connect();
    let answered: Vec<i64> = (0..4).map(|_| whoami(&mut http)).collect();
    assert!(!answered.contains(&i64::from(pid)), "{answered:?}");
    let again = up.line(says("pod 1 is up again: pid "));
    assert!(again.ends_with(&format!(", {address}")), "{again}");
    let end = std::time::Instant::now() + crate::supervisor::PATIENCE;
    while whoami(&mut http) == i64::from(up.pods[1].0) {
        assert!(std::time::Instant::now() < end, "the pod gets no request although it is up again");
    }
}

#[test]
fn a_call_whose_pod_dies_does_not_look_complete() {
    let up = Supervisor::start(1, &[]);
    let mut call = countdown(&up, 60);
    kill(up.pods[0].0);
    let rest = call.rest();
    assert!(!rest.contains("Lift-off!"), "{rest}");
    assert!(rest.contains("\"error\"") || !rest.ends_with("0\r\n\r\n"), "{rest}");
}

#[test]
fn urls_are_stood_before_and_nothing_is_started() {
    let pods = Supervisor::start(2, &[]);
    let urls: Vec<String> = pods.pods.iter().map(|(_, address)| format!("http://{address}/mcp")).collect();
    let mut up = Supervisor::before(&urls);
    assert!(up.greeting[0].ends_with("/mcp round robin over 2 pods; Ctrl-C stops"), "{:?}", up.greeting);
    assert!(up.greeting[1].contains("server/discover"), "{:?}", up.greeting);
    let mut http = up.connect();
    let pids: BTreeSet<i64> = (0..2).map(|_| whoami(&mut http)).collect();
    assert_eq!(pids, pods.pods.iter().map(|(pid, _)| i64::from(*pid)).collect());
    up.signal(Signal::TERM);
    assert_eq!(up.ended().code(), Some(0));
    assert!(pods.pods.iter().all(|(pid, _)| is_there(*pid)));
}

#[test]
fn refuses_a_head_that_is_too_long() {
    let up = Supervisor::with_test_pods(1, &[]);
    let mut http = up.connect();
    let long = "a".repeat(70_000);
    http.send(&format!("GET /mcp HTTP/1.1\r\nHost: localhost\r\nX-Long: {long}\r\n\r\n"));
    assert_eq!(http.head().status, 431);
}

#[test]
fn sigterm_lets_a_call_finish_and_then_stops_everything() {
    let mut up = Supervisor::start(2, &["--drain", "60s"]);
    let mut call = countdown(&up, 1);
    up.signal(Signal::TERM);
    up.line(says("stopping"));
    assert!(call.rest().contains("Lift-off!"));
    assert_eq!(up.ended().code(), Some(0));
    for (pid, _) in &up.pods {
        assert!(!is_there(*pid), "pod {pid} is still there");
    }
}

#[test]
fn a_listening_stream_does_not_hold_up_the_end() {
    let mut up = Supervisor::start(1, &["--drain", "60m"]);
    let mut stream = up.connect();
    let wanted = json!({ "notifications": { "toolsListChanged": true } });
    send(&mut stream, "localhost", "subscriptions/listen", "", wanted);
    assert_eq!(stream.head().status, 200);
    up.signal(Signal::TERM);
    assert_eq!(up.ended().code(), Some(0));
}

#[test]
fn a_pod_that_ignores_sigterm_is_killed_when_the_budget_is_used_up() {
    let pod = format!("sh -c \"trap '' TERM; exec {}\"", pod_command());
    let mut up = Supervisor::start(1, &["--drain", "1ms", "--pod", &pod]);
    up.signal(Signal::TERM);
    assert_eq!(up.ended().code(), Some(0));
    assert!(!is_there(up.pods[0].0));
}

#[test]
fn a_second_signal_stops_at_once() {
    let mut up = Supervisor::start(1, &["--drain", "60m"]);
    let _call = countdown(&up, 60);
    up.signal(Signal::INT);
    up.line(says("stopping"));
    up.signal(Signal::INT);
    assert_eq!(up.ended().code(), Some(0));
}

#[test]
fn pods_share_a_key_file_of_the_owner_only_that_is_removed_at_the_end() {
    let pod = format!("{} {{key-file}}", pod_command());
    let mut up = Supervisor::start(2, &["--pod", &pod]);
    let [one, other] = [0, 1].map(|index| Http::connect(up.pods[index].1).get("/keys").1);
    assert_eq!(one, other);
    let mode = std::fs::metadata(&one).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    up.signal(Signal::TERM);
    assert_eq!(up.ended().code(), Some(0));
    assert!(!Path::new(&one).exists());
}

#[test]
fn the_demo_is_what_runs_unless_told_otherwise_and_ends_with_a_killed_supervisor() {
    let mut up = Supervisor::start(2, &[]);
    assert!(up.greeting[1].contains("tools/call"), "{:?}", up.greeting);
    assert_eq!(up.connect().get("/readyz").0.status, 200);
    let connections: Vec<Http> = up.pods.iter().map(|(_, address)| Http::connect(*address)).collect();
    up.signal(Signal::KILL);
    assert_eq!(up.ended().code(), None);
    // A connection ends when its pod does. That the port is free proves nothing: another test may have it by now.
    for mut connection in connections {
        connection.ends();
    }
}
