//! `anypod up` as a child process, its output as lines, and HTTP over bare sockets.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

/// How long a test waits for what must come; on a busy machine this may take a while.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The binary under test.
pub(crate) fn anypod() -> Command {
    Command::new(env!("CARGO_BIN_EXE_anypod"))
}

/// The command that runs `examples/pod.rs`, which cargo builds together with the tests.
pub(crate) fn pod_command() -> String {
    let mut path: PathBuf = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    let path = path.join("examples").join("pod");
    assert!(path.exists(), "{} is missing: cargo build --examples", path.display());
    format!("'{}' {{port}}", path.display())
}

/// A running supervisor. Dropped, it is killed, and its pods end by themselves.
pub(crate) struct Supervisor {
    child: Child,
    lines: Receiver<String>,
    pub(crate) address: SocketAddr,
    /// What was printed before the pods were listed.
    pub(crate) greeting: Vec<String>,
    /// Process id and address of each pod.
    pub(crate) pods: Vec<(i32, SocketAddr)>,
}

impl Supervisor {
    /// Runs `anypod up` with test pods on a port that the system picks.
    pub(crate) fn with_test_pods(count: usize, more: &[&str]) -> Self {
        let pod = pod_command();
        Self::start(count, &[&["--pod", &pod], more].concat())
    }

    /// Runs `anypod up` on a port that the system picks, and waits until every pod is up.
    pub(crate) fn start(count: usize, more: &[&str]) -> Self {
        let count_text = count.to_string();
        Self::run(count, &[&["--pods", &count_text], more].concat())
    }

    /// Runs `anypod up` on a port that the system picks, before pods that run already.
    pub(crate) fn before(urls: &[String]) -> Self {
        Self::run(0, &urls.iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn run(count: usize, more: &[&str]) -> Self {
        let mut child = anypod()
            .args(["up", "--port", "0"])
            .args(more)
            .env("TMPDIR", env!("CARGO_TARGET_TMPDIR"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        forward(child.stdout.take().unwrap(), sender.clone());
        forward(child.stderr.take().unwrap(), sender);
        let mut supervisor = Self {
            child,
            lines,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            greeting: Vec::new(),
            pods: Vec::new(),
        };
        let url = supervisor.line(|line| line.starts_with("http://"));
        let address = url["http://".len()..].split('/').next().unwrap();
        supervisor.address = address.parse().unwrap();
        supervisor.greeting = vec![url, supervisor.line(|line| line.starts_with("curl"))];
        for number in 1..=count {
            let line = supervisor.line(|line| line.starts_with(&format!("pod {number}: pid ")));
            let place = line.split_once("pid ").unwrap().1;
            let (pid, address) = place.split_once(", ").unwrap();
            supervisor.pods.push((pid.parse().unwrap(), address.parse().unwrap()));
        }
        supervisor
    }

    /// The next line of output that is wanted; others are passed over.
    pub(crate) fn line(&self, wanted: impl Fn(&str) -> bool) -> String {
        let end = Instant::now() + PATIENCE;
        let mut seen = Vec::new();
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) if wanted(&line) => return line,
                Ok(line) => seen.push(line),
                Err(error) => panic!("{error}; lines so far: {seen:#?}"),
            }
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().cast_signed()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Waits for the end of its output and its own.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        while self.lines.recv_timeout(PATIENCE).is_ok() {}
        self.child.wait().unwrap()
    }

    pub(crate) fn connect(&self) -> Http {
        Http::connect(self.address)
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends the lines of a stream, until it ends.
pub(crate) fn forward(source: impl Read + Send + 'static, lines: Sender<String>) {
    std::thread::spawn(move || {
        for line in BufReader::new(source).lines().map_while(Result::ok) {
            if lines.send(line).is_err() {
                return;
            }
        }
    });
}

/// One connection.
pub(crate) struct Http {
    stream: BufReader<TcpStream>,
}

/// The head of an answer.
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
}

impl Head {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

impl Http {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { stream: BufReader::new(stream) }
    }

    pub(crate) fn send(&mut self, text: &str) {
        self.stream.get_mut().write_all(text.as_bytes()).unwrap();
    }

    pub(crate) fn head(&mut self) -> Head {
        let status = self.read_line();
        let status = status.split(' ').nth(1).expect("a status").parse().unwrap();
        let mut headers = Vec::new();
        loop {
            let line = self.read_line();
            let Some((name, value)) = line.split_once(": ") else {
                return Head { status, headers };
            };
            headers.push((name.to_ascii_lowercase(), value.to_owned()));
        }
    }

    pub(crate) fn read_line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// What comes until the connection ends, however it ends.
    pub(crate) fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        let _ = self.stream.read_to_end(&mut rest);
        String::from_utf8(rest).unwrap()
    }

    /// Waits until the peer has closed the connection.
    pub(crate) fn ends(&mut self) {
        match self.stream.read(&mut [0]) {
            Ok(0) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            other => panic!("instead of the end came {other:?}"),
        }
    }

    /// Sends a request without a body and reads an answer of known length.
    pub(crate) fn get(&mut self, path: &str) -> (Head, String) {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: pods.example:1\r\n\r\n"));
        self.answer()
    }

    pub(crate) fn answer(&mut self) -> (Head, String) {
        let head = self.head();
        let length = head.header("content-length").expect("a length").parse().unwrap();
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).unwrap();
        (head, String::from_utf8(body).unwrap())
    }
}

/// Sends a modern request for a method and a name.
pub(crate) fn send(http: &mut Http, host: &str, method: &str, name: &str, mut params: Value) {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "progressToken": 1,
    });
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
    let name = if name.is_empty() { String::new() } else { format!("Mcp-Name: {name}\r\n") };
    http.send(&format!(
        "POST /mcp HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2026-07-28\r\nMcp-Method: {method}\r\n\
         {name}Content-Length: {}\r\n\r\n{body}",
        body.len()
    ));
}

/// Calls a tool of the demo.
pub(crate) fn call(http: &mut Http, name: &str, arguments: Value) {
    send(http, "localhost", "tools/call", name, json!({ "name": name, "arguments": arguments }));
}

/// The process that answers next.
pub(crate) fn whoami(http: &mut Http) -> i64 {
    call(http, "whoami", json!({}));
    let (head, body) = http.answer();
    assert_eq!(head.status, 200, "{body}");
    let answer: Value = serde_json::from_str(&body).unwrap();
    answer["result"]["structuredContent"]["pid"].as_i64().unwrap()
}
