//! Tasks, for those who create them.

use anypod_proto::tasks::TaskStatus;
use rusqlite::Row;

use super::db::Tx;
use super::fault::Fault;
use super::queue::Spot;
use super::rows::{Status, count, size, span};
use super::{events, journal, queue};
use crate::task::{Answered, Created, Full, Made, NewTask, Owner, Phase, Task, TaskId};
use crate::work::Lease;

pub(super) fn create(tx: &Tx<'_, '_>, new: &NewTask) -> Result<Created, Fault> {
    tx.options.check("the call", &new.call)?;
    tx.options.check("the message", new.message.as_deref().unwrap_or_default())?;
    if let Some(task) = task(tx, &new.id, None)? {
        return Ok(Created::Made(Box::new(Made { task, lease: None })));
    }
    let waiting = queue::length(tx)?;
    let lease = new.lease.as_ref().filter(|_| waiting == 0);
    if let Some(full) = full(tx, new, waiting, lease.is_some())? {
        return Ok(Created::Full(full));
    }
    let n = insert(tx, new, lease.map(|(worker, _)| worker.as_str()))?;
    tx.run("INSERT INTO calls (n, call) VALUES (?1, ?2)", (n, &new.call))?;
    if lease.is_none() {
        tx.wake();
    }
    let lease = lease.map(|_| Lease { id: new.id.clone(), fence: 1 });
    Ok(Created::Made(Box::new(Made { task: begun(tx, new), lease })))
}

/// What there is too much of for one more task.
fn full(tx: &Tx<'_, '_>, new: &NewTask, waiting: i64, is_leased: bool) -> Result<Option<Full>, Fault> {
    if tx.bytes()? >= tx.options.store_bytes {
        return Ok(Some(Full::Store));
    }
    if !new.owner.is_nobody() {
        let sql = "SELECT count(*) FROM tasks WHERE owner = ?1 AND owner <> ''";
        if tx.number(sql, (&new.owner,))? >= size(tx.options.tasks_of_owner) {
            return Ok(Some(Full::Owner));
        }
    }
    Ok((!is_leased && waiting >= size(tx.options.queue)).then_some(Full::Queue))
}

/// Writes the row of a task that `worker` takes up, or that waits if there is none. Gives its number.
fn insert(tx: &Tx<'_, '_>, new: &NewTask, worker: Option<&str>) -> Result<i64, Fault> {
    let spot = match worker {
        Some(_) => None,
        None => Some(queue::spot(tx, &new.owner, &new.tool)?),
    };
    let sql =
        "INSERT INTO tasks (id, owner, tool, phase, status, message, created_at, updated_at, expires_at, poll, fence,
            attempts, worker, due, turn, place, other_bytes)
        VALUES (?1, ?2, ?3, ?4, 0, ?5, ?6, ?6, ?7, ?8, ?9, ?9, ?10, ?11, ?12, ?13, ?14) RETURNING n";
    let due = new.lease.as_ref().filter(|_| worker.is_some()).map(|(_, lease)| tx.now.after(*lease));
    let (turn, place) = spot.map(|Spot { turn, place }| (turn, place)).unzip();
    Ok(tx.number(
        sql,
        (
            &new.id,
            &new.owner,
            &new.tool,
            if worker.is_some() { Phase::Leased } else { Phase::Queued },
            &new.message,
            tx.now,
            new.ttl.map(|ttl| tx.now.after(ttl)),
            new.poll.map(span),
            i64::from(worker.is_some()),
            worker,
            due,
            turn,
            place,
            size(new.call.len()),
        ),
    )?)
}

/// A task as it is when it was created.
fn begun(tx: &Tx<'_, '_>, new: &NewTask) -> Task {
    Task {
        id: new.id.clone(),
        owner: new.owner.clone(),
        tool: new.tool.clone(),
        status: TaskStatus::Working,
        message: new.message.clone(),
        created_at: tx.now,
        updated_at: tx.now,
        expires_at: new.ttl.map(|ttl| tx.now.after(ttl)),
        poll: new.poll,
        outcome: None,
        questions: Vec::new(),
    }
}

pub(super) fn task(tx: &Tx<'_, '_>, id: &TaskId, owner: Option<&Owner>) -> Result<Option<Task>, Fault> {
    let sql = "SELECT tasks.n, owner, tool, status, message, created_at, updated_at, expires_at, poll, outcome
        FROM tasks LEFT JOIN outcomes ON outcomes.n = tasks.n WHERE id = ?1";
    let found = tx.row(sql, (id,), |row| Ok((row.get(0)?, read(row, id)?)))?;
    let Some((n, mut task)) = found.filter(|(_, task)| owner.is_none_or(|owner| *owner == task.owner)) else {
        return Ok(None);
    };
    // Of all others nothing is open.
    if task.status == TaskStatus::InputRequired {
        task.questions = journal::open(tx, n)?;
    }
    Ok(Some(task))
}

fn read(row: &Row<'_>, id: &TaskId) -> rusqlite::Result<Task> {
    let Status(status) = row.get(3)?;
    Ok(Task {
        id: id.clone(),
        owner: row.get(1)?,
        tool: row.get(2)?,
        status,
        message: row.get(4)?,
        created_at: row.get(5)?,
        updated_at: row.get(6)?,
        expires_at: row.get(7)?,
        poll: row.get::<_, Option<i64>>(8)?.map(|poll| std::time::Duration::from_millis(count(poll))),
        outcome: row.get(9)?,
        questions: Vec::new(),
    })
}

/// What decides what may become of a task.
struct Found {
    n: i64,
    owner: Owner,
    tool: String,
    phase: Phase,
    status: TaskStatus,
}

fn find(tx: &Tx<'_, '_>, id: &TaskId, owner: Option<&Owner>) -> Result<Option<Found>, Fault> {
    let found = tx.row("SELECT n, owner, tool, phase, status FROM tasks WHERE id = ?1", (id,), |row| {
        let Status(status) = row.get(4)?;
        Ok(Found { n: row.get(0)?, owner: row.get(1)?, tool: row.get(2)?, phase: row.get(3)?, status })
    })?;
    Ok(found.filter(|found| owner.is_none_or(|owner| *owner == found.owner)))
}

pub(super) fn answer(
    tx: &Tx<'_, '_>,
    id: &TaskId,
    owner: Option<&Owner>,
    answers: &[(String, String)],
) -> Result<Answered, Fault> {
    let Some(found) = find(tx, id, owner)? else { return Ok(Answered::Unknown) };
    if found.phase == Phase::Ended {
        return Ok(Answered::Taken);
    }
    let (mut taken, mut bytes) = (0, 0);
    for (key, text) in answers {
        if journal::answer(tx, found.n, key, text)? {
            tx.options.check("the answer", text)?;
            (taken, bytes) = (taken + 1, bytes + text.len());
        }
    }
    if taken == 0 {
        return Ok(Answered::Taken);
    }
    journal::grow(tx, found.n, bytes)?;
    tx.run("UPDATE tasks SET updated_at = ?2 WHERE n = ?1", (found.n, tx.now))?;
    if found.phase == Phase::Parked && !journal::is_open(tx, found.n)? {
        tx.run("UPDATE tasks SET status = 0 WHERE n = ?1", (found.n,))?;
        queue::push(tx, found.n, &found.owner, &found.tool)?;
    }
    events::changed(tx, id)?;
    Ok(Answered::Taken)
}

pub(super) fn cancel(
    tx: &Tx<'_, '_>,
    id: &TaskId,
    owner: Option<&Owner>,
    message: Option<&str>,
) -> Result<Option<TaskStatus>, Fault> {
    tx.options.check("the message", message.unwrap_or_default())?;
    let Some(found) = find(tx, id, owner)? else { return Ok(None) };
    if found.phase != Phase::Ended {
        tx.run(
            "UPDATE tasks SET phase = 3, status = 4, message = coalesce(?2, message), updated_at = ?3, due = NULL,
                turn = NULL, place = NULL WHERE n = ?1",
            (found.n, message, tx.now),
        )?;
        events::changed(tx, id)?;
    }
    Ok(Some(found.status))
}

/// Lets a task begin again from its journal.
pub(super) fn retry(tx: &Tx<'_, '_>, id: &TaskId) -> Result<Option<TaskStatus>, Fault> {
    let Some(found) = find(tx, id, None)? else { return Ok(None) };
    match found.phase {
        Phase::Parked | Phase::Ended => return Ok(Some(found.status)),
        Phase::Queued => {}
        Phase::Delayed => queue::push(tx, found.n, &found.owner, &found.tool)?,
        Phase::Leased => {
            tx.run("UPDATE tasks SET fence = fence + 1 WHERE n = ?1", (found.n,))?;
            queue::push(tx, found.n, &found.owner, &found.tool)?;
        }
    }
    tx.run("UPDATE tasks SET deaths = 0, failures = 0 WHERE n = ?1", (found.n,))?;
    Ok(Some(found.status))
}
