//! Strings within a JSON text written anew, by rules that say where they stand. All other bytes stay as they are.

use std::borrow::Cow;
use std::ops::Range;

use anypod_proto::escape::push_string;
use anypod_proto::scan::{Kind, ScanError, Scanner};

use super::rules::{Rule, Step, What};

/// The most rules that are looked for at once: they are the bits of a word.
const MOST_RULES: usize = u32::BITS as usize;

/// `text` with each string that a rule leads to replaced by what `change` says; `None` leaves it.
///
/// Where a member stands twice in an object, both are changed: readers do not agree on which one counts. What stands at the
/// end of a path and is no string is left.
///
/// # Errors
/// If `text` is not one JSON value.
///
/// # Panics
/// If there are more than 32 rules.
pub(crate) fn edit<'a>(
    text: &'a str,
    rules: &[Rule],
    change: impl FnMut(What, &str) -> Option<String>,
) -> Result<Cow<'a, str>, ScanError> {
    assert!(rules.len() <= MOST_RULES, "too many rules");
    let mut editor = Editor { scanner: Scanner::new(text), rules, change, edits: Vec::new() };
    let all = (0..rules.len()).fold(0, |all, at| all | 1 << at);
    editor.value(0, all)?;
    editor.scanner.end()?;
    Ok(splice(text, editor.edits))
}

struct Editor<'a, 'r, F> {
    scanner: Scanner<'a>,
    rules: &'r [Rule],
    change: F,
    edits: Vec<(Range<usize>, String)>,
}

impl<F: FnMut(What, &str) -> Option<String>> Editor<'_, '_, F> {
    /// Consumes the next value, to which the first `depth` steps of the `active` rules lead.
    fn value(&mut self, depth: usize, active: u32) -> Result<(), ScanError> {
        match self.scanner.peek()? {
            Kind::Object if active != 0 => {
                let mut walk = self.scanner.object()?;
                while let Some(key) = self.scanner.member(&mut walk)? {
                    let next = self.narrow(depth, active, |step| match step {
                        Step::Member(name) => key.is(name),
                        Step::Items => false,
                    });
                    self.value(depth + 1, next)?;
                }
            }
            Kind::Array if active != 0 => {
                let next = self.narrow(depth, active, |step| match step {
                    Step::Items => true,
                    Step::Member(_) => false,
                });
                let mut walk = self.scanner.array()?;
                while self.scanner.item(&mut walk)? {
                    self.value(depth + 1, next)?;
                }
            }
            Kind::String if active != 0 => self.string(depth, active)?,
            Kind::Null | Kind::Bool | Kind::Number | Kind::String | Kind::Array | Kind::Object => {
                self.scanner.value()?;
            }
        }
        Ok(())
    }

    /// Those of the `active` rules whose next step leads on.
    fn narrow(&self, depth: usize, active: u32, leads: impl Fn(&Step) -> bool) -> u32 {
        let goes = |(at, rule): (usize, &Rule)| active & 1 << at != 0 && rule.path.get(depth).is_some_and(&leads);
        (0..).zip(self.rules).filter(|(at, rule)| goes((*at, rule))).fold(0, |next, (at, _)| next | 1 << at)
    }

    fn string(&mut self, depth: usize, active: u32) -> Result<(), ScanError> {
        let start = self.scanner.offset();
        let string = self.scanner.string()?;
        let arrived = |(at, rule): &(usize, &Rule)| active & 1 << at != 0 && rule.path.len() == depth;
        let Some((_, rule)) = (0..).zip(self.rules).find(arrived) else { return Ok(()) };
        if let Some(new) = (self.change)(rule.what, &string.decode()) {
            self.edits.push((start..self.scanner.offset(), new));
        }
        Ok(())
    }
}

/// `text` with these ranges, which follow each other, replaced by JSON strings.
fn splice(text: &str, edits: Vec<(Range<usize>, String)>) -> Cow<'_, str> {
    if edits.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + edits.iter().map(|(_, new)| new.len() + 2).sum::<usize>());
    let mut copied = 0;
    for (range, new) in edits {
        out.push_str(&text[copied..range.start]);
        push_json(&mut out, &new);
        copied = range.end;
    }
    out.push_str(&text[copied..]);
    Cow::Owned(out)
}

/// Appends `text` as a JSON string.
pub(super) fn push_json(out: &mut String, text: &str) {
    let mut bytes = Vec::with_capacity(text.len() + 2);
    push_string(&mut bytes, text);
    out.push_str(std::str::from_utf8(&bytes).expect("escapes are ASCII, and the rest is a string's"));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    const RULES: &[Rule] = &[
        Rule::new(What::Uri, &[Step::Member("a"), Step::Items, Step::Member("u")]),
        Rule::new(What::Uri, &[Step::Member("a"), Step::Items, Step::Member("b"), Step::Member("u")]),
        Rule::new(What::TaskId, &[Step::Member("t")]),
        Rule::new(What::Name, &[Step::Member("l"), Step::Items]),
    ];

    fn marked(text: &str) -> String {
        edit(text, RULES, |what, own| Some(format!("{what:?}({own})"))).unwrap().into_owned()
    }

    #[test]
    fn changes_what_a_rule_leads_to_and_nothing_else() {
        for (text, edited) in [
            (
                r#"{"a":[{"u":"x"},{"b":{"u":"y"}},{"c":{"u":"z"}},"u"]}"#,
                r#"{"a":[{"u":"Uri(x)"},{"b":{"u":"Uri(y)"}},{"c":{"u":"z"}},"u"]}"#,
            ),
            (r#" { "t" : "x" , "n":1E+2 } "#, r#" { "t" : "TaskId(x)" , "n":1E+2 } "#),
            (r#"{"l":["x",1,["y"],"z"],"u":"u"}"#, r#"{"l":["Name(x)",1,["y"],"Name(z)"],"u":"u"}"#),
            (r#"{"t":{"t":"x"},"a":{"u":"x"}}"#, r#"{"t":{"t":"x"},"a":{"u":"x"}}"#),
            (r#"{"t":null,"a":[{"u":3,"b":"u"}]}"#, r#"{"t":null,"a":[{"u":3,"b":"u"}]}"#),
            (r#""t""#, r#""t""#),
        ] {
            assert_eq!(marked(text), edited);
        }
    }

    #[test]
    fn finds_escaped_keys_reads_escaped_strings_and_changes_every_twin() {
        assert_eq!(
            marked(r#"{"\u0074":"\u0078\"","t":"y"}"#),
            r#"{"t":"TaskId(x\")","t":"TaskId(y)"}"#.replacen('t', r"\u0074", 1)
        );
    }

    #[test]
    fn borrows_what_nothing_changes_in() {
        let text = r#"{"t":"x"}"#;
        assert!(matches!(edit(text, RULES, |_, _| None), Ok(Cow::Borrowed(_))));
        assert!(edit(r#"{"t":"x"} 1"#, RULES, |_, _| None).is_err());
        assert!(edit(r#"{"t":"x""#, RULES, |_, _| None).is_err());
    }

    /// The same over a parsed value.
    fn expected(value: &mut Value, rules: &[(&[Step], What)]) {
        match value {
            Value::String(text) => {
                if let Some((_, what)) = rules.iter().find(|(path, _)| path.is_empty()) {
                    *text = format!("{what:?}({text})");
                }
            }
            Value::Array(items) => {
                let next: Vec<_> = rules
                    .iter()
                    .filter_map(|(path, what)| match path {
                        [Step::Items, rest @ ..] => Some((rest, *what)),
                        _ => None,
                    })
                    .collect();
                items.iter_mut().for_each(|item| expected(item, &next));
            }
            Value::Object(members) => {
                for (key, member) in members {
                    let next: Vec<_> = rules
                        .iter()
                        .filter_map(|(path, what)| match path {
                            [Step::Member(name), rest @ ..] if name == key => Some((rest, *what)),
                            _ => None,
                        })
                        .collect();
                    expected(member, &next);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![Just(json!(null)), Just(json!(1)), any::<String>().prop_map(Value::from)];
        leaf.prop_recursive(6, 60, 4, |inner| {
            let key = prop_oneof![Just("a"), Just("b"), Just("u"), Just("t"), Just("l"), Just("x")];
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::vec((key.prop_map(str::to_owned), inner), 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn agrees_with_a_full_parser(mut value in values()) {
            let edited = marked(&value.to_string());
            let rules: Vec<_> = RULES.iter().map(|rule| (rule.path, rule.what)).collect();
            expected(&mut value, &rules);
            prop_assert_eq!(edited, value.to_string());
        }
    }
}
