//! The specification's JSON Schema, held against everything that a server sends.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex};

use jsonschema::Validator;
use serde_json::{Value, json};

/// The schema, where this machine has it.
static SCHEMA: LazyLock<Option<Value>> = LazyLock::new(|| {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/spec/2026-07-28/schema.json");
    let Ok(text) = std::fs::read(&path) else {
        println!("skipped: no schema at {}, answers are not held against it", path.display());
        return None;
    };
    Some(serde_json::from_slice(&text).expect("a schema"))
});

static VALIDATORS: LazyLock<Mutex<HashMap<&'static str, Arc<Validator>>>> = LazyLock::new(Mutex::default);

/// Checks one message that the server sent about a request of `method`.
pub(super) fn check(method: &str, message: &Value) {
    if let Some(error) = message.get("error") {
        assert!(message.get("result").is_none(), "{message}");
        fits("JSONRPCErrorResponse", message);
        return match error["code"].as_i64().expect("an integer") {
            -32700 => fits("ParseError", error),
            -32600 => fits("InvalidRequestError", error),
            -32601 => fits("MethodNotFoundError", error),
            -32602 => fits("InvalidParamsError", error),
            -32603 => fits("InternalError", error),
            -32020 => fits("HeaderMismatchError", message),
            -32021 => fits("MissingRequiredClientCapabilityError", message),
            -32022 => fits("UnsupportedProtocolVersionError", message),
            reserved @ -32768..=-32000 => panic!("{reserved} is reserved"),
            _ => {}
        };
    }
    if let Some(result) = message.get("result") {
        fits("JSONRPCResultResponse", message);
        return fits(definition_of_result(method, result), result);
    }
    fits("JSONRPCNotification", message);
    fits(definition_of_notification(message["method"].as_str().expect("a method")), message);
}

fn definition_of_result(method: &str, result: &Value) -> &'static str {
    if result["resultType"] == "input_required" {
        return "InputRequiredResult";
    }
    match method {
        "server/discover" => "DiscoverResult",
        "tools/list" => "ListToolsResult",
        "tools/call" => "CallToolResult",
        "prompts/list" => "ListPromptsResult",
        "prompts/get" => "GetPromptResult",
        "resources/list" => "ListResourcesResult",
        "resources/templates/list" => "ListResourceTemplatesResult",
        "resources/read" => "ReadResourceResult",
        "completion/complete" => "CompleteResult",
        "subscriptions/listen" => "SubscriptionsListenResult",
        other => panic!("a result of {other}"),
    }
}

fn definition_of_notification(method: &str) -> &'static str {
    match method {
        "notifications/progress" => "ProgressNotification",
        "notifications/message" => "LoggingMessageNotification",
        "notifications/tools/list_changed" => "ToolListChangedNotification",
        "notifications/prompts/list_changed" => "PromptListChangedNotification",
        "notifications/resources/list_changed" => "ResourceListChangedNotification",
        "notifications/resources/updated" => "ResourceUpdatedNotification",
        "notifications/subscriptions/acknowledged" => "SubscriptionsAcknowledgedNotification",
        other => panic!("a modern server sends no {other}"),
    }
}

fn fits(definition: &'static str, instance: &Value) {
    let Some(schema) = &*SCHEMA else { return };
    let validator =
        Arc::clone(VALIDATORS.lock().expect("no test panics here").entry(definition).or_insert_with(|| {
            assert!(schema["$defs"].get(definition).is_some(), "no definition {definition}");
            let reference = format!("#/$defs/{definition}");
            let schema = json!({ "$schema": schema["$schema"], "$defs": schema["$defs"], "$ref": reference });
            Arc::new(jsonschema::validator_for(&schema).expect("a schema"))
        }));
    let problems: Vec<_> = validator.iter_errors(instance).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(problems.is_empty(), "no {definition}: {problems:#?}\n{instance:#}");
}
