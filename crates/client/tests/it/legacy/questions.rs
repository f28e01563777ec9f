//! What a legacy server asks, and who answers.

use std::time::Duration;

use anypod_client::proto::method::Method;
use anypod_client::proto::rounds::InputResponse;
use anypod_client::{Answer, Answers, Call, Error, Exchange, Incoming, LegacyUpstream, Repeat};
use http::StatusCode;
use serde_json::{Value, json};

use super::server::{Events, Heard, Reply, Server, Streams, done, events, identity, limits, never, status, tool, with};
use super::{error, result};

/// A server that leaves the streams of its tools, and those of GET, to the test.
fn opening(streams: &Streams) -> Server {
    let opened = streams.clone();
    Server::new(move |heard| {
        let opens = heard.is("tools/call") || heard.verb == http::Method::GET;
        if opens { opened.open(heard) } else { None }
    })
}

/// The same without a stream of its own.
fn asking_on_calls(streams: &Streams) -> Server {
    let opened = streams.clone();
    Server::new(move |heard| if heard.is("tools/call") { opened.open(heard) } else { None })
}

fn ask(id: Value) -> Value {
    let schema = json!({ "type": "object", "properties": { "name": { "type": "string" } } });
    let params = json!({ "message": "Who?", "requestedSchema": schema });
    json!({ "jsonrpc": "2.0", "id": id, "method": "elicitation/create", "params": params })
}

fn accept(name: &str) -> Value {
    json!({ "action": "accept", "content": { "name": name } })
}

/// The questions' keys and the state of a round.
fn round(result: &Value) -> (Vec<String>, String) {
    assert_eq!(result["resultType"], "input_required", "{result}");
    let keys = result["inputRequests"].as_object().expect("as the test has it").keys().cloned().collect();
    (keys, result["requestState"].as_str().expect("as the test has it").to_owned())
}

fn retry(call: &Call, state: &str, answers: &[(&str, Value)]) -> Call {
    let responses = answers.iter().map(|(key, value)| ((*key).to_owned(), InputResponse(value.clone()))).collect();
    with(call.clone(), |call| call.answers = Some(Answers::new(&responses, Some(state.to_owned()))))
}

/// A call of a tool that has asked something.
async fn asked(upstream: &LegacyUpstream, streams: &Streams) -> (Exchange, Heard, Events) {
    let exchange = upstream.send(&tool("a")).await.expect("as the test has it");
    let (heard, events) = streams.next().await;
    events.send(&ask(json!("q")));
    (exchange, heard, events)
}

fn is_answer(heard: &Heard) -> bool {
    heard.body.get("method").is_none() && (heard.body.get("result").is_some() || heard.body.get("error").is_some())
}

#[tokio::test(start_paused = true)]
async fn a_question_ends_a_round_and_the_next_round_goes_on_with_the_same_call() {
    for id in [json!("q-1"), json!(7)] {
        let streams = Streams::new();
        let server = asking_on_calls(&streams);
        let upstream = server.asking();
        let call = tool("a");
        let mut exchange = upstream.send(&call).await.unwrap();
        let (heard, events) = streams.next().await;
        events.send(&ask(id.clone()));
        let asked = result(&mut exchange).await;
        let (keys, state) = round(&asked);
        assert_eq!(asked["inputRequests"][&keys[0]]["method"], "elicitation/create");
        assert_eq!(asked["inputRequests"][&keys[0]]["params"]["message"], "Who?");
        drop(exchange);
        let mut exchange = upstream.send(&retry(&call, &state, &[(&keys[0], accept("Ada"))])).await.unwrap();
        let answer = server.hears(1, is_answer).await;
        assert_eq!(answer.body, json!({ "jsonrpc": "2.0", "id": id, "result": accept("Ada") }));
        events.send(&done(&heard.id(), "Hello, Ada"));
        assert_eq!(result(&mut exchange).await["content"][0]["text"], "Hello, Ada");
        upstream.close().await.unwrap();
        assert!(server.heard(|heard| heard.is("notifications/cancelled")).is_empty());
        assert_eq!(server.heard(|heard| heard.is("tools/call")).len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_state_works_once_for_the_request_it_was_given_to_and_no_other_is_known() {
    let streams = Streams::new();
    let server = asking_on_calls(&streams);
    let upstream = server.asking();
    let (mut exchange, heard, events) = asked(&upstream, &streams).await;
    let (keys, state) = round(&result(&mut exchange).await);
    let answers = [(keys[0].as_str(), accept("Ada"))];
    assert_eq!(state.len(), 32);
    for other in [retry(&tool("b"), &state, &answers), retry(&tool("a"), "0", &answers)] {
        let (code, text) = error(&mut upstream.send(&other).await.unwrap()).await;
        assert!(code == -32602 && text.contains("start the request again"), "{text}");
    }
    let call = retry(&tool("a"), &state, &answers);
    let mut exchange = upstream.send(&call).await.unwrap();
    assert_eq!(error(&mut upstream.send(&call).await.unwrap()).await.0, -32602);
    events.send(&done(&heard.id(), "done"));
    result(&mut exchange).await;
    assert_eq!(server.heard(is_answer).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn answers_pings_and_refuses_what_the_client_did_not_declare() {
    let streams = Streams::new();
    let server = asking_on_calls(&streams);
    let upstream = server.asking();
    let mut exchange = upstream.send(&tool("a")).await.unwrap();
    let (heard, events) = streams.next().await;
    let request = |id: u32, method: &str, params: Value| {
        events.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
    };
    request(1, "ping", json!({}));
    request(2, "sampling/createMessage", json!({ "messages": [], "maxTokens": 1 }));
    request(3, "roots/list", json!({}));
    request(4, "tasks/list", json!({}));
    request(
        5,
        "elicitation/create",
        json!({ "mode": "url", "message": "m", "url": "https://a", "elicitationId": "e" }),
    );
    request(6, "elicitation/create", json!({ "message": 1 }));
    events.send(&done(&heard.id(), "done"));
    result(&mut exchange).await;
    server.hears(6, is_answer).await;
    let mut answers: Vec<_> = server.heard(is_answer).into_iter().map(|heard| heard.body).collect();
    answers.sort_by_key(|answer| answer["id"].as_u64());
    assert_eq!(answers[0]["result"], json!({}));
    let codes: Vec<_> = answers[1..].iter().map(|answer| answer["error"]["code"].as_i64().unwrap()).collect();
    assert_eq!(codes, [-32601, -32601, -32601, -32602, -32602]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_something_else_is_refused_and_the_call_given_up() {
    let streams = Streams::new();
    let server = asking_on_calls(&streams);
    let upstream = server.asking();
    let (mut exchange, heard, _events) = asked(&upstream, &streams).await;
    let (keys, state) = round(&result(&mut exchange).await);
    let call = retry(&tool("a"), &state, &[(&keys[0], json!({ "roots": [] }))]);
    assert_eq!(error(&mut upstream.send(&call).await.unwrap()).await.0, -32602);
    is_given_up(&server, &heard).await;
}

#[tokio::test(start_paused = true)]
async fn questions_that_come_together_are_one_round_and_what_is_not_answered_is_asked_again() {
    let streams = Streams::new();
    let server = asking_on_calls(&streams);
    let upstream = server.asking();
    let call = tool("a");
    let mut exchange = upstream.send(&call).await.unwrap();
    let (heard, events) = streams.next().await;
    for id in 1..=3 {
        events.send(&ask(json!(id)));
    }
    let (keys, state) = round(&result(&mut exchange).await);
    assert_eq!(keys.len(), 3);
    let first = retry(&call, &state, &[(&keys[0], accept("a")), (&keys[2], accept("c")), ("other", accept("x"))]);
    let (left, state) = round(&result(&mut upstream.send(&first).await.unwrap()).await);
    assert_eq!(left, [keys[1].clone()]);
    let mut exchange = upstream.send(&retry(&call, &state, &[(&keys[1], accept("b"))])).await.unwrap();
    events.send(&done(&heard.id(), "done"));
    result(&mut exchange).await;
    let answers: Vec<_> = server.heard(is_answer).iter().map(Heard::id).collect();
    assert_eq!(answers, [json!(1), json!(3), json!(2)]);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_ends_because_the_client_cannot_be_asked_says_what_it_lacks() {
    let lacks = [
        ("sampling/createMessage", json!({ "messages": [], "maxTokens": 1 }), json!({ "sampling": {} })),
        ("roots/list", json!({}), json!({ "roots": {} })),
    ];
    for (method, params, required) in lacks {
        let streams = Streams::new();
        let server = asking_on_calls(&streams);
        let upstream = server.asking();
        let mut exchange = upstream.send(&tool("a")).await.unwrap();
        let (heard, events) = streams.next().await;
        events.send(&json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }));
        let refused = json!({ "code": -32601, "message": "what the client said" });
        events.send(&json!({ "jsonrpc": "2.0", "id": heard.id(), "error": refused }));
        let Incoming::Answer(Answer::Error(error)) = exchange.next().await.unwrap() else { panic!("no error") };
        assert_eq!((error.code, error.data), (-32021, Some(json!({ "requiredCapabilities": required }))), "{method}");
        assert_eq!(server.hears(1, is_answer).await.body["error"]["code"], -32601);
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_of_another_kind_stays_though_the_client_could_not_be_asked() {
    let streams = Streams::new();
    let server = asking_on_calls(&streams);
    let upstream = server.asking();
    let mut exchange = upstream.send(&tool("a")).await.unwrap();
    let (heard, events) = streams.next().await;
    events.send(&json!({ "jsonrpc": "2.0", "id": 1, "method": "roots/list" }));
    let failed = json!({ "code": -32603, "message": "the disk is full" });
    events.send(&json!({ "jsonrpc": "2.0", "id": heard.id(), "error": failed }));
    assert_eq!(error(&mut exchange).await, (-32603, "the disk is full".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn answers_without_a_state_are_to_nothing_and_the_call_begins() {
    let streams = Streams::new();
    let server = asking_on_calls(&streams);
    let upstream = server.asking();
    let responses = [("name".to_owned(), InputResponse(accept("Ada")))].into_iter().collect();
    let call = with(tool("a"), |call| call.answers = Some(Answers::new(&responses, None)));
    let mut exchange = upstream.send(&call).await.unwrap();
    let (_heard, events) = streams.next().await;
    events.send(&ask(json!("q")));
    assert_eq!(round(&result(&mut exchange).await).0.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn questions_that_are_asked_one_right_after_the_other_share_a_round() {
    let streams = Streams::new();
    let server = asking_on_calls(&streams);
    let upstream = server.asking();
    let mut exchange = upstream.send(&tool("a")).await.unwrap();
    let (_heard, events) = streams.next().await;
    let asking = async {
        for id in 1..=3 {
            events.send(&ask(json!(id)));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        events.send(&ask(json!(4)));
    };
    let (asked, ()) = tokio::join!(result(&mut exchange), asking);
    assert_eq!(round(&asked).0.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn one_round_has_no_more_questions_than_the_bound() {
    let streams = Streams::new();
    let server = asking_on_calls(&streams);
    let upstream = server.asking_with(limits(|limits| limits.round_questions = 2));
    let call = tool("a");
    let mut exchange = upstream.send(&call).await.unwrap();
    let (_heard, events) = streams.next().await;
    for id in 1..=3 {
        events.send(&ask(json!(id)));
    }
    let (keys, state) = round(&result(&mut exchange).await);
    assert_eq!(keys.len(), 2);
    let answers: Vec<_> = keys.iter().map(|key| (key.as_str(), accept("a"))).collect();
    let (keys, _) = round(&result(&mut upstream.send(&retry(&call, &state, &answers)).await.unwrap()).await);
    assert_eq!(keys.len(), 1);
}

/// The call was cancelled, and then its question.
async fn is_given_up(server: &Server, heard: &Heard) {
    let cancelled = server.hears(1, |heard| heard.is("notifications/cancelled")).await;
    assert_eq!(cancelled.body["params"]["requestId"], heard.id());
    let answer = server.hears(1, is_answer).await;
    assert_eq!(answer.body, json!({ "jsonrpc": "2.0", "id": "q", "result": { "action": "cancel" } }));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_nobody_answers_in_time_is_given_up() {
    let streams = Streams::new();
    let server = asking_on_calls(&streams);
    let upstream = server.asking();
    let (mut exchange, heard, events) = asked(&upstream, &streams).await;
    let (keys, state) = round(&result(&mut exchange).await);
    // Longer than a stream may be silent, were the server the one to speak.
    tokio::time::advance(Duration::from_secs(599)).await;
    assert!(server.heard(is_answer).is_empty());
    tokio::time::advance(Duration::from_secs(2)).await;
    is_given_up(&server, &heard).await;
    events.closed().await;
    let late = retry(&tool("a"), &state, &[(&keys[0], accept("Ada"))]);
    assert_eq!(error(&mut upstream.send(&late).await.unwrap()).await.0, -32602);
}

#[tokio::test(start_paused = true)]
async fn the_silence_of_a_server_that_waits_for_answers_is_no_failure() {
    let streams = Streams::new();
    let server = asking_on_calls(&streams);
    let upstream = server.asking();
    let (mut exchange, heard, events) = asked(&upstream, &streams).await;
    let (keys, state) = round(&result(&mut exchange).await);
    tokio::time::sleep(Duration::from_secs(500)).await;
    let call = retry(&tool("a"), &state, &[(&keys[0], accept("Ada"))]);
    let mut exchange = upstream.send(&call).await.unwrap();
    events.send(&done(&heard.id(), "done"));
    result(&mut exchange).await;
}

#[tokio::test(start_paused = true)]
async fn calls_that_wait_for_answers_are_given_up_with_their_upstream() {
    for closes in [true, false] {
        let streams = Streams::new();
        let server = asking_on_calls(&streams);
        let upstream = server.asking();
        let (mut exchange, heard, _events) = asked(&upstream, &streams).await;
        round(&result(&mut exchange).await);
        if closes {
            upstream.close().await.unwrap();
        }
        drop(upstream);
        is_given_up(&server, &heard).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_away_while_its_answers_are_sent_gives_the_call_up() {
    let streams = Streams::new();
    let opened = streams.clone();
    let server = Server::new(move |heard| match heard.body["result"]["content"].is_object() {
        true => Some(never()),
        false if heard.is("tools/call") => opened.open(heard),
        false => None,
    });
    let upstream = server.asking();
    let (mut exchange, heard, _events) = asked(&upstream, &streams).await;
    let (keys, state) = round(&result(&mut exchange).await);
    let call = retry(&tool("a"), &state, &[(&keys[0], accept("Ada"))]);
    let gone = tokio::time::timeout(Duration::from_secs(1), upstream.send(&call)).await;
    assert!(gone.is_err());
    let cancelled = server.hears(1, |heard| heard.is("notifications/cancelled")).await;
    assert_eq!(cancelled.body["params"]["requestId"], heard.id());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_pings_while_it_waits_for_answers_is_answered() {
    let streams = Streams::new();
    let server = asking_on_calls(&streams);
    let upstream = server.asking();
    let (mut exchange, heard, events) = asked(&upstream, &streams).await;
    let (keys, state) = round(&result(&mut exchange).await);
    for id in 1..=3 {
        events.send(&json!({ "jsonrpc": "2.0", "id": id, "method": "ping" }));
        server.hears(id, is_answer).await;
    }
    events.send(&ask(json!("more")));
    let call = retry(&tool("a"), &state, &[(&keys[0], accept("Ada"))]);
    let (keys, state) = round(&result(&mut upstream.send(&call).await.unwrap()).await);
    let call = retry(&tool("a"), &state, &[(&keys[0], accept("Eva"))]);
    let mut exchange = upstream.send(&call).await.unwrap();
    events.send(&done(&heard.id(), "done"));
    result(&mut exchange).await;
}

#[tokio::test(start_paused = true)]
async fn one_more_held_call_than_the_bound_is_an_error_and_cancelled() {
    let streams = Streams::new();
    let server = asking_on_calls(&streams);
    let upstream = server.asking_with(limits(|limits| limits.held_calls = 1));
    let (mut first, _, _events) = asked(&upstream, &streams).await;
    round(&result(&mut first).await);
    let (mut second, heard, _more) = asked(&upstream, &streams).await;
    assert_eq!(error(&mut second).await.0, -32603);
    is_given_up(&server, &heard).await;
}

#[tokio::test(start_paused = true)]
async fn answers_to_a_session_that_has_ended_leave_the_outcome_unknown() {
    let streams = Streams::new();
    let opened = streams.clone();
    let server = Server::new(move |heard| match is_answer(heard) {
        true => Some(status(StatusCode::NOT_FOUND)),
        false if heard.is("tools/call") => opened.open(heard),
        false => None,
    });
    let upstream = server.asking();
    for repeat in [Repeat::Never, Repeat::Safe] {
        let call = with(tool("a"), |call| call.repeat = repeat);
        let mut exchange = upstream.send(&call).await.unwrap();
        let (_, events) = streams.next().await;
        events.send(&ask(json!("q")));
        let (keys, state) = round(&result(&mut exchange).await);
        let error = upstream.send(&retry(&call, &state, &[(&keys[0], accept("Ada"))])).await.unwrap_err();
        match repeat {
            Repeat::Never => assert!(matches!(error, Error::OutcomeUnknown { .. }), "{error}"),
            Repeat::Safe => assert!(matches!(error, Error::Lost { .. }), "{error}"),
        }
    }
    assert_eq!(server.heard(|heard| heard.is("initialize")).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_question_beside_all_calls_belongs_to_the_only_one_that_may_ask() {
    let streams = Streams::new();
    let server = opening(&streams);
    let upstream = server.asking();
    let call = tool("a");
    let (exchange, (get, unasked)) = tokio::join!(upstream.send(&call), streams.next());
    let mut exchange = exchange.unwrap();
    assert_eq!(get.verb, http::Method::GET);
    assert_eq!(get.header("last-event-id"), None);
    let (heard, events) = streams.next().await;
    unasked.send(&ask(json!("q")));
    let (keys, state) = round(&result(&mut exchange).await);
    // The other call is the one that goes on, so a second question is its.
    let mut other = upstream.send(&tool("b")).await.unwrap();
    let (_other_heard, _other_events) = streams.next().await;
    unasked.send(&ask(json!("r")));
    round(&result(&mut other).await);
    let mut exchange = upstream.send(&retry(&tool("a"), &state, &[(&keys[0], accept("Ada"))])).await.unwrap();
    events.send(&done(&heard.id(), "done"));
    result(&mut exchange).await;
    assert_eq!(server.hears(1, is_answer).await.id(), "q");
}

#[tokio::test(start_paused = true)]
async fn a_question_that_could_belong_to_several_calls_or_to_none_is_refused() {
    let streams = Streams::new();
    let server = opening(&streams);
    let upstream = server.asking();
    let call = tool("a");
    let (first, (_, unasked)) = tokio::join!(upstream.send(&call), streams.next());
    let second = upstream.send(&tool("b")).await.unwrap();
    unasked.send(&ask(json!("q")));
    let answer = server.hears(1, is_answer).await;
    assert_eq!((answer.id(), &answer.body["error"]["code"]), (json!("q"), &json!(-32603)));
    drop((first, second));
    unasked.send(&ask(json!("r")));
    assert_eq!(server.hears(2, is_answer).await.body["error"]["code"], -32603);
    unasked.send(&json!({ "jsonrpc": "2.0", "id": "p", "method": "ping" }));
    assert_eq!(server.hears(3, is_answer).await.body["result"], json!({}));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_answers_with_plain_json_may_ask_before_it_does() {
    let streams = Streams::new();
    let opened = streams.clone();
    let server = Server::new(move |heard| match heard.verb == http::Method::GET {
        true => opened.open(heard),
        false => heard.is("tools/call").then(never),
    });
    let upstream = server.asking();
    let asked = async {
        let (_, unasked) = streams.next().await;
        server.hears(1, |heard| heard.is("tools/call")).await;
        unasked.send(&ask(json!("q")));
        unasked
    };
    let call = tool("a");
    let (sent, _unasked) = tokio::join!(upstream.send(&call), asked);
    round(&result(&mut sent.unwrap()).await);
}

#[tokio::test(start_paused = true)]
async fn the_first_call_waits_for_the_stream_of_questions_but_not_for_long() {
    let server = Server::new(|heard| (heard.verb == http::Method::GET).then(never));
    result(&mut server.asking().send(&tool("a")).await.unwrap()).await;
    let get = server.hears(1, |heard| heard.verb == http::Method::GET).await;
    let waited = server.hears(1, |heard| heard.is("tools/call")).await.at - get.at;
    assert!(waited >= Duration::from_millis(100) && waited < Duration::from_millis(200), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_list_is_never_answered_with_questions() {
    let server = Server::new(|heard| {
        let (events, reply): (Events, Reply) = heard.is("tools/list").then(events)?;
        events.send(&ask(json!("q")));
        events.send(&json!({ "jsonrpc": "2.0", "id": heard.id(), "result": { "tools": [] } }));
        Some(reply)
    });
    let upstream = server.asking();
    let listed = result(&mut upstream.send(&Call::new(Method::ToolsList)).await.unwrap()).await;
    assert_eq!(listed["resultType"], "complete");
    assert_eq!(server.hears(1, is_answer).await.body["error"]["code"], -32603);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_answers_nothing_opens_no_stream_for_questions() {
    let server = Server::new(|_| None);
    result(&mut server.upstream().send(&tool("a")).await.unwrap()).await;
    assert!(server.heard(|heard| heard.verb == http::Method::GET).is_empty());
    let declared = &server.log()[0].body["params"]["capabilities"];
    assert_eq!(declared, &json!({}));
    result(&mut server.asking().send(&tool("a")).await.unwrap()).await;
    let opened = server.heard(|heard| heard.is("initialize"));
    assert_eq!(opened[1].body["params"]["capabilities"], json!({ "elicitation": {} }));
    assert_eq!(identity(super::server::forms()).capabilities(), &super::server::forms());
}
