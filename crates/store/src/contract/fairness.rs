//! Whose tasks, and of which tool, take turns.

use super::Fixtures;
use super::fleet::{Fleet, TOOL, ann, answers, bob, claim_of, failed_for, id, minutes, new, ok, written};
use crate::task::{NewTask, Owner};

/// Creates tasks, each on another pod than the one before.
async fn make(fleet: &Fleet, tasks: impl IntoIterator<Item = (u8, Owner, &str)>) {
    for (number, owner, tool) in tasks {
        let pod = if number % 2 == 0 { &fleet.one } else { &fleet.other };
        let new = NewTask { owner, tool: tool.to_owned(), ..new(number) };
        assert!(ok(pod.create(new)).await.made().is_some(), "there is room");
    }
}

/// The order in which tasks of both tools are claimed, one at a time.
async fn order(fleet: &Fleet, count: usize) -> Vec<u8> {
    let mut order = Vec::new();
    for _ in 0..count {
        let claimed = ok(fleet.other.claim(claim_of(&[TOOL, "other"], 1))).await.tasks.pop();
        let claimed = claimed.expect("there is a task to be claimed");
        order.extend((0..u8::MAX).find(|number| id(*number) == claimed.lease.id));
    }
    order
}

pub(super) async fn one_owners_tasks_come_in_their_order(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    make(&fleet, [3, 1, 4, 2, 5].map(|number| (number, ann(), TOOL))).await;
    assert_eq!(order(&fleet, 5).await, [3, 1, 4, 2, 5]);
}

pub(super) async fn owners_take_turns(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    make(&fleet, (1..=5).map(|number| (number, ann(), TOOL))).await;
    make(&fleet, (11..=12).map(|number| (number, bob(), TOOL))).await;
    make(&fleet, [(21, Owner::nobody(), TOOL)]).await;
    assert_eq!(order(&fleet, 8).await, [1, 11, 21, 2, 12, 3, 4, 5]);
}

pub(super) async fn tools_of_one_owner_take_turns(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    make(&fleet, (1..=3).map(|number| (number, ann(), TOOL))).await;
    make(&fleet, (11..=12).map(|number| (number, ann(), "other"))).await;
    assert_eq!(order(&fleet, 5).await, [1, 11, 2, 12, 3]);
}

pub(super) async fn one_claim_of_many_takes_turns_too(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    make(&fleet, (1..=5).map(|number| (number, ann(), TOOL))).await;
    make(&fleet, (11..=12).map(|number| (number, bob(), TOOL))).await;
    let claimed: Vec<_> = fleet.claims(4).await.tasks.into_iter().map(|claimed| claimed.lease.id).collect();
    assert_eq!(claimed, [1, 11, 2, 12].map(id));
}

pub(super) async fn who_comes_late_waits_for_one_turn_of_the_others_at_most(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    make(&fleet, (1..=50).map(|number| (number, ann(), TOOL))).await;
    assert_eq!(order(&fleet, 10).await, (1..=10).collect::<Vec<_>>());
    make(&fleet, [(61, bob(), TOOL), (62, bob(), TOOL)]).await;
    assert_eq!(order(&fleet, 5).await, [11, 61, 12, 62, 13]);
}

pub(super) async fn who_had_many_before_is_not_made_to_wait_for_it(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    make(&fleet, (1..=9).map(|number| (number, ann(), TOOL))).await;
    order(&fleet, 9).await;
    make(&fleet, [(11, bob(), TOOL), (12, bob(), TOOL)]).await;
    make(&fleet, [(21, ann(), TOOL), (22, ann(), TOOL)]).await;
    assert_eq!(order(&fleet, 4).await, [11, 21, 12, 22]);
}

pub(super) async fn what_comes_back_stands_behind_its_owners_others(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    fleet.parked(9, &["size"]).await;
    make(&fleet, (1..=3).map(|number| (number, ann(), TOOL))).await;
    let claimed = fleet.claim_it(1).await;
    written(fleet.other.hand_back(claimed.lease, failed_for(minutes(0)))).await;
    ok(fleet.one.answer(id(9), None, answers(&["size"]))).await;
    make(&fleet, [(11, bob(), TOOL)]).await;
    assert_eq!(order(&fleet, 5).await, [2, 11, 3, 1, 9]);
}
