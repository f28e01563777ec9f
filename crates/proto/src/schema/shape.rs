//! The fast path: a subset of JSON Schema as a small tree that reads raw JSON without allocating.
//!
//! A shape knows two answers, "certainly valid" and "don't know". It may be ignorant but never wrong, so
//! wherever its reading could differ from the validator's by a rounded digit it does not know.

use crate::scan::{Kind, Scanner, Str};

mod build;
mod number;

use number::{Bounds, Number};

/// Whether `format` restricts a value or only describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Annotation,
    Assertion,
}

/// What is certainly valid.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    types: Types,
    bounds: Bounds,
    lengths: Lengths,
    /// `enum` or `const`.
    literals: Option<Box<[Literal]>>,
    items: Option<Box<Items>>,
    members: Option<Box<Members>>,
}

/// A set of types, with `integer` and `number` apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Types(u8);

impl Types {
    const NONE: Self = Self(0);
    const ALL: Self = Self(0b0111_1111);
    const INTEGER: Self = Self(0b0100_0000);

    const fn of(kind: Kind) -> Self {
        Self(match kind {
            Kind::Null => 1,
            Kind::Bool => 2,
            Kind::Number => 4,
            Kind::String => 8,
            Kind::Array => 16,
            Kind::Object => 32,
        })
    }

    const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// Allowed lengths of a string in code points, or of an array in items.
#[derive(Debug, Clone, Copy)]
struct Lengths {
    min: usize,
    max: usize,
}

impl Lengths {
    const ANY: Self = Self { min: 0, max: usize::MAX };

    /// Whether a string is as long as it should be. Its characters are counted only where its bytes do not tell.
    fn allow_string(self, string: Str<'_>) -> bool {
        /// The most bytes that one code point takes: an escaped pair of surrogates.
        const MAX_BYTES: usize = 12;
        let bytes = string.raw().len();
        (self.min.saturating_mul(MAX_BYTES) <= bytes && bytes <= self.max) || self.allow(string.char_count())
    }

    const fn allow(self, count: usize) -> bool {
        self.min <= count && count <= self.max
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Literal {
    Null,
    Bool(bool),
    Integer(i64),
    String(Box<str>),
}

#[derive(Debug, Clone)]
struct Items {
    lengths: Lengths,
    each: Shape,
}

#[derive(Debug, Clone)]
struct Members {
    /// At most [`MAX_MEMBERS`], for a set of them to fit an integer.
    known: Box<[Member]>,
    /// The known ones that are required.
    required: u64,
    /// What all others have to be.
    others: Shape,
}

const MAX_MEMBERS: usize = 64;

#[derive(Debug, Clone)]
struct Member {
    name: Box<str>,
    shape: Shape,
}

impl Shape {
    const ANY: Self = Self {
        types: Types::ALL,
        bounds: Bounds::NONE,
        lengths: Lengths::ANY,
        literals: None,
        items: None,
        members: None,
    };
    /// Nothing is certainly valid.
    const NONE: Self = Self { types: Types::NONE, ..Self::ANY };

    /// Whether `raw` is certainly valid.
    pub(super) fn accepts(&self, raw: &str) -> bool {
        let mut scanner = Scanner::new(raw);
        self.value(&mut scanner).is_some() && scanner.end().is_ok()
    }

    /// Consumes a value; `None` for "don't know".
    fn value(&self, scanner: &mut Scanner<'_>) -> Option<()> {
        let kind = scanner.peek().ok()?;
        let holds = match kind {
            Kind::Number => return self.number(scanner.value().ok()?),
            _ if !self.types.contains(Types::of(kind)) => false,
            Kind::String => self.string(scanner)?,
            Kind::Array => match &self.items {
                Some(items) => self.literals.is_none() && items.hold(scanner)?,
                None => self.literals.is_none() && scanner.value().is_ok(),
            },
            Kind::Object => match &self.members {
                Some(members) => self.literals.is_none() && members.hold(scanner)?,
                None => self.literals.is_none() && scanner.value().is_ok(),
            },
            Kind::Null => scanner.value().is_ok() && self.lists(&Literal::Null),
            Kind::Bool => self.lists(&Literal::Bool(scanner.value().ok()? == "true")),
        };
        holds.then_some(())
    }

    fn number(&self, text: &str) -> Option<()> {
        let number = Number::read(text)?;
        let typed = self.types.contains(Types::of(Kind::Number))
            || (number.is_integer() && self.types.contains(Types::INTEGER));
        let listed = match number {
            Number::Integer(integer) => self.lists(&Literal::Integer(integer)),
            Number::Float(_) => self.literals.is_none(),
        };
        (typed && listed && self.bounds.hold(number)).then_some(())
    }

    fn string(&self, scanner: &mut Scanner<'_>) -> Option<bool> {
        let string = scanner.string().ok()?;
        let listed = self.literals.as_ref().is_none_or(|literals| {
            literals.iter().any(|literal| matches!(literal, Literal::String(text) if string.is(text)))
        });
        Some(listed && self.lengths.allow_string(string))
    }

    fn lists(&self, value: &Literal) -> bool {
        self.literals.as_ref().is_none_or(|literals| literals.contains(value))
    }
}

impl Items {
    fn hold(&self, scanner: &mut Scanner<'_>) -> Option<bool> {
        let mut walk = scanner.array().ok()?;
        let mut count = 0;
        while scanner.item(&mut walk).ok()? {
            self.each.value(scanner)?;
            count += 1;
        }
        Some(self.lengths.allow(count))
    }
}

impl Members {
    fn hold(&self, scanner: &mut Scanner<'_>) -> Option<bool> {
        let mut walk = scanner.object().ok()?;
        let mut seen = 0u64;
        while let Some(key) = scanner.member(&mut walk).ok()? {
            let Some(at) = self.known.iter().position(|member| key.is(&member.name)) else {
                self.others.value(scanner)?;
                continue;
            };
            // Which of two values counts is for the parser to decide.
            if seen & (1 << at) != 0 {
                return None;
            }
            seen |= 1 << at;
            self.known[at].shape.value(scanner)?;
        }
        Some(seen & self.required == self.required)
    }
}
