//! What a page wants of its host: what it may load, which features it needs, how it is framed.

use std::collections::BTreeMap;

use anypod_proto::jsonrpc::JsonObject;
use serde::{Deserialize, Serialize};

/// What a page may reach: origins such as `https://api.shop.example`, or `https://*.shop.example`. What is not named here,
/// the host blocks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Csp {
    /// For requests and sockets (`connect-src`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub connect_domains: Vec<String>,
    /// For scripts, styles, pictures, fonts and media.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resource_domains: Vec<String>,
    /// For pages within the page (`frame-src`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub frame_domains: Vec<String>,
    /// For `<base>` (`base-uri`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub base_uri_domains: Vec<String>,
}

impl Csp {
    /// An entry that would be more than one source, or another directive, of the policy that hosts put it into.
    pub(super) fn malformed(&self) -> Option<&str> {
        let Self { connect_domains, resource_domains, frame_domains, base_uri_domains } = self;
        let mut all = [connect_domains, resource_domains, frame_domains, base_uri_domains].into_iter().flatten();
        let is_source = |text: &str| {
            let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b';' | b',' | b'\'' | b'"');
            text.contains("://") && text.bytes().all(plain)
        };
        all.find(|text| !is_source(text)).map(String::as_str)
    }
}

/// A feature of the browser that a page asks for. A host may deny it, so a page looks whether it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Permission {
    /// The camera.
    Camera,
    /// The microphone.
    Microphone,
    /// Where the person is.
    Geolocation,
    /// Writing to the clipboard.
    ClipboardWrite,
}

/// `_meta.ui` of a page.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Look {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) csp: Option<Csp>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) permissions: BTreeMap<Permission, JsonObject>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) domain: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) prefers_border: Option<bool>,
}

/// Whether two MIME types are the same: neither case nor spaces around parameters tell them apart.
pub(super) fn is_same_type(one: &str, other: &str) -> bool {
    let letters = |text: &str| -> String {
        let told_apart = |char: &char| !char.is_ascii_whitespace() && *char != '"';
        text.chars().filter(told_apart).map(|char| char.to_ascii_lowercase()).collect()
    };
    letters(one) == letters(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_one_origin() {
        let with = |source: &str| Csp { connect_domains: vec![source.to_owned()], ..Csp::default() };
        for sound in ["https://api.example", "wss://*.example.com:8443", "http://localhost:3000"] {
            assert_eq!(with(sound).malformed(), None, "{sound}");
        }
        for wrong in
            ["", "api.example", "https://a.example https://b.example", "https://a.example;script-src *", "'self'"]
        {
            assert_eq!(with(wrong).malformed(), Some(wrong));
        }
    }

    #[test]
    fn types_are_compared_as_types() {
        let html = super::super::MIME_TYPE;
        assert!(
            is_same_type("Text/HTML; profile=mcp-app", html) && is_same_type("text/html;profile=\"mcp-app\"", html)
        );
        assert!(!is_same_type("text/html", html) && !is_same_type("text/html;profile=mcp-apps", html));
    }
}
