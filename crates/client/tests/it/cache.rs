//! Results that are kept, shared, forgotten, and stand in for a server that is down.

mod lasting;

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use anypod_client::proto::caching::Caching;
use anypod_client::proto::jsonrpc::Cursor;
use anypod_client::proto::meta;
use anypod_client::proto::method::Method;
use anypod_client::{
    Bearer, BoxFuture, CacheStore, CacheUse, Challenge, Client, ClientBuilder, Credentials, Error, Keep, Kept, Limits,
    MemoryCache,
};
use anypod_server::{Server, Tool};
use http::{HeaderValue, Response};
use http_body_util::Full;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::scripted::{Scripted, events, plain};
use crate::slow::Slow;

type Source = Box<dyn std::error::Error + Send + Sync>;

fn resource(text: &str, ttl_ms: u64, scope: &str) -> Value {
    let contents = json!([{ "uri": "file:///a", "text": text }]);
    json!({ "resultType": "complete", "contents": contents, "ttlMs": ttl_ms, "cacheScope": scope })
}

/// A server of which every read gives another text.
pub(crate) fn counting(ttl_ms: u64, scope: &'static str) -> Scripted {
    let reads = AtomicUsize::new(0);
    Scripted::new(move |_| Ok(resource(&reads.fetch_add(1, Ordering::SeqCst).to_string(), ttl_ms, scope)))
}

async fn read(client: &Client, uri: &str) -> String {
    text(client.read(uri).raw().await.unwrap().read().unwrap())
}

fn text(result: Value) -> String {
    result["contents"][0]["text"].as_str().unwrap().to_owned()
}

pub(crate) fn modern() -> ClientBuilder {
    Client::builder().era(anypod_client::proto::version::Era::Modern)
}

#[tokio::test(start_paused = true)]
async fn a_result_is_kept_for_as_long_as_the_server_says() {
    let server = counting(60_000, "private");
    let client = modern().service(server.clone());
    assert_eq!(read(&client, "file:///a").await, "0");
    tokio::time::advance(Duration::from_millis(59_999)).await;
    let kept = client.read("file:///a").fetched().await.unwrap();
    assert_eq!((kept.age, kept.stale), (Some(Duration::from_millis(59_999)), false));
    assert_eq!(read(&client, "file:///b").await, "1");
    tokio::time::advance(Duration::from_millis(1)).await;
    let asked = client.read("file:///a").fetched().await.unwrap();
    assert_eq!((asked.age, asked.stale), (None, false));
    assert_eq!(server.asked().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn no_server_is_believed_for_longer_than_the_limit() {
    let server = counting(u64::MAX, "public");
    let mut limits = Limits::default();
    limits.cache_ttl = Duration::from_secs(10);
    let client = modern().limits(limits).service(server.clone());
    read(&client, "file:///a").await;
    tokio::time::advance(Duration::from_secs(9)).await;
    assert_eq!(read(&client, "file:///a").await, "0");
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(read(&client, "file:///a").await, "1");
}

#[tokio::test]
async fn a_ttl_of_zero_is_never_fresh_and_ends_what_was_kept() {
    let server = Scripted::new({
        let reads = AtomicUsize::new(0);
        move |_| match reads.fetch_add(1, Ordering::SeqCst) {
            0 => Ok(resource("first", 60_000, "public")),
            _ => Ok(resource("later", 0, "private")),
        }
    });
    let client = modern().service(server.clone());
    assert_eq!(read(&client, "file:///a").await, "first");
    client.read("file:///a").cache(CacheUse::Refresh).await.unwrap();
    assert_eq!(read(&client, "file:///a").await, "later");
    assert_eq!(read(&client, "file:///a").await, "later");
    assert_eq!(server.asked().len(), 4);
}

#[tokio::test]
async fn refresh_asks_and_keeps_and_bypass_asks_and_keeps_nothing() {
    let server = counting(60_000, "private");
    let client = modern().service(server.clone());
    let with = |cache| text_of(client.read("file:///a").cache(cache).raw());
    assert_eq!(with(CacheUse::Bypass).await, "0");
    assert_eq!(with(CacheUse::Use).await, "1");
    assert_eq!(with(CacheUse::Bypass).await, "2");
    assert_eq!(with(CacheUse::Use).await, "1");
    assert_eq!(with(CacheUse::Refresh).await, "3");
    assert_eq!(with(CacheUse::Use).await, "3");
    let without = modern().without_cache().service(server.clone());
    assert_eq!(read(&without, "file:///a").await, "4");
    assert_eq!(read(&without, "file:///a").await, "5");
}

async fn text_of(request: anypod_client::Request<anypod_client::Raw>) -> String {
    text(request.await.unwrap().read().unwrap())
}

#[tokio::test]
async fn our_own_server_is_asked_once_for_what_it_lets_clients_keep() {
    let server = Server::new("one", "1.0.0")
        .tool(Tool::new("greet", async || "hello".to_owned()))
        .cache(Method::ToolsList, Caching::public(Duration::from_secs(60)))
        .build()
        .unwrap();
    let client = modern().service(server);
    assert_eq!(client.tools().fetched().await.unwrap().age, None);
    let kept = client.tools().fetched().await.unwrap();
    assert!(kept.age.is_some());
    assert_eq!(kept.value[0].name, "greet");
}

/// Credentials of whoever is here.
#[derive(Clone, Default)]
struct Person(Arc<Mutex<String>>);

impl Person {
    fn becomes(&self, name: &str) {
        name.clone_into(&mut self.0.lock().unwrap());
    }
}

impl Credentials for Person {
    fn authorization(&self) -> BoxFuture<'_, Result<Option<HeaderValue>, Source>> {
        let name = HeaderValue::from_str(&self.0.lock().unwrap()).unwrap();
        Box::pin(std::future::ready(Ok(Some(name))))
    }

    fn challenged<'a>(&'a self, _: &'a Challenge) -> BoxFuture<'a, Result<bool, Source>> {
        Box::pin(std::future::ready(Ok(false)))
    }

    fn context(&self) -> String {
        self.0.lock().unwrap().clone()
    }
}

#[tokio::test]
async fn private_results_are_for_the_same_user_and_public_ones_for_all() {
    for (scope, expected) in [("private", ["0", "1", "0", "1"]), ("public", ["0", "0", "0", "0"])] {
        let person = Person::default();
        let client = modern().credentials(person.clone()).service(counting(60_000, scope));
        for (name, expected) in ["ann", "bob", "ann", "bob"].into_iter().zip(expected) {
            person.becomes(name);
            assert_eq!(read(&client, "file:///a").await, expected, "{scope}");
        }
    }
}

#[tokio::test]
async fn an_answer_to_somebody_else_is_not_kept() {
    let person = Person::default();
    person.becomes("ann");
    let other = person.clone();
    let server = Scripted::new(move |_| {
        other.becomes("bob");
        Ok(resource("a secret of bob", 60_000, "private"))
    });
    let client = modern().credentials(person.clone()).service(server.clone());
    read(&client, "file:///a").await;
    person.becomes("ann");
    read(&client, "file:///a").await;
    assert_eq!(server.asked().len(), 2);
}

#[tokio::test]
async fn clients_without_a_context_share_nothing_private_through_a_store() {
    let server = counting(60_000, "private");
    let store = Arc::new(MemoryCache::new(1 << 20));
    let client = |token: &str| {
        modern().cache(Arc::clone(&store)).credentials(Bearer::new(token).unwrap()).service(server.clone())
    };
    let (ann, bob) = (client("ann"), client("bob"));
    assert_eq!(read(&ann, "file:///a").await, "0");
    assert_eq!(read(&bob, "file:///a").await, "1");
    assert_eq!(read(&ann, "file:///a").await, "0");
}

#[tokio::test]
async fn results_of_questions_and_answers_are_never_kept() {
    let server = Scripted::new(|request| match request["params"]["requestState"].as_str() {
        None => Ok(json!({ "resultType": "input_required", "requestState": "s", "ttlMs": 60_000 })),
        Some(_) => Ok(resource("answered", 60_000, "public")),
    });
    let client = modern().service(server.clone());
    assert_eq!(read(&client, "file:///a").await, "answered");
    assert_eq!(read(&client, "file:///a").await, "answered");
    assert_eq!(server.asked().len(), 4);
}

#[tokio::test]
async fn a_result_that_cannot_be_read_is_not_kept() {
    let asked = AtomicUsize::new(0);
    let server = Scripted::new(move |_| match asked.fetch_add(1, Ordering::SeqCst) {
        0 => Ok(json!({ "resultType": "complete", "contents": 5, "ttlMs": 60_000, "cacheScope": "public" })),
        _ => Ok(resource("good", 60_000, "public")),
    });
    let client = modern().service(server);
    assert!(matches!(client.read("file:///a").await, Err(Error::Broken(_))));
    client.read("file:///a").await.unwrap();
}

/// A server that says of a change whenever it is asked to complete something, on the stream of that.
fn notifying(notices: Vec<Value>, ttl_ms: u64) -> Scripted {
    let asked = AtomicUsize::new(0);
    Scripted::http(move |_, request| {
        let number = asked.fetch_add(1, Ordering::SeqCst).to_string();
        let result = match request["method"].as_str().unwrap() {
            "resources/read" => resource(&number, ttl_ms, "public"),
            "tools/list" => listed("tools", json!([{ "name": "a", "inputSchema": { "type": "object" } }]), None),
            "prompts/list" => listed("prompts", json!([]), None),
            "resources/list" => listed("resources", json!([]), None),
            "resources/templates/list" => listed("resourceTemplates", json!([]), None),
            _ => {
                let end = json!({ "jsonrpc": "2.0", "id": request["id"], "result": { "resultType": "complete" } });
                return events(&[notices.clone(), vec![end]].concat());
            }
        };
        let body = json!({ "jsonrpc": "2.0", "id": request["id"], "result": result });
        plain(200, "application/json", &body.to_string())
    })
}

fn listed(field: &str, items: Value, next: Option<&str>) -> Value {
    let mut page = json!({ "resultType": "complete", field: items, "ttlMs": 60_000, "cacheScope": "public" });
    if let Some(next) = next {
        page["nextCursor"] = json!(next);
    }
    page
}

fn notice(method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "method": method, "params": params })
}

/// Reads and lists everything, and says what of it was asked for.
async fn all(client: &Client, server: &Scripted) -> Vec<String> {
    let before = server.asked().len();
    client.tools().await.unwrap();
    client.prompts().await.unwrap();
    client.resources().await.unwrap();
    client.resource_templates().await.unwrap();
    for uri in ["file:///a", "file:///a/b", "file:///ab"] {
        client.read(uri).await.unwrap();
    }
    let asked = server.asked().split_off(before);
    asked
        .iter()
        .map(|request| request["params"]["uri"].as_str().unwrap_or(request["method"].as_str().unwrap()).to_owned())
        .collect()
}

#[tokio::test]
async fn a_notification_ends_what_it_is_about_and_nothing_else() {
    for (method, params, expected) in [
        ("notifications/tools/list_changed", json!({}), vec!["tools/list"]),
        ("notifications/prompts/list_changed", json!({}), vec!["prompts/list"]),
        ("notifications/resources/list_changed", json!({}), vec!["resources/list", "resources/templates/list"]),
        ("notifications/resources/updated", json!({ "uri": "file:///a" }), vec!["file:///a"]),
        ("notifications/resources/updated", json!({ "uri": "file:///a/b" }), vec!["file:///a", "file:///a/b"]),
        ("notifications/resources/updated", json!({ "uri": "file:///c" }), vec![]),
        ("notifications/progress", json!({}), vec![]),
    ] {
        let server = notifying(vec![notice(method, params)], 60_000);
        let client = modern().service(server.clone());
        assert_eq!(all(&client, &server).await.len(), 7);
        assert_eq!(all(&client, &server).await, Vec::<String>::new());
        client.prompt("any", [("", ""); 0]).raw().await.unwrap();
        assert_eq!(all(&client, &server).await, expected, "{method}");
    }
}

#[tokio::test]
async fn an_answer_under_way_when_it_changes_is_not_kept() {
    let reads = AtomicUsize::new(0);
    let server = Scripted::http(move |_, request| {
        let text = reads.fetch_add(1, Ordering::SeqCst).to_string();
        let answer = json!({ "jsonrpc": "2.0", "id": request["id"], "result": resource(&text, 60_000, "public") });
        match text.as_str() {
            "0" => events(&[notice("notifications/resources/updated", json!({ "uri": "file:///a" })), answer]),
            _ => events(&[answer]),
        }
    });
    let client = modern().service(server);
    assert_eq!(read(&client, "file:///a").await, "0");
    assert_eq!(read(&client, "file:///a").await, "1");
    assert_eq!(read(&client, "file:///a").await, "1");
}

/// Polls a future once, which must not be ready.
async fn start(future: &mut BoxFuture<'static, anypod_client::Result<anypod_client::Raw>>) {
    poll_fn(|cx| {
        assert!(future.as_mut().poll(cx).is_pending());
        Poll::Ready(())
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn requests_for_the_same_share_one_round_trip() {
    let gate = Arc::new(Notify::new());
    let server = counting(60_000, "private");
    let client = modern().service(Slow::new(server.clone(), &gate));
    let requests: Vec<_> = (0..10).map(|_| text_of(client.read("file:///a").raw())).collect();
    let opening = async { gate.notify_one() };
    let (texts, ()) = tokio::join!(futures_util::future::join_all(requests), opening);
    assert_eq!(texts, vec!["0"; 10]);
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_waits_when_it_changes_shares_the_answer_and_nobody_later_does() {
    let gate = Arc::new(Notify::new());
    let reads = AtomicUsize::new(0);
    let server = Scripted::http(move |_, request| {
        let text = reads.fetch_add(1, Ordering::SeqCst).to_string();
        let answer = json!({ "jsonrpc": "2.0", "id": request["id"], "result": resource(&text, 60_000, "public") });
        events(&[notice("notifications/resources/updated", json!({ "uri": "file:///a" })), answer])
    });
    let client = modern().service(Slow::new(server.clone(), &gate));
    let request = || text_of(client.read("file:///a").raw());
    let opening = async { gate.notify_one() };
    let (first, second, ()) = tokio::join!(request(), request(), opening);
    assert_eq!((first.as_str(), second.as_str()), ("0", "0"));
    gate.notify_one();
    assert_eq!(request().await, "1");
}

#[tokio::test(start_paused = true)]
async fn where_the_one_who_asks_goes_away_another_asks() {
    let gate = Arc::new(Notify::new());
    let server = counting(60_000, "private");
    let client = modern().service(Slow::new(server.clone(), &gate));
    let request = || client.read("file:///a").raw().into_future();
    let (mut first, mut second, mut third) = (request(), request(), request());
    start(&mut first).await;
    start(&mut second).await;
    start(&mut third).await;
    drop(first);
    gate.notify_one();
    let (second, third) = tokio::join!(second, third);
    assert_eq!(second.unwrap(), third.unwrap());
    assert_eq!(server.asked().len(), 1, "the first never reached the server");
}

#[tokio::test(start_paused = true)]
async fn a_failure_of_the_server_is_shared_and_the_next_request_asks_again() {
    let gate = Arc::new(Notify::new());
    let failing = Scripted::new(|_| Err(json!({ "code": -32603, "message": "no" })));
    let client = modern().service(Slow::new(failing.clone(), &gate));
    let request = || client.read("file:///a").raw().into_future();
    let requests = futures_util::future::join_all((0..5).map(|_| request()));
    let (results, ()) = tokio::join!(requests, async { gate.notify_one() });
    for result in results {
        assert!(matches!(result, Err(Error::Answered(error)) if error.message == "no"));
    }
    assert_eq!(failing.asked().len(), 1);
    gate.notify_one();
    request().await.unwrap_err();
    assert_eq!(failing.asked().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_another_waits_no_longer_than_its_own_time() {
    let gate = Arc::new(Notify::new());
    let client = modern().service(Slow::new(counting(60_000, "private"), &gate));
    let mut first = client.read("file:///a").raw().into_future();
    start(&mut first).await;
    let waiting = client.read("file:///a").timeout(Duration::from_secs(3));
    assert!(matches!(waiting.await, Err(Error::TimedOut(_))));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_fresh_when_it_comes_is_for_who_asked() {
    let gate = Arc::new(Notify::new());
    let server = counting(0, "private");
    let client = modern().service(Slow::new(server.clone(), &gate));
    let requests = futures_util::future::join_all((0..3).map(|_| text_of(client.read("file:///a").raw())));
    let opening = async {
        for _ in 0..10 {
            gate.notify_one();
            tokio::task::yield_now().await;
        }
    };
    let (mut texts, ()) = tokio::join!(requests, opening);
    texts.sort_unstable();
    assert_eq!(texts, ["0", "1", "2"]);
}
