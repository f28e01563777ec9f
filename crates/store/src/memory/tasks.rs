//! What those do who create tasks.

use anypod_proto::tasks::TaskStatus;

use super::entry::Entry;
use super::state::State;
use crate::error::StoreError;
use crate::event::Event;
use crate::task::{Answered, Created, Full, Made, NewTask, Owner, Phase, Task, TaskId};
use crate::time::Millis;

impl State {
    pub(super) fn create(&mut self, mut new: NewTask, now: Millis) -> Result<Created, StoreError> {
        self.options.check("the call", &new.call)?;
        self.options.check("the message", new.message.as_deref().unwrap_or_default())?;
        if let Some(entry) = self.tasks.get(&new.id) {
            return Ok(Created::Made(Box::new(Made { task: entry.seen(), lease: None })));
        }
        // What waits already comes before what is created here.
        let wanted = new.lease.take().filter(|_| self.queue.is_empty());
        if let Some(full) = self.full_for(&new, wanted.is_some()) {
            return Ok(Created::Full(full));
        }
        let mut entry = Entry::new(new, now);
        let lease = wanted.map(|(worker, lease)| entry.lease_to(&worker, now.after(lease)));
        let made = Made { task: entry.seen(), lease };
        self.insert(entry);
        Ok(Created::Made(Box::new(made)))
    }

    fn full_for(&self, new: &NewTask, is_leased: bool) -> Option<Full> {
        let count = self.owners.get(&new.owner).copied().unwrap_or(0);
        if self.bytes() >= self.options.store_bytes {
            return Some(Full::Store);
        }
        if !new.owner.is_nobody() && count >= self.options.tasks_of_owner {
            return Some(Full::Owner);
        }
        (!is_leased && self.queue.len() >= self.options.queue).then_some(Full::Queue)
    }

    /// A task, if it is there and of this owner.
    fn of(&self, id: &TaskId, owner: Option<&Owner>) -> Option<&Entry> {
        self.tasks.get(id).filter(|entry| owner.is_none_or(|owner| *owner == entry.task.owner))
    }

    pub(super) fn task(&self, id: &TaskId, owner: Option<&Owner>) -> Option<Task> {
        self.of(id, owner).map(Entry::seen)
    }

    pub(super) fn answer(
        &mut self,
        id: &TaskId,
        owner: Option<&Owner>,
        mut answers: Vec<(String, String)>,
        now: Millis,
    ) -> Result<Answered, StoreError> {
        let Some(entry) = self.of(id, owner) else { return Ok(Answered::Unknown) };
        if entry.phase == Phase::Ended {
            return Ok(Answered::Taken);
        }
        let mut open: Vec<&str> = entry.open().map(|question| question.key.as_str()).collect();
        // The first answer to a question counts.
        answers.retain(|(key, _)| match open.iter().position(|open| open == key) {
            Some(at) => {
                open.remove(at);
                true
            }
            None => false,
        });
        let is_complete = open.is_empty();
        let mut bytes = 0;
        for (_, text) in &answers {
            self.options.check("the answer", text)?;
            bytes += text.len();
        }
        self.check_journal(entry, bytes)?;
        if answers.is_empty() {
            return Ok(Answered::Taken);
        }
        self.edit(id, |entry| {
            for (key, text) in answers {
                entry.write_answer(&key, text, now);
            }
            if entry.phase == Phase::Parked && is_complete {
                entry.task.status = TaskStatus::Working;
                entry.queue();
            }
            entry.task.updated_at = now;
        });
        self.tell(Event::Task(id.clone()), now);
        Ok(Answered::Taken)
    }

    /// Refuses what a journal has no room for.
    pub(super) fn check_journal(&self, entry: &Entry, more: usize) -> Result<(), StoreError> {
        let (bytes, most) = (entry.journal_bytes + more, self.options.journal_bytes);
        match bytes <= most || more == 0 {
            true => Ok(()),
            false => Err(StoreError::TooLong { what: "the journal", bytes, most }),
        }
    }

    pub(super) fn cancel(
        &mut self,
        id: &TaskId,
        owner: Option<&Owner>,
        message: Option<String>,
        now: Millis,
    ) -> Result<Option<TaskStatus>, StoreError> {
        self.options.check("the message", message.as_deref().unwrap_or_default())?;
        let Some(entry) = self.of(id, owner) else { return Ok(None) };
        let before = entry.task.status;
        if entry.phase == Phase::Ended {
            return Ok(Some(before));
        }
        self.edit(id, |entry| {
            entry.end(TaskStatus::Cancelled, now);
            if message.is_some() {
                entry.task.message = message;
            }
        });
        self.tell(Event::Task(id.clone()), now);
        Ok(Some(before))
    }
}
