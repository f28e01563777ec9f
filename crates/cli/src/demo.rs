//! `anypod demo`: one pod of the demo server, which has a little of everything that a server can offer.

mod desk;
mod tools;

use std::future::Future;
use std::io::{self, Read};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use anypod_server::{Server, Tasks};
use anypod_store::{Memory, Options, Store};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::signals::{Signals, Told};
use crate::usage::Usage;
use crate::{keys, log, output, real};

/// The flags of `anypod demo`.
#[derive(Debug, clap::Args)]
pub(crate) struct DemoArgs {
    /// The loopback port to listen on; 0 picks a free one.
    #[arg(long, value_name = "P", default_value_t = 0)]
    port: u16,
    /// The key ring that all pods share, read again on SIGHUP.
    ///
    /// Without it, the ring in ANYPOD_KEYS, and without that, one of its own.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// The store that all pods share, for tasks and changes: sqlite:FILE or postgres://USER@HOST/DATABASE.
    ///
    /// Without it, the pod remembers by itself, until it ends.
    #[arg(long, value_name = "STORE")]
    store: Option<String>,
    /// Serve on standard input and output instead of a port.
    #[arg(long, conflicts_with_all = ["port", "exit_with_parent"])]
    stdio: bool,
    /// End when standard input closes, as it does when the parent process ends, however it ends.
    #[arg(long)]
    exit_with_parent: bool,
}

/// How long a pod that died has kept its tasks from the others.
const LEASE: Duration = Duration::from_secs(3);

/// Which pod this is. State that handlers may hold: it says something about the pod, nothing about clients.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
struct Pod {
    /// The process id.
    pid: u32,
    /// The port that it listens on; 0 on standard input and output.
    port: u16,
}

/// Serves until SIGTERM or Ctrl-C, or until the parent goes away, then drains.
///
/// # Errors
///
/// A [`Usage`] when the port, the key file or the log filter is wrong; otherwise when signals cannot be caught.
pub(crate) async fn run(args: DemoArgs) -> anyhow::Result<()> {
    log::to_stderr("warn")?;
    if args.stdio {
        let store = open(args.store.as_deref()).await?;
        return Ok(build(0, args.key_file.as_deref(), store)?.serve_stdio().await?);
    }
    let mut signals = Signals::new().context("cannot catch signals")?;
    let listener = bind(args.port).await?;
    let address = listener.local_addr()?;
    let server = build(address.port(), args.key_file.as_deref(), open(args.store.as_deref()).await?)?;
    if !args.exit_with_parent {
        output::line(&format!("listening on http://{address}/mcp; Ctrl-C stops")).await;
    }
    let stop = async {
        tokio::select! {
            () = stopped(&mut signals, || reload(&server, args.key_file.as_deref())) => {}
            () = parent_gone(), if args.exit_with_parent => {}
        }
    };
    Ok(server.clone().serve(listener, stop).await?)
}

async fn bind(port: u16) -> anyhow::Result<TcpListener> {
    let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
    bound.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => {
            Usage::new(format!("port {port} is taken: choose another with --port (0 picks a free one)")).into()
        }
        io::ErrorKind::PermissionDenied => {
            Usage::new(format!("port {port} needs privileges: choose one from 1024 with --port")).into()
        }
        _ => anyhow::Error::new(error).context(format!("cannot listen on port {port}")),
    })
}

/// The store at that address, or one of the pod's own.
async fn open(url: Option<&str>) -> anyhow::Result<Arc<dyn Store>> {
    match url {
        None => Ok(Arc::new(Memory::default())),
        Some(url) => Ok(anypod_store::open(url, Options::default(), real::now).await?),
    }
}

fn build(port: u16, key_file: Option<&Path>, store: Arc<dyn Store>) -> anyhow::Result<Server> {
    let mut server = Server::new("anypod-demo", env!("CARGO_PKG_VERSION"))
        .instructions("A demo: adds, echoes, counts down, says which pod answers, runs relay races, and books rooms in a few cities.")
        .store(Arc::clone(&store))
        .extension(Tasks::new(store).lease(LEASE))
        .state(Pod { pid: std::process::id(), port });
    if let Some(ring) = keys::given(key_file)? {
        server = server.keys(ring);
    }
    Ok(desk::offer(tools::offer(server)).build()?)
}

/// Waits for the end, and calls `hangup` at each SIGHUP until then.
async fn stopped(signals: &mut Signals, hangup: impl Fn()) {
    while signals.next().await == Told::Reload {
        hangup();
    }
}

/// Takes the ring anew. A file that is bad at the moment does not stop a pod that works.
fn reload(server: &Server, key_file: Option<&Path>) {
    let Some(path) = key_file else { return };
    match keys::load(path) {
        Ok(ring) => {
            server.replace_keys(ring);
            tracing::info!("read the key file again");
        }
        Err(error) => output::warning(&format!("still using the keys from before: {error}")),
    }
}

/// Waits for the end of standard input. What is written there is of no interest.
fn parent_gone() -> impl Future<Output = ()> {
    let (gone, end) = oneshot::channel::<()>();
    // Not on the runtime's pool: a thread that reads there would hold up the end of the process.
    std::thread::spawn(move || {
        let mut ignored = [0; 64];
        while !matches!(io::stdin().read(&mut ignored), Ok(0) | Err(_)) {}
        drop(gone);
    });
    async {
        // Nothing is ever sent, so this waits for the sender to be dropped.
        let _ = end.await;
    }
}
