//! Servers that write what is no message, or stop in the middle of one.

use std::time::Duration;

use anypod_client::proto::method::Method;
use anypod_client::stdio::Probe;
use anypod_client::{Broken, Call, Error};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

use super::{Peer, begin, call, identity, limited, result, wire};

async fn is_alive(wire: &anypod_client::stdio::Wire, peer: &mut Peer) {
    let (mut exchange, request) = begin(wire, peer, &call("alive")).await;
    peer.answer(&request, json!({ "alive": true })).await;
    assert_eq!(result(&mut exchange).await, json!({ "alive": true }));
}

async fn write_long(peer: &mut Peer, start: &str, end: &str) {
    peer.write(start).await;
    let chunk = "x".repeat(1_000_000);
    for _ in 0..100 {
        peer.write(&chunk).await;
    }
    peer.write(end).await;
}

#[tokio::test(start_paused = true)]
async fn a_line_of_100_mb_fails_only_the_request_that_it_answers() {
    let (wire, mut peer) = limited(|limits| limits.event_bytes = 1 << 20);
    let (mut exchange, request) = begin(&wire, &mut peer, &call("long")).await;
    let start = format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{"text":""#, request["id"]);
    write_long(&mut peer, &start, "\"}}\n").await;
    let error = exchange.next().await.unwrap_err();
    assert!(matches!(error, Error::Broken(Broken::TooMuch { limit: 1_048_576, .. })), "{error}");
    is_alive(&wire, &mut peer).await;
}

#[tokio::test(start_paused = true)]
async fn a_long_line_is_told_by_the_id_at_its_end_or_fails_all() {
    let (wire, mut peer) = limited(|limits| limits.event_bytes = 2000);
    let text = "x".repeat(3000);
    let (mut other, _) = begin(&wire, &mut peer, &call("other")).await;
    let (mut exchange, request) = begin(&wire, &mut peer, &call("long")).await;
    peer.write(&format!("{{\"result\":{{\"text\":\"{text}\"}},\"jsonrpc\":\"2.0\",\"id\":{}}}\n", request["id"])).await;
    assert!(matches!(exchange.next().await, Err(Error::Broken(Broken::TooMuch { .. }))));
    peer.write(&format!("{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":\"{text}\"}}\n")).await;
    is_alive(&wire, &mut peer).await;
    peer.write(&format!("{{\"result\":{{\"text\":\"{text}\"}},\"id\":1,\"jsonrpc\":\"2.0\"}}\n")).await;
    assert!(matches!(other.next().await, Err(Error::Broken(Broken::TooMuch { .. }))));
    assert_eq!(peer.line().await, None, "the connection is closed");
}

#[tokio::test(start_paused = true)]
async fn half_a_line_and_the_end_lose_what_is_under_way() {
    let (wire, mut peer) = wire();
    let (mut once, request) = begin(&wire, &mut peer, &call("once")).await;
    let (mut list, _) = begin(&wire, &mut peer, &Call::new(Method::ToolsList)).await;
    peer.write(&format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{"#, request["id"])).await;
    peer.writer.shutdown().await.unwrap();
    // The half line says which request will not be answered, as does the end for the other.
    assert!(matches!(once.next().await, Err(Error::Broken(Broken::NotJsonRpc(_)))));
    let lost = list.next().await.unwrap_err();
    assert!(matches!(lost, Error::Lost { .. }), "{lost}");
    assert!(lost.to_string().contains("closed its output"), "{lost}");
    let gone = wire.send(&call("next"), &identity()).await.unwrap_err();
    assert!(gone.did_not_run(), "{gone}");
}

#[tokio::test(start_paused = true)]
async fn the_end_leaves_the_outcome_unknown_of_what_may_not_be_repeated() {
    let (wire, mut peer) = wire();
    let (mut once, _) = begin(&wire, &mut peer, &call("once")).await;
    drop(peer);
    let unknown = once.next().await.unwrap_err();
    assert!(matches!(unknown, Error::OutcomeUnknown { .. }), "{unknown}");
}

#[tokio::test(start_paused = true)]
async fn banners_are_passed_over() {
    let (wire, mut peer) = wire();
    peer.write("\n  \nListening on stdio\n[info] ready\n[1,2]\n{\"level\":30}\n\"x\"\n").await;
    is_alive(&wire, &mut peer).await;
    peer.writer.write_all(b"\xff\xfe\n").await.unwrap();
    is_alive(&wire, &mut peer).await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_comes_to_the_point_is_given_up() {
    let (wire, mut peer) = wire();
    let (mut exchange, _) = begin(&wire, &mut peer, &call("one")).await;
    for _ in 0..1001 {
        peer.write("yes\n").await;
    }
    let error = exchange.next().await.unwrap_err();
    assert!(matches!(&error, Error::Broken(Broken::NotJsonRpc(why)) if why.contains("yes")), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_server_whose_only_answer_is_noise_is_given_up_soon() {
    let (wire, mut peer) = wire();
    let began = Instant::now();
    let (mut exchange, _) = begin(&wire, &mut peer, &call("one")).await;
    peer.write("syntax error\n").await;
    let next = tokio::time::timeout(Duration::from_secs(300), exchange.next()).await;
    let error = next.expect("an end before its deadline").unwrap_err();
    assert!(matches!(&error, Error::Broken(Broken::NotJsonRpc(why)) if why.contains("syntax error")), "{error}");
    assert_eq!(began.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn noise_after_a_message_leaves_requests_all_their_time() {
    let (wire, mut peer) = wire();
    is_alive(&wire, &mut peer).await;
    let (mut exchange, request) = begin(&wire, &mut peer, &call("long")).await;
    peer.write("working\n").await;
    tokio::time::advance(Duration::from_secs(200)).await;
    peer.answer(&request, json!({})).await;
    assert_eq!(result(&mut exchange).await, json!({}));
}

#[tokio::test(start_paused = true)]
async fn an_echo_is_no_server() {
    let (wire, mut peer) = wire();
    let identity = identity();
    let echo = async {
        let request = peer.receive().await;
        peer.send(request).await;
    };
    let (probe, ()) = tokio::join!(wire.probe(&identity), echo);
    let Probe::Failed(error) = probe.unwrap() else { panic!("an error") };
    assert!(
        matches!(&error, Error::Broken(Broken::UnexpectedRequest(method)) if method == "server/discover"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_cannot_be_read_fails_its_request() {
    let (wire, mut peer) = wire();
    for answer in [
        r#"{"jsonrpc":"2.0","id":ID}"#,
        r#"{"jsonrpc":"2.0","id":ID,"result":{}"#,
        r#"{"jsonrpc":"1.0","id":ID,"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":ID,"error":"no"}"#,
        r#"{"result":{},"error":{"code":1,"message":""},"jsonrpc":"2.0","id":ID}"#,
    ] {
        let (mut exchange, request) = begin(&wire, &mut peer, &call("one")).await;
        peer.write(&format!("{}\n", answer.replace("ID", &request["id"].to_string()))).await;
        let error = exchange.next().await.unwrap_err();
        assert!(matches!(error, Error::Broken(Broken::NotJsonRpc(_))), "{answer}: {error}");
    }
    is_alive(&wire, &mut peer).await;
}
