//! Messages with their bodies left as JSON.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;

use super::{ErrorObject, JsonObject, RequestId, ResultObject, present};

/// `"jsonrpc": "2.0"`, the only value that member can have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct ProtocolTag;

impl ProtocolTag {
    /// The text on the wire.
    pub const TEXT: &'static str = "2.0";
}

impl Serialize for ProtocolTag {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(Self::TEXT)
    }
}

impl<'de> Deserialize<'de> for ProtocolTag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        match text.as_ref() {
            Self::TEXT => Ok(Self),
            other => Err(de::Error::invalid_value(de::Unexpected::Str(other), &"jsonrpc to be \"2.0\"")),
        }
    }
}

/// A request of any method.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JsonRpcRequest {
    /// Always `"2.0"`.
    pub jsonrpc: ProtocolTag,
    /// Returned with the answer.
    pub id: RequestId,
    /// What is asked.
    pub method: String,
    /// Its parameters, by name; MCP has none by position.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub params: Option<JsonObject>,
}

impl JsonRpcRequest {
    /// A request of this method.
    pub fn new(id: impl Into<RequestId>, method: impl Into<String>, params: Option<JsonObject>) -> Self {
        Self { jsonrpc: ProtocolTag, id: id.into(), method: method.into(), params }
    }
}

/// A one-way message of any method.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JsonRpcNotification {
    /// Always `"2.0"`.
    pub jsonrpc: ProtocolTag,
    /// What is told.
    pub method: String,
    /// Its parameters, by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub params: Option<JsonObject>,
}

impl JsonRpcNotification {
    /// A notification of this method.
    pub fn new(method: impl Into<String>, params: Option<JsonObject>) -> Self {
        Self { jsonrpc: ProtocolTag, method: method.into(), params }
    }
}

/// The answer to a request that succeeded. `R` is the result's type where the request is known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JsonRpcResultResponse<R = ResultObject> {
    /// Always `"2.0"`.
    pub jsonrpc: ProtocolTag,
    /// The request's id.
    pub id: RequestId,
    /// The answer.
    pub result: R,
}

impl<R> JsonRpcResultResponse<R> {
    /// The answer to the request of that id.
    pub fn new(id: impl Into<RequestId>, result: R) -> Self {
        Self { jsonrpc: ProtocolTag, id: id.into(), result }
    }
}

/// The answer to a request that failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JsonRpcErrorResponse {
    /// Always `"2.0"`.
    pub jsonrpc: ProtocolTag,
    /// The request's id; absent if it could not be read. Null is read as absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<RequestId>,
    /// What went wrong.
    pub error: ErrorObject,
}

impl JsonRpcErrorResponse {
    /// The answer to the request of that id.
    pub fn new(id: Option<RequestId>, error: ErrorObject) -> Self {
        Self { jsonrpc: ProtocolTag, id, error }
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum JsonRpcResponse {
    /// The request succeeded.
    Result(JsonRpcResultResponse),
    /// The request failed.
    Error(JsonRpcErrorResponse),
}

/// Anything that can stand alone on the wire. Batches are not part of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum JsonRpcMessage {
    /// Expects an answer.
    Request(JsonRpcRequest),
    /// Expects none.
    Notification(JsonRpcNotification),
    /// Is an answer.
    Response(JsonRpcResponse),
}

/// Every member that some message has, so that the kind follows from those present, in any order.
#[derive(Deserialize)]
struct Members {
    jsonrpc: ProtocolTag,
    #[serde(default, deserialize_with = "present")]
    id: Option<Value>,
    method: Option<String>,
    params: Option<JsonObject>,
    result: Option<ResultObject>,
    error: Option<ErrorObject>,
}

impl Members {
    fn request_id<E: de::Error>(id: &Value) -> Result<RequestId, E> {
        RequestId::try_from(id).map_err(E::custom)
    }

    fn into_message<E: de::Error>(self) -> Result<JsonRpcMessage, E> {
        let Self { jsonrpc, id, method, params, result, error } = self;
        match (method, result, error) {
            (Some(method), None, None) => Ok(match id {
                Some(id) => {
                    let id = Self::request_id(&id)?;
                    JsonRpcMessage::Request(JsonRpcRequest { jsonrpc, id, method, params })
                }
                None => JsonRpcMessage::Notification(JsonRpcNotification { jsonrpc, method, params }),
            }),
            (None, Some(result), None) => {
                let id = Self::request_id(&id.ok_or_else(|| E::missing_field("id"))?)?;
                let response = JsonRpcResultResponse { jsonrpc, id, result };
                Ok(JsonRpcMessage::Response(JsonRpcResponse::Result(response)))
            }
            (None, None, Some(error)) => {
                let id = id.filter(|id| !id.is_null()).map(|id| Self::request_id(&id)).transpose()?;
                let response = JsonRpcErrorResponse { jsonrpc, id, error };
                Ok(JsonRpcMessage::Response(JsonRpcResponse::Error(response)))
            }
            (None, None, None) => Err(E::custom("neither method, result nor error is present")),
            (Some(_), _, _) | (None, Some(_), Some(_)) => {
                Err(E::custom("more than one of method, result and error is present"))
            }
        }
    }
}

impl<'de> Deserialize<'de> for JsonRpcMessage {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Members::deserialize(deserializer)?.into_message()
    }
}

impl<'de> Deserialize<'de> for JsonRpcResponse {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match JsonRpcMessage::deserialize(deserializer)? {
            JsonRpcMessage::Response(response) => Ok(response),
            JsonRpcMessage::Request(_) | JsonRpcMessage::Notification(_) => {
                Err(de::Error::custom("a response has result or error, not method"))
            }
        }
    }
}
