//! Headers held against the body.

use std::borrow::Cow;

use http::HeaderName;

use crate::header::{Found, Headers, decode_value};
use crate::reject::Rejection;
use crate::scan::Str;

/// How much of a foreign value a refusal repeats, in characters.
const ECHO: usize = 128;

/// The one value of a header that is plain text.
pub(super) fn single<'h>(headers: &'h dyn Headers, name: &HeaderName) -> Result<Option<&'h str>, Rejection> {
    let Some(value) = one(headers, name)? else { return Ok(None) };
    let malformed = || Rejection::HeaderMalformed { header: name.clone(), reason: "not visible ASCII".to_owned() };
    std::str::from_utf8(value).map(|text| Some(text.trim_ascii())).map_err(|_| malformed())
}

/// The header must be there, once, and say what the body says. Values are case-sensitive.
pub(super) fn must_equal(headers: &dyn Headers, name: &HeaderName, body: Str<'_>) -> Result<(), Rejection> {
    match single(headers, name)? {
        Some(value) if body.is(value) => Ok(()),
        found => Err(disagree(name, body, found.map(Cow::Borrowed))),
    }
}

/// The same for a header whose value may be encoded.
pub(super) fn must_equal_encoded(headers: &dyn Headers, name: &HeaderName, body: Str<'_>) -> Result<(), Rejection> {
    let Some(value) = one(headers, name)? else { return Err(disagree(name, body, None)) };
    let decoded = decode_value(value)
        .map_err(|error| Rejection::HeaderMalformed { header: name.clone(), reason: error.to_string() })?;
    if body.is(&decoded) { Ok(()) } else { Err(disagree(name, body, Some(decoded))) }
}

fn one<'h>(headers: &'h dyn Headers, name: &HeaderName) -> Result<Option<&'h [u8]>, Rejection> {
    match headers.find(name) {
        Found::Nothing => Ok(None),
        Found::One(value) => Ok(Some(value)),
        Found::Several => Err(Rejection::HeaderRepeated(name.clone())),
    }
}

#[cold]
fn disagree(name: &HeaderName, body: Str<'_>, found: Option<Cow<'_, str>>) -> Rejection {
    let header = name.clone();
    let expected = body.chars().take(ECHO).collect();
    match found {
        Some(found) => Rejection::HeaderMismatch { header, expected, found: found.chars().take(ECHO).collect() },
        None => Rejection::HeaderMissing { header, expected },
    }
}
