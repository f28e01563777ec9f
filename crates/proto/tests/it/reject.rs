//! Every refusal: its status, its code, and what it says.

use anypod_proto::header;
use anypod_proto::param_header::{ParamMismatch, ParamMismatchKind};
use anypod_proto::reject::{Refused, Rejection};
use anypod_proto::scan::{ScanError, ScanErrorKind};
use serde_json::{Value, json};

/// Counts the variants: a new one does not compile until it is listed here, and in [`table`] after that.
const VARIANTS: usize = 32;

fn number(rejection: &Rejection) -> usize {
    match rejection {
        Rejection::NotUtf8(_) => 0,
        Rejection::NotJson(_) => 1,
        Rejection::NotJsonRpc(_) => 2,
        Rejection::DuplicateMember(_) => 3,
        Rejection::ParamMissing(_) => 4,
        Rejection::ParamMalformed { .. } => 5,
        Rejection::InputResponse { .. } => 6,
        Rejection::Unknown { .. } => 7,
        Rejection::HeaderMissing { .. } => 8,
        Rejection::HeaderRepeated(_) => 9,
        Rejection::HeaderMalformed { .. } => 10,
        Rejection::HeaderMismatch { .. } => 11,
        Rejection::ParamHeader(_) => 12,
        Rejection::TooLarge(_) => 13,
        Rejection::Truncated => 14,
        Rejection::Forbidden { .. } => 15,
        Rejection::UnknownMethod(_) => 16,
        Rejection::HttpMethod(_) => 17,
        Rejection::NotAcceptable(_) => 18,
        Rejection::MediaType => 19,
        Rejection::UnknownSession => 20,
        Rejection::SessionMissing => 21,
        Rejection::UnknownState => 22,
        Rejection::UnsupportedVersion(_) => 23,
        Rejection::MissingCapability(_) => 24,
        Rejection::RateLimited { .. } => 25,
        Rejection::Busy { .. } => 26,
        Rejection::DeadlineExceeded => 27,
        Rejection::Internal => 28,
        Rejection::UnknownCursor => 29,
        Rejection::Argument { .. } => 30,
        Rejection::ForbiddenArguments => 31,
    }
}

/// Every refusal, in the order of [`number`], with its status, its code and its data.
fn table() -> Vec<(Rejection, u16, i32, Value)> {
    let mut table = malformed();
    table.extend(others());
    table
}

fn malformed() -> Vec<(Rejection, u16, i32, Value)> {
    let at = ScanError { at: 3, kind: ScanErrorKind::End };
    let text = str::to_owned;
    let kind = ParamMismatchKind::Differs { header_value: text("b"), body_value: text("a") };
    let param = ParamMismatch { header: "mcp-param-x".parse().expect("a name"), path: text("/x"), kind };
    vec![
        (Rejection::NotUtf8(3), 400, -32700, json!({ "at": 3 })),
        (Rejection::NotJson(at), 400, -32700, json!({ "at": 3 })),
        (Rejection::NotJsonRpc("x"), 400, -32600, Value::Null),
        (Rejection::DuplicateMember("id"), 400, -32600, json!({ "field": "id", "expected": "one value" })),
        (Rejection::ParamMissing("params.x"), 400, -32602, json!({ "field": "params.x", "expected": "a value" })),
        (
            Rejection::ParamMalformed { field: "params.x", expected: "a string", found: text("null") },
            400,
            -32602,
            json!({ "field": "params.x", "expected": "a string", "found": "null" }),
        ),
        (
            Rejection::InputResponse { key: text("k"), reason: text("why") },
            400,
            -32602,
            json!({ "field": "params.inputResponses.k", "reason": "why" }),
        ),
        (Rejection::Unknown { what: "tool", key: "name", name: text("t") }, 400, -32602, json!({ "name": "t" })),
        (
            Rejection::HeaderMissing { header: header::NAME, expected: text("a") },
            400,
            -32020,
            json!({ "header": "mcp-name", "expected": "a", "found": null }),
        ),
        (
            Rejection::HeaderRepeated(header::NAME),
            400,
            -32020,
            json!({ "header": "mcp-name", "expected": "one value" }),
        ),
        (
            Rejection::HeaderMalformed { header: header::NAME, reason: text("why") },
            400,
            -32020,
            json!({ "header": "mcp-name", "reason": "why" }),
        ),
        (
            Rejection::HeaderMismatch { header: header::NAME, expected: text("a"), found: text("b") },
            400,
            -32020,
            json!({ "header": "mcp-name", "expected": "a", "found": "b" }),
        ),
        (
            Rejection::ParamHeader(param.clone()),
            400,
            -32020,
            json!({
                "header": "mcp-param-x",
                "field": "params.arguments/x",
                "reason": param.kind.to_string(),
                "expected": "a",
                "found": "b",
            }),
        ),
        (Rejection::TooLarge(9), 413, -32600, json!({ "limit": 9 })),
        (Rejection::Truncated, 400, -32600, Value::Null),
    ]
}

fn others() -> Vec<(Rejection, u16, i32, Value)> {
    let text = str::to_owned;
    let elicitation = json!({ "elicitation": {} });
    let capabilities = serde_json::from_value(elicitation.clone()).expect("capabilities");
    vec![
        (
            Rejection::Forbidden { header: http::header::ORIGIN, value: text("x") },
            403,
            -32600,
            json!({ "header": "origin", "found": "x" }),
        ),
        (Rejection::UnknownMethod(text("m")), 404, -32601, Value::Null),
        (Rejection::HttpMethod("POST"), 405, -32600, Value::Null),
        (Rejection::NotAcceptable("x/y"), 406, -32600, Value::Null),
        (Rejection::MediaType, 415, -32600, Value::Null),
        (Rejection::UnknownSession, 404, -32600, Value::Null),
        (Rejection::SessionMissing, 400, -32600, Value::Null),
        (Rejection::UnknownState, 400, -32602, json!({ "field": "params.requestState" })),
        (
            Rejection::UnsupportedVersion(text("v")),
            400,
            -32022,
            json!({ "supported": ["2026-07-28"], "requested": "v" }),
        ),
        (
            Rejection::MissingCapability(Box::new(capabilities)),
            400,
            -32021,
            json!({ "requiredCapabilities": elicitation }),
        ),
        (Rejection::RateLimited { retry_after_secs: 2 }, 429, -32603, json!({ "retryAfterMs": 2000 })),
        (Rejection::Busy { retry_after_secs: 2 }, 503, -32603, json!({ "retryAfterMs": 2000 })),
        (Rejection::DeadlineExceeded, 500, -32603, Value::Null),
        (Rejection::Internal, 500, -32603, Value::Null),
        (Rejection::UnknownCursor, 400, -32602, json!({ "field": "params.cursor" })),
        (
            Rejection::Argument { name: text("a"), problem: "is required" },
            400,
            -32602,
            json!({ "field": "params.arguments.a", "reason": "is required" }),
        ),
        (Rejection::ForbiddenArguments, 403, -32602, json!({ "field": "params.arguments" })),
    ]
}

#[test]
fn every_refusal_has_its_status_its_code_and_its_data() {
    let table = table();
    for (at, (rejection, status, code, data)) in table.iter().enumerate() {
        assert_eq!(number(rejection), at, "{rejection}");
        assert_eq!((rejection.status().as_u16(), rejection.code().number()), (*status, *code), "{rejection}");
        assert_eq!(rejection.data().unwrap_or_default(), *data, "{rejection}");
        let waits = matches!(status, 429 | 503).then_some(2);
        assert_eq!(rejection.retry_after_secs(), waits, "{rejection}");
    }
    assert_eq!(table.len(), VARIANTS);
}

#[test]
fn every_refusal_is_a_json_rpc_error_with_the_id_where_there_is_one() {
    for (rejection, _, code, data) in table() {
        for id in [None, Some("\"a\\\"b\""), Some("-1")] {
            let refused = Refused { id: id.map(str::to_owned), rejection: rejection.clone() };
            let response: Value = serde_json::from_slice(&refused.to_response()).expect("JSON");
            let mut error = json!({ "code": code, "message": rejection.to_string() });
            if !data.is_null() {
                error["data"] = data.clone();
            }
            let mut expected = json!({ "jsonrpc": "2.0", "error": error });
            if let Some(id) = id {
                expected["id"] = serde_json::from_str(id).expect("JSON");
            }
            assert_eq!(response, expected);
        }
    }
}
