//! Handlers that ask: rounds, replay on any pod, and what a client may send back.

mod journal;
mod state;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anypod_server::proto::sampling::CreateMessageRequestParams;
use anypod_server::{Args, Cx, Reply, Result, Server, ServerBuilder, State, Tool, form, form_with_schema, url};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::fixture::base;
use crate::support::{Answer, Modern, World, call, modern};

#[derive(Debug, Deserialize, JsonSchema)]
struct Name {
    #[schemars(length(min = 2))]
    name: String,
    #[expect(dead_code, reason = "it is shown by `Debug`, and its schema matters")]
    age: Option<u8>,
}

#[derive(Deserialize, JsonSchema)]
struct Order {
    order: u64,
}

/// Counts how often effects happened.
type Count = State<Arc<AtomicU64>>;

async fn one(cx: Cx) -> Result<String> {
    Ok(format!("{:?}", cx.ask("name", form::<Name>("Who are you?")).await?))
}

/// Two questions at once.
async fn both(cx: Cx) -> Result<String> {
    let (name, yes) = tokio::join!(
        cx.ask("name", form::<Name>("Who are you?")),
        cx.ask("visit", url("Sign in", "https://id.example/login")),
    );
    Ok(format!("{:?} {:?}", name?, yes?))
}

/// A step, a question, a step, a question.
async fn refund(Args(Order { order }): Args<Order>, State(count): Count, cx: Cx) -> Result<String> {
    let total = cx.step("load", || effect(&count, order * 10)).await?;
    if !cx.ask("sure", form::<Name>(format!("Refund {total}?"))).await?.accepted() {
        return Ok("kept".to_owned());
    }
    let paid = cx.step("pay", || effect(&count, total)).await?;
    let thanks = cx.ask("thanks", form::<Name>("Anything else?")).await?;
    Ok(format!("paid {paid}, {}", thanks.accepted()))
}

async fn effect(count: &AtomicU64, value: u64) -> Result<u64> {
    count.fetch_add(1, Ordering::Relaxed);
    Ok(value)
}

/// A question that waits while a step is still under way.
async fn while_working(State(count): Count, cx: Cx) -> Result<String> {
    let (name, total) = tokio::join!(
        cx.ask("name", form::<Name>("Who are you?")),
        cx.step("slow", async || {
            tokio::time::sleep(Duration::from_secs(5)).await;
            effect(&count, 5).await
        }),
    );
    Ok(format!("{} {}", name?.accepted(), total?))
}

async fn hand_written(cx: Cx) -> Result<String> {
    let schema = json!({ "type": "object", "properties": { "seats": { "type": "integer", "minimum": 1 } }, "required": ["seats"] });
    let answer = cx.ask("seats", form_with_schema("How many?", schema)).await?;
    Ok(answer.into_accepted().map_or_else(|| "none".to_owned(), |seats| seats["seats"].to_string()))
}

async fn twice(cx: Cx) -> Result<String> {
    cx.ask("name", form::<Name>("Who are you?")).await?;
    cx.ask("name", form::<Name>("And who else?")).await?;
    Ok("unreachable".to_owned())
}

#[expect(deprecated, reason = "deprecated features work until the specification removes them")]
async fn model(cx: Cx) -> Result<String> {
    let params = CreateMessageRequestParams::new(Vec::new(), 16);
    Ok(cx.ask("model", anypod_server::sample(params)).await?.model)
}

#[expect(deprecated, reason = "deprecated features work until the specification removes them")]
async fn workspace(cx: Cx) -> Result<String> {
    let roots = cx.ask("roots", anypod_server::roots()).await?;
    Ok(roots.into_iter().map(|root| root.uri).collect())
}

fn builder(world: &World) -> ServerBuilder {
    base(world)
        .state(Arc::new(AtomicU64::new(0)))
        .tool(Tool::new("one", one))
        .tool(Tool::new("same", one))
        .tool(Tool::new("both", both))
        .tool(Tool::new("refund", refund))
        .tool(Tool::new("while_working", while_working))
        .tool(Tool::new("hand_written", hand_written))
        .tool(Tool::new("twice", twice))
        .tool(Tool::new("model", model))
        .tool(Tool::new("workspace", workspace))
}

fn server() -> Server {
    builder(&World::default()).build().expect("it builds")
}

fn ask(tool: &str, arguments: Value) -> Modern {
    call(tool, arguments).capable(json!({ "elicitation": { "form": {}, "url": {} }, "sampling": {}, "roots": {} }))
}

fn accept(content: Value) -> Value {
    json!({ "action": "accept", "content": content })
}

fn ann() -> Value {
    accept(json!({ "name": "Ann" }))
}

/// The keys that were asked for, in order.
fn asked(answer: &Answer) -> Vec<&str> {
    assert_eq!(answer.status, 200);
    let result = answer.result();
    assert_eq!(result["resultType"], "input_required", "{result}");
    assert!(result["requestState"].is_string());
    for cached in ["ttlMs", "cacheScope"] {
        assert!(result.get(cached).is_none(), "what is not complete must not be cached");
    }
    result["inputRequests"].as_object().expect("questions").keys().map(String::as_str).collect()
}

#[tokio::test]
async fn a_question_ends_the_round_and_its_answer_the_call() {
    let server = server();
    let question = ask("one", json!({})).send(&server).await;
    assert_eq!(asked(&question), ["name"]);
    let request = &question.result()["inputRequests"]["name"];
    assert_eq!(
        (&request["method"], &request["params"]["message"]),
        (&json!("elicitation/create"), &json!("Who are you?"))
    );
    assert_eq!(request["params"]["requestedSchema"]["required"], json!(["name"]));
    let done = ask("one", json!({})).resume(&question, json!({ "name": ann() })).send(&server).await;
    assert_eq!(done.text(), "Accepted(Name { name: \"Ann\", age: None })");
    assert_eq!(done.result()["resultType"], "complete");
}

#[tokio::test]
async fn declined_and_cancelled_are_told_apart() {
    let server = server();
    let question = ask("one", json!({})).send(&server).await;
    for (action, expected) in [("decline", "Declined"), ("cancel", "Cancelled")] {
        let done = ask("one", json!({})).resume(&question, json!({ "name": { "action": action } })).send(&server).await;
        assert_eq!(done.text(), expected);
    }
}

#[tokio::test]
async fn questions_that_wait_together_go_out_in_one_round() {
    let server = server();
    let questions = ask("both", json!({})).send(&server).await;
    assert_eq!(asked(&questions), ["name", "visit"]);
    let visit = &questions.result()["inputRequests"]["visit"]["params"];
    assert_eq!((&visit["mode"], &visit["url"]), (&json!("url"), &json!("https://id.example/login")));
    let both = json!({ "name": ann(), "visit": { "action": "accept" } });
    let done = ask("both", json!({})).resume(&questions, both).send(&server).await;
    assert_eq!(done.text(), "Accepted(Name { name: \"Ann\", age: None }) Accepted(())");
}

#[tokio::test]
async fn what_was_not_answered_is_asked_again_and_what_was_is_kept() {
    let server = server();
    let questions = ask("both", json!({})).send(&server).await;
    let half = ask("both", json!({})).resume(&questions, json!({ "name": ann() })).send(&server).await;
    assert_eq!(asked(&half), ["visit"]);
    let done = ask("both", json!({})).resume(&half, json!({ "visit": { "action": "decline" } })).send(&server).await;
    assert_eq!(done.text(), "Accepted(Name { name: \"Ann\", age: None }) Declined");
    let none = ask("both", json!({})).resume(&questions, json!({})).send(&server).await;
    assert_eq!(asked(&none), ["name", "visit"]);
    let wrong = ask("both", json!({})).resume(&questions, json!({ "nom": ann() })).send(&server).await;
    assert_eq!(asked(&wrong), ["name", "visit"]);
}

#[tokio::test]
async fn answers_to_what_was_not_asked_are_ignored() {
    let server = server();
    let question = ask("one", json!({})).send(&server).await;
    let more = json!({ "name": ann(), "other": 5, "": null });
    let done = ask("one", json!({})).resume(&question, more).send(&server).await;
    assert_eq!(done.text(), "Accepted(Name { name: \"Ann\", age: None })");
}

#[tokio::test]
async fn answers_to_what_is_not_asked_are_not_even_read() {
    let edit = |text: String| text.replace("-777", "1e999");
    let unreadable = |answers| ask("one", json!({})).param("inputResponses", answers).edited(edit);
    let done = unreadable(json!({ "name": ann(), "other": [-777] })).send(&server()).await;
    assert_eq!(done.text(), "Accepted(Name { name: \"Ann\", age: None })");
    unreadable(json!({ "name": [-777] })).send(&server()).await.assert_refused(400, -32602);
}

#[tokio::test]
async fn every_round_can_reach_another_pod_and_every_step_runs_once() {
    let count = Arc::new(AtomicU64::new(0));
    let world = World::default();
    let pod = || builder(&world).state(Arc::clone(&count)).build().expect("it builds");
    let order = json!({ "order": 7 });
    let first = ask("refund", order.clone()).send(&pod()).await;
    assert_eq!((asked(&first), count.load(Ordering::Relaxed)), (vec!["sure"], 1));
    assert_eq!(first.result()["inputRequests"]["sure"]["params"]["message"], "Refund 70?");
    let second = ask("refund", order.clone()).resume(&first, json!({ "sure": ann() })).send(&pod()).await;
    assert_eq!((asked(&second), count.load(Ordering::Relaxed)), (vec!["thanks"], 2));
    let done =
        ask("refund", order.clone()).resume(&second, json!({ "thanks": { "action": "cancel" } })).send(&pod()).await;
    assert_eq!((done.text(), count.load(Ordering::Relaxed)), ("paid 70, false", 2));
}

#[tokio::test]
async fn a_pod_with_another_ring_or_audience_does_not_understand() {
    let world = World::default();
    let question = ask("one", json!({})).send(&builder(&world).build().expect("it builds")).await;
    let strangers = [
        builder(&world).keys(anypod_server::proto::seal::Ring::from_keys([8; 32], [])),
        builder(&world).audience("elsewhere"),
    ];
    for stranger in strangers {
        let stranger = stranger.build().expect("it builds");
        let refused = ask("one", json!({})).resume(&question, json!({ "name": ann() })).send(&stranger).await;
        refused.assert_refused(400, -32602);
    }
}

#[tokio::test]
async fn a_rotated_ring_opens_what_the_old_one_sealed() {
    let server = server();
    let question = ask("one", json!({})).send(&server).await;
    server.replace_keys(crate::support::ring().rotate([9; 32], 1));
    let resumed = ask("one", json!({})).resume(&question, json!({ "name": ann() }));
    assert!(resumed.send(&server).await.text().contains("Ann"));
    server.replace_keys(anypod_server::proto::seal::Ring::from_keys([9; 32], []));
    resumed.send(&server).await.assert_refused(400, -32602);
}

#[tokio::test(start_paused = true)]
async fn a_round_ends_when_no_step_is_under_way_any_more() {
    let count = Arc::new(AtomicU64::new(0));
    let server = builder(&World::default()).state(Arc::clone(&count)).build().expect("it builds");
    let question = ask("while_working", json!({})).send(&server).await;
    assert_eq!((asked(&question), count.load(Ordering::Relaxed)), (vec!["name"], 1));
    let done = ask("while_working", json!({})).resume(&question, json!({ "name": ann() })).send(&server).await;
    assert_eq!((done.text(), count.load(Ordering::Relaxed)), ("true 5", 1));
}

#[tokio::test]
async fn a_malformed_answer_is_refused_with_its_key() {
    let server = server();
    let question = ask("one", json!({})).send(&server).await;
    for malformed in [
        json!("Ann"),
        json!(null),
        json!({}),
        json!({ "action": "maybe" }),
        json!({ "content": { "name": "Ann" } }),
        accept(json!("Ann")),
        accept(json!({})),
        accept(json!({ "name": 5 })),
        accept(json!({ "name": "A" })),
        accept(json!({ "name": "Ann", "age": -1 })),
        accept(json!({ "name": "Ann", "age": "old" })),
        json!({ "action": "accept" }),
    ] {
        let answer = ask("one", json!({})).resume(&question, json!({ "name": malformed })).send(&server).await;
        answer.assert_refused(400, -32602);
        assert_eq!(answer.data()["field"], "params.inputResponses.name", "{malformed}");
        assert!(answer.data()["reason"].is_string());
    }
    // The state is still good: a person can try again.
    let again = ask("one", json!({})).resume(&question, json!({ "name": ann() })).send(&server).await;
    assert!(again.text().contains("Ann"));
}

#[tokio::test]
async fn an_answer_to_a_hand_written_form_is_held_against_it() {
    let server = server();
    let question = ask("hand_written", json!({})).send(&server).await;
    let done = |content| ask("hand_written", json!({})).resume(&question, json!({ "seats": accept(content) }));
    assert_eq!(done(json!({ "seats": 3 })).send(&server).await.text(), "3");
    for wrong in [json!({ "seats": 0 }), json!({ "seats": "3" }), json!({ "seats": 1.5 }), json!({})] {
        done(wrong).send(&server).await.assert_refused(400, -32602);
    }
}

#[tokio::test]
async fn a_model_and_the_workspace_can_be_asked() {
    let server = server();
    let question = ask("model", json!({})).send(&server).await;
    assert_eq!(question.result()["inputRequests"]["model"]["method"], "sampling/createMessage");
    let said = json!({ "role": "assistant", "content": { "type": "text", "text": "hi" }, "model": "m-1" });
    let done = ask("model", json!({})).resume(&question, json!({ "model": said })).send(&server).await;
    assert_eq!(done.text(), "m-1");
    let bad =
        ask("model", json!({})).resume(&question, json!({ "model": { "role": "assistant" } })).send(&server).await;
    bad.assert_refused(400, -32602);
    let question = ask("workspace", json!({})).send(&server).await;
    assert_eq!(question.result()["inputRequests"]["roots"]["method"], "roots/list");
    let roots = json!({ "roots": [{ "uri": "file:///a" }, { "uri": "file:///b" }] });
    let done = ask("workspace", json!({})).resume(&question, json!({ "roots": roots })).send(&server).await;
    assert_eq!(done.text(), "file:///afile:///b");
}

#[tokio::test]
async fn every_kind_of_question_needs_its_capability() {
    let server = server();
    for (tool, declared, required) in [
        ("one", json!({ "roots": {}, "sampling": {} }), json!({ "elicitation": { "form": {} } })),
        ("model", json!({ "roots": {}, "elicitation": {} }), json!({ "sampling": {} })),
        ("workspace", json!({ "sampling": {}, "elicitation": {} }), json!({ "roots": {} })),
        ("both", json!({ "elicitation": { "form": {} } }), json!({ "elicitation": { "url": {} } })),
    ] {
        let answer = call(tool, json!({})).capable(declared).send(&server).await;
        if tool == "both" {
            // What was declared may be asked; the rest is refused before it is.
            if let Some(questions) = answer.response()["result"].get("inputRequests") {
                assert!(questions.get("visit").is_none(), "{questions}");
                continue;
            }
        }
        answer.assert_refused(400, -32021);
        assert_eq!(answer.data(), &json!({ "requiredCapabilities": required }), "{tool}");
    }
}

#[tokio::test]
async fn only_calls_prompts_and_resources_may_end_a_round() {
    let greedy = async |cx: Cx| -> Result<Vec<String>> { Ok(vec![one(cx).await?]) };
    let prompt = anypod_server::Prompt::new("p", async |Args(_): Args<Order>| "p").complete("order", greedy);
    let server = base(&World::default()).prompt(prompt).build().expect("it builds");
    let params = json!({ "ref": { "type": "ref/prompt", "name": "p" }, "argument": { "name": "order", "value": "" } });
    let answer = modern("completion/complete", params).capable(json!({ "elicitation": {} })).send(&server).await;
    answer.assert_refused(500, -32603);
}

#[tokio::test]
async fn a_question_that_the_handler_gave_up_is_not_asked() {
    let tool = async |cx: Cx| -> Result<String> {
        tokio::select! {
            biased;
            _ = cx.ask("first", form::<Name>("First?")) => Ok("first".to_owned()),
            () = std::future::ready(()) => match cx.ask("second", form::<Name>("Second?")).await? {
                Reply::Accepted(Name { name, .. }) => Ok(name),
                Reply::Declined | Reply::Cancelled => Ok("nobody".to_owned()),
            },
        }
    };
    let server = base(&World::default()).tool(Tool::new("t", tool)).build().expect("it builds");
    let question = ask("t", json!({})).send(&server).await;
    assert_eq!(asked(&question), ["second"]);
    let done = ask("t", json!({})).resume(&question, json!({ "second": ann() })).send(&server).await;
    assert_eq!(done.text(), "Ann");
}
