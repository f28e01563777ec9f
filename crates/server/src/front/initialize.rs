//! The handshake of legacy clients.
//!
//! Spec: 2025-11-25, basic/lifecycle.

use anypod_proto::legacy::{InitializeRequestParams, InitializeResult, ServerCapabilities};
use anypod_proto::reject::Rejection;
use anypod_proto::request::Request;
use anypod_proto::version::Version;
use serde_json::{Map, Value};

use super::session::Session;
use crate::server::Server;

/// Opens a session: what it is from now on, and the result that tells the client so.
///
/// # Errors
/// If the parameters are none of `initialize`.
pub(crate) fn open(server: &Server, request: &Request) -> Result<(Session, Map<String, Value>), Rejection> {
    let params: InitializeRequestParams =
        serde_json::from_str(request.params()).map_err(|error| Rejection::ParamMalformed {
            field: "params",
            expected: "`protocolVersion`, `capabilities` and `clientInfo`",
            found: error.to_string(),
        })?;
    let session = Session::new(server, negotiate(&params.protocol_version), &params);
    let capabilities = ServerCapabilities::from(server.inner.capabilities.clone());
    let mut result = InitializeResult::new(session.version, capabilities, (*server.inner.info).clone());
    result.instructions.clone_from(&server.inner.instructions);
    match serde_json::to_value(result) {
        Ok(Value::Object(result)) => Ok((session, result)),
        Ok(_) | Err(_) => Err(Rejection::Internal),
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
