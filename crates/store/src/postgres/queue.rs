//! What waits for a connection.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot};
use tokio_postgres::Row;

use super::call::{Manner, Request};
use crate::error::StoreError;

/// How much waits at most. With a hundred bytes to a few megabytes of each, more would be memory for nothing: it takes seconds
/// to do so many.
const MOST: usize = 4096;

/// How many go into one transaction at most. More would share a flush that costs next to nothing already, and all of them
/// wait for the last.
const TOGETHER: usize = 64;

/// A request, and who waits for what comes of it.
pub(super) struct Job {
    pub(super) request: Request,
    pub(super) reply: oneshot::Sender<Result<Vec<Row>, StoreError>>,
    ticket: u64,
}

/// What waits for a connection, in the order in which it came.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    arrived: Notify,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    tickets: u64,
}

/// What somebody waits for.
pub(super) struct Awaited {
    pub(super) reply: oneshot::Receiver<Result<Vec<Row>, StoreError>>,
    ticket: u64,
}

impl Queue {
    /// Takes in a request; `None` if too much waits already.
    pub(super) fn offer(&self, request: Request) -> Option<Awaited> {
        let mut waiting = self.lock();
        if waiting.jobs.len() >= MOST {
            return None;
        }
        let (sender, reply) = oneshot::channel();
        let ticket = waiting.tickets;
        waiting.tickets += 1;
        waiting.jobs.push_back(Job { request, reply: sender, ticket });
        drop(waiting);
        self.arrived.notify_one();
        Some(Awaited { reply, ticket })
    }

    /// Takes back what no connection has taken yet. Gives whether it was still there, so that it will never be done.
    pub(super) fn withdraw(&self, awaited: &Awaited) -> bool {
        let mut waiting = self.lock();
        let found = waiting.jobs.iter().position(|job| job.ticket == awaited.ticket);
        found.and_then(|at| waiting.jobs.remove(at)).is_some()
    }

    /// Waits for something, and takes what goes together.
    pub(super) async fn take(&self) -> Vec<Job> {
        loop {
            let jobs = self.take_now();
            if !jobs.is_empty() {
                return jobs;
            }
            self.arrived.notified().await;
        }
    }

    /// Lets another connection look at what waits, where the one that was told of it is gone.
    pub(super) fn pass_on(&self) {
        self.arrived.notify_one();
    }

    fn take_now(&self) -> Vec<Job> {
        let mut waiting = self.lock();
        let mut jobs: Vec<Job> = Vec::new();
        while let Some(job) = waiting.jobs.front() {
            let is_alone = job.request.call.manner() == Manner::Alone;
            if !jobs.is_empty() && (is_alone || jobs.len() == TOGETHER) {
                break;
            }
            // Nobody waits for it any more.
            let is_wanted = !job.reply.is_closed();
            jobs.extend(waiting.jobs.pop_front().filter(|_| is_wanted));
            if is_alone && is_wanted {
                break;
            }
        }
        let is_more = !waiting.jobs.is_empty();
        drop(waiting);
        if is_more {
            self.arrived.notify_one();
        }
        jobs
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Jobs come and go as a whole, so a panic elsewhere leaves nothing half done.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
