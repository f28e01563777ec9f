//! Who may write, and who may not any more.

use super::Fixtures;
use super::fleet::{
    Fleet, LEASE, answers, done, failed_for, id, leaving_for, lost, minutes, ok, question, step, written,
};
use crate::store::Store;
use crate::task::{Answered, Phase};
use crate::work::{Fenced, Lease};

/// Tries everything that a worker can write, which has to be refused and to change nothing.
async fn all_is_refused(fleet: &Fleet, pod: &dyn Store, lease: &Lease, number: u8) {
    let before = (fleet.task(number).await, ok(fleet.other.report(id(number))).await);
    fleet.advance(minutes(1)).await;
    lost(pod.record(lease.clone(), step("stolen", "0"))).await;
    lost(pod.say(lease.clone(), "stolen".to_owned())).await;
    lost(pod.park(lease.clone(), vec![question("stolen")])).await;
    lost(pod.hand_back(lease.clone(), failed_for(minutes(1)))).await;
    lost(pod.finish(lease.clone(), done())).await;
    assert_eq!(ok(pod.renew(vec![lease.clone()], minutes(99))).await, [Fenced::Lost]);
    let after = (fleet.task(number).await, ok(fleet.other.report(id(number))).await);
    assert_eq!(before, after);
}

pub(super) async fn a_worker_whose_task_another_took_up_writes_nothing(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    let late = fleet.leased(1).await;
    written(fleet.one.record(late.clone(), step("fetch", "1"))).await;
    fleet.advance(LEASE).await;
    let claimed = fleet.claim_it(1).await;
    all_is_refused(&fleet, &*fleet.one, &late, 1).await;
    written(fleet.other.record(claimed.lease.clone(), step("cut", "2"))).await;
    all_is_refused(&fleet, &*fleet.other, &late, 1).await;
    written(fleet.other.finish(claimed.lease, done())).await;
}

pub(super) async fn a_worker_that_gave_its_task_away_writes_nothing(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    let parked = fleet.leased(1).await;
    written(fleet.one.park(parked.clone(), vec![question("size")])).await;
    all_is_refused(&fleet, &*fleet.one, &parked, 1).await;
    let paused = fleet.leased(2).await;
    written(fleet.one.hand_back(paused.clone(), failed_for(minutes(60)))).await;
    all_is_refused(&fleet, &*fleet.one, &paused, 2).await;
    let left = fleet.leased(3).await;
    written(fleet.one.hand_back(left.clone(), leaving_for(minutes(0)))).await;
    all_is_refused(&fleet, &*fleet.one, &left, 3).await;
}

pub(super) async fn a_lease_that_nobody_was_given_is_refused(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    let lease = fleet.leased(1).await;
    fleet.leased(2).await;
    for fence in [0, lease.fence + 1, 1 << 40] {
        all_is_refused(&fleet, &*fleet.other, &Lease { fence, ..lease.clone() }, 1).await;
    }
    let unknown = Lease { id: id(9), ..lease };
    lost(fleet.one.finish(unknown, done())).await;
}

pub(super) async fn a_lease_that_ran_out_is_good_until_another_takes_the_task_up(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    let lease = fleet.leased(1).await;
    fleet.advance(LEASE * 3).await;
    written(fleet.one.record(lease.clone(), step("fetch", "1"))).await;
    written(fleet.one.say(lease.clone(), "late".to_owned())).await;
    assert_eq!(ok(fleet.one.renew(vec![lease.clone()], LEASE)).await, [Fenced::Written]);
    assert!(fleet.claim().await.is_none(), "it is prolonged");
    fleet.advance(LEASE * 3).await;
    written(fleet.one.finish(lease, done())).await;
    assert!(fleet.claim().await.is_none());
}

pub(super) async fn a_renewed_lease_is_good_for_longer(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    let lease = fleet.leased(1).await;
    for _ in 0..3 {
        fleet.advance(LEASE - minutes(1)).await;
        assert_eq!(ok(fleet.one.renew(vec![lease.clone()], LEASE)).await, [Fenced::Written]);
        assert!(fleet.claim().await.is_none());
    }
    fleet.advance(LEASE).await;
    assert_eq!(fleet.claim_it(1).await.deaths, 1);
}

pub(super) async fn a_lease_is_renewed_from_now_on(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    let lease = fleet.leased(1).await;
    ok(fleet.one.renew(vec![lease], LEASE / 2)).await;
    fleet.advance(LEASE / 2).await;
    fleet.claim_it(1).await;
}

pub(super) async fn renewing_says_of_each_lease_whether_it_is_good(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    let (first, second, ended) = (fleet.leased(1).await, fleet.leased(2).await, fleet.leased(3).await);
    ok(fleet.one.cancel(id(3), None, None)).await;
    let unknown = Lease { id: id(9), fence: 1 };
    let wrong = Lease { fence: 7, ..first.clone() };
    fleet.advance(LEASE / 2).await;
    let leases = vec![ended, first, unknown, wrong, second];
    let [good, gone] = [Fenced::Written, Fenced::Lost];
    assert_eq!(ok(fleet.other.renew(leases, LEASE)).await, [gone, good, gone, gone, good]);
    fleet.advance(LEASE / 2 + minutes(1)).await;
    assert_eq!(fleet.claims(9).await.tasks, [], "both are prolonged");
    assert_eq!(ok(fleet.other.renew(Vec::new(), LEASE)).await, []);
}

pub(super) async fn nothing_changes_a_task_that_has_ended(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    for number in [1, 2] {
        let lease = fleet.leased(number).await;
        match number {
            1 => written(fleet.one.finish(lease.clone(), done())).await,
            _ => drop(ok(fleet.one.cancel(id(2), None, None)).await),
        }
        all_is_refused(&fleet, &*fleet.other, &lease, number).await;
        let before = (fleet.task(number).await, ok(fleet.other.report(id(number))).await);
        fleet.advance(minutes(1)).await;
        assert_eq!(ok(fleet.other.answer(id(number), None, answers(&["size"]))).await, Answered::Taken);
        let status = before.0.status;
        assert_eq!(ok(fleet.other.cancel(id(number), None, Some("no".to_owned()))).await, Some(status));
        assert_eq!(ok(fleet.other.retry(id(number))).await, Some(status));
        assert_eq!(fleet.claims(9).await.tasks, []);
        assert_eq!(before, (fleet.task(number).await, ok(fleet.other.report(id(number))).await));
        assert_eq!(fleet.phase(number).await, Phase::Ended);
    }
}
