//! What is answered from memory: lists, resources and `server/discover` of a route's only upstream.

use anypod_proto::method::Method;
use anypod_proto::request::Request as Message;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};

use crate::authenticate::Credentials;
use crate::body::{Body, Ticket};
use crate::cache::{Subject, is_plain};
use crate::head::Reply;
use crate::plan::Plan;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The answer, if it is kept and fresh. Where there is a policy, what is answered depends on more than is kept.
pub(super) async fn kept(
    plan: &Plan,
    message: &Message<&str>,
    credentials: &Credentials,
    ticket: &mut Ticket,
) -> Option<Reply<Body>> {
    let [reach] = &*plan.reaches else { return None };
    let method = message.method().filter(|method| method.is_cacheable() && plan.caches && plan.policy.is_open())?;
    if !is_plain(message) {
        return None;
    }
    let detail = match method {
        Method::ResourcesRead => message.uri(),
        Method::Discover
        | Method::ToolsList
        | Method::ToolsCall
        | Method::PromptsList
        | Method::PromptsGet
        | Method::ResourcesList
        | Method::ResourceTemplatesList
        | Method::Complete
        | Method::SubscriptionsListen => message.cursor(),
    };
    let subject = Subject {
        upstream: reach.name(),
        method: method.as_str(),
        detail: detail.as_deref().unwrap_or_default(),
        apart: credentials.kept_apart_by(),
    };
    let found = plan.catalogue.cache.find(subject).await?;
    ticket.cached(reach);
    let mut answer = Reply::new(StatusCode::OK, Body::whole(envelope(message.id(), &found.result())));
    answer.fields.insert(CONTENT_TYPE, JSON);
    Some(answer)
}

/// A response; `id` is raw JSON.
fn envelope(id: &str, result: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(result.len() + id.len() + 48);
    out.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
    out.extend_from_slice(id.as_bytes());
    out.extend_from_slice(br#","result":"#);
    out.extend_from_slice(result);
    out.push(b'}');
    out.into()
}
