//! The gateway's own answers: where a failure becomes HTTP.

use anypod_proto::reject::{Rejection, error_response};
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};

use super::Refused;
use crate::body::Body;
use crate::failure::Failure;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A status and nothing else.
pub(super) fn empty(status: StatusCode) -> Response<Body> {
    let mut answer = Response::new(Body::whole(""));
    *answer.status_mut() = status;
    answer
}

/// A refusal.
pub(super) fn refused(refused: &Refused) -> Response<Body> {
    let Refused { id, failure } = refused;
    let body = error_response(id.as_deref(), failure.code(), &failure.to_string(), failure.data().as_ref());
    let mut answer = Response::new(Body::whole(body));
    *answer.status_mut() = failure.status();
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, JSON);
    if let Some(secs) = failure.retry_after_secs() {
        headers.insert(RETRY_AFTER, secs.into());
    }
    for value in failure.challenge() {
        headers.append(WWW_AUTHENTICATE, value);
    }
    if let Failure::Rejected(Rejection::HttpMethod(allowed)) = failure {
        headers.insert(ALLOW, HeaderValue::from_static(allowed));
    }
    answer
}
