//! Questions on the stream of their call.

use std::time::Duration;

use anypod_server::Limits;
use http::StatusCode;
use serde_json::json;

use super::client::{Client, everything};
use super::pods::{one, pod};
use super::{accept, assert_error, question};
use crate::support::World;

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
async fn progress_goes_on_where_it_was_when_the_handler_runs_again() {
    let server = one();
    let client = Client::connect(&server).await;
    let params = json!({ "name": "progress", "arguments": {}, "_meta": { "progressToken": "p" } });
    let mut reply = client.request(&server, 1, "tools/call", params).await;
    let mut reported = Vec::new();
    while let Some(message) = reply.next().await {
        match message["method"].as_str() {
            Some("notifications/progress") => reported.extend(message["params"]["progress"].as_f64()),
            Some(_) => drop(client.answer(&server, &message, accept("Ada")).await),
            None => assert_eq!(message["result"]["content"][0]["text"], "accepted Ada"),
        }
    }
    assert_eq!(reported, [1.0, 2.0, 3.0]);
}

#[tokio::test]
async fn a_pod_that_leaves_asks_nothing_any_more() {
    let server = one();
    let client = Client::connect(&server).await;
    let mut asked = client.call(&server, "confirm").await;
    question(&mut asked).await;
    server.leave();
    assert_error(&asked.response().await, -32603, "was dropped; call again");
    assert_error(&client.call(&server, "confirm").await.response().await, -32603, "is shutting down; call again");
    assert_eq!(client.call(&server, "steps").await.status, StatusCode::OK);
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
