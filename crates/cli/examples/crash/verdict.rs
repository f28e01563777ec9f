//! What was seen, and which promises were broken.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anypod_store::{JournalEntry, Millis, Options, TaskId};
use serde_json::{Value, json};

use crate::client::{post, steps};
use crate::ledger::{Ledger, now};
use crate::storm::Fleet;

/// How many broken promises are printed.
const PRINTED: usize = 20;

#[derive(Default)]
pub(crate) struct Verdict {
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// The tasks, by their ids, with the numbers of their calls.
    tasks: BTreeMap<String, i64>,
    /// What was first said of those that have ended.
    ends: BTreeMap<String, Value>,
    counts: BTreeMap<String, u64>,
    broken: Vec<String>,
}

/// Whether a task has ended.
pub(crate) fn is_over(task: &Value) -> bool {
    matches!(task["status"].as_str(), Some("completed" | "failed" | "cancelled"))
}

impl Verdict {
    pub(crate) fn count(&self, what: &str) {
        *self.lock().counts.entry(what.to_owned()).or_default() += 1;
    }

    pub(crate) fn broken(&self, how: impl Into<String>) {
        self.lock().broken.push(how.into());
    }

    /// A task was created by the call of that number.
    pub(crate) fn created(&self, call: i64, id: &str) {
        self.lock().tasks.insert(id.to_owned(), call);
    }

    /// A pod has said this of a task.
    pub(crate) fn saw(&self, id: &str, task: &Value) {
        let mut said = task.clone();
        // Which server says so is no part of what it says.
        said.as_object_mut().into_iter().for_each(|said| drop(said.remove("_meta")));
        let mut seen = self.lock();
        match seen.ends.get(id) {
            Some(end) if *end != said => {
                let how = format!("a task has ended as {end}, and then is {said}");
                seen.broken.push(how);
            }
            Some(_) => {}
            None if is_over(task) => {
                seen.ends.insert(id.to_owned(), said);
            }
            None => {}
        }
    }

    /// Asks every pod about every task.
    pub(crate) async fn compare_pods(&self, fleet: &Fleet) {
        let ids: Vec<String> = self.lock().tasks.keys().cloned().collect();
        for port in &fleet.ports {
            for id in &ids {
                match post(*port, "tasks/get", id, json!({ "taskId": id })).await {
                    Ok(answer) => self.saw(id, &answer["result"]),
                    Err(error) => self.broken(format!("the pod at {port} does not say how a task is: {error}")),
                }
            }
        }
    }

    /// Holds the journals of the store against what was tried, and the ledger against what was done.
    ///
    /// # Errors
    /// If one of them cannot be read.
    pub(crate) async fn hold_against(&self, store: &str, ledger: &Ledger) -> anyhow::Result<()> {
        let store = anypod_store::open(store, Options::default(), || Millis(now())).await?;
        let tasks = self.lock().tasks.clone();
        let mut recorded: BTreeMap<(i64, String), u64> = BTreeMap::new();
        for (id, call) in &tasks {
            let Some(report) = TaskId::parse(id).map(|id| store.report(id)) else { continue };
            let Some(report) = report.await? else {
                self.broken("a task is not in the store");
                continue;
            };
            let mut done = 0;
            for entry in report.journal {
                if let JournalEntry::Step { key, at, .. } = entry
                    && !key.starts_with('!')
                {
                    recorded.insert((*call, key), at.0);
                    done += 1;
                }
            }
            for step in steps(done) {
                if ledger.receipt(*call, &step)?.is_none() {
                    self.broken(format!("{step} of a task is recorded, and not in the ledger"));
                }
            }
        }
        for attempt in ledger.attempts()? {
            let recorded = recorded.get(&(attempt.task, attempt.step.clone()));
            if recorded.is_some_and(|at| attempt.at > *at) {
                self.broken(format!("{} of a task ran again once it was recorded", attempt.step));
            }
        }
        Ok(())
    }

    /// Prints what was seen, as figures of a run of that name. Gives whether all promises were kept.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub(crate) fn report(&self, run: &str, ledger: &Ledger) -> anyhow::Result<bool> {
        let (effects, steps, attempts) = ledger.counts()?;
        if effects != steps {
            self.broken(format!("{effects} effects in the ledger for {steps} steps"));
        }
        let seen = self.lock();
        println!("figure {run}_tasks {} number", seen.tasks.len());
        println!("figure {run}_ended {} number", seen.ends.len());
        println!("figure {run}_effects {effects} number");
        println!("figure {run}_attempts {attempts} number");
        for (what, count) in &seen.counts {
            println!("figure {run}_{} {count} number", what.replace(' ', "_"));
        }
        println!("figure {run}_promises_broken {} number", seen.broken.len());
        for how in seen.broken.iter().take(PRINTED) {
            println!("BROKEN {how}");
        }
        Ok(seen.broken.is_empty() && seen.ends.len() == seen.tasks.len())
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
