//! A pod that dies at any of its writes: just before the store has it, or just after, before the pod hears of it.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::Mutex;

use anypod_server::proto::tasks::TaskStatus;
use anypod_server::store::{
    Answered, Claim, Claims, Created, End, Fenced, Follower, HandBack, Later, Lease, Millis, NewTask, NewValue, Owner,
    Question, Replaced, Step, Store, StoreStatus, Swept, Task, TaskId, TaskQuery, TaskReport, TaskRow, Value as Kept,
    ValueId,
};
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use super::*;

/// When a pod dies, of the write at which it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    Before,
    After,
}

/// The store as a pod has it that dies at one of its writes. From then on, nothing that it asks is answered.
struct Mortal {
    store: Arc<Memory>,
    moment: Moment,
    /// Writes until then; none once it is dead.
    left: Mutex<Option<usize>>,
    died: Notify,
}

impl Mortal {
    fn new(store: &Arc<Memory>, writes: usize, moment: Moment) -> Arc<Self> {
        Arc::new(Self { store: Arc::clone(store), moment, left: Mutex::new(Some(writes)), died: Notify::new() })
    }

    /// Whether the next write is the last; none if there is no next one.
    fn next(&self) -> Option<bool> {
        let mut left = self.left.lock().expect("nobody panics with it");
        let is_last = (*left)? == 0;
        *left = left.and_then(|left| left.checked_sub(1));
        Some(is_last)
    }

    async fn dies<T>(&self) -> T {
        self.died.notify_one();
        pending().await
    }

    fn write<'a, T: Send + 'a>(&'a self, act: Later<'a, T>) -> Later<'a, T> {
        Box::pin(async move {
            match (self.next(), self.moment) {
                (Some(false), _) => act.await,
                (Some(true), Moment::Before) => self.dies().await,
                (Some(true), Moment::After) => {
                    let _ = act.await;
                    self.dies().await
                }
                (None, _) => pending().await,
            }
        })
    }

    fn read<'a, T: Send + 'a>(&'a self, act: Later<'a, T>) -> Later<'a, T> {
        Box::pin(async move {
            let lives = self.left.lock().expect("nobody panics with it").is_some();
            if lives { act.await } else { pending().await }
        })
    }
}

/// Hands methods on: those that change something may be the last.
macro_rules! hand_on {
    ($($how:ident $name:ident($($argument:ident: $of:ty),*) -> $gives:ty;)*) => {
        $(fn $name(&self, $($argument: $of),*) -> Later<'_, $gives> {
            self.$how(self.store.$name($($argument),*))
        })*
    };
}

impl Store for Mortal {
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
        read value(id: ValueId) -> Option<Kept>;
        write replace(id: ValueId, version: u64, text: String) -> Replaced;
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

/// Waits until the task says so, by whichever pod is there.
async fn until(pod: &Pod, id: &str, status: &str) -> Value {
    timeout(Duration::from_secs(300), async {
        loop {
            let task = get(pod, id).await;
            if task["status"] == status {
                return task;
            }
            assert!(
                !["failed", "cancelled", "completed"].contains(&task["status"].as_str().expect("a status")),
                "{task}"
            );
            sleep(Duration::from_secs(1)).await;
        }
    })
    .await
    .unwrap_or_else(|_| panic!("it never became {status}"))
}

/// One life of a task whose first worker dies at that write. Gives whether it did, and how often effects happened; nothing if it
/// died before its client knew of the task.
async fn life(writes: usize, moment: Moment) -> Option<(bool, u64)> {
    let fleet = Fleet::new();
    let store = Mortal::new(&fleet.store, writes, moment);
    let door = fleet.pod_with(tools(), |tasks| tasks.workers(0));
    let mut first = Some(fleet.pod_on(Arc::clone(&store) as Arc<dyn Store>, tools(), |tasks| tasks));
    // What the store has answered by then, the pod still says.
    let id = timeout(Duration::from_secs(1), begin(first.as_ref()?, "asks")).await.ok()?;
    let client = async {
        until(&door, &id, "input_required").await;
        update(&door, &id, json!({ "one": named("Ann"), "two": named("Bob") })).await;
        until(&door, &id, "completed").await
    };
    let mut client = std::pin::pin!(client);
    let (task, has_died) = tokio::select! {
        task = &mut client => (task, false),
        () = store.died.notified() => {
            first = None;
            let _second = fleet.pod();
            (client.await, true)
        }
    };
    drop(first);
    assert_eq!(task["result"]["content"][0]["text"], "Ann and Bob", "{writes} {moment:?}");
    Some((has_died, fleet.effects()))
}

#[tokio::test(start_paused = true)]
async fn a_task_comes_to_its_end_whichever_write_its_pod_dies_at() {
    for moment in [Moment::Before, Moment::After] {
        let mut effects = BTreeMap::<u64, usize>::new();
        let mut writes = 0;
        loop {
            match life(writes, moment).await {
                Some((false, happened)) => {
                    assert_eq!(happened, 2, "nobody died");
                    break;
                }
                Some((true, happened)) => *effects.entry(happened).or_default() += 1,
                None => {}
            }
            writes += 1;
        }
        // Two steps are done, and one is done again whose record was lost: never one that was recorded.
        match moment {
            Moment::Before => assert_eq!(effects.get(&3), Some(&2), "{effects:?}"),
            Moment::After => assert_eq!(effects.get(&3), None, "{effects:?}"),
        }
        let died: usize = effects.values().sum();
        assert!(died >= 6 && effects.keys().all(|happened| [2, 3].contains(happened)), "{effects:?}");
    }
}
