//! The index against a list in which everybody is told of everything, and what it costs.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::task::{Context, Poll, Waker};

use proptest::prelude::*;

use super::*;
use crate::bus::{Change, Interest, Mailbox, SessionChange, Topic};

/// How many listeners one pod may well have.
const MANY: usize = 10_000;

/// Counts what is delivered to it.
#[derive(Default)]
struct Counter {
    wants: Vec<Subject>,
    delivered: AtomicUsize,
    gaps: AtomicUsize,
    seat: Mutex<Option<Seat>>,
}

impl Receiver for Counter {
    fn deliver(&self, _: &Event) {
        self.delivered.fetch_add(1, Ordering::Relaxed);
    }

    fn gap(&self) {
        self.gaps.fetch_add(1, Ordering::Relaxed);
    }

    fn seated(&self, seat: Seat) {
        seat.add(self.wants.clone());
        *self.seat.lock().unwrap() = Some(seat);
    }
}

/// Is one of another crate, which knows nothing of seats.
#[derive(Default)]
struct Foreign(AtomicUsize);

impl Receiver for Foreign {
    fn deliver(&self, _: &Event) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn gap(&self) {}
}

fn attach<R: Receiver>(bus: &InProcess, receiver: &Arc<R>) {
    let receiver = Arc::downgrade(receiver);
    bus.attach(receiver);
}

fn resource(uri: &str) -> Event {
    Event::ResourceUpdated { uri: uri.to_owned() }
}

fn topic(name: &str) -> Topic {
    Topic { extension: "com.example/x".to_owned(), topic: name.to_owned() }
}

fn session(session: u64, change: SessionChange) -> Event {
    Event::Session { session, change }
}

fn subscribe(number: u64, uri: &str) -> Event {
    session(number, SessionChange::Subscribe { uri: uri.to_owned() })
}

fn unsubscribe(number: u64, uri: &str) -> Event {
    session(number, SessionChange::Unsubscribe { uri: uri.to_owned() })
}

fn drain(mailbox: &Mailbox) -> Vec<Change> {
    let mut changes = Vec::new();
    while let Poll::Ready(change) = mailbox.poll_next(&Context::from_waker(Waker::noop())) {
        changes.push(change);
    }
    changes
}

/// Whom events go to, as long as nobody hears everything.
fn listed(bus: &InProcess) -> BTreeSet<(Subject, u64)> {
    let index = lock(&bus.index);
    let listed: BTreeSet<_> = index
        .wanted
        .iter()
        .flat_map(|(subject, receivers)| receivers.keys().map(|number| (subject.clone(), *number)))
        .collect();
    let wants = index.seats.iter().flat_map(|(number, seated)| seated.wants.iter().map(|it| (it.clone(), *number)));
    assert_eq!(listed, wants.collect::<BTreeSet<_>>(), "the two sides of the index differ");
    assert!(index.wanted.values().all(|receivers| !receivers.is_empty()));
    listed
}

fn is_empty(bus: &InProcess) -> bool {
    let index = lock(&bus.index);
    index.seats.is_empty() && index.wanted.is_empty()
}

#[test]
fn an_event_calls_those_who_asked_for_it_and_nobody_else() {
    let bus = InProcess::default();
    let counters: Vec<_> = (0..MANY)
        .map(|n| {
            let resource = Subject::Resource(format!("file:///{n}").into());
            let wants = vec![resource, Subject::Topic(Arc::new(topic(&n.to_string()))), Subject::Session(n as u64)];
            Arc::new(Counter { wants, ..Counter::default() })
        })
        .collect();
    counters.iter().for_each(|counter| attach(&bus, counter));
    let front = Arc::new(Counter { wants: vec![Subject::Sessions], ..Counter::default() });
    attach(&bus, &front);
    let called = || counters.iter().map(|counter| counter.delivered.load(Ordering::Relaxed)).sum::<usize>();
    bus.deliver(&resource("file:///77"));
    assert_eq!((called(), counters[77].delivered.load(Ordering::Relaxed)), (1, 1));
    bus.deliver(&Event::Topic(topic("78")));
    assert_eq!((called(), counters[78].delivered.load(Ordering::Relaxed)), (2, 1));
    bus.deliver(&session(79, SessionChange::End));
    assert_eq!((called(), counters[79].delivered.load(Ordering::Relaxed)), (3, 1));
    for event in [Event::ToolsChanged, resource("file:///none"), session(MANY as u64, SessionChange::End)] {
        bus.deliver(&event);
    }
    assert_eq!((called(), front.delivered.load(Ordering::Relaxed)), (3, 2));
    bus.gap();
    assert!(counters.iter().chain([&front]).all(|counter| counter.gaps.load(Ordering::Relaxed) == 1));
}

#[test]
fn who_comes_and_goes_leaves_nothing_behind() {
    let bus = InProcess::default();
    for n in 0..MANY as u64 {
        let interest = Interest { tools: true, uris: [n.to_string()].into(), ..Interest::default() };
        let mailbox = Mailbox::for_session(interest, n, 8);
        attach(&bus, &mailbox);
        mailbox.add_topics([topic("a")].into());
        bus.deliver(&subscribe(n, "another"));
        assert_eq!(listed(&bus).len(), 5);
        drop(mailbox);
        assert!(is_empty(&bus));
    }
    let interest = |n: usize| Interest { uris: [n.to_string()].into(), ..Interest::default() };
    let crowd: Vec<_> = (0..MANY).map(|n| Mailbox::new(interest(n))).collect();
    crowd.iter().for_each(|mailbox| attach(&bus, mailbox));
    assert!(lock(&bus.index).wanted.capacity() >= MANY);
    drop(crowd);
    assert!(is_empty(&bus) && lock(&bus.index).wanted.capacity() <= 16 * FEW, "there is room for those who have gone");
}

#[test]
fn who_knows_nothing_of_seats_hears_everything_until_it_is_gone() {
    let bus = InProcess::default();
    let foreign = Arc::new(Foreign::default());
    attach(&bus, &foreign);
    for event in [Event::ToolsChanged, resource("a"), Event::Topic(topic("t")), subscribe(1, "a")] {
        bus.deliver(&event);
    }
    assert_eq!(foreign.0.load(Ordering::Relaxed), 4);
    // Those who attach notice who has gone, and so does an event.
    for _ in 0..MANY {
        attach(&bus, &Arc::new(Foreign::default()));
    }
    assert!(lock(&bus.index).seats.len() <= 2 * FEW);
    bus.deliver(&Event::ToolsChanged);
    assert_eq!(lock(&bus.index).seats.len(), 1);
    assert_eq!(foreign.0.load(Ordering::Relaxed), 5);
    attach(&bus, &foreign);
    drop(foreign);
    bus.gap();
    assert!(is_empty(&bus));
}

#[test]
fn a_mailbox_that_outlives_its_bus_goes_on() {
    let mailbox = Mailbox::for_session(Interest::default(), 1, 8);
    let bus = InProcess::default();
    attach(&bus, &mailbox);
    drop(bus);
    mailbox.deliver(&subscribe(1, "a"));
    mailbox.deliver(&resource("a"));
    assert_eq!(drain(&mailbox), [Change::Resource("a".to_owned())]);
}

#[test]
fn what_is_wanted_changes_with_the_mailbox() {
    let bus = InProcess::default();
    let interest = Interest { tools: true, uris: ["a".to_owned(), "b".to_owned()].into(), ..Interest::default() };
    let mailbox = Mailbox::for_session(interest, 1, 3);
    attach(&bus, &mailbox);
    let subjects = || listed(&bus).into_iter().map(|(subject, _)| subject).collect::<BTreeSet<_>>();
    let named = |uris: &[&str]| uris.iter().map(|uri| Subject::Resource((*uri).into())).collect::<BTreeSet<_>>();
    let also = |uris: &[&str], others: &[Subject]| &named(uris) | &others.iter().cloned().collect();
    assert_eq!(subjects(), also(&["a", "b"], &[Subject::Tools, Subject::Session(1)]));
    for (event, uris) in [
        (subscribe(1, "c"), &["a", "b", "c"][..]),
        (subscribe(1, "beyond the bound"), &["a", "b", "c"]),
        (subscribe(2, "of another session"), &["a", "b", "c"]),
        (unsubscribe(1, "a"), &["b", "c"]),
        (unsubscribe(1, "never there"), &["b", "c"]),
    ] {
        bus.deliver(&event);
        assert_eq!(subjects(), also(uris, &[Subject::Tools, Subject::Session(1)]), "{event:?}");
    }
    mailbox.leave_lists();
    assert_eq!(subjects(), also(&["b", "c"], &[Subject::Session(1)]));
    mailbox.narrow(Interest { uris: ["c".to_owned()].into(), ..Interest::default() });
    let of_topic = Subject::Topic(Arc::new(topic("t")));
    mailbox.add_topics([topic("t")].into());
    assert_eq!(subjects(), also(&["c"], &[Subject::Session(1), of_topic]));
}

/// Does with the bus, when it is called, whatever can be done with it.
struct Busy(Arc<InProcess>, Mutex<Option<Arc<Mailbox>>>);

impl Receiver for Busy {
    fn deliver(&self, event: &Event) {
        if *event == Event::ToolsChanged {
            let other = Mailbox::new(Interest { prompts: true, ..Interest::default() });
            attach(&self.0, &other);
            self.0.deliver(&Event::PromptsChanged);
            assert_eq!(drain(&other), [Change::Prompts]);
            *self.1.lock().unwrap() = None;
            self.0.gap();
        }
    }

    fn gap(&self) {
        self.0.deliver(&Event::PromptsChanged);
    }
}

#[test]
fn who_is_called_may_use_the_bus() {
    let bus = Arc::new(InProcess::default());
    let dropped = Mailbox::new(Interest { tools: true, ..Interest::default() });
    attach(&bus, &dropped);
    let busy = Arc::new(Busy(Arc::clone(&bus), Mutex::new(Some(dropped))));
    attach(&bus, &busy);
    bus.deliver(&Event::ToolsChanged);
    assert_eq!(lock(&bus.index).seats.len(), 1);
}

#[test]
fn the_index_never_differs_from_what_is_wanted_however_many_change_it_at_once() {
    let (threads, rounds, acts) = (4, 200, 100);
    let bus = InProcess::default();
    let mailbox = Mailbox::for_session(Interest::default(), 1, 4);
    attach(&bus, &mailbox);
    let together = Barrier::new(threads);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (bus, mailbox, together) = (&bus, &mailbox, &together);
            scope.spawn(move || {
                for round in 0..rounds {
                    together.wait();
                    for act in 0..acts {
                        // Some numbers that have nothing to do with each other.
                        let mixed = ((round * acts + act) * threads + thread) as u64;
                        let mixed = mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
                        let uri = (mixed / 8 % 3).to_string();
                        match mixed % 8 {
                            0..=2 => bus.deliver(&subscribe(1, &uri)),
                            3..=5 => bus.deliver(&unsubscribe(1, &uri)),
                            6 => mailbox.narrow(Interest { uris: [uri].into(), ..Interest::default() }),
                            _ => mailbox.add_topics([topic(&uri)].into()),
                        }
                    }
                    together.wait();
                    let listed: BTreeSet<_> = listed(bus).into_iter().map(|(subject, _)| subject).collect();
                    let wanted = mailbox.interest().subjects().chain([Subject::Session(1)]).collect();
                    assert_eq!(listed, wanted, "round {round}");
                }
            });
        }
    });
}

/// Something that happens to a bus.
#[derive(Debug, Clone)]
enum Act {
    Attach(Interest, Option<u64>),
    Drop(usize),
    Publish(Event),
    Gap,
    AddTopics(usize, Topic),
    Narrow(usize, Interest),
    LeaveLists(usize),
    Read(usize),
}

fn uris() -> impl Strategy<Value = String> {
    proptest::sample::select(vec!["a", "b", "c", "d"]).prop_map(str::to_owned)
}

fn topics() -> impl Strategy<Value = Topic> {
    proptest::sample::select(vec!["a", "b", "c"]).prop_map(topic)
}

fn interests() -> impl Strategy<Value = Interest> {
    let lists = (any::<bool>(), any::<bool>(), any::<bool>());
    let named = (proptest::collection::btree_set(uris(), 0..3), proptest::collection::btree_set(topics(), 0..2));
    (lists, named).prop_map(|((tools, prompts, resources), (uris, topics))| Interest {
        tools,
        prompts,
        resources,
        uris,
        topics,
        tasks: BTreeSet::new(),
    })
}

fn events() -> impl Strategy<Value = Event> {
    prop_oneof![
        Just(Event::ToolsChanged),
        Just(Event::PromptsChanged),
        Just(Event::ResourcesChanged),
        uris().prop_map(|uri| Event::ResourceUpdated { uri }),
        topics().prop_map(Event::Topic),
        (0..3_u64, uris()).prop_map(|(number, uri)| subscribe(number, &uri)),
        (0..3_u64, uris()).prop_map(|(number, uri)| unsubscribe(number, &uri)),
        (0..3_u64).prop_map(|number| session(number, SessionChange::End)),
    ]
}

fn acts() -> impl Strategy<Value = Act> {
    let which = 0..8_usize;
    prop_oneof![
        2 => (interests(), proptest::option::of(0..3_u64)).prop_map(|(interest, of)| Act::Attach(interest, of)),
        1 => which.clone().prop_map(Act::Drop),
        6 => events().prop_map(Act::Publish),
        1 => Just(Act::Gap),
        1 => (which.clone(), topics()).prop_map(|(which, topic)| Act::AddTopics(which, topic)),
        1 => (which.clone(), interests()).prop_map(|(which, interest)| Act::Narrow(which, interest)),
        1 => which.clone().prop_map(Act::LeaveLists),
        2 => which.prop_map(Act::Read),
    ]
}

proptest! {
    /// The model: a list of mailboxes, each of which is told of everything.
    #[test]
    fn whoever_is_not_told_would_not_have_cared(acts in proptest::collection::vec(acts(), 0..60)) {
        let bus = InProcess::default();
        let mut twins: Vec<(Arc<Mailbox>, Arc<Mailbox>)> = Vec::new();
        for act in acts {
            let twin = |which: usize| twins.get(which % twins.len().max(1));
            let on = |which, act: &dyn Fn(&Mailbox)| twin(which).iter().for_each(|(one, other)| { act(one); act(other) });
            match act {
                Act::Attach(interest, of) => {
                    let mailbox = || match of {
                        Some(session) => Mailbox::for_session(interest.clone(), session, 3),
                        None => Mailbox::new(interest.clone()),
                    };
                    let (attached, flat) = (mailbox(), mailbox());
                    attach(&bus, &attached);
                    twins.push((attached, flat));
                }
                Act::Drop(which) => {
                    let which = which % twins.len().max(1);
                    twins.drain(which..twins.len().min(which + 1));
                }
                Act::Publish(event) => {
                    bus.deliver(&event);
                    twins.iter().for_each(|(_, flat)| flat.deliver(&event));
                }
                Act::Gap => {
                    bus.gap();
                    twins.iter().for_each(|(_, flat)| flat.gap());
                }
                Act::AddTopics(which, topic) => on(which, &|mailbox| mailbox.add_topics([topic.clone()].into())),
                Act::Narrow(which, interest) => on(which, &|mailbox| mailbox.narrow(interest.clone())),
                Act::LeaveLists(which) => on(which, &Mailbox::leave_lists),
                Act::Read(which) => {
                    if let Some((attached, flat)) = twin(which) {
                        prop_assert_eq!(drain(attached), drain(flat));
                        prop_assert_eq!(attached.changed_resources(), flat.changed_resources());
                    }
                }
            }
            prop_assert_eq!(lock(&bus.index).seats.len(), twins.len());
        }
        for (attached, flat) in &twins {
            prop_assert_eq!(attached.interest(), flat.interest());
            prop_assert_eq!(attached.is_over(), flat.is_over());
            prop_assert_eq!(drain(attached), drain(flat));
        }
        listed(&bus);
        drop(twins);
        prop_assert!(is_empty(&bus));
    }
}
