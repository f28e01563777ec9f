//! What those see who look after a fleet.

use anypod_proto::tasks::TaskStatus;
use rusqlite::Row;

use super::db::Tx;
use super::fault::Fault;
use super::rows::{Status, count, size};
use super::{journal, schema};
use crate::report::{StoreStatus, TaskQuery, TaskReport, TaskRow};
use crate::task::{Phase, TaskId};
use crate::time::Millis;

const PHASES: [Phase; 5] = [Phase::Queued, Phase::Delayed, Phase::Leased, Phase::Parked, Phase::Ended];
const STATUSES: [TaskStatus; 5] =
    [TaskStatus::Working, TaskStatus::InputRequired, TaskStatus::Completed, TaskStatus::Failed, TaskStatus::Cancelled];

/// How many tasks are in a phase and have a status, and how many steps they have recorded.
type Count = (Phase, TaskStatus, u64, u64);

pub(super) fn status(tx: &Tx<'_, '_>, place: String) -> Result<StoreStatus, Fault> {
    let counts: Vec<Count> =
        tx.rows("SELECT phase, status, count(*), sum(steps) FROM tasks GROUP BY phase, status", (), |row| {
            let Status(status) = row.get(1)?;
            Ok((row.get(0)?, status, count(row.get(2)?), count(row.get(3)?)))
        })?;
    let sum = |is: &dyn Fn(&Count) -> bool| counts.iter().filter(|count| is(count)).map(|count| count.2).sum();
    let pages = count(tx.number("PRAGMA page_count", ())?);
    Ok(StoreStatus {
        place,
        form: schema::FORM,
        now: tx.now,
        phases: PHASES.map(|phase| (phase, sum(&|count| count.0 == phase))).into(),
        statuses: STATUSES.map(|status| (status, sum(&|count| count.1 == status))).into(),
        oldest_queued: tx
            .row("SELECT min(created_at) FROM tasks INDEXED BY queued WHERE phase = 0", (), |row| row.get(0))?
            .flatten(),
        steps: counts.iter().map(|count| count.3).sum(),
        values: count(tx.number("SELECT count(*) FROM kept", ())?),
        marks: count(tx.number("SELECT count(*) FROM marks", ())?),
        events: count(tx.number("SELECT count(*) FROM events", ())?),
        bytes: pages.saturating_mul(count(tx.number("PRAGMA page_size", ())?)),
    })
}

pub(super) fn tasks(tx: &Tx<'_, '_>, query: &TaskQuery) -> Result<Vec<TaskRow>, Fault> {
    // The tasks of one owner are few, and put in order once they are found.
    let sql = match &query.owner {
        Some(owner) if !owner.is_nobody() => {
            "SELECT n, id, owner, tool, status, phase, message, created_at, updated_at, expires_at, attempts, deaths, failures,
                worker, due, steps, journal_bytes + other_bytes FROM tasks INDEXED BY owners
            WHERE (created_at, id) < (?1, ?2) AND (?3 IS NULL OR status = ?3) AND (?4 IS NULL OR tool = ?4)
                AND owner = ?6 AND owner <> ''
            ORDER BY created_at DESC, id DESC LIMIT ?5"
        }
        Some(_) | None => {
            "SELECT n, id, owner, tool, status, phase, message, created_at, updated_at, expires_at, attempts, deaths, failures,
                worker, due, steps, journal_bytes + other_bytes FROM tasks
            WHERE (created_at, id) < (?1, ?2) AND (?3 IS NULL OR status = ?3) AND (?4 IS NULL OR tool = ?4)
                AND (?6 IS NULL OR owner = ?6)
            ORDER BY created_at DESC, id DESC LIMIT ?5"
        }
    };
    // Ids are characters that come before this one.
    let (at, id) = match &query.before {
        Some((at, id)) => (*at, id.as_str()),
        None => (Millis(u64::MAX), "~"),
    };
    Ok(tx.rows(sql, (at, id, query.status.map(Status), &query.tool, size(query.most), &query.owner), read)?)
}

pub(super) fn report(tx: &Tx<'_, '_>, id: &TaskId) -> Result<Option<TaskReport>, Fault> {
    let sql = "SELECT n, id, owner, tool, status, phase, message, created_at, updated_at, expires_at, attempts, deaths, failures,
            worker, due, steps, journal_bytes + other_bytes FROM tasks WHERE id = ?1";
    let Some((n, task)) = tx.row(sql, (id,), |row| Ok((row.get(0)?, read(row)?)))? else { return Ok(None) };
    Ok(Some(TaskReport { task, journal: journal::report(tx, n)? }))
}

fn read(row: &Row<'_>) -> rusqlite::Result<TaskRow> {
    let Status(status) = row.get(4)?;
    Ok(TaskRow {
        id: row.get(1)?,
        owner: row.get(2)?,
        tool: row.get(3)?,
        status,
        phase: row.get(5)?,
        message: row.get(6)?,
        created_at: row.get(7)?,
        updated_at: row.get(8)?,
        expires_at: row.get(9)?,
        attempts: count(row.get(10)?),
        deaths: row.get(11)?,
        failures: row.get(12)?,
        worker: row.get(13)?,
        due_at: row.get(14)?,
        steps: count(row.get(15)?),
        bytes: count(row.get(16)?),
    })
}
