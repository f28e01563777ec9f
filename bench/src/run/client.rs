//! The session of clients: the same call to the same server, at one, sixteen and ten thousand in flight.

use std::path::Path;

use anyhow::{Result, ensure};

use super::{
    Effort, Peer, machine, median,
    process::Server,
    report::{Bar, Figure, Row, Table},
};
use crate::drive::ClientReport;

/// Calls for the count of allocations.
const COUNTED: usize = 5_000;
/// Calls in flight at once that must all finish.
const MANY: usize = 10_000;

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Caller {
    Hyper,
    Rmcp,
    Anypod,
}

impl Caller {
    const ALL: [Self; 3] = [Self::Hyper, Self::Rmcp, Self::Anypod];

    fn binary(self) -> &'static str {
        match self {
            Self::Hyper => "hyper_client",
            Self::Rmcp => "rmcp_client",
            Self::Anypod => "anypod_client",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Hyper => "bare hyper",
            Self::Rmcp => "rmcp",
            Self::Anypod => "anypod",
        }
    }
}

/// Measures all client peers against anypod's echo server.
///
/// # Errors
/// When the machine has one core only, or a bar has no value because a peer is missing or failed.
pub fn client(effort: Effort, directory: &Path) -> Result<()> {
    ensure!(machine::cores() >= 2, "the server and the client need a core each");
    let one = Samples::take(1, effort);
    let sixteen = Samples::take(16, effort);
    let server = Server::start(Peer::Anypod, 1)?;
    let counted = Caller::ALL.map(|caller| run(&server, caller, 1, "--calls", &COUNTED.to_string()));
    // Bare hyper bounds nothing: it would open as many connections.
    let bounded = |caller: &Caller| *caller != Caller::Hyper;
    let many = Caller::ALL.map(|caller| {
        Some(caller).filter(bounded).and_then(|caller| run(&server, caller, MANY, "--calls", &(2 * MANY).to_string()))
    });
    let table = Table {
        title: "Clients: `tools/call` of `echo`, one process on one core",
        machine: machine::describe(),
        peers: Caller::ALL.map(Caller::name).into(),
        rows: rows(&one, &sixteen, &counted, &many),
        figures: figures(&one, &sixteen, &counted, &many),
    };
    table.publish(directory)
}

fn run(server: &Server, caller: Caller, in_flight: usize, amount: &str, value: &str) -> Option<ClientReport> {
    let flags = ["--in-flight", &in_flight.to_string(), amount, value].map(str::to_owned);
    let report = server.called_by(caller.binary(), &flags);
    report.inspect_err(|error| eprintln!("{}: {error:#}", caller.name())).ok()
}

/// The samples of one number of calls in flight, by caller and round.
struct Samples {
    in_flight: usize,
    by_caller: [Vec<Option<ClientReport>>; Caller::ALL.len()],
}

impl Samples {
    fn take(in_flight: usize, effort: Effort) -> Self {
        let mut by_caller = [const { Vec::new() }; Caller::ALL.len()];
        for round in 0..effort.rounds {
            eprintln!("{in_flight} in flight: round {} of {}", round + 1, effort.rounds);
            for turn in 0..Caller::ALL.len() {
                // Each round begins with another caller, so that none is always first.
                let at = (turn + round) % Caller::ALL.len();
                let sample = Server::start(Peer::Anypod, 1).ok().and_then(|server| {
                    run(&server, Caller::ALL[at], in_flight, "--seconds", &effort.seconds.to_string())
                });
                by_caller[at].push(sample);
            }
        }
        Self { in_flight, by_caller }
    }

    fn of(&self, caller: Caller) -> &[Option<ClientReport>] {
        Caller::ALL.iter().zip(&self.by_caller).find(|(own, _)| **own == caller).map_or(&[], |(_, samples)| samples)
    }

    /// The median over the rounds of `caller`'s value by `other`'s.
    fn ratio(&self, caller: Caller, other: Caller, value: fn(&ClientReport) -> f64) -> Option<f64> {
        let rounds = self.of(caller).iter().zip(self.of(other));
        median(rounds.filter_map(|(own, other)| Some(value(own.as_ref()?) / value(other.as_ref()?))).collect())
    }

    fn row(&self, measure: &str, value: fn(&ClientReport) -> f64) -> Row {
        let values = Caller::ALL.map(|caller| median(self.of(caller).iter().flatten().map(value).collect()));
        Row { measure: format!("{} in flight: {measure}", self.in_flight), values: values.into() }
    }
}

type Reports = [Option<ClientReport>; Caller::ALL.len()];

fn rows(one: &Samples, sixteen: &Samples, counted: &Reports, many: &Reports) -> Vec<Row> {
    let row = |measure: &str, reports: &Reports, value: fn(&ClientReport) -> f64| Row {
        measure: measure.to_owned(),
        values: reports.iter().map(|report| report.as_ref().map(value)).collect(),
    };
    vec![
        one.row("calls/s", rate),
        one.row("p50, µs", p50),
        one.row("p99, µs", |report| report.p99_us),
        sixteen.row("calls/s", rate),
        sixteen.row("p50, µs", p50),
        sixteen.row("p99, µs", |report| report.p99_us),
        row("allocations per call", counted, |report| report.allocations),
        row("allocated bytes per call", counted, |report| report.allocated_bytes),
        row("10,000 in flight: calls/s", many, rate),
        row("10,000 in flight: peak memory, MiB", many, peak_mib),
    ]
}

fn rate(report: &ClientReport) -> f64 {
    report.calls_per_second
}

fn p50(report: &ClientReport) -> f64 {
    report.p50_us
}

fn peak_mib(report: &ClientReport) -> f64 {
    report.peak_kib / 1024.0
}

fn figures(one: &Samples, sixteen: &Samples, counted: &Reports, many: &Reports) -> Vec<Figure> {
    use Bar::{AtLeast, AtMost};
    use Caller::{Anypod, Hyper, Rmcp};
    let own = |reports: &Reports, value: fn(&ClientReport) -> f64| reports[2].as_ref().map(value);
    let ratio = |name, value, bar| Figure { name, value, unit: "ratio", bar };
    vec![
        ratio("client_calls_vs_rmcp_1", one.ratio(Anypod, Rmcp, rate), AtLeast(2.0)),
        ratio("client_calls_vs_rmcp_16", sixteen.ratio(Anypod, Rmcp, rate), AtLeast(2.0)),
        ratio("client_latency_vs_hyper_1", one.ratio(Anypod, Hyper, p50), AtMost(1.25)),
        Figure {
            name: "client_allocations",
            value: own(counted, |report| report.allocations),
            unit: "allocations",
            bar: AtMost(60.0),
        },
        Figure {
            name: "client_10000_in_flight",
            value: own(many, |report| report.calls as f64),
            unit: "calls finished",
            bar: AtLeast((2 * MANY) as f64),
        },
        Figure { name: "client_10000_peak_memory", value: own(many, peak_mib), unit: "MiB", bar: AtMost(256.0) },
    ]
}
