//! What a request says of the trace it belongs to.

use std::sync::{Arc, Mutex};

use anypod_client::Trace;
use anypod_client::proto::meta;
use serde_json::json;

use crate::cache::{counting, modern};

#[tokio::test]
async fn a_request_says_which_trace_it_belongs_to() {
    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01";
    let server = counting(0, "public");
    let trace = |text: &str| Trace {
        parent: anypod_client::proto::trace::TraceParent::parse(text),
        state: Some("a=1".to_owned()),
        baggage: Some("user=ann".to_owned()),
    };
    let client = modern().trace(move || Some(trace(PARENT))).service(server.clone());
    let own = PARENT.replace("00f067aa0ba902b7", "1111111111111111");
    client.read("file:///a").await.unwrap();
    client.read("file:///a").trace(trace(&own)).await.unwrap();
    client.read("file:///a").meta(meta::TRACEPARENT, own.clone()).await.unwrap();
    client.read("file:///a").trace(Trace { baggage: Some("no baggage".to_owned()), ..Trace::default() }).await.unwrap();
    let told: Vec<_> = server
        .asked()
        .iter()
        .map(|request| {
            [meta::TRACEPARENT, meta::TRACESTATE, meta::BAGGAGE].map(|key| request["params"]["_meta"][key].clone())
        })
        .collect();
    assert_eq!(told[0], [json!(PARENT), json!("a=1"), json!("user=ann")]);
    assert_eq!(told[1], [json!(own), json!("a=1"), json!("user=ann")]);
    assert_eq!(told[2], [json!(own), json!(null), json!("user=ann")]);
    assert_eq!(told[3], [json!(null), json!(null), json!(null)]);
}

#[tokio::test]
async fn the_tracer_is_asked_within_the_span_of_the_request() {
    let subscriber = tracing_subscriber::fmt().with_writer(std::io::sink).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let seen = Arc::new(Mutex::new(None));
    let note = Arc::clone(&seen);
    let tracer = move || {
        *note.lock().unwrap() = tracing::Span::current().metadata().map(|span| span.name().to_owned());
        None
    };
    let client = modern().trace(tracer).service(counting(0, "public"));
    // Another test that meets the span first, at this very moment, may note for all that nobody wants it.
    for _ in 0..1000 {
        tracing::callsite::rebuild_interest_cache();
        client.read("file:///a").await.unwrap();
        if seen.lock().unwrap().is_some() {
            break;
        }
    }
    assert_eq!(seen.lock().unwrap().as_deref(), Some("mcp.client.request"));
}
