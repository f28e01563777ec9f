//! Upstreams whose part of a merged result is missing, and how the result says so.

use anypod_proto::caching::{CacheScope, Caching};
use anypod_proto::meta::{SERVER_INFO, UNAVAILABLE};

use super::Upstreams;
use super::edit::push_json;

/// The longest that a result with parts missing is fresh, in milliseconds: long enough that a client which asks in a row is
/// not sent to a dead server each time, and short enough that nobody misses for long what is back.
pub(crate) const TTL_WHILE_UNAVAILABLE_MS: u64 = 1000;

/// Why an upstream's part is missing. This is for clients, and says nothing of how upstreams are reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Unavailable {
    /// None of its pods can be reached.
    Unreachable,
    /// It did not answer in time.
    TimedOut,
    /// It answered with an error.
    Failed,
    /// Its answer is none to that question.
    Unreadable,
}

impl Unavailable {
    /// The words.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "the server cannot be reached",
            Self::TimedOut => "the server did not answer in time",
            Self::Failed => "the server answered with an error",
            Self::Unreadable => "the server's answer cannot be read",
        }
    }
}

/// The hint of what was put together of parts with these hints: the smallest time, and private if any is.
pub(super) fn caching(parts: impl IntoIterator<Item = Caching>, is_missing_some: bool) -> Caching {
    let least = |one: Caching, other: Caching| Caching {
        ttl_ms: one.ttl_ms.min(other.ttl_ms),
        scope: if one.scope == CacheScope::Public { other.scope } else { CacheScope::Private },
    };
    // Of nothing, nobody said that it may be kept.
    let whole = parts.into_iter().reduce(least).unwrap_or_default();
    let longest = if is_missing_some { TTL_WHILE_UNAVAILABLE_MS } else { u64::MAX };
    Caching { ttl_ms: whole.ttl_ms.min(longest), ..whole }
}

/// Appends `"_meta":{…}`: who answers, as JSON, and whose part is missing.
pub(super) fn push_meta(out: &mut String, server_info: &str, missing: &[(usize, Unavailable)], upstreams: &Upstreams) {
    out.push_str(r#""_meta":{"#);
    push_json(out, SERVER_INFO);
    out.push(':');
    out.push_str(server_info);
    if !missing.is_empty() {
        out.push(',');
        push_json(out, UNAVAILABLE);
        out.push(':');
        for (at, (upstream, reason)) in missing.iter().enumerate() {
            out.push_str(if at == 0 { r#"[{"upstream":"# } else { r#",{"upstream":"# });
            push_json(out, &upstreams.names()[*upstream]);
            out.push_str(r#","reason":"#);
            push_json(out, reason.as_str());
            out.push('}');
        }
        out.push(']');
    }
    out.push('}');
}

/// Appends the members of a caching hint, with a comma in front.
pub(super) fn push_caching(out: &mut String, caching: Caching) {
    let scope = match caching.scope {
        CacheScope::Public => "public",
        CacheScope::Private => "private",
    };
    out.push_str(&format!(r#","ttlMs":{},"cacheScope":"{scope}""#, caching.ttl_ms));
}
