//! Forms and questions.

use anypod_proto::{
    elicitation::{
        BooleanSchema, ElicitAction, ElicitRequestParams, EnumSchema, PrimitiveSchemaDefinition, RequestedSchema,
        SingleSelectEnumSchema, StringSchema,
    },
    rounds::{InputRequest, InputResponse, RoundResult},
    sampling::SamplingContent,
    tools::CallToolResult,
};
use serde_json::{Value, json};

fn decode<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, String> {
    serde_json::from_str(&value.to_string()).map_err(|error| error.to_string())
}

#[test]
fn keeps_the_fields_of_a_form_in_the_order_of_the_wire() {
    let text = r#"{"type":"object","properties":{"z":{"type":"string"},"a":{"type":"boolean"}},"required":["z"]}"#;
    let form: RequestedSchema = serde_json::from_str(text).expect("a form");
    assert_eq!(serde_json::to_string(&form).expect("it encodes"), text);
    assert_eq!(form, RequestedSchema::new().required("z", StringSchema::new()).optional("a", BooleanSchema::new()));
    assert!(matches!(form.properties.find("a"), Some(PrimitiveSchemaDefinition::Boolean(_))));
}

#[test]
fn tells_the_kinds_of_fields_apart() {
    let kind = |value: Value| match decode(value) {
        Ok(PrimitiveSchemaDefinition::String(_)) => "string",
        Ok(PrimitiveSchemaDefinition::Number(_)) => "number",
        Ok(PrimitiveSchemaDefinition::Boolean(_)) => "boolean",
        Ok(PrimitiveSchemaDefinition::Enum(EnumSchema::Single(SingleSelectEnumSchema::Untitled(_)))) => "one",
        Ok(PrimitiveSchemaDefinition::Enum(EnumSchema::Single(SingleSelectEnumSchema::Titled(_)))) => "one titled",
        Ok(PrimitiveSchemaDefinition::Enum(EnumSchema::Multi(_))) => "some",
        Ok(PrimitiveSchemaDefinition::Enum(EnumSchema::Legacy(_))) => "legacy",
        Err(_) => "refused",
    };
    let cases = [
        (json!({ "type": "string", "format": "date-time" }), "string"),
        (json!({ "type": "integer", "minimum": 1 }), "number"),
        (json!({ "type": "boolean" }), "boolean"),
        (json!({ "type": "string", "enum": ["a"] }), "one"),
        (json!({ "type": "string", "oneOf": [{ "const": "a", "title": "A" }] }), "one titled"),
        (json!({ "type": "string", "enum": ["a"], "enumNames": ["A"] }), "legacy"),
        (json!({ "type": "array", "items": { "type": "string", "enum": ["a"] } }), "some"),
        (json!({ "type": "array", "items": { "anyOf": [{ "const": "a", "title": "A" }] } }), "some"),
        (json!({ "type": "object", "properties": {} }), "refused"),
        (json!({ "type": "array", "items": { "type": "string" } }), "refused"),
        (json!({ "type": "string", "format": "hostname" }), "refused"),
        (json!({ "enum": ["a"] }), "refused"),
    ];
    for (schema, expected) in cases {
        assert_eq!(kind(schema.clone()), expected, "{schema}");
    }
}

#[test]
fn a_question_without_a_mode_is_a_form() {
    let form = json!({ "message": "m", "requestedSchema": { "type": "object", "properties": {} } });
    assert!(matches!(decode(form), Ok(ElicitRequestParams::Form(_))));
    let page = json!({ "mode": "url", "message": "m", "url": "https://example.com" });
    assert!(matches!(decode(page), Ok(ElicitRequestParams::Url(_))));
    let unknown = json!({ "mode": "voice", "message": "m" });
    assert!(decode::<ElicitRequestParams>(unknown).expect_err("no such mode").contains("voice"));
}

#[test]
fn an_answer_is_read_as_what_was_asked() {
    let answer = InputResponse(json!({ "action": "accept", "content": { "name": "x" } }));
    let read = answer.as_elicit().expect("a person's answer");
    assert_eq!((read.action, read.content.expect("content")["name"].as_str()), (ElicitAction::Accept, Some("x")));
    assert!(answer.as_list_roots().is_err());
    assert!(answer.as_create_message().is_err());
}

#[test]
fn refuses_an_input_request_of_another_method() {
    let error = decode::<InputRequest>(json!({ "method": "tools/call", "params": {} })).expect_err("not for clients");
    assert!(error.contains("tools/call"), "{error}");
    let error = decode::<InputRequest>(json!({ "method": "elicitation/create" })).expect_err("no message");
    assert!(error.starts_with("elicitation/create: "), "{error}");
}

#[test]
fn sampling_content_stays_one_block_or_a_list() {
    let one = json!({ "type": "text", "text": "a" });
    let many = json!([{ "type": "text", "text": "a" }, { "type": "text", "text": "b" }]);
    for (content, texts) in [(one, vec!["a"]), (many, vec!["a", "b"]), (json!([]), vec![])] {
        let decoded: SamplingContent = decode(content.clone()).expect("content");
        assert_eq!(decoded.texts().collect::<Vec<_>>(), texts);
        assert_eq!(serde_json::to_value(&decoded).expect("it encodes"), content);
    }
}

#[test]
fn a_round_ends_with_an_answer_or_with_questions() {
    let read = |value: Value| decode::<RoundResult<CallToolResult>>(value);
    assert!(matches!(read(json!({ "content": [] })), Ok(RoundResult::Complete(_))));
    assert!(matches!(read(json!({ "resultType": "complete", "content": [] })), Ok(RoundResult::Complete(_))));
    let again = json!({ "resultType": "input_required", "requestState": "s" });
    assert!(matches!(read(again), Ok(RoundResult::InputRequired(_))));
    assert!(read(json!({ "resultType": "input_required" })).is_err());
    assert!(read(json!({ "resultType": "task", "content": [] })).expect_err("unknown").contains("task"));
}
