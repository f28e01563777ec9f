//! What followers hear.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::Fixtures;
use super::fleet::{
    Fleet, PATIENCE, answers, done, failed_for, hear, hear_until, id, leaving_for, lost, minutes, new, ok, question,
    step, told, written,
};
use crate::event::{Event, Follower};
use crate::options::Options;
use crate::store::Store;
use crate::work::HandBack;

pub(super) async fn followers_on_every_pod_hear_what_is_published(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    let mut followers = [ok(fleet.one.follow()).await, ok(fleet.other.follow()).await];
    ok(fleet.one.publish(vec!["a".to_owned(), "ü \n".to_owned()])).await;
    ok(fleet.other.publish(vec!["b".to_owned()])).await;
    ok(fleet.other.publish(Vec::new())).await;
    for follower in &mut followers {
        let wanted = [told("a"), told("ü \n"), told("b")];
        let mut heard = Vec::new();
        while !wanted.iter().all(|event| heard.contains(event)) {
            heard.extend(hear(&mut **follower).await);
        }
        assert!(heard.iter().all(|event| wanted.contains(event)), "{heard:?}");
    }
}

pub(super) async fn a_follower_hears_of_what_comes_after_it_only(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    ok(fleet.one.publish(vec!["before".to_owned()])).await;
    let mut follower = ok(fleet.other.follow()).await;
    ok(fleet.one.publish(vec!["after".to_owned()])).await;
    assert_eq!(hear_until(&mut *follower, &told("after")).await, [told("after")]);
}

/// Hears of this task before it hears of what is published next.
async fn hears_of(fleet: &Fleet, follower: &mut dyn Follower, number: u8) -> bool {
    ok(fleet.one.publish(vec!["last".to_owned()])).await;
    let heard = hear_until(follower, &told("last")).await;
    heard.contains(&Event::Task(id(number)))
}

pub(super) async fn followers_hear_of_every_change_that_clients_see(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    for number in 1..=7 {
        // Each change has a task and a follower of its own, so that no other can be taken for it.
        let waits = matches!(number, 3 | 7);
        let lease = match waits {
            true => None,
            false => Some(fleet.leased(number).await),
        };
        if waits {
            fleet.parked(number, &["size", "color"]).await;
        }
        let mut follower = ok(fleet.other.follow()).await;
        match (number, lease) {
            (1, Some(lease)) => written(fleet.one.say(lease, "half done".to_owned())).await,
            (2, Some(lease)) => written(fleet.one.park(lease, vec![question("size")])).await,
            (3, _) => fleet.answer(3, &["size"]).await,
            (5, _) => assert!(ok(fleet.one.cancel(id(5), None, None)).await.is_some()),
            (6, Some(lease)) => {
                let message = Some("tries again".to_owned());
                written(fleet.one.hand_back(lease, HandBack { message, ..failed_for(minutes(600)) })).await;
            }
            (_, Some(lease)) => written(fleet.one.finish(lease, done())).await,
            (_, None) => fleet.answer(number, &["size", "color"]).await,
        }
        assert!(hears_of(&fleet, &mut *follower, number).await, "of change {number}");
    }
}

pub(super) async fn followers_are_not_told_of_what_nobody_sees(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    let lease = fleet.leased(1).await;
    written(fleet.one.say(lease.clone(), "half done".to_owned())).await;
    let mut follower = ok(fleet.other.follow()).await;
    written(fleet.one.record(lease.clone(), step("fetch", "1"))).await;
    ok(fleet.one.renew(vec![lease.clone()], minutes(60))).await;
    written(fleet.one.say(lease.clone(), "half done".to_owned())).await;
    let wrong = crate::work::Lease { fence: 9, ..lease.clone() };
    lost(fleet.one.say(wrong, "stolen".to_owned())).await;
    ok(fleet.one.answer(id(1), None, answers(&["size"]))).await;
    written(fleet.one.hand_back(lease, leaving_for(minutes(0)))).await;
    fleet.claim_it(1).await;
    assert!(!hears_of(&fleet, &mut *follower, 1).await);
}

pub(super) async fn a_follower_that_stops_waiting_loses_nothing(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    let mut follower = ok(fleet.other.follow()).await;
    let pod = Arc::clone(&fleet.one);
    let publishing = tokio::spawn(async move {
        for number in 0..30 {
            ok(pod.publish(vec![number.to_string()])).await;
        }
    });
    let mut heard = BTreeSet::new();
    let begun = tokio::time::Instant::now();
    while heard.len() < 30 {
        assert!(begun.elapsed() < PATIENCE, "{} of 30 were heard", heard.len());
        if let Ok(next) = tokio::time::timeout(Duration::from_millis(1), follower.next()).await {
            let next = next.expect("the follower can ask the store");
            assert!(!next.gap, "nothing was lost");
            heard.extend(next.events.into_iter().map(|event| format!("{event:?}")));
        }
    }
    publishing.await.expect("all was published");
}

pub(super) async fn followers_of_one_pod_hear_each_what_came_after_it(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    let mut early = ok(fleet.other.follow()).await;
    ok(fleet.one.publish(vec!["before".to_owned()])).await;
    // Nobody has asked for what was before yet.
    let mut late = ok(fleet.other.follow()).await;
    ok(fleet.one.publish(vec!["after".to_owned()])).await;
    assert_eq!(hear_until(&mut *late, &told("after")).await, [told("after")]);
    assert_eq!(hear_until(&mut *early, &told("after")).await, [told("before"), told("after")]);
    drop(early);
    ok(fleet.one.publish(vec!["again".to_owned()])).await;
    assert_eq!(hear_until(&mut *late, &told("again")).await, [told("again")]);
    drop(late);
    ok(fleet.one.publish(vec!["to nobody".to_owned()])).await;
    let mut next = ok(fleet.other.follow()).await;
    ok(fleet.one.publish(vec!["last".to_owned()])).await;
    assert_eq!(hear_until(&mut *next, &told("last")).await, [told("last")]);
}

pub(super) async fn of_many_who_publish_at_once_all_are_heard(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    let mut followers = [ok(fleet.one.follow()).await, ok(fleet.other.follow()).await];
    let mut publishing = JoinSet::new();
    for number in 0..8 {
        let pod = Arc::clone(if number % 2 == 0 { &fleet.one } else { &fleet.other });
        publishing.spawn(async move {
            for count in 0..10 {
                ok(pod.publish(vec![format!("{number} {count}")])).await;
            }
        });
    }
    for follower in &mut followers {
        let mut heard = BTreeSet::new();
        while heard.len() < 80 {
            heard.extend(hear(&mut **follower).await.into_iter().map(|event| format!("{event:?}")));
        }
    }
    publishing.join_all().await;
}

pub(super) async fn a_follower_that_was_away_for_too_long_says_so(fixtures: &dyn Fixtures) {
    let options = Options { events_for: minutes(10), ..Options::default() };
    let fleet = Fleet::with(fixtures, options).await;
    let mut follower = ok(fleet.other.follow()).await;
    ok(fleet.one.publish(vec!["early".to_owned()])).await;
    fleet.advance(minutes(11)).await;
    ok(fleet.one.sweep(100)).await;
    ok(fleet.one.publish(vec!["late".to_owned()])).await;
    let (mut events, mut gap) = (Vec::new(), false);
    while !events.contains(&told("late")) {
        let heard = tokio::time::timeout(PATIENCE, follower.next()).await.expect("the follower hears something");
        let heard = heard.expect("the follower can ask the store");
        gap |= heard.gap;
        events.extend(heard.events);
    }
    // One that reads ahead has heard it before it was forgotten.
    assert!(gap || events.contains(&told("early")), "what was lost is not told");
    ok(fleet.one.publish(vec!["again".to_owned()])).await;
    hear_until(&mut *follower, &told("again")).await;
}

/// Waits for a pod to be woken by what `act` does.
async fn is_woken(fleet: &Fleet, pod: &dyn Store, by: &str, act: impl Future<Output = ()>) {
    // What was done before has woken it once this is heard.
    let mut follower = ok(pod.follow()).await;
    ok(fleet.one.publish(vec!["before".to_owned()])).await;
    hear_until(&mut *follower, &told("before")).await;
    let mut woken = pod.woken();
    woken.mark_unchanged();
    act.await;
    let changed = tokio::time::timeout(PATIENCE, woken.changed()).await;
    changed.unwrap_or_else(|_| panic!("not woken by {by}")).expect("the store is there");
    // What waits would keep the next one from being leased at once.
    while fleet.claim().await.is_some() {}
}

pub(super) async fn every_pod_is_woken_when_there_may_be_something_to_claim(fixtures: &dyn Fixtures) {
    let fleet = Fleet::new(fixtures).await;
    for (round, pod) in (0..).zip([&fleet.one, &fleet.other]) {
        let number = |at: u8| 10 * round + at;
        let lease = fleet.leased(number(1)).await;
        let act = async { written(fleet.one.hand_back(lease, leaving_for(minutes(0)))).await };
        is_woken(&fleet, &**pod, "what is handed back", act).await;
        let lease = fleet.leased(number(2)).await;
        let act = async { written(fleet.one.park(lease, Vec::new())).await };
        is_woken(&fleet, &**pod, "what has nothing to ask", act).await;
        fleet.parked(number(3), &["size"]).await;
        is_woken(&fleet, &**pod, "answers", fleet.answer(number(3), &["size"])).await;
        let act = async { assert_eq!(fleet.make(new(number(4))).await.lease, None) };
        is_woken(&fleet, &**pod, "what is created", act).await;
        let act = async { assert!(ok(fleet.one.retry(id(number(4)))).await.is_some()) };
        is_woken(&fleet, &**pod, "what is tried again", act).await;
        let act = async { ok(fleet.one.publish(vec!["news".to_owned()])).await };
        is_woken(&fleet, &**pod, "what is published", act).await;
    }
}
