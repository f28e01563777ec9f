//! What carries changes and used tokens between pods that share a store.

use anypod_server::Event;
use anypod_server::proto::tasks::TaskStatus;

use super::*;

#[tokio::test(start_paused = true)]
async fn changes_reach_listeners_on_other_pods() {
    let fleet = Fleet::new();
    let (one, other) = (fleet.pod(), fleet.pod());
    // Both have begun to follow the store.
    sleep(Duration::from_secs(1)).await;
    let listen = modern("subscriptions/listen", json!({ "notifications": { "toolsListChanged": true } }));
    let mut stream = listen.open(&other.server).await;
    stream.next().await.expect("the acknowledgement");
    one.server.announce(Event::ToolsChanged).await;
    let message = stream.next().await.expect("a notification");
    assert_eq!(message["method"], "notifications/tools/list_changed");
}

#[tokio::test(start_paused = true)]
async fn a_state_that_works_once_works_once_on_all_pods() {
    let fleet = Fleet::new();
    let once = || {
        vec![
            Tool::new("once", async |cx: Cx| -> Result<String> {
                cx.ask("who", form::<Name>("Who are you?")).await?;
                Ok("paid".to_owned())
            })
            .single_use(),
        ]
    };
    let (one, other) = (fleet.pod_with(once(), |tasks| tasks), fleet.pod_with(once(), |tasks| tasks));
    let round = declared(call("once", json!({}))).send(&one.server).await;
    let again = declared(call("once", json!({}))).resume(&round, json!({ "who": named("Ann") }));
    assert_eq!(again.send(&other.server).await.text(), "paid");
    again.send(&one.server).await.assert_refused(400, -32602);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_is_said_before_anything_is_created() {
    let options = anypod_server::store::Options { queue: 2, ..Default::default() };
    let start = tokio::time::Instant::now();
    let clock = move || {
        let elapsed = u64::try_from(start.elapsed().as_millis()).expect("not so long");
        anypod_server::store::Millis(1_700_000_000_000 + elapsed)
    };
    let fleet = Fleet { store: Arc::new(Memory::with(options, clock)), ..Fleet::new() };
    let pod = fleet.pod_with(tools(), |tasks| tasks.workers(0));
    begin(&pod, "slow").await;
    begin(&pod, "slow").await;
    let refused = declared(call("slow", json!({}))).send(&pod.server).await;
    assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (503, Some("5")), "{}", refused.response());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_work_hears_of_its_own_changes() {
    let server = Server::new("idle", "1.0.0").store(Arc::new(Memory::default())).tool(Tool::new("t", async || "x"));
    let server = server.build().expect("it builds");
    let listen = modern("subscriptions/listen", json!({ "notifications": { "toolsListChanged": true } }));
    let mut stream = listen.open(&server).await;
    stream.next().await.expect("the acknowledgement");
    server.announce(Event::ToolsChanged).await;
    let message = stream.next().await.expect("a notification");
    assert_eq!(message["method"], "notifications/tools/list_changed");
}

#[tokio::test(start_paused = true)]
async fn who_creates_keeps_no_worker_from_what_waits() {
    let fleet = Fleet::new();
    let pods = [fleet.pod_with(tools(), |tasks| tasks.workers(1)), fleet.pod_with(tools(), |tasks| tasks.workers(1))];
    let mut creators = JoinSet::new();
    for number in 0..64 {
        let server = pods[number % 2].server.clone();
        creators.spawn(async move {
            for _ in 0..8 {
                let created = declared(call("only", json!({}))).send(&server).await;
                assert_eq!(created.result()["resultType"], "task");
            }
        });
    }
    creators.join_all().await;
    sleep(Duration::from_secs(60)).await;
    let statuses = fleet.store.status().await.expect("it is there").statuses;
    let left = |(status, tasks): (TaskStatus, u64)| (tasks > 0).then_some((status, tasks));
    assert_eq!(statuses.into_iter().filter_map(left).collect::<Vec<_>>(), [(TaskStatus::Completed, 512)]);
}
