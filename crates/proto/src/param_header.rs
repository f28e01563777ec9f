//! Tool arguments that are mirrored into headers, so that a load balancer can route on them.
//!
//! Spec: basic/transports/streamable-http, "Custom Headers from Tool Parameters", "Value Encoding" and
//! "Server Behavior for Custom Headers". A tool's input schema marks the arguments with `x-mcp-header`; client
//! and server read the marks with [`ParamHeaders::from_schema`], the client then makes the headers
//! ([`ParamHeaders::encode`]) and the server holds them against the body ([`ParamHeaders::check`]).

use std::fmt;

use http::{HeaderName, HeaderValue};
use serde_json::Value;

use crate::header::{self, Headers, ValueError};
use crate::scan::ScanError;

mod annotation;
mod integer;
mod mirror;

pub use integer::MAX_SAFE_INTEGER;

/// The keyword that marks an argument.
pub const KEYWORD: &str = "x-mcp-header";

/// How many arguments of one tool may be mirrored. Servers commonly accept about a hundred header lines in
/// all, so that a tool with more could not be called; it also is what fits the bit set of the check.
pub const MAX_PARAM_HEADERS: usize = 64;

/// The type of a mirrored argument. The specification allows no `number`, because its text is ambiguous.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParamKind {
    /// Text, mirrored as it is.
    String,
    /// A whole number within ±[`MAX_SAFE_INTEGER`], mirrored in decimal.
    Integer,
    /// `true` or `false`.
    Boolean,
}

impl fmt::Display for ParamKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::String => "string",
            Self::Integer => "integer",
            Self::Boolean => "boolean",
        })
    }
}

/// One mirrored argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParamHeader {
    /// The header's full name, `mcp-param-…`, lowercase.
    pub header: HeaderName,
    /// The property names that lead from the arguments to the value.
    pub path: Box<[String]>,
    /// What the value has to be.
    pub kind: ParamKind,
}

impl ParamHeader {
    /// The path as a JSON pointer.
    pub fn pointer(&self) -> String {
        pointer(&self.path)
    }
}

/// The mirrored arguments of one tool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ParamHeaders {
    params: Box<[ParamHeader]>,
    root: mirror::Node,
}

impl ParamHeaders {
    /// Finds the annotations of a tool's input schema.
    ///
    /// # Errors
    /// If any annotation breaks a rule of the specification; the tool is then unusable over HTTP, and a
    /// client has to leave it out of the list.
    pub fn from_schema(schema: &Value) -> Result<Self, ParamHeaderError> {
        let params = annotation::find(schema)?.into_boxed_slice();
        let root = mirror::Node::tree(&params);
        Ok(Self { params, root })
    }

    /// Whether nothing is mirrored.
    pub fn is_empty(&self) -> bool {
        self.params.is_empty()
    }

    /// The mirrored arguments, in the order of the schema.
    pub fn iter(&self) -> std::slice::Iter<'_, ParamHeader> {
        self.params.iter()
    }

    /// Checks that the headers say the same as the arguments of a `tools/call`, whose JSON text is given.
    ///
    /// Costs nothing for a tool without mirrored arguments, and else one scan of the arguments. An argument
    /// of another type than the annotated one, sent without a header, passes: the validation of the arguments
    /// then says more helpfully what is wrong with it.
    ///
    /// # Errors
    /// If a header is missing, superfluous, repeated, malformed or says something else than the body.
    pub fn check(&self, headers: &dyn Headers, arguments: Option<&str>) -> Result<(), ParamMismatch> {
        match self.params.first() {
            None => Ok(()),
            Some(first) => mirror::Check { params: &self.params, headers }
                .run(&self.root, arguments)
                .map_err(|stop| stop.into_mismatch(first)),
        }
    }

    /// Makes the headers for a call with `arguments`. Absent and `null` arguments have none, nor have those of
    /// another type than the annotated one, which the server's validation will refuse.
    ///
    /// # Errors
    /// If an integer is outside ±[`MAX_SAFE_INTEGER`].
    pub fn encode(&self, arguments: &Value) -> Result<Vec<(HeaderName, HeaderValue)>, ParamOutOfRange> {
        let mut lines = Vec::with_capacity(self.params.len());
        for param in &self.params {
            let value = param.path.iter().try_fold(arguments, |value, key| value.as_object()?.get(key));
            if let Some(line) = value.and_then(|value| param.line(value).transpose()) {
                lines.push((param.header.clone(), line?));
            }
        }
        Ok(lines)
    }
}

impl ParamHeader {
    fn line(&self, value: &Value) -> Result<Option<HeaderValue>, ParamOutOfRange> {
        Ok(match (self.kind, value) {
            (ParamKind::String, Value::String(text)) => {
                Some(HeaderValue::from_str(&header::encode_value(text)).expect("an encoded value is visible ASCII"))
            }
            (ParamKind::Boolean, Value::Bool(true)) => Some(HeaderValue::from_static("true")),
            (ParamKind::Boolean, Value::Bool(false)) => Some(HeaderValue::from_static("false")),
            (ParamKind::Integer, Value::Number(number)) => match integer::parse(&number.to_string()) {
                Ok(integer) => Some(HeaderValue::from(integer)),
                Err(integer::NoInteger::OutOfRange) => {
                    return Err(ParamOutOfRange { header: self.header.clone(), path: self.pointer() });
                }
                Err(integer::NoInteger::Fraction | integer::NoInteger::Syntax) => None,
            },
            (ParamKind::String | ParamKind::Boolean | ParamKind::Integer, _) => None,
        })
    }
}

/// An annotation that makes a tool definition invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`x-mcp-header` at `{path}`: {kind}")]
pub struct ParamHeaderError {
    /// JSON pointer into the schema, to the subschema that carries the annotation.
    pub path: String,
    /// The broken rule.
    pub kind: ParamHeaderErrorKind,
}

/// The rule that an annotation breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParamHeaderErrorKind {
    /// The value is no string.
    #[error("must be a string")]
    NotAString,
    /// The value is the empty string.
    #[error("must not be empty")]
    Empty,
    /// The value has characters that a header name cannot have.
    #[error("is no header name: only letters, digits and !#$%&'*+-.^_`|~ are allowed")]
    NotAToken,
    /// Another annotation has the same name, apart from case.
    #[error("the name is already used at `{0}`")]
    Duplicate(String),
    /// The argument's `type` is not exactly one of string, integer and boolean (or `null`).
    #[error("the property's `type` must be string, integer or boolean")]
    NotPrimitive,
    /// The annotation stands somewhere else than on a property that is reached through `properties` alone.
    #[error("must stand on a property that is reached from the root through `properties` alone")]
    Unreachable,
    /// More than [`MAX_PARAM_HEADERS`] annotations.
    #[error("is one too many: at most {MAX_PARAM_HEADERS} arguments can be mirrored")]
    TooMany,
    /// The schema nests too deeply to be searched.
    #[error("cannot be looked for: the schema is nested too deeply")]
    TooDeep,
}

/// A header and the argument that it should mirror do not say the same: `HeaderMismatch`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("header `{header}` does not mirror the argument `{path}`: {kind}")]
pub struct ParamMismatch {
    /// The header.
    pub header: HeaderName,
    /// JSON pointer to the argument, within the arguments.
    pub path: String,
    /// What is wrong.
    pub kind: ParamMismatchKind,
}

/// What is wrong between a header and its argument. Quoted values are cut after 64 characters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParamMismatchKind {
    /// The argument is there, the header is not.
    #[error("the header is missing, expected `{body_value}`")]
    Missing {
        /// The argument.
        body_value: String,
    },
    /// The header is there, the argument is absent or `null`.
    #[error("the argument is absent or null, but the header says `{header_value}`")]
    Unexpected {
        /// The header, decoded.
        header_value: String,
    },
    /// The header has more than one line.
    #[error("the header is repeated, expected one line")]
    Repeated,
    /// The header's value is not properly encoded.
    #[error("the header is malformed: {0}")]
    Malformed(ValueError),
    /// Both are there and differ.
    #[error("the header says `{header_value}`, the argument is `{body_value}`")]
    Differs {
        /// The header, decoded.
        header_value: String,
        /// The argument.
        body_value: String,
    },
    /// An integer outside ±[`MAX_SAFE_INTEGER`], in the header or in the body.
    #[error("the integer `{value}` is outside ±{MAX_SAFE_INTEGER}")]
    OutOfRange {
        /// The integer.
        value: String,
    },
    /// The body names a property on the path twice, so that two parsers would read two values.
    #[error("the arguments name it or an object around it twice")]
    DuplicateKey,
    /// The arguments are not JSON.
    #[error("the arguments are malformed: {0}")]
    Arguments(ScanError),
}

/// An integer argument that cannot be mirrored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the argument `{path}` is outside ±{MAX_SAFE_INTEGER} and cannot be mirrored in `{header}`")]
pub struct ParamOutOfRange {
    /// The header.
    pub header: HeaderName,
    /// JSON pointer to the argument.
    pub path: String,
}

/// A path as a JSON pointer (RFC 6901).
fn pointer<S: AsRef<str>>(path: &[S]) -> String {
    path.iter().flat_map(|key| ["/".to_owned(), key.as_ref().replace('~', "~0").replace('/', "~1")]).collect()
}
