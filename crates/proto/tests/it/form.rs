//! Filling in forms: defaults, what people type, and which values fit.

use anypod_proto::{
    elicitation::{
        BooleanSchema, Choice, EnumSchema, FieldError, FormError, LegacyTitledEnumSchema, NumberSchema,
        PrimitiveSchemaDefinition, RequestedSchema, StringFormat, StringSchema, TitledMultiSelectEnumSchema,
        TitledSingleSelectEnumSchema, UntitledMultiSelectEnumSchema, UntitledSingleSelectEnumSchema,
    },
    jsonrpc::JsonObject,
    schema::{Limits, Role, Schema},
};
use serde_json::{Value, json};

type Field = PrimitiveSchemaDefinition;

fn object(value: Value) -> JsonObject {
    serde_json::from_value(value).expect("an object")
}

#[track_caller]
fn reads(field: impl Into<Field>, text: &str, expected: Value) {
    assert_eq!(field.into().parse(text), Ok(expected), "{text:?}");
}

#[track_caller]
fn refuses(field: impl Into<Field>, text: &str, expected: FieldError) {
    assert_eq!(field.into().parse(text), Err(expected), "{text:?}");
}

#[test]
fn text_is_taken_as_it_is() {
    reads(StringSchema::new(), "  a b ", json!("  a b "));
    reads(StringSchema::new(), "", json!(""));
    let bounded = StringSchema::new().with_min_length(2).with_max_length(3);
    reads(bounded.clone(), "äöü", json!("äöü"));
    refuses(bounded.clone(), "ä", FieldError::TooShort(2));
    refuses(bounded, "abcd", FieldError::TooLong(3));
}

#[test]
fn text_of_a_format_looks_like_it() {
    let cases = [
        (StringFormat::Email, "ada@example.com", "ada"),
        (StringFormat::Uri, "https://example.com/", "example.com"),
        (StringFormat::Date, "2026-11-20", "2026-02-30"),
        (StringFormat::DateTime, "2026-11-20T12:00:00Z", "2026-11-20"),
    ];
    for (format, right, wrong) in cases {
        let field = StringSchema::new().with_format(format);
        reads(field.clone(), &format!(" {right} "), json!(right));
        refuses(field, wrong, FieldError::Format(format));
    }
}

#[test]
fn numbers_are_numbers_within_bounds() {
    reads(NumberSchema::number(), " 1.5 ", json!(1.5));
    reads(NumberSchema::number(), "-2", json!(-2));
    reads(NumberSchema::number(), "1e3", json!(1000));
    reads(NumberSchema::integer(), "5.0", json!(5));
    reads(NumberSchema::integer(), "9007199254740993", json!(9_007_199_254_740_993_i64));
    for text in ["", "one", "1,5", "inf", "NaN", "1e999", "0x10", "1 2"] {
        refuses(NumberSchema::number(), text, FieldError::NotANumber);
        refuses(NumberSchema::integer(), text, FieldError::NotWhole);
    }
    refuses(NumberSchema::integer(), "1.5", FieldError::NotWhole);
    let bounded = NumberSchema::number().with_minimum(0).with_maximum(10);
    reads(bounded.clone(), "10", json!(10));
    refuses(bounded.clone(), "-0.5", FieldError::TooSmall(0.0));
    refuses(bounded, "11", FieldError::TooLarge(10.0));
}

#[test]
fn yes_and_no_have_many_words() {
    for text in ["y", "Yes", " true", "ON", "1"] {
        reads(BooleanSchema::new(), text, json!(true));
    }
    for text in ["n", "No", "false ", "off", "0"] {
        reads(BooleanSchema::new(), text, json!(false));
    }
    refuses(BooleanSchema::new(), "maybe", FieldError::NotABoolean);
    refuses(BooleanSchema::new(), "", FieldError::NotABoolean);
}

#[test]
fn a_choice_is_made_by_value_title_or_number() {
    let fields: [Field; 2] = [
        TitledSingleSelectEnumSchema::new([("r", "Red"), ("g", "Dark green")]).into(),
        LegacyTitledEnumSchema::new([("r", "Red"), ("g", "Dark green")]).into(),
    ];
    for field in fields {
        for text in ["g", "Dark green", "2", " dark GREEN ", "G"] {
            reads(field.clone(), text, json!("g"));
        }
        for text in ["", "0", "3", "green", "-1"] {
            refuses(field.clone(), text, FieldError::NoChoice(text.to_owned()));
        }
    }
    // A value is meant before a title, and both before a number.
    reads(UntitledSingleSelectEnumSchema::new(["2", "1"]), "2", json!("2"));
    reads(TitledSingleSelectEnumSchema::new([("a", "b"), ("b", "a")]), "b", json!("b"));
}

#[test]
fn several_choices_are_separated_by_commas() {
    let field = TitledMultiSelectEnumSchema::new([("r", "Red"), ("g", "Green"), ("b", "Blue")]);
    reads(field.clone(), "r, Green,3", json!(["r", "g", "b"]));
    reads(field.clone(), "r,1,Red,", json!(["r"]));
    reads(field.clone(), " ", json!([]));
    refuses(field.clone(), "r, pink", FieldError::NoChoice("pink".to_owned()));
    let bounded = field.with_min_items(1).with_max_items(2);
    refuses(bounded.clone(), "", FieldError::TooFew(1));
    refuses(bounded, "r,g,b", FieldError::TooMany(2));
    let commas = UntitledMultiSelectEnumSchema::new(["a, b", "c"]);
    reads(commas.clone(), "a, b", json!(["a, b"]));
    reads(commas, "1,c", json!(["a, b", "c"]));
}

#[test]
fn defaults_are_those_that_their_fields_allow() {
    let form = RequestedSchema::new()
        .required("name", StringSchema::new().with_default("Ada"))
        .optional("short", StringSchema::new().with_max_length(1).with_default("long"))
        .optional("age", NumberSchema::integer().with_default(36))
        .optional("half", NumberSchema::integer().with_default(0.5))
        .optional("ok", BooleanSchema::new().with_default(false))
        .optional("plain", UntitledSingleSelectEnumSchema::new(["a"]).with_default("a"))
        .optional("other", TitledSingleSelectEnumSchema::new([("a", "A")]).with_default("A"))
        .optional("legacy", LegacyTitledEnumSchema::new([("a", "A")]).with_default("a"))
        .optional("some", UntitledMultiSelectEnumSchema::new(["a", "b"]).with_default(vec!["b".to_owned()]))
        .optional("titled", TitledMultiSelectEnumSchema::new([("a", "A")]).with_default(Vec::new()))
        .optional("none", StringSchema::new());
    let expected =
        json!({ "name": "Ada", "age": 36, "ok": false, "plain": "a", "legacy": "a", "some": ["b"], "titled": [] });
    assert_eq!(Value::Object(form.defaults()), expected);
    assert_eq!(form.check(&form.defaults()), Ok(()));
    assert!(form.requires("name") && !form.requires("age"));
}

#[test]
fn a_form_is_checked_in_its_order() {
    let form = RequestedSchema::new()
        .required("name", StringSchema::new())
        .optional("age", NumberSchema::integer())
        .required("ok", BooleanSchema::new());
    let wrong = |field: &str, error| Err(FormError { field: field.to_owned(), error });
    let cases = [
        (json!({ "name": "Ada", "ok": true }), Ok(())),
        (json!({ "ok": 1, "age": "x", "name": 2 }), wrong("name", FieldError::NotText)),
        (json!({ "ok": 1, "age": "x" }), wrong("age", FieldError::NotANumber)),
        (json!({ "ok": 1 }), wrong("ok", FieldError::NotABoolean)),
        (json!({}), wrong("name", FieldError::Missing)),
        (json!({ "name": "", "ok": true, "agee": 1 }), wrong("agee", FieldError::Unknown)),
        (json!({ "name": null, "ok": true }), wrong("name", FieldError::NotText)),
    ];
    for (content, expected) in cases {
        assert_eq!(form.check(&object(content.clone())), expected, "{content}");
    }
    let error = form.check(&JsonObject::new()).expect_err("nothing is filled in");
    assert_eq!(error.to_string(), "`name`: must be filled in");
}

#[test]
fn a_required_field_that_the_form_does_not_have_is_missing() {
    let mut form = RequestedSchema::new();
    form.required = Some(vec!["ghost".to_owned()]);
    let ghost = |error| Err(FormError { field: "ghost".to_owned(), error });
    assert_eq!(form.check(&JsonObject::new()), ghost(FieldError::Missing));
    assert_eq!(form.check(&object(json!({ "ghost": 1 }))), ghost(FieldError::Unknown));
}

fn fields() -> Vec<Field> {
    vec![
        StringSchema::new().with_min_length(1).with_max_length(5).into(),
        StringSchema::new().with_format(StringFormat::Uri).into(),
        NumberSchema::number().with_minimum(0.5).with_maximum(3).into(),
        NumberSchema::integer().into(),
        BooleanSchema::new().into(),
        UntitledSingleSelectEnumSchema::new(["a", "b"]).into(),
        TitledSingleSelectEnumSchema::new([("a", "A")]).into(),
        LegacyTitledEnumSchema::new([("a", "A")]).into(),
        UntitledMultiSelectEnumSchema::new(["a", "b"]).with_min_items(1).into(),
        TitledMultiSelectEnumSchema::new([("a", "A"), ("b", "B")]).with_max_items(1).into(),
    ]
}

/// Servers check forms as JSON Schemas.
#[test]
fn a_value_fits_where_the_server_says_so() {
    let values = json!([
        null,
        true,
        0,
        1,
        2.5,
        3.0,
        4,
        "",
        "a",
        "b",
        "A",
        "abcdef",
        "ääääää",
        "urn:a:b",
        [],
        ["a"],
        ["b", "a"],
        ["A"],
        ["a", "a"],
        [1],
        {},
    ]);
    let mut fitting = 0;
    for field in fields() {
        let schema = json!({ "type": "object", "properties": { "f": field } });
        let schema = Schema::compile(&schema, Role::Form, &Limits::default()).expect("a form");
        for value in values.as_array().expect("a list") {
            let expected = schema.validate_value(&json!({ "f": value })).is_ok();
            assert_eq!(field.check(value).is_ok(), expected, "{field:?} {value}");
            fitting += usize::from(expected);
        }
    }
    assert!(fitting > 20, "{fitting}");
}

#[test]
fn fields_say_what_to_show() {
    let field = TitledSingleSelectEnumSchema::new([("a", "A")]).with_title("Letter").with_description("Which?");
    let field = Field::from(field);
    assert_eq!((field.title(), field.description()), (Some("Letter"), Some("Which?")));
    let Field::Enum(choice) = field else { panic!("a choice") };
    assert_eq!(choice.choices(), [Choice { value: "a", title: "A" }]);
    assert!(!choice.is_multi());
    // Fewer names than values.
    let short = json!({ "type": "string", "enum": ["a", "b"], "enumNames": ["A"] });
    let short: EnumSchema = serde_json::from_value(short).expect("a choice");
    assert_eq!(short.choices()[1], Choice { value: "b", title: "b" });
}
