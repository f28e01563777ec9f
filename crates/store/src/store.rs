//! What every store does.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use anypod_proto::tasks::TaskStatus;
use tokio::sync::watch;

use crate::error::StoreError;
use crate::event::Follower;
use crate::report::{StoreStatus, Swept, TaskQuery, TaskReport, TaskRow};
use crate::task::{Answered, Created, NewTask, Owner, Task, TaskId};
use crate::time::Millis;
use crate::value::{NewValue, Replaced, Value, ValueId};
use crate::work::{Claim, Claims, End, Fenced, HandBack, Lease, Step};

/// What a store gives once it is there.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// What a fleet remembers. Every pod has it open; what one has written, all others see when it is told so.
///
/// Each method does all of what it says or, on an error, nothing, and what it has done outlasts the process. Dropping a
/// future leaves open which of the two it was.
///
/// A task goes through these phases, see [`Phase`](crate::Phase):
///
/// ```text
/// create ─► queued ─claim─► leased ─finish─► ended ─► deleted when its time is over
///              ▲              │ │
///              │   hand_back, │ │ park
///              ├── or nobody ─┘ ▼
///              └──── answer ─ parked         cancel ends it in every phase but the last
/// ```
pub trait Store: Send + Sync + 'static {
    /// The time by the store's clock.
    fn now(&self) -> Later<'_, Millis>;

    // Tasks, for those who create them.

    /// Creates a task that works. When this is done, [`Store::task`] on every pod knows it.
    ///
    /// A task of that id which is already there is given as it is, without a lease: the same creation may be sent again.
    ///
    /// # Errors
    /// As every method. That there is no room is no error, see [`Created::Full`].
    fn create(&self, task: NewTask) -> Later<'_, Created>;

    /// A task as it is now. With an owner, only if it is that one's; without, whosever it is.
    fn task(&self, id: TaskId, owner: Option<Owner>) -> Later<'_, Option<Task>>;

    /// Stores answers, by the keys of the questions. Those to what was not asked, or was answered before, are dropped. Once
    /// nothing is open any more, the task works again and waits for a worker.
    fn answer(&self, id: TaskId, owner: Option<Owner>, answers: Vec<(String, String)>) -> Later<'_, Answered>;

    /// Ends a task as cancelled, unless it has ended, and takes it from its worker. Gives the status that it had before;
    /// `None` if there is no such task.
    fn cancel(&self, id: TaskId, owner: Option<Owner>, message: Option<String>) -> Later<'_, Option<TaskStatus>>;

    // Tasks, for workers.

    /// Takes up tasks that wait for a worker, and those whose worker was not heard of again. Whose tasks, and of which tool,
    /// takes turns: who has a thousand waiting does not keep out who has one.
    ///
    /// What has expired before it has ended is taken up too, in order to be ended.
    fn claim(&self, claim: Claim) -> Later<'_, Claims>;

    /// Prolongs leases, from now on. Says of each, in the same order, whether it is still good; one that has run out is, as long as
    /// nobody has taken the task up.
    fn renew(&self, leases: Vec<Lease>, lease: Duration) -> Later<'_, Vec<Fenced>>;

    /// Records that a step has run and what it gave. Of a key that is there already, what was recorded first stays.
    fn record(&self, lease: Lease, step: Step) -> Later<'_, Fenced>;

    /// Changes what the task is doing, for people.
    fn say(&self, lease: Lease, message: String) -> Later<'_, Fenced>;

    /// Asks these questions, and gives the task away until all are answered. Of a key that was asked before, the first request
    /// stays; if it was answered, so does the answer. If nothing is open then, the task waits for a worker at once.
    fn park(&self, lease: Lease, questions: Vec<crate::Question>) -> Later<'_, Fenced>;

    /// Ends the task.
    fn finish(&self, lease: Lease, end: End) -> Later<'_, Fenced>;

    /// Gives the task away, to be taken up again after a pause.
    fn hand_back(&self, lease: Lease, back: HandBack) -> Later<'_, Fenced>;

    /// Changes its value whenever there may be something to claim that was not there before, and something for followers.
    fn woken(&self) -> watch::Receiver<u64>;

    /// Whether other processes have the same store, or may have.
    fn is_shared(&self) -> bool {
        true
    }

    // Events.

    /// Tells the followers on every pod.
    fn publish(&self, events: Vec<String>) -> Later<'_, ()>;

    /// Hears of everything that is written from now on.
    fn follow(&self) -> Later<'_, Box<dyn Follower>>;

    // Values.

    /// Stores a value. Gives `false` if the owner has too many; one of that id is replaced.
    fn put(&self, value: NewValue) -> Later<'_, bool>;

    /// A value, if it is there and its time is not over. A look at one that slides begins its time anew.
    fn value(&self, id: ValueId) -> Later<'_, Option<Value>>;

    /// Changes a value that still has this version.
    fn replace(&self, id: ValueId, version: u64, text: String) -> Later<'_, Replaced>;

    /// Deletes a value. Gives whether it was there.
    fn remove(&self, id: ValueId) -> Later<'_, bool>;

    // Marks.

    /// Marks a digest as used, and remembers that for so long. Gives whether this was the first time.
    fn mark(&self, digest: [u8; 32], keep: Duration) -> Later<'_, bool>;

    // For those who look after it.

    /// How the store is.
    fn status(&self) -> Later<'_, StoreStatus>;

    /// Tasks, the youngest first.
    fn tasks(&self, query: TaskQuery) -> Later<'_, Vec<TaskRow>>;

    /// One task and its journal.
    fn report(&self, id: TaskId) -> Later<'_, Option<TaskReport>>;

    /// Lets a task that has not ended begin again from its journal, now: ends its pause, or takes it from its worker, and counts
    /// its deaths and failures anew. Gives its status before; what has ended, or waits for answers, stays as it is.
    fn retry(&self, id: TaskId) -> Later<'_, Option<TaskStatus>>;

    /// Deletes what is over, at most so many of each, so that nobody waits for long.
    fn sweep(&self, most: usize) -> Later<'_, Swept>;

    /// Gives room back to the disk, as far as it costs nobody much.
    fn compact(&self) -> Later<'_, ()>;
}
