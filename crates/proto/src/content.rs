//! What tools, prompts and resources are made of: text, images, audio, links and embedded resources.
//!
//! Spec: schema, "Content"; server/tools, "Tool Result".

mod resource;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

pub use resource::{BlobResourceContents, ResourceContents, TextResourceContents};

use crate::{
    jsonrpc::{number, optional_setters},
    meta::MetaObject,
    resources::Resource,
};

/// Who speaks, or is spoken to, in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Role {
    /// The person.
    User,
    /// The model.
    Assistant,
}

/// Hints on how to use or show something.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Annotations {
    /// For whom it is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audience: Option<Vec<Role>>,
    /// From 0, entirely optional, to 1, effectively required.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "number::option")]
    pub priority: Option<f64>,
    /// When it last changed, in ISO 8601.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<String>,
}

optional_setters! { Annotations {
    /// Says for whom it is meant.
    with_audience(audience: impl Into<Vec<Role>>);
    /// Says how much it matters, from 0 to 1.
    with_priority(priority: f64);
    /// Says when it last changed, in ISO 8601.
    with_last_modified(last_modified: impl Into<String>);
} }

/// A piece of content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ContentBlock {
    /// Text.
    Text(TextContent),
    /// A picture.
    Image(ImageContent),
    /// A sound.
    Audio(AudioContent),
    /// A resource to be read.
    ResourceLink(Box<ResourceLink>),
    /// A resource itself.
    #[serde(rename = "resource")]
    Resource(EmbeddedResource),
}

impl ContentBlock {
    /// Text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(TextContent::new(text))
    }

    /// A picture of these bytes.
    pub fn image(bytes: &[u8], mime_type: impl Into<String>) -> Self {
        Self::Image(ImageContent::from_bytes(bytes, mime_type))
    }

    /// A sound of these bytes.
    pub fn audio(bytes: &[u8], mime_type: impl Into<String>) -> Self {
        Self::Audio(AudioContent::from_bytes(bytes, mime_type))
    }

    /// A resource to be read.
    pub fn resource_link(resource: Resource) -> Self {
        Self::ResourceLink(Box::new(resource))
    }

    /// A resource itself.
    pub fn embedded(resource: impl Into<ResourceContents>) -> Self {
        Self::Resource(EmbeddedResource::new(resource))
    }

    /// How many bytes of text or base64 it carries, to size a buffer by.
    pub fn payload_len(&self) -> usize {
        match self {
            Self::Text(text) => text.text.len(),
            Self::Image(image) => image.data.len(),
            Self::Audio(audio) => audio.data.len(),
            Self::ResourceLink(_) => 0,
            Self::Resource(embedded) => match &embedded.resource {
                ResourceContents::Text(text) => text.text.len(),
                ResourceContents::Blob(blob) => blob.blob.len(),
            },
        }
    }

    /// The text, if it is text.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(content) => Some(&content.text),
            Self::Image(_) | Self::Audio(_) | Self::ResourceLink(_) | Self::Resource(_) => None,
        }
    }
}

impl From<&str> for ContentBlock {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<String> for ContentBlock {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

/// Text. Its `type` is written by the enum that holds it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TextContent {
    /// The text.
    pub text: String,
    /// How to use it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<Annotations>,
    /// What travels beside it.
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    pub meta: Option<MetaObject>,
}

impl TextContent {
    /// Plain text.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), annotations: None, meta: None }
    }
}

/// A picture. Its `type` is written by the enum that holds it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageContent {
    /// The bytes in base64.
    pub data: String,
    /// Its type.
    pub mime_type: String,
    /// How to use it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<Annotations>,
    /// What travels beside it.
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    pub meta: Option<MetaObject>,
}

impl ImageContent {
    /// A picture of these bytes.
    pub fn from_bytes(bytes: &[u8], mime_type: impl Into<String>) -> Self {
        let data = STANDARD.encode(bytes);
        Self { data, mime_type: mime_type.into(), annotations: None, meta: None }
    }
}

/// A sound. Its `type` is written by the enum that holds it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AudioContent {
    /// The bytes in base64.
    pub data: String,
    /// Its type.
    pub mime_type: String,
    /// How to use it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<Annotations>,
    /// What travels beside it.
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    pub meta: Option<MetaObject>,
}

impl AudioContent {
    /// A sound of these bytes.
    pub fn from_bytes(bytes: &[u8], mime_type: impl Into<String>) -> Self {
        let data = STANDARD.encode(bytes);
        Self { data, mime_type: mime_type.into(), annotations: None, meta: None }
    }
}

/// A resource to be read, which need not be in any list. Its `type` is written by the enum that holds it.
pub type ResourceLink = Resource;

/// A resource itself. Its `type` is written by the enum that holds it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EmbeddedResource {
    /// The resource.
    pub resource: ResourceContents,
    /// How to use it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<Annotations>,
    /// What travels beside it.
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    pub meta: Option<MetaObject>,
}

impl EmbeddedResource {
    /// Embeds the contents of a resource.
    pub fn new(resource: impl Into<ResourceContents>) -> Self {
        Self { resource: resource.into(), annotations: None, meta: None }
    }
}

optional_setters! { TextContent {
    /// Says how to use it.
    with_annotations(annotations: Annotations);
} }
optional_setters! { ImageContent {
    /// Says how to use it.
    with_annotations(annotations: Annotations);
} }
optional_setters! { AudioContent {
    /// Says how to use it.
    with_annotations(annotations: Annotations);
} }
optional_setters! { EmbeddedResource {
    /// Says how to use it.
    with_annotations(annotations: Annotations);
} }

macro_rules! content_from {
    ($($content:ident => $variant:ident,)*) => {
        $(impl From<$content> for ContentBlock {
            fn from(content: $content) -> Self {
                Self::$variant(content)
            }
        })*
    };
}

content_from! {
    TextContent => Text,
    ImageContent => Image,
    AudioContent => Audio,
    EmbeddedResource => Resource,
}
