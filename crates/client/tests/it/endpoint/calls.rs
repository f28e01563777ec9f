//! Modern calls: who calls and with which headers is said with each.

use anypod_client::proto::method::Method;
use anypod_client::{Answer, Call, Client, Error, Incoming};
use futures_util::future::join_all;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use super::{at, exchange, finish, named, result};
use crate::legacy::server::{Heard, Server, tool, with};
use crate::modern::{error, text};

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    let pairs = pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
    pairs.collect()
}

#[tokio::test]
async fn many_clients_share_one_endpoint_and_each_says_who_it_is() {
    let echo = |heard: &Heard| {
        let name = heard.body["params"]["_meta"]["io.modelcontextprotocol/clientInfo"]["name"].as_str();
        let said = format!("{} {}", name.unwrap_or_default(), heard.header("authorization").unwrap_or_default());
        Some(text(heard, &said))
    };
    let upstream = at(&Server::new(echo)).modern();
    let calls = (0..16).map(|number| {
        let upstream = upstream.clone();
        async move {
            let mut headers = HeaderMap::new();
            headers.insert("authorization", format!("Bearer {number}").parse().unwrap());
            let name = format!("client-{number}");
            let sent = upstream.send(&tool("t"), &named(&name), &headers).await.unwrap();
            result(&mut exchange(sent)).await["content"][0]["text"].clone()
        }
    });
    for (number, said) in join_all(calls).await.into_iter().enumerate() {
        assert_eq!(said, format!("client-{number} Bearer {number}"));
    }
}

/// Answers every request of one connection, and of no other: with the result of a list, and of the handshake.
async fn single(listener: TcpListener) {
    let (stream, _) = listener.accept().await.unwrap();
    drop(listener);
    let mut stream = BufReader::new(stream);
    loop {
        let (mut length, mut line) = (0, String::new());
        while line != "\r\n" {
            line.clear();
            if stream.read_line(&mut line).await.unwrap() == 0 {
                return;
            }
            length = line.strip_prefix("content-length: ").map_or(length, |length| length.trim().parse().unwrap());
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.unwrap();
        let id = serde_json::from_slice::<Value>(&body).unwrap_or_default()["id"].clone();
        let server = json!({ "name": "a", "version": "1" });
        let result = json!({
            "resultType": "complete", "tools": [], "protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": server,
        });
        let body = json!({ "jsonrpc": "2.0", "id": id, "result": result }).to_string();
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length";
        stream.write_all(format!("{head}: {}\r\n\r\n{body}", body.len()).as_bytes()).await.unwrap();
    }
}

#[tokio::test]
async fn calls_and_sessions_of_many_share_the_connections() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let endpoint = Client::builder().endpoint(&format!("http://{}/mcp", listener.local_addr().unwrap())).unwrap();
    tokio::spawn(single(listener));
    let list = Call::new(Method::ToolsList);
    for name in ["a", "b", "c"] {
        let sent = endpoint.modern().send(&list, &named(name), &HeaderMap::new()).await;
        assert_eq!(result(&mut exchange(sent.unwrap())).await["tools"], json!([]));
        let session = endpoint.legacy(named(name), &HeaderMap::new());
        assert_eq!(result(&mut session.send(&list).await.unwrap()).await["tools"], json!([]));
    }
}

#[tokio::test]
async fn headers_of_the_call_come_after_the_messages_own_and_after_the_connections() {
    let server = Server::new(|heard| Some(text(heard, "done")));
    let endpoint = Client::builder()
        .header(HeaderName::from_static("x-from"), HeaderValue::from_static("the endpoint"))
        .header(HeaderName::from_static("x-both"), HeaderValue::from_static("the endpoint"))
        .service_endpoint(server.clone());
    let passed = headers(&[
        ("x-both", "the call"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01"),
        ("mcp-method", "tools/list"),
        ("mcp-name", "other"),
        ("mcp-protocol-version", "2025-11-25"),
        ("mcp-session-id", "stolen"),
        ("content-type", "text/plain"),
        ("accept", "text/html"),
        ("accept-encoding", "gzip"),
        ("content-length", "1"),
        ("transfer-encoding", "chunked"),
        ("connection", "x-both"),
        ("host", "elsewhere"),
    ]);
    let sent = endpoint.modern().send(&tool("t"), &named("a"), &passed).await.unwrap();
    result(&mut exchange(sent)).await;
    let heard = &server.log()[0];
    for (name, value) in [
        ("x-from", "the endpoint"),
        ("x-both", "the call"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01"),
        ("mcp-method", "tools/call"),
        ("mcp-name", "t"),
        ("mcp-protocol-version", "2026-07-28"),
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
    ] {
        assert_eq!(heard.header(name), Some(value), "{name}");
        assert_eq!(heard.headers.get_all(name).iter().count(), 1, "{name}");
    }
    for name in ["mcp-session-id", "accept-encoding", "content-length", "transfer-encoding", "connection", "host"] {
        assert!(!heard.headers.contains_key(name), "{name}");
    }
}

#[tokio::test]
async fn notices_and_the_result_come_as_they_were_written() {
    let body = "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{ \"progressToken\":1, \"progress\":1.0e+0 }}\n\n\
                data: {\"jsonrpc\":\"2.0\",\"method\":\"x/y\",\"params\":{\"progressToken\":1}}\n\n\
                data: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{ \"resultType\":\"complete\", \"n\":1.50, \"n\":2 }}\n\n";
    let server = Server::new(move |_| Some(crate::legacy::server::streamed(body)));
    let call = with(tool("t"), |call| call.progress = true);
    let sent = at(&server).modern().send(&call, &named("a"), &HeaderMap::new()).await.unwrap();
    let (notices, answer) = finish(&mut exchange(sent)).await;
    let Answer::Result(result) = answer else { panic!("{answer:?}") };
    assert_eq!(result.as_str(), r#"{ "resultType":"complete", "n":1.50, "n":2 }"#);
    let [progress, other] = &notices[..] else { panic!("{notices:?}") };
    assert_eq!(progress.params.as_str(), r#"{ "progressToken":1, "progress":1.0e+0 }"#);
    let renamed = progress.clone().with_token(r#""the-clients-own""#);
    assert_eq!(renamed.params.as_str(), r#"{ "progressToken":"the-clients-own", "progress":1.0e+0 }"#);
    assert_eq!(other.clone().with_token("7").params.as_str(), r#"{"progressToken":1}"#, "which is no progress");
}

#[tokio::test]
async fn no_spelling_of_a_token_is_left_behind() {
    let body = "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"\\u0070rogressToken\":1,\"progress\":1,\"a\":{\"progressToken\":1}}}\n\n";
    let server = Server::new(move |_| Some(crate::legacy::server::streamed(body)));
    let call = with(tool("t"), |call| call.progress = true);
    let sent = at(&server).modern().send(&call, &named("a"), &HeaderMap::new()).await.unwrap();
    let Ok(Incoming::Notice(notice)) = exchange(sent).next().await else { panic!("no notice") };
    let renamed = notice.with_token("[]");
    assert_eq!(renamed.params.as_str(), r#"{"\u0070rogressToken":[],"progress":1,"a":{"progressToken":1}}"#);
}

#[tokio::test]
async fn an_error_on_a_stream_keeps_its_data() {
    let server = Server::new(|heard| {
        let error = json!({ "code": -32021, "message": "no", "data": { "requiredCapabilities": { "roots": {} } } });
        let message = json!({ "jsonrpc": "2.0", "id": heard.id(), "error": error });
        Some(crate::legacy::server::streamed(&format!("data: {message}\n\n")))
    });
    let sent = at(&server).modern().send(&tool("t"), &named("a"), &HeaderMap::new()).await.unwrap();
    let (_, answer) = finish(&mut exchange(sent)).await;
    let Answer::Error(error) = answer else { panic!("{answer:?}") };
    assert_eq!((error.code, error.data.unwrap()["requiredCapabilities"].clone()), (-32021, json!({ "roots": {} })));
}

#[tokio::test]
async fn a_pod_that_is_not_there_did_not_run_the_call() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    drop(listener);
    let endpoint = Client::builder().endpoint(&url).unwrap();
    let error = endpoint.modern().send(&tool("t"), &named("a"), &HeaderMap::new()).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }) && error.did_not_run(), "{error}");
}

#[tokio::test]
async fn an_endpoint_has_no_era_of_its_own() {
    let server = Server::new(|heard| heard.headers.contains_key("mcp-method").then(|| error(heard, 404, -32601)));
    let endpoint = at(&server);
    let legacy = endpoint.legacy(named("old"), &HeaderMap::new());
    let modern = endpoint.modern().send(&tool("t"), &named("new"), &HeaderMap::new()).await.unwrap();
    assert_eq!(super::refused(modern).status, http::StatusCode::NOT_FOUND);
    result(&mut legacy.send(&tool("t")).await.unwrap()).await;
}
