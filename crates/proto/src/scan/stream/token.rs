//! Tokens of JSON within a piece, and where one stands that goes on in the next.

use crate::scan::{ScanErrorKind, hex_digit};

/// Within an escape, by what is seen of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Escape {
    /// The backslash.
    Start,
    /// `\u` and all digits but `left`, which make `unit` so far.
    Unit { unit: u16, left: u8 },
    /// A high surrogate.
    High,
    /// A high surrogate and a backslash.
    HighBackslash,
    /// A high surrogate, `\u`, and all digits but `left`.
    Low { unit: u16, left: u8 },
}

impl Escape {
    /// What the next byte makes of it; `None` is its end.
    pub(super) fn step(self, byte: u8) -> Result<Option<Self>, ScanErrorKind> {
        let digit = |unit: u16| hex_digit(byte).map(|digit| unit << 4 | digit).ok_or(ScanErrorKind::Escape);
        match (self, byte) {
            (Self::Start, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(None),
            (Self::Start, b'u') => Ok(Some(Self::Unit { unit: 0, left: 4 })),
            (Self::Unit { unit, left: 1 }, _) => match digit(unit)? {
                0xD800..=0xDBFF => Ok(Some(Self::High)),
                0xDC00..=0xDFFF => Err(ScanErrorKind::Escape),
                _ => Ok(None),
            },
            (Self::Unit { unit, left }, _) => Ok(Some(Self::Unit { unit: digit(unit)?, left: left - 1 })),
            (Self::High, b'\\') => Ok(Some(Self::HighBackslash)),
            (Self::HighBackslash, b'u') => Ok(Some(Self::Low { unit: 0, left: 4 })),
            (Self::Low { unit, left: 1 }, _) => match digit(unit)? {
                0xDC00..=0xDFFF => Ok(None),
                _ => Err(ScanErrorKind::Escape),
            },
            (Self::Low { unit, left }, _) => Ok(Some(Self::Low { unit: digit(unit)?, left: left - 1 })),
            (Self::Start | Self::High | Self::HighBackslash, _) => Err(ScanErrorKind::Escape),
        }
    }
}

/// Within a number, by what its last byte was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Number {
    Minus,
    /// A zero at the start, which no digit follows.
    Zero,
    Integer,
    Dot,
    Fraction,
    /// `e` or `E`.
    Exponent,
    Sign,
    Power,
}

impl Number {
    /// Whether it may end here.
    pub(super) const fn is_complete(self) -> bool {
        match self {
            Self::Zero | Self::Integer | Self::Fraction | Self::Power => true,
            Self::Minus | Self::Dot | Self::Exponent | Self::Sign => false,
        }
    }

    /// Whether a digit makes no difference to it.
    pub(super) const fn takes_digits(self) -> bool {
        match self {
            Self::Integer | Self::Fraction | Self::Power => true,
            Self::Minus | Self::Zero | Self::Dot | Self::Exponent | Self::Sign => false,
        }
    }

    /// What the next byte makes of it; `None` if that is no part of it.
    pub(super) const fn step(self, byte: u8) -> Result<Option<Self>, ScanErrorKind> {
        let digit = byte.is_ascii_digit();
        Ok(Some(match (self, byte) {
            (Self::Minus, b'0') => Self::Zero,
            (Self::Minus | Self::Integer, _) if digit => Self::Integer,
            (Self::Dot | Self::Fraction, _) if digit => Self::Fraction,
            (Self::Exponent | Self::Sign | Self::Power, _) if digit => Self::Power,
            (Self::Zero | Self::Integer, b'.') => Self::Dot,
            (Self::Zero | Self::Integer | Self::Fraction, b'e' | b'E') => Self::Exponent,
            (Self::Exponent, b'+' | b'-') => Self::Sign,
            (Self::Zero, _) if digit => return Err(ScanErrorKind::Number),
            (Self::Zero | Self::Integer | Self::Fraction | Self::Power, _) => return Ok(None),
            (Self::Minus | Self::Dot | Self::Exponent | Self::Sign, _) => return Err(ScanErrorKind::Number),
        }))
    }
}

/// What is still to come of `null`, `true` or `false`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Literal(pub(super) &'static [u8]);

impl Literal {
    pub(super) const EXPECTED: ScanErrorKind = ScanErrorKind::Expected("`null`, `true` or `false`");
}
