//! Taking tasks up.

use std::time::Duration;

use rusqlite::Row;

use super::db::Tx;
use super::fault::Fault;
use super::rows::{count, size};
use super::{journal, queue};
use crate::task::{Owner, Phase};
use crate::time::Millis;
use crate::work::{Claim, Claimed, Claims, Lease};

/// Tasks whose lease or pause is over that one claim sees to. If there are more, the next claim, which is due at once, goes
/// on: nobody waits for all those of a pod that was lost.
const AT_ONCE: usize = 1_000;

/// The shortest time that a worker is told to wait.
const SOON: Duration = Duration::from_millis(1);

pub(super) fn claim(tx: &Tx<'_, '_>, claim: &Claim) -> Result<Claims, Fault> {
    queue_what_is_due(tx)?;
    let mut found = expired(tx, claim)?;
    // What has expired while it waits is in both.
    let mut waiting = waiting(tx, claim, &found)?;
    found.append(&mut waiting);
    let tasks = found.into_iter().map(|n| take(tx, claim, n)).collect::<Result<_, _>>()?;
    Ok(Claims { tasks, next: next(tx)? })
}

/// Lets those wait for a worker whose pause is over, then those whose worker was not heard of.
fn queue_what_is_due(tx: &Tx<'_, '_>) -> Result<(), Fault> {
    let sql = "SELECT n, phase, owner, tool FROM tasks WHERE due <= ?1 ORDER BY due LIMIT ?2";
    let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
    let mut due: Vec<(i64, Phase, Owner, String)> = tx.rows(sql, (tx.now, size(AT_ONCE)), read)?;
    due.sort_by_key(|(_, phase, ..)| *phase != Phase::Delayed);
    for (n, phase, owner, tool) in due {
        if phase == Phase::Leased {
            tx.run("UPDATE tasks SET deaths = deaths + 1 WHERE n = ?1", (n,))?;
        }
        queue::push(tx, n, &owner, &tool)?;
    }
    Ok(())
}

/// Those whose time is over, and which nobody is at.
fn expired(tx: &Tx<'_, '_>, claim: &Claim) -> Result<Vec<i64>, Fault> {
    let sql = "SELECT n, tool FROM tasks WHERE phase <> 3 AND expires_at <= ?1 AND phase <> 1 ORDER BY expires_at";
    pick(tx, claim, sql, (tx.now,), &[])
}

/// Those that wait for a worker, by their turns.
fn waiting(tx: &Tx<'_, '_>, claim: &Claim, taken: &[i64]) -> Result<Vec<i64>, Fault> {
    let sql = "SELECT n, tool FROM tasks INDEXED BY queued WHERE phase = 0 ORDER BY turn, place";
    pick(tx, claim, sql, (), taken)
}

/// The first ones of these rows, together with those that are taken as many as are wanted, whose tool the worker has.
fn pick(
    tx: &Tx<'_, '_>,
    claim: &Claim,
    sql: &'static str,
    params: impl rusqlite::Params,
    taken: &[i64],
) -> Result<Vec<i64>, Fault> {
    let mut found = Vec::new();
    let most = claim.most.saturating_sub(taken.len());
    if most == 0 {
        return Ok(found);
    }
    tx.each(sql, params, |row| {
        let n = row.get(0)?;
        let tool = row.get_ref(1)?.as_str()?;
        if claim.tools.iter().any(|has| has == tool) && !taken.contains(&n) {
            found.push(n);
        }
        Ok(found.len() < most)
    })?;
    Ok(found)
}

fn take(tx: &Tx<'_, '_>, claim: &Claim, n: i64) -> Result<Claimed, Fault> {
    tx.run(
        "UPDATE tasks SET phase = 1, fence = fence + 1, attempts = attempts + 1, due = ?2, worker = ?3, turn = NULL,
            place = NULL WHERE n = ?1",
        (n, tx.now.after(claim.lease), &claim.worker),
    )?;
    let sql = "SELECT id, fence, owner, tool, deaths, failures, created_at, expires_at, call
        FROM tasks JOIN calls USING (n) WHERE n = ?1";
    let claimed = tx.row(sql, (n,), |row| read(row, tx.now))?;
    let claimed = claimed.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
    let (steps, answers) = journal::read(tx, n)?;
    Ok(Claimed { steps, answers, ..claimed })
}

/// A task, without its journal.
fn read(row: &Row<'_>, now: Millis) -> rusqlite::Result<Claimed> {
    Ok(Claimed {
        lease: Lease { id: row.get(0)?, fence: count(row.get(1)?) },
        owner: row.get(2)?,
        tool: row.get(3)?,
        call: row.get(8)?,
        steps: Vec::new(),
        answers: Vec::new(),
        deaths: row.get(4)?,
        failures: row.get(5)?,
        created_at: row.get(6)?,
        expires_at: row.get(7)?,
        now,
    })
}

/// How long it is until a lease or a pause is over, or a task's time.
///
/// What has expired already is none of that: who can end it has just got it, or somebody is at it.
fn next(tx: &Tx<'_, '_>) -> Result<Option<Duration>, Fault> {
    let moment = |row: &Row<'_>| row.get::<_, Millis>(0);
    let due = tx.row("SELECT due FROM tasks WHERE due IS NOT NULL ORDER BY due LIMIT 1", (), moment)?;
    let expires = tx.row(
        "SELECT expires_at FROM tasks WHERE phase <> 3 AND expires_at > ?1 ORDER BY expires_at LIMIT 1",
        (tx.now,),
        moment,
    )?;
    Ok(due.into_iter().chain(expires).min().map(|moment| moment.since(tx.now).max(SOON)))
}
