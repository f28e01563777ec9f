//! A task with all that is stored of it.

use std::time::Duration;

use anypod_proto::tasks::TaskStatus;

use super::queue::Place;
use crate::report::{JournalEntry, TaskReport, TaskRow};
use crate::task::{NewTask, Phase, Question, Task};
use crate::time::Millis;
use crate::work::{Claimed, Lease, Step};

#[derive(Debug)]
pub(super) struct Entry {
    /// As its client sees it, but for the questions, which are in the journal.
    pub(super) task: Task,
    pub(super) call: String,
    pub(super) phase: Phase,
    /// The end of the lease, or of the pause.
    pub(super) due: Option<Millis>,
    /// Where it stands in the queue, while it is queued.
    pub(super) place: Option<Place>,
    pub(super) fence: u64,
    pub(super) attempts: u64,
    pub(super) deaths: u32,
    pub(super) failures: u32,
    pub(super) worker: Option<String>,
    journal: Vec<Written>,
    pub(super) journal_bytes: usize,
}

/// An entry of the journal.
#[derive(Debug)]
enum Written {
    Step { step: Step, at: Millis },
    Question { question: Question, at: Millis, answer: Option<(String, Millis)> },
}

impl Entry {
    /// A task that is in no phase yet that anything follows from: whoever creates it says what becomes of it.
    pub(super) fn new(new: NewTask, now: Millis) -> Self {
        let task = Task {
            id: new.id,
            owner: new.owner,
            tool: new.tool,
            status: TaskStatus::Working,
            message: new.message,
            created_at: now,
            updated_at: now,
            expires_at: new.ttl.map(|ttl| now.after(ttl)),
            poll: new.poll,
            outcome: None,
            questions: Vec::new(),
        };
        Self {
            task,
            call: new.call,
            phase: Phase::Queued,
            due: None,
            place: None,
            fence: 0,
            attempts: 0,
            deaths: 0,
            failures: 0,
            worker: None,
            journal: Vec::new(),
            journal_bytes: 0,
        }
    }

    /// Gives it to a worker.
    pub(super) fn lease_to(&mut self, worker: &str, due: Millis) -> Lease {
        self.fence += 1;
        self.attempts += 1;
        self.phase = Phase::Leased;
        self.due = Some(due);
        self.worker = Some(worker.to_owned());
        Lease { id: self.task.id.clone(), fence: self.fence }
    }

    /// Lets it wait for a worker.
    pub(super) fn queue(&mut self) {
        self.phase = Phase::Queued;
        self.due = None;
    }

    /// Lets it wait for a worker, or for its time if there is a pause.
    pub(super) fn queue_after(&mut self, pause: Duration, now: Millis) {
        match pause.is_zero() {
            true => self.queue(),
            false => (self.phase, self.due) = (Phase::Delayed, Some(now.after(pause))),
        }
    }

    /// Ends it, with its questions. What it leaves behind is still to be said.
    pub(super) fn end(&mut self, status: TaskStatus, now: Millis) {
        self.phase = Phase::Ended;
        self.due = None;
        self.task.status = status;
        self.task.updated_at = now;
    }

    pub(super) fn is_good(&self, lease: &Lease) -> bool {
        self.phase == Phase::Leased && self.fence == lease.fence
    }

    /// As its client sees it.
    pub(super) fn seen(&self) -> Task {
        let questions = match self.phase {
            Phase::Ended => Vec::new(),
            Phase::Queued | Phase::Delayed | Phase::Leased | Phase::Parked => self.open().cloned().collect(),
        };
        Task { questions, ..self.task.clone() }
    }

    /// As the worker sees it who has taken it up.
    pub(super) fn claimed(&self, lease: Lease, now: Millis) -> Claimed {
        let steps = self.journal.iter().filter_map(|written| match written {
            Written::Step { step, .. } => Some(step.clone()),
            Written::Question { .. } => None,
        });
        let answers = self.journal.iter().filter_map(|written| match written {
            Written::Question { question, answer: Some((answer, _)), .. } => Some((question.clone(), answer.clone())),
            Written::Question { .. } | Written::Step { .. } => None,
        });
        Claimed {
            lease,
            owner: self.task.owner.clone(),
            tool: self.task.tool.clone(),
            call: self.call.clone(),
            steps: steps.collect(),
            answers: answers.collect(),
            deaths: self.deaths,
            failures: self.failures,
            created_at: self.task.created_at,
            expires_at: self.task.expires_at,
            now,
        }
    }
}

/// The journal.
impl Entry {
    pub(super) fn has_step(&self, key: &str) -> bool {
        self.journal.iter().any(|written| matches!(written, Written::Step { step, .. } if step.key == key))
    }

    pub(super) fn has_question(&self, key: &str) -> bool {
        self.journal.iter().any(|written| matches!(written, Written::Question { question, .. } if question.key == key))
    }

    /// What nobody has answered.
    pub(super) fn open(&self) -> impl Iterator<Item = &Question> {
        self.journal.iter().filter_map(|written| match written {
            Written::Question { question, answer: None, .. } => Some(question),
            Written::Question { .. } | Written::Step { .. } => None,
        })
    }

    pub(super) fn write_step(&mut self, step: Step, at: Millis) {
        self.journal_bytes += step.result.len();
        self.journal.push(Written::Step { step, at });
    }

    pub(super) fn write_question(&mut self, question: Question, at: Millis) {
        self.journal_bytes += question.request.len();
        self.journal.push(Written::Question { question, at, answer: None });
    }

    /// Takes the answer to a question that is open.
    pub(super) fn write_answer(&mut self, key: &str, text: String, now: Millis) {
        for written in &mut self.journal {
            if let Written::Question { question, answer: answer @ None, .. } = written
                && question.key == key
            {
                self.journal_bytes += text.len();
                *answer = Some((text, now));
                return;
            }
        }
    }
}

/// For those who look after a fleet.
impl Entry {
    /// What it takes, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        let outcome = self.task.outcome.as_ref().map_or(0, String::len);
        (self.call.len() + self.journal_bytes + outcome) as u64
    }

    pub(super) fn steps(&self) -> u64 {
        self.journal.iter().filter(|written| matches!(written, Written::Step { .. })).count() as u64
    }

    pub(super) fn row(&self) -> TaskRow {
        TaskRow {
            id: self.task.id.clone(),
            owner: self.task.owner.clone(),
            tool: self.task.tool.clone(),
            status: self.task.status,
            phase: self.phase,
            message: self.task.message.clone(),
            created_at: self.task.created_at,
            updated_at: self.task.updated_at,
            expires_at: self.task.expires_at,
            attempts: self.attempts,
            deaths: self.deaths,
            failures: self.failures,
            worker: self.worker.clone(),
            due_at: self.due,
            steps: self.steps(),
            bytes: self.bytes(),
        }
    }

    pub(super) fn report(&self) -> TaskReport {
        let journal = self.journal.iter().map(|written| match written {
            Written::Step { step, at } => {
                JournalEntry::Step { key: step.key.clone(), at: *at, bytes: step.result.len() }
            }
            Written::Question { question, at, answer } => JournalEntry::Question {
                key: question.key.clone(),
                at: *at,
                answered_at: answer.as_ref().map(|(_, at)| *at),
            },
        });
        TaskReport { task: self.row(), journal: journal.collect() }
    }
}
