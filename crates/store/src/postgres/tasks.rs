//! What those do who create tasks.

use anypod_proto::tasks::TaskStatus;

use super::Postgres;
use super::call::{Call, Request, parameters};
use super::text::{Columns, number, pause, stored};
use crate::error::StoreError;
use crate::task::{Answered, Created, Full, Made, NewTask, Owner, Question, Task, TaskId};
use crate::work::Lease;

/// The kinds of what is written, see [`Request::order`]. What is new comes first: where a bound is close, it waits for others,
/// who should not wait for what has been changed before it.
const NEW_TASK: u8 = 0;
const TASK: u8 = 2;

/// A request that writes a task.
pub(super) fn on_task(call: Call, id: &TaskId, parameters: Vec<super::call::Parameter>) -> Request {
    Request::on(call, TASK, id.as_str().as_bytes(), parameters)
}

fn stored_owner(owner: &Owner) -> String {
    stored(owner.as_str())
}

impl Postgres {
    pub(super) async fn create_task(&self, new: NewTask) -> Result<Created, StoreError> {
        self.options.check("the call", &new.call)?;
        self.options.check("the message", new.message.as_deref().unwrap_or_default())?;
        let bytes = new.call.len() as u64;
        let (worker, lease) = new.lease.unzip();
        let room = self.room.look(bytes, self.options.store_bytes);
        let parameters = parameters![
            new.id.as_str().to_owned(),
            stored_owner(&new.owner),
            stored(new.tool),
            stored(new.call),
            new.message.map(stored),
            new.ttl.map(pause),
            new.poll.map(pause),
            worker.map(stored),
            lease.map(pause),
            number(self.options.queue),
            number(self.options.tasks_of_owner),
            room.then(|| number(self.options.store_bytes)),
        ];
        let rows = self.ask(Request::on(Call::Create, NEW_TASK, new.id.as_str().as_bytes(), parameters)).await?;
        let columns = Columns::of_one(&rows)?;
        let is_leased = match columns.read::<i32>("made")? {
            0 | 1 => false,
            2 => true,
            3 => return Ok(Created::Full(Full::Queue)),
            4 => return Ok(Created::Full(Full::Owner)),
            _ => {
                self.room.is_full();
                return Ok(Created::Full(Full::Store));
            }
        };
        let lease = is_leased.then_some(Lease { id: new.id, fence: 1 });
        Ok(Created::Made(Box::new(Made { task: task(&columns)?, lease })))
    }

    pub(super) async fn seen_task(&self, id: TaskId, owner: Option<Owner>) -> Result<Option<Task>, StoreError> {
        let parameters = parameters![id.as_str().to_owned(), owner.as_ref().map(stored_owner)];
        let rows = self.ask(Request::new(Call::Task, parameters)).await?;
        Columns::of_any(&rows).map(|columns| task(&columns)).transpose()
    }

    pub(super) async fn answer_task(
        &self,
        id: TaskId,
        owner: Option<Owner>,
        answers: Vec<(String, String)>,
    ) -> Result<Answered, StoreError> {
        let (text_bytes, journal_bytes) = (self.options.text_bytes, self.options.journal_bytes);
        let (keys, texts): (Vec<_>, Vec<_>) =
            answers.into_iter().map(|(key, text)| (stored(key), stored(text))).unzip();
        let parameters = parameters![
            id.as_str().to_owned(),
            owner.as_ref().map(stored_owner),
            keys,
            texts,
            number(text_bytes),
            number(journal_bytes),
        ];
        let rows = self.ask(on_task(Call::Answer, &id, parameters)).await?;
        let columns = Columns::of_one(&rows)?;
        match columns.read::<i32>("code")? {
            0 => Ok(Answered::Unknown),
            1 | 2 => Ok(Answered::Taken),
            3 => Err(columns.too_long("the answer", text_bytes)?),
            _ => Err(columns.too_long("the journal", journal_bytes)?),
        }
    }

    pub(super) async fn cancel_task(
        &self,
        id: TaskId,
        owner: Option<Owner>,
        message: Option<String>,
    ) -> Result<Option<TaskStatus>, StoreError> {
        self.options.check("the message", message.as_deref().unwrap_or_default())?;
        let parameters = parameters![id.as_str().to_owned(), owner.as_ref().map(stored_owner), message.map(stored)];
        let rows = self.ask(on_task(Call::Cancel, &id, parameters)).await?;
        Columns::of_any(&rows).map(|columns| columns.status("before")).transpose()
    }
}

/// The task of a row.
fn task(columns: &Columns<'_>) -> Result<Task, StoreError> {
    let (keys, requests) = (columns.texts("keys")?, columns.texts("requests")?);
    Ok(Task {
        id: columns.id("id")?,
        owner: columns.owner()?,
        tool: columns.text("tool")?,
        status: columns.status("status")?,
        message: columns.text_if_any("message")?,
        created_at: columns.moment("created_at")?,
        updated_at: columns.moment("updated_at")?,
        expires_at: columns.moment_if_any("expires_at")?,
        poll: columns.duration_if_any("poll")?,
        outcome: columns.text_if_any("outcome")?,
        questions: questions(keys, requests),
    })
}

pub(super) fn questions(keys: Vec<String>, requests: Vec<String>) -> Vec<Question> {
    keys.into_iter().zip(requests).map(|(key, request)| Question { key, request }).collect()
}
