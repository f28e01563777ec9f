//! `roots/list`: the directories that a client lets a server work on.
//!
//! Deprecated since 2026-07-28: take directories as tool arguments or configuration instead.
//! Spec: client/roots.

use serde::{Deserialize, Serialize};

use crate::{
    jsonrpc::{JsonObject, optional_setters},
    meta::MetaObject,
    method::ClientMethod,
    rounds::{InputCall, InputKind},
};

/// The kind of a [`ListRootsRequest`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListRoots {}

impl InputKind for ListRoots {
    const METHOD: ClientMethod = ClientMethod::ListRoots;
    type Params = ListRootsRequestParams;
    type Result = ListRootsResult;

    fn is_absent(params: &Self::Params) -> bool {
        params.meta.is_none()
    }
}

/// Asks the client for its roots.
///
/// Deprecated since 2026-07-28: take directories as tool arguments or configuration instead.
pub type ListRootsRequest = InputCall<ListRoots>;

/// What such a request may carry.
///
/// Deprecated since 2026-07-28: take directories as tool arguments or configuration instead.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListRootsRequestParams {
    /// What travels beside it.
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    pub meta: Option<MetaObject>,
}

/// The client's roots.
///
/// Deprecated since 2026-07-28: take directories as tool arguments or configuration instead.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListRootsResult {
    /// The roots.
    pub roots: Vec<Root>,
    /// Everything else, such as the `_meta` of legacy clients.
    #[serde(flatten)]
    pub extra: JsonObject,
}

impl ListRootsResult {
    /// These roots.
    pub fn new(roots: Vec<Root>) -> Self {
        Self { roots, extra: JsonObject::new() }
    }
}

/// A directory or file.
///
/// Deprecated since 2026-07-28: take directories as tool arguments or configuration instead.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Root {
    /// Where it is. For now always a `file:` URI.
    pub uri: String,
    /// Its name, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What travels beside it.
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    pub meta: Option<MetaObject>,
}

impl Root {
    /// The root at this URI.
    pub fn new(uri: impl Into<String>) -> Self {
        Self { uri: uri.into(), name: None, meta: None }
    }
}

optional_setters! { Root {
    /// Sets the name for people.
    with_name(name: impl Into<String>);
} }
