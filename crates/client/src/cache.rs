//! Results that are kept as long as the server allows, and shared by those who ask at the same time.
//!
//! Spec: server/utilities/caching. What is kept is forgotten when the server says that it has changed; an answer that
//! was under way at that time is not kept. What is no longer fresh stands in for a server that cannot be reached, for
//! a while and marked as such, and never for one that answers.

mod book;
mod changes;
mod fetch;
mod key;
mod mark;
mod store;

use std::future::Future;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anypod_proto::caching::CacheScope;
use anypod_proto::method::Method;
use tokio::sync::watch;

use crate::call::Call;
use crate::credentials::Credentials;
use crate::error::Source;
use crate::exchange::Raw;
use crate::http::Settings;
use crate::identity::Identity;
use crate::limits::Limits;
use crate::outside::Outside;
use book::{Book, Shared, Stamp, Turn, counter, counter_of};
use key::Key;

pub(crate) use fetch::Stale;
pub use store::{CacheStore, Keep, Kept, MemoryCache};

/// A result and where it comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fetched<T> {
    /// The result.
    pub value: T,
    /// How long ago the server said so, if it was not asked now. Of a list: of its oldest page.
    pub age: Option<Duration>,
    /// Whether it stands in for a server that could not be reached, and is no longer fresh. It then also has its age,
    /// in milliseconds, in `_meta` under [`proto::meta::STALE`](crate::proto::meta::STALE).
    pub stale: bool,
}

impl<T> Fetched<T> {
    /// From the server, now.
    pub(crate) const fn now(value: T) -> Self {
        Self { value, age: None, stale: false }
    }

    /// Something else with the same past.
    pub(crate) fn with<U>(&self, value: U) -> Fetched<U> {
        Fetched { value, age: self.age, stale: self.stale }
    }
}

/// What a client keeps of one server.
pub(crate) struct Cache {
    store: Arc<dyn CacheStore>,
    /// What all keys in the store begin with: what tells this server, and this kind of client, from others.
    server: String,
    /// The context of who has none, so that it shares with nobody.
    nobody: String,
    credentials: Option<Arc<dyn Credentials>>,
    limits: Arc<Limits>,
    book: Mutex<Book>,
}

/// Who asks whom.
pub(crate) struct Asker<'a> {
    /// The server; `None` if nobody else can mean the same.
    pub(crate) url: Option<&'a str>,
    pub(crate) identity: &'a Identity,
    pub(crate) settings: &'a Settings,
}

impl Asker<'_> {
    /// What servers may answer by, besides the request and the user. Other builds may hash in another way, and then
    /// share nothing with this one.
    fn kind(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.identity.meta().hash(&mut hasher);
        for (name, value) in &self.settings.headers {
            if !value.is_sensitive() && name != http::header::AUTHORIZATION {
                (name, value).hash(&mut hasher);
            }
        }
        hasher.finish()
    }
}

/// A question to the server whose answer may be kept.
struct Asking {
    stamp: Stamp,
}

/// The one request of many that asks. Dropped without a word, one of the others takes its place.
struct Lead<'a> {
    cache: &'a Cache,
    key: Key,
    number: u64,
    tell: watch::Sender<Option<Shared>>,
}

impl Lead<'_> {
    fn tell(&self, shared: Shared) {
        self.tell.send_replace(Some(shared));
    }
}

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        self.cache.book().leave(&self.key, self.number);
    }
}

impl Cache {
    /// What is kept for `asker`.
    pub(crate) fn new(store: Arc<dyn CacheStore>, asker: &Asker<'_>, limits: Arc<Limits>, outside: &Outside) -> Self {
        let nobody = format!("{:032x}", u128::from_ne_bytes(outside.random()));
        let server = format!("{} {:016x}\n", key::quoted(asker.url.unwrap_or(&nobody)), asker.kind());
        let credentials = asker.settings.credentials.clone();
        Self { store, server, nobody, credentials, limits, book: Mutex::new(Book::new()) }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn context(&self) -> String {
        let context = self.credentials.as_ref().map(|credentials| credentials.context());
        context.filter(|context| !context.is_empty()).unwrap_or_else(|| self.nobody.clone())
    }

    fn key(&self, call: &Call) -> Option<Key> {
        Key::of(call, || self.context())
    }

    fn text(&self, key: &Key, scope: CacheScope) -> String {
        format!("{}{}", self.server, key.text(scope))
    }

    fn turn(&self, key: &Key) -> Turn {
        self.book().join(key)
    }

    /// How often a list has changed.
    pub(crate) fn changes(&self, method: Method) -> u64 {
        self.book().stamp(counter(method, None)).changed
    }

    /// The server says that a list has changed.
    pub(crate) fn list_changed(&self, method: Method) {
        let mut book = self.book();
        book.change(counter(method, None));
        book.soil(format!("{}{}", self.server, key::all(method)), &self.server);
    }

    /// The server says that a resource has changed.
    pub(crate) fn resource_updated(&self, uri: &str) {
        let Some(uris) = key::and_above(uri) else { return self.reads_changed() };
        let mut book = self.book();
        for uri in uris {
            book.change(counter(Method::ResourcesRead, Some(uri)));
            book.soil(format!("{}{}", self.server, key::read(uri)), &self.server);
        }
    }

    fn reads_changed(&self) {
        let mut book = self.book();
        book.change_all();
        book.soil(format!("{}{}", self.server, key::all(Method::ResourcesRead)), &self.server);
    }

    /// Nothing is known to be true any more.
    pub(crate) fn all_changed(&self) {
        let mut book = self.book();
        book.change_all();
        book.soil(self.server.clone(), &self.server);
    }

    /// The result of this call is of no use.
    pub(crate) fn reject(&self, call: &Call) {
        if let Some(key) = self.key(call) {
            self.soil(&key, true);
        }
    }

    /// Forgets what is kept under a key: of a list all pages, if `whole`.
    fn soil(&self, key: &Key, whole: bool) {
        let mut book = self.book();
        for scope in [CacheScope::Public, CacheScope::Private] {
            let beginning =
                if whole && key.method != Method::ResourcesRead { key.list(scope) } else { key.text(scope) };
            book.soil(format!("{}{beginning}", self.server), &self.server);
        }
    }

    /// What is kept, fresh or not.
    async fn find(&self, key: &Key) -> Option<Kept> {
        self.settle().await;
        for scope in [CacheScope::Private, CacheScope::Public] {
            let text = self.text(key, scope);
            if self.book().is_dirty(&text) {
                continue;
            }
            if let Some(Some(mut kept)) = self.within(self.store.get(&text)).await {
                kept.ttl = kept.ttl.min(self.limits.cache_ttl);
                return Some(kept);
            }
        }
        None
    }

    /// Begins to ask for a key. The first page of a list is another list than the one whose pages are kept.
    fn ask(&self, key: &Key, anew: bool, leads: Option<u64>) -> Asking {
        let mut book = self.book();
        if anew || !key.is_later_page() && key.method != Method::ResourcesRead {
            book.ask_anew(key, leads);
        }
        Asking { stamp: book.stamp(counter_of(key)) }
    }

    /// Whether the server has said that what was asked for has changed since.
    fn has_changed(&self, key: &Key, asking: &Asking) -> bool {
        self.book().stamp(counter_of(key)).changed != asking.stamp.changed
    }

    /// Keeps an answer, if it may be kept and nothing newer is known. What it replaces is forgotten in any case. Says
    /// whether it is good for whoever waits for it: who came after a change does not.
    async fn keep(&self, key: &Key, asking: &Asking, json: &Raw) -> bool {
        let hint = mark::hint(json);
        let ttl = Duration::from_millis(hint.ttl_ms).min(self.limits.cache_ttl);
        // Spec: server/utilities/caching, "Cache Scope Field". Other credentials may have come while the server was asked.
        let same_user = self.context() == key.context;
        let good = !ttl.is_zero() && same_user;
        let overtaken = self.book().stamp(counter_of(key)) != asking.stamp;
        self.book().note_kept(key.method, good);
        self.soil(key, !key.is_later_page());
        self.settle().await;
        let text = self.text(key, hint.scope);
        // Once more: what came since has soiled it, or the store did not forget what was there.
        if good && !overtaken && !self.book().is_dirty(&text) {
            let useful = ttl.saturating_add(self.limits.cache_stale);
            self.within(self.store.put(&text, Keep { json: json.clone(), ttl, useful })).await;
        }
        good
    }

    /// Has the store forget what it is to forget. Until it has, nobody takes that from there.
    async fn settle(&self) {
        let (beginnings, numbers) = self.book().dirty();
        if !beginnings.is_empty() && self.within(self.store.forget(&beginnings)).await.is_some() {
            self.book().clean(&beginnings, &numbers);
        }
    }

    /// What the store does, if it does it in time.
    async fn within<T>(&self, done: impl Future<Output = Result<T, Source>>) -> Option<T> {
        match tokio::time::timeout(self.limits.cache_deadline, done).await {
            Ok(Ok(done)) => Some(done),
            Ok(Err(error)) => {
                tracing::warn!(%error, "the store of the cache failed");
                None
            }
            Err(_) => {
                tracing::warn!("the store of the cache took too long");
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use anypod_proto::capabilities::ClientCapabilities;
    use anypod_proto::implementation::Implementation;
    use bytes::Bytes;

    use super::*;
    use crate::credentials::{Bearer, BoxFuture};

    fn cache(store: &Arc<dyn CacheStore>, name: &str, settings: Settings) -> Cache {
        let identity = Identity::new(Implementation::new(name, "1"), ClientCapabilities::default());
        let asker = Asker { url: Some("https://pods.example/mcp"), identity: &identity, settings: &settings };
        Cache::new(Arc::clone(store), &asker, Arc::default(), &Outside::real())
    }

    fn bearer(token: &str) -> Settings {
        Settings { credentials: Some(Arc::new(Bearer::new(token).unwrap())), ..Settings::default() }
    }

    fn key(cache: &Cache) -> Key {
        cache.key(&Call::new(Method::Discover)).unwrap()
    }

    async fn keep(cache: &Cache, scope: &str) {
        let json = format!(r#"{{"ttlMs":60000,"cacheScope":"{scope}"}}"#);
        let (key, json) = (key(cache), Raw::checked(Bytes::from(json)));
        let asking = cache.ask(&key, false, None);
        assert!(cache.keep(&key, &asking, &json).await);
    }

    async fn finds(cache: &Cache) -> bool {
        cache.find(&key(cache)).await.is_some()
    }

    #[tokio::test]
    async fn a_shared_store_gives_others_what_is_public_only() {
        let store: Arc<dyn CacheStore> = Arc::new(MemoryCache::new(1 << 20));
        let (ann, bob) = (cache(&store, "a", bearer("ann")), cache(&store, "a", bearer("bob")));
        keep(&ann, "private").await;
        assert_eq!((finds(&ann).await, finds(&bob).await), (true, false));
        keep(&ann, "public").await;
        assert_eq!((finds(&ann).await, finds(&bob).await), (true, true));
        keep(&ann, "private").await;
        assert_eq!((finds(&ann).await, finds(&bob).await), (true, false), "it is not public any more");
    }

    #[tokio::test]
    async fn a_shared_store_gives_nothing_to_clients_that_servers_may_answer_otherwise() {
        let store: Arc<dyn CacheStore> = Arc::new(MemoryCache::new(1 << 20));
        let mut tenant = Settings::default();
        tenant.headers.insert("x-tenant", http::HeaderValue::from_static("b"));
        let one = cache(&store, "a", Settings::default());
        keep(&one, "public").await;
        assert!(finds(&cache(&store, "a", bearer("any"))).await);
        assert!(!finds(&cache(&store, "b", Settings::default())).await);
        assert!(!finds(&cache(&store, "a", tenant)).await);
    }

    /// A store that drops nothing.
    struct Old(Duration);

    impl CacheStore for Old {
        fn get<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<Kept>, Source>> {
            let json = Raw::checked(Bytes::from_static(b"{}"));
            Box::pin(std::future::ready(Ok(Some(Kept { json, ttl: Duration::MAX, age: self.0 }))))
        }

        fn put<'a>(&'a self, _: &'a str, _: Keep) -> BoxFuture<'a, Result<(), Source>> {
            Box::pin(std::future::ready(Ok(())))
        }

        fn forget<'a>(&'a self, _: &'a [String]) -> BoxFuture<'a, Result<(), Source>> {
            Box::pin(std::future::ready(Ok(())))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_store_makes_a_result_fresher_or_of_longer_use_than_the_limits_allow() {
        let Limits { cache_ttl, cache_stale, .. } = Limits::default();
        for (age, fresh, useful) in [
            (cache_ttl - Duration::from_secs(1), true, true),
            (cache_ttl, false, true),
            (cache_ttl + cache_stale, false, false),
            (Duration::MAX, false, false),
        ] {
            let store: Arc<dyn CacheStore> = Arc::new(Old(age));
            let cache = cache(&store, "a", Settings::default());
            let kept = cache.find(&key(&cache)).await.unwrap();
            let stale = cache.stale(&kept, tokio::time::Instant::now());
            assert_eq!((kept.fresh().is_some(), stale.is_some()), (fresh, useful), "{age:?}");
        }
    }
}
