//! The head of a client's request, on its way through the stages.

mod fields;

use http::request::Parts;
use http::{Method, Request, Uri};

pub(crate) use self::fields::Fields;

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
