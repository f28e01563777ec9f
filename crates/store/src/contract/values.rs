//! Values behind handles, and marks.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::Fixtures;
use super::fleet::{Fleet, ann, bob, minutes, ok};
use crate::options::Options;
use crate::task::Owner;
use crate::value::{NewValue, Replaced, Value, ValueId};

fn named(id: &str) -> ValueId {
    ValueId { kind: "basket".to_owned(), id: id.to_owned(), owner: ann() }
}

/// A value that is kept for ever.
fn kept(id: &str) -> NewValue {
    NewValue { id: named(id), text: format!("text of {id}"), ttl: None, sliding: false }
}

fn for_half_an_hour(id: &str, sliding: bool) -> NewValue {
    NewValue { ttl: Some(minutes(30)), sliding, ..kept(id) }
}

async fn text(fleet: &Fleet, id: ValueId) -> Option<String> {
    ok(fleet.other.value(id)).await.map(|value| value.text)
}

pub(super) async fn a_stored_value_is_there_on_every_pod(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    assert_eq!(ok(fleet.one.value(named("1"))).await, None);
    assert!(ok(fleet.one.put(kept("1"))).await);
    let wanted = Value { text: "text of 1".to_owned(), version: 1, expires_at: None };
    assert_eq!(ok(fleet.other.value(named("1"))).await, Some(wanted));
    fleet.advance(minutes(60 * 24 * 365)).await;
    assert_eq!(text(&fleet, named("1")).await.as_deref(), Some("text of 1"));
}

pub(super) async fn values_of_other_kinds_ids_and_owners_are_others(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    ok(fleet.one.put(kept("1"))).await;
    let kind = ValueId { kind: "order".to_owned(), ..named("1") };
    let others = [kind, named("2"), ValueId { owner: bob(), ..named("1") }];
    for (at, id) in others.iter().enumerate() {
        assert_eq!(text(&fleet, id.clone()).await, None);
        assert_eq!(ok(fleet.one.replace(id.clone(), 1, "x".to_owned())).await, Replaced::Gone);
        assert!(!ok(fleet.one.remove(id.clone())).await);
        ok(fleet.one.put(NewValue { id: id.clone(), text: at.to_string(), ..kept("") })).await;
    }
    for (at, id) in others.into_iter().enumerate() {
        assert_eq!(text(&fleet, id).await, Some(at.to_string()));
    }
    assert_eq!(text(&fleet, named("1")).await.as_deref(), Some("text of 1"));
}

pub(super) async fn a_value_that_is_stored_again_takes_the_place_of_the_first(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    ok(fleet.one.put(for_half_an_hour("1", false))).await;
    fleet.advance(minutes(10)).await;
    assert!(ok(fleet.other.put(NewValue { text: "second".to_owned(), ..for_half_an_hour("1", false) })).await);
    fleet.advance(minutes(25)).await;
    let value = ok(fleet.one.value(named("1"))).await.expect("its time began anew");
    assert_eq!(value.text, "second");
    assert!(value.version > 1, "who has read the first must not replace the second");
    assert_eq!(ok(fleet.one.replace(named("1"), 1, "late".to_owned())).await, Replaced::Changed);
}

pub(super) async fn a_value_is_replaced_if_nobody_has_changed_it(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    ok(fleet.one.put(kept("1"))).await;
    let Replaced::Done(version) = ok(fleet.other.replace(named("1"), 1, "second".to_owned())).await else {
        panic!("nobody has changed it");
    };
    assert!(version > 1);
    assert_eq!(ok(fleet.one.replace(named("1"), 1, "late".to_owned())).await, Replaced::Changed);
    let wanted = Value { text: "second".to_owned(), version, expires_at: None };
    assert_eq!(ok(fleet.one.value(named("1"))).await, Some(wanted));
    let third = ok(fleet.one.replace(named("1"), version, "third".to_owned())).await;
    assert!(matches!(third, Replaced::Done(third) if third > version), "{third:?}");
}

pub(super) async fn of_many_who_replace_a_value_at_once_one_does(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    ok(fleet.one.put(kept("1"))).await;
    let mut replaced = JoinSet::new();
    for number in 0..8 {
        let pod = Arc::clone(if number % 2 == 0 { &fleet.one } else { &fleet.other });
        replaced.spawn(async move {
            let text = number.to_string();
            let replaced = ok(pod.replace(named("1"), 1, text.clone())).await;
            (replaced != Replaced::Changed).then_some((replaced, text))
        });
    }
    let done: Vec<_> = replaced.join_all().await.into_iter().flatten().collect();
    assert_eq!(done.len(), 1, "{done:?}");
    assert!(matches!(done[0].0, Replaced::Done(_)));
    assert_eq!(text(&fleet, named("1")).await.as_ref(), Some(&done[0].1));
}

pub(super) async fn a_value_whose_time_is_over_is_gone(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    for id in ["looked at", "replaced", "removed"] {
        ok(fleet.one.put(for_half_an_hour(id, false))).await;
    }
    fleet.advance(minutes(29)).await;
    assert!(text(&fleet, named("looked at")).await.is_some(), "a look does not keep it");
    assert!(matches!(ok(fleet.one.replace(named("replaced"), 1, "x".to_owned())).await, Replaced::Done(_)));
    fleet.advance(minutes(1)).await;
    assert_eq!(text(&fleet, named("looked at")).await, None);
    assert_eq!(text(&fleet, named("replaced")).await, None);
    assert_eq!(ok(fleet.one.replace(named("looked at"), 1, "x".to_owned())).await, Replaced::Gone);
    assert!(!ok(fleet.one.remove(named("removed"))).await);
    assert!(ok(fleet.one.put(kept("removed"))).await);
    assert!(text(&fleet, named("removed")).await.is_some(), "another may take its place");
}

pub(super) async fn a_look_at_a_value_that_slides_begins_its_time_anew(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    ok(fleet.one.put(for_half_an_hour("1", true))).await;
    for _ in 0..3 {
        fleet.advance(minutes(25)).await;
        let now = ok(fleet.one.now()).await;
        let value = ok(fleet.other.value(named("1"))).await.expect("somebody looks at it");
        let left = value.expires_at.expect("it is kept for some time").since(now);
        assert!(left >= minutes(30) && left < minutes(31), "{left:?}");
    }
    fleet.advance(minutes(30)).await;
    assert_eq!(text(&fleet, named("1")).await, None);
}

pub(super) async fn replacing_a_value_that_slides_begins_its_time_anew(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    ok(fleet.one.put(for_half_an_hour("1", true))).await;
    fleet.advance(minutes(25)).await;
    assert!(matches!(ok(fleet.one.replace(named("1"), 1, "second".to_owned())).await, Replaced::Done(_)));
    fleet.advance(minutes(25)).await;
    assert_eq!(text(&fleet, named("1")).await.as_deref(), Some("second"));
}

pub(super) async fn a_removed_value_is_gone(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    ok(fleet.one.put(kept("1"))).await;
    assert!(ok(fleet.other.remove(named("1"))).await);
    assert_eq!(text(&fleet, named("1")).await, None);
    assert_eq!(ok(fleet.one.replace(named("1"), 1, "x".to_owned())).await, Replaced::Gone);
    assert!(!ok(fleet.one.remove(named("1"))).await);
}

pub(super) async fn an_owner_with_too_many_values_stores_no_more(fixtures: &dyn Fixtures) {
    let fleet = Fleet::with(fixtures, Options { values_of_owner: 2, ..Options::default() }).await;
    assert!(ok(fleet.one.put(for_half_an_hour("1", false))).await);
    assert!(ok(fleet.one.put(NewValue { id: ValueId { kind: "order".to_owned(), ..named("2") }, ..kept("") })).await);
    assert!(!ok(fleet.other.put(kept("3"))).await, "of all kinds together");
    assert_eq!(text(&fleet, named("3")).await, None);
    assert!(ok(fleet.other.put(for_half_an_hour("1", false))).await, "what is replaced needs no place");
    for owner in [bob(), Owner::nobody(), Owner::nobody(), Owner::nobody()] {
        let id = format!("of {}", owner.as_str().len());
        assert!(ok(fleet.one.put(NewValue { id: ValueId { owner, ..named(&id) }, ..kept("") })).await);
    }
    for id in ["1", "2", "3"] {
        let id = ValueId { owner: Owner::nobody(), ..named(id) };
        assert!(ok(fleet.one.put(NewValue { id, ..kept("") })).await, "nobody's are not counted");
    }
    fleet.advance(minutes(30)).await;
    assert!(ok(fleet.other.put(kept("3"))).await, "what is over is not counted");
    assert!(!ok(fleet.other.put(kept("4"))).await);
    assert!(ok(fleet.one.remove(named("3"))).await);
    assert!(ok(fleet.other.put(kept("4"))).await);
}

pub(super) async fn a_mark_is_made_once_on_whichever_pod(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    assert!(ok(fleet.one.mark([1; 32], minutes(30))).await);
    assert!(!ok(fleet.other.mark([1; 32], minutes(90))).await);
    assert!(!ok(fleet.one.mark([1; 32], minutes(30))).await);
    let mut close = [1; 32];
    close[31] = 0;
    assert!(ok(fleet.other.mark(close, minutes(30))).await, "it is another");
}

pub(super) async fn a_mark_whose_time_is_over_may_be_made_again(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    assert!(ok(fleet.one.mark([1; 32], minutes(30))).await);
    fleet.advance(minutes(20)).await;
    assert!(!ok(fleet.other.mark([1; 32], minutes(90))).await, "and does not keep it for longer");
    fleet.advance(minutes(10)).await;
    assert!(ok(fleet.other.mark([1; 32], minutes(30))).await);
    fleet.advance(minutes(20)).await;
    assert!(!ok(fleet.one.mark([1; 32], Duration::ZERO)).await);
}

pub(super) async fn of_many_who_make_a_mark_at_once_one_is_the_first(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    let mut marks = JoinSet::new();
    for number in 0..12 {
        let pod = Arc::clone(if number % 2 == 0 { &fleet.one } else { &fleet.other });
        marks.spawn(async move { ok(pod.mark([1; 32], minutes(30))).await });
    }
    assert_eq!(marks.join_all().await.into_iter().filter(|first| *first).count(), 1);
}
