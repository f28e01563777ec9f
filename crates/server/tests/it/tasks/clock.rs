//! A store whose clock is set while tasks run.

use std::sync::atomic::AtomicI64;

use anypod_server::proto::tasks::TaskStatus;
use anypod_server::store::{Millis, Options, TaskId};
use tokio::time::Instant;

use super::*;

/// By how much the clock is wrong, in ms.
type Offset = Arc<AtomicI64>;

/// Pods over a store with a clock that can be set.
fn fleet() -> (Fleet, Offset) {
    let (start, offset) = (Instant::now(), Offset::default());
    let set = Arc::clone(&offset);
    let clock = move || {
        let elapsed = i64::try_from(start.elapsed().as_millis()).expect("not so long");
        Millis((1_700_000_000_000 + elapsed + set.load(Ordering::Relaxed)).try_into().expect("not so far back"))
    };
    (Fleet { store: Arc::new(Memory::with(Options::default(), clock)), ..Fleet::new() }, offset)
}

/// Waits until the task has its result. Gives how long that took.
async fn done(pod: &Pod, id: &str) -> Duration {
    let since = Instant::now();
    loop {
        let task = get(pod, id).await;
        match task["status"].as_str() {
            Some("working") if since.elapsed() > Duration::from_secs(900) => panic!("{task}"),
            Some("working") => sleep(Duration::from_secs(1)).await,
            _ => {
                assert_eq!(task["result"]["content"][0]["text"], "done", "{task}");
                return since.elapsed();
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_forward_gives_tasks_to_others_and_does_no_recorded_step_again() {
    let (fleet, offset) = fleet();
    let (one, other) = (fleet.pod(), fleet.pod());
    // Both have begun to work, so that each runs what it creates.
    sleep(Duration::from_secs(1)).await;
    let id = begin(&one, "slow").await;
    sleep(Duration::from_millis(1_500)).await;
    offset.fetch_add(600_000, Ordering::Relaxed);
    // Whoever looks for tasks finds that all leases are over.
    begin(&fleet.pod_with(tools(), |tasks| tasks.workers(0)), "only").await;
    done(&other, &id).await;
    let report = fleet.store.report(TaskId::parse(&id).expect("an id")).await.expect("it is there").expect("a task");
    assert_eq!((report.task.attempts, report.task.status), (2, TaskStatus::Completed));
    assert_eq!(fleet.effects(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_takes_up_a_task_that_it_runs_goes_on_with_one_run() {
    let (fleet, offset) = fleet();
    let pod = fleet.pod();
    let id = begin(&pod, "slow").await;
    sleep(Duration::from_millis(1_500)).await;
    offset.fetch_add(600_000, Ordering::Relaxed);
    begin(&fleet.pod_with(tools(), |tasks| tasks.workers(0)), "only").await;
    // The run before is over at once, and not where it would do its next step.
    assert!(done(&pod, &id).await < Duration::from_secs(7));
    let report = fleet.store.report(TaskId::parse(&id).expect("an id")).await.expect("it is there").expect("a task");
    assert_eq!((report.task.attempts, fleet.effects()), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_back_makes_only_those_wait_whose_pod_dies() {
    let (fleet, offset) = fleet();
    let (one, other) = (fleet.pod(), fleet.pod());
    // Both have begun to work, so that each runs what it creates.
    sleep(Duration::from_secs(1)).await;
    let (stays, dies) = (begin(&other, "slow").await, begin(&one, "slow").await);
    sleep(Duration::from_millis(1_500)).await;
    offset.fetch_sub(600_000, Ordering::Relaxed);
    drop(one);
    let took = done(&other, &stays).await;
    assert!(took < Duration::from_secs(10), "{took:?}");
    // By the clock, the lease of the pod that died is not over yet. Who looks after the fleet need not wait for that.
    sleep(Duration::from_secs(60)).await;
    assert_eq!(get(&other, &dies).await["status"], "working");
    fleet.store.retry(TaskId::parse(&dies).expect("an id")).await.expect("it is there");
    assert!(done(&other, &dies).await < Duration::from_secs(10));
    assert_eq!(fleet.effects(), 4);
}
