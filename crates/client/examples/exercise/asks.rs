//! Features in which the server asks.

use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Result, ensure};

use crate::Exercise;
use crate::script::Step;

impl Exercise {
    pub(crate) async fn elicitation(&self) -> Result<()> {
        self.asks(&self.script.elicitation, &self.questions.forms, 1).await
    }

    pub(crate) async fn rounds(&self) -> Result<()> {
        self.asks(&self.script.rounds, &self.questions.forms, 2).await
    }

    pub(crate) async fn sampling(&self) -> Result<()> {
        self.asks(&self.script.sampling, &self.questions.samplings, 1).await
    }

    pub(crate) async fn roots(&self) -> Result<()> {
        let step = self.offered(&self.script.roots).await?;
        self.take(step).await?;
        ensure!(self.questions.roots.load(Ordering::SeqCst) > 0, "nobody asked for the roots");
        Ok(())
    }

    /// Takes a step during which the server asks so many times, and not more often.
    async fn asks(&self, step: &Option<Step>, asked: &AtomicUsize, times: usize) -> Result<()> {
        let step = self.offered(step).await?;
        let before = asked.load(Ordering::SeqCst);
        self.take(step).await?;
        let asked = asked.load(Ordering::SeqCst) - before;
        ensure!(asked == times, "asked {asked} times, not {times}");
        Ok(())
    }
}
