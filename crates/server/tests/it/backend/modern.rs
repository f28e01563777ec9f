//! Modern clients of a server with a backend.

use std::future::{pending, poll_fn};
use std::sync::Arc;
use std::task::Poll;

use anypod_server::proto::reject::Rejection;
use anypod_server::{Answered, Asked, Limits, Principal, Rate, Refusal};
use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Duration, Instant};
use tower_service::Service;

use super::relay::Relay;
use super::scripted::{Scripted, asks, done, text};
use super::{before, builder};
use crate::support::{Answer, alice, call, fixture, modern};

fn relay() -> anypod_server::Server {
    before(Relay { upstream: fixture::server(), bus: Arc::default() })
}

#[tokio::test]
async fn a_result_is_passed_on_byte_by_byte() {
    let result = r#"{ "resultType" : "complete","content":[], "x": 1.0e2 }"#;
    let server = before(Scripted::answering(move |_| async move { Answered::Result(Bytes::from(result)) }));
    let answer = call("any", json!({})).id(json!("a")).send(&server).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.body, format!(r#"{{"jsonrpc":"2.0","id":"a","result":{result}}}"#));
}

#[tokio::test]
async fn what_a_real_server_answers_is_what_the_client_gets() {
    let (behind, direct) = (relay(), fixture::server());
    for request in [
        modern("server/discover", json!({})),
        modern("tools/list", json!({})),
        modern("prompts/list", json!({})),
        modern("resources/templates/list", json!({})),
        modern("resources/read", json!({ "uri": "note://one" })),
        modern("prompts/get", json!({ "name": "essay", "arguments": { "topic": "x" } })),
        call("add", json!({ "a": 1, "b": 2 })),
        call("fail", json!({})),
        call("protest", json!({})),
        call("unknown", json!({})),
        modern("resources/read", json!({ "uri": "note://none" })),
    ] {
        let (one, other) = (request.send(&behind).await, request.send(&direct).await);
        assert_eq!((one.status, one.response()), (other.status, other.response()));
    }
}

#[tokio::test]
async fn a_refusal_keeps_its_status_code_text_and_data() {
    let server = before(Scripted::answering(|_| async {
        let (message, data) = ("not today".to_owned(), Some(json!({ "day": "Friday" })));
        Answered::Refused(Refusal::Error { status: StatusCode::IM_A_TEAPOT, code: 4711, message, data })
    }));
    let answer = call("any", json!({})).send(&server).await;
    answer.assert_refused(418, 4711);
    assert_eq!(answer.error(), &json!({ "code": 4711, "message": "not today", "data": { "day": "Friday" } }));
}

#[tokio::test]
async fn a_challenge_reaches_the_client() {
    let server = before(Scripted::answering(|_| async {
        let challenge = ["Bearer realm=\"a\"", "Basic"].map(HeaderValue::from_static).into();
        Answered::Refused(Refusal::Unauthorized { status: StatusCode::FORBIDDEN, challenge })
    }));
    let answer = call("any", json!({})).send(&server).await;
    answer.assert_refused(403, -32600);
    let challenge: Vec<_> = answer.headers.get_all("www-authenticate").iter().collect();
    assert_eq!(challenge, ["Bearer realm=\"a\"", "Basic"]);
}

#[tokio::test]
async fn a_refusal_that_may_be_tried_again_says_when() {
    let busy = Rejection::Busy { retry_after_secs: 7 };
    let server = before(Scripted::answering(move |_| std::future::ready(Answered::Refused(busy.clone().into()))));
    let answer = call("any", json!({})).send(&server).await;
    answer.assert_refused(503, -32603);
    assert_eq!(answer.header("retry-after"), Some("7"));
}

#[tokio::test]
async fn a_refusal_after_the_stream_has_begun_ends_the_stream() {
    let go = Arc::new(Notify::new());
    let wait = Arc::clone(&go);
    let server = before(Scripted::answering(move |asked: Asked| {
        let wait = Arc::clone(&wait);
        async move {
            asked.notices.send("notifications/progress", &raw(json!({ "progressToken": "t", "progress": 1 })));
            wait.notified().await;
            Answered::Refused(Rejection::Busy { retry_after_secs: 7 }.into())
        }
    }));
    let mut stream = call("any", json!({})).meta("progressToken", json!("t")).open(&server).await;
    assert_eq!(stream.next().await.expect("progress")["params"]["progress"], 1);
    go.notify_one();
    assert_eq!(
        (stream.status, &stream.next().await.expect("an answer")["error"]["code"]),
        (StatusCode::OK, &json!(-32603))
    );
    assert_eq!(stream.next().await, None);
}

#[tokio::test]
async fn a_round_carries_the_state_of_the_backend_as_it_is() {
    let (says, mut said) = mpsc::channel(4);
    let server = before(Scripted::answering(move |asked: Asked| {
        let says = says.clone();
        async move {
            let name = asked.responses.get("name").map(|answer| answer.get().to_owned());
            says.send((asked.state.clone(), name)).await.expect("the test listens");
            match asked.state {
                Some(_) => done(),
                None => asks("the \"state\""),
            }
        }
    }));
    let request = call("any", json!({})).capable(json!({ "elicitation": { "form": {} } }));
    let first = request.send(&server).await;
    assert_eq!(first.result()["requestState"], "the \"state\"");
    assert_eq!(first.result()["inputRequests"]["name"]["method"], "elicitation/create");
    let answer = json!({ "name": { "action": "accept", "content": { "name": "Ada" } } });
    assert_eq!(request.resume(&first, answer).send(&server).await.text(), "done");
    assert_eq!(said.recv().await, Some((None, None)));
    let (state, name) = said.recv().await.expect("the second round");
    assert_eq!(state.as_deref(), Some("the \"state\""));
    assert_eq!(name.as_deref(), Some(r#"{"action":"accept","content":{"name":"Ada"}}"#));
}

#[tokio::test]
async fn rounds_reach_a_real_server_and_end_there() {
    let server = relay();
    let request = call("ask", json!({})).capable(json!({ "elicitation": { "form": {} } }));
    let first = request.send(&server).await;
    let answer = json!({ "name": { "action": "accept", "content": { "name": "Ada" } } });
    assert_eq!(request.resume(&first, answer).send(&server).await.text(), "Ada");
}

#[tokio::test]
async fn nobody_is_asked_for_what_was_not_declared() {
    let server = before(Scripted::answering(|_| async { asks("s") }));
    let refused = call("any", json!({})).capable(json!({ "elicitation": { "url": {} } })).send(&server).await;
    refused.assert_refused(400, -32021);
    assert_eq!(refused.data()["requiredCapabilities"], json!({ "elicitation": { "form": {} } }));
}

#[tokio::test]
async fn progress_and_logs_go_out_as_far_as_they_were_asked_for() {
    let server = before(Scripted::answering(|asked: Asked| async move {
        for progress in [1, 2] {
            let progress = json!({ "progressToken": 7, "progress": progress });
            asked.notices.send("notifications/progress", &raw(progress));
        }
        for level in ["debug", "warning", "none"] {
            asked.notices.send("notifications/message", &raw(json!({ "level": level, "data": "x" })));
        }
        asked.notices.send("notifications/message", &raw(json!(["no object"])));
        done()
    }));
    let request = call("any", json!({}));
    assert_eq!(request.send(&server).await.notifications, Vec::<Value>::new());
    let progress = request.clone().meta("progressToken", json!(7)).send(&server).await;
    assert_eq!(progress.notifications.len(), 2);
    let logs = request.meta("logLevel", json!("info")).send(&server).await;
    let levels: Vec<_> = logs.notifications.iter().map(|log| log["params"]["level"].clone()).collect();
    assert_eq!(levels, ["warning"]);
}

#[tokio::test]
async fn dropping_the_request_drops_the_backends_work() {
    struct Says(mpsc::Sender<&'static str>);
    impl Drop for Says {
        fn drop(&mut self) {
            let _ = self.0.try_send("dropped");
        }
    }
    let (says, mut said) = mpsc::channel(1);
    let server = before(Scripted::answering(move |asked: Asked| {
        let says = Says(says.clone());
        async move {
            asked.notices.send("notifications/progress", &raw(json!({ "progressToken": 7, "progress": 1 })));
            let _says = says;
            pending().await
        }
    }));
    let stream = call("any", json!({})).meta("progressToken", json!(7)).open(&server).await;
    assert!(said.try_recv().is_err());
    drop(stream);
    assert_eq!(said.recv().await, Some("dropped"));
}

#[tokio::test]
async fn a_backend_that_panics_is_an_internal_error_and_the_server_goes_on() {
    let server = before(Scripted::answering(|asked: Asked| {
        let name = asked.request.name().map(std::borrow::Cow::into_owned);
        assert_ne!(name.as_deref(), Some("at once"));
        async move {
            let first = poll_fn(|cx| {
                cx.waker().wake_by_ref();
                Poll::Ready(())
            });
            first.await;
            assert_ne!(name.as_deref(), Some("later"));
            done()
        }
    }));
    for tool in ["at once", "later"] {
        call(tool, json!({})).send(&server).await.assert_refused(500, -32603);
    }
    assert_eq!(call("fine", json!({})).send(&server).await.text(), "done");
}

#[tokio::test(start_paused = true)]
async fn a_backend_has_as_long_as_any_request() {
    let started = Instant::now();
    let server = before(Scripted::answering(|_| pending()));
    let mut stream = call("any", json!({})).open(&server).await;
    assert_eq!(stream.next().await.expect("an answer")["error"]["code"], -32603);
    assert_eq!(started.elapsed(), Limits::default().request_deadline);
}

#[tokio::test]
async fn requests_of_extensions_reach_the_backend() {
    let server = before(Scripted::answering(|asked: Asked| async move {
        assert_eq!((asked.request.method(), &*asked.request.method_name()), (None, "acme/weather"));
        Answered::Result(Bytes::from(format!(r#"{{"resultType":"complete","said":{}}}"#, asked.request.params())))
    }));
    let response = modern("acme/weather", json!({ "city": "Bern" })).begin(&server).await;
    let body = http_body_util::BodyExt::collect(response.into_body()).await.expect("bodies do not fail").to_bytes();
    let body: Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(body["result"]["said"]["city"], "Bern");
}

#[tokio::test]
async fn arguments_are_held_against_their_headers_where_the_backend_knows_the_tool() {
    let schema =
        json!({ "type": "object", "properties": { "region": { "type": "string", "x-mcp-header": "Region" } } });
    let server = before(Scripted::default().mirroring("route", &schema));
    let request = |tool: &str| call(tool, json!({ "region": "eu" }));
    assert_eq!(request("route").header("mcp-param-region", "eu").send(&server).await.text(), "done");
    request("route").header("mcp-param-region", "us").send(&server).await.assert_refused(400, -32020);
    request("route").send(&server).await.assert_refused(400, -32020);
    assert_eq!(request("unknown").header("mcp-param-region", "us").send(&server).await.text(), "done");
}

#[tokio::test]
async fn the_backend_learns_who_asks() {
    #[derive(Clone)]
    struct Route(&'static str);
    let server = before(Scripted::answering(|asked: Asked| async move {
        let caller = &asked.caller;
        let route = caller.extensions.get::<Route>().map_or("none", |route| route.0);
        let subject = caller.principal.as_ref().map_or("nobody", |principal: &Principal| &principal.id().sub);
        let client = caller.info.as_ref().map_or("?", |info| info.name.as_str());
        let forms = caller.capabilities.elicitation.is_some();
        text(&format!("{route} {subject} {client} {forms} {:?} {:?}", caller.log_level, caller.session))
    }));
    let request = call("any", json!({}))
        .principal(alice())
        .capable(json!({ "elicitation": {} }))
        .meta("logLevel", json!("error"));
    let mut request = request.request();
    request.extensions_mut().insert(Route("orders"));
    let Ok(response) = server.clone().call(request).await;
    let answer = Answer::read("tools/call", response).await;
    assert_eq!(answer.text(), "orders alice tester true Some(Error) None");
}

#[tokio::test]
async fn calls_before_a_backend_have_their_rate() {
    let server = builder(Scripted::default()).rate(Rate::per_second(1)).build().expect("it builds");
    assert_eq!(call("any", json!({})).send(&server).await.text(), "done");
    call("any", json!({})).send(&server).await.assert_refused(429, -32603);
    let listed = modern("tools/list", json!({})).begin(&server).await;
    assert_eq!(listed.status(), StatusCode::OK, "a list starts no work");
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_what_no_revision_defines_is_bounded() {
    let mut limits = Limits::default();
    limits.outbox_messages = 4;
    let server = builder(Scripted::answering(|asked: Asked| async move {
        for _ in 0..1000 {
            asked.notices.send("notifications/acme", &raw(json!({})));
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        done()
    }))
    .limits(limits)
    .build()
    .expect("it builds");
    let response = call("any", json!({})).begin(&server).await;
    let body = http_body_util::BodyExt::collect(response.into_body()).await.expect("bodies do not fail").to_bytes();
    assert_eq!(String::from_utf8_lossy(&body).matches("notifications/acme").count(), 4);
}

fn raw(params: Value) -> Box<RawValue> {
    serde_json::value::to_raw_value(&params).expect("JSON")
}
