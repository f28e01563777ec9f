//! A server over lines: started when it is needed, and again when it has ended.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anypod_proto::method::Method;
use tokio::time::{Instant, sleep_until, timeout};

use super::Peer;
use super::connection::{Connection, Ends};
use super::desk::Parting;
use super::pending::Pending;
use super::slot::Wants;
use crate::call::{Call, Repeat};
use crate::credentials::BoxFuture;
use crate::error::{Error, Result};
use crate::exchange::{Answer, Exchange, Incoming};
use crate::identity::Identity;
use crate::limits::Limits;
use crate::observe::Observe;

/// A server that lived this long was not broken from the start.
const LASTING: Duration = Duration::from_secs(10);
/// The pause before the third start of a server that ends at once; it doubles from there.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// The id of the first probe, from which those of further ones go down. Requests count up from 1, those of a legacy
/// session too, which an answer to a probe that comes late must not be taken for.
const PROBES: u64 = i32::MAX as u64;

/// A server over lines. Dropping it, and all exchanges that came of it, closes the connection and ends the process.
pub struct Wire {
    peer: Peer,
    limits: Arc<Limits>,
    observer: Option<Arc<dyn Observe>>,
    ids: AtomicU64,
    probes: AtomicU64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    connection: Option<Arc<Connection>>,
    /// How many connections there have been.
    starts: u64,
    /// How often in a row the server ended soon after it was started.
    failures: u32,
    /// When it may be started again.
    not_before: Option<Instant>,
}

/// What came of asking a server what it is.
#[derive(Debug)]
pub enum Probe {
    /// It answered.
    Answered(Answer),
    /// It was silent for [`Limits::probe_deadline`], and is still there.
    Silent,
    /// It ended instead, or said what nobody understands.
    Failed(Error),
}

enum Start {
    Connection(Arc<Connection>),
    After(BoxFuture<'static, ()>),
}

impl Wire {
    /// A server that is started, or read from, when the first request is made.
    pub fn new(peer: impl Into<Peer>, limits: Arc<Limits>, observer: Option<Arc<dyn Observe>>) -> Self {
        Self {
            peer: peer.into(),
            limits,
            observer,
            ids: AtomicU64::new(1),
            probes: AtomicU64::new(PROBES),
            state: Mutex::default(),
        }
    }

    /// Where the server is.
    pub const fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Sends a call to a modern server. Dropping the exchange cancels it.
    ///
    /// # Errors
    /// [`Error::Unreachable`] if the server cannot be started, or has ended and cannot be started again.
    pub async fn send(&self, call: &Call, identity: &Identity) -> Result<Exchange> {
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        let wants = Wants {
            progress: call.progress,
            logs: call.log_level.is_some(),
            changes: call.known() == Some(Method::SubscriptionsListen),
            repeat: call.repeat,
        };
        let connection = self.connect().await?;
        let pending = Pending::new(Arc::clone(&connection), id, wants, Parting::Cancels)?;
        connection.send(id, call.modern(id, identity)).await?;
        Ok(Exchange::stream(pending))
    }

    /// Asks the server what it is, which a legacy one does not understand. To be judged by [`crate::era`].
    ///
    /// Spec: basic/transports/stdio, "Backward Compatibility".
    ///
    /// # Errors
    /// [`Error::Unreachable`] if the server cannot be started.
    pub async fn probe(&self, identity: &Identity) -> Result<Probe> {
        let id = self.probes.fetch_sub(1, Ordering::Relaxed);
        let wants = Wants { progress: false, logs: false, changes: false, repeat: Repeat::Safe };
        let connection = self.connect().await?;
        let answer = async {
            // Not cancelled: some legacy servers end when a session does not begin with `initialize`, and have taken
            // the probe for nothing so far.
            let pending = Pending::new(Arc::clone(&connection), id, wants, Parting::Silent)?;
            connection.send(id, Call::new(Method::Discover).modern(id, identity)).await?;
            loop {
                if let Incoming::Answer(answer) = pending.receive().await? {
                    return Ok(answer);
                }
            }
        };
        Ok(match timeout(self.limits.probe_deadline, answer).await {
            Ok(Ok(answer)) => Probe::Answered(answer),
            Ok(Err(error)) => Probe::Failed(error),
            Err(_) => Probe::Silent,
        })
    }

    /// Closes the connection, and waits for the process to end: by itself for [`Limits::shutdown_deadline`], as long
    /// after SIGTERM, and then by SIGKILL. Requests that are under way fail. A later request starts it again.
    pub async fn close(&self) {
        let connection = self.state().connection.clone();
        if let Some(connection) = connection {
            connection.close();
            connection.over().await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection as it is; it may have ended.
    pub(super) fn current(&self) -> Option<Arc<Connection>> {
        self.state().connection.clone()
    }

    /// A connection that has not ended, which is begun if there is none.
    pub(super) async fn connect(&self) -> Result<Arc<Connection>> {
        loop {
            match self.start()? {
                Start::Connection(connection) => return Ok(connection),
                Start::After(pause) => pause.await,
            }
        }
    }

    fn start(&self) -> Result<Start> {
        let mut state = self.state();
        if let Some(connection) = &state.connection {
            let Some(lived) = connection.lived() else { return Ok(Start::Connection(Arc::clone(connection))) };
            // Two of them at once could be in each other's way.
            if !connection.is_over() {
                return Ok(Start::After(Box::pin(connection.over())));
            }
            let failed = lived < LASTING && !connection.desk().was_closed();
            let ended = connection.desk().ended();
            state.failures = if failed { state.failures.saturating_add(1) } else { 0 };
            state.not_before = ended.map(|ended| ended + pause(state.failures));
            state.connection = None;
        }
        if let Some(at) = state.not_before.filter(|at| *at > Instant::now()) {
            return Ok(Start::After(Box::pin(sleep_until(at))));
        }
        let origin = self.peer.to_string();
        let ends = self.open().map_err(|error| Error::unreachable(&origin, error))?;
        let connection = Connection::new(ends, origin, Arc::clone(&self.limits), self.observer.clone());
        state.starts += 1;
        let connection = Arc::new(connection.numbered(state.starts));
        state.connection = Some(Arc::clone(&connection));
        Ok(Start::Connection(connection))
    }

    fn open(&self) -> std::io::Result<Ends> {
        match &self.peer {
            Peer::Command(command) => {
                let (process, reader, writer) = command.start()?;
                Ok(Ends { process: Some(process), reader, writer })
            }
            Peer::Pipes(pipes) => {
                let ended = || std::io::Error::new(std::io::ErrorKind::NotConnected, "the connection has ended");
                let (reader, writer) = pipes.take().ok_or_else(ended)?;
                Ok(Ends { process: None, reader, writer })
            }
        }
    }
}

/// The pause before the next start. The first is free: a legacy server may end for no more than being probed.
fn pause(failures: u32) -> Duration {
    match failures.checked_sub(2) {
        None => Duration::ZERO,
        Some(doublings) => FIRST_PAUSE.saturating_mul(1 << doublings.min(16)).min(LONGEST_PAUSE),
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("peer", &self.peer).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound() {
        let pauses: Vec<_> = (0..10).map(|failures| pause(failures).as_millis()).collect();
        assert_eq!(pauses, [0, 0, 100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(pause(u32::MAX), LONGEST_PAUSE);
    }
}
