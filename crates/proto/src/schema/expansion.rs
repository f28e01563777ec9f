//! What a schema amounts to when its references are followed: thirty definitions that each refer twice to the
//! next are a billion subschemas to visit.
//!
//! Spec: basic, "Composition-Keyword Resource Use".

use std::collections::HashMap;

use serde_json::Value;

use super::{DATA, Keys, SchemaError, SchemaErrorKind};

/// How many subschemas a schema may amount to.
pub const MAX_EXPANDED: usize = 20_000;
/// How deep a schema may nest, counted in JSON values, with its references followed. The validator recurses
/// as deep.
pub const MAX_REACH: usize = 256;
/// How many references may name their target by `$anchor` or `$id`. Those are not followed here; so few
/// cannot multiply to much.
pub const MAX_NAMED_REFERENCES: usize = 32;

/// Whether a schema refers to itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Recursion {
    No,
    Yes,
}

/// Checks all three bounds.
pub(super) fn check(root: &Value) -> Result<Recursion, SchemaError> {
    let mut expansion = Expansion { root, targets: HashMap::new(), named: 0, recursion: Recursion::No };
    match expansion.measure(root, Keys::Words, 0) {
        Ok(_) => Ok(expansion.recursion),
        Err(kind) => Err(SchemaError::at_root(kind)),
    }
}

/// How large a schema is.
#[derive(Debug, Clone, Copy)]
struct Size {
    objects: usize,
    height: usize,
}

struct Expansion<'a> {
    root: &'a Value,
    /// The sizes of targets that are known; `None` while one is being measured.
    targets: HashMap<&'a str, Option<Size>>,
    named: usize,
    recursion: Recursion,
}

impl<'a> Expansion<'a> {
    fn measure(&mut self, value: &'a Value, keys: Keys, depth: usize) -> Result<Size, SchemaErrorKind> {
        let mut size = Size { objects: usize::from(value.is_object()), height: 1 };
        if depth + size.height > MAX_REACH {
            return Err(SchemaErrorKind::TooFar);
        }
        match value {
            Value::Object(members) => {
                for (key, value) in members {
                    match (keys, key.as_str(), value) {
                        (Keys::Words, "$ref" | "$dynamicRef", Value::String(reference)) => {
                            size.add(self.target(reference, depth + 1)?)?;
                        }
                        // Definitions count where they are referred to.
                        (Keys::Words, "$defs" | "definitions", _) => {}
                        (Keys::Words, key, _) if DATA.contains(&key) => {}
                        (keys, key, value) => size.add(self.measure(value, keys.below(key), depth + 1)?)?,
                    }
                }
            }
            Value::Array(items) => {
                for item in items {
                    size.add(self.measure(item, Keys::Words, depth + 1)?)?;
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
        Ok(size)
    }

    fn target(&mut self, reference: &'a str, depth: usize) -> Result<Size, SchemaErrorKind> {
        let Some(target) = reference.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer)) else {
            self.named += 1;
            let few = self.named <= MAX_NAMED_REFERENCES;
            return if few { Ok(Size { objects: 1, height: 1 }) } else { Err(SchemaErrorKind::TooExpansive) };
        };
        match self.targets.get(reference) {
            Some(Some(size)) if depth + size.height > MAX_REACH => Err(SchemaErrorKind::TooFar),
            Some(Some(size)) => Ok(*size),
            Some(None) => {
                self.recursion = Recursion::Yes;
                Ok(Size { objects: 1, height: 1 })
            }
            None => {
                self.targets.insert(reference, None);
                let size = self.measure(target, Keys::Words, depth)?;
                self.targets.insert(reference, Some(size));
                Ok(size)
            }
        }
    }
}

impl Size {
    fn add(&mut self, below: Self) -> Result<(), SchemaErrorKind> {
        self.objects += below.objects;
        self.height = self.height.max(below.height + 1);
        if self.objects > MAX_EXPANDED { Err(SchemaErrorKind::TooExpansive) } else { Ok(()) }
    }
}
