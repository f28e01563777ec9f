//! Long modern requests: sent on as they come, by what their headers say, while the body is held against these; unless the
//! route leaves that to the upstream.

use std::sync::Arc;

use anypod_proto::admit::declared_version;
use anypod_proto::edit::Rules;
use anypod_proto::header::{Headers as _, METHOD, NAME, decode_value};
use anypod_proto::method::Method;
use anypod_proto::reject::Rejection;
use anypod_proto::verify::Verifier;
use anypod_proto::version::{Era, Version};
use http::header::CONTENT_LENGTH;

use super::{Outward, Refused, lane, outward};
use crate::authenticate::Credentials;
use crate::body::{Body, Ticket};
use crate::config::Mode;
use crate::head::{Fields, Head, Reply};
use crate::inbound::Inbound;
use crate::listen::Peer;
use crate::observe::SentOn;
use crate::owner::Owner;
use crate::plan::Plan;
use crate::policy::Attempt;
use crate::relay::{Relay, Replace, Upload};
use crate::rounds::Of;
use crate::route::Route;
use crate::upstream::{Outbound, Outgoing};

/// What is replaced in a request: the state of a round, and the name where several upstreams are federated; then what it says
/// of its trace, where spans are recorded.
const PATHS: [&str; 4] = ["params.requestState", "params.name", "params._meta.traceparent", "params._meta.tracestate"];
const WITHOUT_TRACE: usize = 2;

/// A request that can be sent on before it is read.
pub(super) struct Long {
    owner: Owner,
    method: Method,
    name: String,
    /// None where the upstream is left to hold the body against its headers.
    verifier: Option<Verifier>,
}

/// The longest body that is read as a whole where it comes piece by piece, and no room was taken for it, in bytes.
const SHORT: usize = 128 << 10;

/// Whether a request is long, and can be relayed by its headers alone.
pub(super) fn long(plan: &Plan, head: &Head, body: &Inbound, credentials: &Credentials) -> Option<Long> {
    if matches!(body, Inbound::Whole(_)) {
        return None;
    }
    let length = announced(&head.fields);
    if length.is_some_and(|length| length <= plan.limits.whole_body_bytes.min(SHORT))
        || plan.mode == Mode::Parse
        || plan.policy.reads_arguments()
        || declared_version(&head.fields).ok()?.map(Version::era) != Some(Era::Modern)
    {
        return None;
    }
    let (method, name) = named(&head.fields)?;
    let owner = lane(plan, Some(method), Some(&name), credentials.kept_apart_by())?;
    let verifier = match plan.mode {
        Mode::Trust => None,
        Mode::Verify | Mode::Parse => Some(Verifier::new(&head.fields).ok()?),
    };
    Some(Long { owner, method, name, verifier })
}

/// The tool or prompt that the headers of a request name, and by which method.
pub(super) fn named(headers: &Fields) -> Option<(Method, String)> {
    let method = Method::parse(headers.text(&METHOD)?.trim())?;
    match method {
        Method::ToolsCall | Method::PromptsGet => {
            let name = decode_value(headers.text(&NAME)?.trim().as_bytes()).ok()?.into_owned();
            Some((method, name))
        }
        Method::Complete
        | Method::Discover
        | Method::ToolsList
        | Method::PromptsList
        | Method::ResourcesList
        | Method::ResourceTemplatesList
        | Method::ResourcesRead
        | Method::SubscriptionsListen => None,
    }
}

/// The length that a body is said to have.
pub(super) fn announced(headers: &Fields) -> Option<usize> {
    headers.text(&CONTENT_LENGTH)?.parse().ok()
}

/// Sends a long request on.
#[expect(clippy::too_many_arguments, reason = "each is a stage's own; a struct would be taken apart at once")]
pub(super) async fn streamed(
    route: &Route,
    plan: &Plan,
    peer: &Peer,
    mut head: Head,
    body: Inbound,
    long: Long,
    credentials: Credentials,
    ticket: &mut Ticket,
) -> Result<Reply<Body>, Refused> {
    let Long { owner, method, name, verifier } = long;
    ticket.permit = Some(route.server.enter_request()?);
    ticket.by_headers(method, &name, &head.fields);
    let (principal, method_name) = (credentials.principal.as_deref(), method.as_str());
    plan.policy.check(&Attempt { principal, method: Some(method), method_name, name: Some(&name), message: None })?;
    plan.rates.take(principal, method_name, Some(&name))?;
    let trace = ticket.sent_on();
    let paths = if trace.is_some() { &PATHS[..] } else { &PATHS[..WITHOUT_TRACE] };
    let rules = Rules::new(paths.iter().copied()).map_err(|_| Rejection::Internal)?;
    let replace = replace(route, &owner, &credentials, method, &name, trace);
    let (limit, deadline) = (plan.limits.body_bytes, plan.limits.body_deadline.get());
    let (upload, verdict) = Upload::new(body, verifier, &rules, replace, limit, deadline);
    let asks = Outward { route, plan, peer, method: Some(method), method_name, name: Some(&name) };
    let (rewriter, repeatable) = outward(&asks, &owner, &mut head, &credentials, ticket);
    owner.renames(&mut head)?;
    // What is replaced may change the length.
    head.fields.remove(&CONTENT_LENGTH);
    let request = Outbound { head, body: Outgoing::stream(upload) };
    let result_bytes = plan.limits.result_bytes;
    let reach = Arc::clone(&owner.reach);
    let kept = Some(verdict.clone());
    let mut relay = Relay { reach, request, repeatable, rewriter, result_bytes, verdict: kept };
    let relayed = relay.run(ticket).await;
    match verdict.take() {
        Some(refused) => Err(Refused { id: refused.id, failure: refused.rejection.into() }),
        None => relayed.map_err(Refused::from),
    }
}

/// What the state and the name of a request, and its trace, are for the upstream.
fn replace(
    route: &Route,
    owner: &Owner,
    credentials: &Credentials,
    method: Method,
    name: &str,
    trace: Option<SentOn>,
) -> Replace {
    let (sealer, principal, name) = (route.desk.sealer.clone(), credentials.principal.clone(), name.to_owned());
    let (own, upstream) = (owner.own_name().map(str::to_owned), Arc::clone(owner.reach.name()));
    Box::new(move |rule, string| match rule {
        0 => {
            let principal = principal.as_ref().map(|principal| principal.id());
            let state = Of { principal, method: method.as_str(), name: &name }.open(&sealer, string)?;
            // A call that is held open belongs to a legacy upstream, and this one is modern.
            match state.inner.filter(|_| *state.upstream == *upstream && state.held.is_none()) {
                Some(inner) => Ok(Some(inner)),
                None => Err(Rejection::UnknownState),
            }
        }
        1 => Ok(own.clone()),
        2 => Ok(trace.as_ref().map(|trace| trace.parent.to_string())),
        // A state that came without the trace belongs to another one. An empty one says nothing.
        _ => Ok(trace.as_ref().map(|trace| trace.state.as_deref().unwrap_or_default().to_owned())),
    })
}
