//! What the gateway keeps in memory: nothing for a session that it handed out, and little for an open stream.

use anyhow::Result;

use super::{
    super::{Effort, median},
    SMALL_16,
    contest::{core, in_turns, or_missing},
    stand::{Heap, Stand},
    variant::{Front, Variant},
};

const STREAMS: usize = 10_000;
/// Sessions before the memory is first looked at, so that what is allocated once has been.
const FIRST_SESSIONS: u64 = 20_000;
const CONNECTIONS: &str = "16";

/// What sessions cost.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sessions {
    /// How much the resident set grew by each session handed out, in bytes.
    pub(super) bytes: Option<f64>,
    /// Core time per call after all of them by that of a process which handed out as many as there are connections.
    pub(super) cost: Option<f64>,
}

impl Sessions {
    /// Hands out `count` sessions and measures before and after.
    pub(super) fn take(count: u64, effort: Effort) -> Self {
        let variant = Variant::LEGACY_CLIENT;
        if !Front::Anypod.is_built() {
            return Self::default();
        }
        let bytes = or_missing("sessions", Front::Anypod, &variant, bytes(&variant, count));
        let cost = or_missing("calls after sessions", Front::Anypod, &variant, cost(&variant, count, effort));
        Self { bytes, cost: cost.flatten() }
    }
}

fn bytes(variant: &Variant, count: u64) -> Result<f64> {
    let stand = Stand::start(Front::Anypod, variant, Heap::Default)?;
    hand_out(&stand, FIRST_SESSIONS)?;
    let before = stand.front.resident_kib()?;
    hand_out(&stand, count)?;
    Ok((stand.front.resident_kib()? - before) * 1_024.0 / count as f64)
}

/// Both processes live through all rounds: to hand out so many sessions takes as long as many samples.
fn cost(variant: &Variant, count: u64, effort: Effort) -> Result<Option<f64>> {
    let start = || Stand::start(Front::Anypod, variant, Heap::Steady);
    let (fresh, used) = (start()?, start()?);
    hand_out(&used, count)?;
    let stands = [Some(fresh), Some(used)];
    let mut ratios = Vec::new();
    for round in 0..effort.rounds {
        eprintln!("after {count} sessions: round {} of {}", round + 1, effort.rounds);
        let taken = in_turns(&SMALL_16, &stands, effort);
        let turns = taken[0].iter().zip(&taken[1]);
        ratios.extend(turns.filter_map(|(fresh, used)| Some(core(used.as_ref()?) / core(fresh.as_ref()?))));
    }
    Ok(median(ratios))
}

fn hand_out(stand: &Stand, count: u64) -> Result<()> {
    eprintln!("handing out {count} sessions");
    let count = count.to_string();
    stand.front.calls(&["--work", "initialize", "--connections", CONNECTIONS, "--requests", &count])?;
    Ok(())
}

/// How much the resident set grows by an open listen stream, of many, in KiB.
pub(super) fn stream_kib() -> Option<f64> {
    if !Front::Anypod.is_built() {
        return None;
    }
    or_missing("listen streams", Front::Anypod, &Variant::STREAMS, grown_by_streams())
}

fn grown_by_streams() -> Result<f64> {
    let stand = Stand::start(Front::Anypod, &Variant::STREAMS, Heap::Default)?;
    stand.sample(&["--connections", "1", "--requests", "1000"])?;
    let before = stand.front.resident_kib()?;
    let (report, after) = stand.front.listen(STREAMS, || stand.front.resident_kib())?;
    Ok((after? - before) / report.streams as f64)
}
