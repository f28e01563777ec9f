//! How large a schema may be. Schemas come from files and from peers, and compiling costs more than the text
//! shows.

use std::fmt::{self, Write};

use serde_json::Value;

use super::{SchemaError, SchemaErrorKind, step};

/// The bounds of one schema. Start from [`Limits::default`] and change what you must.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// How deep a schema may nest, counted in JSON values. Default 64; generated schemas stay below twenty.
    pub depth: usize,
    /// How many JSON objects a schema may consist of, which is at least the number of its subschemas.
    /// Default 2,000.
    pub subschemas: usize,
    /// How long a schema may be, in bytes of compact JSON. Default 256 KiB.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { depth: 64, subschemas: 2_000, bytes: 256 * 1024 }
    }
}

/// Checks all three.
pub(super) fn check(schema: &Value, limits: &Limits) -> Result<(), SchemaError> {
    Count { limits, objects: 0 }.walk(schema, "", 0)?;
    write!(Meter { left: limits.bytes }, "{schema}")
        .map_err(|fmt::Error| SchemaError::at_root(SchemaErrorKind::TooLong(limits.bytes)))
}

struct Count<'a> {
    limits: &'a Limits,
    objects: usize,
}

impl Count<'_> {
    fn walk(&mut self, value: &Value, pointer: &str, depth: usize) -> Result<(), SchemaError> {
        let refuse = |kind| Err(SchemaError { pointer: pointer.to_owned(), kind });
        if depth > self.limits.depth {
            return refuse(SchemaErrorKind::TooDeep(self.limits.depth));
        }
        match value {
            Value::Object(members) => {
                self.objects += 1;
                if self.objects > self.limits.subschemas {
                    return refuse(SchemaErrorKind::TooManySubschemas(self.limits.subschemas));
                }
                members.iter().try_for_each(|(key, value)| self.walk(value, &step(pointer, key), depth + 1))
            }
            Value::Array(items) => {
                items.iter().enumerate().try_for_each(|(at, value)| self.walk(value, &step(pointer, &at), depth + 1))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
        }
    }
}

/// Counts what is written and fails when it is too much.
struct Meter {
    left: usize,
}

impl Write for Meter {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.left = self.left.checked_sub(text.len()).ok_or(fmt::Error)?;
        Ok(())
    }
}
