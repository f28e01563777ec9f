//! Results, content and their constructors.

use std::{sync::Arc, time::Duration};

use anypod_proto::{
    caching::{CacheScope, Cacheable, Caching},
    completion::Completion,
    content::{BlobResourceContents, ContentBlock, ResourceContents},
    implementation::Implementation,
    jsonrpc::{EmptyResult, JsonObject, ResultBody, ResultType},
    logging::LoggingLevel,
    meta::{RequestMeta, ResultMeta},
    subscriptions::SubscriptionsListenResult,
    tools::{CallToolResult, ListToolsResult, Tool},
};
use serde_json::{Value, json};

fn decode<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, String> {
    serde_json::from_str(&value.to_string()).map_err(|error| error.to_string())
}

#[test]
fn every_result_says_its_type_and_takes_server_info() {
    fn check(mut result: impl ResultBody) {
        let server = Arc::new(Implementation::new("s", "1"));
        *result.meta_mut() = Some(ResultMeta { server_info: Some(server), ..ResultMeta::default() });
        let encoded = serde_json::to_value(&result).expect("it encodes");
        assert_eq!(encoded["resultType"], "complete");
        assert_eq!(encoded["_meta"]["io.modelcontextprotocol/serverInfo"], json!({ "name": "s", "version": "1" }));
    }
    check(EmptyResult::default());
    check(CallToolResult::default());
    check(ListToolsResult::default());
    check(SubscriptionsListenResult::new(1));
}

#[test]
fn a_legacy_result_is_complete_stale_and_private() {
    let result: ListToolsResult = decode(json!({ "tools": [] })).expect("a result");
    assert_eq!(result.result_type, ResultType::Complete);
    assert_eq!(result.caching(), Caching::default());
    assert_eq!(Caching::default(), Caching { ttl_ms: 0, scope: CacheScope::Private });
}

#[test]
fn reads_a_time_to_live_as_the_specification_asks() {
    let ttl = |value: Value| decode::<ListToolsResult>(json!({ "tools": [], "ttlMs": value })).map(|list| list.ttl_ms);
    assert_eq!(ttl(json!(-1)), Ok(0));
    assert_eq!(ttl(json!(-1.5)), Ok(0));
    assert_eq!(ttl(json!(0)), Ok(0));
    assert_eq!(ttl(json!(1500.9)), Ok(1500));
    assert_eq!(ttl(json!(u64::MAX)), Ok(u64::MAX));
    assert!(ttl(json!("1")).expect_err("a string").contains("ttlMs"));
}

#[test]
fn a_caching_hint_reaches_the_wire() {
    let list = ListToolsResult::default().with_caching(Caching::public(Duration::from_secs(2)));
    let encoded = serde_json::to_value(list).expect("it encodes");
    assert_eq!((&encoded["ttlMs"], &encoded["cacheScope"]), (&json!(2000), &json!("public")));
}

#[test]
fn preserves_fields_of_results_that_we_do_not_know() {
    let result =
        json!({ "resultType": "complete", "content": [], "com.example/x": { "y": 1.5 }, "_meta": { "k": [] } });
    let decoded: CallToolResult = decode(result.clone()).expect("a result");
    assert_eq!(serde_json::to_value(decoded).expect("it encodes"), result);
}

#[test]
fn structured_null_is_not_absent() {
    let null: CallToolResult = decode(json!({ "content": [], "structuredContent": null })).expect("a result");
    assert_eq!(null.structured_content, Some(Value::Null));
    let absent: CallToolResult = decode(json!({ "content": [] })).expect("a result");
    assert_eq!(absent.structured_content, None);
    assert!(serde_json::to_value(absent).expect("it encodes").get("structuredContent").is_none());
}

#[test]
fn structured_results_say_the_same_in_text() {
    let result = CallToolResult::structured(json!({ "a": [1] }));
    assert_eq!(result.content[0].as_text(), Some(r#"{"a":[1]}"#));
    assert!(!result.failed());
    assert!(CallToolResult::error("no").failed());
}

#[test]
fn a_tool_is_written_name_first() {
    let text = serde_json::to_string(&Tool::new("t", JsonObject::new()).with_description("d")).expect("it encodes");
    assert_eq!(text, r#"{"name":"t","description":"d","inputSchema":{}}"#);
}

#[test]
fn resource_contents_are_text_or_bytes() {
    let read = |value: Value| decode::<ResourceContents>(value);
    assert!(matches!(read(json!({ "uri": "u", "text": "" })), Ok(ResourceContents::Text(_))));
    assert!(matches!(read(json!({ "uri": "u", "blob": "" })), Ok(ResourceContents::Blob(_))));
    assert!(read(json!({ "uri": "u" })).expect_err("neither").contains("neither"));
    assert!(read(json!({ "uri": "u", "text": "", "blob": "" })).expect_err("both").contains("both"));
    let blob = BlobResourceContents::from_bytes("u", "image/png", &[0, 255, 1]);
    assert_eq!((blob.blob.as_str(), blob.bytes()), ("AP8B", Ok(vec![0, 255, 1])));
}

#[test]
fn refuses_content_of_an_unknown_type() {
    let error = decode::<ContentBlock>(json!({ "type": "video", "data": "" })).expect_err("no such type");
    assert!(error.contains("video"), "{error}");
}

#[test]
fn an_answer_to_a_listen_request_names_it() {
    let result = json!({ "resultType": "complete", "_meta": { "io.modelcontextprotocol/subscriptionId": "l" } });
    let decoded: SubscriptionsListenResult = decode(result).expect("a result");
    assert_eq!(decoded.subscription_id(), Some(&"l".into()));
    assert!(decode::<SubscriptionsListenResult>(json!({ "resultType": "complete" })).is_err());
}

#[test]
fn request_meta_says_which_key_is_wrong() {
    let version = "io.modelcontextprotocol/protocolVersion";
    let capabilities = "io.modelcontextprotocol/clientCapabilities";
    let client = "io.modelcontextprotocol/clientInfo";
    let error = |value: Value| decode::<RequestMeta>(value).expect_err("refused");
    assert!(error(json!({ capabilities: {} })).contains(version));
    assert!(error(json!({ version: "v" })).contains(capabilities));
    assert!(error(json!({ version: "v", capabilities: [] })).contains(capabilities));
    assert!(error(json!({ version: "v", capabilities: {}, client: { "name": "n" } })).contains(client));
    let meta = json!({ version: "v", capabilities: {}, "traceparent": "00-", "progressToken": 1 });
    let decoded: RequestMeta = decode(meta.clone()).expect("meta");
    assert_eq!(decoded.progress_token, Some(1.into()));
    assert_eq!(serde_json::to_value(decoded).expect("it encodes"), meta);
}

#[test]
fn a_completion_holds_a_hundred_values_and_says_if_there_are_more() {
    let completion = |count: usize| Completion::new((0..count).map(|value| value.to_string()));
    assert_eq!((completion(100).values.len(), completion(100).has_more), (100, None));
    assert_eq!((completion(101).values.len(), completion(101).has_more), (100, Some(true)));
}

#[test]
fn log_levels_are_ordered_by_severity_and_named_as_on_the_wire() {
    assert!(LoggingLevel::ALL.is_sorted());
    assert!(LoggingLevel::Debug < LoggingLevel::Emergency);
    for level in LoggingLevel::ALL {
        assert_eq!(LoggingLevel::parse(level.as_str()), Some(level));
        assert_eq!(serde_json::to_value(level).expect("it encodes"), level.as_str());
    }
    assert_eq!(LoggingLevel::parse("Debug"), None);
}
