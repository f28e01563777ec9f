//! The contents of a resource: text or bytes.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::{jsonrpc::optional_setters, meta::MetaObject};

/// The contents of a resource, or of a part of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum ResourceContents {
    /// Text.
    Text(TextResourceContents),
    /// Bytes.
    Blob(BlobResourceContents),
}

impl ResourceContents {
    /// What the contents are of.
    pub fn uri(&self) -> &str {
        match self {
            Self::Text(contents) => &contents.uri,
            Self::Blob(contents) => &contents.uri,
        }
    }
}

/// The fields of both kinds: which it is follows from the one present of `text` and `blob`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fields {
    uri: String,
    mime_type: Option<String>,
    text: Option<String>,
    blob: Option<String>,
    #[serde(rename = "_meta")]
    meta: Option<MetaObject>,
}

impl<'de> Deserialize<'de> for ResourceContents {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Fields { uri, mime_type, text, blob, meta } = Fields::deserialize(deserializer)?;
        match (text, blob) {
            (Some(text), None) => Ok(Self::Text(TextResourceContents { uri, mime_type, text, meta })),
            (None, Some(blob)) => Ok(Self::Blob(BlobResourceContents { uri, mime_type, blob, meta })),
            (None, None) => Err(de::Error::custom("resource contents need text or blob, found neither")),
            (Some(_), Some(_)) => Err(de::Error::custom("resource contents have text or blob, found both")),
        }
    }
}

impl From<TextResourceContents> for ResourceContents {
    fn from(contents: TextResourceContents) -> Self {
        Self::Text(contents)
    }
}

impl From<BlobResourceContents> for ResourceContents {
    fn from(contents: BlobResourceContents) -> Self {
        Self::Blob(contents)
    }
}

/// Contents that are text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TextResourceContents {
    /// What they are of.
    pub uri: String,
    /// Their type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<String>,
    /// The text.
    pub text: String,
    /// What travels beside them.
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    pub meta: Option<MetaObject>,
}

impl TextResourceContents {
    /// Text, of this resource.
    pub fn new(uri: impl Into<String>, text: impl Into<String>) -> Self {
        Self { uri: uri.into(), mime_type: None, text: text.into(), meta: None }
    }
}

optional_setters! { TextResourceContents {
    /// Sets the type.
    with_mime_type(mime_type: impl Into<String>);
    /// Sets what travels beside them.
    with_meta(meta: MetaObject);
} }

/// Contents that are bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlobResourceContents {
    /// What they are of.
    pub uri: String,
    /// Their type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<String>,
    /// The bytes in base64.
    pub blob: String,
    /// What travels beside them.
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    pub meta: Option<MetaObject>,
}

impl BlobResourceContents {
    /// Bytes, of this resource.
    pub fn from_bytes(uri: impl Into<String>, mime_type: impl Into<String>, bytes: &[u8]) -> Self {
        Self { uri: uri.into(), mime_type: Some(mime_type.into()), blob: STANDARD.encode(bytes), meta: None }
    }

    /// The bytes.
    ///
    /// # Errors
    /// If `blob` is not base64 with padding.
    pub fn bytes(&self) -> Result<Vec<u8>, base64::DecodeError> {
        STANDARD.decode(&self.blob)
    }
}

optional_setters! { BlobResourceContents {
    /// Sets what travels beside them.
    with_meta(meta: MetaObject);
} }
