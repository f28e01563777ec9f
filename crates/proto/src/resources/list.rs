//! `resources/list` and `resources/templates/list`.

use serde::{Deserialize, Serialize};

use super::{Resource, ResourceTemplate};
use crate::{
    caching::{self, CacheScope, cacheable},
    jsonrpc::{
        Cursor, JsonObject, JsonRpcResultResponse, PaginatedRequestParams, Request, RequestKind, ResultType,
        optional_setters, result_bodies,
    },
    meta::ResultMeta,
    method::Method,
};

/// The kind of a [`ListResourcesRequest`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListResources {}

impl RequestKind for ListResources {
    const METHOD: Method = Method::ResourcesList;
    type Params = PaginatedRequestParams;
    type Result = ListResourcesResult;
}

/// Asks for a page of the resources.
pub type ListResourcesRequest = Request<ListResources>;
/// The answer with its envelope.
pub type ListResourcesResultResponse = JsonRpcResultResponse<ListResourcesResult>;

/// A page of the resources.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListResourcesResult {
    /// How to read the result.
    #[serde(default)]
    pub result_type: ResultType,
    /// The resources.
    pub resources: Vec<Resource>,
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

impl ListResourcesResult {
    /// The last page, or the only one.
    pub fn new(resources: Vec<Resource>) -> Self {
        Self { resources, ..Self::default() }
    }
}

optional_setters! { ListResourcesResult {
    /// Says where the next page begins.
    with_next_cursor(next_cursor: Cursor);
} }

/// The kind of a [`ListResourceTemplatesRequest`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListResourceTemplates {}

impl RequestKind for ListResourceTemplates {
    const METHOD: Method = Method::ResourceTemplatesList;
    type Params = PaginatedRequestParams;
    type Result = ListResourceTemplatesResult;
}

/// Asks for a page of the resource templates.
pub type ListResourceTemplatesRequest = Request<ListResourceTemplates>;
/// The answer with its envelope.
pub type ListResourceTemplatesResultResponse = JsonRpcResultResponse<ListResourceTemplatesResult>;

/// A page of the resource templates.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListResourceTemplatesResult {
    /// How to read the result.
    #[serde(default)]
    pub result_type: ResultType,
    /// The templates.
    pub resource_templates: Vec<ResourceTemplate>,
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

impl ListResourceTemplatesResult {
    /// The last page, or the only one.
    pub fn new(resource_templates: Vec<ResourceTemplate>) -> Self {
        Self { resource_templates, ..Self::default() }
    }
}

optional_setters! { ListResourceTemplatesResult {
    /// Says where the next page begins.
    with_next_cursor(next_cursor: Cursor);
} }

result_bodies!(ListResourcesResult, ListResourceTemplatesResult);
cacheable!(ListResourcesResult, ListResourceTemplatesResult);
