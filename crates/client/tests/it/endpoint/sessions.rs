//! Legacy sessions of many clients over one endpoint, and what is under way in them.

use anypod_client::proto::elicitation::ElicitResult;
use anypod_client::proto::rounds::InputResponse;
use anypod_client::{Answers, Error};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde_json::{Value, json};

use super::{at, finish, named, result};
use crate::legacy::server::{Server, Streams, done, forms, identity, initialized, json as whole, status, tool, with};

fn bearing(token: &'static str) -> HeaderMap {
    HeaderMap::from_iter([
        (http::header::AUTHORIZATION, HeaderValue::from_static(token)),
        (http::header::HOST, HeaderValue::from_static("elsewhere")),
        (http::HeaderName::from_static("mcp-session-id"), HeaderValue::from_static("stolen")),
    ])
}

#[tokio::test(start_paused = true)]
async fn each_session_has_its_client_and_its_headers_to_the_end() {
    let server = Server::new(|heard| match heard.is("initialize") {
        true => Some(initialized(heard, "2025-11-25", heard.body["params"]["clientInfo"]["name"].as_str()?)),
        false => heard.is("tools/call").then(|| whole(&done(&heard.id(), "done"))),
    });
    let endpoint = at(&server);
    for (name, token) in [("one", "Bearer 1"), ("two", "Bearer 2")] {
        let upstream = endpoint.legacy(named(name), &bearing(token));
        assert!(!upstream.is_open());
        result(&mut upstream.send(&tool("t")).await.unwrap()).await;
        assert!(upstream.is_open() && !upstream.is_closed() && upstream.is_idle());
        upstream.close().await.unwrap();
        assert!(!upstream.is_open() && upstream.is_closed());
        assert!(matches!(upstream.send(&tool("t")).await, Err(Error::Misuse(_))));
        let of_it = server.heard(|heard| heard.header("authorization") == Some(token));
        let verbs: Vec<_> = of_it.iter().map(|heard| heard.verb.clone()).collect();
        assert_eq!(verbs, [Method::POST, Method::POST, Method::POST, Method::DELETE]);
        assert_eq!(of_it[0].header("mcp-session-id"), None);
        assert!(of_it[1..].iter().all(|heard| heard.header("mcp-session-id") == Some(name)));
        assert!(of_it.iter().all(|heard| !heard.headers.contains_key("host")));
    }
    assert_eq!(server.log().len(), 8);
}

#[tokio::test(start_paused = true)]
async fn counts_what_is_under_way_and_what_is_held() {
    let streams = Streams::new();
    let opened = streams.clone();
    let server = Server::new(move |heard| if heard.is("tools/call") { opened.open(heard) } else { None });
    let upstream = at(&server).legacy(identity(forms()), &HeaderMap::new());
    let counts = || (upstream.under_way(), upstream.held(), upstream.is_idle());
    assert_eq!(counts(), (0, 0, true));
    let mut one = upstream.send(&tool("one")).await.unwrap();
    let (_, first) = streams.next().await;
    let two = upstream.send(&tool("two")).await.unwrap();
    assert_eq!(counts(), (2, 0, false));
    drop(two);
    assert_eq!(counts(), (1, 0, false));

    let form = json!({ "message": "Well?", "requestedSchema": { "type": "object", "properties": {} } });
    first.send(&json!({ "jsonrpc": "2.0", "id": "q", "method": "elicitation/create", "params": form }));
    let asked = result(&mut one).await;
    assert_eq!(counts(), (1, 1, false));
    let key = asked["inputRequests"].as_object().unwrap().keys().next().unwrap().clone();
    let answer = serde_json::to_value(ElicitResult::cancel()).unwrap();
    let state = asked["requestState"].as_str().map(str::to_owned);
    let answers = Answers::new(&[(key, InputResponse(answer))].into(), state);
    let answered = with(tool("one"), |call| call.answers = Some(answers));
    let mut goes_on = upstream.send(&answered).await.unwrap();
    assert_eq!(counts(), (1, 0, false));
    let id = server.heard(|heard| heard.is("tools/call"))[0].id();
    first.send(&done(&id, "done"));
    result(&mut goes_on).await;
    assert_eq!(counts(), (0, 0, true), "the answer ends it, not the end of the exchange");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_for_the_handshake_is_under_way() {
    let streams = Streams::new();
    let opened = streams.clone();
    let server = Server::new(move |heard| if heard.is("initialize") { opened.open(heard) } else { None });
    let upstream = at(&server).legacy(named("a"), &HeaderMap::new());
    let call = tool("t");
    let mut sending = Box::pin(upstream.send(&call));
    let (_, events) = tokio::select! {
        opened = streams.next() => opened,
        _ = &mut sending => panic!("there is no session yet"),
    };
    assert!(!upstream.is_idle());
    drop((sending, events));
    assert!(upstream.is_idle());
}

#[tokio::test(start_paused = true)]
async fn what_is_given_up_is_cancelled_at_the_server() {
    let streams = Streams::new();
    let opened = streams.clone();
    let server = Server::new(move |heard| if heard.is("tools/call") { opened.open(heard) } else { None });
    let upstream = at(&server).legacy(identity(forms()), &HeaderMap::new());
    let mut exchange = upstream.send(&tool("t")).await.unwrap();
    let (heard, events) = streams.next().await;
    let form = json!({ "message": "Well?", "requestedSchema": { "type": "object", "properties": {} } });
    events.send(&json!({ "jsonrpc": "2.0", "id": "q", "method": "elicitation/create", "params": form }));
    let asked = result(&mut exchange).await;
    upstream.give_up("another");
    assert_eq!(upstream.held(), 1);
    upstream.give_up(asked["requestState"].as_str().unwrap());
    let cancelled = server.hears(1, |heard| heard.is("notifications/cancelled")).await;
    assert_eq!(cancelled.body["params"]["requestId"], heard.id());
    assert!(upstream.is_idle() && upstream.held() == 0);
}

#[tokio::test(start_paused = true)]
async fn clones_are_one_upstream_which_ends_with_the_last() {
    let streams = Streams::new();
    let opened = streams.clone();
    let server = Server::new(move |heard| if heard.is("tools/call") { opened.open(heard) } else { None });
    let upstream = at(&server).legacy(identity(forms()), &HeaderMap::new());
    let mut exchange = upstream.send(&tool("t")).await.unwrap();
    let (_, events) = streams.next().await;
    let form = json!({ "message": "Well?", "requestedSchema": { "type": "object", "properties": {} } });
    events.send(&json!({ "jsonrpc": "2.0", "id": "q", "method": "elicitation/create", "params": form }));
    result(&mut exchange).await;
    let clone = upstream.clone();
    drop(upstream);
    assert_eq!((clone.held(), clone.is_open()), (1, true));
    assert_eq!(server.heard(|heard| heard.is("initialize")).len(), 1);
    drop(clone);
    server.hears(1, |heard| heard.is("notifications/cancelled")).await;
}

#[tokio::test(start_paused = true)]
async fn a_ping_finds_a_session_that_was_forgotten_and_opens_another() {
    let server = Server::new(|heard| {
        let forgotten = heard.is("ping") && heard.header("mcp-session-id") == Some("session-1");
        forgotten.then(|| status(StatusCode::NOT_FOUND))
    });
    let upstream = at(&server).legacy(named("a"), &HeaderMap::new());
    upstream.ping().await.unwrap();
    assert!(upstream.is_open());
    assert_eq!(server.heard(|heard| heard.is("initialize")).len(), 2);
    let dead = Server::new(|heard| heard.is("ping").then(|| status(StatusCode::BAD_GATEWAY)));
    let error = at(&dead).legacy(named("a"), &HeaderMap::new()).ping().await.unwrap_err();
    assert!(matches!(error, Error::Refused { status: StatusCode::BAD_GATEWAY, .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn answers_to_nothing_begin_a_call() {
    let server = Server::new(|heard| heard.is("tools/call").then(|| whole(&done(&heard.id(), "done"))));
    let upstream = at(&server).legacy(named("a"), &HeaderMap::new());
    let empty = Answers { responses: Some(anypod_client::Raw::parse("{ }".into()).unwrap()), state: None };
    let call = with(tool("t"), |call| call.answers = Some(empty));
    let said: Value = result(&mut upstream.send(&call).await.unwrap()).await;
    assert_eq!(said["content"][0]["text"], "done");
    let broken =
        Answers { responses: Some(anypod_client::Raw::parse("[]".into()).unwrap()), state: Some("anew".into()) };
    let call = with(tool("t"), |call| call.answers = Some(broken));
    let (_, answer) = finish(&mut upstream.send(&call).await.unwrap()).await;
    assert!(matches!(&answer, anypod_client::Answer::Error(error) if error.code == -32602), "{answer:?}");
}
