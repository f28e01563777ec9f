//! Watching what goes over the wire, for tracing tools. Nothing is masked here: whoever shows it masks it.

use bytes::Bytes;
use http::{request, response};

/// Is told what goes over the wire.
///
/// Every HTTP request has a number, under which its response and the events of its stream come too. Messages over
/// stdio have the number 0.
pub trait Observe: Send + Sync + 'static {
    /// A request is about to be sent.
    fn request(&self, number: u64, head: &request::Parts, body: &Bytes);

    /// The head of a response has come.
    fn response(&self, number: u64, head: &response::Parts);

    /// A whole body, or one event of a stream, has come.
    fn received(&self, number: u64, text: &[u8]);

    /// A line was written to a stdio server.
    fn line(&self, text: &[u8]);
}
