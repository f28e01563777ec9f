//! `server/discover`: what a server speaks, offers and says about itself.
//!
//! Spec: server/discover.

use serde::{Deserialize, Serialize};

use crate::{
    caching::{self, CacheScope, cacheable},
    capabilities::ServerCapabilities,
    jsonrpc::{
        JsonObject, JsonRpcResultResponse, Request, RequestKind, RequestParams, ResultType, optional_setters,
        result_bodies,
    },
    meta::ResultMeta,
    method::Method,
    version::Version,
};

/// The kind of a [`DiscoverRequest`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Discover {}

impl RequestKind for Discover {
    const METHOD: Method = Method::Discover;
    type Params = RequestParams;
    type Result = DiscoverResult;
}

/// Asks a server about itself.
pub type DiscoverRequest = Request<Discover>;
/// The answer with its envelope.
pub type DiscoverResultResponse = JsonRpcResultResponse<DiscoverResult>;

/// What a server says about itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DiscoverResult {
    /// How to read the result.
    #[serde(default)]
    pub result_type: ResultType,
    /// The revisions that it speaks.
    pub supported_versions: Vec<String>,
    /// What it offers.
    pub capabilities: ServerCapabilities,
    /// How to use it well, for a model to read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
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

impl DiscoverResult {
    /// A server that speaks these revisions and offers these capabilities.
    pub fn new(versions: &[Version], capabilities: ServerCapabilities) -> Self {
        Self {
            result_type: ResultType::Complete,
            supported_versions: versions.iter().map(|version| version.as_str().to_owned()).collect(),
            capabilities,
            instructions: None,
            ttl_ms: 0,
            cache_scope: CacheScope::Private,
            meta: None,
            extra: JsonObject::new(),
        }
    }
}

optional_setters! { DiscoverResult {
    /// Says how to use the server well.
    with_instructions(instructions: impl Into<String>);
} }

result_bodies!(DiscoverResult);
cacheable!(DiscoverResult);
