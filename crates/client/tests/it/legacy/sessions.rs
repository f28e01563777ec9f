//! How sessions begin and end.

use std::sync::atomic::{AtomicUsize, Ordering};

use anypod_client::proto::method::Method;
use anypod_client::{Broken, Call, Error};
use futures_util::future::join_all;
use http::StatusCode;
use serde_json::json;

use super::server::{Server, Streams, done, initialized, json, never, status, streamed, tool};
use super::{error, result};

fn replies(heard: &super::server::Heard) -> Option<super::server::Reply> {
    heard.is("tools/call").then(|| json(&done(&heard.id(), "done")))
}

#[tokio::test(start_paused = true)]
async fn many_first_calls_share_one_handshake_and_name_its_session() {
    let server = Server::new(replies);
    let upstream = server.upstream();
    let call = tool("a");
    let calls = join_all((0..16).map(|_| async { result(&mut upstream.send(&call).await.unwrap()).await })).await;
    assert!(calls.iter().all(|result| result["content"][0]["text"] == "done"));
    let log = server.log();
    assert_eq!(log.len(), 18);
    assert!(log[0].is("initialize") && log[1].is("notifications/initialized"));
    assert_eq!(log[0].body["params"]["protocolVersion"], "2025-11-25");
    assert_eq!(log[0].body["params"]["clientInfo"]["name"], "tester");
    assert_eq!((log[0].header("mcp-session-id"), log[0].header("mcp-protocol-version")), (None, None));
    for heard in &log[1..] {
        assert_eq!(heard.header("mcp-session-id"), Some("session-1"));
        assert_eq!(heard.header("mcp-protocol-version"), Some("2025-11-25"));
        assert!(heard.header("mcp-method").is_none() && heard.header("mcp-name").is_none());
    }
    let mut ids: Vec<_> = log[2..].iter().map(|heard| heard.id().to_string()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 16);
}

#[tokio::test(start_paused = true)]
async fn speaks_the_revision_of_the_server_and_names_it_where_that_revision_does() {
    for (version, header) in [("2025-11-25", true), ("2025-06-18", true), ("2025-03-26", false)] {
        let server = Server::new(move |heard| match heard.is("initialize") {
            true => Some(initialized(heard, version, "s")),
            false => replies(heard),
        });
        let upstream = server.upstream();
        assert_eq!(upstream.version(), None);
        result(&mut upstream.send(&tool("a")).await.unwrap()).await;
        assert_eq!(upstream.version().unwrap().as_str(), version);
        assert_eq!(upstream.server_info().unwrap().name, "old");
        assert!(upstream.capabilities().unwrap().tools.is_some());
        let named = server.log()[2].header("mcp-protocol-version").map(str::to_owned);
        assert_eq!(named.as_deref(), header.then_some(version));
    }
}

#[tokio::test(start_paused = true)]
async fn leaves_a_server_without_a_common_version() {
    for version in ["2024-11-05", "2026-07-28", "soon"] {
        let server = Server::new(move |heard| heard.is("initialize").then(|| initialized(heard, version, "s")));
        let error = server.upstream().send(&tool("a")).await.unwrap_err();
        assert!(matches!(&error, Error::Broken(Broken::NoCommonVersion(found)) if found == &[version]), "{error}");
        let log = server.log();
        assert_eq!((log.len(), &log[1].verb), (2, &http::Method::DELETE));
        assert_eq!(log[1].header("mcp-session-id"), Some("s"));
    }
}

#[tokio::test(start_paused = true)]
async fn names_the_versions_that_a_server_names_when_it_refuses() {
    let server = Server::new(|heard| {
        let data = json!({ "supported": ["2024-11-05"], "requested": "2025-11-25" });
        let error = json!({ "code": -32602, "message": "Unsupported protocol version", "data": data });
        heard.is("initialize").then(|| json(&json!({ "jsonrpc": "2.0", "id": heard.id(), "error": error })))
    });
    let error = server.upstream().send(&tool("a")).await.unwrap_err();
    assert!(matches!(&error, Error::Broken(Broken::NoCommonVersion(found)) if found == &["2024-11-05"]), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_failed_handshake_fails_all_who_wait_for_it_and_is_tried_again_by_the_next() {
    let times = AtomicUsize::new(0);
    let server = Server::new(move |heard| {
        let first = heard.is("initialize") && times.fetch_add(1, Ordering::Relaxed) == 0;
        if first { Some(status(StatusCode::SERVICE_UNAVAILABLE)) } else { replies(heard) }
    });
    let upstream = server.upstream();
    let call = tool("a");
    for sent in join_all((0..8).map(|_| upstream.send(&call))).await {
        let error = sent.unwrap_err();
        assert!(matches!(error, Error::Refused { status: StatusCode::SERVICE_UNAVAILABLE, .. }), "{error}");
    }
    assert_eq!(server.log().len(), 1);
    result(&mut upstream.send(&call).await.unwrap()).await;
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_gives_up_during_the_handshake_does_not_end_it() {
    let streams = Streams::new();
    let opened = streams.clone();
    let server = Server::new(move |heard| if heard.is("initialize") { opened.open(heard) } else { replies(heard) });
    let upstream = server.upstream();
    let call = tool("a");
    let gone = tokio::time::timeout(std::time::Duration::from_secs(1), upstream.send(&call)).await;
    assert!(gone.is_err());
    let (heard, events) = streams.next().await;
    let sent = async { result(&mut upstream.send(&call).await.unwrap()).await };
    let answers = async {
        let info = json!({ "name": "slow", "version": "1" });
        let result = json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "serverInfo": info });
        events.send(&json!({ "jsonrpc": "2.0", "id": heard.id(), "result": result }));
    };
    tokio::join!(sent, answers);
    assert_eq!(server.heard(|heard| heard.is("initialize")).len(), 1);
    assert!(server.heard(|heard| heard.is("notifications/cancelled")).is_empty());
}

/// A server that forgets its first session after the handshake.
fn forgetful(answer: fn(&super::server::Heard) -> super::server::Reply) -> Server {
    let times = AtomicUsize::new(0);
    Server::new(move |heard| {
        if heard.is("initialize") {
            let session = format!("session-{}", times.fetch_add(1, Ordering::Relaxed) + 1);
            return Some(initialized(heard, "2025-11-25", &session));
        }
        let forgotten = heard.header("mcp-session-id") == Some("session-1") && heard.is("tools/call");
        if forgotten { Some(answer(heard)) } else { replies(heard) }
    })
}

#[tokio::test(start_paused = true)]
async fn opens_another_session_when_the_server_has_forgotten_the_first() {
    let examples = |_: &super::server::Heard| {
        let error = json!({ "code": -32000, "message": "Bad Request: No valid session ID provided" });
        let mut reply = json(&json!({ "jsonrpc": "2.0", "id": null, "error": error }));
        *reply.status_mut() = StatusCode::BAD_REQUEST;
        reply
    };
    for server in [forgetful(|_| status(StatusCode::NOT_FOUND)), forgetful(examples)] {
        let upstream = server.upstream();
        result(&mut upstream.send(&tool("a")).await.unwrap()).await;
        let opened = server.heard(|heard| heard.is("initialize"));
        assert_eq!(opened.len(), 2);
        assert_eq!(opened[1].header("mcp-session-id"), None);
        let calls = server.heard(|heard| heard.is("tools/call"));
        let sessions: Vec<_> = calls.iter().map(|heard| heard.header("mcp-session-id")).collect();
        assert_eq!(sessions, [Some("session-1"), Some("session-2")]);
        assert!(server.heard(|heard| heard.is("notifications/cancelled")).is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn gives_up_on_a_server_that_forgets_every_session() {
    let server = Server::new(|heard| heard.is("tools/call").then(|| status(StatusCode::NOT_FOUND)));
    let error = server.upstream().send(&tool("a")).await.unwrap_err();
    assert!(matches!(error, Error::Broken(Broken::Handshake(_))), "{error}");
    assert_eq!(server.heard(|heard| heard.is("initialize")).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_error_that_only_looks_like_a_forgotten_session_is_passed_on() {
    let server = Server::new(|heard| {
        let error = json!({ "code": -32602, "message": "session is not a tool" });
        let mut reply = json(&json!({ "jsonrpc": "2.0", "id": heard.id(), "error": error }));
        *reply.status_mut() = StatusCode::BAD_REQUEST;
        heard.is("tools/call").then_some(reply)
    });
    let refused = error(&mut server.upstream().send(&tool("session")).await.unwrap()).await;
    assert_eq!(refused, (-32602, "session is not a tool".to_owned()));
    assert_eq!(server.heard(|heard| heard.is("initialize")).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn refuses_a_session_id_that_changes_on_the_way() {
    let server = Server::new(|heard| {
        let mut reply = json(&done(&heard.id(), "done"));
        reply.headers_mut().insert("mcp-session-id", "session-2".parse().unwrap());
        heard.is("tools/call").then_some(reply)
    });
    let error = server.upstream().send(&tool("a")).await.unwrap_err();
    assert!(matches!(error, Error::Broken(Broken::Handshake(_))), "{error}");
    assert!(error.to_string().contains("another session id"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn refuses_a_session_id_that_no_header_should_have() {
    let long = "x".repeat(5000);
    for session in ["a b".to_owned(), String::new(), long] {
        let server =
            Server::new(move |heard| heard.is("initialize").then(|| initialized(heard, "2025-11-25", &session)));
        let error = server.upstream().send(&tool("a")).await.unwrap_err();
        assert!(error.to_string().contains("the session id"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn works_with_a_server_that_has_no_sessions() {
    let server = Server::new(|heard| {
        let mut reply = initialized(heard, "2025-06-18", "none");
        reply.headers_mut().remove("mcp-session-id");
        if heard.is("initialize") { Some(reply) } else { replies(heard) }
    });
    let upstream = server.upstream();
    result(&mut upstream.send(&tool("a")).await.unwrap()).await;
    upstream.close().await.unwrap();
    let log = server.log();
    assert!(log.iter().all(|heard| heard.header("mcp-session-id").is_none()));
    assert!(log.iter().all(|heard| heard.verb == http::Method::POST));
}

#[tokio::test(start_paused = true)]
async fn closing_ends_the_session_and_takes_no_for_an_answer() {
    for answer in [StatusCode::OK, StatusCode::METHOD_NOT_ALLOWED, StatusCode::NOT_FOUND] {
        let server = Server::new(move |heard| match heard.verb == http::Method::DELETE {
            true => Some(status(answer)),
            false => replies(heard),
        });
        let upstream = server.upstream();
        result(&mut upstream.send(&tool("a")).await.unwrap()).await;
        upstream.close().await.unwrap();
        let last = server.log().pop().unwrap();
        assert_eq!((last.verb.as_str(), last.header("mcp-session-id")), ("DELETE", Some("session-1")));
        let error = upstream.send(&tool("a")).await.unwrap_err();
        assert!(matches!(error, Error::Misuse(_)), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_the_handshake_is_given_up() {
    let server = Server::new(|heard| heard.is("initialize").then(never));
    let error = server.upstream().send(&Call::new(Method::Discover)).await.unwrap_err();
    assert!(matches!(error, Error::TimedOut(_)), "{error}");
    assert!(server.heard(|heard| heard.is("notifications/cancelled")).is_empty());
}

#[tokio::test(start_paused = true)]
async fn answers_a_ping_during_the_handshake() {
    let server = Server::new(|heard| {
        let info = json!({ "name": "eager", "version": "1" });
        let result = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": info });
        let answer = json!({ "jsonrpc": "2.0", "id": heard.id(), "result": result });
        let ping = json!({ "jsonrpc": "2.0", "id": "p", "method": "ping" });
        heard.is("initialize").then(|| streamed(&format!("data: {ping}\n\ndata: {answer}\n\n")))
    });
    let upstream = server.upstream();
    result(&mut upstream.send(&Call::new(Method::Discover)).await.unwrap()).await;
    assert_eq!(server.log()[1].body, json!({ "jsonrpc": "2.0", "id": "p", "result": {} }));
}
