//! A store in one file, which all pods of one machine have open.
//!
//! SQLite in WAL mode: readers and the one writer do not wait for each other. Each process has one thread that writes and
//! a few that read; see [`writer`] for what makes that fast enough, and [`schema`] for what is in the file.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anypod_proto::tasks::TaskStatus;
use tokio::sync::watch;

use crate::error::{OpenError, StoreError};
use crate::event::Follower;
use crate::follow::Followers;
use crate::options::Options;
use crate::report::{StoreStatus, Swept, TaskQuery, TaskReport, TaskRow};
use crate::store::{Later, Store};
use crate::task::{Answered, Created, NewTask, Owner, Question, Task, TaskId};
use crate::time::{Clock, Millis};
use crate::value::{NewValue, Replaced, Value, ValueId};
use crate::work::{Claim, Claims, End, Fenced, HandBack, Lease, Step};

use self::db::Tx;
use self::fault::Fault;
use self::readers::Readers;
use self::writer::Writer;

mod claims;
mod db;
mod events;
mod fault;
mod journal;
mod marks;
mod open;
mod queue;
mod readers;
mod report;
mod rows;
mod schema;
mod sweep;
mod tasks;
mod values;
mod work;
mod writer;

#[cfg(test)]
mod tests;

/// How often one call of `compact` gives pages back: 64 MiB at most.
const BITES: usize = 256;

/// A store in one file.
///
/// The file, and the two that SQLite puts beside it while it is open, have to be on a disk of this machine: file systems of
/// a network do not do what processes need in order to share them.
pub struct Sqlite {
    shared: Arc<Shared>,
    followers: Followers<events::Listening>,
}

/// What followers have of the store, too. When the last of them is gone, the threads end, and close the file.
struct Shared {
    writer: Writer,
    readers: Readers,
    context: Arc<Context>,
}

/// What the threads know.
struct Context {
    place: Arc<str>,
    options: Options,
    clock: Box<dyn Clock>,
    woken: watch::Sender<u64>,
}

impl Sqlite {
    /// Opens the file, and makes it if it is not there, for nobody else to read.
    ///
    /// # Errors
    /// If that cannot be done, or the file is no store or one of a newer program: then it is left as it is.
    pub async fn open(path: impl AsRef<Path>, options: Options, clock: impl Clock) -> Result<Self, OpenError> {
        let path = path.as_ref();
        let place = format!("sqlite:{}", path.display());
        let problem =
            |error: std::io::Error| OpenError::Unreachable { place: place.clone(), problem: error.to_string() };
        // Nothing that SQLite has a meaning of its own for, such as `:memory:`.
        let path: PathBuf = std::path::absolute(path).map_err(problem)?;
        let woken = watch::Sender::new(0);
        let context = Arc::new(Context { place: place.as_str().into(), options, clock: Box::new(clock), woken });
        let (file, name) = (path.clone(), place.clone());
        let started = Writer::start(Arc::clone(&context), move || open::open(&file, &name));
        let (writer, opened) = started.map_err(problem)?;
        let ended = || OpenError::Unreachable { place: place.clone(), problem: "its thread has ended".to_owned() };
        opened.await.map_err(|_| ended())??;
        let readers = Readers::start(&context, &path).map_err(problem)?;
        Ok(Self { shared: Arc::new(Shared { writer, readers, context }), followers: Followers::default() })
    }

    fn write<T: Send + 'static>(&self, act: impl Fn(&Tx<'_, '_>) -> Result<T, Fault> + Send + 'static) -> Later<'_, T> {
        Box::pin(self.shared.writer.run(act))
    }

    fn read<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Tx<'_, '_>) -> Result<T, Fault> + Send + 'static,
    ) -> Later<'_, T> {
        Box::pin(self.shared.readers.run(act))
    }

    /// Gives room back in bites, between which others have their turn.
    async fn give_back(&self) -> Result<(), StoreError> {
        for _ in 0..BITES {
            if !self.shared.writer.run(sweep::give_back).await? {
                break;
            }
        }
        self.shared.readers.run(sweep::write_back).await
    }
}

impl std::fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sqlite").field("place", &self.shared.context.place).finish_non_exhaustive()
    }
}

impl Store for Sqlite {
    fn now(&self) -> Later<'_, Millis> {
        Box::pin(std::future::ready(Ok(self.shared.context.clock.now())))
    }

    fn create(&self, task: NewTask) -> Later<'_, Created> {
        self.write(move |tx| tasks::create(tx, &task))
    }

    fn task(&self, id: TaskId, owner: Option<Owner>) -> Later<'_, Option<Task>> {
        self.read(move |tx| tasks::task(tx, &id, owner.as_ref()))
    }

    fn answer(&self, id: TaskId, owner: Option<Owner>, answers: Vec<(String, String)>) -> Later<'_, Answered> {
        self.write(move |tx| tasks::answer(tx, &id, owner.as_ref(), &answers))
    }

    fn cancel(&self, id: TaskId, owner: Option<Owner>, message: Option<String>) -> Later<'_, Option<TaskStatus>> {
        self.write(move |tx| tasks::cancel(tx, &id, owner.as_ref(), message.as_deref()))
    }

    fn claim(&self, claim: Claim) -> Later<'_, Claims> {
        self.write(move |tx| claims::claim(tx, &claim))
    }

    fn renew(&self, leases: Vec<Lease>, lease: Duration) -> Later<'_, Vec<Fenced>> {
        self.write(move |tx| work::renew(tx, &leases, lease))
    }

    fn record(&self, lease: Lease, step: Step) -> Later<'_, Fenced> {
        self.write(move |tx| work::record(tx, &lease, &step))
    }

    fn say(&self, lease: Lease, message: String) -> Later<'_, Fenced> {
        self.write(move |tx| work::say(tx, &lease, &message))
    }

    fn park(&self, lease: Lease, questions: Vec<Question>) -> Later<'_, Fenced> {
        self.write(move |tx| work::park(tx, &lease, &questions))
    }

    fn finish(&self, lease: Lease, end: End) -> Later<'_, Fenced> {
        self.write(move |tx| work::finish(tx, &lease, &end))
    }

    fn hand_back(&self, lease: Lease, back: HandBack) -> Later<'_, Fenced> {
        self.write(move |tx| work::hand_back(tx, &lease, &back))
    }

    fn woken(&self) -> watch::Receiver<u64> {
        self.shared.writer.listen()
    }

    fn publish(&self, events: Vec<String>) -> Later<'_, ()> {
        self.write(move |tx| events::publish(tx, &events))
    }

    fn follow(&self) -> Later<'_, Box<dyn Follower>> {
        Box::pin(self.followers.add(self.shared.writer.listen(), events::listen(&self.shared)))
    }

    fn put(&self, value: NewValue) -> Later<'_, bool> {
        self.write(move |tx| values::put(tx, &value))
    }

    fn value(&self, id: ValueId) -> Later<'_, Option<Value>> {
        Box::pin(async move {
            let wanted = id.clone();
            match self.shared.readers.run(move |tx| values::value(tx, &wanted)).await? {
                Some(value) if value.slides => self.shared.writer.run(move |tx| values::look(tx, &id)).await,
                found => Ok(found.map(|found| found.value)),
            }
        })
    }

    fn replace(&self, id: ValueId, version: u64, text: String) -> Later<'_, Replaced> {
        self.write(move |tx| values::replace(tx, &id, version, &text))
    }

    fn remove(&self, id: ValueId) -> Later<'_, bool> {
        self.write(move |tx| values::remove(tx, &id))
    }

    fn mark(&self, digest: [u8; 32], keep: Duration) -> Later<'_, bool> {
        self.write(move |tx| marks::mark(tx, digest, keep))
    }

    fn status(&self) -> Later<'_, StoreStatus> {
        let place = self.shared.context.place.to_string();
        self.read(move |tx| report::status(tx, place))
    }

    fn tasks(&self, query: TaskQuery) -> Later<'_, Vec<TaskRow>> {
        self.read(move |tx| report::tasks(tx, &query))
    }

    fn report(&self, id: TaskId) -> Later<'_, Option<TaskReport>> {
        self.read(move |tx| report::report(tx, &id))
    }

    fn retry(&self, id: TaskId) -> Later<'_, Option<TaskStatus>> {
        self.write(move |tx| tasks::retry(tx, &id))
    }

    fn sweep(&self, most: usize) -> Later<'_, Swept> {
        self.write(move |tx| sweep::sweep(tx, most))
    }

    fn compact(&self) -> Later<'_, ()> {
        Box::pin(self.give_back())
    }
}
