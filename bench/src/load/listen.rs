//! Many listen streams at once, each waited for until it is acknowledged.

use std::{collections::VecDeque, io, time::Instant};

use anyhow::{Context, Result, ensure};
use memchr::memmem;
use mio::{Events, Interest, Poll, Token, net::TcpStream};

use super::{ListenReport, SILENCE, Target, check, read_some, write_some};

/// How many streams may be on their way at a time: fewer than a listener's usual backlog.
const OPENING: usize = 256;

const ACKNOWLEDGED: &[u8] = b"notifications/subscriptions/acknowledged";

/// Opens `streams` listen streams and returns them, open, with what it took.
///
/// # Errors
/// When a connection fails, an answer is not a 200, or no acknowledgement arrives for a while.
pub fn listen(target: &Target, streams: usize) -> Result<(ListenReport, impl Sized)> {
    let started = Instant::now();
    let request = target.listen();
    let mut poll = Poll::new()?;
    let mut opened: Vec<Stream> = Vec::with_capacity(streams);
    let mut opening = 0;
    let mut ready = VecDeque::new();
    let mut events = Events::with_capacity(1_024);
    while opened.len() < streams || opening > 0 {
        while opening < OPENING && opened.len() < streams {
            let mut stream = TcpStream::connect(target.address)?;
            let token = Token(opened.len());
            poll.registry().register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
            opened.push(Stream { stream, written: 0, input: Some(Vec::new()) });
            opening += 1;
        }
        match poll.poll(&mut events, Some(SILENCE)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            other => other?,
        }
        ensure!(!events.is_empty(), "no acknowledgement for {SILENCE:?}, {opening} are missing");
        ready.extend(events.iter().map(|event| event.token().0));
        while let Some(index) = ready.pop_front() {
            let is_acknowledged =
                opened[index].advance(request.bytes()).with_context(|| format!("listen stream {index}"))?;
            opening -= usize::from(is_acknowledged);
        }
    }
    let opened_ms = started.elapsed().as_secs_f64() * 1_000.0;
    Ok((ListenReport { streams, opened_ms }, (poll, opened)))
}

struct Stream {
    stream: TcpStream,
    written: usize,
    /// What arrived, until it holds the acknowledgement.
    input: Option<Vec<u8>>,
}

impl Stream {
    /// Does what can be done now; true at the read that completes the acknowledgement.
    fn advance(&mut self, request: &[u8]) -> Result<bool> {
        self.written += write_some(&mut self.stream, &request[self.written..])?;
        let mut buffer = [0; 4_096];
        while let Some(count) = read_some(&mut self.stream, &mut buffer)? {
            let Some(input) = &mut self.input else { continue };
            input.extend_from_slice(&buffer[..count]);
            if check::has_head(input, "200")? && memmem::find(input, ACKNOWLEDGED).is_some() {
                self.input = None;
                return Ok(true);
            }
        }
        Ok(false)
    }
}
