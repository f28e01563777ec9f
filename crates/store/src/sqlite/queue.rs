//! Tasks that wait for a worker, so that whose they are and of which tool takes turns.

use super::db::Tx;
use super::fault::Fault;
use crate::task::Owner;

/// Where a task waits: those with the smallest turn come first, and of those the one with the smallest place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spot {
    pub(super) turn: i64,
    pub(super) place: i64,
}

/// How many tasks wait.
pub(super) fn length(tx: &Tx<'_, '_>) -> Result<i64, Fault> {
    Ok(tx.number("SELECT value FROM meta WHERE key = 'queued'", ())?)
}

/// Where a task comes that begins to wait: one turn after the last one of the same owner and tool, but not before those
/// whose turn it is.
pub(super) fn spot(tx: &Tx<'_, '_>, owner: &Owner, tool: &str) -> Result<Spot, Fault> {
    let number = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
    let first = tx.row("SELECT turn FROM tasks WHERE phase = 0 ORDER BY turn LIMIT 1", (), number)?;
    let last = tx.row(
        "SELECT turn FROM tasks WHERE phase = 0 AND owner = ?1 AND tool = ?2 ORDER BY turn DESC LIMIT 1",
        (owner, tool),
        number,
    )?;
    let first = first.unwrap_or(0);
    let turn = last.map_or(first, |last| first.max(last.saturating_add(1)));
    let before =
        tx.row("SELECT place FROM tasks WHERE phase = 0 AND turn = ?1 ORDER BY place DESC LIMIT 1", (turn,), number)?;
    Ok(Spot { turn, place: before.map_or(0, |before| before.saturating_add(1)) })
}

/// Lets a task wait that did not.
pub(super) fn push(tx: &Tx<'_, '_>, n: i64, owner: &Owner, tool: &str) -> Result<(), Fault> {
    let Spot { turn, place } = spot(tx, owner, tool)?;
    tx.run("UPDATE tasks SET phase = 0, due = NULL, turn = ?2, place = ?3 WHERE n = ?1", (n, turn, place))?;
    tx.wake();
    Ok(())
}
