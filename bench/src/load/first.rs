//! How long it takes from starting a server to its first answer.

use std::{
    io::{Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use super::{Dialect, Era, FirstAnswerReport, SILENCE, Target, check};

/// How long to wait between two tries to connect; what the figure may be wrong by.
const BETWEEN_TRIES: Duration = Duration::from_micros(100);

/// Starts `command`, which must serve `target`, and ends it after its first answer.
///
/// # Errors
/// When it does not start, does not answer in time or answers wrongly.
pub fn first_answer(target: &Target, command: &[String]) -> Result<FirstAnswerReport> {
    let (program, arguments) = command.split_first().context("there is no command to start")?;
    let request = target.call(&Dialect::Modern, "echo", "hello");
    let started = Instant::now();
    let child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .spawn()
        .with_context(|| format!("starting {program}"))?;
    let _ended_on_return = EndOnDrop(child);
    let mut stream = connect(target, started)?;
    stream.set_read_timeout(Some(SILENCE))?;
    stream.write_all(request.bytes())?;
    let mut input = Vec::new();
    loop {
        let mut buffer = [0; 4_096];
        let count = stream.read(&mut buffer)?;
        ensure!(count > 0, "the server closed the connection without an answer");
        input.extend_from_slice(&buffer[..count]);
        if let Some(answer) = check::response(&input, "200")? {
            let first_answer_ms = started.elapsed().as_secs_f64() * 1_000.0;
            check::echo(&answer.body, request.id(), "hello", Era::Modern)?;
            return Ok(FirstAnswerReport { first_answer_ms });
        }
    }
}

fn connect(target: &Target, started: Instant) -> Result<TcpStream> {
    loop {
        match TcpStream::connect(target.address) {
            Ok(stream) => return Ok(stream),
            Err(error) => {
                ensure!(started.elapsed() < SILENCE, "no connection within {SILENCE:?}: {error}");
                thread::sleep(BETWEEN_TRIES);
            }
        }
    }
}

struct EndOnDrop(Child);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        // Both fail only when the process has already ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
