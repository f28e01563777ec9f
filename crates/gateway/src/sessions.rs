//! Sessions with legacy upstreams: a pool, shared by all clients that look the same to the server.
//!
//! A session is keyed by the pod, by whoever the requests must be kept apart for, and by what the client can do, because
//! that is what a legacy server is told once and for all. It is opened by the first call that needs it, opened again when
//! the server has lost it, and closed by DELETE when nobody has used it for a while.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anypod_client::{Endpoint, Identity, LegacyUpstream};
use anypod_proto::capabilities::ClientCapabilities;
use anypod_proto::reject::Rejection;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use tokio::time::Instant;

use crate::observe::{self, Open};
use crate::reach::info;

/// How long the end of a session may take when the gateway stops.
const CLOSING: Duration = Duration::from_secs(3);
/// When a client may come again that found all sessions in use.
const RETRY_AFTER_SECS: u32 = 1;

/// What tells sessions apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) pod: Arc<str>,
    pub(crate) apart: Option<[u8; 32]>,
    /// The client's capabilities, as JSON of one spelling.
    pub(crate) capabilities: Arc<str>,
}

/// A session, open or to be opened by the next call.
pub(crate) struct Session {
    /// Tells it from others of this process.
    pub(crate) number: u64,
    pub(crate) upstream: LegacyUpstream,
    used: Mutex<Instant>,
    _counted: Open,
}

/// The sessions with the pods of one upstream.
pub(crate) struct Sessions {
    most: usize,
    unused_for: Duration,
    series: Arc<observe::Upstream>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    by_key: HashMap<Key, Arc<Session>>,
    last: u64,
}

impl Sessions {
    /// At most `most` sessions, each closed when it was not used for `unused_for`.
    pub(crate) fn new(most: usize, unused_for: Duration, series: Arc<observe::Upstream>) -> Arc<Self> {
        let sessions = Arc::new(Self { most, unused_for, series, state: Mutex::default() });
        let weak = Arc::downgrade(&sessions);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(unused_for.clamp(Duration::from_millis(100), Duration::from_secs(3600)) / 4).await;
                let Some(sessions) = weak.upgrade() else { return };
                sessions.close_unused().await;
            }
        });
        sessions
    }

    /// The session of that key.
    ///
    /// # Errors
    /// [`Rejection::Busy`] if there are too many, all in use.
    pub(crate) fn of(
        &self,
        key: &Key,
        endpoint: &Endpoint,
        capabilities: &ClientCapabilities,
        credential: Option<&HeaderValue>,
    ) -> Result<Arc<Session>, Rejection> {
        let now = Instant::now();
        let mut state = self.lock();
        if let Some(session) = state.by_key.get(key) {
            session.touch(now);
            return Ok(Arc::clone(session));
        }
        let evicted = match state.by_key.len() < self.most {
            true => None,
            false => Some(state.evict().ok_or(Rejection::Busy { retry_after_secs: RETRY_AFTER_SECS })?),
        };
        state.last += 1;
        let identity = Arc::new(Identity::new(info(), capabilities.clone()));
        let headers: HeaderMap = credential.map(|value| (AUTHORIZATION, value.clone())).into_iter().collect();
        let upstream = endpoint.legacy(identity, &headers);
        let counted = self.series.open_session();
        let session = Arc::new(Session { number: state.last, upstream, used: Mutex::new(now), _counted: counted });
        state.by_key.insert(key.clone(), Arc::clone(&session));
        drop(state);
        if let Some(evicted) = evicted {
            tokio::spawn(async move { evicted.close().await });
        }
        Ok(session)
    }

    /// The session of that number, if it is still there.
    pub(crate) fn find(&self, number: u64) -> Option<Arc<Session>> {
        let state = self.lock();
        let session = state.by_key.values().find(|session| session.number == number)?;
        session.touch(Instant::now());
        Some(Arc::clone(session))
    }

    /// How many calls are held for the answers of clients.
    pub(crate) fn held(&self) -> usize {
        self.lock().by_key.values().map(|session| session.upstream.held()).sum()
    }

    /// Closes all sessions.
    pub(crate) async fn close(&self) {
        let closed: Vec<_> = self.lock().by_key.drain().map(|(_, session)| session).collect();
        end(closed).await;
    }

    async fn close_unused(&self) {
        let now = Instant::now();
        let unused = |session: &Arc<Session>| {
            is_unused(session) && now.saturating_duration_since(session.last_used()) >= self.unused_for
        };
        let closed: Vec<_> = {
            let mut state = self.lock();
            state.by_key.extract_if(|_, session| unused(session)).map(|(_, session)| session).collect()
        };
        end(closed).await;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes out the session that was not used for the longest time.
    fn evict(&mut self) -> Option<Arc<Session>> {
        let idle = self.by_key.iter().filter(|(_, session)| is_unused(session));
        let (key, _) = idle.min_by_key(|(_, session)| session.last_used())?;
        let key = key.clone();
        self.by_key.remove(&key)
    }
}

impl Session {
    fn last_used(&self) -> Instant {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn touch(&self, now: Instant) {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }

    async fn close(&self) {
        match tokio::time::timeout(CLOSING, self.upstream.close()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "a session could not be closed"),
            Err(_) => tracing::debug!("the end of a session took too long"),
        }
    }
}

/// Whether nobody has it in hands and nothing is under way in it, held calls and subscriptions included. Asked under the
/// lock, where nobody can be given it meanwhile.
fn is_unused(session: &Arc<Session>) -> bool {
    Arc::strong_count(session) == 1 && session.upstream.is_idle()
}

/// Side by side, so that one server that does not react keeps no other waiting.
async fn end(sessions: Vec<Arc<Session>>) {
    futures_util::future::join_all(sessions.iter().map(|session| session.close())).await;
}
