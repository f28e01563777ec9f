//! Numbers and times that would stop everything, or overflow.

use std::ops::RangeInclusive;

use super::{Findings, key};
use crate::config::document::Key;
use crate::config::{Cache, Limits, Rate, Time, Upstream};

/// The most of anything that is counted.
const MOST: usize = 1_000_000_000;
/// The most bytes of anything.
const MOST_BYTES: usize = 1 << 40;
/// The bounds of a header section: less cuts the requests of browsers, and more is beyond what HTTP/2 can say.
const HEADERS: RangeInclusive<usize> = (8 << 10)..=(16 << 20);

fn count(value: usize, range: &RangeInclusive<usize>, here: &Key, found: &mut Findings<'_>) {
    if !range.contains(&value) {
        found.add(
            here,
            format!("`{}` is {value}: write a number from {} to {}", here.last(), range.start(), range.end()),
        );
    }
}

/// A wait that may not be zero.
fn wait(value: Time, here: &Key, found: &mut Findings<'_>) {
    if value.get().is_zero() {
        found.add(here, format!("`{}` is {value}, so nothing would ever be in time: write a longer one", here.last()));
    }
}

/// The bounds of the whole gateway.
pub(super) fn check(limits: &Limits, found: &mut Findings<'_>) {
    // Without `..`, so that no bound is forgotten. Draining may be over at once.
    let Limits {
        connections,
        requests,
        streams,
        body_bytes,
        whole_body_bytes,
        read_ahead_bytes,
        result_bytes,
        header_bytes,
        body_deadline,
        idle,
        write,
        drain: _,
        drain_delay: _,
        upstream_sessions,
        upstream_session_idle,
        held_calls,
        answer_deadline,
        session_ttl,
    } = limits;
    let table = key("limits");
    for (name, value, range) in [
        ("connections", connections, 1..=MOST),
        ("requests", requests, 1..=MOST),
        ("streams", streams, 1..=MOST),
        ("body-bytes", body_bytes, 1..=MOST_BYTES),
        ("whole-body-bytes", whole_body_bytes, 0..=MOST_BYTES),
        ("read-ahead-bytes", read_ahead_bytes, 0..=MOST_BYTES),
        ("result-bytes", result_bytes, 1..=MOST_BYTES),
        ("header-bytes", header_bytes, HEADERS),
        ("upstream-sessions", upstream_sessions, 1..=MOST),
        ("held-calls", held_calls, 1..=MOST),
    ] {
        count(*value, &range, &table.name(name), found);
    }
    for (name, value) in [
        ("body-deadline", body_deadline),
        ("idle", idle),
        ("write", write),
        ("upstream-session-idle", upstream_session_idle),
        ("answer-deadline", answer_deadline),
        ("session-ttl", session_ttl),
    ] {
        wait(*value, &table.name(name), found);
    }
}

/// The bounds of one upstream.
pub(super) fn upstream(upstream: &Upstream, here: &Key, found: &mut Findings<'_>) {
    count(upstream.connections, &(1..=MOST), &here.name("connections"), found);
    wait(upstream.resolve_every, &here.name("resolve-every"), found);
    let (health, timeouts) = (&upstream.health, &upstream.timeouts);
    let table = here.name("health");
    if health.failures == 0 {
        found.add(&table.name("failures"), "`failures` is 0, so no pod would ever be well: write 1 or more");
    }
    wait(health.timeout, &table.name("timeout"), found);
    wait(health.pause, &table.name("pause"), found);
    if health.longest_pause.get() < health.pause.get() {
        found.add(
            &table.name("longest-pause"),
            format!("`longest-pause` is {}, which is less than `pause`, {}", health.longest_pause, health.pause),
        );
    }
    let table = here.name("timeouts");
    for (name, value) in [
        ("connect", timeouts.connect),
        ("head", timeouts.head),
        ("silence", timeouts.silence),
        ("keep-alive", timeouts.keep_alive),
    ] {
        wait(value, &table.name(name), found);
    }
    if let Some(idle) = timeouts.idle {
        wait(idle, &table.name("idle"), found);
    }
}

/// The bounds of what a route answers from memory.
pub(super) fn cache(cache: &Cache, here: &Key, found: &mut Findings<'_>) {
    if cache.enabled && (cache.bytes == 0 || cache.longest.get().is_zero()) {
        let name = if cache.bytes == 0 { "bytes" } else { "longest" };
        found.add(&here.name(name), format!("`{name}` is 0, so nothing is ever kept: write enabled = false"));
    }
    count(cache.bytes, &(0..=MOST_BYTES), &here.name("bytes"), found);
}

/// How often something may be called.
pub(super) fn rate(rate: &Rate, here: &Key, found: &mut Findings<'_>) {
    let most = 1e9;
    if !(rate.per_second > 0.0 && rate.per_second <= most) {
        found.add(
            &here.name("per-second"),
            format!(
                "`per-second` is {}: write how many requests a second, such as 10 or 0.1; a [[route.rule]] denies all",
                rate.per_second
            ),
        );
    }
    if rate.burst == Some(0) {
        found.add(&here.name("burst"), "`burst` is 0, so no request would ever pass: write 1 or more");
    }
}
