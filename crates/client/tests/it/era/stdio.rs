//! Answers to `server/discover` over stdio.

use anypod_client::Answer;
use anypod_client::era::{Verdict, judge_probe};
use anypod_client::proto::jsonrpc::ErrorObject;
use serde_json::{Value, json};

#[track_caller]
fn probed(error: Value, expected: &Verdict) {
    let error: ErrorObject = serde_json::from_value(error).unwrap();
    assert_eq!(judge_probe(&Answer::Error(error.clone())), *expected, "{error:?}");
}

#[test]
fn falls_back_on_whatever_error_is_not_a_modern_one() {
    for code in [-32601, -32602, -32600, -32603, -32700, -32000, -32001, -32002, -32042, -32023, 0, 1, 400, 404] {
        probed(json!({ "code": code, "message": "no" }), &Verdict::Legacy);
    }
    probed(json!({ "code": -32602, "message": "Invalid request parameters", "data": "" }), &Verdict::Legacy);
    probed(json!({ "code": -32602, "message": "no", "data": { "supported": ["2024-11-05"] } }), &Verdict::Legacy);
}

#[test]
fn does_not_fall_back_on_a_modern_error() {
    for code in [-32020, -32021, -32022] {
        probed(json!({ "code": code, "message": "no" }), &Verdict::Modern);
    }
    let supported = json!({ "supported": ["2026-07-28"], "requested": "2026-07-28" });
    probed(json!({ "code": -32022, "message": "no", "data": supported }), &Verdict::Modern);
}

#[test]
fn learns_the_versions_of_a_server_of_another_revision() {
    let supported = json!({ "supported": ["2099-01-01"], "requested": "2026-07-28" });
    let expected = Verdict::Speaks(vec!["2099-01-01".to_owned()]);
    probed(json!({ "code": -32022, "message": "no", "data": supported }), &expected);
}
