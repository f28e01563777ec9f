//! `anypod demo`: what its pods answer, alone and under `anypod up`.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::supervisor::{Http, Supervisor, anypod};

/// One pod of the demo. Dropped, it is killed.
struct Demo {
    child: Child,
    stderr: BufReader<ChildStderr>,
    address: SocketAddr,
}

impl Demo {
    fn start(more: &[&str]) -> Self {
        let mut child = anypod()
            .arg("demo")
            .args(more)
            .env("RUST_LOG", "anypod=info")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line["listening on http://".len()..].split('/').next().unwrap().parse().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        Self { child, stderr, address }
    }

    fn call(&self, name: &str, arguments: &Value, more: &Value) -> Value {
        call(self.address, name, arguments, more)
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.child.id().cast_signed()).unwrap(), signal).unwrap();
    }

    /// Reads on standard error up to a line with this text.
    fn says(&mut self, text: &str) {
        let mut line = String::new();
        while !line.contains(text) {
            line.clear();
            assert_ne!(self.stderr.read_line(&mut line).unwrap(), 0, "it ended without `{text}`");
        }
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Calls a tool; `more` are further members of the parameters.
fn call(address: SocketAddr, name: &str, arguments: &Value, more: &Value) -> Value {
    let mut http = send(address, name, arguments, more);
    serde_json::from_str(&http.answer().1).unwrap()
}

/// Sends a call that asks for progress.
fn send(address: SocketAddr, name: &str, arguments: &Value, more: &Value) -> Http {
    let mut params = json!({
        "name": name,
        "arguments": arguments,
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": { "elicitation": {} },
            "progressToken": 1,
        },
    });
    params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params }).to_string();
    let mut http = Http::connect(address);
    http.send(&format!(
        "POST /mcp HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2026-07-28\r\n\
         Mcp-Method: tools/call\r\nMcp-Name: {name}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    http
}

/// What the person fills in.
fn stay() -> Value {
    let content = json!({ "name": "Ada", "nights": 2, "room": "double", "breakfast": true });
    json!({ "stay": { "action": "accept", "content": content } })
}

/// A key file of its own for each test.
fn key_file(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}.keys", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let made = anypod().args(["keys", "new", "--out"]).arg(&path).output().unwrap();
    assert!(made.status.success());
    path
}

/// Runs the line as a person would.
fn shell(line: &str) -> Value {
    let output = Command::new("sh").args(["-c", line]).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {stderr}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn the_curl_line_works_in_a_shell_and_reaches_one_pod_after_the_other() {
    if Command::new("curl").arg("--version").output().is_err() {
        println!("skipped: there is no curl");
        return;
    }
    let up = Supervisor::start(3, &[]);
    let line = &up.greeting[1];
    assert_eq!(shell(line)["result"]["structuredContent"], json!({ "sum": 3 }));
    let who = line.replace("add", "whoami");
    let pids: Vec<i64> = (0..6).map(|_| shell(&who)["result"]["structuredContent"]["pid"].as_i64().unwrap()).collect();
    let expected: BTreeSet<i64> = up.pods.iter().map(|(pid, _)| i64::from(*pid)).collect();
    assert_eq!(pids[..3].iter().copied().collect::<BTreeSet<_>>(), expected);
    assert_eq!(pids[..3], pids[3..]);
}

#[test]
fn a_booking_that_one_pod_began_is_finished_by_another() {
    let up = Supervisor::start(2, &[]);
    let ports: BTreeSet<u64> = up.pods.iter().map(|(_, address)| u64::from(address.port())).collect();
    let arguments = json!({ "city": "oslo" });
    let book = || {
        let asked = call(up.address, "book", &arguments, &json!({}));
        assert_eq!(asked["result"]["resultType"], "input_required", "{asked}");
        let more = json!({ "requestState": asked["result"]["requestState"], "inputResponses": stay() });
        let booked = call(up.address, "book", &arguments, &more)["result"]["structuredContent"].take();
        assert_eq!(booked["price"], json!(2 * (170 * 3 / 2 + 12)), "{booked}");
        assert_eq!(booked["guest"], "Ada");
        BTreeSet::from([booked["quoted_by"].as_u64().unwrap(), booked["finished_by"].as_u64().unwrap()])
    };
    // The gateway looks at the list of tools at first, for which a pod gives its turn.
    assert!((0..3).any(|_| book() == ports));
}

#[test]
fn sighup_takes_the_key_file_anew_and_a_bad_one_changes_nothing() {
    let path = key_file("sighup");
    let mut demo = Demo::start(&["--key-file", path.to_str().unwrap()]);
    let arguments = json!({ "city": "Kyoto" });
    let round = |demo: &Demo| demo.call("book", &arguments, &json!({}))["result"]["requestState"].take();
    let go_on = |demo: &Demo, state: &Value| {
        demo.call("book", &arguments, &json!({ "requestState": state, "inputResponses": stay() }))
    };
    let before = round(&demo);
    std::fs::write(&path, "no ring").unwrap();
    demo.signal(Signal::HUP);
    demo.says("still using the keys from before");
    assert!(go_on(&demo, &before)["result"]["structuredContent"]["number"].is_string());
    std::fs::remove_file(&path).unwrap();
    let path = key_file("sighup");
    demo.signal(Signal::HUP);
    demo.says("read the key file again");
    assert_eq!(go_on(&demo, &before)["error"]["code"], json!(-32602));
    let after = round(&demo);
    assert!(go_on(&demo, &after)["result"]["structuredContent"]["number"].is_string());
    std::fs::remove_file(path).unwrap();
}

#[test]
fn sigterm_lets_a_call_finish() {
    let mut demo = Demo::start(&[]);
    let mut http = send(demo.address, "countdown", &json!({ "from": 1 }), &json!({}));
    // The head comes with the first progress, so the call is under way.
    assert_eq!(http.head().header("content-type"), Some("text/event-stream"));
    demo.signal(Signal::TERM);
    assert!(http.rest().contains("Lift-off!"));
    assert_eq!(demo.child.wait().unwrap().code(), Some(0));
}

#[test]
fn bad_keys_in_the_environment_are_named_and_not_repeated() {
    let ended = anypod().arg("demo").env("ANYPOD_KEYS", "sesame").stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(2), "{said}");
    assert!(said.lines().count() == 1 && said.contains("ANYPOD_KEYS") && !said.contains("sesame"), "{said}");
}
