//! A request on its way to a pod.

use http::{Request, Uri, Version};

use super::body::{End, Outgoing};
use crate::head::Head;

/// A request to a pod.
#[derive(Debug)]
pub(crate) struct Outbound {
    pub(crate) head: Head,
    pub(crate) body: Outgoing,
}

impl Outbound {
    /// Where to see whether the body has come to its end; `None` for one that is there as a whole.
    pub(super) fn end(&self) -> Option<End> {
        self.body.end()
    }

    /// The request as the library sends it, to `target`. Where the body is there as a whole, this stays as it is; of another
    /// body, nothing is left.
    pub(super) fn take(&mut self, target: Uri, version: Version) -> Request<Outgoing> {
        let mut request = Request::new(self.body.take());
        self.head.method.clone_into(request.method_mut());
        *request.uri_mut() = target;
        *request.version_mut() = version;
        *request.headers_mut() = self.head.fields.to_map();
        request
    }

    /// Puts back what was not sent.
    pub(super) fn put_back(&mut self, unsent: Request<Outgoing>) {
        self.body = unsent.into_body();
    }
}

impl From<Request<Outgoing>> for Outbound {
    fn from(request: Request<Outgoing>) -> Self {
        let (head, body) = request.into_parts();
        Self { head: head.into(), body }
    }
}
