//! A small model of tasks, for stores to be compared with. It keeps everything in lists that it searches, and its time is in
//! hours since it began, so that a store's clock which runs on by itself makes no difference.

use std::collections::BTreeMap;

use anypod_proto::tasks::TaskStatus;

use crate::task::{Owner, Phase};
use crate::work::Reason;

/// A lease, by the number of its task.
pub(super) type Held = (u8, u64);

#[derive(Debug, Clone)]
pub(super) struct Tracked {
    pub(super) phase: Phase,
    pub(super) status: TaskStatus,
    pub(super) message: Option<String>,
    pub(super) outcome: Option<String>,
    pub(super) updated: u64,
    pub(super) expires: Option<u64>,
    pub(super) due: Option<u64>,
    pub(super) fence: u64,
    pub(super) attempts: u64,
    pub(super) deaths: u32,
    pub(super) failures: u32,
    pub(super) journal: Vec<Entry>,
    /// Its turn, and its order among those of the same turn, while it is queued.
    place: Option<(u64, u64)>,
    /// It expired while it waited for answers, and was taken up to be ended: until it is, its status may stay as it was.
    pub(super) is_left_open: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entry {
    Step(String, String),
    Question(String, Option<String>),
}

#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) now: u64,
    pub(super) tasks: BTreeMap<u8, Tracked>,
    /// What clients have seen to change since the list was taken.
    pub(super) changed: Vec<u8>,
    /// Two tasks became queued at the same moment, and which of them came first is the store's choice.
    is_vague: bool,
    order: u64,
}

/// How many tasks there are.
pub(super) const TASKS: u8 = 8;

/// Most are of three lanes, so that there is something to take turns with.
const LANES: [(&str, &str); TASKS as usize] = [
    ("ann", "resize"),
    ("ann", "resize"),
    ("ann", "resize"),
    ("bob", "resize"),
    ("bob", "resize"),
    ("ann", "other"),
    ("ann", "other"),
    ("", "other"),
];

pub(super) fn owner_of(number: u8) -> Owner {
    Owner::new(LANES[usize::from(number)].0)
}

pub(super) fn tool_of(number: u8) -> &'static str {
    LANES[usize::from(number)].1
}

impl Tracked {
    pub(super) fn open(&self) -> Vec<&str> {
        let open = self.journal.iter().filter_map(|entry| match entry {
            Entry::Question(key, None) if self.phase != Phase::Ended => Some(key.as_str()),
            Entry::Question(..) | Entry::Step(..) => None,
        });
        open.collect()
    }

    pub(super) fn has_step(&self, wanted: &str) -> bool {
        self.journal.iter().any(|entry| matches!(entry, Entry::Step(key, _) if key == wanted))
    }

    pub(super) fn is_expired(&self, now: u64) -> bool {
        self.phase != Phase::Ended && self.expires.is_some_and(|expires| expires <= now)
    }

    fn lease(&mut self, due: u64) {
        self.fence += 1;
        self.attempts += 1;
        (self.phase, self.due, self.place) = (Phase::Leased, Some(due), None);
    }

    fn end(&mut self, status: TaskStatus) {
        (self.phase, self.status) = (Phase::Ended, status);
        (self.due, self.place, self.is_left_open) = (None, None, false);
    }
}

/// Creating, and what clients do.
impl Model {
    /// Gives the fence of the lease, if there is one, of a task that was not there.
    pub(super) fn create(&mut self, number: u8, ttl: Option<u64>, lease: Option<u64>) -> Option<u64> {
        if self.tasks.contains_key(&number) {
            return None;
        }
        let is_first = self.tasks.values().all(|task| task.place.is_none());
        let tracked = Tracked {
            phase: Phase::Queued,
            status: TaskStatus::Working,
            message: None,
            outcome: None,
            updated: self.now,
            expires: ttl.map(|ttl| self.now + ttl),
            due: None,
            fence: 0,
            attempts: 0,
            deaths: 0,
            failures: 0,
            journal: Vec::new(),
            place: None,
            is_left_open: false,
        };
        self.tasks.insert(number, tracked);
        let Some(hours) = lease.filter(|_| is_first) else {
            self.queue(number);
            return None;
        };
        self.take(number, hours);
        Some(1)
    }

    /// Gives whether anything was taken.
    pub(super) fn answer(&mut self, number: u8, answers: &[(String, String)]) -> bool {
        let Some(task) = self.tasks.get_mut(&number).filter(|task| task.phase != Phase::Ended) else { return false };
        let mut taken = false;
        for (key, text) in answers {
            let open = Entry::Question(key.clone(), None);
            if let Some(entry) = task.journal.iter_mut().find(|entry| **entry == open) {
                *entry = Entry::Question(key.clone(), Some(text.clone()));
                taken = true;
            }
        }
        if taken {
            let goes_on = task.phase == Phase::Parked && task.open().is_empty();
            if goes_on {
                task.status = TaskStatus::Working;
                self.queue(number);
            }
            self.see(number);
        }
        taken
    }

    pub(super) fn cancel(&mut self, number: u8) -> Option<TaskStatus> {
        let task = self.tasks.get_mut(&number)?;
        let before = task.status;
        if task.phase != Phase::Ended {
            task.end(TaskStatus::Cancelled);
            self.see(number);
        }
        Some(before)
    }

    pub(super) fn retry(&mut self, number: u8) -> Option<TaskStatus> {
        let task = self.tasks.get_mut(&number)?;
        let (before, phase) = (task.status, task.phase);
        if matches!(phase, Phase::Queued | Phase::Leased | Phase::Delayed) {
            (task.deaths, task.failures) = (0, 0);
            task.fence += u64::from(phase == Phase::Leased);
            if phase != Phase::Queued {
                self.queue(number);
            }
        }
        Some(before)
    }

    /// Deletes what is over, and gives how many that was.
    pub(super) fn sweep(&mut self) -> u64 {
        let (before, now) = (self.tasks.len(), self.now);
        self.tasks.retain(|_, task| task.phase != Phase::Ended || task.expires.is_none_or(|expires| expires > now));
        (before - self.tasks.len()) as u64
    }
}

/// Claiming.
impl Model {
    /// Lets those wait for a worker who have become due.
    pub(super) fn wake(&mut self) {
        let due = |task: &Tracked, phase| task.phase == phase && task.due.is_some_and(|due| due <= self.now);
        let of_phase = |phase| self.tasks.iter().filter(move |(_, task)| due(task, phase)).map(|(number, _)| *number);
        let (delayed, dead): (Vec<u8>, Vec<u8>) =
            (of_phase(Phase::Delayed).collect(), of_phase(Phase::Leased).collect());
        for number in &dead {
            self.edit(*number).deaths += 1;
        }
        let woken = delayed.len() + dead.len();
        for number in delayed.into_iter().chain(dead) {
            self.queue(number);
        }
        self.is_vague |= woken > 1;
    }

    /// What has expired, and what waits beside that, in its order if there is one that is certain.
    pub(super) fn claimable(&self, tools: &[&str]) -> (Vec<u8>, Vec<u8>) {
        let of_tools = self.tasks.iter().filter(|(number, _)| tools.contains(&tool_of(**number)));
        let (expired, others): (Vec<_>, Vec<_>) = of_tools.partition(|(_, task)| task.is_expired(self.now));
        let expired = expired.into_iter().filter(|(_, task)| task.phase != Phase::Leased).map(|(number, _)| *number);
        let mut waiting: Vec<_> =
            others.into_iter().filter_map(|(number, task)| Some((task.place?, *number))).collect();
        waiting.sort_unstable();
        (expired.collect(), waiting.into_iter().map(|(_, number)| number).collect())
    }

    pub(super) fn is_in_order(&self) -> bool {
        !self.is_vague
    }

    pub(super) fn take(&mut self, number: u8, hours: u64) -> &Tracked {
        let due = self.now + hours;
        let task = self.edit(number);
        task.is_left_open |= task.phase == Phase::Parked;
        task.lease(due);
        task
    }

    /// Between which hours from now something becomes due. What expires while a worker has it may count or not, and so may
    /// what has expired and was not taken.
    pub(super) fn next(&self) -> (Option<u64>, Option<u64>) {
        let alive = || self.tasks.values().filter(|task| task.phase != Phase::Ended);
        let dues = || alive().filter_map(|task| task.due);
        let surely = alive().filter(|task| task.phase != Phase::Leased).filter_map(|task| task.expires);
        let latest = dues().chain(surely.filter(|expires| *expires > self.now)).min();
        let earliest = dues().chain(alive().filter_map(|task| task.expires)).min();
        (earliest.map(|at| at.saturating_sub(self.now)), latest.map(|at| at.saturating_sub(self.now)))
    }
}

/// What workers write. Each gives whether it is written.
impl Model {
    pub(super) fn held(&self, (number, fence): Held) -> Option<&Tracked> {
        self.tasks.get(&number).filter(|task| task.phase == Phase::Leased && task.fence == fence)
    }

    pub(super) fn renew(&mut self, held: Held, hours: u64) -> bool {
        let due = self.now + hours;
        self.write(held, |task| task.due = Some(due))
    }

    pub(super) fn record(&mut self, held: Held, key: &str, result: &str) -> bool {
        self.write(held, |task| {
            (task.deaths, task.failures) = (0, 0);
            if !task.has_step(key) {
                task.journal.push(Entry::Step(key.to_owned(), result.to_owned()));
            }
        })
    }

    pub(super) fn say(&mut self, held: Held, message: &str) -> bool {
        let is_other = self.held(held).is_some_and(|task| task.message.as_deref() != Some(message));
        if is_other {
            self.see(held.0);
        }
        self.write(held, |task| task.message = Some(message.to_owned()))
    }

    pub(super) fn park(&mut self, held: Held, keys: &[String]) -> bool {
        let is_written = self.write(held, |task| {
            for key in keys {
                if !task.journal.iter().any(|entry| matches!(entry, Entry::Question(known, _) if known == key)) {
                    task.journal.push(Entry::Question(key.clone(), None));
                }
            }
            (task.phase, task.status) = (Phase::Parked, TaskStatus::InputRequired);
            (task.due, task.is_left_open) = (None, false);
        });
        if is_written {
            if self.edit(held.0).open().is_empty() {
                self.edit(held.0).status = TaskStatus::Working;
                self.queue(held.0);
            }
            self.see(held.0);
        }
        is_written
    }

    pub(super) fn finish(&mut self, held: Held, status: TaskStatus, outcome: &str, keep: u64) -> bool {
        let kept_until = self.now + keep;
        let is_written = self.write(held, |task| {
            task.end(status);
            (task.outcome, task.message) = (Some(outcome.to_owned()), None);
            task.expires = task.expires.map(|expires| expires.max(kept_until));
        });
        if is_written {
            self.see(held.0);
        }
        is_written
    }

    pub(super) fn hand_back(&mut self, held: Held, reason: Reason, pause: u64, message: Option<&str>) -> bool {
        let due = self.now + pause;
        let is_written = self.write(held, |task| {
            task.failures += u32::from(reason == Reason::Failed);
            (task.phase, task.due) = (Phase::Delayed, Some(due));
        });
        if is_written && pause == 0 {
            self.queue(held.0);
        }
        if let Some(message) = message.filter(|_| is_written) {
            self.edit(held.0).message = Some(message.to_owned());
            self.see(held.0);
        }
        is_written
    }

    fn write(&mut self, held: Held, act: impl FnOnce(&mut Tracked)) -> bool {
        let is_good = self.held(held).is_some();
        if is_good {
            act(self.edit(held.0));
        }
        is_good
    }
}

impl Model {
    fn edit(&mut self, number: u8) -> &mut Tracked {
        self.tasks.get_mut(&number).expect("whoever edits a task has looked at it before")
    }

    /// Something of it changes that clients see.
    fn see(&mut self, number: u8) {
        self.edit(number).updated = self.now;
        self.changed.push(number);
    }

    /// Lets it wait for a worker: behind its lane, or where the queue is if nothing else of its lane waits.
    fn queue(&mut self, number: u8) {
        let lane = |number: u8| (owner_of(number), tool_of(number));
        let waiting = || self.tasks.iter().filter_map(|(other, task)| Some((*other, task.place?.0)));
        let first = waiting().map(|(_, turn)| turn).min();
        let last = waiting().filter(|(other, _)| lane(*other) == lane(number)).map(|(_, turn)| turn).max();
        self.is_vague &= first.is_some();
        let first = first.unwrap_or(0);
        let turn = last.map_or(first, |last| first.max(last + 1));
        let place = (turn, self.order);
        self.order += 1;
        let task = self.edit(number);
        (task.phase, task.due, task.place) = (Phase::Queued, None, Some(place));
    }
}
