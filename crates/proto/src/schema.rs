//! JSON Schemas: compiled once within bounds, then checked against every value.
//!
//! Spec: basic, "JSON Schema Usage", and server/tools, "Tool". Most schemas are plain enough for a shape,
//! which tells from the raw text that a value is certainly valid; whatever it cannot tell is decided by the
//! `jsonschema` crate, whose verdict is the authoritative one.

use std::fmt;

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

use crate::param_header::{ParamHeaderError, ParamHeaderErrorKind, ParamHeaders};

mod bounds;
mod dialect;
mod expansion;
mod shape;
mod violation;

pub use bounds::Limits;
pub use dialect::Dialect;
pub use expansion::{MAX_EXPANDED, MAX_NAMED_REFERENCES, MAX_REACH};
pub use violation::{MAX_MESSAGE, MAX_VIOLATIONS, Violation, Violations};

use expansion::Recursion;
use shape::Shape;

/// How often a `pattern` with look-around or back-references may backtrack before it counts as not matching.
/// A tenth of the engine's default: patterns meet text from strangers.
const MAX_BACKTRACKS: usize = 100_000;

/// Keywords whose value is an instance, in which a `$ref` is no reference.
const DATA: [&str; 4] = ["const", "default", "enum", "examples"];

/// What the members of a JSON object in a schema are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keys {
    /// Keywords.
    Words,
    /// Names that the author chose, each with a schema. None is a keyword, whatever it reads like.
    Names,
}

impl Keys {
    /// What the members of the value of a member are.
    fn below(self, key: &str) -> Self {
        const MAPS: [&str; 6] =
            ["$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties", "properties"];
        if self == Self::Words && MAPS.contains(&key) { Self::Names } else { Self::Words }
    }
}

/// What a schema is for, which decides the rules it has to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A tool's arguments: the root must be an object, and its arguments may be mirrored into headers.
    Input,
    /// A tool's structured result, of any type.
    Output,
    /// A form that a user fills in: the root must be an object, and `format` is checked, because people
    /// mistype what models do not.
    Form,
}

/// A schema that is ready to validate.
#[derive(Debug)]
pub struct Schema {
    params: ParamHeaders,
    shape: Option<Shape>,
    validator: Validator,
    recursion: Recursion,
}

impl Schema {
    /// Compiles a schema. Nothing is ever fetched: references have to resolve within the document.
    ///
    /// # Errors
    /// If the schema is no valid JSON Schema of a supported [`Dialect`], is larger than `limits` allow, refers
    /// to anything outside itself, or breaks a rule of its role.
    pub fn compile(value: &Value, role: Role, limits: &Limits) -> Result<Self, SchemaError> {
        bounds::check(value, limits)?;
        let dialect = Dialect::of(value)?;
        if role != Role::Output && value.get("type") != Some(&Value::from("object")) {
            return Err(SchemaError::at_root(SchemaErrorKind::NotAnObject));
        }
        dialect::check_references(value)?;
        let recursion = expansion::check(value)?;
        let params = match role {
            Role::Input => ParamHeaders::from_schema(value)?,
            Role::Output | Role::Form => ParamHeaders::default(),
        };
        let formats = role == Role::Form;
        let validator = jsonschema::options()
            .with_draft(dialect.draft())
            .with_pattern_options(PatternOptions::fancy_regex().backtrack_limit(MAX_BACKTRACKS))
            .should_validate_formats(formats)
            .offline()
            .build(value)
            .map_err(|error| SchemaError::invalid(&error))?;
        let shape = Shape::of(value, if formats { shape::Format::Assertion } else { shape::Format::Annotation });
        Ok(Self { params, shape, validator, recursion })
    }

    /// The arguments that are mirrored into headers; none unless the role is [`Role::Input`].
    pub fn params(&self) -> &ParamHeaders {
        &self.params
    }

    /// Validates JSON text.
    ///
    /// # Errors
    /// If the text is not JSON or not valid against the schema.
    pub fn validate_raw(&self, raw: &str) -> Result<(), Violations> {
        if self.shape.as_ref().is_some_and(|shape| shape.accepts(raw)) {
            return Ok(());
        }
        let value: Value = serde_json::from_str(raw).map_err(|error| Violations::unreadable(&error))?;
        self.validate_value(&value)
    }

    /// Validates a value.
    ///
    /// # Errors
    /// If the value is not valid against the schema.
    pub fn validate_value(&self, value: &Value) -> Result<(), Violations> {
        match self.validator.is_valid(value) {
            true => Ok(()),
            false => Err(Violations::find(&self.validator, self.recursion, value)),
        }
    }
}

/// Why a schema cannot be used, and where. The fault is in the schema, whoever wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("schema is unusable at {}: {kind}", if pointer.is_empty() { "its root" } else { pointer })]
pub struct SchemaError {
    /// JSON pointer into the schema; empty for its root.
    pub pointer: String,
    /// What is wrong there.
    pub kind: SchemaErrorKind,
}

/// What is wrong with a schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaErrorKind {
    /// The root of an input or a form does not say `"type": "object"`.
    #[error("the root must have `\"type\": \"object\"`")]
    NotAnObject,
    /// `$schema` names a dialect that is not supported.
    #[error("the dialect `{0}` is not supported, only 2020-12 and draft-07")]
    Dialect(String),
    /// More levels than this, which is [`Limits::depth`].
    #[error("nested more than {0} levels deep")]
    TooDeep(usize),
    /// More than [`MAX_REACH`] levels when references are followed.
    #[error("nested more than {MAX_REACH} levels deep when its references are followed")]
    TooFar,
    /// More objects than this, which is [`Limits::subschemas`].
    #[error("more than {0} subschemas")]
    TooManySubschemas(usize),
    /// More bytes of JSON than this, which is [`Limits::bytes`].
    #[error("longer than {0} bytes")]
    TooLong(usize),
    /// More than [`MAX_EXPANDED`] subschemas when references are followed, or more than
    /// [`MAX_NAMED_REFERENCES`] that cannot be.
    #[error(
        "amounts to more than {MAX_EXPANDED} subschemas, or has more than {MAX_NAMED_REFERENCES} references by name"
    )]
    TooExpansive,
    /// A reference that leads out of the document or nowhere; nothing is fetched.
    #[error("the reference `{0}` does not resolve within the document, and nothing is fetched")]
    Reference(String),
    /// An `x-mcp-header` that breaks a rule.
    #[error("`x-mcp-header`: {0}")]
    ParamHeader(ParamHeaderErrorKind),
    /// A keyword is used wrongly, in the words of the validator.
    #[error("{0}")]
    Invalid(String),
}

impl SchemaError {
    fn at_root(kind: SchemaErrorKind) -> Self {
        Self { pointer: String::new(), kind }
    }

    fn invalid(error: &jsonschema::ValidationError<'_>) -> Self {
        let kind = SchemaErrorKind::Invalid(violation::message(error));
        Self { pointer: error.instance_path().to_string(), kind }
    }
}

impl From<ParamHeaderError> for SchemaError {
    fn from(error: ParamHeaderError) -> Self {
        Self { pointer: error.path, kind: SchemaErrorKind::ParamHeader(error.kind) }
    }
}

/// Writes at most `limit` characters of `text`, and a mark if there were more.
fn cut(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// A pointer grown by one step (RFC 6901).
fn step(pointer: &str, key: &dyn fmt::Display) -> String {
    format!("{pointer}/{}", key.to_string().replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests;
