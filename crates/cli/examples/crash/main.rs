//! Crash: tasks whose pods are killed and paused under them. Three pods share a store; a thousand tasks do several steps
//! each, with an effect in a ledger, which is another database. Prints figures, and fails when a promise was broken:
//!
//! - every task that was created ends, with its result;
//! - no two pods answer differently about a task that has ended;
//! - no step begins again once its result is recorded;
//! - the ledger holds each effect exactly once, however often it was tried.
//!
//! `cargo run --example crash -- --store sqlite:/tmp/tasks.db --seconds 60 --seed 1`
//!
//! With `outage`, it is the store that goes away while tasks are open and clients ask, and what is promised of that is in
//! `outage.rs`.

mod client;
mod ledger;
mod outage;
mod pod;
mod probe;
#[path = "../chaos/random.rs"]
mod random;
mod storm;
mod verdict;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::Parser as _;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use self::client::Client;
use self::ledger::Ledger;
use self::random::Random;
use self::storm::Fleet;
use self::verdict::Verdict;

/// What the last tasks may take once the storm is over.
const LAST: Duration = Duration::from_secs(120);

/// Kills and pauses pods while they run tasks, and holds the store to its promises.
#[derive(clap::Parser)]
struct Args {
    #[command(subcommand)]
    part: Option<Part>,
    #[command(flatten)]
    run: Run,
}

#[derive(clap::Subcommand)]
enum Part {
    /// One of the pods.
    Pod(pod::Args),
    /// Takes the store away for a while.
    Outage(outage::Args),
}

#[derive(clap::Args)]
struct Run {
    /// The store: `sqlite:FILE` or `postgres://…`.
    #[arg(long, default_value = "")]
    store: String,
    /// How long pods are killed and paused.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// How many tasks are created meanwhile.
    #[arg(long, default_value_t = 1000)]
    tasks: usize,
    /// How many pods there are.
    #[arg(long, default_value_t = 3)]
    pods: usize,
    /// What happens when; drawn and printed unless given.
    #[arg(long)]
    seed: Option<u64>,
    /// A command for the shell that is run once, when half of the time is over: to restart a database.
    #[arg(long)]
    halfway: Option<String>,
    /// Says what happens.
    #[arg(long)]
    verbose: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let Args { part, run } = Args::parse();
    match part {
        Some(Part::Pod(args)) => pod::serve(args).await.map(|()| ExitCode::SUCCESS),
        Some(Part::Outage(args)) => outage::run(args).await,
        None => crash(run).await,
    }
}

async fn crash(run: Run) -> anyhow::Result<ExitCode> {
    ensure!(!run.store.is_empty(), "--store says which store is tried");
    let seed = match run.seed {
        Some(seed) => seed,
        None => u64::from(getrandom::u32()?),
    };
    println!("seed {seed}");
    let (folder, ledger_file) = place()?;
    let ledger = Ledger::open(&ledger_file)?;
    let fleet = Arc::new(Fleet::start(run.pods, &run.store, &ledger_file).await?);
    let verdict = Arc::new(Verdict::default());
    let (end, over) = watch::channel(false);
    let mut storms = JoinSet::new();
    let mut random = Random::new(seed);
    storms.spawn(storm::blow(Arc::clone(&fleet), random.fork(), over, Arc::clone(&verdict), run.verbose));
    let begun = Instant::now();
    let time = Duration::from_secs(run.seconds);
    let mut clients = JoinSet::new();
    // Tasks come until a little before the end, so that some are young when it comes.
    let pause = time.mul_f64(0.9) / u32::try_from(run.tasks.max(1))?;
    for number in 0..run.tasks {
        let client = Client::new(Arc::clone(&fleet), Arc::clone(&verdict), random.fork());
        clients.spawn(client.follow(number, 3 + number % 4));
        sleep(pause).await;
        if number == run.tasks / 2
            && let Some(command) = &run.halfway
        {
            println!("halfway: {command}");
            let status = tokio::process::Command::new("sh").args(["-c", command]).status().await?;
            ensure!(status.success(), "`{command}` ended with {status}");
        }
    }
    sleep(time.saturating_sub(begun.elapsed())).await;
    end.send_replace(true);
    while let Some(ended) = storms.join_next().await {
        ended??;
    }
    let all = async { while clients.join_next().await.is_some() {} };
    if timeout(LAST, all).await.is_err() {
        verdict.broken("a task had not ended at the end");
    }
    verdict.compare_pods(&fleet).await;
    verdict.hold_against(&run.store, &ledger).await?;
    fleet.stop().await;
    println!("figure crash_seed {seed} number");
    let kept = verdict.report("crash", &ledger)?;
    ended(kept, &folder)
}

/// Where the ledger of a run is: its folder and its file.
fn place() -> anyhow::Result<(PathBuf, PathBuf)> {
    let folder = std::env::temp_dir().join(format!("anypod-crash-{}", std::process::id()));
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let ledger = folder.join("ledger.db");
    Ok((folder, ledger))
}

/// The exit code of a run, by whether all promises were kept.
fn ended(kept: bool, folder: &Path) -> anyhow::Result<ExitCode> {
    if kept {
        std::fs::remove_dir_all(folder)?;
    } else {
        println!("the ledger stays in {}", folder.display());
    }
    Ok(if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
