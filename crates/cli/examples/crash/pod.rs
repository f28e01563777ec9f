//! One pod: a tool whose calls are tasks of several steps.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anypod_server::proto::seal::Ring;
use anypod_server::store::{self, Millis, Options, Store};
use anypod_server::{Args as Arguments, AsTask, Cx, Error, Json, Result, Server, State, Tasks, Tool, form};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

use crate::ledger::{Ledger, now};

/// How long an effect takes before and after it is there: when pods are killed, it is mostly then.
const EFFECT: Duration = Duration::from_millis(20);
/// How long a pod has its tasks.
const LEASE: Duration = Duration::from_secs(2);

#[derive(clap::Args)]
pub(crate) struct Args {
    #[arg(long)]
    store: String,
    #[arg(long)]
    ledger: PathBuf,
    #[arg(long)]
    port: u16,
}

#[derive(Deserialize, JsonSchema)]
pub(crate) struct Job {
    /// Tells calls apart
    task: i64,
    /// How many steps it has
    steps: usize,
    /// Whether it asks in the middle
    asks: bool,
}

#[derive(Serialize, JsonSchema)]
struct Receipts {
    receipts: Vec<i64>,
}

#[derive(Deserialize, JsonSchema)]
struct Go {
    /// Whether to go on
    go: bool,
}

async fn job(Arguments(job): Arguments<Job>, State(ledger): State<Ledger>, cx: Cx) -> Result<Json<Receipts>> {
    let mut receipts = Vec::with_capacity(job.steps);
    for number in 0..job.steps {
        if job.asks && number == job.steps / 2 {
            let go = cx.ask("go", form::<Go>("Go on?")).await?.into_accepted();
            if !go.is_some_and(|go| go.go) {
                return Err(Error::tool("it was not to go on"));
            }
        }
        let step = step(number);
        let key = cx.step_key(&step);
        receipts.push(cx.step(&step, || effect(&ledger, key, job.task, &step)).await?);
    }
    Ok(Json(Receipts { receipts }))
}

/// What the steps of a task are called.
pub(crate) fn step(number: usize) -> String {
    format!("effect-{number}")
}

/// What needs no store.
async fn echo() -> &'static str {
    "here"
}

async fn effect(ledger: &Ledger, key: String, task: i64, step: &str) -> Result<i64> {
    let name = step.to_owned();
    apart(ledger, move |ledger| ledger.try_it(task, &name)).await?;
    sleep(EFFECT).await;
    let name = step.to_owned();
    let receipt = apart(ledger, move |ledger| ledger.effect(&key, task, &name)).await?;
    sleep(EFFECT).await;
    Ok(receipt)
}

/// Does something with the ledger where it keeps nobody waiting.
async fn apart<T: Send + 'static>(
    ledger: &Ledger,
    act: impl FnOnce(&Ledger) -> anyhow::Result<T> + Send + 'static,
) -> Result<T> {
    let ledger = ledger.clone();
    let done = tokio::task::spawn_blocking(move || act(&ledger)).await.map_err(Error::internal)?;
    done.map_err(Error::internal)
}

/// Serves until it is told to stop.
///
/// # Errors
/// If it cannot begin.
pub(crate) async fn serve(args: Args) -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_max_level(tracing::Level::WARN).with_writer(std::io::stderr).init();
    let ledger = Ledger::open(&args.ledger)?;
    let store: Arc<dyn Store> = store::open(&args.store, Options::default(), || Millis(now())).await?;
    let tasks = Tasks::new(Arc::clone(&store)).lease(LEASE).workers(8).poll(Duration::from_millis(500));
    let job = Tool::new("job", job).task(AsTask::always().retries(20).pause(Duration::from_millis(200)));
    let server = Server::new("crash", env!("CARGO_PKG_VERSION"))
        .keys(Ring::from_keys([7; anypod_server::proto::seal::KEY_LEN], []))
        .state(ledger)
        .store(store)
        .extension(tasks)
        .tool(job)
        .tool(Tool::new("echo", echo).task(AsTask::never()))
        .build()?;
    let listener = TcpListener::bind(("127.0.0.1", args.port)).await?;
    let mut terminate = signal(SignalKind::terminate())?;
    let stop = async move {
        let _ = terminate.recv().await;
    };
    Ok(server.serve(listener, stop).await?)
}
