//! A proxy with its pods, all of them processes, for as long as a sample takes.

use std::{
    env, fs,
    path::PathBuf,
    process,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use anyhow::{Context, Result};

use super::{
    super::{
        callgrind::per_call,
        process::{LOAD_CORE, Launch, MEASURED_CORE, STEADY_HEAP, Server, beside, free_port},
        sample::Sample,
    },
    config,
    variant::{Front, Pods, Variant},
};
use crate::load::Era;

/// How the heaps of the proxy and the pods behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heap {
    /// Freed memory is kept, for throughput.
    Steady,
    /// As it comes, for memory.
    Default,
}

/// A proxy that answers.
pub(super) struct Stand {
    pub(super) front: Server,
    flags: Vec<String>,
    _pods: Vec<Server>,
    _files: Files,
}

impl Stand {
    /// Starts the pods, then `front` before them, and waits for an answer through both.
    ///
    /// # Errors
    /// When one of them does not start or the proxy does not answer rightly.
    pub(super) fn start(front: Front, variant: &Variant, heap: Heap) -> Result<Self> {
        Self::start_within(front, variant, heap, &[])
    }

    fn start_within(front: Front, variant: &Variant, heap: Heap, wrapper: &[String]) -> Result<Self> {
        let environment = match heap {
            Heap::Steady => &STEADY_HEAP[..],
            Heap::Default => &[],
        };
        let (ports, pods) = start_pods(variant, environment)?;
        let (files, port) = (Files::new()?, free_port()?);
        let file = files.0.join("config");
        fs::write(&file, config::of(front, variant, port, &ports))?;
        let mut command = wrapper.to_vec();
        command.push(front.program()?.display().to_string());
        command.extend(config::arguments(front, &files.0, &file));
        let (label, path) = (front.name(), front.path());
        let launch = Launch { label, core: MEASURED_CORE, command, environment, port, path };
        let mut flags = vec!["--tool".to_owned(), variant.called_at(front)];
        flags.extend((variant.client == Era::Legacy).then(|| "--legacy".to_owned()));
        let stand = Self { front: Server::launch(launch)?, flags, _pods: pods, _files: files };
        stand.front.wait_until_it_answers(&stand.flags)?;
        Ok(stand)
    }

    /// Runs the load, which calls the right tool in the right way, with `more` flags.
    pub(super) fn sample(&self, more: &[&str]) -> Result<Sample> {
        let more = more.iter().map(|&flag| flag.to_owned());
        Sample::take(&self.front, &self.flags.iter().cloned().chain(more).collect::<Vec<_>>())
    }
}

/// User-space instructions that anypod's gateway executes per small call.
///
/// # Errors
/// When a process does not start, or valgrind is missing.
pub(super) fn instructions_per_call(variant: &Variant) -> Result<f64> {
    per_call("anypod_gateway", |wrapper, flags| {
        let stand = Stand::start_within(Front::Anypod, variant, Heap::Default, wrapper)?;
        stand.sample(flags)?;
        stand.front.terminate()
    })
}

fn start_pods(variant: &Variant, environment: &[(&str, &str)]) -> Result<(Vec<u16>, Vec<Server>)> {
    let (binary, legacy) = match variant.pods {
        Pods::Modern => ("pod", false),
        Pods::Legacy => ("pod", true),
        Pods::LegacySdk => ("rmcp_legacy_echo", false),
        Pods::Anypod => ("anypod_echo", false),
    };
    let (mut ports, mut pods) = (Vec::new(), Vec::new());
    for _ in 0..variant.pods.count() {
        let port = free_port()?;
        let mut command = vec![beside(binary)?.display().to_string()];
        command.extend(["--port".to_owned(), port.to_string(), "--tools".to_owned(), variant.tools.to_string()]);
        command.extend(legacy.then(|| "--legacy".to_owned()));
        pods.push(Server::launch(Launch { label: binary, core: LOAD_CORE, command, environment, port, path: "/mcp" })?);
        ports.push(port);
    }
    Ok((ports, pods))
}

/// A directory that is gone with its owner.
struct Files(PathBuf);

impl Files {
    fn new() -> Result<Self> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("anypod-bench-{}-{}", process::id(), COUNT.fetch_add(1, Relaxed));
        let path = env::temp_dir().join(name);
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
