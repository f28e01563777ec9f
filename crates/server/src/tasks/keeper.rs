//! Writes down what a task does while it runs.

use std::sync::Arc;
use std::time::Duration;

use anypod_store::{Fenced, Later, Lease, Step, StoreError};
use serde_json::Value;
use tokio::sync::{Notify, watch};
use tokio::time::sleep;

use super::engine::Engine;
use crate::backend::BoxFuture;
use crate::detached::Keeper;
use crate::error::{Error, Result};

/// How long to wait before a store that failed is asked again, the first time; twice as long each further time.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Writes for one run of a task.
pub(super) struct TaskKeeper {
    engine: Arc<Engine>,
    lease: Lease,
    lost: Arc<Notify>,
    /// What the task is doing, for people.
    says: watch::Sender<Option<String>>,
}

impl TaskKeeper {
    /// A keeper, and where what the task says of itself comes out.
    pub(super) fn new(
        engine: &Arc<Engine>,
        lease: &Lease,
        lost: &Arc<Notify>,
    ) -> (Self, watch::Receiver<Option<String>>) {
        let (says, said) = watch::channel(None);
        (Self { engine: Arc::clone(engine), lease: lease.clone(), lost: Arc::clone(lost), says }, said)
    }

    /// The task is no longer this run's, which ends where it waits.
    async fn is_lost<T>(&self) -> T {
        self.lost.notify_one();
        std::future::pending().await
    }
}

impl Keeper for TaskKeeper {
    fn id(&self) -> &str {
        self.lease.id.as_str()
    }

    fn may_begin(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            // A pod that was paused may have lost the task without having been told.
            let mut pause = FIRST_PAUSE;
            while !self.engine.is_good(&self.lease) {
                match self.engine.renew_one(&self.lease).await {
                    Ok(Fenced::Written) => {}
                    Ok(Fenced::Lost) => self.is_lost().await,
                    Err(error) => {
                        tracing::warn!(%error, "a step waits for the store");
                        sleep(pause).await;
                        pause = (pause * 2).min(LONGEST_PAUSE);
                    }
                }
            }
        })
    }

    fn record<'a>(&'a self, step: &'a str, result: &'a Value) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let step = Step { key: step.to_owned(), result: result.to_string() };
            let recorded = until_written(|| self.engine.store.record(self.lease.clone(), step.clone())).await;
            match recorded {
                Ok(Fenced::Written) => Ok(()),
                Ok(Fenced::Lost) => self.is_lost().await,
                // Nobody else could record it either, so it makes no sense to begin again.
                Err(error) => Err(Error::protocol(
                    anypod_proto::code::Code::InternalError.number(),
                    format_args!("step `{}`: {error}", step.key),
                )),
            }
        })
    }

    fn progress(&self, progress: f64, total: Option<f64>, message: Option<&str>) {
        let so_far = match total {
            Some(total) => format!("{progress} of {total}"),
            None => progress.to_string(),
        };
        self.says.send_replace(Some(message.map_or(so_far.clone(), |message| format!("{message} ({so_far})"))));
    }
}

/// Writes something, again and again while the store is away: what a task has done is not to be lost with a database that
/// restarts. If another pod takes the task up meanwhile, this ends with the lease.
///
/// # Errors
/// If asking again makes no sense.
pub(super) async fn until_written<'a>(
    mut write: impl FnMut() -> Later<'a, Fenced>,
) -> std::result::Result<Fenced, StoreError> {
    let mut pause = FIRST_PAUSE;
    loop {
        match write().await {
            Ok(fenced) => return Ok(fenced),
            Err(error) if error.is_passing() => {
                tracing::warn!(%error, "what a task has done waits for the store");
                sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            Err(error) => return Err(error),
        }
    }
}
