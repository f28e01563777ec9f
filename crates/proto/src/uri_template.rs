//! URI templates: from variables to a URI and back.
//!
//! Spec: server/resources, "Resource Templates"; the format by RFC 6570, levels 1 to 3.

mod expand;
mod matching;
mod parse;

pub use self::matching::MAX_URI_LEN;

use self::matching::Piece;
use std::fmt;

/// The longest template in bytes.
pub const MAX_TEMPLATE_LEN: usize = 2048;

/// The most variables in a template.
pub const MAX_VARIABLES: usize = 32;

/// A template that was read once, to be expanded and matched many times.
///
/// ```
/// use anypod_proto::uri_template::UriTemplate;
/// let template = UriTemplate::parse("orders://{region}/{id}{?view}").unwrap();
/// let values = template.match_uri("orders://eu/a%20b").unwrap();
/// assert_eq!(values, [("region", "eu".to_owned()), ("id", "a b".to_owned())]);
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct UriTemplate {
    text: Box<str>,
    parts: Box<[Part]>,
    /// In the order of the template. Parts and pieces name variables by their place here.
    variables: Box<[Box<str>]>,
    pieces: Box<[Piece]>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// As it stands in a URI: what a URI cannot have is percent-encoded.
    Literal(Box<str>),
    /// Variables from `first` up to `end`.
    Expression { operator: Operator, first: usize, end: usize },
}

/// What follows the opening brace. RFC 6570, section 2.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Simple,
    Reserved,
    Fragment,
    Label,
    Path,
    Parameter,
    Query,
    Continuation,
}

impl Operator {
    /// What stands before the first value that is there.
    const fn lead(self) -> Option<u8> {
        match self {
            Self::Simple | Self::Reserved => None,
            Self::Fragment => Some(b'#'),
            Self::Label => Some(b'.'),
            Self::Path => Some(b'/'),
            Self::Parameter => Some(b';'),
            Self::Query => Some(b'?'),
            Self::Continuation => Some(b'&'),
        }
    }

    /// What stands between values.
    const fn separator(self) -> u8 {
        match self {
            Self::Simple | Self::Reserved | Self::Fragment => b',',
            Self::Label => b'.',
            Self::Path => b'/',
            Self::Parameter => b';',
            Self::Query | Self::Continuation => b'&',
        }
    }
}

/// Why a text is not a template that can be expanded and matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("at offset {offset}: {kind}")]
pub struct TemplateError {
    /// In bytes, from the start of the template.
    pub offset: usize,
    /// What is wrong there.
    pub kind: TemplateErrorKind,
}

/// What is wrong with a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TemplateErrorKind {
    /// Longer than [`MAX_TEMPLATE_LEN`].
    #[error("the template is longer than {MAX_TEMPLATE_LEN} bytes")]
    TooLong,
    /// More than [`MAX_VARIABLES`].
    #[error("the template has more than {MAX_VARIABLES} variables")]
    TooManyVariables,
    /// A character that a URI cannot have, outside an expression.
    #[error("{0:?} cannot stand in a URI; percent-encode it")]
    Literal(char),
    /// An opening brace without a closing one.
    #[error("the expression that begins here is not closed; write `}}` at its end")]
    Unclosed,
    /// A closing brace without an opening one.
    #[error("no expression is open here; percent-encode a literal brace as %7D")]
    Unopened,
    /// No name between commas or braces.
    #[error("the name of a variable is missing")]
    NoName,
    /// A character that names cannot have.
    #[error("{0:?} cannot stand in a name; use letters, digits, `_`, and `.` between them")]
    Name(char),
    /// `=`, `!`, `@`, `|`: kept for later versions of the format.
    #[error("the operator {0:?} is reserved")]
    ReservedOperator(char),
    /// `*` or `:n`, level 4 of the format, which cannot be matched without doubt.
    #[error("the modifier {0:?} is not supported; for a value with slashes write `{{+name}}`")]
    Modifier(char),
    /// A name for the second time.
    #[error("the template has a variable of this name already")]
    Repeated,
}

impl UriTemplate {
    /// Reads a template.
    ///
    /// # Errors
    /// The first thing that is wrong, and where.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let (parts, variables) = parse::parse(text)?;
        let pieces = matching::compile(&parts);
        Ok(Self { text: text.into(), parts: parts.into(), variables: variables.into(), pieces: pieces.into() })
    }

    /// The template as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The names of the variables, in the order of the template.
    pub fn variables(&self) -> impl ExactSizeIterator<Item = &str> {
        self.variables.iter().map(|name| &**name)
    }

    /// The URI that the template stands for, with the values that `lookup` gives. `None` leaves the
    /// variable out, with what would lead to it.
    pub fn expand<'v>(&self, lookup: impl Fn(&str) -> Option<&'v str>) -> String {
        expand::expand(&self.parts, &self.variables, lookup)
    }

    /// The values with which the template gives `uri`, percent-decoded, in the order of the template.
    /// Variables that are left out of the URI are left out of the answer.
    ///
    /// - `{a}` and `{+a}` take at least one character; all other expressions may be missing as a whole.
    /// - A value ends before `/`, `?` and `#`, but for `{+a}` and `{#a}`. What lies between is taken
    ///   even where an expansion would have encoded it, such as `@`.
    /// - Of several readings the one counts in which earlier variables take most.
    /// - Names in `{?a,b}`, `{&a,b}` and `{;a,b}` may come in any order, each once.
    ///
    /// A decoded value can hold anything, `/`, `..` and control characters too: check it before use.
    ///
    /// `None` if the URI does not match, decodes to what is not UTF-8, or is longer than
    /// [`MAX_URI_LEN`]. Takes time in proportion to the lengths of template and URI, multiplied.
    pub fn match_uri(&self, uri: &str) -> Option<Vec<(&str, String)>> {
        let mut values = matching::match_uri(&self.pieces, &self.variables, uri)?;
        values.sort_unstable_by_key(|(variable, _)| *variable);
        let named = |(variable, value): (usize, String)| (&*self.variables[variable], value);
        Some(values.into_iter().map(named).collect())
    }
}

impl fmt::Debug for UriTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("UriTemplate").field(&self.text).finish()
    }
}

impl fmt::Display for UriTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::str::FromStr for UriTemplate {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, TemplateError> {
        Self::parse(text)
    }
}
