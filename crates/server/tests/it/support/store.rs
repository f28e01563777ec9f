//! Stores that stand before one in memory, and let through what they will.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use anypod_server::proto::tasks::TaskStatus;
use anypod_server::store::{
    Answered, Claim, Claims, Created, End, Fenced, Follower, HandBack, Later, Lease, Memory, Millis, NewTask, NewValue,
    Owner, Question, Replaced, Step, Store, StoreStatus, Swept, Task, TaskId, TaskQuery, TaskReport, TaskRow, Value,
    ValueId,
};
use tokio::sync::watch;

/// What comes before the operations of a store.
pub(crate) trait Before: Send + Sync + 'static {
    /// Before one that changes nothing.
    fn read<'a, T: Send + 'a>(&'a self, act: Later<'a, T>) -> Later<'a, T>;

    /// Before one that changes something.
    fn write<'a, T: Send + 'a>(&'a self, act: Later<'a, T>) -> Later<'a, T>;

    /// Before a change of a value.
    fn replace<'a>(&'a self, act: Later<'a, Replaced>) -> Later<'a, Replaced> {
        self.write(act)
    }
}

/// The store behind that.
#[derive(Default)]
pub(crate) struct Behind<B> {
    pub(crate) before: B,
    pub(crate) store: Arc<Memory>,
}

impl<B> Deref for Behind<B> {
    type Target = B;

    fn deref(&self) -> &B {
        &self.before
    }
}

macro_rules! hand_on {
    ($($how:ident $name:ident($($argument:ident: $of:ty),*) -> $gives:ty;)*) => {
        $(fn $name(&self, $($argument: $of),*) -> Later<'_, $gives> {
            self.before.$how(self.store.$name($($argument),*))
        })*
    };
}

impl<B: Before> Store for Behind<B> {
    hand_on! {
        read now() -> Millis;
        write create(task: NewTask) -> Created;
        read task(id: TaskId, owner: Option<Owner>) -> Option<Task>;
        write answer(id: TaskId, owner: Option<Owner>, answers: Vec<(String, String)>) -> Answered;
        write cancel(id: TaskId, owner: Option<Owner>, message: Option<String>) -> Option<TaskStatus>;
        write claim(claim: Claim) -> Claims;
        write renew(leases: Vec<Lease>, lease: Duration) -> Vec<Fenced>;
        write record(lease: Lease, step: Step) -> Fenced;
        write say(lease: Lease, message: String) -> Fenced;
        write park(lease: Lease, questions: Vec<Question>) -> Fenced;
        write finish(lease: Lease, end: End) -> Fenced;
        write hand_back(lease: Lease, back: HandBack) -> Fenced;
        write publish(events: Vec<String>) -> ();
        read follow() -> Box<dyn Follower>;
        write put(value: NewValue) -> bool;
        read value(id: ValueId) -> Option<Value>;
        replace replace(id: ValueId, version: u64, text: String) -> Replaced;
        write remove(id: ValueId) -> bool;
        write mark(digest: [u8; 32], keep: Duration) -> bool;
        read status() -> StoreStatus;
        read tasks(query: TaskQuery) -> Vec<TaskRow>;
        read report(id: TaskId) -> Option<TaskReport>;
        write retry(id: TaskId) -> Option<TaskStatus>;
        write sweep(most: usize) -> Swept;
        write compact() -> ();
    }

    fn woken(&self) -> watch::Receiver<u64> {
        self.store.woken()
    }
}
