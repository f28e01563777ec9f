//! A server as a child process, or at the other end of any pair of byte streams: one message per line, both ways.
//!
//! Spec: basic/transports/stdio of 2026-07-28 and of 2025-11-25.

mod batch;
mod command;
mod connection;
mod desk;
mod end;
mod lines;
mod link;
mod owner;
mod pending;
mod process;
mod read;
mod slot;
mod unasked;
mod wire;
mod write;

use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};

pub use command::{Command, Stderr};
pub use wire::{Probe, Wire};

/// How long what a server said last may take to arrive, once the process or a pipe has ended.
const LAST_WORDS: Duration = Duration::from_secs(1);

type Reader = Box<dyn AsyncRead + Send + Unpin>;
type Writer = Box<dyn AsyncWrite + Send + Unpin>;

/// A server at the other end of two byte streams, such as the halves of a socket. When they end, so does it: only a
/// [`Command`] can be started again.
pub struct Pipes(Mutex<Option<(Reader, Writer)>>);

impl Pipes {
    /// A server whose messages are read from `reader`, and that reads what is written to `writer`.
    pub fn new<R, W>(reader: R, writer: W) -> Self
    where
        R: AsyncRead + Send + Unpin + 'static,
        W: AsyncWrite + Send + Unpin + 'static,
    {
        Self(Mutex::new(Some((Box::new(reader), Box::new(writer)))))
    }

    fn take(&self) -> Option<(Reader, Writer)> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take()
    }
}

impl fmt::Debug for Pipes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pipes")
    }
}

/// Where a server is.
#[derive(Debug)]
#[non_exhaustive]
pub enum Peer {
    /// In a child process, which is started when it is first needed, and again when it has ended.
    Command(Command),
    /// Somewhere that can be read from and written to.
    Pipes(Pipes),
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command(command) => command.fmt(f),
            Self::Pipes(_) => f.write_str("the server"),
        }
    }
}

impl From<Command> for Peer {
    fn from(command: Command) -> Self {
        Self::Command(command)
    }
}

impl From<Pipes> for Peer {
    fn from(pipes: Pipes) -> Self {
        Self::Pipes(pipes)
    }
}
