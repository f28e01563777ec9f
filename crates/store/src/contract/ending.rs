//! How tasks end, and how workers give them away.

use anypod_proto::tasks::TaskStatus;

use super::Fixtures;
use super::fleet::{Fleet, ann, bob, failed_for, id, leaving_for, lost, minutes, new, new_leased, ok, written};
use crate::task::{NewTask, Owner, Phase};
use crate::work::{End, HandBack, Reason};

pub(super) async fn a_finished_task_has_its_outcome_on_every_pod(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    for (number, status) in [(1, TaskStatus::Completed), (2, TaskStatus::Failed), (3, TaskStatus::Cancelled)] {
        let lease = fleet.leased(number).await;
        let before = fleet.task(number).await;
        fleet.advance(minutes(1)).await;
        let end = End { message: Some("over".to_owned()), ..End::new(status, r#"{"ü":1}"#) };
        written(fleet.one.finish(lease, end)).await;
        let task = fleet.task(number).await;
        assert_eq!((task.status, task.outcome.as_deref()), (status, Some(r#"{"ü":1}"#)));
        assert_eq!((task.message.as_deref(), task.expires_at), (Some("over"), None));
        assert!(task.updated_at.since(before.updated_at) >= minutes(1));
        let row = fleet.row(number).await;
        assert_eq!((row.phase, row.due_at), (Phase::Ended, None));
    }
}

pub(super) async fn an_end_may_come_without_an_outcome_and_takes_the_message_with_it(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    let lease = fleet.leased(1).await;
    written(fleet.one.say(lease.clone(), "half done".to_owned())).await;
    let end = End { outcome: None, ..End::new(TaskStatus::Completed, "") };
    written(fleet.one.finish(lease, end)).await;
    let task = fleet.task(1).await;
    assert_eq!((task.message, task.outcome), (None, None));
}

pub(super) async fn a_result_is_kept_for_as_long_as_its_end_says_at_least(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    for (number, ttl, keep, wanted) in [(1, 30, 60, 70), (2, 90, 60, 90), (3, 30, 0, 30)] {
        let new = NewTask { ttl: Some(minutes(ttl)), ..new_leased(number) };
        let made = fleet.make(new).await;
        fleet.advance(minutes(10)).await;
        let end = End { keep: minutes(keep), ..super::fleet::done() };
        written(fleet.one.finish(made.lease.expect("nothing waits"), end)).await;
        let task = fleet.task(number).await;
        let kept = task.expires_at.expect("it was kept for some time only").since(task.created_at);
        assert!(kept >= minutes(wanted) && kept < minutes(wanted + 1), "{kept:?} is not {wanted} min");
    }
    let lease = fleet.leased(4).await;
    written(fleet.one.finish(lease, End { keep: minutes(1), ..super::fleet::done() })).await;
    assert_eq!(fleet.task(4).await.expires_at, None, "for ever is longer");
}

pub(super) async fn a_task_that_its_worker_leaves_goes_to_another_at_once(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    let lease = fleet.leased(1).await;
    let task = fleet.task(1).await;
    fleet.advance(minutes(1)).await;
    written(fleet.one.hand_back(lease, leaving_for(minutes(0)))).await;
    assert_eq!(fleet.task(1).await, task, "clients do not see it");
    let row = fleet.row(1).await;
    assert_eq!((row.phase, row.due_at, row.failures, row.deaths), (Phase::Queued, None, 0, 0));
    let claimed = fleet.claim_it(1).await;
    assert_eq!((claimed.deaths, claimed.failures), (0, 0));
}

pub(super) async fn a_task_that_failed_comes_back_after_its_pause(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    let lease = fleet.leased(1).await;
    written(fleet.one.hand_back(lease, failed_for(minutes(30)))).await;
    let row = fleet.row(1).await;
    assert_eq!((row.phase, row.status, row.failures), (Phase::Delayed, TaskStatus::Working, 1));
    let pause = row.due_at.expect("it has a pause").since(row.created_at);
    assert!(pause >= minutes(30) && pause < minutes(31), "{pause:?}");
    fleet.advance(minutes(29)).await;
    assert!(fleet.claim().await.is_none());
    fleet.advance(minutes(1)).await;
    let claimed = fleet.claim_it(1).await;
    assert_eq!((claimed.deaths, claimed.failures), (0, 1));
    written(fleet.other.hand_back(claimed.lease, failed_for(minutes(0)))).await;
    assert_eq!(fleet.claim_it(1).await.failures, 2, "without a pause, at once");
}

pub(super) async fn a_worker_that_leaves_may_want_a_pause_too(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    let lease = fleet.leased(1).await;
    written(fleet.one.hand_back(lease, leaving_for(minutes(30)))).await;
    assert!(fleet.claim().await.is_none());
    fleet.advance(minutes(30)).await;
    assert_eq!(fleet.claim_it(1).await.failures, 0);
}

pub(super) async fn a_task_that_is_handed_back_may_say_why(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    let mut lease = fleet.leased(1).await;
    written(fleet.one.say(lease.clone(), "half done".to_owned())).await;
    written(fleet.one.hand_back(lease, failed_for(minutes(0)))).await;
    let before = fleet.task(1).await;
    assert_eq!(before.message.as_deref(), Some("half done"), "nothing else was said");
    lease = fleet.claim_it(1).await.lease;
    fleet.advance(minutes(1)).await;
    let message = Some("tries again".to_owned());
    written(fleet.other.hand_back(lease, HandBack { reason: Reason::Failed, pause: minutes(1), message })).await;
    let task = fleet.task(1).await;
    assert_eq!(task.message.as_deref(), Some("tries again"));
    assert!(task.updated_at.since(before.updated_at) >= minutes(1));
}

pub(super) async fn a_cancelled_task_has_ended(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    let lease = fleet.leased(1).await;
    let before = fleet.task(1).await;
    fleet.advance(minutes(1)).await;
    let message = Some("not wanted".to_owned());
    assert_eq!(ok(fleet.other.cancel(id(1), Some(ann()), message)).await, Some(TaskStatus::Working));
    let task = fleet.task(1).await;
    assert_eq!((task.status, task.message.as_deref()), (TaskStatus::Cancelled, Some("not wanted")));
    assert_eq!((task.outcome, task.expires_at), (None, before.expires_at));
    assert!(task.updated_at.since(before.updated_at) >= minutes(1));
    lost(fleet.one.finish(lease, super::fleet::done())).await;
    assert_eq!(fleet.task(1).await.status, TaskStatus::Cancelled);
}

pub(super) async fn a_task_is_cancelled_in_every_phase_but_the_last(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    fleet.parked(1, &["size"]).await;
    let lease = fleet.leased(2).await;
    written(fleet.one.hand_back(lease, failed_for(minutes(1)))).await;
    fleet.leased(3).await;
    fleet.make(new(4)).await;
    let phases = [Phase::Parked, Phase::Delayed, Phase::Leased, Phase::Queued];
    for (number, phase) in (1..).zip(phases) {
        assert_eq!(fleet.phase(number).await, phase);
        let wanted = if phase == Phase::Parked { TaskStatus::InputRequired } else { TaskStatus::Working };
        assert_eq!(ok(fleet.other.cancel(id(number), None, None)).await, Some(wanted));
        let task = fleet.task(number).await;
        assert_eq!((task.status, task.questions), (TaskStatus::Cancelled, Vec::new()));
        assert_eq!(ok(fleet.one.cancel(id(number), None, None)).await, Some(TaskStatus::Cancelled));
    }
    fleet.advance(minutes(60)).await;
    assert_eq!(fleet.claims(9).await.tasks, []);
}

pub(super) async fn cancelling_without_a_message_leaves_what_was_said(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    let lease = fleet.leased(1).await;
    written(fleet.one.say(lease, "half done".to_owned())).await;
    ok(fleet.other.cancel(id(1), None, None)).await;
    assert_eq!(fleet.task(1).await.message.as_deref(), Some("half done"));
}

pub(super) async fn only_its_owner_cancels_a_task(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    let task = fleet.make(new(1)).await.task;
    for owner in [bob(), Owner::nobody()] {
        assert_eq!(ok(fleet.other.cancel(id(1), Some(owner), None)).await, None);
    }
    assert_eq!(fleet.task(1).await, task);
    assert_eq!(ok(fleet.other.cancel(id(1), Some(ann()), None)).await, Some(TaskStatus::Working));
}

pub(super) async fn cancelling_what_has_ended_gives_how_it_ended(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    fleet.ended(1).await;
    let task = fleet.task(1).await;
    fleet.advance(minutes(1)).await;
    let message = Some("too late".to_owned());
    assert_eq!(ok(fleet.other.cancel(id(1), Some(ann()), message)).await, Some(TaskStatus::Completed));
    assert_eq!(fleet.task(1).await, task);
}
