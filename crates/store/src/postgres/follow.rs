//! Hearing what any pod has written.
//!
//! A follower remembers the snapshot that it has read with, and asks for what was committed after it. Snapshots know what was
//! under way, so nothing is missed and nothing is heard twice, in whatever order transactions end.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_postgres::Row;

use super::call::{Call, Request, parameters};
use super::lanes::Lanes;
use super::text::{Columns, number, pause};
use crate::error::StoreError;
use crate::event::{Event, Follower, Heard};
use crate::store::Later;
use crate::time::Millis;

/// How often a follower looks if nobody wakes it.
const LOOK: Duration = Duration::from_secs(1);

/// The shortest time between two looks that follow each other: under load, one hears of what many have written.
const PACE: Duration = Duration::from_millis(5);

/// How many events are heard at once. Who has missed more is better off to look at everything anew.
const MOST: usize = 20_000;

/// Hears of what was written after a snapshot.
pub(super) struct Following {
    lanes: Arc<Lanes>,
    woken: watch::Receiver<u64>,
    snapshot: String,
    read_at: Millis,
    events_for: Duration,
    looked: Option<Instant>,
}

impl Following {
    /// One that hears of what is committed from now on.
    pub(super) async fn begin(
        lanes: Arc<Lanes>,
        woken: watch::Receiver<u64>,
        events_for: Duration,
    ) -> Result<Self, StoreError> {
        let rows = lanes.ask(Request::new(Call::HeardSoFar, Vec::new())).await?;
        let columns = Columns::of_one(&rows)?;
        let (snapshot, read_at) = (columns.read("snapshot")?, columns.moment("moment")?);
        Ok(Self { lanes, woken, snapshot, read_at, events_for, looked: None })
    }

    async fn wait_and_hear(&mut self) -> Result<Heard, StoreError> {
        loop {
            if let Some(looked) = self.looked {
                sleep_until(looked + PACE).await;
            }
            self.woken.mark_unchanged();
            let heard = self.look().await?;
            if heard.gap || !heard.events.is_empty() {
                return Ok(heard);
            }
            // The sender goes with the store, which the connections need not outlast; then there is the time.
            match timeout(LOOK, self.woken.changed()).await {
                Ok(Err(_)) => sleep_until(Instant::now() + LOOK).await,
                Ok(Ok(())) | Err(_) => {}
            }
        }
    }

    /// What there is. What was heard is remembered only once it is given, so nothing is lost with a future.
    async fn look(&mut self) -> Result<Heard, StoreError> {
        let request = parameters![self.snapshot.clone(), number(MOST + 1)];
        let rows = self.lanes.ask(Request::new(Call::EventsSince, request)).await?;
        self.looked = Some(Instant::now());
        let columns = Columns::of_one(&rows)?;
        let (snapshot, is_back, now) = (columns.read("snapshot")?, columns.read("back")?, columns.moment("moment")?);
        let mut heard = Heard { events: Vec::new(), gap: is_back || rows.len() > MOST || self.was_away(now) };
        if rows.len() <= MOST {
            heard.events = rows.iter().filter_map(|row| event(row).transpose()).collect::<Result<_, _>>()?;
        }
        (self.snapshot, self.read_at) = (snapshot, now);
        Ok(heard)
    }

    /// Whether events may have been deleted that were not heard. Their times are from before their commits, so a bit less than
    /// they are kept is too long already.
    fn was_away(&self, now: Millis) -> bool {
        let kept = self.events_for - self.events_for / 20;
        number(now.since(self.read_at).as_millis()) > pause(kept)
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

impl Follower for Following {
    fn next(&mut self) -> Later<'_, Heard> {
        Box::pin(self.wait_and_hear())
    }
}
