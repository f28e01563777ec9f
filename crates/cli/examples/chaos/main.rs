//! Chaos: two replicas of the gateway before four pods, clients of both eras behind a plain round robin, and processes that
//! are killed, paused and restarted under them. Prints figures, and fails when a promise was broken:
//!
//! - no modern request that may run twice fails;
//! - no legacy session is lost;
//! - no answer, and no session or state of a round, reaches another principal.
//!
//! `cargo run --example chaos -- --seconds 60 --seed 1`; the binary `anypod` has to be built before, with the same profile.

mod balancer;
mod legacy;
mod modern;
mod random;
mod tally;
mod weather;
mod world;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser as _;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use self::balancer::Balancer;
use self::random::Random;
use self::tally::Tally;
use self::world::World;

/// How many clients there are of each kind and principal.
const CLIENTS: usize = 2;
/// What the last requests may take once the time is over.
const LAST: Duration = Duration::from_secs(30);

/// Kills, pauses and restarts pods and replicas under load, and holds the gateway to its promises.
#[derive(clap::Parser)]
struct Args {
    /// How long.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// What happens when; drawn and printed unless given.
    #[arg(long)]
    seed: Option<u64>,
    /// The binary under test; the one that was built beside this program unless given.
    #[arg(long)]
    anypod: Option<PathBuf>,
    /// Says what happens.
    #[arg(long)]
    verbose: bool,
}

/// Somebody who calls, and what only they know.
pub(crate) struct Principal {
    pub(crate) name: String,
    pub(crate) token: String,
    pub(crate) secret: String,
}

/// What every client has.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) principal: Arc<Principal>,
    /// Somebody else, who tries to use what is not theirs.
    pub(crate) thief: Arc<Principal>,
    pub(crate) balancer: Arc<Balancer>,
    pub(crate) tally: Arc<Tally>,
    pub(crate) over: watch::Receiver<bool>,
}

impl Client {
    pub(crate) fn is_over(&self) -> bool {
        *self.over.borrow()
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let seed = match args.seed {
        Some(seed) => seed,
        None => u64::from(getrandom::u32()?),
    };
    println!("seed {seed}");
    let mut random = Random::new(seed);
    let principals: Vec<_> = (1..=4).map(|number| Arc::new(principal(number, &mut random))).collect();
    let world = Arc::new(World::start(args.anypod, &principals).await?);
    let (end, over) = watch::channel(false);
    let tally = Arc::new(Tally::new());
    let balancer = Arc::new(Balancer::new(world.replicas.clone(), Arc::clone(&tally)));
    let mut clients = JoinSet::new();
    for (index, principal) in principals.iter().enumerate() {
        let thief = Arc::clone(&principals[(index + 1) % principals.len()]);
        let client = Client {
            principal: Arc::clone(principal),
            thief,
            balancer: Arc::clone(&balancer),
            tally: Arc::clone(&tally),
            over: over.clone(),
        };
        for _ in 0..CLIENTS {
            clients.spawn(modern::echoes(client.clone(), random.fork()));
            clients.spawn(modern::books(client.clone(), random.fork()));
            clients.spawn(legacy::sessions(client.clone(), random.fork()));
        }
    }
    let mut storms = JoinSet::new();
    for group in [world.pods.clone(), world.replicas.clone()] {
        storms.spawn(weather::blow(group, random.fork(), over.clone(), Arc::clone(&tally), args.verbose));
    }
    sleep(Duration::from_secs(args.seconds)).await;
    end.send_replace(true);
    while let Some(ended) = storms.join_next().await {
        ended??;
    }
    let all = async { while clients.join_next().await.is_some() {} };
    if tokio::time::timeout(LAST, all).await.is_err() {
        tally.broken("a client was still waiting at the end");
    }
    let kept = tally.report(seed);
    world.stop(kept).await;
    Ok(if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn principal(number: usize, random: &mut Random) -> Principal {
    Principal {
        name: format!("p{number}"),
        token: format!("token-{number}-{:016x}", random.next()),
        secret: format!("secret-{number}-{:016x}", random.next()),
    }
}
