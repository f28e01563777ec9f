//! Conditions on the arguments of a call: a JSON Pointer (RFC 6901), and what the value there has to be.
//!
//! What is judged is the text of the message as it goes on. The way from the message to the argument has to be clear: where a
//! name on it stands twice, two readers would find two values, and some readers take a name in another case for it. A
//! message that leaves a choice is refused, whatever the rule says of either value.

use std::borrow::Cow;

use anypod_proto::reject::Rejection;
use anypod_proto::scan::{Kind, ScanError, Scanner};

use crate::glob::{Glob, all_of, any};

/// Where arguments stand in a message.
const ARGUMENTS: [&str; 2] = ["params", "arguments"];

/// What one argument has to be.
#[derive(Debug)]
pub(super) struct Condition {
    /// The names on the way from the message to the argument.
    path: Box<[Box<str>]>,
    values: Box<[Glob]>,
}

/// How much of an argument fits. A list is no less than what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    None,
    /// Of a list, some elements.
    Some,
    All,
}

/// Why an argument cannot be judged.
enum Unclear {
    Scan(ScanError),
    Twice,
}

impl From<ScanError> for Unclear {
    fn from(error: ScanError) -> Self {
        Self::Scan(error)
    }
}

impl Condition {
    pub(super) fn new(pointer: &str, values: &[String]) -> Self {
        let names = pointer.split('/').skip(1).map(|name| name.replace("~1", "/").replace("~0", "~").into());
        Self { path: ARGUMENTS.map(Box::from).into_iter().chain(names).collect(), values: all_of(values) }
    }

    /// How much of the argument in `message` fits.
    ///
    /// # Errors
    /// If the message can be read in more than one way.
    pub(super) fn judge(&self, message: &str) -> Result<Fit, Rejection> {
        self.at(&self.path, &mut Scanner::new(message)).map_err(|unclear| match unclear {
            Unclear::Scan(error) => Rejection::NotJson(error),
            Unclear::Twice => Rejection::Argument {
                name: self.path[ARGUMENTS.len()..].join("."),
                problem: "is not clear: a name on the way to it stands twice, or in another case",
            },
        })
    }

    /// Consumes the next value, from which `path` leads to the argument.
    fn at(&self, path: &[Box<str>], scanner: &mut Scanner<'_>) -> Result<Fit, Unclear> {
        let Some((name, rest)) = path.split_first() else { return Ok(self.value(scanner)?) };
        match scanner.peek()? {
            Kind::Object => self.member(name, rest, scanner),
            Kind::Array => self.element(name, rest, scanner),
            Kind::Null | Kind::Bool | Kind::Number | Kind::String => {
                scanner.value()?;
                Ok(Fit::None)
            }
        }
    }

    fn member(&self, name: &str, rest: &[Box<str>], scanner: &mut Scanner<'_>) -> Result<Fit, Unclear> {
        let mut found = None;
        let mut walk = scanner.object()?;
        while let Some(key) = scanner.member(&mut walk)? {
            if !same_but_for_case(key.chars(), name) {
                scanner.value()?;
            } else if found.is_some() || !key.is(name) {
                return Err(Unclear::Twice);
            } else {
                found = Some(self.at(rest, scanner)?);
            }
        }
        Ok(found.unwrap_or(Fit::None))
    }

    fn element(&self, name: &str, rest: &[Box<str>], scanner: &mut Scanner<'_>) -> Result<Fit, Unclear> {
        let wanted = index(name);
        let mut found = Fit::None;
        let mut walk = scanner.array()?;
        let mut at = 0;
        while scanner.item(&mut walk)? {
            if wanted == Some(at) {
                found = self.at(rest, scanner)?;
            } else {
                scanner.value()?;
            }
            at += 1;
        }
        Ok(found)
    }

    fn value(&self, scanner: &mut Scanner<'_>) -> Result<Fit, ScanError> {
        if scanner.peek()? != Kind::Array {
            return Ok(if self.scalar(scanner)? { Fit::All } else { Fit::None });
        }
        let (mut fitting, mut all) = (0, 0);
        let mut walk = scanner.array()?;
        while scanner.item(&mut walk)? {
            fitting += usize::from(self.scalar(scanner)?);
            all += 1;
        }
        Ok(match fitting {
            // An empty list is none of what is allowed.
            0 => Fit::None,
            fitting if fitting == all => Fit::All,
            _ => Fit::Some,
        })
    }

    fn scalar(&self, scanner: &mut Scanner<'_>) -> Result<bool, ScanError> {
        Ok(match scanner.peek()? {
            Kind::String => any(&self.values, &scanner.string()?.decode()),
            Kind::Number => any(&self.values, &shortest(scanner.value()?)),
            Kind::Null | Kind::Bool => any(&self.values, scanner.value()?),
            Kind::Array | Kind::Object => {
                scanner.value()?;
                false
            }
        })
    }
}

/// Whether a reader that does not tell cases apart, in whatever script, would take the one for the other.
fn same_but_for_case(key: impl Iterator<Item = char>, name: &str) -> bool {
    folded(key).eq(folded(name.chars()))
}

/// Up and down again: `ſ` has a capital in common with `s`, and the Kelvin sign a small letter with `K`.
fn folded(chars: impl Iterator<Item = char>) -> impl Iterator<Item = char> {
    chars.flat_map(char::to_uppercase).flat_map(char::to_lowercase)
}

/// RFC 6901, section 4: an index has no leading zeros.
fn index(name: &str) -> Option<usize> {
    let is_index = name == "0" || !name.starts_with('0') && name.bytes().all(|byte| byte.is_ascii_digit());
    name.parse().ok().filter(|_| is_index)
}

/// A number without what can be left out, so that none passes for another by its spelling. What is too large for that is
/// left as it stands.
fn shortest(number: &str) -> Cow<'_, str> {
    if number != "-0" && !number.contains(['.', 'e', 'E']) {
        return Cow::Borrowed(number);
    }
    match number.parse::<f64>() {
        // Zero has no sign that matters.
        Ok(value) if value.is_finite() => Cow::Owned((value + 0.0).to_string()),
        Ok(_) | Err(_) => Cow::Borrowed(number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(pointer: &str, values: &[&str], arguments: &str) -> Result<Fit, Rejection> {
        let values: Vec<_> = values.iter().map(|value| (*value).to_owned()).collect();
        let message = format!(r#"{{"id":1,"params":{{"name":"x","arguments":{arguments}}}}}"#);
        Condition::new(pointer, &values).judge(&message)
    }

    #[test]
    fn an_argument_is_found_and_compared_by_its_value() {
        for (pointer, values, arguments, fit) in [
            ("/a", &["secret*"][..], r#"{"a":"secret_1"}"#, Fit::All),
            ("/a", &["x", "secret*"], r#"{"b":0,"a":"secret"}"#, Fit::All),
            ("/a", &["secret"], r#"{"a":"public"}"#, Fit::None),
            ("/a", &["secret"], r#"{"\u0061":"\u0073ecret"}"#, Fit::All),
            ("/a/b", &["1"], r#"{"a":{"b":1}}"#, Fit::All),
            ("/a/b", &["1"], r#"{"a":1}"#, Fit::None),
            ("/a~1b/~0", &["x"], r#"{"a/b":{"~":"x"}}"#, Fit::All),
            ("/", &["x"], r#"{"":"x"}"#, Fit::All),
            ("/a/1", &["x"], r#"{"a":["y","x"]}"#, Fit::All),
            ("/a/01", &["x"], r#"{"a":["y","x"]}"#, Fit::None),
            ("/a/+1", &["x"], r#"{"a":["y","x"]}"#, Fit::None),
            ("/a", &["*"], "{}", Fit::None),
            ("/a", &["*"], r#"{"b":{"a":1}}"#, Fit::None),
            ("/a", &["true"], r#"{"a":true}"#, Fit::All),
            ("/a", &["null"], r#"{"a":null}"#, Fit::All),
            ("/a", &["*"], r#"{"a":{}}"#, Fit::None),
            ("/a", &["*"], r#"{"a":{"b":1}}"#, Fit::None),
            ("/a", &[""], r#"{"a":""}"#, Fit::All),
        ] {
            assert_eq!(judged(pointer, values, arguments), Ok(fit), "{pointer} {values:?} {arguments}");
        }
    }

    #[test]
    fn a_list_fits_as_far_as_its_elements_do() {
        for (arguments, fit) in [
            (r#"{"a":["x","x"]}"#, Fit::All),
            (r#"{"a":["x","y"]}"#, Fit::Some),
            (r#"{"a":["x",["x"]]}"#, Fit::Some),
            (r#"{"a":["y"]}"#, Fit::None),
            (r#"{"a":[]}"#, Fit::None),
            (r#"{"a":[{"x":"x"}]}"#, Fit::None),
        ] {
            assert_eq!(judged("/a", &["x"], arguments), Ok(fit), "{arguments}");
        }
    }

    #[test]
    fn no_number_passes_for_another_by_its_spelling() {
        for (value, number) in [
            ("1", "1.0"),
            ("1", "1e0"),
            ("1", "10E-1"),
            ("0", "-0"),
            ("0", "-0.0"),
            ("0.5", "5e-1"),
            ("100", "1e2"),
            ("18446744073709551616", "18446744073709551616"),
            ("1e999", "1e999"),
        ] {
            assert_eq!(judged("/a", &[value], &format!(r#"{{"a":{number}}}"#)), Ok(Fit::All), "{number}");
        }
        assert_eq!(judged("/a", &["1"], r#"{"a":1.5}"#), Ok(Fit::None));
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_not_judged() {
        for arguments in [
            r#"{"a":{"b":"x"},"a":{}}"#,
            r#"{"a":{},"\u0061":{"b":"x"}}"#,
            r#"{"a":{"b":"x","b":"y"}}"#,
            r#"{"a":{"b":"x","B":"y"}}"#,
            r#"{"A":{"b":"x"}}"#,
        ] {
            let refused = judged("/a/b", &["y"], arguments).unwrap_err();
            assert!(matches!(&refused, Rejection::Argument { name, .. } if name == "a.b"), "{arguments}: {refused}");
        }
        for arguments in [r#"{"k":1,"K":2}"#, "{\"k\":1,\"\u{212a}\":2}", "{\"\u{212a}\":2}"] {
            assert!(judged("/k", &["1"], arguments).is_err(), "{arguments}");
        }
        // Elsewhere, it is the server's to judge.
        assert_eq!(judged("/a", &["x"], r#"{"a":"x","b":1,"b":2}"#), Ok(Fit::All));
        let twice = r#"{"params":{"arguments":{"a":"x"},"Arguments":{"a":"y"}}}"#;
        assert!(Condition::new("/a", &["x".to_owned()]).judge(twice).is_err());
    }
}
