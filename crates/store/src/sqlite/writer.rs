//! The thread that writes: one per process, with one connection.
//!
//! What makes writing slow is that a commit waits for the disk. So the thread takes whatever waits for it into one transaction, each
//! operation within a savepoint of its own, and answers all of them once the disk has it.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::thread;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};

use super::Context;
use super::db::{Db, Tx};
use super::fault::Fault;
use crate::error::StoreError;

/// Operations that may wait for the thread; whoever comes with one more waits until one is done.
const WAITING: usize = 1024;

/// Operations of one transaction.
const GROUP: usize = 512;

/// How long a transaction takes up operations: other processes wait for it to end.
const GROUP_FOR: Duration = Duration::from_millis(10);

/// How often is looked whether another process has written, while somebody wants to know.
const LOOK: Duration = Duration::from_millis(10);

/// What the others have for a turn between two transactions of this process, if they write too. Whoever waits for the lock
/// looks for it at most so long after it was given back, and would hardly ever find it free otherwise.
const TURN: Duration = Duration::from_micros(300);

/// Hands operations to the thread, which ends when this is dropped.
pub(super) struct Writer {
    queue: SyncSender<Job>,
    room: Arc<Semaphore>,
    context: Arc<Context>,
}

enum Job {
    Do(Box<dyn Operation>),
    /// Somebody wants to know what other processes write.
    Look,
}

/// Something to be written.
trait Operation: Send {
    /// Does it, and keeps what it gives. May be called again if the transaction around it came to nothing.
    fn run(&mut self, tx: &Tx<'_, '_>) -> Result<(), Fault>;

    /// Whether nobody waits for it any more.
    fn is_unwanted(&self) -> bool;

    /// Gives what there is to whoever waits for it.
    fn answer(self: Box<Self>, outcome: Result<(), StoreError>);
}

struct Asked<T, F> {
    act: F,
    given: Option<T>,
    answer: oneshot::Sender<Result<T, StoreError>>,
    _room: OwnedSemaphorePermit,
}

impl<T, F> Operation for Asked<T, F>
where
    T: Send,
    F: Fn(&Tx<'_, '_>) -> Result<T, Fault> + Send,
{
    fn run(&mut self, tx: &Tx<'_, '_>) -> Result<(), Fault> {
        self.given = Some((self.act)(tx)?);
        Ok(())
    }

    fn is_unwanted(&self) -> bool {
        self.answer.is_closed()
    }

    fn answer(self: Box<Self>, outcome: Result<(), StoreError>) {
        let Self { given, answer, .. } = *self;
        // Whoever has asked may have gone meanwhile.
        let _ = answer.send(outcome.and_then(|()| given.ok_or_else(ended)));
    }
}

impl Writer {
    /// Starts the thread, with a connection that it makes itself: `open` runs there, since it may take its time.
    ///
    /// # Errors
    /// If the system has no thread. Whether there is a connection is what the given receiver says.
    pub(super) fn start<E: Send + 'static>(
        context: Arc<Context>,
        open: impl FnOnce() -> Result<Connection, E> + Send + 'static,
    ) -> std::io::Result<(Self, oneshot::Receiver<Result<(), E>>)> {
        // There is room for a job that is no operation, too.
        let (queue, jobs) = sync_channel(WAITING + 1);
        let (opened, whether) = oneshot::channel();
        let for_thread = Arc::clone(&context);
        thread::Builder::new().name("store-writer".to_owned()).spawn(move || match open() {
            Ok(connection) => {
                let _ = opened.send(Ok(()));
                let line = Line { db: Db::new(&connection), context: &for_thread, version: 0, is_shared: false };
                line.run(&jobs);
            }
            Err(error) => {
                let _ = opened.send(Err(error));
            }
        })?;
        Ok((Self { queue, room: Arc::new(Semaphore::new(WAITING)), context }, whether))
    }

    /// Runs an operation, and gives what it gives once it is committed.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        act: impl Fn(&Tx<'_, '_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let room = Arc::clone(&self.room).acquire_owned().await.map_err(|_| ended())?;
        let (answer, answered) = oneshot::channel();
        let asked = Asked { act, given: None, answer, _room: room };
        self.queue.try_send(Job::Do(Box::new(asked))).map_err(|_| ended())?;
        answered.await.map_err(|_| ended())?
    }

    /// Hears of what is committed from now on.
    pub(super) fn listen(&self) -> watch::Receiver<u64> {
        let receiver = self.context.woken.subscribe();
        // If the queue is full, the thread looks without being told to.
        let _ = self.queue.try_send(Job::Look);
        receiver
    }
}

fn ended() -> StoreError {
    StoreError::Unavailable("the thread that writes has ended".to_owned())
}

/// The thread.
struct Line<'c> {
    db: Db<'c>,
    context: &'c Context,
    /// Changes when another process has committed.
    version: i64,
    /// Whether another process has committed since this one did last.
    is_shared: bool,
}

/// An operation that ran, and how.
type Ran = (Box<dyn Operation>, Result<(), StoreError>);

impl Line<'_> {
    fn run(mut self, jobs: &Receiver<Job>) {
        self.look();
        loop {
            let job = match self.context.woken.receiver_count() {
                0 => jobs.recv().map_err(RecvTimeoutError::from),
                _ => jobs.recv_timeout(LOOK),
            };
            match job {
                Ok(Job::Do(first)) => self.group(first, jobs),
                Ok(Job::Look) | Err(RecvTimeoutError::Timeout) => self.look(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Looks whether another process has committed. What goes wrong here does so again in the next operation, which says it.
    fn look(&mut self) {
        let version = self.db.number("PRAGMA data_version", ()).unwrap_or(self.version);
        self.is_shared = version != self.version;
        if self.is_shared {
            self.version = version;
            self.wake();
        }
    }

    fn wake(&self) {
        self.context.woken.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Runs an operation, and all others that wait.
    fn group(&mut self, first: Box<dyn Operation>, jobs: &Receiver<Job>) {
        if let Err(error) = self.begin() {
            first.answer(Err(error.clone()));
            // Each would wait as long as the first one, one after the other.
            for other in std::iter::from_fn(|| next(jobs)).take(WAITING) {
                other.answer(Err(error.clone()));
            }
            return;
        }
        self.look();
        let begun = self.context.clock.now();
        let mut group: Vec<Ran> = Vec::new();
        let (mut woke, mut waiting) = (false, Some(first));
        while let Some(mut operation) = waiting.take() {
            if !operation.is_unwanted() {
                let outcome = self.one(&mut *operation, &mut woke);
                group.push((operation, outcome));
            }
            if self.db.is_idle() {
                let error = group.last().and_then(|(_, outcome)| outcome.clone().err());
                return self.alone(group, &error.unwrap_or_else(ended));
            }
            if group.len() < GROUP && self.context.clock.now().since(begun) < GROUP_FOR {
                waiting = next(jobs);
            }
        }
        self.commit(group, woke);
    }

    fn begin(&self) -> Result<(), StoreError> {
        self.db.begin().map_err(|error| self.told(error.into()))
    }

    /// Runs an operation, so that nothing is left of it if it fails.
    fn one(&self, operation: &mut dyn Operation, woke: &mut bool) -> Result<(), StoreError> {
        let tx = Tx::new(&self.db, &self.context.options, self.context.clock.now());
        let result = self.db.run("SAVEPOINT one", ()).map_err(Fault::from).and_then(|_| operation.run(&tx));
        if result.is_err() && !self.db.is_idle() {
            self.db.run("ROLLBACK TO one", ()).map_err(|error| self.told(error.into()))?;
        }
        if !self.db.is_idle() {
            self.db.run("RELEASE one", ()).map_err(|error| self.told(error.into()))?;
        }
        *woke |= result.is_ok() && tx.has_woken();
        result.map_err(|fault| self.told(fault))
    }

    fn commit(&mut self, group: Vec<Ran>, woke: bool) {
        match self.db.run("COMMIT", ()).map_err(|error| self.told(error.into())) {
            Ok(_) => {
                if woke {
                    self.wake();
                }
                for (operation, outcome) in group {
                    operation.answer(outcome);
                }
                if self.is_shared {
                    thread::sleep(TURN);
                }
            }
            Err(error) => {
                self.roll_back();
                match error {
                    StoreError::NoRoom(_) => self.alone(group, &error),
                    StoreError::Unavailable(_) | StoreError::TooLong { .. } | StoreError::Corrupt(_) => {
                        for (operation, _) in group {
                            operation.answer(Err(error.clone()));
                        }
                    }
                }
            }
        }
    }

    /// Runs each operation of a group in a transaction of its own, after the one of the group has come to nothing: where there is
    /// no room for one of them, there may be for the others. SQLite gives up the whole transaction then.
    fn alone(&self, group: Vec<Ran>, error: &StoreError) {
        let is_one = group.len() == 1;
        for (mut operation, _) in group {
            if is_one {
                return operation.answer(Err(error.clone()));
            }
            let mut woke = false;
            let outcome = self.begin().and_then(|()| self.one(&mut *operation, &mut woke));
            let committed = match self.db.is_idle() {
                true => Ok(()),
                false => self.db.run("COMMIT", ()).map(drop).map_err(|error| self.told(error.into())),
            };
            self.roll_back();
            if woke && committed.is_ok() {
                self.wake();
            }
            operation.answer(outcome.and(committed));
        }
    }

    fn roll_back(&self) {
        if !self.db.is_idle() {
            // If even that fails, the next transaction cannot begin, and says why.
            let _ = self.db.run("ROLLBACK", ());
        }
    }

    fn told(&self, fault: Fault) -> StoreError {
        fault.of(&self.context.place)
    }
}

/// The next operation, if one waits.
fn next(jobs: &Receiver<Job>) -> Option<Box<dyn Operation>> {
    loop {
        match jobs.try_recv() {
            Ok(Job::Do(operation)) => return Some(operation),
            Ok(Job::Look) => {}
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => return None,
        }
    }
}
