//! What those do who look after a fleet.

use anypod_proto::tasks::TaskStatus;

use super::state::{PHASES, STATUSES, State};
use crate::report::{StoreStatus, Swept, TaskQuery, TaskRow};
use crate::task::{Phase, TaskId};
use crate::time::Millis;

impl State {
    pub(super) fn status(&self, now: Millis) -> StoreStatus {
        let count = |is: &dyn Fn(Phase, TaskStatus) -> bool| {
            self.tasks.values().filter(|entry| is(entry.phase, entry.task.status)).count() as u64
        };
        let queued = self.tasks.values().filter(|entry| entry.phase == Phase::Queued);
        StoreStatus {
            place: "memory".to_owned(),
            form: 0,
            now,
            phases: PHASES.map(|wanted| (wanted, count(&|phase, _| phase == wanted))).into(),
            statuses: STATUSES.map(|wanted| (wanted, count(&|_, status| status == wanted))).into(),
            oldest_queued: queued.map(|entry| entry.task.created_at).min(),
            steps: self.tasks.values().map(super::entry::Entry::steps).sum(),
            values: self.values.len() as u64,
            marks: self.marks.len() as u64,
            events: self.log.len() as u64,
            bytes: self.bytes(),
        }
    }

    pub(super) fn tasks(&self, query: &TaskQuery) -> Vec<TaskRow> {
        let before = |age: &&(Millis, TaskId)| query.before.as_ref().is_none_or(|before| *age < before);
        let entries = self.ages.iter().rev().filter(before).filter_map(|(_, id)| self.tasks.get(id));
        let wanted = entries.filter(|entry| {
            query.status.is_none_or(|status| status == entry.task.status)
                && query.tool.as_ref().is_none_or(|tool| *tool == entry.task.tool)
                && query.owner.as_ref().is_none_or(|owner| *owner == entry.task.owner)
        });
        wanted.take(query.most).map(super::entry::Entry::row).collect()
    }

    pub(super) fn retry(&mut self, id: &TaskId) -> Option<TaskStatus> {
        let entry = self.tasks.get(id)?;
        let (before, phase) = (entry.task.status, entry.phase);
        if matches!(phase, Phase::Parked | Phase::Ended) {
            return Some(before);
        }
        self.edit(id, |entry| {
            // Its worker's fence is not good any more, even once the task is taken up again.
            entry.fence += u64::from(phase == Phase::Leased);
            (entry.deaths, entry.failures) = (0, 0);
            entry.queue();
        });
        Some(before)
    }

    pub(super) fn sweep(&mut self, most: usize, now: Millis) -> Swept {
        let over = self.ended.iter().take_while(|(at, _)| *at <= now).take(most);
        let over: Vec<TaskId> = over.map(|(_, id)| id.clone()).collect();
        for id in &over {
            self.delete(id);
        }
        let tasks = over.len() as u64;
        let values = self.values.sweep(now, most);
        let marks = self.marks.sweep(now, most);
        let events = self.log.forget(self.options.events_for, now, most);
        let more = [tasks, values, marks, events].contains(&(most as u64));
        Swept { tasks, values, marks, events, more }
    }
}
