//! The load: closed loops over raw sockets on one thread, lean enough that the server is what is measured.
//!
//! Every answer is checked for its status, its length and its id, and the first on each connection in
//! full. Any difference ends the run with an error: a wrong answer is not a fast one.

mod calls;
mod check;
mod events;
mod first;
mod histogram;
mod listen;
mod pool;
mod request;
mod session;
mod tasks;

use std::{io, time::Duration};

use mio::net::TcpStream;
use serde::{Deserialize, Serialize};

pub use self::{
    calls::{Amount, Calls, Era, Work},
    events::{EventReport, Events},
    first::first_answer,
    histogram::Histogram,
    listen::listen,
    request::{Dialect, Target},
    tasks::{Enough, Kind, Looks, TaskReport, Tasks},
};

/// How long nothing may arrive before a run is given up.
const SILENCE: Duration = Duration::from_secs(30);

/// What a run of calls saw.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct CallReport {
    /// Answers per second after the warm-up.
    pub requests_per_second: f64,
    /// Median time from the first byte written to the last byte read, in microseconds.
    pub p50_us: f64,
    /// The same for the slowest hundredth.
    pub p99_us: f64,
    /// Answers that were counted.
    pub answers: u64,
    /// All answers, those of the warm-up included.
    pub all_answers: u64,
    /// Answers that were wrong. Always zero: the first one fails the run.
    pub errors: u64,
}

/// What opening listen streams saw.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct ListenReport {
    /// Streams that are open and acknowledged.
    pub streams: usize,
    /// Milliseconds from the first connect to the last acknowledgement.
    pub opened_ms: f64,
}

/// What a start saw.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct FirstAnswerReport {
    /// Milliseconds from spawning the process to the last byte of its first answer.
    pub first_answer_ms: f64,
}

/// Writes as much as the socket takes and says how much that was.
fn write_some(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<usize> {
    let mut written = 0;
    while written < bytes.len() {
        match io::Write::write(stream, &bytes[written..]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => written += count,
            Err(error) if is_later(&error) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(written)
}

/// Reads once into `buffer`, which must not be empty; `None` when there is nothing to read now.
fn read_some(stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<Option<usize>> {
    match io::Read::read(stream, buffer) {
        Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(count) => Ok(Some(count)),
        Err(error) if is_later(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether the socket is only not ready: an event will say when to come back.
fn is_later(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::NotConnected)
}
