//! The envelope: ids, requests, notifications, responses, errors, and what every result shares.
//!
//! Bodies from outside are first looked at by [`crate::scan`] and [`crate::admit`]; these are the owned
//! forms that clients, tests and everything off the hot path work with.
//! Spec: basic/index, "Messages".

mod builder;
mod error;
mod id;
mod known;
mod message;
pub(crate) mod number;
mod result;
mod typed;

pub(crate) use builder::optional_setters;
pub use error::{ErrorObject, MissingRequiredClientCapabilityData, UnsupportedProtocolVersionData};
pub(crate) use id::string_or_integer;
pub use id::{InvalidId, RequestId};
pub use known::{ClientNotification, ClientRequest, ServerNotification};
pub use message::{
    JsonRpcErrorResponse, JsonRpcMessage, JsonRpcNotification, JsonRpcRequest, JsonRpcResponse, JsonRpcResultResponse,
    ProtocolTag,
};
pub use result::{Cursor, EmptyResult, ResultBody, ResultObject, ResultType};
pub(crate) use result::{RESULT_TYPE, present, result_bodies};
pub use typed::{
    NotificationKind, NotificationParams, PaginatedRequestParams, Request, RequestKind, RequestParams,
    TypedNotification,
};

/// Any JSON value.
pub type JsonValue = serde_json::Value;
/// A JSON object.
pub type JsonObject = serde_json::Map<String, JsonValue>;
/// A JSON array.
pub type JsonArray = Vec<JsonValue>;
