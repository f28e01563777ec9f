//! Arbitrary JSON, and the many ways to spell it.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::{Map, Number, Value};

/// Any value, not too deep.
pub(crate) fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_filter_map("JSON has no such number", |n| Number::from_f64(n).map(Value::from)),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 48, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            btree_map(any::<String>(), inner, 0..6).prop_map(|members| Value::from(Map::from_iter(members))),
        ]
    })
}

/// Values together with one of their spellings: any order of members, white space and escapes.
pub(crate) fn spelled(values: impl Strategy<Value = Value>) -> impl Strategy<Value = (Value, String)> {
    (values, any::<u64>()).prop_map(|(value, seed)| {
        let text = Speller::new(seed).spell(&value);
        // `serde_json` may read a double one bit off from the one that was written.
        (serde_json::from_str(&text).expect("JSON"), text)
    })
}

/// Spells values, in a way that its seed says.
pub(crate) struct Speller(u64);

impl Speller {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    pub(crate) fn spell(&mut self, value: &Value) -> String {
        let mut text = self.space();
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => text.push_str(&value.to_string()),
            Value::String(string) => text.push_str(&self.string(string)),
            Value::Array(items) => {
                let items: Vec<_> = items.iter().map(|item| self.spell(item)).collect();
                text.push_str(&format!("[{}]", if items.is_empty() { self.space() } else { items.join(",") }));
            }
            Value::Object(members) => {
                let mut spelled: Vec<_> = members
                    .iter()
                    .map(|(name, value)| {
                        format!("{}{}{}:{}", self.space(), self.string(name), self.space(), self.spell(value))
                    })
                    .collect();
                for at in (1..spelled.len()).rev() {
                    let other = self.below(at + 1);
                    spelled.swap(at, other);
                }
                text.push_str(&format!("{{{}}}", if spelled.is_empty() { self.space() } else { spelled.join(",") }));
            }
        }
        text.push_str(&self.space());
        text
    }

    fn space(&mut self) -> String {
        let length = self.below(12).saturating_sub(9);
        (0..length).map(|_| [' ', '\t', '\n', '\r'][self.below(4)]).collect()
    }

    fn string(&mut self, string: &str) -> String {
        let mut text = String::from("\"");
        for char in string.chars() {
            let short = "\"\\/\u{8}\u{c}\n\r\t".find(char).filter(|_| self.below(2) == 0);
            let must = matches!(char, '"' | '\\' | '\0'..='\u{1f}');
            if let Some(at) = short {
                let letter = ['"', '\\', '/', 'b', 'f', 'n', 'r', 't'][at];
                text.extend(['\\', letter]);
            } else if must || self.below(8) == 0 {
                let mut units = [0; 2];
                for unit in char.encode_utf16(&mut units) {
                    text.push_str(&if self.below(2) == 0 {
                        format!("\\u{unit:04x}")
                    } else {
                        format!("\\u{unit:04X}")
                    });
                }
            } else {
                text.push(char);
            }
        }
        text.push('"');
        text
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap_or(0) % bound
    }
}
