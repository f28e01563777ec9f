//! Reading a message: within its bounds, then by the one function that admits.

use std::sync::Arc;

use anypod_proto::admit::{Admitted, Carrier, admit};
use anypod_proto::capabilities::ClientCapabilities;
use anypod_proto::method::Method;
use anypod_proto::param_header::ParamHeaders;
use anypod_proto::reject::Rejection;
use anypod_proto::request::Request as Message;
use anypod_server::Accepts;
use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::request::Parts;
use http_body_util::BodyExt as _;

use super::Refused;
use super::pinned::pins;
use super::streamed::named;
use crate::authenticate::Credentials;
use crate::body::Ticket;
use crate::config::Mode;
use crate::failure::Failure;
use crate::inbound::Inbound;
use crate::plan::Plan;
use crate::reach::Sender;
use crate::route::Route;

/// A message that was read.
pub(super) enum Read {
    /// A modern request.
    Modern(Message),
    /// Something else, and its text where it may have to be sent on as it is.
    Other(Admitted, Bytes),
}

/// Reads the message of a POST, once there is a place for it.
pub(super) async fn read(
    route: &Route,
    plan: &Plan,
    head: &Parts,
    body: Inbound,
    credentials: &Credentials,
    ticket: &mut Ticket,
) -> Result<Read, Refused> {
    check_media_type(&head.headers)?;
    Accepts::of(&head.headers)?;
    ticket.permit = Some(route.server.enter_request()?);
    let bytes = whole(plan, &head.headers, body).await?;
    ticket.read(bytes.len());
    let text = if pins(plan).is_some() { Bytes::copy_from_slice(&bytes) } else { Bytes::new() };
    let admitted = match plan.mode {
        Mode::Parse => {
            let mirrored = Box::pin(mirrored(plan, &head.headers, credentials)).await;
            let of = |name: &str| mirrored.as_ref().filter(|(tool, _)| tool == name).map(|(_, wanted)| &**wanted);
            admit(Carrier::Http(&head.headers), bytes, of)
        }
        Mode::Verify | Mode::Trust => admit(Carrier::Http(&head.headers), bytes, |_| None),
    };
    match admitted {
        Ok(Admitted::Request(message)) => Ok(Read::Modern(message)),
        Ok(other) => Ok(Read::Other(other, text)),
        Err(refused) => Err(Refused { id: refused.id, failure: refused.rejection.into() }),
    }
}

/// The tool that the headers name, and what it wants mirrored into further ones. None where its upstream does not say: what is
/// not known is not checked.
async fn mirrored(plan: &Plan, headers: &HeaderMap, credentials: &Credentials) -> Option<(String, Arc<ParamHeaders>)> {
    let (_, tool) = named(headers).filter(|(method, _)| *method == Method::ToolsCall)?;
    let sender = Sender::with(credentials, ClientCapabilities::default());
    let wanted = plan.catalogue.wanted(plan, &tool, &sender).await.ok()??;
    Some((tool, wanted))
}

/// A whole body, within its bounds.
pub(super) async fn whole(plan: &Plan, headers: &HeaderMap, body: Inbound) -> Result<Vec<u8>, Failure> {
    let limit = plan.limits.body_bytes;
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(Rejection::TooLarge(limit).into());
    }
    let mut body = match body {
        Inbound::Whole(bytes) if bytes.len() <= limit => return Ok(bytes.into()),
        other => other,
    };
    let mut whole = Vec::with_capacity(announced.unwrap_or_default());
    let collect = async {
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| Rejection::Truncated)?.into_data() else { continue };
            if data.len() > limit - whole.len() {
                return Err(Rejection::TooLarge(limit));
            }
            whole.extend_from_slice(&data);
        }
        Ok(())
    };
    tokio::time::timeout(plan.limits.body_deadline.get(), collect).await.map_err(|_| Rejection::Truncated)??;
    Ok(whole)
}

fn check_media_type(headers: &HeaderMap) -> Result<(), Rejection> {
    let declared = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = declared.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") { Ok(()) } else { Err(Rejection::MediaType) }
}
