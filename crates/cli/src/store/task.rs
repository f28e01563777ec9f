//! `anypod store task`, `retry` and `cancel`: one task.

use anypod_store::{JournalEntry, Millis, Store, TaskId, TaskReport, TaskStatus};
use serde_json::json;

use super::{Format, print_json, show};
use crate::output::{self, table::Table};
use crate::usage::Usage;

/// Which task.
#[derive(Debug, clap::Args)]
pub(super) struct TaskArgs {
    /// The id of the task.
    // One id in 64 begins with a hyphen.
    #[arg(value_name = "ID", allow_hyphen_values = true)]
    id: String,
}

impl TaskArgs {
    fn id(&self) -> Result<TaskId, Usage> {
        let unknown = || Usage::new(format!("`{}` is no id of a task: `anypod store tasks` lists them", self.id));
        TaskId::parse(&self.id).ok_or_else(unknown)
    }

    fn unknown(&self) -> Usage {
        Usage::new(format!("there is no task {}: it may have ended and been deleted", self.id))
    }
}

/// Shows a task and its journal.
///
/// # Errors
/// As all of these: a [`Usage`] if there is no such task; otherwise if the store does not do it, or nobody reads the output.
pub(super) async fn show(store: &dyn Store, args: &TaskArgs, format: Format) -> anyhow::Result<()> {
    let report = store.report(args.id()?).await?.ok_or_else(|| args.unknown())?;
    match format {
        Format::Json => print_json(&report),
        Format::Human => {
            output::result(&show::fields(&fields(&report, store.now().await?)))?;
            if !report.journal.is_empty() {
                output::result("\n")?;
                output::table(&journal(&report.journal))?;
            }
            Ok(())
        }
    }
}

/// Lets a task begin again.
pub(super) async fn retry(store: &dyn Store, args: &TaskArgs, format: Format) -> anyhow::Result<()> {
    let was = store.retry(args.id()?).await?.ok_or_else(|| args.unknown())?;
    match was {
        TaskStatus::Working => told(args, was, "begins again from its journal", format),
        TaskStatus::InputRequired => Err(anyhow::anyhow!(
            "task {} is {} and stays so: it goes on when its client has answered",
            args.id,
            show::status(was)
        )),
        TaskStatus::Completed | TaskStatus::Failed | TaskStatus::Cancelled => {
            Err(anyhow::anyhow!("{}, because clients may have seen that: call the tool again", ended(args, was)))
        }
    }
}

/// Cancels a task.
pub(super) async fn cancel(store: &dyn Store, args: &TaskArgs, format: Format) -> anyhow::Result<()> {
    let message = Some("cancelled by an operator".to_owned());
    let was = store.cancel(args.id()?, None, message).await?.ok_or_else(|| args.unknown())?;
    match was.is_terminal() {
        false => told(args, was, "is cancelled", format),
        true => Err(anyhow::anyhow!("{}", ended(args, was))),
    }
}

fn told(args: &TaskArgs, was: TaskStatus, becomes: &str, format: Format) -> anyhow::Result<()> {
    let was = show::status(was);
    match format {
        Format::Json => print_json(&json!({ "id": args.id, "was": was })),
        Format::Human => Ok(output::result(&format!("task {} was {was} and {becomes}\n", args.id))?),
    }
}

/// Why nothing was done with a task that has ended.
fn ended(args: &TaskArgs, status: TaskStatus) -> String {
    format!("task {} has ended as {} and stays so", args.id, show::status(status))
}

fn fields(report: &TaskReport, now: Millis) -> [(&'static str, String); 15] {
    let task = &report.task;
    [
        ("task", task.id.as_str().to_owned()),
        ("owner", task.owner.as_str().to_owned()),
        ("tool", task.tool.clone()),
        ("status", show::status(task.status).to_owned()),
        ("phase", show::phase(task.phase).to_owned()),
        ("message", task.message.clone().unwrap_or_default()),
        ("created", show::moment(task.created_at, now)),
        ("updated", show::moment(task.updated_at, now)),
        ("expires", task.expires_at.map_or_else(|| "never".to_owned(), |at| at.to_string())),
        ("attempts", task.attempts.to_string()),
        ("deaths", format!("{} in a row", task.deaths)),
        ("failures", format!("{} in a row", task.failures)),
        ("worker", task.worker.clone().unwrap_or_default()),
        ("due", show::due(task, now)),
        ("size", format!("{}, {}", show::size(task.bytes), show::count(task.steps, "step", "steps"))),
    ]
}

fn journal(entries: &[JournalEntry]) -> Table {
    let mut table = Table::new(&["ENTRY", "NAME", "AT", "SIZE", "ANSWERED"]);
    for entry in entries {
        let (kind, key, at, size, answered) = match entry {
            JournalEntry::Step { key, at, bytes } => ("step", key, at, show::size(*bytes as u64), String::new()),
            JournalEntry::Question { key, at, answered_at } => {
                let answered = answered_at.map_or_else(|| "not yet".to_owned(), |at| at.to_string());
                ("question", key, at, String::new(), answered)
            }
        };
        table.push([kind.to_owned(), key.clone(), at.to_string(), size, answered]);
    }
    table
}
