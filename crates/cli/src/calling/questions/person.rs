//! The person at the terminal: one question at a time, a line for each answer.

use std::io::{self, BufRead};

use tokio::sync::{Mutex, MutexGuard, oneshot};

use crate::output;

/// The longest line that is read, in bytes.
const LINE_LIMIT: u64 = 64 * 1024;

/// The person at the terminal, if there is one.
pub(super) struct Person {
    turn: Mutex<()>,
}

impl Person {
    pub(super) fn new() -> Self {
        Self { turn: Mutex::new(()) }
    }

    /// The person, for as long as one question takes; others wait. None without a terminal.
    pub(super) async fn at_terminal(&self) -> Option<Turn<'_>> {
        match output::has_terminal() {
            true => Some(Turn { _turn: self.turn.lock().await }),
            false => None,
        }
    }
}

/// The time in which a person answers one question.
pub(super) struct Turn<'a> {
    _turn: MutexGuard<'a, ()>,
}

impl Turn<'_> {
    /// The next line without its end; `None` at Ctrl-D.
    pub(super) async fn line(&mut self) -> Option<String> {
        let (read, line) = oneshot::channel();
        // Not on the runtime's pool: a thread that waits for a person would hold up the end of the process.
        std::thread::spawn(move || {
            let _ = read.send(read_line(io::stdin().lock()));
        });
        line.await.ok().flatten()
    }
}

fn read_line(source: impl BufRead) -> Option<String> {
    let mut line = Vec::new();
    let read = source.take(LINE_LIMIT).read_until(b'\n', &mut line);
    match read {
        Ok(0) | Err(_) => None,
        Ok(_) => Some(String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']).to_owned()),
    }
}
