//! The place of authorization: who knows credentials is asked for them, given the server's challenge.
//!
//! Spec: basic/authorization.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use http::{HeaderValue, StatusCode};

use crate::error::Source;

/// What a server said when it wanted credentials, or others.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Challenge {
    /// 401 or 403.
    pub status: StatusCode,
    /// The values of `WWW-Authenticate`, as they came; at most 8, of at most 4 KiB each.
    pub www_authenticate: Vec<String>,
    /// The URL that was asked.
    pub url: String,
}

impl Challenge {
    /// What a server said, for tests of [`Credentials`] too.
    pub const fn new(status: StatusCode, www_authenticate: Vec<String>, url: String) -> Self {
        Self { status, www_authenticate, url }
    }
}

/// Shows the URL without its query, which may hold secrets.
impl fmt::Display for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.url.split_once('?').map_or(self.url.as_str(), |(place, _)| place);
        write!(f, "HTTP {} from {place}", self.status.as_u16())?;
        self.www_authenticate.iter().try_for_each(|value| write!(f, "; {value}"))
    }
}

/// A boxed future, as traits that are used as objects return.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Knows the credentials for a server.
pub trait Credentials: Send + Sync + 'static {
    /// The value of `Authorization` to send, if any. Asked before every request, so it should be at hand.
    fn authorization(&self) -> BoxFuture<'_, Result<Option<HeaderValue>, Source>>;

    /// The server answered with a challenge. `true` if there are other credentials now and the request is to be
    /// sent again; asked at most three times for one request.
    fn challenged<'a>(&'a self, challenge: &'a Challenge) -> BoxFuture<'a, Result<bool, Source>>;

    /// What tells users of the same client apart, for cached results that are private. Never the token itself.
    fn context(&self) -> String {
        String::new()
    }
}

/// A bearer token that does not change.
pub struct Bearer(HeaderValue);

impl Bearer {
    /// This token.
    ///
    /// # Errors
    /// If it has characters that no header may have.
    pub fn new(token: &str) -> Result<Self, http::header::InvalidHeaderValue> {
        let mut value = HeaderValue::from_str(&format!("Bearer {token}"))?;
        value.set_sensitive(true);
        Ok(Self(value))
    }
}

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bearer(…)")
    }
}

impl Credentials for Bearer {
    fn authorization(&self) -> BoxFuture<'_, Result<Option<HeaderValue>, Source>> {
        Box::pin(std::future::ready(Ok(Some(self.0.clone()))))
    }

    fn challenged<'a>(&'a self, _: &'a Challenge) -> BoxFuture<'a, Result<bool, Source>> {
        Box::pin(std::future::ready(Ok(false)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_shown_without_the_secrets_of_its_url() {
        let challenge =
            Challenge::new(StatusCode::UNAUTHORIZED, vec!["Bearer".to_owned()], "http://a/b?token=c".into());
        assert_eq!(challenge.to_string(), "HTTP 401 from http://a/b; Bearer");
    }
}
