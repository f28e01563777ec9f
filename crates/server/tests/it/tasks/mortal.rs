//! A pod that dies at any of its writes: just before the store has it, or just after, before the pod hears of it.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::Mutex;

use anypod_server::store::Later;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::*;
use crate::support::store::{Before, Behind};

/// When a pod dies, of the write at which it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    Before,
    After,
}

/// How long a pod lives that dies at one of its writes. From then on, nothing that it asks of the store is answered.
struct Life {
    moment: Moment,
    /// Writes until then; none once it is dead.
    left: Mutex<Option<usize>>,
    died: Notify,
}

impl Life {
    fn of(writes: usize, moment: Moment) -> Self {
        Self { moment, left: Mutex::new(Some(writes)), died: Notify::new() }
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
}

impl Before for Life {
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
    let store = Arc::new(Behind { before: Life::of(writes, moment), store: Arc::clone(&fleet.store) });
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
