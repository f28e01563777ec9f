//! Session ids that were opened lately. A client brings its id with every request, and to open it takes longer than to
//! answer many a request.
//!
//! A cache whose loss nobody notices: whoever is not found here is opened. What is found is what would come of opening the
//! id now, because everything that this depends on is held against it: the whole text, the caller, the ring, the time.
//! Whether the session has been ended is not its affair.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anypod_proto::seal::{PrincipalId, UnixSeconds};

use super::recent::{Recent, Weigh};
use super::session::Known;
use crate::tokens::Generation;

/// The longest id that is remembered, in bytes. Ids of sessions that were opened here are half as long at most.
const MAX_ID_LEN: usize = 256;

/// What stands in session ids that were opened lately.
#[derive(Debug)]
pub(super) struct Remembered {
    /// Of the texts of ids. Keyed, so that nobody can choose which ids share a place.
    hasher: RandomState,
    opened: Mutex<Recent<Opened>>,
}

/// An id that was opened.
#[derive(Debug)]
struct Opened {
    /// The ring that opened it.
    by: Generation,
    expires_at: UnixSeconds,
    session: Arc<Known>,
    id: Box<str>,
    principal: Option<PrincipalId>,
}

/// An id, and who brings it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Brought<'a> {
    pub(super) id: &'a str,
    pub(super) principal: Option<&'a PrincipalId>,
}

impl Weigh for Opened {
    fn weight(&self) -> usize {
        1
    }
}

impl Remembered {
    /// Room for so many sessions.
    pub(super) fn new(most: usize) -> Self {
        Self { hasher: RandomState::new(), opened: Mutex::new(Recent::new(most)) }
    }

    /// What stands in the id, if that is known: for this caller, while this ring is used, before it expires.
    pub(super) fn find(&self, brought: Brought<'_>, by: Generation, now: UnixSeconds) -> Option<Arc<Known>> {
        let mut opened = self.lock();
        let found = opened.find(self.hasher.hash_one(brought.id))?;
        let holds = is_same(found.id.as_bytes(), brought.id.as_bytes())
            && found.principal.as_ref() == brought.principal
            && found.by == by
            && now < found.expires_at;
        holds.then(|| Arc::clone(&found.session))
    }

    /// Remembers what an id was opened to.
    pub(super) fn note(&self, brought: Brought<'_>, by: Generation, expires_at: UnixSeconds, session: &Arc<Known>) {
        let Brought { id, principal } = brought;
        if id.len() > MAX_ID_LEN {
            return;
        }
        let session = Arc::clone(session);
        let opened = Opened { by, expires_at, session, id: id.into(), principal: principal.cloned() };
        self.lock().insert(self.hasher.hash_one(id), opened);
    }

    fn lock(&self) -> MutexGuard<'_, Recent<Opened>> {
        // A cache: half a change is no worse than a lost one.
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether two texts are the same, in a time that does not tell how much of a guessed one is right.
fn is_same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use anypod_proto::legacy::InitializeRequestParams;
    use anypod_proto::seal::Ring;
    use anypod_proto::version::Version;
    use serde_json::json;

    use super::super::session::Session;
    use super::*;
    use crate::server::Server;
    use crate::tokens::Tokens;

    const NOW: UnixSeconds = UnixSeconds(100);
    const LATER: UnixSeconds = UnixSeconds(200);

    fn session() -> Arc<Known> {
        let server = Server::new("test", "1").build().unwrap();
        let info = json!({ "name": "a", "version": "1" });
        let params = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": info });
        let params: InitializeRequestParams = serde_json::from_value(params).unwrap();
        Arc::new(Session::new(&server, Version::V2025_11_25, &params).known())
    }

    /// One ring, and the next.
    fn generations() -> [Generation; 2] {
        let ring = Ring::generate([7; 32]);
        let tokens = Tokens::new(ring.clone(), "test");
        let first = tokens.generation();
        tokens.replace_ring(ring);
        [first, tokens.generation()]
    }

    #[test]
    fn finds_what_was_opened_for_the_same_caller_by_the_same_ring_until_it_expires() {
        let (remembered, session, [by, next]) = (Remembered::new(10), session(), generations());
        let alice = PrincipalId { iss: "i".to_owned(), sub: "alice".to_owned() };
        let mallory = PrincipalId { sub: "mallory".to_owned(), ..alice.clone() };
        let brought = Brought { id: "one", principal: Some(&alice) };
        assert!(remembered.find(brought, by, NOW).is_none());
        remembered.note(brought, by, LATER, &session);
        let found = remembered.find(brought, by, UnixSeconds(LATER.0 - 1)).unwrap();
        assert!(Arc::ptr_eq(&found, &session));
        assert!(remembered.find(brought, by, LATER).is_none(), "expired");
        assert!(remembered.find(brought, next, NOW).is_none(), "opened by another ring");
        for other in [
            Brought { id: "two", ..brought },
            Brought { principal: None, ..brought },
            Brought { principal: Some(&mallory), ..brought },
        ] {
            assert!(remembered.find(other, by, NOW).is_none(), "{other:?}");
        }
    }

    #[test]
    fn an_id_is_compared_as_a_whole() {
        for (a, b) in [("a", "b"), ("ab", "aa"), ("ab", "bb"), ("a", "ab"), ("ab", "a"), ("", "a")] {
            assert!(!is_same(a.as_bytes(), b.as_bytes()) && is_same(a.as_bytes(), a.as_bytes()));
        }
    }

    #[test]
    fn remembers_a_bounded_number_of_ids_of_bounded_length_and_keeps_what_is_used() {
        let (remembered, session, [by, _]) = (Remembered::new(10), session(), generations());
        let note = |id: &str| remembered.note(Brought { id, principal: None }, by, LATER, &session);
        let finds = |id: &str| remembered.find(Brought { id, principal: None }, by, NOW).is_some();
        note("used");
        for number in 0..100 {
            note(&number.to_string());
            assert!(finds("used"));
            assert!(remembered.lock().values().count() <= 10);
        }
        assert!(finds("99") && !finds("0"));
        let long = "a".repeat(MAX_ID_LEN + 1);
        note(&long);
        note(&long[1..]);
        assert!(!finds(&long) && finds(&long[1..]));
    }
}
