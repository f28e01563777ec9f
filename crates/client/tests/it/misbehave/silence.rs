//! Servers that do not answer, or never stop answering.

use std::time::Duration;

use anypod_client::proto::tools::CallToolResult;
use anypod_client::{Client, Error, Result};
use anypod_testkit::script::Reply;
use serde_json::json;

use super::support::{bounded, call, done, limits, misbehaving, misbehaving_towards, notice};

const SOON: Duration = Duration::from_millis(100);

async fn call_in_time(client: &Client) -> Result<CallToolResult> {
    bounded(std::future::IntoFuture::into_future(client.call("add", json!({ "a": 1 })).timeout(SOON))).await
}

/// The call runs out of time, and the client gives up the connection.
async fn times_out(reply: Reply) {
    let (server, client) = misbehaving(reply).await;
    let error = call_in_time(&client).await.unwrap_err();
    assert!(matches!(error, Error::TimedOut(SOON)), "{error:?}");
    bounded(server.given_up(1)).await;
}

#[tokio::test]
async fn does_not_wait_for_an_answer_that_never_comes() {
    times_out(Reply::never()).await;
}

#[tokio::test]
async fn does_not_wait_for_the_other_half_of_a_head() {
    times_out(Reply::raw("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n").hangs()).await;
}

#[tokio::test]
async fn does_not_wait_for_the_other_half_of_an_answer() {
    times_out(Reply::result(&done()).hangs()).await;
}

#[tokio::test]
async fn does_not_wait_for_the_other_half_of_an_event() {
    times_out(Reply::events().event(&notice()).event_result(&done()).hangs()).await;
}

#[tokio::test]
async fn does_not_wait_for_an_answer_behind_comments_without_end() {
    times_out(Reply::events().bytes(": still here\n\n").times(u64::MAX)).await;
}

#[tokio::test]
async fn does_not_wait_for_an_answer_behind_events_of_others_without_end() {
    times_out(Reply::events().bytes("event: ping\ndata: {}\n\n").times(u64::MAX)).await;
}

#[tokio::test]
async fn does_not_wait_for_an_answer_behind_interim_ones_without_end() {
    times_out(Reply::raw("").bytes("HTTP/1.1 103 \r\n\r\n").times(u64::MAX)).await;
}

#[tokio::test]
async fn takes_a_stream_that_has_fallen_silent_for_lost() {
    let mut limits = limits();
    limits.silence_deadline = SOON;
    let reply = Reply::events().event(&notice()).event_result(&done()).hangs();
    let (server, client) = misbehaving_towards(Client::builder().limits(limits), reply).await;
    let error = call(&client).await.unwrap_err();
    assert!(matches!(error, Error::OutcomeUnknown { .. }), "{error:?}");
    bounded(server.given_up(1)).await;
}

#[tokio::test]
async fn gives_up_the_connection_of_a_call_that_is_dropped() {
    let (server, client) = misbehaving(Reply::events().event(&notice()).bytes(": wait").hangs()).await;
    let (heard, hears) = tokio::sync::oneshot::channel();
    let mut heard = Some(heard);
    let request =
        client.call("add", json!({ "a": 1 })).on_log(anypod_client::proto::logging::LoggingLevel::Info, move |_| {
            heard.take().map(|heard| heard.send(()));
        });
    let running = tokio::spawn(std::future::IntoFuture::into_future(request));
    bounded(hears).await.unwrap();
    running.abort();
    bounded(server.given_up(1)).await;
}

#[tokio::test]
async fn is_not_held_up_by_others_that_wait() {
    let (server, client) =
        misbehaving(|received: &anypod_testkit::script::Received| match received.json()["params"]["name"].as_str() {
            Some("slow") => Reply::never(),
            Some(_) | None => Reply::result(&done()),
        })
        .await;
    let slow: Vec<_> =
        (0..20).map(|_| tokio::spawn(std::future::IntoFuture::into_future(client.call("slow", json!({}))))).collect();
    call(&client).await.unwrap();
    slow.iter().for_each(tokio::task::JoinHandle::abort);
    drop(server);
}
