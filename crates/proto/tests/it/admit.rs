//! Admission: what it takes, what it makes of it, and that nothing makes it say two things.

use std::borrow::Cow;

use anypod_proto::admit::{Admitted, Carrier, LegacyKind, MAX_BATCH, admit, check};
use anypod_proto::header::{self, encode_value};
use anypod_proto::method::{LegacyMethod, Method};
use anypod_proto::reject::{Refused, Rejection};
use anypod_proto::request::Request;
use anypod_proto::version::Version;
use http::{HeaderMap, HeaderValue};
use proptest::collection::btree_map;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::json::{Speller, json as any_json};

fn admitted(headers: &HeaderMap, body: impl Into<Vec<u8>>) -> Result<Admitted, Refused> {
    admit(Carrier::Http(headers), body.into(), |_| None)
}

fn request(admitted: Result<Admitted, Refused>) -> Result<Request, Rejection> {
    match admitted {
        Ok(Admitted::Request(request)) => Ok(request),
        Ok(other) => panic!("no modern request: {other:?}"),
        Err(refused) => Err(refused.rejection),
    }
}

fn headers(method: &str, name: Option<&str>) -> HeaderMap {
    let value = |text: &str| HeaderValue::from_bytes(text.as_bytes()).expect("a header value");
    let mut headers = HeaderMap::new();
    headers.insert(header::PROTOCOL_VERSION, value("2026-07-28"));
    headers.insert(header::METHOD, value(method));
    if let Some(name) = name {
        headers.insert(header::NAME, value(&encode_value(name)));
    }
    headers
}

/// The member of `params` that a header mirrors.
fn mirrored(method: Method) -> Option<&'static str> {
    match method {
        Method::ToolsCall | Method::PromptsGet => Some("name"),
        Method::ResourcesRead => Some("uri"),
        Method::Discover
        | Method::ToolsList
        | Method::PromptsList
        | Method::ResourcesList
        | Method::ResourceTemplatesList
        | Method::Complete
        | Method::SubscriptionsListen => None,
    }
}

/// A request that is in order, and what it says.
#[derive(Debug, Clone)]
struct Valid {
    method: Method,
    name: String,
    message: Value,
    headers: HeaderMap,
}

fn unknown_members() -> impl Strategy<Value = Map<String, Value>> {
    btree_map("x-[a-z\\PC]{0,6}", any_json(), 0..3).prop_map(Map::from_iter)
}

fn valid() -> impl Strategy<Value = Valid> {
    let ids = prop_oneof![any::<i64>().prop_map(Value::from), any::<String>().prop_map(Value::from)];
    let arguments =
        btree_map(any::<String>(), any_json(), 0..4).prop_map(|members| Value::from(Map::from_iter(members)));
    let more = (unknown_members(), unknown_members(), unknown_members());
    let tokens = prop_oneof![
        Just(None),
        any::<i64>().prop_map(|token| Some(Value::from(token))),
        any::<String>().prop_map(|token| Some(Value::from(token))),
    ];
    (prop::sample::select(Method::ALL), any::<String>(), ids, arguments, more, tokens).prop_map(
        |(method, name, id, arguments, (frame, params, meta), token)| {
            let mut message = json!({ "jsonrpc": "2.0", "id": id, "method": method.as_str(), "params": {
                "arguments": arguments,
                "_meta": {
                    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                    "io.modelcontextprotocol/clientCapabilities": { "elicitation": {} },
                },
            }});
            let own = mirrored(method);
            if let Some(member) = own {
                message["params"][member] = json!(name);
            }
            if let Some(token) = token {
                message["params"]["_meta"]["progressToken"] = token;
            }
            for (at, more) in [("", frame), ("/params", params), ("/params/_meta", meta)] {
                let object = message.pointer_mut(at).and_then(Value::as_object_mut).expect("an object");
                object.extend(more);
            }
            let headers = headers(method.as_str(), own.map(|_| name.as_str()));
            Valid { method, name, message, headers }
        },
    )
}

/// What a request says, as its methods tell it.
fn view(request: &Request) -> Value {
    let raw = |raw: Option<&str>| raw.map(|raw| serde_json::from_str::<Value>(raw).expect("a slice is JSON"));
    json!({
        "id": raw(Some(request.id())),
        "method": request.method_name(),
        "name": request.name(),
        "uri": request.uri(),
        "cursor": request.cursor(),
        "state": request.request_state(),
        "arguments": raw(request.arguments()),
        "responses": raw(request.input_responses()),
        "token": raw(request.progress_token()),
        "capabilities": raw(request.client_capabilities()),
        "client": raw(request.client_info()),
        "level": request.log_level(),
        "params": raw(Some(request.params())),
    })
}

/// What the message says, as `serde_json` reads it. Its numbers end where a double does.
fn read(text: &str) -> Option<Value> {
    let message: Value = match serde_json::from_str(text) {
        Ok(message) => message,
        Err(error) if error.to_string().starts_with("number out of range") => return None,
        Err(error) => panic!("{error}: {text}"),
    };
    let params = &message["params"];
    let own = |key: &str| &params["_meta"][format!("io.modelcontextprotocol/{key}")];
    Some(json!({
        "id": message["id"],
        "method": message["method"],
        "name": params["name"],
        "uri": params["uri"],
        "cursor": params["cursor"],
        "state": params["requestState"],
        "arguments": params["arguments"],
        "responses": params["inputResponses"],
        "token": params["_meta"]["progressToken"],
        "capabilities": own("clientCapabilities"),
        "client": own("clientInfo"),
        "level": own("logLevel"),
        "params": params,
    }))
}

/// A method with a name, where the name matters most.
fn named() -> impl Strategy<Value = (Method, String)> {
    let methods = vec![Method::ToolsCall, Method::PromptsGet, Method::ResourcesRead];
    (prop::sample::select(methods), any::<String>())
}

fn message(method: Method, name: &str) -> Value {
    let mut message = json!({ "jsonrpc": "2.0", "id": 1, "method": method.as_str(), "params": { "_meta": {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    }}});
    if let Some(member) = mirrored(method) {
        message["params"][member] = json!(name);
    }
    message
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn takes_a_valid_request_in_any_spelling_and_gives_the_same_view(valid in valid(), seeds in any::<[u64; 3]>()) {
        for seed in seeds {
            let text = Speller::new(seed).spell(&valid.message);
            let by_http = request(admitted(&valid.headers, text.clone()));
            let by_stream = request(admit(Carrier::Stream, text.clone().into_bytes(), |_| None));
            for taken in [by_http, by_stream] {
                let taken = taken.map_err(|why| TestCaseError::fail(format!("{why}: {text}")))?;
                prop_assert_eq!(Some(view(&taken)), read(&text));
                prop_assert_eq!((taken.method(), taken.version()), (Some(valid.method), Version::LATEST));
                if mirrored(valid.method).is_some() {
                    let name = taken.name().or(taken.uri()).map(Cow::into_owned);
                    prop_assert_eq!(name, Some(valid.name.clone()));
                }
            }
        }
    }

    #[test]
    fn never_panics(body in prop::collection::vec(any::<u8>(), 0..200), value in "[ -~]{0,20}") {
        for carrier in [Carrier::Stream, Carrier::Http(&headers(value.trim(), Some(&value)))] {
            if let Err(refused) = admit(carrier, body.clone(), |_| None) {
                let response: Value = serde_json::from_slice(&refused.to_response()).expect("JSON");
                prop_assert!(response["error"]["code"].is_i64());
            }
        }
    }

    #[test]
    fn never_panics_on_json(value in any_json(), seed in any::<u64>()) {
        let text = Speller::new(seed).spell(&value);
        for carrier in [Carrier::Stream, Carrier::Http(&headers("tools/call", Some("echo")))] {
            let _ = admit(carrier, text.clone().into_bytes(), |_| None);
        }
    }

    #[test]
    fn what_is_taken_is_what_any_other_reader_would_read(
        valid in valid(),
        seed in any::<u64>(),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..4),
    ) {
        // Pieces of the message are repeated anywhere in it, which also makes members stand twice.
        let mut text = Speller::new(seed).spell(&valid.message);
        for (from, to, at) in cuts {
            let places: Vec<_> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
            let [from, to, at] = [from, to, at].map(|index| places[index.index(places.len())]);
            let piece = text[from.min(to)..from.max(to)].to_owned();
            text.insert_str(at, &piece);
        }
        if let Ok(Admitted::Request(request)) = admitted(&valid.headers, text.clone())
            && let Some(read) = read(&text)
        {
            prop_assert_eq!(view(&request), read);
        }
    }

    #[test]
    fn refuses_every_name_that_the_header_does_not_say((method, name) in named(), other in any::<String>(), seed in any::<u64>()) {
        prop_assume!(name != other);
        let text = Speller::new(seed).spell(&message(method, &name));
        let why = request(admitted(&headers(method.as_str(), Some(&other)), text)).expect_err("refused");
        let differs = matches!(&why, Rejection::HeaderMismatch { header: which, .. } if which == header::NAME);
        prop_assert!(differs, "{}", why);
    }

    #[test]
    fn refuses_every_header_with_a_byte_changed(
        (method, name) in named(),
        which in 0..3_usize,
        at in any::<prop::sample::Index>(),
        with in any::<u8>(),
    ) {
        let mut headers = headers(method.as_str(), Some(&name));
        let header = [header::PROTOCOL_VERSION, header::METHOD, header::NAME][which].clone();
        let mut value = headers[&header].as_bytes().to_vec();
        prop_assume!(!value.is_empty());
        let at = at.index(value.len());
        prop_assume!(value[at] != with);
        value[at] = with;
        let Ok(value) = HeaderValue::from_bytes(&value) else { return Ok(()) };
        headers.insert(header, value);
        let why = request(admitted(&headers, message(method, &name).to_string())).expect_err("refused");
        prop_assert_eq!(why.code().number(), -32020, "{}", why);
    }
}

fn plain() -> (HeaderMap, Value) {
    (headers("tools/call", Some("echo")), message(Method::ToolsCall, "echo"))
}

#[test]
fn a_request_may_come_without_what_is_optional() {
    let (headers, message) = plain();
    let request = request(admitted(&headers, message.to_string())).expect("it is in order");
    assert_eq!((request.arguments(), request.client_info(), request.progress_token()), (None, None, None));
    assert!(request.trace_fields().iter().all(Option::is_none));
}

#[test]
fn a_body_that_stays_where_it_is_is_admitted_alike_if_it_is_a_modern_request() {
    let (mut headers, message) = plain();
    let text = message.to_string();
    let borrowed = |headers: &HeaderMap, body: &[u8]| {
        let checked = check(Carrier::Http(headers), body, |_| None);
        checked.map(|request| request.map(|request| (request.name().map(Cow::into_owned), request.id().to_owned())))
    };
    let expected = Some((Some("echo".to_owned()), "1".to_owned()));
    assert_eq!(borrowed(&headers, text.as_bytes()), Ok(expected));
    let notice = text.replace("\"id\":1,", "");
    assert_eq!(borrowed(&headers, notice.as_bytes()), Ok(None));
    assert_eq!(borrowed(&headers, format!("[{text}]").as_bytes()), Ok(None));
    for body in [&text[1..], "{}", "7", &text.replace("echo", "other")] {
        let owned = admitted(&headers, body).expect_err("refused");
        assert_eq!(borrowed(&headers, body.as_bytes()), Err(owned));
    }
    headers.insert(header::PROTOCOL_VERSION, HeaderValue::from_static("2025-11-25"));
    assert_eq!(borrowed(&headers, br#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#), Ok(None));
}

#[test]
fn the_refusal_of_a_request_names_it_whatever_comes_first() {
    let (mut headers, message) = plain();
    headers.remove(header::METHOD);
    for id in [json!("a \"b\""), json!(-3)] {
        let mut message = message.clone();
        message["id"] = id.clone();
        // The id comes last, after what is refused.
        let text = message.to_string();
        let moved = format!("{{\"method\":5,{}", &text[1..]);
        for body in [text, moved] {
            let refused = admitted(&headers, body).expect_err("refused");
            assert_eq!(refused.id.map(|id| serde_json::from_str::<Value>(&id).expect("JSON")), Some(id.clone()));
        }
    }
}

#[test]
fn the_era_is_decided_by_the_body_then_by_the_header_then_by_the_method() {
    let legacy = |version: Option<&str>, method: &str| {
        let mut headers = HeaderMap::new();
        if let Some(version) = version {
            headers.insert(header::PROTOCOL_VERSION, HeaderValue::from_str(version).expect("a header value"));
        }
        admitted(&headers, json!({ "jsonrpc": "2.0", "id": 1, "method": method }).to_string())
    };
    for version in Version::LEGACY {
        let Ok(Admitted::Legacy(message)) = legacy(Some(version.as_str()), "tools/list") else { panic!("{version:?}") };
        assert_eq!(message.declared, Some(version));
    }
    let Ok(Admitted::Legacy(message)) = legacy(None, LegacyMethod::Initialize.as_str()) else { panic!("no legacy") };
    assert!(message.declared.is_none() && message.opens_session());
    let modern = legacy(None, "server/discover").expect_err("it lacks `_meta`");
    assert!(matches!(modern.rejection, Rejection::ParamMissing(_)), "{modern:?}");
    let nameless = json!({ "_meta": { "io.modelcontextprotocol/clientCapabilities": {} } });
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": nameless }).to_string();
    for carrier in [Carrier::Http(&HeaderMap::new()), Carrier::Stream] {
        let partly = admit(carrier, body.clone().into(), |_| None).expect_err("it lacks the version");
        assert!(matches!(partly.rejection, Rejection::ParamMissing(_)), "{partly:?}");
    }
    let header_only = legacy(Some("2026-07-28"), "tools/list").expect_err("it lacks `_meta`");
    assert!(matches!(header_only.rejection, Rejection::ParamMissing(_)), "{header_only:?}");
    let unknown = legacy(Some("2027-01-01"), "tools/list").expect_err("nobody speaks it");
    assert_eq!(unknown.rejection, Rejection::UnsupportedVersion("2027-01-01".to_owned()));
}

#[test]
fn answers_and_notifications_of_legacy_clients_are_told_apart() {
    let kind = |body: Value| match admit(Carrier::Stream, body.to_string().into_bytes(), |_| None) {
        Ok(Admitted::Legacy(message)) => message.kind,
        other => panic!("{other:?}"),
    };
    let LegacyKind::Answer(answer) = kind(json!({ "jsonrpc": "2.0", "id": "q", "result": { "a": [1] } })) else {
        panic!("no answer")
    };
    assert_eq!((answer.id(), answer.outcome()), ("\"q\"", Ok(r#"{"a":[1]}"#)));
    let LegacyKind::Answer(answer) = kind(json!({ "jsonrpc": "2.0", "id": 7, "error": { "code": 1 } })) else {
        panic!("no answer")
    };
    assert_eq!(answer.outcome(), Err(r#"{"code":1}"#));
    let notice = kind(json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
    assert!(matches!(notice, LegacyKind::Notice(notice) if notice.params() == "{}"));
    for ambiguous in [
        json!({ "jsonrpc": "2.0", "id": 1, "result": {}, "error": {} }),
        json!({ "jsonrpc": "2.0", "id": 1, "method": "ping", "result": {} }),
        json!({ "jsonrpc": "2.0", "result": {} }),
        json!({ "jsonrpc": "2.0" }),
    ] {
        let refused = admit(Carrier::Stream, ambiguous.to_string().into_bytes(), |_| None);
        assert_eq!(refused.expect_err("refused").rejection.code().number(), -32600, "{ambiguous}");
    }
}

#[test]
fn a_batch_is_bounded_and_of_one_revision_only() {
    let batch = |count: usize, version: Option<&str>| {
        let one = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
        let mut headers = HeaderMap::new();
        if let Some(version) = version {
            headers.insert(header::PROTOCOL_VERSION, HeaderValue::from_str(version).expect("a header value"));
        }
        admitted(&headers, Value::from(vec![one; count]).to_string())
    };
    for version in [None, Some("2025-03-26")] {
        assert!(matches!(batch(MAX_BATCH, version), Ok(Admitted::LegacyBatch(all)) if all.len() == MAX_BATCH));
        assert!(batch(MAX_BATCH + 1, version).is_err());
        assert!(batch(0, version).is_err());
    }
    for version in ["2025-06-18", "2025-11-25", "2026-07-28", "2027-01-01"] {
        assert!(batch(1, Some(version)).is_err(), "{version}");
    }
    let (headers, modern) = plain();
    assert!(admitted(&headers, json!([modern]).to_string()).is_err());
    assert!(admit(Carrier::Stream, json!([modern]).to_string().into_bytes(), |_| None).is_err());
    let initialize = json!([{ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {} }]);
    assert!(admit(Carrier::Stream, initialize.to_string().into_bytes(), |_| None).is_err());
}
