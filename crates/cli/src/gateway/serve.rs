//! One replica: starts, takes a changed configuration, drains.

use std::path::PathBuf;

use anyhow::Context as _;
use anypod_gateway::config::{ConfigError, Watcher};
use anypod_gateway::{Config, Gateway};
use anypod_proto::seal::Ring;
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

use super::RunArgs;
use super::origin::Origin;
use crate::signals::{Signals, Told};
use crate::usage::Usage;
use crate::{log, output};

/// What is logged unless `RUST_LOG` says otherwise.
const LOG: &str = "warn,anypod=info,anypod_gateway=info";

/// Serves until told to stop, then drains; a second signal ends at once.
///
/// # Errors
///
/// A `Usage` or a `ConfigError` when a flag, a file or an address is wrong; otherwise when the system fails us.
pub(super) async fn run(args: RunArgs) -> anyhow::Result<()> {
    log::to_stderr(LOG)?;
    let signals = Signals::new().context("cannot catch signals")?;
    let origin = Origin::of(args)?;
    // Before anything is read, so that no change in between is missed.
    let watcher = Watcher::new(files(&origin).await?).await;
    let (config, ring) = read(&origin).await?;
    config.warnings().iter().for_each(|text| output::warning(text));
    let gateway = Gateway::new(config, ring).map_err(|error| Usage::new(error.to_string()))?;
    let bound = gateway.bind().await.map_err(|error| Usage::new(error.to_string()))?;
    for (index, url) in bound.urls().into_iter().enumerate() {
        let how = if index == 0 { "; Ctrl-C stops" } else { "" };
        output::line(&format!("listening on {url}{how}")).await;
    }
    if let Some(address) = bound.admin() {
        output::line(&format!("metrics and the report are at http://{address}")).await;
    }
    let (stop, stopped) = oneshot::channel();
    let serving = bound.serve(async {
        // Dropped or sent to, it means the same.
        let _ = stopped.await;
    });
    let mut replica = Replica { origin, gateway, watcher, signals };
    // Side by side in one task: requests are served while a configuration is read.
    tokio::select! {
        () = serving => {}
        () = replica.run(stop) => {}
    }
    Ok(())
}

/// What goes on beside serving.
struct Replica {
    origin: Origin,
    gateway: Gateway,
    watcher: Watcher,
    signals: Signals,
}

impl Replica {
    /// Takes changed configurations until the first signal to stop, of which it tells by `stop`, and waits for the second.
    async fn run(&mut self, stop: oneshot::Sender<()>) {
        loop {
            let told = tokio::select! {
                told = self.signals.next() => told,
                _ = self.watcher.changed() => Told::Reload,
            };
            match told {
                Told::Reload => {
                    // Whoever rotates logs says so by the same signal.
                    self.gateway.reopen_log();
                    self.reload().await;
                }
                Told::Stop => break,
            }
        }
        drop(stop);
        let drain = self.gateway.config().limits.drain;
        output::line(&format!("stopping: requests have {drain} to finish; Ctrl-C again stops at once")).await;
        while self.signals.next().await != Told::Stop {}
    }

    /// Takes the configuration anew. One that is bad at the moment does not stop a gateway that works.
    async fn reload(&mut self) {
        match self.try_reload().await {
            Ok(()) => tracing::info!("read the configuration again"),
            Err(error) => {
                let why = match error.downcast_ref::<ConfigError>() {
                    Some(error) => first(error, &self.origin),
                    None => error.to_string(),
                };
                output::warning(&format!("the configuration from before goes on, the new one is refused: {why}"));
            }
        }
    }

    async fn try_reload(&mut self) -> anyhow::Result<()> {
        self.watcher.watch(files(&self.origin).await?).await;
        let (config, ring) = read(&self.origin).await?;
        config.warnings().iter().for_each(|text| output::warning(text));
        self.gateway.reload(config, ring).map_err(|error| Usage::new(error.to_string()))?;
        Ok(())
    }
}

/// The first problem, and how to see the others.
fn first(error: &ConfigError, origin: &Origin) -> String {
    match error.problems() {
        [problem] => problem.to_string(),
        [problem, others @ ..] => format!("{problem}; and {} more, {}", others.len(), origin.advice()),
        [] => origin.advice(),
    }
}

// Files are read on the pool for blocking work: requests go on meanwhile.
async fn files(origin: &Origin) -> anyhow::Result<Vec<PathBuf>> {
    let origin = origin.clone();
    Ok(spawn_blocking(move || origin.files()).await?)
}

async fn read(origin: &Origin) -> anyhow::Result<(Config, Option<Ring>)> {
    let origin = origin.clone();
    spawn_blocking(move || origin.read()).await?
}
