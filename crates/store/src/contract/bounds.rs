//! Texts that are too long.

use anypod_proto::tasks::TaskStatus;

use super::Fixtures;
use super::fleet::{Fleet, hear_until, id, minutes, new, ok, question, step, told, written};
use crate::error::StoreError;
use crate::options::Options;
use crate::store::Later;
use crate::task::{NewTask, Owner, Question};
use crate::value::{NewValue, ValueId};
use crate::work::End;

/// What a text may have.
const MOST: usize = 1_000;

async fn is_too_long<T: std::fmt::Debug>(later: Later<'_, T>) {
    match later.await {
        Err(StoreError::TooLong { bytes, most, .. }) => assert!(bytes > most, "{bytes} are no more than {most}"),
        other => panic!("not too long: {other:?}"),
    }
}

async fn bounded(fixtures: &dyn Fixtures) -> Fleet {
    Fleet::with(fixtures, Options { text_bytes: MOST, ..Options::default() }).await
}

/// A text with so many bytes, and fewer characters.
fn text(bytes: usize) -> String {
    format!("ü{}", "x".repeat(bytes - 2))
}

pub(super) async fn a_call_that_is_too_long_creates_nothing(fixtures: &dyn Fixtures) {
    let fleet = bounded(fixtures).await;
    is_too_long(fleet.one.create(NewTask { call: text(MOST + 1), ..new(1) })).await;
    assert_eq!(ok(fleet.one.task(id(1), None)).await, None);
    fleet.make(NewTask { call: text(MOST), ..new(1) }).await;
    assert_eq!(fleet.claim_it(1).await.call, text(MOST));
}

pub(super) async fn what_a_worker_writes_must_not_be_too_long(fixtures: &dyn Fixtures) {
    let fleet = bounded(fixtures).await;
    let lease = fleet.leased(1).await;
    let before = (fleet.task(1).await, fleet.row(1).await);
    is_too_long(fleet.one.record(lease.clone(), step("fetch", &text(MOST + 1)))).await;
    let question = |bytes| Question { request: text(bytes), ..question("size") };
    is_too_long(fleet.one.park(lease.clone(), vec![super::fleet::question("color"), question(MOST + 1)])).await;
    is_too_long(fleet.one.finish(lease.clone(), End::new(TaskStatus::Completed, text(MOST + 1)))).await;
    assert_eq!(before, (fleet.task(1).await, fleet.row(1).await), "nothing of it was done");
    written(fleet.one.record(lease.clone(), step("fetch", &text(MOST)))).await;
    written(fleet.one.park(lease, vec![question(MOST)])).await;
    is_too_long(fleet.one.answer(id(1), None, vec![("size".to_owned(), text(MOST + 1))])).await;
    assert_eq!(fleet.open(1).await, ["size"]);
    ok(fleet.one.answer(id(1), None, vec![("size".to_owned(), text(MOST))])).await;
    let claimed = fleet.claim_it(1).await;
    assert_eq!((claimed.steps[0].result.len(), claimed.answers[0].1.len()), (MOST, MOST));
    written(fleet.other.finish(claimed.lease, End::new(TaskStatus::Completed, text(MOST)))).await;
    assert_eq!(fleet.task(1).await.outcome, Some(text(MOST)));
}

pub(super) async fn values_and_events_must_not_be_too_long(fixtures: &dyn Fixtures) {
    let fleet = bounded(fixtures).await;
    let name = ValueId { kind: "basket".to_owned(), id: "1".to_owned(), owner: Owner::nobody() };
    let value = |bytes| NewValue { id: name.clone(), text: text(bytes), ttl: None, sliding: false };
    is_too_long(fleet.one.put(value(MOST + 1))).await;
    assert_eq!(ok(fleet.one.value(name.clone())).await, None);
    assert!(ok(fleet.one.put(value(MOST))).await);
    is_too_long(fleet.one.replace(name.clone(), 1, text(MOST + 1))).await;
    let kept = ok(fleet.other.value(name.clone())).await.expect("it is there");
    assert_eq!((kept.text, kept.version), (text(MOST), 1));
    let mut follower = ok(fleet.other.follow()).await;
    is_too_long(fleet.one.publish(vec!["first".to_owned(), text(MOST + 1)])).await;
    ok(fleet.one.publish(vec![text(MOST)])).await;
    assert_eq!(hear_until(&mut *follower, &told(&text(MOST))).await, [told(&text(MOST))]);
}

pub(super) async fn a_journal_has_a_bound_of_its_own(fixtures: &dyn Fixtures) {
    let options = Options { journal_bytes: 10 * MOST, ..Options::default() };
    let fleet = Fleet::with(fixtures, options).await;
    let lease = fleet.leased(1).await;
    written(fleet.one.record(lease.clone(), step("a", &text(4 * MOST)))).await;
    is_too_long(fleet.one.record(lease.clone(), step("b", &text(7 * MOST)))).await;
    let question = |bytes| Question { request: text(bytes), ..question("size") };
    is_too_long(fleet.one.park(lease.clone(), vec![question(7 * MOST)])).await;
    written(fleet.one.park(lease, vec![question(2 * MOST)])).await;
    let answer = |bytes| vec![("size".to_owned(), text(bytes))];
    is_too_long(fleet.one.answer(id(1), None, answer(5 * MOST))).await;
    assert_eq!(fleet.open(1).await, ["size"]);
    ok(fleet.one.answer(id(1), None, answer(2 * MOST))).await;
    let claimed = fleet.claim_it(1).await;
    assert_eq!((claimed.steps.len(), claimed.answers.len()), (1, 1));
    // Another task's is its own.
    let lease = fleet.leased(2).await;
    written(fleet.one.record(lease, step("b", &text(7 * MOST)))).await;
    written(fleet.other.record(claimed.lease.clone(), step("c", "1"))).await;
    is_too_long(fleet.other.record(claimed.lease, step("d", &text(3 * MOST)))).await;
    fleet.advance(minutes(1)).await;
    assert_eq!(fleet.row(1).await.steps, 2);
}

pub(super) async fn texts_come_back_as_they_were_written(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    // Bytes that databases are particular about, and a text of some length.
    let odd = format!("'\"\\%_$1 \u{1} \u{7f} é \u{1f600} {}", "long ".repeat(50_000));
    let lease = fleet.leased(1).await;
    written(fleet.one.record(lease.clone(), step(&odd[..40], &odd))).await;
    written(fleet.one.say(lease.clone(), odd.clone())).await;
    written(fleet.one.park(lease, vec![Question { key: "'key'".to_owned(), request: odd.clone() }])).await;
    assert_eq!(fleet.task(1).await.questions[0].request, odd);
    ok(fleet.one.answer(id(1), None, vec![("'key'".to_owned(), odd.clone())])).await;
    let claimed = fleet.claim_it(1).await;
    assert_eq!((&claimed.steps[0].result, &claimed.answers[0].1), (&odd, &odd));
    let end = End { message: Some(odd.clone()), ..End::new(TaskStatus::Failed, odd.clone()) };
    written(fleet.other.finish(claimed.lease, end)).await;
    let task = fleet.task(1).await;
    assert_eq!((task.outcome.as_ref(), task.message.as_ref()), (Some(&odd), Some(&odd)));
}
