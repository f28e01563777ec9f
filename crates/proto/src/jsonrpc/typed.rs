//! Messages whose method is known, and with it the type of what they carry.

use std::fmt::Debug;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned, ser::SerializeStruct};

use super::{Cursor, JsonRpcNotification, JsonRpcRequest, ProtocolTag, RequestId};
use crate::{
    meta::{NotificationMeta, RequestMeta},
    method,
};

/// A request of the protocol: its method, what it carries and what answers it.
///
/// Implemented by uninhabited types such as [`crate::tools::CallTool`].
pub trait RequestKind: Debug + Clone + PartialEq {
    /// The method.
    const METHOD: method::Method;
    /// The parameters.
    type Params: Debug + Clone + PartialEq + Serialize + DeserializeOwned;
    /// The answer.
    type Result: Debug + Clone + PartialEq + Serialize + DeserializeOwned;
}

/// A request of kind `K`, as in `CallToolRequest`.
#[derive(Debug, Clone, PartialEq)]
pub struct Request<K: RequestKind> {
    /// Returned with the answer.
    pub id: RequestId,
    /// The parameters.
    pub params: K::Params,
}

impl<K: RequestKind> Request<K> {
    /// A request with these parameters.
    pub fn new(id: impl Into<RequestId>, params: K::Params) -> Self {
        Self { id: id.into(), params }
    }
}

impl<K: RequestKind> Serialize for Request<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut message = serializer.serialize_struct("Request", 4)?;
        message.serialize_field("jsonrpc", &ProtocolTag)?;
        message.serialize_field("id", &self.id)?;
        message.serialize_field("method", K::METHOD.as_str())?;
        message.serialize_field("params", &self.params)?;
        message.end()
    }
}

/// Fails if the method is another or the parameters do not fit.
impl<K: RequestKind> TryFrom<JsonRpcRequest> for Request<K> {
    type Error = serde_json::Error;

    fn try_from(request: JsonRpcRequest) -> Result<Self, Self::Error> {
        expect_method(&request.method, K::METHOD.as_str())?;
        let params = K::Params::deserialize(serde_json::Value::Object(request.params.unwrap_or_default()))?;
        Ok(Self { id: request.id, params })
    }
}

impl<'de, K: RequestKind> Deserialize<'de> for Request<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        JsonRpcRequest::deserialize(deserializer)?.try_into().map_err(serde::de::Error::custom)
    }
}

/// A notification of the protocol.
pub trait NotificationKind: Debug + Clone + PartialEq {
    /// The method.
    const METHOD: method::Notification;
    /// The parameters.
    type Params: Debug + Clone + PartialEq + Serialize + DeserializeOwned;

    /// Whether `params` is left out, where it may be.
    fn is_absent(_params: &Self::Params) -> bool {
        false
    }
}

/// A notification of kind `K`, as in `ProgressNotification`.
#[derive(Debug, Clone, PartialEq)]
pub struct TypedNotification<K: NotificationKind> {
    /// The parameters.
    pub params: K::Params,
}

impl<K: NotificationKind> TypedNotification<K> {
    /// A notification with these parameters.
    pub fn new(params: K::Params) -> Self {
        Self { params }
    }
}

impl<K: NotificationKind> Serialize for TypedNotification<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut message = serializer.serialize_struct("Notification", 3)?;
        message.serialize_field("jsonrpc", &ProtocolTag)?;
        message.serialize_field("method", K::METHOD.as_str())?;
        match K::is_absent(&self.params) {
            true => message.skip_field("params")?,
            false => message.serialize_field("params", &self.params)?,
        }
        message.end()
    }
}

/// Fails if the method is another or the parameters do not fit.
impl<K: NotificationKind> TryFrom<JsonRpcNotification> for TypedNotification<K> {
    type Error = serde_json::Error;

    fn try_from(notification: JsonRpcNotification) -> Result<Self, Self::Error> {
        expect_method(&notification.method, K::METHOD.as_str())?;
        let params = notification.params.unwrap_or_default();
        Ok(Self { params: K::Params::deserialize(serde_json::Value::Object(params))? })
    }
}

impl<'de, K: NotificationKind> Deserialize<'de> for TypedNotification<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        JsonRpcNotification::deserialize(deserializer)?.try_into().map_err(serde::de::Error::custom)
    }
}

fn expect_method(found: &str, expected: &'static str) -> Result<(), serde_json::Error> {
    if found == expected {
        return Ok(());
    }
    let found = serde::de::Unexpected::Str(found);
    Err(serde::de::Error::invalid_value(found, &expected))
}

/// What every request carries, and all that some do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestParams {
    /// Version, capabilities and the rest that makes a request stand alone.
    #[serde(rename = "_meta")]
    pub meta: RequestMeta,
}

/// What every notification may carry.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NotificationParams {
    /// Which subscription it belongs to, if any.
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    pub meta: Option<NotificationMeta>,
}

/// The parameters of a request for one page of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PaginatedRequestParams {
    /// Version, capabilities and the rest that makes a request stand alone.
    #[serde(rename = "_meta")]
    pub meta: RequestMeta,
    /// Where the page begins; absent for the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<Cursor>,
}

impl PaginatedRequestParams {
    /// Asks for the first page.
    pub fn first(meta: RequestMeta) -> Self {
        Self { meta, cursor: None }
    }

    /// Asks for the page that begins at `cursor`.
    pub fn after(meta: RequestMeta, cursor: Cursor) -> Self {
        Self { meta, cursor: Some(cursor) }
    }
}
