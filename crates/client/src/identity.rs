//! Who calls: what every modern request says about the client, and a legacy session once.

use anypod_proto::capabilities::ClientCapabilities;
use anypod_proto::implementation::Implementation;
use anypod_proto::meta;
use anypod_proto::request::Request;
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
        let said = (text(serde_json::to_string(&info)), text(serde_json::to_string(&capabilities)));
        let meta = written(Some(&said.0), &said.1);
        Self { info, capabilities, meta }
    }

    /// The client that an admitted request of the modern era says: modern servers are told the same in the same words. A
    /// client without a name is called as this crate where a legacy server has to be told one. `None` if the request does
    /// not say what its client can do, as those of legacy clients, or says it in no way that the protocol knows.
    pub fn of_request(request: &Request) -> Option<Self> {
        let said = request.client_capabilities()?;
        let capabilities = serde_json::from_str(said).ok()?;
        let info = match request.client_info() {
            Some(info) => serde_json::from_str(info).ok()?,
            None => Implementation::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION")),
        };
        Some(Self { info, capabilities, meta: written(request.client_info(), said) })
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

/// The members of `_meta` that say who calls.
fn written(info: Option<&str>, capabilities: &str) -> String {
    let mut meta = format!(r#""{}":"{}""#, meta::PROTOCOL_VERSION, Version::LATEST);
    for (key, value) in
        info.map(|info| (meta::CLIENT_INFO, info)).into_iter().chain([(meta::CLIENT_CAPABILITIES, capabilities)])
    {
        meta.extend([",\"", key, "\":", value]);
    }
    meta
}
