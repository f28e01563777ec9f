//! What legacy clients may see and be asked.

use anypod_proto::{
    capabilities,
    elicitation::{
        ElicitRequestFormParams, ElicitRequestUrlParams, RequestedSchema, StringSchema, UntitledMultiSelectEnumSchema,
    },
    jsonrpc::ResultType,
    legacy::{
        self, ClientCapabilities, downgrade, downgrade_any, supports,
        tasks::{CreateTaskResult, Task, TaskMetadata, ToolExecution},
    },
    method::Method,
    rounds::InputRequest,
    sampling::{CreateMessageRequestParams, SamplingContent, SamplingMessage, ToolChoiceMode},
    version::Version::{self, *},
};
use serde_json::{Value, json};

#[track_caller]
fn check(method: Method, version: Version, modern: &Value, expected: &Value) {
    let mut result = modern.as_object().expect("an object").clone();
    downgrade(method, version, &mut result);
    assert_eq!(&Value::Object(result), expected, "{method} at {version}");
}

#[test]
fn legacy_results_lose_the_fields_of_the_modern_envelope() {
    let server = json!({ "io.modelcontextprotocol/serverInfo": { "name": "s", "version": "1" } });
    let modern =
        json!({ "resultType": "complete", "ttlMs": 1, "cacheScope": "public", "contents": [], "_meta": server });
    for version in Version::LEGACY {
        check(Method::ResourcesRead, version, &modern, &json!({ "contents": [] }));
    }
    check(Method::ResourcesRead, V2026_07_28, &modern, &modern);
}

#[test]
fn results_of_unknown_methods_lose_the_envelope_and_keep_the_rest() {
    let modern = json!({ "resultType": "complete", "ttlMs": 1, "content": [{ "type": "resource_link" }] });
    for (version, expected) in
        [(V2025_03_26, json!({ "content": [{ "type": "resource_link" }] })), (V2026_07_28, modern.clone())]
    {
        let mut result = modern.as_object().expect("an object").clone();
        downgrade_any(version, &mut result);
        assert_eq!(Value::Object(result), expected);
    }
}

#[test]
fn a_result_without_a_type_is_complete() {
    for (result, kind) in [
        (json!({}), ResultType::Complete),
        (json!({ "resultType": "input_required" }), ResultType::InputRequired),
        (json!({ "resultType": "task" }), ResultType::Other("task".to_owned())),
        (json!({ "resultType": 7 }), ResultType::Other("7".to_owned())),
    ] {
        assert_eq!(ResultType::of(result.as_object().expect("an object")), kind);
    }
}

#[test]
fn a_question_requires_what_it_uses() {
    let form = ElicitRequestFormParams::new("?", RequestedSchema::default());
    let url = ElicitRequestUrlParams::new("?", "https://example.com");
    let sampling = CreateMessageRequestParams::new(vec![SamplingMessage::user("?")], 1);
    let mut tools = sampling.clone();
    tools.tools = Some(Vec::new());
    for (question, required) in [
        (InputRequest::from(form), json!({ "elicitation": { "form": {} } })),
        (InputRequest::from(url), json!({ "elicitation": { "url": {} } })),
        (InputRequest::from(sampling), json!({ "sampling": {} })),
        (InputRequest::from(tools), json!({ "sampling": { "tools": {} } })),
        (InputRequest::list_roots(), json!({ "roots": {} })),
    ] {
        assert_eq!(serde_json::to_value(question.requires()).expect("JSON"), required);
    }
}

#[test]
fn legacy_results_keep_the_rest_of_meta() {
    let modern =
        json!({ "_meta": { "io.modelcontextprotocol/serverInfo": {}, "com.example/trace": 1 }, "messages": [] });
    check(Method::PromptsGet, V2025_11_25, &modern, &json!({ "_meta": { "com.example/trace": 1 }, "messages": [] }));
}

#[test]
fn structured_content_stays_where_it_is_known_and_an_object() {
    let text = json!([{ "type": "text", "text": "t" }]);
    let object = json!({ "content": text, "structuredContent": { "a": 1 } });
    let list = json!({ "content": text, "structuredContent": [1] });
    let bare = json!({ "content": text });
    check(Method::ToolsCall, V2025_11_25, &object, &object);
    check(Method::ToolsCall, V2025_06_18, &object, &object);
    check(Method::ToolsCall, V2025_03_26, &object, &bare);
    for version in Version::LEGACY {
        check(Method::ToolsCall, version, &list, &bare);
    }
}

#[test]
fn dropped_structured_content_stays_as_text_where_there_is_no_other() {
    let modern = json!({ "content": [], "structuredContent": [1, null] });
    let expected = json!({ "content": [{ "type": "text", "text": "[1,null]" }] });
    check(Method::ToolsCall, V2025_11_25, &modern, &expected);
}

#[test]
fn output_schemas_stay_where_they_are_known_and_of_objects() {
    let icons = json!([{ "src": "data:," }]);
    let modern = json!({ "tools": [
        { "name": "a", "title": "A", "inputSchema": {}, "outputSchema": { "type": "object" }, "icons": icons },
        { "name": "b", "inputSchema": {}, "outputSchema": { "type": "array" } },
        { "name": "c", "inputSchema": {}, "outputSchema": { "oneOf": [] } },
    ] });
    let (b, c) = (json!({ "name": "b", "inputSchema": {} }), json!({ "name": "c", "inputSchema": {} }));
    let mut a =
        json!({ "name": "a", "title": "A", "inputSchema": {}, "outputSchema": { "type": "object" }, "icons": icons });
    check(Method::ToolsList, V2025_11_25, &modern, &json!({ "tools": [a, b, c] }));
    a.as_object_mut().expect("an object").remove("icons");
    check(Method::ToolsList, V2025_06_18, &modern, &json!({ "tools": [a, b, c] }));
    a.as_object_mut().expect("an object").remove("outputSchema");
    check(Method::ToolsList, V2025_03_26, &modern, &json!({ "tools": [a, b, c] }));
}

#[test]
fn resource_links_become_text_before_2025_06_18() {
    let link = json!({
        "type": "resource_link", "uri": "file:///a", "name": "a", "annotations": { "priority": 1 }, "icons": [],
    });
    let mut later = link.clone();
    later.as_object_mut().expect("an object").remove("icons");
    let text = json!({ "type": "text", "text": "a: file:///a", "annotations": { "priority": 1 } });
    for (version, expected) in [(V2025_11_25, &link), (V2025_06_18, &later), (V2025_03_26, &text)] {
        check(Method::ToolsCall, version, &json!({ "content": [link] }), &json!({ "content": [expected] }));
        let message = |content: &Value| json!({ "messages": [{ "role": "user", "content": content }] });
        check(Method::PromptsGet, version, &message(&link), &message(expected));
    }
}

#[test]
fn icons_leave_lists_before_2025_11_25() {
    let lists = [
        (Method::PromptsList, "prompts"),
        (Method::ResourcesList, "resources"),
        (Method::ResourceTemplatesList, "resourceTemplates"),
    ];
    for (method, field) in lists {
        let modern = json!({ field: [{ "name": "n", "icons": [] }] });
        check(method, V2025_11_25, &modern, &modern);
        check(method, V2025_06_18, &modern, &json!({ field: [{ "name": "n" }] }));
    }
}

#[test]
fn downgrading_leaves_strange_shapes_alone() {
    let strange = json!({ "tools": "none", "content": { "type": "resource_link" }, "_meta": 1, "messages": [1] });
    for method in Method::ALL {
        check(*method, V2025_03_26, &strange, &strange);
    }
}

#[test]
fn legacy_clients_are_asked_only_what_their_revision_knows() {
    let form = |schema| InputRequest::from(ElicitRequestFormParams::new("m", schema));
    let sampling = |params: CreateMessageRequestParams| InputRequest::from(params);
    let plain = CreateMessageRequestParams::new(vec![SamplingMessage::user("hi")], 1);
    let list = SamplingMessage::user(SamplingContent::Many(Vec::new()));
    let cases = [
        (InputRequest::list_roots(), V2025_03_26),
        (sampling(plain.clone()), V2025_03_26),
        (sampling(plain.with_tool_choice(ToolChoiceMode::Auto.into())), V2025_11_25),
        (sampling(CreateMessageRequestParams::new(vec![list], 1)), V2025_11_25),
        (form(RequestedSchema::new().optional("a", StringSchema::new())), V2025_06_18),
        (form(RequestedSchema::new().optional("a", UntitledMultiSelectEnumSchema::new(["x"]))), V2025_11_25),
        (ElicitRequestUrlParams::new("m", "https://example.com").into(), V2025_11_25),
    ];
    for (question, since) in cases {
        for version in [V2025_03_26, V2025_06_18, V2025_11_25, V2026_07_28] {
            assert_eq!(supports(version, &question), version >= since, "{question:?} at {version}");
        }
    }
}

#[test]
fn reads_the_handshake_and_its_capabilities() {
    let params = json!({
        "protocolVersion": "2025-11-25",
        "capabilities": { "roots": { "listChanged": true }, "elicitation": {}, "tasks": { "list": {} }, "x": 1 },
        "clientInfo": { "name": "c", "version": "1" },
    });
    let decoded: legacy::InitializeRequestParams = serde_json::from_value(params.clone()).expect("it decodes");
    assert_eq!(serde_json::to_value(&decoded).expect("it encodes"), params);
    let modern = capabilities::ClientCapabilities::from(decoded.capabilities);
    assert_eq!(serde_json::to_value(modern).expect("it encodes"), json!({ "roots": {}, "elicitation": {}, "x": 1 }));
}

#[test]
fn a_page_to_visit_has_an_id_for_legacy_clients() {
    let modern = ElicitRequestUrlParams::new("m", "https://example.com");
    assert_eq!(
        serde_json::to_value(legacy::ElicitRequestUrlParams::new(modern, "e")).expect("it encodes"),
        json!({ "mode": "url", "message": "m", "elicitationId": "e", "url": "https://example.com" })
    );
}

#[test]
fn before_it_could_be_declared_who_samples_adds_context() {
    let declared: ClientCapabilities = serde_json::from_value(json!({ "sampling": {} })).expect("capabilities");
    for (version, context) in [(Version::V2025_06_18, true), (Version::V2025_11_25, false)] {
        let meant = declared.clone().in_revision(version);
        assert_eq!(meant.sampling.expect("as declared").context.is_some(), context, "{version:?}");
    }
    assert_eq!(ClientCapabilities::default().in_revision(Version::V2025_06_18), ClientCapabilities::default());
}

#[test]
fn what_a_request_wants_of_its_task_is_a_time_that_is_not_negative() {
    let read = |text: &str| serde_json::from_str::<TaskMetadata>(text).map(|wanted| wanted.ttl);
    for (text, ttl) in [
        ("{}", None),
        (r#"{"ttl":null,"pollInterval":7}"#, None),
        (r#"{"ttl":0}"#, Some(0)),
        (r#"{"ttl":60000}"#, Some(60_000)),
        (r#"{"ttl":0.5}"#, Some(1)),
        (r#"{"ttl":1e300}"#, Some(u64::MAX)),
    ] {
        assert_eq!(read(text).expect(text), ttl, "{text}");
    }
    for text in [r#"{"ttl":-1}"#, r#"{"ttl":-0.5}"#, r#"{"ttl":"1"}"#, r#"{"ttl":{}}"#, "null", "[]", "true", "1"] {
        assert!(read(text).is_err(), "{text}");
    }
}

#[test]
fn a_task_of_a_session_is_spelled_as_its_revision_has_it() {
    let task = json!({
        "taskId": "786512e2",
        "status": "input_required",
        "statusMessage": "halfway",
        "createdAt": "2025-11-25T10:30:00Z",
        "lastUpdatedAt": "2025-11-25T10:40:00Z",
        "ttl": null,
        "pollInterval": 5000,
    });
    let read: Task = serde_json::from_value(task.clone()).expect("a task");
    assert_eq!(serde_json::to_value(&read).expect("it encodes"), task);
    let created = serde_json::to_value(CreateTaskResult::new(read)).expect("it encodes");
    let related = json!({ "io.modelcontextprotocol/related-task": { "taskId": "786512e2" } });
    assert_eq!(created, json!({ "task": task, "_meta": related }));
    for support in ["forbidden", "optional", "required"] {
        let execution = json!({ "taskSupport": support });
        let read: ToolExecution = serde_json::from_value(execution.clone()).expect(support);
        assert_eq!(serde_json::to_value(read).expect("it encodes"), execution);
    }
}
