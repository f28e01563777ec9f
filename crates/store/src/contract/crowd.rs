//! Many act on the same tasks at once. Nobody knows in which order, but some things hold in every one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy};
use proptest::prop_oneof;
use tokio::task::JoinSet;

use super::Fixtures;
use super::fleet::{Fleet, PATIENCE, TOOL, answers, claim_of, id, minutes, new, ok, question, step, told};
use super::random::{Work, hold, work};
use crate::event::{Event, Follower};
use crate::options::Options;
use crate::store::Store;
use crate::task::{Phase, Task, TaskId};
use crate::work::{Claim, Claimed, End, Fenced, HandBack, Lease};

/// How many crowds are tried.
const CASES: usize = 8;

/// How many act at once.
const ACTORS: usize = 6;

const TASKS: u8 = 3;

/// Something that one of the crowd does.
#[derive(Debug, Clone)]
enum Act {
    Claim { most: usize },
    Work { lease: usize, work: Work },
    Answer { task: u8, keys: Vec<&'static str> },
    Cancel { task: u8 },
    Retry { task: u8 },
    Advance,
}

fn act() -> impl Strategy<Value = Act> {
    let task = || 0..TASKS;
    let keys = proptest::sample::subsequence(vec!["a", "b", "c"], 1..=3);
    prop_oneof![
        20 => (1..3_usize).prop_map(|most| Act::Claim { most }),
        40 => (0..3_usize, work()).prop_map(|(lease, work)| Act::Work { lease, work }),
        30 => (task(), keys).prop_map(|(task, keys)| Act::Answer { task, keys }),
        1 => task().prop_map(|task| Act::Cancel { task }),
        4 => task().prop_map(|task| Act::Retry { task }),
        5 => Just(Act::Advance),
    ]
}

/// What all of the crowd have found out.
#[derive(Debug, Default)]
struct Found {
    given: BTreeSet<(TaskId, u64)>,
    steps: BTreeMap<(TaskId, String), String>,
    answers: BTreeMap<(TaskId, String), String>,
    /// How tasks ended, as somebody has seen.
    ended: BTreeMap<TaskId, Task>,
    /// How often somebody was told to have ended it.
    ends: BTreeMap<TaskId, usize>,
    wrong: Vec<String>,
}

#[derive(Clone)]
struct Crowd {
    fleet: Arc<Fleet>,
    found: Arc<Mutex<Found>>,
}

impl Crowd {
    fn found(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wrong(&self, what: impl Into<String>) {
        self.found().wrong.push(what.into());
    }

    /// Takes note of what a worker was given.
    fn claimed(&self, claimed: &Claimed) {
        let id = &claimed.lease.id;
        if !self.found().given.insert((id.clone(), claimed.lease.fence)) {
            self.wrong(format!("fence {} of {id:?} was given twice", claimed.lease.fence));
        }
        for step in &claimed.steps {
            self.recorded(id, &step.key, &step.result);
        }
        for (question, answer) in &claimed.answers {
            let known =
                self.found().answers.entry((id.clone(), question.key.clone())).or_insert(answer.clone()).clone();
            if known != *answer {
                self.wrong(format!("the answer to {} was {known} and is {answer}", question.key));
            }
        }
    }

    fn recorded(&self, id: &TaskId, key: &str, result: &str) {
        let known = self.found().steps.entry((id.clone(), key.to_owned())).or_insert(result.to_owned()).clone();
        if known != result {
            self.wrong(format!("the step {key} gave {known} and gives {result}"));
        }
    }

    /// Whether somebody has seen a task to have ended.
    fn has_ended(&self, id: &TaskId) -> bool {
        self.found().ended.contains_key(id)
    }

    /// Takes note of a write, of which it is known whether the task had ended before it.
    fn wrote(&self, lease: &Lease, fenced: Fenced, had_ended: bool) {
        if fenced == Fenced::Written && had_ended {
            self.wrong(format!("{:?} had ended and was written", lease.id));
        }
    }

    /// Looks at a task. What has ended stays as it is.
    async fn look(&self, pod: &dyn Store, id: &TaskId) {
        let known = self.found().ended.get(id).cloned();
        let Some(task) = ok(pod.task(id.clone(), None)).await else { return self.wrong("a task is gone") };
        match known {
            Some(known) if known != task => self.wrong(format!("it ended as {known:?} and is {task:?}")),
            Some(_) => {}
            None if task.status.is_terminal() => drop(self.found().ended.insert(id.clone(), task)),
            None => {}
        }
    }
}

/// One of the crowd.
struct Actor {
    crowd: Crowd,
    number: usize,
    leases: Vec<Lease>,
}

impl Actor {
    fn pod(&self) -> Arc<dyn Store> {
        let Fleet { one, other, .. } = &*self.crowd.fleet;
        Arc::clone(if self.number.is_multiple_of(2) { one } else { other })
    }

    async fn act(&mut self, act: Act) {
        let pod = self.pod();
        match act {
            Act::Claim { most } => {
                let claim = Claim { lease: minutes(2), ..claim_of(&[TOOL], most) };
                for claimed in ok(pod.claim(claim)).await.tasks {
                    self.crowd.claimed(&claimed);
                    self.leases.push(claimed.lease);
                }
            }
            Act::Work { lease, work } => {
                let Some(at) = self.leases.len().checked_sub(1) else { return };
                let lease = self.leases[at - lease.min(at)].clone();
                self.work(&*pod, lease, work).await;
            }
            Act::Answer { task, keys } => {
                ok(pod.answer(id(task), None, texts(&keys, self.number))).await;
                self.crowd.look(&*pod, &id(task)).await;
            }
            Act::Cancel { task } => {
                let before = ok(pod.cancel(id(task), None, None)).await;
                if before.is_some_and(|status| !status.is_terminal()) {
                    *self.crowd.found().ends.entry(id(task)).or_default() += 1;
                }
                self.crowd.look(&*pod, &id(task)).await;
            }
            Act::Retry { task } => assert!(ok(pod.retry(id(task))).await.is_some(), "the task is there"),
            Act::Advance => self.crowd.fleet.advance(minutes(1)).await,
        }
    }

    async fn work(&self, pod: &dyn Store, lease: Lease, work: Work) {
        let had_ended = self.crowd.has_ended(&lease.id);
        let fenced = match work {
            Work::Record { key } => {
                // Of the same key different results may be recorded, and the first stays.
                ok(pod.record(lease.clone(), step(key, &format!("{} {}", self.number, lease.fence)))).await
            }
            Work::Say { message } => ok(pod.say(lease.clone(), format!("{message} {}", self.number))).await,
            Work::Park { keys } => ok(pod.park(lease.clone(), keys.iter().map(|key| question(key)).collect())).await,
            Work::Finish { status, .. } => {
                let end = End::new(status, format!("{} {}", self.number, lease.fence));
                let fenced = ok(pod.finish(lease.clone(), end)).await;
                *self.crowd.found().ends.entry(lease.id.clone()).or_default() += usize::from(fenced == Fenced::Written);
                fenced
            }
            Work::HandBack { reason, pause, message } => {
                let message = message.map(str::to_owned);
                ok(pod.hand_back(lease.clone(), HandBack { reason, pause: minutes(pause), message })).await
            }
        };
        self.crowd.wrote(&lease, fenced, had_ended);
        self.crowd.look(pod, &lease.id).await;
    }
}

fn texts(keys: &[&str], number: usize) -> Vec<(String, String)> {
    answers(keys).into_iter().map(|(key, text)| (key, format!("{text} {number}"))).collect()
}

/// Looks at every task of which something is heard, until it hears the end.
async fn watch(
    pod: Arc<dyn Store>,
    mut follower: Box<dyn Follower>,
    mut seen: BTreeMap<TaskId, Task>,
) -> BTreeMap<TaskId, Task> {
    loop {
        let heard = tokio::time::timeout(PATIENCE, follower.next()).await.expect("the follower hears something");
        let heard = heard.expect("the follower can ask the store");
        assert!(!heard.gap, "nothing was lost");
        let is_last = heard.events.contains(&told("last"));
        for event in heard.events {
            if let Event::Task(id) = event {
                let task = ok(pod.task(id.clone(), None)).await.expect("the task is there");
                seen.insert(id, task);
            }
        }
        if is_last {
            return seen;
        }
    }
}

/// What holds once all is quiet.
async fn check_end(crowd: &Crowd, watched: &BTreeMap<TaskId, Task>) {
    let fleet = &crowd.fleet;
    for number in 0..TASKS {
        let (id, task, row) = (id(number), fleet.task(number).await, fleet.row(number).await);
        let ends = crowd.found().ends.get(&id).copied().unwrap_or(0);
        let is_ended = row.phase == Phase::Ended;
        if ends != usize::from(is_ended) || task.status.is_terminal() != is_ended {
            crowd.wrong(format!("ended {ends} times, and is {row:?}"));
        }
        if (row.phase == Phase::Leased || row.phase == Phase::Delayed) != row.due_at.is_some() {
            crowd.wrong(format!("due, or not: {row:?}"));
        }
        if (row.phase == Phase::Parked) == task.questions.is_empty() {
            crowd.wrong(format!("waits, or not: {row:?} {task:?}"));
        }
        if watched.get(&id) != Some(&task) {
            crowd.wrong(format!("followers have seen {:?}, and it is {task:?}", watched.get(&id)));
        }
        let given: Vec<u64> = crowd.found().given.iter().filter(|(of, _)| *of == id).map(|(_, fence)| *fence).collect();
        let leases = given.iter().map(|fence| Lease { id: id.clone(), fence: *fence }).collect();
        let good = ok(fleet.one.renew(leases, minutes(2))).await;
        let good: Vec<_> = given.iter().zip(good).filter(|(_, good)| *good == Fenced::Written).collect();
        let wanted = usize::from(row.phase == Phase::Leased);
        if good.len() != wanted || good.iter().any(|(fence, _)| **fence != given[given.len() - 1]) {
            crowd.wrong(format!("{good:?} of {given:?} are good in {:?}", row.phase));
        }
    }
}

async fn run(fixtures: &dyn Fixtures, acts: Vec<Vec<Act>>) -> Result<(), String> {
    // However long the watcher is not given its turn, time does not make it lose anything.
    let options = Options { events_for: minutes(60 * 24), ..Options::default() };
    let fleet = Arc::new(Fleet::with(fixtures, options).await);
    let mut created = BTreeMap::new();
    for number in 0..TASKS {
        created.insert(id(number), fleet.make(new(number)).await.task);
    }
    let follower = ok(fleet.other.follow()).await;
    let watching = tokio::spawn(watch(Arc::clone(&fleet.one), follower, created));
    let crowd = Crowd { fleet: Arc::clone(&fleet), found: Arc::default() };
    let mut actors = JoinSet::new();
    for (number, acts) in acts.into_iter().enumerate() {
        let mut actor = Actor { crowd: crowd.clone(), number, leases: Vec::new() };
        actors.spawn(async move {
            for act in acts {
                actor.act(act).await;
                tokio::task::yield_now().await;
            }
        });
    }
    actors.join_all().await;
    ok(fleet.one.publish(vec!["last".to_owned()])).await;
    let watched = tokio::time::timeout(PATIENCE + Duration::from_secs(1), watching).await;
    let watched = watched.expect("the end is heard").expect("the watcher has not failed");
    check_end(&crowd, &watched).await;
    let wrong = std::mem::take(&mut crowd.found().wrong);
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

pub(super) async fn however_many_act_at_once_what_must_hold_does(fixtures: &dyn Fixtures) {
    hold(CASES, vec(vec(act(), 10..40), ACTORS), |acts| run(fixtures, acts)).await;
}
