//! Two processes that are there at once and take short turns at the same calls. What disturbs the machine for longer than a
//! turn, such as a neighbour on the same hardware, disturbs both, so that their ratio holds where single figures do not.

use anyhow::Result;

use super::{
    super::{Effort, median, report::Row, sample::Sample},
    contest::{core, or_missing},
    own,
    stand::{Heap, Stand},
    variant::{Front, Variant},
};

/// Turns of each process in a pair.
const TURNS: usize = 12;
const SECONDS: &str = "0.2";
const WARM_UP: &str = "0.05";
const CONNECTIONS: &str = "16";

/// What many cost, held against few.
#[derive(Default)]
pub(super) struct Turns {
    pub(super) few: Vec<Sample>,
    pub(super) many: Vec<Sample>,
}

impl Turns {
    /// New processes in each round, as one instance of a program may have its memory lie better than another.
    pub(super) fn take(few: Variant, many: Variant, effort: Effort) -> Self {
        let mut turns = Self::default();
        if !Front::Anypod.is_built() {
            return turns;
        }
        for round in 0..effort.rounds {
            eprintln!("16 B × 16, in turns{}: round {} of {}", many.label, round + 1, effort.rounds);
            let taken = turns.round(few, many);
            or_missing("a round", Front::Anypod, &many, taken);
        }
        turns
    }

    fn round(&mut self, few: Variant, many: Variant) -> Result<()> {
        let start = |variant| Stand::start(Front::Anypod, &variant, Heap::Steady);
        self.between(&start(few)?, &start(many)?)
    }

    /// One pair of processes.
    pub(super) fn between(&mut self, few: &Stand, many: &Stand) -> Result<()> {
        let sample = |stand: &Stand| {
            stand.sample(&["--connections", CONNECTIONS, "--seconds", SECONDS, "--warm-up", WARM_UP])
        };
        for turn in 0..TURNS {
            // None of them is always first.
            let (of_few, of_many) = if turn % 2 == 0 {
                let of_few = sample(few)?;
                (of_few, sample(many)?)
            } else {
                let of_many = sample(many)?;
                (sample(few)?, of_many)
            };
            self.few.push(of_few);
            self.many.push(of_many);
        }
        Ok(())
    }

    /// The median of what a call cost by what it cost the other process in the turn beside it.
    pub(super) fn ratio(&self) -> Option<f64> {
        median(self.few.iter().zip(&self.many).map(|(few, many)| core(many) / core(few)).collect())
    }

    /// The core time of both.
    pub(super) fn rows(&self, few: &Variant, many: &Variant) -> Vec<Row> {
        let row = |variant: &Variant, samples: &[Sample]| {
            let measure = format!("16 B × 16, in turns{}: core time per call, µs", variant.label);
            own(measure, median(samples.iter().map(core).collect()))
        };
        vec![row(few, &self.few), row(many, &self.many)]
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Sample> {
        self.few.iter().chain(&self.many)
    }
}
