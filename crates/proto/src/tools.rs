//! `tools/list`, `tools/call` and their change notification.
//!
//! Spec: server/tools.

mod call;

use serde::{Deserialize, Serialize};

pub use call::{CallTool, CallToolRequest, CallToolRequestParams, CallToolResult, CallToolResultResponse};

use crate::{
    caching::{self, CacheScope, cacheable},
    implementation::Icon,
    jsonrpc::{
        Cursor, JsonObject, JsonRpcResultResponse, NotificationKind, NotificationParams, PaginatedRequestParams,
        Request, RequestKind, ResultType, TypedNotification, optional_setters, result_bodies,
    },
    meta::{MetaObject, ResultMeta},
    method::{self, Method},
};

/// A tool that a client can call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tool {
    /// Its name, for programs.
    pub name: String,
    /// Its name, for people; [`ToolAnnotations::title`] and then [`Tool::name`] if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What it does, for a model to read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The JSON Schema of its arguments, in 2020-12 unless it names another dialect. Its `type` must
    /// be `object`.
    pub input_schema: JsonObject,
    /// The JSON Schema of [`CallToolResult::structured_content`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_schema: Option<JsonObject>,
    /// Hints on what it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<ToolAnnotations>,
    /// Pictures of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub icons: Option<Vec<Icon>>,
    /// What travels beside it.
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    pub meta: Option<MetaObject>,
}

impl Tool {
    /// A tool with arguments of this schema.
    pub fn new(name: impl Into<String>, input_schema: JsonObject) -> Self {
        Self {
            name: name.into(),
            title: None,
            description: None,
            input_schema,
            output_schema: None,
            annotations: None,
            icons: None,
            meta: None,
        }
    }
}

optional_setters! { Tool {
    /// Sets the name for people.
    with_title(title: impl Into<String>);
    /// Says what it does.
    with_description(description: impl Into<String>);
    /// Sets the schema of its structured content.
    with_output_schema(output_schema: JsonObject);
    /// Adds hints on what it does.
    with_annotations(annotations: ToolAnnotations);
    /// Sets the pictures.
    with_icons(icons: impl Into<Vec<Icon>>);
    /// Sets what travels beside it.
    with_meta(meta: MetaObject);
} }

/// Hints on what a tool does. A server that is not trusted may lie.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolAnnotations {
    /// The tool's name, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// It changes nothing. False if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_only_hint: Option<bool>,
    /// It may destroy, not only add. True if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destructive_hint: Option<bool>,
    /// The same call again changes nothing more. False if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idempotent_hint: Option<bool>,
    /// It reaches beyond a closed domain, as a web search does. True if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_world_hint: Option<bool>,
}

optional_setters! { ToolAnnotations {
    /// Sets the tool's name for people.
    with_title(title: impl Into<String>);
    /// Says whether it changes nothing.
    read_only(read_only_hint: bool);
    /// Says whether it may destroy.
    destructive(destructive_hint: bool);
    /// Says whether the same call again changes nothing more.
    idempotent(idempotent_hint: bool);
    /// Says whether it reaches beyond a closed domain.
    open_world(open_world_hint: bool);
} }

/// The kind of a [`ListToolsRequest`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListTools {}

impl RequestKind for ListTools {
    const METHOD: Method = Method::ToolsList;
    type Params = PaginatedRequestParams;
    type Result = ListToolsResult;
}

/// Asks for a page of the tools.
pub type ListToolsRequest = Request<ListTools>;
/// The answer with its envelope.
pub type ListToolsResultResponse = JsonRpcResultResponse<ListToolsResult>;

/// A page of the tools.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListToolsResult {
    /// How to read the result.
    #[serde(default)]
    pub result_type: ResultType,
    /// The tools.
    pub tools: Vec<Tool>,
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

impl ListToolsResult {
    /// The last page, or the only one.
    pub fn new(tools: Vec<Tool>) -> Self {
        Self { tools, ..Self::default() }
    }
}

optional_setters! { ListToolsResult {
    /// Says where the next page begins.
    with_next_cursor(next_cursor: Cursor);
} }

result_bodies!(ListToolsResult);
cacheable!(ListToolsResult);

/// The kind of a [`ToolListChangedNotification`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToolListChanged {}

impl NotificationKind for ToolListChanged {
    const METHOD: method::Notification = method::Notification::ToolsListChanged;
    type Params = NotificationParams;

    fn is_absent(params: &Self::Params) -> bool {
        params.meta.is_none()
    }
}

/// The list of tools has changed. Sent to listeners who asked.
pub type ToolListChangedNotification = TypedNotification<ToolListChanged>;
