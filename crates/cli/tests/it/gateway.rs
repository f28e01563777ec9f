//! `anypod gateway`: what it says about configurations, and how it begins, changes and ends.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::supervisor::{Http, PATIENCE, anypod, forward, whoami};

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
    let demo = [env!("CARGO_BIN_EXE_anypod"), "demo", "--stdio"];
    for era in ["auto", "modern", "legacy"] {
        let text = format!(
            "[[listener]]\naddress = \"127.0.0.1:0\"\n\
             [[upstream]]\nname = \"child\"\nera = \"{era}\"\ncommand = {demo:?}\n"
        );
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
