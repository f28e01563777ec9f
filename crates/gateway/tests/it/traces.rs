//! Traces: continued from what clients say, told to a collector, and said to upstreams.

use std::sync::Arc;

use anypod_gateway::config::EraChoice;
use anypod_server::proto::meta::{TRACEPARENT, TRACESTATE};
use anypod_testkit::script::{Expect, Received, Reply, Script, Server};
use serde_json::{Value, json};

use crate::support::collector::{Collector, Span};
use crate::support::{Pod, Replica, Seen, Sent, config, legacy, meta, served, upstream_at};

const META: &str = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01";
const HEADER: &str = "00-11111111111111111111111111111111-2222222222222222-01";

async fn says() -> Server {
    let says = Reply::result(&json!({ "resultType": "complete", "content": [] }));
    Script::new().always(Expect::any(), says).serve().await.unwrap()
}

/// One upstream, or two as one.
async fn traced(servers: &[&Server], collector: Option<&Collector>) -> Replica {
    let upstream = |(number, server): (usize, &&Server)| {
        upstream_at(&format!("server-{number}"), EraChoice::Modern, &[server.url()])
    };
    let mut config = config(servers.iter().enumerate().map(upstream));
    config.observe.otlp = collector.map(|collector| collector.endpoint.clone());
    Replica::alone(config).await
}

/// A call of a tool, with an argument of this length, that says this of its trace.
fn call(length: usize, in_meta: Option<(&str, &str)>, in_header: Option<(&str, &str)>) -> Sent {
    let mut meta = meta();
    if let Some((parent, state)) = in_meta {
        (meta[TRACEPARENT], meta[TRACESTATE]) = (json!(parent), json!(state));
    }
    let params = json!({ "_meta": meta, "name": "echo", "arguments": { "pad": "x".repeat(length) } });
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
    let sent = Sent::post(body.to_string())
        .with("mcp-protocol-version", "2026-07-28")
        .with("mcp-method", "tools/call")
        .with("mcp-name", "echo");
    match in_header {
        Some((parent, state)) => sent.with(TRACEPARENT, parent).with(TRACESTATE, state),
        None => sent,
    }
}

/// What a pod was told of the trace in the header and in `_meta`.
fn told(received: &Received) -> [(Value, Value); 2] {
    let header = |name: &str| received.header(name).map_or(Value::Null, |value| json!(value));
    let meta = &received.json()["params"]["_meta"];
    [(header(TRACEPARENT), header(TRACESTATE)), (meta[TRACEPARENT].clone(), meta[TRACESTATE].clone())]
}

/// The pair of spans of one call: the server's, and below it the client's.
fn pair(spans: &[Span]) -> (&Span, &Span) {
    let of = |kind: u64| spans.iter().find(|span| span.json["kind"] == kind).unwrap();
    let (server, client) = (of(2), of(3));
    assert_eq!(client.text("parentSpanId"), server.text("spanId"));
    assert_eq!(client.text("traceId"), server.text("traceId"));
    (server, client)
}

#[tokio::test]
async fn a_trace_is_continued_from_meta_or_the_header_and_said_in_both() {
    for (in_meta, in_header, continued, state) in [
        (None, None, None, None),
        (Some((META, "from=meta")), None, Some(META), Some("from=meta")),
        (None, Some((HEADER, "from=header")), Some(HEADER), Some("from=header")),
        (Some((META, "from=meta")), Some((HEADER, "from=header")), Some(META), Some("from=meta")),
        // What is malformed is none.
        (Some(("00-0-0-0", "x=1")), Some((HEADER, "from=header")), Some(HEADER), Some("from=header")),
    ] {
        let (collector, server) = (Collector::start().await, says().await);
        let replica = traced(&[&server], Some(&collector)).await;
        call(0, in_meta, in_header).to(replica.address).await.result();
        let spans = collector.spans(2).await;
        let (of_server, of_client) = pair(&spans);
        let parts: Vec<_> = continued.unwrap_or_default().split('-').collect();
        if let [_, trace, parent, _] = parts.as_slice() {
            assert_eq!((of_server.text("traceId"), of_server.text("parentSpanId")), (*trace, *parent));
        } else {
            assert_eq!(of_server.text("parentSpanId"), "");
        }
        let links = in_meta.is_some_and(|(meta, _)| meta == META) && in_header.is_some();
        assert_eq!(of_server.json["links"].is_array(), links);
        let state = state.map_or(Value::Null, |state| json!(state));
        let said = (json!(of_client.parent_of_others()), state);
        let [received] = server.received().try_into().unwrap();
        assert_eq!(told(&received), [said.clone(), said], "{in_meta:?} {in_header:?}");
        assert_eq!(of_server.says["mcp.method.name"], "tools/call");
        assert_eq!(of_client.says["anypod.pod"], server.url());
    }
}

#[tokio::test]
async fn a_long_body_says_in_the_header_what_it_cannot_say_in_meta() {
    for in_meta in [None, Some((META, "from=meta"))] {
        let (collector, server) = (Collector::start().await, says().await);
        let replica = traced(&[&server], Some(&collector)).await;
        call(3 << 20, in_meta, Some((HEADER, "from=header"))).to(replica.address).await.result();
        let spans = collector.spans(2).await;
        let (of_server, of_client) = pair(&spans);
        assert!(HEADER.contains(of_server.text("traceId")), "{of_server:?}");
        let said = (json!(of_client.parent_of_others()), json!("from=header"));
        let [received] = server.received().try_into().unwrap();
        let [header, meta] = told(&received);
        assert_eq!(header, said);
        // Where something stands there, it is not another trace.
        assert_eq!(meta, if in_meta.is_some() { said } else { (Value::Null, Value::Null) });
    }
}

#[tokio::test]
async fn without_a_collector_or_when_the_caller_does_not_record_it_all_goes_on_as_it_came() {
    let unsampled = (META.replace("-01", "-00"), HEADER.replace("-01", "-00"));
    let collector = Collector::start().await;
    for (recording, meta, header) in
        [(None, META, HEADER), (Some(&collector), unsampled.0.as_str(), unsampled.1.as_str())]
    {
        for length in [0, 3 << 20] {
            for in_header in [None, Some((header, "from=header"))] {
                let server = says().await;
                let replica = traced(&[&server], recording).await;
                call(length, Some((meta, "from=meta")), in_header).to(replica.address).await.result();
                let came =
                    in_header.map_or((Value::Null, Value::Null), |(parent, state)| (json!(parent), json!(state)));
                let [received] = server.received().try_into().unwrap();
                // A long one is known by its header alone, and may begin a trace without one.
                if length == 0 || in_header.is_some() || recording.is_none() {
                    assert_eq!(told(&received), [came, (json!(meta), json!("from=meta"))], "{length} {in_header:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn what_is_translated_for_several_upstreams_says_so_too() {
    let tool = json!({ "name": "echo", "inputSchema": { "type": "object" } });
    let list = json!({ "resultType": "complete", "tools": [tool], "ttlMs": 60_000, "cacheScope": "public" });
    let script = || {
        let says = Reply::result(&json!({ "resultType": "complete", "content": [] }));
        Script::new()
            .always(Expect::method("tools/list"), Reply::result(&list))
            .always(Expect::method("tools/call"), says)
    };
    let servers = [script().serve().await.unwrap(), script().serve().await.unwrap()];
    let collector = Collector::start().await;
    let replica = traced(&[&servers[0], &servers[1]], Some(&collector)).await;
    // First by way of the lists, then as bytes.
    for _ in 0..2 {
        let call = Sent::call("server-1__echo", json!({})).with(TRACEPARENT, HEADER);
        call.to(replica.address).await.result();
    }
    let spans = collector.spans(4).await;
    let sent: Vec<_> = spans.iter().filter(|span| span.json["kind"] == 3).map(Span::parent_of_others).collect();
    let called =
        servers[1].received().into_iter().filter(|received| received.method().as_deref() == Some("tools/call"));
    let called: Vec<_> = called.collect();
    assert_eq!((called.len(), sent.len()), (2, 2));
    for received in &called {
        assert_eq!(received.json()["params"]["name"], "echo");
        let [header, meta] = told(received);
        assert_eq!(header, meta);
        assert!(sent.iter().any(|parent| header.0 == **parent), "{header:?} is none of {sent:?}");
    }
}

#[tokio::test]
async fn what_goes_on_in_a_session_is_traced_for_clients_of_both_eras() {
    let pod = Pod::start(served(&Seen::default())).await;
    let collector = Collector::start().await;
    let mut config = config([legacy([&pod])]);
    config.observe.otlp = Some(collector.endpoint.clone());
    let replica = Replica::alone(config).await;
    let at = replica.address;
    Sent::call("echo", json!({ "text": "x" })).with(TRACEPARENT, HEADER).to(at).await.result();
    let spans = collector.spans(2).await;
    let (of_server, of_client) = pair(&spans);
    assert!(HEADER.contains(of_server.text("traceId")), "{of_server:?}");
    assert_eq!(of_client.says["anypod.pod"], pod.url());

    let opened = Sent::initialize().to(at).await;
    let session = opened.header("mcp-session-id").unwrap().to_owned();
    let meta = json!({ TRACEPARENT: META });
    let params = json!({ "name": "echo", "arguments": { "text": "x" }, "_meta": meta });
    Sent::legacy(&session, "tools/call", params).to(at).await.result();
    let call = |spans: &[Span]| spans.iter().filter(|span| META.contains(span.text("traceId"))).count();
    let mut count = 4;
    while call(&collector.spans(count).await) < 2 {
        count += 1;
    }
}

#[tokio::test]
async fn a_legacy_server_is_told_of_the_trace_in_meta() {
    let initialized = json!({
        "protocolVersion": "2025-11-25", "capabilities": { "tools": {} },
        "serverInfo": { "name": "old", "version": "1" },
    });
    let heard = Arc::new(std::sync::Mutex::new(Vec::new()));
    let hears = {
        let heard = Arc::clone(&heard);
        move |received: &Received| {
            heard.lock().unwrap().push(received.json()["params"]["_meta"][TRACEPARENT].clone());
            Reply::result(&json!({ "content": [] }))
        }
    };
    let server = Script::new()
        .always(Expect::method("initialize"), Reply::result(&initialized))
        .always(Expect::method("tools/call"), hears)
        .always(Expect::any(), Reply::empty(202))
        .serve()
        .await
        .unwrap();
    let collector = Collector::start().await;
    let mut config = config([upstream_at("server", EraChoice::Legacy, &[server.url()])]);
    config.observe.otlp = Some(collector.endpoint.clone());
    let replica = Replica::alone(config).await;
    Sent::call("echo", json!({})).with(TRACEPARENT, HEADER).to(replica.address).await.result();
    let spans = collector.spans(2).await;
    let (_, of_client) = pair(&spans);
    assert_eq!(*heard.lock().unwrap(), [json!(of_client.parent_of_others())]);
}
