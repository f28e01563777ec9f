//! Sessions that every pod knows, and the calls in them.

use std::sync::Arc;
use std::time::Duration;

use anypod_server::proto::seal::{KEY_LEN, Ring};
use anypod_server::{Limits, Server, Tokens};
use http::StatusCode;
use serde_json::{Value, json};

use super::client::Client;
use super::pods::{Away, one, pod, two, two_on_a_bus};
use super::{REVISIONS, accept, assert_error, question};
use crate::support::{World, alice};

#[tokio::test]
async fn a_session_opened_on_one_pod_is_served_by_the_other() {
    let (a, b) = two();
    for revision in REVISIONS {
        let mut client = Client::new(revision);
        let result = client.initialize(&a, json!({})).await;
        assert_eq!(result["protocolVersion"], revision);
        assert_eq!(result["serverInfo"]["name"], "testing");
        assert_eq!(result["capabilities"]["resources"]["subscribe"], true);
        let list = client.request(&b, 2, "tools/list", json!({})).await.json().await;
        assert_eq!(list["id"], 2);
        assert_eq!(list["result"]["tools"][0]["name"], "hello");
        for modern in ["resultType", "ttlMs", "_meta"] {
            assert!(list["result"].get(modern).is_none(), "{modern} in {list}");
        }
        assert_eq!(client.call(&b, "who").await.text().await, "tester 0.1.0");
        assert_eq!(client.request(&b, 3, "ping", json!({})).await.json().await["result"], json!({}));
        assert!(client.get(&b).await.streams());
    }
}

#[tokio::test]
async fn a_session_id_is_short_and_plain() {
    let client = Client::connect(&one()).await;
    let id = client.session.expect("a session");
    assert!(id.len() <= 128 && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'), "{id}");
}

#[tokio::test]
async fn offers_the_latest_revision_to_who_asks_for_an_unknown_one() {
    for unknown in ["2024-11-05", "2099-01-01"] {
        let params = json!({
            "protocolVersion": unknown,
            "capabilities": {},
            "clientInfo": { "name": "tester", "version": "1" },
        });
        let reply = Client::new("2025-11-25").request(&one(), 0, "initialize", params).await.json().await;
        assert_eq!(reply["result"]["protocolVersion"], "2025-11-25");
    }
    let bad = Client::new("2025-11-25").request(&one(), 0, "initialize", json!({ "protocolVersion": 1 })).await;
    assert_eq!(bad.status, StatusCode::OK);
    assert_error(&bad.json().await, -32602, "params");
}

#[tokio::test]
async fn a_session_id_that_does_not_open_is_unknown_to_every_method() {
    let (a, b) = two();
    let client = Client::connect(&a).await;
    let id = client.session.clone().expect("a session");
    let mut ids = vec!["x".to_owned(), "A".repeat(100)];
    for at in 0..id.len() {
        let mut bytes = id.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        ids.push(String::from_utf8(bytes).expect("text"));
    }
    for id in ids {
        let forged = Client { session: Some(id), ..client.clone() };
        for reply in [forged.call(&b, "hello").await, forged.get(&b).await, forged.delete(&b).await] {
            assert_eq!(reply.status, StatusCode::NOT_FOUND);
            assert_error(&reply.json().await, -32600, "unknown session");
        }
    }
}

#[tokio::test]
async fn a_session_belongs_to_the_principal_that_opened_it() {
    let (a, b) = two();
    let mut hers = Client { principal: Some(alice()), ..Client::new("2025-11-25") };
    hers.initialize(&a, json!({})).await;
    assert_eq!(hers.call(&b, "hello").await.text().await, "hello");
    let mallory = anypod_server::Principal::new("https://id.example", "mallory");
    for other in [None, Some(mallory)] {
        let stolen = Client { principal: other, ..hers.clone() };
        for reply in [stolen.call(&b, "hello").await, stolen.get(&b).await, stolen.delete(&b).await] {
            assert_eq!(reply.status, StatusCode::NOT_FOUND);
        }
    }
}

#[tokio::test]
async fn a_session_expires() {
    let world = World::default();
    let server = pod(&world).0.build().expect("it builds");
    let client = Client::connect(&server).await;
    world.advance(Limits::default().session_ttl_secs - 1);
    assert_eq!(client.call(&server, "hello").await.status, StatusCode::OK);
    world.advance(1);
    assert_eq!(client.call(&server, "hello").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_session_that_is_remembered_is_unknown_as_soon_as_its_key_is_gone_and_known_when_it_is_back() {
    let (kept, other) = (Ring::from_keys([1; KEY_LEN], []), Ring::from_keys([2; KEY_LEN], []));
    let tokens = Arc::new(Tokens::new(kept.clone(), "test"));
    let server = pod(&World::default()).0.tokens(Arc::clone(&tokens)).build().expect("it builds");
    let client = Client::connect(&server).await;
    for (ring, status) in [
        (kept.clone(), StatusCode::OK),
        (other.clone(), StatusCode::NOT_FOUND),
        (kept.rotate([2; KEY_LEN], 1), StatusCode::OK),
        (other, StatusCode::NOT_FOUND),
    ] {
        tokens.replace_ring(ring);
        for _ in 0..2 {
            assert_eq!(client.call(&server, "hello").await.status, status);
        }
    }
}

#[tokio::test]
async fn a_session_that_is_remembered_is_unknown_as_soon_as_it_has_ended() {
    let server = Server::new("alone", "1").build().expect("it builds");
    let client = Client::connect(&server).await;
    for _ in 0..2 {
        assert_eq!(client.request(&server, 1, "ping", json!({})).await.status, StatusCode::OK);
    }
    assert_eq!(client.delete(&server).await.status, StatusCode::NO_CONTENT);
    for _ in 0..2 {
        assert_eq!(client.request(&server, 1, "ping", json!({})).await.status, StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn a_request_without_a_session_is_told_to_initialize() {
    let (server, client) = (one(), Client::new("2025-11-25"));
    let reply = client.call(&server, "hello").await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    let response = reply.json().await;
    assert_error(&response, -32600, "initialize");
    assert_eq!(response["id"], 1);
}

#[tokio::test]
async fn a_stream_without_a_session_is_refused_with_the_transports_that_are_built() {
    let reply = Client::new("2024-11-05").get(&one()).await;
    assert_eq!((reply.status, reply.headers["allow"].as_bytes()), (StatusCode::METHOD_NOT_ALLOWED, "POST".as_bytes()));
    let response = reply.json().await;
    for words in ["2024-11-05 is not built", "2025-11-25, 2025-06-18, 2025-03-26"] {
        assert_error(&response, -32600, words);
    }
}

#[tokio::test]
async fn a_session_that_is_deleted_is_unknown_from_then_on() {
    let alone = Server::new("alone", "1").build().expect("it builds");
    let (a, b) = two_on_a_bus();
    for (first, second) in [(&alone, &alone), (&a, &b)] {
        let client = Client::connect(first).await;
        let mut stream = client.get(second).await;
        assert_eq!(client.delete(first).await.status, StatusCode::NO_CONTENT);
        assert_eq!(stream.next().await, None, "its streams end");
        let replies =
            [client.request(second, 1, "ping", json!({})).await, client.get(second).await, client.delete(second).await];
        for reply in replies {
            assert_eq!(reply.status, StatusCode::NOT_FOUND);
        }
        assert_eq!(Client::connect(second).await.request(second, 1, "ping", json!({})).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_fleet_without_a_shared_bus_does_not_promise_to_end_sessions() {
    let (a, b) = two();
    let client = Client::connect(&a).await;
    let reply = client.delete(&a).await;
    assert_eq!(
        (reply.status, reply.headers["allow"].as_bytes()),
        (StatusCode::METHOD_NOT_ALLOWED, "GET, POST".as_bytes())
    );
    for server in [&a, &b] {
        assert_eq!(client.call(server, "hello").await.text().await, "hello");
    }
}

#[tokio::test]
async fn errors_of_json_rpc_are_none_of_http() {
    let server = one();
    let client = Client::connect(&server).await;
    for (method, params, code) in [
        ("resources/read", json!({ "uri": "test://none" }), -32002),
        ("tools/call", json!({ "name": "none" }), -32602),
        ("no/such", json!({}), -32601),
        ("server/discover", json!({}), -32601),
        ("subscriptions/listen", json!({}), -32601),
        ("prompts/list", json!({}), -32601),
        ("logging/setLevel", json!({ "level": "loud" }), -32602),
        ("resources/subscribe", json!({ "uri": "x".repeat(2049) }), -32602),
    ] {
        let reply = client.request(&server, 1, method, params).await;
        assert_eq!(reply.status, StatusCode::OK, "{method}");
        assert_error(&reply.json().await, code, "");
    }
    let mut bare = Client::new("2025-11-25");
    let alone = Server::new("alone", "1").build().expect("it builds");
    bare.initialize(&alone, json!({})).await;
    for method in ["logging/setLevel", "resources/subscribe", "tools/list"] {
        let params = json!({ "level": "info", "uri": "x:y" });
        assert_error(&bare.request(&alone, 1, method, params).await.json().await, -32601, method);
    }
}

#[tokio::test]
async fn results_are_what_the_revision_knows() {
    let server = one();
    for (revision, structured) in [("2025-11-25", true), ("2025-06-18", true), ("2025-03-26", false)] {
        let mut client = Client::new(revision);
        client.initialize(&server, json!({})).await;
        let response = client.call(&server, "structured").await.json().await;
        assert_eq!(response["result"].get("structuredContent").is_some(), structured, "{revision}");
        assert_eq!(response["result"]["content"][0]["text"], r#"{"name":"x"}"#);
    }
}

#[tokio::test]
async fn progress_streams_and_plain_answers_do_not() {
    let (builder, inside, mut said) = pod(&World::default());
    let server = builder.build().expect("it builds");
    let client = Client::connect(&server).await;
    assert!(!client.call(&server, "hello").await.streams());
    let params = json!({ "name": "wait", "arguments": {}, "_meta": { "progressToken": "p" } });
    let mut reply = client.request(&server, 1, "tools/call", params).await;
    assert_eq!(reply.headers["x-accel-buffering"], "no");
    assert_eq!(reply.next().await.expect("progress")["params"]["progressToken"], "p");
    assert_eq!(said.recv().await, Some("waiting"));
    inside.go.notify_one();
    assert_eq!(reply.text().await, "waited");
}

#[tokio::test]
async fn a_client_that_disconnects_has_not_cancelled() {
    let (builder, inside, mut said) = pod(&World::default());
    let server = builder.build().expect("it builds");
    let client = Client::connect(&server).await;
    let params = json!({ "name": "wait", "arguments": {}, "_meta": { "progressToken": 1 } });
    let reply = client.request(&server, 1, "tools/call", params).await;
    assert_eq!(said.recv().await, Some("waiting"));
    drop(reply);
    inside.go.notify_one();
    assert_eq!(said.recv().await, Some("done"));
}

#[tokio::test]
async fn a_question_to_a_client_that_is_gone_is_not_waited_for() {
    let server = one();
    let client = Client::connect(&server).await;
    let mut reply = client.call(&server, "confirm").await;
    let asked = question(&mut reply).await;
    drop(reply);
    tokio::task::yield_now().await;
    assert_eq!(client.answer(&server, &asked, accept("Ada")).await.status, StatusCode::GONE);
    tokio::time::timeout(Duration::from_secs(5), server.drain()).await.expect("nothing is under way");
}

#[tokio::test]
async fn a_cancelled_call_ends_and_gets_no_response() {
    let (world, bus) = (World::default(), super::pods::Shared::default());
    let (builder, _inside, mut said) = pod(&world);
    let a = builder.bus(bus.clone()).build().expect("it builds");
    let b = pod(&world).0.bus(bus).build().expect("it builds");
    let client = Client::connect(&a).await;
    for pod in [&a, &b] {
        let call = tokio::spawn({
            let (client, a) = (client.clone(), a.clone());
            async move { client.request(&a, 7, "tools/call", json!({ "name": "wait" })).await }
        });
        assert_eq!(said.recv().await, Some("waiting"));
        let cancel =
            |id: Value| json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": id } });
        let stranger = Client::connect(pod).await;
        for (client, id) in [(&stranger, json!(7)), (&client, json!("7")), (&client, json!({})), (&client, json!(7))] {
            assert_eq!(client.post(pod, cancel(id)).await.status, StatusCode::ACCEPTED);
            if !call.is_finished() {
                assert!(said.try_recv().is_err());
            }
        }
        assert_eq!(said.recv().await, Some("dropped"));
        assert_eq!(call.await.expect("no panic").next().await, None);
    }
}

#[tokio::test]
async fn what_no_other_pod_can_be_told_is_not_said_to_be_done() {
    let (builder, _inside, mut said) = pod(&World::default());
    let server = builder.bus(Away).build().expect("it builds");
    let client = Client::connect(&server).await;
    let resource = json!({ "uri": "test://a" });
    for reply in [
        client.delete(&server).await,
        client.request(&server, 2, "resources/subscribe", resource.clone()).await,
        client.request(&server, 3, "resources/unsubscribe", resource).await,
        client.request(&server, 4, "logging/setLevel", json!({ "level": "info" })).await,
    ] {
        assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(reply.headers["retry-after"], "2");
    }
    // The session has not ended, and a call that runs here is cancelled all the same.
    let call = tokio::spawn({
        let (client, server) = (client.clone(), server.clone());
        async move { client.request(&server, 7, "tools/call", json!({ "name": "wait" })).await }
    });
    assert_eq!(said.recv().await, Some("waiting"));
    let cancel = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 7 } });
    assert_eq!(client.post(&server, cancel).await.status, StatusCode::ACCEPTED);
    assert_eq!(said.recv().await, Some("dropped"));
    assert_eq!(call.await.expect("no panic").next().await, None);
}
