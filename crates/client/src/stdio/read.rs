//! Reading what a server says, until it ends or goes too far.

use std::io;
use std::time::Duration;

use anypod_proto::method::{LegacyMethod, Method};
use bytes::Bytes;
use tokio::io::AsyncRead;
use tokio::time::{Instant, timeout_at};

use super::batch;
use super::desk::Desk;
use super::end::{End, Loss};
use super::lines::{Line, Lines};
use super::owner::{Owner, owner};
use crate::error::Broken;
use crate::http::printable;
use crate::limits::Limits;
use crate::message::Message;
use crate::observe::Observe;

/// Lines in a row that are no messages. Servers print banners, and some log to the wrong stream; what never comes to
/// the point is no server.
const NOISE: usize = 1000;

/// How long a server that has only made noise may be silent before its first message, as a multiple of
/// [`Limits::probe_deadline`]: once for the probe, which legacy servers may ignore, and once for what follows it.
const PATIENCE: u32 = 2;

/// Reads lines and gives each message to whom it belongs.
pub(super) struct Reading<'a> {
    desk: &'a Desk,
    limits: &'a Limits,
    observer: Option<&'a dyn Observe>,
    noise: usize,
    /// Whether any message has come.
    heard: bool,
    /// The last noise, and when it came.
    last: Option<(Instant, String)>,
}

impl<'a> Reading<'a> {
    pub(super) const fn new(desk: &'a Desk, limits: &'a Limits, observer: Option<&'a dyn Observe>) -> Self {
        Self { desk, limits, observer, noise: 0, heard: false, last: None }
    }

    /// Reads `source` to its end.
    pub(super) async fn run(mut self, source: impl AsyncRead + Unpin) -> End {
        let mut lines = Lines::new(source, self.limits.event_bytes);
        loop {
            let next = match self.next(&mut lines).await {
                Ok(next) => next,
                Err(broken) => return End::Broken(broken),
            };
            let line = match next {
                Ok(Some(line)) => line,
                Ok(None) => return lost("the server closed its output".to_owned()),
                Err(error) => return lost(format!("the server's output cannot be read: {error}")),
            };
            let read = match line {
                Line::Text(text) => self.text(&text),
                Line::TooLong { start, end } => self.too_long(&start, &end),
            };
            if let Err(broken) = read {
                return End::Broken(broken);
            }
        }
    }

    /// The next line. Noise instead of any message is an answer too: what made it is not waited for until the requests
    /// are too old.
    async fn next<R: AsyncRead + Unpin>(&self, lines: &mut Lines<R>) -> Result<io::Result<Option<Line>>, Broken> {
        match &self.last {
            Some((since, text)) if !self.heard => {
                let patience = self.limits.probe_deadline.saturating_mul(PATIENCE);
                let soon = since.checked_add(patience).unwrap_or_else(|| *since + Duration::from_secs(86_400));
                let only = |_| Broken::NotJsonRpc(format!("nothing but lines such as {text:?}"));
                timeout_at(soon, lines.next()).await.map_err(only)
            }
            Some(_) | None => Ok(lines.next().await),
        }
    }

    fn text(&mut self, text: &Bytes) -> Result<(), Broken> {
        if let Some(observer) = self.observer {
            observer.received(0, text);
        }
        if !text.trim_ascii_start().starts_with(b"[") {
            return self.message(text);
        }
        match batch::each(text, |message| self.message(&text.slice_ref(message.as_bytes())))? {
            Some(()) => Ok(()),
            None => self.noise(text),
        }
    }

    fn message(&mut self, text: &Bytes) -> Result<(), Broken> {
        match Message::read(text) {
            Ok(Message::Request { method, .. }) if is_ours(&method) => Err(Broken::UnexpectedRequest(method)),
            Ok(message) => {
                self.noise = 0;
                self.heard = true;
                self.last = None;
                self.desk.deliver(message)
            }
            Err(broken) => match owner(text, text) {
                Owner::Request(id) if self.desk.fail(id, broken) => Ok(()),
                Owner::Request(_) | Owner::Unknown | Owner::Nobody => self.noise(text),
            },
        }
    }

    fn too_long(&mut self, start: &[u8], end: &[u8]) -> Result<(), Broken> {
        let broken = Broken::TooMuch { what: "bytes in one line", limit: self.limits.event_bytes };
        tracing::warn!(limit = self.limits.event_bytes, "a line is too long and was skipped");
        match owner(start, end) {
            Owner::Request(id) => {
                self.desk.fail(id, broken);
                Ok(())
            }
            // One of the requests would wait in vain, and nobody can tell which.
            Owner::Unknown => Err(broken),
            Owner::Nobody if start.trim_ascii().is_empty() => Err(broken),
            Owner::Nobody => self.noise(start),
        }
    }

    fn noise(&mut self, text: &[u8]) -> Result<(), Broken> {
        if self.noise == 0 {
            tracing::warn!("the server writes to its output what is no message");
        }
        self.noise += 1;
        if !self.heard {
            self.last = Some((Instant::now(), printable(text)));
        }
        if self.noise > NOISE {
            return Err(Broken::NotJsonRpc(format!("{NOISE} lines without one, such as {:?}", printable(text))));
        }
        Ok(())
    }
}

/// Whether only clients send this, and as their first message. What sends it back is no server, but an echo.
fn is_ours(method: &str) -> bool {
    method == Method::Discover.as_str() || method == LegacyMethod::Initialize.as_str()
}

fn lost(how: String) -> End {
    End::Lost(Loss { how, ..Loss::default() })
}
