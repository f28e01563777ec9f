//! Tasks from creation to result, over several pods: whichever connection is free creates one, or looks for one that another
//! pod may have created.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use memchr::memmem;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    CallReport, Histogram, Target,
    pool::{Next, Pool, Work},
};
use crate::http::shown;

/// What the tool `step` is called with, and gives back.
const TEXT: &str = "sixteen of bytes";
/// How many digits a task's id has.
const ID_LEN: usize = 32;
const ID_MEMBER: &[u8] = br#""taskId":""#;

/// What tasks are created, and how far they are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Of one step, to their result.
    Step,
    /// That ask, to their question.
    Rest,
}

impl Kind {
    const fn tool(self) -> &'static str {
        match self {
            Self::Step => "step",
            Self::Rest => "rest",
        }
    }

    /// What a task says once it is so far.
    const fn end(self) -> &'static [u8] {
        match self {
            Self::Step => br#""status":"completed""#,
            Self::Rest => br#""status":"input_required""#,
        }
    }

    fn check(self, task: &Value) -> bool {
        match self {
            Self::Step => task["result"]["content"][0]["text"] == TEXT,
            Self::Rest => task["inputRequests"]["go"]["method"] == "elicitation/create",
        }
    }
}

/// When a run ends.
#[derive(Clone, Copy, Debug)]
pub enum Enough {
    /// After a warm-up and then this long.
    Time(Duration),
    /// Once so many tasks are as far as they are followed.
    Count(u64),
}

/// Tasks created, and followed.
#[derive(Clone, Debug)]
pub struct Tasks {
    /// The pods.
    pub targets: Vec<Target>,
    /// What is created.
    pub kind: Kind,
    /// How many connections, spread over the pods.
    pub connections: usize,
    /// How many tasks may be under way at once.
    pub open: usize,
    /// When to end.
    pub enough: Enough,
}

/// What became of tasks.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct TaskReport {
    /// Tasks created and followed to their end, per second after the warm-up.
    pub per_second: f64,
    /// How many those were.
    pub tasks: u64,
    /// Looks per task.
    pub looks: f64,
    /// Median time from the request that created one to the answer with its end, in milliseconds.
    pub p50_ms: f64,
    /// The same for the slowest hundredth.
    pub p99_ms: f64,
}

/// How long a run goes on before it is counted.
const WARM_UP: Duration = Duration::from_secs(1);

impl Tasks {
    /// Creates and follows tasks.
    ///
    /// # Errors
    /// At the first answer that is wrong, a connection that fails, or when the pods fall silent.
    pub fn run(&self) -> Result<TaskReport> {
        Ok(self.follow()?.0)
    }

    /// The same, and gives the tasks' ids.
    fn follow(&self) -> Result<(TaskReport, Vec<String>)> {
        let mut pool = Pool::open(&self.targets, self.connections)?;
        let started = Instant::now();
        let (counted_from, until) = match self.enough {
            Enough::Time(time) => (started + WARM_UP, Some(started + WARM_UP + time)),
            Enough::Count(_) => (started, None),
        };
        let mut run = Following {
            tasks: self,
            counted_from,
            until,
            created: 0,
            open: 0,
            looks: 0,
            due: VecDeque::new(),
            ids: Vec::new(),
            latencies: Histogram::default(),
            number: 0,
            last: started,
        };
        pool.run(&mut run)?;
        let tasks = run.latencies.count();
        ensure!(tasks > 0, "no task came to its end");
        let elapsed = run.last.saturating_duration_since(counted_from).as_secs_f64();
        let report = TaskReport {
            per_second: tasks as f64 / elapsed,
            tasks,
            looks: run.looks as f64 / run.ids.len() as f64,
            p50_ms: run.latencies.quantile_us(0.5) / 1_000.0,
            p99_ms: run.latencies.quantile_us(0.99) / 1_000.0,
        };
        Ok((report, run.ids))
    }
}

/// A task that was created.
struct Open {
    id: String,
    since: Instant,
}

struct Following<'a> {
    tasks: &'a Tasks,
    counted_from: Instant,
    until: Option<Instant>,
    created: u64,
    open: usize,
    looks: u64,
    /// When to look for which, the earliest first: all are asked to wait equally long.
    due: VecDeque<(Instant, Open)>,
    /// Of those that are as far as they are followed.
    ids: Vec<String>,
    latencies: Histogram,
    number: u64,
    last: Instant,
}

/// What a request was for.
enum Step {
    Create(Instant),
    Look(Open),
}

impl Following<'_> {
    /// Looks again when the server says so.
    fn wait(&mut self, task: Open, body: &[u8], now: Instant) -> Result<()> {
        let poll = number(body, br#""pollIntervalMs":"#).context("a task does not say when to look again")?;
        self.due.push_back((now + Duration::from_millis(poll), task));
        Ok(())
    }
}

impl Work for Following<'_> {
    type Tag = Step;

    fn next(&mut self, target: &Target, now: Instant) -> Next<Step> {
        self.number += 1;
        if self.due.front().is_some_and(|(at, _)| *at <= now)
            && let Some((_, task)) = self.due.pop_front()
        {
            self.looks += 1;
            return Next::Send(target.task(&task.id, self.number), Step::Look(task));
        }
        let is_enough = matches!(self.tasks.enough, Enough::Count(count) if self.created >= count);
        if self.open < self.tasks.open && !is_enough {
            self.open += 1;
            self.created += 1;
            return Next::Send(target.create(self.tasks.kind.tool(), TEXT, self.number), Step::Create(now));
        }
        self.due.front().map_or(Next::Nothing, |(at, _)| Next::At(*at))
    }

    fn answered(&mut self, step: Step, _: u64, body: &[u8], now: Instant) -> Result<()> {
        match step {
            Step::Create(since) => {
                let at = memmem::find(body, ID_MEMBER).with_context(|| format!("no task: {}", shown(body)))?;
                let id = body.get(at + ID_MEMBER.len()..at + ID_MEMBER.len() + ID_LEN);
                let id = String::from_utf8(id.context("a task with a short id")?.to_vec())?;
                self.wait(Open { id, since }, body, now)
            }
            Step::Look(task) if memmem::find(body, self.tasks.kind.end()).is_some() => {
                let answer: Value = serde_json::from_slice(body)?;
                let told = &answer["result"];
                ensure!(told["taskId"] == task.id && self.tasks.kind.check(told), "a wrong end: {}", shown(body));
                self.open -= 1;
                self.last = now;
                if now >= self.counted_from {
                    self.latencies.record(now - task.since);
                }
                self.ids.push(task.id);
                Ok(())
            }
            Step::Look(task) => {
                let works = memmem::find(body, br#""status":"working""#).is_some();
                ensure!(works, "a task that neither works nor ends well: {}", shown(body));
                self.wait(task, body, now)
            }
        }
    }

    fn is_over(&self, now: Instant) -> bool {
        match (self.until, self.tasks.enough) {
            (Some(until), _) => now >= until,
            (None, Enough::Count(count)) => self.ids.len() as u64 >= count,
            (None, Enough::Time(_)) => true,
        }
    }
}

/// The number behind a member's name.
fn number(body: &[u8], member: &[u8]) -> Option<u64> {
    let rest = &body[memmem::find(body, member)? + member.len()..];
    let end = rest.iter().position(|byte| !byte.is_ascii_digit())?;
    std::str::from_utf8(&rest[..end]).ok()?.parse().ok()
}

/// Asks for tasks that have ended, again and again.
#[derive(Clone, Debug)]
pub struct Looks {
    /// The pods.
    pub targets: Vec<Target>,
    /// How many connections, spread over the pods.
    pub connections: usize,
    /// How many tasks there are to ask for.
    pub tasks: u64,
    /// How long to ask.
    pub time: Duration,
}

impl Looks {
    /// Creates the tasks, waits for them, and asks.
    ///
    /// # Errors
    /// As [`Tasks::run`].
    pub fn run(&self) -> Result<CallReport> {
        let enough = Enough::Count(self.tasks);
        let (targets, connections) = (self.targets.clone(), self.connections);
        let (_, ids) = Tasks { targets, kind: Kind::Step, connections, open: 256, enough }.follow()?;
        let started = Instant::now();
        let counted_from = started + WARM_UP;
        let until = counted_from + self.time;
        let mut work = Looking { ids: &ids, next: 0, counted_from, until, latencies: Histogram::default(), all: 0 };
        Pool::open(&self.targets, self.connections)?.run(&mut work)?;
        let answers = work.latencies.count();
        ensure!(answers > 0, "no answer was counted");
        Ok(CallReport {
            requests_per_second: answers as f64 / self.time.as_secs_f64(),
            p50_us: work.latencies.quantile_us(0.5),
            p99_us: work.latencies.quantile_us(0.99),
            answers,
            all_answers: work.all,
            errors: 0,
        })
    }
}

struct Looking<'a> {
    ids: &'a [String],
    next: usize,
    counted_from: Instant,
    until: Instant,
    latencies: Histogram,
    all: u64,
}

impl Work for Looking<'_> {
    type Tag = (usize, Instant);

    fn next(&mut self, target: &Target, now: Instant) -> Next<Self::Tag> {
        self.next += 1;
        let index = self.next % self.ids.len();
        Next::Send(target.task(&self.ids[index], self.next as u64), (index, now))
    }

    fn answered(&mut self, (index, since): Self::Tag, _: u64, body: &[u8], now: Instant) -> Result<()> {
        let is_it = memmem::find(body, self.ids[index].as_bytes()).is_some();
        ensure!(is_it && memmem::find(body, Kind::Step.end()).is_some(), "another task: {}", shown(body));
        self.all += 1;
        if now >= self.counted_from {
            self.latencies.record(now - since);
        }
        Ok(())
    }

    fn is_over(&self, now: Instant) -> bool {
        now >= self.until
    }
}
