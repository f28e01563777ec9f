//! Legacy clients of a server with a backend.

use std::future::pending;
use std::sync::Arc;

use anypod_server::proto::reject::Rejection;
use anypod_server::proto::rounds::InputRequiredResult;
use anypod_server::{Answered, Asked, Limits, Refusal, Server};
use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::{Duration, Instant};

use super::relay::Relay;
use super::scripted::{Scripted, asks, done, everything, text};
use super::{before, builder};
use crate::front::client::{Client, everything as capable};
use crate::front::{accept, assert_error, question};
use crate::support::World;
use crate::support::fixture::{base, full};

/// Two pods of a fleet before one real server, reached on ports of their own.
async fn reachable() -> (Server, Server) {
    let upstream = full(&World::default()).build().expect("it builds");
    let (world, mut listeners) = (World::default(), Vec::new());
    for _ in 0..2 {
        listeners.push(TcpListener::bind("127.0.0.1:0").await.expect("a port"));
    }
    let urls: Vec<_> =
        listeners.iter().map(|l| format!("http://{}/mcp", l.local_addr().expect("an address"))).collect();
    let servers: Vec<_> = listeners
        .into_iter()
        .zip(&urls)
        .map(|(listener, url)| {
            let relay = Relay { upstream: upstream.clone(), bus: Arc::default() };
            let server = base(&world).backend(relay).advertise(url.clone()).peers(urls.clone()).build();
            let server = server.expect("it builds");
            tokio::spawn(server.clone().serve(listener, pending()));
            server
        })
        .collect();
    (servers[0].clone(), servers[1].clone())
}

#[tokio::test]
async fn initialize_says_what_the_backend_is() {
    let described = || {
        let mut found = everything();
        let meta = json!({ "io.modelcontextprotocol/serverInfo": { "name": "behind", "version": "9" } });
        found.meta = serde_json::from_value(meta).expect("_meta");
        found.with_instructions("Mind the gap")
    };
    let server = before(Scripted::default().discovering(move |caller| {
        assert!(caller.session.is_some() && caller.capabilities.elicitation.is_some());
        std::future::ready(Ok(described()))
    }));
    let result = Client::new("2025-11-25").initialize(&server, capable()).await;
    assert_eq!(result["serverInfo"], json!({ "name": "behind", "version": "9" }));
    assert_eq!(result["instructions"], "Mind the gap");
    assert_eq!(result["capabilities"]["resources"], json!({ "subscribe": true }));
    let nameless = Client::new("2025-11-25").initialize(&before(Scripted::default()), json!({})).await;
    assert_eq!(nameless["serverInfo"]["name"], "testing", "the server's own name, where the backend says none");
}

#[tokio::test(start_paused = true)]
async fn no_session_is_opened_while_the_backend_does_not_say_what_it_is() {
    let initialize = |server: Server| async move {
        let params = json!({
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" },
        });
        Client::new("2025-11-25").request(&server, 0, "initialize", params).await
    };
    let refusing =
        Scripted::default().discovering(|_| std::future::ready(Err(Rejection::Busy { retry_after_secs: 3 }.into())));
    let reply = initialize(before(refusing)).await;
    assert_eq!((reply.status, reply.headers["retry-after"].as_bytes()), (StatusCode::SERVICE_UNAVAILABLE, &b"3"[..]));
    assert!(!reply.headers.contains_key("mcp-session-id"));
    let started = Instant::now();
    let reply = initialize(before(Scripted::default().discovering(|_| pending()))).await;
    assert_eq!(started.elapsed(), Limits::default().backend_deadline);
    assert_error(&reply.json().await, -32603, "too long");
    let reply = initialize(before(Scripted::default().discovering(|_| async { panic!("on purpose") }))).await;
    assert_error(&reply.json().await, -32603, "internal");
}

#[tokio::test]
async fn results_are_those_of_the_clients_revision() {
    let (server, _) = reachable().await;
    for version in crate::front::REVISIONS {
        let mut client = Client::new(version);
        client.initialize(&server, capable()).await;
        let listed = client.request(&server, 1, "tools/list", json!({})).await.json().await;
        let add = listed["result"]["tools"].as_array().expect("tools").iter().find(|tool| tool["name"] == "add");
        assert_eq!(add.expect("it is listed").get("outputSchema").is_some(), version != "2025-03-26");
        assert!(listed["result"].get("resultType").is_none() && listed["result"].get("ttlMs").is_none());
        let params = json!({ "name": "add", "arguments": { "a": 1, "b": 2 } });
        let called = client.request(&server, 2, "tools/call", params).await.json().await;
        assert_eq!(called["result"]["content"][0]["text"], r#"{"sum":3}"#);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_of_a_real_server_is_asked_on_the_stream_and_answered_through_another_pod() {
    let (a, b) = reachable().await;
    let client = Client::connect(&b).await;
    let mut reply = client.call(&a, "ask").await;
    let asked = question(&mut reply).await;
    assert_eq!(asked["method"], "elicitation/create");
    assert_eq!(client.answer(&b, &asked, accept("Ada")).await.status, StatusCode::ACCEPTED);
    assert_eq!(reply.text().await, "Ada");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_ends_on_one_pod_has_ended_on_its_peers() {
    let (a, b) = reachable().await;
    let client = Client::connect(&a).await;
    assert_eq!(client.delete(&a).await.status, StatusCode::NO_CONTENT);
    for pod in [&a, &b] {
        assert_eq!(client.call(pod, "count").await.status, StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn progress_and_logs_of_a_real_server_come_before_the_result() {
    let (server, _) = reachable().await;
    let client = Client::connect(&server).await;
    let params = json!({ "name": "report", "arguments": {}, "_meta": { "progressToken": "mine" } });
    let mut methods = Vec::new();
    let mut reply = client.request(&server, 1, "tools/call", params).await;
    while let Some(message) = reply.next().await {
        if message["method"] == "notifications/progress" {
            assert_eq!(message["params"]["progressToken"], "mine");
        }
        methods.push(message["method"].as_str().unwrap_or("result").to_owned());
    }
    let count = |method: &str| methods.iter().filter(|other| *other == method).count();
    assert_eq!((count("notifications/progress"), count("notifications/message"), count("result")), (3, 4, 1));
}

#[tokio::test]
async fn logs_go_out_from_the_level_that_the_session_sets() {
    let server = before(Scripted::answering(|asked: Asked| async move {
        for level in ["debug", "info", "error"] {
            let params = serde_json::value::to_raw_value(&json!({ "level": level, "data": "x" })).expect("JSON");
            asked.notices.send("notifications/message", &params);
        }
        text(&format!("{:?}", asked.caller.log_level))
    }));
    let client = Client::connect(&server).await;
    let reply = client.request(&server, 1, "logging/setLevel", json!({ "level": "error" })).await;
    assert_eq!(reply.json().await["result"], json!({}));
    let mut reply = client.call(&server, "any").await;
    assert_eq!(reply.next().await.expect("a message")["params"]["level"], "error");
    assert_eq!(reply.text().await, "Some(Error)");
}

#[tokio::test]
async fn what_a_session_may_set_depends_on_what_the_backend_can_do() {
    let plain = Scripted::default().discovering(|_| {
        let mut found = everything();
        found.capabilities.logging = None;
        if let Some(resources) = &mut found.capabilities.resources {
            resources.subscribe = None;
        }
        std::future::ready(Ok(found))
    });
    let server = before(plain);
    let client = Client::connect(&server).await;
    for (method, params) in
        [("logging/setLevel", json!({ "level": "error" })), ("resources/subscribe", json!({ "uri": "a:b" }))]
    {
        let reply = client.request(&server, 1, method, params).await;
        assert_error(&reply.json().await, -32601, method);
    }
    let ping = client.request(&server, 2, "ping", json!({})).await;
    assert_eq!(ping.json().await["result"], json!({}));
}

#[tokio::test]
async fn a_challenge_is_http_to_a_legacy_client_too() {
    let server = before(Scripted::answering(|_| async {
        let challenge = vec![HeaderValue::from_static("Bearer")];
        Answered::Refused(Refusal::Unauthorized { status: StatusCode::UNAUTHORIZED, challenge })
    }));
    let client = Client::connect(&server).await;
    let reply = client.call(&server, "any").await;
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
    assert_eq!(reply.headers["www-authenticate"], "Bearer");
    assert_error(&reply.json().await, -32600, "authorization");
}

#[tokio::test]
async fn a_refusal_is_an_error_of_json_rpc_and_none_of_http() {
    let refusing = |code, data: Value| {
        before(Scripted::answering(move |_| {
            let (message, data) = ("not today".to_owned(), Some(data.clone()));
            let status = StatusCode::BAD_REQUEST;
            std::future::ready(Answered::Refused(Refusal::Error { status, code, message, data }))
        }))
    };
    let server = refusing(-32050, json!({ "day": "Friday" }));
    let client = Client::connect(&server).await;
    let reply = client.call(&server, "any").await;
    assert_eq!(reply.status, StatusCode::OK);
    let response = reply.json().await;
    assert_eq!(response["error"], json!({ "code": -32050, "message": "not today", "data": { "day": "Friday" } }));
    let server = refusing(-32602, json!({ "uri": "a:b" }));
    let client = Client::connect(&server).await;
    let reply = client.request(&server, 1, "resources/read", json!({ "uri": "a:b" })).await;
    assert_error(&reply.json().await, -32002, "not today");
}

#[tokio::test]
async fn a_result_that_the_client_cannot_read_is_an_error() {
    for result in [r#"{"resultType":"task","taskId":"t"}"#, r#"{"resultType":"input_required"}"#, "[]", "no"] {
        let server = before(Scripted::answering(move |_| async move { Answered::Result(Bytes::from(result)) }));
        let client = Client::connect(&server).await;
        assert_error(&client.call(&server, "any").await.json().await, -32603, "internal");
    }
}

#[tokio::test]
async fn requests_of_extensions_reach_the_backend_and_those_of_modern_revisions_do_not() {
    let server = before(Scripted::answering(|asked: Asked| async move {
        let method = asked.request.method_name().into_owned();
        Answered::Result(Bytes::from(format!(r#"{{"resultType":"complete","ttlMs":1,"method":"{method}"}}"#)))
    }));
    let client = Client::connect(&server).await;
    let reply = client.request(&server, 1, "acme/weather", json!({})).await.json().await;
    assert_eq!(reply["result"], json!({ "method": "acme/weather" }));
    for method in ["server/discover", "subscriptions/listen"] {
        let reply = client.request(&server, 1, method, json!({})).await.json().await;
        assert_error(&reply, -32601, method);
    }
}

#[tokio::test(start_paused = true)]
async fn a_round_that_asks_nothing_is_repeated_after_a_while_and_not_for_ever() {
    let patient = Scripted::answering(|asked: Asked| async move {
        match asked.state.as_deref() {
            None => Answered::Asks(InputRequiredResult::again("1")),
            Some("1") => Answered::Asks(InputRequiredResult::again("2")),
            Some(_) => done(),
        }
    });
    let server = before(patient);
    let (client, started) = (Client::connect(&server).await, Instant::now());
    assert_eq!(client.call(&server, "any").await.text().await, "done");
    assert_eq!(started.elapsed(), Duration::from_secs(2));
    let endless = before(Scripted::answering(|_| async { Answered::Asks(InputRequiredResult::again("1")) }));
    let client = Client::connect(&endless).await;
    assert_error(&client.call(&endless, "any").await.response().await, -32603, "rounds");
}

#[tokio::test]
async fn nobody_is_asked_for_what_the_session_did_not_declare() {
    let server = before(Scripted::answering(|_| async { asks("s") }));
    let mut client = Client::new("2025-11-25");
    client.initialize(&server, json!({ "roots": {} })).await;
    let refused = client.call(&server, "any").await.json().await;
    assert_error(&refused, -32021, "capability");
}

#[tokio::test]
async fn a_cancelled_call_drops_the_backends_work() {
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
            let progress = json!({ "progressToken": 7, "progress": 1 });
            asked.notices.send("notifications/progress", &serde_json::value::to_raw_value(&progress).expect("JSON"));
            let _says = says;
            pending().await
        }
    }));
    let client = Client::connect(&server).await;
    let params = json!({ "name": "any", "arguments": {}, "_meta": { "progressToken": 7 } });
    let mut reply = client.request(&server, 1, "tools/call", params).await;
    assert_eq!(reply.next().await.expect("progress")["params"]["progress"], 1);
    let cancel = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 1 } });
    client.post(&server, cancel).await;
    assert_eq!(said.recv().await, Some("dropped"));
    assert!(reply.next().await.is_none(), "a cancelled call has no answer");
}

#[tokio::test]
async fn the_backend_learns_which_session_asks() {
    let server = builder(Scripted::answering(|asked: Asked| async move {
        text(&format!("{} {:?}", asked.caller.version, asked.caller.session))
    }));
    let server = server.build().expect("it builds");
    let (one, other) = (Client::connect(&server).await, Client::connect(&server).await);
    let told = one.call(&server, "any").await.text().await;
    assert!(told.starts_with("2025-11-25 Some("), "{told}");
    assert_eq!(one.call(&server, "any").await.text().await, told);
    assert_ne!(other.call(&server, "any").await.text().await, told);
}
