//! `/metrics` and `/report`, over HTTP.

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;

use super::report::Document;
use super::{Observer, exposition, metrics};
use crate::config::Time;

/// How long no legacy request may have come before legacy may be switched off, unless the request says otherwise.
const QUIET_FOR: Time = Time::from_secs(7 * 86_400);

impl Observer {
    /// Answers a request to the admin address: `/metrics`, and `/report` with `quiet-for=7d` or such as its query.
    pub(crate) fn admin<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        let (body, media_type) = match request.uri().path() {
            "/metrics" | "/report" if !is_read(request.method()) => return not_allowed(),
            "/metrics" => (metrics::page(self), exposition::MEDIA_TYPE),
            "/report" => match self.document(request.uri().query()) {
                Ok(json) => (json, "application/json"),
                Err(text) => return plain(StatusCode::BAD_REQUEST, text),
            },
            _ => return plain(StatusCode::NOT_FOUND, "there are /metrics, /report, /healthz and /readyz\n".to_owned()),
        };
        let mut response = Response::new(Full::from(body));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }

    fn document(&self, query: Option<&str>) -> Result<String, String> {
        let pairs = query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        let mut quiet_for = QUIET_FOR;
        for pair in pairs {
            match pair.split_once('=') {
                Some(("quiet-for", time)) => {
                    quiet_for = time.parse().map_err(|error| format!("quiet-for: {error}\n"))?
                }
                Some(_) | None => {
                    return Err("the only thing to ask for is quiet-for, such as quiet-for=7d\n".to_owned());
                }
            }
        }
        let report = self.report();
        let verdict = report.verdict(quiet_for);
        let mut json = serde_json::to_string_pretty(&Document { report, verdict }).expect("texts and numbers are JSON");
        json.push('\n');
        Ok(json)
    }
}

fn is_read(method: &Method) -> bool {
    method == Method::GET || method == Method::HEAD
}

fn not_allowed() -> Response<Full<Bytes>> {
    let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "this can only be read\n".to_owned());
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}

fn plain(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
