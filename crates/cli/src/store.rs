//! `anypod store`: what those do who look after the store of a fleet.

mod gc;
mod place;
mod show;
mod status;
mod task;
mod tasks;

use clap::ValueEnum;
use serde::Serialize;

pub(crate) use self::place::PlaceArgs;
use crate::output::{self, clean};

/// The arguments of `anypod store`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  anypod store status --store sqlite:/var/lib/anypod/tasks.db\n  \
                        anypod store tasks --status working --limit 20 --json\n\n\
                        Exit codes: 0 done, 1 failed, 2 the command line, or something it names, is wrong.")]
pub(crate) struct StoreArgs {
    #[command(subcommand)]
    command: StoreCommand,
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// What can be done with a store.
#[derive(Debug, clap::Subcommand)]
enum StoreCommand {
    /// Say how much is in the store, and how long the oldest task has waited.
    Status,
    /// List tasks, the youngest first.
    Tasks(tasks::TasksArgs),
    /// Show a task and its journal: names, times and sizes. What is in it is its client's.
    Task(task::TaskArgs),
    /// Let a task that has not ended begin again from its journal, at once.
    ///
    /// Its pause ends, or it is taken from its worker, and its deaths and failures are counted anew.
    Retry(task::TaskArgs),
    /// Cancel a task that has not ended.
    Cancel(task::TaskArgs),
    /// Delete what is over, and give the room back to the disk.
    ///
    /// Pods do so by themselves, a little at a time.
    Gc,
}

/// How results are printed.
#[derive(Debug, clap::Args)]
pub(crate) struct OutputArgs {
    /// Print for people, or as JSON for programs.
    #[arg(long, value_enum, default_value_t = Format::Human, global = true)]
    output: Format,
    /// The same as --output json.
    #[arg(long, conflicts_with = "output", global = true)]
    json: bool,
}

impl OutputArgs {
    /// What is wanted.
    pub(crate) const fn format(&self) -> Format {
        if self.json { Format::Json } else { self.output }
    }
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// As tables and sentences.
    Human,
    /// As one JSON document in one line; times are milliseconds since 1970.
    Json,
}

/// Does what the subcommand says.
///
/// # Errors
/// A `Usage` if the store or the task that is named is not there; otherwise if the store does not do what it is asked to.
pub(crate) async fn run(args: StoreArgs) -> anyhow::Result<()> {
    let format = args.output.format();
    let store = Box::pin(args.place.open()).await?;
    match args.command {
        StoreCommand::Status => status::run(&*store, format).await,
        StoreCommand::Tasks(args) => tasks::run(&*store, args, format).await,
        StoreCommand::Task(args) => task::show(&*store, &args, format).await,
        StoreCommand::Retry(args) => task::retry(&*store, &args, format).await,
        StoreCommand::Cancel(args) => task::cancel(&*store, &args, format).await,
        StoreCommand::Gc => gc::run(&*store, format).await,
    }
}

/// Prints a document in one line.
///
/// # Errors
/// When nobody reads it.
pub(crate) fn print_json(document: &impl Serialize) -> anyhow::Result<()> {
    let text = serde_json::to_string(document)?;
    Ok(output::result(&format!("{}\n", clean::json(&text)))?)
}
