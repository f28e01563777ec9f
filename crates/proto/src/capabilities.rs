//! What a client or a server can do beyond the minimum.
//!
//! Neither set is closed: what we do not know is preserved.
//! Spec: schema, `ClientCapabilities`, `ServerCapabilities`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::jsonrpc::JsonObject;

/// Settings by name: of extensions, or of experiments.
pub type NamedSettings = BTreeMap<String, JsonObject>;

/// What a client can do for one request.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientCapabilities {
    /// Capabilities outside of any standard.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub experimental: Option<NamedSettings>,
    /// The client answers [`crate::roots::ListRootsRequest`].
    ///
    /// Deprecated since 2026-07-28: take directories as tool arguments or configuration instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roots: Option<JsonObject>,
    /// The client answers [`crate::sampling::CreateMessageRequest`].
    ///
    /// Deprecated since 2026-07-28: call a model's API from the server instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sampling: Option<SamplingCapability>,
    /// The client answers [`crate::elicitation::ElicitRequest`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub elicitation: Option<ElicitationCapability>,
    /// Extensions by their identifier; an empty object means no settings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extensions: Option<NamedSettings>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: JsonObject,
}

/// What a client's sampling includes.
///
/// Deprecated since 2026-07-28: call a model's API from the server instead.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SamplingCapability {
    /// It understands `includeContext` other than `none`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<JsonObject>,
    /// It understands `tools` and `toolChoice`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools: Option<JsonObject>,
}

/// The modes of elicitation that a client offers. None named means form.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ElicitationCapability {
    /// It shows forms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub form: Option<JsonObject>,
    /// It opens URLs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<JsonObject>,
}

impl ElicitationCapability {
    /// Form mode.
    pub fn form() -> Self {
        Self { form: Some(JsonObject::new()), url: None }
    }

    /// URL mode.
    pub fn url() -> Self {
        Self { form: None, url: Some(JsonObject::new()) }
    }

    /// Whether form mode is among them, said or unsaid.
    pub fn offers_form(&self) -> bool {
        self.form.is_some() || self.url.is_none()
    }

    /// Whether URL mode is among them.
    pub fn offers_url(&self) -> bool {
        self.url.is_some()
    }
}

impl ClientCapabilities {
    /// What `required` names and `self` does not declare; `None` if nothing is missing.
    ///
    /// For the data of -32021. Settings are not compared: a capability is declared or it is not.
    pub fn missing(&self, required: &Self) -> Option<Self> {
        let missing = Self {
            experimental: missing_names(&self.experimental, &required.experimental),
            roots: required.roots.clone().filter(|_| self.roots.is_none()),
            sampling: missing_sampling(&self.sampling, &required.sampling),
            elicitation: missing_elicitation(&self.elicitation, &required.elicitation),
            extensions: missing_names(&self.extensions, &required.extensions),
            extra: missing_keys(&self.extra, &required.extra),
        };
        (missing != Self::default()).then_some(missing)
    }
}

fn missing_sampling(
    declared: &Option<SamplingCapability>,
    required: &Option<SamplingCapability>,
) -> Option<SamplingCapability> {
    let required = required.as_ref()?;
    let Some(declared) = declared else { return Some(required.clone()) };
    let missing = SamplingCapability {
        context: required.context.clone().filter(|_| declared.context.is_none()),
        tools: required.tools.clone().filter(|_| declared.tools.is_none()),
    };
    (missing != SamplingCapability::default()).then_some(missing)
}

fn missing_elicitation(
    declared: &Option<ElicitationCapability>,
    required: &Option<ElicitationCapability>,
) -> Option<ElicitationCapability> {
    let required = required.as_ref()?;
    let Some(declared) = declared else { return Some(required.clone()) };
    let missing = ElicitationCapability {
        form: (required.offers_form() && !declared.offers_form()).then(|| required.form.clone().unwrap_or_default()),
        url: required.url.clone().filter(|_| !declared.offers_url()),
    };
    (missing != ElicitationCapability::default()).then_some(missing)
}

fn missing_names(declared: &Option<NamedSettings>, required: &Option<NamedSettings>) -> Option<NamedSettings> {
    let has = |name: &String| declared.as_ref().is_some_and(|declared| declared.contains_key(name));
    let missing: NamedSettings = required
        .iter()
        .flatten()
        .filter(|(name, _)| !has(name))
        .map(|(name, settings)| (name.clone(), settings.clone()))
        .collect();
    (!missing.is_empty()).then_some(missing)
}

fn missing_keys(declared: &JsonObject, required: &JsonObject) -> JsonObject {
    required
        .iter()
        .filter(|(name, _)| !declared.contains_key(*name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// What a server offers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerCapabilities {
    /// Capabilities outside of any standard.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub experimental: Option<NamedSettings>,
    /// It sends log messages to those who ask.
    ///
    /// Deprecated since 2026-07-28: log to the standard error stream or OpenTelemetry instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logging: Option<JsonObject>,
    /// It suggests values for arguments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completions: Option<JsonObject>,
    /// It has prompts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompts: Option<PromptsCapability>,
    /// It has resources.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourcesCapability>,
    /// It has tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools: Option<ToolsCapability>,
    /// Extensions by their identifier; an empty object means no settings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extensions: Option<NamedSettings>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: JsonObject,
}

/// What a server offers around prompts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PromptsCapability {
    /// It tells listeners when the list changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub list_changed: Option<bool>,
}

/// What a server offers around resources.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourcesCapability {
    /// It tells listeners when a resource changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscribe: Option<bool>,
    /// It tells listeners when the list changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub list_changed: Option<bool>,
}

/// What a server offers around tools.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolsCapability {
    /// It tells listeners when the list changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub list_changed: Option<bool>,
}
