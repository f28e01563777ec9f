//! What tasks record, and what they say.

use super::Fixtures;
use super::fleet::{Fleet, LEASE, failed_for, leaving_for, minutes, ok, question, step, written};
use crate::work::Fenced;

pub(super) async fn recorded_steps_come_back_in_their_order(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    let lease = fleet.leased(1).await;
    let steps = [step("z", "1"), step("a", r#"{"ü":"\n"}"#), step("", ""), step("m", "null")];
    for step in &steps {
        written(fleet.one.record(lease.clone(), step.clone())).await;
    }
    written(fleet.one.hand_back(lease, leaving_for(minutes(0)))).await;
    let claimed = fleet.claim_it(1).await;
    assert_eq!(claimed.steps, steps);
    written(fleet.other.record(claimed.lease, step("b", "5"))).await;
    fleet.advance(LEASE).await;
    let claimed = fleet.claim_it(1).await;
    assert_eq!(claimed.steps[..4], steps);
    assert_eq!(claimed.steps[4..], [step("b", "5")]);
}

pub(super) async fn what_was_recorded_first_stays(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    let lease = fleet.leased(1).await;
    written(fleet.one.record(lease.clone(), step("fetch", "1"))).await;
    written(fleet.one.record(lease.clone(), step("fetch", "2"))).await;
    assert_eq!(fleet.row(1).await.steps, 1);
    fleet.advance(LEASE).await;
    let claimed = fleet.claim_it(1).await;
    written(fleet.other.record(claimed.lease, step("fetch", "3"))).await;
    fleet.advance(LEASE).await;
    assert_eq!(fleet.claim_it(1).await.steps, [step("fetch", "1")]);
}

pub(super) async fn tasks_have_journals_of_their_own(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    let (first, second) = (fleet.leased(1).await, fleet.leased(2).await);
    written(fleet.one.record(first, step("fetch", "1"))).await;
    written(fleet.one.record(second, step("fetch", "2"))).await;
    fleet.advance(LEASE).await;
    let mut claimed = fleet.claims(9).await.tasks;
    claimed.sort_by(|a, b| a.lease.id.cmp(&b.lease.id));
    let mut wanted = [(super::fleet::id(1), "1"), (super::fleet::id(2), "2")];
    wanted.sort();
    let found: Vec<_> = claimed.iter().map(|claimed| (&claimed.lease.id, &claimed.steps[..])).collect();
    assert_eq!(found.len(), 2);
    for ((id, steps), (wanted, result)) in found.into_iter().zip(wanted) {
        assert_eq!((id, steps), (&wanted, &[step("fetch", result)][..]));
    }
}

pub(super) async fn a_recorded_step_ends_the_rows_of_deaths_and_of_failures(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    fleet.leased(1).await;
    for _ in 0..2 {
        fleet.advance(LEASE).await;
        let claimed = fleet.claim_it(1).await;
        written(fleet.other.hand_back(claimed.lease, failed_for(minutes(0)))).await;
        fleet.claim_it(1).await;
    }
    let row = fleet.row(1).await;
    assert_eq!((row.deaths, row.failures), (2, 2));
    fleet.advance(LEASE).await;
    let claimed = fleet.claim_it(1).await;
    assert_eq!((claimed.deaths, claimed.failures), (3, 2));
    written(fleet.other.record(claimed.lease, step("fetch", "1"))).await;
    let row = fleet.row(1).await;
    assert_eq!((row.deaths, row.failures), (0, 0));
    fleet.advance(LEASE).await;
    assert_eq!(fleet.claim_it(1).await.deaths, 1);
}

pub(super) async fn clients_do_not_see_what_is_recorded_and_renewed(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    let lease = fleet.leased(1).await;
    let task = fleet.task(1).await;
    fleet.advance(minutes(1)).await;
    written(fleet.one.record(lease.clone(), step("fetch", "1"))).await;
    assert_eq!(ok(fleet.one.renew(vec![lease], LEASE)).await, [Fenced::Written]);
    assert_eq!(fleet.task(1).await, task);
    assert_eq!(fleet.row(1).await.steps, 1);
}

pub(super) async fn every_pod_sees_what_a_task_says(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    let lease = fleet.leased(1).await;
    let task = fleet.task(1).await;
    fleet.advance(minutes(1)).await;
    written(fleet.one.say(lease.clone(), "half done".to_owned())).await;
    let said = fleet.task(1).await;
    assert_eq!(said.message.as_deref(), Some("half done"));
    assert!(said.updated_at.since(task.updated_at) >= minutes(1));
    fleet.advance(minutes(1)).await;
    written(fleet.one.say(lease, "half done".to_owned())).await;
    assert_eq!(fleet.task(1).await, said, "nothing else was said");
}

pub(super) async fn steps_stay_when_a_task_asks(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    let lease = fleet.leased(1).await;
    written(fleet.one.record(lease.clone(), step("size", "1"))).await;
    // A question of the same name as a step is something else.
    written(fleet.one.park(lease, vec![question("size")])).await;
    assert_eq!(fleet.open(1).await, ["size"]);
    ok(fleet.one.answer(super::fleet::id(1), None, super::fleet::answers(&["size"]))).await;
    let claimed = fleet.claim_it(1).await;
    assert_eq!(claimed.steps, [step("size", "1")]);
    assert_eq!(claimed.answers.len(), 1);
}
