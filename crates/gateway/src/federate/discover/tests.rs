//! What several servers say of themselves, as one.

use anypod_proto::meta::{SERVER_INFO, UNAVAILABLE};
use serde_json::{Value, json};

use super::*;
use crate::federate::unavailable::TTL_WHILE_UNAVAILABLE_MS;

const WHO: &str = r#"{"name":"anypod","version":"1"}"#;

fn said(result: &str) -> Said<'_> {
    Said { result: Some(result), unavailable: None }
}

fn merged(said: &[Said<'_>]) -> Value {
    let upstreams = Upstreams::new(["a", "b", "c"]);
    serde_json::from_str(&merge(&upstreams, said, &Version::MODERN, WHO)).unwrap()
}

fn result(capabilities: Value, more: Value) -> String {
    let mut result = json!({
        "resultType": "complete", "supportedVersions": [Version::MODERN[0].as_str()], "capabilities": capabilities,
        "ttlMs": 60_000, "cacheScope": "public", "_meta": {SERVER_INFO: {"name": "theirs", "version": "0"}},
    });
    result.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    result.to_string()
}

fn united(all: &[Value]) -> Value {
    let all: Vec<ServerCapabilities> = all.iter().map(|each| serde_json::from_value(each.clone()).unwrap()).collect();
    serde_json::to_value(capabilities(all.iter())).unwrap()
}

#[test]
fn what_any_offers_is_offered() {
    let all = [
        json!({"tools": {"listChanged": false}, "resources": {"subscribe": true}, "logging": {}}),
        json!({"tools": {"listChanged": true}, "resources": {"listChanged": true}, "x-more": 1}),
        json!({"prompts": {}, "completions": {}}),
    ];
    let expected = json!({
        "tools": {"listChanged": true}, "resources": {"subscribe": true, "listChanged": true}, "prompts": {},
        "completions": {}, "logging": {}, "x-more": 1,
    });
    assert_eq!(united(&all), expected);
    assert_eq!(united(&[]), json!({}));
}

#[test]
fn extensions_are_united_unless_they_contradict_in_whatever_order() {
    let mut all = [
        json!({"extensions": {"e/same": {"x": 1}, "e/more": {"x": 1}, "e/not": {"x": 1, "y": 1}}, "x-not": true}),
        json!({"extensions": {"e/same": {"x": 1}, "e/more": {"y": [2]}, "e/not": {"x": 2}}, "x-not": false}),
        json!({"extensions": {"e/not": {"x": 1}, "e/own": {}}}),
    ];
    let expected = json!({"extensions": {"e/same": {"x": 1}, "e/more": {"x": 1, "y": [2]}, "e/own": {}}});
    for _ in 0..all.len() {
        assert_eq!(united(&all), expected);
        all.rotate_left(1);
    }
}

#[test]
fn the_gateway_says_who_it_is_and_keeps_as_long_as_all_allow() {
    let one = result(json!({"tools": {}}), json!({}));
    let other = result(json!({}), json!({"ttlMs": 500, "cacheScope": "private", "more": 1}));
    let merged = merged(&[said(&one), said(&other)]);
    let expected = json!({
        "_meta": {SERVER_INFO: {"name": "anypod", "version": "1"}}, "resultType": "complete",
        "supportedVersions": [Version::MODERN[0].as_str()], "capabilities": {"tools": {}}, "ttlMs": 500, "cacheScope": "private",
    });
    assert_eq!(merged, expected);
}

#[test]
fn versions_are_those_of_ours_that_all_speak() {
    let ours = Version::MODERN.map(Version::as_str).to_vec();
    for (spoken, expected) in [(json!([ours[0], "2099-01-01"]), json!([ours[0]])), (json!(["2099-01-01"]), json!(ours))]
    {
        let one = result(json!({}), json!({"supportedVersions": spoken}));
        assert_eq!(merged(&[said(&one), said(&result(json!({}), json!({})))])["supportedVersions"], expected);
    }
}

#[test]
fn who_is_away_is_named_and_the_others_stay() {
    let one = result(json!({"tools": {}}), json!({}));
    for (missing, reason) in [
        (Said { result: None, unavailable: Some(Unavailable::TimedOut) }, Unavailable::TimedOut),
        (Said::default(), Unavailable::Unreachable),
        (said("{}"), Unavailable::Unreadable),
        (said("nonsense"), Unavailable::Unreadable),
        (said(r#"{"resultType":"input_required","supportedVersions":[],"capabilities":{}}"#), Unavailable::Unreadable),
        (Said { result: Some(&one), unavailable: Some(Unavailable::Failed) }, Unavailable::Failed),
    ] {
        let merged = merged(&[said(&one), missing]);
        assert_eq!(merged["_meta"][UNAVAILABLE], json!([{"upstream": "b", "reason": reason.as_str()}]));
        assert_eq!(
            (&merged["capabilities"], &merged["ttlMs"]),
            (&json!({"tools": {}}), &json!(TTL_WHILE_UNAVAILABLE_MS))
        );
    }
    let nothing = merged(&[Said::default(); 3]);
    assert_eq!(nothing["supportedVersions"], json!(Version::MODERN.map(Version::as_str)));
    assert_eq!((&nothing["ttlMs"], &nothing["cacheScope"]), (&json!(0), &json!("private")));
}

#[test]
fn instructions_stand_under_the_name_of_their_upstream() {
    let with = |text: &str| result(json!({}), json!({"instructions": text}));
    let (one, none, other) = (with("Be \"brief\"."), result(json!({}), json!({})), with("Be bold."));
    let merged = merged(&[said(&one), said(&none), said(&other)]);
    assert_eq!(merged["instructions"], "# a\n\nBe \"brief\".\n\n# c\n\nBe bold.");
}

#[test]
fn long_instructions_are_cut_so_that_each_has_its_share() {
    let with = |text: &str| result(json!({}), json!({"instructions": text}));
    let (long, short) = (with(&"é".repeat(LONGEST_INSTRUCTIONS)), with("short"));
    let merged = merged(&[said(&long), said(&short)]);
    let text = merged["instructions"].as_str().unwrap();
    assert!(text.ends_with("é…\n\n# b\n\nshort"));
    assert!(text.len() <= LONGEST_INSTRUCTIONS && text.len() > LONGEST_INSTRUCTIONS / 2);
    assert_eq!(within(4, "ééé".to_owned()), "…");
    assert_eq!(within(0, String::new()), "");
}
