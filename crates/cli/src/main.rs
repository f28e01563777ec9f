//! The `anypod` binary: reads the command line and hands over to one file per subcommand.
//!
//! Exit codes: 0 done, 1 failed, 2 the command line, or something it names, is wrong. Subcommands that call a server
//! end with those of [`calling::exit`].

mod calling;
mod demo;
mod gateway;
mod keys;
mod log;
mod notify;
mod output;
mod real;
mod signals;
mod store;
mod up;
mod usage;

use std::io;
use std::num::NonZero;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use tokio::runtime::Runtime;

/// How long the process waits at its end for output that nobody reads.
const LAST_OUTPUT: Duration = Duration::from_secs(1);

/// Any pod can answer: run MCP servers on more than one machine, and call any of them.
///
/// Without a subcommand, `anypod` does what `anypod up` does.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    up: up::UpArgs,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Put the gateway before pods of your server, or before a demo that it starts.
    Up(up::UpCommand),
    /// Serve the bundled demo as one pod.
    Demo(demo::DemoArgs),
    /// Stand before many MCP servers of either era.
    Gateway(Box<gateway::GatewayArgs>),
    /// Make, rotate or look at a key file.
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Look after the store of a fleet: its tasks, and the room that it takes.
    Store(store::StoreArgs),
    /// Tell the listeners on every pod that something has changed.
    Notify(notify::NotifyArgs),
    #[command(flatten)]
    Calling(Box<calling::CallingCommand>),
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage::refuse(&error),
    };
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return usage::fail(&anyhow::Error::new(error).context("no async runtime")),
    };
    let done = runtime.block_on(run(cli));
    runtime.shutdown_timeout(LAST_OUTPUT);
    done.unwrap_or_else(|error| usage::fail(&error))
}

/// A thread for each core; where there is one core, no others, because passing work between threads costs and gains nothing.
fn runtime() -> io::Result<Runtime> {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let mut builder = match cores {
        1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    builder.enable_all().build()
}

async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command.unwrap_or(Command::Up(cli.up.into())) {
        Command::Up(args) => up::run(args).await?,
        Command::Demo(args) => demo::run(args).await?,
        Command::Gateway(args) => gateway::run(*args).await?,
        Command::Keys(command) => keys::run(&command)?,
        Command::Store(args) => store::run(args).await?,
        Command::Notify(args) => notify::run(args).await?,
        Command::Calling(command) => return Ok(calling::run(*command).await),
    }
    Ok(ExitCode::SUCCESS)
}
