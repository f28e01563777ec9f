//! Messages that are not what was asked for.

use anypod_client::proto::elicitation::ElicitResult;
use anypod_client::{Broken, Client, Error};
use anypod_testkit::script::{Received, Reply};
use serde_json::{Value, json};

use super::support::{call, done, limits, misbehaving_towards, notice};

fn request() -> Value {
    json!({ "jsonrpc": "2.0", "id": 1, "method": "sampling/createMessage", "params": {} })
}

calls_end! {
    refuses_an_answer_to_another_request: Reply::json(&json!({ "jsonrpc": "2.0", "id": 4711, "result": done() }))
        => Error::Broken(Broken::WrongId { found, .. }) if found == "4711",
    refuses_an_answer_whose_id_is_a_text: |received: &Received| {
            Reply::json(&json!({ "jsonrpc": "2.0", "id": received.id().to_string(), "result": done() }))
        } => Error::Broken(Broken::WrongId { .. }),
    refuses_a_result_under_no_id: Reply::json(&json!({ "jsonrpc": "2.0", "id": null, "result": done() }))
        => Error::Broken(Broken::WrongId { .. } | Broken::NotJsonRpc(_)),
    refuses_an_answer_to_another_request_in_a_stream:
        Reply::events().event(&json!({ "jsonrpc": "2.0", "id": 4711, "result": done() }))
        => Error::Broken(Broken::WrongId { .. }),
    refuses_an_error_for_another_request:
        Reply::json(&json!({ "jsonrpc": "2.0", "id": 4711, "error": { "code": 1, "message": "no" } }))
        => Error::Broken(Broken::WrongId { .. }),
    takes_an_error_under_no_id_for_its_own:
        Reply::json(&json!({ "jsonrpc": "2.0", "id": null, "error": { "code": 1, "message": "no" } }))
        => Error::Answered(error) if error.code == 1,
    refuses_a_batch: |received: &Received| {
            Reply::json(&json!([{ "jsonrpc": "2.0", "id": received.id(), "result": done() }]))
        } => Error::Broken(Broken::NotJsonRpc(_)),
    refuses_a_batch_in_a_stream: |received: &Received| {
            Reply::events().event(&json!([{ "jsonrpc": "2.0", "id": received.id(), "result": done() }]))
        } => Error::Broken(Broken::NotJsonRpc(_)),
    refuses_result_and_error_at_once: |received: &Received| {
            let error = json!({ "code": 1, "message": "no" });
            Reply::json(&json!({ "jsonrpc": "2.0", "id": received.id(), "result": done(), "error": error }))
        } => Error::Broken(Broken::NotJsonRpc(_)),
    refuses_neither_result_nor_error: |received: &Received| {
            Reply::json(&json!({ "jsonrpc": "2.0", "id": received.id() }))
        } => Error::Broken(Broken::NotJsonRpc(_)),
    refuses_another_version_of_json_rpc: |received: &Received| {
            Reply::json(&json!({ "jsonrpc": "1.0", "id": received.id(), "result": done() }))
        } => Error::Broken(Broken::NotJsonRpc(_)),
    refuses_a_notification_in_the_place_of_an_answer: Reply::json(&notice()) => Error::Broken(Broken::NotJsonRpc(_)),
    refuses_a_request_in_the_place_of_an_answer: Reply::json(&request())
        => Error::Broken(Broken::UnexpectedRequest(method)) if method == "sampling/createMessage",
    refuses_a_request_in_a_stream: Reply::events().event(&request()).event_result(&done())
        => Error::Broken(Broken::UnexpectedRequest(_)),
    refuses_a_result_of_another_form: Reply::result(&json!({ "resultType": "complete", "content": 5 }))
        => Error::Broken(Broken::Result(_)),
    refuses_a_result_that_is_no_object: Reply::result(&json!("done")) => Error::Broken(Broken::Result(_)),
    refuses_a_result_of_a_type_that_nobody_knows: Reply::result(&json!({ "resultType": "later" }))
        => Error::Broken(Broken::ResultType(kind)) if kind == "later",
    refuses_a_result_whose_type_is_no_text: Reply::result(&json!({ "resultType": 5, "content": [] }))
        => Error::Broken(Broken::Result(_)),
    refuses_questions_without_a_question: Reply::result(&json!({ "resultType": "input_required" }))
        => Error::Broken(Broken::Result(_)),
    refuses_questions_of_no_known_kind:
        Reply::result(&json!({ "resultType": "input_required", "inputRequests": { "a": { "method": "a/b", "params": {} } } }))
        => Error::Broken(_) | Error::NoAnswerer(_),
    refuses_questions_that_it_did_not_offer_to_answer: Reply::result(&question())
        => Error::NoAnswerer(_),
    passes_on_an_error_that_both_eras_know: Reply::error(200, -32602, "unknown tool")
        => Error::Answered(error) if error.code == -32602,
}

fn question() -> Value {
    let form = json!({ "message": "?", "requestedSchema": { "type": "object", "properties": {} } });
    let requests = json!({ "q": { "method": "elicitation/create", "params": form } });
    json!({ "resultType": "input_required", "inputRequests": requests, "requestState": "s" })
}

fn answering() -> anypod_client::ClientBuilder {
    let answer = |_| async { Ok::<_, std::io::Error>(ElicitResult::decline()) };
    Client::builder().limits(limits()).on_form(answer)
}

#[tokio::test]
async fn gives_up_on_a_server_that_goes_on_asking() {
    let (server, client) = misbehaving_towards(answering(), Reply::result(&question())).await;
    assert!(matches!(call(&client).await, Err(Error::TooManyRounds(3))));
    assert_eq!(server.received().len(), 1 + 4);
}

#[tokio::test]
async fn answers_no_more_questions_than_a_round_may_have() {
    let mut many = question();
    let one = many["inputRequests"]["q"].clone();
    many["inputRequests"] =
        (0..101).map(|number| (number.to_string(), one.clone())).collect::<serde_json::Map<_, _>>().into();
    let (_server, client) = misbehaving_towards(answering(), Reply::result(&many)).await;
    let error = call(&client).await.unwrap_err();
    assert!(matches!(error, Error::Broken(Broken::TooMuch { limit: 100, .. })), "{error:?}");
}
