//! Three pods and what they share, for as long as a store is measured.

use std::{
    env, fs,
    path::PathBuf,
    process::{self, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use serde::de::DeserializeOwned;

use super::{
    super::process::{Launch, STEADY_HEAP, Server, beside, free_port, pinned},
    postgres::Postgres,
};

const PODS: usize = 3;
/// All of the machine that the bars are for.
const CORES: &str = "0,1";

/// Pods that answer.
pub(super) struct Stand<'a> {
    pods: Vec<Server>,
    server: Option<&'a Postgres>,
    _files: Files,
}

impl<'a> Stand<'a> {
    /// Starts the pods, on a new file or on the database of `server`.
    ///
    /// # Errors
    /// When one of them does not start.
    pub(super) fn start(server: Option<&'a Postgres>) -> Result<Self> {
        let files = Files::new()?;
        let store = match server {
            None => format!("sqlite:{}", files.0.join("tasks.db").display()),
            Some(server) => server.url(),
        };
        let pods = (0..PODS).map(|_| {
            let port = free_port()?;
            let program = beside("task_pod")?.display().to_string();
            let command = [program, "--port".to_owned(), port.to_string(), "--store".to_owned(), store.clone()];
            let (label, environment) = ("task_pod", &STEADY_HEAP[..]);
            Server::launch(Launch { label, core: CORES, command: command.into(), environment, port, path: "/mcp" })
        });
        Ok(Self { pods: pods.collect::<Result<_>>()?, server, _files: files })
    }

    /// Runs the load on all pods, with these flags.
    pub(super) fn load<T: DeserializeOwned>(&self, flags: &[&str]) -> Result<T> {
        let mut load = vec![beside("task_load")?.display().to_string()];
        load.extend(self.pods.iter().flat_map(|pod| ["--url".to_owned(), pod.url().to_owned()]));
        load.extend(flags.iter().map(|&flag| flag.to_owned()));
        let output = pinned(CORES, &load).stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
        ensure!(output.status.success(), "the load failed, see above");
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// How long pods and store have been on cores.
    pub(super) fn core_time(&self) -> Result<Duration> {
        let pods = self.pods.iter().map(Server::core_time).sum::<Result<Duration>>()?;
        Ok(pods + self.server.map_or(Ok(Duration::ZERO), Postgres::core_time)?)
    }

    /// Has the store do at once what it would do in the minutes to come.
    pub(super) fn settle(&self) -> Result<()> {
        self.server.map_or(Ok(()), Postgres::settle)
    }

    /// The largest memory that the last pod has had, in KiB.
    pub(super) fn last_peak_kib(&self) -> Result<f64> {
        self.pods.last().context("there are pods")?.peak_kib()
    }
}

/// A directory that is gone with its owner.
pub(super) struct Files(pub(super) PathBuf);

impl Files {
    pub(super) fn new() -> Result<Self> {
        let path = env::temp_dir().join(format!("anypod-bench-tasks-{}", process::id()));
        fs::create_dir(&path).with_context(|| format!("creating {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        // What is left over is in the directory for temporary files, where it harms nobody.
        let _ = fs::remove_dir_all(&self.0);
    }
}
