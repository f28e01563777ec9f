//! What does not depend on how busy the machine is: one call, one stream, one process.

use anyhow::Result;

use super::{
    Peer, callgrind, median, or_missing,
    process::{Allocations, Server, first_answer},
};
use crate::load::CallReport;

const STARTS: usize = 9;
const LISTEN_STREAMS: usize = 10_000;
const MANY_TOOLS: usize = 50;

/// Calls between which allocations are compared.
const ALLOCATION_CALLS: [u64; 2] = [1_000, 3_000];

/// What one small call, one stream and one process of a peer cost.
#[derive(Default)]
pub(super) struct Cost {
    pub(super) instructions: Option<f64>,
    pub(super) instructions_many_tools: Option<f64>,
    pub(super) allocations: Option<f64>,
    pub(super) allocated_bytes: Option<f64>,
    pub(super) allocations_many_tools: Option<f64>,
    pub(super) idle_mib: Option<f64>,
    pub(super) first_answer_ms: Option<f64>,
    pub(super) listen_stream_kib: Option<f64>,
}

impl Cost {
    /// Measures all of it; what fails is reported and left out.
    pub(super) fn take(peer: Peer) -> Self {
        if !peer.is_built() {
            return Self::default();
        }
        eprintln!("{}: costs", peer.name());
        let instructions = |tools| or_missing("instructions", peer, callgrind::instructions_per_call(peer, tools));
        let allocations = |tools| or_missing("allocations", peer, allocations_per_call(peer, tools));
        let has_tools = matches!(peer, Peer::Rmcp | Peer::Anypod);
        let few = allocations(1);
        Self {
            instructions: instructions(1),
            instructions_many_tools: has_tools.then(|| instructions(MANY_TOOLS)).flatten(),
            allocations: few.map(|(count, _)| count),
            allocated_bytes: few.map(|(_, bytes)| bytes),
            allocations_many_tools: has_tools.then(|| allocations(MANY_TOOLS)).flatten().map(|(count, _)| count),
            idle_mib: or_missing("idle memory", peer, idle_mib(peer)),
            first_answer_ms: median(
                (0..STARTS)
                    .filter_map(|_| or_missing("first answer", peer, first_answer(peer)))
                    .map(|report| report.first_answer_ms)
                    .collect(),
            ),
            listen_stream_kib: has_tools.then(|| or_missing("listen streams", peer, listen_stream_kib(peer))).flatten(),
        }
    }
}

fn call(server: &Server, calls: u64) -> Result<CallReport> {
    server.calls(&["--connections", "1", "--requests", &calls.to_string()])
}

/// Allocations and bytes per small call. Each run has a connection of its own, so that it cancels.
fn allocations_per_call(peer: Peer, tools: usize) -> Result<(f64, f64)> {
    let server = Server::start(peer, tools)?;
    let during = |calls| -> Result<Allocations> {
        let before = server.allocations()?;
        call(&server, calls)?;
        let after = server.allocations()?;
        Ok(Allocations { count: after.count - before.count, bytes: after.bytes - before.bytes })
    };
    during(ALLOCATION_CALLS[0])?;
    let [short, long] = [during(ALLOCATION_CALLS[0])?, during(ALLOCATION_CALLS[1])?];
    let per_call =
        |short: u64, long: u64| (long as f64 - short as f64) / (ALLOCATION_CALLS[1] - ALLOCATION_CALLS[0]) as f64;
    Ok((per_call(short.count, long.count), per_call(short.bytes, long.bytes)))
}

/// The resident set of a server that has answered once.
fn idle_mib(peer: Peer) -> Result<f64> {
    let server = Server::start(peer, 1)?;
    call(&server, 1)?;
    Ok(server.resident_kib()? / 1_024.0)
}

/// How much the resident set grows by an open listen stream, of many.
fn listen_stream_kib(peer: Peer) -> Result<f64> {
    let server = Server::start(peer, 1)?;
    call(&server, ALLOCATION_CALLS[0])?;
    let before = server.resident_kib()?;
    let (report, after) = server.listen(LISTEN_STREAMS, || server.resident_kib())?;
    Ok((after? - before) / report.streams as f64)
}
