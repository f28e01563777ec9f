//! Legacy servers that misbehave, as far as only sessions can.

use anypod_client::{Broken, Client, Error};
use anypod_testkit::script::{Expect, Reply, Script, Server};
use serde_json::{Value, json};

use super::support::{call, limits};

fn handshake(version: &str) -> Value {
    json!({ "protocolVersion": version, "capabilities": { "tools": {} }, "serverInfo": { "name": "a", "version": "1" } })
}

/// A legacy server that opens a session and answers calls so, and its client.
async fn legacy(opened: Reply, called: Reply) -> (Server, Client) {
    let server = Script::new()
        .always(Expect::method("initialize"), opened)
        .always(Expect::method("notifications/initialized"), Reply::empty(202))
        .always(Expect::verb(http::Method::GET), Reply::empty(405))
        .always(Expect::verb(http::Method::DELETE), Reply::empty(204))
        .always(Expect::method("tools/call"), called)
        .always(Expect::any(), Reply::empty(400))
        .serve()
        .await
        .unwrap();
    let client = Client::builder().limits(limits()).connect(&server.url()).unwrap();
    (server, client)
}

#[tokio::test]
async fn refuses_an_answer_that_swaps_the_session() {
    let opened = Reply::result(&handshake("2025-11-25")).header("mcp-session-id", "one");
    let swapped = Reply::result(&json!({ "content": [] })).header("mcp-session-id", "two");
    let (server, client) = legacy(opened, swapped).await;
    let error = call(&client).await.unwrap_err();
    assert!(matches!(error, Error::Broken(Broken::Handshake(_)) | Error::OutcomeUnknown { .. }), "{error:?}");
    assert!(server.received().iter().all(|received| received.header("mcp-session-id") != Some("two")));
    assert_eq!(server.methods().iter().filter(|method| *method == "tools/call").count(), 1);
}

#[tokio::test]
async fn a_session_that_is_forgotten_every_time_is_not_opened_for_ever() {
    let opened = Reply::result(&handshake("2025-11-25")).header("mcp-session-id", "one");
    let (server, client) = legacy(opened, Reply::text(404, "text/plain", "session not found")).await;
    call(&client).await.unwrap_err();
    assert!(server.received().len() < 20, "{:?}", server.methods());
}

#[tokio::test]
async fn a_handshake_in_a_version_that_nobody_knows_is_an_error_that_names_it() {
    let (_server, client) = legacy(Reply::result(&handshake("1999-01-01")), Reply::empty(400)).await;
    let error = call(&client).await.unwrap_err();
    assert!(
        matches!(&error, Error::Broken(Broken::NoCommonVersion(versions)) if versions == &["1999-01-01"]),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_session_id_that_is_too_long_is_refused() {
    let opened = Reply::result(&handshake("2025-11-25")).header("mcp-session-id", vec![b'a'; 5000]);
    let (server, client) = legacy(opened, Reply::empty(400)).await;
    call(&client).await.unwrap_err();
    assert!(server.received().iter().all(|received| !received.headers.contains_key("mcp-session-id")));
}
