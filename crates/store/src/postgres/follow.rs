//! Hearing what any pod has written.
//!
//! Whoever listens remembers the snapshot that it has read with and the greatest id in it, and asks for what was committed after it.
//! Snapshots know what was under way, so nothing is missed and nothing is heard twice, in whatever order transactions end.

use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::Row;

use super::call::{Call, Request, parameters};
use super::lanes::Lanes;
use super::text::{Columns, number};
use crate::error::StoreError;
use crate::event::{Event, Heard};
use crate::follow::{Look, Source};
use crate::time::Millis;

/// How many events are heard at once. Who has missed more is better off to look at everything anew.
const MOST: usize = 20_000;

/// Hears of what was written after a snapshot.
pub(super) struct Following {
    lanes: Arc<Lanes>,
    events_for: Duration,
    heard: Position,
}

/// How far a follower has heard.
struct Position {
    snapshot: String,
    /// The greatest id that the snapshot has.
    last: i64,
    /// How many events the snapshot has, deleted ones included.
    total: u64,
    read_at: Millis,
}

impl Position {
    /// Where the store is.
    async fn present(lanes: &Lanes) -> Result<Self, StoreError> {
        let rows = lanes.ask(Request::new(Call::HeardSoFar, Vec::new())).await?;
        let columns = Columns::of_one(&rows)?;
        let (snapshot, total) = (columns.read("snapshot")?, columns.count("total")?);
        Ok(Self { snapshot, last: columns.read("last")?, total, read_at: columns.moment("moment")? })
    }
}

impl Following {
    /// One that hears of what is committed from now on.
    pub(super) async fn begin(lanes: Arc<Lanes>, events_for: Duration) -> Result<Self, StoreError> {
        let heard = Position::present(&lanes).await?;
        Ok(Self { lanes, events_for, heard })
    }

    /// What there is. How far it was heard changes only once it is given, so nothing is lost with a future.
    async fn hear(&mut self) -> Result<Heard, StoreError> {
        let Position { snapshot, last, total, .. } = &self.heard;
        let parameters = parameters![snapshot.clone(), *last, number(*total), self.limit(), number(MOST + 1)];
        let rows = self.lanes.ask(Request::new(Call::EventsSince, parameters)).await?;
        let columns = Columns::of_one(&rows)?;
        if rows.len() > MOST || columns.read("is_back")? {
            self.heard = Position::present(&self.lanes).await?;
            return Ok(Heard { events: Vec::new(), gap: true });
        }
        let events: Vec<Event> = rows.iter().filter_map(|row| event(row).transpose()).collect::<Result<_, _>>()?;
        let total = columns.count_if_any("recount")?.unwrap_or(self.heard.total + events.len() as u64);
        let newest = rows.last().map(Columns).map(|columns| columns.read::<Option<i64>>("id")).transpose()?.flatten();
        let last = newest.map_or(self.heard.last, |newest| newest.max(self.heard.last));
        let (gap, read_at) = (columns.read("is_lost")?, columns.moment("moment")?);
        self.heard = Position { snapshot: columns.read("snapshot")?, last, total, read_at };
        Ok(Heard { events, gap })
    }

    /// When events may have been deleted that were not heard. Their times are from before their commits, so that is a bit
    /// sooner than after all the time for which they are kept.
    fn limit(&self) -> i64 {
        number(self.heard.read_at.after(self.events_for - self.events_for / 20).0)
    }
}

/// The event of a row, if it has one.
fn event(row: &Row) -> Result<Option<Event>, StoreError> {
    let columns = Columns(row);
    match (columns.read::<Option<String>>("task")?, columns.text_if_any("told")?) {
        (Some(_), _) => columns.id("task").map(Event::Task).map(Some),
        (None, told) => Ok(told.map(Event::Told)),
    }
}

impl Source for Following {
    const EVERY: Option<Duration> = Some(Duration::from_secs(1));
    const PACE: Duration = Duration::from_millis(5);

    async fn look(&mut self) -> Result<Look, StoreError> {
        // What is too much to be heard at once is a gap.
        Ok(Look { heard: self.hear().await?, more: false })
    }
}
