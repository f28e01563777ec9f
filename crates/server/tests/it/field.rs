//! What other servers in the field get wrong, each defect as it was seen.

use serde_json::{Value, json};

use anypod_server::{Server, Tool};

use crate::support::fixture::{base, server};
use crate::support::logs::Logs;
use crate::support::{World, alice, call, modern};

// 1

#[tokio::test]
async fn params_without_a_name_or_uri_are_invalid_params_that_name_the_field() {
    let server = server();
    for (method, field) in
        [("tools/call", "params.name"), ("prompts/get", "params.name"), ("resources/read", "params.uri")]
    {
        let answer = modern(method, json!({})).send(&server).await;
        answer.assert_refused(400, -32602);
        assert_eq!((&answer.data()["field"], &answer.response()["id"]), (&json!(field), &json!(1)));
    }
    for params in [json!({}), json!({ "ref": { "type": "ref/prompt", "name": "essay" } })] {
        modern("completion/complete", params).send(&server).await.assert_refused(400, -32602);
    }
    modern("subscriptions/listen", json!({})).send(&server).await.assert_refused(400, -32602);
}

// 2

#[tokio::test]
async fn a_tool_that_panics_is_an_internal_error_and_the_server_goes_on() {
    let (logs, _guard) = Logs::capture();
    let server = server();
    for _ in 0..3 {
        let answer = call("boom", json!({})).id(json!("b")).send(&server).await;
        answer.assert_refused(500, -32603);
        assert_eq!(answer.response()["id"], "b");
    }
    assert_eq!(call("echo", json!({ "text": "still here" })).send(&server).await.text(), "still here");
    assert_eq!(logs.text().matches("a handler panicked").count(), 3);
}

#[tokio::test]
async fn a_panic_after_the_first_wait_is_an_internal_error_too() {
    let late = async || -> &'static str {
        tokio::task::yield_now().await;
        panic!("late")
    };
    let server = base(&World::default()).tool(Tool::new("late", late)).build().expect("it builds");
    call("late", json!({})).send(&server).await.assert_refused(500, -32603);
}

// 3

#[tokio::test]
async fn shared_state_survives_from_one_request_to_the_next() {
    let server = server();
    for expected in ["1", "2", "3"] {
        assert_eq!(call("count", json!({})).send(&server).await.text(), expected);
    }
    assert_eq!(call("count", json!({})).send(&server.clone()).await.text(), "4");
}

// 4

#[tokio::test]
async fn the_origin_is_checked_without_being_asked_to() {
    let server = Server::new("plain", "1").build().expect("it builds");
    let discover = modern("server/discover", json!({}));
    discover.clone().header("origin", "https://evil.example").send(&server).await.assert_refused(403, -32600);
    discover.clone().header("host", "evil.example").send(&server).await.assert_refused(403, -32600);
    assert_eq!(discover.send(&server).await.status, 200);
}

// 5

#[tokio::test]
async fn nothing_is_logged_to_a_client_that_set_no_log_level() {
    let server = server();
    let silent = call("report", json!({})).send(&server).await;
    assert_eq!((silent.text(), silent.notifications.len()), ("done", 0));
    let loud = call("report", json!({})).meta("logLevel", json!("debug")).send(&server).await;
    assert_eq!(loud.notifications.len(), 4);
}

#[tokio::test]
async fn nothing_is_asked_of_a_client_that_did_not_declare_it() {
    let server = server();
    for (method, params) in [
        ("tools/call", json!({ "name": "ask" })),
        ("prompts/get", json!({ "name": "interview" })),
        ("resources/read", json!({ "uri": "note://asks" })),
    ] {
        for declared in [json!({}), json!({ "sampling": {} }), json!({ "elicitation": { "url": {} } })] {
            let answer = modern(method, params.clone()).capable(declared).send(&server).await;
            answer.assert_refused(400, -32021);
            assert_eq!(answer.data()["requiredCapabilities"], json!({ "elicitation": { "form": {} } }));
        }
        for declared in [json!({ "elicitation": {} }), json!({ "elicitation": { "form": {} } })] {
            let answer = modern(method, params.clone()).capable(declared).send(&server).await;
            assert_eq!(answer.result()["resultType"], "input_required", "{method}");
        }
    }
}

// 6

#[tokio::test]
async fn malformed_json_is_a_parse_error_in_json() {
    for body in ["{\"jsonrpc\": \"2.0\", ", "not json", ""] {
        let answer = call("echo", json!({})).body(body).send(&server()).await;
        answer.assert_refused(400, -32700);
        assert_eq!(answer.header("content-type"), Some("application/json"));
    }
}

// 7

#[tokio::test]
async fn every_result_says_which_server_gave_it() {
    let server = server();
    let asks = json!({ "elicitation": {} });
    let text = json!({ "text": "x" });
    for request in [
        modern("server/discover", json!({})),
        modern("tools/list", json!({})),
        call("echo", text),
        call("add", json!({ "a": 1, "b": 2 })),
        call("fail", json!({})),
        call("ask", json!({})).capable(asks),
        modern("prompts/list", json!({})),
        modern("prompts/get", json!({ "name": "essay", "arguments": { "topic": "x" } })),
        modern("resources/list", json!({})),
        modern("resources/templates/list", json!({})),
        modern("resources/read", json!({ "uri": "note://one" })),
        modern("completion/complete", completion("essay", "topic")),
    ] {
        let answer = request.send(&server).await;
        let info = &answer.result()["_meta"]["io.modelcontextprotocol/serverInfo"];
        assert_eq!((&info["name"], &info["version"]), (&json!("testing"), &json!("1.2.3")), "{}", answer.response());
    }
}

fn completion(prompt: &str, argument: &str) -> Value {
    json!({ "ref": { "type": "ref/prompt", "name": prompt }, "argument": { "name": argument, "value": "" } })
}

#[tokio::test]
async fn a_client_without_a_name_has_none() {
    let server = server();
    assert_eq!(call("who", json!({})).send(&server).await.text(), "tester 0.1.0");
    assert_eq!(call("who", json!({})).without_meta("clientInfo").send(&server).await.text(), "nobody");
}

// 8

fn route(arguments: Value, headers: &[(&str, &str)]) -> crate::support::Modern {
    headers.iter().fold(call("route", arguments), |request, (name, value)| request.header(name, value))
}

#[tokio::test]
async fn mirrored_integers_are_compared_as_numbers() {
    let server = server();
    for (shard, header) in
        [(json!(42), "42.0"), (json!(42), "42"), (json!(42.0), "42"), (json!(42), "4.2e1"), (json!(0), "-0")]
    {
        let answer = route(json!({ "shard": shard }), &[("mcp-param-shard", header)]).send(&server).await;
        assert_eq!(answer.text(), "routed", "{shard} {header}");
    }
    for (shard, header) in [(json!(42), "43"), (json!(42), "42.5"), (json!(42), "0x2A"), (json!(42), "")] {
        let answer = route(json!({ "shard": shard }), &[("mcp-param-shard", header)]).send(&server).await;
        answer.assert_refused(400, -32020);
        let data = answer.data();
        assert_eq!((&data["header"], &data["field"]), (&json!("mcp-param-shard"), &json!("params.arguments/shard")));
        assert_eq!((&data["expected"], &data["found"]), (&json!("42"), &json!(header)));
    }
}

#[tokio::test]
async fn integers_that_not_every_reader_keeps_are_refused() {
    let server = server();
    for beyond in ["9007199254740992", "-9007199254740992", "12345678901234567890", "1e300"] {
        let request = route(json!({ "shard": 1 }), &[("mcp-param-shard", beyond)]);
        let answer =
            request.edited(|text| text.replace("\"shard\":1", &format!("\"shard\":{beyond}"))).send(&server).await;
        answer.assert_refused(400, -32020);
        assert_eq!(answer.data()["header"], "mcp-param-shard", "{beyond}");
    }
    let most = route(json!({ "shard": 9_007_199_254_740_991_i64 }), &[("mcp-param-shard", "9007199254740991")]);
    assert_eq!(most.send(&server).await.text(), "routed");
}

#[tokio::test]
async fn mirrored_arguments_and_their_headers_come_together_or_not_at_all() {
    let server = server();
    let region = "=?base64?TcO8bmNoZW4=?=";
    let all = json!({ "shard": 1, "region": "München", "dry": true });
    let headers = [("mcp-param-shard", "1"), ("mcp-param-region", region), ("mcp-param-dry", "true")];
    assert_eq!(route(all.clone(), &headers).send(&server).await.text(), "routed");
    for (missing, _) in headers {
        let answer = route(all.clone(), &headers).without(missing).send(&server).await;
        answer.assert_refused(400, -32020);
        assert_eq!((&answer.data()["header"], &answer.data()["found"]), (&json!(missing), &Value::Null));
    }
    for (header, value) in headers {
        for arguments in [json!({}), json!({ "shard": null, "region": null, "dry": null })] {
            let answer = route(arguments, &[(header, value)]).send(&server).await;
            answer.assert_refused(400, -32020);
            assert_eq!(answer.data()["header"], header);
        }
    }
    let twice = route(all.clone(), &headers).more("mcp-param-dry", b"true").send(&server).await;
    twice.assert_refused(400, -32020);
    // A header that no argument is mirrored into is nobody's business.
    let other = call("echo", json!({ "text": "x" })).header("mcp-param-other", "1");
    assert_eq!(other.send(&server).await.text(), "x");
}

#[tokio::test]
async fn a_mirrored_argument_that_stands_twice_is_refused() {
    let once = route(json!({ "shard": 1 }), &[("mcp-param-shard", "1")]);
    for again in ["\"shard\":2,\"shard\":1", "\"shard\":1,\"sh\\u0061rd\":2"] {
        let answer = once.clone().edited(|text| text.replace("\"shard\":1", again)).send(&server()).await;
        answer.assert_refused(400, -32020);
    }
}

// 9: `front` calls the same kind of handler for legacy clients over HTTP, `stdio` over pipes.
// 10: `stdio` begins with stray messages.

// 12

#[tokio::test]
async fn arguments_that_do_not_fit_the_schema_are_a_tool_error_that_names_the_path() {
    let server = server();
    for (arguments, path) in [
        (json!({ "a": 1 }), "b"),
        (json!({ "a": "one", "b": 2 }), "/a"),
        (json!({ "a": 1.5, "b": 2 }), "/a"),
        (json!({ "a": 1, "b": null }), "/b"),
    ] {
        let answer = call("add", arguments.clone()).send(&server).await;
        assert_eq!((answer.status.as_u16(), &answer.result()["isError"]), (200, &json!(true)));
        assert!(answer.text().contains(path), "{arguments}: {}", answer.text());
    }
    let none = modern("tools/call", json!({ "name": "add" })).send(&server).await;
    assert_eq!(none.result()["isError"], true);
}

#[tokio::test]
async fn output_that_does_not_fit_the_schema_never_leaves_and_is_logged() {
    let (logs, _guard) = Logs::capture();
    let answer = call("liar", json!({})).send(&server()).await;
    answer.assert_refused(500, -32603);
    assert!(answer.error().get("data").is_none(), "what went wrong on our side is not the caller's business");
    let logs = logs.text();
    let line = logs.lines().find(|line| line.contains("does not fit the tool's output schema")).expect("a line");
    assert!(line.starts_with("ERROR") && line.contains("liar") && line.contains("/sum"), "{line}");
    assert!(!logs.contains("many"), "results are not logged: {logs}");
}

#[tokio::test]
async fn structured_output_comes_as_text_too() {
    let answer = call("add", json!({ "a": 40, "b": 2 })).send(&server()).await;
    assert_eq!(answer.result()["structuredContent"], json!({ "sum": 42 }));
    assert_eq!(serde_json::from_str::<Value>(answer.text()).expect("JSON"), json!({ "sum": 42 }));
}

// What goes wrong inside

#[tokio::test]
async fn what_a_handler_fails_with_reaches_whom_it_is_for() {
    let (logs, _guard) = Logs::capture();
    let server = server();
    let fail = call("fail", json!({})).send(&server).await;
    assert_eq!((fail.text(), &fail.result()["isError"]), ("it did not work", &json!(true)));
    let protest = call("protest", json!({})).send(&server).await;
    assert_eq!(protest.error(), &json!({ "code": 1001, "message": "not today", "data": { "day": "Friday" } }));
    let secret = call("secret", json!({})).send(&server).await;
    secret.assert_refused(500, -32603);
    let broken = modern("resources/read", json!({ "uri": "note://broken" })).send(&server).await;
    broken.assert_refused(500, -32603);
    for answer in [secret, broken] {
        let body = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(!body.contains("password") && !body.contains("bob"), "{body}");
    }
    assert!(logs.text().contains("the password is 1234"), "the operator sees what went wrong");
}

#[tokio::test]
async fn ids_and_names_are_logged_up_to_a_length() {
    let (logs, _guard) = Logs::capture();
    call(&"x".repeat(10_000), json!({})).id(json!("y".repeat(10_000))).send(&server()).await;
    let logs = logs.text();
    assert!(logs.contains("xxx") && logs.contains("yyy") && logs.len() < 2_000, "{}", logs.len());
}

#[tokio::test]
async fn no_payload_is_logged() {
    let (logs, _guard) = Logs::capture();
    let server = server();
    let pearl = "a-pearl-in-the-payload";
    call("echo", json!({ "text": pearl })).principal(alice()).send(&server).await;
    modern("prompts/get", json!({ "name": "essay", "arguments": { "topic": pearl } })).send(&server).await;
    modern("resources/read", json!({ "uri": format!("book://{pearl}/1") })).send(&server).await;
    let asked = call("ask", json!({})).capable(json!({ "elicitation": {} })).send(&server).await;
    let answered = json!({ "name": { "action": "accept", "content": { "name": pearl } } });
    let done =
        call("ask", json!({})).capable(json!({ "elicitation": {} })).resume(&asked, answered).send(&server).await;
    assert_eq!(done.text(), pearl);
    let state = asked.result()["requestState"].as_str().expect("a state").to_owned();
    call("ask", json!({})).param("requestState", json!(format!("{state}x"))).send(&server).await;
    let logs = logs.text();
    assert!(logs.contains("gen_ai.tool.name=\"echo\"") || logs.contains("gen_ai.tool.name=echo"), "{logs}");
    assert!(!logs.contains(pearl) && !logs.contains(&state) && !logs.contains("alice"), "{logs}");
}
