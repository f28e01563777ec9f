//! The session of servers: throughput and latency, then what one call costs, then memory and start-up.

use std::path::Path;

use anyhow::{Result, ensure};

use super::{
    Effort, Peer,
    cost::Cost,
    machine, median, or_missing,
    process::{STEADY_HEAP, Server},
    report::{Bar, Figure, Row, Table},
    sample::{Sample, p99, quietness, rate},
};

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
        machine: machine::describe().into_iter().chain([quietness("servers", all(&samples))]).collect(),
        peers: Peer::ALL.map(Peer::name).into(),
        rows: samples.iter().flat_map(Samples::rows).chain(cost_rows(&costs)).collect(),
        figures: figures(&samples, &costs),
    };
    table.publish(directory)
}

/// All samples of one workload, by peer and round.
struct Samples {
    workload: Workload,
    by_peer: Vec<(Peer, Vec<Option<Sample>>)>,
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

    fn of(&self, peer: Peer) -> &[Option<Sample>] {
        self.by_peer.iter().find(|(of, _)| *of == peer).map_or(&[], |(_, samples)| samples)
    }

    fn median(&self, peer: Peer, value: fn(&Sample) -> f64) -> Option<f64> {
        median(self.of(peer).iter().flatten().map(value).collect())
    }

    /// The median over the rounds of `peer`'s value by `other`'s.
    fn ratio(&self, peer: Peer, other: Peer, value: fn(&Sample) -> f64) -> Option<f64> {
        let rounds = self.of(peer).iter().zip(self.of(other));
        median(rounds.filter_map(|(own, other)| Some(value(own.as_ref()?) / value(other.as_ref()?))).collect())
    }

    fn rows(&self) -> impl Iterator<Item = Row> {
        let row = |measure: &str, value: fn(&Sample) -> f64| Row {
            measure: format!("{}: {measure}", self.workload.label),
            values: Peer::ALL.map(|peer| self.median(peer, value)).into(),
        };
        [
            row("requests/s", rate),
            row("p50, µs", |sample| sample.calls.p50_us),
            row("p99, µs", p99),
            row("core time per call, µs", |sample| sample.core_us),
        ]
        .into_iter()
    }
}

fn sample(peer: Peer, workload: &Workload, effort: Effort) -> Result<Sample> {
    let server = Server::start_within(peer, 1, &[], &STEADY_HEAP)?;
    let flags = [
        "--connections",
        &workload.connections.to_string(),
        "--payload",
        &workload.payload.to_string(),
        "--seconds",
        &effort.seconds.to_string(),
    ];
    Sample::take(&server, &flags)
}

fn all(samples: &[Samples]) -> impl Iterator<Item = &Sample> {
    samples.iter().flat_map(|samples| &samples.by_peer).flat_map(|(_, samples)| samples).flatten()
}

fn cost_rows(costs: &[Cost]) -> impl Iterator<Item = Row> {
    let row = |measure: &str, value: fn(&Cost) -> Option<f64>| Row {
        measure: measure.to_owned(),
        values: costs.iter().map(value).collect(),
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
    let anypod = Peer::ALL.iter().zip(costs).find(|(peer, _)| **peer == Anypod).map(|(_, cost)| cost);
    let ratio = |name, value, bar| Figure { name, value, unit: "ratio", bar };
    let own =
        |name, value: fn(&Cost) -> Option<f64>, unit, bar| Figure { name, value: anypod.and_then(value), unit, bar };
    let at_most_three_percent_above =
        |value: fn(&Cost) -> Option<f64>| AtMost(anypod.and_then(value).map_or(f64::NAN, |few| few * 1.03));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::CallReport;

    /// Rounds in which `peer` answers at the given rates.
    fn rounds(peer: Peer, rates: &[f64]) -> (Peer, Vec<Option<Sample>>) {
        let sample = |&requests_per_second| {
            let calls =
                CallReport { requests_per_second, p50_us: 1.0, p99_us: 2.0, answers: 1, all_answers: 1, errors: 0 };
            Some(Sample { calls, core_us: 1.0, busy: 1.0 })
        };
        (peer, rates.iter().map(sample).collect())
    }

    fn samples(by_peer: Vec<(Peer, Vec<Option<Sample>>)>) -> Samples {
        Samples { workload: SMALL_16, by_peer }
    }

    #[test]
    fn a_ratio_is_the_median_of_the_ratios_within_a_round() {
        let taken = samples(vec![rounds(Peer::Limit, &[100.0, 10.0, 50.0]), rounds(Peer::Anypod, &[90.0, 8.0, 25.0])]);
        assert_eq!(taken.ratio(Peer::Anypod, Peer::Limit, rate), Some(0.8));
        assert_eq!(taken.ratio(Peer::Anypod, Peer::Rmcp, rate), None);
    }

    #[test]
    fn every_figure_has_a_value_once_every_peer_has_been_measured() {
        let all = || samples(Peer::ALL.map(|peer| rounds(peer, &[1.0])).into());
        let cost = || Cost {
            instructions: Some(1.0),
            instructions_many_tools: Some(1.0),
            allocations: Some(1.0),
            allocated_bytes: Some(1.0),
            allocations_many_tools: Some(1.0),
            idle_mib: Some(1.0),
            first_answer_ms: Some(1.0),
            listen_stream_kib: Some(1.0),
        };
        let figures = figures(&[all(), all(), all(), all()], &Peer::ALL.map(|_| cost()));
        assert_eq!(figures.len(), 17);
        assert!(figures.iter().all(|figure| figure.value == Some(1.0)));
    }

    #[test]
    fn no_figure_has_a_value_without_anypod() {
        let none = || samples(vec![rounds(Peer::Limit, &[1.0]), rounds(Peer::Rmcp, &[1.0])]);
        let costs = Peer::ALL.map(|_| Cost::default());
        assert!(figures(&[none(), none(), none(), none()], &costs).iter().all(|figure| figure.value.is_none()));
    }
}
