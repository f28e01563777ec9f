//! Ids and envelopes.

use anypod_proto::{
    capabilities::{ClientCapabilities, ElicitationCapability},
    code::Code,
    jsonrpc::{
        ClientRequest, ErrorObject, JsonRpcErrorResponse, JsonRpcMessage, JsonRpcResponse,
        MissingRequiredClientCapabilityData, RequestId, ResultType, ServerNotification, UnsupportedProtocolVersionData,
    },
    progress::{ProgressNotification, ProgressToken},
    version::Version,
};
use proptest::prelude::*;
use serde_json::{Value, json};

fn decode<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, String> {
    serde_json::from_str(&value.to_string()).map_err(|error| error.to_string())
}

fn any_id() -> impl Strategy<Value = RequestId> {
    prop_oneof![any::<i64>().prop_map(RequestId::from), any::<String>().prop_map(RequestId::from)]
}

proptest! {
    #[test]
    fn an_id_survives_the_wire(id in any_id()) {
        let text = serde_json::to_string(&id).expect("it encodes");
        prop_assert_eq!(serde_json::from_str::<RequestId>(&text).expect("it decodes"), id.clone());
        let value = serde_json::to_value(&id).expect("it encodes");
        prop_assert_eq!(RequestId::try_from(&value).expect("it decodes"), id);
    }

    #[test]
    fn a_number_id_and_its_text_are_different_ids(number in any::<i64>()) {
        prop_assert_ne!(RequestId::from(number), RequestId::from(number.to_string()));
    }

    #[test]
    fn a_progress_number_is_written_as_the_number_it_is(progress in -1e15..1e15_f64, whole in any::<i32>()) {
        for number in [progress, f64::from(whole)] {
            let params = json!({ "progressToken": 1, "progress": number });
            let message = json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": params });
            let decoded: ProgressNotification = decode(message).expect("it decodes");
            prop_assert_eq!(decoded.params.progress, number);
            let encoded = serde_json::to_value(&decoded).expect("it encodes");
            let written = &encoded["params"]["progress"];
            prop_assert_eq!(written.as_f64(), Some(number));
            prop_assert_eq!(written.is_i64(), number.fract() == 0.0);
        }
    }
}

#[test]
fn refuses_an_id_that_is_neither_string_nor_integer() {
    for id in [json!(null), json!(1.5), json!(true), json!([1]), json!({}), json!(u64::MAX), json!(1e300)] {
        assert!(decode::<RequestId>(id.clone()).is_err(), "{id}");
        assert!(decode::<ProgressToken>(id.clone()).is_err(), "{id}");
        assert!(RequestId::try_from(&id).is_err(), "{id}");
    }
    let error = RequestId::try_from(&json!(1.5)).expect_err("a fraction");
    assert_eq!(error.to_string(), "id must be a string or an integer between -2^63 and 2^63-1, not 1.5");
    assert!(decode::<ProgressToken>(json!(null)).expect_err("null").contains("progressToken"));
}

#[test]
fn tells_messages_apart_by_the_members_present() {
    let kind = |value: Value| match decode::<JsonRpcMessage>(value) {
        Ok(JsonRpcMessage::Request(_)) => "request",
        Ok(JsonRpcMessage::Notification(_)) => "notification",
        Ok(JsonRpcMessage::Response(JsonRpcResponse::Result(_))) => "result",
        Ok(JsonRpcMessage::Response(JsonRpcResponse::Error(_))) => "error",
        Err(_) => "refused",
    };
    let error = json!({ "code": -32603, "message": "no" });
    let cases = [
        (json!({ "jsonrpc": "2.0", "id": 1, "method": "m" }), "request"),
        (json!({ "method": "m", "jsonrpc": "2.0" }), "notification"),
        (json!({ "jsonrpc": "2.0", "id": "a", "result": {} }), "result"),
        (json!({ "jsonrpc": "2.0", "id": "a", "error": error }), "error"),
        (json!({ "jsonrpc": "2.0", "id": null, "error": error }), "error"),
        (json!({ "jsonrpc": "2.0", "error": error }), "error"),
        (json!({ "jsonrpc": "2.0", "id": null, "method": "m" }), "refused"),
        (json!({ "jsonrpc": "2.0", "id": 1, "method": "m", "params": [1] }), "refused"),
        (json!({ "jsonrpc": "2.0", "id": 1, "method": "m", "result": {} }), "refused"),
        (json!({ "jsonrpc": "2.0", "id": 1, "result": {}, "error": error }), "refused"),
        (json!({ "jsonrpc": "2.0", "result": {} }), "refused"),
        (json!({ "jsonrpc": "2.0", "id": 1 }), "refused"),
        (json!({ "jsonrpc": "1.0", "id": 1, "method": "m" }), "refused"),
        (json!({ "id": 1, "method": "m" }), "refused"),
        (json!([]), "refused"),
    ];
    for (message, expected) in cases {
        assert_eq!(kind(message.clone()), expected, "{message}");
    }
}

#[test]
fn a_response_without_an_id_encodes_without_one() {
    let response = JsonRpcErrorResponse::new(None, ErrorObject::new(Code::ParseError, "not JSON"));
    let expected = json!({ "jsonrpc": "2.0", "error": { "code": -32700, "message": "not JSON" } });
    assert_eq!(serde_json::to_value(response).expect("it encodes"), expected);
}

#[test]
fn a_client_request_is_read_by_its_method() {
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let request =
        |method: &str, params: Value| json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let call = request("tools/call", json!({ "_meta": meta, "name": "echo" }));
    let decoded = decode::<ClientRequest>(call.clone()).expect("a call");
    assert!(matches!(&decoded, ClientRequest::CallTool(request) if request.params.name == "echo"));
    assert_eq!(serde_json::to_value(&decoded).expect("it encodes"), call);
    let unknown = decode::<ClientRequest>(request("tools/cal", json!({ "_meta": meta }))).expect_err("no such method");
    assert!(unknown.contains("tools/cal"), "{unknown}");
    let bare = decode::<ClientRequest>(request("tools/list", json!({ "_meta": {} }))).expect_err("no version");
    assert!(bare.contains("io.modelcontextprotocol/protocolVersion"), "{bare}");
}

#[test]
fn a_modern_server_does_not_send_legacy_notifications() {
    let notification = |method: &str| json!({ "jsonrpc": "2.0", "method": method });
    assert!(decode::<ServerNotification>(notification("notifications/tools/list_changed")).is_ok());
    assert!(decode::<ServerNotification>(notification("notifications/initialized")).is_err());
}

#[test]
fn errors_carry_the_data_that_the_specification_fixes() {
    let error = ErrorObject::unsupported_version("1900-01-01", &Version::MODERN);
    let data: UnsupportedProtocolVersionData = error.data_as().expect("data");
    assert_eq!((error.code, data.requested.as_str()), (-32022, "1900-01-01"));
    assert_eq!(data.supported, ["2026-07-28"]);

    let required = ClientCapabilities { elicitation: Some(ElicitationCapability::url()), ..Default::default() };
    let error = ErrorObject::missing_capability(&required);
    let data: MissingRequiredClientCapabilityData = error.data_as().expect("data");
    assert_eq!((error.code, data.required_capabilities), (-32021, required));
    assert!(ErrorObject::new(Code::InternalError, "no").data_as::<UnsupportedProtocolVersionData>().is_err());
}

#[test]
fn an_unknown_result_type_is_kept_as_it_came() {
    assert_eq!(ResultType::from("task"), ResultType::Other("task".to_owned()));
    assert_eq!(ResultType::from("complete"), ResultType::Complete);
    assert_eq!(decode::<ResultType>(json!("input_required")), Ok(ResultType::InputRequired));
}
