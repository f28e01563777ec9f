//! Which pod gets a request.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::advance;

use super::*;
use crate::config::Balance;
use crate::upstream::{Picked, Target};

const URLS: [&str; 4] = ["http://10.0.0.1/mcp", "http://10.0.0.2/mcp", "http://10.0.0.3/mcp", "http://10.0.0.4/mcp"];

fn fleet(pods: usize, balance: Balance) -> Arc<Upstream> {
    started(&config::Upstream { balance, ..configured(&URLS[..pods]) })
}

/// The last part of the pod's address.
fn number(pod: &Pod) -> u32 {
    pod.id().split(['.', ':']).nth(4).unwrap().parse().unwrap()
}

fn pick(upstream: &Upstream) -> Picked {
    upstream.pick(&Tried::default()).unwrap()
}

fn numbers(upstream: &Upstream, picks: usize) -> Vec<u32> {
    (0..picks).map(|_| number(&pick(upstream))).collect()
}

/// How often each pod is picked.
fn counts(upstream: &Upstream, picks: usize) -> HashMap<u32, usize> {
    let mut counts = HashMap::new();
    for number in numbers(upstream, picks) {
        *counts.entry(number).or_default() += 1;
    }
    counts
}

fn fail(pod: &Pod) {
    (0..Health::default().failures).for_each(|_| pod.failed());
}

#[track_caller]
fn about(count: usize, expected: f64) {
    let count = count as f64;
    // Several standard deviations of what is drawn here.
    assert!((count - expected).abs() < 4.0 * expected.sqrt() + 1.0, "{count} instead of about {expected}");
}

#[tokio::test(start_paused = true)]
async fn round_robin_alternates_strictly() {
    let upstream = fleet(3, Balance::RoundRobin);
    assert_eq!(numbers(&upstream, 7), [1, 2, 3, 1, 2, 3, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_request_goes_to_each_pod_once() {
    for balance in [Balance::RoundRobin, Balance::LeastOfTwo] {
        let upstream = fleet(4, balance);
        // One of them is paused, and comes last.
        fail(&upstream.pods()[1]);
        let mut tried = Tried::default();
        let mut order = Vec::new();
        while let Some(pod) = upstream.pick(&tried) {
            order.push(number(&pod));
            tried.add(&pod);
        }
        assert_eq!((order.len(), tried.len(), order[3]), (4, 4, 2), "{order:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_less_busy_of_two_gets_it() {
    let upstream = fleet(2, Balance::LeastOfTwo);
    let busy = pick(&upstream);
    for _ in 0..50 {
        assert_ne!(number(&pick(&upstream)), number(&busy));
    }
    assert_eq!(busy.in_flight(), 1);
    let pod = Arc::clone(&busy);
    drop(busy);
    assert_eq!(pod.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn of_many_that_are_as_busy_each_gets_its_part() {
    let upstream = fleet(4, Balance::LeastOfTwo);
    for (_, count) in counts(&upstream, 8000) {
        about(count, 2000.0);
    }
    // Requests that stay are spread almost evenly, though nobody has looked at all.
    let staying: Vec<Picked> = (0..400).map(|_| pick(&upstream)).collect();
    assert!(upstream.pods().iter().all(|pod| (90..=110).contains(&pod.in_flight())), "{}", staying.len());
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_fails_gets_none_until_its_pause_is_over() {
    let upstream = fleet(3, Balance::RoundRobin);
    let pods = upstream.pods();
    fail(&pods[0]);
    assert!(!pods[0].is_well());
    assert_eq!(counts(&upstream, 100), HashMap::from([(2, 50), (3, 50)]));
    advance(Health::default().pause.get() + Health::default().slow_start.get()).await;
    assert_eq!(counts(&upstream, 99), HashMap::from([(1, 33), (2, 33), (3, 33)]));
    // The first failure after it pauses it again.
    pods[0].failed();
    assert_eq!(counts(&upstream, 100).get(&1), None);
    // A request that gets through all the same ends it.
    pods[0].succeeded();
    advance(Health::default().slow_start.get()).await;
    assert_eq!(counts(&upstream, 99)[&1], 33);
}

#[tokio::test(start_paused = true)]
async fn when_all_are_paused_the_least_bad_ones_get_requests() {
    let upstream = fleet(3, Balance::RoundRobin);
    let pods = upstream.pods();
    fail(&pods[1]);
    advance(Health::default().pause.get()).await;
    pods.iter().for_each(|pod| fail(pod));
    assert_eq!(counts(&upstream, 100), HashMap::from([(1, 50), (3, 50)]));
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_is_well_again_gets_to_its_share_step_by_step() {
    for balance in [Balance::RoundRobin, Balance::LeastOfTwo] {
        let upstream = fleet(4, balance);
        let pods = upstream.pods();
        fail(&pods[0]);
        advance(Health::default().pause.get()).await;
        let slow_start = Health::default().slow_start.get();
        for (tenths, share) in [(0, 0.05), (2, 0.2), (3, 0.5), (4, 0.9)] {
            advance(slow_start * tenths / 10).await;
            let counts = counts(&upstream, 8000);
            // Each of the other three has a share of 1. The two whose turn it is are never the same pod, which is
            // all that `LeastOfTwo` adds where nobody is busy.
            about(counts[&1], 8000.0 * share / (3.0 + share));
            about(counts[&2], 8000.0 / (3.0 + share));
            about(counts[&3], 8000.0 / (3.0 + share));
        }
        advance(slow_start / 10).await;
        about(counts(&upstream, 8000)[&1], 2000.0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_fleet_that_is_new_as_a_whole_does_not_begin_slowly() {
    let upstream = fleet(3, Balance::RoundRobin);
    assert_eq!(numbers(&upstream, 3), [1, 2, 3]);
    // Nor one of which every pod has recovered at once.
    let pods = upstream.pods();
    pods.iter().for_each(|pod| fail(pod));
    advance(Health::default().pause.get() + Duration::from_millis(1)).await;
    assert_eq!(counts(&upstream, 99), HashMap::from([(1, 33), (2, 33), (3, 33)]));
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_joins_begins_slowly_and_one_that_leaves_is_not_picked() {
    let upstream = fleet(3, Balance::RoundRobin);
    let set = |urls: &[&str]| upstream.pods.set(urls.iter().map(|url| Target::parse(url).unwrap()).collect());
    let before = upstream.pods();
    set(&[URLS[0], URLS[1], URLS[3]]);
    let after = upstream.pods();
    // Those that stay are the same, with all that is known of them and is under way on them.
    assert!(Arc::ptr_eq(&before[0], &after[0]) && Arc::ptr_eq(&before[1], &after[1]));
    let counts = counts(&upstream, 8000);
    about(counts[&4], 8000.0 * 0.05 / 2.05);
    assert_eq!(counts.get(&3), None);
    assert!(upstream.pod(before[2].id()).is_none());
    assert_eq!(upstream.pod("http://10.0.0.4:80/mcp").unwrap().id(), after[2].id());
    // One that is named twice is one.
    set(&[URLS[0], URLS[0]]);
    assert_eq!(upstream.pods().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_comes_back_is_another() {
    let upstream = fleet(2, Balance::RoundRobin);
    let target = |url: &str| Target::parse(url).unwrap();
    let mut tried = Tried::default();
    tried.add(&upstream.pods()[0]);
    fail(&upstream.pods()[0]);
    upstream.pods.set(vec![target(URLS[1])]);
    upstream.pods.set(vec![target(URLS[0]), target(URLS[1])]);
    assert!(upstream.pods()[0].is_well());
    tried.add(&upstream.pods()[1]);
    assert_eq!(number(&upstream.pick(&tried).unwrap()), 1);
}
