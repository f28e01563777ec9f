//! Results that stand in for a server that is down, lists of several pages, stores that fail, traces.

use super::*;

/// A server that can be down, with a status.
fn failing(ttl_ms: u64) -> (Scripted, Arc<AtomicU16>) {
    let status = Arc::new(AtomicU16::new(200));
    let down = Arc::clone(&status);
    let server = Scripted::http(move |_, request| answer(down.load(Ordering::SeqCst), request, ttl_ms));
    (server, status)
}

fn answer(status: u16, request: &Value, ttl_ms: u64) -> Response<Full<bytes::Bytes>> {
    let result = json!({ "jsonrpc": "2.0", "id": request["id"], "result": resource("kept", ttl_ms, "public") });
    let error = json!({ "jsonrpc": "2.0", "id": request["id"], "error": { "code": -32603, "message": "no" } });
    match status {
        200 => plain(200, "application/json", &result.to_string()),
        0 => plain(400, "application/json", &error.to_string()),
        1 => plain(200, "text/event-stream", ""),
        status => plain(status, "text/html", "<h1>no</h1>"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_stale_result_stands_in_for_a_server_that_is_down_and_says_so() {
    for status in [500, 503, 1] {
        let (server, down) = failing(60_000);
        let client = modern().service(server);
        assert_eq!(read(&client, "file:///a").await, "kept");
        tokio::time::advance(Duration::from_secs(61)).await;
        down.store(status, Ordering::SeqCst);
        let stale = client.read("file:///a").fetched().await.unwrap();
        assert!(stale.stale);
        let age = u64::try_from(stale.age.unwrap().as_millis()).unwrap();
        assert!((61_000..63_000).contains(&age), "{age}");
        assert_eq!(stale.value.meta.unwrap().extra[meta::STALE], json!(age));
        assert_eq!(stale.value.ttl_ms, 0);
        assert!(client.read("file:///a").cache(CacheUse::Refresh).await.is_err(), "who insists on news gets no stale");
        tokio::time::advance(Duration::from_secs(600)).await;
        assert!(client.read("file:///a").await.is_err(), "nor does who asks too late");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_no_is_never_stood_in_for() {
    for status in [401, 403, 404, 429, 0] {
        let (server, down) = failing(60_000);
        let client = modern().service(server);
        read(&client, "file:///a").await;
        tokio::time::advance(Duration::from_secs(61)).await;
        down.store(status, Ordering::SeqCst);
        assert!(client.read("file:///a").await.is_err(), "{status}");
    }
}

/// A list of two pages, whose items say which edition they are of.
fn paged(edition: &Arc<AtomicUsize>, ttls: [u64; 2]) -> Scripted {
    let edition = Arc::clone(edition);
    Scripted::new(move |request| {
        let edition = edition.load(Ordering::SeqCst);
        let page = usize::from(request["params"]["cursor"].is_string());
        let item = json!([{ "name": format!("{page} of {edition}") }]);
        let mut list = listed("prompts", item, (page == 0).then_some("next"));
        list["ttlMs"] = json!(ttls[page]);
        Ok(list)
    })
}

async fn names(client: &Client) -> Vec<String> {
    client.prompts().await.unwrap().into_iter().map(|prompt| prompt.name).collect()
}

#[tokio::test(start_paused = true)]
async fn a_list_is_not_made_of_pages_that_are_kept_and_pages_that_are_not() {
    for ttls in [[60_000, 10_000], [10_000, 60_000]] {
        let edition = Arc::new(AtomicUsize::new(0));
        let server = paged(&edition, ttls);
        let client = modern().service(server.clone());
        assert_eq!(names(&client).await, ["0 of 0", "1 of 0"]);
        edition.store(1, Ordering::SeqCst);
        assert_eq!(names(&client).await, ["0 of 0", "1 of 0"]);
        assert_eq!(server.asked().len(), 2);
        tokio::time::advance(Duration::from_secs(11)).await;
        assert_eq!(names(&client).await, ["0 of 1", "1 of 1"]);
        assert_eq!(server.asked().len(), 4);
    }
}

#[tokio::test]
async fn a_first_page_that_is_asked_for_anew_ends_the_pages_after_it() {
    let edition = Arc::new(AtomicUsize::new(0));
    let client = modern().service(paged(&edition, [60_000; 2]));
    names(&client).await;
    edition.store(1, Ordering::SeqCst);
    client.prompts_page(None).cache(CacheUse::Refresh).await.unwrap();
    let second = client.prompts_page(Some(&Cursor("next".to_owned()))).await.unwrap();
    assert_eq!(second.prompts[0].name, "1 of 1");
}

#[tokio::test]
async fn a_list_that_changes_while_it_is_asked_for_is_begun_again() {
    let changed = AtomicBool::new(false);
    let server = Scripted::http(move |_, request| {
        let second = request["params"]["cursor"].is_string();
        let first_time = second && !changed.swap(second, Ordering::SeqCst);
        let edition = if changed.load(Ordering::SeqCst) && !first_time { 1 } else { 0 };
        let item = json!([{ "name": format!("{} of {edition}", u8::from(second)) }]);
        let list = listed("prompts", item, (!second).then_some("next"));
        let answer = json!({ "jsonrpc": "2.0", "id": request["id"], "result": list });
        match first_time {
            true => events(&[notice("notifications/prompts/list_changed", json!({})), answer]),
            false => events(&[answer]),
        }
    });
    let client = modern().service(server.clone());
    assert_eq!(names(&client).await, ["0 of 1", "1 of 1"]);
    assert_eq!(names(&client).await, ["0 of 1", "1 of 1"]);
    assert_eq!(server.asked().len(), 4);
}

#[tokio::test]
async fn a_cursor_that_is_not_good_any_more_begins_the_list_again() {
    let refused = AtomicBool::new(false);
    let server = Scripted::new(move |request| match request["params"]["cursor"].is_string() {
        true if !refused.swap(true, Ordering::SeqCst) => Err(json!({ "code": -32602, "message": "what cursor?" })),
        true => Ok(listed("prompts", json!([]), None)),
        false => Ok(listed("prompts", json!([]), Some("next"))),
    });
    let client = modern().service(server.clone());
    client.prompts().await.unwrap();
    assert_eq!(server.asked().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_stale_list_is_marked_as_such() {
    let down = Arc::new(AtomicBool::new(false));
    let is_down = Arc::clone(&down);
    let server = Scripted::http(move |_, request| match is_down.load(Ordering::SeqCst) {
        true => plain(502, "text/html", "bad gateway"),
        false => {
            let next = request["params"]["cursor"].is_null().then_some("next");
            let list = listed("prompts", json!([{ "name": "a" }]), next);
            plain(
                200,
                "application/json",
                &json!({ "jsonrpc": "2.0", "id": request["id"], "result": list }).to_string(),
            )
        }
    });
    let client = modern().service(server.clone());
    names(&client).await;
    tokio::time::advance(Duration::from_secs(61)).await;
    down.store(true, Ordering::SeqCst);
    let list = client.prompts().fetched().await.unwrap();
    assert_eq!((list.value.len(), list.stale), (2, true));
    assert_eq!(server.asked().len(), 3, "the server is not tried again for every page");
}

/// A store that fails in every way that it is told to.
#[derive(Default)]
struct Broken {
    inner: Option<MemoryCache>,
    forgets: bool,
    hangs: bool,
}

impl Broken {
    fn fail<'a, T: Send + 'a>(&self) -> BoxFuture<'a, Result<T, Source>> {
        match self.hangs {
            true => Box::pin(std::future::pending()),
            false => Box::pin(std::future::ready(Err("out of order".into()))),
        }
    }
}

impl CacheStore for Broken {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Kept>, Source>> {
        self.inner.as_ref().map_or_else(|| self.fail(), |inner| inner.get(key))
    }

    fn put<'a>(&'a self, key: &'a str, keep: Keep) -> BoxFuture<'a, Result<(), Source>> {
        self.inner.as_ref().map_or_else(|| self.fail(), |inner| inner.put(key, keep))
    }

    fn forget<'a>(&'a self, beginnings: &'a [String]) -> BoxFuture<'a, Result<(), Source>> {
        match &self.inner {
            Some(inner) if self.forgets => inner.forget(beginnings),
            Some(_) | None => self.fail(),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_or_hangs_breaks_no_request() {
    for hangs in [false, true] {
        let store = Broken { hangs, ..Broken::default() };
        let client = modern().cache(store).service(counting(60_000, "public"));
        assert_eq!(read(&client, "file:///a").await, "0");
        assert_eq!(read(&client, "file:///a").await, "1");
    }
}

#[tokio::test]
async fn what_a_store_does_not_forget_is_not_taken_from_it() {
    for forgets in [true, false] {
        let store = Broken { inner: Some(MemoryCache::new(1 << 20)), forgets, hangs: false };
        let client = modern().cache(store).service(counting(60_000, "public"));
        assert_eq!(read(&client, "file:///a").await, "0");
        assert_eq!(read(&client, "file:///a").await, if forgets { "0" } else { "1" });
    }
}
