//! What the cache keeps, for whom and for how long.

use std::sync::{Arc, Mutex};

use anypod_proto::rounds::InputRequiredResult;
use tokio::time::Instant;

use super::*;

const SUBJECT: Subject<'static> = Subject { upstream: "db", method: "tools/list", detail: "", apart: None };

fn cache() -> Cache {
    Cache::new(&config::Cache::default())
}

fn result(scope: &str, ttl: u64) -> Bytes {
    format!(r#"{{"resultType":"complete","tools":[], "ttlMs":{ttl} ,"cacheScope":"{scope}"}}"#).into()
}

async fn fetch(cache: &Cache, subject: Subject<'_>, result: &Bytes) -> Found {
    cache.fetch(subject, || std::future::ready(Ok::<_, Failure>(result.clone()))).await.unwrap()
}

fn gone() -> std::future::Ready<Result<Bytes, Failure>> {
    std::future::ready(Err(Failure::NoPod { upstream: "db".to_owned() }))
}

#[tokio::test(start_paused = true)]
async fn keeps_for_as_long_as_the_upstream_allows_and_says_what_is_left() {
    let cache = cache();
    let first = fetch(&cache, SUBJECT, &result("public", 60_000)).await;
    assert!(!first.cached);
    tokio::time::advance(Duration::from_secs(20)).await;
    let found = cache.find(SUBJECT).await.unwrap();
    let value: serde_json::Value = serde_json::from_slice(&found.result()).unwrap();
    assert_eq!(
        value,
        serde_json::json!({"ttlMs": 40_000, "resultType": "complete", "tools": [], "cacheScope": "public"})
    );
    tokio::time::advance(Duration::from_secs(40)).await;
    assert!(cache.find(SUBJECT).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn what_is_private_is_for_one_caller_only() {
    let cache = cache();
    let alice = Subject { apart: Some([1; 32]), ..SUBJECT };
    let bob = Subject { apart: Some([2; 32]), ..SUBJECT };
    fetch(&cache, alice, &result("private", 60_000)).await;
    assert!(cache.find(alice).await.is_some());
    assert!(cache.find(bob).await.is_none());
    assert!(cache.find(SUBJECT).await.is_none());
    fetch(&cache, alice, &result("public", 60_000)).await;
    assert!(cache.find(bob).await.is_none(), "the private one is still what alice gets");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_kept_without_leave() {
    let cache = cache();
    for text in [
        r#"{"resultType":"complete","tools":[]}"#,
        r#"{"resultType":"complete","tools":[],"ttlMs":0,"cacheScope":"public"}"#,
        r#"{"resultType":"complete","tools":[],"ttlMs":60000}"#,
        r#"{"resultType":"complete","tools":[],"ttlMs":-1,"cacheScope":"public"}"#,
        r#"{"resultType":"input_required","ttlMs":60000,"cacheScope":"public"}"#,
        "[]",
        "no JSON",
    ] {
        let found = fetch(&cache, SUBJECT, &Bytes::from(text)).await;
        assert_eq!(found.result(), text, "it is passed on as it came");
        assert!(cache.find(SUBJECT).await.is_none(), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_kept_stands_in_for_an_upstream_that_is_away_for_a_while() {
    let cache = cache();
    fetch(&cache, SUBJECT, &result("public", 1000)).await;
    tokio::time::advance(Duration::from_secs(60)).await;
    let found = cache.fetch(SUBJECT, gone).await.unwrap();
    assert_eq!((found.ttl, found.cached), (Some(Duration::ZERO), true));
    tokio::time::advance(Duration::from_secs(600)).await;
    assert!(cache.fetch(SUBJECT, gone).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_the_upstream_is_not_covered_up() {
    let cache = cache();
    fetch(&cache, SUBJECT, &result("public", 1000)).await;
    tokio::time::advance(Duration::from_secs(2)).await;
    let refused = || {
        std::future::ready(Err(Failure::Answered { status: None, code: -32602, message: "no".to_owned(), data: None }))
    };
    assert!(cache.fetch(SUBJECT, refused).await.is_err());
}

/// What came of many requests at once, by how many each caller sent, where an answer takes a second.
struct Wave {
    /// Who asked the upstream.
    asked: Vec<Option<[u8; 32]>>,
    took: Duration,
}

/// Sends them. Every caller must be given what was answered to him, where it is private.
async fn wave(cache: &Arc<Cache>, callers: &[Option<[u8; 32]>], scope: &'static str, ttl: u64) -> Wave {
    let (begun, asked) = (Instant::now(), Arc::new(Mutex::new(Vec::new())));
    let tasks = callers.iter().map(|apart| {
        let (cache, asked, apart) = (Arc::clone(cache), Arc::clone(&asked), *apart);
        tokio::spawn(async move {
            let own = format!(r#"{{"who":"{apart:?}","ttlMs":{ttl},"cacheScope":"{scope}"}}"#);
            let ask = || async {
                asked.lock().unwrap().push(apart);
                tokio::time::sleep(Duration::from_secs(1)).await;
                Ok::<_, Failure>(Bytes::from(own))
            };
            let found = cache.fetch(Subject { apart, ..SUBJECT }, ask).await.unwrap();
            let text = String::from_utf8(found.result().to_vec()).unwrap();
            assert!(scope == "public" || text.contains(&format!("{apart:?}")), "{apart:?} got {text}");
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    let asked = std::mem::take(&mut *asked.lock().unwrap());
    Wave { asked, took: begun.elapsed() }
}

const ALICE: Option<[u8; 32]> = Some([1; 32]);
const BOB: Option<[u8; 32]> = Some([2; 32]);

#[tokio::test(start_paused = true)]
async fn one_asks_for_all() {
    let cache = Arc::new(cache());
    let wave = wave(&cache, &[ALICE, BOB, None].repeat(20), "public", 60_000).await;
    assert_eq!((wave.asked, wave.took.as_secs()), (vec![ALICE], 1));
}

#[tokio::test(start_paused = true)]
async fn one_asks_for_all_requests_of_a_caller_where_answers_are_private() {
    let cache = Arc::new(cache());
    let callers = [ALICE, BOB, None].repeat(20);
    // At first nobody knows, and the others wait to see whether it is for them.
    let first = wave(&cache, &callers, "private", 500).await;
    assert_eq!((first.asked.len(), first.took.as_secs()), (3, 2));
    // From then on nobody waits for another.
    tokio::time::advance(Duration::from_secs(1)).await;
    let second = wave(&cache, &callers, "private", 500).await;
    assert_eq!((second.asked.len(), second.took.as_secs()), (3, 1));
    // And when they turn out to be for everybody, one asks again.
    tokio::time::advance(Duration::from_secs(1)).await;
    wave(&cache, &[ALICE], "public", 500).await;
    tokio::time::advance(Duration::from_secs(1)).await;
    let last = wave(&cache, &callers, "public", 500).await;
    assert_eq!((last.asked.len(), last.took.as_secs()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn what_may_not_be_kept_is_asked_for_by_everyone_and_waited_for_once_only() {
    let cache = Arc::new(cache());
    let callers = [ALICE, BOB].repeat(5);
    for secs in [2, 1, 1] {
        let wave = wave(&cache, &callers, "private", 0).await;
        assert_eq!((wave.asked.len(), wave.took.as_secs()), (10, secs));
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_everyones_own_and_so_is_what_is_no_result() {
    let cache = Arc::new(cache());
    for (other, times) in [(false, [2, 2]), (true, [2, 1])] {
        for secs in times {
            let begun = Instant::now();
            let ask = move || async move {
                tokio::time::sleep(Duration::from_secs(1)).await;
                Err(match other {
                    true => NoResult::Other(Box::new(Answered::Asks(InputRequiredResult::again("x")))),
                    false => NoResult::Failed(Failure::Broken { upstream: "db".to_owned() }),
                })
            };
            let asked = futures_util::future::join_all((0..10).map(|_| cache.fetch(SUBJECT, ask))).await;
            assert!(asked.iter().all(|answer| matches!(answer, Err(NoResult::Other(_))) == other));
            assert_eq!(begun.elapsed().as_secs(), secs, "{other}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn when_the_one_who_asks_goes_one_of_those_who_wait_asks() {
    let cache = Arc::new(cache());
    let gone = tokio::spawn({
        let cache = Arc::clone(&cache);
        async move { cache.fetch::<_, Failure>(SUBJECT, std::future::pending).await.map(drop) }
    });
    tokio::task::yield_now().await;
    let waits = tokio::spawn({
        let cache = Arc::clone(&cache);
        async move { wave(&cache, &[None; 10], "public", 60_000).await.asked.len() }
    });
    for _ in 0..3 {
        tokio::task::yield_now().await;
    }
    gone.abort();
    assert_eq!(waits.await.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn forgets_what_was_announced() {
    let cache = cache();
    let read = |detail| Subject { method: "resources/read", detail, ..SUBJECT };
    for subject in [SUBJECT, read("a"), read("ab")] {
        fetch(&cache, subject, &result("public", 60_000)).await;
    }
    cache.forget("db", "resources/read", Some("a"));
    assert!(cache.find(read("a")).await.is_none());
    assert!(cache.find(read("ab")).await.is_some());
    cache.forget("db", "tools/list", None);
    assert!(cache.find(SUBJECT).await.is_none());
}
