//! `anypod gateway`: what it says about configurations, and how it begins, changes and ends.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::Value;

use crate::supervisor::{Http, PATIENCE, Supervisor, anypod, forward, whoami};

const SOUND: &str =
    "[[listener]]\naddress = \"127.0.0.1:0\"\n[[upstream]]\nname = \"a\"\npods = [\"http://127.0.0.1:1/mcp\"]\n";

/// A file that is removed at the end of a test.
struct File(PathBuf);

impl File {
    fn new(name: &str, text: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}.toml", std::process::id()));
        fs::write(&path, text).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }

    /// Puts another text in its place, whole.
    fn replace(&self, text: &str) {
        let draft = self.0.with_extension("draft");
        fs::write(&draft, text).unwrap();
        fs::rename(draft, &self.0).unwrap();
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn check(file: &File) -> Output {
    anypod().args(["gateway", "check", file.path()]).output().unwrap()
}

#[test]
fn a_sound_file_is_shown_as_it_is_in_effect() {
    let file = File::new("sound", &format!("{SOUND}headers = {{ authorization = \"Bearer sesame\" }}\n"));
    let output = check(&file);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let shown = String::from_utf8(output.stdout).unwrap();
    for line in ["path = \"/mcp\"", "balance = \"round-robin\"", "drain = \"30s\"", "authorization = \"***\""] {
        assert!(shown.contains(line), "{line} is not in\n{shown}");
    }
    assert!(!shown.contains("sesame"), "{shown}");
}

#[test]
fn a_file_is_refused_with_every_problem_on_its_line() {
    let text = format!("{SOUND}pod = []\n[fleet]\nreplicas = 2\nkey-file = \"no-such-ring\"\n[limits]\nrequests = 0\n");
    let file = File::new("unsound", &text);
    let output = check(&file);
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(2), &b""[..]));
    let stderr = String::from_utf8(output.stderr).unwrap();
    let problems: Vec<_> = stderr.lines().collect();
    let at = |line: usize| format!("error: {}:{line}:", file.path());
    let [pod, key_file, requests] = problems.as_slice() else { panic!("{stderr}") };
    assert!(pod.starts_with(&at(6)) && pod.contains("did you mean \"pods\"?"), "{pod}");
    assert!(key_file.starts_with(&at(9)) && key_file.contains("`anypod keys new --out"), "{key_file}");
    assert!(requests.starts_with(&at(11)) && requests.contains("`requests` is 0"), "{requests}");
}

#[test]
fn what_others_wrote_into_a_file_does_not_command_the_terminal() {
    let file = File::new("escape", "[[upstream]]\nname = \"\\u001b[31mred\"\n\"\\u001b[2J\" = 1\n");
    let output = check(&file);
    assert_eq!(output.status.code(), Some(2));
    assert!(!output.stderr.contains(&0x1b), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_schema_for_editors_is_the_one_among_the_pages() {
    let output = anypod().args(["gateway", "schema"]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let page = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/anypod.schema.json");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), fs::read_to_string(page).unwrap());
}

/// A running replica. Dropped, it is killed.
struct Replica {
    child: Child,
    lines: Receiver<String>,
}

impl Replica {
    fn start(args: &[&str]) -> Self {
        let mut child = anypod()
            .arg("gateway")
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        forward(child.stdout.take().unwrap(), sender.clone());
        forward(child.stderr.take().unwrap(), sender);
        Self { child, lines }
    }

    /// The next line that has this in it; others are passed over.
    fn line(&self, wanted: &str) -> String {
        let mut seen = Vec::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) if line.contains(wanted) => return line,
                Ok(line) => seen.push(line),
                Err(error) => panic!("{error}; no line has {wanted} in it: {seen:#?}"),
            }
        }
    }

    /// Where it listens, as it says once, at the beginning.
    fn address(&self) -> SocketAddr {
        let line = self.line("listening on");
        let address = line.strip_prefix("listening on http://").and_then(|rest| rest.split('/').next());
        address.unwrap().parse().unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.child.id().cast_signed()).unwrap(), signal).unwrap();
    }

    fn ended(&mut self) -> ExitStatus {
        while self.lines.recv_timeout(PATIENCE).is_ok() {}
        self.child.wait().unwrap()
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_replica_without_a_file_says_where_it_listens_and_ends_when_told() {
    let mut replica = Replica::start(&["--port", "0", "--upstream", "http://127.0.0.1:1/mcp"]);
    Http::connect(replica.address());
    replica.signal(Signal::TERM);
    assert!(replica.ended().success());
}

#[test]
fn a_changed_file_is_taken_and_a_bad_one_refused() {
    let file = File::new("changed", SOUND);
    let mut replica = Replica::start(&["--config", file.path()]);
    replica.line("listening on http://127.0.0.1:");
    file.replace(&format!("{SOUND}balance = \"fair\"\nera = 5\n"));
    let refused = replica.line("refused");
    assert!(refused.contains(&format!("{}:6:", file.path())) && refused.contains("and 1 more"), "{refused}");
    file.replace(&format!("{SOUND}balance = \"least-of-two\"\n"));
    replica.line("read the configuration again");
    replica.signal(Signal::INT);
    assert!(replica.ended().success());
}

#[test]
fn sighup_reads_the_file_again() {
    let file = File::new("hangup", SOUND);
    let replica = Replica::start(&["--config", file.path()]);
    replica.line("listening on");
    replica.signal(Signal::HUP);
    replica.line("read the configuration again");
}

/// A configuration with the demo as a child process, with this before it.
fn before_the_demo(top: &str) -> String {
    let demo = [env!("CARGO_BIN_EXE_anypod"), "demo", "--stdio"];
    format!("{top}\n[[listener]]\naddress = \"127.0.0.1:0\"\n[[upstream]]\nname = \"demo\"\ncommand = {demo:?}\n")
}

/// Waits until a process is gone.
fn gone(pid: i64) {
    let pid = Pid::from_raw(pid.try_into().unwrap()).unwrap();
    let end = Instant::now() + PATIENCE;
    while test_kill_process(pid).is_ok() {
        assert!(Instant::now() < end, "{pid:?} is still there");
        std::thread::yield_now();
    }
}

#[test]
fn a_program_that_serves_stdio_is_started_when_needed_and_again_when_it_has_ended() {
    for era in ["auto", "modern", "legacy"] {
        let text = format!("{}era = \"{era}\"\n", before_the_demo(""));
        let file = File::new(&format!("stdio-{era}"), &text);
        let mut replica = Replica::start(&["--config", file.path()]);
        let mut http = Http::connect(replica.address());
        let first = whoami(&mut http);
        assert_eq!(whoami(&mut http), first, "{era}");
        kill_process(Pid::from_raw(first.try_into().unwrap()).unwrap(), Signal::KILL).unwrap();
        gone(first);
        let second = whoami(&mut http);
        assert_ne!(second, first, "{era}");
        // It ends with the gateway.
        replica.signal(Signal::TERM);
        assert!(replica.ended().success(), "{era}");
        gone(second);
    }
}

/// Opens a legacy session.
fn initialize(http: &mut Http) {
    let body = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"claude-desktop","version":"1.2"}}}"#;
    http.send(&format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    let (head, body) = http.answer();
    assert_eq!(head.status, 200, "{body}");
}

fn report(more: &[&str]) -> String {
    let output = anypod().args(["gateway", "report"]).args(more).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_report_says_who_still_speaks_legacy_as_a_table_and_as_json() {
    let file = File::new("report", &before_the_demo("admin = \"127.0.0.1:0\""));
    let replica = Replica::start(&["--config", file.path()]);
    let mut http = Http::connect(replica.address());
    let line = replica.line("metrics and the report are at ");
    let admin = line.rsplit(' ').next().unwrap();
    whoami(&mut http);
    initialize(&mut http);
    // On the same connection, so both requests before are counted by then.
    whoami(&mut http);
    let table = report(&[admin]);
    let row = |begins: &str| table.lines().any(|line| line.split_whitespace().take(4).eq(begins.split(' ')));
    assert!(row("CLIENT VERSION ERA REQUESTS") && row("claude-desktop 1.2 legacy 1"), "{table}");
    assert!(row("UPSTREAM ERA FROM MODERN") && table.contains("\ndemo "), "{table}");
    assert!(table.contains("1 legacy sessions opened"), "{table}");
    assert!(table.contains("May legacy be switched off? Not yet."), "{table}");
    let document: Value = serde_json::from_str(&report(&[admin, "--output", "json"])).unwrap();
    assert_eq!(document["verdict"]["maySwitchLegacyOff"], "notYet");
    assert_eq!(document["clients"].as_array().unwrap().len(), 2, "{document}");
    let twice = anypod().args(["gateway", "report", admin, admin]).output().unwrap();
    assert!(String::from_utf8_lossy(&twice.stderr).contains("has been asked already"), "{twice:?}");
}

/// The lines of an access log, once there are so many.
fn logged(path: &Path, count: usize) -> Vec<Value> {
    let end = Instant::now() + PATIENCE;
    loop {
        let text = fs::read_to_string(path).unwrap_or_default();
        if text.ends_with('\n') && text.lines().count() >= count {
            return text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        }
        assert!(Instant::now() < end, "{text}");
        std::thread::yield_now();
    }
}

#[test]
fn sighup_begins_the_access_log_anew() {
    let log = File::new("access", "");
    let file = File::new("rotated", &before_the_demo(&format!("[observe]\naccess-log = \"{}\"", log.path())));
    let replica = Replica::start(&["--config", file.path()]);
    let mut http = Http::connect(replica.address());
    whoami(&mut http);
    logged(&log.0, 1);
    let moved = File(log.0.with_extension("1"));
    fs::rename(&log.0, &moved.0).unwrap();
    replica.signal(Signal::HUP);
    replica.line("read the configuration again");
    whoami(&mut http);
    whoami(&mut http);
    let (old, new) = (logged(&moved.0, 1), logged(&log.0, 2));
    assert_eq!((old.len(), new.len()), (1, 2));
    assert!(old.iter().chain(&new).all(|line| line["name"] == "whoami" && line["outcome"] == "ok"), "{old:?} {new:?}");
}

#[test]
fn a_change_that_needs_a_restart_is_named_and_the_rest_is_taken() {
    let file = File::new("restart", SOUND);
    let mut replica = Replica::start(&["--config", file.path()]);
    replica.line("listening on");
    file.replace(&format!(
        "admin = \"127.0.0.1:0\"\n{SOUND}balance = \"least-of-two\"\n[fleet]\nreplicas = 1\npeers = []\n"
    ));
    let line = replica.line("needs a restart");
    assert!(line.contains("admin"), "{line}");
    replica.line("read the configuration again");
    replica.signal(Signal::TERM);
    assert!(replica.ended().success());
}

#[test]
fn no_request_is_lost_while_the_file_changes_and_sighup_comes() {
    let up = Supervisor::start(3, &[]);
    let urls: Vec<_> = up.pods.iter().map(|(_, address)| format!("http://{address}/mcp")).collect();
    let text = |round: usize| {
        let pods = [&urls[round % 3], &urls[(round + 1) % 3]];
        let silence = 200 + round / 4;
        format!(
            "[[listener]]\naddress = \"127.0.0.1:0\"\n[[upstream]]\nname = \"demo\"\npods = {pods:?}\n\
             [upstream.timeouts]\nsilence = \"{silence}s\"\n[limits]\nresult-bytes = {}\n",
            (1 << 20) + round / 3
        )
    };
    let file = File::new("load", &text(0));
    let mut replica = Replica::start(&["--config", file.path()]);
    let address = replica.address();
    let over = AtomicBool::new(false);
    let answered = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for number in 0..4 {
            let (over, answered) = (&over, &answered);
            scope.spawn(move || {
                let mut http = Http::connect(address);
                while !over.load(Ordering::Relaxed) {
                    // `whoami` asserts that there is a result.
                    whoami(&mut http);
                    answered.fetch_add(1, Ordering::Relaxed);
                    if number % 2 == 0 {
                        http = Http::connect(address);
                    }
                }
            });
        }
        for round in 1..=12 {
            let before = answered.load(Ordering::Relaxed);
            file.replace(&text(round));
            replica.signal(Signal::HUP);
            replica.line("read the configuration again");
            let end = Instant::now() + PATIENCE;
            while answered.load(Ordering::Relaxed) < before + 8 && Instant::now() < end {
                std::thread::yield_now();
            }
        }
        over.store(true, Ordering::Relaxed);
    });
    assert!(answered.load(Ordering::Relaxed) > 100);
    replica.signal(Signal::TERM);
    assert!(replica.ended().success());
}
