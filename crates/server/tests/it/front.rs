//! Legacy clients before several pods: sessions without a store, questions whose answers reach another pod.

mod client;
mod pods;

use std::time::Duration;

use anypod_server::{Event, Limits, Server};
use http::StatusCode;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::{World, alice};
use client::{Client, Reply, everything};
use pods::{one, pod, two, two_on_a_bus};

const REVISIONS: [&str; 3] = ["2025-11-25", "2025-06-18", "2025-03-26"];

fn accept(name: &str) -> Value {
    json!({ "action": "accept", "content": { "name": name } })
}

/// The question that a call asks next.
async fn question(reply: &mut Reply) -> Value {
    let message = reply.next().await.expect("a question");
    assert!(message["id"].is_string() && message["method"].is_string(), "{message}");
    message
}

#[track_caller]
fn assert_error(response: &Value, code: i32, words: &str) {
    let error = &response["error"];
    let message = error["message"].as_str().unwrap_or_else(|| panic!("{response}"));
    assert!(error["code"] == code && message.contains(words), "{response}");
}

// Sessions

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

// Calls

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

// Questions

#[tokio::test]
async fn a_question_goes_out_on_the_stream_of_its_call() {
    let server = one();
    let client = Client::connect(&server).await;
    for (answer, told) in [
        (accept("Ada"), "accepted Ada"),
        (json!({ "action": "decline" }), "declined"),
        (json!({ "action": "cancel" }), "cancelled"),
    ] {
        let mut reply = client.call(&server, "confirm").await;
        let asked = question(&mut reply).await;
        assert_eq!(
            (asked["method"].as_str(), &asked["params"]["message"]),
            (Some("elicitation/create"), &json!("Who?"))
        );
        assert_eq!(asked["params"]["requestedSchema"]["properties"]["name"]["type"], "string");
        assert_eq!(client.answer(&server, &asked, answer).await.status, StatusCode::ACCEPTED);
        assert_eq!(reply.text().await, told);
    }
}

#[tokio::test]
async fn every_kind_of_question_is_asked_and_answered() {
    let server = one();
    let client = Client::connect(&server).await;
    let model = json!({
        "role": "assistant", "content": { "type": "text", "text": "4" }, "model": "m1", "stopReason": "endTurn",
    });
    for (tool, method, answer, told) in [
        ("ask-model", "sampling/createMessage", model, "m1"),
        (
            "ask-roots",
            "roots/list",
            json!({ "roots": [{ "uri": "file:///a" }, { "uri": "file:///b" }] }),
            "file:///a file:///b",
        ),
        ("visit", "elicitation/create", json!({ "action": "accept" }), "Accepted(())"),
    ] {
        let mut reply = client.call(&server, tool).await;
        let asked = question(&mut reply).await;
        assert_eq!(asked["method"], method);
        if tool == "visit" {
            assert_eq!((&asked["params"]["mode"], asked["params"]["elicitationId"].is_string()), (&json!("url"), true));
        }
        client.answer(&server, &asked, answer).await;
        assert_eq!(reply.text().await, told);
    }
}

#[tokio::test]
async fn questions_of_one_round_wait_together() {
    let server = one();
    let client = Client::connect(&server).await;
    let mut reply = client.call(&server, "ask-all").await;
    let asked = [question(&mut reply).await, question(&mut reply).await];
    assert_ne!(asked[0]["id"], asked[1]["id"]);
    // In the other order than they were asked.
    for question in asked.iter().rev() {
        let answer = match question["method"].as_str() {
            Some("roots/list") => json!({ "roots": [] }),
            _ => accept("Ada"),
        };
        assert_eq!(client.answer(&server, question, answer).await.status, StatusCode::ACCEPTED);
    }
    assert_eq!(reply.text().await, "accepted Ada, 0 roots");
}

#[tokio::test]
async fn a_call_of_several_rounds_runs_its_steps_once() {
    let (builder, inside, _said) = pod(&World::default());
    let server = builder.build().expect("it builds");
    let client = Client::connect(&server).await;
    let mut reply = client.call(&server, "steps").await;
    for name in ["Ada", "Bob"] {
        let asked = question(&mut reply).await;
        client.answer(&server, &asked, accept(name)).await;
    }
    assert_eq!(reply.text().await, "accepted Ada, accepted Bob");
    assert_eq!(inside.steps.load(std::sync::atomic::Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_call_may_ask_in_so_many_rounds_and_no_more() {
    let mut limits = Limits::default();
    limits.legacy_rounds = 2;
    let server = pod(&World::default()).0.limits(limits).build().expect("it builds");
    let client = Client::connect(&server).await;
    let mut reply = client.call(&server, "endless").await;
    for _ in 0..2 {
        let asked = question(&mut reply).await;
        client.answer(&server, &asked, accept("Ada")).await;
    }
    assert_error(&reply.response().await, -32603, "2 rounds at most");
}

#[tokio::test]
async fn what_a_client_cannot_be_asked_is_said_clearly() {
    let server = one();
    let mut silent = Client::new("2025-11-25");
    silent.initialize(&server, json!({})).await;
    let response = silent.call(&server, "confirm").await.json().await;
    assert_error(&response, -32021, "did not declare");
    assert_eq!(response["error"]["data"]["requiredCapabilities"], json!({ "elicitation": { "form": {} } }));
    for (revision, tool) in [("2025-03-26", "confirm"), ("2025-06-18", "visit")] {
        let mut old = Client::new(revision);
        old.initialize(&server, everything()).await;
        let response = old.call(&server, tool).await.response().await;
        assert_error(&response, -32603, &format!("revision {revision} has no place for this elicitation/create"));
    }
    let plain = Client { accept: "application/json", ..Client::connect(&server).await };
    assert_error(&plain.call(&server, "confirm").await.json().await, -32603, "does not accept event streams");
}

#[tokio::test]
async fn an_answer_that_does_not_fit_fails_the_call() {
    let server = one();
    let client = Client::connect(&server).await;
    for (answer, code, words) in [
        (json!({ "result": { "action": "accept", "content": { "name": 1 } } }), -32602, "the question `name`"),
        (json!({ "result": { "action": "maybe" } }), -32602, "the question `name`"),
        (json!({ "result": [] }), -32602, "the question `name`"),
        (json!({ "error": { "code": -1, "message": "no screen" } }), -32603, "refused the question `name`: no screen"),
    ] {
        let mut reply = client.call(&server, "confirm").await;
        let mut message = answer;
        message["jsonrpc"] = json!("2.0");
        message["id"] = question(&mut reply).await["id"].clone();
        assert_eq!(client.post(&server, message).await.status, StatusCode::ACCEPTED);
        assert_error(&reply.response().await, code, words);
    }
}

#[tokio::test]
async fn a_question_whose_call_has_failed_meanwhile_is_taken_back() {
    let server = one();
    let client = Client::connect(&server).await;
    let mut reply = client.call(&server, "ask-all").await;
    let (first, second) = (question(&mut reply).await, question(&mut reply).await);
    let refusal = json!({ "jsonrpc": "2.0", "id": first["id"], "error": { "code": -1, "message": "no" } });
    assert_eq!(client.post(&server, refusal).await.status, StatusCode::ACCEPTED);
    let taken_back = reply.next().await.expect("a notification");
    assert_eq!(taken_back["method"], "notifications/cancelled");
    assert_eq!(taken_back["params"]["requestId"], second["id"]);
    assert_error(&reply.response().await, -32603, "refused the question");
}

#[tokio::test]
async fn an_answer_is_taken_once_and_only_from_the_session_that_was_asked() {
    let server = one();
    let client = Client::connect(&server).await;
    let mut reply = client.call(&server, "confirm").await;
    let asked = question(&mut reply).await;
    let stranger = Client::connect(&server).await;
    let foreign = stranger.answer(&server, &asked, accept("Eve")).await;
    assert_eq!(foreign.status, StatusCode::BAD_REQUEST);
    assert_error(&foreign.json().await, -32600, "answers no question");
    for id in [json!(1), json!("x"), json!(format!("{}A", asked["id"].as_str().expect("text")))] {
        let made_up = client.answer(&server, &json!({ "id": id }), accept("Eve")).await;
        assert_eq!(made_up.status, StatusCode::BAD_REQUEST);
    }
    assert_eq!(client.answer(&server, &asked, accept("Ada")).await.status, StatusCode::ACCEPTED);
    let again = client.answer(&server, &asked, accept("Bob")).await;
    assert_eq!(again.status, StatusCode::GONE);
    assert_error(&again.json().await, -32600, "gone; call again");
    assert_eq!(reply.text().await, "accepted Ada");
}

#[tokio::test(start_paused = true)]
async fn a_question_that_is_not_answered_fails_the_call_and_is_taken_back() {
    let server = one();
    let client = Client::connect(&server).await;
    let mut reply = client.call(&server, "confirm").await;
    let asked = question(&mut reply).await;
    let taken_back = reply.next().await.expect("a notification");
    assert_eq!(
        (&taken_back["method"], &taken_back["params"]["requestId"]),
        (&json!("notifications/cancelled"), &asked["id"])
    );
    assert_error(&reply.response().await, -32603, "600 s are over");
    assert_eq!(client.answer(&server, &asked, accept("Ada")).await.status, StatusCode::GONE);
}

#[tokio::test(start_paused = true)]
async fn time_that_the_user_takes_does_not_count_as_work() {
    let server = one();
    let client = Client::connect(&server).await;
    let mut reply = client.call(&server, "confirm").await;
    let asked = question(&mut reply).await;
    let limits = Limits::default();
    tokio::time::advance(limits.request_deadline + Duration::from_secs(1)).await;
    client.answer(&server, &asked, accept("Ada")).await;
    assert_eq!(reply.text().await, "accepted Ada");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_works_too_long_is_ended() {
    let server = one();
    let client = Client::connect(&server).await;
    assert_error(&client.call(&server, "wait").await.response().await, -32603, "took too long");
}

#[tokio::test]
async fn calls_that_wait_for_their_users_leave_room_for_others() {
    let mut limits = Limits::default();
    limits.concurrent_requests = 1;
    let server = pod(&World::default()).0.limits(limits).build().expect("it builds");
    let client = Client::connect(&server).await;
    let replies = [client.call(&server, "confirm").await, client.call(&server, "confirm").await];
    for mut reply in replies {
        let asked = question(&mut reply).await;
        assert_eq!(client.answer(&server, &asked, accept("Ada")).await.status, StatusCode::ACCEPTED);
        assert_eq!(reply.text().await, "accepted Ada");
    }
}

// From pod to pod

/// Two pods that reach each other, on ports of their own.
async fn reachable() -> (Server, Server) {
    let world = World::default();
    let mut servers = Vec::new();
    for _ in 0..2 {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/mcp", listener.local_addr().expect("an address"));
        let server = pod(&world).0.advertise(url).build().expect("it builds");
        tokio::spawn(server.clone().serve(listener, std::future::pending()));
        servers.push(server);
    }
    (servers.remove(0), servers.remove(0))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_reaches_another_pod_takes_one_hop() {
    let (a, b) = reachable().await;
    let client = Client::connect(&b).await;
    let mut reply = client.call(&a, "ask-all").await;
    for _ in 0..2 {
        let asked = question(&mut reply).await;
        let answer = if asked["method"] == "roots/list" { json!({ "roots": [] }) } else { accept("Ada") };
        assert_eq!(client.answer(&b, &asked, answer).await.status, StatusCode::ACCEPTED);
    }
    assert_eq!(reply.text().await, "accepted Ada, 0 roots");
}

#[tokio::test]
async fn a_long_answer_takes_the_hop_too() {
    let (a, b) = reachable().await;
    let client = Client::connect(&a).await;
    let mut reply = client.call(&a, "confirm").await;
    let asked = question(&mut reply).await;
    let name = "n".repeat(1 << 20);
    assert_eq!(client.answer(&b, &asked, accept(&name)).await.status, StatusCode::ACCEPTED);
    assert_eq!(reply.text().await.len(), "accepted ".len() + name.len());
}

#[tokio::test]
async fn an_answer_to_a_call_that_has_ended_on_another_pod_is_refused() {
    let (a, b) = reachable().await;
    let client = Client::connect(&a).await;
    let mut reply = client.call(&a, "confirm").await;
    let asked = question(&mut reply).await;
    client.answer(&b, &asked, accept("Ada")).await;
    assert_eq!(reply.text().await, "accepted Ada");
    let late = client.answer(&b, &asked, accept("Bob")).await;
    assert_eq!(late.status, StatusCode::GONE);
    assert_error(&late.json().await, -32600, "gone; call again");
}

#[tokio::test]
async fn an_answer_to_a_pod_that_is_gone_is_refused() {
    let world = World::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/mcp", listener.local_addr().expect("an address"));
    drop(listener);
    let a = pod(&world).0.advertise(url).build().expect("it builds");
    let b = pod(&world).0.build().expect("it builds");
    let client = Client::connect(&a).await;
    let asked = question(&mut client.call(&a, "confirm").await).await;
    let refused = client.answer(&b, &asked, accept("Ada")).await;
    assert_eq!(refused.status, StatusCode::BAD_GATEWAY);
    assert_error(&refused.json().await, -32603, "gone");
}

#[tokio::test]
async fn a_pod_that_replaced_the_one_that_asked_does_not_take_its_answers() {
    let world = World::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/mcp", listener.local_addr().expect("an address"));
    let server = || pod(&world).0.advertise(url.clone()).build().expect("it builds");
    let (before, after, other) = (server(), server(), server());
    tokio::spawn(after.serve(listener, std::future::pending()));
    let client = Client::connect(&before).await;
    let asked = question(&mut client.call(&before, "confirm").await).await;
    assert_eq!(client.answer(&other, &asked, accept("Ada")).await.status, StatusCode::GONE);
}

#[tokio::test]
async fn an_answer_to_a_pod_without_an_address_is_refused_with_the_remedy() {
    let (a, b) = two();
    let client = Client::connect(&a).await;
    let mut reply = client.call(&a, "confirm").await;
    let asked = question(&mut reply).await;
    let lost = client.answer(&b, &asked, accept("Ada")).await;
    assert_eq!(lost.status, StatusCode::MISDIRECTED_REQUEST);
    assert_error(&lost.json().await, -32603, "advertise");
    client.answer(&a, &asked, accept("Ada")).await;
    assert_eq!(reply.text().await, "accepted Ada");
}

#[test]
fn an_address_that_pods_cannot_call_is_refused() {
    let error = Server::new("x", "1").advertise("https://mcp.example.com/mcp").build().expect_err("no TLS");
    assert!(error.to_string().contains("http://10.0.0.5:8080/mcp"), "{error}");
}

// Ends of calls

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
    let (world, bus) = (World::default(), pods::Shared::default());
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

// Settings

async fn logged(client: &Client, server: &Server) -> usize {
    let mut reply = client.call(server, "log").await;
    let mut messages = 0;
    while let Some(message) = reply.next().await {
        messages += usize::from(message["method"] == "notifications/message");
    }
    messages
}

#[tokio::test]
async fn a_log_level_holds_on_every_pod_that_hears_of_it() {
    let (a, b) = two_on_a_bus();
    let (lonely, other) = two();
    for (set_at, silent, also) in [(&a, &b, true), (&lonely, &other, false)] {
        let client = Client::connect(set_at).await;
        assert_eq!(logged(&client, set_at).await, 8, "everything, until a client asks for less");
        let reply = client.request(set_at, 1, "logging/setLevel", json!({ "level": "alert" })).await;
        assert_eq!(reply.json().await["result"], json!({}));
        assert_eq!(logged(&client, set_at).await, 2);
        assert_eq!(logged(&client, silent).await, if also { 2 } else { 8 });
        assert_eq!(logged(&Client::connect(set_at).await, set_at).await, 8, "another session");
    }
}

#[tokio::test]
async fn pods_that_have_met_tell_each_other_without_a_bus() {
    let (a, b) = reachable().await;
    let client = Client::connect(&a).await;
    // By the session's id, the other pod learns where it was opened.
    assert_eq!(logged(&client, &b).await, 8);
    client.request(&b, 1, "logging/setLevel", json!({ "level": "alert" })).await;
    assert_eq!((logged(&client, &a).await, logged(&client, &b).await), (2, 2));
    let mut stream = client.get(&a).await;
    client.request(&b, 2, "resources/subscribe", json!({ "uri": "test://a" })).await;
    b.announce(Event::ResourceUpdated { uri: "test://a".to_owned() }).await;
    assert_eq!(stream.next().await.expect("an update")["params"]["uri"], "test://a");
}

#[tokio::test]
async fn nothing_is_logged_to_clients_of_a_server_that_has_not_declared_it() {
    #[expect(deprecated, reason = "deprecated features work until the specification removes them")]
    async fn log(cx: anypod_server::Cx) -> &'static str {
        cx.log(anypod_server::proto::logging::LoggingLevel::Emergency, None, "x");
        "logged"
    }
    let server = Server::new("quiet", "1").tool(anypod_server::Tool::new("log", log)).build().expect("it builds");
    let client = Client::connect(&server).await;
    assert!(!client.call(&server, "log").await.streams());
}

#[tokio::test]
async fn a_stream_hears_of_lists_and_of_what_its_session_has_subscribed_to() {
    let (a, b) = two_on_a_bus();
    let client = Client::connect(&a).await;
    let subscribe = async |method: &str, uri: &str| {
        let reply = client.request(&a, 1, method, json!({ "uri": uri })).await;
        assert_eq!(reply.json().await["result"], json!({}));
    };
    subscribe("resources/subscribe", "test://before").await;
    let mut stream = client.get(&b).await;
    assert!(stream.streams());
    subscribe("resources/subscribe", "test://after").await;
    subscribe("resources/subscribe", "test://dropped").await;
    subscribe("resources/unsubscribe", "test://dropped").await;
    for uri in ["test://before", "test://after", "test://dropped", "test://other"] {
        a.announce(Event::ResourceUpdated { uri: uri.to_owned() }).await;
    }
    a.announce(Event::ToolsChanged).await;
    a.announce(Event::PromptsChanged).await;
    let heard: Vec<_> = stream
        .ready()
        .await
        .iter()
        .map(|message| (message["method"].clone(), message["params"]["uri"].clone()))
        .collect();
    let updated = |uri: &str| (json!("notifications/resources/updated"), json!(uri));
    let tools = (json!("notifications/tools/list_changed"), Value::Null);
    assert_eq!(heard, [tools, updated("test://after"), updated("test://before")], "this server has no prompts");
}

#[tokio::test]
async fn of_several_streams_one_gets_each_message() {
    let server = one();
    let client = Client::connect(&server).await;
    let (mut first, mut second) = (client.get(&server).await, client.get(&server).await);
    server.announce(Event::ToolsChanged).await;
    assert_eq!((first.ready().await.len(), second.ready().await.len()), (0, 1));
    drop(second);
    server.announce(Event::ToolsChanged).await;
    assert_eq!(first.ready().await.len(), 1);
}

#[tokio::test]
async fn streams_are_bounded_and_end_when_the_server_does() {
    let mut limits = Limits::default();
    limits.open_streams = 1;
    let server = pod(&World::default()).0.limits(limits).build().expect("it builds");
    let client = Client::connect(&server).await;
    let mut stream = client.get(&server).await;
    assert_eq!(client.get(&server).await.status, StatusCode::SERVICE_UNAVAILABLE);
    let picky = Client { accept: "application/json", ..client.clone() };
    assert_eq!(picky.get(&server).await.status, StatusCode::NOT_ACCEPTABLE);
    let (ended, ()) = tokio::join!(stream.next(), async {
        tokio::spawn({
            let server = server.clone();
            async move { server.drain().await }
        });
    });
    assert_eq!(ended, None);
}

#[tokio::test]
async fn modern_clients_find_neither_get_nor_delete() {
    let server = one();
    let modern = Client { session: Some("x".to_owned()), ..Client::new("2026-07-28") };
    for reply in [modern.get(&server).await, modern.delete(&server).await] {
        assert_eq!(reply.status, StatusCode::METHOD_NOT_ALLOWED);
    }
}

// Batches

async fn old_client(server: &Server) -> Client {
    let mut client = Client::new("2025-03-26");
    client.initialize(server, json!({ "roots": {}, "sampling": {} })).await;
    client
}

#[tokio::test]
async fn a_batch_is_answered_request_by_request() {
    let (a, b) = two();
    let client = old_client(&a).await;
    let batch = json!([
        { "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "hello" } },
        { "jsonrpc": "2.0", "method": "notifications/roots/list_changed" },
        { "jsonrpc": "2.0", "id": "two", "method": "ping" },
        { "jsonrpc": "2.0", "id": 3, "method": "no/such" },
    ]);
    let reply = client.post(&b, batch).await;
    assert_eq!(reply.status, StatusCode::OK);
    let answers = reply.json().await;
    assert_eq!(answers[0]["result"]["content"][0]["text"], "hello");
    assert_eq!((&answers[1]["id"], &answers[1]["result"]), (&json!("two"), &json!({})));
    assert_error(&answers[2], -32601, "no/such");
    assert_eq!(answers.as_array().map(Vec::len), Some(3));
}

#[tokio::test]
async fn a_batch_of_notifications_is_accepted() {
    let server = one();
    let client = old_client(&server).await;
    let batch = json!([{ "jsonrpc": "2.0", "method": "notifications/roots/list_changed" }]);
    assert_eq!(client.post(&server, batch.clone()).await.status, StatusCode::ACCEPTED);
    let made_up = json!([{ "jsonrpc": "2.0", "id": "x", "result": {} }]);
    assert_eq!(client.post(&server, made_up).await.status, StatusCode::BAD_REQUEST);
    let newer = Client { version: "2025-03-26", ..Client::connect(&server).await };
    assert_eq!(newer.post(&server, batch).await.status, StatusCode::BAD_REQUEST, "its session has no batches");
}

#[tokio::test]
async fn a_batch_may_ask_and_may_be_answered_by_a_batch() {
    let server = one();
    let client = old_client(&server).await;
    let call =
        |id: i64| json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": { "name": "ask-roots" } });
    let mut reply = client.post(&server, json!([call(1), call(2)])).await;
    let mut answers = Vec::new();
    for uri in ["file:///a", "file:///b"] {
        let asked = question(&mut reply).await;
        answers.push(json!({ "jsonrpc": "2.0", "id": asked["id"], "result": { "roots": [{ "uri": uri }] } }));
    }
    assert_eq!(client.post(&server, json!(answers)).await.status, StatusCode::ACCEPTED);
    let response = reply.response().await;
    assert_eq!(response[0]["result"]["content"][0]["text"], "file:///a");
    assert_eq!((&response[1]["id"], &response[1]["result"]["content"][0]["text"]), (&json!(2), &json!("file:///b")));
}
