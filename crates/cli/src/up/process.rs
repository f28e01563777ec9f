//! A pod as a process: its start, its output line by line, its end.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::output::{self, Stream};

/// The longest line of output that is passed on in one piece, in bytes.
const LINE: u64 = 16 * 1024;
/// How long the last lines of a pod that has ended may take.
const LAST_LINES: Duration = Duration::from_secs(1);

/// What the pods are to do. It only ever goes forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Order {
    /// Serve, and be started again after an end.
    Serve,
    /// Finish and end: SIGTERM.
    Finish,
    /// End at once: SIGKILL.
    Kill,
}

/// A running pod. Dropped, it is killed.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    group: Pid,
    /// Closes when we end, however we end: how a pod can know.
    _stdin: Option<ChildStdin>,
    output: JoinSet<()>,
}

impl Process {
    /// Starts the pod of that number.
    ///
    /// # Errors
    ///
    /// When the program is not there, must not be run, or the system has no room for it.
    pub(super) fn start(number: u16, mut command: Command) -> io::Result<Self> {
        let mut child = command.spawn()?;
        let mut output = JoinSet::new();
        if let Some(out) = child.stdout.take() {
            output.spawn(pass_on(number, Stream::Out, out));
        }
        if let Some(err) = child.stderr.take() {
            output.spawn(pass_on(number, Stream::Err, err));
        }
        let group = child
            .id()
            .and_then(|pid| Pid::from_raw(pid.cast_signed()))
            .ok_or_else(|| io::Error::other("the process has no id"))?;
        Ok(Self {
            // Taken out because waiting for the child would close it.
            _stdin: child.stdin.take(),
            child,
            group,
            output,
        })
    }

    /// The process id.
    pub(super) fn pid(&self) -> i32 {
        self.group.as_raw_nonzero().get()
    }

    /// Waits for the end and for the last lines. May be given up and called again.
    ///
    /// # Errors
    ///
    /// When the system does not know the process.
    pub(super) async fn ended(&mut self) -> io::Result<ExitStatus> {
        let status = self.child.wait().await?;
        // What the pod itself has started must not keep the port, nor outlive it.
        self.signal(Signal::KILL);
        let all = async { while self.output.join_next().await.is_some() {} };
        if timeout(LAST_LINES, all).await.is_err() {
            self.output.abort_all();
        }
        Ok(status)
    }

    /// Asks the pod to end and waits; kills it when the order says so.
    pub(super) async fn finish(&mut self, orders: &mut watch::Receiver<Order>) {
        self.signal(Signal::TERM);
        tokio::select! {
            _ = self.ended() => return,
            // No more orders means that nobody is left to wait for us.
            _ = orders.wait_for(|order| *order == Order::Kill) => {}
        }
        self.kill().await;
    }

    /// Ends the pod at once.
    pub(super) async fn kill(&mut self) {
        self.signal(Signal::KILL);
        // Nothing is left to be done for a process that the system does not know.
        let _ = self.ended().await;
    }

    /// A group that has ended is what was wanted.
    fn signal(&self, signal: Signal) {
        let _ = kill_process_group(self.group, signal);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The id is gone once the process has been waited for; it may be someone else's by now.
        if self.child.id().is_some() {
            self.signal(Signal::KILL);
        }
    }
}

async fn pass_on(number: u16, stream: Stream, source: impl AsyncRead + Unpin) {
    let mut source = BufReader::new(source);
    let mut line = Vec::new();
    while let Ok(1..) = (&mut source).take(LINE).read_until(b'\n', &mut line).await {
        let text = String::from_utf8_lossy(&line);
        output::pod_line(number, stream, text.trim_end_matches(['\r', '\n'])).await;
        line.clear();
    }
}
