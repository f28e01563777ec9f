//! The handshake of legacy clients.
//!
//! Spec: 2025-11-25, basic/lifecycle.

use std::sync::Arc;

use anypod_proto::capabilities::ServerCapabilities;
use anypod_proto::legacy::{self, InitializeRequestParams, InitializeResult};
use anypod_proto::reject::Rejection;
use anypod_proto::request::Request;
use anypod_proto::version::Version;
use http::Extensions;

use super::session::Session;
use crate::backend::{self, Caller};
use crate::completed::Failure;
use crate::principal::Principal;
use crate::server::Server;

/// A session that is about to begin.
pub(crate) struct Opened {
    /// What it is from now on.
    pub(crate) session: Session,
    /// What the server, or its backend, can do.
    pub(crate) capabilities: ServerCapabilities,
    /// What tells the client so.
    pub(crate) result: String,
}

/// Opens a session.
///
/// # Errors
/// If the parameters are none of `initialize`, or the backend does not say what it is.
pub(crate) async fn open(
    server: &Server,
    request: &Request,
    principal: Option<Principal>,
    extensions: Arc<Extensions>,
) -> Result<Opened, Failure> {
    let params: InitializeRequestParams =
        serde_json::from_str(request.params()).map_err(|error| Rejection::ParamMalformed {
            field: "params",
            expected: "`protocolVersion`, `capabilities` and `clientInfo`",
            found: error.to_string(),
        })?;
    let session = Session::new(server, negotiate(&params.protocol_version), &params);
    let of_sessions = server.inner.registry.extensions.sessions.capabilities(session.version, principal.as_ref());
    let (info, capabilities, instructions) = match &server.inner.backend {
        None => {
            let inner = &server.inner;
            ((*inner.info).clone(), inner.capabilities.clone(), inner.instructions.clone())
        }
        Some(backend) => {
            let client = session.clone().known().client(None);
            let caller = Caller::in_session(&client, principal, extensions);
            let found = backend::discover(backend, caller, server.inner.limits().backend_deadline).await?;
            let info = found.meta.and_then(|meta| meta.server_info);
            (
                info.map_or_else(|| (*server.inner.info).clone(), Arc::unwrap_or_clone),
                found.capabilities,
                found.instructions,
            )
        }
    };
    let mut result =
        InitializeResult::new(session.version, legacy::ServerCapabilities::from(capabilities.clone()), info);
    result.instructions = instructions;
    result.capabilities.extra.extend(of_sessions);
    let extensions = &server.inner.registry.extensions.legacy;
    if !extensions.is_empty() {
        // Spec: SEP-2133, "Server Capabilities", which adds the member to revisions that do not have it.
        result.capabilities.extra.insert("extensions".to_owned(), serde_json::json!(extensions));
    }
    match serde_json::to_string(&result) {
        Ok(result) => Ok(Opened { session, capabilities, result }),
        Err(_) => Err(Rejection::Internal.into()),
    }
}

/// The revision that is asked for, if it has a handshake and we speak it; otherwise the latest that has.
fn negotiate(requested: &str) -> Version {
    let spoken = Version::LEGACY.into_iter().find(|version| version.as_str() == requested);
    spoken.unwrap_or(Version::LATEST_LEGACY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speaks_what_is_asked_for_or_offers_the_latest() {
        for version in Version::LEGACY {
            assert_eq!(negotiate(version.as_str()), version);
        }
        for other in ["2024-11-05", "2026-07-28", "2099-01-01", ""] {
            assert_eq!(negotiate(other), Version::V2025_11_25, "{other}");
        }
    }
}
