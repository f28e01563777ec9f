//! What is required and not declared.

use anypod_proto::capabilities::ClientCapabilities;
use serde_json::{Value, json};

fn capabilities(value: &Value) -> ClientCapabilities {
    serde_json::from_value(value.clone()).expect("capabilities")
}

#[test]
fn names_exactly_what_is_required_and_not_declared() {
    let cases = [
        (json!({}), json!({}), Value::Null),
        (json!({}), json!({ "elicitation": {} }), json!({ "elicitation": {} })),
        (json!({ "elicitation": {} }), json!({ "elicitation": {} }), Value::Null),
        (json!({ "elicitation": {} }), json!({ "elicitation": { "form": {} } }), Value::Null),
        (json!({ "elicitation": { "form": {} } }), json!({ "elicitation": {} }), Value::Null),
        (
            json!({ "elicitation": {} }),
            json!({ "elicitation": { "form": {}, "url": {} } }),
            json!({ "elicitation": { "url": {} } }),
        ),
        (
            json!({ "elicitation": { "url": {} } }),
            json!({ "elicitation": {} }),
            json!({ "elicitation": { "form": {} } }),
        ),
        (json!({ "elicitation": { "url": {} } }), json!({ "elicitation": { "url": {} } }), Value::Null),
        (json!({ "sampling": {} }), json!({ "sampling": { "tools": {} } }), json!({ "sampling": { "tools": {} } })),
        (
            json!({ "sampling": { "tools": {} } }),
            json!({ "sampling": { "tools": {}, "context": {} } }),
            json!({ "sampling": { "context": {} } }),
        ),
        (json!({ "sampling": { "tools": {} } }), json!({ "sampling": {} }), Value::Null),
        (json!({}), json!({ "roots": {} }), json!({ "roots": {} })),
        (json!({ "roots": { "listChanged": true } }), json!({ "roots": {} }), Value::Null),
        (
            json!({ "extensions": { "a/x": { "v": 1 } } }),
            json!({ "extensions": { "a/x": {}, "a/y": { "v": 2 } } }),
            json!({ "extensions": { "a/y": { "v": 2 } } }),
        ),
        (json!({}), json!({ "experimental": { "e": {} } }), json!({ "experimental": { "e": {} } })),
        (json!({}), json!({ "unheard": { "of": 1 } }), json!({ "unheard": { "of": 1 } })),
    ];
    for (declared, required, expected) in cases {
        let missing = capabilities(&declared).missing(&capabilities(&required));
        let missing = serde_json::to_value(missing).expect("it encodes");
        assert_eq!(missing, expected, "declared {declared}, required {required}");
    }
}

#[test]
fn preserves_capabilities_that_we_do_not_know() {
    let declared = json!({ "roots": { "listChanged": true }, "tasks": { "list": {} } });
    assert_eq!(serde_json::to_value(capabilities(&declared)).expect("it encodes"), declared);
}
