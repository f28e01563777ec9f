//! One asks for all who want the same at the same time.
//!
//! For whom an answer is shows when it is there. Until then it is expected to be for the same as the last one: what was private
//! is waited for by its own caller's requests only, and what could not be kept by nobody, so that nobody waits for others
//! in vain more than once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anypod_proto::caching::CacheScope;
use anypod_proto::seal::digest;
use tokio::sync::watch;

use super::{Found, Instead, Subject};

/// For how many subjects it is known that answers are not for everybody. What is forgotten costs somebody a wait.
const MOST: usize = 4096;

/// Requests under way, and what came of those before.
#[derive(Debug, Clone, Default)]
pub(super) struct Flights(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    by_key: HashMap<String, watch::Receiver<Option<Outcome>>>,
    /// What answers were last time, where they were not for everybody; by a digest, as subjects can be long.
    known: HashMap<[u8; 32], Audience>,
}

/// Whom an answer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Audience {
    Everybody,
    /// Whoever the request is kept apart for.
    Caller,
    /// The request alone.
    Request,
}

/// What came of a request.
#[derive(Debug, Clone)]
enum Outcome {
    /// A result for everybody, or for the caller that it was kept apart for.
    Found(Box<Found>, Option<[u8; 32]>),
    Nothing,
}

/// Whether somebody asks already.
pub(super) enum Place {
    /// Nobody does.
    First(Flight),
    /// Somebody does.
    Later(Waiting),
}

/// A request under way. If it is dropped, somebody of those who wait takes its place.
pub(super) struct Flight {
    flights: Flights,
    subject: [u8; 32],
    apart: Option<[u8; 32]>,
    /// Where others wait; none where nobody can.
    landing: Option<(String, watch::Sender<Option<Outcome>>)>,
}

/// Somebody who waits for it.
pub(super) struct Waiting(watch::Receiver<Option<Outcome>>, Option<[u8; 32]>);

/// Where a request that was waited for has come to its end.
pub(super) enum Landed {
    /// It has brought what may be shared with the one who waited.
    Here(Found),
    /// It has brought something for another caller, or was given up.
    Elsewhere,
    /// It has brought nothing that anyone could share.
    Nowhere,
}

impl Flights {
    pub(super) fn board(&self, subject: Subject<'_>) -> Place {
        let mut state = self.lock();
        let key = match state.known.get(&id(subject)).copied().unwrap_or(Audience::Everybody) {
            Audience::Everybody => subject.key(CacheScope::Public),
            Audience::Caller => subject.key(CacheScope::Private),
            Audience::Request => return Place::First(self.flight(subject, None)),
        };
        if let Some(landing) = state.by_key.get(&key) {
            return Place::Later(Waiting(landing.clone(), subject.apart));
        }
        let (landing, landed) = watch::channel(None);
        state.by_key.insert(key.clone(), landed);
        Place::First(self.flight(subject, Some((key, landing))))
    }

    /// A request that nobody waits for.
    pub(super) fn alone(&self, subject: Subject<'_>) -> Flight {
        self.flight(subject, None)
    }

    fn flight(&self, subject: Subject<'_>, landing: Option<(String, watch::Sender<Option<Outcome>>)>) -> Flight {
        Flight { flights: self.clone(), subject: id(subject), apart: subject.apart, landing }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Flight {
    /// Gives the result to whoever waits and may have it.
    pub(super) fn land(&self, found: &Found) {
        let audience = match (found.ttl, found.scope) {
            (None, _) => Audience::Request,
            (Some(_), CacheScope::Public) => Audience::Everybody,
            (Some(_), CacheScope::Private) => Audience::Caller,
        };
        self.learn(audience);
        self.tell(match audience {
            Audience::Request => Outcome::Nothing,
            Audience::Everybody | Audience::Caller => {
                Outcome::Found(Box::new(Found { cached: true, ..found.clone() }), self.apart)
            }
        });
    }

    /// There is no result. A failure says nothing about the next one.
    pub(super) fn crash(&self, instead: &impl Instead) {
        if instead.failure().is_none() {
            self.learn(Audience::Request);
        }
        self.tell(Outcome::Nothing);
    }

    fn learn(&self, audience: Audience) {
        let known = &mut self.flights.lock().known;
        if audience == Audience::Everybody {
            known.remove(&self.subject);
            return;
        }
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(self.subject, audience);
    }

    fn tell(&self, outcome: Outcome) {
        if let Some((_, landing)) = &self.landing {
            landing.send_replace(Some(outcome));
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if let Some((key, _)) = &self.landing {
            self.flights.lock().by_key.remove(key);
        }
    }
}

impl Waiting {
    pub(super) async fn landed(mut self) -> Landed {
        let outcome = self.0.wait_for(Option::is_some).await.ok().and_then(|outcome| outcome.clone());
        match outcome {
            Some(Outcome::Found(found, apart)) if found.scope == CacheScope::Public || apart == self.1 => {
                Landed::Here(*found)
            }
            Some(Outcome::Found(..)) | None => Landed::Elsewhere,
            Some(Outcome::Nothing) => Landed::Nowhere,
        }
    }
}

fn id(subject: Subject<'_>) -> [u8; 32] {
    digest(&[subject.upstream.as_bytes(), subject.method.as_bytes(), subject.detail.as_bytes()])
}
