//! How often something may be called: a bucket of tokens for each principal, each name, or both.
//!
//! A rule that stays when the route is configured anew keeps its buckets: it is the same limiter, which the requests of both
//! configurations take from, so that nobody is given a second burst by a reload.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anypod_proto::method::Method;
use anypod_proto::reject::Rejection;
use anypod_server::Principal;
use tokio::time::Instant;

use crate::config::{Each, Rate};
use crate::glob::{Glob, all_of, any};

/// Buckets that one rule keeps. When there are more, those that are full again are forgotten, and after that new callers
/// share one.
const MOST_BUCKETS: usize = 100_000;
/// How long after they were looked through they are looked through again.
const BETWEEN_SWEEPS: Duration = Duration::from_secs(1);

/// What counts where a rule does not say.
const COUNTED: [Method; 4] = [Method::ToolsCall, Method::PromptsGet, Method::ResourcesRead, Method::Complete];

/// The rates of a route.
#[derive(Debug, Default)]
pub(crate) struct Rates(Box<[Arc<Limiter>]>);

#[derive(Debug)]
struct Limiter {
    /// As it is configured: what tells whether it stays.
    rule: Rate,
    methods: Box<[Glob]>,
    names: Box<[Glob]>,
    per_second: f64,
    burst: f64,
    hasher: RandomState,
    buckets: Mutex<Buckets>,
}

#[derive(Debug, Default)]
struct Buckets {
    by_caller: HashMap<u64, Bucket>,
    /// When the full ones were forgotten last.
    swept: Option<Instant>,
}

/// What is left, as of a moment.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl Rates {
    /// Those of `before` that are wanted still go on with their buckets; the others begin with full ones.
    pub(crate) fn new(rates: &[Rate], before: Option<&Self>) -> Self {
        let mut left: Vec<_> = before.into_iter().flat_map(|before| before.0.iter()).collect();
        // Of two rules alike, each has buckets of its own.
        let limiter = |rate: &Rate| match left.iter().position(|known| known.rule == *rate) {
            Some(at) => Arc::clone(left.remove(at)),
            None => Arc::new(Limiter::new(rate)),
        };
        Self(rates.iter().map(limiter).collect())
    }

    /// Takes a token from each bucket that the request counts in.
    ///
    /// # Errors
    /// [`Rejection::RateLimited`], with the time until there is one. What was taken elsewhere stays taken.
    pub(crate) fn take(
        &self,
        principal: Option<&Principal>,
        method: &str,
        name: Option<&str>,
    ) -> Result<(), Rejection> {
        if self.0.is_empty() {
            return Ok(());
        }
        let now = Instant::now();
        self.0.iter().try_for_each(|limiter| limiter.take(principal, method, name, now))
    }
}

impl Limiter {
    fn new(rate: &Rate) -> Self {
        let methods = match rate.methods.is_empty() {
            true => COUNTED.iter().map(|method| Glob::new(method.as_str())).collect(),
            false => all_of(&rate.methods),
        };
        Self {
            rule: rate.clone(),
            methods,
            names: all_of(&rate.names),
            per_second: rate.per_second,
            burst: rate.burst.map_or(rate.per_second.max(1.0), f64::from),
            hasher: RandomState::new(),
            buckets: Mutex::default(),
        }
    }

    fn take(
        &self,
        principal: Option<&Principal>,
        method: &str,
        name: Option<&str>,
        now: Instant,
    ) -> Result<(), Rejection> {
        if !any(&self.methods, method) || !any(&self.names, name.unwrap_or_default()) {
            return Ok(());
        }
        let key = self.key(principal, name);
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let key = self.make_room(&mut buckets, key, now);
        let bucket = buckets.by_caller.entry(key).or_insert(Bucket { left: self.burst, at: now });
        *bucket = self.refilled(*bucket, now);
        if bucket.left >= 1.0 {
            bucket.left -= 1.0;
            return Ok(());
        }
        let wait = Duration::try_from_secs_f64((1.0 - bucket.left) / self.per_second).unwrap_or(Duration::MAX);
        let secs = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        Err(Rejection::RateLimited { retry_after_secs: u32::try_from(secs).unwrap_or(u32::MAX).max(1) })
    }

    /// Callers are kept apart by a keyed hash: two may share a bucket by chance once in a very long while, and nobody can
    /// bring it about.
    fn key(&self, principal: Option<&Principal>, name: Option<&str>) -> u64 {
        let principal = principal.map(|principal| (&principal.id().iss, &principal.id().sub));
        match self.rule.each {
            Each::Principal => self.hash(principal),
            Each::Name => self.hash(name),
            Each::PrincipalAndName => self.hash((principal, name)),
        }
    }

    fn hash(&self, of: impl Hash) -> u64 {
        self.hasher.hash_one(of)
    }

    fn refilled(&self, bucket: Bucket, now: Instant) -> Bucket {
        let gained = now.saturating_duration_since(bucket.at).as_secs_f64() * self.per_second;
        Bucket { left: (bucket.left + gained).min(self.burst), at: now.max(bucket.at) }
    }

    fn make_room(&self, buckets: &mut Buckets, key: u64, now: Instant) -> u64 {
        const SHARED: u64 = 0;
        if buckets.by_caller.len() < MOST_BUCKETS || buckets.by_caller.contains_key(&key) {
            return key;
        }
        // Looking at all of them takes a while, which a flood of new callers must not cause again and again.
        if buckets.swept.is_none_or(|swept| now.saturating_duration_since(swept) >= BETWEEN_SWEEPS) {
            buckets.swept = Some(now);
            buckets.by_caller.retain(|_, bucket| self.refilled(*bucket, now).left < self.burst);
        }
        if buckets.by_caller.len() < MOST_BUCKETS { key } else { SHARED }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(each: Each, per_second: f64, burst: Option<u32>) -> Rates {
        Rates::new(&[rule(each, per_second, burst)], None)
    }

    fn rule(each: Each, per_second: f64, burst: Option<u32>) -> Rate {
        Rate { per_second, burst, each, methods: vec![], names: vec![] }
    }

    fn principal(sub: &str) -> Option<Principal> {
        Some(Principal::new("test", sub))
    }

    #[tokio::test(start_paused = true)]
    async fn says_when_there_is_a_token_again() {
        let rates = rates(Each::Principal, 0.5, Some(2));
        let take = |sub| rates.take(principal(sub).as_ref(), "tools/call", Some("x"));
        assert_eq!([take("a"), take("a")], [Ok(()), Ok(())]);
        assert_eq!(take("a"), Err(Rejection::RateLimited { retry_after_secs: 2 }));
        assert_eq!(take("b"), Ok(()), "another principal has a bucket of its own");
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(take("a"), Ok(()));
        assert!(take("a").is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn counts_by_name_whoever_calls() {
        let rates = rates(Each::Name, 1.0, Some(1));
        let take = |sub, name| rates.take(principal(sub).as_ref(), "tools/call", Some(name));
        assert_eq!(take("a", "x"), Ok(()));
        assert!(take("b", "x").is_err());
        assert_eq!(take("b", "y"), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn lists_do_not_count_unless_a_rule_says_so() {
        let rates = rates(Each::Principal, 1.0, Some(1));
        for _ in 0..10 {
            assert_eq!(rates.take(None, "tools/list", None), Ok(()));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_rule_that_stays_keeps_its_buckets_and_one_that_is_changed_begins_anew() {
        let (stays, changes) = (rule(Each::Principal, 0.5, Some(2)), rule(Each::Name, 0.5, Some(3)));
        let before = Rates::new(&[stays.clone(), changes.clone()], None);
        let take = |rates: &Rates| rates.take(None, "tools/call", Some("x"));
        assert_eq!([take(&before), take(&before)], [Ok(()), Ok(())]);
        // Wherever it stands now, and whatever stands beside it.
        let after = Rates::new(&[Rate { per_second: 1.0, ..changes }, stays.clone()], Some(&before));
        assert_eq!(take(&after), Err(Rejection::RateLimited { retry_after_secs: 2 }));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(take(&after), Ok(()));
        // A request that goes on by the configuration before takes from the same bucket.
        assert!(take(&before).is_err());
        let alone = Rates::new(&[Rate { burst: Some(1), ..stays }], Some(&after));
        assert_eq!(take(&alone), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn of_two_rules_alike_each_keeps_its_own_buckets() {
        let twice = [rule(Each::Principal, 1.0, Some(2)), rule(Each::Principal, 1.0, Some(2))];
        let before = Rates::new(&twice, None);
        let after = Rates::new(&twice, Some(&before));
        assert!(!Arc::ptr_eq(&after.0[0], &after.0[1]));
        assert!(after.0.iter().zip(&before.0).all(|(after, before)| Arc::ptr_eq(after, before)));
    }

    #[tokio::test(start_paused = true)]
    async fn the_number_of_buckets_is_bounded() {
        let rates = rates(Each::Name, 1.0, Some(1));
        for number in 0..MOST_BUCKETS + 10 {
            let _ = rates.take(None, "tools/call", Some(&number.to_string()));
        }
        assert!(rates.0[0].buckets.lock().unwrap().by_caller.len() <= MOST_BUCKETS + 1);
    }
}
