//! What legacy servers answer, seen as modern answers.

use anypod_client::proto::discover::DiscoverResult;
use anypod_client::proto::method::Method;
use anypod_client::proto::rounds::InputResponse;
use anypod_client::{Answers, Broken, Call, Error};
use http::StatusCode;
use serde_json::{Value, json};

use super::server::{Server, done, json, limits, pages, status, streamed, tool, with};
use super::{error, result};

#[tokio::test(start_paused = true)]
async fn discovery_is_answered_from_the_handshake() {
    let server = Server::new(|_| None);
    let upstream = server.upstream();
    let found = result(&mut upstream.send(&Call::new(Method::Discover)).await.unwrap()).await;
    assert_eq!(found["resultType"], "complete");
    assert_eq!((&found["ttlMs"], &found["cacheScope"]), (&json!(0), &json!("private")));
    assert!(found["capabilities"].get("tasks").is_none(), "{found}");
    let found: DiscoverResult = serde_json::from_value(found).unwrap();
    assert_eq!(found.supported_versions, ["2026-07-28"]);
    assert_eq!(found.instructions.as_deref(), Some("Ask nicely."));
    assert_eq!(found.meta.unwrap().server_info.unwrap().name, "old");
    assert_eq!(server.log().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn results_get_what_modern_ones_have() {
    let server = Server::new(|heard| {
        let result = match heard.body["method"].as_str() {
            Some("tools/list") => json!({ "tools": [], "nextCursor": "n", "_meta": { "k": 1 } }),
            Some("tools/call") => json!({ "content": [] }),
            _ => return None,
        };
        Some(json(&json!({ "jsonrpc": "2.0", "id": heard.id(), "result": result })))
    });
    let upstream = server.upstream();
    let listed = result(&mut upstream.send(&Call::new(Method::ToolsList)).await.unwrap()).await;
    assert_eq!(listed["resultType"], "complete");
    assert_eq!((&listed["ttlMs"], &listed["cacheScope"]), (&json!(0), &json!("private")));
    assert_eq!((&listed["nextCursor"], &listed["_meta"]["k"]), (&json!("n"), &json!(1)));
    let called = result(&mut upstream.send(&tool("a")).await.unwrap()).await;
    assert_eq!(called["resultType"], "complete");
    assert!(called.get("ttlMs").is_none(), "{called}");
}

#[tokio::test(start_paused = true)]
async fn an_unknown_resource_has_the_modern_code() {
    let server = Server::new(|heard| {
        let error = json!({ "code": -32002, "message": "Resource not found" });
        heard.is("resources/read").then(|| json(&json!({ "jsonrpc": "2.0", "id": heard.id(), "error": error })))
    });
    let mut exchange = server.upstream().send(&Call::new(Method::ResourcesRead)).await.unwrap();
    assert_eq!(error(&mut exchange).await, (-32602, "Resource not found".to_owned()));
}

/// Answers a call with the pages that it needs until it comes a second time.
fn visiting() -> Server {
    let times = std::sync::atomic::AtomicUsize::new(0);
    Server::new(move |heard| {
        let page = json!({ "mode": "url", "message": "Sign in", "url": "https://a.example/x", "elicitationId": "e" });
        let error = json!({ "code": -32042, "message": "Sign in first", "data": { "elicitations": [page] } });
        let refused = json(&json!({ "jsonrpc": "2.0", "id": heard.id(), "error": error }));
        let first = heard.is("tools/call") && times.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0;
        first.then_some(refused)
    })
}

#[tokio::test(start_paused = true)]
async fn pages_that_a_call_needs_are_questions_after_which_it_is_sent_anew() {
    for (action, calls) in [("accept", 2), ("decline", 1)] {
        let server = visiting();
        let upstream = server.upstream_of(pages(), anypod_client::Limits::default());
        let asked = result(&mut upstream.send(&tool("a")).await.unwrap()).await;
        assert_eq!(asked["resultType"], "input_required");
        let questions = asked["inputRequests"].as_object().unwrap();
        let (key, question) = questions.iter().next().unwrap();
        assert_eq!(question["params"]["url"], "https://a.example/x");
        let responses = [(key.clone(), InputResponse(json!({ "action": action })))].into();
        let state = asked["requestState"].as_str().map(str::to_owned);
        let call = with(tool("a"), |call| call.answers = Some(Answers::new(&responses, state)));
        let mut exchange = upstream.send(&call).await.unwrap();
        match action {
            "accept" => assert_eq!(result(&mut exchange).await["resultType"], "complete"),
            _ => assert_eq!(error(&mut exchange).await.0, -32602),
        }
        assert_eq!(server.heard(|heard| heard.is("tools/call")).len(), calls);
    }
}

#[tokio::test(start_paused = true)]
async fn pages_that_a_client_cannot_open_are_an_error() {
    let (code, text) = error(&mut visiting().asking().send(&tool("a")).await.unwrap()).await;
    assert_eq!((code, text.as_str()), (-32603, "Sign in first"));
}

#[tokio::test(start_paused = true)]
async fn what_only_modern_servers_know_is_not_sent() {
    let server = Server::new(|_| None);
    let upstream = server.upstream();
    let call = with(Call::default(), |call| call.method = "tasks/get".into());
    assert_eq!(error(&mut upstream.send(&call).await.unwrap()).await.0, -32601);
    assert!(server.log().is_empty());
    let call = with(tool("a"), |call| {
        call.progress = true;
        call.meta = br#""traceparent":"00-1-2-01""#.to_vec();
    });
    result(&mut upstream.send(&call).await.unwrap()).await;
    let sent = server.hears(1, |heard| heard.is("tools/call")).await;
    let meta = json!({ "progressToken": sent.id(), "traceparent": "00-1-2-01" });
    assert_eq!(sent.body["params"], json!({ "name": "a", "arguments": {}, "_meta": meta }));
}

#[tokio::test(start_paused = true)]
async fn understands_several_messages_in_one_array() {
    let body = |id: &Value| {
        let progress = json!({ "progressToken": id, "progress": 1 });
        let progress = json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": progress });
        json!([progress, done(id, "done")])
    };
    let plain = Server::new(move |heard| heard.is("tools/call").then(|| json(&body(&heard.id()))));
    let event =
        Server::new(move |heard| heard.is("tools/call").then(|| streamed(&format!("data: {}\n\n", body(&heard.id())))));
    for server in [plain, event] {
        let upstream = server.upstream();
        let mut exchange = upstream.send(&with(tool("a"), |call| call.progress = true)).await.unwrap();
        assert_eq!(super::notice(&mut exchange).await.method, "notifications/progress");
        assert_eq!(result(&mut exchange).await["content"][0]["text"], "done");
    }
}

#[tokio::test(start_paused = true)]
async fn refuses_an_array_of_more_messages_than_the_bound() {
    let server = Server::new(move |heard| heard.is("tools/call").then(|| json(&json!([{}, {}, {}, {}]))));
    let limits = limits(|limits| limits.notifications = 3);
    let error = server.upstream_with(limits).send(&tool("a")).await.unwrap_err();
    assert!(matches!(error, Error::Broken(Broken::TooMuch { limit: 3, .. })), "{error}");
}

#[tokio::test(start_paused = true)]
async fn refuses_the_answer_to_another_request() {
    let server = Server::new(|heard| heard.is("tools/call").then(|| json(&done(&json!("x"), "done"))));
    let error = server.upstream().send(&tool("a")).await.unwrap().next().await.unwrap_err();
    assert!(matches!(error, Error::Broken(Broken::WrongId { .. })), "{error}");
}

#[tokio::test(start_paused = true)]
async fn what_is_no_answer_of_the_protocol_is_an_error_that_says_so() {
    let server = Server::new(|heard| heard.is("tools/call").then(|| status(StatusCode::BAD_GATEWAY)));
    let error = server.upstream().send(&tool("a")).await.unwrap_err();
    assert!(matches!(error, Error::Refused { status: StatusCode::BAD_GATEWAY, .. }), "{error}");
    let server = Server::new(|heard| heard.is("tools/call").then(|| status(StatusCode::OK)));
    let upstream = server.upstream();
    let error = upstream.send(&tool("a")).await.unwrap_err();
    assert!(matches!(error, Error::Broken(Broken::ContentType(_))), "{error}");
    server.hears(1, |heard| heard.is("notifications/cancelled")).await;
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_refused_is_not_cancelled() {
    for refusal in [StatusCode::FORBIDDEN, StatusCode::UNAUTHORIZED, StatusCode::TOO_MANY_REQUESTS] {
        let server = Server::new(move |heard| heard.is("tools/call").then(|| status(refusal)));
        let upstream = server.upstream();
        upstream.send(&tool("a")).await.unwrap_err();
        upstream.close().await.unwrap();
        assert!(server.heard(|heard| heard.is("notifications/cancelled")).is_empty());
    }
}
