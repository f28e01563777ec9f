//! Runs a session of benchmarks. Started by `bench/run`, which builds the peers first.

use std::path::PathBuf;

use anyhow::Result;
use anypod_bench::run::{Effort, Kept, Piece, client, gateway, server, tasks};
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
    /// Sessions that the gateway hands out before it is measured again.
    #[arg(long, default_value_t = 1_000_000)]
    sessions: u64,
    /// Measure these pieces of the gateway's session, and leave RESULTS.md as it is.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Piece>,
    /// Measure tasks in these stores, and leave RESULTS.md as it is.
    #[arg(long, value_enum, value_delimiter = ',')]
    stores: Vec<Kept>,
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
    /// What stands before two such servers: anypod, nginx, HAProxy and mcp-proxy.
    Gateway,
    /// Tasks of three pods that share a store.
    Tasks,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let effort = Effort { rounds: options.rounds, seconds: options.seconds };
    match options.session {
        Session::Server => server(effort, &options.directory),
        Session::Client => client(effort, &options.directory),
        Session::Gateway => gateway(effort, options.sessions, &options.only, &options.directory),
        Session::Tasks => tasks(effort, &options.stores, &options.directory),
    }
}
