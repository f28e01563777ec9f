//! What was seen on the wire: which era was spoken, and which headers were sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anypod_client::Observe;
use anypod_client::proto::version::Era;
use bytes::Bytes;
use http::{request, response};
use serde_json::Value;

/// An observer that remembers little. Clones share what they have seen.
#[derive(Clone, Default)]
pub(crate) struct Watch(Arc<Seen>);

#[derive(Default)]
struct Seen {
    http: AtomicBool,
    initialized: AtomicBool,
    param_headers: AtomicUsize,
}

impl Watch {
    /// The era in which the server was spoken to: only legacy servers are initialized.
    pub(crate) fn era(&self) -> Era {
        if self.0.initialized.load(Ordering::SeqCst) { Era::Legacy } else { Era::Modern }
    }

    /// Whether the server was spoken to over HTTP.
    pub(crate) fn is_http(&self) -> bool {
        self.0.http.load(Ordering::SeqCst)
    }

    /// How many requests had arguments in headers.
    pub(crate) fn param_headers(&self) -> usize {
        self.0.param_headers.load(Ordering::SeqCst)
    }

    fn sent(&self, message: &[u8]) {
        let message: Value = serde_json::from_slice(message).unwrap_or_default();
        if message["method"] == "initialize" {
            self.0.initialized.store(true, Ordering::SeqCst);
        }
    }
}

impl Observe for Watch {
    fn request(&self, _: u64, head: &request::Parts, body: &Bytes) {
        self.0.http.store(true, Ordering::SeqCst);
        if head.headers.keys().any(|name| name.as_str().starts_with("mcp-param-")) {
            self.0.param_headers.fetch_add(1, Ordering::SeqCst);
        }
        self.sent(body);
    }

    fn response(&self, _: u64, _: &response::Parts) {}

    fn received(&self, _: u64, _: &[u8]) {}

    fn line(&self, text: &[u8]) {
        self.sent(text);
    }
}
