//! What a value breaks, in words that let a model correct itself.

use std::fmt;

use jsonschema::{ValidationError, Validator};
use serde_json::Value;

use super::cut;
use super::expansion::Recursion;

/// How many violations are reported at once.
pub const MAX_VIOLATIONS: usize = 8;
/// How long a message may be, in characters.
pub const MAX_MESSAGE: usize = 200;

/// Strings up to this many bytes are quoted in messages.
const MAX_QUOTE: usize = 64;
/// The validator collects all violations before the first can be read. A value of more parts than this is
/// asked for its first one only, so that a hostile one cannot make it collect a million.
const MAX_PARTS: usize = 4_096;

/// One rule that a value breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// JSON pointer to the offending part of the value; empty for the whole.
    pub path: String,
    /// What is wrong with it, at most [`MAX_MESSAGE`] characters. Large values are not repeated.
    pub message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place(), self.message)
    }
}

/// What a value breaks: at least one and at most [`MAX_VIOLATIONS`] violations, displayed one per line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violations(Vec<Violation>);

impl Violations {
    /// The violation of not being readable at all.
    pub(super) fn unreadable(error: &serde_json::Error) -> Self {
        Self(vec![Violation { path: String::new(), message: cut(&error.to_string(), MAX_MESSAGE) }])
    }

    /// Asks the validator why it refused `value`.
    ///
    /// Only for the first reason where there could be too many: of a schema that refers to itself, each level
    /// of the value may multiply them.
    pub(super) fn find(validator: &Validator, recursion: Recursion, value: &Value) -> Self {
        let first_only = recursion == Recursion::Yes || is_larger(value, &mut 0);
        let mut found: Vec<Violation> = match first_only {
            true => validator.validate(value).err().iter().map(Violation::new).collect(),
            false => validator.iter_errors(value).take(MAX_VIOLATIONS).map(|error| Violation::new(&error)).collect(),
        };
        if found.is_empty() {
            found.push(Violation { path: String::new(), message: "is not valid".to_owned() });
        }
        Self(found)
    }

    /// The violations, one by one.
    pub fn iter(&self) -> impl Iterator<Item = &Violation> {
        self.0.iter()
    }

    /// Where the value is wrong, without what stands there: for logs.
    pub fn paths(&self) -> String {
        let paths: Vec<_> = self.0.iter().map(Violation::place).collect();
        paths.join(", ")
    }
}

impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, violation) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            violation.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Violations {}

impl Violation {
    fn place(&self) -> &str {
        if self.path.is_empty() { "(root)" } else { &self.path }
    }

    fn new(error: &ValidationError<'_>) -> Self {
        Self { path: cut(error.instance_path().as_str(), MAX_MESSAGE), message: message(error) }
    }
}

/// The validator's message, without repeating a large value.
pub(super) fn message(error: &ValidationError<'_>) -> String {
    let text = match error.instance().as_ref() {
        Value::Null | Value::Bool(_) | Value::Number(_) => error.to_string(),
        Value::String(text) if text.len() <= MAX_QUOTE => error.to_string(),
        Value::String(_) => error.masked_with("the string").to_string(),
        Value::Array(_) => error.masked_with("the array").to_string(),
        Value::Object(_) => error.masked_with("the object").to_string(),
    };
    cut(&text, MAX_MESSAGE)
}

fn is_larger(value: &Value, parts: &mut usize) -> bool {
    *parts += 1;
    *parts > MAX_PARTS
        || match value {
            Value::Array(items) => items.iter().any(|value| is_larger(value, parts)),
            Value::Object(members) => members.values().any(|value| is_larger(value, parts)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
        }
}
