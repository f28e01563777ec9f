//! The messages of a conversation with a model.

use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::Value;

use crate::{
    content::{AudioContent, ContentBlock, ImageContent, Role, TextContent},
    jsonrpc::{JsonObject, optional_setters, present},
    meta::MetaObject,
};

/// One message.
///
/// Deprecated since 2026-07-28: call a model's API from the server instead.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SamplingMessage {
    /// Who says it.
    pub role: Role,
    /// What is said.
    pub content: SamplingContent,
    /// What travels beside it.
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    pub meta: Option<MetaObject>,
}

impl SamplingMessage {
    /// The person says it.
    pub fn user(content: impl Into<SamplingContent>) -> Self {
        Self { role: Role::User, content: content.into(), meta: None }
    }

    /// The model says it.
    pub fn assistant(content: impl Into<SamplingContent>) -> Self {
        Self { role: Role::Assistant, content: content.into(), meta: None }
    }
}

/// What is said: one block as it stands, or a list. Which of the two is preserved.
///
/// Deprecated since 2026-07-28: call a model's API from the server instead.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum SamplingContent {
    /// One block.
    One(Box<SamplingMessageContentBlock>),
    /// A list of blocks. Since 2025-11-25.
    Many(Vec<SamplingMessageContentBlock>),
}

impl SamplingContent {
    /// The blocks, in order.
    pub fn blocks(&self) -> &[SamplingMessageContentBlock] {
        match self {
            Self::One(block) => std::slice::from_ref(block),
            Self::Many(blocks) => blocks,
        }
    }

    /// The blocks that are text, in order.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.blocks().iter().filter_map(SamplingMessageContentBlock::as_text)
    }
}

impl<'de> Deserialize<'de> for SamplingContent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        match value.is_array() {
            true => Vec::deserialize(value).map(Self::Many),
            false => Box::deserialize(value).map(Self::One),
        }
        .map_err(de::Error::custom)
    }
}

impl From<&str> for SamplingContent {
    fn from(text: &str) -> Self {
        SamplingMessageContentBlock::Text(TextContent::new(text)).into()
    }
}

impl From<String> for SamplingContent {
    fn from(text: String) -> Self {
        SamplingMessageContentBlock::Text(TextContent::new(text)).into()
    }
}

impl From<SamplingMessageContentBlock> for SamplingContent {
    fn from(block: SamplingMessageContentBlock) -> Self {
        Self::One(Box::new(block))
    }
}

impl From<Vec<SamplingMessageContentBlock>> for SamplingContent {
    fn from(blocks: Vec<SamplingMessageContentBlock>) -> Self {
        Self::Many(blocks)
    }
}

/// A piece of what is said.
///
/// Deprecated since 2026-07-28: call a model's API from the server instead.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum SamplingMessageContentBlock {
    /// Text.
    Text(TextContent),
    /// A picture.
    Image(ImageContent),
    /// A sound.
    Audio(AudioContent),
    /// The model calls a tool.
    ToolUse(ToolUseContent),
    /// The tool has answered.
    ToolResult(ToolResultContent),
}

impl SamplingMessageContentBlock {
    /// The text, if it is text.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(content) => Some(&content.text),
            Self::Image(_) | Self::Audio(_) | Self::ToolUse(_) | Self::ToolResult(_) => None,
        }
    }

    /// Whether it is a tool's call or answer. Both came with 2025-11-25.
    pub const fn is_of_tools(&self) -> bool {
        matches!(self, Self::ToolUse(_) | Self::ToolResult(_))
    }
}

/// The model calls a tool. Its `type` is written by [`SamplingMessageContentBlock`].
///
/// Deprecated since 2026-07-28: call a model's API from the server instead.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolUseContent {
    /// Told apart from other calls by this id.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// The arguments.
    pub input: JsonObject,
    /// What travels beside it. To be sent back unchanged in later requests.
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    pub meta: Option<MetaObject>,
}

impl ToolUseContent {
    /// Calls the tool of that name.
    pub fn new(id: impl Into<String>, name: impl Into<String>, input: JsonObject) -> Self {
        Self { id: id.into(), name: name.into(), input, meta: None }
    }
}

/// A tool has answered. Its `type` is written by [`SamplingMessageContentBlock`].
///
/// Deprecated since 2026-07-28: call a model's API from the server instead.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolResultContent {
    /// The id of the call.
    pub tool_use_id: String,
    /// The answer as content.
    pub content: Vec<ContentBlock>,
    /// The answer as a JSON value, which may be null.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub structured_content: Option<Value>,
    /// Whether the tool failed. False if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_error: Option<bool>,
    /// What travels beside it. To be sent back unchanged in later requests.
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    pub meta: Option<MetaObject>,
}

impl ToolResultContent {
    /// Answers the call of that id.
    pub fn new(tool_use_id: impl Into<String>, content: Vec<ContentBlock>) -> Self {
        Self { tool_use_id: tool_use_id.into(), content, structured_content: None, is_error: None, meta: None }
    }
}

optional_setters! { ToolResultContent {
    /// Sets the answer as a JSON value.
    with_structured_content(structured_content: Value);
    /// Says whether the tool failed.
    with_is_error(is_error: bool);
} }
