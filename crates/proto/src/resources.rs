//! `resources/list`, `resources/templates/list`, `resources/read` and the notifications about them.
//!
//! Spec: server/resources.

mod list;
mod notify;
mod read;

use serde::{Deserialize, Serialize};

pub use list::{
    ListResourceTemplates, ListResourceTemplatesRequest, ListResourceTemplatesResult,
    ListResourceTemplatesResultResponse, ListResources, ListResourcesRequest, ListResourcesResult,
    ListResourcesResultResponse,
};
pub use notify::{
    ResourceListChanged, ResourceListChangedNotification, ResourceUpdated, ResourceUpdatedNotification,
    ResourceUpdatedNotificationParams,
};
pub use read::{
    ReadResource, ReadResourceRequest, ReadResourceRequestParams, ReadResourceResult, ReadResourceResultResponse,
};

use crate::{content::Annotations, implementation::Icon, jsonrpc::optional_setters, meta::MetaObject};

/// A resource that a client can read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resource {
    /// Where it is.
    pub uri: String,
    /// Its name, for programs.
    pub name: String,
    /// Its name, for people; [`Resource::name`] if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What it is, for a model to read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Its type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<String>,
    /// How to use it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<Annotations>,
    /// Its size in bytes, before any encoding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Pictures of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub icons: Option<Vec<Icon>>,
    /// What travels beside it.
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    pub meta: Option<MetaObject>,
}

impl Resource {
    /// The resource at this URI.
    pub fn new(uri: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            uri: uri.into(),
            name: name.into(),
            title: None,
            description: None,
            mime_type: None,
            annotations: None,
            size: None,
            icons: None,
            meta: None,
        }
    }
}

optional_setters! { Resource {
    /// Sets the name for people.
    with_title(title: impl Into<String>);
    /// Says what it is.
    with_description(description: impl Into<String>);
    /// Sets the type.
    with_mime_type(mime_type: impl Into<String>);
    /// Says how to use it.
    with_annotations(annotations: Annotations);
    /// Sets the size in bytes, before any encoding.
    with_size(size: u64);
    /// Sets the pictures.
    with_icons(icons: impl Into<Vec<Icon>>);
    /// Sets what travels beside it.
    with_meta(meta: MetaObject);
} }

/// A family of resources, whose URIs follow a template.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceTemplate {
    /// The template, as RFC 6570 has it.
    pub uri_template: String,
    /// Its name, for programs.
    pub name: String,
    /// Its name, for people; [`ResourceTemplate::name`] if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What it is for, for a model to read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The type of all its resources, if they have one in common.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<String>,
    /// How to use them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<Annotations>,
    /// Pictures of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub icons: Option<Vec<Icon>>,
    /// What travels beside it.
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    pub meta: Option<MetaObject>,
}

impl ResourceTemplate {
    /// The resources whose URIs follow this template.
    pub fn new(uri_template: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            uri_template: uri_template.into(),
            name: name.into(),
            title: None,
            description: None,
            mime_type: None,
            annotations: None,
            icons: None,
            meta: None,
        }
    }
}

optional_setters! { ResourceTemplate {
    /// Sets the name for people.
    with_title(title: impl Into<String>);
    /// Says what it is for.
    with_description(description: impl Into<String>);
    /// Sets the type that all its resources have.
    with_mime_type(mime_type: impl Into<String>);
    /// Says how to use them.
    with_annotations(annotations: Annotations);
    /// Sets the pictures.
    with_icons(icons: impl Into<Vec<Icon>>);
    /// Sets what travels beside it.
    with_meta(meta: MetaObject);
} }
