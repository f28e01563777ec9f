//! Calls made of admitted requests: what was asked is what is sent.

use anypod_client::proto::admit::{Admitted, Carrier, admit};
use anypod_client::proto::method::Method;
use anypod_client::proto::reject::Rejection;
use anypod_client::proto::request::Request;
use anypod_client::{Call, Client, Identity, Repeat};
use futures_util::FutureExt as _;
use http::HeaderMap;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::exchange;
use crate::scripted::Scripted;

const CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
const INFO: &str = "io.modelcontextprotocol/clientInfo";
const LEVEL: &str = "io.modelcontextprotocol/logLevel";
const VERSION: &str = "io.modelcontextprotocol/protocolVersion";
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01";

fn admitted(text: &str) -> Request {
    match admit(Carrier::Stream, text.as_bytes().to_vec(), |_| None) {
        Ok(Admitted::Request(request)) => request,
        other => panic!("{other:?}"),
    }
}

/// A request with these members of `params`, as text, and of `_meta`.
fn request(method: &str, params: &str, meta: &str) -> Request {
    admitted(&format!(
        r#"{{"jsonrpc":"2.0","id":7,"method":"{method}","params":{{{params}{}"_meta":{{"{VERSION}":"2026-07-28","{CAPABILITIES}":{{}}{meta}}}}}}}"#,
        if params.is_empty() { "" } else { "," },
    ))
}

fn call(method: &str, params: &str, meta: &str) -> Call {
    Call::of_request(&request(method, params, meta)).unwrap()
}

#[track_caller]
fn params(call: &Call, expected: &str) {
    assert_eq!(std::str::from_utf8(&call.params).unwrap(), expected);
}

#[test]
fn parameters_are_copied_as_they_stand() {
    let call = call("tools/call", r#" "n\u0061me" : "a\/b", "arguments":{ "x" : 1.50, "x":2 } , "z":[ ] "#, "");
    params(&call, r#""n\u0061me":"a\/b","arguments":{ "x" : 1.50, "x":2 },"z":[ ]"#);
    assert_eq!((call.method.as_ref(), call.name.as_deref()), ("tools/call", Some("a/b")));
    assert!(call.meta.is_empty() && call.answers.is_none() && call.trace.is_none() && !call.progress);
    assert_eq!((call.repeat, call.log_level), (Repeat::Never, None));
}

#[test]
fn each_method_is_about_what_its_name_header_mirrors() {
    for (method, text, name) in [
        ("prompts/get", r#""name":"p""#, Some("p")),
        ("resources/read", r#""uri":"file:///a","name":"no""#, Some("file:///a")),
        ("tasks/get", r#""taskId":"t1""#, Some("t1")),
        ("tasks/update", r#""taskId":"t2","inputResponses":{}"#, Some("t2")),
        ("tasks/cancel", r#""taskId":3"#, None),
        ("tools/list", r#""cursor":"c","name":"no""#, None),
        ("com.example/own", r#""name":"no","taskId":"no""#, None),
    ] {
        let call = call(method, text, "");
        assert_eq!((call.method.as_ref(), call.name.as_deref()), (method, name));
        let safe = method != "com.example/own";
        assert_eq!(call.repeat == Repeat::Safe, safe, "{method}");
    }
}

#[test]
fn what_the_protocol_says_in_meta_becomes_parts_of_the_call() {
    let meta = format!(
        r#","{INFO}":{{"name":"a","version":"1"}},"{LEVEL}":"warning","progressToken":"mine","traceparent":"{PARENT}","tracestate":"a=1","baggage":"k=v","com.example/a" : [1, 2],"com.example/b":"traceparent""#
    );
    let call = call("tools/list", "", &meta);
    assert_eq!(std::str::from_utf8(&call.meta).unwrap(), r#""com.example/a":[1, 2],"com.example/b":"traceparent""#);
    assert!(call.progress);
    assert_eq!(call.log_level.unwrap().to_string(), "warning");
    let trace = call.trace.unwrap();
    assert_eq!(trace.parent.unwrap().to_string(), PARENT);
    assert_eq!((trace.state.as_deref(), trace.baggage.as_deref()), (Some("a=1"), Some("k=v")));
}

#[test]
fn a_trace_that_is_not_valid_is_left_out() {
    assert!(call("tools/list", "", r#","traceparent":"00-0-0-00","tracestate":"a=1","baggage":"=""#).trace.is_none());
    let baggage = call("tools/list", "", r#","traceparent":"no","baggage":"k=v""#).trace.unwrap();
    assert_eq!((baggage.parent, baggage.state, baggage.baggage.as_deref()), (None, None, Some("k=v")));
}

#[test]
fn answers_and_state_are_parts_of_the_call() {
    let text = r#""name":"t","inputResponses":{ "k" : {"action":"cancel"} },"requestState":"s\u0041""#;
    let made = call("tools/call", text, "");
    params(&made, r#""name":"t""#);
    let answers = made.answers.unwrap();
    assert_eq!(answers.responses.unwrap().as_str(), r#"{ "k" : {"action":"cancel"} }"#);
    assert_eq!(answers.state.as_deref(), Some("sA"));
    let only_state = call("tools/call", r#""name":"t","requestState":"""#, "").answers.unwrap();
    assert_eq!((only_state.responses, only_state.state.as_deref()), (None, Some("")));
}

#[test]
fn a_member_that_stands_twice_is_refused() {
    for (method, text) in [
        ("tasks/get", r#""taskId":"a","taskId":"b""#),
        ("tasks/get", r#""taskId":"a","task\u0049d":"b""#),
        ("completion/complete", r#""ref":{},"argument":{},"ref":{}"#),
    ] {
        let refused = Call::of_request(&request(method, text, "")).unwrap_err();
        assert!(matches!(refused, Rejection::DuplicateMember(_)), "{refused}");
    }
}

#[test]
fn is_renamed_where_it_stands_and_the_rest_stays() {
    let mut made = call("tools/call", r#""a":1,"n\u0061me":"up__t","arguments":{ }"#, "");
    made.rename("t\"").unwrap();
    params(&made, r#""a":1,"n\u0061me":"t\"","arguments":{ }"#);
    assert_eq!(made.name.as_deref(), Some("t\""));
    let mut read = call("resources/read", r#""uri":"x:a""#, "");
    read.rename("y:b").unwrap();
    params(&read, r#""uri":"y:b""#);
    let mut list = call("tools/list", r#""cursor":"sealed","name":"a""#, "");
    list.rename("b").unwrap();
    params(&list, r#""cursor":"sealed","name":"a""#);
    assert_eq!(list.name, None);
    list.set_param("cursor", Some(br#""theirs""#)).unwrap();
    params(&list, r#""cursor":"theirs","name":"a""#);
    list.set_param("cursor", None).unwrap();
    list.set_param("other", Some(b"[]")).unwrap();
    params(&list, r#""name":"a","other":[]"#);
    let mut bare = Call::new(Method::ToolsList);
    bare.set_param("cursor", Some(br#""c""#)).unwrap();
    params(&bare, r#""cursor":"c""#);
}

#[test]
fn a_client_is_who_its_request_says() {
    let meta = format!(r#","{INFO}":{{"name":"a","version":"1","x-own":[1]}}"#);
    let identity = Identity::of_request(&request("tools/list", "", &meta)).unwrap();
    assert_eq!(identity.info().name, "a");
    assert!(Identity::of_request(&request("tools/list", "", &format!(r#","{INFO}":{{}}"#))).is_none());
    let sent = sent(&request("tools/list", "", &meta));
    assert_eq!(sent["params"]["_meta"][INFO], json!({ "name": "a", "version": "1", "x-own": [1] }));
    assert_eq!(self::sent(&request("tools/list", "", ""))["params"]["_meta"].get(INFO), None);
}

/// The message that a modern server gets of a request that is passed on.
fn sent(request: &Request) -> Value {
    let server = Scripted::new(|_| Ok(json!({ "resultType": "complete" })));
    let upstream = Client::builder().service_endpoint(server.clone()).modern();
    let call = Call::of_request(request).unwrap();
    let identity = Identity::of_request(request).unwrap();
    let headers = HeaderMap::new();
    let sent = upstream.send(&call, &identity, &headers).now_or_never().expect("it is answered at once");
    exchange(sent.unwrap());
    server.asked().swap_remove(0)
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(any::<String>(), inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn members() -> impl Strategy<Value = Map<String, Value>> {
    prop::collection::hash_map(any::<String>(), json_value(), 0..5).prop_map(|map| map.into_iter().collect())
}

prop_compose! {
    fn any_params()(
        mut params in members(),
        mut meta in members(),
        arguments in prop::option::of(members()),
        responses in prop::option::of(members()),
        state in prop::option::of(any::<String>()),
        name in any::<String>(),
        token in prop::option::of(prop_oneof![any::<i64>().prop_map(Value::from), any::<String>().prop_map(Value::from)]),
        is_traced in any::<bool>(),
    ) -> Map<String, Value> {
        meta.insert(VERSION.into(), json!("2026-07-28"));
        meta.insert(CAPABILITIES.into(), json!({ "elicitation": {}, "own": { "x": 1 } }));
        meta.insert(INFO.into(), json!({ "name": "a", "version": "1" }));
        if let Some(token) = token {
            meta.insert("progressToken".into(), token);
        }
        if is_traced {
            meta.insert("traceparent".into(), PARENT.into());
        }
        for (key, value) in [("arguments", arguments), ("inputResponses", responses)] {
            if let Some(value) = value {
                params.insert(key.into(), value.into());
            }
        }
        if let Some(state) = state {
            params.insert("requestState".into(), state.into());
        }
        for key in ["name", "uri", "taskId"] {
            params.insert(key.into(), name.clone().into());
        }
        params.insert("_meta".into(), meta.into());
        params
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn a_request_that_is_passed_on_asks_the_same(
        params in any_params(),
        method in prop::sample::select(vec!["tools/call", "prompts/get", "resources/read", "tasks/update", "a/b"]),
        is_pretty in any::<bool>(),
    ) {
        let message = json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params });
        let text = if is_pretty { serde_json::to_string_pretty(&message).unwrap() } else { message.to_string() };
        let mut sent = sent(&admitted(&text));
        // The token is another one, and there if there was one.
        let id = sent["id"].clone();
        let token = sent["params"]["_meta"].as_object_mut().unwrap().remove("progressToken");
        let mut expected = params.clone();
        let wanted = expected["_meta"].as_object_mut().unwrap().remove("progressToken");
        prop_assert_eq!(token, wanted.map(|_| id));
        prop_assert_eq!(&sent["method"], method);
        prop_assert_eq!(&sent["params"], &Value::Object(expected));
    }
}
