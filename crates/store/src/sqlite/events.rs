//! What followers hear.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::Row;

use super::Shared;
use super::db::Tx;
use super::fault::Fault;
use crate::error::StoreError;
use crate::event::{Event, Heard};
use crate::follow::{Look, Source};
use crate::task::TaskId;

/// Events, and bytes of them, that are read at once.
const AT_ONCE: usize = 1_000;
const BYTES_AT_ONCE: usize = 4 << 20;

/// Says that a task has become something else that clients see.
pub(super) fn changed(tx: &Tx<'_, '_>, id: &TaskId) -> Result<(), Fault> {
    tx.run("INSERT INTO events (at, task) VALUES (?1, ?2)", (tx.now, id))?;
    tx.wake();
    Ok(())
}

pub(super) fn publish(tx: &Tx<'_, '_>, events: &[String]) -> Result<(), Fault> {
    for text in events {
        tx.options.check("the event", text)?;
        tx.run("INSERT INTO events (at, told) VALUES (?1, ?2)", (tx.now, text))?;
        tx.wake();
    }
    Ok(())
}

/// Numbers of events grow in the order in which they are committed, since one process writes at a time.
pub(super) struct Listening {
    shared: Arc<Shared>,
    /// The number of the last event that was heard.
    last: i64,
}

/// Hears of what is committed from now on.
pub(super) async fn listen(shared: &Arc<Shared>) -> Result<Listening, StoreError> {
    let last = shared.readers.run(last).await?;
    Ok(Listening { shared: Arc::clone(shared), last })
}

/// The number of the last event, deleted or not.
fn last(tx: &Tx<'_, '_>) -> Result<i64, Fault> {
    let sql = "SELECT seq FROM sqlite_sequence WHERE name = 'events'";
    Ok(tx.row(sql, (), |row| row.get(0))?.unwrap_or(0))
}

impl Source for Listening {
    const EVERY: Option<Duration> = None;
    const PACE: Duration = Duration::ZERO;

    async fn look(&mut self) -> Result<Look, StoreError> {
        let last = self.last;
        let (look, last) = self.shared.readers.run(move |tx| after(tx, last)).await?;
        self.last = last;
        Ok(look)
    }
}

/// What comes after an event, and the number of the last one of it.
fn after(tx: &Tx<'_, '_>, last: i64) -> Result<(Look, i64), Fault> {
    let swept = tx.number("SELECT value FROM meta WHERE key = 'swept'", ())?;
    let mut heard = Heard { events: Vec::new(), gap: swept > last };
    let (mut end, mut bytes, mut more) = (last.max(swept), 0, false);
    tx.each("SELECT n, task, told FROM events WHERE n > ?1 ORDER BY n", (end,), |row| {
        let (n, event) = event(row)?;
        if let Event::Told(text) = &event {
            bytes += text.len();
        }
        heard.events.push(event);
        end = n;
        more = heard.events.len() >= AT_ONCE || bytes >= BYTES_AT_ONCE;
        Ok(!more)
    })?;
    Ok((Look { heard, more }, end))
}

fn event(row: &Row<'_>) -> rusqlite::Result<(i64, Event)> {
    let event = match row.get(1)? {
        Some(id) => Event::Task(id),
        None => Event::Told(row.get(2)?),
    };
    Ok((row.get(0)?, event))
}
