//! Spans, sent to a collector: OTLP over HTTP, with JSON. In batches, and never waited for: what the collector does not
//! take in time is dropped and counted.
//!
//! Spec: OpenTelemetry Protocol, "OTLP/HTTP".

mod collector;
mod export;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout_at};

use super::Record;
use super::number::Counter;
use collector::{Collector, Taken};

pub(crate) use collector::BadEndpoint;

/// How many requests wait to be sent; further ones are dropped.
const QUEUE: usize = 4096;
/// How many are sent at once.
const BATCH: usize = 512;
/// How long a batch waits to be full.
const INTERVAL: Duration = Duration::from_secs(2);
/// How long nothing is sent to a collector that could not be reached.
const PAUSE: Duration = Duration::from_secs(1);

/// Where spans go.
#[derive(Debug)]
pub(super) struct Exporter {
    queue: mpsc::Sender<Item>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    sent: Counter,
    dropped: Counter,
}

enum Item {
    Record(Arc<Record>),
    /// Say when everything before this is sent, or dropped.
    Flush(oneshot::Sender<()>),
}

impl Exporter {
    /// Begins to send to an endpoint such as `http://127.0.0.1:4318/v1/traces`, as the instance of that name. Has to be
    /// called within a runtime.
    ///
    /// # Errors
    /// The endpoint is no `http` or `https` URL, or there are no authorities to trust.
    pub(super) fn start(endpoint: &str, instance: Arc<str>) -> Result<Self, BadEndpoint> {
        let collector = Collector::new(endpoint)?;
        let (queue, items) = mpsc::channel(QUEUE);
        let shared = Arc::new(Shared::default());
        let task = Task { collector, instance, shared: Arc::clone(&shared), away: false };
        // It ends when the last sender, which is ours, has gone and what waits is sent.
        drop(tokio::spawn(task.run(items)));
        Ok(Self { queue, shared })
    }

    /// Has the spans of a request sent, unless too many wait.
    pub(super) fn send(&self, record: Arc<Record>) {
        if self.queue.try_send(Item::Record(record)).is_err() {
            self.shared.dropped.count();
        }
    }

    /// Done when everything before is sent, or dropped.
    pub(super) async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        if self.queue.send(Item::Flush(done)).await.is_ok() {
            drop(flushed.await);
        }
    }

    /// Requests whose spans a collector has taken.
    pub(super) fn sent(&self) -> u64 {
        self.shared.sent.value()
    }

    /// Requests whose spans are lost.
    pub(super) fn dropped(&self) -> u64 {
        self.shared.dropped.value()
    }
}

struct Task {
    collector: Collector,
    instance: Arc<str>,
    shared: Arc<Shared>,
    /// The last attempt failed; said once, not with every batch.
    away: bool,
}

impl Task {
    async fn run(mut self, mut items: mpsc::Receiver<Item>) {
        let mut batch = Vec::with_capacity(BATCH);
        while let Some(item) = items.recv().await {
            let flushed = fill(&mut batch, item, &mut items).await;
            if !batch.is_empty() {
                self.send(&batch).await;
                batch.clear();
            }
            if let Some(done) = flushed {
                // Whoever waited may have gone.
                let _ = done.send(());
            } else if self.away {
                sleep(PAUSE).await;
            }
        }
    }

    async fn send(&mut self, batch: &[Arc<Record>]) {
        let count = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        match self.collector.send(export::json(batch, &self.instance)).await {
            Ok(Taken::All) => self.shared.sent.add(count),
            // It counts spans, and what failed may be one of the two of a request.
            Ok(Taken::AllBut(spans)) => {
                tracing::warn!(spans, "the collector has refused some spans");
                self.shared.dropped.add(spans.min(count));
                self.shared.sent.add(count - spans.min(count));
            }
            Err(error) => {
                self.shared.dropped.add(count);
                if !std::mem::replace(&mut self.away, true) {
                    tracing::warn!(%error, "spans cannot be sent: they are dropped until the collector is back");
                }
                return;
            }
        }
        if std::mem::take(&mut self.away) {
            tracing::info!("the collector is back");
        }
    }
}

/// Collects until there are enough, or it is time; a flush that came before that is to be answered after sending.
async fn fill(
    batch: &mut Vec<Arc<Record>>,
    first: Item,
    items: &mut mpsc::Receiver<Item>,
) -> Option<oneshot::Sender<()>> {
    let deadline = Instant::now() + INTERVAL;
    let mut item = first;
    loop {
        match item {
            Item::Record(record) => batch.push(record),
            Item::Flush(done) => return Some(done),
        }
        if batch.len() >= BATCH {
            return None;
        }
        item = match timeout_at(deadline, items.recv()).await {
            Ok(Some(item)) => item,
            Ok(None) | Err(_) => return None,
        };
    }
}

#[cfg(test)]
mod tests;
