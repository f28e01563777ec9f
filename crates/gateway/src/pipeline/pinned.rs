//! Legacy sessions that belong to one pod: for servers that keep something in them.
//!
//! A legacy client speaks to the pod that has opened its session, through whichever replica. The session id that it gets
//! names the pod and the pod's own session, sealed and bound to the principal. When the pod is gone, the answer is 404,
//! which tells the client to begin again.
//!
//! Spec: 2025-11-25, basic/transports, "Session Management".

use std::sync::Arc;

use anypod_proto::admit::{Admitted, LegacyKind, LegacyMessage};
use anypod_proto::header::{Found, Headers as _, SESSION_ID, plain};
use anypod_proto::reject::Rejection;
use anypod_proto::seal::Purpose;
use anypod_proto::version::Era;
use anypod_server::{Binding, Principal};
use bytes::Bytes;
use http::HeaderValue;
use http::header::{AUTHORIZATION, ORIGIN};
use tokio::time::Instant;

use super::Refused;
use crate::authenticate::Credentials;
use crate::body::{Body, Ticket};
use crate::config::Sessions;
use crate::desk::subject;
use crate::failure::Failure;
use crate::head::{Fields, Head, Reply};
use crate::listen::Peer;
use crate::plan::Plan;
use crate::policy::Attempt;
use crate::reach::Reach;
use crate::relay;
use crate::route::Route;
use crate::upstream::headers::prepare;
use crate::upstream::{Outbound, Outgoing, Picked, SendError, Tried};

/// The word that begins the context of these tokens: the server seals sessions of its own.
const WORD: &[u8] = b"pinned";

/// The upstream of a route whose legacy sessions are pinned, if they are.
pub(super) fn pins(plan: &Plan) -> Option<&Arc<Reach>> {
    match &*plan.reaches {
        [reach] if reach.config().sessions == Sessions::Pinned && reach.upstream.era() != Some(Era::Modern) => {
            Some(reach)
        }
        _ => None,
    }
}

/// Sends a message, or a request without one, to the pod of its session.
#[expect(clippy::too_many_arguments, reason = "each is a stage's own; a struct would be taken apart at once")]
pub(super) async fn pinned(
    route: &Route,
    plan: &Plan,
    reach: &Arc<Reach>,
    peer: &Peer,
    mut head: Head,
    body: Bytes,
    credentials: Credentials,
    ticket: &mut Ticket,
) -> Result<Reply<Body>, Refused> {
    let session =
        single(&head.fields)?.map(|token| open(route, credentials.principal.as_deref(), token)).transpose()?;
    let picked = match &session {
        Some((pod, _)) => reach.upstream.pick_pod(pod).ok_or(Rejection::UnknownSession)?,
        None => reach.upstream.pick(&Tried::default()).ok_or(Failure::NoPod { upstream: reach.name().to_string() })?,
    };
    let inner = session.as_ref().map(|(_, inner)| inner);
    outward(&mut head, reach, peer, inner, &credentials, ticket);
    let mut request = Outbound { head, body: Outgoing::Whole(body) };
    let now = Instant::now();
    ticket.sent_to(reach, picked.id(), now);
    let answer =
        picked.send_at(now, &mut request).await.map_err(|error| failed(reach, &picked, session.is_some(), error))?;
    ticket.answered();
    let pod = Arc::clone(picked.id());
    let opened = answer.fields.value(&SESSION_ID);
    let mut reply = relay::pass(answer, picked, &reach.upstream);
    match (opened, session.is_some()) {
        (Some(opened), false) => {
            let token = seal(route, plan, credentials.principal.as_deref(), &pod, &opened)?;
            reply.fields.insert(SESSION_ID, token);
        }
        // A session keeps the id that the client knows.
        (Some(_), true) => reply.fields.remove(&SESSION_ID),
        (None, _) => {}
    }
    Ok(reply)
}

/// Holds what a legacy client asks against the policy and the rates of the route.
pub(super) fn permitted(plan: &Plan, message: &Admitted, credentials: &Credentials) -> Result<(), Refused> {
    let check = |message: &LegacyMessage| match &message.kind {
        LegacyKind::Request(request) => {
            let (method, name) = (request.method_name(), subject(request));
            let principal = credentials.principal.as_deref();
            let checked = plan.policy.check(&Attempt::of(principal, request, &method, name.as_deref()));
            checked
                .and_then(|()| plan.rates.take(principal, &method, name.as_deref()))
                .map_err(|rejection| Refused { id: Some(request.id().to_owned()), failure: rejection.into() })
        }
        LegacyKind::Notice(_) | LegacyKind::Answer(_) => Ok(()),
    };
    match message {
        Admitted::Legacy(message) => check(message),
        Admitted::LegacyBatch(messages) => messages.iter().try_for_each(check),
        Admitted::Request(_) | Admitted::Notice(_) => Ok(()),
    }
}

fn outward(
    head: &mut Head,
    reach: &Reach,
    peer: &Peer,
    session: Option<&HeaderValue>,
    credentials: &Credentials,
    ticket: &Ticket,
) {
    let fields = &mut head.fields;
    if credentials.passed_on.is_none() {
        fields.remove(&AUTHORIZATION);
    }
    fields.remove(&ORIGIN);
    prepare(fields, &head.uri, &peer.sender, Era::Legacy, reach.upstream.headers());
    match session {
        Some(session) => fields.insert(SESSION_ID, session.clone()),
        None => fields.remove(&SESSION_ID),
    }
    ticket.sends_on(fields);
}

/// What it means that a pod does not answer: within a session, that the session is gone with it.
fn failed(reach: &Reach, picked: &Picked, in_session: bool, error: SendError) -> Failure {
    tracing::warn!(upstream = &**reach.name(), pod = &**picked.id(), %error, "a pod with legacy sessions does not answer");
    picked.failed();
    let upstream = reach.name().to_string();
    match error {
        SendError::NotSent(_) if in_session => Rejection::UnknownSession.into(),
        SendError::NotSent(_) | SendError::Full => Failure::NoPod { upstream },
        SendError::Broken(_) => Failure::OutcomeUnknown { upstream },
        SendError::TooSlow => Failure::TimedOut { upstream },
    }
}

fn single(fields: &Fields) -> Result<Option<&str>, Rejection> {
    match fields.find(&SESSION_ID) {
        Found::Nothing => Ok(None),
        Found::One(id) => plain(id).map(Some).ok_or(Rejection::UnknownSession),
        Found::Several => Err(Rejection::HeaderRepeated(SESSION_ID)),
    }
}

fn seal(
    route: &Route,
    plan: &Plan,
    principal: Option<&Principal>,
    pod: &str,
    session: &HeaderValue,
) -> Result<HeaderValue, Failure> {
    let payload = [pod.as_bytes(), b"\0", session.as_bytes()].concat();
    let token = route.desk.sealer.seal(binding(principal), plan.limits.session_ttl.get(), &payload);
    let token = token.map_err(|_| Rejection::Internal)?;
    HeaderValue::try_from(token).map_err(|_| Rejection::Internal.into())
}

/// The pod and its own session id. Why a token does not open only goes to the log.
fn open(route: &Route, principal: Option<&Principal>, token: &str) -> Result<(String, HeaderValue), Rejection> {
    let payload = route.desk.sealer.open(binding(principal), token).map_err(|error| {
        tracing::info!(%error, "a session id did not open");
        Rejection::UnknownSession
    })?;
    let (pod, session) = payload
        .iter()
        .position(|byte| *byte == 0)
        .and_then(|at| Some((payload.get(..at)?, payload.get(at + 1..)?)))
        .ok_or(Rejection::UnknownSession)?;
    let pod = String::from_utf8(pod.to_vec()).map_err(|_| Rejection::UnknownSession)?;
    let session = HeaderValue::from_bytes(session).map_err(|_| Rejection::UnknownSession)?;
    Ok((pod, session))
}

fn binding(principal: Option<&Principal>) -> Binding<'_> {
    Binding { purpose: Purpose::Session, principal: principal.map(Principal::id), context: &[WORD] }
}
