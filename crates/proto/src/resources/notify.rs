//! What listeners are told about resources.

use serde::{Deserialize, Serialize};

use crate::{
    jsonrpc::{NotificationKind, NotificationParams, TypedNotification},
    meta::NotificationMeta,
    method::Notification,
};

/// The kind of a [`ResourceListChangedNotification`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResourceListChanged {}

impl NotificationKind for ResourceListChanged {
    const METHOD: Notification = Notification::ResourcesListChanged;
    type Params = NotificationParams;

    fn is_absent(params: &Self::Params) -> bool {
        params.meta.is_none()
    }
}

/// The list of resources has changed. Sent to listeners who asked.
pub type ResourceListChangedNotification = TypedNotification<ResourceListChanged>;

/// The kind of a [`ResourceUpdatedNotification`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResourceUpdated {}

impl NotificationKind for ResourceUpdated {
    const METHOD: Notification = Notification::ResourceUpdated;
    type Params = ResourceUpdatedNotificationParams;
}

/// A resource has changed. Sent to listeners who asked for it by URI.
pub type ResourceUpdatedNotification = TypedNotification<ResourceUpdated>;

/// Which resource has changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceUpdatedNotificationParams {
    /// The resource, which may be a part of the one that was asked for.
    pub uri: String,
    /// Which subscription it belongs to.
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    pub meta: Option<NotificationMeta>,
}

impl ResourceUpdatedNotificationParams {
    /// The resource at this URI has changed.
    pub fn new(uri: impl Into<String>) -> Self {
        Self { uri: uri.into(), meta: None }
    }
}
