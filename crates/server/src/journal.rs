//! The journal of a replayable handler: what its steps gave and what its questions were answered.
//!
//! A handler that asks is run again from the start when the answers are there, on whichever pod; the
//! journal makes that safe. It travels in the sealed `requestState` between two rounds.

use std::collections::{BTreeMap, BTreeSet};
use std::task::Waker;

use anypod_proto::reject::Rejection;
use anypod_proto::rounds::InputRequest;
use anypod_proto::seal::digest;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::error::{Error, Result};

/// Tells one question from another. Half of a SHA-256, as base64 is long and tokens must stay small.
type Fingerprint = [u8; 16];

/// What the marks of failed steps begin with, where steps are written down one by one.
pub(crate) const FAILED: &str = "!";

/// What travels between two rounds.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Results of steps.
    #[serde(rename = "s", default, skip_serializing_if = "BTreeMap::is_empty")]
    steps: BTreeMap<String, Value>,
    /// Answers, with the question that each belongs to.
    #[serde(rename = "a", default, skip_serializing_if = "BTreeMap::is_empty")]
    answers: BTreeMap<String, (Fingerprint, Value)>,
    /// Questions that are on their way to the client.
    #[serde(rename = "q", default, skip_serializing_if = "BTreeMap::is_empty")]
    asked: BTreeMap<String, Fingerprint>,
    /// Steps that ran and failed, whose results are not kept: they may run again before what came after them is come by.
    #[serde(rename = "f", default, skip_serializing_if = "BTreeSet::is_empty")]
    failed: BTreeSet<String>,
    /// What the keys of steps are made of, once one was asked for.
    #[serde(rename = "i", default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
}

impl Record {
    /// Adds a step that has run, or the mark of one that failed.
    pub(crate) fn add_step(&mut self, key: String, result: Value) {
        match key.strip_prefix(FAILED) {
            Some(key) => {
                self.failed.insert(key.to_owned());
            }
            None => {
                self.steps.insert(key, result);
            }
        }
    }

    /// Adds the answer to a question, whose request is given as the JSON that [`Pending::request`] is.
    pub(crate) fn add_answer(&mut self, key: String, request: &str, answer: Value) {
        self.answers.insert(key, (fingerprint_of(request.as_bytes()), answer));
    }
}

/// What becomes of answers to questions that no state says were asked. The client says whatever it likes
/// either way, so they are as good as others, except where each state is to be used once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Volunteers {
    #[default]
    Taken,
    Ignored,
}

/// A question that waits for its answer.
#[derive(Debug, Clone)]
pub(crate) struct Pending {
    /// The key under which the handler asks.
    pub(crate) key: String,
    /// What is asked.
    pub(crate) request: InputRequest,
    fingerprint: Fingerprint,
}

/// The journal of one run of a handler.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    record: Record,
    /// Answers to questions that no state vouches for: the client knew what would be asked.
    volunteered: BTreeMap<String, Box<RawValue>>,
    used: BTreeSet<String>,
    pending: Vec<Pending>,
    running: usize,
    driver: Option<Waker>,
    /// Steps that wait until everything that is recorded has been come by.
    waiting: Vec<Waker>,
}

impl Journal {
    /// The journal of a run that is given all that there is of earlier ones.
    pub(crate) fn of(record: Record) -> Self {
        Self { record, ..Self::default() }
    }

    /// The journal of a run that goes on from `record` with the client's `responses`. A response to a
    /// question that nobody asks is ignored, as the specification wants it.
    ///
    /// # Errors
    /// If a response to a question that was asked cannot be read.
    pub(crate) fn resume(
        mut record: Record,
        mut responses: BTreeMap<String, Box<RawValue>>,
        volunteers: Volunteers,
    ) -> std::result::Result<Self, Rejection> {
        for (key, fingerprint) in std::mem::take(&mut record.asked) {
            if let Some(response) = responses.remove(&key) {
                let response = read(&key, &response)?;
                record.answers.insert(key, (fingerprint, response));
            }
        }
        let volunteered = match volunteers {
            Volunteers::Taken => responses,
            Volunteers::Ignored => BTreeMap::new(),
        };
        Ok(Self { record, volunteered, ..Self::default() })
    }

    /// The answer to a question, if it is there; otherwise the question is noted as pending.
    pub(crate) fn ask(&mut self, key: &str, request: InputRequest) -> Result<Option<Value>> {
        self.mark_used(key)?;
        let fingerprint = fingerprint(&request)?;
        if let Some((asked, answer)) = self.record.answers.get(key) {
            if *asked != fingerprint {
                return Err(mismatch(key, "the handler asks something else than the client was asked"));
            }
            return Ok(Some(answer.clone()));
        }
        if self.record.steps.contains_key(key) {
            return Err(mismatch(key, "the handler asks where it ran a step before"));
        }
        if let Some(answer) = self.volunteered.remove(key) {
            let answer = read(key, &answer).map_err(Error::rejected)?;
            self.record.answers.insert(key.to_owned(), (fingerprint, answer.clone()));
            return Ok(Some(answer));
        }
        self.pending.push(Pending { key: key.to_owned(), request, fingerprint });
        self.wake_driver();
        Ok(None)
    }

    /// Takes back a question that the handler no longer waits for.
    pub(crate) fn withdraw(&mut self, key: &str) {
        self.pending.retain(|pending| pending.key != key);
    }

    /// The result of a step, if it ran before; otherwise the step counts as running until
    /// [`Journal::finish_step`].
    pub(crate) fn begin_step(&mut self, key: &str) -> Result<Option<Value>> {
        self.mark_used(key)?;
        if self.record.answers.contains_key(key) {
            return Err(mismatch(key, "the handler runs a step where it asked before"));
        }
        let done = self.record.steps.get(key).cloned();
        if done.is_none() {
            self.running += 1;
        }
        Ok(done)
    }

    /// Whether the run has come by everything that earlier ones recorded. Until then nothing new may begin: what the handler
    /// does in place of what it did before would be done a second time.
    pub(crate) fn has_caught_up(&mut self, key: &str, waker: &Waker) -> bool {
        let caught_up = self.missed().is_none() || self.record.failed.contains(key);
        if !caught_up {
            self.waiting.push(waker.clone());
        }
        caught_up
    }

    /// Why a step does not begin that waits for what was recorded.
    pub(crate) fn never_caught_up(&self, key: &str) -> Error {
        let missed = self.missed().unwrap_or_default();
        mismatch(key, &format!("an earlier run came by `{missed}` instead, and this one does not"))
    }

    /// Whether something is recorded that this run has yet to come by.
    pub(crate) fn is_replaying(&self) -> bool {
        self.missed().is_some()
    }

    /// Notes that a step failed.
    pub(crate) fn note_failure(&mut self, key: &str) {
        self.record.failed.insert(key.to_owned());
    }

    /// Whether a step of this key is recorded.
    pub(crate) fn has_step(&self, key: &str) -> bool {
        self.record.steps.contains_key(key)
    }

    /// What tells this call from others in all of its runs, made up if there is nothing yet.
    pub(crate) fn id(&mut self, make: impl FnOnce() -> String) -> String {
        self.record.id.get_or_insert_with(make).clone()
    }

    /// What has been recorded so far, if nothing is under way.
    pub(crate) fn snapshot(&self) -> Option<Record> {
        (self.running == 0 && self.pending.is_empty()).then(|| self.record.clone())
    }

    fn missed(&self) -> Option<&str> {
        let mut recorded = self.record.steps.keys().chain(self.record.answers.keys());
        recorded.find(|key| !self.used.contains(*key)).map(String::as_str)
    }

    /// Ends a running step; `result` is recorded unless the step failed or was dropped.
    pub(crate) fn finish_step(&mut self, key: &str, result: Option<Value>) {
        self.running -= 1;
        if let Some(result) = result {
            self.record.steps.insert(key.to_owned(), result);
        }
        self.wake_driver();
    }

    /// Whether the run can only go on with answers: something is asked and no step is under way.
    /// Otherwise `driver` is woken when that may have changed.
    pub(crate) fn round_ends(&mut self, driver: &Waker) -> bool {
        if !self.pending.is_empty() && self.running == 0 {
            return true;
        }
        match &mut self.driver {
            Some(known) => known.clone_from(driver),
            None => self.driver = Some(driver.clone()),
        }
        false
    }

    /// Ends the round: the questions, and what has to travel with them.
    pub(crate) fn end_round(&mut self) -> (Vec<Pending>, Record) {
        let pending = std::mem::take(&mut self.pending);
        let mut record = std::mem::take(&mut self.record);
        record.asked = pending.iter().map(|pending| (pending.key.clone(), pending.fingerprint)).collect();
        (pending, record)
    }

    /// Checks that a run which has ended came by everything that earlier rounds recorded.
    pub(crate) fn check_complete(&self) -> Result<()> {
        match self.missed() {
            Some(key) => Err(mismatch(key, "the handler did not come by it again")),
            None => Ok(()),
        }
    }

    fn mark_used(&mut self, key: &str) -> Result<()> {
        if key.starts_with(FAILED) {
            return Err(Error::internal(format_args!(
                "the key `{key}` begins with `{FAILED}`, which marks failed steps"
            )));
        }
        if self.used.insert(key.to_owned()) {
            self.waiting.drain(..).for_each(Waker::wake);
            return Ok(());
        }
        Err(Error::internal(format_args!("the key `{key}` is used twice; every step and question needs its own")))
    }

    /// Has the run looked at again.
    pub(crate) fn wake_driver(&mut self) {
        if let Some(driver) = self.driver.take() {
            driver.wake();
        }
    }
}

/// Numbers that no double holds are JSON, but no value.
fn read(key: &str, response: &RawValue) -> std::result::Result<Value, Rejection> {
    serde_json::from_str(response.get())
        .map_err(|error| Rejection::InputResponse { key: key.to_owned(), reason: error.to_string() })
}

/// The caller learns that the handler is at fault, and where; a wrong result would be worse.
fn mismatch(key: &str, what: &str) -> Error {
    Error::protocol(
        anypod_proto::code::Code::InternalError.number(),
        format!("the journal does not fit the handler at `{key}`: {what}; call again from the start"),
    )
}

fn fingerprint(request: &InputRequest) -> Result<Fingerprint> {
    let text = serde_json::to_vec(request).map_err(Error::internal)?;
    Ok(fingerprint_of(&text))
}

fn fingerprint_of(request: &[u8]) -> Fingerprint {
    let full = digest(&[request]);
    let mut half = Fingerprint::default();
    half.copy_from_slice(&full[..16]);
    half
}
