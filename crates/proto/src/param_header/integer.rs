//! Integers read exactly from decimal text, in any of the spellings that JSON has for them.

/// The largest integer, and negated the smallest, that every JSON implementation keeps exactly: 2^53 − 1.
pub const MAX_SAFE_INTEGER: i64 = (1 << 53) - 1;

/// Digits of [`MAX_SAFE_INTEGER`].
const MAX_DIGITS: i64 = 16;

/// Why a text is no integer that can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoInteger {
    /// No JSON number.
    Syntax,
    /// A number with a fractional part.
    Fraction,
    /// An integer outside ±[`MAX_SAFE_INTEGER`].
    OutOfRange,
}

/// Reads a JSON number such as `42`, `42.0` or `4.2e1`, without ever rounding.
pub(super) fn parse(text: &str) -> Result<i64, NoInteger> {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(unsigned) => (true, unsigned),
        None => (false, text),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, digits(fraction)?),
        None => (mantissa, ""),
    };
    if digits(whole)?.len() > 1 && whole.starts_with('0') {
        return Err(NoInteger::Syntax);
    }
    let magnitude = magnitude(whole, fraction, exponent)?;
    Ok(if negative { -magnitude } else { magnitude })
}

/// `whole.fraction × 10^exponent`, if that is an integer.
fn magnitude(whole: &str, fraction: &str, exponent: i64) -> Result<i64, NoInteger> {
    let all = || whole.bytes().chain(fraction.bytes());
    let zero = |digit: &u8| *digit == b'0';
    let length = whole.len() + fraction.len();
    let leading = all().take_while(zero).count();
    if leading == length {
        return Ok(0);
    }
    let trailing = all().rev().take_while(zero).count();
    let significant = length - leading - trailing;
    let power = exponent.saturating_sub(signed(fraction.len())).saturating_add(signed(trailing));
    if power < 0 {
        return Err(NoInteger::Fraction);
    }
    if power.saturating_add(signed(significant)) > MAX_DIGITS {
        return Err(NoInteger::OutOfRange);
    }
    let zeros = std::iter::repeat_n(b'0', usize::try_from(power).unwrap_or(usize::MAX));
    let value = all().skip(leading).take(significant).chain(zeros).fold(0, |n, digit| n * 10 + i64::from(digit - b'0'));
    if value > MAX_SAFE_INTEGER { Err(NoInteger::OutOfRange) } else { Ok(value) }
}

/// An exponent; one too large for an `i64` saturates, which decides the same way.
fn parse_exponent(text: &str) -> Result<i64, NoInteger> {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(unsigned) => (true, unsigned),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let value =
        digits(unsigned)?.bytes().fold(0i64, |n, digit| n.saturating_mul(10).saturating_add(i64::from(digit - b'0')));
    Ok(if negative { -value } else { value })
}

fn digits(text: &str) -> Result<&str, NoInteger> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) { Ok(text) } else { Err(NoInteger::Syntax) }
}

fn signed(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_spelling_of_an_integer() {
        for (text, value) in [
            ("0", 0),
            ("-0", 0),
            ("0.000e-999999999999999999999", 0),
            ("42", 42),
            ("-7", -7),
            ("42.0", 42),
            ("4.2e1", 42),
            ("420E-1", 42),
            ("0.42e+2", 42),
            ("9007199254740991", MAX_SAFE_INTEGER),
            ("-9007199254740991.000", -MAX_SAFE_INTEGER),
            ("1e15", 1_000_000_000_000_000),
        ] {
            assert_eq!(parse(text), Ok(value), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_safe_integer() {
        for text in ["9007199254740992", "-9007199254740992", "1e16", "1e99999999999999999999", "12345678901234567890"]
        {
            assert_eq!(parse(text), Err(NoInteger::OutOfRange), "{text}");
        }
        for text in ["12.5", "1e-1", "9007199254740991.5", "0.1e-99999999999999999999"] {
            assert_eq!(parse(text), Err(NoInteger::Fraction), "{text}");
        }
        for text in ["", "-", "+1", "042", "1.", ".5", "1e", "1e+", "0x10", " 1", "1 ", "--1", "1e1.0", "NaN", "１"] {
            assert_eq!(parse(text), Err(NoInteger::Syntax), "{text}");
        }
    }
}
