//! Spans on their way to a real collector: a listener that speaks HTTP.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use anypod_proto::code::Code;

use super::*;
use crate::config;
use crate::observe::tests::world::World;
use crate::observe::{MetaTrace, Observer, Outcome, Seen};

const PATIENCE: Duration = Duration::from_secs(60);
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01";

/// Answers every batch with this, and hands over what came.
async fn collector(status: StatusCode, answer: &'static str) -> (SocketAddr, mpsc::Receiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, batches) = mpsc::channel(16);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let sender = sender.clone();
            let service = service_fn(move |request: Request<Incoming>| {
                let sender = sender.clone();
                async move {
                    assert_eq!((request.uri().path(), request.method()), ("/v1/traces", &http::Method::POST));
                    assert_eq!(request.headers()["content-type"], "application/json");
                    let body = request.into_body().collect().await.unwrap().to_bytes();
                    sender.send(serde_json::from_slice(&body).unwrap()).await.unwrap();
                    let mut response = Response::new(Full::<Bytes>::from(answer));
                    *response.status_mut() = status;
                    Ok::<_, std::convert::Infallible>(response)
                }
            });
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    (address, batches)
}

fn observer(address: SocketAddr) -> Arc<Observer> {
    let otlp = Some(format!("http://{address}/v1/traces"));
    World::default().observer(&config::Observe { otlp, ..Default::default() })
}

fn counts(observer: &Observer) -> (u64, u64) {
    let exporter = observer.exporter.as_ref().unwrap();
    (exporter.sent(), exporter.dropped())
}

/// The spans of a batch, and what they say as plain values.
fn spans(batch: &Value) -> Vec<(Value, Value)> {
    let spans = batch["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap();
    spans.iter().map(|span| (span.clone(), plain(&span["attributes"]))).collect()
}

fn plain(attributes: &Value) -> Value {
    let pair = |attribute: &Value| {
        let value = attribute["value"].as_object().unwrap().values().next().unwrap();
        (attribute["key"].as_str().unwrap().to_owned(), value.clone())
    };
    attributes.as_array().unwrap().iter().map(pair).collect::<serde_json::Map<_, _>>().into()
}

#[tokio::test]
async fn a_request_is_a_server_span_with_a_client_span_below() {
    let (address, mut batches) = collector(StatusCode::OK, "{}").await;
    let observer = observer(address);
    let seen = observer.traced_call("add", PARENT);
    let sent_on = seen.trace.as_ref().unwrap().sent_on().unwrap();
    observer.done(seen);
    observer.flush(PATIENCE).await;
    let batch = batches.recv().await.unwrap();
    assert_eq!(plain(&batch["resourceSpans"][0]["resource"]["attributes"])["service.name"], "anypod-gateway");
    let spans = spans(&batch);
    let [(server, server_says), (client, client_says)] = spans.as_slice() else { panic!("{spans:?}") };
    for span in [server, client] {
        assert_eq!(span["traceId"], "0af7651916cd43dd8448eb211c80319c");
        assert_eq!((&span["name"], &span["traceState"]), (&json!("tools/call add"), &json!("a=1")));
        assert_eq!(span["status"], json!({ "code": 0 }));
    }
    assert_eq!((&server["kind"], &server["parentSpanId"]), (&json!(2), &json!("00f067aa0ba902b7")));
    assert_eq!((&client["kind"], &client["parentSpanId"]), (&json!(3), &server["spanId"]));
    assert_eq!(
        sent_on.parent.to_string(),
        format!("00-0af7651916cd43dd8448eb211c80319c-{}-01", client["spanId"].as_str().unwrap())
    );
    let nanos = |span: &Value, key: &str| span[key].as_str().unwrap().parse::<u64>().unwrap();
    assert_eq!(nanos(server, "endTimeUnixNano") - nanos(server, "startTimeUnixNano"), 5_000_000);
    assert_eq!(nanos(client, "startTimeUnixNano") - nanos(server, "startTimeUnixNano"), 1_000_000);
    assert_eq!(
        *server_says,
        json!({
            "mcp.method.name": "tools/call", "network.transport": "tcp", "anypod.outcome": "ok",
            "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "add", "http.request.method": "POST",
            "http.response.status_code": "200", "http.route": "/mcp", "mcp.protocol.version": "2026-07-28",
            "anypod.client.era": "modern", "anypod.client.name": "desk", "anypod.client.version": "2.0",
            "anypod.cached": false,
        })
    );
    assert_eq!(
        (&client_says["anypod.upstream"], &client_says["anypod.pod"]),
        (&json!("tools"), &json!("10.0.0.5:9000"))
    );
    assert_eq!(counts(&observer), (1, 0));
}

#[tokio::test]
async fn a_failure_says_what_kind_it_was() {
    let (address, mut batches) = collector(StatusCode::OK, "").await;
    let observer = observer(address);
    let code = Code::InternalError.number();
    for (outcome, code) in [
        (Outcome::ToolError, None),
        (Outcome::Error, Some(code)),
        (Outcome::Failed("connect_timeout"), None),
        (Outcome::Cancelled, None),
    ] {
        observer.done(Seen { outcome, code, leg: None, ..observer.traced_call("add", PARENT) });
    }
    observer.flush(PATIENCE).await;
    let said: Vec<_> = spans(&batches.recv().await.unwrap())
        .into_iter()
        .map(|(span, says)| (span["status"]["code"].clone(), says["error.type"].clone()))
        .collect();
    let expected =
        [json!("tool_error"), json!(code.to_string()), json!("connect_timeout")].map(|kind| (json!(2), kind));
    assert_eq!(said[..3], expected);
    assert_eq!(said[3], (json!(0), Value::Null));
}

#[tokio::test]
async fn what_the_caller_does_not_record_is_not_sent_and_a_header_beside_meta_is_a_link() {
    let (address, mut batches) = collector(StatusCode::OK, "{}").await;
    let observer = observer(address);
    observer.done(observer.traced_call("unsampled", &PARENT.replace("-01", "-00")));
    let mut headers = http::HeaderMap::new();
    let header = http::HeaderValue::from_static("00-11111111111111111111111111111111-2222222222222222-01");
    headers.insert(anypod_proto::meta::TRACEPARENT, header);
    let trace = observer.trace(&headers, MetaTrace { parent: Some(PARENT), state: None });
    observer.done(Seen { trace, ..observer.call("linked") });
    observer
        .done(Seen { trace: observer.trace(&http::HeaderMap::new(), MetaTrace::default()), ..observer.call("root") });
    observer.flush(PATIENCE).await;
    let spans = spans(&batches.recv().await.unwrap());
    assert_eq!(spans.len(), 4, "{spans:?}");
    let link = json!([{ "traceId": "11111111111111111111111111111111", "spanId": "2222222222222222" }]);
    assert_eq!((&spans[0].0["name"], &spans[0].0["links"]), (&json!("tools/call linked"), &link));
    assert_eq!((&spans[2].0["name"], spans[2].0.get("parentSpanId")), (&json!("tools/call root"), None));
}

#[tokio::test]
async fn spans_are_dropped_and_counted_while_the_collector_is_away() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let observer = observer(address);
    for _ in 0..3 {
        observer.done(observer.traced_call("add", PARENT));
    }
    observer.flush(PATIENCE).await;
    assert_eq!(counts(&observer), (0, 3));
}

#[tokio::test]
async fn a_collector_that_refuses_has_not_taken_them() {
    let (address, _batches) = collector(StatusCode::SERVICE_UNAVAILABLE, "").await;
    let busy = observer(address);
    busy.done(busy.traced_call("add", PARENT));
    busy.flush(PATIENCE).await;
    assert_eq!(counts(&busy), (0, 1));
    let (address, _batches) = collector(StatusCode::OK, r#"{"partialSuccess":{"rejectedSpans":"1"}}"#).await;
    let picky = observer(address);
    picky.done(picky.traced_call("add", PARENT));
    picky.done(picky.traced_call("add", PARENT));
    picky.flush(PATIENCE).await;
    assert_eq!(counts(&picky), (1, 1));
}

#[tokio::test]
async fn what_a_slow_collector_has_no_time_for_is_dropped() {
    // It accepts, and never answers.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let observer = observer(listener.local_addr().unwrap());
    // The task does not run before we wait for something: the queue has room for so many.
    for _ in 0..QUEUE + 7 {
        observer.done(observer.traced_call("add", PARENT));
    }
    assert_eq!(counts(&observer), (0, 7));
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_sent_when_it_is_full_or_its_time_has_come() {
    let (queue, mut items) = mpsc::channel(QUEUE);
    let observer = World::default().metrics(10);
    for _ in 0..BATCH + 1 {
        queue
            .try_send(Item::Record(Arc::new(Record { seen: observer.call("add"), ended: super::super::Nanos(0) })))
            .unwrap_or_else(|_| panic!("there is room"));
    }
    let began = Instant::now();
    let mut sizes = Vec::new();
    for _ in 0..2 {
        let mut batch = Vec::new();
        let first = items.recv().await.unwrap();
        assert!(fill(&mut batch, first, &mut items).await.is_none());
        sizes.push((batch.len(), began.elapsed()));
    }
    assert_eq!(sizes[0], (BATCH, Duration::ZERO));
    assert_eq!(sizes[1].0, 1);
    assert!(sizes[1].1 >= INTERVAL && sizes[1].1 < INTERVAL + Duration::from_millis(10));
}
