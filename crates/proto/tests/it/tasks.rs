//! The tasks extension: what its messages say, and that they say it as its schema demands.

use std::{fs, path::Path};

use anypod_proto::{
    capabilities::{ClientCapabilities, ServerCapabilities},
    code::Code,
    elicitation::{ElicitRequestFormParams, RequestedSchema, StringSchema},
    jsonrpc::{ErrorObject, JsonRpcNotification, ResultObject, ServerNotification},
    meta::{NotificationMeta, RequestMeta},
    method::{Notification, TaskMethod},
    rounds::InputRequest,
    subscriptions::SubscriptionFilter,
    tasks::{
        self, CreateTaskResult, DetailedTask, GetTaskResult, Task, TaskOutcome, TaskRequestParams, TaskState,
        TaskStatus, TaskStatusNotification, TaskStatusNotificationParams, UpdateTaskRequestParams,
    },
    tools::CallToolResult,
    version::Version,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

const CREATED: &str = "2026-11-20T12:00:00Z";

fn decode<T: DeserializeOwned>(value: &Value) -> Result<T, String> {
    serde_json::from_str(&value.to_string()).map_err(|error| error.to_string())
}

fn encode<T: Serialize>(message: &T) -> Value {
    serde_json::to_value(message).expect("it encodes")
}

/// A task as JSON, with `members` on top.
fn task(status: &str, members: Value) -> Value {
    let mut task = json!({ "taskId": "t", "status": status, "createdAt": CREATED, "lastUpdatedAt": CREATED });
    let object = task.as_object_mut().expect("an object");
    object.insert("ttlMs".to_owned(), Value::Null);
    object.extend(members.as_object().expect("an object").clone());
    task
}

fn states() -> Vec<(TaskState, Value)> {
    let form = RequestedSchema::new().required("name", StringSchema::new());
    let question = InputRequest::from(ElicitRequestFormParams::new("Who?", form));
    let asked = json!({ "inputRequests": { "q": encode(&question) } });
    let result = CallToolResult::text("done");
    let error = ErrorObject::new(Code::InternalError, "no luck");
    vec![
        (TaskState::Working, task("working", json!({}))),
        (TaskState::InputRequired([("q".to_owned(), question)].into()), task("input_required", asked)),
        (
            TaskState::Completed(TaskOutcome::new(&result).expect("an object")),
            task("completed", json!({ "result": encode(&result) })),
        ),
        (TaskState::Failed(error.clone()), task("failed", json!({ "error": encode(&error) }))),
        (TaskState::Cancelled, task("cancelled", json!({}))),
    ]
}

#[test]
fn a_task_brings_along_what_its_status_says() {
    for (state, mut expected) in states() {
        let status = state.status();
        let detailed: DetailedTask = Task::new("t", state, CREATED);
        let changed =
            TaskStatusNotificationParams { meta: None, task: detailed.clone(), extra: serde_json::Map::new() };
        assert_eq!(encode(&changed), expected);
        assert_eq!(decode(&expected), Ok(changed));

        expected["resultType"] = json!("complete");
        let result = GetTaskResult::new(detailed);
        assert_eq!(encode(&result), expected);
        assert_eq!(decode(&expected), Ok(result.clone()));
        assert_eq!(result.task.status(), status);
        // As some examples of the extension have it.
        expected["resultType"] = json!("task");
        assert_eq!(decode(&expected), Ok(result));
        expected["resultType"] = json!("input_required");
        assert!(decode::<GetTaskResult>(&expected).is_err());
    }
}

#[test]
fn a_status_without_what_it_brings_along_is_refused() {
    for (status, missing) in [("input_required", "inputRequests"), ("completed", "result"), ("failed", "error")] {
        let error = decode::<GetTaskResult>(&task(status, json!({}))).expect_err("it lacks something");
        assert!(error.contains(missing), "{error}");
    }
    assert!(decode::<GetTaskResult>(&task("completed", json!({ "result": [1] }))).is_err());
    assert!(decode::<GetTaskResult>(&task("paused", json!({}))).is_err());
}

#[test]
fn a_created_task_says_so_in_its_result_type() {
    let created = CreateTaskResult::new(
        Task::new("t", TaskStatus::Working, CREATED)
            .with_status_message("thinking")
            .with_ttl_ms(60_000_u64)
            .with_poll_interval_ms(500_u64),
    );
    let members = json!({
        "resultType": "task", "statusMessage": "thinking", "ttlMs": 60_000, "pollIntervalMs": 500,
    });
    assert_eq!(encode(&created), task("working", members.clone()));
    assert_eq!(decode(&task("working", members)), Ok(created));
    for other in [json!({}), json!({ "resultType": "complete" })] {
        assert!(decode::<CreateTaskResult>(&task("working", other)).is_err());
    }
    let result: ResultObject = decode(&task("working", json!({ "resultType": "task" }))).expect("a result");
    assert_eq!(result.result_type, tasks::result_type());
}

#[test]
fn a_created_task_may_be_done_already() {
    let created: CreateTaskResult = decode(&task("completed", json!({ "resultType": "task" }))).expect("a task");
    assert!(created.task.status().is_terminal());
}

#[test]
fn keeps_what_it_does_not_know() {
    let told = task("working", json!({ "resultType": "complete", "com.example/x": [1], "_meta": { "k": 1 } }));
    assert_eq!(encode(&decode::<GetTaskResult>(&told).expect("a task")), told);
}

#[test]
fn reads_milliseconds_as_caching_does() {
    let read = |ttl: Value| decode::<GetTaskResult>(&task("working", json!({ "ttlMs": ttl }))).map(|it| it.task.ttl_ms);
    assert_eq!(read(json!(null)), Ok(None));
    assert_eq!(read(json!(-5)), Ok(Some(0)));
    assert_eq!(read(json!(1500.7)), Ok(Some(1500)));
    assert!(read(json!("1500")).is_err());
}

#[test]
fn the_result_of_a_task_is_kept_as_it_was_written() {
    let text = r#"{"taskId":"t","status":"completed","createdAt":"c","lastUpdatedAt":"c","ttlMs":1,
        "result":{"content" : [],"structuredContent":1.50}}"#;
    let result: GetTaskResult = serde_json::from_str(text).expect("a task");
    let TaskState::Completed(outcome) = result.task.state else { panic!("{:?}", result.task) };
    assert_eq!(outcome.as_str(), r#"{"content" : [],"structuredContent":1.50}"#);
    assert_eq!(outcome.read::<CallToolResult>().expect("a result").structured_content, Some(json!(1.5)));
    assert!(TaskOutcome::new(&[1]).is_err());
}

#[test]
fn a_changed_task_is_a_notification_of_servers() {
    let changed = Task::new("t", TaskState::Cancelled, CREATED);
    let params = TaskStatusNotificationParams::new(NotificationMeta::subscription(7), changed);
    let encoded = encode(&TaskStatusNotification::new(params.clone()));
    assert_eq!(encoded["method"], "notifications/tasks");
    assert_eq!(encoded["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], 7);
    let untyped: JsonRpcNotification = decode(&encoded).expect("a notification");
    let known = ServerNotification::try_from(untyped).expect("a known one");
    assert_eq!(known, ServerNotification::TaskStatus(TaskStatusNotification::new(params)));
}

#[test]
fn a_subscription_names_its_tasks() {
    let wanted = SubscriptionFilter { task_ids: Some(vec!["t".to_owned()]), ..SubscriptionFilter::default() };
    assert_eq!(encode(&wanted), json!({ "taskIds": ["t"] }));
    assert_eq!(decode(&json!({ "taskIds": ["t"] })), Ok(wanted));
}

#[test]
fn the_extension_is_declared_among_extensions() {
    let declared = json!({ "extensions": { "io.modelcontextprotocol/tasks": {} } });
    let client: ClientCapabilities = decode(&declared).expect("capabilities");
    let server: ServerCapabilities = decode(&declared).expect("capabilities");
    assert!(tasks::is_declared(client.extensions.as_ref()) && tasks::is_declared(server.extensions.as_ref()));
    assert!(!tasks::is_declared(None) && !tasks::is_declared(Some(&[].into())));
    assert_eq!(client.extensions, Some(tasks::capability()));
    let error = encode(&tasks::not_declared());
    assert_eq!((&error["code"], &error["data"]["requiredCapabilities"]), (&json!(-32021), &declared));
    assert_eq!(tasks::not_found().code, -32602);
}

/// By definition of the extension's schema.
fn messages() -> Vec<(&'static str, Value)> {
    let meta = || RequestMeta::new(Version::LATEST, ClientCapabilities::default());
    let request = |method: TaskMethod, params: Value| json!({ "jsonrpc": "2.0", "id": 1, "method": method.as_str(), "params": params });
    let about = encode(&TaskRequestParams { meta: meta(), task_id: "t".to_owned() });
    let update = UpdateTaskRequestParams { meta: meta(), task_id: "t".to_owned(), input_responses: [].into() };
    let created = CreateTaskResult::new(Task::new("t", TaskStatus::Working, CREATED));
    let mut messages = vec![
        ("GetTaskRequest", request(TaskMethod::Get, about.clone())),
        ("CancelTaskRequest", request(TaskMethod::Cancel, about)),
        ("UpdateTaskRequest", request(TaskMethod::Update, encode(&update))),
        ("UpdateTaskResult", encode(&tasks::UpdateTaskResult::default())),
        ("CancelTaskResult", encode(&tasks::CancelTaskResult::default())),
        ("CreateTaskResult", encode(&created)),
        ("TaskSubscriptionNotifications", json!({ "taskIds": ["t"] })),
    ];
    for (state, _) in states() {
        let detailed = Task::new("t", state, CREATED);
        messages.push(("GetTaskResult", encode(&GetTaskResult::new(detailed.clone()))));
        let params = TaskStatusNotificationParams::new(NotificationMeta::subscription(1), detailed);
        messages.push(("TaskStatusNotification", encode(&TaskStatusNotification::new(params))));
    }
    messages
}

#[test]
fn what_we_write_is_valid_by_the_schema_of_the_extension() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/spec/ext-tasks/schema.json");
    let Ok(schema) = fs::read(&path) else {
        println!("skipped: no copy of the extension's schema at {}", path.display());
        return;
    };
    let schema: Value = serde_json::from_slice(&schema).expect("JSON");
    for (name, message) in messages() {
        let of = json!({ "$schema": schema["$schema"], "$defs": schema["$defs"], "$ref": format!("#/$defs/{name}") });
        if let Err(error) = jsonschema::validator_for(&of).expect("a schema").validate(&message) {
            panic!("{name}: {error} at {} in {message}", error.instance_path());
        }
    }
    let methods: Vec<_> = TaskMethod::ALL.iter().map(|method| method.as_str()).collect();
    let text = schema.to_string();
    for method in methods.into_iter().chain([Notification::TaskStatus.as_str()]) {
        assert!(text.contains(&format!("\"{method}\"")), "{method}");
    }
}
