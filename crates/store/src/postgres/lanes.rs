//! The connections, and how what is asked for gets onto them.
//!
//! Each connection is a lane: it takes what waits and goes together, executes it in one round trip, and then takes what has
//! come meanwhile. A disk flushes some hundred times a second, whatever is written; so what several callers write at once
//! shares one transaction and its flush, and the more they are, the more share it. One of several that the database refuses
//! takes the transaction with it: then each is executed alone, so that nobody suffers from another's error.
//!
//! What only reads has a lane of its own, where it waits for no flush.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_postgres::Row;

use super::back_off::BackOff;
use super::call::{Manner, Request};
use super::failure;
use super::link::{Broken, Connector, Link};
use super::listen::Wakes;
use super::queue::{Job, Queue};
use crate::error::StoreError;

/// How long a request waits for a connection at most.
const WAITING: Duration = Duration::from_secs(2);

/// How often something is executed that others were in the way of.
const ATTEMPTS: u32 = 3;

/// The connections.
pub(super) struct Lanes {
    reads: Arc<Queue>,
    writes: Arc<Queue>,
    waiting: Duration,
    /// Ends with this.
    _keepers: JoinSet<()>,
}

impl Lanes {
    /// Keeps as many connections as the address says.
    pub(super) fn new(connector: &Arc<Connector>, wakes: &Arc<Wakes>) -> Self {
        let (reads, writes) = (Arc::<Queue>::default(), Arc::<Queue>::default());
        let mut keepers = JoinSet::new();
        for lane in 0..connector.address.connections {
            let queue = if lane == 0 { &reads } else { &writes };
            keepers.spawn(keep(Arc::clone(connector), Arc::clone(queue), Arc::clone(wakes)));
        }
        let waiting = WAITING.min(connector.address.deadline);
        Self { reads, writes, waiting, _keepers: keepers }
    }

    /// Has a request executed.
    pub(super) async fn ask(&self, request: Request) -> Result<Vec<Row>, StoreError> {
        let queue = match request.call.manner() {
            Manner::Reads => &self.reads,
            Manner::Writes | Manner::Alone => &self.writes,
        };
        let mut awaited =
            queue.offer(request).ok_or_else(|| failure::unavailable("too much waits for the database"))?;
        let reply = match timeout(self.waiting, &mut awaited.reply).await {
            Ok(reply) => reply,
            Err(_) if queue.withdraw(&awaited) => {
                return Err(failure::unavailable("there is no connection to the database that has the time"));
            }
            // A connection has it, and gives it up in time if there is no answer.
            Err(_) => awaited.reply.await,
        };
        reply.unwrap_or_else(|_| Err(failure::unknown()))
    }
}

/// Keeps one connection, for as long as somebody wants it.
async fn keep(connector: Arc<Connector>, queue: Arc<Queue>, wakes: Arc<Wakes>) {
    let mut back_off = BackOff::default();
    loop {
        match connector.connect(&connector.setup()).await {
            Ok((client, mut wire)) => {
                back_off.begin();
                let link = Link::new(client, connector.address.deadline);
                tokio::select! {
                    biased;
                    () = serve(link, &queue, &wakes) => {}
                    end = &mut wire => tracing::info!(
                        place = connector.address.place,
                        reason = end.err().map(|error| failure::whole(&error)),
                        "a connection to the database broke"
                    ),
                }
                queue.pass_on();
            }
            Err(reason) => {
                tracing::warn!(place = connector.address.place, reason, "there is no connection to the database");
            }
        }
        back_off.wait().await;
    }
}

/// Executes what waits, until the connection is of no use any more.
async fn serve(mut link: Link, queue: &Queue, wakes: &Wakes) {
    loop {
        let mut jobs = queue.take().await;
        jobs.sort_by(|one, other| one.request.order.cmp(&other.request.order));
        if !execute(&mut link, jobs, wakes, ATTEMPTS).await {
            return;
        }
    }
}

/// Executes jobs. Gives whether the connection is still good; if not, those who were told nothing learn by the end of their
/// jobs that nobody knows what was done.
async fn execute(link: &mut Link, jobs: Vec<Job>, wakes: &Wakes, attempts: u32) -> bool {
    let requests: Vec<&Request> = jobs.iter().map(|job| &job.request).collect();
    let in_one = requests.iter().any(|request| request.call.manner() != Manner::Reads);
    match link.execute(&requests, in_one).await {
        Ok(results) => {
            for (job, rows) in jobs.into_iter().zip(results) {
                reply(job, rows, wakes);
            }
            true
        }
        Err(Broken::Failed(error)) => match failure::refusal(&error) {
            Some(_) if jobs.len() > 1 => execute_each(link, jobs, wakes).await,
            Some(refused) if attempts > 1 && failure::was_in_the_way(refused) => {
                Box::pin(execute(link, jobs, wakes, attempts - 1)).await
            }
            Some(refused) => {
                jobs.into_iter().for_each(|job| refuse(job, failure::store_error(refused)));
                !failure::ends_connection(refused)
            }
            None => false,
        },
        Err(Broken::Late) => false,
    }
}

/// Executes jobs one by one, of which nothing is done.
async fn execute_each(link: &mut Link, jobs: Vec<Job>, wakes: &Wakes) -> bool {
    let mut jobs = jobs.into_iter();
    while let Some(job) = jobs.next() {
        if !Box::pin(execute(link, vec![job], wakes, ATTEMPTS)).await {
            jobs.for_each(|job| {
                refuse(job, failure::unavailable("the connection to the database broke before this was done"))
            });
            return false;
        }
    }
    true
}

fn refuse(job: Job, error: StoreError) {
    let _ = job.reply.send(Err(error));
}

fn reply(job: Job, rows: Vec<Row>, wakes: &Wakes) {
    if job.request.call.wakes(&rows) {
        wakes.committed();
    }
    // Whoever asked may have gone.
    let _ = job.reply.send(Ok(rows));
}
