//! Who calls: what every modern request says about the client, and a legacy session once.

use anypod_proto::capabilities::ClientCapabilities;
use anypod_proto::implementation::Implementation;
use anypod_proto::meta;
use anypod_proto::version::Version;

/// A client's name and what it can do, with the part of `_meta` that says so ready to be written.
#[derive(Debug, Clone)]
pub struct Identity {
    info: Implementation,
    capabilities: ClientCapabilities,
    meta: String,
}

impl Identity {
    /// A client of this name with these capabilities.
    pub fn new(info: Implementation, capabilities: ClientCapabilities) -> Self {
        let text = |value: serde_json::Result<String>| value.expect("the protocol's own types are JSON");
        let meta = format!(
            r#""{}":"{}","{}":{},"{}":{}"#,
            meta::PROTOCOL_VERSION,
            Version::LATEST,
            meta::CLIENT_INFO,
            text(serde_json::to_string(&info)),
            meta::CLIENT_CAPABILITIES,
            text(serde_json::to_string(&capabilities)),
        );
        Self { info, capabilities, meta }
    }

    /// Its name and version.
    pub const fn info(&self) -> &Implementation {
        &self.info
    }

    /// What it can do.
    pub const fn capabilities(&self) -> &ClientCapabilities {
        &self.capabilities
    }

    /// The members of `_meta` that every modern request has, without braces.
    pub(crate) fn meta(&self) -> &str {
        &self.meta
    }
}
