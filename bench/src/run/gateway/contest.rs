//! One workload, and those who take turns at it.

use anyhow::Result;

use super::{
    super::{Effort, median, process::Awake, report::Row, sample::Sample},
    stand::{Heap, Stand},
    variant::{Front, Variant},
};

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
            ("--seconds", effort.seconds.to_string()),
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

/// All samples of one workload, by contestant and round.
pub(super) struct Contest {
    pub(super) workload: Workload,
    pub(super) by_contestant: Vec<(Contestant, Vec<Option<Sample>>)>,
}

impl Contest {
    /// Lets `contestants` take turns, each sample with processes of its own.
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
            for ((front, variant), samples) in &mut by_contestant {
                let sample = sample(&workload, *front, variant, effort);
                samples.push(or_missing(workload.label, *front, variant, sample));
            }
            // The next round begins with another contestant, so that none is always first.
            by_contestant.rotate_left(1);
        }
        Self { workload, by_contestant }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Sample> {
        self.by_contestant.iter().flat_map(|(_, samples)| samples).flatten()
    }

    fn of(&self, contestant: Contestant) -> &[Option<Sample>] {
        self.by_contestant.iter().find(|(own, _)| *own == contestant).map_or(&[], |(_, samples)| samples)
    }

    /// The median over the rounds of what `compare` makes of both samples.
    pub(super) fn compared(
        &self,
        contestant: Contestant,
        other: Contestant,
        compare: impl Fn(&Sample, &Sample) -> f64,
    ) -> Option<f64> {
        let rounds = self.of(contestant).iter().zip(self.of(other));
        median(rounds.filter_map(|(own, other)| Some(compare(own.as_ref()?, other.as_ref()?))).collect())
    }

    /// The median over the rounds of `contestant`'s value by `other`'s.
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

fn sample(workload: &Workload, front: Front, variant: &Variant, effort: Effort) -> Result<Sample> {
    let stand = Stand::start(front, variant, Heap::Steady)?;
    let flags = workload.flags(effort);
    stand.sample(&flags.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Reports a failure and goes on without the value.
pub(super) fn or_missing<T>(what: &str, front: Front, variant: &Variant, value: Result<T>) -> Option<T> {
    value.inspect_err(|error| eprintln!("{what} of {}{}: {error:#}", front.name(), variant.label)).ok()
}
