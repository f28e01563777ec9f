//! The calling side: one file for each subcommand that calls a server, and what they share.

mod arguments;
mod call;
mod complete;
mod discover;
pub(crate) mod exit;
mod list;
mod listen;
mod prompt;
mod questions;
mod read;
pub(crate) mod show;
mod target;
mod task;
mod trace;

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anypod_client::Client;
use anypod_client::proto::jsonrpc::JsonObject;

use self::exit::Exit;
use self::target::{Format, Target, TargetArgs};
use crate::output::{self, clean};
use crate::usage::Usage;

/// The most that arguments from a file or from standard input may take, in bytes.
const INPUT_LIMIT: u64 = 64 << 20;

/// How long that may take: a little longer than a child process has to end by itself.
const GOODBYE: Duration = Duration::from_secs(4);
/// How long after Ctrl-C. What is not done by then is broken off.
const GOODBYE_IN_HASTE: Duration = Duration::from_millis(500);
/// How often it is looked at.
const GOODBYE_PACE: Duration = Duration::from_millis(2);

/// The subcommands that call a server.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum CallingCommand {
    /// Call a tool of a server.
    Call(call::CallArgs),
    /// List the tools of a server.
    Tools(list::ListArgs),
    /// List the prompts of a server.
    Prompts(list::ListArgs),
    /// List the resources of a server.
    Resources(list::ListArgs),
    /// List the resource templates of a server.
    Templates(list::ListArgs),
    /// Read a resource.
    Read(read::ReadArgs),
    /// Fill in a prompt.
    Prompt(prompt::PromptArgs),
    /// Complete an argument of a prompt or of a resource template.
    Complete(complete::CompleteArgs),
    /// Say what a server is and what it offers.
    Discover(discover::DiscoverArgs),
    /// Listen for changes.
    Listen(listen::ListenArgs),
    /// Look at a task, answer it, cancel it or wait for it.
    #[command(subcommand)]
    Task(task::TaskCommand),
}

/// Does what the subcommand says, until it is done or Ctrl-C. What is under way then is cancelled.
pub(crate) async fn run(command: CallingCommand) -> ExitCode {
    let opened = command.target().opened();
    let done = tokio::select! {
        done = Box::pin(dispatch(command)) => done,
        Ok(()) = tokio::signal::ctrl_c() => Ok(Exit::Interrupted),
    };
    output::end_progress();
    let exit = done.unwrap_or_else(|error| exit::fail(&error));
    // The subcommand is gone, so nobody else holds it.
    let client = Arc::into_inner(opened).and_then(OnceLock::into_inner);
    let patience = if exit == Exit::Interrupted { GOODBYE_IN_HASTE } else { GOODBYE };
    let _ = tokio::time::timeout(patience, say_goodbye(client)).await;
    exit.into()
}

/// Ends what the client has open, such as a session or a child process, and waits until it is done with what it does
/// after its last use, such as cancelling what was given up.
async fn say_goodbye(client: Option<Client>) {
    if let Some(client) = client {
        if let Err(error) = client.close().await {
            tracing::debug!(%error, "the server could not be told of the end");
        }
        // Idle connections stay open for as long as there is a client.
        drop(client);
    }
    let metrics = tokio::runtime::Handle::current().metrics();
    while metrics.num_alive_tasks() > 0 {
        tokio::time::sleep(GOODBYE_PACE).await;
    }
}

impl CallingCommand {
    fn target(&self) -> &TargetArgs {
        match self {
            Self::Call(args) => &args.target,
            Self::Tools(args) | Self::Prompts(args) | Self::Resources(args) | Self::Templates(args) => &args.target,
            Self::Read(args) => &args.target,
            Self::Prompt(args) => &args.target,
            Self::Complete(args) => &args.target,
            Self::Discover(args) => &args.target,
            Self::Listen(args) => &args.target,
            Self::Task(command) => command.target(),
        }
    }
}

async fn dispatch(command: CallingCommand) -> anyhow::Result<Exit> {
    match command {
        CallingCommand::Call(args) => call::run(args).await,
        CallingCommand::Tools(args) => list::tools(args).await,
        CallingCommand::Prompts(args) => list::prompts(args).await,
        CallingCommand::Resources(args) => list::resources(args).await,
        CallingCommand::Templates(args) => list::templates(args).await,
        CallingCommand::Read(args) => read::run(args).await,
        CallingCommand::Prompt(args) => prompt::run(args).await,
        CallingCommand::Complete(args) => complete::run(args).await,
        CallingCommand::Discover(args) => discover::run(args).await,
        CallingCommand::Listen(args) => listen::run(args).await,
        CallingCommand::Task(command) => task::run(command).await,
    }
}

impl Target {
    /// Sends a request and prints its result: as the server sent it, or as `show` has it.
    async fn print<T>(
        &self,
        request: anypod_client::Request<T>,
        show: impl FnOnce(&T) -> String,
    ) -> anyhow::Result<Exit>
    where
        T: anypod_client::Reply,
    {
        let request = self.with_options(request);
        match self.format {
            Format::Json => {
                let raw = request.raw().await?;
                output::result(&format!("{}\n", clean::json(raw.as_str())))?;
            }
            Format::Human => {
                let result = request.await?;
                output::result(&show(&result))?;
            }
        }
        Ok(Exit::Done)
    }
}

/// `name=text` pairs.
fn pairs(words: &[String]) -> Result<BTreeMap<String, String>, Usage> {
    let mut pairs = BTreeMap::new();
    for word in words {
        let Some((name, text)) = word.split_once('=').filter(|(name, _)| !name.is_empty()) else {
            return Err(Usage::new(format!("`{word}` is no argument: write name=text")));
        };
        if pairs.insert(name.to_owned(), text.to_owned()).is_some() {
            return Err(Usage::new(format!("argument {name}: given twice")));
        }
    }
    Ok(pairs)
}

/// The only word that is left, if there is one.
fn single(words: Vec<String>, what: &str) -> Result<String, Usage> {
    match <[String; 1]>::try_from(words) {
        Ok([word]) => Ok(word),
        Err(words) if words.is_empty() => Err(Usage::new(format!("{what} is missing"))),
        Err(words) => Err(Usage::new(format!("`{}` is one word too many", words[1]))),
    }
}

/// A JSON object: itself, `@file`, or `-` for standard input.
fn read_json(text: &str) -> Result<JsonObject, Usage> {
    let (place, text) = match text.strip_prefix('@') {
        Some(file) => (file, read_file(file)),
        None if text == "-" => ("standard input", read_at_most(io::stdin(), INPUT_LIMIT)),
        None => ("--json", Ok(text.to_owned())),
    };
    let text = text.map_err(|error| Usage::new(format!("cannot read {place}: {error}")))?;
    serde_json::from_str(&text).map_err(|error| Usage::new(format!("{place} is no JSON object: {error}")))
}

fn read_file(path: &str) -> io::Result<String> {
    read_at_most(std::fs::File::open(path)?, INPUT_LIMIT)
}

/// The text that `source` holds.
///
/// # Errors
/// If it cannot be read, is no UTF-8, or is longer than `limit`, in bytes.
fn read_at_most(source: impl Read, limit: u64) -> io::Result<String> {
    let mut text = String::new();
    source.take(limit + 1).read_to_string(&mut text)?;
    match u64::try_from(text.len()).is_ok_and(|length| length <= limit) {
        true => Ok(text),
        false => Err(io::Error::other(format!("more than {limit} bytes"))),
    }
}
