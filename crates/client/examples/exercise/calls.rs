//! Features of calls.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use anypod_client::Error;
use anypod_client::proto::logging::LoggingLevel;
use anypod_client::proto::version::Era;
use serde_json::json;
use tokio::sync::Notify;

use crate::script::{Logging, Step};
use crate::{Exercise, absent};

/// What a callback has collected.
type Seen<T> = Arc<Mutex<Vec<T>>>;

impl Exercise {
    pub(crate) async fn call(&self) -> Result<()> {
        let echo = &self.script.echo;
        tokio::try_join!(self.take(echo), self.take(echo), self.take(echo), self.take(echo))?;
        let fails = &self.script.fails;
        let failed = self.client.call(fails.tool, &fails.arguments).await?;
        ensure!(failed.is_error == Some(true), "{} did not fail", fails.tool);
        match self.client.call("no-such-tool", json!({})).await {
            Err(Error::Answered(_)) => Ok(()),
            // So does the TypeScript SDK's first generation.
            Ok(result) if result.is_error == Some(true) => Ok(()),
            other => anyhow::bail!("a tool that is not there ended with {other:?}"),
        }
    }

    pub(crate) async fn structured(&self) -> Result<()> {
        let (step, expected) = &self.script.structured;
        let result = self.take(step).await?;
        let found = result.structured_content.context("no structured content")?;
        ensure!(found == *expected, "{found} instead of {expected}");
        Ok(())
    }

    pub(crate) async fn progress(&self) -> Result<()> {
        let step = &self.script.progress;
        let seen = Seen::default();
        let tell = Arc::clone(&seen);
        let call = self.client.call(step.tool, &step.arguments);
        let result = call.on_progress(move |notice| collect(&tell, notice.progress)).await?;
        step.check(&result)?;
        let seen = taken(&seen);
        ensure!(seen.len() == 5, "{} notices, not 5: {seen:?}", seen.len());
        ensure!(seen.is_sorted(), "progress went back: {seen:?}");
        Ok(())
    }

    /// Gives up on one call by its option and on another by dropping it; the server must see both.
    pub(crate) async fn cancel(&self) -> Result<()> {
        let slow = self.offered(&self.script.slow).await?;
        let cancellations = self.offered(&self.script.cancellations).await?;
        let before = self.cancelled(cancellations).await?;
        let (running, tell) = running();
        let call = self.client.call(slow.tool, &slow.arguments).on_progress(move |_| tell.notify_one());
        match call.cancel_when(async move { running.notified().await }).await {
            Err(Error::Cancelled) => {}
            other => anyhow::bail!("the cancelled call ended with {other:?}"),
        }
        self.until_cancelled(cancellations, before + 1).await?;
        let (running, tell) = crate::calls::running();
        let call = self.client.call(slow.tool, &slow.arguments).on_progress(move |_| tell.notify_one());
        tokio::select! {
            ended = call.into_future() => anyhow::bail!("the call ended with {ended:?}"),
            () = running.notified() => {}
        }
        self.until_cancelled(cancellations, before + 2).await
    }

    async fn until_cancelled(&self, step: &Step, expected: u64) -> Result<()> {
        for _ in 0..50 {
            match self.cancelled(step).await? {
                count if count == expected => return Ok(()),
                count if count > expected => anyhow::bail!("{count} calls were cancelled, not {expected}"),
                _ => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
        anyhow::bail!("the server did not see the call cancelled")
    }

    async fn cancelled(&self, step: &Step) -> Result<u64> {
        let result = self.take(step).await?;
        result.structured_content.and_then(|content| content["count"].as_u64()).context("no count of cancelled calls")
    }

    /// Calls a tool one of whose arguments travels in a header as well; servers that look refuse a wrong one.
    pub(crate) async fn headers(&self) -> Result<()> {
        let step = self.offered(&self.script.headers).await?;
        let before = self.watch.param_headers();
        self.take(step).await?;
        let sent = self.watch.param_headers() - before;
        match (self.watch.is_http(), self.watch.era()) {
            (true, Era::Modern) => ensure!(sent == 1, "{sent} requests had the header"),
            (true, Era::Legacy) => return absent("its revision has no such headers"),
            (false, _) => return absent("stdio has no headers"),
        }
        Ok(())
    }

    pub(crate) async fn logging(&self) -> Result<()> {
        if self.capabilities().await?.logging.is_none() {
            return absent("it does not log");
        }
        match &self.script.logging {
            Logging::Levels(step) => self.log_levels(step).await,
            Logging::During { on, call } => self.log_during(on, call).await,
        }
    }

    async fn log_levels(&self, step: &Step) -> Result<()> {
        let seen = Seen::default();
        let tell = Arc::clone(&seen);
        let call = self.client.call(step.tool, &step.arguments);
        call.on_log(LoggingLevel::Info, move |notice| collect(&tell, notice.level)).await?;
        let seen = taken(&seen);
        let expected = [LoggingLevel::Info, LoggingLevel::Warning, LoggingLevel::Error];
        ensure!(seen == expected, "heard {seen:?} instead of {expected:?}");
        Ok(())
    }

    async fn log_during(&self, on: &Step, call: &Step) -> Result<()> {
        let (started, tell_started) = running();
        let seen = Seen::default();
        let tell = Arc::clone(&seen);
        let hears = self
            .client
            .call(call.tool, &call.arguments)
            .on_progress(move |_| tell_started.notify_one())
            .on_log(LoggingLevel::Debug, move |notice| collect(&tell, notice.level));
        let turns_on = async {
            started.notified().await;
            self.client.call(on.tool, &on.arguments).await
        };
        tokio::try_join!(hears.into_future(), turns_on)?;
        ensure!(!taken(&seen).is_empty(), "nothing was heard of the log");
        Ok(())
    }
}

/// Two ends of word that a call is under way.
fn running() -> (Arc<Notify>, Arc<Notify>) {
    let running = Arc::new(Notify::new());
    (Arc::clone(&running), running)
}

fn collect<T>(seen: &Seen<T>, item: T) {
    seen.lock().expect("nobody panics while collecting").push(item);
}

fn taken<T>(seen: &Seen<T>) -> Vec<T> {
    std::mem::take(&mut *seen.lock().expect("nobody panics while collecting"))
}
