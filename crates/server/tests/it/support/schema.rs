//! The specification's JSON Schema, held against everything that a server sends.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex};

use jsonschema::Validator;
use serde_json::{Value, json};

/// The schemas of the specification and of the Tasks extension, where this machine has them.
static SCHEMAS: LazyLock<Option<[Value; 2]>> = LazyLock::new(|| Some([read("2026-07-28")?, read("ext-tasks")?]));

/// The schema of revision 2025-11-25.
static LEGACY: LazyLock<Option<[Value; 1]>> = LazyLock::new(|| Some([read("2025-11-25")?]));

type Validators = LazyLock<Mutex<HashMap<&'static str, Arc<Validator>>>>;

static VALIDATORS: Validators = LazyLock::new(Mutex::default);
static LEGACY_VALIDATORS: Validators = LazyLock::new(Mutex::default);

fn read(folder: &str) -> Option<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/spec").join(folder).join("schema.json");
    let Ok(text) = std::fs::read(&path) else {
        println!("skipped: no schema at {}, answers are not held against it", path.display());
        return None;
    };
    Some(serde_json::from_slice(&text).expect("a schema"))
}

/// Checks something that the server sent in a session of 2025-11-25.
pub(crate) fn fits_legacy(definition: &'static str, instance: &Value) {
    fits_one_of(LEGACY.as_ref().map(<[_; 1]>::as_slice), &LEGACY_VALIDATORS, definition, instance);
}

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
    if result["resultType"] == "task" {
        return "CreateTaskResult";
    }
    if result["resultType"] == "waiting" {
        // Of the extension that is an example.
        return "Result";
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
        "tasks/get" => "GetTaskResult",
        "tasks/update" => "UpdateTaskResult",
        "tasks/cancel" => "CancelTaskResult",
        // Of extensions that only the tests know.
        other if other.starts_with("test/") || other.starts_with("waiting-list/") => "Result",
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
        "notifications/tasks" => "TaskStatusNotification",
        other if other.starts_with("notifications/test/") || other.starts_with("notifications/waiting-list/") => {
            "JSONRPCNotification"
        }
        other => panic!("a modern server sends no {other}"),
    }
}

fn fits(definition: &'static str, instance: &Value) {
    fits_one_of(SCHEMAS.as_ref().map(<[_; 2]>::as_slice), &VALIDATORS, definition, instance);
}

fn fits_one_of(schemas: Option<&[Value]>, validators: &Validators, definition: &'static str, instance: &Value) {
    let Some(schemas) = schemas else { return };
    let validator =
        Arc::clone(validators.lock().expect("no test panics here").entry(definition).or_insert_with(|| {
            let has = |schema: &&Value| schema["$defs"].get(definition).is_some();
            let schema = schemas.iter().find(has).unwrap_or_else(|| panic!("no definition {definition}"));
            let reference = format!("#/$defs/{definition}");
            let schema = json!({ "$schema": schema["$schema"], "$defs": schema["$defs"], "$ref": reference });
            Arc::new(jsonschema::validator_for(&schema).expect("a schema"))
        }));
    let problems: Vec<_> = validator.iter_errors(instance).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(problems.is_empty(), "no {definition}: {problems:#?}\n{instance:#}");
}
