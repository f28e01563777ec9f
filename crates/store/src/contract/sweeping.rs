//! Deleting what is over.

use super::Fixtures;
use super::fleet::{Fleet, answers, done, hear_until, id, minutes, new, new_leased, ok, question, step, told, written};
use crate::options::Options;
use crate::report::Swept;
use crate::task::{NewTask, Owner};
use crate::value::{NewValue, ValueId};
use crate::work::End;

fn value(id: &str, ttl: Option<u64>) -> NewValue {
    let id = ValueId { kind: "basket".to_owned(), id: id.to_owned(), owner: Owner::nobody() };
    NewValue { id, text: "text".to_owned(), ttl: ttl.map(minutes), sliding: false }
}

/// Creates a task that has ended and is kept for half an hour.
async fn ended(fleet: &Fleet, number: u8) {
    let made = fleet.make(NewTask { ttl: Some(minutes(30)), ..new_leased(number) }).await;
    written(fleet.one.finish(made.lease.expect("nothing waits"), done())).await;
}

pub(super) async fn a_sweep_deletes_tasks_that_have_ended_and_are_over(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    ended(&fleet, 1).await;
    fleet.ended(2).await;
    let made = fleet.make(NewTask { ttl: Some(minutes(30)), ..new_leased(3) }).await;
    let end = End { keep: minutes(60), ..done() };
    written(fleet.one.finish(made.lease.expect("nothing waits"), end)).await;
    fleet.parked_as(NewTask { ttl: Some(minutes(30)), ..new_leased(4) }, &["size"]).await;
    fleet.make(NewTask { ttl: Some(minutes(30)), ..new(5) }).await;
    ok(fleet.one.cancel(id(5), None, None)).await;
    fleet.advance(minutes(29)).await;
    assert_eq!(ok(fleet.other.sweep(9)).await.tasks, 0);
    fleet.advance(minutes(1)).await;
    let swept = ok(fleet.other.sweep(9)).await;
    assert_eq!((swept.tasks, swept.more), (2, false));
    let mut there = Vec::new();
    for number in 1..=5 {
        there.extend(ok(fleet.one.task(id(number), None)).await.map(|_| number));
    }
    assert_eq!(there, [2, 3, 4], "kept for ever, kept for longer, not ended");
    assert_eq!(ok(fleet.one.report(id(1))).await, None);
}

pub(super) async fn what_was_deleted_leaves_nothing_behind(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    let made = fleet.make(NewTask { ttl: Some(minutes(30)), ..new_leased(1) }).await;
    let lease = made.lease.expect("nothing waits");
    written(fleet.one.record(lease.clone(), step("fetch", "1"))).await;
    written(fleet.one.park(lease, vec![question("size")])).await;
    ok(fleet.one.answer(id(1), None, answers(&["size"]))).await;
    ok(fleet.one.cancel(id(1), None, None)).await;
    fleet.advance(minutes(30)).await;
    assert_eq!(ok(fleet.other.sweep(9)).await.tasks, 1);
    assert_eq!(ok(fleet.one.status()).await.steps, 0);
    fleet.make(new(1)).await;
    let claimed = fleet.claim_it(1).await;
    assert_eq!((claimed.steps, claimed.answers), (Vec::new(), Vec::new()));
}

pub(super) async fn a_sweep_deletes_values_marks_and_events_that_are_over(fixtures: &dyn Fixtures) {
    let options = Options { events_for: minutes(30), ..Options::default() };
    let fleet = Fleet::with(fixtures, options).await;
    for (id, ttl) in [("1", Some(30)), ("2", Some(60)), ("3", None)] {
        ok(fleet.one.put(value(id, ttl))).await;
    }
    ok(fleet.one.mark([1; 32], minutes(30))).await;
    ok(fleet.one.mark([2; 32], minutes(60))).await;
    ok(fleet.one.publish(vec!["early".to_owned()])).await;
    fleet.advance(minutes(31)).await;
    let swept = ok(fleet.other.sweep(9)).await;
    assert_eq!((swept.tasks, swept.values, swept.marks, swept.more), (0, 1, 1, false));
    let status = ok(fleet.one.status()).await;
    assert_eq!((status.values, status.marks, status.events), (2, 1, 0));
    ok(fleet.one.publish(vec!["late".to_owned()])).await;
    assert_eq!(ok(fleet.other.sweep(9)).await, Swept::default());
    assert_eq!(ok(fleet.one.status()).await.events, 1);
    assert!(!ok(fleet.one.mark([2; 32], minutes(60))).await);
    assert!(ok(fleet.one.value(value("2", None).id)).await.is_some());
}

pub(super) async fn a_sweep_deletes_so_many_at_most(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    for number in 1..=5 {
        ended(&fleet, number).await;
        ok(fleet.one.mark([number; 32], minutes(30))).await;
        ok(fleet.one.put(value(&number.to_string(), Some(30)))).await;
    }
    fleet.advance(minutes(31)).await;
    let (mut all, mut rounds) = (Swept::default(), 0);
    loop {
        let swept = ok(fleet.other.sweep(2)).await;
        assert!([swept.tasks, swept.values, swept.marks, swept.events].iter().all(|count| *count <= 2), "{swept:?}");
        all.tasks += swept.tasks;
        all.values += swept.values;
        all.marks += swept.marks;
        rounds += 1;
        assert!(rounds < 99, "there is always more");
        if !swept.more {
            break;
        }
    }
    assert_eq!((all.tasks, all.values, all.marks), (5, 5, 5));
    assert_eq!(ok(fleet.one.status()).await.phases.iter().map(|(_, count)| count).sum::<u64>(), 0);
}

pub(super) async fn events_that_are_young_survive_a_sweep(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    let mut follower = ok(fleet.other.follow()).await;
    ok(fleet.one.publish(vec!["young".to_owned()])).await;
    fleet.advance(minutes(5)).await;
    assert_eq!(ok(fleet.one.sweep(9)).await, Swept::default());
    ok(fleet.one.publish(vec!["last".to_owned()])).await;
    let heard = hear_until(&mut *follower, &told("last")).await;
    assert!(heard.contains(&told("young")));
}
