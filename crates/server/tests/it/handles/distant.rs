//! A store that is somewhere else: others get a turn before it answers, and it can be away or busy.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anypod_server::proto::tasks::TaskStatus;
use anypod_server::store::{
    Answered, Claim, Claims, Created, End, Fenced, Follower, HandBack, Later, Lease, Memory, Millis, NewTask, NewValue,
    Owner, Question, Replaced, Step, Store, StoreError, StoreStatus, Swept, Task, TaskId, TaskQuery, TaskReport,
    TaskRow, Value, ValueId,
};
use tokio::sync::watch;
use tokio::task::yield_now;

#[derive(Default)]
pub(crate) struct Distant {
    memory: Memory,
    /// It cannot be reached.
    pub(crate) away: AtomicBool,
    /// Somebody gets ahead of every change.
    pub(super) busy: AtomicBool,
    /// How many changes came too late.
    pub(super) late: AtomicU64,
}

impl Distant {
    async fn reach(&self) -> Result<(), StoreError> {
        yield_now().await;
        match self.away.load(Ordering::Relaxed) {
            true => Err(StoreError::Unavailable("the cable is cut".to_owned())),
            false => Ok(()),
        }
    }
}

macro_rules! pass_on {
    ($($name:ident($($argument:ident: $of:ty),*) -> $gives:ty;)*) => {
        $(fn $name(&self, $($argument: $of),*) -> Later<'_, $gives> {
            Box::pin(async move {
                self.reach().await?;
                self.memory.$name($($argument),*).await
            })
        })*
    };
}

impl Store for Distant {
    fn replace(&self, id: ValueId, version: u64, text: String) -> Later<'_, Replaced> {
        Box::pin(async move {
            self.reach().await?;
            let replaced = match self.busy.load(Ordering::Relaxed) {
                true => Replaced::Changed,
                false => self.memory.replace(id, version, text).await?,
            };
            self.late.fetch_add(u64::from(replaced == Replaced::Changed), Ordering::Relaxed);
            Ok(replaced)
        })
    }

    fn woken(&self) -> watch::Receiver<u64> {
        self.memory.woken()
    }

    pass_on! {
        now() -> Millis;
        create(task: NewTask) -> Created;
        task(id: TaskId, owner: Option<Owner>) -> Option<Task>;
        answer(id: TaskId, owner: Option<Owner>, answers: Vec<(String, String)>) -> Answered;
        cancel(id: TaskId, owner: Option<Owner>, message: Option<String>) -> Option<TaskStatus>;
        claim(claim: Claim) -> Claims;
        renew(leases: Vec<Lease>, lease: Duration) -> Vec<Fenced>;
        record(lease: Lease, step: Step) -> Fenced;
        say(lease: Lease, message: String) -> Fenced;
        park(lease: Lease, questions: Vec<Question>) -> Fenced;
        finish(lease: Lease, end: End) -> Fenced;
        hand_back(lease: Lease, back: HandBack) -> Fenced;
        publish(events: Vec<String>) -> ();
        follow() -> Box<dyn Follower>;
        put(value: NewValue) -> bool;
        value(id: ValueId) -> Option<Value>;
        remove(id: ValueId) -> bool;
        mark(digest: [u8; 32], keep: Duration) -> bool;
        status() -> StoreStatus;
        tasks(query: TaskQuery) -> Vec<TaskRow>;
        report(id: TaskId) -> Option<TaskReport>;
        retry(id: TaskId) -> Option<TaskStatus>;
        sweep(most: usize) -> Swept;
        compact() -> ();
    }
}
