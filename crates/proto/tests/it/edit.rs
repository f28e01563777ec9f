//! Editing in place, against editing the value.

use std::borrow::Cow;

use anypod_proto::edit::{EditError, Editor, Rules};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;

use crate::json::{Speller, json, spelled};
use crate::smoke::edit_differential::agrees;

/// Values whose members have few names, so that paths meet them.
fn nested() -> impl Strategy<Value = Value> {
    let leaf =
        prop_oneof![Just(Value::Null), any::<i64>().prop_map(Value::from), any::<String>().prop_map(Value::from)];
    leaf.prop_recursive(5, 40, 5, |inner| {
        let names = prop::sample::select(vec!["a", "b", "é"]).prop_map(str::to_owned);
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(names, inner, 0..4).prop_map(Value::from_iter),
        ]
    })
}

fn paths() -> impl Strategy<Value = Vec<String>> {
    vec("[abé](\\[\\]){0,2}(\\.[abé](\\[\\]){0,2}){0,3}", 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn edits_what_the_value_has_there(
        value in nested(),
        seed in any::<u64>(),
        paths in paths(),
        sizes in vec(1..9_usize, 1..5),
    ) {
        let paths: Vec<_> = paths.iter().map(String::as_str).collect();
        agrees(&paths, Speller::new(seed).spell(&value).as_bytes(), &sizes);
    }

    #[test]
    fn changes_nothing_without_rules((_, text) in spelled(json()), sizes in vec(1..30_usize, 1..5)) {
        agrees(&[], text.as_bytes(), &sizes);
        let edited = Rules::new([]).expect("rules").edit(&text, |_, _| Some(String::new()));
        prop_assert!(matches!(edited, Ok(Cow::Borrowed(same)) if same == text));
    }

    #[test]
    fn refuses_what_the_scanner_refuses_at_the_same_place(
        (_, text) in spelled(json()),
        at in any::<prop::sample::Index>(),
        with in prop_oneof![Just(""), Just(","), Just("\""), Just("\\"), Just("}"), Just("0"), Just("\u{1}"), Just("-"), Just("\\ud8")],
        sizes in vec(1..9_usize, 1..5),
    ) {
        let mut bytes = text.into_bytes();
        let at = at.index(bytes.len());
        bytes.splice(at..=at, with.bytes());
        agrees(&["a", "[]"], &bytes, &sizes);
        bytes.truncate(at);
        agrees(&["a"], &bytes, &sizes);
    }
}

const RESULT: &str = r#" {"jsonrpc" :"2.0", "id":1e0,"result":{"tools":[{"name":"a","title":"a"},{"n\u0061me":"\u00e9\n","name":"b"}],
    "nextCursor":"ab\/c" , "requestState": null}} "#;

fn rules() -> Rules {
    Rules::new(["result.tools[].name", "result.nextCursor", "result.requestState", "result.title"]).expect("rules")
}

fn edited(sizes: usize, limit: usize) -> Result<String, EditError> {
    let mut out = Vec::new();
    let mut editor = Editor::new(&rules(), limit);
    for piece in RESULT.as_bytes().chunks(sizes) {
        editor.push(piece, &mut out, |rule, string| Some(format!("{rule}-\"{string}\"")))?;
    }
    editor.finish()?;
    Ok(String::from_utf8(out).expect("text"))
}

#[test]
fn all_but_the_strings_stays_byte_for_byte() {
    let expected = r#" {"jsonrpc" :"2.0", "id":1e0,"result":{"tools":[{"name":"0-\"a\"","title":"a"},{"n\u0061me":"0-\"é\n\"","name":"0-\"b\""}],
    "nextCursor":"1-\"ab/c\"" , "requestState": null}} "#;
    let whole = rules().edit(RESULT, |rule, string| Some(format!("{rule}-\"{string}\"")));
    assert_eq!(whole.as_deref(), Ok(expected));
    for size in 1..=RESULT.len() {
        assert_eq!(edited(size, 100).as_deref(), Ok(expected), "{size}");
    }
}

#[test]
fn what_is_not_replaced_stays_as_it_is_spelled() {
    for size in 1..=RESULT.len() {
        let mut out = Vec::new();
        let mut editor = Editor::new(&rules(), 100);
        for piece in RESULT.as_bytes().chunks(size) {
            editor.push(piece, &mut out, |_, _| None).expect("JSON");
        }
        assert_eq!(std::str::from_utf8(&out), Ok(RESULT), "{size}");
    }
}

#[test]
fn a_string_that_is_too_long_to_be_held_back_is_refused_however_it_is_cut() {
    // The longest literal is `"\u00e9\n"`.
    for size in 1..=RESULT.len() {
        assert!(edited(size, 10).is_ok(), "{size}");
        assert_eq!(edited(size, 9), Err(EditError::TooLong { rule: 0, limit: 9 }), "{size}");
    }
}

#[test]
fn holds_back_no_more_than_the_string() {
    let mut out = Vec::new();
    let mut editor = Editor::new(&rules(), 1000);
    let mut push = |piece: &str| {
        editor.push(piece.as_bytes(), &mut out, |_, _| Some("new".to_owned())).expect("JSON");
        String::from_utf8(std::mem::take(&mut out)).expect("text")
    };
    assert_eq!(push(r#"{"result":{"nextCur"#), r#"{"result":{"nextCur"#);
    assert_eq!(push(r#"sor": "a"#), r#"sor": "#);
    assert_eq!(push(&"a".repeat(500)), "");
    assert_eq!(push(r#"","other":"a"#), r#""new","other":"a"#);
    assert_eq!(push(r#"b"}"#), r#"b"}"#);
}

#[test]
fn an_editor_that_failed_stays_so() {
    let mut editor = Editor::new(&rules(), 10);
    let (mut out, keep) = (Vec::new(), |_, _: Cow<'_, str>| None);
    let error = editor.push(b"{x", &mut out, keep).expect_err("no JSON");
    assert_eq!(editor.push(b"\"a\":1}", &mut out, keep), Err(error));
    assert_eq!(editor.finish(), Err(error));
}
