//! `subscriptions/listen`: a stream of change notifications, acknowledged first and ended gracefully.
//!
//! Spec: basic/patterns/subscriptions.

use serde::{Deserialize, Deserializer, Serialize, de};

use crate::{
    jsonrpc::{
        JsonObject, JsonRpcResultResponse, NotificationKind, Request, RequestId, RequestKind, ResultObject, ResultType,
        TypedNotification, result_bodies,
    },
    meta::{NotificationMeta, RequestMeta, ResultMeta, SUBSCRIPTION_ID},
    method::{self, Method},
};

/// The kind of a [`SubscriptionsListenRequest`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubscriptionsListen {}

impl RequestKind for SubscriptionsListen {
    const METHOD: Method = Method::SubscriptionsListen;
    type Params = SubscriptionsListenRequestParams;
    type Result = SubscriptionsListenResult;
}

/// Opens a stream of notifications.
pub type SubscriptionsListenRequest = Request<SubscriptionsListen>;
/// The answer with its envelope.
pub type SubscriptionsListenResultResponse = JsonRpcResultResponse<SubscriptionsListenResult>;

/// What to be told about. Nothing that is not asked for is sent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SubscriptionFilter {
    /// Changes of the list of tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools_list_changed: Option<bool>,
    /// Changes of the list of prompts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompts_list_changed: Option<bool>,
    /// Changes of the list of resources.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources_list_changed: Option<bool>,
    /// Changes of these resources, by URI.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_subscriptions: Option<Vec<String>>,
    /// Changes of these tasks, by id. Of the extension [`crate::tasks`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_ids: Option<Vec<String>>,
    /// What other extensions define.
    #[serde(flatten)]
    pub extra: JsonObject,
}

/// What a listen request carries.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SubscriptionsListenRequestParams {
    /// Version, capabilities and the rest that makes a request stand alone.
    #[serde(rename = "_meta")]
    pub meta: RequestMeta,
    /// What to be told about.
    pub notifications: SubscriptionFilter,
}

/// The end of a stream that the server closes on purpose.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SubscriptionsListenResult {
    /// How to read the result.
    pub result_type: ResultType,
    /// What travels beside the result: at least [`ResultMeta::subscription_id`].
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    pub meta: Option<ResultMeta>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: JsonObject,
}

impl SubscriptionsListenResult {
    /// Ends the stream that this request opened.
    pub fn new(request: impl Into<RequestId>) -> Self {
        let meta = ResultMeta { subscription_id: Some(request.into()), ..ResultMeta::default() };
        Self { result_type: ResultType::Complete, meta: Some(meta), extra: JsonObject::new() }
    }

    /// The listen request whose stream it ends.
    pub fn subscription_id(&self) -> Option<&RequestId> {
        self.meta.as_ref()?.subscription_id.as_ref()
    }
}

impl<'de> Deserialize<'de> for SubscriptionsListenResult {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let ResultObject { meta, result_type, extra } = ResultObject::deserialize(deserializer)?;
        let result = Self { result_type, meta, extra };
        match result.subscription_id() {
            Some(_) => Ok(result),
            None => Err(de::Error::custom(format_args!("_meta[{SUBSCRIPTION_ID:?}] is missing"))),
        }
    }
}

result_bodies!(SubscriptionsListenResult);

/// The kind of a [`SubscriptionsAcknowledgedNotification`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubscriptionsAcknowledged {}

impl NotificationKind for SubscriptionsAcknowledged {
    const METHOD: method::Notification = method::Notification::SubscriptionsAcknowledged;
    type Params = SubscriptionsAcknowledgedNotificationParams;
}

/// The first message on a listen stream.
pub type SubscriptionsAcknowledgedNotification = TypedNotification<SubscriptionsAcknowledged>;

/// What of the asked will be told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SubscriptionsAcknowledgedNotificationParams {
    /// Which subscription it belongs to.
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    pub meta: Option<NotificationMeta>,
    /// What the server will tell about; what it does not support is left out.
    pub notifications: SubscriptionFilter,
}

impl SubscriptionsAcknowledgedNotificationParams {
    /// Acknowledges the listen request of that id.
    pub fn new(request: impl Into<RequestId>, notifications: SubscriptionFilter) -> Self {
        Self { meta: Some(NotificationMeta::subscription(request)), notifications }
    }
}
