//! Responses: the one place where results and refusals become HTTP.

use anypod_proto::header::ACCEL_BUFFERING;
use anypod_proto::reject::{Refused, Rejection};
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};

use super::Body;
use crate::completed;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream");

/// A response as plain JSON.
pub(crate) fn json(response: completed::Response) -> Response<Body> {
    let mut answer = Response::new(Body::whole(response.body));
    *answer.status_mut() = response.status;
    answer.headers_mut().insert(CONTENT_TYPE, JSON);
    if let Some(secs) = response.retry_after_secs {
        answer.headers_mut().insert(RETRY_AFTER, secs.into());
    }
    for value in response.challenge {
        answer.headers_mut().append(WWW_AUTHENTICATE, value);
    }
    answer
}

/// A refusal of a message.
pub(crate) fn refused(refused: &Refused) -> Response<Body> {
    tracing::debug!(reason = %refused.rejection, "refused a message");
    json(completed::Response {
        retry_after_secs: refused.rejection.retry_after_secs(),
        ..completed::Response::new(refused.rejection.status(), refused.to_response())
    })
}

/// A refusal of something whose id is not known.
pub(crate) fn failure(rejection: &Rejection) -> Response<Body> {
    tracing::debug!(reason = %rejection, "refused a request");
    let mut answer = json(completed::Response {
        retry_after_secs: rejection.retry_after_secs(),
        ..completed::Response::new(rejection.status(), rejection.to_response(None))
    });
    if let Rejection::HttpMethod(allowed) = rejection {
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    }
    answer
}

/// A status and nothing else.
pub(crate) fn empty(status: StatusCode) -> Response<Body> {
    let mut answer = Response::new(Body::whole(""));
    *answer.status_mut() = status;
    answer
}

/// A stream of events, which proxies are asked to pass through at once.
pub(crate) fn sse(body: Body) -> Response<Body> {
    let mut answer = Response::new(body);
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, EVENT_STREAM);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
    answer
}
