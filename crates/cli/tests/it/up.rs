//! `anypod up`: round robin, streams, restarts, and the end.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::process::{Pid, Signal, test_kill_process};

use crate::supervisor::{Http, Supervisor, pod_command};

fn says(text: &str) -> impl Fn(&str) -> bool {
    move |line| line.contains(text)
}

/// Reads one chunk with one event of one line.
fn next_event(http: &mut Http) -> String {
    let [_length, event, _, _] = std::array::from_fn(|_| http.read_line());
    event
}

#[test]
fn alternates_strictly_per_request_on_one_connection() {
    let up = Supervisor::with_test_pods(3, &[]);
    let mut http = up.connect();
    let ports: Vec<String> = (0..9).map(|_| http.get("/who").1).collect();
    let expected: Vec<String> = up.pods.iter().map(|(_, address)| address.port().to_string()).collect();
    assert_eq!(ports.iter().collect::<BTreeSet<_>>(), expected.iter().collect());
    for (index, port) in ports.iter().enumerate() {
        assert_eq!(*port, ports[index % 3], "{ports:?}");
    }
}

#[test]
fn alternates_across_connections_too() {
    let up = Supervisor::with_test_pods(2, &[]);
    let ports: Vec<String> = (0..4).map(|_| up.connect().get("/who").1).collect();
    assert_ne!(ports[0], ports[1]);
    assert_eq!(ports[..2], ports[2..]);
}

#[test]
fn keeps_the_host_and_takes_out_what_concerns_one_connection() {
    let up = Supervisor::with_test_pods(1, &[]);
    let mut http = up.connect();
    http.send(
        "GET /headers HTTP/1.1\r\nHost: pods.example:1\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\n\
         Mcp-Name: add\r\n\r\n",
    );
    let (_, headers) = http.answer();
    assert!(headers.contains(r#""host": "pods.example:1""#), "{headers}");
    assert!(headers.contains(r#""mcp-name": "add""#), "{headers}");
    assert!(headers.contains(r#""x-forwarded-for": "127.0.0.1""#), "{headers}");
    assert!(headers.contains(r#""x-forwarded-proto": "http""#), "{headers}");
    assert!(!headers.contains("x-hop") && !headers.contains("connection"), "{headers}");
}

#[test]
fn streams_a_request_body_and_its_echo_before_the_body_has_ended() {
    let up = Supervisor::with_test_pods(1, &[]);
    let mut http = up.connect();
    http.send("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
    assert_eq!(http.head().status, 200);
    assert_eq!([http.read_line(), http.read_line()], ["5", "first"]);
    http.send("6\r\nsecond\r\n0\r\n\r\n");
    assert_eq!([http.read_line(), http.read_line()], ["6", "second"]);
    assert_eq!([http.read_line(), http.read_line()], ["0", ""]);
}

#[test]
fn passes_each_event_on_at_once() {
    let up = Supervisor::with_test_pods(1, &[]);
    let mut http = up.connect();
    http.send("GET /ticks HTTP/1.1\r\nHost: a\r\n\r\n");
    let head = http.head();
    assert_eq!(head.header("content-type"), Some("text/event-stream"));
    for _ in 0..3 {
        assert_eq!(next_event(&mut http), "data: tick");
        up.connect().get("/release");
    }
}

#[test]
fn a_client_that_leaves_ends_the_call_and_the_stream_at_the_pod() {
    let up = Supervisor::with_test_pods(1, &[]);
    let mut call = up.connect();
    call.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    up.line(says("pod 1 | slow began"));
    drop(call);
    up.line(says("pod 1 | slow given up"));
    let mut stream = up.connect();
    stream.send("GET /ticks HTTP/1.1\r\nHost: a\r\n\r\n");
    stream.head();
    drop(stream);
    up.line(says("pod 1 | ticks given up"));
}

#[test]
fn a_dead_pod_is_started_again_and_said_so() {
    let up = Supervisor::with_test_pods(2, &[]);
    let mut stream = up.connect();
    stream.send("GET /ticks HTTP/1.1\r\nHost: a\r\n\r\n");
    stream.head();
    let mut listener = up.connect();
    listener.send("GET /ticks HTTP/1.1\r\nHost: a\r\n\r\n");
    listener.head();
    // The third request goes to the pod that holds the first stream.
    let (head, _) = up.connect().get("/die");
    assert_eq!(head.status, 502);
    let said = up.line(says("starting it again"));
    assert!(said.starts_with("pod 1 ended (exit status: 3)"), "{said}");
    assert!(!stream.rest().ends_with("0\r\n\r\n"), "the stream must not look complete");
    assert_eq!(next_event(&mut listener), "data: tick");
    Http::connect(up.pods[1].1).get("/release");
    assert_eq!(next_event(&mut listener), "data: tick", "the other pod's stream goes on");
    up.line(says("pod 1 is up again: pid "));
    let mut http = up.connect();
    let ports: BTreeSet<String> = (0..4).map(|_| http.get("/who").1).collect();
    assert_eq!(ports.len(), 2);
}

#[test]
fn a_pod_that_breaks_off_before_it_answers_is_502() {
    let up = Supervisor::with_test_pods(1, &[]);
    let mut http = up.connect();
    let (head, body) = http.get("/abort");
    assert_eq!(head.status, 502);
    assert!(body.contains("-32603"), "{body}");
    assert_eq!(http.get("/who").0.status, 200);
}

#[test]
fn a_length_beside_chunks_does_not_cut_the_body() {
    let up = Supervisor::with_test_pods(1, &[]);
    let mut http = up.connect();
    http.send(
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n\
         6\r\nlonger\r\n0\r\n\r\n",
    );
    assert_eq!(http.head().status, 200);
    assert_eq!([http.read_line(), http.read_line()], ["6", "longer"]);
}

#[test]
fn refuses_a_head_that_is_too_long() {
    let up = Supervisor::with_test_pods(1, &[]);
    let mut http = up.connect();
    let long = "a".repeat(70_000);
    http.send(&format!("GET /who HTTP/1.1\r\nHost: a\r\nX-Long: {long}\r\n\r\n"));
    assert_eq!(http.head().status, 431);
}

#[test]
fn sigterm_lets_a_call_finish_and_then_stops_everything() {
    let mut up = Supervisor::with_test_pods(2, &["--drain", "60s"]);
    let mut call = up.connect();
    call.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    up.line(says("pod 1 | slow began"));
    up.signal(Signal::TERM);
    up.line(says("stopping"));
    Http::connect(up.pods[0].1).get("/release");
    assert_eq!(call.answer().1, "slow done");
    assert_eq!(up.ended().code(), Some(0));
    for (pid, _) in &up.pods {
        assert!(test_kill_process(Pid::from_raw(*pid).unwrap()).is_err(), "pod {pid} is still there");
    }
}

#[test]
fn a_listening_stream_does_not_hold_up_the_end() {
    let mut up = Supervisor::with_test_pods(1, &["--drain", "60m"]);
    let mut stream = up.connect();
    stream.send("POST /ticks HTTP/1.1\r\nHost: a\r\nMcp-Method: subscriptions/listen\r\nContent-Length: 0\r\n\r\n");
    stream.head();
    up.signal(Signal::TERM);
    assert_eq!(up.ended().code(), Some(0));
}

#[test]
fn a_pod_that_ignores_sigterm_is_killed_when_the_budget_is_used_up() {
    let pod = format!("sh -c \"trap '' TERM; exec {}\"", pod_command());
    let mut up = Supervisor::start(1, &["--drain", "1ms", "--pod", &pod]);
    up.signal(Signal::TERM);
    assert_eq!(up.ended().code(), Some(0));
    assert!(test_kill_process(Pid::from_raw(up.pods[0].0).unwrap()).is_err());
}

#[test]
fn a_second_signal_stops_at_once() {
    let mut up = Supervisor::with_test_pods(1, &["--drain", "60m"]);
    let mut call = up.connect();
    call.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    up.line(says("pod 1 | slow began"));
    up.signal(Signal::INT);
    up.line(says("stopping"));
    up.signal(Signal::INT);
    assert_eq!(up.ended().code(), Some(0));
}

#[test]
fn pods_share_a_key_file_of_the_owner_only_that_is_removed_at_the_end() {
    let pod = format!("{} {{key-file}}", pod_command());
    let mut up = Supervisor::start(2, &["--pod", &pod]);
    let mut http = up.connect();
    let [one, other] = [http.get("/keys").1, http.get("/keys").1];
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
