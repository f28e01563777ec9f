//! Values behind handles.

use rusqlite::Row;

use super::db::Tx;
use super::fault::Fault;
use super::rows::{count, int, size, span};
use crate::time::Millis;
use crate::value::{NewValue, Replaced, Value, ValueId};

/// A value that was found.
pub(super) struct Found {
    pub(super) value: Value,
    /// Whether looking at it begins its time anew, which is written.
    pub(super) slides: bool,
}

pub(super) fn put(tx: &Tx<'_, '_>, new: &NewValue) -> Result<bool, Fault> {
    tx.options.check("the value", &new.text)?;
    let ValueId { kind, id, owner } = &new.id;
    let before = version(tx, &new.id)?;
    if before.is_none() && !owner.is_nobody() {
        let sql =
            "SELECT count(*) FROM kept WHERE owner = ?1 AND owner <> '' AND (expires_at IS NULL OR expires_at > ?2)";
        if tx.number(sql, (owner, tx.now))? >= size(tx.options.values_of_owner) {
            return Ok(false);
        }
    }
    let slides = new.ttl.filter(|_| new.sliding).map(span);
    tx.run(
        "INSERT INTO kept (kind, id, owner, version, expires_at, slides, text) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
        ON CONFLICT (owner, kind, id) DO UPDATE SET version = excluded.version, expires_at = excluded.expires_at,
            slides = excluded.slides, text = excluded.text",
        (kind, id, owner, before.unwrap_or(0) + 1, new.ttl.map(|ttl| tx.now.after(ttl)), slides, &new.text),
    )?;
    Ok(true)
}

/// The version of a value whose time is not over.
fn version(tx: &Tx<'_, '_>, id: &ValueId) -> Result<Option<i64>, Fault> {
    let sql = "SELECT version FROM kept WHERE owner = ?1 AND kind = ?2 AND id = ?3
        AND (expires_at IS NULL OR expires_at > ?4)";
    Ok(tx.row(sql, (&id.owner, &id.kind, &id.id, tx.now), |row| row.get(0))?)
}

pub(super) fn value(tx: &Tx<'_, '_>, id: &ValueId) -> Result<Option<Found>, Fault> {
    let sql = "SELECT text, version, expires_at, slides FROM kept WHERE owner = ?1 AND kind = ?2 AND id = ?3
        AND (expires_at IS NULL OR expires_at > ?4)";
    Ok(tx.row(sql, (&id.owner, &id.kind, &id.id, tx.now), read)?)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Found> {
    let value = Value { text: row.get(0)?, version: count(row.get(1)?), expires_at: row.get(2)? };
    Ok(Found { value, slides: row.get::<_, Option<i64>>(3)?.is_some() })
}

/// A value, whose time begins anew if it slides.
pub(super) fn look(tx: &Tx<'_, '_>, id: &ValueId) -> Result<Option<Value>, Fault> {
    if version(tx, id)?.is_none() {
        return Ok(None);
    }
    slide(tx, id)?;
    Ok(value(tx, id)?.map(|found| found.value))
}

fn slide(tx: &Tx<'_, '_>, id: &ValueId) -> Result<(), Fault> {
    let sql = "SELECT slides FROM kept WHERE owner = ?1 AND kind = ?2 AND id = ?3";
    let slides: Option<Option<i64>> = tx.row(sql, (&id.owner, &id.kind, &id.id), |row| row.get(0))?;
    if let Some(slides) = slides.flatten() {
        let sql = "UPDATE kept SET expires_at = ?4 WHERE owner = ?1 AND kind = ?2 AND id = ?3";
        let expires_at = Millis(tx.now.0.saturating_add(count(slides)));
        tx.run(sql, (&id.owner, &id.kind, &id.id, expires_at))?;
    }
    Ok(())
}

pub(super) fn replace(tx: &Tx<'_, '_>, id: &ValueId, wanted: u64, text: &str) -> Result<Replaced, Fault> {
    tx.options.check("the value", text)?;
    match version(tx, id)? {
        None => return Ok(Replaced::Gone),
        Some(version) if version != int(wanted) => return Ok(Replaced::Changed),
        Some(_) => {}
    }
    let sql = "UPDATE kept SET text = ?4, version = version + 1 WHERE owner = ?1 AND kind = ?2 AND id = ?3";
    tx.run(sql, (&id.owner, &id.kind, &id.id, text))?;
    slide(tx, id)?;
    Ok(Replaced::Done(wanted.saturating_add(1)))
}

pub(super) fn remove(tx: &Tx<'_, '_>, id: &ValueId) -> Result<bool, Fault> {
    let was_there = version(tx, id)?.is_some();
    tx.run("DELETE FROM kept WHERE owner = ?1 AND kind = ?2 AND id = ?3", (&id.owner, &id.kind, &id.id))?;
    Ok(was_there)
}
