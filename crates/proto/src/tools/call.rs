//! `tools/call`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    content::ContentBlock,
    jsonrpc::{
        JsonObject, JsonRpcResultResponse, Request, RequestKind, ResultType, optional_setters, present, result_bodies,
    },
    meta::{RequestMeta, ResultMeta},
    method::Method,
    rounds::{InputResponses, RoundResult},
};

/// The kind of a [`CallToolRequest`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallTool {}

impl RequestKind for CallTool {
    const METHOD: Method = Method::ToolsCall;
    type Params = CallToolRequestParams;
    type Result = RoundResult<CallToolResult>;
}

/// Runs a tool.
pub type CallToolRequest = Request<CallTool>;
/// The answer with its envelope.
pub type CallToolResultResponse = JsonRpcResultResponse<RoundResult<CallToolResult>>;

/// Which tool to run, on what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallToolRequestParams {
    /// Version, capabilities and the rest that makes a request stand alone.
    #[serde(rename = "_meta")]
    pub meta: RequestMeta,
    /// The tool's name.
    pub name: String,
    /// The arguments; absent means none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arguments: Option<JsonObject>,
    /// Answers to what the last round asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_responses: Option<InputResponses>,
    /// What the last round asked to be sent back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_state: Option<String>,
}

impl CallToolRequestParams {
    /// Runs the tool of that name without arguments.
    pub fn new(meta: RequestMeta, name: impl Into<String>) -> Self {
        Self { meta, name: name.into(), arguments: None, input_responses: None, request_state: None }
    }
}

optional_setters! { CallToolRequestParams {
    /// Sets the arguments.
    with_arguments(arguments: JsonObject);
    /// Answers what the last round asked.
    with_input_responses(input_responses: InputResponses);
    /// Sends back what the last round asked for.
    with_request_state(request_state: impl Into<String>);
} }

/// What a tool answered. A failure of the tool is such a result too, so that the model can see it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallToolResult {
    /// How to read the result.
    #[serde(default)]
    pub result_type: ResultType,
    /// The answer as content. Legacy servers leave it out where they have structured content.
    #[serde(default)]
    pub content: Vec<ContentBlock>,
    /// The answer as a JSON value, which may be null.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub structured_content: Option<Value>,
    /// Whether the tool failed. False if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_error: Option<bool>,
    /// What travels beside the result.
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    pub meta: Option<ResultMeta>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: JsonObject,
}

impl CallToolResult {
    /// An answer of these blocks.
    pub fn new(content: Vec<ContentBlock>) -> Self {
        Self { content, ..Self::default() }
    }

    /// An answer in text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::new(vec![ContentBlock::text(text)])
    }

    /// A failure of the tool, in text.
    pub fn error(text: impl Into<String>) -> Self {
        Self { is_error: Some(true), ..Self::text(text) }
    }

    /// A JSON value, with its text beside it for clients that read only content.
    pub fn structured(value: Value) -> Self {
        Self::text(value.to_string()).with_structured_content(value)
    }

    /// Whether the tool failed.
    pub fn failed(&self) -> bool {
        self.is_error == Some(true)
    }
}

optional_setters! { CallToolResult {
    /// Sets the JSON value and leaves the content as it is.
    with_structured_content(structured_content: Value);
} }

result_bodies!(CallToolResult);
