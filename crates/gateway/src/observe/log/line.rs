//! One line of the access log. Its fields are listed in `docs/gateway-observing.md`.

use std::borrow::Cow;

use anypod_proto::seal::{PrincipalId, digest};
use anypod_server::Principal;
use serde::{Serialize, Serializer};

use crate::observe::Record;
use crate::observe::label::hex;
use crate::observe::seen::era_name;
use crate::observe::time::Nanos;

/// How many bytes of the digest of a principal are shown: enough to tell people apart, and none of a name.
const PRINCIPAL_BYTES: usize = 6;

/// A line. What does not apply is left out.
#[derive(Serialize)]
pub(super) struct Line<'a> {
    time: Text<Nanos>,
    took_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    head_ms: Option<f64>,
    http: Cow<'a, str>,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<&'a str>,
    method: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<Cow<'a, str>>,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<i32>,
    era: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    principal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream_era: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pod: Option<&'a str>,
    #[serde(skip_serializing_if = "is_zero")]
    retries: u8,
    bytes_in: u64,
    bytes_out: u64,
    #[serde(skip_serializing_if = "is_not")]
    cached: bool,
    #[serde(skip_serializing_if = "is_not")]
    hopped: bool,
    #[serde(skip_serializing_if = "is_not")]
    affinity: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
}

impl<'a> Line<'a> {
    pub(super) fn of(record: &'a Record) -> Self {
        let seen = &record.seen;
        let leg = seen.leg.as_ref();
        Self {
            time: Text(record.ended.before(seen.took)),
            took_ms: millis(seen.took),
            head_ms: leg.and_then(|leg| leg.head).map(millis),
            http: seen.shown_http_method(),
            status: seen.status,
            route: seen.route.as_ref().map(|route| &*route.path),
            method: seen.called.as_str(),
            name: seen.shown_name(),
            outcome: seen.outcome.as_str(),
            reason: seen.outcome.reason(),
            code: seen.code,
            era: era_name(seen.era),
            version: seen.version.map(|version| version.as_str()),
            client: seen.client.as_ref().map(|client| client.name()),
            client_version: seen.client.as_ref().map(|client| client.version()),
            principal: seen.principal.as_deref().map(principal),
            upstream: seen.upstream.as_ref().map(|upstream| &*upstream.name),
            upstream_era: seen.upstream_era.map(|era| era_name(Some(era))),
            pod: leg.map(|leg| &*leg.pod.name),
            retries: leg.map_or(0, |leg| leg.retries),
            bytes_in: seen.bytes_in,
            bytes_out: seen.bytes_out,
            cached: seen.cached,
            hopped: seen.hopped,
            affinity: seen.affinity,
            trace_id: seen.trace.as_ref().and_then(|trace| trace.id()).map(|id| hex(&id)),
        }
    }

    /// Writes the line and its end.
    pub(super) fn push(&self, text: &mut Vec<u8>) {
        serde_json::to_writer(&mut *text, self).expect("texts and numbers are JSON, and memory takes them");
        text.push(b'\n');
    }
}

struct Text<T>(T);

impl<T: std::fmt::Display> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// To the microsecond.
fn millis(took: std::time::Duration) -> f64 {
    (took.as_secs_f64() * 1e6).round() / 1e3
}

/// The same for the same principal, and not the principal.
fn principal(who: &Principal) -> String {
    let PrincipalId { iss, sub } = who.id();
    hex(&digest(&[b"anypod access log principal", iss.as_bytes(), sub.as_bytes()])[..PRINCIPAL_BYTES])
}

const fn is_zero(number: &u8) -> bool {
    *number == 0
}

const fn is_not(flag: &bool) -> bool {
    !*flag
}
