//! Reports and verdicts, by a clock that only moves when it is told to.

use anypod_proto::version::Era;

use super::*;
use crate::config::Time;
use crate::observe::tests::world::World;
use crate::observe::{Observer, Outcome, Seen};

const DAY: u64 = 86_400;
const WEEK: Time = Time::from_secs(7 * DAY);

fn verdict(observer: &Observer) -> (Answer, String) {
    let verdict = observer.report().verdict(WEEK);
    (verdict.may_switch_legacy_off, verdict.reasons.join("; "))
}

#[tokio::test]
async fn a_client_that_was_legacy_lately_is_named_with_its_requests_and_its_last() {
    let world = World::default();
    let observer = world.metrics(10);
    let client = observer.client("claude-desktop", "1.2");
    for _ in 0..31 {
        observer.done(observer.legacy_call(&client));
    }
    observer.done(Seen { outcome: Outcome::Refused("rate"), ..observer.legacy_call(&client) });
    world.advance(4 * 60);
    let expected = "claude-desktop 1.2 sent 31 legacy requests, the last 4 min ago";
    assert_eq!(verdict(&observer), (Answer::NotYet, expected.to_owned()));
    world.advance(30 * DAY);
    let expected = "no legacy request for 30 d: the last was of claude-desktop 1.2";
    assert_eq!(verdict(&observer), (Answer::Yes, expected.to_owned()));
}

#[tokio::test]
async fn without_a_legacy_request_it_depends_on_how_long_was_watched() {
    let world = World::default();
    let observer = world.metrics(10);
    observer.done(observer.call("add"));
    world.advance(2 * 3600);
    let expected =
        "no legacy request for 2 h (seen since 2026-07-28T09:30:00Z), but 7d are asked for and 2 h were watched";
    assert_eq!(verdict(&observer), (Answer::TooEarly, expected.to_owned()));
    world.advance(7 * DAY);
    let expected = "no legacy request for 7 d (seen since 2026-07-28T09:30:00Z)";
    assert_eq!(verdict(&observer), (Answer::Yes, expected.to_owned()));
}

#[tokio::test]
async fn who_is_not_let_in_keeps_nobody_from_switching_off() {
    let world = World::default();
    let observer = world.metrics(10);
    world.advance(8 * DAY);
    let scanner = observer.client("scanner", "1");
    observer.done(Seen { outcome: Outcome::Refused("token"), status: 401, ..observer.legacy_call(&scanner) });
    assert_eq!(verdict(&observer).0, Answer::Yes);
    let report = observer.report();
    assert_eq!(report.clients[0].legacy.map(|of| (of.requests, of.refused, of.last)), Some((1, 1, None)));
}

#[tokio::test]
async fn an_open_stream_of_a_legacy_session_is_a_reason() {
    let world = World::default();
    let observer = world.metrics(10);
    let stream = observer.totals().legacy_streams.open();
    world.advance(8 * DAY);
    assert_eq!(verdict(&observer), (Answer::NotYet, "1 stream of legacy sessions is open".to_owned()));
    drop(stream);
    assert_eq!(verdict(&observer).0, Answer::Yes);
}

#[tokio::test]
async fn the_latest_are_named_first_and_the_rest_is_a_number() {
    let world = World::default();
    let observer = world.metrics(100);
    for number in 0..25 {
        observer.done(observer.legacy_call(&observer.client(&format!("client-{number}"), "")));
        world.advance(60);
    }
    let verdict = observer.report().verdict(WEEK);
    assert_eq!(verdict.reasons.len(), 21);
    assert_eq!(verdict.reasons[0], "client-24 sent 1 legacy request, the last 1 min ago");
    assert_eq!(verdict.reasons[20], "5 more clients sent legacy requests");
}

#[tokio::test]
async fn a_report_says_what_was_bridged_and_what_would_have_needed_affinity() {
    let world = World::default();
    let observer = world.metrics(10);
    let old = observer.client("old", "1");
    observer.session_opened(Some(&old));
    observer.done(observer.legacy_call(&old));
    observer.done(observer.call("add"));
    observer.done(Seen { upstream_era: Some(Era::Legacy), hopped: true, ..observer.call("add") });
    let upstream = observer.upstream("tools");
    upstream.found(Era::Legacy);
    let session = upstream.open_session();
    let report = observer.report();
    let expected = TotalsReport { sessions: 1, bridged: 2, affinity: 1, hops: 1, legacy_streams: 0 };
    assert_eq!(report.totals, expected);
    let [upstream] = report.upstreams.as_slice() else { panic!("{report:?}") };
    assert_eq!((upstream.from_modern, upstream.from_legacy, upstream.bridged), (2, 1, 2));
    assert_eq!((upstream.era, upstream.sessions_opened, upstream.sessions_open), (Some(EraName::Legacy), 1, 1));
    drop(session);
    assert_eq!(observer.report().upstreams[0].sessions_open, 0);
    let [desk, old] = report.clients.as_slice() else { panic!("{report:?}") };
    assert_eq!((desk.name.as_str(), desk.legacy, desk.sessions), ("desk", None, 0));
    assert_eq!((old.name.as_str(), old.modern, old.sessions, old.last_session), ("old", None, 1, Some(report.now)));
}

#[tokio::test]
async fn reports_of_replicas_add_up_whatever_their_clocks_say() {
    let [world, ahead] = [World::default(), World::default()];
    let one = world.metrics(10);
    // An hour ahead, and started a day later.
    ahead.advance(3600 + DAY);
    world.advance(DAY);
    // Both worlds have the same randomness: the other replica draws its name later.
    drop(ahead.metrics(1));
    let other = ahead.metrics(10);
    for observer in [&one, &other] {
        observer.done(observer.legacy_call(&observer.client("old", "1")));
        observer.done(observer.call("add"));
    }
    world.advance(600);
    ahead.advance(600);
    let mut report = one.report();
    report.merge(other.report()).unwrap();
    assert_eq!(report.clients.len(), 2);
    let old = report.clients.iter().find(|client| client.name == "old").and_then(|client| client.legacy).unwrap();
    assert_eq!((old.requests, old.last), (2, Some(Moment::from_unix(report.now.unix() - 600))));
    assert_eq!(report.since.until(report.now).as_secs(), 600, "the later start counts");
    assert_eq!((report.totals.affinity, report.replicas.len()), (2, 2));
    let before = report.clone();
    assert!(report.merge(other.report()).is_err(), "a replica counts once");
    assert_eq!(report, before);
}

#[tokio::test]
async fn what_is_read_over_http_is_the_report() {
    let world = World::default();
    let observer = world.metrics(10);
    observer.session_opened(None);
    observer.done(observer.legacy_call(&observer.client("old\u{1b}[31m", "1")));
    world.advance(60);
    let (status, json) = observer.read("/report?quiet-for=1h").await;
    assert_eq!(status, 200);
    let document: Document = serde_json::from_str(&json).unwrap();
    assert_eq!(document.report, observer.report());
    assert_eq!(document.verdict, observer.report().verdict(Time::from_secs(3600)));
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(value["now"], "2026-07-28T09:31:00Z");
    assert_eq!(value["clients"][0]["legacy"]["last"], "2026-07-28T09:30:00Z");
    assert_eq!(value["verdict"]["maySwitchLegacyOff"], "notYet");
    assert_eq!(value["verdict"]["quietFor"], "1h");
}
