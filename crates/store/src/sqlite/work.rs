//! What workers write: only with a lease that nobody has taken from them.

use std::time::Duration;

use super::db::Tx;
use super::fault::Fault;
use super::rows::{Status, int, size};
use super::{events, journal, queue};
use crate::task::{Owner, Question};
use crate::work::{End, Fenced, HandBack, Lease, Reason, Step};

/// A task that a worker has.
struct Held {
    n: i64,
    owner: Owner,
    tool: String,
    message: Option<String>,
}

/// The task, if the lease is good.
fn held(tx: &Tx<'_, '_>, lease: &Lease) -> Result<Option<Held>, Fault> {
    let sql = "SELECT n, owner, tool, message FROM tasks WHERE id = ?1 AND phase = 1 AND fence = ?2";
    let read = |row: &rusqlite::Row<'_>| {
        Ok(Held { n: row.get(0)?, owner: row.get(1)?, tool: row.get(2)?, message: row.get(3)? })
    };
    Ok(tx.row(sql, (&lease.id, int(lease.fence)), read)?)
}

pub(super) fn renew(tx: &Tx<'_, '_>, leases: &[Lease], lease: Duration) -> Result<Vec<Fenced>, Fault> {
    let sql = "UPDATE tasks SET due = ?3 WHERE id = ?1 AND phase = 1 AND fence = ?2";
    let due = tx.now.after(lease);
    let renew = |lease: &Lease| match tx.run(sql, (&lease.id, int(lease.fence), due))? {
        0 => Ok(Fenced::Lost),
        _ => Ok(Fenced::Written),
    };
    leases.iter().map(renew).collect()
}

pub(super) fn record(tx: &Tx<'_, '_>, lease: &Lease, step: &Step) -> Result<Fenced, Fault> {
    tx.options.check("the result of a step", &step.result)?;
    let Some(held) = held(tx, lease)? else { return Ok(Fenced::Lost) };
    if journal::step(tx, held.n, step)? {
        journal::grow(tx, held.n, step.result.len())?;
        tx.run("UPDATE tasks SET steps = steps + 1, deaths = 0, failures = 0 WHERE n = ?1", (held.n,))?;
    }
    Ok(Fenced::Written)
}

pub(super) fn say(tx: &Tx<'_, '_>, lease: &Lease, message: &str) -> Result<Fenced, Fault> {
    tx.options.check("the message", message)?;
    let Some(held) = held(tx, lease)? else { return Ok(Fenced::Lost) };
    if held.message.as_deref() != Some(message) {
        tx.run("UPDATE tasks SET message = ?2, updated_at = ?3 WHERE n = ?1", (held.n, message, tx.now))?;
        events::changed(tx, &lease.id)?;
    }
    Ok(Fenced::Written)
}

pub(super) fn park(tx: &Tx<'_, '_>, lease: &Lease, questions: &[Question]) -> Result<Fenced, Fault> {
    for question in questions {
        tx.options.check("the question", &question.request)?;
    }
    let Some(held) = held(tx, lease)? else { return Ok(Fenced::Lost) };
    let mut bytes = 0;
    for question in questions {
        if journal::question(tx, held.n, question)? {
            bytes += question.request.len();
        }
    }
    journal::grow(tx, held.n, bytes)?;
    match journal::is_open(tx, held.n)? {
        true => {
            let sql = "UPDATE tasks SET phase = 2, status = 1, due = NULL, updated_at = ?2 WHERE n = ?1";
            tx.run(sql, (held.n, tx.now))?;
        }
        false => {
            tx.run("UPDATE tasks SET status = 0, updated_at = ?2 WHERE n = ?1", (held.n, tx.now))?;
            queue::push(tx, held.n, &held.owner, &held.tool)?;
        }
    }
    events::changed(tx, &lease.id)?;
    Ok(Fenced::Written)
}

pub(super) fn finish(tx: &Tx<'_, '_>, lease: &Lease, end: &End) -> Result<Fenced, Fault> {
    let outcome = end.outcome.as_deref();
    tx.options.check("the outcome", outcome.unwrap_or_default())?;
    tx.options.check("the message", end.message.as_deref().unwrap_or_default())?;
    let Some(held) = held(tx, lease)? else { return Ok(Fenced::Lost) };
    if let Some(outcome) = outcome {
        tx.run("INSERT INTO outcomes (n, outcome) VALUES (?1, ?2)", (held.n, outcome))?;
    }
    tx.run(
        "UPDATE tasks SET phase = 3, status = ?2, message = ?3, updated_at = ?4, due = NULL,
            expires_at = max(expires_at, ?5), other_bytes = other_bytes + ?6 WHERE n = ?1",
        (held.n, Status(end.status), &end.message, tx.now, tx.now.after(end.keep), size(outcome.map_or(0, str::len))),
    )?;
    events::changed(tx, &lease.id)?;
    Ok(Fenced::Written)
}

pub(super) fn hand_back(tx: &Tx<'_, '_>, lease: &Lease, back: &HandBack) -> Result<Fenced, Fault> {
    tx.options.check("the message", back.message.as_deref().unwrap_or_default())?;
    let Some(held) = held(tx, lease)? else { return Ok(Fenced::Lost) };
    if back.reason == Reason::Failed {
        tx.run("UPDATE tasks SET failures = failures + 1 WHERE n = ?1", (held.n,))?;
    }
    match back.pause.is_zero() {
        true => queue::push(tx, held.n, &held.owner, &held.tool)?,
        false => {
            let due = tx.now.after(back.pause);
            tx.run("UPDATE tasks SET phase = 4, due = ?2 WHERE n = ?1", (held.n, due))?;
            // Workers wait for what was due first, and this may come before it.
            tx.wake();
        }
    }
    if let Some(message) = &back.message {
        tx.run("UPDATE tasks SET message = ?2, updated_at = ?3 WHERE n = ?1", (held.n, message, tx.now))?;
        events::changed(tx, &lease.id)?;
    }
    Ok(Fenced::Written)
}
