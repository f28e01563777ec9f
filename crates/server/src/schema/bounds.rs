//! How large a schema may be. Definitions may come from files and upstreams, and compiling costs more than
//! the text shows.

use std::io;

use serde_json::Value;

use super::{SchemaError, SchemaErrorKind, step};

/// How deep a schema may nest, counted in JSON values. Generated schemas stay below twenty.
pub(crate) const MAX_DEPTH: usize = 64;
/// How many JSON objects a schema may consist of, which is at least the number of its subschemas.
pub(crate) const MAX_SUBSCHEMAS: usize = 2_000;
/// How long a schema may be, in bytes of compact JSON.
pub(crate) const MAX_TEXT: usize = 256 * 1024;

/// Checks all three.
pub(super) fn check(schema: &Value) -> Result<(), SchemaError> {
    count(schema, "", 0, &mut 0)?;
    serde_json::to_writer(Meter { left: MAX_TEXT }, schema).map_err(|_| SchemaError::at_root(SchemaErrorKind::TooLong))
}

fn count(value: &Value, pointer: &str, depth: usize, objects: &mut usize) -> Result<(), SchemaError> {
    let refuse = |kind| Err(SchemaError { pointer: pointer.to_owned(), kind });
    if depth > MAX_DEPTH {
        return refuse(SchemaErrorKind::TooDeep);
    }
    match value {
        Value::Object(members) => {
            *objects += 1;
            if *objects > MAX_SUBSCHEMAS {
                return refuse(SchemaErrorKind::TooManySubschemas);
            }
            members.iter().try_for_each(|(key, value)| count(value, &step(pointer, key), depth + 1, objects))
        }
        Value::Array(items) => {
            items.iter().enumerate().try_for_each(|(at, value)| count(value, &step(pointer, &at), depth + 1, objects))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

/// Counts what is written and fails when it is too much.
struct Meter {
    left: usize,
}

impl io::Write for Meter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.left = self.left.checked_sub(bytes.len()).ok_or(io::ErrorKind::FileTooLarge)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
