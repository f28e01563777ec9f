//! Where kept results stand: a trait for storage of any kind, and the memory of this process.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::credentials::BoxFuture;
use crate::error::Source;
use crate::exchange::Raw;

/// The largest share of a [`MemoryCache`] that one result may take: one in so many bytes.
const SHARE: usize = 4;
/// What an entry costs besides its key and its text, in bytes: two nodes of trees, roughly.
const OVERHEAD: usize = 160;

/// A result to be kept.
#[derive(Debug, Clone)]
pub struct Keep {
    /// The result.
    pub json: Raw,
    /// How long it is fresh, from now on.
    pub ttl: Duration,
    /// How long it is of any use, from now on. After that it may be dropped.
    pub useful: Duration,
}

/// A result that was kept.
#[derive(Debug, Clone)]
pub struct Kept {
    /// The result. Storage outside of this process reads it with [`Raw::parse`].
    pub json: Raw,
    /// How long it is fresh from when it was kept, as [`Keep::ttl`] said.
    pub ttl: Duration,
    /// How long ago it was kept.
    pub age: Duration,
}

/// Storage for the results that a client keeps.
///
/// A store never breaks a request: where it fails, or takes longer than
/// [`Limits::cache_deadline`](crate::Limits::cache_deadline), the server is asked. Keys are text without a meaning for
/// the store, except that keys with a common beginning are forgotten together. They hold the server's URL, URIs,
/// cursors and [`Credentials::context`](crate::Credentials::context).
///
/// Several clients may share a store. They then share what is `public` if they have the same URL, name and capabilities,
/// and what is `private` if their credentials have the same context besides, which must not be empty.
pub trait CacheStore: Send + Sync + 'static {
    /// What is kept under a key.
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Kept>, Source>>;

    /// Keeps a result, in place of what was there. It may be dropped at any time.
    fn put<'a>(&'a self, key: &'a str, keep: Keep) -> BoxFuture<'a, Result<(), Source>>;

    /// Forgets everything whose key begins with one of these texts. Once it is done, [`CacheStore::get`] must not
    /// find it.
    fn forget<'a>(&'a self, beginnings: &'a [String]) -> BoxFuture<'a, Result<(), Source>>;
}

impl<S: CacheStore + ?Sized> CacheStore for Arc<S> {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Kept>, Source>> {
        (**self).get(key)
    }

    fn put<'a>(&'a self, key: &'a str, keep: Keep) -> BoxFuture<'a, Result<(), Source>> {
        (**self).put(key, keep)
    }

    fn forget<'a>(&'a self, beginnings: &'a [String]) -> BoxFuture<'a, Result<(), Source>> {
        (**self).forget(beginnings)
    }
}

/// The memory of this process, bounded in bytes. What was not asked for longest goes first; what is larger than a
/// quarter of the whole is not kept at all.
pub struct MemoryCache {
    entries: Mutex<Entries>,
    limit: usize,
}

#[derive(Default)]
struct Entries {
    by_key: BTreeMap<Arc<str>, Entry>,
    /// From the one that was not used for longest to the one that was used last.
    by_use: BTreeMap<u64, Arc<str>>,
    uses: u64,
    bytes: usize,
}

struct Entry {
    json: Raw,
    ttl: Duration,
    useful: Duration,
    since: Instant,
    used: u64,
}

impl MemoryCache {
    /// Holds at most this many bytes, keys and bookkeeping included.
    pub fn new(limit: usize) -> Self {
        Self { entries: Mutex::default(), limit }
    }

    /// How many bytes it holds.
    pub fn bytes(&self) -> usize {
        self.entries().bytes
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn insert(&self, key: &str, keep: Keep) {
        let Keep { json, ttl, useful } = keep;
        let mut entries = self.entries();
        entries.remove(key);
        let cost = cost(key, &json);
        if cost > self.limit / SHARE {
            return;
        }
        while entries.bytes + cost > self.limit {
            let Some((_, oldest)) = entries.by_use.pop_first() else { break };
            entries.remove(&oldest);
        }
        // A copy: as a part of its message it would hold all of that in memory, whatever its size.
        let json = Raw::checked(Bytes::copy_from_slice(json.as_bytes()));
        entries.insert(key.into(), Entry { json, ttl, useful, since: Instant::now(), used: 0 }, cost);
    }
}

impl Entries {
    fn insert(&mut self, key: Arc<str>, entry: Entry, cost: usize) {
        self.uses += 1;
        self.bytes += cost;
        self.by_use.insert(self.uses, Arc::clone(&key));
        self.by_key.insert(key, Entry { used: self.uses, ..entry });
    }

    fn remove(&mut self, key: &str) {
        if let Some(entry) = self.by_key.remove(key) {
            self.by_use.remove(&entry.used);
            self.bytes -= cost(key, &entry.json);
        }
    }

    fn find(&mut self, key: &str) -> Option<Kept> {
        let entry = self.by_key.get_mut(key)?;
        let age = entry.since.elapsed();
        if age >= entry.useful {
            self.remove(key);
            return None;
        }
        self.uses += 1;
        if let Some(key) = self.by_use.remove(&entry.used) {
            self.by_use.insert(self.uses, key);
        }
        entry.used = self.uses;
        Some(Kept { json: entry.json.clone(), ttl: entry.ttl, age })
    }

    fn forget(&mut self, beginning: &str) {
        let from = (Bound::Included(beginning), Bound::Unbounded);
        let keys: Vec<_> = self
            .by_key
            .range::<str, _>(from)
            .map(|(key, _)| Arc::clone(key))
            .take_while(|key| key.starts_with(beginning))
            .collect();
        for key in keys {
            self.remove(&key);
        }
    }
}

fn cost(key: &str, json: &Raw) -> usize {
    key.len() + json.as_bytes().len() + OVERHEAD
}

impl CacheStore for MemoryCache {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Kept>, Source>> {
        let kept = self.entries().find(key);
        Box::pin(std::future::ready(Ok(kept)))
    }

    fn put<'a>(&'a self, key: &'a str, keep: Keep) -> BoxFuture<'a, Result<(), Source>> {
        self.insert(key, keep);
        Box::pin(std::future::ready(Ok(())))
    }

    fn forget<'a>(&'a self, beginnings: &'a [String]) -> BoxFuture<'a, Result<(), Source>> {
        let mut entries = self.entries();
        for beginning in beginnings {
            entries.forget(beginning);
        }
        Box::pin(std::future::ready(Ok(())))
    }
}

impl std::fmt::Debug for MemoryCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryCache").field("bytes", &self.bytes()).field("limit", &self.limit).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn keep(len: usize) -> Keep {
        let json = format!("\"{}\"", "x".repeat(len));
        let hour = Duration::from_secs(3600);
        Keep { json: Raw::checked(json.into()), ttl: hour, useful: hour }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Put(u8, usize),
        Get(u8),
        Forget(u8),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => (any::<u8>(), 0..3000_usize).prop_map(|(key, len)| Step::Put(key, len)),
            2 => any::<u8>().prop_map(Step::Get),
            1 => any::<u8>().prop_map(Step::Forget),
        ];
        prop::collection::vec(step, 1..200)
    }

    proptest! {
        #[test]
        fn holds_no_more_than_its_bound_and_only_what_was_put(steps in steps(), limit in 0..20_000_usize) {
            let store = MemoryCache::new(limit);
            let mut last: HashMap<String, usize> = HashMap::new();
            for step in steps {
                match step {
                    Step::Put(key, len) => {
                        let key = format!("{key:08b}");
                        store.insert(&key, keep(len));
                        last.insert(key, len + 2);
                    }
                    Step::Get(key) => {
                        let key = format!("{key:08b}");
                        if let Some(kept) = store.entries().find(&key) {
                            prop_assert_eq!(Some(&kept.json.as_bytes().len()), last.get(&key));
                        }
                    }
                    Step::Forget(key) => {
                        let beginning = &format!("{key:08b}")[..2];
                        store.entries().forget(beginning);
                        last.retain(|key, _| !key.starts_with(beginning));
                    }
                }
                let entries = store.entries();
                let sum: usize = entries.by_key.iter().map(|(key, entry)| cost(key, &entry.json)).sum();
                prop_assert_eq!(entries.bytes, sum);
                prop_assert!(entries.bytes <= limit);
                prop_assert_eq!(entries.by_key.len(), entries.by_use.len());
            }
        }
    }

    #[tokio::test]
    async fn what_was_not_asked_for_longest_goes_first() {
        let store = MemoryCache::new(4 * (1000 + 2 + 1 + OVERHEAD));
        for key in ["a", "b", "c", "d"] {
            store.insert(key, keep(1000));
        }
        assert!(store.get("a").await.unwrap().is_some());
        store.insert("e", keep(1000));
        assert!(store.get("a").await.unwrap().is_some());
        assert!(store.get("b").await.unwrap().is_none());
    }

    #[tokio::test]
    async fn what_takes_more_than_its_share_replaces_what_was_there_with_nothing() {
        let store = MemoryCache::new(4000);
        store.insert("a", keep(10));
        store.insert("a", keep(1000));
        assert!(store.get("a").await.unwrap().is_none());
        assert_eq!(store.bytes(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_of_no_more_use_is_dropped() {
        let store = MemoryCache::new(4000);
        store.insert("a", keep(10));
        tokio::time::advance(Duration::from_secs(3599)).await;
        assert_eq!(store.get("a").await.unwrap().unwrap().age, Duration::from_secs(3599));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(store.get("a").await.unwrap().is_none());
        assert_eq!(store.bytes(), 0);
    }

    #[tokio::test]
    async fn a_kept_result_does_not_hold_the_message_it_came_in() {
        let store = MemoryCache::new(4000);
        let message = Bytes::from(vec![b'1'; 1 << 20]);
        store.insert("a", Keep { json: Raw::checked(message.slice(..1)), ..keep(0) });
        assert!(message.is_unique());
    }
}
