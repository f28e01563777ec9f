//! `completion/complete`: values that an argument might take.
//!
//! Spec: server/utilities/completion.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    jsonrpc::{JsonObject, JsonRpcResultResponse, Request, RequestKind, ResultType, optional_setters, result_bodies},
    meta::{RequestMeta, ResultMeta},
    method::Method,
};

/// The kind of a [`CompleteRequest`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Complete {}

impl RequestKind for Complete {
    const METHOD: Method = Method::Complete;
    type Params = CompleteRequestParams;
    type Result = CompleteResult;
}

/// Asks for values.
pub type CompleteRequest = Request<Complete>;
/// The answer with its envelope.
pub type CompleteResultResponse = JsonRpcResultResponse<CompleteResult>;

/// For what to suggest values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CompleteRequestParams {
    /// Version, capabilities and the rest that makes a request stand alone.
    #[serde(rename = "_meta")]
    pub meta: RequestMeta,
    /// Whose argument it is.
    #[serde(rename = "ref")]
    pub reference: CompletionReference,
    /// The argument, and how far it is typed.
    pub argument: CompletionArgument,
    /// What is known already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<CompletionContext>,
}

/// Whose argument is to be completed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum CompletionReference {
    /// A prompt's.
    #[serde(rename = "ref/prompt")]
    Prompt(PromptReference),
    /// A resource template's.
    #[serde(rename = "ref/resource")]
    Resource(ResourceTemplateReference),
}

/// A prompt, by name. Its `type` is written by [`CompletionReference`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PromptReference {
    /// The prompt's name.
    pub name: String,
    /// The prompt's name, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
}

/// A resource or resource template. Its `type` is written by [`CompletionReference`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceTemplateReference {
    /// The URI or template.
    pub uri: String,
}

/// The argument to complete.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CompletionArgument {
    /// Its name.
    pub name: String,
    /// What is typed so far.
    pub value: String,
}

/// What is known already.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CompletionContext {
    /// The values of other arguments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arguments: Option<BTreeMap<String, String>>,
}

/// The values found.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CompleteResult {
    /// How to read the result.
    #[serde(default)]
    pub result_type: ResultType,
    /// The values found.
    pub completion: Completion,
    /// What travels beside the result.
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    pub meta: Option<ResultMeta>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: JsonObject,
}

impl From<Completion> for CompleteResult {
    fn from(completion: Completion) -> Self {
        Self { completion, ..Self::default() }
    }
}

result_bodies!(CompleteResult);

/// Values, best first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Completion {
    /// At most [`Completion::MAX_VALUES`].
    pub values: Vec<String>,
    /// How many there are, sent or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// Whether there are more than those sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub has_more: Option<bool>,
}

impl Completion {
    /// How many values an answer can hold.
    pub const MAX_VALUES: usize = 100;

    /// The first [`Completion::MAX_VALUES`] of these, with a note if there are more.
    pub fn new<S: Into<String>>(values: impl IntoIterator<Item = S>) -> Self {
        let mut values = values.into_iter().map(Into::into);
        let sent = values.by_ref().take(Self::MAX_VALUES).collect();
        let has_more = values.next().is_some();
        Self { values: sent, total: None, has_more: has_more.then_some(true) }
    }
}

optional_setters! { Completion {
    /// Says how many there are, sent or not.
    with_total(total: u64);
} }
