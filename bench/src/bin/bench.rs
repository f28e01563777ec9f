//! Runs a session of benchmarks. Started by `bench/run`, which builds the peers first.

use std::path::PathBuf;

use anyhow::Result;
use anypod_bench::run::{Effort, client, server};
use clap::{Parser, ValueEnum};

#[derive(Debug, Parser)]
#[command(about)]
struct Options {
    /// What to measure.
    #[arg(value_enum, default_value = "server")]
    session: Session,
    /// Samples of each peer and workload.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Seconds that a sample counts.
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Where to write RESULTS.md.
    #[arg(long, default_value = ".")]
    directory: PathBuf,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Session {
    /// The `echo` tool on anypod, the official Rust SDK and two bare handlers.
    Server,
    /// The same call by anypod's client, the official Rust SDK's and bare hyper.
    Client,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let effort = Effort { rounds: options.rounds, seconds: options.seconds };
    match options.session {
        Session::Server => server(effort, &options.directory),
        Session::Client => client(effort, &options.directory),
    }
}
