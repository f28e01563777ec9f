//! Pods that die, leave, and are replaced by other releases.

use super::*;
use crate::handles::distant::Distant;

#[tokio::test(start_paused = true)]
async fn another_pod_takes_up_the_task_of_one_that_died() {
    let fleet = Fleet::new();
    let (dies, other) = (fleet.pod(), fleet.pod());
    let id = begin(&dies, "slow").await;
    while fleet.effects() == 0 {
        sleep(Duration::from_millis(10)).await;
    }
    drop(dies);
    let task = until(&other, &id, "completed").await;
    assert_eq!(task["result"]["content"][0]["text"], "done");
    // The first step had been recorded.
    assert_eq!(fleet.effects(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_leaves_gives_its_tasks_away_at_once() {
    let fleet = Fleet::new();
    let (leaves, other) = (fleet.pod(), fleet.pod());
    let id = begin(&leaves, "slow").await;
    while fleet.effects() == 0 {
        sleep(Duration::from_millis(10)).await;
    }
    let begun = tokio::time::Instant::now();
    leaves.server.drain().await;
    until(&other, &id, "completed").await;
    assert!(begun.elapsed() < Duration::from_secs(7), "{:?}", begun.elapsed());
    assert_eq!(fleet.effects(), 2);
}

/// One step that takes longer than a lease, and than a store is away.
async fn long(State(count): Count, cx: Cx) -> Result<String> {
    let work = async || {
        effect(&count).await?;
        sleep(Duration::from_secs(40)).await;
        Ok::<_, Error>("done".to_owned())
    };
    cx.step("work", work).await
}

#[tokio::test(start_paused = true)]
async fn pods_that_are_well_keep_their_tasks_when_the_store_was_away_for_longer_than_their_leases() {
    let (fleet, store) = (Fleet::new(), Arc::<Distant>::default());
    let tool = || vec![Tool::new("long", long).task(AsTask::always())];
    let pod = || fleet.pod_on(Arc::clone(&store) as Arc<dyn Store>, tool(), |tasks| tasks);
    let (one, other) = (pod(), pod());
    let mut ids = Vec::new();
    for pod in [&one, &other, &one, &other] {
        ids.push(begin(pod, "long").await);
        // Neither pod is in step with the other.
        sleep(Duration::from_millis(700)).await;
    }
    store.away.store(true, Ordering::Relaxed);
    sleep(Duration::from_secs(25)).await;
    store.away.store(false, Ordering::Relaxed);
    for id in &ids {
        until(&one, id, "completed").await;
    }
    assert_eq!(fleet.effects(), 4);
    // Those of a pod that died meanwhile are taken up as ever.
    let id = begin(&other, "long").await;
    sleep(Duration::from_secs(1)).await;
    store.away.store(true, Ordering::Relaxed);
    drop(other);
    sleep(Duration::from_secs(25)).await;
    store.away.store(false, Ordering::Relaxed);
    until(&one, &id, "completed").await;
    assert_eq!(fleet.effects(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_kills_its_pods_has_failed() {
    let fleet = Fleet::new();
    let stuck = || vec![Tool::new("stuck", async || -> String { std::future::pending().await }).task(AsTask::always())];
    let first = fleet.pod_with(stuck(), |tasks| tasks);
    let id = begin(&first, "stuck").await;
    sleep(Duration::from_secs(1)).await;
    drop(first);
    for _ in 0..2 {
        let pod = fleet.pod_with(stuck(), |tasks| tasks);
        sleep(Duration::from_secs(15)).await;
        assert_eq!(get(&pod, &id).await["status"], "working");
    }
    let pod = fleet.pod_with(stuck(), |tasks| tasks);
    let task = until(&pod, &id, "failed").await;
    assert_eq!(task["error"]["message"], "3 pods in a row died while they ran the task");
}

#[tokio::test(start_paused = true)]
async fn a_task_that_has_expired_has_failed_and_is_gone_later() {
    let fleet = Fleet::new();
    let tool = Tool::new("asks", asks).task(AsTask::always().ttl(Some(Duration::from_secs(20))));
    let pod = fleet.pod_with(vec![tool], |tasks| tasks.keep(Duration::from_secs(30)));
    let id = begin(&pod, "asks").await;
    assert_eq!(until(&pod, &id, "input_required").await["ttlMs"], 20_000);
    let task = until(&pod, &id, "failed").await;
    assert!(task["error"]["message"].as_str().expect("text").contains("expired"), "{task}");
    sleep(Duration::from_secs(120)).await;
    about("tasks/get", &id).send(&pod.server).await.assert_refused(200, -32602);
}

#[tokio::test(start_paused = true)]
async fn no_more_tasks_run_at_once_than_there_are_places() {
    let fleet = Fleet::new();
    let pod = fleet.pod_with(tools(), |tasks| tasks.workers(2));
    let mut ids = Vec::new();
    for _ in 0..6 {
        ids.push(begin(&pod, "slow").await);
    }
    sleep(Duration::from_secs(1)).await;
    assert_eq!(fleet.effects(), 2);
    for id in &ids {
        until(&pod, id, "completed").await;
    }
    assert_eq!(fleet.effects(), 12);
}

#[tokio::test(start_paused = true)]
async fn creators_and_workers_that_race_for_a_place_leave_nobody_waiting() {
    let fleet = Fleet::new();
    let pod = fleet.pod_with(tools(), |tasks| tasks.workers(1));
    for _ in 0..40 {
        let (one, two, three) = tokio::join!(begin(&pod, "cannot"), begin(&pod, "only"), begin(&pod, "cannot"));
        let four = begin(&pod, "only").await;
        for id in [one, two, three, four] {
            until(&pod, &id, "completed").await;
        }
    }
}

/// Runs `old` until it asks, then has `new` take the task up.
async fn upgraded(old: Tool, new: Tool) -> Value {
    let fleet = Fleet::new();
    let before = fleet.pod_with(vec![old], |tasks| tasks);
    let id = begin(&before, "t").await;
    until(&before, &id, "input_required").await;
    drop(before);
    let after = fleet.pod_with(vec![new], |tasks| tasks);
    update(&after, &id, json!({ "who": named("Ann") })).await.result();
    for _ in 0..3000 {
        let task = get(&after, &id).await;
        if task["status"] == "failed" || task["status"] == "completed" {
            return task;
        }
        sleep(Duration::from_millis(50)).await;
    }
    panic!("it does not end: {}", get(&after, &id).await);
}

async fn pays(State(count): Count, cx: Cx) -> Result<String> {
    cx.step("pay", || effect(&count)).await?;
    cx.ask("who", form::<Name>("Who are you?")).await?;
    Ok("old".to_owned())
}

#[tokio::test(start_paused = true)]
async fn a_step_of_another_name_does_not_run_in_place_of_what_is_recorded() {
    let renamed = async |State(count): Count, cx: Cx| -> Result<String> {
        cx.step("pay2", async || {
            count.fetch_add(100, Ordering::Relaxed);
            Ok::<_, Error>(())
        })
        .await?;
        cx.ask("who", form::<Name>("Who are you?")).await?;
        Ok(count.load(Ordering::Relaxed).to_string())
    };
    let task =
        upgraded(Tool::new("t", pays).task(AsTask::always()), Tool::new("t", renamed).task(AsTask::always())).await;
    let message = task["error"]["message"].as_str().expect("text");
    assert!(message.contains("`pay2`") && message.contains("`pay`"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_changes_keeps_its_older_versions() {
    let versioned = async |State(count): Count, cx: Cx| -> Result<String> {
        let version = cx.version("insurance", 1..=2).await?;
        if version >= 2 {
            cx.step("insure", || effect(&count)).await?;
        }
        cx.step("pay", || effect(&count)).await?;
        cx.ask("who", form::<Name>("Who are you?")).await?;
        Ok(format!("version {version}, {} effects", count.load(Ordering::Relaxed)))
    };
    let as_task = || AsTask::always();
    let old = upgraded(Tool::new("t", pays).task(as_task()), Tool::new("t", versioned).task(as_task())).await;
    assert_eq!(old["result"]["content"][0]["text"], "version 1, 1 effects");
    let new = upgraded(Tool::new("t", versioned).task(as_task()), Tool::new("t", versioned).task(as_task())).await;
    assert_eq!(new["result"]["content"][0]["text"], "version 2, 2 effects");
}

#[tokio::test(start_paused = true)]
async fn the_key_of_a_step_is_the_same_in_every_run_and_of_no_other() {
    let keys = async |cx: Cx| -> Result<String> {
        let before = cx.step_key("pay");
        cx.ask("who", form::<Name>("Who are you?")).await?;
        let (again, other) = (cx.step_key("pay"), cx.step_key("refund"));
        Ok(format!("{} {} {}", before == again, before != other, before.len()))
    };
    let tool = || Tool::new("t", keys).task(AsTask::always());
    let task = upgraded(tool(), tool()).await;
    assert_eq!(task["result"]["content"][0]["text"], "true true 32");
}
