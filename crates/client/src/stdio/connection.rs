//! One life of a connection: a task that reads, writes and watches the process, until one of them ends.

use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};
use tracing::Instrument;

use super::desk::Desk;
use super::end::{End, Loss};
use super::process::Process;
use super::read::Reading;
use super::write::{Outgoing, Queue};
use super::{LAST_WORDS, Reader, Writer};
use crate::error::Result;
use crate::limits::Limits;
use crate::observe::Observe;

/// Messages that wait to be written. When the server does not read, whoever comes next waits.
const QUEUE: usize = 64;

/// The two byte streams to a server, and the process behind them, if it is one.
pub(super) struct Ends {
    pub(super) process: Option<Process>,
    pub(super) reader: Reader,
    pub(super) writer: Writer,
}

/// A connection. When the last one who holds it drops it, it is closed, and the process ended.
pub(super) struct Connection {
    desk: Arc<Desk>,
    urgent: mpsc::Sender<Outgoing>,
    requests: mpsc::Sender<Outgoing>,
    stop: watch::Sender<bool>,
    over: watch::Receiver<()>,
    started: Instant,
    number: u64,
}

impl Connection {
    /// Begins to read and to write.
    pub(super) fn new(ends: Ends, origin: String, limits: Arc<Limits>, observer: Option<Arc<dyn Observe>>) -> Self {
        let span = tracing::debug_span!("stdio", server = %origin);
        let desk = Arc::new(Desk::new(origin, Arc::clone(&limits)));
        let (urgent, urgent_queue) = mpsc::channel(QUEUE);
        let (requests, request_queue) = mpsc::channel(QUEUE);
        let (stop, stopped) = watch::channel(false);
        let (alive, over) = watch::channel(());
        let life = Life { desk: Arc::clone(&desk), limits, observer, stopped };
        let queue = Queue { urgent: urgent_queue, requests: request_queue };
        tokio::spawn(
            async move {
                life.run(ends, queue).await;
                drop(alive);
            }
            .instrument(span),
        );
        Self { desk, urgent, requests, stop, over, started: Instant::now(), number: 0 }
    }

    /// The same connection, as one of several of its wire.
    pub(super) const fn numbered(mut self, number: u64) -> Self {
        self.number = number;
        self
    }

    /// Which of the connections of its wire it is.
    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn desk(&self) -> &Desk {
        &self.desk
    }

    /// How long it lived; `None` while it does.
    pub(super) fn lived(&self) -> Option<std::time::Duration> {
        self.desk.ended().map(|ended| ended - self.started)
    }

    /// Hands a request to the writer, once there is room.
    ///
    /// # Errors
    /// If the connection has ended.
    pub(super) async fn send(&self, id: u64, text: Vec<u8>) -> Result<()> {
        self.queue(&self.requests, Outgoing::request(id, text)).await
    }

    /// Hands anything else to the writer, to go before the requests.
    ///
    /// # Errors
    /// If the connection has ended.
    pub(super) async fn tell(&self, text: Vec<u8>) -> Result<()> {
        self.queue(&self.urgent, Outgoing::always(text)).await
    }

    async fn queue(&self, queue: &mpsc::Sender<Outgoing>, message: Outgoing) -> Result<()> {
        queue.send(message).await.map_err(|_| self.desk.gone())
    }

    /// Closes it, whoever still waits for something.
    pub(super) fn close(&self) {
        self.stop.send_replace(true);
    }

    /// Whether nothing is left of it.
    pub(super) fn is_over(&self) -> bool {
        self.over.has_changed().is_err()
    }

    /// Completes when nothing is left of it, the process included.
    pub(super) fn over(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut over = self.over.clone();
        async move { while over.changed().await.is_ok() {} }
    }
}

/// What the task of a connection needs.
struct Life {
    desk: Arc<Desk>,
    limits: Arc<Limits>,
    observer: Option<Arc<dyn Observe>>,
    stopped: watch::Receiver<bool>,
}

impl Life {
    async fn run(mut self, ends: Ends, queue: Queue) {
        let Ends { mut process, reader, writer } = ends;
        let (desk, limits, observer) = (Arc::clone(&self.desk), Arc::clone(&self.limits), self.observer.clone());
        let mut reading: Pin<Box<dyn Future<Output = End> + Send>> =
            Box::pin(async move { Reading::new(&desk, &limits, observer.as_deref()).run(reader).await });
        let end = self.serve(reading.as_mut(), process.as_mut(), writer, queue).await;
        let patience = self.limits.shutdown_deadline;
        let Some(end) = end else {
            self.desk.end(End::Closed);
            if let Some(process) = &mut process {
                // It may have much to say before it sees that its input has ended.
                let unheard = async {
                    reading.await;
                    std::future::pending().await
                };
                tokio::select! {
                    () = process.finish(patience) => {}
                    () = unheard => {}
                }
            }
            return;
        };
        drop(reading);
        self.desk.ending();
        let end = self.explain(end, process.as_mut()).await;
        tracing::debug!(?end, "the connection has ended");
        self.desk.end(end);
        if let Some(mut process) = process {
            process.finish(patience).await;
        }
    }

    /// Reads and writes, until either ends or the process does; `None` if we are to stop. The writer is closed then.
    async fn serve(
        &mut self,
        mut reading: Pin<&mut (dyn Future<Output = End> + Send)>,
        process: Option<&mut Process>,
        writer: Writer,
        queue: Queue,
    ) -> Option<End> {
        let writing = queue.write(writer, &self.desk, self.observer.as_deref());
        let gone = async {
            tokio::select! {
                Err(error) = writing => format!("the server's input cannot be written: {error}"),
                () = ended(process) => "the server's process ended".to_owned(),
            }
        };
        let how = tokio::select! {
            biased;
            // An error means that nobody is left to tell us.
            _ = self.stopped.wait_for(|stopped| *stopped) => return None,
            end = &mut reading => return Some(end),
            how = gone => how,
        };
        // What it said before is still in the pipe, which somebody else may keep open.
        let end = timeout(LAST_WORDS, reading).await;
        let lost = End::Lost(Loss { how, ..Loss::default() });
        Some(end.ok().filter(|end| matches!(end, End::Broken(_))).unwrap_or(lost))
    }

    /// Adds how the process ended and what it said.
    async fn explain(&self, end: End, process: Option<&mut Process>) -> End {
        let (End::Lost(mut loss), Some(process)) = (end.clone(), process) else { return end };
        loss.status = timeout(LAST_WORDS, process.ended()).await.ok().and_then(std::io::Result::ok);
        loss.stderr = process.last_words().await;
        End::Lost(loss)
    }
}

async fn ended(process: Option<&mut Process>) {
    match process {
        Some(process) => {
            let _ = process.ended().await;
        }
        None => std::future::pending().await,
    }
}

impl Drop for Life {
    /// However the task ends, nobody waits for ever.
    fn drop(&mut self) {
        self.desk.end(End::Closed);
    }
}
