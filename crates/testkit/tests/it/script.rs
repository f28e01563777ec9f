//! The scripted server, tried with nothing but sockets.

use anypod_testkit::script::{Expect, Received, Reply, Script, Server};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn post(body: &str) -> String {
    format!("POST /mcp HTTP/1.1\r\nhost: a\r\nmcp-name: add\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

async fn open(server: &Server) -> TcpStream {
    let address = server.url().replace("http://", "").replace("/mcp", "");
    TcpStream::connect(address).await.expect("a scripted server is there")
}

/// Sends a request on a connection of its own and reads until the server closes it.
async fn told(server: &Server, request: &str) -> String {
    let mut stream = open(server).await;
    stream.write_all(request.as_bytes()).await.expect("a scripted server is there");
    stream.shutdown().await.expect("a scripted server is there");
    let mut text = String::new();
    stream.read_to_string(&mut text).await.expect("a scripted server is there");
    text
}

fn call() -> String {
    post(r#"{"jsonrpc":"2.0","id":"a","method":"tools/call"}"#)
}

#[tokio::test]
async fn takes_its_steps_in_order_and_the_lasting_ones_for_ever() {
    let server = Script::new()
        .on(Expect::method("tools/call"), Reply::text(200, "text/plain", "first"))
        .on(Expect::method("tools/call"), Reply::text(200, "text/plain", "second"))
        .always(Expect::any().with(http::HeaderName::from_static("mcp-name"), "add"), Reply::empty(204))
        .serve()
        .await
        .unwrap();
    assert!(told(&server, &call()).await.ends_with("first"));
    assert!(told(&server, &call()).await.ends_with("second"));
    assert!(told(&server, &call()).await.starts_with("HTTP/1.1 204"));
    assert!(told(&server, &post("{}")).await.starts_with("HTTP/1.1 204"));
    server.assert_done();
    assert_eq!(server.methods(), ["tools/call", "tools/call", "tools/call", ""]);
}

#[tokio::test]
#[should_panic(expected = "never asked for: [\"any  tools/list []\"]; not expected: [\"POST /mcp tools/call\"]")]
async fn says_what_did_not_happen_and_what_should_not_have() {
    let server = Script::new().on(Expect::method("tools/list"), Reply::never()).serve().await.unwrap();
    assert!(told(&server, &call()).await.starts_with("HTTP/1.1 501"));
    server.assert_done();
}

#[tokio::test]
async fn answers_under_the_id_of_the_request() {
    let server = Script::new().always(Expect::any(), Reply::result(&json!({ "b": 1 }))).serve().await.unwrap();
    let answer = told(&server, &call()).await;
    assert!(
        answer.ends_with("\r\ncontent-length: 43\r\n\r\n{\"jsonrpc\":\"2.0\",\"id\":\"a\",\"result\":{\"b\":1}}"),
        "{answer}"
    );
}

#[tokio::test]
async fn says_half_and_closes() {
    let server =
        Script::new().always(Expect::any(), Reply::text(200, "a/b", "12345678").breaks_off()).serve().await.unwrap();
    assert!(told(&server, &call()).await.ends_with("content-length: 8\r\n\r\n1234"));
}

#[tokio::test]
async fn streams_events_in_chunks_and_says_half_of_the_last() {
    let reply = || Reply::events().event(&json!(1)).times(2).bytes(": a\n");
    let server =
        Script::new().on(Expect::any(), reply()).on(Expect::any(), reply().breaks_off()).serve().await.unwrap();
    let event = "9\r\ndata: 1\n\n\r\n";
    let whole = told(&server, &call()).await;
    assert!(whole.ends_with(&format!("chunked\r\n\r\n{event}{event}4\r\n: a\n\r\n0\r\n\r\n")), "{whole:?}");
    let half = told(&server, &call()).await;
    assert!(half.ends_with(&format!("chunked\r\n\r\n{event}{event}4\r\n: ")), "{half:?}");
}

#[tokio::test]
async fn notices_when_a_client_gives_up() {
    let server = Script::new().always(Expect::any(), Reply::events().event(&json!(1)).hangs()).serve().await.unwrap();
    let mut stream = open(&server).await;
    stream.write_all(call().as_bytes()).await.unwrap();
    stream.read_exact(&mut [0; 20]).await.unwrap();
    drop(stream);
    server.given_up(1).await;
}

#[tokio::test]
async fn says_what_is_without_end_without_keeping_it() {
    let server =
        Script::new().always(Expect::any(), Reply::result(&json!({})).padded(u64::MAX / 2)).serve().await.unwrap();
    let mut stream = open(&server).await;
    stream.write_all(call().as_bytes()).await.unwrap();
    stream.read_exact(&mut vec![0; 1 << 20]).await.unwrap();
    assert!(server.sent() >= 1 << 20);
    drop(stream);
    server.given_up(1).await;
}

#[tokio::test]
async fn ends_with_its_connections_when_it_is_dropped() {
    let server = Script::new().always(Expect::any(), Reply::never()).serve().await.unwrap();
    let mut stream = open(&server).await;
    stream.write_all(call().as_bytes()).await.unwrap();
    drop(server);
    assert!(matches!(stream.read(&mut [0; 1]).await, Ok(0) | Err(_)));
}

#[tokio::test]
async fn speaks_in_lines_over_a_pipe() {
    let reply = |received: &Received| match received.method().as_deref() {
        Some("a") => Reply::events().event(&json!({ "n": 1 })).event_result(&json!({})),
        _ => Reply::result(&json!({})).breaks_off(),
    };
    let (server, mut pipe) = Script::new().always(Expect::any(), reply).pipe();
    pipe.write_all(b"{\"id\":1,\"method\":\"a\"}\n{\"id\":2,\"method\":\"b\"}\n").await.unwrap();
    let mut text = String::new();
    pipe.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "{\"n\":1}\n{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n{\"jsonrpc\":\"2.0\",\"");
    assert_eq!(server.methods(), ["a", "b"]);
}
