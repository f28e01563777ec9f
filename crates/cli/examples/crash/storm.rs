//! The pods as processes, and what happens to them.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, sleep};

use crate::random::Random;
use crate::verdict::Verdict;

/// How long a pod may take to listen.
const START: Duration = Duration::from_secs(30);

/// The pods.
pub(crate) struct Fleet {
    pub(crate) ports: Vec<u16>,
    pods: Vec<Mutex<Child>>,
    store: String,
    ledger: PathBuf,
}

impl Fleet {
    /// Starts so many pods, and waits until they listen.
    ///
    /// # Errors
    /// If one does not.
    pub(crate) async fn start(pods: usize, store: &str, ledger: &Path) -> anyhow::Result<Self> {
        let listeners: Vec<_> =
            (0..pods).map(|_| std::net::TcpListener::bind("127.0.0.1:0")).collect::<Result<_, _>>()?;
        let ports = listeners.iter().map(|l| Ok(l.local_addr()?.port())).collect::<std::io::Result<Vec<_>>>()?;
        drop(listeners);
        let mut fleet =
            Self { ports: ports.clone(), pods: Vec::new(), store: store.to_owned(), ledger: ledger.to_owned() };
        for port in ports {
            let child = fleet.spawn(port)?;
            fleet.pods.push(Mutex::new(child));
            fleet.listens(port).await?;
        }
        Ok(fleet)
    }

    fn spawn(&self, port: u16) -> anyhow::Result<Child> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["pod", "--store", &self.store, "--port", &port.to_string(), "--ledger"]).arg(&self.ledger);
        command.stdin(Stdio::null()).kill_on_drop(true).spawn().context("a pod")
    }

    async fn listens(&self, port: u16) -> anyhow::Result<()> {
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            if begun.elapsed() > START {
                bail!("the pod at {port} does not listen");
            }
            sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// Kills a pod, and starts it again after a while.
    async fn kill(&self, pod: usize, pause: Duration) -> anyhow::Result<()> {
        let mut child = self.pods[pod].lock().await;
        child.kill().await?;
        sleep(pause).await;
        // Without its database, a pod does not start: whoever runs it tries again.
        loop {
            *child = self.spawn(self.ports[pod])?;
            if self.listens(self.ports[pod]).await.is_ok() {
                return Ok(());
            }
        }
    }

    /// Pauses a pod for a while.
    async fn pause(&self, pod: usize, pause: Duration) -> anyhow::Result<()> {
        let child = self.pods[pod].lock().await;
        let id = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)).context("a pod has ended")?;
        kill_process(id, Signal::STOP)?;
        sleep(pause).await;
        kill_process(id, Signal::CONT)?;
        Ok(())
    }

    /// The process of a pod.
    ///
    /// # Errors
    /// If it has ended.
    pub(crate) async fn process(&self, pod: usize) -> anyhow::Result<Pid> {
        let child = self.pods[pod].lock().await;
        child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)).context("a pod has ended")
    }

    /// Ends all of them in order.
    pub(crate) async fn stop(&self) {
        for pod in &self.pods {
            let mut child = pod.lock().await;
            if let Some(id) = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)) {
                let _ = kill_process(id, Signal::TERM);
            }
            let _ = tokio::time::timeout(Duration::from_secs(20), child.wait()).await;
        }
    }
}

/// Kills and pauses pods, one at a time, until it is over.
pub(crate) async fn blow(
    fleet: Arc<Fleet>,
    mut random: Random,
    mut over: watch::Receiver<bool>,
    verdict: Arc<Verdict>,
    verbose: bool,
) -> anyhow::Result<()> {
    loop {
        tokio::select! {
            _ = over.wait_for(|over| *over) => return Ok(()),
            () = sleep(random.millis(200, 1500)) => {}
        }
        let pod = random.below(fleet.ports.len());
        if random.below(2) == 0 {
            let pause = random.millis(0, 1000);
            say(verbose, || format!("pod {pod} is killed, and is away for {} ms", pause.as_millis()));
            verdict.count("kills");
            fleet.kill(pod, pause).await?;
        } else {
            // Some pauses are longer than a lease.
            let pause = random.millis(100, 5000);
            say(verbose, || format!("pod {pod} is paused for {} ms", pause.as_millis()));
            verdict.count("pauses");
            fleet.pause(pod, pause).await?;
        }
    }
}

fn say(verbose: bool, what: impl FnOnce() -> String) {
    if verbose {
        println!("{}", what());
    }
}
