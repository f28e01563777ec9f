//! Requests as a script sees them, and which of them a step expects.

use std::fmt;

use bytes::Bytes;
use http::header::AsHeaderName;
use http::{HeaderMap, HeaderName, Method};
use serde_json::Value;

/// A request, or a line over a pipe.
#[derive(Debug, Clone)]
pub struct Received {
    /// The method of HTTP; POST over a pipe.
    pub verb: Method,
    /// The path with the query; empty over a pipe.
    pub path: String,
    /// The headers; none over a pipe.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Received {
    /// The body as JSON; null if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The JSON-RPC method.
    pub fn method(&self) -> Option<String> {
        Some(self.json().get("method")?.as_str()?.to_owned())
    }

    /// The JSON-RPC id; null if there is none.
    pub fn id(&self) -> Value {
        self.json().get("id").cloned().unwrap_or_default()
    }

    /// The value of a header, if there is exactly one, in ASCII.
    pub fn header(&self, name: impl AsHeaderName) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let first = values.next()?;
        values.next().is_none().then(|| first.to_str().ok())?
    }
}

impl fmt::Display for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.verb, self.path, self.method().unwrap_or_default())
    }
}

/// Which requests a step is for.
#[derive(Debug, Clone, Default)]
#[must_use = "an expectation is for a step of a script"]
pub struct Expect {
    verb: Option<Method>,
    method: Option<String>,
    path: Option<String>,
    headers: Vec<(HeaderName, Option<String>)>,
}

impl Expect {
    /// Any request.
    pub fn any() -> Self {
        Self::default()
    }

    /// Requests and notifications of this JSON-RPC method.
    pub fn method(method: &str) -> Self {
        Self { method: Some(method.to_owned()), ..Self::default() }
    }

    /// HTTP requests of this method, such as GET and DELETE of legacy sessions.
    pub fn verb(verb: Method) -> Self {
        Self { verb: Some(verb), ..Self::default() }
    }

    /// Only those to this path.
    pub fn at(mut self, path: &str) -> Self {
        self.path = Some(path.to_owned());
        self
    }

    /// Only those with this header of this value.
    pub fn with(mut self, name: impl Into<HeaderName>, value: &str) -> Self {
        self.headers.push((name.into(), Some(value.to_owned())));
        self
    }

    /// Only those without this header.
    pub fn without(mut self, name: impl Into<HeaderName>) -> Self {
        self.headers.push((name.into(), None));
        self
    }

    pub(super) fn wants(&self, received: &Received) -> bool {
        let header = |(name, value): &(HeaderName, Option<String>)| match value {
            Some(value) => received.header(name) == Some(value),
            None => !received.headers.contains_key(name),
        };
        self.verb.as_ref().is_none_or(|verb| received.verb == *verb)
            && self.path.as_ref().is_none_or(|path| received.path == *path)
            && self.method.as_ref().is_none_or(|method| received.method().as_ref() == Some(method))
            && self.headers.iter().all(header)
    }
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = self.verb.as_ref().map_or("any", Method::as_str);
        let method = self.method.as_deref().unwrap_or("request");
        write!(f, "{verb} {} {method} {:?}", self.path.as_deref().unwrap_or_default(), self.headers)
    }
}
