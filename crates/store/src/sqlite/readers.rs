//! The threads that read, each with a connection of its own. A reader sees what was committed before it began, waits for no
//! writer, and keeps none waiting.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::Context;
use super::db::{Db, Tx};
use super::fault::Fault;
use super::open::connect;
use crate::error::StoreError;

/// Reads that may wait; whoever comes with one more waits until one is done.
const WAITING: usize = 1024;

/// Reads that a thread takes at once: they share a transaction, whose beginning and end cost about as much as a read.
const AT_ONCE: usize = 16;

/// The most threads; there are no more than the machine has cores.
const THREADS: usize = 4;

/// Hands reads to the threads, which end when this is dropped.
pub(super) struct Readers {
    queue: Arc<Queue>,
    room: Arc<Semaphore>,
    place: Arc<str>,
}

/// A read: given what went wrong, it says so to whoever waits for it.
type Read = Box<dyn FnOnce(Result<&Tx<'_, '_>, Fault>) + Send>;

#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    ready: Condvar,
}

#[derive(Default)]
struct Waiting {
    reads: VecDeque<Read>,
    idle: usize,
    is_over: bool,
}

impl Readers {
    /// Starts the threads.
    ///
    /// # Errors
    /// If the system has none.
    pub(super) fn start(context: &Arc<Context>, path: &Path) -> std::io::Result<Self> {
        let count = thread::available_parallelism().map_or(1, usize::from).min(THREADS);
        let (queue, room) = (Arc::new(Queue::default()), Arc::new(Semaphore::new(WAITING)));
        let readers = Self { queue, room, place: Arc::clone(&context.place) };
        for _ in 0..count {
            let (queue, context, path) = (Arc::clone(&readers.queue), Arc::clone(context), path.to_owned());
            thread::Builder::new().name("store-reader".to_owned()).spawn(move || queue.serve(&context, &path))?;
        }
        Ok(readers)
    }

    /// Reads something.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Tx<'_, '_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let room = Arc::clone(&self.room).acquire_owned().await.map_err(|_| ended())?;
        let (answer, answered) = oneshot::channel();
        let place = Arc::clone(&self.place);
        self.queue.push(Box::new(move |tx| {
            let given = tx.and_then(act).map_err(|fault| fault.of(&place));
            give(answer, given, room);
        }));
        answered.await.map_err(|_| ended())?
    }
}

fn give<T>(answer: oneshot::Sender<Result<T, StoreError>>, given: Result<T, StoreError>, room: OwnedSemaphorePermit) {
    drop(room);
    // Whoever has asked may have gone meanwhile.
    let _ = answer.send(given);
}

fn ended() -> StoreError {
    StoreError::Unavailable("the threads that read have ended".to_owned())
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.queue.lock().is_over = true;
        self.queue.ready.notify_all();
    }
}

impl Queue {
    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        // Nothing that may panic happens under the lock.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, read: Read) {
        let mut waiting = self.lock();
        waiting.reads.push_back(read);
        let is_wanted = waiting.idle > 0;
        drop(waiting);
        if is_wanted {
            self.ready.notify_one();
        }
    }

    /// Waits for reads, and takes some; `None` once it is over.
    fn take(&self) -> Option<Vec<Read>> {
        let mut waiting = self.lock();
        while waiting.reads.is_empty() {
            if waiting.is_over {
                return None;
            }
            waiting.idle += 1;
            waiting = self.ready.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            waiting.idle -= 1;
        }
        let count = waiting.reads.len().min(AT_ONCE);
        Some(waiting.reads.drain(..count).collect())
    }

    /// What a thread does: opens the file for its first reads, and again as long as that fails.
    fn serve(&self, context: &Context, path: &Path) {
        while let Some(mut reads) = self.take() {
            match connect(path) {
                Ok(connection) => {
                    let db = Db::new(&connection);
                    serve(&db, context, reads);
                    while let Some(reads) = self.take() {
                        serve(&db, context, reads);
                    }
                    return;
                }
                Err(error) => {
                    if let Some(first) = reads.pop() {
                        first(Err(error.into()));
                    }
                    reads.into_iter().for_each(|read| self.push(read));
                }
            }
        }
    }
}

/// Runs reads in one transaction. All of them were asked for before it began, so each sees what was committed before that.
fn serve(db: &Db<'_>, context: &Context, reads: Vec<Read>) {
    let begun = db.run("BEGIN", ()).map_err(|error| Fault::from(error).of(&context.place));
    for read in reads {
        match &begun {
            Ok(_) => read(Ok(&Tx::new(db, &context.options, context.clock.now()))),
            Err(error) => read(Err(error.clone().into())),
        }
    }
    if !db.is_idle() {
        // A transaction that has only read has nothing to lose.
        let _ = db.run("COMMIT", ());
    }
}
