//! Answers that say no: nothing of them is lost.

use std::time::Duration;

use anypod_client::era::Verdict;
use anypod_client::{Client, Error, Refusal};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::{exchange, named, refused};
use crate::legacy::server::tool;
use crate::scripted::{Scripted, plain};

/// What comes of a call that is answered so. `ID` in the body stands for the request's id.
async fn answered(
    status: u16,
    kind: &'static str,
    body: &'static str,
    headers: &[(&'static str, &'static str)],
) -> Refusal {
    let headers = headers.to_vec();
    let server = Scripted::http(move |_, request| {
        let mut answer = plain(status, kind, &body.replace("ID", &request["id"].to_string()));
        for (name, value) in &headers {
            answer.headers_mut().append(*name, value.parse().unwrap());
        }
        answer
    });
    let upstream = Client::builder().service_endpoint(server).modern();
    refused(upstream.send(&tool("t"), &named("a"), &HeaderMap::new()).await.unwrap())
}

#[tokio::test]
async fn an_error_keeps_its_status_and_its_data() {
    let body =
        r#"{"jsonrpc":"2.0","id":ID,"error":{"code":-32022,"message":"no","data":{"supported":["2026-07-28"]}}}"#;
    for status in [200, 400, 404, 500, 503] {
        let refusal = answered(status, "application/json", body, &[("x-pod", "7")]).await;
        let error = refusal.error().unwrap();
        assert_eq!((refusal.status.as_u16(), error.code, error.message.as_str()), (status, -32022, "no"));
        assert_eq!(error.data, Some(json!({ "supported": ["2026-07-28"] })));
        assert_eq!(refusal.headers["x-pod"], "7");
        assert_eq!(serde_json::from_slice::<Value>(&refusal.body).unwrap()["id"], 1);
        assert_eq!(refusal.verdict(), Verdict::Modern);
        assert!(matches!(refusal.into_error(), Error::Answered(error) if error.code == -32022));
    }
}

#[tokio::test]
async fn plain_http_keeps_its_status_body_and_retry_after() {
    for (status, pause) in [(429, "7"), (503, "120"), (502, "Wed, 21 Oct 2026 07:28:00 GMT")] {
        let refusal = answered(status, "text/html", "<h1>later</h1>", &[("retry-after", pause)]).await;
        assert_eq!((refusal.status.as_u16(), &refusal.body[..]), (status, &b"<h1>later</h1>"[..]));
        assert_eq!((refusal.error(), refusal.verdict()), (None, Verdict::NotNow));
        assert_eq!(refusal.headers["retry-after"], pause, "whatever form it has");
        assert_eq!(refusal.headers["content-type"], "text/html");
        assert_eq!(refusal.retry_after(), pause.parse().ok().map(Duration::from_secs));
        assert!(matches!(refusal.into_error(), Error::Refused { status: found, .. } if found == status));
    }
}

#[tokio::test]
async fn a_challenge_is_the_callers_to_see() {
    let body = r#"{"error":"insufficient_scope"}"#;
    let header = [("www-authenticate", "Bearer scope=\"a\""), ("www-authenticate", "Basic")];
    for status in [401, 403] {
        let refusal = answered(status, "application/json", body, &header).await;
        assert_eq!((refusal.status.as_u16(), &refusal.body[..]), (status, body.as_bytes()));
        let challenge = refusal.challenge.as_ref().unwrap();
        assert_eq!(challenge.www_authenticate, ["Bearer scope=\"a\"", "Basic"]);
        assert!(matches!(refusal.into_error(), Error::Unauthorized(_)));
    }
    let forbidden = answered(403, "text/plain", "no", &[]).await;
    assert!(forbidden.challenge.is_none(), "what has no challenge is about something else");
    assert!(matches!(forbidden.into_error(), Error::Refused { status: StatusCode::FORBIDDEN, .. }));
}

#[tokio::test]
async fn what_is_no_message_is_no_error_of_the_protocol() {
    for (kind, body) in [
        ("text/html", "<form action=/login>"),
        ("application/json", "[]"),
        ("application/json", r#"{"jsonrpc":"2.0","method":"x"}"#),
        ("application/json", r#"{"jsonrpc":"2.0","id":99,"error":{"code":-32600,"message":"to another"}}"#),
    ] {
        let refusal = answered(200, kind, body, &[]).await;
        assert_eq!((refusal.error(), &refusal.body[..]), (None, body.as_bytes()), "{body}");
        assert!(matches!(refusal.into_error(), Error::Broken(_)), "{body}");
    }
}

#[tokio::test]
async fn the_body_is_bounded() {
    let page: &'static str = "x".repeat(1 << 20).leak();
    assert_eq!(answered(500, "text/plain", page, &[]).await.body.len(), 16 << 10);
    let server = Scripted::http(move |_, _| plain(500, "application/json", page));
    let mut limits = anypod_client::Limits::default();
    limits.body_bytes = 1 << 10;
    let upstream = Client::builder().limits(limits).service_endpoint(server).modern();
    let error = upstream.send(&tool("t"), &named("a"), &HeaderMap::new()).await.unwrap_err();
    assert!(matches!(error, Error::Broken(_)), "{error}");
}

#[tokio::test]
async fn a_result_is_none() {
    let server = Scripted::new(|_| Ok(json!({ "resultType": "complete", "content": [] })));
    let upstream = Client::builder().service_endpoint(server).modern();
    exchange(upstream.send(&tool("t"), &named("a"), &HeaderMap::new()).await.unwrap());
}
