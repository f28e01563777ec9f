//! Connections to several servers, which take what there is to do as they become free.

use std::{
    io,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use mio::{Events, Interest, Poll, Token, net::TcpStream};

use super::{SILENCE, Target, check, read_some, request::Request, write_some};

/// What is done over connections.
pub(super) trait Work {
    /// What an answer is told apart by.
    type Tag;

    /// What a free connection to `target` does.
    fn next(&mut self, target: &Target, now: Instant) -> Next<Self::Tag>;

    /// Takes an answer's message.
    ///
    /// # Errors
    /// When it is wrong, which ends the run.
    fn answered(&mut self, tag: Self::Tag, id: u64, body: &[u8], now: Instant) -> Result<()>;

    /// Whether the run is over.
    fn is_over(&self, now: Instant) -> bool;
}

/// What there is to do.
pub(super) enum Next<T> {
    /// This request.
    Send(Request, T),
    /// Nothing before that moment.
    At(Instant),
    /// Nothing before another answer.
    Nothing,
}

/// Connections, each with one request under way at most.
pub(super) struct Pool<T> {
    poll: Poll,
    targets: Vec<Target>,
    connections: Vec<Connection<T>>,
    free: Vec<usize>,
}

impl<T> Pool<T> {
    /// Connects `connections` times, to one target after the other.
    ///
    /// # Errors
    /// When one does not answer.
    pub(super) fn open(targets: &[Target], connections: usize) -> Result<Self> {
        ensure!(!targets.is_empty() && connections > 0, "there must be a target and a connection");
        let poll = Poll::new()?;
        let mut all = Vec::with_capacity(connections);
        for token in 0..connections {
            let target = token % targets.len();
            let address = targets[target].address;
            let stream = std::net::TcpStream::connect(address).with_context(|| format!("connecting to {address}"))?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(stream);
            poll.registry().register(&mut stream, Token(token), Interest::READABLE | Interest::WRITABLE)?;
            all.push(Connection { stream, target, under_way: None, written: 0, input: vec![0; 4_096], filled: 0 });
        }
        Ok(Self { poll, targets: targets.to_vec(), free: (0..all.len()).rev().collect(), connections: all })
    }

    /// Works until it is over. What is under way then is waited for, and its answers are not taken.
    ///
    /// # Errors
    /// At the first answer that is wrong, a connection that fails, or when all servers fall silent.
    pub(super) fn run(&mut self, work: &mut impl Work<Tag = T>) -> Result<()> {
        let mut events = Events::with_capacity(1_024);
        loop {
            let now = Instant::now();
            let is_over = work.is_over(now);
            if is_over && self.free.len() == self.connections.len() {
                return Ok(());
            }
            let wait = match is_over {
                true => SILENCE,
                false => self.hand_out(work, now)?,
            };
            match self.poll.poll(&mut events, Some(wait)) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            }
            ensure!(!events.is_empty() || wait < SILENCE, "all servers were silent for {SILENCE:?}");
            for event in &events {
                let index = event.token().0;
                let connection = &mut self.connections[index];
                if event.is_writable() {
                    connection.write()?;
                }
                if connection.read(work, is_over)? {
                    self.free.push(index);
                }
            }
        }
    }

    /// Gives free connections something to do. Gives how long there may be nothing more.
    fn hand_out(&mut self, work: &mut impl Work<Tag = T>, now: Instant) -> Result<Duration> {
        while let Some(&index) = self.free.last() {
            let connection = &mut self.connections[index];
            match work.next(&self.targets[connection.target], now) {
                Next::Send(request, tag) => {
                    self.free.pop();
                    connection.send(request, tag)?;
                }
                Next::At(at) => return Ok(at.saturating_duration_since(now).min(SILENCE)),
                Next::Nothing => break,
            }
        }
        Ok(SILENCE)
    }
}

struct Connection<T> {
    stream: TcpStream,
    target: usize,
    under_way: Option<(Request, T)>,
    written: usize,
    input: Vec<u8>,
    filled: usize,
}

impl<T> Connection<T> {
    fn send(&mut self, request: Request, tag: T) -> Result<()> {
        self.under_way = Some((request, tag));
        self.written = 0;
        self.write()
    }

    fn write(&mut self) -> Result<()> {
        let Some((request, _)) = &self.under_way else { return Ok(()) };
        let rest = &request.bytes()[self.written..];
        if !rest.is_empty() {
            self.written += write_some(&mut self.stream, rest).context("writing a request")?;
        }
        Ok(())
    }

    /// Reads what is there; true once the answer is whole.
    fn read(&mut self, work: &mut impl Work<Tag = T>, is_over: bool) -> Result<bool> {
        while self.under_way.is_some() {
            if self.filled == self.input.len() {
                self.input.resize(2 * self.filled, 0);
            }
            let Some(count) =
                read_some(&mut self.stream, &mut self.input[self.filled..]).context("reading an answer")?
            else {
                return Ok(false);
            };
            self.filled += count;
            let Some(answer) = check::response(&self.input[..self.filled], "200")? else { continue };
            ensure!(answer.taken == self.filled, "more than one answer to one request");
            let Some((request, tag)) = self.under_way.take() else { return Ok(false) };
            let body = check::json_of(&answer.body);
            check::id(body, &request.id_member())?;
            if !is_over {
                work.answered(tag, request.id(), body, Instant::now())?;
            }
            self.filled = 0;
            return Ok(true);
        }
        Ok(false)
    }
}
