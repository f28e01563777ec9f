//! Numbers that are read exactly, or compared with a margin.

use serde_json::{Map, Value};

/// Decimal digits that an `f64` holds exactly, whatever they are.
const EXACT_DIGITS: usize = 15;
/// By how much, relative to the larger one, two floats have to differ for their order to be certain. Parsers
/// disagree by a unit in the last place, about 2.2e-16.
const MARGIN: f64 = 1e-12;
/// 2^53, from which on limits may have been rounded on their way to `f64`.
const MAX_LIMIT: f64 = 9_007_199_254_740_992.0;

/// A number of an instance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    /// Written with digits only, and few enough of them to be exact in an `f64`.
    Integer(i64),
    /// Anything else that is finite. It may be an integer, but that is not certain.
    Float(f64),
}

impl Number {
    /// Reads a JSON number; `None` if an `f64` cannot hold it. The parser makes `-0` a float, and so does this.
    pub(super) fn read(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        if digits.len() <= EXACT_DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit()) && text != "-0" {
            return text.parse().ok().map(Self::Integer);
        }
        text.parse().ok().filter(|float: &f64| float.is_finite()).map(Self::Float)
    }

    pub(super) const fn is_integer(self) -> bool {
        matches!(self, Self::Integer(_))
    }
}

/// `minimum`, `maximum` and their exclusive siblings.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    min: Option<Bound>,
    max: Option<Bound>,
}

/// A limit that an `f64` holds exactly.
#[derive(Debug, Clone, Copy)]
struct Bound {
    limit: f64,
    exclusive: bool,
}

impl Bounds {
    pub(super) const NONE: Self = Self { min: None, max: None };

    /// Reads the four keywords; `None` if a limit is not exact, or a bound is given both ways.
    pub(super) fn of(schema: &Map<String, Value>) -> Option<Self> {
        let bound = |inclusive: &str, exclusive: &str| match (schema.get(inclusive), schema.get(exclusive)) {
            (None, None) => Some(None),
            (Some(limit), None) => Some(Some(Bound { limit: exact_limit(limit)?, exclusive: false })),
            (None, Some(limit)) => Some(Some(Bound { limit: exact_limit(limit)?, exclusive: true })),
            (Some(_), Some(_)) => None,
        };
        Some(Self { min: bound("minimum", "exclusiveMinimum")?, max: bound("maximum", "exclusiveMaximum")? })
    }

    /// Whether `number` is certainly within the bounds.
    pub(super) fn hold(&self, number: Number) -> bool {
        let above = |min: Bound| match number {
            Number::Integer(integer) => min.limit < exact(integer) || min.touches(integer),
            Number::Float(float) => clearly_less(min.limit, float),
        };
        let below = |max: Bound| match number {
            Number::Integer(integer) => exact(integer) < max.limit || max.touches(integer),
            Number::Float(float) => clearly_less(float, max.limit),
        };
        self.min.is_none_or(above) && self.max.is_none_or(below)
    }
}

impl Bound {
    #[expect(clippy::float_cmp, reason = "both are exact")]
    fn touches(self, integer: i64) -> bool {
        !self.exclusive && self.limit == exact(integer)
    }
}

fn exact_limit(limit: &Value) -> Option<f64> {
    limit.as_f64().filter(|limit| limit.abs() < MAX_LIMIT)
}

/// An integer of at most [`EXACT_DIGITS`] digits.
const fn exact(integer: i64) -> f64 {
    integer as f64
}

fn clearly_less(small: f64, large: f64) -> bool {
    small + MARGIN * small.abs().max(large.abs()) < large
}
