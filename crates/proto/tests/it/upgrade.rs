//! What legacy servers say, as modern clients know it.

use anypod_proto::{
    capabilities,
    code::Code,
    jsonrpc::ErrorObject,
    legacy::{
        ClientCapabilities, InitializeResult,
        upgrade::{self, Failure, QuestionError},
    },
    method::{ClientMethod, Method},
    rounds::{InputRequest, InputResponse},
    tools::CallToolResult,
    version::Version::{self, *},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

fn decode<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("it decodes")
}

fn encode(value: impl Serialize) -> Value {
    serde_json::to_value(value).expect("it encodes")
}

#[test]
fn results_are_complete_and_those_to_keep_stale_and_private() {
    let plain = r#"{"resultType":"complete","a":{"x" : [1.50,"\u0061"]}}"#;
    let cached = r#"{"resultType":"complete","ttlMs":0,"cacheScope":"private","a":{"x" : [1.50,"\u0061"]}}"#;
    for (method, expected) in [
        (Method::PromptsGet, plain),
        (Method::Complete, plain),
        (Method::ToolsList, cached),
        (Method::PromptsList, cached),
        (Method::ResourcesList, cached),
        (Method::ResourceTemplatesList, cached),
        (Method::ResourcesRead, cached),
    ] {
        let legacy = " { \"a\" :  {\"x\" : [1.50,\"\\u0061\"]} }\n";
        assert_eq!(upgrade::result(method, legacy).as_deref(), Ok(expected), "{method}");
    }
    assert_eq!(upgrade::result(Method::Complete, "{}").as_deref(), Ok(r#"{"resultType":"complete"}"#));
}

#[test]
fn a_legacy_server_cannot_say_what_only_modern_ones_can() {
    let claims = r#"{"resultType":"input_required","requestState":"s","ttlMs":9,"cacheScope":"public","tools":[]}"#;
    let expected = r#"{"resultType":"complete","ttlMs":0,"cacheScope":"private","requestState":"s","tools":[]}"#;
    assert_eq!(upgrade::result(Method::ToolsList, claims).as_deref(), Ok(expected));
    let escaped = r#"{"result\u0054ype":"task"}"#;
    assert_eq!(upgrade::result(Method::Complete, escaped).as_deref(), Ok(r#"{"resultType":"complete"}"#));
}

#[test]
fn results_of_tools_have_content() {
    let result = upgrade::result(Method::ToolsCall, r#"{"structuredContent":{"content":1}}"#).expect("an object");
    assert_eq!(result, r#"{"resultType":"complete","structuredContent":{"content":1},"content":[]}"#);
    let kept = upgrade::result(Method::ToolsCall, &encode(CallToolResult::text("hi")).to_string()).expect("an object");
    assert_eq!(serde_json::from_str::<CallToolResult>(&kept).expect("a result"), CallToolResult::text("hi"));
}

#[test]
fn a_result_that_is_no_object_is_refused() {
    for text in ["", "[]", "1", "{", "{}x", r#"{"a"}"#] {
        assert!(upgrade::result(Method::ToolsCall, text).is_err(), "{text}");
    }
}

#[test]
fn the_handshake_says_what_a_modern_server_is_asked_for() {
    let initialized: InitializeResult = decode(json!({
        "protocolVersion": "2025-06-18",
        "capabilities": {
            "tools": { "listChanged": true }, "resources": { "subscribe": true }, "logging": {}, "tasks": { "list": {} },
            "extensions": { "com.example/x": {}, "io.modelcontextprotocol/tasks": {} }, "y": 1,
        },
        "serverInfo": { "name": "s", "version": "1" },
        "instructions": "be kind",
        "_meta": { "k": 1 },
        "resultType": "input_required", "ttlMs": 5, "z": 2,
    }));
    let expected = json!({
        "resultType": "complete", "supportedVersions": ["2026-07-28"], "ttlMs": 0, "cacheScope": "private",
        "capabilities": {
            "tools": { "listChanged": true }, "resources": { "subscribe": true }, "logging": {},
            "extensions": { "com.example/x": {} }, "y": 1,
        },
        "instructions": "be kind",
        "_meta": { "io.modelcontextprotocol/serverInfo": { "name": "s", "version": "1" }, "k": 1 },
        "z": 2,
    });
    assert_eq!(encode(upgrade::discover(initialized)), expected);
}

#[test]
fn declares_what_each_revision_knows() {
    let full = json!({
        "experimental": { "e": {} }, "roots": {}, "sampling": { "context": {}, "tools": {} },
        "elicitation": { "form": {}, "url": {} }, "extensions": { "com.example/x": {} }, "z": 1,
    });
    let sampling = json!({ "context": {}, "tools": {} });
    let said = |sampling: &Value, elicitation: Option<Value>| {
        let mut said = json!({ "experimental": { "e": {} }, "roots": {}, "sampling": sampling, "z": 1 });
        if let Some(elicitation) = elicitation {
            said["elicitation"] = elicitation;
        }
        said
    };
    let form = json!({ "elicitation": { "form": {} } });
    let url = json!({ "elicitation": { "url": {} } });
    let cases = [
        (V2025_03_26, &full, said(&json!({}), None)),
        (V2025_06_18, &full, said(&json!({}), Some(json!({})))),
        (V2025_11_25, &full, said(&sampling, Some(json!({ "form": {}, "url": {} })))),
        (V2025_03_26, &form, json!({})),
        (V2025_06_18, &form, json!({ "elicitation": {} })),
        (V2025_11_25, &form, json!({ "elicitation": {} })),
        (V2025_06_18, &url, json!({})),
        (V2025_11_25, &url, url.clone()),
    ];
    for (version, modern, expected) in cases {
        let modern: capabilities::ClientCapabilities = decode(modern.clone());
        assert_eq!(encode(upgrade::client_capabilities(version, &modern)), expected, "{version}");
    }
}

/// What a client that can do everything declares to a server of `version`.
fn declared(version: Version) -> ClientCapabilities {
    let modern: capabilities::ClientCapabilities =
        decode(json!({ "roots": {}, "sampling": { "tools": {} }, "elicitation": { "form": {}, "url": {} } }));
    upgrade::client_capabilities(version, &modern)
}

#[test]
fn questions_are_read_where_they_were_declared() {
    use ClientMethod::{CreateMessage, Elicit, ListRoots};
    let form = json!({ "message": "m", "requestedSchema": { "type": "object", "properties": {} } });
    let modal = json!({
        "mode": "form", "message": "m", "requestedSchema": { "type": "object", "properties": {} },
        "_meta": { "progressToken": 1 }, "task": { "ttl": 1 },
    });
    let page = json!({ "mode": "url", "message": "m", "url": "https://example.com", "elicitationId": "e" });
    let message = json!({ "role": "user", "content": { "type": "text", "text": "hi" } });
    let sampling = json!({ "messages": [message], "maxTokens": 1, "_meta": {}, "metadata": { "a": 1 } });
    let tools = json!({ "messages": [message], "maxTokens": 1, "toolChoice": {} });
    // The method, what it carries, since when it is answered, and the code before.
    let cases = [
        (ListRoots, json!({}), V2025_03_26, Code::MethodNotFound),
        (CreateMessage, sampling, V2025_03_26, Code::MethodNotFound),
        (CreateMessage, tools, V2025_11_25, Code::InvalidParams),
        (Elicit, form, V2025_06_18, Code::MethodNotFound),
        (Elicit, modal, V2025_06_18, Code::MethodNotFound),
    ];
    for (method, params, since, code) in cases {
        for version in Version::LEGACY {
            let question = upgrade::question(&declared(version), method, &params.to_string());
            match version >= since {
                true => assert_eq!(question.map(|question| question.request.method()), Ok(method), "{params}"),
                false => assert_eq!(question.map_err(|error| error.code()), Err(code), "{version} {params}"),
            }
        }
    }
    for (version, code) in [(V2025_03_26, Code::MethodNotFound), (V2025_06_18, Code::InvalidParams)] {
        let refused = upgrade::question(&declared(version), Elicit, &page.to_string());
        assert_eq!(refused.map_err(|error| error.code()), Err(code), "{version}");
    }
    let asked = upgrade::question(&declared(V2025_11_25), Elicit, &page.to_string()).expect("a question");
    assert_eq!(asked.elicitation_id.as_deref(), Some("e"));
    let modern = json!({ "mode": "url", "message": "m", "url": "https://example.com" });
    assert_eq!(encode(asked.request), json!({ "method": "elicitation/create", "params": modern }));
}

#[test]
fn questions_that_nobody_answers_are_refused() {
    let nothing = ClientCapabilities::default();
    for method in ClientMethod::ALL {
        assert_eq!(upgrade::question(&nothing, *method, "{}"), Err(QuestionError::NotDeclared(*method)));
    }
    let url_only = decode(json!({ "elicitation": { "url": {} } }));
    let form = r#"{"message":"m","requestedSchema":{"type":"object","properties":{}}}"#;
    let error = upgrade::question(&url_only, ClientMethod::Elicit, form).expect_err("no forms");
    assert_eq!(error, QuestionError::FormNotDeclared("elicitation by form"));
    let error = upgrade::question(&declared(V2025_11_25), ClientMethod::Elicit, "{}").expect_err("no message");
    assert_eq!(ErrorObject::from(error).code, Code::InvalidParams.number());
}

fn asked(method: &str, params: Value) -> InputRequest {
    decode(json!({ "method": method, "params": params }))
}

#[track_caller]
fn answered(version: Version, request: &InputRequest, response: &Value) -> Value {
    upgrade::answer(version, request, &InputResponse(response.clone())).expect("an answer")
}

#[test]
fn answers_of_people_have_content_where_it_belongs() {
    let form = asked(
        "elicitation/create",
        json!({ "message": "m", "requestedSchema": { "type": "object", "properties": {} } }),
    );
    let page = asked("elicitation/create", json!({ "mode": "url", "message": "m", "url": "https://example.com" }));
    let accepted = json!({ "action": "accept", "content": { "a": 1 } });
    for version in Version::LEGACY {
        assert_eq!(answered(version, &form, &accepted), accepted);
        assert_eq!(
            answered(version, &form, &json!({ "action": "accept" })),
            json!({ "action": "accept", "content": {} })
        );
        assert_eq!(answered(version, &page, &accepted), json!({ "action": "accept" }));
        for action in ["decline", "cancel"] {
            let content = json!({ "action": action, "content": { "a": 1 } });
            assert_eq!(answered(version, &form, &content), json!({ "action": action }));
        }
    }
    assert!(upgrade::answer(V2025_11_25, &form, &InputResponse(json!({ "roots": [] }))).is_err());
}

#[test]
fn answers_of_models_are_one_block_before_2025_11_25() {
    let request = asked("sampling/createMessage", json!({ "messages": [], "maxTokens": 1 }));
    let text = |text: &str| json!({ "type": "text", "text": text });
    let image = json!({ "type": "image", "data": "AA==", "mimeType": "image/png" });
    let call = json!({ "type": "tool_use", "id": "1", "name": "t", "input": {} });
    let said =
        |content: Value| json!({ "role": "assistant", "content": content, "model": "m", "stopReason": "endTurn" });
    // What was said, and how it is said before 2025-11-25, if it can be.
    let cases = [
        (text("a"), Some(text("a"))),
        (json!([text("a")]), Some(text("a"))),
        (json!([image]), Some(image.clone())),
        (json!([text("a"), text("b")]), Some(text("a\n\nb"))),
        (json!([]), Some(text(""))),
        (json!([text("a"), image]), None),
        (json!([call]), None),
    ];
    for (content, older) in cases {
        assert_eq!(answered(V2025_11_25, &request, &said(content.clone())), said(content.clone()));
        for version in [V2025_06_18, V2025_03_26] {
            let answer = upgrade::answer(version, &request, &InputResponse(said(content.clone())));
            assert_eq!(answer.ok(), older.clone().map(said), "{version} {content}");
        }
    }
}

#[test]
fn roots_have_no_meta_in_2025_03_26() {
    let request = InputRequest::list_roots();
    let root = json!({ "uri": "file:///r", "name": "r", "_meta": { "k": 1 } });
    let roots = json!({ "roots": [root], "_meta": { "k": 1 } });
    let bare = json!({ "roots": [{ "uri": "file:///r", "name": "r" }], "_meta": { "k": 1 } });
    for (version, expected) in [(V2025_11_25, &roots), (V2025_06_18, &roots), (V2025_03_26, &bare)] {
        assert_eq!(&answered(version, &request, &roots), expected, "{version}");
    }
}

#[track_caller]
fn failure(version: Version, method: Method, code: i32, data: Option<Value>) -> Value {
    let error = ErrorObject { code, message: "m".to_owned(), data };
    match upgrade::error(version, method, Some("file:///a"), error) {
        Failure::Error(error) => encode(error),
        Failure::InputRequired(pages) => json!({ "asks": encode(pages.requests), "ids": pages.elicitation_ids }),
    }
}

#[test]
fn a_resource_that_is_not_found_is_invalid_params_with_its_uri() {
    let named = |uri: &str| json!({ "code": -32602, "message": "m", "data": { "uri": uri } });
    for version in Version::LEGACY {
        let read = |data| failure(version, Method::ResourcesRead, -32002, data);
        assert_eq!(read(None), named("file:///a"));
        assert_eq!(read(Some(json!({ "uri": "file:///b" }))), named("file:///b"));
        assert_eq!(read(Some(json!({})))["data"], json!({ "uri": "file:///a" }));
        assert_eq!(read(Some(json!("text")))["data"], json!("text"));
        let other = failure(version, Method::ToolsCall, -32002, None);
        assert_eq!(other, json!({ "code": -32602, "message": "m" }));
    }
}

#[test]
fn codes_that_are_modern_are_no_words_of_legacy_servers() {
    let cases = [
        (-32020, -32603),
        (-32021, -32603),
        (-32022, -32603),
        (-32602, -32602),
        (-32601, -32601),
        (-32000, -32000),
        (7, 7),
    ];
    for (code, expected) in cases {
        let error = failure(V2025_11_25, Method::ToolsCall, code, Some(json!(1)));
        assert_eq!(error, json!({ "code": expected, "message": "m", "data": 1 }));
    }
}

#[test]
fn pages_to_visit_are_a_round_of_questions() {
    let page = |id: &str| json!({ "mode": "url", "message": "sign in", "url": format!("https://example.com/{id}"), "elicitationId": id });
    let many: Vec<_> = (1..=10).map(|n| page(&format!("e{n}"))).collect();
    let asked = failure(V2025_11_25, Method::ToolsCall, -32042, Some(json!({ "elicitations": many })));
    assert_eq!(asked["ids"]["url-01"], "e1");
    assert_eq!(asked["ids"]["url-10"], "e10");
    let expected = json!({
        "method": "elicitation/create",
        "params": { "mode": "url", "message": "sign in", "url": "https://example.com/e2" },
    });
    assert_eq!(asked["asks"]["url-02"], expected);

    let one = json!({ "elicitations": [page("e")] });
    let internal = |data: &Value| json!({ "code": -32603, "message": "m", "data": data });
    let cases = [
        (V2025_06_18, Method::ToolsCall, one.clone()),
        (V2025_11_25, Method::ToolsList, one),
        (V2025_11_25, Method::ToolsCall, json!({ "elicitations": [] })),
        (V2025_11_25, Method::ToolsCall, json!({ "elicitations": [{ "mode": "form" }] })),
        (V2025_11_25, Method::ToolsCall, json!({})),
    ];
    for (version, method, data) in cases {
        assert_eq!(failure(version, method, -32042, Some(data.clone())), internal(&data), "{version} {method} {data}");
    }
}
