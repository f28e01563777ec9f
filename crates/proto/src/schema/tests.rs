//! Schemas of every role, and the fast path held against the validator.

use proptest::prelude::*;
use schemars::JsonSchema;
use serde_json::json;

use super::shape::Format;
use super::*;

fn compile(value: &Value, role: Role) -> Result<Schema, SchemaError> {
    Schema::compile(value, role, &Limits::default())
}

fn refusal(value: &Value) -> SchemaErrorKind {
    compile(value, Role::Output).expect_err("the schema is to be refused").kind
}

fn violations(schema: &Value, instance: &str) -> String {
    compile(schema, Role::Output).unwrap().validate_raw(instance).expect_err("the instance is invalid").to_string()
}

fn shape(schema: &Value) -> Option<Shape> {
    Shape::of(schema, Format::Annotation)
}

fn accepts(schema: &Value, instance: &str) -> bool {
    shape(schema).expect("the schema has a shape").accepts(instance)
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is of interest")]
struct Echo {
    /// What to say.
    text: String,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is of interest")]
struct Typical {
    name: String,
    age: u8,
    height: Option<f64>,
    tags: Vec<String>,
    home: Address,
    level: Level,
    counts: std::collections::BTreeMap<String, i64>,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is of interest")]
struct Address {
    street: String,
    zip: Option<u32>,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is of interest")]
enum Level {
    Low,
    High,
}

#[test]
fn takes_the_fast_path_for_derived_schemas() {
    let echo = schemars::schema_for!(Echo).to_value();
    assert!(accepts(&echo, r#"{"text":"hello"}"#));
    assert!(accepts(&echo, &json!({"text": "x".repeat(1 << 20)}).to_string()));
    assert!(!accepts(&echo, r#"{"text":7}"#));
    assert!(!accepts(&echo, "{}"));

    let typical = schemars::schema_for!(Typical).to_value();
    let instance = r#"{"name":"Ada","age":36,"height":1.65,"tags":["a","b"],"home":{"street":"\u00e4","zip":null},
        "level":"High","counts":{"x":1,"y":-2}}"#;
    assert!(accepts(&typical, instance), "{typical}");
    assert!(!accepts(&typical, &instance.replace("36", "256")));
    assert!(!accepts(&typical, &instance.replace("High", "Higher")));
    assert!(compile(&typical, Role::Input).unwrap().validate_raw(instance).is_ok());
}

#[test]
fn the_fast_path_knows_each_keyword_of_its_subset() {
    let cases = [
        (json!(true), "[1e2]", "[1e400]]"),
        (json!({"type": "integer"}), "-7", "1.5"),
        (json!({"type": "number"}), "1.5e3", "\"1\""),
        (json!({"type": ["string", "null"]}), "null", "true"),
        (json!({"minimum": 1, "maximum": 3}), "3", "4"),
        (json!({"minimum": 0.1, "maximum": 0.9}), "0.5", "0.95"),
        (json!({"exclusiveMinimum": 1, "exclusiveMaximum": 3}), "2", "3"),
        (json!({"exclusiveMinimum": -1}), "-0.5", "-1"),
        (json!({"minLength": 2, "maxLength": 3}), r#""äöü""#, r#""\ud83d\ude00""#),
        (json!({"minItems": 1, "maxItems": 2}), "[1,2]", "[]"),
        (json!({"items": {"type": "boolean"}}), "[true,false]", "[0]"),
        (json!({"enum": ["a", 1, true, null]}), "1", "2"),
        (json!({"const": "a\nb"}), r#""a\u000ab""#, r#""a""#),
        (json!({"additionalProperties": false, "properties": {"a": true}}), r#"{"a":1}"#, r#"{"b":1}"#),
        (json!({"additionalProperties": {"type": "null"}}), r#"{"a":null}"#, r#"{"a":1}"#),
        (json!({"required": ["a"], "additionalProperties": {"type": "null"}}), r#"{"a":null}"#, "{}"),
        (json!({"$ref": "#/$defs/A", "$defs": {"A": {"const": 1}}}), "1", "2"),
        (json!({"definitions": {"A": {"const": 1}}, "items": {"$ref": "#/definitions/A", "title": "t"}}), "[1]", "[2]"),
        (json!({"$schema": "x", "title": "t", "format": "uri", "default": 1, "x-mcp-header": "A"}), "\"no uri\"", ""),
    ];
    for (schema, certain, unknown) in cases {
        assert!(accepts(&schema, certain), "{schema} {certain}");
        assert!(!accepts(&schema, unknown), "{schema} {unknown}");
    }
}

#[test]
fn the_fast_path_does_not_know_what_parsers_may_read_differently() {
    let properties = json!({"properties": {"a": {}}});
    assert!(!accepts(&properties, r#"{"a":1,"a":1}"#));
    assert!(!accepts(&properties, r#"{"a":1,"\u0061":1}"#));
    assert!(!accepts(&json!({"type": "number"}), "1e400"));
    assert!(!accepts(&json!({"maximum": 0.3}), "0.3"));
    assert!(!accepts(&json!({"maximum": 9_007_199_254_740_000_u64}), "9007199254740001"));
}

#[test]
fn schemas_outside_the_subset_have_no_fast_path() {
    for schema in [
        json!({"pattern": "a"}),
        json!({"anyOf": [true]}),
        json!({"not": false}),
        json!({"$id": "urn:x"}),
        json!({"prefixItems": [true]}),
        json!({"items": [true]}),
        json!({"uniqueItems": true}),
        json!({"multipleOf": 2}),
        json!({"enum": [1.5]}),
        json!({"const": {}}),
        json!({"minimum": 1e16}),
        json!({"unheard": 1}),
        json!({"$ref": "#/$defs/A", "minimum": 1, "$defs": {"A": true}}),
        json!({"$ref": "#/$defs/A", "$defs": {"A": {"items": {"$ref": "#/$defs/A"}}}}),
        json!({"items": {"$schema": "http://json-schema.org/draft-04/schema#"}}),
    ] {
        assert!(shape(&schema).is_none(), "{schema}");
    }
    assert!(Shape::of(&json!({"format": "uri"}), Format::Assertion).is_none());
}

#[test]
fn references_that_fan_out_have_no_fast_path() {
    let definitions: serde_json::Map<_, _> = (0..20)
        .map(|n| {
            let next = json!({"$ref": format!("#/$defs/D{}", n + 1)});
            (format!("D{n}"), json!({"properties": {"a": next, "b": next}}))
        })
        .chain([("D20".to_owned(), json!(true))])
        .collect();
    assert!(shape(&json!({"$ref": "#/$defs/D0", "$defs": definitions})).is_none());
}

#[test]
fn refuses_other_dialects() {
    for dialect in ["http://json-schema.org/draft-04/schema#", "https://json-schema.org/draft/2019-09/schema", ""] {
        assert!(matches!(refusal(&json!({"$schema": dialect})), SchemaErrorKind::Dialect(_)), "{dialect}");
    }
    assert!(matches!(refusal(&json!({"$schema": 7})), SchemaErrorKind::Dialect(_)));
    for dialect in [
        "http://json-schema.org/draft-07/schema#",
        "http://json-schema.org/draft-07/schema",
        "https://json-schema.org/draft/2020-12/schema",
    ] {
        assert!(compile(&json!({"$schema": dialect}), Role::Output).is_ok(), "{dialect}");
    }
}

#[test]
fn follows_the_declared_dialect() {
    let tuple = json!({"$schema": "http://json-schema.org/draft-07/schema#", "items": [{"type": "string"}]});
    assert!(compile(&tuple, Role::Output).unwrap().validate_raw("[1]").is_err());
    let tuple = json!({"prefixItems": [{"type": "string"}]});
    assert!(compile(&tuple, Role::Output).unwrap().validate_raw("[1]").is_err());
}

#[test]
fn refuses_references_out_of_the_document() {
    for reference in [
        "https://example.com/schema.json",
        "other.json",
        "file:///etc/passwd",
        "#/$defs/Missing",
        "#missing",
        "https://json-schema.org/draft/2020-12/schema",
        "",
    ] {
        for schema in [
            json!({"$ref": reference}),
            json!({"$defs": {"unused": {"$ref": reference}}}),
            json!({"$id": "urn:anypod:test", "items": {"$ref": reference}}),
        ] {
            let used = schema.get("$defs").is_none();
            // An anchor that nothing uses is not looked for, and `""` is the document itself where it has a name.
            let harmless = reference == "#missing" && !used || reference.is_empty() && schema.get("$id").is_some();
            assert!(harmless || compile(&schema, Role::Output).is_err(), "{schema}");
        }
    }
}

#[test]
fn resolves_references_within_the_document() {
    for schema in [
        json!({"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"type": "string"}}}),
        json!({"$ref": "#name", "$defs": {"a": {"$anchor": "name", "type": "string"}}}),
        json!({"$ref": "#/%24defs/a", "$defs": {"a": {"type": "string"}}}),
        json!({"$id": "https://example.com/root", "$ref": "item", "$defs": {"a": {"$id": "item", "type": "string"}}}),
    ] {
        let schema = compile(&schema, Role::Output).unwrap();
        assert!(schema.validate_raw("\"a\"").is_ok());
        assert!(schema.validate_raw("1").is_err());
    }
    let tree = json!({"type": "object", "additionalProperties": {"$ref": "#"}});
    let tree = compile(&tree, Role::Input).unwrap();
    assert!(tree.validate_raw(r#"{"a":{"b":{}}}"#).is_ok());
    assert!(tree.validate_raw(r#"{"a":{"b":1}}"#).is_err());
    let elsewhere = json!({"$ref": "https://example.com"});
    assert!(compile(&json!({"default": elsewhere}), Role::Output).is_ok());
    assert!(matches!(refusal(&json!({"properties": {"default": elsewhere}})), SchemaErrorKind::Reference(_)));
}

#[test]
fn bounds_depth_number_and_length() {
    let deep = |levels: usize| (0..levels).fold(json!({}), |schema, _| json!({"not": schema}));
    let default = Limits::default();
    assert!(compile(&deep(default.depth), Role::Output).is_ok());
    assert_eq!(refusal(&deep(default.depth + 1)), SchemaErrorKind::TooDeep(default.depth));
    let wide = |count: usize| json!({"allOf": vec![json!({}); count]});
    assert!(compile(&wide(default.subschemas - 1), Role::Output).is_ok());
    assert_eq!(refusal(&wide(default.subschemas)), SchemaErrorKind::TooManySubschemas(default.subschemas));
    assert_eq!(refusal(&json!({"title": "x".repeat(default.bytes)})), SchemaErrorKind::TooLong(default.bytes));
}

#[test]
fn takes_other_bounds_than_its_own() {
    let refusal = |schema: &Value, limits: Limits| {
        assert!(compile(schema, Role::Output).is_ok(), "{schema}");
        Schema::compile(schema, Role::Output, &limits).expect_err("the schema is to be refused")
    };
    let error = refusal(&json!({"items": {"items": {}}}), Limits { depth: 1, ..Limits::default() });
    assert_eq!(error, SchemaError { pointer: "/items/items".to_owned(), kind: SchemaErrorKind::TooDeep(1) });
    let error = refusal(&json!({"items": {}}), Limits { subschemas: 1, ..Limits::default() });
    assert_eq!(error.kind, SchemaErrorKind::TooManySubschemas(1));
    let text = json!({"title": "x"});
    let length = text.to_string().len();
    let error = refusal(&text, Limits { bytes: length - 1, ..Limits::default() });
    assert_eq!(error.kind, SchemaErrorKind::TooLong(length - 1));
    assert!(Schema::compile(&text, Role::Output, &Limits { bytes: length, ..Limits::default() }).is_ok());

    let long = json!({"title": "x".repeat(512 * 1024)});
    assert!(Schema::compile(&long, Role::Output, &Limits { bytes: 1 << 20, ..Limits::default() }).is_ok());
}

#[test]
fn refuses_wrong_use_of_keywords_and_says_where() {
    let error = compile(&json!({"properties": {"a": {"type": "strin"}}}), Role::Output).unwrap_err();
    assert_eq!(error.pointer, "/properties/a/type");
    for schema in [json!({"pattern": "("}), json!({"minLength": -1}), json!(7), json!(null)] {
        assert!(matches!(refusal(&schema), SchemaErrorKind::Invalid(_)), "{schema}");
    }
}

#[test]
fn inputs_and_forms_are_objects() {
    for schema in [json!({}), json!(true), json!({"type": "string"}), json!({"type": ["object", "null"]})] {
        for role in [Role::Input, Role::Form] {
            assert_eq!(compile(&schema, role).unwrap_err().kind, SchemaErrorKind::NotAnObject, "{schema}");
        }
        assert!(compile(&schema, Role::Output).is_ok());
    }
}

#[test]
fn input_alone_mirrors_arguments() {
    let mirrored = |kind: &str| json!({"type": "object", "properties": {"a": {"type": kind, "x-mcp-header": "A"}}});
    assert_eq!(compile(&mirrored("string"), Role::Input).unwrap().params().iter().count(), 1);
    assert!(compile(&mirrored("string"), Role::Output).unwrap().params().is_empty());
    let error = compile(&mirrored("number"), Role::Input).unwrap_err();
    assert_eq!(error.pointer, "/properties/a");
    assert_eq!(error.kind, SchemaErrorKind::ParamHeader(ParamHeaderErrorKind::NotPrimitive));
}

#[test]
fn forms_alone_check_formats() {
    for dialect in ["http://json-schema.org/draft-07/schema#", "https://json-schema.org/draft/2020-12/schema"] {
        let schema = json!({"$schema": dialect, "type": "object", "properties": {"a": {"format": "email"}}});
        let instance = r#"{"a":"nobody"}"#;
        assert!(compile(&schema, Role::Form).unwrap().validate_raw(instance).is_err());
        let input = compile(&schema, Role::Input).unwrap();
        assert!(input.validator.is_valid(&serde_json::from_str(instance).unwrap()));
        assert!(input.validate_raw(instance).is_ok());
    }
}

#[test]
fn violations_name_path_and_fault() {
    let schema = json!({
        "type": "object",
        "properties": {"age": {"type": "integer"}, "a/b": {"enum": ["x", "y"]}},
        "required": ["name"],
        "additionalProperties": false,
    });
    let text = violations(&schema, r#"{"age":12.5,"a/b":"z","c":1}"#);
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "(root): \"name\" is a required property",
            "(root): Additional properties are not allowed ('c' was unexpected)",
            "/age: 12.5 is not of type \"integer\"",
            "/a~1b: \"z\" is not one of \"x\" or \"y\"",
        ]
    );
}

#[test]
fn the_paths_of_violations_repeat_no_value() {
    let schema = json!({ "type": "object", "properties": { "pin": { "type": "string", "maxLength": 4 } } });
    let compiled = compile(&schema, Role::Output).unwrap();
    let violations = compiled.validate_raw(r#"{"pin": "12345"}"#).expect_err("the instance is invalid");
    assert_eq!(violations.paths(), "/pin");
    assert!(violations.to_string().contains("12345"));
}

#[test]
fn violations_are_few_and_short() {
    let numbers = json!({"items": {"type": "integer"}});
    assert_eq!(violations(&numbers, &json!(vec!["a"; 100]).to_string()).lines().count(), MAX_VIOLATIONS);
    assert_eq!(violations(&numbers, &json!(vec!["a"; 100_000]).to_string()).lines().count(), 1);

    let long = json!({"items": {"maxLength": 1}});
    assert_eq!(
        violations(&long, &json!(["x".repeat(1 << 20)]).to_string()),
        "/0: the string is longer than 1 character"
    );
    let choices: Vec<_> = (0..500).map(|n| format!("choice {n}")).collect();
    assert!(violations(&json!({"enum": choices}), "1").chars().count() < MAX_MESSAGE + 10);
}

#[test]
fn text_that_is_not_json_is_a_violation() {
    for text in ["", "{", "1e400", "[1]]"] {
        assert!(violations(&json!({"type": "string"}), text).starts_with("(root): "), "{text}");
    }
}

#[test]
fn patterns_do_not_backtrack_for_ever() {
    let text = violations(&json!({"pattern": r"^(?=a)(a|aa)+\1b$"}), &json!("a".repeat(1_000)).to_string());
    assert_eq!(text, "(root): Error executing regex: Max limit for backtracking count exceeded");
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        4 => (-3i64..6).prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        2 => (-8i32..16).prop_map(|n| json!(f64::from(n) / 2.0)),
        1 => any::<f64>().prop_map(Value::from),
        2 => "[ab]{0,3}".prop_map(Value::from),
        1 => "\\PC{0,5}".prop_map(Value::from),
    ]
}

/// Other ways to write the same value, or, for objects, one that parsers may read differently.
#[derive(Debug, Clone, Copy)]
struct Spelling {
    space: &'static str,
    escape: bool,
    float: &'static str,
    repeat: bool,
}

fn spelling() -> impl Strategy<Value = Spelling> {
    let space = prop::sample::select(vec!["", " ", "\n\t"]);
    let float = prop::sample::select(vec!["", ".0", "e0", "0e-1"]);
    (space, any::<bool>(), float, prop::bool::weighted(0.1)).prop_map(|(space, escape, float, repeat)| Spelling {
        space,
        escape,
        float,
        repeat,
    })
}

impl Spelling {
    fn write(self, value: &Value) -> String {
        let space = self.space;
        let text = match value {
            Value::String(text) => self.string(text),
            Value::Number(number) if number.is_f64() => number.to_string(),
            // Zero takes no further digit.
            Value::Number(number) if number.as_i64() == Some(0) => "0".to_owned(),
            Value::Number(number) => format!("{number}{}", self.float),
            Value::Array(items) => {
                let items: Vec<_> = items.iter().map(|item| self.write(item)).collect();
                format!("[{}]", items.join(","))
            }
            Value::Object(members) => {
                let mut members: Vec<_> = members
                    .iter()
                    .map(|(key, value)| format!("{}{space}:{}", self.string(key), self.write(value)))
                    .collect();
                if self.repeat {
                    members.extend(members.first().map(|_| format!("{}:null", self.string("a"))));
                }
                format!("{{{}}}", members.join(","))
            }
            Value::Null | Value::Bool(_) => value.to_string(),
        };
        format!("{space}{text}{space}")
    }

    fn string(self, text: &str) -> String {
        match self.escape {
            true => format!("\"{}\"", text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect::<String>()),
            false => Value::from(text).to_string(),
        }
    }
}

fn instance() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[abc]", inner, 0..4).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

/// One keyword with a value, of the subset and a little beyond.
fn keyword(inner: impl Strategy<Value = Value> + Clone + 'static) -> impl Strategy<Value = (String, Value)> {
    let kind = || {
        prop::sample::select(vec!["null", "boolean", "integer", "number", "string", "array", "object"])
            .prop_map(Value::from)
    };
    let limit = || prop_oneof![(-3i64..6).prop_map(Value::from), (-6i32..12).prop_map(|n| json!(f64::from(n) / 2.0))];
    let named = |name: &'static str| move |value| (name.to_owned(), value);
    let limits = ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"];
    let lengths = ["minLength", "maxLength", "minItems", "maxItems"];
    prop_oneof![
        4 => kind().prop_map(named("type")),
        2 => prop::collection::btree_set("null|boolean|integer|number|string|array|object", 1..4)
            .prop_map(|types| json!(types)).prop_map(named("type")),
        2 => (prop::sample::select(limits.to_vec()), limit()).prop_map(|(name, n)| (name.to_owned(), n)),
        2 => (prop::sample::select(lengths.to_vec()), 0u8..4).prop_map(|(name, n)| (name.to_owned(), json!(n))),
        2 => prop::collection::vec(scalar(), 1..4).prop_map(|values| {
            let mut distinct: Vec<Value> = Vec::new();
            for value in values {
                if !distinct.contains(&value) { distinct.push(value); }
            }
            json!(distinct)
        }).prop_map(named("enum")),
        1 => scalar().prop_map(named("const")),
        3 => prop::collection::btree_map("[abc]", inner.clone(), 0..3)
            .prop_map(|map| json!(map)).prop_map(named("properties")),
        2 => prop::collection::btree_set("[abc]", 0..2).prop_map(|set| json!(set)).prop_map(named("required")),
        2 => prop_oneof![any::<bool>().prop_map(Value::from), inner.clone()].prop_map(named("additionalProperties")),
        2 => inner.prop_map(named("items")),
        1 => prop::sample::select(vec!["#/$defs/A", "#/$defs/B"]).prop_map(Value::from).prop_map(named("$ref")),
        1 => Just(json!("uri")).prop_map(named("format")),
        1 => Just(json!(2)).prop_map(named("multipleOf")),
        1 => Just(json!("t")).prop_map(named("title")),
    ]
}

fn schema() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![any::<bool>().prop_map(Value::from), Just(json!({"type": "string"})), Just(json!({}))];
    let schema = leaf.prop_recursive(3, 16, 3, |inner| {
        prop::collection::vec(keyword(inner), 0..4).prop_map(|keywords| keywords.into_iter().collect())
    });
    (prop::collection::vec(keyword(schema.clone().boxed()), 0..4), schema.clone(), schema, any::<bool>()).prop_map(
        |(keywords, a, b, draft7)| {
            let mut root: serde_json::Map<_, _> = keywords.into_iter().collect();
            root.insert("$defs".to_owned(), json!({"A": a, "B": b}));
            if draft7 {
                root.insert("$schema".to_owned(), json!("http://json-schema.org/draft-07/schema#"));
            }
            Value::Object(root)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_024))]

    #[test]
    fn the_fast_path_never_accepts_what_the_validator_refuses(
        schema in schema(),
        instances in prop::collection::vec((instance(), spelling()), 24),
    ) {
        if let Ok(compiled) = compile(&schema, Role::Output) {
            for (instance, spelling) in instances {
                let raw = spelling.write(&instance);
                let valid = compiled.validator.is_valid(&serde_json::from_str(&raw).unwrap());
                let certain = compiled.shape.as_ref().is_some_and(|shape| shape.accepts(&raw));
                prop_assert!(valid || !certain, "{} accepts {}", schema, raw);
                prop_assert_eq!(compiled.validate_raw(&raw).is_ok(), valid);
            }
        }
    }
}

#[test]
fn the_fast_path_settles_most_valid_instances() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    let mut runner = TestRunner::deterministic();
    let (mut valid, mut certain) = (0u32, 0u32);
    for _ in 0..400 {
        let schema = schema().new_tree(&mut runner).unwrap().current();
        let Ok(compiled) = compile(&schema, Role::Output) else { continue };
        let Some(shape) = &compiled.shape else { continue };
        for _ in 0..24 {
            let instance = instance().new_tree(&mut runner).unwrap().current();
            if compiled.validator.is_valid(&instance) {
                valid += 1;
                certain += u32::from(shape.accepts(&instance.to_string()));
            }
        }
    }
    // Integers written as floats and values at a float bound are left to the validator.
    assert!(valid > 1_000 && certain * 100 > valid * 90, "{certain} of {valid}");
}

fn chain(length: usize, link: impl Fn(Value) -> Value) -> Value {
    let definitions: serde_json::Map<_, _> = (0..length)
        .map(|n| (format!("D{n}"), link(json!({"$ref": format!("#/$defs/D{}", n + 1)}))))
        .chain([(format!("D{length}"), json!({"type": "integer"}))])
        .collect();
    json!({"$ref": "#/$defs/D0", "$defs": definitions})
}

#[test]
fn bounds_what_references_add_up_to() {
    let double = |next| json!({"allOf": [next, next]});
    assert!(compile(&chain(8, double), Role::Output).is_ok());
    assert_eq!(refusal(&chain(30, double)), SchemaErrorKind::TooExpansive);
    let hidden = |next| json!({"properties": {"default": next, "$defs": next}});
    assert_eq!(refusal(&chain(30, hidden)), SchemaErrorKind::TooExpansive);

    assert!(compile(&chain(MAX_REACH / 2 - 2, |next| next), Role::Output).is_ok());
    assert_eq!(refusal(&chain(MAX_REACH, |next| next)), SchemaErrorKind::TooFar);

    let anchored =
        |count: usize| json!({"$defs": {"a": {"$anchor": "a"}}, "allOf": vec![json!({"$ref": "#a"}); count]});
    assert!(compile(&anchored(MAX_NAMED_REFERENCES), Role::Output).is_ok());
    assert_eq!(refusal(&anchored(MAX_NAMED_REFERENCES + 1)), SchemaErrorKind::TooExpansive);
}

#[test]
fn recursive_schemas_report_one_violation() {
    let schema = json!({"type": "object", "properties": {"a": {"allOf": [{"$ref": "#"}, {"$ref": "#"}]}}});
    // All violations of this would be a million.
    let instance = (0..20).fold(json!(1), |value, _| json!({"a": value})).to_string();
    let expected = format!("{}: 1 is not of type \"object\"", "/a".repeat(20));
    assert_eq!(violations(&schema, &instance), expected);
}
