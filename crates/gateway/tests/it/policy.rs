//! Who may do what, and how often.

use std::collections::BTreeMap;

use anypod_gateway::config::{Each, Effect, EraChoice, Mode, Rate, Rule, Sessions, Upstream};
use anypod_testkit::script::{Expect, Received, Reply, Script, Server};
use http::StatusCode;
use serde_json::{Value, json};

use crate::support::{Answered, Fleet, Pod, Seen, Sent, config, legacy, modern, served, token, upstream, upstream_at};

const PEOPLE: [&str; 2] = ["alice", "bob"];

fn rule(effect: Effect, principals: &[&str], names: &[&str]) -> Rule {
    let all = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let (principals, names) = (all(principals), all(names));
    Rule { effect, principals, methods: Vec::new(), names, arguments: BTreeMap::new() }
}

fn echo() -> Sent {
    Sent::call("echo", json!({ "text": "x" }))
}

fn names(list: &Value) -> Vec<&str> {
    list["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect()
}

/// Two replicas before a server where `bob` may not call `echo`, nor anything that begins with `more`.
async fn forbidding() -> (Fleet, Seen, Pod) {
    let seen = Seen::default();
    let pod = Pod::start(served(&seen)).await;
    let mut config = config([modern([&pod])]);
    config.route[0].token = PEOPLE.map(token).into();
    config.route[0].rule = vec![rule(Effect::Deny, &["bob"], &["echo", "more_*", "note://*"])];
    (Fleet::of(config).await, seen, pod)
}

#[tokio::test]
async fn a_denied_tool_looks_as_one_that_is_not_there() {
    let (fleet, seen, _pod) = forbidding().await;
    let denied = echo().bearing("bob").to(fleet.at(0)).await;
    let missing = Sent::call("nope", json!({})).bearing("bob").to(fleet.at(0)).await;
    assert_eq!(denied.status, missing.status);
    let shown = |answer: &Answered| answer.json()["error"].to_string();
    assert_eq!(shown(&denied).replace("echo", "nope"), shown(&missing));
    assert_eq!(seen.calls("echo"), 0);
    echo().bearing("alice").to(fleet.at(0)).await.result();
}

#[tokio::test]
async fn lists_leave_out_what_is_denied_and_are_private() {
    let (fleet, _seen, _pod) = forbidding().await;
    for replica in [0, 1] {
        let list = Sent::modern("tools/list", json!({})).bearing("bob").to(fleet.at(replica)).await.result();
        assert_eq!(names(&list), ["ask", "ask_twice", "report", "wait"]);
        assert_eq!((&list["cacheScope"], list.get("nextCursor")), (&json!("private"), None));
        let resources = Sent::modern("resources/list", json!({})).bearing("bob").to(fleet.at(replica)).await.result();
        assert_eq!(resources["resources"], json!([]));
        let list = Sent::modern("tools/list", json!({})).bearing("alice").to(fleet.at(replica)).await.result();
        assert_eq!((names(&list).len(), &list["cacheScope"]), (25, &json!("private")));
    }
}

#[tokio::test]
async fn a_legacy_client_is_held_to_the_same_rules() {
    let seen = Seen::default();
    let pod = Pod::start(served(&seen)).await;
    let mut config = config([legacy([&pod])]);
    config.route[0].token = PEOPLE.map(token).into();
    config.route[0].rule = vec![rule(Effect::Deny, &["bob"], &["echo", "more_*"])];
    let fleet = Fleet::of(config).await;
    let opened = Sent::initialize().bearing("bob").to(fleet.at(0)).await;
    let session = opened.header("mcp-session-id").unwrap();
    let call = json!({ "name": "echo", "arguments": { "text": "x" } });
    let denied = Sent::legacy(session, "tools/call", call.clone()).bearing("bob").to(fleet.at(1)).await;
    assert_eq!(denied.json()["error"]["code"], -32602, "{denied:?}");
    let list = Sent::legacy(session, "tools/list", json!({})).bearing("bob").to(fleet.at(1)).await;
    assert_eq!(names(&list.result()), ["ask", "ask_twice", "report", "wait"]);
    // Nor is the session of one principal that of another.
    let stolen = Sent::legacy(session, "tools/call", call).bearing("alice").to(fleet.at(1)).await;
    assert_eq!(stolen.status, StatusCode::NOT_FOUND);
    assert_eq!(seen.calls("echo"), 0);
}

#[tokio::test]
async fn nothing_is_allowed_but_what_an_allowing_rule_names() {
    let seen = Seen::default();
    let pod = Pod::start(served(&seen)).await;
    let mut config = config([modern([&pod])]);
    config.route[0].rule = vec![rule(Effect::Allow, &[], &["ask*"])];
    let fleet = Fleet::of(config).await;
    assert_eq!(echo().to(fleet.at(0)).await.refusal().1, -32602);
    assert_eq!(Sent::call("ask", json!({})).to(fleet.at(0)).await.result()["resultType"], "input_required");
}

#[tokio::test]
async fn who_shows_no_known_token_is_told_how() {
    let (fleet, seen, _pod) = forbidding().await;
    for sent in [
        echo(),
        echo().bearing("eve"),
        echo().with("authorization", "Basic YWxpY2U6"),
        echo().bearing("alice").and("authorization", "Bearer bob"),
    ] {
        let answer = sent.to(fleet.at(0)).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        assert!(answer.header("www-authenticate").unwrap().starts_with("Bearer"), "{answer:?}");
    }
    for verb in [http::Method::GET, http::Method::DELETE] {
        assert_eq!(Sent::empty(verb).to(fleet.at(0)).await.status, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(seen.calls("echo"), 0);
}

/// Who an upstream thinks it is asked by: the token that it sees.
fn whoami(scope: &'static str) -> Script {
    let seen = |received: &Received| received.header("authorization").unwrap_or("nobody").to_owned();
    let list = move |received: &Received| {
        let tool = json!({ "name": "whoami", "description": seen(received), "inputSchema": { "type": "object" } });
        Reply::result(&json!({ "resultType": "complete", "tools": [tool], "ttlMs": 60_000, "cacheScope": scope }))
    };
    let call = move |received: &Received| {
        let text = json!({ "type": "text", "text": seen(received) });
        Reply::result(&json!({ "resultType": "complete", "content": [text] }))
    };
    Script::new().always(Expect::method("tools/list"), list).always(Expect::method("tools/call"), call)
}

/// How often the tools were listed.
fn lists(server: &Server) -> usize {
    server.methods().iter().filter(|method| *method == "tools/list").count()
}

#[tokio::test]
async fn a_token_for_the_gateway_is_for_nobody_else() {
    let server = whoami("private").serve().await.unwrap();
    let mut config = config([upstream_at("server", EraChoice::Modern, &[server.url()])]);
    config.route[0].token = PEOPLE.map(token).into();
    let fleet = Fleet::of(config).await;
    let called = Sent::call("whoami", json!({})).bearing("alice").to(fleet.at(0)).await.result();
    assert_eq!(called["content"][0]["text"], "nobody");
    let listed = Sent::modern("tools/list", json!({})).bearing("alice").to(fleet.at(0)).await.result();
    assert_eq!(listed["tools"][0]["description"], "nobody");
    assert!(server.received().iter().all(|received| !received.headers.contains_key("authorization")));
}

#[tokio::test]
async fn a_token_for_the_server_is_passed_on() {
    let server = whoami("private").serve().await.unwrap();
    let fleet = Fleet::of(config([upstream_at("server", EraChoice::Modern, &[server.url()])])).await;
    for who in PEOPLE {
        let called = Sent::call("whoami", json!({})).bearing(who).to(fleet.at(0)).await.result();
        assert_eq!(called["content"][0]["text"], format!("Bearer {who}"));
    }
}

#[tokio::test]
async fn a_private_list_that_is_kept_is_kept_for_one() {
    let server = whoami("private").serve().await.unwrap();
    let fleet = Fleet::of(config([upstream_at("server", EraChoice::Modern, &[server.url()])])).await;
    for _ in 0..3 {
        for who in PEOPLE {
            let listed = Sent::modern("tools/list", json!({})).bearing(who).to(fleet.at(0)).await.result();
            assert_eq!(listed["tools"][0]["description"], format!("Bearer {who}"));
        }
        let listed = Sent::modern("tools/list", json!({})).to(fleet.at(0)).await.result();
        assert_eq!(listed["tools"][0]["description"], "nobody");
    }
    // Kept it was.
    assert_eq!(lists(&server), 3);
}

#[tokio::test]
async fn private_lists_of_those_who_are_known_here_are_kept_apart_too() {
    let server = whoami("private").serve().await.unwrap();
    let mut config = config([upstream_at("server", EraChoice::Modern, &[server.url()])]);
    config.route[0].token = PEOPLE.map(token).into();
    let fleet = Fleet::of(config).await;
    for _ in 0..2 {
        for who in PEOPLE {
            Sent::modern("tools/list", json!({})).bearing(who).to(fleet.at(0)).await.result();
        }
    }
    assert_eq!(lists(&server), 2);
}

#[tokio::test]
async fn a_public_list_is_kept_for_all() {
    let server = whoami("public").serve().await.unwrap();
    let fleet = Fleet::of(config([upstream_at("server", EraChoice::Modern, &[server.url()])])).await;
    for who in PEOPLE {
        Sent::modern("tools/list", json!({})).bearing(who).to(fleet.at(0)).await.result();
    }
    assert_eq!(lists(&server), 1);
}

#[tokio::test]
async fn who_calls_too_often_is_told_when_to_come_again() {
    let seen = Seen::default();
    let pod = Pod::start(served(&seen)).await;
    let mut config = config([modern([&pod])]);
    config.route[0].token = PEOPLE.map(token).into();
    let names = vec!["echo".to_owned()];
    config.route[0].rate =
        vec![Rate { per_second: 0.01, burst: Some(2), each: Each::Principal, methods: Vec::new(), names }];
    let fleet = Fleet::of(config).await;
    let call = async |who: &str| echo().bearing(who).to(fleet.at(0)).await;
    for _ in 0..2 {
        call("alice").await.result();
    }
    let refused = call("alice").await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=100).contains(&seconds), "{seconds}");
    assert_eq!(seen.calls("echo"), 2);
    // Neither others nor other names are kept waiting.
    call("bob").await.result();
    Sent::call("more_1", json!({})).bearing("alice").to(fleet.at(0)).await.result();
}

/// Two replicas before these upstreams, where nobody may call what is named so with a text that begins with `secret`.
async fn keeping_secrets(upstreams: impl IntoIterator<Item = Upstream>, names: &[&str]) -> Fleet {
    let mut config = config(upstreams);
    config.route[0].mode = Mode::Parse;
    let arguments = BTreeMap::from([("/text".to_owned(), vec!["secret*".to_owned()])]);
    config.route[0].rule = vec![Rule { arguments, ..rule(Effect::Deny, &[], names) }];
    config.check().unwrap();
    Fleet::of(config).await
}

/// The same text in many forms: a JSON object of arguments each.
const SECRETS: [&str; 3] =
    [r#"{"text":"secret_1"}"#, r#"{"\u0074ext":"\u0073ecret_1"}"#, r#"{"other":{"text":"x"},"text":"secret"}"#];
/// Arguments in which one reader finds a secret and another one does not.
const UNCLEAR: [&str; 4] = [
    r#"{"text":"x","text":"secret"}"#,
    r#"{"text":"secret","text":"x"}"#,
    r#"{"text":"x","t\u0065xt":"secret"}"#,
    r#"{"text":"x","Text":"secret"}"#,
];

/// A call of `name` with arguments as they are written.
fn written(call: &Sent, arguments: &str) -> Sent {
    call.clone().written_with(r#"{"text":"-"}"#, arguments)
}

/// Sends calls with arguments that must not reach a server; `status` is what it means that they are forbidden.
async fn forbids(call: &Sent, fleet: &Fleet, status: StatusCode) {
    for (at, arguments) in SECRETS.into_iter().chain(UNCLEAR).enumerate() {
        let answer = written(call, arguments).to(fleet.at(at % 2)).await;
        let error = &answer.json()["error"];
        assert_eq!(error["code"], -32602, "{arguments}: {answer:?}");
        if SECRETS.contains(&arguments) {
            assert_eq!(answer.status, status, "{arguments}: {answer:?}");
            assert_eq!(error["message"], "not allowed with these arguments");
            assert_eq!(error["data"], json!({ "field": "params.arguments" }));
        } else {
            assert!(error["message"].as_str().unwrap().contains("stands twice"), "{arguments}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn arguments_that_are_denied_do_not_reach_a_modern_server() {
    let seen = Seen::default();
    let pod = Pod::start(served(&seen)).await;
    let fleet = keeping_secrets([modern([&pod])], &[]).await;
    let call = Sent::call("echo", json!({ "text": "-" }));
    forbids(&call, &fleet, StatusCode::FORBIDDEN).await;
    // So long that it would be streamed where bodies are not read.
    let long = format!(r#"{{"text":"secret{}"}}"#, "x".repeat(200_000));
    assert_eq!(written(&call, &long).to(fleet.at(0)).await.refusal(), (403, -32602));
    let prompt = Sent::modern("prompts/get", json!({ "name": "essay", "arguments": { "text": "-" } }));
    forbids(&prompt, &fleet, StatusCode::FORBIDDEN).await;
    assert_eq!(seen.calls("echo"), 0);
    call.to(fleet.at(0)).await.result();
    prompt.to(fleet.at(0)).await.result();
    assert_eq!(seen.calls("echo"), 1);
    let list = Sent::modern("tools/list", json!({})).to(fleet.at(0)).await.result();
    assert!(names(&list).contains(&"echo"), "what can be called is listed: {list}");
}

#[tokio::test]
async fn arguments_that_are_denied_do_not_reach_a_server_from_a_legacy_session() {
    for sessions in [Sessions::Shared, Sessions::Pinned] {
        let seen = Seen::default();
        let pod = Pod::start(served(&seen)).await;
        let mut legacy = legacy([&pod]);
        legacy.sessions = sessions;
        let fleet = keeping_secrets([legacy], &["echo"]).await;
        let opened = Sent::initialize().to(fleet.at(0)).await;
        let session = opened.header("mcp-session-id").unwrap();
        let call = json!({ "name": "echo", "arguments": { "text": "-" } });
        let call = Sent::legacy(session, "tools/call", call);
        // To legacy clients of the gateway's own sessions, errors of JSON-RPC are none of HTTP.
        let status = if sessions == Sessions::Shared { StatusCode::OK } else { StatusCode::FORBIDDEN };
        forbids(&call, &fleet, status).await;
        assert_eq!(seen.calls("echo"), 0, "{sessions:?}");
        call.to(fleet.at(1)).await.result();
        assert_eq!(seen.calls("echo"), 1, "{sessions:?}");
    }
}

#[tokio::test]
async fn a_tool_of_several_servers_is_ruled_by_the_name_that_clients_know() {
    let seen = Seen::default();
    let pods = [Pod::start(served(&seen)).await, Pod::start(served(&seen)).await];
    let upstreams = ["one", "two"].into_iter().zip(&pods).map(|(name, pod)| upstream(name, EraChoice::Modern, [pod]));
    let fleet = keeping_secrets(upstreams, &["one__echo"]).await;
    // Known by then, it is relayed as bytes.
    for _ in 0..2 {
        let call = Sent::call("one__echo", json!({ "text": "-" }));
        forbids(&call, &fleet, StatusCode::FORBIDDEN).await;
        Sent::modern("tools/list", json!({})).to(fleet.at(0)).await.result();
    }
    assert_eq!(seen.calls("echo"), 0);
    Sent::call("two__echo", json!({ "text": "secret" })).to(fleet.at(0)).await.result();
    assert_eq!(seen.calls("echo"), 1);
}

#[tokio::test]
async fn a_later_round_is_held_to_the_rules_again() {
    let seen = Seen::default();
    for era in [EraChoice::Modern, EraChoice::Legacy] {
        let pod = Pod::start(served(&seen)).await;
        let fleet = keeping_secrets([upstream("server", era, [&pod])], &[]).await;
        let asked = Sent::call("ask", json!({})).to(fleet.at(0)).await.result();
        let mut params = json!({ "name": "ask", "arguments": { "text": "secret" } });
        params["requestState"] = asked["requestState"].clone();
        let answer = json!({ "action": "accept", "content": { "name": "Ada" } });
        let key = asked["inputRequests"].as_object().unwrap().keys().next().unwrap();
        params["inputResponses"] = json!({ key.as_str(): answer });
        let refused = Sent::modern("tools/call", params).to(fleet.at(1)).await;
        assert_eq!(refused.refusal(), (403, -32602), "{era:?}: {refused:?}");
    }
    assert_eq!(seen.calls("ask"), 0);
}
