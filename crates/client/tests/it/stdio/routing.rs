//! Who gets what, and what the server hears.

use std::sync::{Arc, Mutex};

use anypod_client::proto::logging::LoggingLevel;
use anypod_client::proto::method::Method;
use anypod_client::stdio::Probe;
use anypod_client::{Answer, Broken, Call, Error, Observe};
use bytes::Bytes;
use serde_json::{Value, json};

use super::{begin, call, identity, limited, notice, observed, progressing, result, send, wire};

const PROGRESS: &str = "notifications/progress";
const CANCELLED: &str = "notifications/cancelled";
const CHANGED: &str = "notifications/tools/list_changed";
const UPDATED: &str = "notifications/resources/updated";

fn listen() -> Call {
    let mut call = Call::new(Method::SubscriptionsListen);
    call.params = br#""notifications":{"toolsListChanged":true}"#.to_vec();
    call
}

fn of(subscription: &Value) -> Value {
    json!({ "_meta": { "io.modelcontextprotocol/subscriptionId": subscription["id"] } })
}

#[tokio::test(start_paused = true)]
async fn answers_find_their_requests_in_any_order() {
    let (wire, mut peer) = wire();
    let (mut first, one) = begin(&wire, &mut peer, &call("one")).await;
    let (mut second, two) = begin(&wire, &mut peer, &call("two")).await;
    assert_eq!((&one["params"]["name"], &two["params"]["name"]), (&json!("one"), &json!("two")));
    peer.answer(&two, json!({ "n": 2 })).await;
    peer.answer(&one, json!({ "n": 1 })).await;
    assert_eq!(result(&mut first).await, json!({ "n": 1 }));
    assert_eq!(result(&mut second).await, json!({ "n": 2 }));
    assert!(matches!(second.next().await, Err(Error::Broken(Broken::NoAnswer))), "nothing comes after the answer");
}

#[tokio::test(start_paused = true)]
async fn answers_to_nobody_are_ignored() {
    let (wire, mut peer) = wire();
    let (mut exchange, request) = begin(&wire, &mut peer, &call("one")).await;
    for id in [json!(999), json!(-1), json!("1"), json!(u64::from(u32::MAX))] {
        peer.answer(&json!({ "id": id }), json!({ "wrong": id })).await;
    }
    peer.answer(&request, json!({ "n": 1 })).await;
    peer.answer(&request, json!({ "n": 2 })).await;
    let (mut next, request) = begin(&wire, &mut peer, &call("two")).await;
    peer.answer(&request, json!({ "n": 3 })).await;
    assert_eq!(result(&mut exchange).await, json!({ "n": 1 }));
    assert_eq!(result(&mut next).await, json!({ "n": 3 }));
}

#[tokio::test(start_paused = true)]
async fn an_error_without_an_id_is_that_of_the_only_request() {
    let (wire, mut peer) = wire();
    let (mut exchange, _) = begin(&wire, &mut peer, &call("one")).await;
    peer.send(json!({ "jsonrpc": "2.0", "id": null, "error": { "code": -32700, "message": "what?" } })).await;
    let answer = exchange.next().await.unwrap();
    assert!(format!("{answer:?}").contains("what?"), "{answer:?}");
}

#[tokio::test(start_paused = true)]
async fn dropping_an_exchange_cancels_the_request_unless_it_is_over() {
    let (wire, mut peer) = wire();
    let (mut over, request) = begin(&wire, &mut peer, &call("one")).await;
    peer.answer(&request, json!({})).await;
    result(&mut over).await;
    drop(over);
    let (exchange, request) = begin(&wire, &mut peer, &call("two")).await;
    drop(exchange);
    let cancelled = peer.receive().await;
    assert_eq!((&cancelled["method"], &cancelled["params"]["requestId"]), (&json!(CANCELLED), &request["id"]));
    let (_exchange, next) = begin(&wire, &mut peer, &call("three")).await;
    assert_ne!(next["id"], request["id"], "ids are not used again");
}

#[tokio::test(start_paused = true)]
async fn what_nobody_waits_for_any_more_is_not_sent() {
    let (wire, mut peer) = wire();
    // More than the pipe and the writer hold: what follows waits to be written.
    let mut large = call("large");
    large.params = format!(r#""name":"large","arguments":{{"text":"{}"}}"#, "x".repeat(200_000)).into_bytes();
    let large = send(&wire, &large).await;
    let given_up = send(&wire, &call("given up")).await;
    let _kept = send(&wire, &call("kept")).await;
    drop(given_up);
    let request = peer.receive().await;
    drop(large);
    let mut heard = [peer.receive().await, peer.receive().await];
    heard.sort_by_key(|message| message["method"].to_string());
    assert_eq!(heard[0]["params"]["requestId"], request["id"]);
    assert_eq!(heard[1]["params"]["name"], "kept");
}

#[tokio::test(start_paused = true)]
async fn parameters_that_are_laid_out_in_lines_are_sent_as_one() {
    let (wire, mut peer) = wire();
    let mut call = call("tool");
    call.params = b"\"name\":\r\n\"tool\",\n\"arguments\": {\n}".to_vec();
    let (_exchange, request) = begin(&wire, &mut peer, &call).await;
    assert_eq!(request["params"]["arguments"], json!({}));
}

#[tokio::test(start_paused = true)]
async fn progress_goes_to_the_request_that_asked_for_it() {
    let (wire, mut peer) = wire();
    let (mut silent, silent_request) = begin(&wire, &mut peer, &call("silent")).await;
    let (mut loud, loud_request) = begin(&wire, &mut peer, &progressing("loud")).await;
    assert_eq!(loud_request["params"]["_meta"]["progressToken"], loud_request["id"]);
    for request in [&silent_request, &loud_request] {
        peer.notify(PROGRESS, json!({ "progressToken": request["id"], "progress": 1 })).await;
        peer.answer(request, json!({})).await;
    }
    assert_eq!(notice(&mut loud).await.0, PROGRESS);
    result(&mut loud).await;
    result(&mut silent).await;
}

#[tokio::test(start_paused = true)]
async fn log_messages_go_to_all_who_asked_for_them() {
    let (wire, mut peer) = wire();
    let mut logging = call("logs");
    logging.log_level = Some(LoggingLevel::Info);
    let (mut one, _) = begin(&wire, &mut peer, &logging).await;
    let (mut two, _) = begin(&wire, &mut peer, &logging).await;
    let (mut three, request) = begin(&wire, &mut peer, &call("silent")).await;
    peer.notify("notifications/message", json!({ "level": "info", "data": "here" })).await;
    peer.answer(&request, json!({})).await;
    for exchange in [&mut one, &mut two] {
        assert_eq!(notice(exchange).await.1["data"], "here");
    }
    result(&mut three).await;
}

#[tokio::test(start_paused = true)]
async fn changes_go_to_the_subscription_that_they_name() {
    let (wire, mut peer) = wire();
    let (mut one, first) = begin(&wire, &mut peer, &listen()).await;
    let (mut two, second) = begin(&wire, &mut peer, &listen()).await;
    peer.notify(CHANGED, json!({})).await;
    peer.notify(CHANGED, of(&second)).await;
    peer.notify("notifications/prompts/list_changed", of(&first)).await;
    assert_eq!(notice(&mut one).await.0, "notifications/prompts/list_changed");
    assert_eq!(notice(&mut two).await.0, CHANGED);
    // Both what one page of the specification has for the end of a subscription and what the other has.
    peer.notify(CANCELLED, json!({ "requestId": first["id"] })).await;
    peer.answer(&first, json!({ "resultType": "complete" })).await;
    assert_eq!(result(&mut one).await, json!({ "resultType": "complete" }));
    peer.notify(CANCELLED, json!({ "requestId": second["id"] })).await;
    assert!(matches!(two.next().await, Err(Error::Lost { .. })), "it does not wait for ever");
}

#[tokio::test(start_paused = true)]
async fn progress_that_nobody_takes_is_dropped_and_the_answer_is_not() {
    let (wire, mut peer) = wire();
    let (mut exchange, request) = begin(&wire, &mut peer, &progressing("slow")).await;
    for progress in 0..10_000 {
        peer.notify(PROGRESS, json!({ "progressToken": request["id"], "progress": progress })).await;
    }
    peer.answer(&request, json!({ "done": true })).await;
    let (mut other, request) = begin(&wire, &mut peer, &call("other")).await;
    peer.answer(&request, json!({})).await;
    result(&mut other).await;
    for progress in 0..256 {
        assert_eq!(notice(&mut exchange).await.1["progress"], progress);
    }
    assert_eq!(result(&mut exchange).await, json!({ "done": true }));
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_bounded_in_bytes_too() {
    let (wire, mut peer) = limited(|limits| limits.event_bytes = 10_000);
    let (mut exchange, request) = begin(&wire, &mut peer, &progressing("slow")).await;
    let message = "x".repeat(4000);
    for progress in 0..100 {
        let params = json!({ "progressToken": request["id"], "progress": progress, "message": message });
        peer.notify(PROGRESS, params).await;
    }
    peer.answer(&request, json!({})).await;
    let (mut other, request) = begin(&wire, &mut peer, &progressing("other")).await;
    peer.answer(&request, json!({})).await;
    result(&mut other).await;
    for _ in 0..2 {
        assert_eq!(notice(&mut exchange).await.0, PROGRESS);
    }
    result(&mut exchange).await;
    // What was taken makes room.
    let (mut exchange, request) = begin(&wire, &mut peer, &progressing("next")).await;
    peer.notify(PROGRESS, json!({ "progressToken": request["id"], "progress": 1, "message": message })).await;
    assert_eq!(notice(&mut exchange).await.0, PROGRESS);
}

#[tokio::test(start_paused = true)]
async fn more_notifications_than_a_request_may_get_end_it() {
    let (wire, mut peer) = limited(|limits| limits.notifications = 10);
    let (mut exchange, request) = begin(&wire, &mut peer, &progressing("flood")).await;
    for progress in 0..11 {
        peer.notify(PROGRESS, json!({ "progressToken": request["id"], "progress": progress })).await;
    }
    assert_eq!(peer.receive().await["method"], CANCELLED);
    for _ in 0..10 {
        notice(&mut exchange).await;
    }
    let end = exchange.next().await.unwrap_err();
    assert!(matches!(end, Error::Broken(Broken::TooMuch { limit: 10, .. })), "{end}");
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_is_not_read_merges_what_is_alike_and_is_lost_with_the_rest() {
    let (wire, mut peer) = limited(|limits| limits.waiting_messages = 2);
    let (mut exchange, request) = begin(&wire, &mut peer, &listen()).await;
    for _ in 0..10 {
        peer.notify(CHANGED, of(&request)).await;
    }
    let (mut other, marker) = begin(&wire, &mut peer, &call("other")).await;
    peer.answer(&marker, json!({})).await;
    result(&mut other).await;
    let mut updated = of(&request);
    updated["uri"] = json!("note://a");
    peer.notify(UPDATED, updated).await;
    assert_eq!(peer.receive().await["params"]["requestId"], request["id"]);
    for _ in 0..2 {
        assert_eq!(notice(&mut exchange).await.0, CHANGED);
    }
    assert!(matches!(exchange.next().await, Err(Error::Lost { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_request_of_a_modern_server_gets_no_answer() {
    let (wire, mut peer) = wire();
    let (mut exchange, request) = begin(&wire, &mut peer, &call("one")).await;
    peer.send(json!({ "jsonrpc": "2.0", "id": request["id"], "method": "ping" })).await;
    peer.answer(&request, json!({})).await;
    result(&mut exchange).await;
    let (_exchange, next) = begin(&wire, &mut peer, &call("two")).await;
    assert_eq!(next["params"]["name"], "two", "clients must not write responses");
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_is_not_answered_is_silence_and_leaves_no_trace() {
    let (wire, mut peer) = wire();
    let identity = identity();
    let (probe, request) = tokio::join!(wire.probe(&identity), peer.receive());
    assert!(matches!(probe.unwrap(), Probe::Silent));
    assert_eq!(request["method"], "server/discover");
    // A late answer is nobody's, and nothing was cancelled.
    peer.answer(&request, json!({ "late": true })).await;
    let (mut exchange, request) = begin(&wire, &mut peer, &call("one")).await;
    assert_eq!(request["params"]["name"], "one");
    peer.answer(&request, json!({ "n": 1 })).await;
    assert_eq!(result(&mut exchange).await, json!({ "n": 1 }));
}

#[tokio::test(start_paused = true)]
async fn a_probe_gives_the_answer_as_it_came() {
    let (wire, mut peer) = wire();
    let identity = identity();
    let answer = async {
        let request = peer.receive().await;
        let error = json!({ "code": -32601, "message": "no such method" });
        peer.send(json!({ "jsonrpc": "2.0", "id": request["id"], "error": error })).await;
    };
    let (probe, ()) = tokio::join!(wire.probe(&identity), answer);
    let Probe::Answered(Answer::Error(error)) = probe.unwrap() else { panic!("an error") };
    assert_eq!(error.code, -32601);
    drop(peer);
    let ended = wire.probe(&identity).await;
    assert!(matches!(ended, Err(Error::Unreachable { .. }) | Ok(Probe::Failed(_))), "{ended:?}");
}

#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Observe for Heard {
    fn request(&self, _number: u64, _head: &http::request::Parts, _body: &Bytes) {}

    fn response(&self, _number: u64, _head: &http::response::Parts) {}

    fn received(&self, _number: u64, text: &[u8]) {
        self.0.lock().expect("no panic").push(format!("< {}", String::from_utf8_lossy(text)));
    }

    fn line(&self, text: &[u8]) {
        self.0.lock().expect("no panic").push(format!("> {}", String::from_utf8_lossy(text)));
    }
}

#[tokio::test(start_paused = true)]
async fn an_observer_sees_lines_both_ways() {
    let heard = Arc::new(Heard::default());
    let (wire, mut peer) = observed(heard.clone());
    let (mut exchange, request) = begin(&wire, &mut peer, &call("one")).await;
    peer.write("hello\n").await;
    peer.answer(&request, json!({})).await;
    result(&mut exchange).await;
    let heard = heard.0.lock().unwrap();
    assert!(heard[0].starts_with("> {\"jsonrpc\":\"2.0\",\"id\":1,") && heard[0].ends_with('}'), "{heard:?}");
    assert_eq!(heard[1], "< hello");
    assert!(heard[2].starts_with("< {"), "{heard:?}");
}

#[tokio::test(start_paused = true)]
async fn the_connection_closes_with_the_last_who_holds_it() {
    let (wire, mut peer) = wire();
    let (mut exchange, request) = begin(&wire, &mut peer, &call("one")).await;
    drop(wire);
    peer.answer(&request, json!({})).await;
    result(&mut exchange).await;
    drop(exchange);
    assert_eq!(peer.line().await, None);
}

#[tokio::test(start_paused = true)]
async fn closing_ends_what_is_under_way() {
    let (wire, mut peer) = wire();
    let (mut one, _) = begin(&wire, &mut peer, &call("one")).await;
    let (mut list, _) = begin(&wire, &mut peer, &Call::new(Method::ToolsList)).await;
    wire.close().await;
    assert_eq!(peer.line().await, None);
    assert!(matches!(one.next().await, Err(Error::OutcomeUnknown { .. })));
    assert!(matches!(list.next().await, Err(Error::Lost { .. })));
    assert!(matches!(wire.send(&call("two"), &identity()).await, Err(Error::Unreachable { .. })));
}
