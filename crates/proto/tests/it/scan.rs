//! The scanner against `serde_json`, which it has to agree with.

use anypod_proto::scan::{Kind, MAX_DEPTH, Scanner, Str};
use proptest::prelude::*;
use serde_json::Value;

use crate::json::{json, spelled};

fn scan(text: &str) -> Option<&str> {
    let mut scanner = Scanner::new(text);
    let value = scanner.value().ok()?;
    scanner.end().ok()?;
    Some(value)
}

/// Whether `serde_json` takes the text. It keeps numbers as doubles, so that it refuses some that are JSON.
fn serde_takes(text: &str) -> bool {
    match serde_json::from_str::<Value>(text) {
        Ok(_) => true,
        Err(error) => error.to_string().starts_with("number out of range"),
    }
}

fn agrees(text: &str) -> Result<(), TestCaseError> {
    let scanned = scan(text);
    match serde_json::from_str::<Value>(text) {
        Ok(value) => {
            let slice = scanned.ok_or_else(|| TestCaseError::fail(format!("refuses {text:?}")))?;
            prop_assert_eq!(serde_json::from_str::<Value>(slice).ok(), Some(value));
        }
        // What comes after such a number, `serde_json` has not looked at.
        Err(error) if error.to_string().starts_with("number out of range") => {}
        Err(error) => prop_assert!(scanned.is_none(), "takes {:?}, which is no JSON: {}", text, error),
    }
    Ok(())
}

/// Texts that are almost JSON.
fn soup() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("{"),
        Just("}"),
        Just("["),
        Just("]"),
        Just(","),
        Just(":"),
        Just("\""),
        Just("\\"),
        Just("\\u"),
        Just("\\ud83d"),
        Just("\\ude00"),
        Just("\\u00e9"),
        Just("null"),
        Just("true"),
        Just("fals"),
        Just("0"),
        Just("-"),
        Just("1.5"),
        Just("e"),
        Just("E+"),
        Just("."),
        Just("12"),
        Just(" "),
        Just("\t"),
        Just("\n"),
        Just("\r"),
        Just("\u{b}"),
        Just("\u{a0}"),
        Just("a"),
        Just("é"),
        Just("\u{1f}"),
        Just("\u{7f}"),
        Just("\"a\""),
        Just("\"a\":"),
        Just("{\"a\":1}"),
        Just("[1,2]"),
        Just("\u{feff}"),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn agrees_with_serde_json_on_anything(text in any::<String>()) {
        agrees(&text)?;
    }

    #[test]
    fn agrees_with_serde_json_on_what_is_almost_json(text in soup()) {
        agrees(&text)?;
    }

    #[test]
    fn agrees_with_serde_json_on_json_in_any_spelling((_, text) in spelled(json())) {
        prop_assert!(scan(&text).is_some(), "{}", text);
        agrees(&text)?;
    }

    #[test]
    fn agrees_with_serde_json_on_json_that_was_damaged(
        (_, text) in spelled(json()),
        at in any::<prop::sample::Index>(),
        with in prop_oneof![Just(""), Just(","), Just("\""), Just("\\"), Just("}"), Just("0"), Just("\u{1}")],
    ) {
        let places: Vec<_> = text.char_indices().map(|(at, _)| at).collect();
        let at = places[at.index(places.len())];
        let after = text[at..].chars().next().map_or(at, |char| at + char.len_utf8());
        agrees(&format!("{}{with}{}", &text[..at], &text[after..]))?;
    }

    #[test]
    fn numbers_are_those_of_json(text in "-?[0-9]{0,3}(\\.[0-9]{0,3})?([eE][+-]?[0-9]{0,3})?") {
        prop_assert_eq!(scan(&text).is_some(), serde_takes(&text), "{}", text);
    }

    #[test]
    fn strings_decode_as_serde_json_decodes_them(value in any::<String>(), (_, text) in spelled(any::<String>().prop_map(Value::from))) {
        let plain = serde_json::to_string(&value).expect("JSON");
        for literal in [plain, text] {
            let expected: String = serde_json::from_str(&literal).expect("a string");
            let string = Str::parse(&literal).expect("a string");
            prop_assert_eq!(&*string.decode(), &expected);
            prop_assert_eq!(string.char_count(), expected.chars().count());
            prop_assert!(string.is(&expected));
            prop_assert_eq!(string.is(&value), expected == value);
        }
    }

    #[test]
    fn members_and_items_are_slices_of_equal_values((value, text) in spelled(json())) {
        let mut scanner = Scanner::new(&text);
        match &value {
            Value::Object(members) => {
                let mut walk = scanner.object().expect("an object");
                let mut seen = 0;
                while let Some(key) = scanner.member(&mut walk).expect("a member") {
                    let slice = scanner.value().expect("a value");
                    let item: Value = serde_json::from_str(slice).expect("a slice is JSON");
                    prop_assert_eq!(Some(&item), members.get(&*key.decode()));
                    seen += 1;
                }
                prop_assert_eq!(seen, members.len());
            }
            Value::Array(items) => {
                let mut walk = scanner.array().expect("an array");
                for item in items {
                    prop_assert!(scanner.item(&mut walk).expect("an item"));
                    prop_assert_eq!(&serde_json::from_str::<Value>(scanner.value().expect("a value")).expect("JSON"), item);
                }
                prop_assert!(!scanner.item(&mut walk).expect("the end"));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                let kind = scanner.peek().expect("a value");
                prop_assert_eq!(kind == Kind::String, value.is_string());
                prop_assert_eq!(kind == Kind::Number, value.is_number());
                scanner.value().expect("a value");
            }
        }
        prop_assert!(scanner.end().is_ok());
    }
}

#[test]
fn the_bound_on_depth_is_that_of_serde_json() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        for depth in [1, 2, usize::from(MAX_DEPTH) - 1, usize::from(MAX_DEPTH), usize::from(MAX_DEPTH) + 1, 100_000] {
            let text = format!("{}0{}", open.repeat(depth), close.repeat(depth));
            assert_eq!(scan(&text).is_some(), depth <= usize::from(MAX_DEPTH), "{open} {depth}");
            assert_eq!(scan(&text).is_some(), serde_takes(&text), "{open} {depth}");
        }
    }
}

#[test]
fn a_scanner_that_failed_once_does_not_panic_when_it_is_asked_again() {
    for text in ["", "[", "[1,", "{", "{\"a\"", "{\"a\":", "\"", "\"\\", "\"\\u", "\"\\ud800\\u", "-", "1e", "]", "é"]
    {
        let mut scanner = Scanner::new(text);
        for _ in 0..3 {
            let _ = (scanner.peek(), scanner.value(), scanner.string().is_ok(), scanner.end());
        }
        assert!(scanner.offset() <= text.len());
    }
}
