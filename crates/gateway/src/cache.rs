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
use anypod_proto::request::Request;
use anypod_proto::scan::{Kind, ScanError, Scanner};
use anypod_server::Answered;
use bytes::Bytes;
use futures_util::FutureExt as _;
use serde::Deserialize;
use serde::de::IgnoredAny;

use self::flight::{Flight, Flights, Landed, Place};
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
    /// The result object without its time to live; all of it, as it came, if that is none.
    pub(crate) rest: Bytes,
    /// How much longer it is fresh; none for what may not be kept.
    pub(crate) ttl: Option<Duration>,
    pub(crate) scope: CacheScope,
    /// Whether it came from memory.
    pub(crate) cached: bool,
}

/// Why there is no result that might be kept.
pub(crate) enum NoResult {
    /// There is none.
    Failed(Failure),
    /// There is something else, which is for the one who asked.
    Other(Box<Answered>),
}

/// What stands in the place of a result.
pub(crate) trait Instead {
    /// Why there is none, if it could not be had.
    fn failure(&self) -> Option<&Failure>;
}

impl Instead for Failure {
    fn failure(&self) -> Option<&Failure> {
        Some(self)
    }
}

impl Instead for NoResult {
    fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Failed(failure) => Some(failure),
            Self::Other(_) => None,
        }
    }
}

impl From<Failure> for NoResult {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
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
        self.look(subject).await.filter(Found::is_fresh)
    }

    /// The result: kept, or asked for. Of many that ask for the same at once, one asks for all for whom the answer may be
    /// kept. If the upstream cannot be reached, what was kept stands in for a while.
    ///
    /// # Errors
    /// As `ask` has it.
    pub(crate) async fn fetch<A, E>(&self, subject: Subject<'_>, ask: impl FnOnce() -> A) -> Result<Found, E>
    where
        A: Future<Output = Result<Bytes, E>>,
        E: Instead,
    {
        if !self.enabled {
            return ask().await.map(as_it_came);
        }
        let (flight, stale) = match self.board(subject).await {
            Boarded::Landed(found) => return Ok(found),
            Boarded::Flying(flight, stale) => (flight, stale),
        };
        match ask().await {
            Ok(result) => {
                let found = split(result);
                self.keep(subject, &found).await;
                flight.land(&found);
                Ok(found)
            }
            Err(instead) => {
                flight.crash(&instead);
                let away = instead.failure().filter(|failure| failure.is_of_the_way());
                let (Some(failure), Some(found)) = (away, stale) else { return Err(instead) };
                tracing::warn!(upstream = subject.upstream, %failure, "a result that is no longer fresh stands in");
                Ok(Found { ttl: Some(Duration::ZERO), ..found })
            }
        }
    }

    /// What is kept, or what another has asked for. Else it is for this one to ask.
    async fn board(&self, subject: Subject<'_>) -> Boarded {
        if let Some(found) = self.find(subject).await {
            return Boarded::Landed(found);
        }
        let flight = loop {
            match self.flights.board(subject) {
                Place::First(flight) => break flight,
                Place::Later(waiting) => match waiting.landed().await {
                    Landed::Here(found) => return Boarded::Landed(found),
                    Landed::Nowhere => break self.flights.alone(subject),
                    // The one who asked has gone, or asked for himself only: perhaps it is this one's turn.
                    Landed::Elsewhere => {}
                },
            }
        };
        // Another may have landed between the look and the turn.
        match self.look(subject).await {
            Some(found) if found.is_fresh() => Boarded::Landed(found),
            kept => Boarded::Flying(flight, kept),
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

    async fn look(&self, subject: Subject<'_>) -> Option<Found> {
        if !self.enabled {
            return None;
        }
        for scope in [CacheScope::Public, CacheScope::Private] {
            if let Ok(Some(Kept { json, ttl, age })) = self.store.get(&subject.key(scope)).await {
                let ttl = Some(ttl.saturating_sub(age));
                return Some(Found { rest: json.as_bytes().clone(), ttl, scope, cached: true });
            }
        }
        None
    }

    /// Keeps a result, if it may be kept.
    async fn keep(&self, subject: Subject<'_>, found: &Found) {
        let Some(ttl) = found.ttl.map(|ttl| ttl.min(self.longest)) else { return };
        let Ok(json) = Raw::parse(found.rest.clone()) else { return };
        let keep = Keep { json, ttl, useful: ttl + self.stale };
        let _ = self.store.put(&subject.key(found.scope), keep).await;
    }
}

/// Who has a result, or who is to ask for it.
enum Boarded {
    Landed(Found),
    /// With what is kept, and not fresh.
    Flying(Flight, Option<Found>),
}

impl Found {
    /// Whether it may still be given to others.
    pub(crate) fn is_fresh(&self) -> bool {
        self.ttl.is_some_and(|ttl| !ttl.is_zero())
    }

    /// The result object with the time that is left.
    pub(crate) fn result(&self) -> Bytes {
        let Some(ttl) = self.ttl else { return self.rest.clone() };
        let inside = self.rest.strip_prefix(b"{").unwrap_or_default();
        let mut out = Vec::with_capacity(self.rest.len() + 32);
        out.extend_from_slice(format!("{{\"{TTL}\":{}", ttl.as_millis()).as_bytes());
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

impl Subject<'_> {
    /// What it is kept under, if it is for everybody, or for whom the request was.
    fn key(&self, scope: CacheScope) -> String {
        format!("{}\0{}", beginning(self.upstream, self.method, self.detail), whose(scope, self.apart))
    }
}

fn whose(scope: CacheScope, apart: Option<[u8; 32]>) -> String {
    match (scope, apart) {
        (CacheScope::Public, _) => "public".to_owned(),
        (CacheScope::Private, None) => "anonymous".to_owned(),
        (CacheScope::Private, Some(digest)) => digest.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

/// Whether the answer to a request depends on nothing but what it is kept under. Spec: server/utilities/caching, "Cache Key".
pub(crate) fn is_plain<B: AsRef<str>>(request: &Request<B>) -> bool {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Params {
        #[serde(default)]
        #[expect(dead_code, reason = "known, and read elsewhere")]
        uri: Option<IgnoredAny>,
        #[serde(default)]
        #[expect(dead_code, reason = "known, and read elsewhere")]
        cursor: Option<IgnoredAny>,
        #[serde(default, rename = "_meta")]
        #[expect(dead_code, reason = "says who asks, and how")]
        meta: Option<IgnoredAny>,
    }
    request.request_state().is_none()
        && request.input_responses().is_none()
        && serde_json::from_str::<Params>(request.params()).is_ok()
}

fn as_it_came(result: Bytes) -> Found {
    Found { rest: result, ttl: None, scope: CacheScope::Private, cached: false }
}

/// Takes the time to live out of a result that may be kept.
fn split(result: Bytes) -> Found {
    match kept_for(&result).and_then(|(ttl, scope)| Some((without_ttl(&result)?, ttl, scope))) {
        Some((rest, ttl, scope)) => Found { rest, ttl: Some(ttl), scope, cached: false },
        None => as_it_came(result),
    }
}

/// For how long a result may be kept, and for whom. A hint that is missing or malformed permits nothing.
fn kept_for(result: &[u8]) -> Option<(Duration, CacheScope)> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Hints<'a> {
        #[serde(borrow)]
        result_type: Option<std::borrow::Cow<'a, str>>,
        ttl_ms: Option<serde_json::Value>,
        cache_scope: Option<CacheScope>,
    }
    let hints: Hints<'_> = serde_json::from_slice(result).ok()?;
    let ttl = hints.ttl_ms?.as_u64().filter(|ttl| *ttl > 0)?;
    let complete = hints.result_type.is_none_or(|kind| kind == "complete");
    complete.then_some((Duration::from_millis(ttl), hints.cache_scope?))
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
