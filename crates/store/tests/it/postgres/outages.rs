//! The server, or the way to it, fails in the middle of work.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anypod_store::{
    Created, End, Event, Fenced, Follower, Heard, NewTask, Options, Owner, Postgres, Step, Store, StoreError, TaskId,
    TaskStatus,
};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::proxy::{Network, Proxy};
use super::{Schema, Server};

/// How long something may take that has to happen.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a request may take whatever happens, with deadlines of half a second: waiting for a connection, the deadline, the
/// grace, and a busy machine.
const AT_MOST: Duration = Duration::from_secs(10);

/// A pod whose connections go through a network that fails.
async fn behind(proxy: &Proxy, schema: &Schema) -> Arc<Postgres> {
    let url = schema.url().replacen(&schema.server.address(), &proxy.address.to_string(), 1);
    Arc::new(Postgres::open(&format!("{url}&deadline=500"), Options::default()).await.unwrap())
}

/// Asks until the store is there again.
async fn come_back(pod: &Postgres) {
    let back = async { while pod.now().await.is_err() || pod.publish(vec!["back".into()]).await.is_err() {} };
    timeout(PATIENCE, back).await.unwrap();
}

/// Hears until this text comes. What was heard is in `heard`.
async fn hear_until(follower: &mut dyn Follower, last: &str, heard: &mut Vec<Event>) {
    let hear = async {
        while !heard.contains(&Event::Told(last.to_owned())) {
            match follower.next().await {
                Ok(Heard { events, gap }) => {
                    assert!(!gap, "nothing was lost");
                    heard.extend(events);
                }
                Err(error) => assert!(matches!(error, StoreError::Unavailable(_)), "{error}"),
            }
        }
    };
    timeout(PATIENCE, hear).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_hangs_while_the_server_is_paused_and_all_goes_on_afterwards() {
    outage(Network::Still).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_hangs_while_the_server_is_gone_and_all_goes_on_afterwards() {
    outage(Network::Closed).await;
}

async fn outage(network: Network) {
    let Some(server) = Server::find() else { return };
    let schema = server.schema();
    let proxy = Proxy::to(server.address()).await;
    let (pod, other) = (behind(&proxy, &schema).await, schema.open(Options::default()).await);
    let mut follower = pod.follow().await.unwrap();
    let woken = pod.woken();
    proxy.be(network);
    for _ in 0..3 {
        let begin = Instant::now();
        let mut asked = JoinSet::new();
        for number in 0..20 {
            let pod = Arc::clone(&pod);
            asked.spawn(async move {
                match number % 4 {
                    0 => pod.now().await.map(drop),
                    1 => pod.publish(vec!["never".into()]).await,
                    2 => pod
                        .create(NewTask::new(TaskId::from_random([9; 16]), Owner::nobody(), "t", "{}"))
                        .await
                        .map(drop),
                    _ => pod.status().await.map(drop),
                }
            });
        }
        for result in asked.join_all().await {
            assert!(matches!(result, Err(StoreError::Unavailable(_))), "{result:?}");
        }
        assert!(begin.elapsed() < AT_MOST, "{:?}", begin.elapsed());
    }
    other.publish(vec!["meanwhile".into()]).await.unwrap();
    proxy.be(Network::Open);
    come_back(&pod).await;
    other.publish(vec!["afterwards".into()]).await.unwrap();
    let mut heard = Vec::new();
    hear_until(&mut *follower, "afterwards", &mut heard).await;
    assert!(heard.contains(&Event::Told("meanwhile".into())));
    assert!(woken.has_changed().unwrap(), "who waits for work has to look again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_waits_for_too_long_is_given_up() {
    let Some(server) = Server::find() else { return };
    let schema = server.schema();
    let url = format!("{}&deadline=300", schema.url());
    let pod = Postgres::open(&url, Options::default()).await.unwrap();
    let client = server.connect().await;
    let lock = format!("BEGIN; LOCK TABLE {}.task IN ACCESS EXCLUSIVE MODE", schema.name);
    client.batch_execute(&lock).await.unwrap();
    let id = TaskId::from_random([1; 16]);
    let refused = timeout(AT_MOST, pod.task(id.clone(), None)).await.unwrap();
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    client.batch_execute("COMMIT").await.unwrap();
    assert_eq!(pod.task(id, None).await.unwrap(), None);
}

/// What workers have seen.
#[derive(Default)]
struct Seen {
    told: watch::Sender<u64>,
    failed: AtomicU64,
    is_over: AtomicBool,
}

/// Creates and ends tasks, and publishes, until it is over. Gives what it was told that it has published.
async fn work(pod: Arc<Postgres>, seen: Arc<Seen>, worker: u8) -> Vec<String> {
    let mut told = Vec::new();
    for number in 0_u64.. {
        if seen.is_over.load(Ordering::Relaxed) {
            break;
        }
        let text = format!("{worker} {number}");
        match one_task(&pod, worker, number).await {
            Ok(()) => {}
            Err(error) => {
                assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
                seen.failed.fetch_add(1, Ordering::Relaxed);
            }
        }
        if pod.publish(vec![text.clone()]).await.is_ok() {
            seen.told.send_modify(|count| *count += 1);
            told.push(text);
        }
    }
    told
}

async fn one_task(pod: &Postgres, worker: u8, number: u64) -> Result<(), StoreError> {
    let mut bytes = [worker; 16];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    let id = TaskId::from_random(bytes);
    let mut new = NewTask::new(id.clone(), Owner::nobody(), "resize", "{}");
    new.lease = Some(("worker".into(), Duration::from_secs(600)));
    let Created::Made(made) = pod.create(new).await? else { panic!("there is room") };
    let lease = made.lease.expect("nothing else waits");
    let step = Step { key: "a".into(), result: "1".into() };
    assert_eq!(pod.record(lease.clone(), step).await?, Fenced::Written);
    assert_eq!(pod.finish(lease, End::new(TaskStatus::Completed, "{}")).await?, Fenced::Written);
    // What was said to be done is done, whatever happens meanwhile.
    let task = pod.task(id, None).await?.expect("the task is there");
    assert_eq!(task.status, TaskStatus::Completed);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_ended_lose_nothing() {
    let Some(server) = Server::find() else { return };
    let schema = server.schema();
    let name = &schema.name;
    let url = format!("{}&application_name={name}", schema.url());
    let mut pods = Vec::new();
    for _ in 0..2 {
        pods.push(Arc::new(Postgres::open(&url, Options::default()).await.unwrap()));
    }
    let mut follower = pods[0].follow().await.unwrap();
    let seen = Arc::<Seen>::default();
    let mut workers = JoinSet::new();
    for worker in 0..6 {
        workers.spawn(work(Arc::clone(&pods[usize::from(worker % 2)]), Arc::clone(&seen), worker));
    }
    let client = server.connect().await;
    let end_all = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '{name}'");
    let mut heard = Vec::new();
    for round in 1..=4 {
        // Work goes on in between.
        let mut told = seen.told.subscribe();
        let enough = *told.borrow_and_update() + 30 * round;
        timeout(PATIENCE, told.wait_for(|count| *count >= enough)).await.unwrap().unwrap();
        client.execute(&end_all, &[]).await.unwrap();
    }
    seen.is_over.store(true, Ordering::Relaxed);
    let told: Vec<String> = workers.join_all().await.into_iter().flatten().collect();
    come_back(&pods[1]).await;
    pods[1].publish(vec!["last".into()]).await.unwrap();
    hear_until(&mut *follower, "last", &mut heard).await;
    for text in &told {
        assert!(heard.contains(&Event::Told(text.clone())), "{text} was not heard");
    }
    assert!(seen.failed.load(Ordering::Relaxed) > 0, "connections were ended in the middle of work");
}
