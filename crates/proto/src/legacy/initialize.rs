//! The handshake.

use serde::{Deserialize, Serialize};

use crate::{
    capabilities::{
        self, ElicitationCapability, NamedSettings, PromptsCapability, ResourcesCapability, SamplingCapability,
        ToolsCapability,
    },
    implementation::Implementation,
    jsonrpc::JsonObject,
    meta,
    version::Version,
};

/// What `initialize` carries.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InitializeRequestParams {
    /// The latest revision that the client speaks.
    pub protocol_version: String,
    /// What it can do.
    pub capabilities: ClientCapabilities,
    /// Who it is.
    pub client_info: Implementation,
    /// What travels beside it.
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    pub meta: Option<JsonObject>,
}

/// The answer to `initialize`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InitializeResult {
    /// The revision that the session will speak.
    pub protocol_version: String,
    /// What the server offers.
    pub capabilities: ServerCapabilities,
    /// Who it is.
    pub server_info: Implementation,
    /// How to use it well, for a model to read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
    /// Everything else, `_meta` included.
    #[serde(flatten)]
    pub extra: JsonObject,
}

impl InitializeResult {
    /// A session of this revision.
    pub fn new(version: Version, capabilities: ServerCapabilities, server_info: Implementation) -> Self {
        Self {
            protocol_version: version.as_str().to_owned(),
            capabilities,
            server_info,
            instructions: None,
            extra: JsonObject::new(),
        }
    }
}

/// What a legacy client can do for the whole session.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientCapabilities {
    /// Capabilities outside of any standard.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub experimental: Option<NamedSettings>,
    /// It answers `roots/list`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roots: Option<RootsCapability>,
    /// It answers `sampling/createMessage`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sampling: Option<SamplingCapability>,
    /// It answers `elicitation/create`. Since 2025-06-18, with modes since 2025-11-25.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub elicitation: Option<ElicitationCapability>,
    /// Tasks as they were in 2025-11-25, left as they came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tasks: Option<JsonObject>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: JsonObject,
}

impl ClientCapabilities {
    /// What they mean in `version`: before 2025-11-25, a client that can sample could be asked for the
    /// context of servers, without declaring it.
    #[must_use]
    pub fn in_revision(mut self, version: Version) -> Self {
        if version < Version::V2025_11_25
            && let Some(sampling) = &mut self.sampling
        {
            sampling.context.get_or_insert_default();
        }
        self
    }
}

/// What a legacy client's roots include.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RootsCapability {
    /// It tells when they change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub list_changed: Option<bool>,
}

/// The same capabilities as a modern request would declare them. Tasks are left out: the modern
/// extension is another protocol.
impl From<ClientCapabilities> for capabilities::ClientCapabilities {
    fn from(legacy: ClientCapabilities) -> Self {
        Self {
            experimental: legacy.experimental,
            roots: legacy.roots.map(|_| JsonObject::new()),
            sampling: legacy.sampling,
            elicitation: legacy.elicitation,
            extensions: None,
            extra: legacy.extra,
        }
    }
}

/// What a server offers to a legacy client.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerCapabilities {
    /// Capabilities outside of any standard.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub experimental: Option<NamedSettings>,
    /// It sends log messages.
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
    /// Tasks as they were in 2025-11-25, left as they came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tasks: Option<JsonObject>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: JsonObject,
}

/// The same capabilities as `initialize` would offer them. Extensions are left out: legacy revisions
/// have no place for them.
impl From<capabilities::ServerCapabilities> for ServerCapabilities {
    fn from(modern: capabilities::ServerCapabilities) -> Self {
        Self {
            experimental: modern.experimental,
            logging: modern.logging,
            completions: modern.completions,
            prompts: modern.prompts,
            resources: modern.resources,
            tools: modern.tools,
            tasks: None,
            extra: modern.extra,
        }
    }
}

/// The same capabilities as `server/discover` would list them. Tasks are left out: the modern extension is another
/// protocol, which a legacy session cannot speak. Extensions that legacy servers name all the same are taken over.
impl From<ServerCapabilities> for capabilities::ServerCapabilities {
    fn from(legacy: ServerCapabilities) -> Self {
        let mut extra = legacy.extra;
        let extensions = extra.remove("extensions").and_then(|named| NamedSettings::deserialize(named).ok());
        Self {
            experimental: legacy.experimental,
            logging: legacy.logging,
            completions: legacy.completions,
            prompts: legacy.prompts,
            resources: legacy.resources,
            tools: legacy.tools,
            extensions: extensions.map(|mut named| {
                named.remove(meta::TASKS_EXTENSION);
                named
            }),
            extra,
        }
    }
}
