//! The gateway's own answers: where a failure becomes HTTP.

use anypod_proto::reject::{Rejection, error_response};
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};

use super::Refused;
use crate::body::Body;
use crate::failure::Failure;
use crate::head::Reply;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A status and nothing else.
pub(super) fn empty(status: StatusCode) -> Reply<Body> {
    Reply::new(status, Body::whole(""))
}

/// A refusal.
pub(super) fn refused(refused: &Refused) -> Reply<Body> {
    let Refused { id, failure } = refused;
    let body = error_response(id.as_deref(), failure.code(), &failure.to_string(), failure.data().as_ref());
    let mut answer = Reply::new(failure.status(), Body::whole(body));
    answer.fields.insert(CONTENT_TYPE, JSON);
    if let Some(secs) = failure.retry_after_secs() {
        answer.fields.insert(RETRY_AFTER, secs.into());
    }
    for value in failure.challenge() {
        answer.fields.add(WWW_AUTHENTICATE, value);
    }
    if let Failure::Rejected(Rejection::HttpMethod(allowed)) = failure {
        answer.fields.insert(ALLOW, HeaderValue::from_static(allowed));
    }
    answer
}
