//! What one listener has not heard of yet.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::sync::Notify;

use super::in_process::{Seat, Subject};
use super::{Event, Receiver, SessionChange, Topic};

/// What a mailbox may hold of tasks, in bytes, before whoever puts more into it waits until the listener has read.
const TASK_BYTES: usize = 1 << 20;

/// What a listener asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interest {
    /// Changes of the list of tools.
    pub tools: bool,
    /// Changes of the list of prompts.
    pub prompts: bool,
    /// Changes of the list of resources.
    pub resources: bool,
    /// Changes of these resources.
    pub uris: BTreeSet<String>,
    /// Changes of these tasks.
    pub tasks: BTreeSet<String>,
    /// Changes of these topics of extensions.
    pub topics: BTreeSet<Topic>,
}

impl Interest {
    /// What events about it are about. Tasks are not among them, see [`Mailbox::put_task`].
    pub(super) fn subjects(&self) -> impl Iterator<Item = Subject> + '_ {
        let lists =
            [(self.tools, Subject::Tools), (self.prompts, Subject::Prompts), (self.resources, Subject::Resources)];
        let lists = lists.into_iter().filter_map(|(wanted, subject)| wanted.then_some(subject));
        let resources = self.uris.iter().map(|uri| Subject::Resource(uri.as_str().into()));
        let topics = self.topics.iter().map(|topic| Subject::Topic(Arc::new(topic.clone())));
        lists.chain(resources).chain(topics)
    }
}

/// What a listener has not heard of yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The list of tools changed.
    Tools,
    /// The list of prompts changed.
    Prompts,
    /// The list of resources changed.
    Resources,
    /// The resource of this URI changed.
    Resource(String),
    /// A task changed: the parameters of the notification, an object as JSON.
    Task(String),
    /// A topic of an extension changed.
    Topic(Topic),
}

/// Holds what one listener has not heard of yet.
#[derive(Debug)]
pub struct Mailbox {
    state: Mutex<State>,
    /// Whether there is room for more of tasks, for the one who waits for it.
    room: Notify,
}

#[derive(Debug)]
struct State {
    interest: Interest,
    /// Without tasks, of which more is held than a mark.
    marked: Interest,
    /// What tasks have become, by their ids.
    tasks: BTreeMap<String, String>,
    session: Option<u64>,
    max_uris: usize,
    /// Whether the session has changed what it wants.
    changed: bool,
    reader: Option<Waker>,
    over: bool,
    /// Where it is known what this wants, whenever nobody holds the lock.
    seats: Vec<Seat>,
}

impl Mailbox {
    /// A mailbox for a listener.
    pub fn new(interest: Interest) -> Arc<Self> {
        Self::with(interest, None, 0)
    }

    /// A mailbox for the stream of a legacy session, whose interest in resources changes by events.
    pub(crate) fn for_session(interest: Interest, session: u64, max_uris: usize) -> Arc<Self> {
        Self::with(interest, Some(session), max_uris)
    }

    fn with(interest: Interest, session: Option<u64>, max_uris: usize) -> Arc<Self> {
        let marked = Interest::default();
        let tasks = BTreeMap::new();
        let (changed, reader, over, seats) = (false, None, false, Vec::new());
        let state = State { interest, marked, tasks, session, max_uris, changed, reader, over, seats };
        Arc::new(Self { state: Mutex::new(state), room: Notify::new() })
    }

    /// Puts in what a task has become, if the listener asked for it: `params` is the object of the notification, as JSON. It
    /// takes the place of what was there of that task.
    pub fn put_task(&self, id: &str, params: String) {
        let mut state = self.lock();
        if !state.interest.tasks.contains(id) {
            return;
        }
        state.tasks.insert(id.to_owned(), params);
        if let Some(reader) = state.reader.take() {
            reader.wake();
        }
    }

    /// Waits until the listener has read so much that there is room for another task.
    pub async fn has_room(&self) {
        loop {
            let made = self.room.notified();
            if self.lock().tasks.values().map(String::len).sum::<usize>() < TASK_BYTES {
                return;
            }
            made.await;
        }
    }

    /// Ends the listener's stream: nothing more will come. What is in it is still read.
    pub fn close(&self) {
        let mut state = self.lock();
        state.over = true;
        if let Some(reader) = state.reader.take() {
            reader.wake();
        }
    }

    /// The next change; pending while there is none.
    pub fn poll_next(&self, cx: &Context<'_>) -> Poll<Change> {
        let mut state = self.lock();
        let marked = &mut state.marked;
        if std::mem::take(&mut marked.tools) {
            return Poll::Ready(Change::Tools);
        }
        if std::mem::take(&mut marked.prompts) {
            return Poll::Ready(Change::Prompts);
        }
        if std::mem::take(&mut marked.resources) {
            return Poll::Ready(Change::Resources);
        }
        if let Some(uri) = marked.uris.pop_first() {
            return Poll::Ready(Change::Resource(uri));
        }
        if let Some(topic) = marked.topics.pop_first() {
            return Poll::Ready(Change::Topic(topic));
        }
        if let Some((_, params)) = state.tasks.pop_first() {
            self.room.notify_one();
            return Poll::Ready(Change::Task(params));
        }
        state.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Adds topics that the listener is told of, and that may have changed just before.
    pub(crate) fn add_topics(&self, topics: BTreeSet<Topic>) {
        let mut state = self.lock();
        let subjects = || topics.iter().map(|topic| Subject::Topic(Arc::new(topic.clone())));
        state.seats.iter().for_each(|seat| seat.add(subjects()));
        state.marked.topics.extend(topics.iter().cloned());
        state.interest.topics.extend(topics);
        if let Some(reader) = state.reader.take() {
            reader.wake();
        }
    }

    /// Takes away what the listener is not told of after all.
    pub(crate) fn narrow(&self, interest: Interest) {
        let mut state = self.lock();
        let state = &mut *state;
        state.marked.tools &= interest.tools;
        state.marked.prompts &= interest.prompts;
        state.marked.resources &= interest.resources;
        state.marked.uris.retain(|uri| interest.uris.contains(uri));
        state.tasks.retain(|id, _| interest.tasks.contains(id));
        let (before, after): (BTreeSet<_>, BTreeSet<_>) =
            (state.interest.subjects().collect(), interest.subjects().collect());
        for seat in &state.seats {
            seat.remove(before.difference(&after));
            seat.add(after.difference(&before).cloned());
        }
        state.interest = interest;
    }

    /// Changes of lists come from elsewhere.
    pub(crate) fn leave_lists(&self) {
        let state = &mut *self.lock();
        if !(state.interest.tools || state.interest.prompts || state.interest.resources) {
            return;
        }
        let lists = [Subject::Tools, Subject::Prompts, Subject::Resources];
        state.seats.iter().for_each(|seat| seat.remove(&lists));
        for of in [&mut state.interest, &mut state.marked] {
            (of.tools, of.prompts, of.resources) = (false, false, false);
        }
    }

    /// The resources that the listener's session wants to hear of, if that has changed since it was asked for last.
    pub(crate) fn changed_resources(&self) -> Option<BTreeSet<String>> {
        let mut state = self.lock();
        std::mem::take(&mut state.changed).then(|| state.interest.uris.clone())
    }

    /// Whether nothing more will come, such as because the listener's session has ended.
    pub(crate) fn is_over(&self) -> bool {
        self.lock().over
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // Marks are independent of each other, so a panic in between leaves nothing inconsistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Receiver for Mailbox {
    /// Notes an event, if the listener asked for it.
    fn deliver(&self, event: &Event) {
        let mut state = self.lock();
        let state = &mut *state;
        let (interest, marked) = (&mut state.interest, &mut state.marked);
        match event {
            Event::ToolsChanged => marked.tools |= interest.tools,
            Event::PromptsChanged => marked.prompts |= interest.prompts,
            Event::ResourcesChanged => marked.resources |= interest.resources,
            Event::ResourceUpdated { uri } => {
                if interest.uris.contains(uri) {
                    marked.uris.insert(uri.clone());
                }
            }
            Event::Topic(topic) => {
                if interest.topics.contains(topic) {
                    marked.topics.insert(topic.clone());
                }
            }
            Event::Session { session, change } if state.session == Some(*session) => match change {
                SessionChange::Subscribe { uri } => {
                    if interest.uris.len() < state.max_uris {
                        state.seats.iter().for_each(|seat| seat.add([Subject::Resource(uri.as_str().into())]));
                        interest.uris.insert(uri.clone());
                        state.changed = true;
                    }
                }
                SessionChange::Unsubscribe { uri } => {
                    let subject = Subject::Resource(uri.as_str().into());
                    state.seats.iter().for_each(|seat| seat.remove([&subject]));
                    interest.uris.remove(uri);
                    marked.uris.remove(uri);
                    state.changed = true;
                }
                SessionChange::End => state.over = true,
                SessionChange::Level { .. } | SessionChange::Cancel { .. } => {}
            },
            Event::Session { .. } => {}
        }
        if (state.over || state.changed || *marked != Interest::default())
            && let Some(reader) = state.reader.take()
        {
            reader.wake();
        }
    }

    /// Events may have been lost: everything the listener asked for may have changed.
    fn gap(&self) {
        let mut state = self.lock();
        // What has become of a task only its server can say.
        state.marked = Interest { tasks: BTreeSet::new(), ..state.interest.clone() };
        if let Some(reader) = state.reader.take() {
            reader.wake();
        }
    }

    fn interest(&self) -> Interest {
        self.lock().interest.clone()
    }

    fn seated(&self, seat: Seat) {
        let mut state = self.lock();
        seat.add(state.interest.subjects().chain(state.session.map(Subject::Session)));
        state.seats.push(seat);
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future as _;

    use super::*;
    use crate::bus::{Bus as _, InProcess};

    fn drain(mailbox: &Mailbox) -> Vec<Change> {
        let mut changes = Vec::new();
        while let Poll::Ready(change) = mailbox.poll_next(&Context::from_waker(Waker::noop())) {
            changes.push(change);
        }
        changes
    }

    fn updated(uri: &str) -> Event {
        Event::ResourceUpdated { uri: uri.to_owned() }
    }

    fn attach(bus: &InProcess, mailbox: &Arc<Mailbox>) {
        let receiver = Arc::downgrade(mailbox);
        bus.attach(receiver);
    }

    #[tokio::test]
    async fn a_slow_listener_hears_each_change_once() {
        let bus = InProcess::default();
        let interest = Interest { tools: true, uris: ["a".to_owned()].into(), ..Interest::default() };
        let mailbox = Mailbox::new(interest);
        attach(&bus, &mailbox);
        for event in
            [Event::ToolsChanged, Event::ToolsChanged, Event::PromptsChanged, updated("a"), updated("a"), updated("b")]
        {
            bus.publish(event).await.unwrap();
        }
        assert_eq!(drain(&mailbox), [Change::Tools, Change::Resource("a".to_owned())]);
        assert_eq!(drain(&mailbox), []);
    }

    #[tokio::test]
    async fn a_gap_marks_everything_that_was_asked_for() {
        let mailbox = Mailbox::new(Interest { prompts: true, uris: ["a".to_owned()].into(), ..Interest::default() });
        mailbox.gap();
        assert_eq!(drain(&mailbox), [Change::Prompts, Change::Resource("a".to_owned())]);
    }

    #[tokio::test]
    async fn the_newest_of_each_task_is_kept_and_whoever_has_more_waits() {
        let interest = || Interest { tasks: ["a".to_owned(), "b".to_owned()].into(), ..Interest::default() };
        let mailbox = Mailbox::new(interest());
        for (id, params) in [("a", "1"), ("b", "2"), ("a", "3"), ("c", "4")] {
            mailbox.put_task(id, params.to_owned());
        }
        mailbox.gap();
        assert_eq!(drain(&mailbox), ["3", "2"].map(|params| Change::Task(params.to_owned())));
        mailbox.has_room().await;
        mailbox.put_task("a", " ".repeat(TASK_BYTES));
        let mut waits = std::pin::pin!(mailbox.has_room());
        assert!(waits.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert_eq!(drain(&mailbox).len(), 1);
        waits.await;
        mailbox.put_task("a", "5".to_owned());
        mailbox.narrow(Interest { tasks: ["b".to_owned()].into(), ..interest() });
        assert_eq!(drain(&mailbox), []);
    }

    #[tokio::test]
    async fn a_session_stream_follows_its_own_subscriptions_only() {
        let mailbox = Mailbox::for_session(Interest::default(), 7, 1);
        let subscribe =
            |session, uri: &str| Event::Session { session, change: SessionChange::Subscribe { uri: uri.to_owned() } };
        for event in [subscribe(8, "x"), subscribe(7, "a"), subscribe(7, "beyond the bound")] {
            mailbox.deliver(&event);
        }
        for uri in ["x", "a", "beyond the bound"] {
            mailbox.deliver(&updated(uri));
        }
        assert_eq!(drain(&mailbox), [Change::Resource("a".to_owned())]);
    }

    #[test]
    fn a_session_stream_learns_that_its_session_is_over() {
        let mailbox = Mailbox::for_session(Interest::default(), 7, 1);
        mailbox.deliver(&Event::Session { session: 8, change: SessionChange::End });
        assert!(!mailbox.is_over());
        mailbox.deliver(&Event::Session { session: 7, change: SessionChange::End });
        assert!(mailbox.is_over());
    }

    #[test]
    fn a_mailbox_says_what_it_wants_and_forgets_what_it_wants_no_more() {
        let mailbox = Mailbox::new(Interest { tools: true, uris: ["a".to_owned()].into(), ..Interest::default() });
        let receiver: &dyn Receiver = &*mailbox;
        assert_eq!(receiver.interest().uris, BTreeSet::from(["a".to_owned()]));
        receiver.deliver(&Event::ToolsChanged);
        receiver.deliver(&updated("a"));
        mailbox.narrow(Interest { tools: true, ..Interest::default() });
        assert_eq!(drain(&mailbox), [Change::Tools]);
        assert_eq!(receiver.interest(), Interest { tools: true, ..Interest::default() });
    }

    #[test]
    fn a_session_stream_learns_once_that_its_session_wants_something_else() {
        let mailbox = Mailbox::for_session(Interest::default(), 7, 1);
        assert_eq!(mailbox.changed_resources(), None);
        let subscribe = SessionChange::Subscribe { uri: "a".to_owned() };
        mailbox.deliver(&Event::Session { session: 7, change: subscribe });
        assert_eq!(mailbox.changed_resources(), Some(BTreeSet::from(["a".to_owned()])));
        assert_eq!(mailbox.changed_resources(), None);
    }
}
