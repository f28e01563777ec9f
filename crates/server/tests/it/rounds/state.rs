//! What a `requestState` is bound to, how long it lives and how often it opens.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anypod_server::{Cx, Error, InMemory, RawArgs, Result, Tool};
use serde_json::json;

use super::{ann, ask, asked, builder, one};
use crate::support::fixture::base;
use crate::support::logs::Logs;
use crate::support::{Modern, World, alice, modern};

#[tokio::test]
async fn a_state_belongs_to_one_tool_its_arguments_and_its_caller() {
    let count = Arc::new(AtomicU64::new(0));
    let server = builder(&World::default()).state(Arc::clone(&count)).build().expect("it builds");
    let order = json!({ "order": 7, "note": "x" });
    let question = ask("refund", order.clone()).principal(alice()).send(&server).await;
    let state = question.result()["requestState"].clone();
    let sure = |request: Modern| {
        request.param("requestState", state.clone()).param("inputResponses", json!({ "sure": ann() }))
    };
    let bob = anypod_server::Principal::new("https://id.example", "bob");
    for other in [
        ask("refund", order.clone()),
        ask("refund", order.clone()).principal(bob),
        ask("refund", json!({ "order": 8, "note": "x" })).principal(alice()),
        ask("refund", json!({ "order": 7 })).principal(alice()),
        ask("one", order.clone()).principal(alice()),
    ] {
        let answer = sure(other).send(&server).await;
        answer.assert_refused(400, -32602);
        assert!(answer.error()["message"].as_str().is_some_and(|message| message.contains("requestState")));
    }
    assert_eq!(count.load(Ordering::Relaxed), 1, "nothing ran");
    // White space and the order of members are no other arguments.
    let same = sure(ask("refund", order).principal(alice()))
        .edited(|text| text.replace("{\"order\":7,\"note\":\"x\"}", "{ \"n\\u006fte\": \"x\", \"order\":7 }"));
    assert_eq!(asked(&same.send(&server).await), ["thanks"]);
}

#[tokio::test]
async fn numbers_that_no_double_holds_do_not_make_all_arguments_alike() {
    let prompt = anypod_server::Prompt::new("p", one);
    let tool = Tool::new("t", async |RawArgs(_): RawArgs, cx: Cx| one(cx).await);
    let server = base(&World::default()).prompt(prompt).tool(tool).build().expect("it builds");
    for (method, name) in [("prompts/get", "p"), ("tools/call", "t")] {
        let with = |amount: u64| {
            let params = json!({ "name": name, "arguments": { "amount": amount, "x": 1 } });
            modern(method, params).capable(json!({ "elicitation": {} }))
        };
        let huge = |request: Modern| request.edited(|text| text.replace("\"x\":1", "\"x\":1e999"));
        let question = huge(with(5)).send(&server).await;
        // To refuse such numbers is as good; to ask once and to take the answer for anything is not.
        let Some(result) = question.response().get("result") else { continue };
        if result["resultType"] == "input_required" {
            let other = huge(with(5_000).resume(&question, json!({ "name": ann() }))).send(&server).await;
            other.assert_refused(400, -32602);
        }
    }
}

#[tokio::test]
async fn a_state_expires() {
    let world = World::default();
    let server = builder(&world).build().expect("it builds");
    let question = ask("one", json!({})).send(&server).await;
    let resumed = ask("one", json!({})).resume(&question, json!({ "name": ann() }));
    world.advance(3599);
    assert!(resumed.send(&server).await.text().contains("Ann"));
    world.advance(1);
    resumed.send(&server).await.assert_refused(400, -32602);
}

#[tokio::test]
async fn a_single_use_state_works_once_on_whichever_pod() {
    let world = World::default();
    let pods = || {
        let once = Arc::new(InMemory::new(100));
        let build = |once| {
            let tool = Tool::new("t", one).single_use();
            base(&world).tool(tool).once(once).build().expect("it builds")
        };
        (build(Arc::clone(&once)), build(once))
    };
    let (first, second) = pods();
    let question = ask("t", json!({})).send(&first).await;
    let resumed = ask("t", json!({})).resume(&question, json!({ "name": ann() }));
    assert!(resumed.send(&first).await.text().contains("Ann"));
    for pod in [&first, &second] {
        resumed.send(pod).await.assert_refused(400, -32602);
    }
    // Another call is another matter.
    let question = ask("t", json!({})).send(&second).await;
    assert!(ask("t", json!({})).resume(&question, json!({ "name": ann() })).send(&first).await.text().contains("Ann"));
}

#[tokio::test]
async fn a_store_that_cannot_tell_is_a_busy_server_not_a_second_use() {
    let server = base(&World::default()).tool(Tool::new("t", one).single_use()).once(InMemory::new(0)).build();
    let server = server.expect("it builds");
    let question = ask("t", json!({})).send(&server).await;
    let answer = ask("t", json!({})).resume(&question, json!({ "name": ann() })).send(&server).await;
    answer.assert_refused(503, -32603);
    assert_eq!(answer.header("retry-after"), Some("1"));
}

#[tokio::test]
async fn a_state_that_is_too_long_to_travel_is_an_internal_error() {
    let (logs, _guard) = Logs::capture();
    let tool = async |cx: Cx| -> Result<String> {
        cx.step("much", async || Ok::<_, Error>("x".repeat(100_000))).await?;
        one(cx).await
    };
    let server = base(&World::default()).tool(Tool::new("t", tool)).build().expect("it builds");
    ask("t", json!({})).send(&server).await.assert_refused(500, -32603);
    assert!(logs.text().contains("does not fit into `requestState`"), "{}", logs.text());
}
