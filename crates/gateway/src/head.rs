//! The heads of requests and of answers, on their way through the stages.

mod fields;

use http::request::Parts;
use http::{Method, Request, Response, StatusCode, Uri};

pub(crate) use self::fields::{Fields, Looks};

/// The head of a request.
#[derive(Debug, Default)]
pub(crate) struct Head {
    pub(crate) method: Method,
    /// The target as the client wrote it.
    pub(crate) uri: Uri,
    pub(crate) fields: Fields,
}

impl Head {
    /// The same for whoever knows heads by the library's types.
    pub(crate) fn into_parts(self) -> Parts {
        let mut request = Request::new(());
        *request.method_mut() = self.method;
        *request.uri_mut() = self.uri;
        *request.headers_mut() = self.fields.into_map();
        request.into_parts().0
    }
}

impl From<Parts> for Head {
    fn from(parts: Parts) -> Self {
        Self { method: parts.method, uri: parts.uri, fields: parts.headers.into() }
    }
}

/// An answer: of a pod, or to a client.
#[derive(Debug)]
pub(crate) struct Reply<B> {
    pub(crate) status: StatusCode,
    pub(crate) fields: Fields,
    pub(crate) body: B,
}

impl<B> Reply<B> {
    /// One without header fields.
    pub(crate) fn new(status: StatusCode, body: B) -> Self {
        Self { status, fields: Fields::default(), body }
    }

    /// The same with another body.
    pub(crate) fn map<C>(self, of: impl FnOnce(B) -> C) -> Reply<C> {
        Reply { status: self.status, fields: self.fields, body: of(self.body) }
    }
}

impl<B> From<Response<B>> for Reply<B> {
    fn from(response: Response<B>) -> Self {
        let (head, body) = response.into_parts();
        Self { status: head.status, fields: head.headers.into(), body }
    }
}

impl<B> From<Reply<B>> for Response<B> {
    fn from(reply: Reply<B>) -> Self {
        let mut response = Self::new(reply.body);
        *response.status_mut() = reply.status;
        *response.headers_mut() = reply.fields.into_map();
        response
    }
}
