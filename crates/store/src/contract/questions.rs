//! Questions and answers.

use std::sync::Arc;

use anypod_proto::tasks::TaskStatus;
use tokio::task::JoinSet;

use super::Fixtures;
use super::fleet::{Fleet, LEASE, ann, answers, bob, id, minutes, ok, question, written};
use crate::task::{Answered, Owner, Phase, Question};

pub(super) async fn a_task_that_asks_waits_for_answers(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    let lease = fleet.leased(1).await;
    let before = fleet.task(1).await;
    fleet.advance(minutes(1)).await;
    let questions = vec![question("z"), question("a"), question("m")];
    written(fleet.one.park(lease, questions.clone())).await;
    let task = fleet.task(1).await;
    assert_eq!((task.status, task.questions), (TaskStatus::InputRequired, questions));
    assert!(task.updated_at.since(before.updated_at) >= minutes(1));
    let row = fleet.row(1).await;
    assert_eq!((row.phase, row.due_at), (Phase::Parked, None));
    fleet.advance(LEASE * 9).await;
    assert!(fleet.claim().await.is_none());
}

pub(super) async fn a_task_goes_on_once_all_is_answered(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    fleet.parked(1, &["z", "a", "m"]).await;
    let before = fleet.task(1).await;
    fleet.advance(minutes(1)).await;
    assert_eq!(ok(fleet.other.answer(id(1), Some(ann()), answers(&["a"]))).await, Answered::Taken);
    let partly = fleet.task(1).await;
    assert_eq!(partly.status, TaskStatus::InputRequired);
    assert_eq!(partly.questions, [question("z"), question("m")]);
    assert!(partly.updated_at.since(before.updated_at) >= minutes(1));
    assert!(fleet.claim().await.is_none());
    fleet.advance(minutes(1)).await;
    assert_eq!(ok(fleet.other.answer(id(1), Some(ann()), answers(&["m", "z"]))).await, Answered::Taken);
    let whole = fleet.task(1).await;
    assert_eq!((whole.status, whole.questions), (TaskStatus::Working, Vec::new()));
    assert!(whole.updated_at.since(partly.updated_at) >= minutes(1));
    assert_eq!(fleet.phase(1).await, Phase::Queued);
    let keys: Vec<_> = fleet.claim_it(1).await.answers.into_iter().map(|(question, _)| question.key).collect();
    assert_eq!(keys, ["z", "a", "m"], "in the order in which it was asked");
}

pub(super) async fn answers_to_what_was_not_asked_are_dropped(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    fleet.parked(1, &["size"]).await;
    let before = fleet.task(1).await;
    fleet.advance(minutes(1)).await;
    assert_eq!(ok(fleet.other.answer(id(1), None, answers(&["color"]))).await, Answered::Taken);
    assert_eq!(ok(fleet.other.answer(id(1), None, Vec::new())).await, Answered::Taken);
    assert_eq!(fleet.task(1).await, before, "nothing was taken");
    ok(fleet.other.answer(id(1), None, answers(&["color", "size", "weight"]))).await;
    let claimed = fleet.claim_it(1).await;
    assert_eq!(claimed.answers.len(), 1);
    assert_eq!(claimed.answers[0].0, question("size"));
    // What is asked later was not answered before.
    written(fleet.other.park(claimed.lease, vec![question("color")])).await;
    assert_eq!(fleet.open(1).await, ["color"]);
}

pub(super) async fn the_first_answer_stays(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    fleet.parked(1, &["size", "color"]).await;
    let second = || vec![("size".to_owned(), "second".to_owned())];
    ok(fleet.one.answer(id(1), None, vec![("size".to_owned(), "first".to_owned())])).await;
    let before = fleet.task(1).await;
    fleet.advance(minutes(1)).await;
    assert_eq!(ok(fleet.other.answer(id(1), None, second())).await, Answered::Taken);
    assert_eq!(fleet.task(1).await, before, "nothing was taken");
    ok(fleet.one.answer(id(1), None, answers(&["color"]))).await;
    ok(fleet.other.answer(id(1), None, second())).await;
    let claimed = fleet.claim_it(1).await;
    ok(fleet.other.answer(id(1), None, second())).await;
    assert_eq!(claimed.answers[0], (question("size"), "first".to_owned()));
    fleet.advance(LEASE).await;
    assert_eq!(fleet.claim_it(1).await.answers, claimed.answers);
}

pub(super) async fn only_its_owner_answers_a_task(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    fleet.parked(1, &["size"]).await;
    let before = fleet.task(1).await;
    for owner in [bob(), Owner::nobody()] {
        assert_eq!(ok(fleet.other.answer(id(1), Some(owner), answers(&["size"]))).await, Answered::Unknown);
    }
    assert_eq!(fleet.task(1).await, before);
    assert_eq!(ok(fleet.other.answer(id(1), Some(ann()), answers(&["size"]))).await, Answered::Taken);
    assert_eq!(fleet.task(1).await.status, TaskStatus::Working);
}

pub(super) async fn the_first_request_of_a_key_stays(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    fleet.parked(1, &["size"]).await;
    ok(fleet.one.answer(id(1), None, answers(&["size"]))).await;
    let claimed = fleet.claim_it(1).await;
    let otherwise = Question { key: "size".to_owned(), request: "otherwise".to_owned() };
    written(fleet.other.park(claimed.lease, vec![otherwise, question("color")])).await;
    assert_eq!(fleet.open(1).await, ["color"], "what was answered is not asked again");
    ok(fleet.one.answer(id(1), None, answers(&["color", "size"]))).await;
    let answered = fleet.claim_it(1).await.answers;
    assert_eq!(answered[0], claimed.answers[0]);
    assert_eq!(answered[1].0, question("color"));
    assert_eq!(answered.len(), 2);
}

pub(super) async fn a_task_that_asks_what_is_answered_goes_on_at_once(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    fleet.parked(1, &["size"]).await;
    ok(fleet.one.answer(id(1), None, answers(&["size"]))).await;
    for questions in [vec![question("size")], Vec::new()] {
        let claimed = fleet.claim_it(1).await;
        written(fleet.other.park(claimed.lease, questions)).await;
        assert_eq!(fleet.task(1).await.status, TaskStatus::Working);
        assert_eq!(fleet.phase(1).await, Phase::Queued);
    }
    fleet.claim_it(1).await;
}

pub(super) async fn tasks_have_questions_of_their_own(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    fleet.parked(1, &["size"]).await;
    fleet.parked(2, &["size"]).await;
    ok(fleet.one.answer(id(1), None, answers(&["size"]))).await;
    assert_eq!((fleet.open(1).await.len(), fleet.open(2).await.len()), (0, 1));
    assert_eq!(fleet.claims(9).await.tasks.len(), 1);
}

pub(super) async fn a_task_that_has_ended_asks_nothing(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    fleet.parked(1, &["size"]).await;
    ok(fleet.one.cancel(id(1), None, None)).await;
    let task = fleet.task(1).await;
    assert_eq!(task.questions, []);
    fleet.advance(minutes(1)).await;
    assert_eq!(ok(fleet.other.answer(id(1), None, answers(&["size"]))).await, Answered::Taken);
    assert_eq!(ok(fleet.other.answer(id(1), Some(bob()), answers(&["size"]))).await, Answered::Unknown);
    assert_eq!(fleet.task(1).await, task);
}

pub(super) async fn of_many_answers_at_once_none_is_lost(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    let keys = ["a", "b", "c", "d", "e", "f"];
    fleet.parked(1, &keys).await;
    let mut sent = JoinSet::new();
    for key in keys {
        for pod in [&fleet.one, &fleet.other] {
            let pod = Arc::clone(pod);
            sent.spawn(async move { ok(pod.answer(id(1), None, answers(&[key]))).await });
        }
    }
    assert_eq!(sent.join_all().await, vec![Answered::Taken; 12]);
    assert_eq!(fleet.task(1).await.status, TaskStatus::Working);
    let answered = fleet.claim_it(1).await.answers;
    let answered: Vec<_> = answered.into_iter().map(|(question, text)| (question.key, text)).collect();
    assert_eq!(answered, answers(&keys));
    assert!(fleet.claim().await.is_none(), "it goes on once");
}
