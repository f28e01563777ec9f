//! Peers and the load as processes, each pinned to its core and ended with its owner.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde::de::DeserializeOwned;

use super::Peer;
use crate::drive::ClientReport;
use crate::{
    allocations::REPORT,
    load::{CallReport, FirstAnswerReport, ListenReport},
};

/// Where whatever is measured runs.
pub(super) const MEASURED_CORE: &str = "0";
/// Where whatever drives it runs.
pub(super) const LOAD_CORE: &str = "1";

/// How long a peer may take to listen, which is long under callgrind, or to report.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long to wait before a server that does not answer yet is asked again.
const BETWEEN_ASKING: Duration = Duration::from_millis(20);

/// Keeps glibc from returning freed memory and from mapping large blocks one by one.
///
/// Otherwise the heap's layout decides whether each large call pays several hundred page faults, which is
/// up to half its time and says nothing about the code. All peers get it while throughput is measured, and
/// none while memory is.
pub(super) const STEADY_HEAP: [(&str, &str); 2] =
    [("MALLOC_TRIM_THRESHOLD_", "1073741824"), ("MALLOC_MMAP_THRESHOLD_", "1073741824")];

/// What a peer allocated since it started.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allocations {
    pub(super) count: u64,
    pub(super) bytes: u64,
}

/// A peer that listens.
pub(super) struct Server {
    child: Running,
    url: String,
    reports: mpsc::Receiver<Allocations>,
}

/// How a server is started.
#[derive(Clone, Debug)]
pub(super) struct Launch<'a> {
    /// What its errors are headed by.
    pub(super) label: &'static str,
    /// The core it is pinned to.
    pub(super) core: &'static str,
    /// The program and its arguments.
    pub(super) command: Vec<String>,
    /// Additions to its environment.
    pub(super) environment: &'a [(&'a str, &'a str)],
    /// Where it will listen.
    pub(super) port: u16,
    /// Where it will serve, with the slash at the start.
    pub(super) path: &'static str,
}

impl Server {
    /// Starts `peer` with `tools` tools.
    pub(super) fn start(peer: Peer, tools: usize) -> Result<Self> {
        Self::start_within(peer, tools, &[], &[])
    }

    /// Starts it under `wrapper`, a program and its arguments, and with additions to the environment.
    pub(super) fn start_within(
        peer: Peer,
        tools: usize,
        wrapper: &[String],
        environment: &[(&str, &str)],
    ) -> Result<Self> {
        let (port, command) = command(peer, tools, wrapper)?;
        Self::launch(Launch { label: peer.binary(), core: MEASURED_CORE, command, environment, port, path: "/mcp" })
    }

    /// Starts a program and waits until it listens.
    pub(super) fn launch(launch: Launch<'_>) -> Result<Self> {
        let Launch { label, core, command, environment, port, path } = launch;
        let mut child = pinned(core, &command)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {}", command.join(" ")))?;
        let stderr = child.stderr.take().context("standard error was asked for")?;
        let (sender, reports) = mpsc::sync_channel(1);
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                match parse_report(&line) {
                    Some(report) => drop(sender.try_send(report)),
                    None => eprintln!("{label}: {line}"),
                }
            }
        });
        let mut server = Self { child: Running(child), url: format!("http://127.0.0.1:{port}{path}"), reports };
        server.wait_until_listening(port).with_context(|| label)?;
        Ok(server)
    }

    fn wait_until_listening(&mut self, port: u16) -> Result<()> {
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if let Some(status) = self.child.0.try_wait()? {
                bail!("the server ended before it listened: {status}");
            }
            ensure!(started.elapsed() < PATIENCE, "the server does not listen after {PATIENCE:?}");
            thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    /// Where it serves.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// The resident set in KiB.
    pub(super) fn resident_kib(&self) -> Result<f64> {
        self.status_kib("VmRSS:")
    }

    /// The largest that the resident set has been, in KiB.
    pub(super) fn peak_kib(&self) -> Result<f64> {
        self.status_kib("VmHWM:")
    }

    fn status_kib(&self, entry: &str) -> Result<f64> {
        let path = format!("/proc/{}/status", self.child.0.id());
        let status = fs::read_to_string(&path).with_context(|| path.clone())?;
        let line = status.lines().find_map(|line| line.strip_prefix(entry));
        let line = line.with_context(|| format!("{path} has no {entry}"))?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }

    /// How long its threads, those that still run, have been on their core.
    pub(super) fn core_time(&self) -> Result<Duration> {
        let path = format!("/proc/{}/task", self.child.0.id());
        let mut all = Duration::ZERO;
        for task in fs::read_dir(&path).with_context(|| path.clone())? {
            let path = task?.path().join("schedstat");
            let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            let nanos = text.split_whitespace().next().with_context(|| format!("{} is empty", path.display()))?;
            all += Duration::from_nanos(nanos.parse()?);
        }
        Ok(all)
    }

    /// What it allocated so far.
    pub(super) fn allocations(&self) -> Result<Allocations> {
        self.signal("-USR1")?;
        self.reports.recv_timeout(PATIENCE).context("no report of allocations")
    }

    /// Asks it to end, so that a wrapper can write its results, and waits until it has.
    pub(super) fn terminate(mut self) -> Result<()> {
        self.signal("-TERM")?;
        let started = Instant::now();
        while self.child.0.try_wait()?.is_none() {
            ensure!(started.elapsed() < PATIENCE, "the server does not end after {PATIENCE:?}");
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    fn signal(&self, signal: &str) -> Result<()> {
        let status = Command::new("kill").arg(signal).arg(self.child.0.id().to_string()).status()?;
        ensure!(status.success(), "kill {signal} failed");
        Ok(())
    }

    /// Calls it with the load generator's own flags.
    pub(super) fn calls<S: AsRef<str>>(&self, flags: &[S]) -> Result<CallReport> {
        run_load(&self.load(flags)?)
    }

    /// Waits until it answers one such call, which is later than it listens where others must be found first.
    pub(super) fn wait_until_it_answers<S: AsRef<str>>(&self, flags: &[S]) -> Result<()> {
        let mut load = self.load(flags)?;
        load.extend(["--connections", "1", "--requests", "1"].map(str::to_owned));
        let started = Instant::now();
        loop {
            let output = pinned(LOAD_CORE, &load).stdin(Stdio::null()).output()?;
            if output.status.success() {
                return Ok(());
            }
            if started.elapsed() > PATIENCE {
                bail!("no answer after {PATIENCE:?}: {}", String::from_utf8_lossy(&output.stderr));
            }
            thread::sleep(BETWEEN_ASKING);
        }
    }

    fn load<S: AsRef<str>>(&self, flags: &[S]) -> Result<Vec<String>> {
        let mut load = vec![beside("load")?.display().to_string(), "--url".to_owned(), self.url.clone()];
        load.extend(flags.iter().map(|flag| flag.as_ref().to_owned()));
        Ok(load)
    }

    /// Lets a client call it, on a core of its own.
    pub(super) fn called_by(&self, binary: &str, flags: &[String]) -> Result<ClientReport> {
        let mut client = vec![beside(binary)?.display().to_string(), "--url".to_owned(), self.url.clone()];
        client.extend_from_slice(flags);
        run_load(&client)
    }

    /// Opens listen streams and holds them while `held` runs.
    pub(super) fn listen<T>(&self, streams: usize, held: impl FnOnce() -> T) -> Result<(ListenReport, T)> {
        let load = [
            beside("load")?.display().to_string(),
            "--url".to_owned(),
            self.url.clone(),
            "--listen-streams".to_owned(),
            streams.to_string(),
        ];
        let mut child = Running(pinned(LOAD_CORE, &load).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?);
        let stdout: ChildStdout = child.0.stdout.take().context("standard output was asked for")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let report = serde_json::from_str(&line).context("the load failed, see above")?;
        Ok((report, held()))
    }
}

/// The time from starting `peer` to its first answer.
pub(super) fn first_answer(peer: Peer) -> Result<FirstAnswerReport> {
    let (port, command) = command(peer, 1, &[])?;
    let mut load = vec![
        beside("load")?.display().to_string(),
        format!("--url=http://127.0.0.1:{port}/mcp"),
        "--first-answer".to_owned(),
    ];
    load.extend(["taskset", "-c", MEASURED_CORE].map(str::to_owned));
    load.extend(command);
    run_load(&load)
}

fn run_load<T: DeserializeOwned>(load: &[String]) -> Result<T> {
    let output = pinned(LOAD_CORE, load).stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "the load failed, see above");
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn command(peer: Peer, tools: usize, wrapper: &[String]) -> Result<(u16, Vec<String>)> {
    let port = free_port()?;
    let mut command = wrapper.to_vec();
    command.push(beside(peer.binary())?.display().to_string());
    command.extend(["--port".to_owned(), port.to_string()]);
    if tools > 1 {
        command.extend(["--tools".to_owned(), tools.to_string()]);
    }
    Ok((port, command))
}

pub(super) fn pinned(core: &str, command: &[String]) -> Command {
    let mut pinned = Command::new("taskset");
    pinned.args(["-c", core]).args(command);
    pinned
}

/// A binary of the same build.
pub(super) fn beside(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let path = own.parent().unwrap_or(Path::new(".")).join(name);
    ensure!(path.exists(), "{} was not built", path.display());
    Ok(path)
}

/// A port that nobody listens on now.
pub(super) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn parse_report(line: &str) -> Option<Allocations> {
    let (count, bytes) = line.strip_prefix(REPORT)?.trim().split_once(' ')?;
    Some(Allocations { count: count.parse().ok()?, bytes: bytes.parse().ok()? })
}

/// Keeps the cores awake while it is there, by work that gives way to all other: see sched(7), `SCHED_IDLE`.
pub(super) struct Awake(#[expect(dead_code, reason = "held until its end")] Vec<Running>);

impl Awake {
    /// Without what it needs, cores sleep as ever, which is said.
    pub(super) fn keep() -> Self {
        let busy =
            |core| pinned(core, &["chrt", "--idle", "0", "sh", "-c", "while :; do :; done"].map(str::to_owned)).spawn();
        let running = [MEASURED_CORE, LOAD_CORE].map(busy).into_iter().filter_map(|started| {
            started.inspect_err(|error| eprintln!("cores go to sleep: {error}")).ok().map(Running)
        });
        Self(running.collect())
    }
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only when the process has already ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
