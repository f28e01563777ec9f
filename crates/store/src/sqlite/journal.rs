//! What tasks have done, asked and been answered.

use rusqlite::Row;

use super::db::Tx;
use super::fault::Fault;
use super::rows::size;
use crate::error::StoreError;
use crate::report::JournalEntry;
use crate::task::Question;
use crate::time::Millis;
use crate::work::Step;

/// The results of steps, and what was asked and answered, each in the order in which it was written.
type Read = (Vec<Step>, Vec<(Question, String)>);

/// What a worker gets.
pub(super) fn read(tx: &Tx<'_, '_>, task: i64) -> Result<Read, Fault> {
    // Sorted here and not by SQLite, which would carry the texts along.
    let mut entries = tx.rows("SELECT n, kind, key, text, answer FROM entries WHERE task = ?1", (task,), entry)?;
    entries.sort_by_key(|(n, ..)| *n);
    let (mut steps, mut answers) = (Vec::new(), Vec::new());
    for (_, is_step, key, text, answer) in entries {
        match (is_step, answer) {
            (true, _) => steps.push(Step { key, result: text }),
            (false, Some(answer)) => answers.push((Question { key, request: text }, answer)),
            (false, None) => {}
        }
    }
    Ok((steps, answers))
}

fn entry(row: &Row<'_>) -> rusqlite::Result<(i64, bool, String, String, Option<String>)> {
    Ok((row.get(0)?, row.get::<_, i64>(1)? == 0, row.get(2)?, row.get(3)?, row.get(4)?))
}

/// What nobody has answered.
pub(super) fn open(tx: &Tx<'_, '_>, task: i64) -> Result<Vec<Question>, Fault> {
    let sql = "SELECT n, key, text FROM entries WHERE task = ?1 AND kind = 1 AND answered_at IS NULL";
    let mut found: Vec<(i64, Question)> =
        tx.rows(sql, (task,), |row| Ok((row.get(0)?, Question { key: row.get(1)?, request: row.get(2)? })))?;
    found.sort_by_key(|(n, _)| *n);
    Ok(found.into_iter().map(|(_, question)| question).collect())
}

/// Whether there is a question that nobody has answered.
pub(super) fn is_open(tx: &Tx<'_, '_>, task: i64) -> Result<bool, Fault> {
    let sql = "SELECT answered_at FROM entries WHERE task = ?1 AND kind = 1 AND answered_at IS NULL LIMIT 1";
    Ok(tx.row(sql, (task,), |_| Ok(()))?.is_some())
}

/// Writes down the result of a step. Gives whether it was not there yet.
pub(super) fn step(tx: &Tx<'_, '_>, task: i64, step: &Step) -> Result<bool, Fault> {
    let sql = "INSERT INTO entries (task, kind, key, at, text) VALUES (?1, 0, ?2, ?3, ?4) ON CONFLICT DO NOTHING";
    Ok(tx.run(sql, (task, &step.key, tx.now, &step.result))? == 1)
}

/// Writes down a question. Gives whether it was not there yet.
pub(super) fn question(tx: &Tx<'_, '_>, task: i64, question: &Question) -> Result<bool, Fault> {
    let sql = "INSERT INTO entries (task, kind, key, at, text) VALUES (?1, 1, ?2, ?3, ?4) ON CONFLICT DO NOTHING";
    Ok(tx.run(sql, (task, &question.key, tx.now, &question.request))? == 1)
}

/// Writes down an answer. Gives whether somebody had asked.
pub(super) fn answer(tx: &Tx<'_, '_>, task: i64, key: &str, text: &str) -> Result<bool, Fault> {
    let sql = "UPDATE entries SET answer = ?3, answered_at = ?4
        WHERE task = ?1 AND kind = 1 AND key = ?2 AND answered_at IS NULL";
    Ok(tx.run(sql, (task, key, text, tx.now))? == 1)
}

/// Counts what a journal has grown by.
///
/// # Errors
/// If it is too long, so that what was written is taken back.
pub(super) fn grow(tx: &Tx<'_, '_>, task: i64, bytes: usize) -> Result<(), Fault> {
    let sql = "UPDATE tasks SET journal_bytes = journal_bytes + ?2 WHERE n = ?1 RETURNING journal_bytes";
    let all = tx.number(sql, (task, size(bytes)))?;
    let most = tx.options.journal_bytes;
    match usize::try_from(all) {
        Ok(all) if all > most => Err(StoreError::TooLong { what: "the journal", bytes: all, most }.into()),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// What those see who look after a fleet.
pub(super) fn report(tx: &Tx<'_, '_>, task: i64) -> Result<Vec<JournalEntry>, Fault> {
    let sql = "SELECT kind, key, at, answered_at, octet_length(text) FROM entries WHERE task = ?1 ORDER BY n";
    Ok(tx.rows(sql, (task,), |row| {
        let (key, at): (String, Millis) = (row.get(1)?, row.get(2)?);
        Ok(match row.get(0)? {
            0 => JournalEntry::Step { key, at, bytes: usize::try_from(row.get::<_, i64>(4)?).unwrap_or(0) },
            1.. | i64::MIN..0 => JournalEntry::Question { key, at, answered_at: row.get(3)? },
        })
    })?)
}
