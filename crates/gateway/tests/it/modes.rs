//! The modes of a route: what each believes of what headers say, and what it never lets through.

use anypod_gateway::config::{EraChoice, Mode};
use anypod_testkit::script::{Expect, Received, Reply, Script, Server};
use serde_json::{Value, json};

use crate::support::{Fleet, Sent, config, meta, token, upstream_at};

const MODES: [Mode; 3] = [Mode::Verify, Mode::Trust, Mode::Parse];
/// More than what is read before it is passed on.
const LONG: usize = 3 << 20;

/// A pod with one tool, whose argument `city` is mirrored into a header.
async fn weather(scope: &'static str) -> Server {
    let city = json!({ "type": "string", "x-mcp-header": "City" });
    let schema = json!({ "type": "object", "properties": { "city": city } });
    let tool = json!({ "name": "weather", "inputSchema": schema });
    let list =
        Reply::result(&json!({ "resultType": "complete", "tools": [tool], "ttlMs": 60_000, "cacheScope": scope }));
    let says = Reply::result(&json!({ "resultType": "complete", "content": [] }));
    let script = Script::new().always(Expect::method("tools/list"), list);
    script.always(Expect::any(), says).serve().await.unwrap()
}

async fn before(mode: Mode, servers: &[&Server]) -> Fleet {
    let upstream = |(number, server): (usize, &&Server)| {
        upstream_at(&format!("server-{number}"), EraChoice::Modern, &[server.url()])
    };
    let mut config = config(servers.iter().enumerate().map(upstream));
    config.route[0].mode = mode;
    Fleet::of(config).await
}

/// What it got besides what the gateway asks for itself.
fn called(server: &Server) -> Vec<Received> {
    let call = |received: &Received| received.method().is_none_or(|method| method == "tools/call");
    server.received().into_iter().filter(call).collect()
}

/// A call of one tool whose headers say that it is another.
fn contradiction(length: usize) -> Sent {
    let arguments = json!({ "pad": "x".repeat(length) });
    let params = json!({ "name": "drop", "arguments": arguments, "_meta": meta() });
    let body = json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params }).to_string();
    Sent::post(body)
        .with("mcp-protocol-version", "2026-07-28")
        .with("mcp-method", "tools/call")
        .with("mcp-name", "weather")
}

#[tokio::test]
async fn only_trust_lets_a_contradiction_through_and_only_in_what_is_not_read() {
    for mode in MODES {
        let server = weather("public").await;
        let fleet = before(mode, &[&server]).await;
        assert_eq!(contradiction(0).to(fleet.at(0)).await.refusal(), (400, -32020), "{mode:?}");
        let long = contradiction(LONG).to(fleet.at(0)).await;
        if mode == Mode::Trust {
            // As it came: it is for the upstream to hold one against the other.
            assert_eq!(long.result()["resultType"], "complete");
            let [got] = called(&server).try_into().unwrap();
            assert_eq!(got.header("mcp-name"), Some("weather"));
            assert_eq!((&got.json()["params"]["name"], got.body.len() > LONG), (&json!("drop"), true));
        } else {
            assert_eq!(long.refusal(), (400, -32020), "{mode:?}");
            assert!(called(&server).is_empty(), "{mode:?}");
        }
    }
}

#[tokio::test]
async fn trust_believes_only_headers_that_oblige_the_upstream_to_check() {
    let server = weather("public").await;
    let fleet = before(Mode::Trust, &[&server]).await;
    for version in ["2025-11-25", "2024-01-01", ""] {
        let answer = contradiction(LONG).with("mcp-protocol-version", version).to(fleet.at(0)).await;
        assert!(answer.status.is_client_error(), "{version}: {answer:?}");
    }
    for repeated in ["mcp-name", "mcp-method", "mcp-protocol-version"] {
        let answer = contradiction(LONG).and(repeated, "tools/list").to(fleet.at(0)).await;
        assert_eq!(answer.refusal().0, 400, "{repeated}: {answer:?}");
    }
    assert!(called(&server).is_empty());
}

#[tokio::test]
async fn what_is_no_json_gets_an_end_in_no_mode() {
    for mode in MODES {
        let server = weather("public").await;
        let fleet = before(mode, &[&server]).await;
        let mut text =
            json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "pad": "x".repeat(LONG) }).to_string();
        text.push('}');
        let sent = Sent::post(text)
            .with("mcp-protocol-version", "2026-07-28")
            .with("mcp-method", "tools/call")
            .with("mcp-name", "weather");
        assert_eq!(sent.to(fleet.at(0)).await.refusal(), (400, -32700), "{mode:?}");
        assert!(called(&server).is_empty(), "{mode:?}");
    }
}

/// A call with this header beside `city` in its arguments.
fn forecast(tool: &str, header: Option<&str>) -> Sent {
    let sent = Sent::call(tool, json!({ "city": "Oslo" }));
    match header {
        Some(city) => sent.with("mcp-param-city", city),
        None => sent,
    }
}

fn lists(server: &Server) -> usize {
    server.methods().iter().filter(|method| *method == "tools/list").count()
}

#[tokio::test]
async fn parse_holds_mirrored_arguments_against_the_schema_of_the_tool() {
    for scope in ["public", "private"] {
        let server = weather(scope).await;
        let fleet = before(Mode::Parse, &[&server]).await;
        // Nobody has asked for the list before.
        assert_eq!(forecast("weather", Some("Rome")).to(fleet.at(0)).await.refusal(), (400, -32020), "{scope}");
        assert_eq!(forecast("weather", None).to(fleet.at(0)).await.refusal(), (400, -32020), "{scope}");
        forecast("weather", Some("Oslo")).to(fleet.at(0)).await.result();
        // What a tool does not name is nobody's to check.
        forecast("weather", Some("Oslo")).with("mcp-param-else", "x").to(fleet.at(0)).await.result();
        forecast("other", Some("Rome")).to(fleet.at(0)).await.result();
        assert_eq!(called(&server).len(), 3, "{scope}");
        // Known is known.
        assert_eq!(lists(&server), 1, "{scope}");
    }
}

#[tokio::test]
async fn parse_does_so_for_callers_with_credentials_of_their_own() {
    let server = weather("private").await;
    let fleet = before(Mode::Parse, &[&server]).await;
    for who in ["alice", "bob"] {
        let sent = |city| forecast("weather", Some(city)).bearing(who);
        assert_eq!(sent("Rome").to(fleet.at(0)).await.refusal(), (400, -32020), "{who}");
        sent("Oslo").to(fleet.at(0)).await.result();
    }
    assert_eq!(lists(&server), 2);
}

#[tokio::test]
async fn parse_does_so_for_tools_of_several_upstreams() {
    let servers = [weather("public").await, weather("public").await];
    let fleet = before(Mode::Parse, &[&servers[0], &servers[1]]).await;
    for tool in ["server-0__weather", "server-1__weather"] {
        assert_eq!(forecast(tool, Some("Rome")).to(fleet.at(0)).await.refusal(), (400, -32020), "{tool}");
        forecast(tool, Some("Oslo")).to(fleet.at(0)).await.result();
    }
    assert_eq!((called(&servers[0]).len(), called(&servers[1]).len()), (1, 1));
}

#[tokio::test]
async fn the_other_modes_leave_mirrored_arguments_to_the_upstream() {
    for mode in [Mode::Verify, Mode::Trust] {
        let server = weather("public").await;
        let fleet = before(mode, &[&server]).await;
        Sent::modern("tools/list", json!({})).to(fleet.at(0)).await.result();
        forecast("weather", Some("Rome")).to(fleet.at(0)).await.result();
        let [got] = called(&server).try_into().unwrap();
        assert_eq!(got.header("mcp-param-city"), Some("Rome"), "{mode:?}");
    }
}

#[tokio::test]
async fn parse_takes_what_nobody_can_check() {
    // It has no list to be asked for.
    let says = Reply::result(&json!({ "resultType": "complete", "content": [] }));
    let server = Script::new().on(Expect::method("tools/call"), says).serve().await.unwrap();
    let mut config = config([upstream_at("server", EraChoice::Modern, &[server.url()])]);
    config.route[0].mode = Mode::Parse;
    config.route[0].token = vec![token("alice")];
    let fleet = Fleet::of(config).await;
    assert_eq!(forecast("weather", Some("Rome")).to(fleet.at(0)).await.status, 401);
    assert!(server.received().is_empty());
    let taken: Value = forecast("weather", Some("Rome")).bearing("alice").to(fleet.at(0)).await.result();
    assert_eq!(taken["resultType"], "complete");
}
