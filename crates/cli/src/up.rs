//! `anypod up`: pods as processes of their own and, in front of them, a plain round-robin without stickiness.
//!
//! Pods end with the supervisor. When it is killed and cannot tell them, their standard input closes: the
//! demo's pods end then, and other servers should do the same.

mod command;
mod curl;
mod fleet;
mod front;
mod headers;
mod pod;
mod pool;
mod process;
mod ready;
mod rotation;
mod signals;
mod work;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context as _;
use tokio::time::{Instant, timeout, timeout_at};

use self::command::Template;
use self::fleet::Fleet;
use self::front::{Draining, Front};
use self::pod::{Plan, Running};
use self::ready::Answers;
use self::rotation::Rotation;
use self::signals::Signals;
use crate::keys::{self, Ephemeral};
use crate::output;
use crate::usage::{Usage, duration};

/// The longest head of a request or an answer, in bytes. Headers mirror arguments, so they may be long.
const HEAD_LIMIT: usize = 64 * 1024;
/// What a pod gets from SIGTERM to SIGKILL when calls have used up the budget.
const LAST_GRACE: Duration = Duration::from_secs(1);
/// How long a killed pod may take to be gone.
const KILLED: Duration = Duration::from_secs(2);

/// The flags of `anypod up`.
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
    /// The command that starts one pod, such as 'my-server --port {port}'; the demo unless given.
    ///
    /// {port} becomes the loopback port that the pod is to listen on, {key-file} the file with the key ring that
    /// all pods share. Standard input closes when the supervisor is gone: the pod should end then.
    #[arg(long, value_name = "COMMAND")]
    pod: Option<String>,
    /// The key ring that the pods share.
    ///
    /// Without it, the ring in ANYPOD_KEYS, and without that, a fresh one for each run.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// How long calls and streams may take to finish after Ctrl-C or SIGTERM, such as 10s or 500ms.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    drain: Duration,
}

/// Runs until told to stop, then drains.
///
/// # Errors
///
/// A `Usage` when a flag, the port or the key file is wrong; otherwise when a pod does not come up.
pub(crate) async fn run(args: UpArgs) -> anyhow::Result<()> {
    let mut signals = Signals::new().context("cannot catch signals")?;
    let template = match &args.pod {
        Some(text) => Template::parse(text)?,
        None => Template::demo(std::env::current_exe()?.into_os_string()),
    };
    let rotation = Arc::new(Rotation::default());
    let front = Front::bind(SocketAddr::new(args.host, args.port), Arc::clone(&rotation)).await?;
    let url = format!("http://{}/mcp", reachable(front.address()?));
    let keys = KeyFile::of(&args, &template)?;
    let answers = match args.pod {
        Some(_) => Answers::Anything,
        None => Answers::Ready,
    };
    let plan = Plan { template, answers, key_file: keys.path(), rotation, ports: Mutex::default() };
    let mut fleet = Fleet::start(plan, args.pods);
    let served = serve(&args, &url, front, &mut fleet, &mut signals).await;
    // After an orderly end nobody is left; SIGKILL is for those that did not obey.
    let _ = timeout(KILLED, fleet.kill()).await;
    served
}

/// Serves until the first signal and drains until the second.
async fn serve(args: &UpArgs, url: &str, front: Front, fleet: &mut Fleet, signals: &mut Signals) -> anyhow::Result<()> {
    let running = tokio::select! {
        running = fleet.all_up() => running?,
        () = signals.next() => return Ok(()),
    };
    greet(args, url, &running).await;
    let draining = front.serve(signals.next()).await;
    output::line(&format!("stopping: calls on their way have {:?} to finish; Ctrl-C again stops at once", args.drain))
        .await;
    tokio::select! {
        () = drain(draining, fleet, args.drain) => {}
        () = signals.next() => {}
    }
    Ok(())
}

/// Calls finish first, because not every server finishes them after SIGTERM; then the pods are told, which
/// ends the streams that only listen.
async fn drain(mut draining: Draining, fleet: &mut Fleet, budget: Duration) {
    let now = Instant::now();
    let _ = timeout_at(now + budget, draining.calls_done()).await;
    let end = (now + budget).max(Instant::now() + LAST_GRACE);
    let _ = timeout_at(end, async {
        fleet.finish().await;
        draining.connections_closed().await;
    })
    .await;
}

async fn greet(args: &UpArgs, url: &str, running: &[Running]) {
    let (pods, s) = (args.pods, if args.pods == 1 { "" } else { "s" });
    let curl = match args.pod {
        Some(_) => curl::discover(url),
        None => curl::add(url),
    };
    output::line(&format!("{url} round robin over {pods} pod{s}; Ctrl-C stops\n\n{curl}\n")).await;
    for pod in running {
        output::line(&format!("pod {}: {pod}", pod.number())).await;
    }
}

/// Where a client on this machine reaches a listener.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_a_wildcard_listener_by_loopback() {
        let name = |text: &str| reachable(text.parse().unwrap()).to_string();
        assert_eq!(name("0.0.0.0:80"), "127.0.0.1:80");
        assert_eq!(name("[::]:80"), "[::1]:80");
        assert_eq!(name("192.0.2.1:80"), "192.0.2.1:80");
    }
}
