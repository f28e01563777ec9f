//! The comparison of headers and arguments: one walk over the raw arguments along a tree of the paths.

use std::borrow::Cow;

use super::{ParamHeader, ParamKind, ParamMismatch, ParamMismatchKind as Wrong, integer, integer::NoInteger};
use crate::header::{self, Found, Headers};
use crate::scan::{Kind, ScanError, Scanner};

/// How many characters of a value an error quotes.
const MAX_QUOTE: usize = 64;

/// A property on the way to mirrored arguments.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Node {
    key: Box<str>,
    /// The first mirrored argument at or below this property.
    first: usize,
    /// The mirrored argument that this property is.
    own: Option<usize>,
    below: Vec<Node>,
}

impl Node {
    /// The tree of all paths; its root is the arguments object.
    pub(super) fn tree(params: &[ParamHeader]) -> Self {
        let mut root = Self::default();
        for (index, param) in params.iter().enumerate() {
            let mut node = &mut root;
            for key in &param.path {
                node = node.child(key, index);
            }
            node.own = Some(index);
        }
        root
    }

    fn child(&mut self, key: &str, first: usize) -> &mut Self {
        let at = self.below.iter().position(|node| &*node.key == key).unwrap_or_else(|| {
            self.below.push(Self { key: key.into(), first, own: None, below: Vec::new() });
            self.below.len() - 1
        });
        &mut self.below[at]
    }
}

/// Why the walk ended early.
pub(super) enum Stop {
    Mismatch(ParamMismatch),
    Scan(ScanError),
}

impl Stop {
    /// The error to report, with `first` for the header if the fault belongs to none.
    pub(super) fn into_mismatch(self, first: &ParamHeader) -> ParamMismatch {
        match self {
            Self::Mismatch(mismatch) => mismatch,
            Self::Scan(error) => wrong(first, Wrong::Arguments(error)),
        }
    }
}

impl From<ParamMismatch> for Stop {
    fn from(mismatch: ParamMismatch) -> Self {
        Self::Mismatch(mismatch)
    }
}

impl From<ScanError> for Stop {
    fn from(error: ScanError) -> Self {
        Self::Scan(error)
    }
}

/// One check of a request.
pub(super) struct Check<'a> {
    pub(super) params: &'a [ParamHeader],
    pub(super) headers: &'a dyn Headers,
}

impl<'a> Check<'a> {
    pub(super) fn run(&self, root: &Node, arguments: Option<&str>) -> Result<(), Stop> {
        let Some(raw) = arguments else { return Ok(self.absent(root)?) };
        let mut scanner = Scanner::new(raw);
        self.value(root, &mut scanner)?;
        Ok(scanner.end()?)
    }

    /// Checks the value that is next in the body.
    fn value(&self, node: &Node, scanner: &mut Scanner<'_>) -> Result<(), Stop> {
        let kind = scanner.peek()?;
        if kind == Kind::Object && !node.below.is_empty() {
            if let Some(own) = node.own {
                self.other_type(&self.params[own], scanner.clone().value()?)?;
            }
            return self.members(&node.below, scanner);
        }
        match node.own {
            Some(own) => self.argument(&self.params[own], kind, scanner)?,
            None => drop(scanner.value()?),
        }
        Ok(node.below.iter().try_for_each(|node| self.absent(node))?)
    }

    fn members(&self, nodes: &[Node], scanner: &mut Scanner<'_>) -> Result<(), Stop> {
        // No two siblings share a mirrored argument, so that there are at most `MAX_PARAM_HEADERS` of them.
        let mut seen = 0u64;
        let mut walk = scanner.object()?;
        while let Some(key) = scanner.member(&mut walk)? {
            let Some(at) = nodes.iter().position(|node| key.is(&node.key)) else {
                scanner.value()?;
                continue;
            };
            if seen & (1 << at) != 0 {
                return Err(wrong(&self.params[nodes[at].first], Wrong::DuplicateKey).into());
            }
            seen |= 1 << at;
            self.value(&nodes[at], scanner)?;
        }
        for (at, node) in nodes.iter().enumerate() {
            if seen & (1 << at) == 0 {
                self.absent(node)?;
            }
        }
        Ok(())
    }

    /// Checks that nothing is sent for a property that the body does not have.
    fn absent(&self, node: &Node) -> Result<(), ParamMismatch> {
        if let Some(own) = node.own {
            self.unsent(&self.params[own])?;
        }
        node.below.iter().try_for_each(|node| self.absent(node))
    }

    fn argument(&self, param: &ParamHeader, kind: Kind, scanner: &mut Scanner<'_>) -> Result<(), Stop> {
        if kind == Kind::Null {
            scanner.value()?;
            return Ok(self.unsent(param)?);
        }
        match (param.kind, kind) {
            (ParamKind::String, Kind::String) => {
                let body = scanner.string()?;
                self.sent(param, body.raw(), |text| Ok(body.is(text)))?;
            }
            (ParamKind::Boolean, Kind::Bool) => {
                let body = scanner.value()?;
                self.sent(param, body, |text| Ok(text == body))?;
            }
            (ParamKind::Integer, Kind::Number) => self.integer(param, scanner.value()?)?,
            (ParamKind::String | ParamKind::Boolean | ParamKind::Integer, _) => {
                self.other_type(param, scanner.value()?)?;
            }
        }
        Ok(())
    }

    fn integer(&self, param: &ParamHeader, body: &str) -> Result<(), ParamMismatch> {
        let out_of_range = |value: &str| wrong(param, Wrong::OutOfRange { value: quote(value) });
        match integer::parse(body) {
            Ok(expected) => self.sent(param, body, |text| match integer::parse(text) {
                Ok(integer) => Ok(integer == expected),
                Err(NoInteger::OutOfRange) => Err(out_of_range(text)),
                Err(NoInteger::Fraction | NoInteger::Syntax) => Ok(false),
            }),
            Err(NoInteger::OutOfRange) => Err(out_of_range(body)),
            Err(NoInteger::Fraction | NoInteger::Syntax) => self.other_type(param, body),
        }
    }

    /// Checks that the header is there and that its text equals the body's value.
    fn sent(
        &self,
        param: &ParamHeader,
        body: &str,
        equals: impl FnOnce(&str) -> Result<bool, ParamMismatch>,
    ) -> Result<(), ParamMismatch> {
        let text = self.header(param)?.ok_or_else(|| wrong(param, Wrong::Missing { body_value: quote(body) }))?;
        if equals(&text)? { Ok(()) } else { Err(differs(param, &text, body)) }
    }

    fn unsent(&self, param: &ParamHeader) -> Result<(), ParamMismatch> {
        match self.header(param)? {
            None => Ok(()),
            Some(text) => Err(wrong(param, Wrong::Unexpected { header_value: quote(&text) })),
        }
    }

    /// The body's value is not of the annotated type: no header can equal it.
    fn other_type(&self, param: &ParamHeader, body: &str) -> Result<(), ParamMismatch> {
        match self.header(param)? {
            None => Ok(()),
            Some(text) => Err(differs(param, &text, body)),
        }
    }

    /// The header's value, decoded.
    fn header(&self, param: &ParamHeader) -> Result<Option<Cow<'a, str>>, ParamMismatch> {
        match self.headers.find(&param.header) {
            Found::Nothing => Ok(None),
            Found::One(line) => {
                header::decode_value(line).map(Some).map_err(|error| wrong(param, Wrong::Malformed(error)))
            }
            Found::Several => Err(wrong(param, Wrong::Repeated)),
        }
    }
}

fn wrong(param: &ParamHeader, kind: Wrong) -> ParamMismatch {
    ParamMismatch { header: param.header.clone(), path: param.pointer(), kind }
}

fn differs(param: &ParamHeader, header: &str, body: &str) -> ParamMismatch {
    wrong(param, Wrong::Differs { header_value: quote(header), body_value: quote(body) })
}

fn quote(value: &str) -> String {
    match value.char_indices().nth(MAX_QUOTE) {
        None => value.to_owned(),
        Some((end, _)) => format!("{}…", &value[..end]),
    }
}
