//! `resources/read`.

use serde::{Deserialize, Serialize};

use crate::{
    caching::{self, CacheScope, cacheable},
    content::ResourceContents,
    jsonrpc::{JsonObject, JsonRpcResultResponse, Request, RequestKind, ResultType, optional_setters, result_bodies},
    meta::{RequestMeta, ResultMeta},
    method::Method,
    rounds::{InputResponses, RoundResult},
};

/// The kind of a [`ReadResourceRequest`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadResource {}

impl RequestKind for ReadResource {
    const METHOD: Method = Method::ResourcesRead;
    type Params = ReadResourceRequestParams;
    type Result = RoundResult<ReadResourceResult>;
}

/// Reads a resource.
pub type ReadResourceRequest = Request<ReadResource>;
/// The answer with its envelope.
pub type ReadResourceResultResponse = JsonRpcResultResponse<RoundResult<ReadResourceResult>>;

/// Which resource to read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReadResourceRequestParams {
    /// Version, capabilities and the rest that makes a request stand alone.
    #[serde(rename = "_meta")]
    pub meta: RequestMeta,
    /// The resource.
    pub uri: String,
    /// Answers to what the last round asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_responses: Option<InputResponses>,
    /// What the last round asked to be sent back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_state: Option<String>,
}

impl ReadResourceRequestParams {
    /// Reads the resource at this URI.
    pub fn new(meta: RequestMeta, uri: impl Into<String>) -> Self {
        Self { meta, uri: uri.into(), input_responses: None, request_state: None }
    }
}

optional_setters! { ReadResourceRequestParams {
    /// Answers what the last round asked.
    with_input_responses(input_responses: InputResponses);
    /// Sends back what the last round asked for.
    with_request_state(request_state: impl Into<String>);
} }

/// What a resource contains: itself, or its parts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReadResourceResult {
    /// How to read the result.
    #[serde(default)]
    pub result_type: ResultType,
    /// The contents.
    pub contents: Vec<ResourceContents>,
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

impl ReadResourceResult {
    /// These contents.
    pub fn new(contents: Vec<ResourceContents>) -> Self {
        Self { contents, ..Self::default() }
    }
}

impl From<ResourceContents> for ReadResourceResult {
    fn from(contents: ResourceContents) -> Self {
        Self::new(vec![contents])
    }
}

result_bodies!(ReadResourceResult);
cacheable!(ReadResourceResult);
