//! Rounds: a server that needs input answers with what it asks, and the client sends the request again
//! with the answers.
//!
//! Spec: basic/patterns/mrtr.

mod input;

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, de, de::DeserializeOwned};
use serde_json::Value;

pub use input::{InputCall, InputKind, InputRequest, InputResponse};

use crate::{
    jsonrpc::{JsonObject, RESULT_TYPE, ResultType, optional_setters, result_bodies},
    meta::{RequestMeta, ResultMeta},
};

/// What a server asks, by keys of its choice.
pub type InputRequests = BTreeMap<String, InputRequest>;
/// What the client answers, by the keys of the questions.
pub type InputResponses = BTreeMap<String, InputResponse>;

/// The end of a round: what the server asks before it goes on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InputRequiredResult {
    /// How to read the result: always [`ResultType::InputRequired`].
    pub result_type: ResultType,
    /// What it asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_requests: Option<InputRequests>,
    /// What to send back with the answers. Opaque to clients.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_state: Option<String>,
    /// What travels beside the result.
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    pub meta: Option<ResultMeta>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: JsonObject,
}

impl InputRequiredResult {
    /// Asks these questions.
    pub fn new(input_requests: InputRequests) -> Self {
        Self { input_requests: Some(input_requests), ..Self::empty() }
    }

    /// Asks nothing but to come again with this state, as a busy server may.
    pub fn again(request_state: impl Into<String>) -> Self {
        Self::empty().with_request_state(request_state)
    }

    fn empty() -> Self {
        Self {
            result_type: ResultType::InputRequired,
            input_requests: None,
            request_state: None,
            meta: None,
            extra: JsonObject::new(),
        }
    }
}

optional_setters! { InputRequiredResult {
    /// Says what to send back with the answers.
    with_request_state(request_state: impl Into<String>);
} }

result_bodies!(InputRequiredResult);

/// What a request that can be sent again carries for it. Those requests' own parameters have the same fields.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InputResponseRequestParams {
    /// Version, capabilities and the rest that makes a request stand alone.
    #[serde(rename = "_meta")]
    pub meta: RequestMeta,
    /// Answers to what the last round asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_responses: Option<InputResponses>,
    /// What the last round asked to be sent back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_state: Option<String>,
}

/// The answer to a request that may take rounds.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum RoundResult<R> {
    /// It is done.
    Complete(R),
    /// It needs input first.
    InputRequired(Box<InputRequiredResult>),
}

/// Decided by `resultType`. One that is neither is an error, as the spec asks of clients
/// (basic/index, "Result Responses"), and so is an input request without questions and state.
impl<'de, R: DeserializeOwned> Deserialize<'de> for RoundResult<R> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let object = JsonObject::deserialize(deserializer)?;
        let result_type = match object.get(RESULT_TYPE) {
            Some(name) => ResultType::deserialize(name).map_err(de::Error::custom)?,
            None => ResultType::Complete,
        };
        let value = Value::Object(object);
        match result_type {
            ResultType::Complete => R::deserialize(value).map(Self::Complete).map_err(de::Error::custom),
            ResultType::InputRequired => {
                let result = InputRequiredResult::deserialize(value).map_err(de::Error::custom)?;
                if result.input_requests.is_none() && result.request_state.is_none() {
                    return Err(de::Error::custom("input_required needs inputRequests or requestState"));
                }
                Ok(Self::InputRequired(Box::new(result)))
            }
            ResultType::Other(name) => Err(de::Error::custom(format_args!("unknown {RESULT_TYPE} {name:?}"))),
        }
    }
}

impl<R> From<InputRequiredResult> for RoundResult<R> {
    fn from(result: InputRequiredResult) -> Self {
        Self::InputRequired(Box::new(result))
    }
}
