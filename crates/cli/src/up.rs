//! `anypod up`: the gateway before pods that run already, or before pods that it starts as processes of their own.
//!
//! Pods end with the supervisor. When it is killed and cannot tell them, their standard input closes: the
//! demo's pods end then, and other servers should do the same.

mod command;
mod curl;
mod fleet;
mod front;
mod pod;
mod port;
mod process;
mod ready;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use anypod_proto::seal::Ring;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, timeout, timeout_at};

use self::command::Template;
use self::fleet::Fleet;
use self::front::{Front, Places};
use self::pod::{Plan, Running};
use self::port::{Port, Ports};
use self::ready::Answers;
use crate::keys::{self, Ephemeral};
use crate::signals::Signals;
use crate::usage::{Usage, duration};
use crate::{log, output, real};

/// What a pod gets from SIGTERM to SIGKILL when calls have used up the budget.
const LAST_GRACE: Duration = Duration::from_secs(1);
/// How long a killed pod may take to be gone.
const KILLED: Duration = Duration::from_secs(2);

/// The arguments of `anypod up`.
#[derive(Debug, clap::Args)]
pub(crate) struct UpCommand {
    /// Pods that run already, of either era, such as http://10.0.0.5:9000/mcp; none are started then.
    #[arg(value_name = "URL", conflicts_with_all = ["pods", "pod"])]
    urls: Vec<String>,
    #[command(flatten)]
    args: UpArgs,
}

/// The flags of `anypod up`, and of `anypod` alone.
#[derive(Debug, clap::Args)]
pub(crate) struct UpArgs {
    /// How many pods to run.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=100))]
    pods: u16,
    /// The port to serve on; 0 picks a free one.
    #[arg(long, value_name = "P", default_value_t = 8080)]
    port: u16,
    /// The address to serve on.
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    host: IpAddr,
    /// A host under which it may be called, besides loopback names and --host; may be given several times.
    #[arg(long, value_name = "HOST")]
    allow_host: Vec<String>,
    /// The command that starts one pod, such as 'my-server --port {port}'; the demo unless given.
    ///
    /// {port} becomes the loopback port that the pod is to listen on, at the path /mcp, {key-file} the file with the key
    /// ring that all pods share, {store} their store. Standard input closes when the supervisor is gone: the pod should end then.
    #[arg(long, value_name = "COMMAND")]
    pod: Option<String>,
    /// The key ring that the pods share, and the gateway in front of them.
    ///
    /// Without it, the ring in ANYPOD_KEYS, and without that, a fresh one for each run.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// The store that the pods share, for tasks and changes: sqlite:FILE or postgres://USER@HOST/DATABASE.
    ///
    /// Without it, a file of this run, which is deleted in the end.
    #[arg(id = "pods-store", long = "store", value_name = "STORE")]
    store: Option<String>,
    /// How long calls and streams may take to finish after Ctrl-C or SIGTERM, such as 10s or 500ms.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    drain: Duration,
}

impl UpArgs {
    /// Where it is to listen.
    const fn address(&self) -> SocketAddr {
        SocketAddr::new(self.host, self.port)
    }
}

impl From<UpArgs> for UpCommand {
    fn from(args: UpArgs) -> Self {
        Self { urls: Vec::new(), args }
    }
}

/// Runs until told to stop, then drains.
///
/// # Errors
///
/// A `Usage` when a URL, a flag, the port or the key file is wrong; otherwise when a pod does not come up.
pub(crate) async fn run(command: UpCommand) -> anyhow::Result<()> {
    log::to_stderr("error")?;
    let mut signals = Signals::new().context("cannot catch signals")?;
    let UpCommand { urls, args } = command;
    if args.host.is_unspecified() && args.allow_host.is_empty() {
        output::warning(
            "it is called by loopback names only: name the hosts by which others call it with --allow-host",
        );
    }
    if urls.is_empty() {
        return own(&args, &mut signals).await;
    }
    let front = Front::before(&urls, &args, keys::given(args.key_file.as_deref())?).await?;
    let greeting = Greeting { pods: urls.len(), curl: curl::discover };
    serve(&args, greeting, front, None, &mut signals).await
}

/// Pods that it has started itself.
struct Own {
    fleet: Fleet,
    /// Where they are.
    places: watch::Receiver<Places>,
}

/// Runs pods of its own, and serves.
async fn own(args: &UpArgs, signals: &mut Signals) -> anyhow::Result<()> {
    let template = match &args.pod {
        Some(text) => Template::parse(text)?,
        None => Template::demo(std::env::current_exe()?.into_os_string()),
    };
    let (answers, curl): (_, fn(&str) -> String) = match args.pod {
        Some(_) => (Answers::Anything, curl::discover),
        None => (Answers::Ready, curl::add),
    };
    let keys = KeyFile::of(args, &template)?;
    let store = StoreOf::run(args, &template)?;
    let ports = Ports::default();
    let drawn = (0..args.pods).map(|_| ports.draw()).collect::<anyhow::Result<Vec<_>>>()?;
    let first: Places = (1..).zip(drawn.iter().map(Port::address)).collect();
    let front = Front::before_own(&first, args, keys.ring()?).await?;
    let greeting = Greeting { pods: drawn.len(), curl };
    let (moves, places) = watch::channel(first);
    let plan = Plan { template, answers, key_file: keys.path(), store: store.url(), places: moves, ports };
    let mut own = Own { fleet: Fleet::start(plan, drawn), places };
    let served = serve(args, greeting, front, Some(&mut own), signals).await;
    // After an orderly end nobody is left; SIGKILL is for those that did not obey.
    let _ = timeout(KILLED, own.fleet.kill()).await;
    served
}

/// Serves until the first signal and drains until the second.
async fn serve(
    args: &UpArgs,
    greeting: Greeting,
    front: Front,
    mut own: Option<&mut Own>,
    signals: &mut Signals,
) -> anyhow::Result<()> {
    let url = front.url();
    let (bound, stand) = front.open();
    let mut running = Vec::new();
    if let Some(own) = &mut own {
        running = tokio::select! {
            running = own.fleet.all_up() => running?,
            _ = signals.next() => return Ok(()),
        };
        stand.before(&own.places.borrow_and_update())?;
    }
    greeting.say(&url, &running).await;
    let (stop, stopped) = oneshot::channel::<()>();
    let mut serving = Box::pin(bound.serve(async {
        // Nothing is ever sent, so this waits for the sender to be dropped.
        let _ = stopped.await;
    }));
    let moves = async {
        match &mut own {
            Some(own) => stand.follow(&mut own.places).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = serving.as_mut() => {}
        () = moves => {}
        _ = signals.next() => {}
    }
    drop(stop);
    output::line(&format!("stopping: calls on their way have {:?} to finish; Ctrl-C again stops at once", args.drain))
        .await;
    tokio::select! {
        () = drain(serving, own.map(|own| &mut own.fleet), args.drain) => {}
        _ = signals.next() => {}
    }
    Ok(())
}

/// Calls finish first, because not every server finishes them after SIGTERM; then the pods are told.
async fn drain(serving: impl Future<Output = ()>, fleet: Option<&mut Fleet>, budget: Duration) {
    let now = Instant::now();
    // It has a budget of its own, which is as long.
    serving.await;
    if let Some(fleet) = fleet {
        let end = (now + budget).max(Instant::now() + LAST_GRACE);
        let _ = timeout_at(end, fleet.finish()).await;
    }
}

/// What is said when everything is up.
struct Greeting {
    pods: usize,
    /// The line that can be pasted, for a URL.
    curl: fn(&str) -> String,
}

impl Greeting {
    async fn say(&self, url: &str, running: &[Running]) {
        let (pods, s) = (self.pods, if self.pods == 1 { "" } else { "s" });
        let curl = (self.curl)(url);
        output::line(&format!("{url} round robin over {pods} pod{s}; Ctrl-C stops\n\n{curl}\n")).await;
        for pod in running {
            output::line(&format!("pod {}: {pod}", pod.number())).await;
        }
    }
}

/// The store of the pods, if they want one.
enum StoreOf {
    None,
    Given(String),
    /// A file that ends with the run.
    Fresh(PathBuf),
}

impl StoreOf {
    fn run(args: &UpArgs, template: &Template) -> anyhow::Result<Self> {
        match (&args.store, template.wants_store()) {
            (Some(_), false) => Err(Usage::new(
                "--pod has no {store}, so no pod would get --store: write {store} where the command takes it",
            )
            .into()),
            (Some(url), true) => Ok(Self::Given(url.clone())),
            (None, true) => {
                let name = format!("anypod-{:016x}.db", u64::from_ne_bytes(real::random()?));
                Ok(Self::Fresh(std::env::temp_dir().join(name)))
            }
            (None, false) => Ok(Self::None),
        }
    }

    fn url(&self) -> Option<String> {
        match self {
            Self::None => None,
            Self::Given(url) => Some(url.clone()),
            Self::Fresh(file) => Some(format!("sqlite:{}", file.display())),
        }
    }
}

impl Drop for StoreOf {
    fn drop(&mut self) {
        let Self::Fresh(file) = self else { return };
        for end in ["", "-wal", "-shm"] {
            let mut path = file.clone().into_os_string();
            path.push(end);
            // It may not be there.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// The key ring of the pods, if they want one.
enum KeyFile {
    None,
    Given(PathBuf),
    Fresh(Ephemeral),
}

impl KeyFile {
    fn of(args: &UpArgs, template: &Template) -> anyhow::Result<Self> {
        if let Some(path) = &args.key_file {
            if !template.wants_keys() {
                return Err(Usage::new(
                    "--pod has no {key-file}, so no pod would get --key-file: write {key-file} where the command takes it",
                )
                .into());
            }
            keys::load(path)?;
            return Ok(Self::Given(path.clone()));
        }
        match template.wants_keys() {
            true => Ok(Self::Fresh(Ephemeral::generate()?)),
            false => Ok(Self::None),
        }
    }

    fn path(&self) -> Option<PathBuf> {
        match self {
            Self::None => None,
            Self::Given(path) => Some(path.clone()),
            Self::Fresh(file) => Some(file.path().to_owned()),
        }
    }

    /// The ring of the gateway: what was given, or none, and it makes one of its own.
    fn ring(&self) -> anyhow::Result<Option<Ring>> {
        Ok(match self {
            Self::Given(path) => keys::given(Some(path))?,
            Self::None => keys::given(None)?,
            Self::Fresh(file) => Some(keys::load(file.path())?),
        })
    }
}
