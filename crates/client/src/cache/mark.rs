//! What a result says about being kept, and what is written into one that is served stale.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use anypod_proto::caching::{CacheScope, Caching};
use anypod_proto::meta;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::exchange::Raw;

/// The hint of a result. What is missing, of another form or negative is no permission: fresh for no time, and private.
pub(super) fn hint(json: &Raw) -> Caching {
    #[derive(Deserialize, Default)]
    #[serde(rename_all = "camelCase")]
    struct Hint<'a> {
        #[serde(borrow)]
        ttl_ms: Option<&'a RawValue>,
        #[serde(borrow)]
        cache_scope: Option<&'a RawValue>,
    }
    let hint: Hint<'_> = serde_json::from_slice(json.as_bytes()).unwrap_or_default();
    let ttl = hint.ttl_ms.and_then(|number| number.get().parse::<f64>().ok()).unwrap_or(0.0);
    let scope = hint.cache_scope.and_then(|scope| serde_json::from_str(scope.get()).ok());
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates")]
    Caching { ttl_ms: ttl as u64, scope: scope.unwrap_or(CacheScope::Private) }
}

type Members<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

/// The result as it is served stale: its age stands in `_meta`, and nobody may take it as fresh again.
pub(super) fn stale(json: &Raw, age: Duration) -> Option<Raw> {
    #[derive(Deserialize)]
    struct Object<'a>(#[serde(borrow)] Members<'a>);
    let age = serde_json::value::to_raw_value(&u64::try_from(age.as_millis()).unwrap_or(u64::MAX)).ok()?;
    let zero = serde_json::value::to_raw_value(&0).ok()?;
    let Object(mut members) = serde_json::from_slice(json.as_bytes()).ok()?;
    let mut beside = match members.get("_meta") {
        Some(beside) => serde_json::from_str::<Object<'_>>(beside.get()).ok()?.0,
        None => Members::new(),
    };
    beside.insert(Cow::Borrowed(meta::STALE), &age);
    let beside = serde_json::value::to_raw_value(&beside).ok()?;
    members.insert(Cow::Borrowed("_meta"), &beside);
    members.insert(Cow::Borrowed("ttlMs"), &zero);
    serde_json::to_vec(&members).ok().map(|json| Raw::checked(Bytes::from(json)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> Raw {
        Raw::checked(Bytes::copy_from_slice(json.as_bytes()))
    }

    #[test]
    fn a_hint_that_is_missing_or_malformed_permits_nothing() {
        for json in [
            "{}",
            r#"{"ttlMs":-5}"#,
            r#"{"ttlMs":"1000"}"#,
            r#"{"ttlMs":{}}"#,
            r#"{"ttlMs":null,"cacheScope":"shared"}"#,
            r#"{"ttlMs":0}"#,
            r#"{"ttlMs":1,"ttlMs":2}"#,
        ] {
            assert_eq!(hint(&raw(json)), Caching::default(), "{json}");
        }
    }

    #[test]
    fn a_hint_may_be_any_number() {
        for (number, ttl_ms) in [("300000", 300_000), ("1.5e3", 1500), ("1e400", u64::MAX), ("0.5", 0)] {
            let json = raw(&format!(r#"{{"cacheScope":"public","ttlMs":{number}}}"#));
            assert_eq!(hint(&json), Caching { ttl_ms, scope: CacheScope::Public });
        }
    }

    #[test]
    fn a_stale_result_says_its_age_and_is_otherwise_what_it_was() {
        let kept = raw(r#"{"ttlMs":5,"big":123456789012345678901234567890,"_meta":{"a":1}}"#);
        let stale = stale(&kept, Duration::from_millis(1500)).unwrap();
        let expected =
            format!(r#"{{"_meta":{{"a":1,"{}":1500}},"big":123456789012345678901234567890,"ttlMs":0}}"#, meta::STALE);
        assert_eq!(stale.as_str(), expected);
    }
}
