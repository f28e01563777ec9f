//! The messages that legacy servers are sent, apart from calls.

use std::borrow::Cow;

use anypod_proto::cancellation::CancelledNotificationParams;
use anypod_proto::jsonrpc::{ErrorObject, RequestId};
use anypod_proto::legacy::{ClientCapabilities, InitializeRequestParams};
use anypod_proto::method::{LegacyMethod, Notification};
use anypod_proto::version::Version;
use bytes::Bytes;
use serde::Serialize;

use crate::identity::Identity;

#[derive(Serialize)]
struct Message<'a, P, R> {
    jsonrpc: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Cow<'a, RequestId>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    params: Option<P>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<R>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a ErrorObject>,
}

impl<P, R> Message<'_, P, R> {
    const EMPTY: Self = Self { jsonrpc: "2.0", id: None, method: None, params: None, result: None, error: None };
}

fn text<P: Serialize, R: Serialize>(message: &Message<'_, P, R>) -> Bytes {
    Bytes::from(serde_json::to_vec(message).expect("the protocol's own types are JSON"))
}

/// A request that only legacy servers know.
pub(super) fn request(id: u64, method: LegacyMethod, params: impl Serialize) -> Bytes {
    let id = i64::try_from(id).unwrap_or(i64::MAX);
    let id = Some(Cow::Owned(RequestId::Integer(id)));
    text(&Message::<_, ()> { id, method: Some(method.as_str()), params: Some(params), ..Message::EMPTY })
}

/// `notifications/initialized`.
pub(super) fn initialized() -> Bytes {
    text(&Message::<(), ()> { method: Some(Notification::Initialized.as_str()), ..Message::EMPTY })
}

/// `notifications/cancelled` for the request of this id.
pub(super) fn cancelled(id: u64) -> Bytes {
    let params = CancelledNotificationParams::new(i64::try_from(id).unwrap_or(i64::MAX));
    text(&Message::<_, ()> { method: Some(Notification::Cancelled.as_str()), params: Some(params), ..Message::EMPTY })
}

/// The result of a request of the server.
pub(super) fn result(id: &RequestId, result: impl Serialize) -> Bytes {
    text(&Message::<(), _> { id: Some(Cow::Borrowed(id)), result: Some(result), ..Message::EMPTY })
}

/// An error that answers a request of the server.
pub(super) fn error(id: &RequestId, error: &ErrorObject) -> Bytes {
    text(&Message::<(), ()> { id: Some(Cow::Borrowed(id)), error: Some(error), ..Message::EMPTY })
}

/// What `initialize` says about the client.
pub(super) fn initialize(identity: &Identity, declared: &ClientCapabilities) -> InitializeRequestParams {
    InitializeRequestParams {
        protocol_version: Version::LATEST_LEGACY.as_str().to_owned(),
        capabilities: declared.clone(),
        client_info: identity.info().clone(),
        meta: None,
    }
}
