//! `anypod store tasks`: a page of the tasks in a store.

use anypod_store::{Millis, Store, TaskId, TaskQuery, TaskRow, TaskStatus};
use clap::ValueEnum;
use serde_json::json;

use super::{Format, print_json, show};
use crate::output::{self, table::Table};

/// The flags of `anypod store tasks`.
#[derive(Debug, clap::Args)]
pub(super) struct TasksArgs {
    /// Only those of this status.
    #[arg(long, value_enum)]
    status: Option<StatusChoice>,
    /// Only those of this tool.
    #[arg(long, value_name = "NAME")]
    tool: Option<String>,
    /// How many at most.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
    /// Go on after a page: with what it said at its end, in JSON under `before`.
    #[arg(long, value_name = "PAGE", value_parser = Page::parse)]
    before: Option<Page>,
}

/// How far a task is.
#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
enum StatusChoice {
    /// It is being worked on, or waits for a worker.
    Working,
    /// It waits for answers of its client.
    InputRequired,
    /// It has a result.
    Completed,
    /// It has ended with an error.
    Failed,
    /// It was cancelled.
    Cancelled,
}

impl From<StatusChoice> for TaskStatus {
    fn from(choice: StatusChoice) -> Self {
        match choice {
            StatusChoice::Working => Self::Working,
            StatusChoice::InputRequired => Self::InputRequired,
            StatusChoice::Completed => Self::Completed,
            StatusChoice::Failed => Self::Failed,
            StatusChoice::Cancelled => Self::Cancelled,
        }
    }
}

/// Where a page ended: at its last task, which need not be there any more. Written as `CREATED/ID`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Page(Millis, TaskId);

impl Page {
    fn of(last: &TaskRow) -> Self {
        Self(last.created_at, last.id.clone())
    }

    fn parse(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/');
        let page = parts.and_then(|(at, id)| Some(Self(Millis(at.parse().ok()?), TaskId::parse(id)?)));
        page.ok_or_else(|| "write what the page before says at its end".to_owned())
    }

    fn text(&self) -> String {
        format!("{}/{}", self.0.0, self.1.as_str())
    }
}

/// Lists tasks.
///
/// # Errors
/// If the store cannot be asked, or nobody reads the output.
pub(super) async fn run(store: &dyn Store, args: TasksArgs, format: Format) -> anyhow::Result<()> {
    let limit = usize::from(args.limit);
    let before = args.before.map(|Page(at, id)| (at, id));
    // One more than is shown says whether there is more.
    let query =
        TaskQuery { status: args.status.map(Into::into), tool: args.tool, owner: None, before, most: limit + 1 };
    let mut rows = store.tasks(query).await?;
    let is_last = rows.len() <= limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| !is_last).map(|last| Page::of(last).text());
    match format {
        Format::Json => print_json(&json!({ "tasks": rows, "before": next })),
        Format::Human => {
            output::table(&table(&rows, store.now().await?))?;
            if let Some(next) = next {
                output::note("more", &format!("--before {next}"));
            }
            Ok(())
        }
    }
}

fn table(rows: &[TaskRow], now: Millis) -> Table {
    let mut table =
        Table::new(&["TASK", "TOOL", "STATUS", "PHASE", "AGE", "ATTEMPTS", "STEPS", "SIZE", "WORKER", "DUE"]);
    for row in rows {
        table.push([
            row.id.as_str().to_owned(),
            row.tool.clone(),
            show::status(row.status).to_owned(),
            show::phase(row.phase).to_owned(),
            show::age(row.created_at, now),
            show::attempts(row),
            row.steps.to_string(),
            show::size(row.bytes),
            row.worker.clone().unwrap_or_default(),
            show::due(row, now),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_written_as_it_is_read() {
        let page = Page(Millis(1_790_000_000_000), TaskId::from_random([0xfb; 16]));
        assert_eq!(Page::parse(&page.text()), Ok(page));
        for wrong in ["", "1790000000000", "x/AAAAAAAAAAAAAAAAAAAAAA", "1/short", "1/"] {
            assert!(Page::parse(wrong).is_err(), "{wrong}");
        }
    }
}
