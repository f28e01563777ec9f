//! Who calls: static bearer tokens, or nobody is asked.
//!
//! Spec: basic/authorization, "Access Token Usage".

use std::collections::HashMap;
use std::sync::Arc;

use anypod_proto::header::{Found, Headers as _};
use anypod_proto::seal::digest;
use anypod_server::Principal;
use http::HeaderValue;
use http::header::AUTHORIZATION;

use crate::config::Token;
use crate::head::Fields;

/// Who vouches for principals with a static token.
const ISSUER: &str = "anypod:static";

/// How callers show who they are.
#[derive(Debug)]
pub(crate) enum Authentication {
    /// They do not; `Authorization` is between them and the upstream.
    None,
    /// By a static bearer token, found by its digest: how long that takes says nothing about the tokens.
    Tokens(HashMap<[u8; 32], Arc<Principal>>),
}

/// Who a request comes from.
#[derive(Debug, Clone, Default)]
pub(crate) struct Credentials {
    /// The principal, where callers are authenticated here.
    pub(crate) principal: Option<Arc<Principal>>,
    /// What is passed on to upstreams, where they are not.
    pub(crate) passed_on: Option<HeaderValue>,
}

/// The caller showed nothing, or nothing that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unauthorized {
    /// There is no bearer token.
    Missing,
    /// There is one, and it is unknown.
    Unknown,
}

impl Authentication {
    /// # Errors
    /// The token whose digest is no SHA-256.
    pub(crate) fn new(tokens: &[Token]) -> Result<Self, String> {
        if tokens.is_empty() {
            return Ok(Self::None);
        }
        let ready = tokens.iter().map(|token| {
            let digest = from_hex(&token.sha256).ok_or_else(|| token.principal.clone())?;
            Ok((digest, Arc::new(Principal::new(ISSUER, token.principal.as_str()))))
        });
        ready.collect::<Result<_, _>>().map(Self::Tokens)
    }

    /// Who sends these headers.
    ///
    /// # Errors
    /// Where a token is needed and there is none that is known.
    pub(crate) fn of(&self, headers: &Fields) -> Result<Credentials, Unauthorized> {
        match self {
            Self::None => match headers.find(&AUTHORIZATION) {
                Found::Nothing => Ok(Credentials::default()),
                Found::One(_) => Ok(Credentials { principal: None, passed_on: headers.value(&AUTHORIZATION) }),
                // Whose it is would depend on which of them the upstream believes.
                Found::Several => Err(Unauthorized::Missing),
            },
            Self::Tokens(tokens) => {
                let Found::One(value) = headers.find(&AUTHORIZATION) else { return Err(Unauthorized::Missing) };
                let token = bearer(value).ok_or(Unauthorized::Missing)?;
                let principal = tokens.get(&sha256(token)).ok_or(Unauthorized::Unknown)?;
                Ok(Credentials { principal: Some(Arc::clone(principal)), passed_on: None })
            }
        }
    }
}

impl Credentials {
    /// What tells this caller from others, where requests of several must not be mixed: the principal, or what it sends to
    /// upstreams. Not for what is to last: access tokens change.
    pub(crate) fn kept_apart_by(&self) -> Option<[u8; 32]> {
        match (&self.principal, &self.passed_on) {
            (Some(principal), _) => {
                Some(digest(&[b"principal", principal.id().iss.as_bytes(), principal.id().sub.as_bytes()]))
            }
            (None, Some(value)) => Some(digest(&[b"credential", value.as_bytes()])),
            (None, None) => None,
        }
    }
}

fn bearer(value: &[u8]) -> Option<&[u8]> {
    const SCHEME: &[u8] = b"bearer ";
    let (scheme, token) = value.split_at_checked(SCHEME.len())?;
    (scheme.eq_ignore_ascii_case(SCHEME) && !token.is_empty()).then(|| token.trim_ascii())
}

/// The digest that the configuration has: of the bytes of the token and nothing else.
fn sha256(token: &[u8]) -> [u8; 32] {
    use sha2::Digest as _;
    sha2::Sha256::digest(token).into()
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let digit = |byte: u8| (byte as char).to_digit(16);
        *byte = u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `printf %s secret | sha256sum`
    const OF_SECRET: &str = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";

    fn authentication() -> Authentication {
        Authentication::new(&[Token { principal: "alice".to_owned(), sha256: OF_SECRET.to_owned() }]).unwrap()
    }

    fn headers(values: &[&str]) -> Fields {
        let fields = values.iter().map(|value| (AUTHORIZATION, value.parse().unwrap()));
        fields.collect::<http::HeaderMap>().into()
    }

    #[test]
    fn a_known_token_is_somebody() {
        for value in ["Bearer secret", "bearer secret", "BEARER  secret"] {
            let credentials = authentication().of(&headers(&[value])).unwrap();
            assert_eq!(credentials.principal.unwrap().id().sub, "alice", "{value}");
            assert_eq!(credentials.passed_on, None, "a token for the gateway is for nobody else");
        }
    }

    #[test]
    fn nobody_else_gets_in() {
        let of = |values: &[&str]| authentication().of(&headers(values)).unwrap_err();
        assert_eq!(of(&[]), Unauthorized::Missing);
        assert_eq!(of(&["Basic secret"]), Unauthorized::Missing);
        assert_eq!(of(&["Bearer "]), Unauthorized::Missing);
        assert_eq!(of(&["Bearer secret", "Bearer secret"]), Unauthorized::Missing);
        assert_eq!(of(&["Bearer Secret"]), Unauthorized::Unknown);
    }

    #[test]
    fn without_tokens_credentials_are_passed_on() {
        let credentials = Authentication::new(&[]).unwrap().of(&headers(&["Bearer x"])).unwrap();
        assert_eq!(credentials.passed_on.unwrap(), "Bearer x");
        let several = Authentication::new(&[]).unwrap().of(&headers(&["Bearer x", "Bearer y"]));
        assert_eq!(several.unwrap_err(), Unauthorized::Missing);
    }

    #[test]
    fn refuses_what_is_no_digest() {
        for text in ["", "2bb8", &OF_SECRET.replace('2', "g")] {
            assert!(Authentication::new(&[Token { principal: "a".to_owned(), sha256: text.to_owned() }]).is_err());
        }
    }
}
