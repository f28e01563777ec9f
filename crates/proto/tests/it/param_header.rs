//! Spec: basic/transports/streamable-http, "Custom Headers from Tool Parameters".

use anypod_proto::param_header::{
    MAX_PARAM_HEADERS, ParamHeaderErrorKind, ParamHeaders, ParamKind, ParamMismatch, ParamMismatchKind,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;
use serde_json::{Value, json};

fn refusal(schema: &Value) -> (String, ParamHeaderErrorKind) {
    let error = ParamHeaders::from_schema(schema).expect_err("the schema is to be refused");
    (error.path, error.kind)
}

fn with_property(property: &Value) -> Value {
    json!({"type": "object", "properties": {"a": property}})
}

/// Text `s`, integer `n`, boolean `b`, and text `deep/er` two levels down.
fn params() -> ParamHeaders {
    ParamHeaders::from_schema(&json!({
        "type": "object",
        "properties": {
            "s": {"type": "string", "x-mcp-header": "Text"},
            "n": {"type": ["integer", "null"], "x-mcp-header": "Count"},
            "b": {"type": "boolean", "x-mcp-header": "Flag"},
            "o": {"type": "object", "properties": {"deep/er": {"type": "string", "x-mcp-header": "Deep"}}},
        },
    }))
    .expect("the annotations are valid")
}

fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
    let value = |text| HeaderValue::from_str(text).expect("visible ASCII");
    lines.iter().map(|(name, text)| (HeaderName::from_static(name), value(text))).collect()
}

fn check(lines: &[(&'static str, &str)], arguments: &str) -> Result<(), ParamMismatch> {
    params().check(&headers(lines), Some(arguments))
}

fn mismatch(lines: &[(&'static str, &str)], arguments: &str) -> ParamMismatchKind {
    check(lines, arguments).expect_err("the headers are to be refused").kind
}

#[test]
fn finds_annotations_on_nested_properties() {
    let params = params();
    let found: Vec<_> = params.iter().map(|p| (p.header.as_str(), p.pointer(), p.kind)).collect();
    // In the order of the schema.
    assert_eq!(
        found,
        [
            ("mcp-param-text", "/s".to_owned(), ParamKind::String),
            ("mcp-param-count", "/n".to_owned(), ParamKind::Integer),
            ("mcp-param-flag", "/b".to_owned(), ParamKind::Boolean),
            ("mcp-param-deep", "/o/deep~1er".to_owned(), ParamKind::String),
        ]
    );
}

#[test]
fn refuses_a_name_that_is_no_token() {
    for (name, kind) in [
        (json!(""), ParamHeaderErrorKind::Empty),
        (json!(7), ParamHeaderErrorKind::NotAString),
        (json!("a b"), ParamHeaderErrorKind::NotAToken),
        (json!("a:b"), ParamHeaderErrorKind::NotAToken),
        (json!("a\r\nb"), ParamHeaderErrorKind::NotAToken),
        (json!("ä"), ParamHeaderErrorKind::NotAToken),
    ] {
        let schema = with_property(&json!({"type": "string", "x-mcp-header": name}));
        assert_eq!(refusal(&schema), ("/properties/a".to_owned(), kind), "{name}");
    }
}

#[test]
fn accepts_every_token_character() {
    let name = "!#$%&'*+-.^_`|~09azAZ";
    let schema = with_property(&json!({"type": "string", "x-mcp-header": name}));
    let params = ParamHeaders::from_schema(&schema).unwrap();
    let found: Vec<_> = params.iter().map(|param| param.header.as_str().to_owned()).collect();
    assert_eq!(found, [format!("mcp-param-{}", name.to_lowercase())]);
}

#[test]
fn refuses_names_that_differ_only_in_case() {
    let schema = json!({"type": "object", "properties": {
        "a": {"type": "string", "x-mcp-header": "Region"},
        "b": {"type": "string", "x-mcp-header": "REGION"},
    }});
    let kind = ParamHeaderErrorKind::Duplicate("/properties/a".to_owned());
    assert_eq!(refusal(&schema), ("/properties/b".to_owned(), kind));
}

#[test]
fn refuses_a_type_that_is_not_primitive() {
    for types in [
        json!("number"),
        json!("object"),
        json!("array"),
        json!("null"),
        json!([]),
        json!(["null"]),
        json!(["string", "integer"]),
        json!(["string", "number"]),
        json!(null),
    ] {
        let schema = with_property(&json!({"type": types, "x-mcp-header": "A"}));
        assert_eq!(refusal(&schema).1, ParamHeaderErrorKind::NotPrimitive, "{types}");
    }
    let untyped = with_property(&json!({"x-mcp-header": "A"}));
    assert_eq!(refusal(&untyped).1, ParamHeaderErrorKind::NotPrimitive);
}

#[test]
fn refuses_an_annotation_that_is_not_reached_through_properties_alone() {
    let marked = json!({"type": "string", "x-mcp-header": "A"});
    let object = with_property(&marked);
    let schemas = [
        marked.clone(),
        with_property(&json!({"type": "array", "items": marked})),
        with_property(&json!({"type": "array", "items": object})),
        with_property(&json!({"prefixItems": [object]})),
        with_property(&json!({"contains": marked})),
        with_property(&json!({"additionalProperties": marked})),
        with_property(&json!({"patternProperties": {"^a": marked}})),
        with_property(&json!({"patternProperties": {"^a": object}})),
        with_property(&json!({"x-unknown": [{"x": object}]})),
        json!({"oneOf": [object]}),
        json!({"anyOf": [object]}),
        json!({"allOf": [object]}),
        json!({"not": object}),
        json!({"if": object}),
        json!({"then": object}),
        json!({"else": object}),
        json!({"$defs": {"properties": object}}),
        json!({"definitions": {"properties": {"properties": {"a": marked}}}}),
        json!({"dependentSchemas": {"a": object}}),
        json!({"propertyNames": marked}),
        json!({"unevaluatedProperties": marked}),
    ];
    for schema in schemas {
        assert_eq!(refusal(&schema).1, ParamHeaderErrorKind::Unreachable, "{schema}");
    }
}

#[test]
fn does_not_take_names_and_data_for_annotations() {
    let data = json!({"x-mcp-header": "A", "properties": {"b": {"x-mcp-header": "B"}}});
    let schema = json!({
        "type": "object",
        "properties": {
            "x-mcp-header": {"type": "number"},
            "default": {"type": "object", "default": data, "examples": [data], "enum": [data], "const": data},
            "properties": {"properties": {"x-mcp-header": {"type": "string", "x-mcp-header": "Found"}}},
        },
        "$defs": {"x-mcp-header": {"type": "string"}},
        "required": ["x-mcp-header"],
    });
    let params = ParamHeaders::from_schema(&schema).unwrap();
    let found: Vec<_> = params.iter().map(|param| param.pointer()).collect();
    assert_eq!(found, ["/properties/x-mcp-header"]);
}

#[test]
fn looks_at_properties_that_bear_the_name_of_a_data_keyword() {
    let schema = json!({"properties": {"enum": {"type": "string", "x-mcp-header": "A"}}});
    assert_eq!(ParamHeaders::from_schema(&schema).unwrap().iter().count(), 1);
}

#[test]
fn bounds_number_and_depth() {
    let many = |count: usize| {
        let properties: serde_json::Map<_, _> =
            (0..count).map(|n| (format!("p{n}"), json!({"type": "string", "x-mcp-header": format!("h{n}")}))).collect();
        json!({"type": "object", "properties": properties})
    };
    let params = ParamHeaders::from_schema(&many(MAX_PARAM_HEADERS)).unwrap();
    assert_eq!(params.check(&HeaderMap::new(), Some("{}")), Ok(()));
    assert_eq!(refusal(&many(MAX_PARAM_HEADERS + 1)).1, ParamHeaderErrorKind::TooMany);

    let deep = (0..200).fold(json!({}), |schema, _| json!({"not": schema}));
    assert_eq!(refusal(&deep).1, ParamHeaderErrorKind::TooDeep);
}

#[test]
fn accepts_headers_that_mirror_the_arguments() {
    let all = [
        ("mcp-param-text", "=?base64?SGVsbG8sIOS4lueVjA==?="),
        ("mcp-param-count", "42"),
        ("mcp-param-flag", "true"),
        ("mcp-param-deep", "us-west1"),
    ];
    let arguments = r#" {"s":"Hello, \u4e16界", "x":[{"s":1}], "n":42, "o":{"x":{}, "deep/er":"us-west1"}, "b":true} "#;
    assert_eq!(check(&all, arguments), Ok(()));
    assert_eq!(check(&[], "{}"), Ok(()));
    assert_eq!(check(&[], r#"{"s":null,"n":null,"b":null,"o":null}"#), Ok(()));
    assert_eq!(check(&[("mcp-param-other", "ignored")], "{}"), Ok(()));
    assert_eq!(params().check(&HeaderMap::new(), None), Ok(()));
}

#[test]
fn compares_integers_as_numbers() {
    for (header, body) in
        [("42", "42.0"), ("42.0", "42"), ("42", "4.2e1"), ("-0", "0"), ("9007199254740991", "9007199254740991")]
    {
        assert_eq!(check(&[("mcp-param-count", header)], &format!(r#"{{"n":{body}}}"#)), Ok(()), "{header} {body}");
    }
    // Equal as 64-bit floats.
    let kind = mismatch(&[("mcp-param-count", "1.0000000000000000001")], r#"{"n":1}"#);
    assert!(matches!(kind, ParamMismatchKind::Differs { .. }), "{kind}");
    for (header, body) in [("9007199254740992", "1"), ("1", "9007199254740992"), ("1e400", "-1"), ("1", "-1e400")] {
        let kind = mismatch(&[("mcp-param-count", header)], &format!(r#"{{"n":{body}}}"#));
        assert!(matches!(kind, ParamMismatchKind::OutOfRange { .. }), "{kind}");
    }
}

#[test]
fn rejects_headers_that_do_not_mirror_the_arguments() {
    let differs = |header: &str, body: &str| ParamMismatchKind::Differs {
        header_value: header.to_owned(),
        body_value: body.to_owned(),
    };
    let cases: [(&[_], _, _); 12] = [
        (&[], r#"{"s":"a"}"#, ParamMismatchKind::Missing { body_value: "a".to_owned() }),
        (&[], r#"{"o":{"deep/er":"a"}}"#, ParamMismatchKind::Missing { body_value: "a".to_owned() }),
        (&[("mcp-param-text", "A")], r#"{"s":"a"}"#, differs("A", "a")),
        (&[("mcp-param-text", "")], r#"{"s":"a"}"#, differs("", "a")),
        (&[("mcp-param-flag", "True")], r#"{"b":true}"#, differs("True", "true")),
        (&[("mcp-param-flag", "false")], r#"{"b":true}"#, differs("false", "true")),
        (&[("mcp-param-count", "0x1")], r#"{"n":1}"#, differs("0x1", "1")),
        (&[("mcp-param-text", "a")], r#"{"s":null}"#, ParamMismatchKind::Unexpected { header_value: "a".to_owned() }),
        (&[("mcp-param-deep", "a")], "{}", ParamMismatchKind::Unexpected { header_value: "a".to_owned() }),
        (&[("mcp-param-deep", "a")], r#"{"o":[]}"#, ParamMismatchKind::Unexpected { header_value: "a".to_owned() }),
        (&[("mcp-param-text", "a"), ("mcp-param-text", "a")], r#"{"s":"a"}"#, ParamMismatchKind::Repeated),
        (&[("mcp-param-text", "a"), ("mcp-param-text", "a")], "{}", ParamMismatchKind::Repeated),
    ];
    for (lines, arguments, kind) in cases {
        assert_eq!(mismatch(lines, arguments), kind, "{arguments}");
    }
    let without_arguments = params().check(&headers(&[("mcp-param-text", "a")]), None);
    assert!(matches!(without_arguments.unwrap_err().kind, ParamMismatchKind::Unexpected { .. }));
}

#[test]
fn rejects_a_header_with_invalid_characters_or_encoding() {
    for value in [&b"caf\xc3\xa9"[..], b"=?base64?!?=", b"=?base64?/w==?="] {
        let mut headers = HeaderMap::new();
        headers.insert("mcp-param-text", HeaderValue::from_bytes(value).unwrap());
        let kind = params().check(&headers, Some(r#"{"s":"caf\u00e9"}"#)).unwrap_err().kind;
        assert!(matches!(kind, ParamMismatchKind::Malformed(_)), "{kind}");
    }
}

#[test]
fn rejects_arguments_that_name_a_property_on_the_path_twice() {
    for (lines, arguments) in [
        (&[("mcp-param-text", "a")][..], r#"{"s":"a","s":"a"}"#),
        (&[("mcp-param-text", "a")], r#"{"s":"a","\u0073":"b"}"#),
        (&[], r#"{"o":{},"o":{}}"#),
        (&[], r#"{"s":null,"s":null}"#),
    ] {
        assert_eq!(mismatch(lines, arguments), ParamMismatchKind::DuplicateKey, "{arguments}");
    }
    assert_eq!(check(&[], r#"{"x":1,"x":2}"#), Ok(()));
}

#[test]
fn leaves_values_of_another_type_to_schema_validation() {
    for arguments in [r#"{"s":1}"#, r#"{"n":"1"}"#, r#"{"n":1.5}"#, r#"{"b":{}}"#, r#"{"o":7}"#, "[]", "7"] {
        assert_eq!(check(&[], arguments), Ok(()), "{arguments}");
    }
    let kind = mismatch(&[("mcp-param-text", "1")], r#"{"s":1}"#);
    assert_eq!(kind, ParamMismatchKind::Differs { header_value: "1".to_owned(), body_value: "1".to_owned() });
}

#[test]
fn says_which_header_and_argument_differ_and_cuts_long_values() {
    let error = check(&[("mcp-param-deep", "eu")], r#"{"o":{"deep/er":"us"}}"#).unwrap_err();
    assert_eq!(
        error.to_string(),
        "header `mcp-param-deep` does not mirror the argument `/o/deep~1er`: \
         the header says `eu`, the argument is `us`"
    );
    let long = format!(r#"{{"s":"{}"}}"#, "ä".repeat(1000));
    let body_value = format!("{}…", "ä".repeat(64));
    assert_eq!(mismatch(&[], &long), ParamMismatchKind::Missing { body_value });
}

#[test]
fn encodes_what_the_specification_shows() {
    let arguments = json!({"s": " padded ", "n": 42.0, "b": false, "o": {"deep/er": "us-west1"}});
    let lines: HeaderMap = params().encode(&arguments).unwrap().into_iter().collect();
    let expected = [
        ("mcp-param-text", "=?base64?IHBhZGRlZCA=?="),
        ("mcp-param-count", "42"),
        ("mcp-param-flag", "false"),
        ("mcp-param-deep", "us-west1"),
    ];
    assert_eq!(lines, headers(&expected));
}

#[test]
fn encodes_nothing_for_null_absent_and_mistyped_arguments() {
    for arguments in [json!({}), json!(null), json!({"s": null, "n": "1", "b": 0, "o": "x"}), json!({"n": 1.5})] {
        assert_eq!(params().encode(&arguments), Ok(Vec::new()), "{arguments}");
    }
}

#[test]
fn does_not_encode_integers_that_would_lose_digits() {
    for n in [json!(9_007_199_254_740_992_u64), json!(i64::MIN), json!(1e300)] {
        assert_eq!(params().encode(&json!({"n": n})).unwrap_err().path, "/n");
    }
}

fn arguments() -> impl Strategy<Value = Value> {
    let text = || prop_oneof![any::<String>(), "[ -~]{0,12}", Just("=?base64?YQ==?=".to_owned())];
    let text = move || prop_oneof![text().prop_map(Value::from), Just(Value::Null), Just(json!(7))];
    let count = prop_oneof![(-(1i64 << 53) + 1..1i64 << 53).prop_map(Value::from), any::<f64>().prop_map(Value::from)];
    (text(), count, any::<bool>(), text())
        .prop_map(|(s, n, b, deep)| json!({"s": s, "n": n, "b": b, "o": {"deep/er": deep}}))
}

proptest! {
    #[test]
    fn accepts_what_it_encodes_and_rejects_every_line_left_out(arguments in arguments()) {
        let params = params();
        if let Ok(lines) = params.encode(&arguments) {
            let body = arguments.to_string();
            let headers: HeaderMap = lines.iter().cloned().collect();
            prop_assert_eq!(params.check(&headers, Some(&body)), Ok(()));
            for (name, _) in lines {
                let mut fewer = headers.clone();
                fewer.remove(&name);
                let error = params.check(&fewer, Some(&body)).unwrap_err();
                prop_assert_eq!(error.header, name);
            }
        }
    }

    #[test]
    fn never_panics_on_hostile_input(header in any::<Vec<u8>>(), body in "[\\[\\]{}\"snbo:,0-9eE.+-]{0,40}") {
        let mut headers = HeaderMap::new();
        if let Ok(value) = HeaderValue::from_bytes(&header) {
            for name in ["mcp-param-text", "mcp-param-count"] {
                headers.insert(name, value.clone());
            }
        }
        let serde: Result<Value, _> = serde_json::from_str(&body);
        if params().check(&headers, Some(&body)).is_ok() {
            prop_assert!(serde.is_ok(), "{}", body);
        }
    }
}
