//! Reading a message: within its bounds, then by the one function that admits.

use std::sync::Arc;

use anypod_proto::admit::{Admitted, Carrier, admit, check, declared_version};
use anypod_proto::capabilities::ClientCapabilities;
use anypod_proto::header::plain;
use anypod_proto::method::Method;
use anypod_proto::param_header::ParamHeaders;
use anypod_proto::reject::Rejection;
use anypod_proto::request::Request as Message;
use anypod_proto::version::{Era, Version};
use anypod_server::Accepts;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http_body_util::BodyExt as _;

use super::Refused;
use super::streamed::{announced, named};
use crate::authenticate::Credentials;
use crate::body::Ticket;
use crate::config::Mode;
use crate::failure::Failure;
use crate::head::{Fields, Head};
use crate::inbound::Inbound;
use crate::plan::Plan;
use crate::reach::Sender;
use crate::route::Route;

/// A message that was read.
pub(super) enum Read<'a> {
    /// A modern request.
    Modern(Message<&'a str>),
    /// Something else.
    Other(Admitted),
}

/// Takes the text of a POST in, once there is a place for it.
pub(super) async fn receive(
    route: &Route,
    plan: &Plan,
    head: &Head,
    body: Inbound,
    ticket: &mut Ticket,
) -> Result<Bytes, Failure> {
    check_media_type(&head.fields)?;
    Accepts::of(&head.fields)?;
    ticket.permit = Some(route.server.enter_request()?);
    let text = whole(plan, &head.fields, body).await?;
    ticket.read(text.len());
    Ok(text)
}

/// Reads the message of a POST.
pub(super) async fn read<'a>(
    plan: &Plan,
    head: &Head,
    text: &'a Bytes,
    credentials: &Credentials,
) -> Result<Read<'a>, Refused> {
    let mirrored = match plan.mode {
        Mode::Parse => Box::pin(mirrored(plan, &head.fields, credentials)).await,
        Mode::Verify | Mode::Trust => None,
    };
    let of = |name: &str| mirrored.as_ref().filter(|(tool, _)| tool == name).map(|(_, wanted)| &**wanted);
    let carrier = Carrier::Http(&head.fields);
    let refused =
        |refused: anypod_proto::reject::Refused| Refused { id: refused.id, failure: refused.rejection.into() };
    // Most go on as they came, and need no body of their own. What says that it is legacy is not read twice.
    if declared_version(&head.fields).ok().flatten().map(Version::era) == Some(Era::Modern)
        && let Some(message) = check(carrier, text, of).map_err(refused)?
    {
        return Ok(Read::Modern(message));
    }
    admit(carrier, text.to_vec(), of).map(Read::Other).map_err(refused)
}

/// The tool that the headers name, and what it wants mirrored into further ones. None where its upstream does not say: what is
/// not known is not checked.
async fn mirrored(plan: &Plan, headers: &Fields, credentials: &Credentials) -> Option<(String, Arc<ParamHeaders>)> {
    let (_, tool) = named(headers).filter(|(method, _)| *method == Method::ToolsCall)?;
    let sender = Sender::with(credentials, ClientCapabilities::default());
    let wanted = plan.catalogue.wanted(plan, &tool, &sender).await.ok()??;
    Some((tool, wanted))
}

/// A whole body, within its bounds.
pub(super) async fn whole(plan: &Plan, headers: &Fields, body: Inbound) -> Result<Bytes, Failure> {
    let limit = plan.limits.body_bytes;
    let mut body = match body {
        Inbound::Whole(bytes) if bytes.len() <= limit => return Ok(bytes),
        other => other,
    };
    let announced = announced(headers);
    if announced.is_some_and(|length| length > limit) {
        return Err(Rejection::TooLarge(limit).into());
    }
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
    Ok(whole.into())
}

fn check_media_type(headers: &Fields) -> Result<(), Rejection> {
    let declared = headers.all(&CONTENT_TYPE).next().and_then(plain).unwrap_or_default();
    let essence = declared.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") { Ok(()) } else { Err(Rejection::MediaType) }
}
