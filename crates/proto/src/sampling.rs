//! `sampling/createMessage`: a question to the client's model.
//!
//! Deprecated since 2026-07-28: call a model's API from the server instead.
//! Spec: client/sampling.

mod message;
mod turns;

use serde::{Deserialize, Serialize};

pub use message::{SamplingContent, SamplingMessage, SamplingMessageContentBlock, ToolResultContent, ToolUseContent};
pub use turns::TurnError;

use crate::{
    content::Role,
    jsonrpc::{JsonObject, number, optional_setters},
    meta::MetaObject,
    method::ClientMethod,
    rounds::{InputCall, InputKind},
    tools::Tool,
};

/// The kind of a [`CreateMessageRequest`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CreateMessage {}

impl InputKind for CreateMessage {
    const METHOD: ClientMethod = ClientMethod::CreateMessage;
    type Params = CreateMessageRequestParams;
    type Result = CreateMessageResult;
}

/// Asks the model.
///
/// Deprecated since 2026-07-28: call a model's API from the server instead.
pub type CreateMessageRequest = InputCall<CreateMessage>;

/// What to ask the model. The client may change or refuse all of it.
///
/// Deprecated since 2026-07-28: call a model's API from the server instead.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateMessageRequestParams {
    /// The conversation so far.
    pub messages: Vec<SamplingMessage>,
    /// Which model to prefer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_preferences: Option<ModelPreferences>,
    /// The system prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_prompt: Option<String>,
    /// Whose context to add; none if absent. Needs the client's `sampling.context`, unless it is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub include_context: Option<IncludeContext>,
    /// How freely to sample.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "number::option")]
    pub temperature: Option<f64>,
    /// How many tokens to sample at most.
    pub max_tokens: u64,
    /// Texts at which to stop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_sequences: Option<Vec<String>>,
    /// What to pass to the model's provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<JsonObject>,
    /// The tools that the model may use. Needs the client's `sampling.tools`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools: Option<Vec<Tool>>,
    /// How it may use them. Needs the client's `sampling.tools`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<ToolChoice>,
}

impl CreateMessageRequestParams {
    /// Goes on with this conversation.
    pub fn new(messages: Vec<SamplingMessage>, max_tokens: u64) -> Self {
        Self {
            messages,
            model_preferences: None,
            system_prompt: None,
            include_context: None,
            temperature: None,
            max_tokens,
            stop_sequences: None,
            metadata: None,
            tools: None,
            tool_choice: None,
        }
    }

    /// Whether the client must have declared `sampling.tools`: tools may be used, or were used before.
    pub fn needs_tools(&self) -> bool {
        let mut said = self.messages.iter().flat_map(|message| message.content.blocks());
        self.tools.is_some() || self.tool_choice.is_some() || said.any(SamplingMessageContentBlock::is_of_tools)
    }

    /// Whether the client must have declared `sampling.context`.
    pub fn needs_context(&self) -> bool {
        match self.include_context {
            Some(IncludeContext::ThisServer | IncludeContext::AllServers) => true,
            Some(IncludeContext::None) | None => false,
        }
    }

    /// Checks what no schema says about messages with tool calls and tool results.
    ///
    /// # Errors
    /// If tool results are mixed with other content, or if a tool call has no result in the next message.
    pub fn check_turns(&self) -> Result<(), TurnError> {
        turns::check(&self.messages)
    }
}

optional_setters! { CreateMessageRequestParams {
    /// Says which model to prefer.
    with_model_preferences(model_preferences: ModelPreferences);
    /// Sets the system prompt.
    with_system_prompt(system_prompt: impl Into<String>);
    /// Says whose context to add.
    with_include_context(include_context: IncludeContext);
    /// Says how freely to sample.
    with_temperature(temperature: f64);
    /// Sets the texts at which to stop.
    with_stop_sequences(stop_sequences: impl Into<Vec<String>>);
    /// Sets what to pass to the model's provider.
    with_metadata(metadata: JsonObject);
    /// Lets the model use these tools.
    with_tools(tools: impl Into<Vec<Tool>>);
    /// Says how it may use them.
    with_tool_choice(tool_choice: ToolChoice);
} }

/// Whose context a client adds to the conversation.
///
/// Deprecated since 2026-07-28: call a model's API from the server instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum IncludeContext {
    /// Nobody's.
    None,
    /// The asking server's.
    ///
    /// Deprecated since 2025-11-25: say [`IncludeContext::None`] or nothing instead.
    ThisServer,
    /// Every server's.
    ///
    /// Deprecated since 2025-11-25: say [`IncludeContext::None`] or nothing instead.
    AllServers,
}

/// How a model may use tools.
///
/// Deprecated since 2026-07-28: call a model's API from the server instead.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolChoice {
    /// Auto if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<ToolChoiceMode>,
}

impl From<ToolChoiceMode> for ToolChoice {
    fn from(mode: ToolChoiceMode) -> Self {
        Self { mode: Some(mode) }
    }
}

/// How a model may use tools.
///
/// Deprecated since 2026-07-28: call a model's API from the server instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ToolChoiceMode {
    /// As it likes.
    Auto,
    /// At least one.
    Required,
    /// None.
    None,
}

/// What the model said.
///
/// Deprecated since 2026-07-28: call a model's API from the server instead.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateMessageResult {
    /// Who says it.
    pub role: Role,
    /// What is said.
    pub content: SamplingContent,
    /// The model.
    pub model: String,
    /// Why it stopped: `endTurn`, `stopSequence`, `maxTokens`, `toolUse`, or what the provider says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_reason: Option<String>,
    /// What travels beside it.
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    pub meta: Option<MetaObject>,
}

impl CreateMessageResult {
    /// This model said so.
    pub fn new(model: impl Into<String>, content: impl Into<SamplingContent>) -> Self {
        Self { role: Role::Assistant, content: content.into(), model: model.into(), stop_reason: None, meta: None }
    }
}

optional_setters! { CreateMessageResult {
    /// Says why it stopped.
    with_stop_reason(stop_reason: impl Into<String>);
} }

/// Which model a server prefers. The priorities go from 0, not important, to 1, most important.
///
/// Deprecated since 2026-07-28: call a model's API from the server instead.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelPreferences {
    /// Names to look for, first match first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hints: Option<Vec<ModelHint>>,
    /// How much cost matters.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "number::option")]
    pub cost_priority: Option<f64>,
    /// How much speed matters.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "number::option")]
    pub speed_priority: Option<f64>,
    /// How much ability matters.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "number::option")]
    pub intelligence_priority: Option<f64>,
}

optional_setters! { ModelPreferences {
    /// Sets the names to look for.
    with_hints(hints: impl Into<Vec<ModelHint>>);
    /// Says how much cost matters.
    with_cost_priority(cost_priority: f64);
    /// Says how much speed matters.
    with_speed_priority(speed_priority: f64);
    /// Says how much ability matters.
    with_intelligence_priority(intelligence_priority: f64);
} }

/// A model to look for. The spec leaves keys that it does not name to the client, so they are preserved.
///
/// Deprecated since 2026-07-28: call a model's API from the server instead.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelHint {
    /// A part of the model's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: JsonObject,
}

impl From<&str> for ModelHint {
    fn from(name: &str) -> Self {
        Self { name: Some(name.to_owned()), extra: JsonObject::new() }
    }
}
