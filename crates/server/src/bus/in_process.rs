//! The bus of one process, and the index by which it finds whom an event is for.
//!
//! An event costs those who want it and nobody else, however many are attached. What a receiver wants it says at its [`Seat`], now and
//! whenever that changes; with the seat it leaves.
//!
//! Locks have an order: a receiver's own, then that of the index. A receiver that changes what it wants holds its own while it tells its
//! seats, so that the two never differ. The bus holds the index only to find out who is meant: nobody is called meanwhile, and no
//! receiver dropped, so that one that is called may use the bus.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::{Bus, BusError, Event, Receiver, Topic};

/// How many receivers there are at least before it is looked for those that are gone without a word, and for how many subjects
/// there is always room.
const FEW: usize = 16;

/// The bus of one process: what is published here is heard here, and nowhere else.
///
/// What is published one after the other reaches a receiver in that order; of what is published at once either may come first.
#[derive(Default)]
pub struct InProcess {
    index: Arc<Mutex<Index>>,
}

/// A receiver's place on the bus of a process, given to it by [`Receiver::seated`]. Events are not delivered there any more when
/// it is dropped.
#[must_use = "nothing is delivered to who does not keep it"]
pub struct Seat {
    index: Weak<Mutex<Index>>,
    number: u64,
}

/// What an event is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Subject {
    /// The list of tools.
    Tools,
    /// The list of prompts.
    Prompts,
    /// The list of resources.
    Resources,
    /// The resource of this URI.
    Resource(Arc<str>),
    /// A topic of an extension.
    Topic(Arc<Topic>),
    /// One legacy session.
    Session(u64),
    /// Any legacy session.
    Sessions,
    /// Anything.
    Everything,
}

/// Who is attached, and who of them wants what.
#[derive(Default)]
struct Index {
    /// By their numbers, and so in the order in which they were attached.
    seats: BTreeMap<u64, Seated>,
    /// None is empty.
    wanted: HashMap<Subject, BTreeMap<u64, Weak<dyn Receiver>>>,
    /// The number of the next one.
    next: u64,
    /// With how many receivers it is looked next for those that are gone without a word.
    crowd: usize,
}

struct Seated {
    receiver: Weak<dyn Receiver>,
    wants: BTreeSet<Subject>,
}

impl InProcess {
    /// Delivers an event to those receivers of this process that want it.
    pub fn deliver(&self, event: &Event) {
        let receivers = lock(&self.index).who_wants(event);
        receivers.iter().for_each(|receiver| receiver.deliver(event));
    }

    /// Tells the receivers of this process that events may have been lost.
    pub fn gap(&self) {
        let receivers = lock(&self.index).all();
        receivers.iter().for_each(|receiver| receiver.gap());
    }
}

impl Bus for InProcess {
    fn publish(&self, event: Event) -> Pin<Box<dyn Future<Output = Result<(), BusError>> + Send + '_>> {
        self.deliver(&event);
        Box::pin(std::future::ready(Ok(())))
    }

    fn attach(&self, receiver: Weak<dyn Receiver>) {
        let Some(attached) = receiver.upgrade() else { return };
        let number = lock(&self.index).enter(receiver);
        attached.seated(Seat { index: Arc::downgrade(&self.index), number });
    }
}

impl Seat {
    /// Has everything delivered for as long as the receiver is there. That it is gone is noticed with a later event, or when others
    /// attach.
    pub fn hear_everything(mut self) {
        self.add([Subject::Everything]);
        self.index = Weak::new();
    }

    /// Has events about these delivered, too.
    pub(crate) fn add(&self, subjects: impl IntoIterator<Item = Subject>) {
        let Some(index) = self.index.upgrade() else { return };
        let mut index = lock(&index);
        subjects.into_iter().for_each(|subject| index.add(self.number, subject));
    }

    /// Has events about these not delivered any more.
    pub(crate) fn remove<'a>(&self, subjects: impl IntoIterator<Item = &'a Subject>) {
        let Some(index) = self.index.upgrade() else { return };
        let mut index = lock(&index);
        subjects.into_iter().for_each(|subject| index.remove(self.number, subject));
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(index) = self.index.upgrade() {
            lock(&index).leave(self.number);
        }
    }
}

impl Index {
    fn enter(&mut self, receiver: Weak<dyn Receiver>) -> u64 {
        if self.seats.len() >= self.crowd {
            self.forget_who_is_gone();
            self.crowd = (self.seats.len() * 2).max(FEW);
        }
        let number = self.next;
        self.next += 1;
        self.seats.insert(number, Seated { receiver, wants: BTreeSet::new() });
        number
    }

    fn leave(&mut self, number: u64) {
        let Some(seated) = self.seats.remove(&number) else { return };
        seated.wants.iter().for_each(|subject| self.unlist(number, subject));
    }

    fn forget_who_is_gone(&mut self) {
        let is_gone = |(number, seated): (&u64, &Seated)| (seated.receiver.strong_count() == 0).then_some(*number);
        let gone: Vec<_> = self.seats.iter().filter_map(is_gone).collect();
        gone.into_iter().for_each(|number| self.leave(number));
    }

    fn add(&mut self, number: u64, subject: Subject) {
        let Some(seated) = self.seats.get_mut(&number) else { return };
        let wanted = self.wanted.entry(subject);
        // One text for all who want the same.
        seated.wants.insert(wanted.key().clone());
        wanted.or_default().insert(number, Weak::clone(&seated.receiver));
    }

    fn remove(&mut self, number: u64, subject: &Subject) {
        if self.seats.get_mut(&number).is_some_and(|seated| seated.wants.remove(subject)) {
            self.unlist(number, subject);
        }
    }

    fn unlist(&mut self, number: u64, subject: &Subject) {
        if let Some(receivers) = self.wanted.get_mut(subject) {
            receivers.remove(&number);
            if receivers.is_empty() {
                self.wanted.remove(subject);
                self.give_room_back();
            }
        }
    }

    /// So that a crowd that has gone leaves no room behind. Seldom enough for what it costs.
    fn give_room_back(&mut self) {
        let least = self.wanted.len().max(FEW);
        if self.wanted.capacity() / 8 > least {
            self.wanted.shrink_to(2 * least);
        }
    }

    /// Those whom an event is for.
    fn who_wants(&mut self, event: &Event) -> Vec<Arc<dyn Receiver>> {
        let subject = Subject::of(event);
        let sessions = matches!(subject, Subject::Session(_)).then_some(Subject::Sessions);
        let subjects = [Some(subject), sessions, Some(Subject::Everything)];
        let lists: Vec<_> = subjects.iter().flatten().filter_map(|subject| self.wanted.get(subject)).collect();
        let (present, gone) = match lists.as_slice() {
            [] => return Vec::new(),
            [list] => present(list.iter()),
            lists => {
                let all: BTreeMap<_, _> = lists.iter().copied().flatten().collect();
                present(all)
            }
        };
        gone.into_iter().for_each(|number| self.leave(number));
        present
    }

    fn all(&mut self) -> Vec<Arc<dyn Receiver>> {
        let (present, gone) = present(self.seats.iter().map(|(number, seated)| (number, &seated.receiver)));
        gone.into_iter().for_each(|number| self.leave(number));
        present
    }
}

/// Those receivers that are still there, and the numbers of the others.
fn present<'a>(
    receivers: impl IntoIterator<Item = (&'a u64, &'a Weak<dyn Receiver>)>,
) -> (Vec<Arc<dyn Receiver>>, Vec<u64>) {
    let (mut present, mut gone) = (Vec::new(), Vec::new());
    for (number, receiver) in receivers {
        match receiver.upgrade() {
            Some(receiver) => present.push(receiver),
            None => gone.push(*number),
        }
    }
    (present, gone)
}

impl Subject {
    fn of(event: &Event) -> Self {
        match event {
            Event::ToolsChanged => Self::Tools,
            Event::PromptsChanged => Self::Prompts,
            Event::ResourcesChanged => Self::Resources,
            Event::ResourceUpdated { uri } => Self::Resource(uri.as_str().into()),
            Event::Topic(topic) => Self::Topic(Arc::new(topic.clone())),
            Event::Session { session, .. } => Self::Session(*session),
        }
    }
}

fn lock(index: &Mutex<Index>) -> MutexGuard<'_, Index> {
    // Nothing in here calls what could panic halfway, apart from memory that runs out.
    index.lock().unwrap_or_else(PoisonError::into_inner)
}

impl std::fmt::Debug for InProcess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InProcess").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Seat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Seat").field(&self.number).finish()
    }
}

#[cfg(test)]
mod tests;
