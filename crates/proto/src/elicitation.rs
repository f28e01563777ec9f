//! `elicitation/create`: a question to the person behind the client, as a form or behind a URL.
//!
//! Spec: client/elicitation.

mod answer;
mod choice;
mod schema;
mod typed;
mod view;

use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::Value;

pub use answer::{FieldError, FormError};
pub use choice::{
    ChoiceItems, EnumSchema, LegacyTitledEnumSchema, MultiSelectEnumSchema, SingleSelectEnumSchema, TitledChoice,
    TitledChoiceItems, TitledMultiSelectEnumSchema, TitledSingleSelectEnumSchema, UntitledMultiSelectEnumSchema,
    UntitledSingleSelectEnumSchema,
};
pub use schema::{
    BooleanSchema, NumberKind, NumberSchema, PrimitiveSchemaDefinition, Properties, RequestedSchema, StringFormat,
    StringSchema,
};
pub use view::Choice;

use crate::{
    jsonrpc::JsonObject,
    method::ClientMethod,
    rounds::{InputCall, InputKind},
};

/// The kind of an [`ElicitRequest`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Elicit {}

impl InputKind for Elicit {
    const METHOD: ClientMethod = ClientMethod::Elicit;
    type Params = ElicitRequestParams;
    type Result = ElicitResult;
}

/// Asks the person.
pub type ElicitRequest = InputCall<Elicit>;

/// What to ask, and how.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum ElicitRequestParams {
    /// With a form that the client shows.
    Form(ElicitRequestFormParams),
    /// At a URL that the client opens.
    Url(ElicitRequestUrlParams),
}

/// Decided by `mode`, which is form if absent.
impl<'de> Deserialize<'de> for ElicitRequestParams {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let object = JsonObject::deserialize(deserializer)?;
        let mode = object.get("mode").map_or(Ok(Mode::Form), Mode::deserialize).map_err(de::Error::custom)?;
        let value = Value::Object(object);
        match mode {
            Mode::Form => ElicitRequestFormParams::deserialize(value).map(Self::Form),
            Mode::Url => ElicitRequestUrlParams::deserialize(value).map(Self::Url),
        }
        .map_err(de::Error::custom)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    Form,
    Url,
}

impl From<ElicitRequestFormParams> for ElicitRequestParams {
    fn from(params: ElicitRequestFormParams) -> Self {
        Self::Form(params)
    }
}

impl From<ElicitRequestUrlParams> for ElicitRequestParams {
    fn from(params: ElicitRequestUrlParams) -> Self {
        Self::Url(params)
    }
}

/// `"mode": "form"`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FormMode {
    /// The only value.
    #[default]
    Form,
}

/// `"mode": "url"`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UrlMode {
    /// The only value.
    #[default]
    Url,
}

/// A form. Not for secrets: the client sees what the person enters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ElicitRequestFormParams {
    /// Absent means form, and is understood by clients older than the modes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<FormMode>,
    /// What the person is to be told.
    pub message: String,
    /// The fields.
    pub requested_schema: RequestedSchema,
}

impl ElicitRequestFormParams {
    /// A form with these fields.
    pub fn new(message: impl Into<String>, requested_schema: RequestedSchema) -> Self {
        Self { mode: None, message: message.into(), requested_schema }
    }
}

/// A page to visit, for what the client must not see, such as a sign-in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ElicitRequestUrlParams {
    /// Always URL.
    pub mode: UrlMode,
    /// Why the person is to go there.
    pub message: String,
    /// Where.
    pub url: String,
}

impl ElicitRequestUrlParams {
    /// Sends the person to this URL.
    pub fn new(message: impl Into<String>, url: impl Into<String>) -> Self {
        Self { mode: UrlMode::Url, message: message.into(), url: url.into() }
    }
}

/// What the person did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ElicitAction {
    /// Submitted the form, or agreed to go to the URL.
    Accept,
    /// Said no.
    Decline,
    /// Made no choice.
    Cancel,
}

/// The person's answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ElicitResult {
    /// What the person did.
    pub action: ElicitAction,
    /// What was entered: strings, numbers, booleans and lists of strings, by field. Not yet validated.
    /// Only of an accepted form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<JsonObject>,
}

impl ElicitResult {
    /// The person submitted this form.
    pub fn accept(content: JsonObject) -> Self {
        Self { action: ElicitAction::Accept, content: Some(content) }
    }

    /// The person said no.
    pub fn decline() -> Self {
        Self { action: ElicitAction::Decline, content: None }
    }

    /// The person made no choice.
    pub fn cancel() -> Self {
        Self { action: ElicitAction::Cancel, content: None }
    }
}
