//! The requests that only legacy clients send once their session is open: `ping`, and what changes a session.
//!
//! Spec: 2025-11-25, basic/utilities/ping; server/utilities/logging; server/resources, "Subscriptions".

use anypod_proto::capabilities::ServerCapabilities;
use anypod_proto::legacy::{SetLevelRequestParams, SubscribeRequestParams, UnsubscribeRequestParams};
use anypod_proto::method::LegacyMethod;
use anypod_proto::reject::Rejection;
use anypod_proto::request::Request;
use serde::de::DeserializeOwned;

use super::memory::MAX_URI_LEN;
use crate::bus::SessionChange;
use crate::completed::Failure;
use crate::dispatch::unknown_method;

/// Reads what a request changes from its parameters.
type Change = fn(&Request) -> Result<SessionChange, Rejection>;

/// What a request of this method changes; nothing if it is a ping. The answer is an empty result.
///
/// # Errors
/// If the server does not offer what the request is about, or the parameters are wrong.
pub(crate) fn read(
    method: LegacyMethod,
    capabilities: &ServerCapabilities,
    request: &Request,
) -> Result<Option<SessionChange>, Failure> {
    let subscribe_offered = capabilities.resources.as_ref().is_some_and(|resources| resources.subscribe == Some(true));
    let (offered, change): (bool, Change) = match method {
        LegacyMethod::Initialize => (false, level),
        LegacyMethod::Ping => return Ok(None),
        LegacyMethod::SetLevel => (capabilities.logging.is_some(), level),
        LegacyMethod::Subscribe => (subscribe_offered, subscribe),
        LegacyMethod::Unsubscribe => (subscribe_offered, unsubscribe),
    };
    match offered {
        true => Ok(Some(change(request)?)),
        false => Err(unknown_method(request)),
    }
}

fn level(request: &Request) -> Result<SessionChange, Rejection> {
    let params: SetLevelRequestParams = params(request, "`level`, one of the levels of RFC 5424")?;
    Ok(SessionChange::Level { level: params.level.as_str().to_owned() })
}

fn subscribe(request: &Request) -> Result<SessionChange, Rejection> {
    let params: SubscribeRequestParams = params(request, "`uri`")?;
    Ok(SessionChange::Subscribe { uri: bounded(params.uri)? })
}

fn unsubscribe(request: &Request) -> Result<SessionChange, Rejection> {
    let params: UnsubscribeRequestParams = params(request, "`uri`")?;
    Ok(SessionChange::Unsubscribe { uri: bounded(params.uri)? })
}

fn params<T: DeserializeOwned>(request: &Request, expected: &'static str) -> Result<T, Rejection> {
    serde_json::from_str(request.params()).map_err(|error| Rejection::ParamMalformed {
        field: "params",
        expected,
        found: error.to_string(),
    })
}

fn bounded(uri: String) -> Result<String, Rejection> {
    if uri.len() <= MAX_URI_LEN {
        return Ok(uri);
    }
    let found = format!("{} bytes", uri.len());
    Err(Rejection::ParamMalformed { field: "params.uri", expected: "a URI of at most 2,048 bytes", found })
}
