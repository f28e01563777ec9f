//! The way of a request through the gateway: its stages in order, and why each stands where it does.
//!
//! | stage | where | why there |
//! |---|---|---|
//! | accept | [`crate::listen`] | connections are bounded before anything of them is read |
//! | `Origin`, `Host` | [`checked`] | before anything is believed: a page of another site must not get further |
//! | authenticate | [`checked`] | whose request it is decides what tokens open and what may be called |
//! | limits | [`read`] | a place among the requests under way, or 503, before memory is used for the body |
//! | admit | [`read`] | the one function that decides what a message is; nothing else reads it first |
//! | front | the route's `Server`, in [`served`] | what is legacy becomes modern calls, so that all below knows one era |
//! | authorize, rate | [`relayed`], [`crate::desk`] | by method, name and arguments, which are certain only now |
//! | cache | [`crate::catalogue`] | after authorization, or it would give to one what was meant for another |
//! | route | [`lane`], [`crate::desk`] | which upstream, by name |
//! | upstream | [`crate::reach`] | what is meant for a legacy server becomes a call in a session of it |
//! | forward | [`crate::relay`] | bytes, as they come |
//! | observe | [`crate::body`] | when the answer is through, whatever became of it |

mod kept;
mod pinned;
mod read;
mod respond;
mod streamed;
mod ticket;

use std::convert::Infallible;
use std::sync::Arc;

use anypod_proto::admit::Admitted;
use anypod_proto::header::HOP;
use anypod_proto::method::Method;
use anypod_proto::request::Request as Message;
use anypod_proto::version::Era;
use anypod_server::Principal;
use bytes::Bytes;
use http::header::{AUTHORIZATION, ORIGIN};
use http::{Extensions, Request, StatusCode};
use http_body_util::Full;
use tower_service::Service as _;

use self::kept::kept;
use self::pinned::{permitted, pinned, pins};
use self::read::{Read, read, receive};
use self::respond::{empty, refused};
use self::streamed::{long, streamed};
use crate::authenticate::{Credentials, Unauthorized};
use crate::body::{Body, Ticket};
use crate::desk::{Hopped, Mirrored, Notes, subject};
use crate::failure::Failure;
use crate::gateway::Shared;
use crate::head::{Fields, Head, Reply};
use crate::inbound::Inbound;
use crate::listen::Peer;
use crate::owner::Owner;
use crate::plan::Plan;
use crate::policy::Attempt;
use crate::relay::{Relay, Rewriter};
use crate::route::Route;
use crate::upstream::headers::prepare;
use crate::upstream::{Outbound, Outgoing};

/// A failure, and the request that it answers: its id as raw JSON, where that could be read.
pub(crate) struct Refused {
    pub(crate) id: Option<String>,
    pub(crate) failure: Failure,
}

impl<F: Into<Failure>> std::convert::From<F> for Refused {
    fn from(failure: F) -> Self {
        Self { id: None, failure: failure.into() }
    }
}

/// Answers a request.
pub(crate) async fn answer(shared: &Shared, peer: &Peer, mut head: Head, body: Inbound) -> Reply<Body> {
    let path = head.uri.path();
    let Some(route) = shared.route(path) else {
        return empty(shared.health(path).unwrap_or(StatusCode::NOT_FOUND));
    };
    let mut ticket = Box::new(Ticket::new(&shared.observer, &route, &head.method));
    match Box::pin(stages(&route, peer, &mut head, body, &mut ticket)).await {
        Ok(response) => ticket.give(response),
        Err(why) => {
            ticket.refused(&why.failure);
            ticket.give(refused(&why))
        }
    }
}

// What is rarer than a call that is relayed has a future of its own, and what is large stands elsewhere: all requests would
// pay for the room.
async fn stages(
    route: &Route,
    peer: &Peer,
    head: &mut Head,
    body: Inbound,
    ticket: &mut Ticket,
) -> Result<Reply<Body>, Refused> {
    let plan = route.desk.plan();
    // What another replica passes on was checked there; its seal is, here.
    if head.fields.has(&HOP) {
        return Box::pin(hopped(route, &plan, peer, taken(head), body, ticket)).await;
    }
    let credentials = checked(&plan, head)?;
    ticket.asked_by(&credentials);
    if head.method != http::Method::POST {
        ticket.stream(&head.method);
        if let Some(reach) = pins(&plan) {
            return Box::pin(pinned(route, &plan, reach, peer, taken(head), Bytes::new(), credentials, ticket)).await;
        }
        return Ok(Box::pin(served(route, taken(head), credentials, ticket)).await);
    }
    if let Some(long) = long(&plan, head, &body, &credentials) {
        return Box::pin(streamed(route, &plan, peer, taken(head), body, long, credentials, ticket)).await;
    }
    let text = receive(route, &plan, head, body, ticket).await?;
    let message = {
        let read = read(&plan, head, &text, &credentials).await?;
        match read {
            Read::Modern(message) => message,
            Read::Other(message) => {
                return Box::pin(other(route, &plan, peer, taken(head), message, text, credentials, ticket)).await;
            }
        }
    };
    ticket.message(&message, &head.fields, &peer.met);
    if let Some(answer) = kept(&plan, &message, &credentials, ticket).await {
        return Ok(answer);
    }
    let name = subject(&message);
    // The state of a round names the upstream and, of a legacy one, the replica that holds the call.
    let lane = match message.request_state() {
        Some(_) => None,
        None => lane(&plan, message.method(), name.as_deref(), credentials.kept_apart_by()),
    };
    drop(name);
    let done = match lane {
        Some(owner) => match relayed(route, &plan, owner, peer, taken(head), &message, &text, credentials, ticket) {
            Ok(mut relay) => relay.run(ticket).await,
            Err(failure) => Err(failure),
        },
        None => {
            let message = Admitted::Request(message.to_owned());
            Ok(Box::pin(admitted(route, head, Extensions::new(), message, credentials, ticket)).await)
        }
    };
    done.map_err(|failure| Refused { id: Some(message.id().to_owned()), failure })
}

/// A head, for whoever needs all of it.
fn taken(head: &mut Head) -> Head {
    std::mem::take(head)
}

/// A message that is no modern request.
#[expect(clippy::too_many_arguments, reason = "each is a stage's own; a struct would be taken apart at once")]
async fn other(
    route: &Route,
    plan: &Plan,
    peer: &Peer,
    head: Head,
    message: Admitted,
    text: Bytes,
    credentials: Credentials,
    ticket: &mut Ticket,
) -> Result<Reply<Body>, Refused> {
    ticket.other(&message, &head.fields);
    match pins(plan).filter(|_| !matches!(message, Admitted::Request(_) | Admitted::Notice(_))) {
        Some(reach) => {
            ticket.in_unnamed_session();
            permitted(plan, &message, &credentials)?;
            pinned(route, plan, reach, peer, head, text, credentials, ticket).await
        }
        None => Ok(admitted(route, &head, Extensions::new(), message, credentials, ticket).await),
    }
}

/// Holds a head against what does not need its body: the host that was called, the page that calls, who it is.
fn checked(plan: &Plan, head: &Head) -> Result<Credentials, Failure> {
    plan.guard.check(&head.fields, &head.uri)?;
    plan.authentication.of(&head.fields).map_err(|why| match why {
        Unauthorized::Missing | Unauthorized::Unknown => Failure::Unauthorized,
    })
}

/// The upstream that a modern request can be relayed to as bytes; none for what has to be read, merged, kept or
/// translated.
fn lane(plan: &Plan, method: Option<Method>, name: Option<&str>, apart: Option<[u8; 32]>) -> Option<Owner> {
    let [reach] = &*plan.reaches else { return plan.catalogue.relayable(plan, method?, name?, apart) };
    let as_bytes = match method {
        Some(Method::ToolsCall | Method::PromptsGet | Method::Complete) | None => true,
        Some(
            Method::Discover
            | Method::ToolsList
            | Method::PromptsList
            | Method::ResourcesList
            | Method::ResourceTemplatesList
            | Method::ResourcesRead,
        ) => !plan.caches && plan.policy.is_open(),
        Some(Method::SubscriptionsListen) => false,
    };
    let relayable = as_bytes && !reach.is_child() && reach.upstream.era() == Some(Era::Modern);
    relayable.then(|| Owner::only(reach))
}

/// A modern request that goes to an upstream as it is.
struct Outward<'a> {
    route: &'a Route,
    plan: &'a Plan,
    peer: &'a Peer,
    method: Option<Method>,
    method_name: &'a str,
    name: Option<&'a str>,
}

/// The head as it goes out, what has to be done to the answer, and whether the request may run twice.
fn outward(
    asks: &Outward<'_>,
    owner: &Owner,
    head: &mut Head,
    credentials: &Credentials,
    ticket: &Ticket,
) -> (Option<Rewriter>, bool) {
    let reach = &owner.reach;
    let repeatable = match asks.method {
        Some(Method::ToolsCall) => asks.name.is_some_and(|name| reach.is_idempotent(name)),
        Some(_) => true,
        None => false,
    };
    // Only what may end a round can have a state in its answer; of extensions nobody knows.
    let rewriter = asks.method.is_none_or(Method::takes_rounds).then(|| Rewriter {
        sealer: asks.route.desk.sealer.clone(),
        ttl: asks.plan.round_ttl(),
        principal: credentials.principal.clone(),
        method: match asks.method {
            Some(method) => method.as_str().into(),
            None => asks.method_name.to_owned().into(),
        },
        name: ticket.name(),
        owner: owner.clone(),
    });
    // A token for the gateway is for nobody else, and pages were checked here.
    let fields = &mut head.fields;
    if credentials.passed_on.is_none() {
        fields.remove(&AUTHORIZATION);
    }
    fields.remove(&ORIGIN);
    prepare(fields, &head.uri, &asks.peer.sender, Era::Modern, reach.upstream.headers());
    ticket.sends_on(fields);
    (rewriter, repeatable)
}

/// A modern request for a modern upstream.
#[expect(clippy::too_many_arguments, reason = "each is a stage's own; a struct would be taken apart at once")]
fn relayed(
    route: &Route,
    plan: &Plan,
    owner: Owner,
    peer: &Peer,
    mut head: Head,
    message: &Message<&str>,
    text: &Bytes,
    credentials: Credentials,
    ticket: &mut Ticket,
) -> Result<Box<Relay>, Failure> {
    let (method, name) = (message.method_name(), subject(message));
    let principal = credentials.principal.as_deref();
    plan.policy.check(&Attempt::of(principal, message, &method, name.as_deref()))?;
    plan.rates.take(principal, &method, name.as_deref())?;
    let asks = Outward { route, plan, peer, method: message.method(), method_name: &method, name: name.as_deref() };
    let (rewriter, repeatable) = outward(&asks, &owner, &mut head, &credentials, ticket);
    let body = owner.translated(message, text, &mut head, ticket.sent_on())?;
    let request = Outbound { head, body: Outgoing::Whole(body) };
    let result_bytes = plan.limits.result_bytes;
    Ok(Box::new(Relay { reach: owner.reach, request, repeatable, rewriter, result_bytes, verdict: None }))
}

/// What is not relayed, once it is admitted: the route's server answers, by the desk behind it.
async fn admitted(
    route: &Route,
    head: &Head,
    mut extensions: Extensions,
    message: Admitted,
    credentials: Credentials,
    ticket: &mut Ticket,
) -> Reply<Body> {
    introduce(&mut extensions, &head.fields, credentials, ticket);
    if let Admitted::Request(message) = &message
        && message.method() == Some(Method::ToolsCall)
    {
        extensions.insert(Mirrored::of(&head.fields));
    }
    // What is left of it is the server's.
    let Some(permit) = ticket.permit.take() else { return empty(StatusCode::SERVICE_UNAVAILABLE) };
    Reply::from(route.server.answer_admitted(&head.fields, extensions, message, permit).await).map(Body::served)
}

/// What has no message: the streams and the end of legacy sessions.
async fn served(route: &Route, mut head: Head, credentials: Credentials, ticket: &mut Ticket) -> Reply<Body> {
    let mut extensions = Extensions::new();
    introduce(&mut extensions, &head.fields, credentials, ticket);
    // It was checked here, by rules that the server does not know.
    head.fields.remove(&ORIGIN);
    let mut request = Request::from_parts(head.into_parts(), Full::new(Bytes::new()));
    *request.extensions_mut() = extensions;
    let answered: Result<_, Infallible> = route.server.clone().call(request).await;
    match answered {
        Ok(response) => Reply::from(response).map(Body::served),
    }
}

/// A message that another replica passes on: to the server itself, or to the desk, where its round is held.
async fn hopped(
    route: &Route,
    plan: &Plan,
    peer: &Peer,
    head: Head,
    body: Inbound,
    ticket: &mut Ticket,
) -> Result<Reply<Body>, Refused> {
    if anypod_server::is_hop(&head.method, &head.fields) {
        let text = read::whole(plan, &head.fields, body).await?;
        let request = Request::from_parts(head.into_parts(), Full::new(text));
        let answered: Result<_, Infallible> = route.server.clone().call(request).await;
        return match answered {
            Ok(response) => Ok(Reply::from(response).map(Body::served)),
        };
    }
    // Whose it is, only its state says.
    let text = receive(route, plan, &head, body, ticket).await?;
    match read(plan, &head, &text, &Credentials::default()).await? {
        Read::Modern(message) => {
            let arrived = route.desk.arrived(&head.fields, message.request_state().as_deref());
            let principal = arrived
                .map_err(|rejection| Refused { id: Some(message.id().to_owned()), failure: rejection.into() })?;
            ticket.message(&message, &head.fields, &peer.met);
            let mut extensions = Extensions::new();
            extensions.insert(Hopped);
            let credentials = Credentials { principal: principal.map(Arc::new), passed_on: None };
            ticket.asked_by(&credentials);
            Ok(admitted(route, &head, extensions, Admitted::Request(message.to_owned()), credentials, ticket).await)
        }
        Read::Other(_) => Err(anypod_proto::reject::Rejection::UnknownState.into()),
    }
}

/// Tells those behind who calls.
fn introduce(extensions: &mut Extensions, fields: &Fields, credentials: Credentials, ticket: &mut Ticket) {
    if let Some(principal) = &credentials.principal {
        extensions.insert(Principal::clone(principal));
    }
    let notes = Notes::new(ticket.headers_to_send_on(fields), ticket.sent_on());
    extensions.insert(notes.clone());
    ticket.notes = Some(notes);
    extensions.insert(credentials);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The size of what a function gives, which is not called.
    const fn given<T, R>(_: &impl FnOnce(T) -> R) -> usize {
        size_of::<R>()
    }

    /// Each is handed on, and so copied, several times per request.
    #[test]
    fn what_a_request_under_way_takes_stays_small() {
        type Arguments<'a> = (&'a Route, &'a Peer, &'a mut Head, Inbound, &'a mut Ticket);
        let bytes =
            given(&|(route, peer, head, body, ticket): Arguments<'static>| stages(route, peer, head, body, ticket));
        assert!(bytes <= 2048, "{bytes}");
        assert!(size_of::<Reply<Body>>() <= 192, "{}", size_of::<Reply<Body>>());
    }
}
