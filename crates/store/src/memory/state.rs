//! All that a store within one process holds, and how its indexes follow the tasks.

use std::collections::{BTreeSet, HashMap};

use anypod_proto::tasks::TaskStatus;

use super::entry::Entry;
use super::events::Log;
use super::queue::Queue;
use super::values::{Marks, Values};
use crate::event::Event;
use crate::options::Options;
use crate::task::{Owner, Phase, TaskId};
use crate::time::Millis;

/// All phases, in the order in which a status lists them.
pub(super) const PHASES: [Phase; 5] = [Phase::Queued, Phase::Leased, Phase::Parked, Phase::Delayed, Phase::Ended];

/// All statuses, in the order in which a status lists them.
pub(super) const STATUSES: [TaskStatus; 5] =
    [TaskStatus::Working, TaskStatus::InputRequired, TaskStatus::Completed, TaskStatus::Failed, TaskStatus::Cancelled];

#[derive(Debug)]
pub(super) struct State {
    pub(super) options: Options,
    pub(super) tasks: HashMap<TaskId, Entry>,
    pub(super) queue: Queue,
    /// When leases and pauses end.
    pub(super) dues: BTreeSet<(Millis, TaskId)>,
    /// When tasks expire that have not ended.
    pub(super) expiries: BTreeSet<(Millis, TaskId)>,
    /// When tasks may be deleted that have ended.
    pub(super) ended: BTreeSet<(Millis, TaskId)>,
    /// By when they were created.
    pub(super) ages: BTreeSet<(Millis, TaskId)>,
    /// How many tasks somebody has.
    pub(super) owners: HashMap<Owner, usize>,
    /// What all tasks take.
    pub(super) task_bytes: u64,
    pub(super) log: Log,
    pub(super) values: Values,
    pub(super) marks: Marks,
}

impl State {
    pub(super) fn new(options: Options) -> Self {
        Self {
            options,
            tasks: HashMap::new(),
            queue: Queue::default(),
            dues: BTreeSet::new(),
            expiries: BTreeSet::new(),
            ended: BTreeSet::new(),
            ages: BTreeSet::new(),
            owners: HashMap::new(),
            task_bytes: 0,
            log: Log::default(),
            values: Values::default(),
            marks: Marks::default(),
        }
    }

    /// What everything takes, as far as anybody has written it.
    pub(super) fn bytes(&self) -> u64 {
        self.task_bytes + self.values.bytes()
    }

    /// Takes in a task.
    pub(super) fn insert(&mut self, mut entry: Entry) {
        let id = entry.task.id.clone();
        *self.owners.entry(entry.task.owner.clone()).or_default() += 1;
        self.ages.insert((entry.task.created_at, id.clone()));
        self.index(&mut entry);
        self.tasks.insert(id, entry);
    }

    /// Takes out a task with all that is stored of it.
    pub(super) fn delete(&mut self, id: &TaskId) {
        let Some(mut entry) = self.tasks.remove(id) else { return };
        self.unindex(&mut entry);
        self.ages.remove(&(entry.task.created_at, id.clone()));
        if let Some(count) = self.owners.get_mut(&entry.task.owner) {
            *count -= 1;
            if *count == 0 {
                self.owners.remove(&entry.task.owner);
            }
        }
    }

    /// Changes a task. Its place in the queue stays if it is queued before and afterwards.
    pub(super) fn edit<T>(&mut self, id: &TaskId, act: impl FnOnce(&mut Entry) -> T) -> Option<T> {
        let mut entry = self.tasks.remove(id)?;
        let was_queued = entry.phase == Phase::Queued;
        let place = entry.place.filter(|_| was_queued);
        self.unindex_times(&entry);
        let result = act(&mut entry);
        match entry.phase == Phase::Queued {
            true if was_queued => {}
            true => self.enqueue(&mut entry),
            false => self.dequeue(&mut entry, place),
        }
        self.index_times(&entry);
        self.tasks.insert(id.clone(), entry);
        Some(result)
    }

    /// Tells the followers that a task has become something else that clients see.
    pub(super) fn tell(&mut self, event: Event, now: Millis) {
        self.log.forget(self.options.events_for, now, usize::MAX);
        self.log.tell(event, now);
    }

    fn index(&mut self, entry: &mut Entry) {
        if entry.phase == Phase::Queued {
            self.enqueue(entry);
        }
        self.index_times(entry);
    }

    fn unindex(&mut self, entry: &mut Entry) {
        let place = entry.place;
        self.dequeue(entry, place);
        self.unindex_times(entry);
    }

    fn enqueue(&mut self, entry: &mut Entry) {
        entry.place = Some(self.queue.push(&entry.task.owner, &entry.task.tool, &entry.task.id));
    }

    fn dequeue(&mut self, entry: &mut Entry, place: Option<super::queue::Place>) {
        if let Some(place) = place {
            self.queue.remove(&entry.task.owner, &entry.task.tool, place);
        }
        entry.place = None;
    }

    fn index_times(&mut self, entry: &Entry) {
        self.task_bytes += entry.bytes();
        let id = || entry.task.id.clone();
        if let Some(due) = entry.due {
            self.dues.insert((due, id()));
        }
        if let Some(expires_at) = entry.task.expires_at {
            let index = if entry.phase == Phase::Ended { &mut self.ended } else { &mut self.expiries };
            index.insert((expires_at, id()));
        }
    }

    fn unindex_times(&mut self, entry: &Entry) {
        self.task_bytes -= entry.bytes();
        let id = || entry.task.id.clone();
        if let Some(due) = entry.due {
            self.dues.remove(&(due, id()));
        }
        if let Some(expires_at) = entry.task.expires_at {
            let index = if entry.phase == Phase::Ended { &mut self.ended } else { &mut self.expiries };
            index.remove(&(expires_at, id()));
        }
    }
}
