//! Outage: the store goes away while tasks are open and clients ask. Promised are:
//!
//! - what needs the store is answered with 503 and a time after which to come again, within a bound: nothing hangs;
//! - what does not need it is answered as ever;
//! - pods wait without work: they take next to no processor time;
//! - once the store is back, every pod takes calls again, every task ends with its result, and whoever listens is told;
//! - what is recorded is not done again.
//!
//! `cargo run --example crash -- outage --store postgres://… --seconds 60 --away 'pg_ctl stop …' --back 'pg_ctl start …'`

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::LAST;
use crate::client::Client;
use crate::ledger::Ledger;
use crate::probe::{Expect, Listener, Probe, Probed};
use crate::random::Random;
use crate::storm::Fleet;
use crate::verdict::Verdict;

/// How often every pod is asked everything.
const EVERY: Duration = Duration::from_millis(300);
/// How much of the time clients ask. The rest of it, pods are left alone, and what they do then is nobody's wish.
const LOUD: f64 = 0.6;
/// The share of a processor that a pod may take while nobody asks.
const MOST_CPU: f64 = 0.05;
/// What a pod may take, once the store is back, until it takes calls again.
const RECOVERS: Duration = Duration::from_secs(20);
/// What may pass, once all tasks have ended, until all listeners have heard of it.
const TOLD: Duration = Duration::from_secs(15);
/// Ticks of the processor times in `/proc`, in each second: fixed, whatever the kernel counts in.
const TICKS: f64 = 100.0;
/// Numbers of the calls while the store is away, beyond all others; and of those after it.
const DURING: i64 = 1_000_000_000;
const AFTER: usize = 500_000;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The store: `sqlite:FILE` or `postgres://…`.
    #[arg(long)]
    store: String,
    /// How long it is away.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// A command for the shell that takes it away.
    #[arg(long)]
    away: String,
    /// A command for the shell that brings it back.
    #[arg(long)]
    back: String,
    /// What is stored can still be read, and maybe written: a disk is full.
    #[arg(long)]
    full: bool,
    /// How many tasks are open when it goes.
    #[arg(long, default_value_t = 60)]
    tasks: usize,
    /// How many pods there are.
    #[arg(long, default_value_t = 3)]
    pods: usize,
    /// The longest that an answer may take that needs the store, in milliseconds.
    #[arg(long, default_value_t = 3000)]
    most: u64,
}

/// A run, and what is open in it.
struct Outage {
    args: Args,
    fleet: Arc<Fleet>,
    verdict: Arc<Verdict>,
    /// Ids, with how many steps they have.
    tasks: Mutex<Vec<(String, usize)>>,
    probed: Mutex<Probed>,
}

/// Takes the store away for a while, and holds the pods to their promises.
///
/// # Errors
/// If something does not work that is not tried here.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let (folder, file) = crate::place()?;
    let ledger = Ledger::open(&file)?;
    let fleet = Arc::new(Fleet::start(args.pods, &args.store, &file).await?);
    let verdict = Arc::<Verdict>::default();
    let outage = Arc::new(Outage { args, fleet, verdict, tasks: Mutex::default(), probed: Mutex::default() });
    outage.create().await;
    let heard: Vec<_> = outage.fleet.ports.iter().map(|_| Arc::<Mutex<BTreeSet<String>>>::default()).collect();
    let listened_to: Vec<String> = outage.open().into_iter().map(|(id, _)| id).collect();
    let mut listeners = JoinSet::new();
    for (port, ended) in outage.fleet.ports.iter().zip(&heard) {
        listeners.spawn(Listener::open(*port, &listened_to, ended).await?.hear());
    }
    shell(&outage.args.away).await?;
    outage.away().await?;
    shell(&outage.args.back).await?;
    outage.recover().await?;
    outage.watch_all().await?;
    if !all_told(&heard, &listened_to).await {
        outage.verdict.broken("a listener was not told of the end of a task");
    }
    if let Some(ended) = listeners.try_join_next() {
        outage.verdict.broken(format!("a stream has ended: {:?}", ended?));
    }
    listeners.shutdown().await;
    outage.verdict.compare_pods(&outage.fleet).await;
    outage.verdict.hold_against(&outage.args.store, &ledger).await?;
    outage.fleet.stop().await;
    let most = Duration::from_millis(outage.args.most);
    outage.probed.lock().unwrap_or_else(PoisonError::into_inner).report(most, &outage.verdict);
    let kept = outage.verdict.report("outage", &ledger)?;
    crate::ended(kept, &folder)
}

impl Outage {
    /// Creates the tasks. Most of them are open when this is done.
    async fn create(&self) {
        for number in 0..self.args.tasks {
            let steps = 20 + number % 10;
            let id = self.client().create(number, steps).await;
            self.add(id, steps);
        }
    }

    fn client(&self) -> Client {
        Client::new(Arc::clone(&self.fleet), Arc::clone(&self.verdict), Random::new(1))
    }

    fn add(&self, id: String, steps: usize) {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).push((id, steps));
    }

    fn open(&self) -> Vec<(String, usize)> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The time without the store: clients ask for most of it, then nobody does.
    async fn away(self: &Arc<Self>) -> anyhow::Result<()> {
        let begun = Instant::now();
        let time = Duration::from_secs(self.args.seconds);
        let mut asked = 0;
        while begun.elapsed() < time.mul_f64(LOUD) {
            let mut all = JoinSet::new();
            for port in &self.fleet.ports {
                self.ask_everything(&mut all, *port, asked);
            }
            while let Some(ended) = all.join_next().await {
                ended?;
            }
            asked += 1;
            sleep(EVERY).await;
        }
        let (quiet, before) = (Instant::now(), self.processor_times().await?);
        sleep(time.saturating_sub(begun.elapsed()).max(Duration::from_secs(2))).await;
        let passed = quiet.elapsed().as_secs_f64();
        for (pod, (after, before)) in self.processor_times().await?.into_iter().zip(before).enumerate() {
            let share = (after - before) / TICKS / passed;
            println!("figure outage_cpu_of_pod_{pod} {:.2} percent", share * 100.0);
            if share > MOST_CPU {
                self.verdict.broken(format!("pod {pod} takes {:.0} % of a processor while it waits", share * 100.0));
            }
        }
        Ok(())
    }

    /// Asks one pod everything at once.
    fn ask_everything(self: &Arc<Self>, all: &mut JoinSet<()>, port: u16, round: i64) {
        let (writes, reads) = match self.args.full {
            true => (Expect::Either, Expect::Result),
            false => (Expect::Away, Expect::Away),
        };
        let Some((id, _)) = self.open().first().cloned() else { return };
        let go = json!({ "go": { "action": "accept", "content": { "go": true } } });
        let [one, other, another] = Probe::free();
        let others = [
            Probe::new("tasks/get", &id, json!({ "taskId": id }), reads),
            Probe::new("tasks/update", &id, json!({ "taskId": id, "inputResponses": go }), writes),
            one,
            other,
            another,
        ];
        for probe in others {
            let outage = Arc::clone(self);
            all.spawn(async move { drop(probe.ask(port, &outage.verdict, &outage.probed).await) });
        }
        let (outage, task) = (Arc::clone(self), DURING + round * 100_000 + i64::from(port));
        all.spawn(async move {
            let call = Probe::call(task, 3, writes).ask(port, &outage.verdict, &outage.probed).await;
            if let Some(id) = call.and_then(|result| Some(result["taskId"].as_str()?.to_owned())) {
                outage.verdict.created(task, &id);
                outage.add(id, 3);
            }
        });
    }

    /// The processor time that each pod has taken so far, in ticks.
    async fn processor_times(&self) -> anyhow::Result<Vec<f64>> {
        let mut times = Vec::new();
        for pod in 0..self.fleet.ports.len() {
            let id = self.fleet.process(pod).await?.as_raw_nonzero();
            let text = std::fs::read_to_string(format!("/proc/{id}/stat"))?;
            // The name, which may hold anything, ends with the last bracket.
            let (_, rest) = text.rsplit_once(')').context("no process")?;
            let ticks = rest.split_whitespace().skip(11).take(2).map(str::parse::<f64>);
            times.push(ticks.collect::<Result<Vec<_>, _>>()?.iter().sum());
        }
        Ok(times)
    }

    /// Calls every pod until it takes calls again.
    async fn recover(self: &Arc<Self>) -> anyhow::Result<()> {
        let back = Instant::now();
        let mut all = JoinSet::new();
        for (pod, port) in self.fleet.ports.iter().copied().enumerate() {
            let outage = Arc::clone(self);
            all.spawn(async move {
                let mut client = outage.client();
                match timeout(RECOVERS, client.create_at(port, AFTER + pod)).await {
                    Ok(id) => outage.add(id, 3),
                    Err(_) => {
                        let how = format!("pod {pod} takes no calls {RECOVERS:?} after the store is back");
                        outage.verdict.broken(how);
                    }
                }
            });
        }
        while let Some(ended) = all.join_next().await {
            ended?;
        }
        println!("figure outage_recovers {} ms", back.elapsed().as_millis());
        Ok(())
    }

    /// Follows all tasks to their ends.
    async fn watch_all(&self) -> anyhow::Result<()> {
        let begun = Instant::now();
        let mut all = JoinSet::new();
        for (id, steps) in self.open() {
            let mut client = self.client();
            all.spawn(async move { client.watch(&id, steps).await });
        }
        let ends = async {
            while let Some(ended) = all.join_next().await {
                ended?;
            }
            Ok::<_, anyhow::Error>(())
        };
        match timeout(LAST, ends).await {
            Ok(ended) => ended?,
            Err(_) => self.verdict.broken("a task had not ended at the end"),
        }
        println!("figure outage_all_ended {} ms", begun.elapsed().as_millis());
        Ok(())
    }
}

async fn all_told(heard: &[Arc<Mutex<BTreeSet<String>>>], ids: &[String]) -> bool {
    let all = async {
        let has_all = |heard: &Arc<Mutex<BTreeSet<String>>>| {
            let heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
            ids.iter().all(|id| heard.contains(id))
        };
        while !heard.iter().all(has_all) {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(TOLD, all).await.is_ok()
}

async fn shell(command: &str) -> anyhow::Result<()> {
    let status = tokio::process::Command::new("sh").args(["-c", command]).status().await?;
    ensure!(status.success(), "`{command}` ended with {status}");
    Ok(())
}
