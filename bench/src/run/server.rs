//! The session of servers: throughput and latency, then what one call costs, then memory and start-up.

use std::{fs, path::Path};

use anyhow::{Result, ensure};

use super::{
    Peer, callgrind, machine, median,
    process::{Allocations, Server, first_answer},
    report::{Bar, Figure, Row, Table},
};
use crate::load::CallReport;

const STARTS: usize = 9;
const LISTEN_STREAMS: usize = 10_000;
const MANY_TOOLS: usize = 50;

/// Calls between which allocations are compared.
const ALLOCATION_CALLS: [u64; 2] = [1_000, 3_000];

/// How long to measure.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Samples of each peer and workload.
    pub rounds: usize,
    /// Seconds that a sample counts.
    pub seconds: f64,
}

struct Workload {
    payload: usize,
    connections: usize,
    label: &'static str,
    peers: &'static [Peer],
}

const SMALL: &[Peer] = &[Peer::Limit, Peer::Rmcp, Peer::Anypod];
const SMALL_16: Workload = Workload { payload: 16, connections: 16, label: "16 B × 16", peers: SMALL };
const SMALL_64: Workload = Workload { payload: 16, connections: 64, label: "16 B × 64", peers: SMALL };
const LARGE: Workload = Workload { payload: 64 << 10, connections: 16, label: "64 KiB × 16", peers: &Peer::ALL };
const HUGE: Workload = Workload { payload: 1 << 20, connections: 8, label: "1 MiB × 8", peers: &Peer::ALL };

/// Measures all server peers, writes the table into `directory` and prints it with the figures.
///
/// # Errors
/// When the machine has one core only, or a bar has no value because a peer is missing or failed.
pub fn server(effort: Effort, directory: &Path) -> Result<()> {
    ensure!(machine::cores() >= 2, "the server and the load need a core each");
    let samples = [SMALL_16, SMALL_64, LARGE, HUGE].map(|workload| Samples::take(workload, effort));
    let costs: Vec<_> = Peer::ALL.into_iter().map(Cost::take).collect();
    let table = Table {
        title: "Servers: `echo(text)` at `POST /mcp`, one core",
        machine: machine::describe(),
        rows: samples.iter().flat_map(Samples::rows).chain(cost_rows(&costs)).collect(),
        figures: figures(&samples, &costs),
    };
    let text = table.to_string();
    print!("{text}");
    fs::write(directory.join("RESULTS.md"), text)?;
    table.print_figures()
}

/// Reports a failure and goes on without the value.
fn or_missing<T>(what: &str, peer: Peer, value: Result<T>) -> Option<T> {
    value.inspect_err(|error| eprintln!("{what} of {}: {error:#}", peer.name())).ok()
}

/// All samples of one workload, by peer and round.
struct Samples {
    workload: Workload,
    by_peer: Vec<(Peer, Vec<Option<CallReport>>)>,
}

impl Samples {
    fn take(workload: Workload, effort: Effort) -> Self {
        let mut by_peer: Vec<_> = workload
            .peers
            .iter()
            .filter(|peer| peer.is_built())
            .map(|&peer| (peer, Vec::with_capacity(effort.rounds)))
            .collect();
        for round in 0..effort.rounds {
            eprintln!("{}: round {} of {}", workload.label, round + 1, effort.rounds);
            for (peer, samples) in &mut by_peer {
                samples.push(or_missing(workload.label, *peer, sample(*peer, &workload, effort)));
            }
            // The next round begins with another peer, so that none is always first.
            by_peer.rotate_left(1);
        }
        Self { workload, by_peer }
    }

    fn of(&self, peer: Peer) -> &[Option<CallReport>] {
        self.by_peer.iter().find(|(of, _)| *of == peer).map_or(&[], |(_, samples)| samples)
    }

    fn median(&self, peer: Peer, value: fn(&CallReport) -> f64) -> Option<f64> {
        median(self.of(peer).iter().flatten().map(value).collect())
    }

    /// The median over the rounds of `peer`'s value by `other`'s.
    fn ratio(&self, peer: Peer, other: Peer, value: fn(&CallReport) -> f64) -> Option<f64> {
        let rounds = self.of(peer).iter().zip(self.of(other));
        median(rounds.filter_map(|(own, other)| Some(value(own.as_ref()?) / value(other.as_ref()?))).collect())
    }

    fn rows(&self) -> impl Iterator<Item = Row> {
        let row = |measure: &str, value: fn(&CallReport) -> f64| Row {
            measure: format!("{}: {measure}", self.workload.label),
            values: Peer::ALL.map(|peer| self.median(peer, value)),
        };
        [row("requests/s", rate), row("p50 µs", |report| report.p50_us), row("p99 µs", p99)].into_iter()
    }
}

fn rate(report: &CallReport) -> f64 {
    report.requests_per_second
}

fn p99(report: &CallReport) -> f64 {
    report.p99_us
}

fn sample(peer: Peer, workload: &Workload, effort: Effort) -> Result<CallReport> {
    Server::start(peer, 1, &[])?.calls(&[
        "--connections",
        &workload.connections.to_string(),
        "--payload",
        &workload.payload.to_string(),
        "--seconds",
        &effort.seconds.to_string(),
    ])
}

/// What one small call, one stream and one process of a peer cost.
#[derive(Default)]
struct Cost {
    instructions: Option<f64>,
    instructions_many_tools: Option<f64>,
    allocations: Option<f64>,
    allocated_bytes: Option<f64>,
    allocations_many_tools: Option<f64>,
    idle_mib: Option<f64>,
    first_answer_ms: Option<f64>,
    listen_stream_kib: Option<f64>,
}

impl Cost {
    fn take(peer: Peer) -> Self {
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
    let server = Server::start(peer, tools, &[])?;
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
    let server = Server::start(peer, 1, &[])?;
    call(&server, 1)?;
    Ok(server.resident_kib()? / 1_024.0)
}

/// How much the resident set grows by an open listen stream, of many.
fn listen_stream_kib(peer: Peer) -> Result<f64> {
    let server = Server::start(peer, 1, &[])?;
    call(&server, ALLOCATION_CALLS[0])?;
    let before = server.resident_kib()?;
    let (report, after) = server.listen(LISTEN_STREAMS, || server.resident_kib())?;
    Ok((after? - before) / report.streams as f64)
}

fn cost_rows(costs: &[Cost]) -> impl Iterator<Item = Row> {
    let row = |measure: &str, value: fn(&Cost) -> Option<f64>| Row {
        measure: measure.to_owned(),
        values: std::array::from_fn(|peer| costs.get(peer).and_then(value)),
    };
    [
        row("instructions per call", |cost| cost.instructions),
        row("instructions per call, 50 tools", |cost| cost.instructions_many_tools),
        row("allocations per call", |cost| cost.allocations),
        row("allocated bytes per call", |cost| cost.allocated_bytes),
        row("allocations per call, 50 tools", |cost| cost.allocations_many_tools),
        row("idle memory, MiB", |cost| cost.idle_mib),
        row("first answer, ms", |cost| cost.first_answer_ms),
        row("open listen stream, KiB", |cost| cost.listen_stream_kib),
    ]
    .into_iter()
}

fn figures([small_16, small_64, large, huge]: &[Samples; 4], costs: &[Cost]) -> Vec<Figure> {
    use Bar::{AtLeast, AtMost};
    use Peer::{Anypod, Limit, LimitTyped, Rmcp};
    let ratio = |name, value, bar| Figure { name, value, unit: "ratio", bar };
    let own = |name, value: fn(&Cost) -> Option<f64>, unit, bar| Figure {
        name,
        value: costs.last().and_then(value),
        unit,
        bar,
    };
    let at_most_three_percent_above =
        |value: fn(&Cost) -> Option<f64>| AtMost(costs.last().and_then(value).map_or(f64::NAN, |few| few * 1.03));
    vec![
        ratio("echo_small_vs_limit_16", small_16.ratio(Anypod, Limit, rate), AtLeast(0.8)),
        ratio("echo_small_vs_limit_64", small_64.ratio(Anypod, Limit, rate), AtLeast(0.8)),
        ratio("echo_small_vs_rmcp_16", small_16.ratio(Anypod, Rmcp, rate), AtLeast(2.5)),
        ratio("echo_small_vs_rmcp_64", small_64.ratio(Anypod, Rmcp, rate), AtLeast(2.5)),
        ratio("p99_vs_rmcp_16", small_16.ratio(Anypod, Rmcp, p99), AtMost(1.0)),
        ratio("p99_vs_rmcp_64", small_64.ratio(Anypod, Rmcp, p99), AtMost(1.0)),
        own("instructions_small", |cost| cost.instructions, "instructions", AtMost(45_000.0)),
        own(
            "instructions_50_tools",
            |cost| cost.instructions_many_tools,
            "instructions",
            at_most_three_percent_above(|cost| cost.instructions),
        ),
        own("allocations_small", |cost| cost.allocations, "allocations", AtMost(40.0)),
        own(
            "allocations_50_tools",
            |cost| cost.allocations_many_tools,
            "allocations",
            at_most_three_percent_above(|cost| cost.allocations),
        ),
        ratio("echo_64k_vs_typed_limit", large.ratio(Anypod, LimitTyped, rate), AtLeast(0.95)),
        ratio("echo_1m_vs_typed_limit", huge.ratio(Anypod, LimitTyped, rate), AtLeast(0.95)),
        ratio("echo_64k_vs_rmcp", large.ratio(Anypod, Rmcp, rate), AtLeast(1.1)),
        ratio("echo_1m_vs_rmcp", huge.ratio(Anypod, Rmcp, rate), AtLeast(1.1)),
        own("idle_memory", |cost| cost.idle_mib, "MiB", AtMost(10.0)),
        own("first_answer", |cost| cost.first_answer_ms, "ms", AtMost(50.0)),
        own("listen_stream_memory", |cost| cost.listen_stream_kib, "KiB", AtMost(20.0)),
    ]
}
