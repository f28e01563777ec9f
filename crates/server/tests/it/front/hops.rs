//! Answers and events that reach another pod than the one they are for.

use anypod_server::Server;
use http::StatusCode;
use serde_json::json;
use tokio::net::TcpListener;

use super::client::Client;
use super::pods::{pod, two};
use super::{accept, assert_error, question};
use crate::support::World;

/// Two pods that reach each other, on ports of their own.
pub(super) async fn reachable() -> (Server, Server) {
    let world = World::default();
    let mut servers = Vec::new();
    for _ in 0..2 {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/mcp", listener.local_addr().expect("an address"));
        let server = pod(&world).0.advertise(url).build().expect("it builds");
        tokio::spawn(server.clone().serve(listener, std::future::pending()));
        servers.push(server);
    }
    (servers.remove(0), servers.remove(0))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_reaches_another_pod_takes_one_hop() {
    let (a, b) = reachable().await;
    let client = Client::connect(&b).await;
    let mut reply = client.call(&a, "ask-all").await;
    for _ in 0..2 {
        let asked = question(&mut reply).await;
        let answer = if asked["method"] == "roots/list" { json!({ "roots": [] }) } else { accept("Ada") };
        assert_eq!(client.answer(&b, &asked, answer).await.status, StatusCode::ACCEPTED);
    }
    assert_eq!(reply.text().await, "accepted Ada, 0 roots");
}

#[tokio::test]
async fn a_long_answer_takes_the_hop_too() {
    let (a, b) = reachable().await;
    let client = Client::connect(&a).await;
    let mut reply = client.call(&a, "confirm").await;
    let asked = question(&mut reply).await;
    let name = "n".repeat(1 << 20);
    assert_eq!(client.answer(&b, &asked, accept(&name)).await.status, StatusCode::ACCEPTED);
    assert_eq!(reply.text().await.len(), "accepted ".len() + name.len());
}

#[tokio::test]
async fn an_answer_to_a_call_that_has_ended_on_another_pod_is_refused() {
    let (a, b) = reachable().await;
    let client = Client::connect(&a).await;
    let mut reply = client.call(&a, "confirm").await;
    let asked = question(&mut reply).await;
    client.answer(&b, &asked, accept("Ada")).await;
    assert_eq!(reply.text().await, "accepted Ada");
    let late = client.answer(&b, &asked, accept("Bob")).await;
    assert_eq!(late.status, StatusCode::GONE);
    assert_error(&late.json().await, -32600, "gone; call again");
}

#[tokio::test]
async fn an_answer_to_a_pod_that_is_gone_is_refused() {
    let world = World::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/mcp", listener.local_addr().expect("an address"));
    drop(listener);
    let a = pod(&world).0.advertise(url).build().expect("it builds");
    let b = pod(&world).0.build().expect("it builds");
    let client = Client::connect(&a).await;
    let asked = question(&mut client.call(&a, "confirm").await).await;
    let refused = client.answer(&b, &asked, accept("Ada")).await;
    assert_eq!(refused.status, StatusCode::BAD_GATEWAY);
    assert_error(&refused.json().await, -32603, "gone");
}

#[tokio::test]
async fn a_pod_that_replaced_the_one_that_asked_does_not_take_its_answers() {
    let world = World::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/mcp", listener.local_addr().expect("an address"));
    let server = || pod(&world).0.advertise(url.clone()).build().expect("it builds");
    let (before, after, other) = (server(), server(), server());
    tokio::spawn(after.serve(listener, std::future::pending()));
    let client = Client::connect(&before).await;
    let asked = question(&mut client.call(&before, "confirm").await).await;
    assert_eq!(client.answer(&other, &asked, accept("Ada")).await.status, StatusCode::GONE);
}

#[tokio::test]
async fn an_answer_to_a_pod_without_an_address_is_refused_with_the_remedy() {
    let (a, b) = two();
    let client = Client::connect(&a).await;
    let mut reply = client.call(&a, "confirm").await;
    let asked = question(&mut reply).await;
    let lost = client.answer(&b, &asked, accept("Ada")).await;
    assert_eq!(lost.status, StatusCode::MISDIRECTED_REQUEST);
    assert_error(&lost.json().await, -32603, "advertise");
    client.answer(&a, &asked, accept("Ada")).await;
    assert_eq!(reply.text().await, "accepted Ada");
}

#[test]
fn an_address_that_pods_cannot_call_is_refused() {
    let error = Server::new("x", "1").advertise("https://mcp.example.com/mcp").build().expect_err("no TLS");
    assert!(error.to_string().contains("http://10.0.0.5:8080/mcp"), "{error}");
}
