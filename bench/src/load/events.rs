//! What is told on one pod and heard on others: one connection that has a pod announce changes, and streams that listen.

use std::{
    io,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use memchr::memmem;
use mio::{Interest, Poll, Token, net::TcpStream};
use serde::{Deserialize, Serialize};

use super::{Histogram, SILENCE, Target, check, read_some, request::Request, write_some};

/// How many streams may be on their way at a time: fewer than a listener's usual backlog.
const OPENING: usize = 256;

const ACKNOWLEDGED: &[u8] = b"notifications/subscriptions/acknowledged";
const UPDATED: &[u8] = b"notifications/resources/updated";
const TOOLS: &[u8] = b"notifications/tools/list_changed";
/// What is longest of these, so much of what was read is kept to find one that came in two pieces.
const KEPT: usize = ACKNOWLEDGED.len();

/// Events, published and waited for.
#[derive(Clone, Debug)]
pub struct Events {
    /// The pod that publishes.
    pub publisher: Target,
    /// The pods that listeners are on; each has as many.
    pub pods: Vec<Target>,
    /// Listeners per pod, each of a resource of its own and of the list of tools.
    pub listeners: usize,
    /// Changes of resources that are told, each of the next listener.
    pub events: usize,
    /// Changes of the list of tools that are told, which all listeners hear.
    pub broadcasts: usize,
}

/// When events were heard.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct EventReport {
    /// Streams that are open.
    pub streams: usize,
    /// Milliseconds from the first connect to the last acknowledgement.
    pub opened_ms: f64,
    /// Median time from the request that announces a change to its arrival, in milliseconds.
    pub p50_ms: f64,
    /// The same for the slowest hundredth.
    pub p99_ms: f64,
    /// Median time until the last of all listeners had heard of what all hear, in milliseconds.
    pub broadcast_ms: f64,
}

impl Events {
    /// Opens the streams, tells and hears. Between two events, a time passes that is each time another.
    ///
    /// # Errors
    /// When a connection fails, an answer is not a 200, or an event is not heard for a while.
    pub fn run(&self) -> Result<EventReport> {
        let (mut hall, opened_ms) = Hall::open(self)?;
        let mut latencies = Histogram::default();
        for event in 0..self.events {
            // Of all that listen to the same resource, one on each pod.
            let item = event % self.listeners;
            hall.pause(Duration::from_micros(3_000 + (event as u64 * 7_919) % 20_000))?;
            let told = hall.tell(&uri(item))?;
            let waited: Vec<usize> = (0..self.pods.len()).map(|pod| pod * self.listeners + item).collect();
            for (_, at) in hall.hear(&waited, UPDATED)? {
                latencies.record(at - told);
            }
        }
        let everybody: Vec<usize> = (0..hall.streams.len()).collect();
        let mut broadcasts = Vec::new();
        for _ in 0..self.broadcasts {
            hall.pause(Duration::from_millis(50))?;
            let told = hall.tell("")?;
            let heard = hall.hear(&everybody, TOOLS)?;
            broadcasts.extend(heard.iter().map(|(_, at)| *at - told).max());
        }
        broadcasts.sort_unstable();
        Ok(EventReport {
            streams: hall.streams.len(),
            opened_ms,
            p50_ms: latencies.quantile_us(0.5) / 1_000.0,
            p99_ms: latencies.quantile_us(0.99) / 1_000.0,
            broadcast_ms: broadcasts.get(broadcasts.len() / 2).map_or(0.0, |time| time.as_secs_f64() * 1_000.0),
        })
    }
}

/// The resource that a listener is told of.
fn uri(item: usize) -> String {
    format!("bench://{item}")
}

/// Everybody who listens, and who tells.
struct Hall {
    poll: Poll,
    arrived: mio::Events,
    streams: Vec<Stream>,
    publisher: TcpStream,
    target: Target,
    number: u64,
}

impl Hall {
    fn open(events: &Events) -> Result<(Self, f64)> {
        let address = events.publisher.address;
        let publisher = std::net::TcpStream::connect(address).with_context(|| format!("connecting to {address}"))?;
        publisher.set_nodelay(true)?;
        publisher.set_nonblocking(true)?;
        let mut hall = Self {
            poll: Poll::new()?,
            arrived: mio::Events::with_capacity(1_024),
            streams: Vec::new(),
            publisher: TcpStream::from_std(publisher),
            target: events.publisher.clone(),
            number: 0,
        };
        let started = Instant::now();
        let all = events.listeners * events.pods.len();
        let mut opening = Vec::new();
        while hall.streams.len() < all || !opening.is_empty() {
            while opening.len() < OPENING && hall.streams.len() < all {
                let index = hall.streams.len();
                let target = &events.pods[index / events.listeners];
                let request = target.listen_to(&uri(index % events.listeners));
                let mut stream = TcpStream::connect(target.address)?;
                let interest = Interest::READABLE | Interest::WRITABLE;
                hall.poll.registry().register(&mut stream, Token(index), interest)?;
                hall.streams.push(Stream { stream, request, written: 0, kept: Vec::new(), is_open: false });
                opening.push(index);
            }
            let heard = hall.hear_some(&opening, ACKNOWLEDGED)?;
            opening.retain(|index| !heard.iter().any(|(done, _)| done == index));
        }
        let opened_ms = started.elapsed().as_secs_f64() * 1_000.0;
        let index = Token(hall.streams.len());
        hall.poll.registry().register(&mut hall.publisher, index, Interest::READABLE)?;
        Ok((hall, opened_ms))
    }

    /// Reads what comes for so long, of which nothing is waited for.
    fn pause(&mut self, time: Duration) -> Result<()> {
        let until = Instant::now() + time;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            self.wait(left)?;
            for index in self.ready() {
                if let Some(stream) = self.streams.get_mut(index) {
                    stream.advance(b"")?;
                } else {
                    self.take_answer()?;
                }
            }
        }
    }

    /// Has the pod announce a change. Gives when the request was sent.
    fn tell(&mut self, uri: &str) -> Result<Instant> {
        self.number += 1;
        let request = self.target.create("touch", uri, self.number);
        let told = Instant::now();
        let written = write_some(&mut self.publisher, request.bytes())?;
        ensure!(written == request.bytes().len(), "a request that does not fit the socket");
        Ok(told)
    }

    /// Waits until all of these have heard it.
    fn hear(&mut self, waited: &[usize], what: &[u8]) -> Result<Vec<(usize, Instant)>> {
        let mut waits = vec![false; self.streams.len()];
        waited.iter().for_each(|index| waits[*index] = true);
        let mut heard = Vec::with_capacity(waited.len());
        while heard.len() < waited.len() {
            for (index, at) in self.hear_some(waited, what)? {
                if std::mem::take(&mut waits[index]) {
                    heard.push((index, at));
                }
            }
        }
        Ok(heard)
    }

    /// Waits until somebody has heard something; gives who has heard this.
    fn hear_some(&mut self, waited: &[usize], what: &[u8]) -> Result<Vec<(usize, Instant)>> {
        ensure!(self.wait(SILENCE)?, "nothing was heard for {SILENCE:?}, by any of {}", waited.len());
        let mut heard = Vec::new();
        for index in self.ready() {
            let Some(stream) = self.streams.get_mut(index) else {
                self.take_answer()?;
                continue;
            };
            if stream.advance(what).with_context(|| format!("listener {index}"))? {
                heard.push((index, Instant::now()));
            }
        }
        Ok(heard)
    }

    /// Whether something happened within that time.
    fn wait(&mut self, time: Duration) -> Result<bool> {
        match self.poll.poll(&mut self.arrived, Some(time)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(true),
            other => {
                other?;
                Ok(!self.arrived.is_empty())
            }
        }
    }

    fn ready(&self) -> Vec<usize> {
        self.arrived.iter().map(|event| event.token().0).collect()
    }

    /// The answer to the request to tell, of which the streams say more.
    fn take_answer(&mut self) -> Result<()> {
        let mut buffer = [0; 4_096];
        while let Some(count) = read_some(&mut self.publisher, &mut buffer)? {
            check::has_head(&buffer[..count], "200")?;
        }
        Ok(())
    }
}

struct Stream {
    stream: TcpStream,
    request: Request,
    written: usize,
    /// What was read before it was acknowledged, and after that the end of what was read.
    kept: Vec<u8>,
    is_open: bool,
}

impl Stream {
    /// Does what can be done now; whether it has heard this.
    fn advance(&mut self, what: &[u8]) -> Result<bool> {
        let rest = &self.request.bytes()[self.written..];
        if !rest.is_empty() {
            self.written += write_some(&mut self.stream, rest)?;
        }
        let mut buffer = [0; 4_096];
        let mut has_heard = false;
        while let Some(count) = read_some(&mut self.stream, &mut buffer)? {
            self.kept.extend_from_slice(&buffer[..count]);
            if !self.is_open && !check::has_head(&self.kept, "200")? {
                continue;
            }
            if let Some(at) = memmem::find(&self.kept, what).filter(|_| !what.is_empty()) {
                has_heard = true;
                self.is_open = true;
                self.kept.drain(..at + what.len());
            }
            if self.is_open {
                self.kept.drain(..self.kept.len().saturating_sub(KEPT));
            }
        }
        Ok(has_heard)
    }
}
