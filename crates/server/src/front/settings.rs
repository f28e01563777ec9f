//! The requests that only legacy clients send once their session is open: `ping`, and what changes a session.
//!
//! Spec: 2025-11-25, basic/utilities/ping; server/utilities/logging; server/resources, "Subscriptions".

use anypod_proto::legacy::{SetLevelRequestParams, SubscribeRequestParams, UnsubscribeRequestParams};
use anypod_proto::method::LegacyMethod;
use anypod_proto::reject::Rejection;
use anypod_proto::request::Request;
use serde::de::DeserializeOwned;

use super::memory::MAX_URI_LEN;
use crate::bus::SessionChange;
use crate::completed::Failure;
use crate::dispatch::unknown_method;
use crate::server::Server;

/// Reads what a request changes from its parameters.
type Change = fn(&Request) -> Result<SessionChange, Rejection>;

/// What such a request changes; the answer is an empty result. `None` if it is not one of them.
///
/// # Errors
/// The inner result: if the server does not offer what the request is about, or the parameters are wrong.
pub(crate) fn read(server: &Server, request: &Request) -> Option<Result<Option<SessionChange>, Failure>> {
    let method = LegacyMethod::parse(&request.method_name())?;
    let capabilities = &server.inner.capabilities;
    let (offered, change): (bool, Change) = match method {
        LegacyMethod::Initialize => return None,
        LegacyMethod::Ping => return Some(Ok(None)),
        LegacyMethod::SetLevel => (capabilities.logging.is_some(), level),
        LegacyMethod::Subscribe => (capabilities.resources.is_some(), subscribe),
        LegacyMethod::Unsubscribe => (capabilities.resources.is_some(), unsubscribe),
    };
    Some(match offered {
        true => change(request).map(Some).map_err(Failure::from),
        false => Err(unknown_method(request)),
    })
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
