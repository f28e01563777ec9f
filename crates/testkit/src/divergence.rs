//! The report of a replica that answers otherwise.

use std::fmt;

use crate::compare::{Difference, Witness};
use crate::message::{Exchange, Step};
use crate::replica::Served;
use crate::schedule::Schedule;

/// How many earlier requests a report names.
const TRAIL: usize = 12;

/// A replica answered otherwise than a single replica does, or than another replica did. What it prints, with
/// `{}` and with `{:?}` alike, is a report to be read.
#[derive(Clone)]
pub struct Divergence {
    schedule: Schedule,
    replicas: usize,
    step: Step,
    request: String,
    served: Served,
    /// The requests before, and who answered them.
    trail: Vec<(Step, String, Served)>,
    /// How many more there were before those.
    untold: usize,
    difference: Difference,
}

impl Divergence {
    pub(crate) fn new(
        schedule: Schedule,
        replicas: usize,
        before: &[Exchange],
        exchange: Exchange,
        difference: Difference,
    ) -> Self {
        let untold = before.len().saturating_sub(TRAIL);
        let trail = before[untold..].iter();
        let trail = trail.map(|exchange| (exchange.sent.step, exchange.sent.to_string(), exchange.served)).collect();
        let (step, request) = (exchange.sent.step, exchange.sent.to_string());
        Self { schedule, replicas, step, request, served: exchange.served, trail, untold, difference }
    }

    /// The schedule under which it happened. With the same one it happens again.
    pub const fn schedule(&self) -> Schedule {
        self.schedule
    }

    /// The request that was answered otherwise.
    pub const fn step(&self) -> Step {
        self.step
    }

    /// The replica that answered otherwise.
    pub const fn served_by(&self) -> Served {
        self.served
    }

    /// The replica that answered the request before, if there was one.
    pub fn served_before(&self) -> Option<Served> {
        self.trail.last().map(|(.., served)| *served)
    }

    /// The lines that differ, with `-` before what was expected, `+` before what came, and some lines around.
    pub fn difference(&self) -> &str {
        &self.difference.lines
    }

    /// What may be the cause.
    pub const fn hint(&self) -> &'static str {
        self.difference.cause.hint()
    }
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { schedule, replicas, step, request, served, .. } = self;
        writeln!(f, "{served} answers otherwise ({replicas} replicas, {schedule})")?;
        writeln!(f, "  step {step}: {request}")?;
        match self.difference.witness {
            Witness::Reference => writeln!(f, "  - as a single replica answers")?,
            Witness::Replica(witness) => writeln!(f, "  - as {witness} answers the same request")?,
        }
        writeln!(f, "  + as {served} answers")?;
        writeln!(f)?;
        for line in self.difference.lines.lines() {
            writeln!(f, "    {line}")?;
        }
        if !self.trail.is_empty() {
            writeln!(f, "\n  before:")?;
        }
        if self.untold > 0 {
            writeln!(f, "    … {} more", self.untold)?;
        }
        for (step, request, served) in &self.trail {
            writeln!(f, "    {step} {request} -> {served}")?;
        }
        write!(f, "\n  hint: {}", self.hint())
    }
}

/// The report too, as that is what a test that returns or unwraps an error shows.
impl fmt::Debug for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Divergence {}
