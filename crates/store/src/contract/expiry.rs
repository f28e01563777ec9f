//! Tasks whose time is over before they have ended.

use anypod_proto::tasks::TaskStatus;

use super::Fixtures;
use super::fleet::{Fleet, LEASE, claim_of, failed_for, id, minutes, new, new_leased, ok, written};
use crate::task::{NewTask, Phase};
use crate::work::End;

/// A task that is there for half an hour.
fn short(new: NewTask) -> NewTask {
    NewTask { ttl: Some(minutes(30)), ..new }
}

pub(super) async fn what_expires_is_taken_up_to_be_ended_in_whatever_phase_it_is(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    fleet.parked_as(short(new_leased(1)), &["size"]).await;
    let lease = fleet.make(short(new_leased(2))).await.lease.expect("nothing waits");
    written(fleet.one.hand_back(lease, failed_for(minutes(90)))).await;
    fleet.make(short(new(3))).await;
    fleet.advance(minutes(29)).await;
    let early = fleet.claim_it(3).await;
    assert!(!early.is_expired());
    fleet.advance(minutes(1)).await;
    let mut claimed = fleet.claims(9).await.tasks;
    claimed.sort_by_key(|claimed| claimed.lease.id != id(1));
    let ids: Vec<_> = claimed.iter().map(|claimed| claimed.lease.id.clone()).collect();
    assert_eq!(ids, [id(1), id(2)], "the third has a worker");
    for (number, claimed) in (1..).zip(claimed) {
        assert!(claimed.is_expired());
        assert_eq!(fleet.phase(number).await, Phase::Leased);
        let end = End::new(TaskStatus::Failed, r#"{"expired":true}"#);
        written(fleet.other.finish(claimed.lease, end)).await;
        let task = fleet.task(number).await;
        assert_eq!((task.status, task.questions), (TaskStatus::Failed, Vec::new()));
    }
    assert_eq!(fleet.claims(9).await.tasks, []);
}

pub(super) async fn what_waits_in_the_queue_expires_too(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    fleet.make(short(new(1))).await;
    fleet.advance(minutes(30)).await;
    let claimed = fleet.claims(9).await.tasks;
    assert_eq!(claimed.len(), 1, "once");
    assert!(claimed[0].is_expired());
    fleet.advance(LEASE).await;
    assert!(fleet.claim_it(1).await.is_expired(), "again, if that worker was not heard of");
}

pub(super) async fn what_expires_while_a_worker_has_it_is_left_to_the_worker(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    let lease = fleet.make(short(new_leased(1))).await.lease.expect("nothing waits");
    ok(fleet.one.renew(vec![lease.clone()], minutes(60))).await;
    fleet.advance(minutes(40)).await;
    assert!(fleet.claim().await.is_none());
    written(fleet.one.finish(lease, super::fleet::done())).await;
    assert_eq!(fleet.task(1).await.status, TaskStatus::Completed);
}

pub(super) async fn what_expires_with_a_lease_that_ran_out_is_taken_up(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    fleet.make(short(new_leased(1))).await;
    fleet.advance(minutes(40)).await;
    let claimed = fleet.claim_it(1).await;
    assert!(claimed.is_expired());
    assert_eq!(claimed.deaths, 1);
}

pub(super) async fn what_expired_comes_before_what_waits(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    for number in 1..=3 {
        fleet.make(new(number)).await;
    }
    fleet.make(short(new(4))).await;
    fleet.make(NewTask { owner: super::fleet::bob(), ..new(5) }).await;
    fleet.advance(minutes(30)).await;
    let claimed = fleet.claim_it(4).await;
    assert!(claimed.is_expired());
    assert!(!fleet.claim_it(1).await.is_expired());
}

pub(super) async fn what_expired_goes_to_a_worker_with_its_tool_only(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    fleet.parked_as(short(new_leased(1)), &["size"]).await;
    fleet.advance(minutes(30)).await;
    assert_eq!(ok(fleet.other.claim(claim_of(&["another"], 9))).await.tasks, []);
    assert_eq!(fleet.claims(0).await.tasks, []);
    assert!(fleet.claim_it(1).await.is_expired());
}

pub(super) async fn clients_see_an_expired_task_as_it_was_until_it_is_ended(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    fleet.parked_as(short(new_leased(1)), &["size"]).await;
    let task = fleet.task(1).await;
    fleet.advance(minutes(30)).await;
    assert_eq!(fleet.task(1).await, task);
    let claimed = fleet.claim_it(1).await;
    assert_eq!(fleet.task(1).await, task);
    written(fleet.other.finish(claimed.lease, super::fleet::done())).await;
    assert_eq!(fleet.task(1).await.status, TaskStatus::Completed);
}

pub(super) async fn what_is_kept_for_ever_does_not_expire(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    fleet.make(new(1)).await;
    fleet.advance(minutes(60 * 24 * 365)).await;
    let claimed = fleet.claim_it(1).await;
    assert_eq!(claimed.expires_at, None);
    assert!(!claimed.is_expired());
}

pub(super) async fn answers_to_what_expired_leave_it_to_the_worker_who_ends_it(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    fleet.parked_as(short(new_leased(1)), &["size"]).await;
    fleet.advance(minutes(30)).await;
    let claimed = fleet.claim_it(1).await;
    fleet.answer(1, &["size"]).await;
    assert_eq!(fleet.phase(1).await, Phase::Leased);
    assert!(fleet.claim().await.is_none());
    written(fleet.other.finish(claimed.lease, super::fleet::done())).await;
}
