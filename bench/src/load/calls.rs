//! Calls of one tool over a fixed number of connections, each with one request under way.

use std::{
    io,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use mio::{Events, Interest, Poll, Token, net::TcpStream};

use super::{CallReport, Dialect, Histogram, SILENCE, Target, check, read_some, request::Request, session, write_some};
use crate::http::Message;

/// How much room a connection's buffer has beyond the text that it will carry.
const HEADROOM: usize = 4_096;

/// When a run ends.
#[derive(Clone, Copy, Debug)]
pub enum Amount {
    /// After the warm-up and then this long.
    Time(Duration),
    /// After this many answers, warm-up or not.
    Requests(u64),
}

/// Which revision the client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Era {
    /// 2026-07-28.
    Modern,
    /// 2025-11-25: each connection has a session of its own, opened before anything is timed.
    Legacy,
}

/// What is asked for again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// A call of this tool, whose answer must be `text`.
    Call(String),
    /// The list of tools, which must have `echo`.
    List,
    /// A new session, each time.
    Initialize,
}

/// A run of calls.
#[derive(Clone, Debug)]
pub struct Calls {
    /// The server.
    pub target: Target,
    /// How it is spoken to.
    pub era: Era,
    /// What it is asked for.
    pub work: Work,
    /// How many connections; each always has one request under way.
    pub connections: usize,
    /// When to end.
    pub amount: Amount,
    /// How long to call before counting.
    pub warm_up: Duration,
    /// The length of a call's `text` in bytes.
    pub payload: usize,
}

impl Calls {
    /// Calls until the amount is reached.
    ///
    /// # Errors
    /// At the first answer that is wrong, a connection that fails, or when the server falls silent.
    pub fn run(&self) -> Result<CallReport> {
        ensure!(self.connections > 0, "there must be a connection");
        Run::new(self)?.run()
    }

    /// A text of the right length in which no byte needs escaping, and which differs from place to place.
    fn text(&self) -> String {
        let length = if matches!(self.work, Work::Call(_)) { self.payload } else { 0 };
        (b'a'..=b'z').cycle().take(length).map(char::from).collect()
    }

    /// A connection with its session, if it needs one, and what will be sent on it.
    fn open(&self, text: &str) -> Result<(TcpStream, Request)> {
        let address = self.target.address;
        let mut stream = std::net::TcpStream::connect(address).with_context(|| format!("connecting to {address}"))?;
        stream.set_nodelay(true)?;
        let dialect = match (self.era, &self.work) {
            (Era::Modern, _) | (Era::Legacy, Work::Initialize) => Dialect::Modern,
            (Era::Legacy, Work::Call(_) | Work::List) => {
                Dialect::Legacy { session: session::open(&mut stream, &self.target)? }
            }
        };
        stream.set_nonblocking(true)?;
        let request = match &self.work {
            Work::Call(tool) => self.target.call(&dialect, tool, text),
            Work::List => self.target.list(&dialect),
            Work::Initialize => self.target.initialize(),
        };
        Ok((TcpStream::from_std(stream), request))
    }

    /// Checks everything about an answer's message.
    fn check(&self, body: &[u8], id: u64, text: &str) -> Result<()> {
        match self.work {
            Work::Call(_) => check::echo(body, id, text, self.era),
            Work::List => check::list(body, id, self.era),
            Work::Initialize => check::initialized(body, id),
        }
    }
}

struct Run<'a> {
    calls: &'a Calls,
    poll: Poll,
    connections: Vec<Connection>,
    text: String,
    latencies: Histogram,
    warm_up_answers: u64,
    /// Requests that may still be written; `None` when time decides.
    left: Option<u64>,
}

impl<'a> Run<'a> {
    fn new(calls: &'a Calls) -> Result<Self> {
        let text = calls.text();
        let poll = Poll::new()?;
        let mut connections = Vec::with_capacity(calls.connections);
        for token in 0..calls.connections {
            let (mut stream, request) = calls.open(&text)?;
            poll.registry().register(&mut stream, Token(token), Interest::READABLE | Interest::WRITABLE)?;
            connections.push(Connection::new(stream, request, text.len() + HEADROOM));
        }
        let left = match calls.amount {
            Amount::Time(_) => None,
            Amount::Requests(requests) => Some(requests),
        };
        Ok(Self { calls, poll, connections, text, latencies: Histogram::default(), warm_up_answers: 0, left })
    }

    fn run(mut self) -> Result<CallReport> {
        let mut counting_since = Instant::now();
        if let Amount::Time(time) = self.calls.amount {
            self.start_all(counting_since)?;
            self.until(Some(counting_since + self.calls.warm_up))?;
            self.warm_up_answers = std::mem::take(&mut self.latencies).count();
            counting_since = Instant::now();
            self.until(Some(counting_since + time))?;
        } else {
            self.start_all(counting_since)?;
            self.until(None)?;
        }
        let elapsed = counting_since.elapsed().as_secs_f64();
        let answers = self.latencies.count();
        ensure!(answers > 0, "no answer was counted in {elapsed:.1} s");
        Ok(CallReport {
            requests_per_second: answers as f64 / elapsed,
            p50_us: self.latencies.quantile_us(0.5),
            p99_us: self.latencies.quantile_us(0.99),
            answers,
            all_answers: self.warm_up_answers + answers,
            errors: 0,
        })
    }

    fn start_all(&mut self, now: Instant) -> Result<()> {
        for connection in &mut self.connections {
            if may_start(&mut self.left) {
                connection.start(now)?;
            }
        }
        Ok(())
    }

    /// Goes on until `deadline`, or without one until nothing is under way any more.
    fn until(&mut self, deadline: Option<Instant>) -> Result<()> {
        let mut events = Events::with_capacity(1_024);
        let mut now = Instant::now();
        loop {
            let is_done = match deadline {
                Some(deadline) => now >= deadline,
                None => !self.connections.iter().any(|connection| connection.is_busy),
            };
            if is_done {
                return Ok(());
            }
            match self.poll.poll(&mut events, Some(SILENCE)) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            }
            now = Instant::now();
            ensure!(!events.is_empty(), "the server was silent for {SILENCE:?}");
            for event in &events {
                let connection = &mut self.connections[event.token().0];
                if event.is_writable() {
                    connection.write()?;
                }
                if connection.read(self.calls, &self.text)? {
                    now = Instant::now();
                    self.latencies.record(now - connection.started);
                    connection.is_busy = false;
                    if may_start(&mut self.left) {
                        connection.start(now)?;
                    }
                }
            }
        }
    }
}

/// Takes one request off what is left.
fn may_start(left: &mut Option<u64>) -> bool {
    match left {
        None => true,
        Some(0) => false,
        Some(left) => {
            *left -= 1;
            true
        }
    }
}

struct Connection {
    stream: TcpStream,
    request: Request,
    written: usize,
    input: Vec<u8>,
    filled: usize,
    started: Instant,
    is_busy: bool,
    /// The length of the first answer's message, which was checked in full. The others must have it too.
    expected: Option<usize>,
}

impl Connection {
    fn new(stream: TcpStream, request: Request, room: usize) -> Self {
        let written = request.bytes().len();
        let (input, started) = (vec![0; room], Instant::now());
        Self { stream, request, written, input, filled: 0, started, is_busy: false, expected: None }
    }

    fn start(&mut self, now: Instant) -> Result<()> {
        self.request.advance();
        self.written = 0;
        self.started = now;
        self.is_busy = true;
        self.write()
    }

    fn write(&mut self) -> Result<()> {
        let rest = &self.request.bytes()[self.written..];
        if !rest.is_empty() {
            self.written += write_some(&mut self.stream, rest).context("writing a request")?;
        }
        Ok(())
    }

    /// Reads what is there; true once the answer is whole and right.
    fn read(&mut self, calls: &Calls, text: &str) -> Result<bool> {
        while self.is_busy {
            if self.filled == self.input.len() {
                self.input.resize(2 * self.filled, 0);
            }
            let room = self.input.len() - self.filled;
            let Some(count) = read_some(&mut self.stream, &mut self.input[self.filled..])
                .with_context(|| format!("reading the answer to {}", self.request.id()))?
            else {
                return Ok(false);
            };
            self.filled += count;
            if self.take_answer(calls, text)? {
                return Ok(true);
            }
            // Less than there was room for: the socket is empty and its next byte will be an event.
            if count < room {
                return Ok(false);
            }
        }
        Ok(false)
    }

    fn take_answer(&mut self, calls: &Calls, text: &str) -> Result<bool> {
        // Nothing shorter than the text can be its echo, and looking again at each read has its price.
        if self.filled < text.len() {
            return Ok(false);
        }
        let Some(answer) = check::response(&self.input[..self.filled], "200")? else { return Ok(false) };
        ensure!(answer.taken == self.filled, "more than one answer to one request");
        ensure!(self.written == self.request.bytes().len(), "an answer before the request was written");
        self.expected = Some(checked_length(calls, &answer, &self.request, self.expected, text)?);
        self.filled = 0;
        Ok(true)
    }
}

/// Checks `answer`, in full unless an earlier one was and had the `expected` length, and returns its length.
///
/// The length is that of the message: around it, an event stream may count its events.
fn checked_length(
    calls: &Calls,
    answer: &Message<'_>,
    request: &Request,
    expected: Option<usize>,
    text: &str,
) -> Result<usize> {
    if calls.work == Work::Initialize {
        check::session(answer)?;
    }
    let body = check::json_of(&answer.body);
    match expected {
        None => calls.check(body, request.id(), text)?,
        Some(expected) if expected == body.len() => check::id(body, &request.id_member())?,
        Some(expected) => bail!("an answer of {} bytes after one of {expected}", body.len()),
    }
    Ok(body.len())
}
