//! `notifications/cancelled`: the answer to a request is no longer wanted.
//!
//! Spec: basic/patterns/cancellation.

use serde::{Deserialize, Serialize};

use crate::{
    jsonrpc::{NotificationKind, RequestId, TypedNotification, optional_setters},
    meta::NotificationMeta,
    method::Notification,
};

/// The kind of a [`CancelledNotification`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancelled {}

impl NotificationKind for Cancelled {
    const METHOD: Notification = Notification::Cancelled;
    type Params = CancelledNotificationParams;
}

/// The sender no longer wants the answer to a request.
///
/// From a client about its own requests; from a server, on stdio, to end a listen stream.
pub type CancelledNotification = TypedNotification<Cancelled>;

/// Which request, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CancelledNotificationParams {
    /// The request.
    pub request_id: RequestId,
    /// Why, for logs or people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What travels beside it.
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    pub meta: Option<NotificationMeta>,
}

impl CancelledNotificationParams {
    /// Cancels the request of that id.
    pub fn new(request_id: impl Into<RequestId>) -> Self {
        Self { request_id: request_id.into(), reason: None, meta: None }
    }
}

optional_setters! { CancelledNotificationParams {
    /// Says why.
    with_reason(reason: impl Into<String>);
} }
