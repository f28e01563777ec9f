//! What a body says against its headers: the corpus of mismatches, none of which an upstream ever gets.

use anypod_client::proto::header::encode_value;
use anypod_gateway::config::{EraChoice, Time};
use anypod_testkit::script::{Expect, Received, Reply, Script, Server};
use serde_json::json;

use crate::support::{Fleet, Sent, config, meta, upstream_at};

/// `META` stands for what a modern client says about itself, `PAD` for an argument as long as wanted. All bear headers
/// that say `tools/call` of `echo`.
const REFUSED: &[(&str, &str, i64)] = &[
    (
        "another name",
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"drop","arguments":{PAD},META}}"#,
        -32020,
    ),
    (
        "another name, late",
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{META,"arguments":{PAD},"name":"drop"}}"#,
        -32020,
    ),
    (
        "another method",
        r#"{"jsonrpc":"2.0","id":7,"method":"prompts/get","params":{"name":"echo","arguments":{PAD},META}}"#,
        -32020,
    ),
    (
        "another method, late",
        r#"{"jsonrpc":"2.0","id":7,"params":{"name":"echo","arguments":{PAD},META},"method":"prompts/get"}"#,
        -32020,
    ),
    (
        "the name twice",
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","arguments":{PAD},"name":"drop",META}}"#,
        -32600,
    ),
    (
        "the name twice, alike",
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","arguments":{PAD},"name":"echo",META}}"#,
        -32600,
    ),
    (
        "the name twice, once with an escape",
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","arguments":{PAD},"\u006eame":"drop",META}}"#,
        -32600,
    ),
    (
        "another name behind an escape",
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"\u006e\u0061me":"drop","arguments":{PAD},META}}"#,
        -32020,
    ),
    (
        "the method twice",
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","arguments":{PAD},META},"method":"tools/list"}"#,
        -32600,
    ),
    (
        "the method twice, once with an escape",
        r#"{"jsonrpc":"2.0","id":7,"m\u0065thod":"tools/list","params":{"name":"echo","arguments":{PAD},META},"method":"tools/call"}"#,
        -32600,
    ),
    (
        "the parameters twice",
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","arguments":{PAD},META},"params":{"name":"drop",META}}"#,
        -32600,
    ),
    (
        "what the client says about itself twice",
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{META,"name":"echo","arguments":{PAD},META}}"#,
        -32600,
    ),
    (
        "the right name only in the arguments",
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"arguments":{"name":"echo","params":{"name":"echo"},PAD},"name":"drop",META}}"#,
        -32020,
    ),
    (
        "the right name only deeper, and none where it belongs",
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"arguments":{"name":"echo",PAD},META}}"#,
        -32602,
    ),
    (
        "a name in other letters",
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"Name":"echo","arguments":{PAD},META}}"#,
        -32602,
    ),
    (
        "a name of surrogates",
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"ech\ud83d\ude00","arguments":{PAD},META}}"#,
        -32020,
    ),
    (
        "a surrogate alone",
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo\ud83d","arguments":{PAD},META}}"#,
        -32700,
    ),
    (
        "a surrogate alone in the arguments",
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","arguments":{"x":"\ude00",PAD},META}}"#,
        -32700,
    ),
    (
        "a name that goes on behind a zero",
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo\u0000drop","arguments":{PAD},META}}"#,
        -32020,
    ),
    (
        "another version",
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","arguments":{PAD},"_meta":{"io.modelcontextprotocol/protocolVersion":"2025-11-25","io.modelcontextprotocol/clientCapabilities":{}}}}"#,
        -32020,
    ),
    (
        "no version",
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","arguments":{PAD},"_meta":{"io.modelcontextprotocol/clientCapabilities":{}}}}"#,
        -32602,
    ),
    (
        "no capabilities",
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","arguments":{PAD},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#,
        -32602,
    ),
    (
        "the version twice",
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","arguments":{PAD},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#,
        -32600,
    ),
    (
        "something after the end",
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","arguments":{PAD},META}}{}"#,
        -32700,
    ),
    (
        "no end",
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","arguments":{PAD},META}"#,
        -32700,
    ),
    (
        "a comment",
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo",/*"name":"drop",*/"arguments":{PAD},META}}"#,
        -32700,
    ),
    (
        "a comma too much",
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","arguments":{PAD},META,}}"#,
        -32700,
    ),
];

/// The same, that agree with their headers.
const TAKEN: &[(&str, &str)] = &[
    (
        "in the usual order",
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","arguments":{PAD},META}}"#,
    ),
    ("backwards", r#"{"params":{META,"arguments":{PAD},"name":"echo"},"method":"tools/call","id":7,"jsonrpc":"2.0"}"#),
    (
        "with escapes",
        r#"{"jsonrpc":"2.0","id":7,"m\u0065thod":"tools\/call","params":{"\u006eame":"\u0065cho","arguments":{PAD},META}}"#,
    ),
    (
        "with names like it deeper",
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"arguments":{"name":"drop","method":"x","params":{"name":"drop"},PAD},"name":"echo",META}}"#,
    ),
    (
        "with a key that only begins alike",
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name\u0000":"drop","name":"echo","arguments":{PAD},META}}"#,
    ),
];

/// Lengths of the argument: a message that is read whole, one that is sent on as it comes, and one near the bound.
const LENGTHS: [usize; 4] = [0, 200 << 10, 3 << 20, (4 << 20) - 4096];

fn body(text: &str, length: usize) -> String {
    text.replace("META", &format!("\"_meta\":{}", meta()))
        .replace("PAD", &format!("\"pad\":\"{}\"", "x".repeat(length)))
}

fn sent(body: impl Into<bytes::Bytes>) -> Sent {
    Sent::post(body)
        .with("mcp-protocol-version", "2026-07-28")
        .with("mcp-method", "tools/call")
        .with("mcp-name", "echo")
}

/// A modern upstream that says how long what it got was.
async fn measuring() -> (Fleet, Server) {
    let measure = |received: &Received| {
        let text = received.body.len().to_string();
        Reply::result(&json!({ "resultType": "complete", "content": [{ "type": "text", "text": text }] }))
    };
    let server = Script::new().always(Expect::method("tools/call"), measure).serve().await.unwrap();
    (Fleet::of(config([upstream_at("server", EraChoice::Modern, &[server.url()])])).await, server)
}

#[tokio::test]
async fn what_contradicts_its_headers_never_gets_through() {
    let (fleet, server) = measuring().await;
    for (what, text, code) in REFUSED {
        for length in LENGTHS {
            let answer = sent(body(text, length)).to(fleet.at(0)).await;
            assert_eq!(answer.refusal(), (400, *code), "{what}, {length}: {answer:?}");
        }
    }
    assert_eq!(server.methods(), [""; 0]);
    sent(body(TAKEN[0].1, 0)).to(fleet.at(0)).await.result();
}

#[tokio::test]
async fn nobody_takes_a_pod_out_by_contradicting_himself() {
    let mut pods = Vec::new();
    for _ in 0..2 {
        let says = Reply::result(&json!({ "resultType": "complete", "content": [] }));
        pods.push(Script::new().always(Expect::method("tools/call"), says).serve().await.unwrap());
    }
    let mut upstream = upstream_at("server", EraChoice::Modern, &[pods[0].url(), pods[1].url()]);
    upstream.health.pause = Time::from_secs(3600);
    upstream.health.longest_pause = Time::from_secs(3600);
    let fleet = Fleet::of(config([upstream])).await;
    // The fifth of each pod would be too many by far.
    for _ in 0..10 {
        assert_eq!(sent(body(REFUSED[1].1, 3 << 20)).to(fleet.at(0)).await.refusal(), (400, -32020));
    }
    for _ in 0..8 {
        sent(body(TAKEN[0].1, 0)).to(fleet.at(0)).await.result();
    }
    assert!(
        pods.iter().all(|pod| pod.received().len() >= 2),
        "{:?}",
        pods.iter().map(|pod| pod.received().len()).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn bytes_that_are_no_text_never_get_through() {
    let (fleet, server) = measuring().await;
    for bytes in [&b"\xff"[..], b"\xed\xa0\xbd", b"\xc0\xae", b"\xf4\x90\x80\x80"] {
        for length in LENGTHS {
            let text = body(TAKEN[0].1, length).into_bytes();
            let at = text.windows(3).position(|window| window == b"pad").unwrap();
            let text = [&text[..at], bytes, &text[at..]].concat();
            assert_eq!(sent(text).to(fleet.at(0)).await.refusal(), (400, -32700), "{bytes:?}, {length}");
        }
    }
    let marked = [b"\xef\xbb\xbf", body(TAKEN[0].1, 0).as_bytes()].concat();
    assert_eq!(sent(marked).to(fleet.at(0)).await.refusal(), (400, -32700));
    assert_eq!(server.methods(), [""; 0]);
}

#[tokio::test]
async fn what_agrees_with_its_headers_gets_through_byte_for_byte() {
    let (fleet, server) = measuring().await;
    for (what, text) in TAKEN {
        for length in LENGTHS {
            let body = body(text, length);
            let answer = sent(body.clone()).to(fleet.at(1)).await;
            assert_eq!(answer.result()["content"][0]["text"], body.len().to_string(), "{what}, {length}");
            assert!(server.received().last().unwrap().body == body, "{what}, {length}");
        }
    }
}

#[tokio::test]
async fn headers_that_are_missing_repeated_or_unreadable_never_get_through() {
    let (fleet, server) = measuring().await;
    let base = || body(TAKEN[0].1, 0);
    let version = || Sent::post(base()).with("mcp-protocol-version", "2026-07-28");
    let refused = [
        version(),
        version().with("mcp-method", "tools/call"),
        version().with("mcp-name", "echo"),
        version().with("mcp-method", "tools/call").with("mcp-name", "=?base64?%%%?="),
        version().with("mcp-method", "TOOLS/CALL").with("mcp-name", "echo"),
        sent(base()).and("mcp-name", "drop"),
        sent(base()).and("mcp-method", "tools/list"),
        sent(base()).with("mcp-protocol-version", "2025-11-25"),
    ];
    for refused in refused {
        let text = format!("{refused:?}");
        assert_eq!(refused.to(fleet.at(0)).await.refusal(), (400, -32020), "{text}");
    }
    assert_eq!(server.methods(), [""; 0]);
}

#[tokio::test]
async fn a_name_beyond_ascii_is_compared_as_it_is_decoded() {
    let (fleet, _server) = measuring().await;
    let text = body(TAKEN[0].1, 0).replace("\"echo\"", "\"\\ud83e\\udd80\"");
    let named = |name: &str| sent(text.clone()).with("mcp-name", &encode_value(name));
    named("\u{1f980}").to(fleet.at(0)).await.result();
    assert_eq!(named("\u{1f981}").to(fleet.at(0)).await.refusal(), (400, -32020));
}

#[tokio::test]
async fn a_body_beyond_the_bound_is_refused() {
    let (fleet, server) = measuring().await;
    let answer = sent(body(TAKEN[0].1, 4 << 20)).to(fleet.at(0)).await;
    assert_eq!(answer.status, 413, "{answer:?}");
    assert_eq!(server.methods(), [""; 0]);
}
