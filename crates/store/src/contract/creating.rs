//! Creating tasks.

use std::sync::Arc;

use anypod_proto::tasks::TaskStatus;
use tokio::task::JoinSet;

use super::Fixtures;
use super::fleet::{Fleet, LEASE, TOOL, ann, answers, bob, id, lost, minutes, new, new_leased, ok, written};
use crate::options::Options;
use crate::task::{Answered, Created, Full, NewTask, Owner, Phase};

pub(super) async fn a_created_task_is_known_to_every_pod(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    let wanted = NewTask { message: Some("begins".into()), ttl: Some(minutes(30)), poll: Some(minutes(1)), ..new(1) };
    let before = ok(fleet.one.now()).await;
    let made = fleet.make(wanted).await;
    assert_eq!(made.lease, None, "nobody asked for a lease");
    let task = made.task;
    assert_eq!((&task.id, &task.owner, task.tool.as_str()), (&id(1), &ann(), TOOL));
    assert_eq!((task.status, task.message.as_deref()), (TaskStatus::Working, Some("begins")));
    assert!(task.created_at >= before && task.created_at.since(before) < minutes(1));
    assert_eq!(task.updated_at, task.created_at);
    assert_eq!(task.expires_at, Some(task.created_at.after(minutes(30))));
    assert_eq!((task.poll, task.outcome.as_deref()), (Some(minutes(1)), None));
    assert!(task.questions.is_empty());
    assert_eq!(fleet.task(1).await, task, "the other pod sees the same");
}

pub(super) async fn a_task_that_is_there_already_is_given_as_it_is(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    let lease = fleet.leased(1).await;
    written(fleet.one.say(lease.clone(), "half done".to_owned())).await;
    let again = NewTask { call: "another".to_owned(), owner: bob(), ttl: Some(minutes(1)), ..new_leased(1) };
    let made = ok(fleet.other.create(again)).await.made().expect("the task is there");
    assert_eq!(made.lease, None, "it has a worker");
    assert_eq!(made.task, fleet.task(1).await);
    assert_eq!((made.task.owner, made.task.message.as_deref()), (ann(), Some("half done")));
    assert_eq!(made.task.expires_at, None);
    written(fleet.one.say(lease, "still mine".to_owned())).await;
}

pub(super) async fn a_task_that_ended_is_not_begun_again_by_creating_it_again(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    fleet.ended(1).await;
    let made = ok(fleet.other.create(new_leased(1))).await.made().expect("the task is there");
    assert_eq!((made.task.status, made.lease), (TaskStatus::Completed, None));
    assert!(fleet.claim().await.is_none());
}

pub(super) async fn a_task_is_given_to_its_owner_only(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    let task = fleet.make(new(1)).await.task;
    assert_eq!(ok(fleet.other.task(id(1), Some(ann()))).await.as_ref(), Some(&task));
    assert_eq!(ok(fleet.other.task(id(1), None)).await.as_ref(), Some(&task), "nobody asks whose it is");
    assert_eq!(ok(fleet.other.task(id(1), Some(bob()))).await, None);
    assert_eq!(ok(fleet.other.task(id(1), Some(Owner::nobody()))).await, None, "nobody is not everybody");
}

pub(super) async fn a_task_that_nobody_created_is_not_there(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    fleet.make(new(1)).await;
    assert_eq!(ok(fleet.one.task(id(2), None)).await, None);
    assert_eq!(ok(fleet.one.answer(id(2), None, answers(&["size"]))).await, Answered::Unknown);
    assert_eq!(ok(fleet.one.cancel(id(2), None, None)).await, None);
    assert_eq!(ok(fleet.one.report(id(2))).await, None);
    assert_eq!(ok(fleet.one.retry(id(2))).await, None);
    let lease = crate::work::Lease { id: id(2), fence: 1 };
    lost(fleet.one.say(lease, "hello".to_owned())).await;
}

pub(super) async fn a_task_is_leased_to_its_creator_if_nothing_waits(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    let made = fleet.make(new_leased(1)).await;
    let lease = made.lease.expect("nothing waits");
    assert_eq!((&lease.id, lease.fence), (&id(1), 1));
    let row = fleet.row(1).await;
    assert_eq!((row.phase, row.status, row.attempts), (Phase::Leased, TaskStatus::Working, 1));
    assert_eq!((row.worker.as_deref(), row.due_at), (Some("creator"), Some(row.created_at.after(LEASE))));
    assert!(fleet.claim().await.is_none(), "its creator has it");
    written(fleet.one.say(lease, "begins".to_owned())).await;
}

pub(super) async fn a_task_is_not_leased_to_its_creator_if_something_waits(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    fleet.make(NewTask { owner: bob(), tool: "something else".to_owned(), ..new(1) }).await;
    assert_eq!(fleet.make(new_leased(2)).await.lease, None);
    let row = fleet.row(2).await;
    assert_eq!((row.phase, row.attempts, row.worker, row.due_at), (Phase::Queued, 0, None, None));
    fleet.claim_it(2).await;
}

pub(super) async fn a_full_queue_takes_no_more(fixtures: &dyn Fixtures) {
    let fleet = Fleet::with(fixtures, Options { queue: 2, ..Options::default() }).await;
    fleet.leased(9).await;
    fleet.make(new(1)).await;
    fleet.make(NewTask { owner: bob(), ..new(2) }).await;
    for wanted in [new(3), new_leased(3)] {
        let created = ok(fleet.other.create(wanted)).await;
        assert!(matches!(created, Created::Full(Full::Queue)), "{created:?}");
    }
    assert_eq!(ok(fleet.one.task(id(3), None)).await, None, "nothing was created");
    fleet.claim().await.expect("two wait");
    fleet.make(new(3)).await;
}

pub(super) async fn a_task_that_is_leased_at_once_needs_no_place_in_the_queue(fixtures: &dyn Fixtures) {
    let fleet = Fleet::with(fixtures, Options { queue: 0, ..Options::default() }).await;
    fleet.leased(1).await;
    let created = ok(fleet.one.create(new(2))).await;
    assert!(matches!(created, Created::Full(Full::Queue)), "{created:?}");
}

pub(super) async fn an_owner_with_too_many_tasks_gets_no_more(fixtures: &dyn Fixtures) {
    let fleet = Fleet::with(fixtures, Options { tasks_of_owner: 2, ..Options::default() }).await;
    let short = NewTask { ttl: Some(minutes(5)), ..new_leased(1) };
    let lease = fleet.make(short).await.lease.expect("nothing waits");
    written(fleet.one.finish(lease, super::fleet::done())).await;
    fleet.make(new(2)).await;
    let created = ok(fleet.other.create(new(3))).await;
    assert!(matches!(created, Created::Full(Full::Owner)), "{created:?}: what has ended counts too");
    assert_eq!(ok(fleet.one.task(id(3), None)).await, None, "nothing was created");
    fleet.make(NewTask { owner: bob(), ..new(4) }).await;
    fleet.advance(minutes(6)).await;
    assert_eq!(ok(fleet.one.sweep(10)).await.tasks, 1);
    fleet.make(new(3)).await;
}

pub(super) async fn the_tasks_of_nobody_are_not_counted(fixtures: &dyn Fixtures) {
    let fleet = Fleet::with(fixtures, Options { tasks_of_owner: 1, ..Options::default() }).await;
    for number in 1..=3 {
        fleet.make(NewTask { owner: Owner::nobody(), ..new(number) }).await;
    }
    assert_eq!(fleet.task(3).await.owner, Owner::nobody());
}

pub(super) async fn what_is_full_is_told_in_this_order(fixtures: &dyn Fixtures) {
    let queue = Options { queue: 0, ..Options::default() };
    let owner = Options { tasks_of_owner: 0, ..queue.clone() };
    let store = Options { store_bytes: 0, ..owner.clone() };
    for (options, wanted) in [(store, Full::Store), (owner, Full::Owner), (queue, Full::Queue)] {
        let fleet = Fleet::with(fixtures, options).await;
        let created = ok(fleet.one.create(new(1))).await;
        assert!(matches!(created, Created::Full(full) if full == wanted), "{created:?} is not {wanted:?}");
        assert_eq!(ok(fleet.other.task(id(1), None)).await, None, "nothing was created");
    }
}

pub(super) async fn a_task_that_is_there_is_given_even_if_all_is_full(fixtures: &dyn Fixtures) {
    let fleet = Fleet::with(fixtures, Options { queue: 1, tasks_of_owner: 1, ..Options::default() }).await;
    fleet.make(new(1)).await;
    fleet.make(new(1)).await;
    let created = ok(fleet.one.create(new(2))).await;
    assert!(matches!(created, Created::Full(Full::Owner)), "{created:?}");
}

pub(super) async fn of_many_who_create_the_same_task_at_once_one_gets_it(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    let mut creations = JoinSet::new();
    for number in 0..8 {
        let pod = Arc::clone(if number % 2 == 0 { &fleet.one } else { &fleet.other });
        creations.spawn(async move { ok(pod.create(new_leased(1))).await });
    }
    let made: Vec<_> = creations.join_all().await.into_iter().map(|created| created.made()).collect();
    assert!(made.iter().all(Option::is_some), "all are given the task");
    assert_eq!(made.iter().flatten().filter(|made| made.lease.is_some()).count(), 1);
}
