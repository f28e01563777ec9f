//! Claiming tasks.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anypod_proto::tasks::TaskStatus;
use tokio::task::JoinSet;

use super::Fixtures;
use super::fleet::{
    Fleet, LEASE, TOOL, ann, answers, claim_of, failed_for, id, minutes, new, ok, question, step, written,
};
use crate::task::{NewTask, Phase};
use crate::work::Claim;

pub(super) async fn a_claimed_task_brings_all_that_it_takes_to_go_on(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    let made = fleet.make(NewTask { ttl: Some(minutes(60)), ..super::fleet::new_leased(1) }).await;
    let (task, lease) = (made.task, made.lease.expect("nothing waits"));
    written(fleet.one.record(lease.clone(), step("fetch", "1"))).await;
    written(fleet.one.record(lease.clone(), step("cut", "2"))).await;
    written(fleet.one.park(lease, vec![question("size"), question("color")])).await;
    ok(fleet.one.answer(id(1), Some(ann()), answers(&["color", "size"]))).await;
    let before = ok(fleet.one.now()).await;
    let claimed = fleet.claim_it(1).await;
    assert_eq!((&claimed.owner, claimed.tool.as_str()), (&ann(), TOOL));
    assert_eq!(claimed.call, new(1).call);
    assert_eq!(claimed.steps, [step("fetch", "1"), step("cut", "2")]);
    let (keys, texts) = (answers(&["size", "color"]), |at: usize| answers(&["size", "color"])[at].1.clone());
    assert_eq!(claimed.answers, [(question(&keys[0].0), texts(0)), (question(&keys[1].0), texts(1))]);
    assert_eq!((claimed.deaths, claimed.failures), (0, 0));
    assert_eq!((claimed.created_at, claimed.expires_at), (task.created_at, task.expires_at));
    assert!(claimed.now >= before && claimed.now.since(before) < minutes(1));
    assert!(!claimed.is_expired());
}

pub(super) async fn a_task_is_claimed_by_one(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    fleet.make(new(1)).await;
    fleet.claim_it(1).await;
    assert!(fleet.claim().await.is_none());
    assert!(ok(fleet.one.claim(claim_of(&[TOOL], 1))).await.tasks.is_empty());
}

pub(super) async fn a_claim_takes_tasks_of_its_tools_only(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    for (number, tool) in [(1, "a"), (2, "b"), (3, "c")] {
        fleet.make(NewTask { tool: tool.to_owned(), ..new(number) }).await;
    }
    let claim = |tools: &'static [&'static str]| {
        let other = Arc::clone(&fleet.other);
        async move {
            let claimed = ok(other.claim(claim_of(tools, 9))).await.tasks;
            claimed.into_iter().map(|claimed| claimed.lease.id).collect::<Vec<_>>()
        }
    };
    assert_eq!(claim(&[]).await, []);
    assert_eq!(claim(&["d", "A", "a b"]).await, []);
    assert_eq!(claim(&["b", "d"]).await, [id(2)]);
    assert_eq!(claim(&["a", "b", "c"]).await, [id(1), id(3)]);
}

pub(super) async fn a_claim_takes_no_more_than_it_wants(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    for number in 1..=3 {
        fleet.make(new(number)).await;
    }
    assert_eq!(fleet.claims(0).await.tasks, []);
    assert_eq!(fleet.claims(2).await.tasks.len(), 2);
    assert_eq!(fleet.claims(2).await.tasks.len(), 1);
}

pub(super) async fn clients_do_not_see_that_a_task_is_claimed(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    let task = fleet.make(new(1)).await.task;
    fleet.advance(minutes(1)).await;
    let claimed = fleet.claim_it(1).await;
    assert_eq!(fleet.task(1).await, task);
    let row = fleet.row(1).await;
    assert_eq!((row.phase, row.status), (Phase::Leased, TaskStatus::Working));
    assert_eq!((row.worker.as_deref(), row.attempts), (Some("worker"), 1));
    assert_eq!(row.due_at, Some(claimed.now.after(LEASE)));
}

pub(super) async fn each_claim_gives_a_higher_fence(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    let mut fence = fleet.leased(1).await.fence;
    for attempts in 2..=4 {
        fleet.advance(LEASE).await;
        let claimed = fleet.claim_it(1).await;
        assert!(claimed.lease.fence > fence, "{} after {fence}", claimed.lease.fence);
        fence = claimed.lease.fence;
        assert_eq!(fleet.row(1).await.attempts, attempts);
    }
}

pub(super) async fn a_task_whose_worker_was_not_heard_of_goes_to_another(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    let lease = fleet.leased(1).await;
    written(fleet.one.record(lease, step("fetch", "1"))).await;
    fleet.advance(LEASE - minutes(1)).await;
    assert!(fleet.claim().await.is_none(), "its lease is good");
    fleet.advance(minutes(1)).await;
    let claimed = fleet.claim_it(1).await;
    assert_eq!((claimed.deaths, claimed.failures), (1, 0));
    assert_eq!(claimed.steps, [step("fetch", "1")]);
    fleet.advance(LEASE).await;
    assert_eq!(fleet.claim_it(1).await.deaths, 2);
}

pub(super) async fn a_worker_that_has_another_tool_finds_the_dead_too(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    fleet.leased(1).await;
    fleet.advance(LEASE).await;
    let claims = ok(fleet.other.claim(claim_of(&["another"], 1))).await;
    assert_eq!((claims.tasks, claims.next), (Vec::new(), None));
    assert_eq!(fleet.phase(1).await, Phase::Queued);
    assert_eq!(fleet.claim_it(1).await.deaths, 1, "counted once");
}

pub(super) async fn what_waits_for_answers_or_has_ended_is_not_claimed(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    fleet.parked(1, &["size"]).await;
    fleet.ended(2).await;
    fleet.leased(3).await;
    ok(fleet.one.cancel(id(3), None, None)).await;
    fleet.advance(minutes(60 * 24 * 365)).await;
    assert_eq!(fleet.claims(9).await.tasks, []);
}

/// That a time is about so long: the store's clock may have moved on meanwhile.
fn is_about(next: Option<Duration>, wanted: Duration) {
    let next = next.expect("something becomes due");
    assert!(next <= wanted && next + minutes(1) > wanted, "{next:?} is not about {wanted:?}");
}

pub(super) async fn a_claim_says_when_something_becomes_due(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    assert_eq!(fleet.claims(1).await.next, None);
    fleet.parked(1, &["size"]).await;
    fleet.ended(2).await;
    assert_eq!(fleet.claims(1).await.next, None, "neither becomes due");
    fleet.parked_as(NewTask { ttl: Some(minutes(600)), ..super::fleet::new_leased(3) }, &["size"]).await;
    is_about(fleet.claims(1).await.next, minutes(600));
    let lease = fleet.leased(4).await;
    written(fleet.one.hand_back(lease, failed_for(minutes(100)))).await;
    is_about(fleet.claims(1).await.next, minutes(100));
    let lease = fleet.leased(5).await;
    is_about(fleet.claims(1).await.next, LEASE);
    ok(fleet.one.renew(vec![lease], minutes(50))).await;
    is_about(fleet.claims(1).await.next, minutes(50));
    fleet.make(new(6)).await;
    let claim = Claim { lease: minutes(20), ..claim_of(&[TOOL], 1) };
    is_about(ok(fleet.other.claim(claim)).await.next, minutes(20));
}

pub(super) async fn of_many_claims_at_once_each_task_goes_to_one(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    for number in 1..=24 {
        fleet.make(new(number)).await;
    }
    let mut claims = JoinSet::new();
    for number in 0..8 {
        let pod = Arc::clone(if number % 2 == 0 { &fleet.one } else { &fleet.other });
        claims.spawn(async move {
            let mut claimed = Vec::new();
            // One that finds nothing may have come before another that gives up what it had locked.
            for _ in 0..12 {
                claimed.extend(ok(pod.claim(claim_of(&[TOOL], 3))).await.tasks);
            }
            claimed
        });
    }
    let claimed: Vec<_> = claims.join_all().await.into_iter().flatten().map(|claimed| claimed.lease.id).collect();
    assert_eq!(claimed.len(), 24, "none twice");
    assert_eq!(claimed.iter().collect::<BTreeSet<_>>().len(), 24, "and all");
}
