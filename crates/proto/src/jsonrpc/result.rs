//! What every result shares.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::JsonObject;
use crate::meta::ResultMeta;

/// The field that tells result shapes apart.
pub(crate) const RESULT_TYPE: &str = "resultType";

/// How to read a result. Absent on input, as from legacy servers, it is [`ResultType::Complete`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub enum ResultType {
    /// The request is answered.
    #[default]
    Complete,
    /// The server needs input first: see [`crate::rounds::InputRequiredResult`].
    InputRequired,
    /// Defined by an extension.
    Other(String),
}

impl ResultType {
    /// The name on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Complete => "complete",
            Self::InputRequired => "input_required",
            Self::Other(name) => name,
        }
    }

    /// How to read this result.
    pub fn of(result: &JsonObject) -> Self {
        match result.get(RESULT_TYPE) {
            None => Self::Complete,
            Some(Value::String(name)) => Self::from(name.as_str()),
            Some(other) => Self::Other(other.to_string()),
        }
    }
}

impl From<&str> for ResultType {
    fn from(name: &str) -> Self {
        [Self::Complete, Self::InputRequired]
            .into_iter()
            .find(|known| known.as_str() == name)
            .unwrap_or_else(|| Self::Other(name.to_owned()))
    }
}

impl fmt::Display for ResultType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for ResultType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for ResultType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::from(Cow::<str>::deserialize(deserializer)?.as_ref()))
    }
}

/// A result of any method. It serializes as an object with at least `resultType`.
pub trait ResultBody: Serialize {
    /// The result's `_meta`, for whoever adds `serverInfo`.
    fn meta_mut(&mut self) -> &mut Option<ResultMeta>;
}

/// Implements [`ResultBody`] for structs with a field `meta`.
macro_rules! result_bodies {
    ($($name:ty),* $(,)?) => {
        $(impl $crate::jsonrpc::ResultBody for $name {
            fn meta_mut(&mut self) -> &mut Option<$crate::meta::ResultMeta> {
                &mut self.meta
            }
        })*
    };
}

pub(crate) use result_bodies;

/// A result whose method is not known, or that has no fields of its own. The spec calls it `Result`.
///
/// The schema's `ServerResult` and `ClientResult` are this type too: a result does not say which
/// request it answers, so that nobody can tell its members apart without the request.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResultObject {
    /// What travels beside the result.
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    pub meta: Option<ResultMeta>,
    /// How to read the result.
    #[serde(default)]
    pub result_type: ResultType,
    /// Everything else.
    #[serde(flatten)]
    pub extra: JsonObject,
}

/// A result that says no more than that the request succeeded.
pub type EmptyResult = ResultObject;

result_bodies!(ResultObject);

/// Where a page of a list begins. Opaque to clients.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cursor(pub String);

/// Reads a field whose value may be null, telling that from an absent field.
pub(crate) fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}
