//! Deleting what is over, and giving room back.

use super::db::Tx;
use super::fault::Fault;
use super::rows::size;
use crate::report::Swept;
use crate::time::{Millis, millis};

pub(super) fn sweep(tx: &Tx<'_, '_>, most: usize) -> Result<Swept, Fault> {
    let swept = Swept {
        tasks: tasks(tx, most)?,
        values: gone(tx, most, "DELETE FROM kept WHERE n IN (SELECT n FROM kept WHERE expires_at <= ?1 LIMIT ?2)")?,
        marks: gone(
            tx,
            most,
            "DELETE FROM marks WHERE digest IN (SELECT digest FROM marks WHERE until <= ?1 ORDER BY until LIMIT ?2)",
        )?,
        events: events(tx, most)?,
        more: false,
    };
    let bound = most as u64;
    let more = [swept.tasks, swept.values, swept.marks, swept.events].iter().any(|count| *count >= bound);
    Ok(Swept { more, ..swept })
}

fn gone(tx: &Tx<'_, '_>, most: usize, sql: &'static str) -> Result<u64, Fault> {
    Ok(tx.run(sql, (tx.now, size(most)))? as u64)
}

/// Tasks that have ended and were kept for long enough, with all that is stored of them.
fn tasks(tx: &Tx<'_, '_>, most: usize) -> Result<u64, Fault> {
    let sql = "SELECT n FROM tasks WHERE phase = 3 AND expires_at <= ?1 ORDER BY expires_at LIMIT ?2";
    let over: Vec<i64> = tx.rows(sql, (tx.now, size(most)), |row| row.get(0))?;
    for n in &over {
        tx.run("DELETE FROM entries WHERE task = ?1", (n,))?;
        tx.run("DELETE FROM outcomes WHERE n = ?1", (n,))?;
        tx.run("DELETE FROM calls WHERE n = ?1", (n,))?;
        tx.run("DELETE FROM tasks WHERE n = ?1", (n,))?;
    }
    Ok(over.len() as u64)
}

/// Events that were kept for long enough, in their order. One that seems to come from further ahead than events are kept is
/// of a clock that was wrong, and would keep all that come after it.
fn events(tx: &Tx<'_, '_>, most: usize) -> Result<u64, Fault> {
    let keep = millis(tx.options.events_for);
    let (from, to) = (Millis(tx.now.0.saturating_sub(keep)), Millis(tx.now.0.saturating_add(keep)));
    let mut over = (0_u64, None::<i64>);
    tx.each("SELECT n, at FROM events ORDER BY n LIMIT ?1", (size(most),), |row| {
        let (n, at): (i64, Millis) = (row.get(0)?, row.get(1)?);
        let is_over = at < from || at > to;
        if is_over {
            over = (over.0 + 1, Some(n));
        }
        Ok(is_over)
    })?;
    if let (_, Some(last)) = over {
        tx.run("DELETE FROM events WHERE n <= ?1", (last,))?;
        tx.run("UPDATE meta SET value = ?1 WHERE key = 'swept'", (last,))?;
    }
    Ok(over.0)
}

/// Gives 64 free pages back, which takes less than a millisecond. Gives whether there are more.
pub(super) fn give_back(tx: &Tx<'_, '_>) -> Result<bool, Fault> {
    // It moves one page with each row that is asked for.
    tx.each("PRAGMA incremental_vacuum(64)", (), |_| Ok(true))?;
    Ok(tx.number("PRAGMA freelist_count", ())? > 0)
}

/// Writes what is in the log into the file, which is cut off then, as far as no reader needs it as it is.
pub(super) fn write_back(tx: &Tx<'_, '_>) -> Result<(), Fault> {
    // Not possible within a transaction. Other reads may come after this in the same one.
    tx.run("COMMIT", ())?;
    let written = tx.each("PRAGMA wal_checkpoint(PASSIVE)", (), |_| Ok(true));
    tx.run("BEGIN", ())?;
    Ok(written?)
}
