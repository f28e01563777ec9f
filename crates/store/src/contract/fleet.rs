//! A store with two pods, and what most cases do with it.

use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anypod_proto::tasks::TaskStatus;

use super::{Fixture, Fixtures};
use crate::event::{Event, Follower};
use crate::options::Options;
use crate::report::TaskRow;
use crate::store::{Later, Store};
use crate::task::{Answered, Created, Made, NewTask, Owner, Phase, Question, Task, TaskId};
use crate::work::{Claim, Claimed, Claims, End, Fenced, HandBack, Lease, Reason, Step};

/// How long leases are, in most cases.
pub(super) const LEASE: Duration = minutes(10);

/// What runs the tasks of most cases.
pub(super) const TOOL: &str = "resize";

/// How long something may take that comes by itself. A database on a busy machine is slow; what never comes is as wrong
/// after this time as after a longer one.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

pub(super) const fn minutes(count: u64) -> Duration {
    Duration::from_secs(60 * count)
}

/// What the store gives, which has to be something.
#[track_caller]
pub(super) fn ok<'a, T: 'a>(later: Later<'a, T>) -> Pin<Box<dyn Future<Output = T> + Send + 'a>> {
    let place = Location::caller();
    Box::pin(async move { later.await.unwrap_or_else(|error| panic!("{place}: {error}")) })
}

/// A worker's write, which has to happen.
#[track_caller]
pub(super) fn written(later: Later<'_, Fenced>) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
    let place = Location::caller();
    let result = ok(later);
    Box::pin(async move { assert_eq!(result.await, Fenced::Written, "{place}") })
}

/// A worker's write, which has to be refused.
#[track_caller]
pub(super) fn lost(later: Later<'_, Fenced>) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
    let place = Location::caller();
    let result = ok(later);
    Box::pin(async move { assert_eq!(result.await, Fenced::Lost, "{place}") })
}

pub(super) fn id(number: u8) -> TaskId {
    TaskId::from_random([number; 16])
}

pub(super) fn ann() -> Owner {
    Owner::new("ann")
}

pub(super) fn bob() -> Owner {
    Owner::new("bob")
}

/// A task of Ann's that waits for a worker.
pub(super) fn new(number: u8) -> NewTask {
    NewTask::new(id(number), ann(), TOOL, format!(r#"{{"number":{number}}}"#))
}

/// One that its creator takes up at once.
pub(super) fn new_leased(number: u8) -> NewTask {
    NewTask { lease: Some(("creator".to_owned(), LEASE)), ..new(number) }
}

pub(super) fn claim_of(tools: &[&str], most: usize) -> Claim {
    let tools = tools.iter().map(|tool| (*tool).to_owned()).collect();
    Claim { worker: "worker".to_owned(), tools, most, lease: LEASE }
}

pub(super) fn question(key: &str) -> Question {
    Question { key: key.to_owned(), request: format!(r#"{{"ask":"{key}"}}"#) }
}

pub(super) fn step(key: &str, result: &str) -> Step {
    Step { key: key.to_owned(), result: result.to_owned() }
}

pub(super) fn answers(keys: &[&str]) -> Vec<(String, String)> {
    keys.iter().map(|key| ((*key).to_owned(), format!(r#"{{"to":"{key}"}}"#))).collect()
}

pub(super) fn done() -> End {
    End::new(TaskStatus::Completed, r#"{"done":true}"#)
}

pub(super) fn failed_for(pause: Duration) -> HandBack {
    HandBack { reason: Reason::Failed, pause, message: None }
}

pub(super) fn leaving_for(pause: Duration) -> HandBack {
    HandBack { reason: Reason::Leaving, pause, message: None }
}

/// A store that two pods have open.
pub(super) struct Fleet {
    pub(super) fixture: Box<dyn Fixture>,
    /// The one on which most things happen.
    pub(super) one: Arc<dyn Store>,
    /// The one that has to see them.
    pub(super) other: Arc<dyn Store>,
}

impl Fleet {
    pub(super) async fn new(fixtures: &dyn Fixtures) -> Self {
        Self::with(fixtures, Options::default()).await
    }

    pub(super) async fn with(fixtures: &dyn Fixtures, options: Options) -> Self {
        let fixture = fixtures.fresh(options).await;
        let (one, other) = (fixture.pod().await, fixture.pod().await);
        Self { fixture, one, other }
    }

    pub(super) async fn advance(&self, by: Duration) {
        self.fixture.advance(by).await;
    }

    /// Creates a task, for which there has to be room.
    pub(super) async fn make(&self, new: NewTask) -> Made {
        match ok(self.one.create(new)).await {
            Created::Made(made) => *made,
            Created::Full(full) => panic!("there is no room: {full:?}"),
        }
    }

    /// Creates a task that its creator takes up at once.
    pub(super) async fn leased(&self, number: u8) -> Lease {
        self.make(new_leased(number)).await.lease.expect("nothing waits that comes first")
    }

    /// Creates a task that waits for answers to these questions.
    pub(super) async fn parked(&self, number: u8, keys: &[&str]) {
        self.parked_as(new_leased(number), keys).await;
    }

    pub(super) async fn parked_as(&self, new: NewTask, keys: &[&str]) {
        let lease = self.make(new).await.lease.expect("nothing waits that comes first");
        written(self.one.park(lease, keys.iter().map(|key| question(key)).collect())).await;
    }

    /// Creates a task that has ended.
    pub(super) async fn ended(&self, number: u8) {
        let lease = self.leased(number).await;
        written(self.one.finish(lease, done())).await;
    }

    /// Answers these questions of a task.
    pub(super) async fn answer(&self, number: u8, keys: &[&str]) {
        let answered = ok(self.one.answer(id(number), None, answers(keys))).await;
        assert_eq!(answered, Answered::Taken);
    }

    /// Claims on the other pod.
    pub(super) async fn claims(&self, most: usize) -> Claims {
        ok(self.other.claim(claim_of(&[TOOL], most))).await
    }

    /// Claims one task on the other pod, if there is one.
    pub(super) async fn claim(&self) -> Option<Claimed> {
        self.claims(1).await.tasks.pop()
    }

    /// Claims on the other pod, where there has to be this task.
    pub(super) async fn claim_it(&self, number: u8) -> Claimed {
        let claimed = self.claim().await.expect("there is a task to be claimed");
        assert_eq!(claimed.lease.id, id(number));
        claimed
    }

    /// The task as the other pod sees it.
    pub(super) async fn task(&self, number: u8) -> Task {
        ok(self.other.task(id(number), None)).await.expect("the task is there")
    }

    /// The task as those see it who look after the fleet.
    pub(super) async fn row(&self, number: u8) -> TaskRow {
        ok(self.other.report(id(number))).await.expect("the task is there").task
    }

    pub(super) async fn phase(&self, number: u8) -> Phase {
        self.row(number).await.phase
    }

    /// The keys of what is open.
    pub(super) async fn open(&self, number: u8) -> Vec<String> {
        self.task(number).await.questions.into_iter().map(|question| question.key).collect()
    }
}

/// Hears what comes until this event has.
pub(super) async fn hear_until(follower: &mut dyn Follower, last: &Event) -> Vec<Event> {
    let mut events = Vec::new();
    while !events.contains(last) {
        events.extend(hear(follower).await);
    }
    events
}

/// Hears what comes next, without a gap.
pub(super) async fn hear(follower: &mut dyn Follower) -> Vec<Event> {
    let heard = tokio::time::timeout(PATIENCE, follower.next()).await;
    let heard = heard.expect("the follower hears something").expect("the follower can ask the store");
    assert!(!heard.gap, "nothing was lost");
    heard.events
}

pub(super) fn told(text: &str) -> Event {
    Event::Told(text.to_owned())
}
