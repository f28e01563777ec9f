//! What a legacy session can change after it was opened, and how it is kept without a session.
//!
//! A session id cannot change once it is given, so what changes later travels on the bus as
//! [`crate::Event::Session`], and every pod that hears of it remembers it as well as it can. With the bus of
//! one process that is this pod; with a shared bus it is the fleet. Nothing depends on it being remembered:
//!
//! | what | a pod that has not heard of it, or has forgotten it |
//! |---|---|
//! | `logging/setLevel` | sends every level, as before a client asks for one |
//! | `resources/subscribe` | sends no updates of the resource to streams that are opened later |
//! | `resources/unsubscribe` | open streams follow it; later ones never knew of the subscription |
//! | DELETE | still takes the session's requests, until it expires |
//! | `notifications/cancelled` | lets the call go on, as a client must expect |
//!
//! Updates of the list of tools and its like need no memory: every stream hears of them.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anypod_proto::logging::LoggingLevel;

use super::recent::{Recent, Weigh};
use crate::bus::SessionChange;
use crate::limits::Limits;

/// The longest URI that can be subscribed to, in bytes; what is remembered must be bounded.
pub(crate) const MAX_URI_LEN: usize = 2048;

/// What this pod remembers of sessions. A cache: see the module's documentation.
#[derive(Debug)]
pub(crate) struct Memory {
    session_resources: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    settings: Recent<Settings>,
    ended: Recent<()>,
}

#[derive(Debug, Default)]
struct Settings {
    level: Option<LoggingLevel>,
    /// What was subscribed to, and what makes a backend listen to it.
    uris: BTreeMap<String, Keep>,
}

type Keep = Option<Box<dyn Any + Send>>;

impl Memory {
    pub(crate) fn new(limits: &Limits) -> Self {
        let settings = Recent::new(limits.remembered_sessions);
        let ended = Recent::new(limits.remembered_sessions);
        Self { session_resources: limits.session_resources, state: Mutex::new(State { settings, ended }) }
    }

    /// Remembers a change.
    pub(crate) fn note(&self, session: u64, change: &SessionChange) {
        let mut state = self.lock();
        match change {
            SessionChange::Level { level } => state.settings.entry(session).level = LoggingLevel::parse(level),
            SessionChange::Subscribe { uri } => {
                self.subscription(&mut state, session, uri);
            }
            SessionChange::Unsubscribe { uri } => {
                if let Some(settings) = state.settings.find(session) {
                    settings.uris.remove(uri);
                }
            }
            SessionChange::End => {
                state.settings.remove(session);
                state.ended.entry(session);
            }
            SessionChange::Cancel { .. } => {}
        }
    }

    /// Remembers a subscription, and as long as that what makes a backend listen to the resource.
    pub(crate) fn hold(&self, session: u64, uri: &str, keep: Box<dyn Any + Send>) {
        if let Some(held) = self.subscription(&mut self.lock(), session, uri) {
            *held = Some(keep);
        }
    }

    /// The entry of a subscription, unless there are too many.
    fn subscription<'s>(&self, state: &'s mut State, session: u64, uri: &str) -> Option<&'s mut Keep> {
        let uris = &mut state.settings.entry(session).uris;
        if !uris.contains_key(uri) {
            if uris.len() >= self.session_resources || uri.len() > MAX_URI_LEN {
                return None;
            }
            uris.insert(uri.to_owned(), None);
            state.settings.grow(1);
        }
        state.settings.find(session)?.uris.get_mut(uri)
    }

    /// The least severe level that the session wants, if this pod has heard of one.
    pub(crate) fn level(&self, session: u64) -> Option<LoggingLevel> {
        self.lock().settings.find(session)?.level
    }

    /// The resources that the session has subscribed to, as far as this pod has heard.
    pub(crate) fn subscriptions(&self, session: u64) -> BTreeSet<String> {
        self.lock().settings.find(session).map(|settings| settings.uris.keys().cloned().collect()).unwrap_or_default()
    }

    /// Whether this pod has heard that the session has ended.
    pub(crate) fn has_ended(&self, session: u64) -> bool {
        self.lock().ended.find(session).is_some()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A cache: half a change is no worse than a lost one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Weigh for Settings {
    fn weight(&self) -> usize {
        1 + self.uris.len()
    }
}

impl Weigh for () {
    fn weight(&self) -> usize {
        1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(remembered_sessions: usize) -> Memory {
        Memory::new(&Limits { remembered_sessions, session_resources: 2, ..Limits::default() })
    }

    fn subscribe(uri: &str) -> SessionChange {
        SessionChange::Subscribe { uri: uri.to_owned() }
    }

    #[test]
    fn remembers_what_a_session_last_asked_for() {
        let memory = memory(10);
        assert_eq!(memory.level(1), None);
        for level in ["debug", "error"] {
            memory.note(1, &SessionChange::Level { level: level.to_owned() });
        }
        for uri in ["a", "b", "beyond the bound"] {
            memory.note(1, &subscribe(uri));
        }
        memory.note(1, &SessionChange::Unsubscribe { uri: "a".to_owned() });
        assert_eq!(memory.level(1), Some(LoggingLevel::Error));
        assert_eq!(memory.subscriptions(1), BTreeSet::from(["b".to_owned()]));
        assert_eq!(memory.level(2), None);
    }

    #[test]
    fn forgets_the_settings_of_a_session_that_ends_and_knows_that_it_has() {
        let memory = memory(10);
        memory.note(1, &subscribe("a"));
        memory.note(1, &SessionChange::End);
        assert!(memory.has_ended(1) && !memory.has_ended(2));
        assert_eq!(memory.subscriptions(1), BTreeSet::new());
    }

    #[test]
    fn stays_within_its_bounds_and_keeps_what_is_used() {
        let memory = memory(20);
        for session in 0..1000 {
            memory.note(session, &subscribe("a"));
            assert_eq!(memory.subscriptions(0).len(), 1, "used all the time: {session}");
            let state = memory.lock();
            assert!(state.settings.values().count() <= 20);
        }
        assert_eq!(memory.subscriptions(1).len(), 0);
    }

    #[test]
    fn subscriptions_count_as_well_as_sessions() {
        let memory = memory(8);
        for session in 0..100 {
            for uri in ["a", "b"] {
                memory.note(session, &subscribe(uri));
            }
            let state = memory.lock();
            let uris: usize = state.settings.values().map(|s| s.uris.len()).sum();
            assert!(uris <= 2 * (4 + 2), "{uris}");
        }
    }

    #[test]
    fn subscriptions_keep_their_weight_while_they_are_used() {
        let memory = Memory::new(&Limits { remembered_sessions: 100, session_resources: 10, ..Limits::default() });
        for session in 0..200 {
            (0..10).for_each(|uri| memory.note(session, &subscribe(&uri.to_string())));
            for earlier in 0..session {
                memory.level(earlier);
            }
            let state = memory.lock();
            let uris: usize = state.settings.values().map(|s| s.uris.len()).sum();
            assert!(uris <= 2 * (50 + 10), "{uris}");
        }
    }
}
