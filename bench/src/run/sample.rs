//! One run of the load against one process, and how far it can be trusted.

use std::time::Instant;

use anyhow::Result;

use super::{median, process::Server};
use crate::load::CallReport;

/// The load keeps a server on its core but for its own start-up, unless other processes are in the way.
const QUIET: f64 = 0.95;

/// One run of the load against one process of a peer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) calls: CallReport,
    /// Time on its core per call in microseconds. On a quiet machine the inverse of the throughput.
    pub(super) core_us: f64,
    /// The share of the time in which it was on its core. Far below one, it was not what was measured.
    pub(super) busy: f64,
}

impl Sample {
    /// Runs the load with `flags` against `server`.
    pub(super) fn take<S: AsRef<str>>(server: &Server, flags: &[S]) -> Result<Self> {
        let (started, before) = (Instant::now(), server.core_time()?);
        let calls = server.calls(flags)?;
        let (elapsed, ran) = (started.elapsed(), server.core_time()? - before);
        Ok(Self {
            calls,
            core_us: ran.as_secs_f64() * 1e6 / calls.all_answers as f64,
            busy: ran.div_duration_f64(elapsed),
        })
    }
}

pub(super) fn rate(sample: &Sample) -> f64 {
    sample.calls.requests_per_second
}

pub(super) fn p50(sample: &Sample) -> f64 {
    sample.calls.p50_us
}

pub(super) fn p99(sample: &Sample) -> f64 {
    sample.calls.p99_us
}

/// Says how far the machine was from quiet, so that a disturbed session is not taken for a result.
pub(super) fn quietness<'a>(who: &str, all: impl Iterator<Item = &'a Sample>) -> String {
    let busy = median(all.map(|sample| sample.busy).collect()).unwrap_or(0.0);
    let verdict = if busy >= QUIET { "a quiet machine" } else { "DISTURBED by other processes, measure again" };
    format!("- {who} on their core: {:.0} % of the time ({verdict})", busy * 100.0)
}
