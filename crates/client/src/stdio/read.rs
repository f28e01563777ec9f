//! Reading what a server says, until it ends or goes too far.

use bytes::Bytes;
use tokio::io::AsyncRead;

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

/// Reads lines and gives each message to whom it belongs.
pub(super) struct Reading<'a> {
    desk: &'a Desk,
    limits: &'a Limits,
    observer: Option<&'a dyn Observe>,
    noise: usize,
}

impl<'a> Reading<'a> {
    pub(super) const fn new(desk: &'a Desk, limits: &'a Limits, observer: Option<&'a dyn Observe>) -> Self {
        Self { desk, limits, observer, noise: 0 }
    }

    /// Reads `source` to its end.
    pub(super) async fn run(mut self, source: impl AsyncRead + Unpin) -> End {
        let mut lines = Lines::new(source, self.limits.event_bytes);
        loop {
            let line = match lines.next().await {
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
            Ok(message) => {
                self.noise = 0;
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
        if self.noise > NOISE {
            return Err(Broken::NotJsonRpc(format!("{NOISE} lines without one, such as {:?}", printable(text))));
        }
        Ok(())
    }
}

fn lost(how: String) -> End {
    End::Lost(Loss { how, ..Loss::default() })
}
