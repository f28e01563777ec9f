//! A server's process: what it says on stderr, and its end.

use std::io;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStderr};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::LAST_WORDS;

/// The longest line of stderr that is handed over in one piece, in bytes.
const LINE: u64 = 16 << 10;
/// How much of stderr is kept, in bytes.
const TAIL: usize = 4 << 10;

/// Who is told each line of stderr.
pub(super) type OnLine = Arc<dyn Fn(&str) + Send + Sync>;

/// A running server. Dropped, it is killed, with all that it has started.
pub(super) struct Process {
    child: Child,
    group: Pid,
    tail: Arc<Mutex<Vec<u8>>>,
    stderr: JoinSet<()>,
}

impl Process {
    /// Takes over a child that leads a process group.
    ///
    /// # Errors
    /// If it has ended and been waited for already.
    pub(super) fn new(mut child: Child, lines: Option<OnLine>) -> io::Result<Self> {
        let group = child.id().and_then(|pid| Pid::from_raw(pid.cast_signed()));
        let group = group.ok_or_else(|| io::Error::other("the process has no id"))?;
        let tail = Arc::default();
        let mut stderr = JoinSet::new();
        if let Some(source) = child.stderr.take() {
            stderr.spawn(listen(source, Arc::clone(&tail), lines));
        }
        Ok(Self { child, group, tail, stderr })
    }

    /// Waits for its end, and ends what it leaves behind. May be given up and called again.
    ///
    /// # Errors
    /// If the system does not know the process.
    pub(super) async fn ended(&mut self) -> io::Result<ExitStatus> {
        let running = self.child.id().is_some();
        let status = self.child.wait().await?;
        if running {
            self.signal(Signal::KILL);
        }
        Ok(status)
    }

    /// The end of what it said on stderr, fit to be shown; empty if nothing was captured. Waits a little for what is
    /// still on its way.
    pub(super) async fn last_words(&mut self) -> String {
        let all = async { while self.stderr.join_next().await.is_some() {} };
        // Whoever inherited the pipe can keep it open for ever.
        let _ = timeout(LAST_WORDS, all).await;
        let tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&tail);
        let shown = |c: char| if c.is_control() && c != '\n' { ' ' } else { c };
        text.chars().map(shown).collect::<String>().trim().to_owned()
    }

    /// Waits for the end of a server whose stdin is closed, and hurries it on after `patience`, and again.
    ///
    /// Spec: basic/transports/stdio, "Shutdown".
    pub(super) async fn finish(&mut self, patience: Duration) {
        for signal in [Signal::TERM, Signal::KILL] {
            if timeout(patience, self.ended()).await.is_ok() {
                return;
            }
            tracing::debug!(?signal, "the server did not end by itself");
            self.signal(signal);
        }
        // A process that sits in the kernel does not even end by SIGKILL: the system will collect it.
        let _ = timeout(patience.max(LAST_WORDS), self.ended()).await;
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

async fn listen(source: ChildStderr, tail: Arc<Mutex<Vec<u8>>>, lines: Option<OnLine>) {
    let mut source = BufReader::new(source);
    let mut line = Vec::new();
    while let Ok(1..) = (&mut source).take(LINE).read_until(b'\n', &mut line).await {
        keep(&mut tail.lock().unwrap_or_else(PoisonError::into_inner), &line);
        if let Some(lines) = &lines {
            lines(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']));
        }
        line.clear();
    }
}

/// Adds to a text of which only the end is kept.
fn keep(tail: &mut Vec<u8>, line: &[u8]) {
    tail.extend_from_slice(line);
    tail.drain(..tail.len().saturating_sub(TAIL));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_end_of_what_was_said() {
        let mut tail = Vec::new();
        for number in 0..10_000 {
            keep(&mut tail, format!("{number}\n").as_bytes());
        }
        assert_eq!(tail.len(), TAIL);
        assert!(tail.ends_with(b"9998\n9999\n"));
    }
}
