//! As much of an answer as its era shows in, read leniently: servers of the other era are not held to the rules.

use anypod_proto::jsonrpc::{ErrorObject, JsonObject, ProtocolTag};
use anypod_proto::sse::Decoder;
use serde::Deserialize;
use serde_json::Value;

/// Versions of a server that are looked at. More, or longer ones, are no versions.
const VERSIONS: usize = 32;
const VERSION_LEN: usize = 32;

/// An answer in JSON-RPC.
pub(super) struct Reply {
    /// The id, if it is one that this client gives.
    pub(super) id: Option<u64>,
    pub(super) said: Said,
}

/// What it says.
pub(super) enum Said {
    Result(Marks),
    Error(Fault),
}

/// What tells the eras apart in a result.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Marks {
    pub(super) result_type: Option<String>,
    #[serde(default, deserialize_with = "versions")]
    pub(super) supported_versions: Option<Vec<String>>,
    #[serde(rename = "_meta")]
    pub(super) meta: Option<JsonObject>,
}

/// What tells the eras apart in an error.
#[derive(Deserialize)]
pub(super) struct Fault {
    pub(super) code: i64,
    #[serde(default)]
    pub(super) message: String,
    data: Option<Value>,
}

#[derive(Deserialize)]
struct Members {
    #[serde(rename = "jsonrpc")]
    _jsonrpc: ProtocolTag,
    #[serde(default)]
    id: Value,
    result: Option<Marks>,
    error: Option<Fault>,
}

impl Reply {
    /// The answer in a body: the body as a whole, or the first answer among its events.
    pub(super) fn find(mut body: &[u8]) -> Option<Self> {
        if let Some(reply) = Self::read(body) {
            return Some(reply);
        }
        let mut events = Decoder::default();
        while let Ok(Some(event)) = events.read(&mut body) {
            if let Some(reply) = Self::read(event.data.as_bytes()) {
                return Some(reply);
            }
        }
        None
    }

    fn read(text: &[u8]) -> Option<Self> {
        let Members { id, result, error, .. } = serde_json::from_slice(text).ok()?;
        let said = match (result, error) {
            (_, Some(fault)) => Said::Error(fault),
            (Some(marks), None) => Said::Result(marks),
            (None, None) => return None,
        };
        Some(Self { id: id.as_u64(), said })
    }
}

impl Fault {
    /// The versions in its data, as both eras write them.
    pub(super) fn supported(&self) -> Option<Vec<String>> {
        self.data.as_ref()?.get("supported").and_then(read_versions)
    }
}

impl From<ErrorObject> for Fault {
    fn from(error: ErrorObject) -> Self {
        Self { code: error.code.into(), message: error.message, data: error.data }
    }
}

fn versions<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    Ok(read_versions(&Value::deserialize(deserializer)?))
}

fn read_versions(value: &Value) -> Option<Vec<String>> {
    let texts = value.as_array()?.iter().filter_map(Value::as_str).filter(|text| text.len() <= VERSION_LEN);
    Some(texts.take(VERSIONS).map(str::to_owned).collect())
}
