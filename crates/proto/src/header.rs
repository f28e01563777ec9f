//! Header names, each written once, and how a value travels in one.
//!
//! Spec: basic/transports/streamable-http, "Request Metadata".

mod fields;
mod value;

pub use self::fields::{Found, Headers, plain};
pub use self::value::{ValueError, decode_value, encode_value};

use http::HeaderName;

/// The revision that the request speaks.
pub const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
/// Mirrors `method`.
pub const METHOD: HeaderName = HeaderName::from_static("mcp-method");
/// Mirrors `params.name`, `params.uri` or, of the extension [`crate::tasks`], `params.taskId`.
pub const NAME: HeaderName = HeaderName::from_static("mcp-name");
/// The start of a header that mirrors a tool argument marked with `x-mcp-header`.
pub const PARAM_PREFIX: &str = "mcp-param-";
/// Legacy: the session.
pub const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
/// Legacy: where a broken stream is to go on.
pub const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Tells buffering proxies to pass a stream through.
pub const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
/// Between replicas: the seal over an answer that one passes to another.
pub const HOP: HeaderName = HeaderName::from_static("anypod-hop");
