//! What followers hear.

use std::sync::Arc;

use rusqlite::Row;
use tokio::sync::watch;

use super::Shared;
use super::db::Tx;
use super::fault::Fault;
use crate::error::StoreError;
use crate::event::{Event, Follower, Heard};
use crate::store::Later;
use crate::task::TaskId;

/// Events, and bytes of them, that a follower takes at once.
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
struct Listening {
    shared: Arc<Shared>,
    woken: watch::Receiver<u64>,
    /// The number of the last event that was heard.
    last: i64,
}

pub(super) async fn follow(shared: &Arc<Shared>) -> Result<Box<dyn Follower>, StoreError> {
    let woken = shared.writer.listen();
    let last = shared.readers.run(last).await?;
    Ok(Box::new(Listening { shared: Arc::clone(shared), woken, last }))
}

/// The number of the last event, deleted or not.
fn last(tx: &Tx<'_, '_>) -> Result<i64, Fault> {
    let sql = "SELECT seq FROM sqlite_sequence WHERE name = 'events'";
    Ok(tx.row(sql, (), |row| row.get(0))?.unwrap_or(0))
}

impl Follower for Listening {
    fn next(&mut self) -> Later<'_, Heard> {
        Box::pin(async move {
            loop {
                self.woken.mark_unchanged();
                let last = self.last;
                let (heard, last) = self.shared.readers.run(move |tx| after(tx, last)).await?;
                self.last = last;
                if heard.gap || !heard.events.is_empty() {
                    return Ok(heard);
                }
                // The sender is in `shared`, so it is there for as long as this is.
                let _ = self.woken.changed().await;
            }
        })
    }
}

/// What comes after an event, and the number of the last one of it.
fn after(tx: &Tx<'_, '_>, last: i64) -> Result<(Heard, i64), Fault> {
    let swept = tx.number("SELECT value FROM meta WHERE key = 'swept'", ())?;
    let mut heard = Heard { events: Vec::new(), gap: swept > last };
    let (mut end, mut bytes) = (last.max(swept), 0);
    tx.each("SELECT n, task, told FROM events WHERE n > ?1 ORDER BY n", (end,), |row| {
        let (n, event) = event(row)?;
        if let Event::Told(text) = &event {
            bytes += text.len();
        }
        heard.events.push(event);
        end = n;
        Ok(heard.events.len() < AT_ONCE && bytes < BYTES_AT_ONCE)
    })?;
    Ok((heard, end))
}

fn event(row: &Row<'_>) -> rusqlite::Result<(i64, Event)> {
    let event = match row.get(1)? {
        Some(id) => Event::Task(id),
        None => Event::Told(row.get(2)?),
    };
    Ok((row.get(0)?, event))
}
