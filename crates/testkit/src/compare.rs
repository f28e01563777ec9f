//! Whether two replicas said the same, and if not, why that may be.

use anypod_server::proto::code::Code;
use http::StatusCode;
use serde_json::{Value, json};

use crate::diff;
use crate::message::{Broken, Exchange, Repeat, Reply};
use crate::replica::Served;

/// What stands for a part of an answer that is not compared.
const IGNORED: &str = "(ignored)";

/// How many characters are shown on each side of the first byte that differs.
const AROUND: usize = 60;

/// What is compared, and what not.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rules {
    /// Parts of answers that differ by nature, as the segments of JSON pointers in which `*` is any segment.
    ignored: Vec<Vec<String>>,
}

/// Whose answer an answer is held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Witness {
    /// That of a single replica which ran the same scenario.
    Reference,
    /// That of another replica to the same request.
    Replica(Served),
}

/// A difference between what was expected and what came.
#[derive(Debug, Clone)]
pub(crate) struct Difference {
    pub(crate) witness: Witness,
    pub(crate) cause: Cause,
    /// The differing lines, with some around them.
    pub(crate) lines: String,
}

/// What a difference hints at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    Scenario,
    Broken,
    Silence,
    Token,
    Order,
    Bytes,
    Disagreement,
    Memory,
}

impl Cause {
    pub(crate) const fn hint(self) -> &'static str {
        match self {
            Self::Scenario => {
                "the scenario sent something else than before, though every answer was the same: does it use \
                 randomness, or something that outlives a run?"
            }
            Self::Broken => "the response broke off: was a replica killed whose answer was still under way?",
            Self::Silence => {
                "what comes on one replica does not come on several, or the other way round: do all replicas \
                 share the bus?"
            }
            Self::Token => {
                "a token that one replica sealed did not open on another: do all replicas share the ring, the \
                 audience and the store of used tokens?"
            }
            Self::Order => "only the order differs: does it come from a hash map? Give the items in a fixed order.",
            Self::Bytes => "the same JSON in other bytes: does its order come from a hash map?",
            Self::Disagreement => {
                "two replicas answer the same request otherwise: does the answer come from state, randomness or \
                 a clock of the process?"
            }
            Self::Memory => {
                "the answer depends on which replica served an earlier request: is state kept in the process?"
            }
        }
    }
}

impl Rules {
    /// Leaves out what `pointer` points at, within the JSON-RPC answer.
    pub(crate) fn ignore(&mut self, pointer: &str) {
        let unescape = |segment: &str| segment.replace("~1", "/").replace("~0", "~");
        self.ignored.push(pointer.split('/').skip(1).map(unescape).collect());
    }

    /// How `got` differs from `expected`.
    pub(crate) fn difference(&self, expected: &Exchange, got: &Exchange, witness: Witness) -> Option<Difference> {
        let difference = |cause, lines| Some(Difference { witness, cause, lines });
        let [asked, asked_now] = [expected, got].map(|exchange| {
            let sent = &exchange.sent;
            json!({ "method": sent.method, "params": sent.masked_params() })
        });
        if asked != asked_now {
            return difference(Cause::Scenario, diff::json(&asked, &asked_now));
        }
        match (&expected.reply, &got.reply) {
            (Ok(expected_reply), Ok(reply)) => {
                let [before, after] = [expected_reply, reply].map(|reply| self.comparable(reply));
                if before != after {
                    return difference(cause(got, [&before, &after], witness), diff::json(&before, &after));
                }
                let [before, after] = [expected_reply, reply].map(Reply::masked_text);
                let exact = got.sent.repeat == Repeat::SameBytes && self.ignored.is_empty();
                if exact && before != after {
                    return difference(Cause::Bytes, around_first_difference(&before, &after));
                }
                None
            }
            (Err(before), Err(after)) if before == after => None,
            (before, after) => {
                let silent = [before, after].iter().any(|reply| matches!(reply, Err(Broken::Silent)));
                let cause = if silent { Cause::Silence } else { Cause::Broken };
                let [before, after] = [before, after].map(|reply| match reply {
                    Ok(reply) => self.comparable(reply),
                    Err(broken) => Value::from(broken.to_string()),
                });
                difference(cause, diff::json(&before, &after))
            }
        }
    }

    fn comparable(&self, reply: &Reply) -> Value {
        let mut reply = reply.masked();
        if let Some(answer) = reply.get_mut("answer") {
            self.ignored.iter().for_each(|path| blank(answer, path));
        }
        reply
    }
}

fn cause(got: &Exchange, [before, after]: [&Value; 2], witness: Witness) -> Cause {
    let unknown = |reply: &Value| {
        let token = got.sent.has_token() && reply["answer"]["error"]["code"] == Code::InvalidParams.number();
        token || got.sent.has_session() && reply["status"] == StatusCode::NOT_FOUND.as_u16()
    };
    if unknown(after) && !unknown(before) {
        return Cause::Token;
    }
    if unordered(before) == unordered(after) {
        return Cause::Order;
    }
    match witness {
        Witness::Reference => Cause::Memory,
        Witness::Replica(_) => Cause::Disagreement,
    }
}

/// The value with all its arrays in one order.
fn unordered(value: &Value) -> Value {
    match value {
        Value::Array(items) => {
            let mut items: Vec<_> = items.iter().map(unordered).collect();
            items.sort_by_cached_key(Value::to_string);
            Value::Array(items)
        }
        Value::Object(members) => members.iter().map(|(key, value)| (key.clone(), unordered(value))).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

fn blank(value: &mut Value, path: &[String]) {
    let Some((segment, rest)) = path.split_first() else {
        *value = Value::from(IGNORED);
        return;
    };
    let matches = |key: &str| segment == "*" || segment == key;
    match value {
        Value::Object(members) => {
            members.iter_mut().filter(|(key, _)| matches(key)).for_each(|(_, value)| blank(value, rest));
        }
        Value::Array(items) => {
            let items = items.iter_mut().enumerate().filter(|(index, _)| matches(&index.to_string()));
            items.for_each(|(_, value)| blank(value, rest));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn around_first_difference(before: &str, after: &str) -> String {
    let same = before.chars().zip(after.chars()).take_while(|(one, other)| one == other).count();
    let window = |text: &str| text.chars().skip(same.saturating_sub(AROUND)).take(2 * AROUND).collect::<String>();
    format!("- …{}…\n+ …{}…\n", window(before), window(after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_what_a_pointer_points_at_and_nothing_else() {
        let mut value = json!({ "a": [{ "at": 1, "x": 2 }, { "at": 3 }], "at": 4, "b/c": 5 });
        let mut rules = Rules::default();
        rules.ignore("/a/*/at");
        rules.ignore("/b~1c");
        rules.ignore("/missing/x");
        rules.ignored.iter().for_each(|path| blank(&mut value, path));
        assert_eq!(value, json!({ "a": [{ "at": IGNORED, "x": 2 }, { "at": IGNORED }], "at": 4, "b/c": IGNORED }));
    }

    #[test]
    fn tells_another_order_from_another_content() {
        assert_eq!(unordered(&json!({ "a": [2, [3, 1]] })), unordered(&json!({ "a": [[1, 3], 2] })));
        assert_ne!(unordered(&json!([1, 2])), unordered(&json!([1, 1])));
    }

    #[test]
    fn shows_long_texts_around_their_first_difference() {
        let text = |end: &str| format!("{}{end}", "é".repeat(1000));
        let shown = around_first_difference(&text("x"), &text("y"));
        assert_eq!(shown, format!("- …{0}x…\n+ …{0}y…\n", "é".repeat(AROUND)));
    }
}
