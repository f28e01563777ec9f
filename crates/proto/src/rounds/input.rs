//! What a server can ask of a client, and what the client answers.

use std::fmt::Debug;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeOwned, Error as _},
    ser::SerializeStruct,
};
use serde_json::Value;

use crate::{
    capabilities::{ClientCapabilities, ElicitationCapability, SamplingCapability},
    elicitation::{ElicitRequestFormParams, ElicitRequestParams, ElicitRequestUrlParams, ElicitResult},
    jsonrpc::JsonObject,
    method::ClientMethod,
    roots::{ListRootsRequestParams, ListRootsResult},
    sampling::{CreateMessageRequestParams, CreateMessageResult},
};

/// Something that a server asks of a client: its method, what it carries and what answers it.
///
/// Implemented by uninhabited types such as [`crate::elicitation::Elicit`].
pub trait InputKind: Debug + Clone + PartialEq {
    /// The method.
    const METHOD: ClientMethod;
    /// The parameters.
    type Params: Debug + Clone + PartialEq + Serialize + DeserializeOwned;
    /// The answer.
    type Result: Debug + Clone + PartialEq + Serialize + DeserializeOwned;

    /// Whether `params` is left out, where it may be.
    fn is_absent(_params: &Self::Params) -> bool {
        false
    }
}

/// A question of kind `K`, as in `ElicitRequest`: method and parameters without an envelope.
#[derive(Debug, Clone, PartialEq)]
pub struct InputCall<K: InputKind> {
    /// The parameters.
    pub params: K::Params,
}

impl<K: InputKind> Serialize for InputCall<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        call(serializer, K::METHOD, (!K::is_absent(&self.params)).then_some(&self.params))
    }
}

impl<'de, K: InputKind> Deserialize<'de> for InputCall<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let members = Members::deserialize(deserializer)?;
        if members.method != K::METHOD.as_str() {
            let found = serde::de::Unexpected::Str(&members.method);
            return Err(D::Error::invalid_value(found, &K::METHOD.as_str()));
        }
        Ok(Self { params: members.params()? })
    }
}

/// A question to a client.
#[derive(Debug, Clone, PartialEq)]
pub enum InputRequest {
    /// To the person.
    Elicit(ElicitRequestParams),
    /// To the model.
    ///
    /// Deprecated since 2026-07-28: call a model's API from the server instead.
    CreateMessage(Box<CreateMessageRequestParams>),
    /// For the roots.
    ///
    /// Deprecated since 2026-07-28: take directories as tool arguments or configuration instead.
    ListRoots(ListRootsRequestParams),
}

impl InputRequest {
    /// The method.
    pub fn method(&self) -> ClientMethod {
        match self {
            Self::Elicit(_) => ClientMethod::Elicit,
            Self::CreateMessage(_) => ClientMethod::CreateMessage,
            Self::ListRoots(_) => ClientMethod::ListRoots,
        }
    }

    /// What a client has to declare to be asked this.
    pub fn requires(&self) -> ClientCapabilities {
        let mut required = ClientCapabilities::default();
        match self {
            Self::Elicit(ElicitRequestParams::Form(_)) => required.elicitation = Some(ElicitationCapability::form()),
            Self::Elicit(ElicitRequestParams::Url(_)) => required.elicitation = Some(ElicitationCapability::url()),
            Self::CreateMessage(params) => {
                required.sampling = Some(SamplingCapability {
                    context: params.needs_context().then(JsonObject::new),
                    tools: params.needs_tools().then(JsonObject::new),
                });
            }
            Self::ListRoots(_) => required.roots = Some(JsonObject::new()),
        }
        required
    }

    /// Asks for the roots.
    ///
    /// Deprecated since 2026-07-28: take directories as tool arguments or configuration instead.
    pub fn list_roots() -> Self {
        Self::ListRoots(ListRootsRequestParams::default())
    }
}

impl From<ElicitRequestFormParams> for InputRequest {
    fn from(params: ElicitRequestFormParams) -> Self {
        Self::Elicit(params.into())
    }
}

impl From<ElicitRequestUrlParams> for InputRequest {
    fn from(params: ElicitRequestUrlParams) -> Self {
        Self::Elicit(params.into())
    }
}

impl From<CreateMessageRequestParams> for InputRequest {
    fn from(params: CreateMessageRequestParams) -> Self {
        Self::CreateMessage(Box::new(params))
    }
}

impl Serialize for InputRequest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let method = self.method();
        match self {
            Self::Elicit(params) => call(serializer, method, Some(params)),
            Self::CreateMessage(params) => call(serializer, method, Some(params)),
            Self::ListRoots(params) => call(serializer, method, params.meta.is_some().then_some(params)),
        }
    }
}

impl<'de> Deserialize<'de> for InputRequest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let members = Members::deserialize(deserializer)?;
        match ClientMethod::parse(&members.method) {
            Some(ClientMethod::Elicit) => Ok(Self::Elicit(members.params()?)),
            Some(ClientMethod::CreateMessage) => Ok(Self::CreateMessage(members.params()?)),
            Some(ClientMethod::ListRoots) => Ok(Self::ListRoots(members.params()?)),
            None => Err(D::Error::custom(format_args!("unknown input request {:?}", members.method))),
        }
    }
}

#[derive(Deserialize)]
struct Members {
    method: String,
    params: Option<Value>,
}

impl Members {
    fn params<T: DeserializeOwned, E: serde::de::Error>(self) -> Result<T, E> {
        let params = self.params.unwrap_or_else(|| Value::Object(serde_json::Map::new()));
        T::deserialize(params).map_err(|error| E::custom(format_args!("{}: {error}", self.method)))
    }
}

fn call<S: Serializer, P: Serialize>(
    serializer: S,
    method: ClientMethod,
    params: Option<&P>,
) -> Result<S::Ok, S::Error> {
    let mut request = serializer.serialize_struct("InputRequest", 2)?;
    request.serialize_field("method", method.as_str())?;
    match params {
        Some(params) => request.serialize_field("params", params)?,
        None => request.skip_field("params")?,
    }
    request.end()
}

/// A client's answer. It does not say what it answers: only the question tells how to read it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InputResponse(pub Value);

impl InputResponse {
    /// Reads it as the answer to a question of kind `K`.
    ///
    /// # Errors
    /// If it has another shape.
    pub fn read<K: InputKind>(&self) -> Result<K::Result, serde_json::Error> {
        K::Result::deserialize(&self.0)
    }

    /// Reads it as the person's answer.
    ///
    /// # Errors
    /// If it has another shape.
    pub fn as_elicit(&self) -> Result<ElicitResult, serde_json::Error> {
        ElicitResult::deserialize(&self.0)
    }

    /// Reads it as the model's answer.
    ///
    /// Deprecated since 2026-07-28: call a model's API from the server instead.
    ///
    /// # Errors
    /// If it has another shape.
    pub fn as_create_message(&self) -> Result<CreateMessageResult, serde_json::Error> {
        CreateMessageResult::deserialize(&self.0)
    }

    /// Reads it as the client's roots.
    ///
    /// Deprecated since 2026-07-28: take directories as tool arguments or configuration instead.
    ///
    /// # Errors
    /// If it has another shape.
    pub fn as_list_roots(&self) -> Result<ListRootsResult, serde_json::Error> {
        ListRootsResult::deserialize(&self.0)
    }
}
