//! What workers do.

use std::time::Duration;

use anypod_proto::tasks::TaskStatus;

use super::entry::Entry;
use super::state::State;
use crate::error::StoreError;
use crate::event::Event;
use crate::task::{Phase, Question, TaskId};
use crate::time::Millis;
use crate::work::{Claim, Claimed, Claims, End, Fenced, HandBack, Lease, Reason, Step};

/// Claiming.
impl State {
    pub(super) fn claim(&mut self, claim: &Claim, now: Millis) -> Claims {
        self.wake_due(now);
        let mut tasks = Vec::new();
        for id in self.expired_of(&claim.tools, claim.most, now) {
            tasks.extend(self.give(&id, claim, now));
        }
        while tasks.len() < claim.most {
            let Some(id) = self.queue.first(&claim.tools) else { break };
            tasks.extend(self.give(&id, claim, now));
        }
        Claims { tasks, next: self.next_due(now) }
    }

    /// Lets those wait for a worker whose pause is over, or whose worker was not heard of.
    fn wake_due(&mut self, now: Millis) {
        let due: Vec<TaskId> = self.dues.iter().take_while(|(at, _)| *at <= now).map(|(_, id)| id.clone()).collect();
        for phase in [Phase::Delayed, Phase::Leased] {
            let of_phase = |id: &&TaskId| self.tasks.get(id).is_some_and(|entry| entry.phase == phase);
            let ids: Vec<TaskId> = due.iter().filter(of_phase).cloned().collect();
            for id in ids {
                self.edit(&id, |entry| {
                    entry.deaths += u32::from(phase == Phase::Leased);
                    entry.queue();
                });
            }
        }
    }

    /// Those whose time is over and that nobody has, in whatever phase they are.
    fn expired_of(&self, tools: &[String], most: usize, now: Millis) -> Vec<TaskId> {
        let over = self.expiries.iter().take_while(|(at, _)| *at <= now).map(|(_, id)| id);
        let free = |entry: &Entry| entry.phase != Phase::Leased && tools.contains(&entry.task.tool);
        over.filter(|id| self.tasks.get(id).is_some_and(free)).take(most).cloned().collect()
    }

    fn give(&mut self, id: &TaskId, claim: &Claim, now: Millis) -> Option<Claimed> {
        self.edit(id, |entry| {
            let lease = entry.lease_to(&claim.worker, now.after(claim.lease));
            entry.claimed(lease, now)
        })
    }

    /// How long it is until something becomes due. What has expired and nobody took is due already: it waits for a worker
    /// who has its tool, and no other has to come back for it.
    fn next_due(&self, now: Millis) -> Option<Duration> {
        let due = self.dues.first().map(|(at, _)| *at);
        let expiry = self.expiries.iter().map(|(at, _)| *at).find(|at| *at > now);
        let next = due.into_iter().chain(expiry).min()?;
        Some(next.since(now).max(Duration::from_millis(1)))
    }
}

/// Writing.
impl State {
    /// The task, if the lease is good.
    fn held(&self, lease: &Lease) -> Option<&Entry> {
        self.tasks.get(&lease.id).filter(|entry| entry.is_good(lease))
    }

    /// Changes a task whose lease is known to be good, and tells of it.
    fn edit_seen(&mut self, id: &TaskId, now: Millis, act: impl FnOnce(&mut Entry)) -> Fenced {
        self.edit(id, |entry| {
            act(entry);
            entry.task.updated_at = now;
        });
        self.tell(Event::Task(id.clone()), now);
        Fenced::Written
    }

    pub(super) fn renew(&mut self, leases: &[Lease], lease: Duration, now: Millis) -> Vec<Fenced> {
        let mut renew = |held: &Lease| match self.held(held) {
            Some(_) => {
                self.edit(&held.id, |entry| entry.due = Some(now.after(lease)));
                Fenced::Written
            }
            None => Fenced::Lost,
        };
        leases.iter().map(&mut renew).collect()
    }

    pub(super) fn record(&mut self, lease: &Lease, step: Step, now: Millis) -> Result<Fenced, StoreError> {
        self.options.check("the result of a step", &step.result)?;
        let Some(entry) = self.held(lease) else { return Ok(Fenced::Lost) };
        let is_new = !entry.has_step(&step.key);
        if is_new {
            self.check_journal(entry, step.result.len())?;
        }
        self.edit(&lease.id, |entry| {
            (entry.deaths, entry.failures) = (0, 0);
            if is_new {
                entry.write_step(step, now);
            }
        });
        Ok(Fenced::Written)
    }

    pub(super) fn say(&mut self, lease: &Lease, message: String, now: Millis) -> Result<Fenced, StoreError> {
        self.options.check("the message", &message)?;
        let Some(entry) = self.held(lease) else { return Ok(Fenced::Lost) };
        if entry.task.message.as_ref() == Some(&message) {
            return Ok(Fenced::Written);
        }
        Ok(self.edit_seen(&lease.id, now, |entry| entry.task.message = Some(message)))
    }

    pub(super) fn park(
        &mut self,
        lease: &Lease,
        mut questions: Vec<Question>,
        now: Millis,
    ) -> Result<Fenced, StoreError> {
        for question in &questions {
            self.options.check("the question", &question.request)?;
        }
        let Some(entry) = self.held(lease) else { return Ok(Fenced::Lost) };
        let mut keys = Vec::new();
        questions.retain(|question| {
            let is_new = !entry.has_question(&question.key) && !keys.contains(&question.key);
            keys.push(question.key.clone());
            is_new
        });
        self.check_journal(entry, questions.iter().map(|question| question.request.len()).sum())?;
        Ok(self.edit_seen(&lease.id, now, |entry| {
            for question in questions {
                entry.write_question(question, now);
            }
            entry.queue();
            entry.task.status = TaskStatus::Working;
            if entry.open().next().is_some() {
                entry.phase = Phase::Parked;
                entry.task.status = TaskStatus::InputRequired;
            }
        }))
    }

    pub(super) fn finish(&mut self, lease: &Lease, end: End, now: Millis) -> Result<Fenced, StoreError> {
        self.options.check("the outcome", end.outcome.as_deref().unwrap_or_default())?;
        self.options.check("the message", end.message.as_deref().unwrap_or_default())?;
        if self.held(lease).is_none() {
            return Ok(Fenced::Lost);
        }
        Ok(self.edit_seen(&lease.id, now, |entry| {
            entry.end(end.status, now);
            entry.task.outcome = end.outcome;
            entry.task.message = end.message;
            let kept_until = now.after(end.keep);
            entry.task.expires_at = entry.task.expires_at.map(|expires_at| expires_at.max(kept_until));
        }))
    }

    pub(super) fn hand_back(&mut self, lease: &Lease, back: HandBack, now: Millis) -> Result<Fenced, StoreError> {
        self.options.check("the message", back.message.as_deref().unwrap_or_default())?;
        if self.held(lease).is_none() {
            return Ok(Fenced::Lost);
        }
        let HandBack { reason, pause, message } = back;
        self.edit(&lease.id, |entry| {
            entry.failures += u32::from(reason == Reason::Failed);
            entry.queue_after(pause, now);
        });
        Ok(match message {
            Some(message) => self.edit_seen(&lease.id, now, |entry| entry.task.message = Some(message)),
            None => Fenced::Written,
        })
    }
}
