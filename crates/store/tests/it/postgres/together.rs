//! Several who do something at the same moment.

use std::collections::HashSet;
use std::time::Duration;

use anypod_store::{
    Claim, Created, Event, Full, NewTask, NewValue, Options, Owner, Store, StoreError, TaskId, TaskStatus, ValueId,
};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Server;

fn id(number: u8) -> TaskId {
    TaskId::from_random([number; 16])
}

fn new(number: u8, owner: &str) -> NewTask {
    NewTask::new(id(number), Owner::new(owner), "resize", "{}")
}

#[tokio::test(flavor = "multi_thread")]
async fn bounds_hold_for_those_who_come_at_once() {
    let Some(server) = Server::find() else { return };
    let schema = server.schema();
    let options = Options { queue: 20, tasks_of_owner: 7, values_of_owner: 5, ..Options::default() };
    let pods = [schema.open(options.clone()).await, schema.open(options).await];
    let (mut created, mut put) = (JoinSet::new(), JoinSet::new());
    for number in 0..60 {
        let pod = pods[usize::from(number % 2)].clone();
        created.spawn(
            async move { pod.create(new(number, ["ann", "bob", "cem"][usize::from(number % 3)])).await.unwrap() },
        );
        let pod = pods[usize::from(number % 2)].clone();
        let value_id = ValueId { kind: "cart".into(), id: number.to_string(), owner: Owner::new("ann") };
        let value = NewValue { id: value_id, text: "{}".into(), ttl: None, sliding: false };
        put.spawn(async move { pod.put(value).await.unwrap() });
    }
    let created = created.join_all().await;
    let count = |is: fn(&Created) -> bool| created.iter().filter(|created| is(created)).count();
    assert_eq!(count(|created| matches!(created, Created::Made(_))), 20);
    assert_eq!(count(|created| matches!(created, Created::Full(Full::Queue | Full::Owner))), 40);
    assert_eq!(put.join_all().await.into_iter().filter(|is_put| *is_put).count(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_that_keeps_up_hears_each_event_once() {
    let Some(server) = Server::find() else { return };
    let schema = server.schema();
    let pods = [schema.open(Options::default()).await, schema.open(Options::default()).await];
    let mut follower = pods[0].follow().await.unwrap();
    let mut publishers = JoinSet::new();
    for publisher in 0..32 {
        let pod = pods[publisher % 2].clone();
        publishers.spawn(async move {
            for number in 0..150 {
                pod.publish(vec![format!("{publisher} {number}"), format!("{publisher} {number} too")]).await.unwrap();
            }
        });
    }
    let mut heard = HashSet::new();
    while heard.len() < 32 * 150 * 2 {
        let next = timeout(Duration::from_secs(30), follower.next()).await.unwrap().unwrap();
        assert!(!next.gap);
        for event in next.events {
            let Event::Told(text) = event else { panic!("there are no tasks") };
            assert!(heard.insert(text), "nothing comes twice");
        }
    }
    publishers.join_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_task_is_created_once_and_claimed_once() {
    let Some(server) = Server::find() else { return };
    let schema = server.schema();
    let pods = [schema.open(Options::default()).await, schema.open(Options::default()).await];
    let mut created = JoinSet::new();
    for number in 0..80 {
        let pod = pods[usize::from(number % 2)].clone();
        created.spawn(async move { pod.create(new(number / 2, "ann")).await.unwrap() });
    }
    created.join_all().await;
    let mut claims = JoinSet::new();
    for number in 0..20 {
        let pod = pods[number % 2].clone();
        let claim = Claim {
            worker: number.to_string(),
            tools: vec!["resize".into()],
            most: 3,
            lease: Duration::from_secs(600),
        };
        claims.spawn(async move { pod.claim(claim).await.unwrap().tasks });
    }
    let claimed: Vec<_> = claims.join_all().await.into_iter().flatten().map(|task| task.lease.id).collect();
    let different: HashSet<_> = claimed.iter().collect();
    assert_eq!((claimed.len(), different.len()), (40, 40));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_finds_its_tasks_behind_many_that_are_for_others() {
    let Some(server) = Server::find() else { return };
    let schema = server.schema();
    let pod = schema.open(Options::default()).await;
    let mut created = JoinSet::new();
    for number in 0..200 {
        let pod = pod.clone();
        let mut task = new(number, "ann");
        task.tool = if number < 150 { "another".into() } else { format!("mine {}", number % 2) };
        created.spawn(async move { pod.create(task).await.unwrap() });
    }
    created.join_all().await;
    let tools = ["mine 0", "mine 1", "mine 0", "nobody's"].map(str::to_owned).to_vec();
    let claim = |most| Claim { worker: "w".into(), tools: tools.clone(), most, lease: Duration::from_secs(600) };
    assert_eq!(pod.claim(claim(3)).await.unwrap().tasks.len(), 3);
    let tasks = pod.claim(claim(usize::MAX)).await.unwrap().tasks;
    let different: HashSet<_> = tasks.iter().map(|task| &task.lease.id).collect();
    assert_eq!((tasks.len(), different.len()), (47, 47));
    assert!(tasks.iter().all(|task| task.tool.starts_with("mine")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_takes_nothing_else_with_it() {
    let Some(server) = Server::find() else { return };
    let schema = server.schema();
    // With two connections, one writes: what comes while it is busy goes into one transaction.
    let url = format!("{}&connections=2", schema.url());
    let pod = std::sync::Arc::new(anypod_store::Postgres::open(&url, Options::default()).await.unwrap());
    schema.execute("ALTER TABLE task ADD CHECK (tool <> 'forbidden')").await;
    let mut created = JoinSet::new();
    for number in 0..40 {
        let pod = pod.clone();
        let mut task = new(number, "ann");
        if number == 17 {
            task.tool = "forbidden".into();
        }
        created.spawn(async move { (number, pod.create(task).await) });
    }
    for (number, result) in created.join_all().await {
        match result {
            Ok(created) => assert!(number != 17 && matches!(created, Created::Made(_)), "{number}"),
            Err(error) => assert!(number == 17 && matches!(error, StoreError::Corrupt(_)), "{number}: {error}"),
        }
    }
    for number in 0..40 {
        assert_eq!(pod.task(id(number), None).await.unwrap().is_some(), number != 17);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_come_back_as_they_were() {
    let Some(server) = Server::find() else { return };
    let schema = server.schema();
    let pod = schema.open(Options::default()).await;
    for (number, text) in ["\0", "\u{1}", "a\0\u{1}b", "ü \u{10ffff} '\"\\"].into_iter().enumerate() {
        let id = id(u8::try_from(number).unwrap());
        let mut task = NewTask::new(id.clone(), Owner::new(text), text, text);
        task.message = Some(text.to_owned());
        pod.create(task).await.unwrap();
        let seen = pod.task(id.clone(), Some(Owner::new(text))).await.unwrap().unwrap();
        assert_eq!((seen.owner.as_str(), seen.tool.as_str(), seen.message.as_deref()), (text, text, Some(text)));
        let value = ValueId { kind: text.into(), id: text.into(), owner: Owner::new(text) };
        pod.put(NewValue { id: value.clone(), text: text.into(), ttl: None, sliding: false }).await.unwrap();
        assert_eq!(pod.value(value).await.unwrap().unwrap().text, text);
        assert_eq!(pod.cancel(id, Some(Owner::new(text)), None).await.unwrap(), Some(TaskStatus::Working));
    }
    // Names may be longer than an index takes.
    let long: String = (0..100_000_u64).map(|number| char::from(b'a' + (number * number % 23) as u8)).collect();
    let mut task = NewTask::new(id(99), Owner::new(long.as_str()), long.as_str(), "{}");
    task.lease = Some((long.clone(), Duration::from_secs(600)));
    assert!(matches!(pod.create(task).await.unwrap(), Created::Made(made) if made.task.tool == long));
    let value = ValueId { kind: long.clone(), id: long.clone(), owner: Owner::new(long) };
    assert!(pod.put(NewValue { id: value, text: "{}".into(), ttl: None, sliding: false }).await.unwrap());
}
