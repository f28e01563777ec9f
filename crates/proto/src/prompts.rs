//! `prompts/list`, `prompts/get` and their change notification.
//!
//! Spec: server/prompts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    caching::{self, CacheScope, cacheable},
    content::{ContentBlock, Role},
    implementation::Icon,
    jsonrpc::{
        Cursor, JsonObject, JsonRpcResultResponse, NotificationKind, NotificationParams, PaginatedRequestParams,
        Request, RequestKind, ResultType, TypedNotification, optional_setters, result_bodies,
    },
    meta::{MetaObject, RequestMeta, ResultMeta},
    method::{self, Method},
    rounds::{InputResponses, RoundResult},
};

/// A prompt that a client can render.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Prompt {
    /// Its name, for programs.
    pub name: String,
    /// Its name, for people; [`Prompt::name`] if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What it provides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What it can be given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arguments: Option<Vec<PromptArgument>>,
    /// Pictures of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub icons: Option<Vec<Icon>>,
    /// What travels beside it.
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    pub meta: Option<MetaObject>,
}

impl Prompt {
    /// A prompt of that name without arguments.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), title: None, description: None, arguments: None, icons: None, meta: None }
    }
}

optional_setters! { Prompt {
    /// Sets the name for people.
    with_title(title: impl Into<String>);
    /// Says what it provides.
    with_description(description: impl Into<String>);
    /// Says what it can be given.
    with_arguments(arguments: impl Into<Vec<PromptArgument>>);
    /// Sets the pictures.
    with_icons(icons: impl Into<Vec<Icon>>);
    /// Sets what travels beside it.
    with_meta(meta: MetaObject);
} }

/// Something that a prompt can be given. Its value is always a string.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PromptArgument {
    /// Its name, for programs.
    pub name: String,
    /// Its name, for people; [`PromptArgument::name`] if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What it means.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether it must be given. False if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub required: Option<bool>,
}

impl PromptArgument {
    /// An argument that must be given.
    pub fn required(name: impl Into<String>) -> Self {
        Self { required: Some(true), ..Self::optional(name) }
    }

    /// An argument that may be left out.
    pub fn optional(name: impl Into<String>) -> Self {
        Self { name: name.into(), title: None, description: None, required: None }
    }
}

optional_setters! { PromptArgument {
    /// Sets the name for people.
    with_title(title: impl Into<String>);
    /// Says what it means.
    with_description(description: impl Into<String>);
} }

/// One message of a rendered prompt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PromptMessage {
    /// Who says it.
    pub role: Role,
    /// What is said.
    pub content: ContentBlock,
}

impl PromptMessage {
    /// The person says it.
    pub fn user(content: impl Into<ContentBlock>) -> Self {
        Self { role: Role::User, content: content.into() }
    }

    /// The model says it.
    pub fn assistant(content: impl Into<ContentBlock>) -> Self {
        Self { role: Role::Assistant, content: content.into() }
    }
}

/// The kind of a [`ListPromptsRequest`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListPrompts {}

impl RequestKind for ListPrompts {
    const METHOD: Method = Method::PromptsList;
    type Params = PaginatedRequestParams;
    type Result = ListPromptsResult;
}

/// Asks for a page of the prompts.
pub type ListPromptsRequest = Request<ListPrompts>;
/// The answer with its envelope.
pub type ListPromptsResultResponse = JsonRpcResultResponse<ListPromptsResult>;

/// A page of the prompts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListPromptsResult {
    /// How to read the result.
    #[serde(default)]
    pub result_type: ResultType,
    /// The prompts.
    pub prompts: Vec<Prompt>,
    /// Where the next page begins; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<Cursor>,
    /// Milliseconds for which the result is fresh.
    #[serde(default, deserialize_with = "caching::ttl")]
    pub ttl_ms: u64,
    /// Who may be served from a kept copy.
    #[serde(default)]
    pub cache_scope: CacheScope,
    /// What travels beside the result.
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    pub meta: Option<ResultMeta>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: JsonObject,
}

impl ListPromptsResult {
    /// The last page, or the only one.
    pub fn new(prompts: Vec<Prompt>) -> Self {
        Self { prompts, ..Self::default() }
    }
}

optional_setters! { ListPromptsResult {
    /// Says where the next page begins.
    with_next_cursor(next_cursor: Cursor);
} }

/// The kind of a [`GetPromptRequest`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GetPrompt {}

impl RequestKind for GetPrompt {
    const METHOD: Method = Method::PromptsGet;
    type Params = GetPromptRequestParams;
    type Result = RoundResult<GetPromptResult>;
}

/// Renders a prompt.
pub type GetPromptRequest = Request<GetPrompt>;
/// The answer with its envelope.
pub type GetPromptResultResponse = JsonRpcResultResponse<RoundResult<GetPromptResult>>;

/// Which prompt to render, with what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GetPromptRequestParams {
    /// Version, capabilities and the rest that makes a request stand alone.
    #[serde(rename = "_meta")]
    pub meta: RequestMeta,
    /// The prompt's name.
    pub name: String,
    /// The arguments; absent means none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arguments: Option<BTreeMap<String, String>>,
    /// Answers to what the last round asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_responses: Option<InputResponses>,
    /// What the last round asked to be sent back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_state: Option<String>,
}

impl GetPromptRequestParams {
    /// Renders the prompt of that name without arguments.
    pub fn new(meta: RequestMeta, name: impl Into<String>) -> Self {
        Self { meta, name: name.into(), arguments: None, input_responses: None, request_state: None }
    }
}

optional_setters! { GetPromptRequestParams {
    /// Sets the arguments.
    with_arguments(arguments: impl Into<BTreeMap<String, String>>);
    /// Answers what the last round asked.
    with_input_responses(input_responses: InputResponses);
    /// Sends back what the last round asked for.
    with_request_state(request_state: impl Into<String>);
} }

/// A rendered prompt.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GetPromptResult {
    /// How to read the result.
    #[serde(default)]
    pub result_type: ResultType,
    /// What it provides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The conversation it makes.
    pub messages: Vec<PromptMessage>,
    /// What travels beside the result.
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    pub meta: Option<ResultMeta>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: JsonObject,
}

impl GetPromptResult {
    /// A prompt rendered to these messages.
    pub fn new(messages: Vec<PromptMessage>) -> Self {
        Self { messages, ..Self::default() }
    }
}

optional_setters! { GetPromptResult {
    /// Says what it provides.
    with_description(description: impl Into<String>);
} }

result_bodies!(ListPromptsResult, GetPromptResult);
cacheable!(ListPromptsResult);

/// The kind of a [`PromptListChangedNotification`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PromptListChanged {}

impl NotificationKind for PromptListChanged {
    const METHOD: method::Notification = method::Notification::PromptsListChanged;
    type Params = NotificationParams;

    fn is_absent(params: &Self::Params) -> bool {
        params.meta.is_none()
    }
}

/// The list of prompts has changed. Sent to listeners who asked.
pub type PromptListChangedNotification = TypedNotification<PromptListChanged>;
