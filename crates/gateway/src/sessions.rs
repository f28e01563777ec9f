//! Sessions with legacy upstreams: a pool, shared by all clients that look the same to the server.
//!
//! A session is keyed by the pod, by whoever the requests must be kept apart for, and by what the client can do, because
//! that is what a legacy server is told once and for all. It is opened by the first call that needs it, opened again when
//! the server has lost it, and closed by DELETE when nobody has used it for a while.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anypod_client::{Endpoint, Identity, LegacyUpstream};
use anypod_proto::capabilities::ClientCapabilities;
use anypod_proto::reject::Rejection;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use tokio::time::Instant;

use crate::config;
use crate::observe::{self, Open};
use crate::reach::info;

/// How long the end of a session may take when the gateway stops.
const CLOSING: Duration = Duration::from_secs(3);
/// How often it is looked whether those that are leaving can be ended.
const SEEING_OFF: Duration = Duration::from_millis(500);
/// The longest that unused ones are not looked for, times four.
const LONGEST_LOOK: Duration = Duration::from_secs(3600);
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

/// How many there may be at once, and how long they are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    most: usize,
    unused_for: Duration,
}

impl From<&config::Limits> for Bounds {
    fn from(limits: &config::Limits) -> Self {
        Self { most: limits.upstream_sessions, unused_for: limits.upstream_session_idle.get() }
    }
}

/// The sessions with the pods of one upstream.
pub(crate) struct Sessions {
    series: Arc<observe::Upstream>,
    /// The number of the last one. Shared with those of before, so that each number is there once.
    last: Arc<AtomicU64>,
    state: Mutex<State>,
}

struct State {
    bounds: Bounds,
    by_key: HashMap<Key, Arc<Session>>,
    /// Those that take no further calls, and end when nothing is under way in them.
    leaving: Vec<Arc<Session>>,
    /// Whether somebody sees those off.
    sees_off: bool,
    /// Those of the upstream as it was configured before, as long as there are any.
    before: Option<Arc<Sessions>>,
}

impl Sessions {
    /// None yet. Those of `before` are still found; whoever has them ends them.
    pub(crate) fn new(bounds: Bounds, series: Arc<observe::Upstream>, before: Option<Arc<Self>>) -> Arc<Self> {
        let last = before.as_ref().map(|before| Arc::clone(&before.last)).unwrap_or_default();
        let (by_key, leaving) = (HashMap::new(), Vec::new());
        let state = State { bounds, by_key, leaving, sees_off: false, before };
        let sessions = Arc::new(Self { series, last, state: Mutex::new(state) });
        let weak = Arc::downgrade(&sessions);
        tokio::spawn(async move {
            while let Some(sessions) = weak.upgrade() {
                let unused_for = sessions.lock().bounds.unused_for;
                drop(sessions);
                tokio::time::sleep(unused_for.clamp(Duration::from_millis(100), LONGEST_LOOK) / 4).await;
                let Some(sessions) = weak.upgrade() else { return };
                sessions.close_unused().await;
            }
        });
        sessions
    }

    /// Other bounds from now on. Where there are more sessions than they allow, none is opened until enough have ended.
    pub(crate) fn bound(&self, bounds: Bounds) {
        self.lock().bounds = bounds;
    }

    /// Those of these keys take no further calls, and end when nothing is under way in them.
    pub(crate) fn leave(self: &Arc<Self>, which: impl Fn(&Key) -> bool) {
        let mut state = self.lock();
        let gone: Vec<_> = state.by_key.extract_if(|key, _| which(key)).map(|(_, session)| session).collect();
        state.leaving.extend(gone);
        if state.leaving.is_empty() || std::mem::replace(&mut state.sees_off, true) {
            return;
        }
        drop(state);
        let weak = Arc::downgrade(self);
        tokio::spawn(async move {
            while let Some(sessions) = weak.upgrade() {
                if !sessions.see_off().await {
                    return;
                }
                drop(sessions);
                tokio::time::sleep(SEEING_OFF).await;
            }
        });
    }

    /// Ends those that are leaving and have nothing under way; false once there are none.
    async fn see_off(&self) -> bool {
        let (ended, any) = {
            let mut state = self.lock();
            let ended: Vec<_> = state.leaving.extract_if(.., |session| is_unused(session)).collect();
            state.sees_off = !state.leaving.is_empty();
            (ended, state.sees_off)
        };
        end(ended).await;
        any
    }

    /// Whether there are none, those of before included.
    pub(crate) fn is_empty(&self) -> bool {
        let mut state = self.lock();
        state.before.take_if(|before| before.is_empty());
        state.by_key.is_empty() && state.leaving.is_empty() && state.before.is_none()
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
        let evicted = match state.by_key.len() + state.leaving.len() < state.bounds.most {
            true => None,
            false => Some(state.evict().ok_or(Rejection::Busy { retry_after_secs: RETRY_AFTER_SECS })?),
        };
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let identity = Arc::new(Identity::new(info(), capabilities.clone()));
        let headers: HeaderMap = credential.map(|value| (AUTHORIZATION, value.clone())).into_iter().collect();
        let upstream = endpoint.legacy(identity, &headers);
        let counted = self.series.open_session();
        let session = Arc::new(Session { number, upstream, used: Mutex::new(now), _counted: counted });
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
        let found = state.all().find(|session| session.number == number).cloned();
        let Some(session) = found else { return state.before.as_ref()?.find(number) };
        session.touch(Instant::now());
        Some(session)
    }

    /// How many calls are held for the answers of clients.
    pub(crate) fn held(&self) -> usize {
        let state = self.lock();
        let before = state.before.as_ref().map_or(0, |before| before.held());
        state.all().map(|session| session.upstream.held()).sum::<usize>() + before
    }

    /// Closes all sessions.
    pub(crate) async fn close(&self) {
        let closed: Vec<_> = {
            let mut state = self.lock();
            let State { by_key, leaving, .. } = &mut *state;
            by_key.drain().map(|(_, session)| session).chain(leaving.drain(..)).collect()
        };
        end(closed).await;
    }

    async fn close_unused(&self) {
        let now = Instant::now();
        let closed: Vec<_> = {
            let mut state = self.lock();
            state.before.take_if(|before| before.is_empty());
            let unused_for = state.bounds.unused_for;
            let unused = |session: &Arc<Session>| {
                is_unused(session) && now.saturating_duration_since(session.last_used()) >= unused_for
            };
            state.by_key.extract_if(|_, session| unused(session)).map(|(_, session)| session).collect()
        };
        end(closed).await;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn all(&self) -> impl Iterator<Item = &Arc<Session>> {
        self.by_key.values().chain(&self.leaving)
    }

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
