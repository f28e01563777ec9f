//! `tasks/result`: what a task came to, and what it asks meanwhile.

use anypod_server::Limits;
use anypod_server::proto::sampling::CreateMessageRequestParams;
use anypod_server::url;
use http::StatusCode;

use super::*;

/// Has it bounds of its own.
fn limited(pod: &Pod, change: impl FnOnce(&mut Limits)) {
    let mut limits = Limits::default();
    change(&mut limits);
    pod.server.replace_limits(limits);
}

/// A session, and the id of a task that asks for two names, on two pods of which the first has begun it.
async fn asking(fleet: &Fleet) -> (Pod, Pod, Client, String) {
    let (one, other) = (fleet.pod(), fleet.pod());
    let client = connect(&one).await;
    let id = started(&client, &one, "asks").await;
    becomes(&client, &other, &id, "input_required").await;
    (one, other, client, id)
}

#[tokio::test(start_paused = true)]
async fn a_result_is_waited_for_on_any_pod_and_comes_at_once() {
    let fleet = Fleet::new();
    let (one, other) = (fleet.pod(), fleet.pod());
    sleep(Duration::from_secs(1)).await;
    let client = connect(&one).await;
    let id = started(&client, &one, "slow").await;
    let begun = tokio::time::Instant::now();
    let (here, there) =
        tokio::join!(ask(&client, &one, "tasks/result", &id), ask(&client, &other, "tasks/result", &id));
    assert_eq!(here["result"], there["result"]);
    assert_eq!(here["result"]["content"][0]["text"], "done");
    let waited = begun.elapsed();
    assert!((Duration::from_secs(5)..Duration::from_millis(5500)).contains(&waited), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_result_is_that_of_the_call_and_names_its_task() {
    #[derive(serde::Serialize, JsonSchema)]
    struct Count {
        count: u64,
    }
    let fleet = Fleet::new();
    let listed = async || {
        let blocks = vec![anypod_server::proto::content::ContentBlock::text("here")];
        let mut result = anypod_server::proto::tools::CallToolResult::new(blocks);
        result.structured_content = Some(json!([1, 2]));
        result.meta = Some(serde_json::from_value(json!({ "of": "the tool" })).expect("it is an object"));
        result
    };
    let offered = vec![
        Tool::new("counts", async || anypod_server::Json(Count { count: 7 })).task(AsTask::when_declared()),
        Tool::new("lists", listed).task(AsTask::when_declared()),
    ];
    let pod = fleet.pod_with(offered, |tasks| tasks);
    let client = connect(&pod).await;
    for tool in ["counts", "lists"] {
        let plain = client.call(&pod.server, tool).await.response().await["result"].clone();
        let id = started(&client, &pod, tool).await;
        let mut result = ask(&client, &pod, "tasks/result", &id).await["result"].clone();
        fits_legacy("CallToolResult", &result);
        let related = result["_meta"].as_object_mut().expect("it is there").remove(RELATED);
        assert_eq!(related, Some(json!({ "taskId": id })));
        if plain.get("_meta").is_none() {
            result.as_object_mut().expect("an object").remove("_meta");
        }
        assert_eq!(result, plain, "{tool}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_task_asks_is_asked_on_the_stream_of_who_waits() {
    let fleet = Fleet::new();
    let (one, other, client, id) = asking(&fleet).await;
    let mut reply = request(&client, &other, "tasks/result", &id).await;
    assert!(reply.streams());
    let asked = [question(&mut reply).await, question(&mut reply).await];
    for asked in &asked {
        fits_legacy("ElicitRequest", asked);
        assert_eq!(asked["params"]["_meta"], json!({ RELATED: { "taskId": id } }));
    }
    assert_eq!(asked[0]["params"]["message"], "Who are you?");
    // In the other order than they were asked.
    for (asked, name) in [(&asked[1], "Bob"), (&asked[0], "Ann")] {
        assert_eq!(client.answer(&other.server, asked, named(name)).await.status, StatusCode::ACCEPTED);
    }
    assert_eq!(reply.text().await, "Ann and Bob");
    assert_eq!(task(&client, &one, &id).await["status"], "completed");
    assert_eq!(fleet.effects(), 2);
}

#[tokio::test(start_paused = true)]
async fn who_waits_already_is_asked_when_the_task_asks() {
    let fleet = Fleet::new();
    let (one, other) = (fleet.pod(), fleet.pod());
    sleep(Duration::from_secs(1)).await;
    let mut offered = tools();
    offered.push(
        Tool::new("thinks", async |cx: Cx| -> Result<String> {
            cx.step("think", async || {
                sleep(Duration::from_secs(3)).await;
                Ok::<_, Error>(())
            })
            .await?;
            let name = cx.ask("name", form::<Name>("Who are you?")).await?;
            let second = cx.ask("again", form::<Name>("And then?")).await?;
            let names = [name, second].map(|name| name.into_accepted().map_or("nobody".to_owned(), |name| name.name));
            Ok(names.join(", "))
        })
        .task(AsTask::when_declared()),
    );
    drop(one);
    let one = fleet.pod_with(offered, |tasks| tasks);
    let client = connect(&one).await;
    let id = started(&client, &one, "thinks").await;
    let mut reply = request(&client, &other, "tasks/result", &id).await;
    for (message, name) in [("Who are you?", "Ann"), ("And then?", "Bob")] {
        let asked = question(&mut reply).await;
        assert_eq!(asked["params"]["message"], message);
        client.answer(&other.server, &asked, named(name)).await;
    }
    assert_eq!(reply.text().await, "Ann, Bob");
}

#[tokio::test(start_paused = true)]
#[expect(deprecated, reason = "deprecated features work until the specification removes them")]
async fn every_kind_of_question_is_asked_for_a_task() {
    let fleet = Fleet::new();
    let tool = Tool::new("everything", async |cx: Cx| -> Result<String> {
        let words: CreateMessageRequestParams = serde_json::from_value(json!({
            "messages": [{ "role": "user", "content": { "type": "text", "text": "2 + 2?" } }],
            "maxTokens": 10,
        }))?;
        let (model, roots, page) = tokio::try_join!(
            cx.ask("model", anypod_server::sample(words)),
            cx.ask("roots", anypod_server::roots()),
            cx.ask("page", url("Sign in", "https://id.example/sign-in")),
        )?;
        Ok(format!("{}, {} roots, {}", model.model, roots.len(), page.accepted()))
    });
    let pod = fleet.pod_with(vec![tool.task(AsTask::always())], |tasks| tasks);
    let client = connect(&pod).await;
    let id = started(&client, &pod, "everything").await;
    let mut reply = request(&client, &pod, "tasks/result", &id).await;
    for _ in 0..3 {
        let asked = question(&mut reply).await;
        assert_eq!(asked["params"]["_meta"][RELATED]["taskId"], id.as_str());
        let (definition, answer) = match asked["method"].as_str() {
            Some("sampling/createMessage") => (
                "CreateMessageRequest",
                json!({ "role": "assistant", "content": { "type": "text", "text": "4" }, "model": "m1" }),
            ),
            Some("roots/list") => ("ListRootsRequest", json!({ "roots": [{ "uri": "file:///a" }] })),
            Some(_) | None => ("ElicitRequest", json!({ "action": "accept" })),
        };
        fits_legacy(definition, &asked);
        client.answer(&pod.server, &asked, answer).await;
    }
    assert_eq!(reply.text().await, "m1, 1 roots, true");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_does_not_fit_leaves_the_question_open() {
    let fleet = Fleet::new();
    let (one, other, client, id) = asking(&fleet).await;
    for (answer, code, words) in [
        (json!({ "result": named("A") }), -32602, "the question `one` does not fit"),
        (json!({ "result": { "action": "maybe" } }), -32602, "the question `one` does not fit"),
        (json!({ "result": [] }), -32602, "the question `one` does not fit"),
        (json!({ "error": { "code": -1, "message": "no screen" } }), -32603, "refused the question `one`: no screen"),
    ] {
        let mut reply = request(&client, &other, "tasks/result", &id).await;
        let [first, second] = [question(&mut reply).await, question(&mut reply).await];
        let mut message = answer;
        message["jsonrpc"] = json!("2.0");
        message["id"] = first["id"].clone();
        assert_eq!(client.post(&other.server, message).await.status, StatusCode::ACCEPTED);
        let taken_back = reply.next().await.expect("a notification");
        assert_eq!(taken_back["params"]["requestId"], second["id"]);
        assert_error(&reply.response().await, code, words);
        assert_eq!(task(&client, &one, &id).await["status"], "input_required");
    }
    // What was answered stays answered.
    let mut reply = request(&client, &other, "tasks/result", &id).await;
    let [first, _] = [question(&mut reply).await, question(&mut reply).await];
    client.answer(&other.server, &first, json!({ "action": "decline" })).await;
    drop(reply);
    let mut reply = request(&client, &one, "tasks/result", &id).await;
    let asked = question(&mut reply).await;
    assert_eq!(asked["params"]["message"], "And you?");
    client.answer(&one.server, &asked, named("Bob")).await;
    assert_eq!(reply.text().await, "nobody and Bob");
}

#[tokio::test(start_paused = true)]
async fn the_first_answer_counts_and_the_other_question_is_taken_back() {
    let fleet = Fleet::new();
    let (one, other, client, id) = asking(&fleet).await;
    let mut here = request(&client, &one, "tasks/result", &id).await;
    let mut there = request(&client, &other, "tasks/result", &id).await;
    let of_here = [question(&mut here).await, question(&mut here).await];
    let of_there = [question(&mut there).await, question(&mut there).await];
    client.answer(&one.server, &of_here[0], named("Ann")).await;
    let taken_back = there.next().await.expect("a notification");
    fits_legacy("CancelledNotification", &taken_back);
    assert_eq!(taken_back["method"], "notifications/cancelled");
    assert_eq!(taken_back["params"]["requestId"], of_there[0]["id"]);
    assert_eq!(taken_back["params"]["_meta"][RELATED]["taskId"], id.as_str());
    assert_eq!(client.answer(&other.server, &of_there[0], named("Eve")).await.status, StatusCode::GONE);
    client.answer(&other.server, &of_there[1], named("Bob")).await;
    assert_eq!(here.text().await, "Ann and Bob");
    assert_eq!(there.text().await, "Ann and Bob");
}

#[tokio::test(start_paused = true)]
async fn what_others_answer_or_cancel_ends_the_wait() {
    let fleet = Fleet::new();
    let (one, other, client, id) = asking(&fleet).await;
    let mut reply = request(&client, &other, "tasks/result", &id).await;
    let asked = [question(&mut reply).await, question(&mut reply).await];
    update_both(&one, &id).await;
    let mut taken_back = Vec::new();
    let result = loop {
        let message = reply.next().await.expect("a message");
        match message.get("method") {
            Some(_) => taken_back.push(message["params"]["requestId"].clone()),
            None => break message,
        }
    };
    assert_eq!(taken_back, [asked[0]["id"].clone(), asked[1]["id"].clone()]);
    assert_eq!(result["result"]["content"][0]["text"], "Ann and Bob");

    let id = started(&client, &one, "asks").await;
    becomes(&client, &other, &id, "input_required").await;
    let mut reply = request(&client, &other, "tasks/result", &id).await;
    question(&mut reply).await;
    ask(&client, &one, "tasks/cancel", &id).await;
    assert_error(&reply.response().await, -32603, "was cancelled");
}

#[tokio::test(start_paused = true)]
async fn a_task_ends_with_the_error_that_its_call_would_have_ended_with() {
    let fleet = Fleet::new();
    let missing = || {
        Tool::new("missing", async || -> Result<String> { Err(Error::unknown_resource("note://a")) })
            .task(AsTask::when_declared())
    };
    let coded = || {
        Tool::new("coded", async || -> Result<String> {
            Err(Error::protocol(-7, "seven").with_data(json!({ "of": 7 })))
        })
        .task(AsTask::when_declared())
    };
    let mut offered = tools();
    offered.extend([missing(), coded()]);
    let pod = fleet.pod_with(offered, |tasks| tasks);
    let mut silent = Client::new("2025-11-25");
    silent.initialize(&pod.server, json!({})).await;
    for (tool, code) in [("refuses", -32602), ("panics", -32603), ("missing", -32002), ("coded", -7), ("asks", -32021)]
    {
        let plain = silent.call(&pod.server, tool).await.response().await;
        assert_eq!(plain["error"]["code"], code, "{plain}");
        let id = started(&silent, &pod, tool).await;
        let response = ask(&silent, &pod, "tasks/result", &id).await;
        assert_eq!(response["error"], plain["error"], "{tool}");
        becomes(&silent, &pod, &id, "failed").await;
    }
    let id = started(&silent, &pod, "cannot").await;
    let response = ask(&silent, &pod, "tasks/result", &id).await;
    fits_legacy("CallToolResult", &response["result"]);
    assert_eq!(
        (&response["result"]["isError"], &response["result"]["content"][0]["text"]),
        (&json!(true), &json!("no such luck"))
    );
}

#[tokio::test(start_paused = true)]
async fn a_client_that_cannot_answer_is_told_so_and_another_can() {
    let fleet = Fleet::new();
    let (one, other, client, id) = asking(&fleet).await;
    let mut silent = Client::new("2025-11-25");
    silent.initialize(&other.server, json!({})).await;
    assert_error(&ask(&silent, &other, "tasks/result", &id).await, -32021, "did not declare");
    let plain = Client { accept: "application/json", ..client.clone() };
    assert_error(&ask(&plain, &other, "tasks/result", &id).await, -32603, "does not accept event streams");
    let mut reply = request(&client, &one, "tasks/result", &id).await;
    for name in ["Ann", "Bob"] {
        let asked = question(&mut reply).await;
        client.answer(&one.server, &asked, named(name)).await;
    }
    assert_eq!(reply.text().await, "Ann and Bob");
    let told = ask(&plain, &other, "tasks/result", &id).await;
    assert_eq!(told["result"]["content"][0]["text"], "Ann and Bob");
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_too_long_may_ask_again() {
    let fleet = Fleet::new();
    let pod = fleet.pod();
    limited(&pod, |limits| limits.request_deadline = Duration::from_secs(2));
    let client = connect(&pod).await;
    let id = started(&client, &pod, "slow").await;
    assert_error(&ask(&client, &pod, "tasks/result", &id).await, -32603, "ask for its result again");
    assert_eq!(task(&client, &pod, &id).await["status"], "working");
    assert_error(&ask(&client, &pod, "tasks/result", &id).await, -32603, "not ended within 2 s");
    assert_eq!(ask(&client, &pod, "tasks/result", &id).await["result"]["content"][0]["text"], "done");
}

#[tokio::test(start_paused = true)]
async fn the_time_of_a_person_is_not_that_of_the_request() {
    let fleet = Fleet::new();
    let (_one, other, client, id) = asking(&fleet).await;
    limited(&other, |limits| limits.request_deadline = Duration::from_secs(2));
    let mut reply = request(&client, &other, "tasks/result", &id).await;
    for name in ["Ann", "Bob"] {
        let asked = question(&mut reply).await;
        sleep(Duration::from_secs(200)).await;
        client.answer(&other.server, &asked, named(name)).await;
    }
    assert_eq!(reply.text().await, "Ann and Bob");
}

#[tokio::test(start_paused = true)]
async fn a_question_that_nobody_answers_ends_the_request_and_not_the_task() {
    let fleet = Fleet::new();
    let (one, other, client, id) = asking(&fleet).await;
    let mut reply = request(&client, &other, "tasks/result", &id).await;
    let asked = [question(&mut reply).await, question(&mut reply).await];
    assert_error(&reply.response().await, -32603, "600 s are over");
    assert_eq!(client.answer(&other.server, &asked[0], named("Ann")).await.status, StatusCode::GONE);
    assert_eq!(task(&client, &one, &id).await["status"], "input_required");
}

#[tokio::test(start_paused = true)]
async fn who_waits_takes_no_place_from_those_who_work() {
    let fleet = Fleet::new();
    let pod = fleet.pod();
    limited(&pod, |limits| (limits.concurrent_requests, limits.open_streams) = (1, 2));
    let client = connect(&pod).await;
    let ids = [started(&client, &pod, "asks").await, started(&client, &pod, "slow").await];
    becomes(&client, &pod, &ids[0], "input_required").await;
    let mut asks = request(&client, &pod, "tasks/result", &ids[0]).await;
    question(&mut asks).await;
    let waits = tokio::spawn({
        let (client, server, id) = (client.clone(), pod.server.clone(), ids[1].clone());
        async move { client.request(&server, 2, "tasks/result", json!({ "taskId": id })).await.text().await }
    });
    sleep(Duration::from_secs(1)).await;
    assert_eq!(task(&client, &pod, &ids[1]).await["status"], "working");
    // Those who wait have places of their own, and there are two.
    let full = request(&client, &pod, "tasks/result", &ids[0]).await;
    assert_eq!((full.status, full.streams()), (StatusCode::SERVICE_UNAVAILABLE, false));
    assert_eq!(waits.await.expect("it does not panic"), "done");
    drop(asks);
    sleep(Duration::from_secs(1)).await;
    let mut reply = request(&client, &pod, "tasks/result", &ids[0]).await;
    question(&mut reply).await;
}

#[tokio::test(start_paused = true)]
async fn who_goes_away_from_a_result_has_lost_nothing() {
    let fleet = Fleet::new();
    let (one, other, client, id) = asking(&fleet).await;
    limited(&other, |limits| limits.open_streams = 1);
    for _ in 0..3 {
        let mut reply = request(&client, &other, "tasks/result", &id).await;
        question(&mut reply).await;
        drop(reply);
        // The place is free again.
        sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(task(&client, &one, &id).await["status"], "input_required");
    update_both(&one, &id).await;
    assert_eq!(ask(&client, &other, "tasks/result", &id).await["result"]["content"][0]["text"], "Ann and Bob");
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_leaves_sends_those_who_wait_elsewhere() {
    let fleet = Fleet::new();
    let (one, leaves) = (fleet.pod(), fleet.pod());
    let client = connect(&one).await;
    let id = started(&client, &one, "slow").await;
    let waiting = tokio::spawn({
        let (client, server, id) = (client.clone(), leaves.server.clone(), id.clone());
        async move { client.request(&server, 2, "tasks/result", json!({ "taskId": id })).await.response().await }
    });
    sleep(Duration::from_secs(1)).await;
    let begun = tokio::time::Instant::now();
    leaves.server.drain().await;
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_error(&waiting.await.expect("it does not panic"), -32603, "shuts down");
    assert_eq!(ask(&client, &one, "tasks/result", &id).await["result"]["content"][0]["text"], "done");
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_hears_of_nothing_looks_itself() {
    let fleet = Fleet::new();
    let works = fleet.pod();
    let mut deaf = fleet.pod();
    deaf._work.shutdown().await;
    let client = connect(&works).await;
    let id = started(&client, &works, "slow").await;
    let begun = tokio::time::Instant::now();
    assert_eq!(ask(&client, &deaf, "tasks/result", &id).await["result"]["content"][0]["text"], "done");
    assert!(begun.elapsed() <= Duration::from_secs(11), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn another_pod_takes_up_what_a_session_has_begun() {
    let fleet = Fleet::new();
    let (dies, other) = (fleet.pod(), fleet.pod());
    let client = connect(&dies).await;
    let id = started(&client, &dies, "slow").await;
    while fleet.effects() == 0 {
        sleep(Duration::from_millis(10)).await;
    }
    drop(dies);
    assert_eq!(ask(&client, &other, "tasks/result", &id).await["result"]["content"][0]["text"], "done");
    assert_eq!(fleet.effects(), 2);
}
