//! The session of gateways: throughput, what a call costs, then what grows with the configuration and what with time.

mod config;
mod contest;
mod memory;
mod stand;
mod variant;

use std::path::Path;

use anyhow::{Result, ensure};
use clap::ValueEnum;

use self::{
    contest::{Contest, Contestant, Measure, Workload, core, or_missing},
    memory::Sessions,
    stand::instructions_per_call,
    variant::{Front, Variant},
};
use super::{
    Effort, machine,
    report::{
        Bar,
        Bar::{AtLeast, AtMost},
        Figure, Row, Table,
    },
    sample::{Sample, p50, p99, quietness, rate},
};

const ONE: Workload = Workload { label: "16 B × 1", connections: 1, payload: 16, work: "call", awake: false };
/// The same without what it costs to wake a core up, which is most of it on a virtual machine, and differs by the hour.
const ONE_AWAKE: Workload = Workload { label: "16 B × 1, awake", awake: true, ..ONE };
const SMALL_16: Workload = Workload { label: "16 B × 16", connections: 16, payload: 16, work: "call", awake: false };
const SMALL_64: Workload = Workload { label: "16 B × 64", connections: 64, payload: 16, work: "call", awake: false };
const LARGE: Workload =
    Workload { label: "64 KiB × 16", connections: 16, payload: 64 << 10, work: "call", awake: false };
const HUGE: Workload = Workload { label: "1 MiB × 16", connections: 16, payload: 1 << 20, work: "call", awake: false };
const LIST: Workload = Workload { label: "tools/list × 16", connections: 16, payload: 0, work: "list", awake: false };

const NGINX: Contestant = (Front::Nginx, Variant::PLAIN);
const HAPROXY: Contestant = (Front::HaProxy, Variant::PLAIN);
const ANYPOD: Contestant = (Front::Anypod, Variant::PLAIN);
const PLAIN: &[Contestant] = &[NGINX, HAPROXY, ANYPOD];
const SMALL: &[Contestant] = &[
    NGINX,
    HAPROXY,
    ANYPOD,
    (Front::Anypod, Variant::TRUST),
    (Front::Anypod, Variant::PARSE),
    (Front::Anypod, Variant::LEGACY_CLIENT),
];
const BRIDGES: &[Contestant] = &[
    (Front::McpProxy, Variant::LEGACY_SERVER),
    (Front::Anypod, Variant::LEGACY_SERVER),
    (Front::McpProxy, Variant::LEGACY),
    (Front::Anypod, Variant::LEGACY),
];
const SDK_BRIDGES: &[Contestant] = &[
    (Front::McpProxy, Variant::LEGACY_SDK_SERVER),
    (Front::Anypod, Variant::LEGACY_SDK_SERVER),
    (Front::McpProxy, Variant::LEGACY_SDK),
    (Front::Anypod, Variant::LEGACY_SDK),
];
const SIZES: &[Contestant] = &[
    (Front::Anypod, Variant::ONE_UPSTREAM),
    (Front::Anypod, Variant::MANY_UPSTREAMS),
    (Front::Anypod, Variant::FEW_TOOLS),
    (Front::Anypod, Variant::MANY_TOOLS),
];
const LISTS: &[Contestant] = &[(Front::Nginx, Variant::LIST), (Front::Anypod, Variant::LIST)];

/// A part of the session that can be measured alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Piece {
    /// Small calls at 1, 16 and 64 connections, and what modes and legacy clients make of them.
    Small,
    /// Texts of 64 KiB and 1 MiB.
    Large,
    /// Clients of either era before a legacy server.
    Bridges,
    /// Many upstreams and many tools.
    Growth,
    /// A list from the cache.
    List,
    /// A gateway that has handed out many sessions.
    Sessions,
    /// Ten thousand open streams.
    Streams,
}

/// Measures anypod's gateway and its peers, all pieces or those in `only`, and prints the table with the figures. The
/// table goes into `directory` if it is whole.
///
/// # Errors
/// When the machine has one core only, or a bar has no value because a peer is missing or failed.
pub fn gateway(effort: Effort, sessions: u64, only: &[Piece], directory: &Path) -> Result<()> {
    ensure!(machine::cores() >= 2, "the gateway and the load need a core each");
    let pieces = if only.is_empty() { Piece::value_variants() } else { only };
    let parts: Vec<_> = pieces.iter().map(|piece| piece.measure(effort, sessions)).collect();
    let samples = parts.iter().flat_map(|part| &part.samples);
    let table = Table {
        title: "Gateways: `echo(text)` through one core, before two pods",
        machine: machine::describe().into_iter().chain([peers(), quietness("gateways", samples)]).collect(),
        peers: Front::ALL.map(Front::name).into(),
        rows: parts.iter().flat_map(|part| part.rows.clone()).collect(),
        figures: parts.iter().flat_map(|part| part.figures.clone()).collect(),
    };
    if only.is_empty() { table.publish(directory) } else { table.print() }
}

/// What a piece found out.
struct Part {
    rows: Vec<Row>,
    figures: Vec<Figure>,
    /// Those that say how quiet the machine was: of small calls, which keep a proxy busy.
    samples: Vec<Sample>,
}

impl Piece {
    fn measure(self, effort: Effort, sessions: u64) -> Part {
        let take = |workload, contestants: &[Contestant]| Contest::take(workload, contestants, effort);
        match self {
            Self::Small => {
                let [asleep, awake] = [ONE, ONE_AWAKE].map(|workload| take(workload, PLAIN));
                small(&Instructions::take(), &asleep, &awake, &take(SMALL_16, SMALL), &take(SMALL_64, PLAIN))
            }
            Self::Large => large(&take(LARGE, PLAIN), &take(HUGE, PLAIN)),
            Self::Bridges => bridges(&take(SMALL_16, BRIDGES), &take(SMALL_16, SDK_BRIDGES)),
            Self::Growth => growth(&take(SMALL_16, SIZES)),
            Self::List => list(&take(LIST, LISTS)),
            Self::Sessions => after_sessions(&Sessions::take(sessions, effort)),
            Self::Streams => streams(memory::stream_kib()),
        }
    }
}

/// The versions of the peers that come from elsewhere.
fn peers() -> String {
    let versions = [Front::Nginx, Front::HaProxy, Front::McpProxy].map(|front| {
        let version = front.version().unwrap_or_else(|_| "missing".to_owned());
        format!("{} {version}", front.name())
    });
    format!("- peers: {}", versions.join(", "))
}

const MEASURES: [Measure; 5] = [
    ("requests/s", rate),
    ("core time per call, µs", core),
    ("on its core, %", |sample| sample.busy * 100.0),
    ("p50, µs", p50),
    ("p99, µs", p99),
];
/// Those that ratios between variants are made of.
const FEW_MEASURES: &[Measure] = MEASURES.first_chunk::<3>().expect("there are five");

fn ratio(name: &'static str, value: Option<f64>, bar: Bar) -> Figure {
    Figure { name, value, unit: "ratio", bar }
}

fn small(instructions: &Instructions, one: &Contest, awake: &Contest, at_16: &Contest, at_64: &Contest) -> Part {
    let above_nginx = awake.compared(ANYPOD, NGINX, |own, nginx| p50(own) - p50(nginx));
    let vs_verify = |variant| at_16.ratio((Front::Anypod, variant), ANYPOD, rate);
    let figures = vec![
        ratio("gateway_small_vs_nginx_16", at_16.ratio(ANYPOD, NGINX, rate), AtLeast(0.8)),
        ratio("gateway_small_vs_nginx_64", at_64.ratio(ANYPOD, NGINX, rate), AtLeast(0.8)),
        ratio("gateway_small_vs_haproxy_16", at_16.ratio(ANYPOD, HAPROXY, rate), AtLeast(0.8)),
        ratio("gateway_small_vs_haproxy_64", at_64.ratio(ANYPOD, HAPROXY, rate), AtLeast(0.8)),
        ratio("gateway_core_time_vs_nginx_16", at_16.ratio(ANYPOD, NGINX, core), AtMost(1.25)),
        ratio("gateway_core_time_vs_nginx_64", at_64.ratio(ANYPOD, NGINX, core), AtMost(1.25)),
        Figure { name: "gateway_p50_above_nginx_1", value: above_nginx, unit: "µs", bar: AtMost(15.0) },
        ratio("gateway_trust_vs_verify", instructions.trust_vs_verify(), AtLeast(1.0 - NOISE)),
        ratio("gateway_parse_vs_verify", vs_verify(Variant::PARSE), AtLeast(0.7)),
        ratio("gateway_legacy_to_modern_vs_verify", vs_verify(Variant::LEGACY_CLIENT), AtLeast(0.6)),
    ];
    let rows = [one, awake, at_16, at_64].into_iter().flat_map(|contest| contest.rows(&MEASURES));
    let rows = rows.chain(instructions.rows()).collect();
    Part { rows, figures, samples: at_16.all().chain(at_64.all()).copied().collect() }
}

/// What a small call costs that is held against its headers, and one that need not be: nearly the same, so that throughput
/// differs by more between two samples of either. Instructions are exact.
struct Instructions {
    verify: Option<f64>,
    trust: Option<f64>,
}

impl Instructions {
    fn take() -> Self {
        let of = |variant: Variant| {
            eprintln!("instructions of anypod{}", variant.label);
            or_missing("instructions", Front::Anypod, &variant, instructions_per_call(&variant))
        };
        Self { verify: of(Variant::PLAIN), trust: of(Variant::TRUST) }
    }

    fn trust_vs_verify(&self) -> Option<f64> {
        Some(self.verify? / self.trust?)
    }

    fn rows(&self) -> [Row; 2] {
        [own("16 B × 1: instructions per call", self.verify), own("16 B × 1, trust: instructions per call", self.trust)]
    }
}

/// What two samples of the same thing differ by.
const NOISE: f64 = 0.02;

fn large(at_64k: &Contest, at_1m: &Contest) -> Part {
    let figures = vec![
        ratio("gateway_64k_vs_nginx", at_64k.ratio(ANYPOD, NGINX, rate), AtLeast(0.9)),
        ratio("gateway_1m_vs_nginx", at_1m.ratio(ANYPOD, NGINX, rate), AtLeast(0.9)),
    ];
    let rows = [at_64k, at_1m].into_iter().flat_map(|contest| contest.rows(&MEASURES)).collect();
    Part { rows, figures, samples: Vec::new() }
}

fn bridges(lean: &Contest, sdk: &Contest) -> Part {
    let vs_mcp_proxy = |variant| lean.ratio((Front::Anypod, variant), (Front::McpProxy, variant), rate);
    let figures = vec![
        ratio("gateway_modern_to_legacy_vs_mcp_proxy", vs_mcp_proxy(Variant::LEGACY_SERVER), AtLeast(0.6)),
        ratio("gateway_legacy_to_legacy_vs_mcp_proxy", vs_mcp_proxy(Variant::LEGACY), AtLeast(1.0)),
    ];
    let rows = [lean, sdk].into_iter().flat_map(|contest| contest.rows(FEW_MEASURES)).collect();
    Part { rows, figures, samples: lean.all().copied().collect() }
}

fn growth(sizes: &Contest) -> Part {
    let cost = |variant, base| sizes.ratio((Front::Anypod, variant), (Front::Anypod, base), core);
    let upstreams = cost(Variant::MANY_UPSTREAMS, Variant::ONE_UPSTREAM);
    let tools = cost(Variant::MANY_TOOLS, Variant::FEW_TOOLS);
    let figures = vec![
        ratio("gateway_cost_100_upstreams_vs_1", upstreams, AtMost(1.05)),
        ratio("gateway_cost_10000_tools_vs_10", tools, AtMost(1.05)),
    ];
    Part { rows: sizes.rows(FEW_MEASURES), figures, samples: sizes.all().copied().collect() }
}

fn list(lists: &Contest) -> Part {
    let vs_nginx = lists.ratio(LISTS[1], LISTS[0], rate);
    let figures = vec![ratio("gateway_cached_list_vs_nginx", vs_nginx, AtLeast(1.0))];
    Part { rows: lists.rows(FEW_MEASURES), figures, samples: Vec::new() }
}

fn after_sessions(sessions: &Sessions) -> Part {
    let figures = vec![
        ratio("gateway_cost_after_sessions", sessions.cost, AtMost(1.05)),
        // Whatever is kept for a session takes sixteen bytes at least.
        Figure { name: "gateway_session_memory", value: sessions.bytes, unit: "bytes", bar: AtMost(2.0) },
    ];
    Part { rows: vec![own("session handed out, bytes", sessions.bytes)], figures, samples: Vec::new() }
}

fn streams(kib: Option<f64>) -> Part {
    let figure = Figure { name: "gateway_stream_memory", value: kib, unit: "KiB", bar: AtMost(24.0) };
    Part { rows: vec![own("open listen stream, KiB", kib)], figures: vec![figure], samples: Vec::new() }
}

/// A row of what is measured of anypod only.
fn own(measure: &str, value: Option<f64>) -> Row {
    let values = Front::ALL.map(|front| value.filter(|_| front == Front::Anypod)).into();
    Row { measure: measure.to_owned(), values }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::CallReport;

    /// All parts, as if only some contestants had been measured: nginx at twice the rate of the others.
    fn parts(is_measured: fn(Front) -> bool) -> [Part; 7] {
        let sample = |front| {
            let requests_per_second = if front == Front::Nginx { 2.0 } else { 1.0 };
            let calls =
                CallReport { requests_per_second, p50_us: 1.0, p99_us: 2.0, answers: 1, all_answers: 1, errors: 0 };
            Some(Sample { calls, core_us: 1.0, busy: 1.0 })
        };
        let contest = |workload, contestants: &[Contestant]| {
            let measured = contestants.iter().filter(|(front, _)| is_measured(*front));
            Contest { workload, by_contestant: measured.map(|own| (*own, vec![sample(own.0)])).collect() }
        };
        let value = is_measured(Front::Anypod).then_some(1.0);
        [
            small(
                &Instructions { verify: value, trust: value },
                &contest(ONE, PLAIN),
                &contest(ONE_AWAKE, PLAIN),
                &contest(SMALL_16, SMALL),
                &contest(SMALL_64, PLAIN),
            ),
            large(&contest(LARGE, PLAIN), &contest(HUGE, PLAIN)),
            bridges(&contest(SMALL_16, BRIDGES), &contest(SMALL_16, SDK_BRIDGES)),
            growth(&contest(SMALL_16, SIZES)),
            list(&contest(LIST, LISTS)),
            after_sessions(&Sessions { bytes: value, cost: value }),
            streams(value),
        ]
    }

    #[test]
    fn every_figure_has_a_value_once_every_proxy_has_been_measured() {
        let parts = parts(|_| true);
        for figure in parts.iter().flat_map(|part| &part.figures) {
            assert!(figure.value.is_some(), "{figure}");
        }
        assert_eq!(parts[0].figures[0].value, Some(0.5));
    }

    #[test]
    fn no_figure_has_a_value_without_anypod() {
        for figure in parts(|front| front != Front::Anypod).iter().flat_map(|part| &part.figures) {
            assert!(figure.value.is_none(), "{figure}");
        }
    }

    #[test]
    fn each_row_is_called_differently_and_has_a_column_for_each_proxy() {
        let parts = parts(|_| true);
        let rows: Vec<_> = parts.iter().flat_map(|part| &part.rows).collect();
        assert!(rows.iter().all(|row| row.values.len() == Front::ALL.len()));
        let mut names: Vec<_> = rows.iter().map(|row| &row.measure).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), rows.len());
    }
}
