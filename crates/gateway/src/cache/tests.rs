//! What the cache keeps, for whom and for how long.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

const SUBJECT: Subject<'static> = Subject { upstream: "db", method: "tools/list", detail: "", apart: None };

fn cache() -> Cache {
    Cache::new(&config::Cache::default())
}

fn result(scope: &str, ttl: u64) -> Bytes {
    format!(r#"{{"resultType":"complete","tools":[], "ttlMs":{ttl} ,"cacheScope":"{scope}"}}"#).into()
}

async fn fetch(cache: &Cache, subject: Subject<'_>, result: &Bytes) -> Found {
    cache.fetch(subject, || std::future::ready(Ok(result.clone()))).await.unwrap()
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
        fetch(&cache, SUBJECT, &Bytes::from(text)).await;
        assert!(cache.find(SUBJECT).await.is_none(), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_kept_stands_in_for_an_upstream_that_is_away_for_a_while() {
    let cache = cache();
    fetch(&cache, SUBJECT, &result("public", 1000)).await;
    tokio::time::advance(Duration::from_secs(60)).await;
    let found = cache.fetch(SUBJECT, gone).await.unwrap();
    assert_eq!((found.ttl, found.cached), (Duration::ZERO, true));
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

#[tokio::test(start_paused = true)]
async fn one_asks_for_all() {
    let cache = std::sync::Arc::new(cache());
    let asked = std::sync::Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let (cache, asked) = (std::sync::Arc::clone(&cache), std::sync::Arc::clone(&asked));
            tokio::spawn(async move {
                cache
                    .fetch(SUBJECT, || {
                        asked.fetch_add(1, Ordering::Relaxed);
                        async {
                            tokio::time::sleep(Duration::from_secs(1)).await;
                            Ok(result("public", 60_000))
                        }
                    })
                    .await
                    .unwrap()
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_one_that_gives_up_asks_for_himself() {
    let cache = std::sync::Arc::new(cache());
    let first = tokio::spawn({
        let cache = std::sync::Arc::clone(&cache);
        async move { cache.fetch(SUBJECT, std::future::pending).await.map(drop) }
    });
    tokio::task::yield_now().await;
    let second = tokio::spawn({
        let cache = std::sync::Arc::clone(&cache);
        async move { fetch(&cache, SUBJECT, &result("public", 1000)).await }
    });
    tokio::task::yield_now().await;
    first.abort();
    assert!(!second.await.unwrap().cached);
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
