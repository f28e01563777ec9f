//! What those do who look after a fleet.

use std::time::Duration;

use anypod_proto::tasks::TaskStatus;
use tokio::time::timeout;

use super::Postgres;
use super::call::{Call, Request, parameters};
use super::failure;
use super::forms::FORM;
use super::link::with;
use super::text::{Columns, PHASES, STATUSES, number, pause, status_number, stored};
use crate::error::StoreError;
use crate::report::{JournalEntry, StoreStatus, Swept, TaskQuery, TaskReport, TaskRow};
use crate::task::{Phase, TaskId};

/// How long clearing away dead rows may take. What is not done by then is done by the server itself, sooner or later.
const CLEARING: Duration = Duration::from_secs(60);

/// Phases in the order in which a status lists them.
const LISTED: [Phase; 5] = [Phase::Queued, Phase::Leased, Phase::Parked, Phase::Delayed, Phase::Ended];

impl Postgres {
    pub(super) async fn store_status(&self) -> Result<StoreStatus, StoreError> {
        let rows = self.ask(Request::new(Call::Status, Vec::new())).await?;
        let columns = Columns::of_one(&rows)?;
        let counts = |name| {
            let counts: Vec<i64> = columns.read(name)?;
            Ok(counts.into_iter().map(|count| u64::try_from(count).unwrap_or_default()))
        };
        let phases: Vec<(Phase, u64)> = PHASES.into_iter().zip(counts("phases")?).collect();
        let of = |wanted| phases.iter().filter(move |(phase, _)| *phase == wanted).copied();
        Ok(StoreStatus {
            place: self.place().to_owned(),
            form: FORM,
            now: columns.moment("moment")?,
            phases: LISTED.into_iter().flat_map(of).collect(),
            statuses: STATUSES.into_iter().zip(counts("statuses")?).collect(),
            oldest_queued: columns.moment_if_any("oldest_queued")?,
            steps: columns.count("steps")?,
            values: columns.count("vals")?,
            marks: columns.count("marks")?,
            events: columns.count("events")?,
            bytes: columns.count("bytes")?,
        })
    }

    pub(super) async fn list_tasks(&self, query: TaskQuery) -> Result<Vec<TaskRow>, StoreError> {
        let (before, before_id) = match query.before {
            Some((moment, id)) => (number(moment.0), id.as_str().to_owned()),
            None => (i64::MAX, String::new()),
        };
        let parameters = parameters![
            query.status.map(status_number),
            query.tool.map(stored),
            before,
            before_id,
            number(query.most),
            query.owner.map(|owner| stored(owner.as_str())),
        ];
        let rows = self.ask(Request::new(Call::List, parameters)).await?;
        rows.iter().map(|row| task_row(&Columns(row))).collect()
    }

    pub(super) async fn report_task(&self, id: TaskId) -> Result<Option<TaskReport>, StoreError> {
        let rows = self.ask(Request::new(Call::Report, parameters![id.as_str().to_owned()])).await?;
        let Some(columns) = Columns::of_any(&rows) else { return Ok(None) };
        let task = task_row(&columns)?;
        let entries = rows.iter().filter_map(|row| entry(&Columns(row)).transpose());
        Ok(Some(TaskReport { task, journal: entries.collect::<Result<_, _>>()? }))
    }

    pub(super) async fn retry_task(&self, id: TaskId) -> Result<Option<TaskStatus>, StoreError> {
        let rows = self.ask(Request::new(Call::Retry, parameters![id.as_str().to_owned()])).await?;
        Columns::of_any(&rows).map(|columns| columns.status("before")).transpose()
    }

    pub(super) async fn sweep_store(&self, most: usize) -> Result<Swept, StoreError> {
        let parameters = parameters![number(most), pause(self.options.events_for)];
        let rows = self.ask(Request::new(Call::Sweep, parameters)).await?;
        let columns = Columns::of_one(&rows)?;
        let mut swept = Swept {
            tasks: columns.count("tasks")?,
            values: columns.count("vals")?,
            marks: columns.count("marks")?,
            events: columns.count("events")?,
            more: false,
        };
        swept.more = [swept.tasks, swept.values, swept.marks, swept.events].contains(&(most as u64));
        Ok(swept)
    }

    /// Clears away dead rows, which gives the ends of files back and makes room for others in the rest of them. It needs a
    /// connection of its own, for it takes longer than anything else may.
    pub(super) async fn clear(&self) -> Result<(), StoreError> {
        let setup = format!("{} SET statement_timeout = {};", self.connector.base(), CLEARING.as_millis());
        let (client, mut wire) = self.connector.connect(&setup).await.map_err(StoreError::Unavailable)?;
        let cleared = with(&mut wire, async {
            for table in ["task", "journal", "event", "value", "mark"] {
                client.batch_execute(&format!("VACUUM (SKIP_LOCKED, ANALYZE) {table}")).await?;
            }
            Ok(())
        });
        match timeout(CLEARING, cleared).await {
            Ok(Ok(())) | Err(_) => Ok(()),
            Ok(Err(error)) => match failure::refusal(&error) {
                Some(refused) => Err(failure::store_error(refused)),
                None => Err(StoreError::Unavailable(failure::whole(&error))),
            },
        }
    }
}

fn task_row(columns: &Columns<'_>) -> Result<TaskRow, StoreError> {
    Ok(TaskRow {
        id: columns.id("id")?,
        owner: columns.owner()?,
        tool: columns.text("tool")?,
        status: columns.status("status")?,
        phase: columns.phase()?,
        message: columns.text_if_any("message")?,
        created_at: columns.moment("created_at")?,
        updated_at: columns.moment("updated_at")?,
        expires_at: columns.moment_if_any("expires_at")?,
        attempts: columns.count("attempts")?,
        deaths: columns.small_count("deaths")?,
        failures: columns.small_count("failures")?,
        worker: columns.text_if_any("worker")?,
        due_at: columns.moment_if_any("due")?,
        steps: u64::from(columns.small_count("steps")?),
        bytes: columns.count("bytes")?,
    })
}

/// The entry of the journal that a row has, if it has one.
fn entry(columns: &Columns<'_>) -> Result<Option<JournalEntry>, StoreError> {
    let Some(is_question) = columns.read::<Option<bool>>("is_question")? else { return Ok(None) };
    let (key, at) = (columns.text("key")?, columns.moment("at")?);
    Ok(Some(match is_question {
        false => JournalEntry::Step { key, at, bytes: columns.small_count("size")? as usize },
        true => JournalEntry::Question { key, at, answered_at: columns.moment_if_any("answered_at")? },
    }))
}
