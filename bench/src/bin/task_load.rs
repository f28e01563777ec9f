//! Drives pods that share a store, and prints what it saw as one line of JSON. See [`anypod_bench::load`].

use std::{
    io::{self, Write},
    time::Duration,
};

use anyhow::{Context, Result};
use anypod_bench::load::{Enough, Events, Kind, Looks, Target, Tasks};
use clap::{Parser, Subcommand, ValueEnum};

#[derive(Debug, Parser)]
#[command(about)]
struct Options {
    /// The pods' endpoints, `http://HOST:PORT/PATH`.
    #[arg(long, required = true)]
    url: Vec<String>,
    /// Connections, spread over the pods.
    #[arg(long, default_value_t = 48)]
    connections: usize,
    #[command(subcommand)]
    work: Work,
}

#[derive(Debug, Subcommand)]
enum Work {
    /// Creates tasks and follows them.
    Run {
        /// Which.
        #[arg(long, value_enum, default_value = "step")]
        kind: KindName,
        /// How many may be under way at once.
        #[arg(long, default_value_t = 384)]
        open: usize,
        /// How many seconds to count, after one that does not count.
        #[arg(long, default_value_t = 5.0, conflicts_with = "count")]
        seconds: f64,
        /// How many tasks, instead of a time.
        #[arg(long)]
        count: Option<u64>,
    },
    /// Asks for tasks that have ended.
    Look {
        /// How many there are to ask for.
        #[arg(long, default_value_t = 2_000)]
        tasks: u64,
        /// How many seconds to count, after one that does not count.
        #[arg(long, default_value_t = 5.0)]
        seconds: f64,
    },
    /// Has the first pod announce changes that others are told of.
    Events {
        /// Listeners on each other pod.
        #[arg(long, default_value_t = 1)]
        listeners: usize,
        /// Changes of one resource.
        #[arg(long, default_value_t = 1_000)]
        events: usize,
        /// Changes that all listeners hear.
        #[arg(long, default_value_t = 0)]
        broadcasts: usize,
        /// The last pod has all listeners.
        #[arg(long)]
        one_pod: bool,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum KindName {
    /// Tasks of one step, to their result.
    Step,
    /// Tasks that ask, to their question.
    Rest,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let targets = options.url.iter().map(|url| Target::parse(url)).collect::<Result<Vec<_>>>()?;
    let connections = options.connections;
    let report = match options.work {
        Work::Run { kind, open, seconds, count } => {
            let kind = match kind {
                KindName::Step => Kind::Step,
                KindName::Rest => Kind::Rest,
            };
            let enough = count.map_or_else(|| Enough::Time(Duration::from_secs_f64(seconds)), Enough::Count);
            serde_json::to_string(&Tasks { targets, kind, connections, open, enough }.run()?)?
        }
        Work::Look { tasks, seconds } => {
            let time = Duration::from_secs_f64(seconds);
            serde_json::to_string(&Looks { targets, connections, tasks, time }.run()?)?
        }
        Work::Events { listeners, events, broadcasts, one_pod } => {
            let (publisher, others) = targets.split_first().context("a URL is missing")?;
            let pods = if one_pod { &others[others.len().saturating_sub(1)..] } else { others };
            let (publisher, pods) = (publisher.clone(), pods.to_vec());
            serde_json::to_string(&Events { publisher, pods, listeners, events, broadcasts }.run()?)?
        }
    };
    Ok(writeln!(io::stdout(), "{report}")?)
}
