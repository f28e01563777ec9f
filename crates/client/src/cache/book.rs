//! What a cache has to note at once, before any store has heard of it: changes, what is under way, and who waits for it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use anypod_proto::method::Method;
use tokio::sync::watch;

use super::Fetched;
use super::key::Key;
use crate::error::{Broken, Error};
use crate::exchange::Raw;

/// Counters of changes. Two URIs that fall into one share the fate that an answer under way is not kept, no more.
const COUNTERS: usize = 64;
/// Beginnings of keys that a store has yet to forget. Beyond, it forgets everything of the server.
const MOST_DIRTY: usize = 256;

/// How much has happened to what a key is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Stamp {
    /// How often the server said that it has changed.
    pub(super) changed: u64,
    /// How often it was asked for anew, whatever is kept.
    asked: u64,
}

/// What the one who asks tells those who wait.
#[derive(Clone)]
pub(super) enum Shared {
    /// The result.
    Result(Fetched<Raw>),
    /// The server failed, for whoever asks.
    Failed(Arc<Error>),
    /// What came is for the asker only.
    Alone,
}

type Told = watch::Receiver<Option<Shared>>;

struct Flight {
    number: u64,
    stamp: Stamp,
    told: Told,
}

/// What a request has to do.
pub(super) enum Turn {
    /// Ask, and tell the others.
    Lead(u64, watch::Sender<Option<Shared>>),
    /// Wait for the one who asks.
    Wait(Told),
    /// Ask for itself: what comes is likely not for sharing.
    Alone,
}

pub(super) struct Book {
    stamps: [Stamp; COUNTERS],
    flights: HashMap<Key, Flight>,
    numbers: u64,
    /// Methods whose last answer was not for keeping.
    unkept: HashSet<Method>,
    /// What the store has yet to forget, and since which change.
    dirty: BTreeMap<String, u64>,
}

impl Book {
    pub(super) fn new() -> Self {
        Self {
            stamps: [Stamp::default(); COUNTERS],
            flights: HashMap::new(),
            numbers: 0,
            unkept: HashSet::new(),
            dirty: BTreeMap::new(),
        }
    }

    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    pub(super) const fn stamp(&self, counter: usize) -> Stamp {
        self.stamps[counter]
    }

    pub(super) const fn change(&mut self, counter: usize) {
        self.stamps[counter].changed += 1;
    }

    pub(super) fn change_all(&mut self) {
        self.stamps.iter_mut().for_each(|stamp| stamp.changed += 1);
    }

    /// Who asks for a key anew makes what others are being answered old, its own flight excepted.
    pub(super) fn ask_anew(&mut self, key: &Key, leads: Option<u64>) {
        let stamp = &mut self.stamps[counter_of(key)];
        stamp.asked += 1;
        if let Some(flight) = self.flights.get_mut(key).filter(|flight| Some(flight.number) == leads) {
            flight.stamp = *stamp;
        }
    }

    /// Whether to ask for a key, or to wait for who does.
    pub(super) fn join(&mut self, key: &Key) -> Turn {
        let stamp = self.stamp(counter_of(key));
        match self.flights.get(key) {
            Some(flight) if flight.stamp == stamp && self.unkept.contains(&key.method) => return Turn::Alone,
            Some(flight) if flight.stamp == stamp => return Turn::Wait(flight.told.clone()),
            // What comes there was asked for before the change.
            Some(_) | None => {}
        }
        let (tell, told) = watch::channel(None);
        let number = self.number();
        self.flights.insert(key.clone(), Flight { number, stamp, told });
        Turn::Lead(number, tell)
    }

    /// The one who led is done, or gone.
    pub(super) fn leave(&mut self, key: &Key, number: u64) {
        if self.flights.get(key).is_some_and(|flight| flight.number == number) {
            self.flights.remove(key);
        }
    }

    pub(super) fn note_kept(&mut self, method: Method, kept: bool) {
        match kept {
            true => self.unkept.remove(&method),
            false => self.unkept.insert(method),
        };
    }

    /// Has a store forget what begins with this; `whole` is what everything begins with.
    pub(super) fn soil(&mut self, beginning: String, whole: &str) {
        let number = self.number();
        if self.dirty.len() >= MOST_DIRTY {
            self.dirty.clear();
            self.dirty.insert(whole.to_owned(), number);
        } else {
            self.dirty.insert(beginning, number);
        }
    }

    pub(super) fn is_dirty(&self, text: &str) -> bool {
        self.dirty.keys().any(|beginning| text.starts_with(beginning.as_str()))
    }

    pub(super) fn dirty(&self) -> (Vec<String>, Vec<u64>) {
        self.dirty.iter().map(|(beginning, number)| (beginning.clone(), *number)).unzip()
    }

    /// The store has forgotten these. What was soiled again since stays.
    pub(super) fn clean(&mut self, beginnings: &[String], numbers: &[u64]) {
        for (beginning, number) in beginnings.iter().zip(numbers) {
            if self.dirty.get(beginning) == Some(number) {
                self.dirty.remove(beginning);
            }
        }
    }
}

/// The counter of a key: that of its list, or of its URI.
pub(super) fn counter_of(key: &Key) -> usize {
    counter(key.method, key.subject.as_deref().filter(|_| key.method == Method::ResourcesRead))
}

pub(super) fn counter(method: Method, uri: Option<&str>) -> usize {
    let mut hasher = DefaultHasher::new();
    (method, uri).hash(&mut hasher);
    usize::try_from(hasher.finish() % COUNTERS as u64).unwrap_or_default()
}

/// The same failure for another who would have asked the same at the same time. `None` where it was the asker's own.
pub(super) fn same(error: &Error) -> Option<Error> {
    let text = |source: &crate::error::Source| source.to_string().into();
    Some(match error {
        Error::Answered(error) => Error::Answered(error.clone()),
        Error::Unauthorized(challenge) => Error::Unauthorized(challenge.clone()),
        Error::Refused { status, excerpt, retry_after } => {
            Error::Refused { status: *status, excerpt: excerpt.clone(), retry_after: *retry_after }
        }
        Error::Broken(broken) => Error::Broken(Broken::clone(broken)),
        Error::Unreachable { origin, source } => Error::unreachable(origin.clone(), text(source)),
        Error::Lost { source } => Error::Lost { source: text(source) },
        Error::OutcomeUnknown { .. }
        | Error::TimedOut(_)
        | Error::Cancelled
        | Error::TooManyRounds(_)
        | Error::NoAnswerer(_)
        | Error::Answerer(_)
        | Error::Task { .. }
        | Error::Tool(_)
        | Error::Busy(_)
        | Error::Misuse(_) => return None,
    })
}
