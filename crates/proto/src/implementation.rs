//! Who a client or server is, in its own words, and the icons that picture it or what it offers.
//!
//! Spec: schema, `Implementation`, `Icon`.

use serde::{Deserialize, Serialize};

use crate::jsonrpc::optional_setters;

/// A program that speaks the protocol. Self-reported: for display and logs, never for decisions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Implementation {
    /// Its name, for programs.
    pub name: String,
    /// Its name, for people; [`Implementation::name`] if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Its version.
    pub version: String,
    /// What it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Where to read about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub website_url: Option<String>,
    /// Pictures of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub icons: Option<Vec<Icon>>,
}

impl Implementation {
    /// A program of that name and version.
    pub fn new(name: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            title: None,
            version: version.into(),
            description: None,
            website_url: None,
            icons: None,
        }
    }
}

optional_setters! { Implementation {
    /// Sets the name for people.
    with_title(title: impl Into<String>);
    /// Says what it does.
    with_description(description: impl Into<String>);
    /// Says where to read about it.
    with_website_url(website_url: impl Into<String>);
    /// Sets the pictures.
    with_icons(icons: impl Into<Vec<Icon>>);
} }

/// A picture. Whoever shows it should beware of foreign hosts, and of scripts within SVG.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Icon {
    /// An `https:`, `http:` or `data:` URI.
    pub src: String,
    /// The type, where that of the source is missing or vague.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<String>,
    /// The sizes it suits, as `48x48` or `any`; all if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sizes: Option<Vec<String>>,
    /// The background it suits; all if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub theme: Option<IconTheme>,
}

impl Icon {
    /// The picture at this URI.
    pub fn new(src: impl Into<String>) -> Self {
        Self { src: src.into(), mime_type: None, sizes: None, theme: None }
    }

    /// Sets the sizes it suits.
    #[must_use]
    pub fn with_sizes<S: Into<String>>(mut self, sizes: impl IntoIterator<Item = S>) -> Self {
        self.sizes = Some(sizes.into_iter().map(Into::into).collect());
        self
    }
}

optional_setters! { Icon {
    /// Sets the type.
    with_mime_type(mime_type: impl Into<String>);
    /// Sets the background it suits.
    with_theme(theme: IconTheme);
} }

/// A background.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum IconTheme {
    /// A light one.
    Light,
    /// A dark one.
    Dark,
}
