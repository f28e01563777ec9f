//! The bus: how a change on one pod reaches the listeners of every pod.
//!
//! A bus carries [`Event`]s to [`Receiver`]s, most of them [`Mailbox`]es. What listeners may rely on is the mailbox's rule and the same
//! for every bus: a listener learns *that* something changed, not how often. Each mailbox holds at most one
//! mark per thing its listener asked for, so it is bounded by what was asked, a slow listener costs no
//! memory, and nothing it asked for is missed. A bus that may have lost events says so with
//! [`Receiver::gap`], which marks everything.
//!
//! What is told of a task says what it has become, for those who may know. That is no event for a bus: whoever has it puts it
//! into the mailbox of a listener ([`Mailbox::put_task`]), which keeps the newest of each task.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

/// What a mailbox may hold of tasks, in bytes, before whoever puts more into it waits until the listener has read.
const TASK_BYTES: usize = 1 << 20;

/// Something that every pod should hear of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "camelCase")]
pub enum Event {
    /// The list of tools changed.
    ToolsChanged,
    /// The list of prompts changed.
    PromptsChanged,
    /// The list of resources changed.
    ResourcesChanged,
    /// A resource changed.
    ResourceUpdated {
        /// Its URI.
        uri: String,
    },
    /// A topic of an extension changed, see [`Topics`](crate::Topics).
    Topic(Topic),
    /// A legacy session changed what it wants to hear.
    Session {
        /// Tells the session from others; not the session id itself.
        session: u64,
        /// What it wants.
        change: SessionChange,
    },
}

/// Something that an extension tells listeners of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Topic {
    /// The identifier of the extension.
    pub extension: String,
    /// What the extension calls it.
    pub topic: String,
}

/// What a legacy session can change after it was opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "camelCase")]
pub enum SessionChange {
    /// `logging/setLevel`, with the level's name.
    Level {
        /// The least severe level to be sent.
        level: String,
    },
    /// `resources/subscribe`.
    Subscribe {
        /// The resource.
        uri: String,
    },
    /// `resources/unsubscribe`.
    Unsubscribe {
        /// The resource.
        uri: String,
    },
    /// `notifications/cancelled`, with the raw JSON of the request's id.
    Cancel {
        /// The request.
        request: String,
    },
    /// DELETE: the session is over.
    End,
}

/// Why an event did not get through.
#[derive(Debug, thiserror::Error)]
#[error("the bus is unavailable: {0}")]
pub struct BusError(pub String);

/// A bus.
pub trait Bus: Send + Sync + 'static {
    /// Carries an event to the receivers of every pod, this one's included.
    fn publish(&self, event: Event) -> Pin<Box<dyn Future<Output = Result<(), BusError>> + Send + '_>>;

    /// Delivers to this receiver from now on, until it is dropped.
    fn attach(&self, receiver: Weak<dyn Receiver>);

    /// Whether what is published here reaches every pod of the fleet. If not, a server whose keys others may
    /// have does not promise its legacy clients what only a fleet can keep, such as the end of a session.
    fn is_shared(&self) -> bool {
        false
    }

    /// How long it takes, as a rule, until every pod has heard what was published. What may be told only then waits so long,
    /// such as that a session has ended.
    fn spread(&self) -> Duration {
        Duration::ZERO
    }
}

/// Something that a bus delivers to. Must not block: it is called on the way of every event.
pub trait Receiver: Send + Sync + 'static {
    /// Takes note of an event.
    fn deliver(&self, event: &Event);

    /// Events may have been lost since the last one.
    fn gap(&self);

    /// The changes that it wants to hear of, for a bus that has to fetch them from elsewhere. None by default; events
    /// about sessions go to every receiver.
    fn interest(&self) -> Interest {
        Interest::default()
    }
}

impl<B: Bus + ?Sized> Bus for Arc<B> {
    fn publish(&self, event: Event) -> Pin<Box<dyn Future<Output = Result<(), BusError>> + Send + '_>> {
        (**self).publish(event)
    }

    fn attach(&self, receiver: Weak<dyn Receiver>) {
        (**self).attach(receiver);
    }

    fn is_shared(&self) -> bool {
        (**self).is_shared()
    }

    fn spread(&self) -> Duration {
        (**self).spread()
    }
}

/// The bus of one process: what is published here is heard here, and nowhere else.
#[derive(Default)]
pub struct InProcess {
    receivers: Mutex<Vec<Weak<dyn Receiver>>>,
}

impl InProcess {
    /// Delivers an event to the receivers of this process.
    pub fn deliver(&self, event: &Event) {
        self.each(|receiver| receiver.deliver(event));
    }

    /// Tells the receivers of this process that events may have been lost.
    pub fn gap(&self) {
        self.each(Receiver::gap);
    }

    fn each(&self, act: impl Fn(&dyn Receiver)) {
        let mut receivers = self.receivers.lock().unwrap_or_else(PoisonError::into_inner);
        receivers.retain(|receiver| match receiver.upgrade() {
            Some(receiver) => {
                act(&*receiver);
                true
            }
            None => false,
        });
    }
}

impl Bus for InProcess {
    fn publish(&self, event: Event) -> Pin<Box<dyn Future<Output = Result<(), BusError>> + Send + '_>> {
        self.deliver(&event);
        Box::pin(std::future::ready(Ok(())))
    }

    fn attach(&self, receiver: Weak<dyn Receiver>) {
        let mut receivers = self.receivers.lock().unwrap_or_else(PoisonError::into_inner);
        if receivers.len() == receivers.capacity() {
            receivers.retain(|receiver| receiver.strong_count() > 0);
        }
        receivers.push(receiver);
    }
}

impl std::fmt::Debug for InProcess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InProcess").finish_non_exhaustive()
    }
}

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
        let state = State { interest, marked, tasks, session, max_uris, changed: false, reader: None, over: false };
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
        state.interest = interest;
    }

    /// Changes of lists come from elsewhere.
    pub(crate) fn leave_lists(&self) {
        let state = &mut *self.lock();
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
                        interest.uris.insert(uri.clone());
                        state.changed = true;
                    }
                }
                SessionChange::Unsubscribe { uri } => {
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
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[tokio::test]
    async fn a_dropped_mailbox_is_forgotten() {
        let bus = InProcess::default();
        attach(&bus, &Mailbox::new(Interest::default()));
        bus.publish(Event::ToolsChanged).await.unwrap();
        assert!(bus.receivers.lock().unwrap().is_empty());
    }
}
