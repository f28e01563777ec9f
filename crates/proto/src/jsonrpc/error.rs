//! Error objects, and the `data` of those whose data the specification fixes.
//!
//! Spec: basic/index, "Error Codes".

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{capabilities::ClientCapabilities, code::Code, version::Version};

/// What went wrong with a request. The spec calls it `Error`.
///
/// The named errors of the schema (`ParseError`, `InvalidParamsError`, …) are this type with their
/// [`Code`]; use the constructors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ErrorObject {
    /// The kind of failure. Peers may send numbers that [`Code`] does not know.
    pub code: i32,
    /// One short sentence.
    pub message: String,
    /// More, by code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
}

impl ErrorObject {
    /// An error without data.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code: code.number(), message: message.into(), data: None }
    }

    /// The same error with `data`.
    #[must_use]
    pub fn with_data(mut self, data: Value) -> Self {
        self.data = Some(data);
        self
    }

    /// -32022, with the versions to choose from.
    pub fn unsupported_version(requested: impl Into<String>, supported: &[Version]) -> Self {
        let data = UnsupportedProtocolVersionData {
            supported: supported.iter().map(|version| version.as_str().to_owned()).collect(),
            requested: requested.into(),
        };
        let data = serde_json::json!({ "supported": data.supported, "requested": data.requested });
        Self::new(Code::UnsupportedProtocolVersion, "Unsupported protocol version").with_data(data)
    }

    /// -32021, with what the client would have to declare.
    pub fn missing_capability(required: &ClientCapabilities) -> Self {
        let message = "The request needs a capability that the client did not declare";
        let error = Self::new(Code::MissingRequiredClientCapability, message);
        match serde_json::to_value(required) {
            Ok(required) => error.with_data(serde_json::json!({ "requiredCapabilities": required })),
            Err(_) => error,
        }
    }

    /// Reads `data` as `T`: [`UnsupportedProtocolVersionData`] or [`MissingRequiredClientCapabilityData`].
    ///
    /// # Errors
    /// If there is no data or it has another shape.
    pub fn data_as<'a, T: Deserialize<'a>>(&'a self) -> Result<T, serde_json::Error> {
        T::deserialize(self.data.as_ref().unwrap_or(&Value::Null))
    }
}

/// The data of an `UnsupportedProtocolVersionError`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UnsupportedProtocolVersionData {
    /// The versions that the server speaks.
    pub supported: Vec<String>,
    /// The version that the request declared.
    pub requested: String,
}

/// The data of a `MissingRequiredClientCapabilityError`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MissingRequiredClientCapabilityData {
    /// What the request needs and the client did not declare.
    pub required_capabilities: ClientCapabilities,
}
