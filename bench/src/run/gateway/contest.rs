//! One workload, and those who take turns at it.
//!
//! All of them are there at once, and their turns are short: what disturbs the machine for longer than a turn, such as a
//! neighbour on the same hardware, disturbs all alike, so that ratios hold where single figures do not.

use anyhow::Result;

use super::{
    super::{Effort, median, process::Awake, report::Row, sample::Sample},
    stand::{Heap, Stand},
    variant::{Front, Variant},
};

/// Turns of each in one round.
const TURNS: usize = 5;
/// Seconds before a turn counts. The processes know the work from the turns before.
const WARM_UP: &str = "0.05";

/// What is asked of all of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Workload {
    pub(super) label: &'static str,
    pub(super) connections: usize,
    pub(super) payload: usize,
    /// The load's name for it.
    pub(super) work: &'static str,
    /// Whether cores do not go to sleep where they have nothing to do, see [`Awake`].
    pub(super) awake: bool,
}

impl Workload {
    fn flags(&self, effort: Effort) -> Vec<String> {
        let numbers = [
            ("--connections", self.connections.to_string()),
            ("--payload", self.payload.to_string()),
            ("--seconds", (effort.seconds / TURNS as f64).to_string()),
            ("--warm-up", WARM_UP.to_owned()),
            ("--work", self.work.to_owned()),
        ];
        numbers.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value]).collect()
    }
}

/// Its core time per call.
pub(super) fn core(sample: &Sample) -> f64 {
    sample.core_us
}

/// What a row is called, and its value of one sample.
pub(super) type Measure = (&'static str, fn(&Sample) -> f64);

/// Who takes part: a proxy, set up in one way.
pub(super) type Contestant = (Front, Variant);

/// All samples of one workload, by contestant and turn.
pub(super) struct Contest {
    pub(super) workload: Workload,
    pub(super) by_contestant: Vec<(Contestant, Vec<Option<Sample>>)>,
}

impl Contest {
    /// Lets `contestants` take turns, in each round with processes of its own: one instance of a program may have its memory
    /// lie better than another.
    pub(super) fn take(workload: Workload, contestants: &[Contestant], effort: Effort) -> Self {
        let mut by_contestant: Vec<_> = contestants
            .iter()
            .filter(|(front, _)| front.is_built())
            .map(|&contestant| (contestant, Vec::with_capacity(effort.rounds)))
            .collect();
        if by_contestant.is_empty() {
            return Self { workload, by_contestant };
        }
        let _awake = workload.awake.then(Awake::keep);
        for round in 0..effort.rounds {
            eprintln!("{}: round {} of {}", workload.label, round + 1, effort.rounds);
            let stands = by_contestant.iter().map(|((front, variant), _)| {
                let started = Stand::start(*front, variant, Heap::Steady);
                or_missing(workload.label, *front, variant, started)
            });
            let stands: Vec<_> = stands.collect();
            for ((_, samples), taken) in by_contestant.iter_mut().zip(in_turns(&workload, &stands, effort)) {
                samples.extend(taken);
            }
        }
        Self { workload, by_contestant }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Sample> {
        self.by_contestant.iter().flat_map(|(_, samples)| samples).flatten()
    }

    fn of(&self, contestant: Contestant) -> &[Option<Sample>] {
        self.by_contestant.iter().find(|(own, _)| *own == contestant).map_or(&[], |(_, samples)| samples)
    }

    /// The median over the turns of what `compare` makes of both samples.
    pub(super) fn compared(
        &self,
        contestant: Contestant,
        other: Contestant,
        compare: impl Fn(&Sample, &Sample) -> f64,
    ) -> Option<f64> {
        let turns = self.of(contestant).iter().zip(self.of(other));
        median(turns.filter_map(|(own, other)| Some(compare(own.as_ref()?, other.as_ref()?))).collect())
    }

    /// The median over the turns of `contestant`'s value by `other`'s.
    pub(super) fn ratio(&self, contestant: Contestant, other: Contestant, value: fn(&Sample) -> f64) -> Option<f64> {
        self.compared(contestant, other, |own, other| value(own) / value(other))
    }

    /// One row for each measure and variant, with the proxies side by side.
    pub(super) fn rows(&self, measures: &[Measure]) -> Vec<Row> {
        let mut variants: Vec<Variant> = Vec::new();
        for ((_, variant), _) in &self.by_contestant {
            if !variants.contains(variant) {
                variants.push(*variant);
            }
        }
        // Turns have changed the order.
        variants.sort_by_key(|variant| variant.label);
        let row = |variant: &Variant, measure: &str, value: fn(&Sample) -> f64| Row {
            measure: format!("{}{}: {measure}", self.workload.label, variant.label),
            values: Front::ALL
                .map(|front| median(self.of((front, *variant)).iter().flatten().map(value).collect()))
                .into(),
        };
        variants
            .iter()
            .flat_map(|variant| measures.iter().map(move |(measure, value)| row(variant, measure, *value)))
            .collect()
    }
}

/// The samples of each of `stands`, by turn. What has not started, or fails, has none.
pub(super) fn in_turns(workload: &Workload, stands: &[Option<Stand>], effort: Effort) -> Vec<Vec<Option<Sample>>> {
    let flags = workload.flags(effort);
    let flags: Vec<_> = flags.iter().map(String::as_str).collect();
    let mut samples = vec![Vec::with_capacity(TURNS); stands.len()];
    for turn in 0..TURNS {
        for at in 0..stands.len() {
            // Each turn begins with another one, so that none is always first.
            let at = (turn + at) % stands.len();
            let taken = stands[at].as_ref().map(|stand| stand.sample(&flags));
            samples[at].push(
                taken.and_then(|taken| taken.inspect_err(|error| eprintln!("{}: {error:#}", workload.label)).ok()),
            );
        }
    }
    samples
}

/// Reports a failure and goes on without the value.
pub(super) fn or_missing<T>(what: &str, front: Front, variant: &Variant, value: Result<T>) -> Option<T> {
    value.inspect_err(|error| eprintln!("{what} of {}{}: {error:#}", front.name(), variant.label)).ok()
}
