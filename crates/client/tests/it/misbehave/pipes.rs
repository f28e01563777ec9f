//! The same over stdio, where one server that misbehaves shares its pipe with all requests.

use std::future::IntoFuture;
use std::time::Duration;

use anypod_client::stdio::{Peer, Pipes};
use anypod_client::{Broken, Client, Error};
use anypod_testkit::script::{Answers, Expect, Received, Reply, Script, Server};
use serde_json::json;

use super::support::{call, done, limits, notice};

/// A modern server over a pipe that misbehaves once it is known, and its client.
async fn misbehaving(reply: impl Answers) -> (Server, Client) {
    let versions = json!({ "resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": {} });
    let script = Script::new().always(Expect::method("server/discover"), Reply::result(&versions));
    let script = script.always(Expect::method("notifications/cancelled"), Reply::empty(202));
    let (server, pipe) = script.always(Expect::any(), reply).pipe();
    let (reader, writer) = tokio::io::split(pipe);
    let client = Client::builder().limits(limits()).stdio(Peer::Pipes(Pipes::new(reader, writer)));
    client.discover().await.unwrap();
    (server, client)
}

#[tokio::test(start_paused = true)]
async fn does_not_wait_for_an_answer_that_never_comes_and_cancels_the_request() {
    let (server, client) = misbehaving(Reply::never()).await;
    let error = client.call("add", json!({})).timeout(Duration::from_secs(3)).await.unwrap_err();
    assert!(matches!(error, Error::TimedOut(_)), "{error:?}");
    while !server.methods().iter().any(|method| method == "notifications/cancelled") {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_line_of_100_mb_ends_in_an_error_and_is_not_kept() {
    let (_server, client) = misbehaving(Reply::result(&done()).padded(100 << 20)).await;
    let error = call(&client).await.unwrap_err();
    assert!(matches!(error, Error::Broken(Broken::TooMuch { limit: 65_536, .. })), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_notifications_does_not_hide_the_answer_nor_hold_up_others() {
    let reply = |received: &Received| match received.json()["params"]["name"].as_str() {
        Some("add") => Reply::events().event(&notice()).times(10_000).event_result(&done()),
        Some(_) | None => Reply::result(&done()),
    };
    let (_server, client) = misbehaving(reply).await;
    let (flooded, other) = tokio::join!(call(&client), client.call("other", json!({})).into_future());
    assert!(matches!(flooded, Ok(_) | Err(Error::Broken(Broken::TooMuch { .. }))), "{flooded:?}");
    other.unwrap();
}

#[tokio::test(start_paused = true)]
async fn takes_half_a_line_for_no_answer_and_the_end_for_the_end() {
    let (_server, client) = misbehaving(Reply::result(&done()).breaks_off()).await;
    let error = call(&client).await.unwrap_err();
    assert!(matches!(error, Error::OutcomeUnknown { .. } | Error::Broken(Broken::NotJsonRpc(_))), "{error:?}");
    let error = call(&client).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. } | Error::OutcomeUnknown { .. }), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn gives_up_on_a_list_whose_cursor_repeats() {
    let page = json!({ "resultType": "complete", "tools": [], "nextCursor": "again" });
    let (_server, client) = misbehaving(Reply::result(&page)).await;
    let error = client.tools().await.unwrap_err();
    assert!(matches!(error, Error::Broken(Broken::EndlessList)), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn goes_on_after_lines_that_are_no_messages() {
    let noise = &b"starting up\n\xff\xfe\n{\"jsonrpc\":\n[]\nnull\n\n"[..];
    let (_server, client) = misbehaving(Reply::events().bytes(noise).event_result(&done())).await;
    call(&client).await.unwrap();
    call(&client).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn takes_the_first_of_two_answers_and_no_answer_to_another() {
    let other = json!({ "jsonrpc": "2.0", "id": 4711, "result": done() });
    let reply = Reply::events().event(&other).event_result(&done()).event_error(1, "too late");
    let (_server, client) = misbehaving(reply).await;
    call(&client).await.unwrap();
    call(&client).await.unwrap();
}
