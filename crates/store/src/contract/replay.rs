//! Does the same to a store and to the [model](super::model), and compares the two.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::time::Duration;

use anypod_proto::tasks::TaskStatus;

use super::Fixtures;
use super::fleet::{Fleet, claim_of, hear_until, id, new, ok, question, step, told};
use super::model::{Entry, Held, Model, TASKS, Tracked, owner_of, tool_of};
use super::random::{Act, Work};
use crate::event::{Event, Follower};
use crate::options::Options;
use crate::report::{JournalEntry, TaskQuery, TaskRow};
use crate::store::Store;
use crate::task::{Answered, NewTask, Owner};
use crate::time::Millis;
use crate::work::{Claim, Claimed, End, Fenced, HandBack, Lease};

const HOUR: Duration = Duration::from_secs(3600);

fn hours(count: u64) -> Duration {
    Duration::from_secs(3600 * count)
}

pub(super) struct Replay {
    fleet: Fleet,
    model: Model,
    follower: Box<dyn Follower>,
    /// When it began, by the store's clock.
    begun: Millis,
    /// Every lease that was ever given.
    leases: Vec<Held>,
    /// Those that something was done with since they were compared.
    touched: BTreeSet<u8>,
    told: u64,
}

/// Says what is not as the model has it.
fn same<T: PartialEq + Debug>(what: &str, found: T, wanted: T) -> Result<(), String> {
    match found == wanted {
        true => Ok(()),
        false => Err(format!("{what}\n  store: {found:?}\n  model: {wanted:?}")),
    }
}

fn fenced(is_written: bool) -> Fenced {
    if is_written { Fenced::Written } else { Fenced::Lost }
}

fn same_status(
    what: &str,
    found: Option<TaskStatus>,
    wanted: Option<TaskStatus>,
    is_vague: bool,
) -> Result<(), String> {
    match is_vague {
        true => same(what, found.is_some(), wanted.is_some()),
        false => same(what, found, wanted),
    }
}

impl Replay {
    pub(super) async fn begin(fixtures: &dyn Fixtures) -> Self {
        let options = Options { events_for: hours(1_000), ..Options::default() };
        let fleet = Fleet::with(fixtures, options).await;
        let (begun, follower) = (ok(fleet.one.now()).await, ok(fleet.other.follow()).await);
        Self { fleet, model: Model::default(), follower, begun, leases: Vec::new(), touched: BTreeSet::new(), told: 0 }
    }

    /// Does something on one pod or the other, and compares all tasks.
    pub(super) async fn act(&mut self, on_other: bool, act: &Act) -> Result<(), String> {
        let pod = std::sync::Arc::clone(if on_other { &self.fleet.other } else { &self.fleet.one });
        match act {
            Act::Create { task, ttl, lease } => self.create(&*pod, *task, *ttl, *lease).await?,
            Act::Claim { tools, most, lease } => self.claim(&*pod, tools, *most, *lease).await?,
            Act::Work { lease, work } => self.work(&*pod, *lease, work).await?,
            Act::RenewAll { lease } => self.renew(&*pod, *lease).await?,
            Act::Answer { task, keys, as_owner } => self.answer(&*pod, *task, keys, *as_owner).await?,
            Act::Cancel { task } => {
                self.touched.insert(*task);
                let is_vague = self.is_vague(*task);
                let found = ok(pod.cancel(id(*task), None, None)).await;
                same_status("cancel", found, self.model.cancel(*task), is_vague)?;
            }
            Act::Retry { task } => {
                self.touched.insert(*task);
                let is_vague = self.is_vague(*task);
                let found = ok(pod.retry(id(*task))).await;
                same_status("retry", found, self.model.retry(*task), is_vague)?;
            }
            Act::Advance { by } => {
                self.model.now += by;
                self.fleet.advance(hours(*by)).await;
            }
            Act::Sweep => same("sweep", ok(pod.sweep(99)).await.tasks, self.model.sweep())?,
        }
        self.compare_rows().await?;
        for number in std::mem::take(&mut self.touched) {
            self.compare_texts(number).await?;
        }
        self.compare_events().await
    }

    /// Compares all once more.
    pub(super) async fn end(self) -> Result<(), String> {
        for number in 0..TASKS {
            self.compare_texts(number).await?;
        }
        Ok(())
    }
}

/// One act each.
impl Replay {
    async fn create(
        &mut self,
        pod: &dyn Store,
        number: u8,
        ttl: Option<u64>,
        lease: Option<u64>,
    ) -> Result<(), String> {
        let wanted = NewTask {
            owner: owner_of(number),
            tool: tool_of(number).to_owned(),
            ttl: ttl.map(hours),
            lease: lease.map(|count| ("creator".to_owned(), hours(count))),
            ..new(number)
        };
        self.touched.insert(number);
        let made = ok(pod.create(wanted)).await.made().ok_or("there is no room")?;
        let fence = self.model.create(number, ttl, lease);
        self.leases.extend(fence.map(|fence| (number, fence)));
        same("the lease of what was created", made.lease.map(|lease| lease.fence), fence)
    }

    async fn claim(&mut self, pod: &dyn Store, tools: &[&'static str], most: usize, lease: u64) -> Result<(), String> {
        self.model.wake();
        let claims = ok(pod.claim(Claim { lease: hours(lease), ..claim_of(tools, most) })).await;
        let (expired, waiting) = self.model.claimable(tools);
        same("how many were claimed", claims.tasks.len(), most.min(expired.len() + waiting.len()))?;
        for (at, claimed) in claims.tasks.iter().enumerate() {
            let number = self.number_of(&claimed.lease)?;
            match at.checked_sub(expired.len()) {
                None => same("an expired one comes first", expired.contains(&number), true)?,
                Some(at) if self.model.is_in_order() => same("whose turn it is", number, waiting[at])?,
                Some(_) => same("one that waits", waiting.contains(&number), true)?,
            }
            let wanted_expired = self.model.tasks[&number].is_expired(self.model.now);
            let task = self.model.take(number, lease);
            compare_claimed(claimed, task, wanted_expired)?;
            self.leases.push((number, task.fence));
            self.touched.insert(number);
        }
        self.compare_next(claims.next)
    }

    async fn work(&mut self, pod: &dyn Store, lease: usize, work: &Work) -> Result<(), String> {
        let Some(at) = self.leases.len().checked_sub(1) else { return Ok(()) };
        let held = self.leases[at - lease.min(at)];
        let lease = lease_of(held);
        self.touched.insert(held.0);
        let (found, wanted) = match work {
            Work::Record { key } => {
                // Whether what was recorded already ends a row of deaths is left to the store.
                let known = self.model.held(held).filter(|task| task.has_step(key));
                if known.is_some_and(|task| task.deaths + task.failures > 0) {
                    return Ok(());
                }
                let result = self.leases.len().to_string();
                (ok(pod.record(lease, step(key, &result))).await, self.model.record(held, key, &result))
            }
            Work::Say { message } => (ok(pod.say(lease, (*message).to_owned())).await, self.model.say(held, message)),
            Work::Park { keys } => {
                let questions = keys.iter().map(|key| question(key)).collect();
                let keys: Vec<_> = keys.iter().map(|key| (*key).to_owned()).collect();
                (ok(pod.park(lease, questions)).await, self.model.park(held, &keys))
            }
            Work::Finish { status, keep } => {
                let end = End { keep: hours(*keep), ..End::new(*status, "outcome") };
                (ok(pod.finish(lease, end)).await, self.model.finish(held, *status, "outcome", *keep))
            }
            Work::HandBack { reason, pause, message } => {
                let back = HandBack { reason: *reason, pause: hours(*pause), message: message.map(str::to_owned) };
                (ok(pod.hand_back(lease, back)).await, self.model.hand_back(held, *reason, *pause, *message))
            }
        };
        same("whether it is written", found, fenced(wanted))
    }

    async fn renew(&mut self, pod: &dyn Store, lease: u64) -> Result<(), String> {
        // The same task may be among them twice, and be deleted and created again between.
        let held: BTreeSet<Held> = self.leases.iter().copied().collect();
        let leases = held.iter().map(|held| lease_of(*held)).collect();
        let wanted: Vec<_> = held.iter().map(|held| fenced(self.model.renew(*held, lease))).collect();
        same("which leases are good", ok(pod.renew(leases, hours(lease))).await, wanted)
    }

    async fn answer(
        &mut self,
        pod: &dyn Store,
        number: u8,
        keys: &[&'static str],
        as_owner: bool,
    ) -> Result<(), String> {
        let owner = if as_owner { owner_of(number) } else { Owner::new("eve") };
        let texts: Vec<_> = keys.iter().map(|key| ((*key).to_owned(), format!("at {}", self.told))).collect();
        let found = ok(pod.answer(id(number), Some(owner), texts.clone())).await;
        self.touched.insert(number);
        let is_known = as_owner && self.model.tasks.contains_key(&number);
        same("whether answers are taken", found, if is_known { Answered::Taken } else { Answered::Unknown })?;
        if is_known {
            self.model.answer(number, &texts);
        }
        Ok(())
    }
}

fn lease_of((number, fence): Held) -> Lease {
    Lease { id: id(number), fence }
}

fn compare_claimed(claimed: &Claimed, task: &Tracked, is_expired: bool) -> Result<(), String> {
    let (mut steps, mut answers) = (Vec::new(), Vec::new());
    for entry in &task.journal {
        match entry {
            Entry::Step(key, result) => steps.push(step(key, result)),
            Entry::Question(key, Some(answer)) => answers.push((question(key), answer.clone())),
            Entry::Question(_, None) => {}
        }
    }
    same("the fence", claimed.lease.fence, task.fence)?;
    same("the steps", &claimed.steps, &steps)?;
    same("the answers", &claimed.answers, &answers)?;
    same("deaths and failures", (claimed.deaths, claimed.failures), (task.deaths, task.failures))?;
    same("whether it has expired", claimed.is_expired(), is_expired)
}

/// What of a task is compared.
#[derive(Debug, PartialEq)]
struct Seen {
    phase: crate::task::Phase,
    status: TaskStatus,
    message: Option<String>,
    updated: u64,
    expires: Option<u64>,
    due: Option<u64>,
    attempts: u64,
    deaths: u32,
    failures: u32,
    steps: u64,
}

/// Comparing.
impl Replay {
    /// Whether clients may see one thing or another of it.
    fn is_vague(&self, number: u8) -> bool {
        self.model.tasks.get(&number).is_some_and(|task| task.is_left_open)
    }

    fn number_of(&self, lease: &Lease) -> Result<u8, String> {
        let number = self.model.tasks.keys().find(|number| id(**number) == lease.id);
        number.copied().ok_or_else(|| "something was claimed that is not there".to_owned())
    }

    fn hour(&self, at: Millis) -> u64 {
        at.since(self.begun).as_secs() / HOUR.as_secs()
    }

    async fn compare_rows(&self) -> Result<(), String> {
        let rows = ok(self.fleet.other.tasks(TaskQuery { most: 99, ..TaskQuery::default() })).await;
        same("how many tasks there are", rows.len(), self.model.tasks.len())?;
        for number in 0..TASKS {
            let row = rows.iter().find(|row| row.id == id(number));
            let task = self.model.tasks.get(&number);
            same(&format!("whether task {number} is there"), row.is_some(), task.is_some())?;
            if let (Some(row), Some(task)) = (row, task) {
                same(&format!("task {number}"), self.of_store(row), of_model(task, row, self))?;
            }
        }
        Ok(())
    }

    fn of_store(&self, row: &TaskRow) -> Seen {
        Seen {
            phase: row.phase,
            status: row.status,
            message: row.message.clone(),
            updated: self.hour(row.updated_at),
            expires: row.expires_at.map(|at| self.hour(at)),
            due: row.due_at.map(|at| self.hour(at)),
            attempts: row.attempts,
            deaths: row.deaths,
            failures: row.failures,
            steps: row.steps,
        }
    }

    async fn compare_texts(&self, number: u8) -> Result<(), String> {
        let Some(task) = self.model.tasks.get(&number) else { return Ok(()) };
        let what = |what| format!("{what} of task {number}");
        let found = ok(self.fleet.one.task(id(number), Some(owner_of(number)))).await.ok_or("the task is gone")?;
        let open = found.questions.iter().map(|question| question.key.as_str()).collect();
        same(&what("the questions"), open, task.open())?;
        same(&what("the outcome"), found.outcome.as_deref(), task.outcome.as_deref())?;
        let report = ok(self.fleet.one.report(id(number))).await.ok_or("the task is gone")?;
        let journal = report.journal.iter().map(|entry| match entry {
            JournalEntry::Step { key, bytes, .. } => (key.as_str(), *bytes, false),
            JournalEntry::Question { key, answered_at, .. } => (key.as_str(), 0, answered_at.is_some()),
        });
        let wanted = task.journal.iter().map(|entry| match entry {
            Entry::Step(key, result) => (key.as_str(), result.len(), false),
            Entry::Question(key, answer) => (key.as_str(), 0, answer.is_some()),
        });
        same(&what("the journal"), journal.collect::<Vec<_>>(), wanted.collect())
    }

    /// What becomes due next, give or take half an hour.
    fn compare_next(&self, next: Option<Duration>) -> Result<(), String> {
        let slack = HOUR / 2;
        let (earliest, latest) = self.model.next();
        let wanted = format!("store: {next:?}\n  model: in {earliest:?} to {latest:?} hours");
        let is_right = match next {
            None => latest.is_none(),
            Some(next) => {
                !next.is_zero()
                    && earliest.is_some_and(|earliest| next + slack >= hours(earliest))
                    && latest.is_none_or(|latest| next <= hours(latest) + slack)
            }
        };
        is_right.then_some(()).ok_or_else(|| format!("when something becomes due\n  {wanted}"))
    }

    /// That followers have heard of every task that clients have seen to change.
    async fn compare_events(&mut self) -> Result<(), String> {
        let changed = std::mem::take(&mut self.model.changed);
        if changed.is_empty() {
            return Ok(());
        }
        self.told += 1;
        let last = self.told.to_string();
        ok(self.fleet.one.publish(vec![last.clone()])).await;
        let heard = hear_until(&mut *self.follower, &told(&last)).await;
        match changed.iter().find(|number| !heard.contains(&Event::Task(id(**number)))) {
            None => Ok(()),
            Some(number) => Err(format!("nothing was heard of task {number}")),
        }
    }
}

fn of_model(task: &Tracked, row: &TaskRow, replay: &Replay) -> Seen {
    let is_vague = task.is_left_open;
    Seen {
        phase: task.phase,
        status: if is_vague { row.status } else { task.status },
        message: task.message.clone(),
        updated: if is_vague { replay.hour(row.updated_at) } else { task.updated },
        expires: task.expires,
        due: task.due,
        attempts: task.attempts,
        deaths: task.deaths,
        failures: task.failures,
        steps: task.journal.iter().filter(|entry| matches!(entry, Entry::Step(..))).count() as u64,
    }
}
