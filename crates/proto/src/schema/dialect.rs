//! Which dialects of JSON Schema are understood, and that no reference leads out of a document.
//!
//! Spec: basic, "JSON Schema Usage": the default is 2020-12, and implementations must not fetch references
//! on their own.

use jsonschema::Draft;
use serde_json::Value;

use super::{DATA, Keys, SchemaError, SchemaErrorKind, step};

/// A supported dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// JSON Schema 2020-12, also where a schema does not say what it is.
    Draft202012,
    /// JSON Schema draft-07, which many existing tools still declare.
    Draft7,
}

impl Dialect {
    /// The dialect that a schema declares in `$schema`.
    ///
    /// # Errors
    /// If it declares another one.
    pub fn of(schema: &Value) -> Result<Self, SchemaError> {
        let Some(declared) = schema.get("$schema") else { return Ok(Self::Draft202012) };
        let unsupported = || SchemaError {
            pointer: "/$schema".to_owned(),
            kind: SchemaErrorKind::Dialect(super::cut(&declared.to_string(), super::MAX_MESSAGE)),
        };
        let uri = declared.as_str().ok_or_else(unsupported)?;
        match uri.strip_suffix('#').unwrap_or(uri) {
            "https://json-schema.org/draft/2020-12/schema" => Ok(Self::Draft202012),
            "http://json-schema.org/draft-07/schema" => Ok(Self::Draft7),
            _ => Err(unsupported()),
        }
    }

    pub(super) const fn draft(self) -> Draft {
        match self {
            Self::Draft202012 => Draft::Draft202012,
            Self::Draft7 => Draft::Draft7,
        }
    }
}

/// Refuses references that lead out of the document, before the validator sees them.
///
/// Only a document that names parts of itself with `$id` can be referred to by URI. Those are left to the
/// validator, which works offline and fails on whatever it does not find.
pub(super) fn check_references(schema: &Value) -> Result<(), SchemaError> {
    let by_uri = any_id(schema);
    References { root: schema, by_uri }.walk(schema, Keys::Words, "")
}

fn any_id(value: &Value) -> bool {
    match value {
        Value::Object(members) => members.get("$id").is_some_and(Value::is_string) || members.values().any(any_id),
        Value::Array(items) => items.iter().any(any_id),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

struct References<'a> {
    root: &'a Value,
    by_uri: bool,
}

impl References<'_> {
    fn walk(&self, value: &Value, keys: Keys, pointer: &str) -> Result<(), SchemaError> {
        match value {
            Value::Object(members) => members.iter().try_for_each(|(key, value)| match (keys, key.as_str(), value) {
                (Keys::Words, "$ref" | "$dynamicRef", Value::String(reference)) if !self.resolves(reference) => {
                    let kind = SchemaErrorKind::Reference(super::cut(reference, super::MAX_MESSAGE));
                    Err(SchemaError { pointer: step(pointer, key), kind })
                }
                (Keys::Words, key, _) if DATA.contains(&key) => Ok(()),
                (keys, key, value) => self.walk(value, keys.below(key), &step(pointer, &key)),
            }),
            Value::Array(items) => {
                items.iter().enumerate().try_for_each(|(at, value)| self.walk(value, Keys::Words, &step(pointer, &at)))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
        }
    }

    fn resolves(&self, reference: &str) -> bool {
        match reference.strip_prefix('#') {
            // The validator knows the meta-schemas by heart, but they are not in the document either.
            None => self.by_uri && !reference.contains("://json-schema.org/"),
            // A percent-encoded pointer is rare enough to be left to the validator.
            Some(fragment) if fragment.starts_with('/') && !self.by_uri && !fragment.contains('%') => {
                self.root.pointer(fragment).is_some()
            }
            Some(_) => true,
        }
    }
}
