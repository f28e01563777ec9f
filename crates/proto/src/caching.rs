//! How long, and by whom, a result may be kept.
//!
//! Spec: server/utilities/caching.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// Who may be served from a kept copy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CacheScope {
    /// Anyone: the result says nothing about the user.
    Public,
    /// The same authorization context only.
    #[default]
    Private,
}

/// A caching hint. By default a result is stale at once, and private.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Caching {
    /// Milliseconds for which the result is fresh.
    pub ttl_ms: u64,
    /// Who may be served.
    pub scope: CacheScope,
}

impl Caching {
    /// Fresh for `ttl`, for anyone.
    pub fn public(ttl: Duration) -> Self {
        Self { ttl_ms: millis(ttl), scope: CacheScope::Public }
    }

    /// Fresh for `ttl`, for the same authorization context.
    pub fn private(ttl: Duration) -> Self {
        Self { ttl_ms: millis(ttl), scope: CacheScope::Private }
    }
}

fn millis(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX)
}

/// A result with a caching hint. The spec calls it `CacheableResult`.
pub trait Cacheable: Sized {
    /// The hint.
    fn caching(&self) -> Caching;

    /// Replaces the hint.
    fn set_caching(&mut self, caching: Caching);

    /// The same result with this hint.
    #[must_use]
    fn with_caching(mut self, caching: Caching) -> Self {
        self.set_caching(caching);
        self
    }
}

/// Implements [`Cacheable`] for structs with fields `ttl_ms` and `cache_scope`.
macro_rules! cacheable {
    ($($name:ty),* $(,)?) => {
        $(impl $crate::caching::Cacheable for $name {
            fn caching(&self) -> $crate::caching::Caching {
                $crate::caching::Caching { ttl_ms: self.ttl_ms, scope: self.cache_scope }
            }

            fn set_caching(&mut self, caching: $crate::caching::Caching) {
                self.ttl_ms = caching.ttl_ms;
                self.cache_scope = caching.scope;
            }
        })*
    };
}

pub(crate) use cacheable;

/// Reads `ttlMs`. A negative one is 0, as the spec asks; a fraction is cut off.
pub(crate) fn ttl<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let number = match Value::deserialize(deserializer)? {
        Value::Number(number) => number,
        Value::Null | Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
            return Err(serde::de::Error::custom("ttlMs must be a number of milliseconds"));
        }
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates at 0")]
    Ok(number.as_u64().unwrap_or_else(|| number.as_f64().unwrap_or(0.0) as u64))
}
