//! Requests that use the cache: who is answered from it, who asks, and who waits for the one who asks.

use std::pin::pin;
use std::sync::Arc;

use anypod_proto::code::Code;
use tokio::time::Instant;

use super::book::{Shared, Turn, same};
use super::key::Key;
use super::{Asking, Cache, Fetched, Lead, mark};
use crate::cache::Kept;
use crate::call::Call;
use crate::client::Inner;
use crate::error::{Error, Result};
use crate::exchange::Raw;
use crate::request::{CacheUse, Options};
use crate::rounds::{Budget, Ended, cancellable};

/// Whether kept results that are not fresh may be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stale {
    No,
    Yes,
}

impl Inner {
    /// One round of a request, answered by the cache where that is as good.
    pub(crate) async fn fetch(&self, call: &mut Call, options: &mut Options, budget: &mut Budget) -> Result<Ended> {
        let cache = self.cache.as_ref().filter(|_| options.cache != CacheUse::Bypass);
        match cache.and_then(|cache| Some((cache, cache.key(call)?))) {
            // Boxed, so that calls that use no cache do not carry its state with them.
            Some((cache, key)) => Box::pin(self.through(cache, key, call, options, budget)).await,
            None => self.one(call, options, budget).await,
        }
    }

    /// What is kept for a call, without asking.
    pub(crate) async fn kept(&self, call: &Call, stale: Stale) -> Option<Fetched<Raw>> {
        let cache = self.cache.as_ref()?;
        let kept = cache.find(&cache.key(call)?).await?;
        match stale {
            Stale::No => kept.fresh(),
            Stale::Yes => kept.fresh().or_else(|| cache.stale(&kept, Instant::now())),
        }
    }

    async fn through(
        &self,
        cache: &Cache,
        key: Key,
        call: &mut Call,
        options: &mut Options,
        budget: &mut Budget,
    ) -> Result<Ended> {
        while options.cache == CacheUse::Use {
            let mut told = match cache.turn(&key) {
                Turn::Lead(number, tell) => {
                    let lead = Lead { cache, key, number, tell };
                    return self.lead(lead, call, options, budget).await;
                }
                Turn::Wait(told) => told,
                Turn::Alone => break,
            };
            let wait = async { Ok(told.wait_for(Option::is_some).await.ok().and_then(|told| told.clone())) };
            match cancellable(options, budget.spend(pin!(wait))).await? {
                Some(Shared::Result(fetched)) => return Ok(complete(fetched, options)),
                Some(Shared::Failed(error)) => match same(&error) {
                    Some(error) => return Err(error),
                    None => break,
                },
                Some(Shared::Alone) => break,
                // The one who asked has gone: perhaps it is this one's turn.
                None => {}
            }
        }
        let asking = cache.ask(&key, options.cache == CacheUse::Refresh, None);
        let (ended, _) = self.ask(cache, &key, &asking, call, options, budget).await;
        ended
    }

    /// Looks, asks, and tells those who wait.
    async fn lead(&self, lead: Lead<'_>, call: &mut Call, options: &mut Options, budget: &mut Budget) -> Result<Ended> {
        let (cache, key) = (lead.cache, &lead.key);
        let found = pin!(async { Ok(cache.find(key).await) });
        let kept = cancellable(options, budget.spend(found)).await?;
        if let Some(fetched) = kept.as_ref().and_then(Kept::fresh) {
            lead.tell(Shared::Result(fetched.clone()));
            return Ok(complete(fetched, options));
        }
        let looked = Instant::now();
        let asking = cache.ask(key, false, Some(lead.number));
        let (ended, shared) = self.ask(cache, key, &asking, call, options, budget).await;
        match (ended, kept) {
            (Err(error), Some(kept)) if is_unavailable(&error) && !cache.has_changed(key, &asking) => {
                let Some(fetched) = cache.stale(&kept, looked) else {
                    return fail(&lead, error);
                };
                tracing::warn!(%error, age = ?fetched.age, "served a stale result for a server that cannot be reached");
                lead.tell(Shared::Result(fetched.clone()));
                Ok(complete(fetched, options))
            }
            (Err(error), _) => fail(&lead, error),
            (Ok(ended), _) => {
                lead.tell(shared.map_or(Shared::Alone, |raw| Shared::Result(Fetched::now(raw))));
                Ok(ended)
            }
        }
    }

    /// Asks the server, and keeps what it says: given back a second time if it is good for others too.
    async fn ask(
        &self,
        cache: &Cache,
        key: &Key,
        asking: &Asking,
        call: &mut Call,
        options: &mut Options,
        budget: &mut Budget,
    ) -> (Result<Ended>, Option<Raw>) {
        let ended = self.one(call, options, budget).await;
        let shared = match &ended {
            Ok(Ended::Complete(raw)) => cache.keep(key, asking, raw).await.then(|| raw.clone()),
            // Spec: server/utilities/caching, "Interaction with Pagination": the cursor is not good any more.
            Err(Error::Answered(error)) if key.is_later_page() && error.code == Code::InvalidParams.number() => {
                cache.soil(key, true);
                None
            }
            Ok(Ended::Asks { .. } | Ended::Task(_) | Ended::Other(..)) => {
                cache.book().note_kept(key.method, false);
                None
            }
            Err(_) => None,
        };
        (ended, shared)
    }
}

impl Cache {
    /// A result that is not fresh, for a server that cannot be reached.
    pub(super) fn stale(&self, kept: &Kept, looked: Instant) -> Option<Fetched<Raw>> {
        let age = kept.age.saturating_add(looked.elapsed());
        let within = age < kept.ttl.saturating_add(self.limits.cache_stale);
        let value = within.then(|| mark::stale(&kept.json, age)).flatten()?;
        Some(Fetched { value, age: Some(age), stale: true })
    }
}

impl Kept {
    pub(super) fn fresh(&self) -> Option<Fetched<Raw>> {
        let fetched = || Fetched { value: self.json.clone(), age: Some(self.age), stale: false };
        (self.age < self.ttl).then(fetched)
    }
}

fn complete(fetched: Fetched<Raw>, options: &mut Options) -> Ended {
    options.fetched = fetched.with(());
    Ended::Complete(fetched.value)
}

fn fail(lead: &Lead<'_>, error: Error) -> Result<Ended> {
    if let Some(same) = same(&error) {
        lead.tell(Shared::Failed(Arc::new(same)));
    }
    Err(error)
}

/// Whether there is no server to ask: it cannot be reached, or what stands before it says that it is down. A server
/// that answers no is right, whatever was kept.
fn is_unavailable(error: &Error) -> bool {
    match error {
        Error::Unreachable { .. } | Error::Lost { .. } | Error::OutcomeUnknown { .. } => true,
        Error::Refused { status, .. } => status.is_server_error(),
        Error::Answered(_)
        | Error::Unauthorized(_)
        | Error::Broken(_)
        | Error::TimedOut(_)
        | Error::Cancelled
        | Error::TooManyRounds(_)
        | Error::NoAnswerer(_)
        | Error::Answerer(_)
        | Error::Task { .. }
        | Error::Tool(_)
        | Error::Busy(_)
        | Error::Misuse(_) => false,
    }
}
