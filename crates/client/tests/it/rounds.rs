//! Rounds of questions, and what is said along the way.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anypod_client::proto::elicitation::ElicitResult;
use anypod_client::proto::logging::LoggingLevel;
use anypod_client::proto::rounds::{InputResponse, InputResponses};
use anypod_client::proto::tools::CallToolResult;
use anypod_client::proto::version::Era;
use anypod_client::{Broken, Client, ClientBuilder, Error, Round};
use serde_json::{Value, json};
use tokio::sync::Barrier;

use crate::legacy::server::{Heard, Server, Streams, done, json as whole, limits};
use crate::modern::{agreeing, asks, client, form, pinned, result, text, tools};

fn params(heard: &Heard) -> &Value {
    &heard.body["params"]
}

/// A server that asks once, with this state.
fn asks_once(state: &'static str) -> Server {
    Server::new(move |heard| {
        Some(match params(heard).get("inputResponses") {
            None => asks(heard, &["who"], Some(state)),
            Some(_) => text(heard, "hello"),
        })
    })
}

/// A builder whose answerer of forms counts how often it is called.
fn counting() -> (ClientBuilder, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let builder = Client::builder().on_form(move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        std::future::ready(Ok::<_, std::io::Error>(ElicitResult::accept(Default::default())))
    });
    (builder, count)
}

#[tokio::test]
async fn sends_the_state_back_as_it_came_in_a_new_request_with_the_same_parameters() {
    let state = "\u{0}\u{1f}\"\\/\u{7f}é\u{2028}\u{fffd}😀 =?base64?x?= \n\t";
    let server = asks_once(state);
    let result = pinned(agreeing(), &server).call("greet", json!({ "b": 1, "a": [1.0] })).await.unwrap();
    assert_eq!(result.content[0].as_text(), Some("hello"));
    let [first, second] = &server.log()[..] else { panic!("two requests") };
    assert_ne!(first.id(), second.id());
    assert_eq!(params(second)["requestState"], state);
    assert_eq!(params(second)["inputResponses"], json!({ "who": { "action": "accept", "content": {} } }));
    assert_eq!(params(first)["arguments"], params(second)["arguments"]);
    assert_eq!(params(first)["_meta"], params(second)["_meta"]);
    assert_eq!(first.header("mcp-name"), second.header("mcp-name"));
    assert!(params(first).get("requestState").is_none());
}

#[tokio::test]
async fn a_state_that_is_written_with_escapes_is_the_same_state() {
    let server = Server::new(|heard| match params(heard).get("requestState") {
        None => {
            let answer = format!(
                r#"{{"jsonrpc":"2.0","id":{},"result":{{"requestState":"\u0041\/\ud83d\ude00","resultType":"input_required"}}}}"#,
                heard.id()
            );
            let (events, reply) = crate::legacy::server::events();
            events.write(&format!("data: {answer}\n\n"));
            Some(reply)
        }
        Some(_) => Some(text(heard, "done")),
    });
    client(&server).call("greet", ()).await.unwrap();
    assert_eq!(params(&server.log()[1])["requestState"], "A/😀");
}

#[tokio::test]
async fn a_round_without_questions_is_sent_again_with_nothing_but_the_state() {
    let server = Server::new(|heard| {
        Some(match params(heard).get("requestState") {
            None => asks(heard, &[], Some("later")),
            Some(_) => text(heard, "done"),
        })
    });
    client(&server).call("greet", ()).await.unwrap();
    assert!(params(&server.log()[1]).get("inputResponses").is_none());
}

#[tokio::test]
async fn a_state_holds_for_one_round() {
    let server = Server::new(|heard| {
        let responses = &params(heard)["inputResponses"];
        Some(match (responses.get("one"), responses.get("two")) {
            (None, None) => asks(heard, &["one"], Some("first")),
            (Some(_), _) => asks(heard, &["two"], None),
            (None, Some(_)) => text(heard, "done"),
        })
    });
    pinned(agreeing(), &server).call("greet", ()).await.unwrap();
    let states: Vec<_> = server.log().iter().map(|heard| params(heard).get("requestState").cloned()).collect();
    assert_eq!(states, [None, Some(json!("first")), None]);
}

#[tokio::test]
async fn the_state_of_a_call_never_gets_into_another_one() {
    let server = Server::new(|heard| {
        let name = params(heard)["name"].as_str().unwrap_or_default().to_owned();
        let state = params(heard)["requestState"].as_str();
        Some(match state {
            _ if heard.is("tools/list") => tools(heard, &json!([])),
            None => asks(heard, &[&name], Some(&format!("state of {name}"))),
            Some(_) => text(heard, "done"),
        })
    });
    let client = pinned(agreeing(), &server);
    let call = async |name: String| client.call(&name, ()).await.map(drop);
    let calls = (0..20).map(|at| call(format!("tool-{at}")));
    let lists = async { client.tools().await.map(drop) };
    let (called, listed) = tokio::join!(futures_util::future::try_join_all(calls), lists);
    called.unwrap();
    listed.unwrap();
    let log = server.log();
    assert_eq!(log.len(), 41);
    for heard in log.iter().filter(|heard| params(heard).get("requestState").is_some()) {
        let name = params(heard)["name"].as_str().unwrap();
        assert_eq!(params(heard)["requestState"], format!("state of {name}"));
        assert_eq!(params(heard)["inputResponses"].as_object().unwrap().keys().collect::<Vec<_>>(), [name]);
    }
}

#[tokio::test]
async fn the_questions_of_a_round_are_asked_side_by_side() {
    let server = Server::new(|heard| {
        Some(match params(heard).get("inputResponses") {
            None => asks(heard, &["a", "b", "c"], None),
            Some(_) => text(heard, "done"),
        })
    });
    let together = Arc::new(Barrier::new(3));
    let builder = Client::builder().on_form(move |_| {
        let together = Arc::clone(&together);
        async move {
            together.wait().await;
            Ok::<_, std::io::Error>(ElicitResult::decline())
        }
    });
    pinned(builder, &server).call("greet", ()).await.unwrap();
    let answered = params(&server.log()[1])["inputResponses"].as_object().unwrap().len();
    assert_eq!(answered, 3);
}

#[tokio::test]
async fn nobody_is_asked_if_one_of_the_questions_has_no_answerer() {
    let server = Server::new(|heard| {
        let questions = json!({ "a": form(), "b": { "method": "roots/list", "params": {} } });
        Some(result(heard, json!({ "resultType": "input_required", "inputRequests": questions })))
    });
    let (builder, count) = counting();
    let error = pinned(builder, &server).call("greet", ()).await.unwrap_err();
    assert!(matches!(error, Error::NoAnswerer("roots/list")), "{error}");
    assert_eq!(count.load(Ordering::Relaxed), 0);
    assert_eq!(server.log().len(), 1);
}

#[tokio::test]
async fn an_answerer_that_fails_ends_the_request() {
    let builder = Client::builder().on_form(|_| async { Err::<ElicitResult, _>(std::io::Error::other("no terminal")) });
    let server = asks_once("s");
    let error = pinned(builder, &server).call("greet", ()).await.unwrap_err();
    assert!(matches!(error, Error::Answerer(_)), "{error}");
    assert_eq!(server.log().len(), 1);
}

#[tokio::test]
async fn gives_up_after_ten_rounds_and_asks_nobody_for_nothing() {
    let server = Server::new(|heard| Some(asks(heard, &["again"], Some("s"))));
    let (builder, count) = counting();
    let error = pinned(builder, &server).call("greet", ()).await.unwrap_err();
    assert!(matches!(error, Error::TooManyRounds(10)), "{error}");
    assert_eq!(count.load(Ordering::Relaxed), 10);
    assert_eq!(server.log().len(), 11, "each answer was sent");
}

#[tokio::test]
async fn the_caller_may_answer_round_by_round() {
    let server = asks_once("by hand");
    let Round::Asks(asked) = client(&server).call("greet", ()).round().await.unwrap() else { panic!("it asks") };
    assert_eq!(asked.requests().keys().collect::<Vec<_>>(), ["who"]);
    let mut answers = InputResponses::new();
    answers.insert("who".to_owned(), InputResponse(json!({ "action": "decline" })));
    let Round::Done(done) = asked.answer(answers).round().await.unwrap() else { panic!("that was all") };
    assert_eq!(done.content[0].as_text(), Some("hello"));
    let again = &server.log()[1];
    assert_eq!(params(again)["requestState"], "by hand");
    assert_eq!(params(again)["inputResponses"]["who"]["action"], "decline");
}

#[tokio::test]
async fn only_calls_reads_and_prompts_may_ask() {
    let server = Server::new(|heard| Some(asks(heard, &["who"], Some("s"))));
    let (builder, count) = counting();
    let client = pinned(builder, &server);
    let errors = [
        client.tools().await.map(drop).unwrap_err(),
        client.prompts().await.map(drop).unwrap_err(),
        client.resources().await.map(drop).unwrap_err(),
        client.resource_templates().await.map(drop).unwrap_err(),
        client.discover().await.map(drop).unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, Error::Broken(Broken::ResultType(_))), "{error}");
    }
    assert_eq!(count.load(Ordering::Relaxed), 0);
    for error in [
        client.read("a:b").await.map(drop).unwrap_err(),
        client.prompt::<&str, &str>("p", []).await.map(drop).unwrap_err(),
    ] {
        assert!(matches!(error, Error::TooManyRounds(10)), "{error}");
    }
}

/// What comes of a result of this form.
async fn broken(answer: Value) -> Broken {
    let server = Server::new(move |heard| Some(result(heard, answer.clone())));
    let (builder, count) = counting();
    let client = pinned(builder.limits(limits(|limits| limits.round_questions = 2)), &server);
    let error = client.call("greet", ()).await.unwrap_err();
    assert_eq!(count.load(Ordering::Relaxed), 0, "nobody is asked");
    assert_eq!(server.log().len(), 1, "nothing is sent again");
    match error {
        Error::Broken(broken) => broken,
        error => panic!("{error}"),
    }
}

#[tokio::test]
async fn results_of_other_forms_are_protocol_errors() {
    let asking = |requests: Value| json!({ "resultType": "input_required", "inputRequests": requests });
    let unknown = |broken: &Broken| matches!(broken, Broken::ResultType(_));
    let unfit = |broken: &Broken| matches!(broken, Broken::Result(_));
    let found = broken(json!({ "resultType": "partial", "content": [] })).await;
    assert!(unknown(&found), "{found}");
    let found = broken(json!({ "resultType": "", "content": [] })).await;
    assert!(unknown(&found), "{found}");
    let found = broken(json!({ "resultType": 5, "content": [] })).await;
    assert!(unfit(&found), "{found}");
    let found = broken(json!({ "content": "text" })).await;
    assert!(unfit(&found), "{found}");
    let found = broken(json!({ "resultType": "input_required" })).await;
    assert!(unfit(&found), "{found}");
    let found = broken(json!({ "resultType": "input_required", "requestState": 5 })).await;
    assert!(unfit(&found), "{found}");
    let found = broken(asking(json!({ "a": { "method": "tools/call", "params": {} } }))).await;
    assert!(unfit(&found), "{found}");
    let found = broken(asking(json!([form()]))).await;
    assert!(unfit(&found), "{found}");
    let found = broken(asking(json!({ "a": form(), "b": form(), "c": form() }))).await;
    assert!(matches!(found, Broken::TooMuch { limit: 2, .. }), "{found}");
}

#[tokio::test]
async fn progress_and_logs_of_the_call_come_to_the_call_and_no_others() {
    let server = Server::new(|heard| {
        let token = params(heard)["_meta"]["progressToken"].clone();
        let progress = |token: Value, at: i32| {
            let params = json!({ "progressToken": token, "progress": at });
            json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": params })
        };
        let log =
            json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": { "level": "info", "data": "x" } });
        let strange = json!({ "jsonrpc": "2.0", "method": "notifications/of/another/kind" });
        let (events, reply) = crate::legacy::server::events();
        let other = json!(token.as_u64().unwrap_or_default() + 1);
        for message in [
            progress(token.clone(), 1),
            progress(other, 90),
            progress(json!(token.to_string()), 91),
            strange,
            log,
            progress(token, 2),
        ] {
            events.send(&message);
        }
        let mut answer = done(&heard.id(), "done");
        answer["result"]["resultType"] = json!("complete");
        events.send(&answer);
        Some(reply)
    });
    let (steps, logs) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)));
    let (told, logged) = (Arc::clone(&steps), Arc::clone(&logs));
    client(&server)
        .call("count", ())
        .on_progress(move |progress| told.lock().unwrap().push(progress.progress))
        .on_log(LoggingLevel::Info, move |_| {
            logged.fetch_add(1, Ordering::Relaxed);
        })
        .await
        .unwrap();
    assert_eq!(*steps.lock().unwrap(), [1.0, 2.0]);
    assert_eq!(logs.load(Ordering::Relaxed), 1);
    let sent = &server.log()[0];
    assert_eq!(params(sent)["_meta"]["progressToken"], sent.id(), "unique among the requests under way");
    assert_eq!(params(sent)["_meta"]["io.modelcontextprotocol/logLevel"], "info");
}

#[tokio::test]
async fn neither_progress_nor_logs_are_asked_for_by_default() {
    let server = Server::new(|heard| Some(text(heard, "done")));
    client(&server).call("count", ()).await.unwrap();
    let sent = &server.log()[0];
    let meta = &params(sent)["_meta"];
    assert!(meta.get("progressToken").is_none());
    assert!(meta.get("io.modelcontextprotocol/logLevel").is_none());
}

#[tokio::test]
async fn what_the_caller_adds_to_meta_is_json_whatever_its_key() {
    let server = Server::new(|heard| Some(text(heard, "done")));
    let client = client(&server);
    client.call("count", ()).meta("a\"", 1).meta("\"", "\\").meta("traceparent", "00-0-0-00").await.unwrap();
    let sent = &server.log()[0];
    let meta = &params(sent)["_meta"];
    assert_eq!((&meta["a\""], &meta["\""], &meta["traceparent"]), (&json!(1), &json!("\\"), &json!("00-0-0-00")));
    let error = client.call("count", ()).meta("io.modelcontextprotocol/protocolVersion", "1").await.unwrap_err();
    assert!(matches!(error, Error::Misuse(_)), "{error}");
    let Value::Object(own) = json!({ "requestState": "of another" }) else { unreachable!() };
    let error = client.request("tools/call", Some("count"), &own).await.unwrap_err();
    assert!(matches!(error, Error::Misuse(_)), "{error}");
    assert_eq!(server.log().len(), 1);
}

/// A legacy server that asks on the stream of every call, and its streams.
fn legacy() -> (Server, Streams) {
    let streams = Streams::new();
    let opened = streams.clone();
    (Server::new(move |heard| if heard.is("tools/call") { opened.open(heard) } else { None }), streams)
}

fn question() -> Value {
    let mut question = form();
    question["jsonrpc"] = json!("2.0");
    question["id"] = json!("q-1");
    question
}

fn asked_for_ever() -> ClientBuilder {
    Client::builder().era(Era::Legacy).on_form(|_| std::future::pending::<Result<ElicitResult, std::io::Error>>())
}

#[tokio::test]
async fn a_legacy_call_that_is_given_up_while_it_asks_is_cancelled_at_the_server() {
    let (server, streams) = legacy();
    let client = asked_for_ever().service(server.clone());
    let (cancel, cancelled) = tokio::sync::oneshot::channel::<()>();
    let call = client.call("paint", ()).cancel_when(async { drop(cancelled.await) });
    let server_side = async {
        let (heard, events) = streams.next().await;
        events.send(&question());
        // The client answers nothing, and is told to stop.
        tokio::task::yield_now().await;
        cancel.send(()).unwrap();
        let told = server.hears(1, |heard| heard.is("notifications/cancelled")).await;
        assert_eq!(told.body["params"]["requestId"], heard.id());
    };
    let (called, ()) = tokio::join!(call.into_future(), server_side);
    assert!(matches!(called, Err(Error::Cancelled)), "{called:?}");
}

#[tokio::test]
async fn questions_that_are_dropped_give_the_legacy_call_up() {
    let (server, streams) = legacy();
    let client = asked_for_ever().service(server.clone());
    let round = async {
        let Ok(Round::Asks(asked)) = client.call("paint", ()).round().await else { panic!("it asks") };
        drop(asked);
    };
    let server_side = async {
        let (heard, events) = streams.next().await;
        events.send(&question());
        let told = server.hears(1, |heard| heard.is("notifications/cancelled")).await;
        assert_eq!(told.body["params"]["requestId"], heard.id());
    };
    tokio::join!(round, server_side);
}

#[tokio::test]
async fn answers_of_wrong_ids_are_protocol_errors() {
    for id in [json!(99), json!("1"), json!(1.5), Value::Null] {
        let server = Server::new(move |_| {
            Some(whole(&json!({ "jsonrpc": "2.0", "id": id, "result": { "resultType": "complete", "content": [] } })))
        });
        let error = client(&server).call("greet", ()).await.map(|_: CallToolResult| ()).unwrap_err();
        assert!(matches!(error, Error::Broken(Broken::WrongId { .. } | Broken::NotJsonRpc(_))), "{error}");
        assert_eq!(server.log().len(), 1, "nothing is sent again");
    }
}
