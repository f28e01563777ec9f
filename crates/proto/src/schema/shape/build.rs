//! From a schema to its shape, if it stays within the subset.

use crate::scan::Kind;
use serde_json::{Map, Value};

use super::{Bounds, Format, Items, Lengths, Literal, MAX_MEMBERS, Member, Members, Shape, Types};

/// How many subschemas a shape may consist of. References are copied in, so that a small schema could
/// become a large shape, and a recursive one an infinite one.
const MAX_SHAPES: usize = 512;
/// How deep shapes may nest, references included.
const MAX_DEPTH: usize = 32;

/// Keywords that describe and do not restrict, in both dialects. Definitions restrict nothing until they are
/// referred to.
const ANNOTATIONS: [&str; 10] = [
    "$comment",
    "$defs",
    "default",
    "definitions",
    "deprecated",
    "description",
    "examples",
    "readOnly",
    "title",
    "writeOnly",
];

/// Keywords that a shape understands.
const ASSERTIONS: [&str; 15] = [
    "additionalProperties",
    "const",
    "enum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "items",
    "maxItems",
    "maxLength",
    "maximum",
    "minItems",
    "minLength",
    "minimum",
    "properties",
    "required",
    "type",
];

impl Shape {
    /// The shape of a schema; `None` if it has a keyword outside the subset.
    pub(in crate::schema) fn of(schema: &Value, format: Format) -> Option<Self> {
        Build { root: schema, format, left: MAX_SHAPES }.shape(schema, 0)
    }
}

struct Build<'a> {
    root: &'a Value,
    format: Format,
    left: usize,
}

impl<'a> Build<'a> {
    fn shape(&mut self, schema: &'a Value, depth: usize) -> Option<Shape> {
        self.left = self.left.checked_sub(1)?;
        if depth > MAX_DEPTH {
            return None;
        }
        match schema {
            Value::Bool(true) => Some(Shape::ANY),
            Value::Bool(false) => Some(Shape::NONE),
            Value::Object(schema) => match schema.get("$ref") {
                Some(reference) => {
                    // What else restricts beside a reference is heard in 2020-12 and ignored in draft-07.
                    let alone = schema.keys().all(|key| key == "$ref" || is_annotation(key, depth));
                    let target = self.target(reference.as_str()?)?;
                    if alone { self.shape(target, depth + 1) } else { None }
                }
                None => self.object(schema, depth),
            },
            Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) => None,
        }
    }

    /// Where a reference of the form `#/$defs/Name` leads to.
    fn target(&self, reference: &str) -> Option<&'a Value> {
        let (definitions, name) = reference.strip_prefix("#/")?.split_once('/')?;
        let plain = matches!(definitions, "$defs" | "definitions") && !name.contains(['/', '~', '%']);
        if plain { self.root.get(definitions)?.get(name) } else { None }
    }

    fn object(&mut self, schema: &'a Map<String, Value>, depth: usize) -> Option<Shape> {
        let known = |key: &str| match key {
            "format" => self.format == Format::Annotation,
            _ => is_annotation(key, depth) || ASSERTIONS.contains(&key),
        };
        if !schema.keys().all(|key| known(key)) {
            return None;
        }
        Some(Shape {
            types: types(schema.get("type"))?,
            bounds: Bounds::of(schema)?,
            lengths: lengths(schema, "minLength", "maxLength")?,
            literals: literals(schema)?,
            items: if has_any(schema, &["items", "minItems", "maxItems"]) {
                Some(Box::new(self.items(schema, depth)?))
            } else {
                None
            },
            members: if has_any(schema, &["properties", "required", "additionalProperties"]) {
                Some(Box::new(self.members(schema, depth)?))
            } else {
                None
            },
        })
    }

    fn items(&mut self, schema: &'a Map<String, Value>, depth: usize) -> Option<Items> {
        let each = match schema.get("items") {
            Some(items) => self.shape(items, depth + 1)?,
            None => Shape::ANY,
        };
        Some(Items { lengths: lengths(schema, "minItems", "maxItems")?, each })
    }

    fn members(&mut self, schema: &'a Map<String, Value>, depth: usize) -> Option<Members> {
        let others = match schema.get("additionalProperties") {
            Some(others) => self.shape(others, depth + 1)?,
            None => Shape::ANY,
        };
        let mut known = Vec::new();
        if let Some(properties) = schema.get("properties") {
            for (name, property) in properties.as_object()? {
                known.push(Member { name: name.as_str().into(), shape: self.shape(property, depth + 1)? });
            }
        }
        let mut required = 0;
        if let Some(names) = schema.get("required") {
            for name in names.as_array()? {
                required |= 1u64.checked_shl(place(&mut known, name.as_str()?, &others)?)?;
            }
        }
        if known.len() > MAX_MEMBERS {
            return None;
        }
        Some(Members { known: known.into_boxed_slice(), required, others })
    }
}

/// The index of a required member. One that is not declared has to be what all others are.
fn place(known: &mut Vec<Member>, name: &str, others: &Shape) -> Option<u32> {
    let at = known.iter().position(|member| &*member.name == name).unwrap_or_else(|| {
        known.push(Member { name: name.into(), shape: others.clone() });
        known.len() - 1
    });
    u32::try_from(at).ok()
}

/// Only the root's `$schema` has been looked at; another one could change the dialect.
fn is_annotation(key: &str, depth: usize) -> bool {
    ANNOTATIONS.contains(&key) || key.starts_with("x-") || (key == "$schema" && depth == 0)
}

fn has_any(schema: &Map<String, Value>, keywords: &[&str]) -> bool {
    keywords.iter().any(|keyword| schema.contains_key(*keyword))
}

fn types(types: Option<&Value>) -> Option<Types> {
    let one = |name: &Value| match name.as_str()? {
        "null" => Some(Types::of(Kind::Null)),
        "boolean" => Some(Types::of(Kind::Bool)),
        "number" => Some(Types::of(Kind::Number)),
        "integer" => Some(Types::INTEGER),
        "string" => Some(Types::of(Kind::String)),
        "array" => Some(Types::of(Kind::Array)),
        "object" => Some(Types::of(Kind::Object)),
        _ => None,
    };
    match types {
        None => Some(Types::ALL),
        Some(Value::Array(names)) => names.iter().try_fold(Types::NONE, |types, name| Some(types.union(one(name)?))),
        Some(name) => one(name),
    }
}

fn lengths(schema: &Map<String, Value>, min: &str, max: &str) -> Option<Lengths> {
    let limit = |key: &str, default: usize| match schema.get(key) {
        None => Some(default),
        Some(limit) => usize::try_from(limit.as_u64()?).ok(),
    };
    Some(Lengths { min: limit(min, Lengths::ANY.min)?, max: limit(max, Lengths::ANY.max)? })
}

#[expect(clippy::option_option, reason = "no literals, or no shape")]
fn literals(schema: &Map<String, Value>) -> Option<Option<Box<[Literal]>>> {
    match (schema.get("enum"), schema.get("const")) {
        (None, None) => Some(None),
        (Some(Value::Array(values)), None) => values.iter().map(literal).collect::<Option<_>>().map(Some),
        (None, Some(value)) => Some(Some(Box::new([literal(value)?]))),
        (Some(_), _) => None,
    }
}

fn literal(value: &Value) -> Option<Literal> {
    match value {
        Value::Null => Some(Literal::Null),
        Value::Bool(value) => Some(Literal::Bool(*value)),
        Value::Number(number) => number.as_i64().map(Literal::Integer),
        Value::String(text) => Some(Literal::String(text.as_str().into())),
        Value::Array(_) | Value::Object(_) => None,
    }
}
