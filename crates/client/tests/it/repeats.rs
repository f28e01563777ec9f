//! Streams that break: what is sent again, how often, and what never is.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anypod_client::proto::version::Era;
use anypod_client::{Client, Error, Repeat};
use serde_json::{Value, json};

use crate::legacy::server::{Server, streamed};
use crate::modern::{client, text, tools};

/// A server with tools of these annotations, which breaks off the first `broken` streams that are not lists.
fn breaks(broken: usize, annotations: Value) -> Server {
    let seen = AtomicUsize::new(0);
    Server::new(move |heard| {
        let tool = json!([{ "name": "t", "inputSchema": { "type": "object" }, "annotations": annotations }]);
        Some(match seen.load(Ordering::Relaxed) {
            _ if heard.is("tools/list") => tools(heard, &tool),
            seen_before if seen_before < broken => {
                seen.fetch_add(1, Ordering::Relaxed);
                streamed(": the rest is lost\n\ndata: {\"jsonrpc\"")
            }
            _ => text(heard, "done"),
        })
    })
}

fn calls(server: &Server) -> usize {
    server.heard(|heard| !heard.is("tools/list")).len()
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_may_do_more_the_second_time_is_never_sent_twice() {
    for annotations in
        [json!({}), json!({ "readOnlyHint": false }), json!({ "destructiveHint": false, "openWorldHint": false })]
    {
        let server = breaks(1, annotations);
        let client = client(&server);
        client.tools().await.unwrap();
        let error = client.call("t", ()).await.unwrap_err();
        assert!(matches!(error, Error::OutcomeUnknown { .. }), "{error}");
        assert!(!error.did_not_run());
        assert_eq!(calls(&server), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_nobody_has_listed_is_never_sent_twice() {
    let server = breaks(1, json!({ "readOnlyHint": true }));
    let error = client(&server).call("t", ()).await.unwrap_err();
    assert!(matches!(error, Error::OutcomeUnknown { .. }), "{error}");
    assert_eq!(calls(&server), 1);
}

#[tokio::test(start_paused = true)]
async fn tools_that_say_so_are_sent_again_each_time_as_a_new_request() {
    for annotations in [json!({ "readOnlyHint": true }), json!({ "idempotentHint": true })] {
        let server = breaks(2, annotations);
        let client = client(&server);
        client.tools().await.unwrap();
        client.call("t", ()).await.unwrap();
        let ids: std::collections::HashSet<_> = server.log().iter().map(|heard| heard.id().to_string()).collect();
        assert_eq!(ids.len(), 4);
    }
}

#[tokio::test(start_paused = true)]
async fn the_caller_has_the_last_word_on_repeats() {
    let server = breaks(1, json!({ "readOnlyHint": true }));
    let client = client(&server);
    client.tools().await.unwrap();
    let error = client.call("t", ()).repeatable(Repeat::Never).await.unwrap_err();
    assert!(matches!(error, Error::OutcomeUnknown { .. }), "{error}");
    let server = breaks(1, json!({}));
    crate::modern::client(&server).call("t", ()).repeatable(Repeat::Safe).await.unwrap();
    assert_eq!(calls(&server), 2);
}

#[tokio::test(start_paused = true)]
async fn what_only_reads_is_sent_again_twice_and_then_lost() {
    let server = Server::new(|_| Some(streamed(": gone\n\n")));
    let client = client(&server);
    let errors = [
        client.tools().await.map(drop).unwrap_err(),
        client.read("a:b").await.map(drop).unwrap_err(),
        client.prompt::<&str, &str>("p", []).await.map(drop).unwrap_err(),
        client.discover().await.map(drop).unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, Error::Lost { .. }), "{error}");
    }
    assert_eq!(server.log().len(), 4 * 3);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_breaks_the_protocol_is_not_asked_for_again() {
    let asking = json!({ "jsonrpc": "2.0", "id": 7, "method": "roots/list" });
    let server = Server::new(move |_| Some(streamed(&format!("data: {asking}\n\n"))));
    let error = client(&server).tools().await.unwrap_err();
    assert!(matches!(error, Error::Broken(anypod_client::Broken::UnexpectedRequest(_))), "{error}");
    assert_eq!(server.log().len(), 1);
}

/// A server behind a real socket that says `answer` to everything and hangs up; counts what it is sent.
fn hangs_up(answer: &'static str) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut text = Vec::new();
            let mut piece = [0; 4096];
            while !text.ends_with(b"}}}") {
                match stream.read(&mut piece) {
                    Ok(0) | Err(_) => break,
                    Ok(count) => text.extend_from_slice(&piece[..count]),
                }
            }
            if !text.is_empty() {
                counted.fetch_add(1, Ordering::Relaxed);
            }
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    (url, count)
}

#[tokio::test]
async fn a_connection_that_breaks_before_or_within_the_answer_leaves_the_outcome_unknown() {
    let broken = [
        "",
        "HTTP/1.1 200 OK\r\ncontent-ty",
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{\"jsonrpc\"",
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n5\r\ndata:\r\n",
    ];
    for answer in broken {
        let (url, count) = hangs_up(answer);
        let client = Client::builder().era(Era::Modern).connect(&url).unwrap();
        let error = client.call("t", json!({ "a": 1 })).await.unwrap_err();
        assert!(matches!(error, Error::OutcomeUnknown { .. }), "{answer:?}: {error}");
        assert_eq!(count.load(Ordering::Relaxed), 1, "{answer:?}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_has_run_nothing() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let client = Client::builder().era(Era::Modern).connect(&format!("http://{gone}/mcp")).unwrap();
    let error = client.call("t", ()).await.unwrap_err();
    assert!(error.did_not_run(), "{error}");
}
