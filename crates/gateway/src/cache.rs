//! Results that upstreams allow to keep: for everybody or for one caller, for as long as they say.
//!
//! Keys are texts of the upstream, the method, what it is about, and whom the result is for. The time to live is taken out
//! of what is kept and written anew with each answer, so that a client keeps nothing for longer than the upstream allowed.
//! Rounds, interim results and what answers are part of are never kept.
//!
//! Spec: server/utilities/caching.

mod flight;

use std::future::Future;
use std::time::Duration;

use anypod_client::{CacheStore as _, Keep, Kept, MemoryCache, Raw};
use anypod_proto::caching::CacheScope;
use anypod_proto::scan::{Kind, ScanError, Scanner};
use bytes::Bytes;
use futures_util::FutureExt as _;
use serde::Deserialize;

use self::flight::Flights;
use crate::config;
use crate::failure::Failure;

/// The member with the time to live, in milliseconds.
const TTL: &str = "ttlMs";

/// What a result is of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) upstream: &'a str,
    pub(crate) method: &'a str,
    /// The URI of a resource, or a cursor.
    pub(crate) detail: &'a str,
    /// Whom the request must be kept apart for.
    pub(crate) apart: Option<[u8; 32]>,
}

/// A result.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    /// The result object without its time to live.
    pub(crate) rest: Bytes,
    /// How much longer it is fresh.
    pub(crate) ttl: Duration,
    pub(crate) scope: CacheScope,
    /// Whether it came from memory.
    pub(crate) cached: bool,
}

/// The results of one route.
pub(crate) struct Cache {
    store: MemoryCache,
    flights: Flights,
    enabled: bool,
    longest: Duration,
    stale: Duration,
}

impl Cache {
    pub(crate) fn new(config: &config::Cache) -> Self {
        Self {
            store: MemoryCache::new(if config.enabled { config.bytes } else { 0 }),
            flights: Flights::default(),
            enabled: config.enabled,
            longest: config.longest.get(),
            stale: config.stale.get(),
        }
    }

    /// The result if it is kept and fresh.
    pub(crate) async fn find(&self, subject: Subject<'_>) -> Option<Found> {
        let (found, fresh) = self.look(subject).await?;
        fresh.then_some(found)
    }

    /// The result: kept, or asked for. Of many that ask for the same at once, one asks for all, as long as the answer may be
    /// kept. If the upstream cannot be reached, what was kept stands in for a while.
    ///
    /// # Errors
    /// As `ask` has it.
    pub(crate) async fn fetch<A>(&self, subject: Subject<'_>, ask: impl Fn() -> A) -> Result<Found, Failure>
    where
        A: Future<Output = Result<Bytes, Failure>>,
    {
        if !self.enabled {
            return ask().await.map(|result| split(result).0);
        }
        let stale = match self.look(subject).await {
            Some((found, true)) => return Ok(found),
            Some((found, false)) => Some(found),
            None => None,
        };
        let key = key(subject, "");
        let flight = match self.flights.board(&key) {
            flight::Place::First(flight) => flight,
            flight::Place::Later(waiting) => match waiting.landed().await {
                Some(found) => return Ok(found),
                // It may not be shared, or nobody has it: everyone for himself.
                None => return ask().await.map(|result| split(result).0),
            },
        };
        match ask().await {
            Ok(result) => {
                let (found, keepable) = split(result);
                if keepable && !found.ttl.is_zero() {
                    self.keep(subject, &found).await;
                    flight.land(&found);
                }
                Ok(found)
            }
            Err(failure) if failure.is_of_the_way() => match stale {
                Some(found) => {
                    tracing::warn!(upstream = subject.upstream, %failure, "a result that is no longer fresh stands in");
                    Ok(Found { ttl: Duration::ZERO, ..found })
                }
                None => Err(failure),
            },
            Err(failure) => Err(failure),
        }
    }

    /// Keeps a result that came by another way, if it may be kept.
    pub(crate) async fn offer(&self, subject: Subject<'_>, result: &Bytes) {
        let (found, keepable) = split(result.clone());
        if self.enabled && keepable && !found.ttl.is_zero() {
            self.keep(subject, &found).await;
        }
    }

    /// Forgets everything that an upstream has answered to a method, about one thing or all.
    pub(crate) fn forget(&self, upstream: &str, method: &str, detail: Option<&str>) {
        let beginning = match detail {
            Some(detail) => format!("{}\0", beginning(upstream, method, detail)),
            None => format!("{upstream}\0{method}\0"),
        };
        // The memory of this process does not fail.
        let _ = self.store.forget(&[beginning]).now_or_never();
    }

    async fn look(&self, subject: Subject<'_>) -> Option<(Found, bool)> {
        if !self.enabled {
            return None;
        }
        for scope in [CacheScope::Public, CacheScope::Private] {
            let Ok(Some(Kept { json, ttl, age })) = self.store.get(&key(subject, &whose(scope, subject.apart))).await
            else {
                continue;
            };
            let left = ttl.saturating_sub(age);
            let found = Found { rest: json.as_bytes().clone(), ttl: left, scope, cached: true };
            return Some((found, !left.is_zero()));
        }
        None
    }

    async fn keep(&self, subject: Subject<'_>, found: &Found) {
        let Ok(json) = Raw::parse(found.rest.clone()) else { return };
        let ttl = found.ttl.min(self.longest);
        let keep = Keep { json, ttl, useful: ttl + self.stale };
        let _ = self.store.put(&key(subject, &whose(found.scope, subject.apart)), keep).await;
    }
}

impl Found {
    /// The result object with the time that is left.
    pub(crate) fn result(&self) -> Bytes {
        let inside = self.rest.strip_prefix(b"{").unwrap_or_default();
        let mut out = Vec::with_capacity(self.rest.len() + 32);
        out.extend_from_slice(format!("{{\"{TTL}\":{}", self.ttl.as_millis()).as_bytes());
        if inside.trim_ascii() != b"}" {
            out.push(b',');
        }
        out.extend_from_slice(inside);
        out.into()
    }
}

fn beginning(upstream: &str, method: &str, detail: &str) -> String {
    // Details come from outside; NUL is in no URI and no cursor that passes as a key here.
    format!("{upstream}\0{method}\0{}", detail.replace('\0', "\u{1}"))
}

fn key(subject: Subject<'_>, whose: &str) -> String {
    format!("{}\0{whose}", beginning(subject.upstream, subject.method, subject.detail))
}

fn whose(scope: CacheScope, apart: Option<[u8; 32]>) -> String {
    match (scope, apart) {
        (CacheScope::Public, _) => "public".to_owned(),
        (CacheScope::Private, None) => "anonymous".to_owned(),
        (CacheScope::Private, Some(digest)) => digest.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

/// Takes the time to live out of a result, and says whether it may be kept at all.
fn split(result: Bytes) -> (Found, bool) {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Hints<'a> {
        #[serde(borrow)]
        result_type: Option<std::borrow::Cow<'a, str>>,
        ttl_ms: Option<serde_json::Value>,
        cache_scope: Option<CacheScope>,
    }
    let uncached = |rest| Found { rest, ttl: Duration::ZERO, scope: CacheScope::Private, cached: false };
    let Ok(hints) = serde_json::from_slice::<Hints<'_>>(&result) else { return (uncached(result), false) };
    // A hint that is missing or malformed permits nothing.
    let ttl = hints.ttl_ms.as_ref().and_then(serde_json::Value::as_u64);
    let complete = hints.result_type.as_deref().is_none_or(|kind| kind == "complete");
    let keepable = complete && ttl.is_some() && hints.cache_scope.is_some();
    let scope = hints.cache_scope.unwrap_or(CacheScope::Private);
    let Some(ttl) = ttl else { return (uncached(result), false) };
    match without_ttl(&result) {
        Some(rest) => (Found { rest, ttl: Duration::from_millis(ttl), scope, cached: false }, keepable),
        None => (uncached(result), false),
    }
}

/// The object without its time to live.
fn without_ttl(result: &Bytes) -> Option<Bytes> {
    let text = std::str::from_utf8(result).ok()?;
    let members = || -> Result<Vec<&str>, ScanError> {
        let mut members = Vec::new();
        let mut scanner = Scanner::new(text);
        if scanner.peek()? != Kind::Object {
            return Ok(members);
        }
        let mut walk = scanner.object()?;
        loop {
            let before = scanner.offset();
            let Some(key) = scanner.member(&mut walk)? else { break };
            let is_ttl = key.is(TTL);
            scanner.value()?;
            if !is_ttl {
                members.push(text[before..scanner.offset()].trim_start().trim_start_matches(',').trim_start());
            }
        }
        scanner.end()?;
        Ok(members)
    };
    Some(format!("{{{}}}", members().ok()?.join(",")).into())
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
