//! The end of patience: timeouts, cancellation, and calls that are dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anypod_client::proto::elicitation::ElicitResult;
use anypod_client::{Client, Error};
use anypod_server::{Cx, Tool};
use serde_json::json;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use crate::legacy::server::{Server, Streams, limits, never, streamed};
use crate::modern::{asks, client, error, pinned, text, tools};

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_is_given_up_in_time() {
    let server = Server::new(|_| Some(never()));
    let begun = Instant::now();
    let error = client(&server).call("t", ()).timeout(seconds(7)).await.unwrap_err();
    assert!(matches!(error, Error::TimedOut(after) if after == seconds(7)), "{error}");
    assert_eq!(begun.elapsed().as_secs(), 7);
    let quick = pinned(Client::builder().limits(limits(|limits| limits.request_deadline = seconds(3))), &server);
    let error = quick.tools().await.unwrap_err();
    assert!(matches!(error, Error::TimedOut(after) if after == seconds(3)), "{error}");
    assert_eq!(server.log().len(), 2, "what timed out is not sent again");
}

#[tokio::test(start_paused = true)]
async fn a_timeout_closes_the_stream_which_is_how_the_server_knows() {
    let streams = Streams::new();
    let opened = streams.clone();
    let server = Server::new(move |heard| opened.open(heard));
    let client = client(&server);
    let call = client.call("t", ()).timeout(seconds(2)).into_future();
    let (called, ()) = tokio::join!(call, async { streams.next().await.1.closed().await });
    assert!(matches!(called, Err(Error::TimedOut(_))), "{called:?}");
    assert_eq!(server.log().len(), 1, "over HTTP there is no message for it");
}

#[tokio::test(start_paused = true)]
async fn progress_does_not_prolong_the_time_of_the_server() {
    let streams = Streams::new();
    let opened = streams.clone();
    let server = Server::new(move |heard| opened.open(heard));
    let client = client(&server);
    let call = client.call("t", ()).timeout(seconds(10)).on_progress(|_| {}).into_future();
    let chatter = async {
        let (heard, events) = streams.next().await;
        let params = json!({ "progressToken": heard.id(), "progress": 1 });
        let progress = json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": params });
        loop {
            tokio::time::sleep(seconds(1)).await;
            events.send(&progress);
        }
    };
    let begun = Instant::now();
    let called = tokio::select! { called = call => called, () = chatter => unreachable!() };
    assert!(matches!(called, Err(Error::TimedOut(_))), "{called:?}");
    assert_eq!(begun.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn the_time_of_the_person_is_not_the_servers() {
    let server = Server::new(|heard| {
        Some(match heard.body["params"].get("inputResponses") {
            None => asks(heard, &["who"], None),
            Some(_) => text(heard, "done"),
        })
    });
    let builder = Client::builder().on_form(|_| async {
        tokio::time::sleep(seconds(3600)).await;
        Ok::<_, std::io::Error>(ElicitResult::decline())
    });
    pinned(builder, &server).call("t", ()).timeout(seconds(5)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_time_of_all_rounds_together_counts() {
    let streams = Streams::new();
    let opened = streams.clone();
    let server = Server::new(move |heard| opened.open(heard));
    let client = pinned(crate::modern::agreeing(), &server);
    let call = client.call("t", ()).timeout(seconds(10)).into_future();
    let slow = async {
        let mut kept = Vec::new();
        loop {
            let (heard, events) = streams.next().await;
            tokio::time::sleep(seconds(4)).await;
            let result = json!({ "resultType": "input_required", "requestState": "s" });
            events.send(&json!({ "jsonrpc": "2.0", "id": heard.id(), "result": result }));
            kept.push(events);
        }
    };
    let begun = Instant::now();
    let called = tokio::select! { called = call => called, () = slow => unreachable!() };
    assert!(matches!(called, Err(Error::TimedOut(_))), "{called:?}");
    assert_eq!(begun.elapsed().as_secs(), 10);
}

/// Our own server with a tool that never ends, and what shows that its handler has begun and was dropped.
fn endless() -> (anypod_server::Server, Arc<Notify>, oneshot::Receiver<()>) {
    let begun = Arc::new(Notify::new());
    let (dropped, seen) = oneshot::channel::<()>();
    let dropped = Arc::new(std::sync::Mutex::new(Some(dropped)));
    let began = Arc::clone(&begun);
    let wait = move |_: Cx| {
        let (began, guard) = (Arc::clone(&began), dropped.lock().unwrap().take());
        async move {
            began.notify_one();
            std::future::pending::<()>().await;
            drop(guard);
            "never"
        }
    };
    let server = anypod_server::Server::new("endless", "1.0.0").tool(Tool::new("wait", wait)).build().unwrap();
    (server, begun, seen)
}

#[tokio::test]
async fn a_call_that_is_dropped_drops_its_handler() {
    let (server, begun, dropped) = endless();
    let client = Client::builder().service(server);
    let call = client.call("wait", ()).into_future();
    tokio::select! { called = call => panic!("{called:?}"), () = begun.notified() => {} }
    assert!(dropped.await.is_err());
}

#[tokio::test]
async fn a_call_that_is_cancelled_drops_its_handler() {
    let (server, begun, dropped) = endless();
    let client = Client::builder().service(server);
    let error = client.call("wait", ()).cancel_when(async move { begun.notified().await }).await.unwrap_err();
    assert!(matches!(error, Error::Cancelled), "{error}");
    assert!(dropped.await.is_err());
}

#[tokio::test]
async fn a_call_that_is_cancelled_before_it_is_sent_is_not_sent() {
    let server = Server::new(|heard| Some(text(heard, "done")));
    let error = client(&server).call("t", ()).cancel_when(std::future::ready(())).await.unwrap_err();
    assert!(matches!(error, Error::Cancelled), "{error}");
    assert_eq!(server.log().len(), 0);
}

#[tokio::test]
async fn a_call_is_cancelled_while_the_person_is_asked() {
    let server = Server::new(|heard| Some(asks(heard, &["who"], None)));
    let asked = Arc::new(Notify::new());
    let asks = Arc::clone(&asked);
    let builder = Client::builder().on_form(move |_| {
        asks.notify_one();
        std::future::pending::<Result<ElicitResult, std::io::Error>>()
    });
    let client = pinned(builder, &server);
    let error = client.call("t", ()).cancel_when(async move { asked.notified().await }).await.unwrap_err();
    assert!(matches!(error, Error::Cancelled), "{error}");
    assert_eq!(server.log().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_is_cancelled_while_the_tools_are_listed_for_it() {
    let listing = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&listing);
    let server = Server::new(move |heard| {
        Some(if heard.is("tools/list") {
            seen.store(true, Ordering::Relaxed);
            never()
        } else {
            error(heard, 400, -32020)
        })
    });
    let error = client(&server).call("t", ()).cancel_when(tokio::time::sleep(seconds(1))).await.unwrap_err();
    assert!(matches!(error, Error::Cancelled), "{error}");
    assert!(listing.load(Ordering::Relaxed));
}

#[tokio::test(start_paused = true)]
async fn a_call_is_cancelled_between_two_repeats() {
    let server = Server::new(|_| Some(streamed(": gone\n\n")));
    let error = client(&server)
        .call("t", ())
        .repeatable(anypod_client::Repeat::Safe)
        .cancel_when(tokio::time::sleep(Duration::from_millis(10)))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Cancelled), "{error}");
    assert_eq!(server.log().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_silent_for_too_long_is_lost() {
    let streams = Streams::new();
    let opened = streams.clone();
    let server = Server::new(move |heard| opened.open(heard));
    let settings = limits(|limits| limits.silence_deadline = seconds(60));
    let client = pinned(Client::builder().limits(settings), &server);
    let call = client.call("t", ()).into_future();
    let begun = Instant::now();
    let quiet = async {
        let (_, events) = streams.next().await;
        tokio::time::sleep(seconds(50)).await;
        // A comment is sound enough.
        events.write(": here\n\n");
        events.closed().await;
    };
    let (called, ()) = tokio::join!(call, quiet);
    assert!(matches!(called, Err(Error::OutcomeUnknown { .. })), "{called:?}");
    assert_eq!(begun.elapsed().as_secs(), 110);
}

#[tokio::test]
async fn the_futures_of_requests_are_small_and_may_go_to_other_threads() {
    fn checked<T: Send>(future: T) -> usize {
        size_of_val(&future)
    }
    let server = Server::new(|heard| Some(tools(heard, &json!([]))));
    let client = client(&server);
    assert!(checked(client.call("t", ()).round()) < 4096);
    assert!(checked(client.call("t", ()).detach()) < 4096);
    assert!(checked(client.call_as::<String>("t", ())) < 4096);
    assert!(checked(client.tools().into_future()) <= 16, "boxed");
    assert!(checked(client.task::<anypod_client::Raw>("t").wait()) < 4096);
}
