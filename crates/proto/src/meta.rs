//! `_meta`: its keys, each written once, and what a request, a notification and a result carry in it.
//!
//! Spec: basic/index, "`_meta`".

use std::sync::Arc;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, DeserializeOwned},
    ser::SerializeMap,
};
use serde_json::Value;

use crate::{
    capabilities::ClientCapabilities,
    implementation::Implementation,
    jsonrpc::{JsonObject, RequestId, optional_setters},
    logging::LoggingLevel,
    progress::ProgressToken,
    version::Version,
};

/// The protocol version of a request. Required.
pub const PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
/// The client's name and version.
pub const CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";
/// What the client can do for this request. Required.
pub const CLIENT_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
/// The least severe log level that the client wants for this request.
pub const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
/// The listen request that a notification belongs to.
pub const SUBSCRIPTION_ID: &str = "io.modelcontextprotocol/subscriptionId";
/// The server's name and version, on results.
pub const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";
/// Asks for progress notifications that carry this token.
pub const PROGRESS_TOKEN: &str = "progressToken";
/// W3C trace context: the parent span.
pub const TRACEPARENT: &str = "traceparent";
/// W3C trace context: what vendors add.
pub const TRACESTATE: &str = "tracestate";
/// W3C baggage.
pub const BAGGAGE: &str = "baggage";
/// Of 2025-11-25: the task that a message belongs to.
pub const RELATED_TASK: &str = "io.modelcontextprotocol/related-task";

/// No key of `_meta`, though named like one: the tasks extension, among the `extensions` of capabilities.
pub const TASKS_EXTENSION: &str = "io.modelcontextprotocol/tasks";
/// Nor is this: the apps extension.
pub const APPS_EXTENSION: &str = "io.modelcontextprotocol/ui";

/// Our own, on results: the result was kept and is no longer fresh, but the server cannot be reached. Says how many
/// milliseconds ago it came.
pub const STALE: &str = "io.github.anypod/stale";

/// Our own, on results that were put together from those of several servers: the servers whose part is missing, and why,
/// as `[{"upstream": NAME, "reason": TEXT}]`.
pub const UNAVAILABLE: &str = "io.github.anypod/unavailable";

/// Where keys stand in a request, for refusals.
pub(crate) mod path {
    pub(crate) const PROTOCOL_VERSION: &str = "params._meta.io.modelcontextprotocol/protocolVersion";
    pub(crate) const CLIENT_CAPABILITIES: &str = "params._meta.io.modelcontextprotocol/clientCapabilities";
    pub(crate) const CLIENT_INFO: &str = "params._meta.io.modelcontextprotocol/clientInfo";
    pub(crate) const LOG_LEVEL: &str = "params._meta.io.modelcontextprotocol/logLevel";
    pub(crate) const PROGRESS_TOKEN: &str = "params._meta.progressToken";
    pub(crate) const TRACEPARENT: &str = "params._meta.traceparent";
    pub(crate) const TRACESTATE: &str = "params._meta.tracestate";
    pub(crate) const BAGGAGE: &str = "params._meta.baggage";
}

/// `_meta` where nothing of it is reserved for one purpose.
pub type MetaObject = JsonObject;

/// `_meta` of a request: what makes it stand alone. The spec calls it `RequestMetaObject`.
#[derive(Debug, Clone, PartialEq)]
pub struct RequestMeta {
    /// The revision that the request speaks.
    pub protocol_version: String,
    /// What the client can do for this request.
    pub client_capabilities: ClientCapabilities,
    /// Who is asking, in its own words: for display and logs, never for decisions.
    pub client_info: Option<Implementation>,
    /// Asks for progress notifications that carry this token.
    pub progress_token: Option<ProgressToken>,
    /// Asks for log messages of this level and above.
    pub log_level: Option<LoggingLevel>,
    /// Everything else, the trace context included.
    pub extra: JsonObject,
}

impl RequestMeta {
    /// What a request must say: its version and the client's capabilities.
    pub fn new(version: Version, client_capabilities: ClientCapabilities) -> Self {
        Self {
            protocol_version: version.as_str().to_owned(),
            client_capabilities,
            client_info: None,
            progress_token: None,
            log_level: None,
            extra: JsonObject::new(),
        }
    }
}

optional_setters! { RequestMeta {
    /// Says who is asking.
    with_client_info(client_info: Implementation);
    /// Asks for progress notifications.
    with_progress_token(progress_token: impl Into<ProgressToken>);
    /// Asks for log messages of this level and above.
    ///
    /// Deprecated since 2026-07-28: log to the standard error stream or OpenTelemetry instead.
    with_log_level(log_level: LoggingLevel);
} }

impl Serialize for RequestMeta {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry(PROTOCOL_VERSION, &self.protocol_version)?;
        put(&mut map, CLIENT_INFO, self.client_info.as_ref())?;
        map.serialize_entry(CLIENT_CAPABILITIES, &self.client_capabilities)?;
        put(&mut map, LOG_LEVEL, self.log_level.as_ref())?;
        put(&mut map, PROGRESS_TOKEN, self.progress_token.as_ref())?;
        put_all(&mut map, &self.extra)?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for RequestMeta {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut extra = JsonObject::deserialize(deserializer)?;
        Ok(Self {
            protocol_version: require(&mut extra, PROTOCOL_VERSION)?,
            client_capabilities: require(&mut extra, CLIENT_CAPABILITIES)?,
            client_info: take(&mut extra, CLIENT_INFO)?,
            progress_token: take(&mut extra, PROGRESS_TOKEN)?,
            log_level: take(&mut extra, LOG_LEVEL)?,
            extra,
        })
    }
}

/// `_meta` of a notification. The spec calls it `NotificationMetaObject`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NotificationMeta {
    /// The id of the listen request on whose stream the notification travels; absent elsewhere.
    pub subscription_id: Option<RequestId>,
    /// Everything else.
    pub extra: JsonObject,
}

impl NotificationMeta {
    /// Of a notification on the stream that this listen request opened.
    pub fn subscription(id: impl Into<RequestId>) -> Self {
        Self { subscription_id: Some(id.into()), extra: JsonObject::new() }
    }
}

impl Serialize for NotificationMeta {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        put(&mut map, SUBSCRIPTION_ID, self.subscription_id.as_ref())?;
        put_all(&mut map, &self.extra)?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for NotificationMeta {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut extra = JsonObject::deserialize(deserializer)?;
        Ok(Self { subscription_id: take(&mut extra, SUBSCRIPTION_ID)?, extra })
    }
}

/// `_meta` of a result. The spec calls it `ResultMetaObject`, and on the answer to a listen request
/// `SubscriptionsListenResultMetaObject`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ResultMeta {
    /// Who answers, in its own words. Shared, because a server says it on every result.
    pub server_info: Option<Arc<Implementation>>,
    /// On the answer to a listen request, that request's id; absent elsewhere.
    pub subscription_id: Option<RequestId>,
    /// Everything else.
    pub extra: JsonObject,
}

impl Serialize for ResultMeta {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        put(&mut map, SERVER_INFO, self.server_info.as_deref())?;
        put(&mut map, SUBSCRIPTION_ID, self.subscription_id.as_ref())?;
        put_all(&mut map, &self.extra)?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for ResultMeta {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut extra = JsonObject::deserialize(deserializer)?;
        Ok(Self {
            server_info: take(&mut extra, SERVER_INFO)?.map(Arc::new),
            subscription_id: take(&mut extra, SUBSCRIPTION_ID)?,
            extra,
        })
    }
}

/// Removes and reads a reserved key. Null is read as absent, as some peers write it for unset fields.
fn take<T: DeserializeOwned, E: de::Error>(object: &mut JsonObject, key: &str) -> Result<Option<T>, E> {
    match object.remove(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match T::deserialize(value) {
            Ok(value) => Ok(Some(value)),
            Err(error) => Err(E::custom(format_args!("_meta[{key:?}]: {error}"))),
        },
    }
}

fn require<T: DeserializeOwned, E: de::Error>(object: &mut JsonObject, key: &str) -> Result<T, E> {
    take(object, key)?.ok_or_else(|| E::custom(format_args!("_meta[{key:?}] is missing")))
}

fn put<M: SerializeMap, T: Serialize + ?Sized>(map: &mut M, key: &str, value: Option<&T>) -> Result<(), M::Error> {
    value.map_or(Ok(()), |value| map.serialize_entry(key, value))
}

fn put_all<M: SerializeMap>(map: &mut M, extra: &JsonObject) -> Result<(), M::Error> {
    extra.iter().try_for_each(|(key, value)| map.serialize_entry(key, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_ends_with_its_key() {
        for (path, key) in [
            (path::PROTOCOL_VERSION, PROTOCOL_VERSION),
            (path::CLIENT_CAPABILITIES, CLIENT_CAPABILITIES),
            (path::CLIENT_INFO, CLIENT_INFO),
            (path::LOG_LEVEL, LOG_LEVEL),
            (path::PROGRESS_TOKEN, PROGRESS_TOKEN),
            (path::TRACEPARENT, TRACEPARENT),
            (path::TRACESTATE, TRACESTATE),
            (path::BAGGAGE, BAGGAGE),
        ] {
            assert_eq!(path.strip_prefix("params._meta."), Some(key));
        }
    }
}
