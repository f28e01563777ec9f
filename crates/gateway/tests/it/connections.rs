//! What a client writes on its connection, byte by byte: usual requests, unusual ones, and one after the other.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::support::{Fleet, Pod, Seen, Sent, config, meta, modern, served, soon};

/// A connection of a client.
struct Raw(BufReader<TcpStream>);

/// An answer as it stands on the wire.
struct Answer {
    head: String,
    body: String,
}

impl Raw {
    async fn to(at: SocketAddr) -> Self {
        Self(BufReader::new(TcpStream::connect(at).await.unwrap()))
    }

    async fn write(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    /// The next answer; `None` at the end of the connection.
    async fn answer(&mut self) -> Option<Answer> {
        soon(async {
            let head = lines(&mut self.0).await?;
            let body = if head.contains("transfer-encoding: chunked") {
                chunks(&mut self.0).await
            } else {
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
                exactly(&mut self.0, length.parse().unwrap()).await
            };
            Some(Answer { head, body })
        })
        .await
    }

    /// The text of the next answer, which is that of a tool.
    async fn said(&mut self) -> String {
        let answer = self.answer().await.unwrap();
        assert!(answer.head.starts_with("HTTP/1.1 200 "), "{} {}", answer.head, answer.body);
        answer.json()["result"]["content"][0]["text"].as_str().unwrap().to_owned()
    }

    async fn is_over(&mut self) -> bool {
        soon(self.0.read(&mut [0])).await.map_or(true, |read| read == 0)
    }
}

impl Answer {
    fn json(&self) -> Value {
        let data = self.body.lines().filter_map(|line| line.strip_prefix("data:")).next_back().unwrap_or(&self.body);
        serde_json::from_str(data).unwrap_or_else(|error| panic!("{error} in {}", self.body))
    }
}

async fn lines(from: &mut (impl AsyncBufRead + Unpin)) -> Option<String> {
    let mut head = String::new();
    while from.read_line(&mut head).await.unwrap() > 0 {
        if head.ends_with("\r\n\r\n") {
            return Some(head);
        }
    }
    None
}

async fn exactly(from: &mut (impl AsyncBufRead + Unpin), length: usize) -> String {
    let mut body = vec![0; length];
    from.read_exact(&mut body).await.unwrap();
    String::from_utf8(body).unwrap()
}

async fn chunks(from: &mut (impl AsyncBufRead + Unpin)) -> String {
    let mut body = String::new();
    loop {
        let mut size = String::new();
        from.read_line(&mut size).await.unwrap();
        let size = usize::from_str_radix(size.trim_end(), 16).unwrap();
        body.push_str(&exactly(from, size).await);
        assert_eq!(exactly(from, 2).await, "\r\n");
        if size == 0 {
            return body;
        }
    }
}

fn body(tool: &str, arguments: &Value) -> String {
    let params = json!({ "name": tool, "arguments": arguments, "_meta": meta() });
    json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params }).to_string()
}

/// The head of a call, with what says how its body comes.
fn head(tool: &str, framing: &str) -> String {
    format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\n\
         Mcp-Name: {tool}\r\n{framing}\r\n\r\n"
    )
}

fn with_length(tool: &str, arguments: &Value) -> String {
    let body = body(tool, arguments);
    head(tool, &format!("Content-Length: {}", body.len())) + &body
}

fn in_chunks(tool: &str, arguments: &Value) -> String {
    let body = body(tool, arguments);
    let (one, two) = body.split_at(body.len() / 2);
    let framing = head(tool, "Transfer-Encoding: chunked");
    format!("{framing}{:x}\r\n{one}\r\n{:x}\r\n{two}\r\n0\r\n\r\n", one.len(), two.len())
}

fn echo(text: &str) -> Value {
    json!({ "text": text })
}

async fn one() -> (Seen, Pod, Fleet) {
    let seen = Seen::default();
    let pod = Pod::start(served(&seen)).await;
    let fleet = Fleet::of(config([modern([&pod])])).await;
    (seen, pod, fleet)
}

#[tokio::test]
async fn a_call_that_comes_when_no_answer_can_follow_it_is_told_to_come_again() {
    let (_seen, _pod, mut fleet) = one().await;
    let at = fleet.at(0);
    let session = Sent::initialize().written_with(r#""capabilities":{}"#, r#""capabilities":{"elicitation":{}}"#);
    let session = session.to(at).await.header("mcp-session-id").unwrap().to_owned();
    let mut raw = Raw::to(at).await;
    fleet.replicas[0].stop();
    soon(async {
        while TcpStream::connect(at).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let call =
        json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "ask", "arguments": {} } });
    let call = call.to_string();
    raw.write(&format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nMcp-Session-Id: {session}\r\n\
         Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2025-11-25\r\n\
         Content-Length: {}\r\n\r\n{call}",
        call.len()
    ))
    .await;
    let answer = raw.answer().await.unwrap().json();
    let told = answer["error"]["message"].as_str().unwrap_or_else(|| panic!("{answer}"));
    assert!(told.ends_with("this pod is shutting down; call again"), "{told}");
    fleet.replicas[0].stopped().await;
}

#[tokio::test]
async fn usual_and_unusual_requests_may_follow_each_other_on_one_connection() {
    let (seen, _pod, fleet) = one().await;
    let mut raw = Raw::to(fleet.at(0)).await;
    let long = "x".repeat(300_000);
    for (request, text) in [
        (with_length("echo", &echo("a")), "a"),
        (with_length("echo", &echo("b")), "b"),
        (in_chunks("echo", &echo("c")), "c"),
        (with_length("echo", &echo("d")), "d"),
        (with_length("echo", &echo(&long)), &long),
        (in_chunks("echo", &echo(&long)), &long),
        (with_length("echo", &echo("e")), "e"),
    ] {
        raw.write(&request).await;
        assert_eq!(raw.said().await, text);
    }
    assert_eq!(seen.calls("echo"), 7);
}

#[tokio::test]
async fn requests_that_are_sent_ahead_are_answered_one_after_the_other() {
    let (_seen, _pod, fleet) = one().await;
    let mut raw = Raw::to(fleet.at(0)).await;
    let ahead: String = ["a", "b", "c"].map(|text| with_length("echo", &echo(text))).concat();
    raw.write(&(ahead + &in_chunks("echo", &echo("d")) + &with_length("echo", &echo("e")))).await;
    for text in ["a", "b", "c", "d", "e"] {
        assert_eq!(raw.said().await, text);
    }
}

#[tokio::test]
async fn a_request_may_come_byte_by_byte() {
    let (_seen, _pod, fleet) = one().await;
    let mut raw = Raw::to(fleet.at(0)).await;
    raw.0.get_ref().set_nodelay(true).unwrap();
    for byte in with_length("echo", &echo("slow")).chars() {
        raw.write(&byte.to_string()).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(raw.said().await, "slow");
}

#[tokio::test]
async fn who_waits_to_be_told_to_go_on_is_told() {
    let (_seen, _pod, fleet) = one().await;
    let mut raw = Raw::to(fleet.at(0)).await;
    let body = body("echo", &echo("a"));
    raw.write(&head("echo", &format!("Expect: 100-continue\r\nContent-Length: {}", body.len()))).await;
    let go_on = soon(lines(&mut raw.0)).await.unwrap();
    assert_eq!(go_on, "HTTP/1.1 100 Continue\r\n\r\n");
    raw.write(&body).await;
    assert_eq!(raw.said().await, "a");
}

#[tokio::test]
async fn an_answer_in_pieces_is_in_chunks_and_the_connection_goes_on() {
    let (_seen, _pod, fleet) = one().await;
    let mut raw = Raw::to(fleet.at(0)).await;
    let params = json!({ "name": "report", "arguments": {}, "_meta": meta() });
    let mut params = params;
    params["_meta"]["progressToken"] = json!("p");
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params }).to_string();
    for _ in 0..2 {
        raw.write(&(head("report", &format!("Content-Length: {}", body.len())) + &body)).await;
        let answer = raw.answer().await.unwrap();
        assert!(answer.head.contains("transfer-encoding: chunked"), "{}", answer.head);
        assert!(answer.body.contains("notifications/progress"), "{}", answer.body);
        assert_eq!(answer.json()["result"]["content"][0]["text"], "done");
    }
    raw.write(&with_length("echo", &echo("on"))).await;
    assert_eq!(raw.said().await, "on");
}

/// Whatever room there is, each goes on: as a whole, or as it comes.
#[tokio::test]
async fn a_long_call_goes_on_with_and_without_room_to_read_it_first() {
    for read_ahead_bytes in [64 << 20, 1 << 20, 0] {
        let seen = Seen::default();
        let pod = Pod::start(served(&seen)).await;
        let mut config = config([modern([&pod])]);
        config.limits.read_ahead_bytes = read_ahead_bytes;
        let fleet = Fleet::of(config).await;
        let mut raw = Raw::to(fleet.at(0)).await;
        for length in [9 << 10, 100 << 10, 900 << 10, 1800 << 10, 3 << 20] {
            let text = "x".repeat(length);
            raw.write(&with_length("echo", &echo(&text))).await;
            assert!(raw.said().await == text, "{length} bytes in {read_ahead_bytes}");
        }
        assert_eq!(seen.calls("echo"), 5);
    }
}

#[tokio::test]
async fn what_two_readers_could_take_for_different_messages_is_refused_and_ends_the_connection() {
    let (seen, _pod, fleet) = one().await;
    let body = body("echo", &echo("a"));
    let length = body.len();
    for framing in [
        format!("Content-Length: {length}\r\nContent-Length: {}", length + 1),
        format!("Content-Length: {length}, {}", length + 1),
        format!("Content-Length: +{length}"),
        format!("Content-Length : {length}"),
        format!("Transfer-Encoding: gzip\r\nContent-Length: {length}"),
    ] {
        let mut raw = Raw::to(fleet.at(0)).await;
        raw.write(&(head("echo", &framing) + &body)).await;
        let answer = raw.answer().await.unwrap();
        assert!(answer.head.starts_with("HTTP/1.1 400 "), "{framing}: {}", answer.head);
        assert!(raw.is_over().await, "{framing}");
    }
    assert_eq!(seen.calls("echo"), 0);
}

#[tokio::test]
async fn a_client_that_goes_away_takes_its_call_back() {
    let (seen, _pod, fleet) = one().await;
    let mut raw = Raw::to(fleet.at(0)).await;
    raw.write(&with_length("wait", &json!({}))).await;
    seen.waiting(1).await;
    drop(raw);
    soon(seen.cancelled(1)).await;
}

#[tokio::test]
async fn who_asks_for_the_end_of_a_connection_gets_it_after_the_answer() {
    let (_seen, _pod, fleet) = one().await;
    let mut raw = Raw::to(fleet.at(0)).await;
    let body = body("echo", &echo("last"));
    raw.write(&(head("echo", &format!("Connection: close\r\nContent-Length: {}", body.len())) + &body)).await;
    assert_eq!(raw.said().await, "last");
    assert!(raw.is_over().await);
}
