//! All the messages of each direction, told apart by method.

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

use super::{JsonRpcNotification, JsonRpcRequest};
use crate::{
    cancellation::CancelledNotification,
    completion::CompleteRequest,
    discover::DiscoverRequest,
    logging::LoggingMessageNotification,
    method::{Method, Notification},
    progress::ProgressNotification,
    prompts::{GetPromptRequest, ListPromptsRequest, PromptListChangedNotification},
    resources::{
        ListResourceTemplatesRequest, ListResourcesRequest, ReadResourceRequest, ResourceListChangedNotification,
        ResourceUpdatedNotification,
    },
    subscriptions::{SubscriptionsAcknowledgedNotification, SubscriptionsListenRequest},
    tasks::TaskStatusNotification,
    tools::{CallToolRequest, ListToolsRequest, ToolListChangedNotification},
};

/// Any request of a client.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum ClientRequest {
    /// `server/discover`
    Discover(DiscoverRequest),
    /// `completion/complete`
    Complete(CompleteRequest),
    /// `prompts/get`
    GetPrompt(GetPromptRequest),
    /// `prompts/list`
    ListPrompts(ListPromptsRequest),
    /// `resources/list`
    ListResources(ListResourcesRequest),
    /// `resources/templates/list`
    ListResourceTemplates(ListResourceTemplatesRequest),
    /// `resources/read`
    ReadResource(ReadResourceRequest),
    /// `subscriptions/listen`
    SubscriptionsListen(SubscriptionsListenRequest),
    /// `tools/call`
    CallTool(CallToolRequest),
    /// `tools/list`
    ListTools(ListToolsRequest),
}

/// Fails if the method is unknown or the parameters do not fit.
impl TryFrom<JsonRpcRequest> for ClientRequest {
    type Error = serde_json::Error;

    fn try_from(request: JsonRpcRequest) -> Result<Self, Self::Error> {
        let Some(method) = Method::parse(&request.method) else {
            return Err(Self::Error::custom(format_args!("unknown method {:?}", request.method)));
        };
        Ok(match method {
            Method::Discover => Self::Discover(request.try_into()?),
            Method::ToolsList => Self::ListTools(request.try_into()?),
            Method::ToolsCall => Self::CallTool(request.try_into()?),
            Method::PromptsList => Self::ListPrompts(request.try_into()?),
            Method::PromptsGet => Self::GetPrompt(request.try_into()?),
            Method::ResourcesList => Self::ListResources(request.try_into()?),
            Method::ResourceTemplatesList => Self::ListResourceTemplates(request.try_into()?),
            Method::ResourcesRead => Self::ReadResource(request.try_into()?),
            Method::Complete => Self::Complete(request.try_into()?),
            Method::SubscriptionsListen => Self::SubscriptionsListen(request.try_into()?),
        })
    }
}

impl<'de> Deserialize<'de> for ClientRequest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        JsonRpcRequest::deserialize(deserializer)?.try_into().map_err(D::Error::custom)
    }
}

/// The only notification of a client.
pub type ClientNotification = CancelledNotification;

/// Any notification of a server.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum ServerNotification {
    /// `notifications/cancelled`
    Cancelled(CancelledNotification),
    /// `notifications/progress`
    Progress(ProgressNotification),
    /// `notifications/message`
    LoggingMessage(LoggingMessageNotification),
    /// `notifications/resources/updated`
    ResourceUpdated(ResourceUpdatedNotification),
    /// `notifications/resources/list_changed`
    ResourceListChanged(ResourceListChangedNotification),
    /// `notifications/tools/list_changed`
    ToolListChanged(ToolListChangedNotification),
    /// `notifications/prompts/list_changed`
    PromptListChanged(PromptListChangedNotification),
    /// `notifications/subscriptions/acknowledged`
    SubscriptionsAcknowledged(SubscriptionsAcknowledgedNotification),
    /// `notifications/tasks`, of the extension [`crate::tasks`]
    TaskStatus(TaskStatusNotification),
}

/// Fails if no modern server sends such a notification or the parameters do not fit.
impl TryFrom<JsonRpcNotification> for ServerNotification {
    type Error = serde_json::Error;

    fn try_from(notification: JsonRpcNotification) -> Result<Self, Self::Error> {
        let unknown = |name: &str| Self::Error::custom(format_args!("unknown notification {name:?}"));
        let Some(method) = Notification::parse(&notification.method) else {
            return Err(unknown(&notification.method));
        };
        Ok(match method {
            Notification::Cancelled => Self::Cancelled(notification.try_into()?),
            Notification::Progress => Self::Progress(notification.try_into()?),
            Notification::Message => Self::LoggingMessage(notification.try_into()?),
            Notification::ResourceUpdated => Self::ResourceUpdated(notification.try_into()?),
            Notification::ResourcesListChanged => Self::ResourceListChanged(notification.try_into()?),
            Notification::ToolsListChanged => Self::ToolListChanged(notification.try_into()?),
            Notification::PromptsListChanged => Self::PromptListChanged(notification.try_into()?),
            Notification::SubscriptionsAcknowledged => Self::SubscriptionsAcknowledged(notification.try_into()?),
            Notification::TaskStatus => Self::TaskStatus(notification.try_into()?),
            Notification::Initialized | Notification::RootsListChanged | Notification::ElicitationComplete => {
                return Err(unknown(method.as_str()));
            }
        })
    }
}

impl<'de> Deserialize<'de> for ServerNotification {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        JsonRpcNotification::deserialize(deserializer)?.try_into().map_err(D::Error::custom)
    }
}
