//! The tasks of 2025-11-25, for legacy sessions: which calls become tasks, how they are, and whose they are.

mod results;

use anypod_server::Principal;

use super::*;
use crate::front::client::{Client, Reply, everything};
use crate::front::{assert_error, question};
use crate::support::schema::fits_legacy;

const RELATED: &str = "io.modelcontextprotocol/related-task";

/// What a session was told in the answer to `initialize`, and the session.
async fn session(pod: &Pod, version: &'static str, principal: Option<Principal>) -> (Client, Value) {
    let mut client = Client { principal, ..Client::new(version) };
    let opened = client.initialize(&pod.server, everything()).await;
    (client, opened)
}

async fn connect(pod: &Pod) -> Client {
    session(pod, "2025-11-25", None).await.0
}

fn bob() -> Principal {
    Principal::new("https://id.example", "bob")
}

/// Calls a tool with this member `task`.
async fn call_as(client: &Client, pod: &Pod, tool: &str, task: Value) -> Value {
    let params = json!({ "name": tool, "arguments": {}, "task": task });
    client.request(&pod.server, 1, "tools/call", params).await.response().await
}

/// Begins a task, and gives its id.
async fn started(client: &Client, pod: &Pod, tool: &str) -> String {
    let created = call_as(client, pod, tool, json!({})).await;
    let result = &created["result"];
    fits_legacy("CreateTaskResult", result);
    assert_eq!(result["task"]["status"], "working", "{created}");
    result["task"]["taskId"].as_str().expect("an id").to_owned()
}

async fn ask(client: &Client, pod: &Pod, method: &str, id: &str) -> Value {
    request(client, pod, method, id).await.response().await
}

async fn request(client: &Client, pod: &Pod, method: &str, id: &str) -> Reply {
    client.request(&pod.server, 2, method, json!({ "taskId": id })).await
}

async fn task(client: &Client, pod: &Pod, id: &str) -> Value {
    let got = ask(client, pod, "tasks/get", id).await;
    fits_legacy("GetTaskResult", &got["result"]);
    assert!(got["result"].get("_meta").is_none() && got["result"].get("resultType").is_none(), "{got}");
    got["result"].clone()
}

/// Waits until the task has that status.
async fn becomes(client: &Client, pod: &Pod, id: &str, status: &str) -> Value {
    for _ in 0..3000 {
        let task = task(client, pod, id).await;
        if task["status"] == status {
            return task;
        }
        sleep(Duration::from_millis(20)).await;
    }
    panic!("it does not become {status}: {}", task(client, pod, id).await);
}

#[tokio::test(start_paused = true)]
async fn a_session_is_told_of_tasks_and_who_is_known_of_lists() {
    let fleet = Fleet::new();
    let pod = fleet.pod();
    let (_, anonymous) = session(&pod, "2025-11-25", None).await;
    fits_legacy("InitializeResult", &anonymous);
    assert_eq!(anonymous["capabilities"]["tasks"], json!({ "cancel": {}, "requests": { "tools": { "call": {} } } }));
    let (client, known) = session(&pod, "2025-11-25", Some(alice())).await;
    let offered = json!({ "list": {}, "cancel": {}, "requests": { "tools": { "call": {} } } });
    assert_eq!(known["capabilities"]["tasks"], offered);
    let listed = client.request(&pod.server, 1, "tools/list", json!({})).await.json().await;
    fits_legacy("ListToolsResult", &listed["result"]);
    let tools = listed["result"]["tools"].as_array().expect("tools");
    let support = |name: &str| {
        let tool = tools.iter().find(|tool| tool["name"] == name).unwrap_or_else(|| panic!("no {name}"));
        tool["execution"]["taskSupport"].clone()
    };
    let told = ["slow", "later", "only", "never"].map(support);
    assert_eq!(told, ["optional", "optional", "required", "forbidden"].map(Value::from));
    assert_eq!(tools.len(), super::tools().len());
    let modern = modern("tools/list", json!({})).send(&pod.server).await;
    assert!(!modern.result().to_string().contains("execution"), "{}", modern.response());
}

#[tokio::test(start_paused = true)]
async fn older_sessions_have_no_tasks() {
    let fleet = Fleet::new();
    let pod = fleet.pod();
    for version in ["2025-06-18", "2025-03-26"] {
        let (client, opened) = session(&pod, version, Some(alice())).await;
        assert!(opened["capabilities"].get("tasks").is_none(), "{opened}");
        let listed = client.request(&pod.server, 1, "tools/list", json!({})).await.json().await;
        assert!(!listed.to_string().contains("taskSupport"), "{listed}");
        let called = call_as(&client, &pod, "never", json!({ "ttl": "nothing that counts" })).await;
        assert_eq!(called["result"]["content"][0]["text"], "done");
        for method in ["tasks/get", "tasks/result", "tasks/list", "tasks/cancel", "tasks/update"] {
            assert_error(&ask(&client, &pod, method, &"0".repeat(32)).await, -32601, method);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_sessions_and_modern_requests_call_alike_is_not_the_same() {
    let fleet = Fleet::new();
    let (one, other) = (fleet.pod(), fleet.pod());
    let client = connect(&one).await;
    let id = started(&client, &one, "asks").await;
    // The same task, by the words of either.
    let seen = until(&other, &id, "input_required").await;
    assert!(seen.get("ttlMs").is_some() && seen.get("inputRequests").is_some() && seen.get("ttl").is_none(), "{seen}");
    let seen = task(&client, &other, &id).await;
    assert!(seen.get("ttlMs").is_none() && seen.get("inputRequests").is_none() && seen.get("ttl").is_some(), "{seen}");
    let params = json!({ "taskId": id, "inputResponses": { "one": named("Ann"), "two": named("Bob") } });
    let update = client.request(&one.server, 3, "tasks/update", params).await.response().await;
    assert_error(&update, -32601, "tasks/update");
    update_both(&one, &id).await;
    assert_eq!(becomes(&client, &one, &id, "completed").await["taskId"], id.as_str());
    let begun = begin(&one, "slow").await;
    assert_eq!(ask(&client, &other, "tasks/result", &begun).await["result"]["content"][0]["text"], "done");
}

async fn update_both(pod: &Pod, id: &str) {
    update(pod, id, json!({ "one": named("Ann"), "two": named("Bob") })).await.result();
}

#[tokio::test(start_paused = true)]
async fn a_call_with_a_task_becomes_one_that_any_pod_knows() {
    let fleet = Fleet::new();
    let (one, other) = (fleet.pod(), fleet.pod());
    let client = connect(&one).await;
    let created = call_as(&client, &one, "slow", json!({ "ttl": 60_000, "pollInterval": 7 })).await;
    let result = &created["result"];
    fits_legacy("CreateTaskResult", result);
    let begun = &result["task"];
    assert_eq!(
        (&begun["status"], &begun["ttl"], &begun["pollInterval"]),
        (&json!("working"), &json!(60_000), &json!(1000))
    );
    assert_eq!(result["_meta"][RELATED]["taskId"], begun["taskId"]);
    for member in ["resultType", "content"] {
        assert!(result.get(member).is_none(), "{created}");
    }
    let id = begun["taskId"].as_str().expect("an id");
    assert_eq!(task(&client, &other, id).await["createdAt"], begun["createdAt"]);
    let response = ask(&client, &other, "tasks/result", id).await;
    fits_legacy("CallToolResult", &response["result"]);
    let related = json!({ RELATED: { "taskId": id } });
    assert_eq!(response["result"], json!({ "content": [{ "type": "text", "text": "done" }], "_meta": related }));
    assert_eq!(fleet.effects(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_task_is_there_no_longer_than_its_tool_allows() {
    let fleet = Fleet::new();
    let mut offered = tools();
    offered.push(Tool::new("brief", async || "done").task(AsTask::when_declared().ttl(Some(Duration::from_secs(90)))));
    offered.push(Tool::new("kept", async || "done").task(AsTask::when_declared().ttl(None)));
    let pod = fleet.pod_with(offered, |tasks| tasks.workers(0));
    let client = connect(&pod).await;
    for (tool, wanted, ttl) in [
        ("brief", json!({}), json!(90_000)),
        ("brief", json!({ "ttl": null }), json!(90_000)),
        ("brief", json!({ "ttl": 10_000 }), json!(10_000)),
        ("brief", json!({ "ttl": 1e300 }), json!(90_000)),
        ("slow", json!({ "ttl": 7_200_000 }), json!(3_600_000)),
        ("kept", json!({}), Value::Null),
        ("kept", json!({ "ttl": 0.5 }), json!(1)),
    ] {
        let created = call_as(&client, &pod, tool, wanted.clone()).await;
        assert_eq!(created["result"]["task"]["ttl"], ttl, "{tool} {wanted}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_author_of_a_tool_says_which_calls_become_tasks() {
    let fleet = Fleet::new();
    let mut offered = tools();
    offered.push(Tool::new("unmarked", async || "done"));
    let pod = fleet.pod_with(offered, |tasks| tasks);
    let client = connect(&pod).await;
    for tool in ["never", "unmarked"] {
        assert_error(&call_as(&client, &pod, tool, json!({})).await, -32601, "does not run as a task");
        assert_eq!(client.call(&pod.server, tool).await.text().await, "done");
    }
    assert_error(&client.call(&pod.server, "only").await.response().await, -32601, "runs as a task only");
    started(&client, &pod, "only").await;
    assert_eq!(client.call(&pod.server, "slow").await.text().await, "done", "it waits for the result");
}

#[tokio::test(start_paused = true)]
async fn what_is_wanted_of_a_task_is_checked() {
    #[derive(Deserialize, JsonSchema)]
    struct Size {
        #[expect(dead_code, reason = "that it is there is what counts")]
        size: u8,
    }
    let fleet = Fleet::new();
    let mut offered = tools();
    let sized = async |anypod_server::Args(_): anypod_server::Args<Size>| "done";
    offered.push(Tool::new("sized", sized).task(AsTask::when_declared()));
    let pod = fleet.pod_with(offered, |tasks| tasks);
    let client = connect(&pod).await;
    for malformed in [json!(null), json!(true), json!([]), json!({ "ttl": -1 }), json!({ "ttl": "1" })] {
        assert_error(&call_as(&client, &pod, "slow", malformed).await, -32602, "params.task");
    }
    let twice = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"slow","task":{},"task":{"ttl":1}}}"#;
    let reply = client.post_text(&pod.server, twice.to_owned()).await.response().await;
    assert_error(&reply, -32602, "params.task");
    // Who waits for a task cannot read a result of the tool.
    assert_error(&call_as(&client, &pod, "sized", json!({})).await, -32602, "invalid arguments");
    let plain = client.call(&pod.server, "sized").await.response().await;
    assert_eq!(plain["result"]["isError"], true, "{plain}");
    assert_eq!(fleet.effects(), 0, "nothing has begun");
}

#[tokio::test(start_paused = true)]
async fn a_tool_from_within_is_a_task_from_the_beginning() {
    let fleet = Fleet::new();
    let (one, other) = (fleet.pod(), fleet.pod());
    let client = connect(&one).await;
    let id = started(&client, &one, "later").await;
    becomes(&client, &other, &id, "input_required").await;
    let mut reply = request(&client, &other, "tasks/result", &id).await;
    let asked = question(&mut reply).await;
    assert_eq!(asked["params"]["_meta"][RELATED]["taskId"], id.as_str());
    client.answer(&other.server, &asked, named("Ada")).await;
    assert_eq!(reply.text().await, "Hello, Ada");
    // Without a task, the same handler asks on the stream of the call and answers in the end.
    let mut reply = client.call(&one.server, "later").await;
    let asked = question(&mut reply).await;
    assert!(asked["params"].get("_meta").is_none(), "{asked}");
    client.answer(&one.server, &asked, named("Bob")).await;
    assert_eq!(reply.text().await, "Hello, Bob");
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_fails_is_a_task_that_has_failed() {
    let fleet = Fleet::new();
    let mut offered = tools();
    let long = async || -> Result<String> { Err(Error::tool("é".repeat(1000))) };
    offered.push(Tool::new("complains", long).task(AsTask::when_declared()));
    let silent = async || anypod_server::proto::tools::CallToolResult { is_error: Some(true), ..empty() };
    offered.push(Tool::new("silent", silent).task(AsTask::when_declared()));
    let pod = fleet.pod_with(offered, |tasks| tasks);
    let client = connect(&pod).await;
    for (tool, message) in [
        ("cannot", "no such luck".to_owned()),
        ("complains", "é".repeat(400)),
        ("silent", "the tool failed and does not say why".to_owned()),
        ("refuses", "not like that".to_owned()),
    ] {
        let id = started(&client, &pod, tool).await;
        let failed = becomes(&client, &pod, &id, "failed").await;
        assert_eq!(failed["statusMessage"], message, "{tool}");
    }
    let modern = until(&pod, &begin(&pod, "cannot").await, "completed").await;
    assert_eq!((&modern["statusMessage"], &modern["result"]["isError"]), (&json!("no such luck"), &json!(true)));
}

fn empty() -> anypod_server::proto::tools::CallToolResult {
    anypod_server::proto::tools::CallToolResult::new(Vec::new())
}

#[tokio::test(start_paused = true)]
async fn a_task_is_cancelled_once_the_client_is_told_so() {
    let fleet = Fleet::new();
    let (one, other) = (fleet.pod(), fleet.pod());
    let client = connect(&one).await;
    for tool in ["slow", "asks"] {
        let id = started(&client, &one, tool).await;
        if tool == "asks" {
            becomes(&client, &one, &id, "input_required").await;
        }
        let cancelled = ask(&client, &other, "tasks/cancel", &id).await;
        fits_legacy("CancelTaskResult", &cancelled["result"]);
        let told = (&cancelled["result"]["status"], &cancelled["result"]["taskId"]);
        assert_eq!(told, (&json!("cancelled"), &json!(id)));
        assert_eq!(get(&one, &id).await["status"], "cancelled");
        assert_error(&ask(&client, &one, "tasks/cancel", &id).await, -32602, "`cancelled`");
        assert_error(&ask(&client, &one, "tasks/result", &id).await, -32603, "was cancelled");
    }
    for (tool, status) in [("only", "completed"), ("cannot", "failed"), ("refuses", "failed")] {
        let id = started(&client, &one, tool).await;
        becomes(&client, &one, &id, status).await;
        assert_error(&ask(&client, &other, "tasks/cancel", &id).await, -32602, &format!("`{status}`"));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_there_is_someone_elses_or_has_expired_looks_the_same() {
    let fleet = Fleet::new();
    let pod = fleet.pod();
    let (of_alice, _) = session(&pod, "2025-11-25", Some(alice())).await;
    let (of_bob, _) = session(&pod, "2025-11-25", Some(bob())).await;
    let nobodys = connect(&pod).await;
    let id = started(&of_alice, &pod, "slow").await;
    let created = call_as(&of_bob, &pod, "only", json!({ "ttl": 1 })).await;
    let expired = created["result"]["task"]["taskId"].as_str().expect("an id").to_owned();
    sleep(Duration::from_secs(900)).await;
    let mut texts = Vec::new();
    for (client, id) in [
        (&of_bob, id.as_str()),
        (&nobodys, &id),
        (&of_bob, &expired),
        (&of_bob, "00000000000000000000000000000000"),
        (&of_bob, "x"),
    ] {
        for method in ["tasks/get", "tasks/result", "tasks/cancel"] {
            let answer = ask(client, &pod, method, id).await;
            assert_error(&answer, -32602, "No such task");
            texts.push(answer["error"].clone());
        }
    }
    assert!(texts.iter().all(|text| *text == texts[0]), "{texts:?}");
    let nameless = of_alice.request(&pod.server, 1, "tasks/get", json!({})).await.response().await;
    assert_error(&nameless, -32602, "taskId");
    assert_eq!(task(&of_alice, &pod, &id).await["status"], "completed");
}

/// The ids on a page, and the cursor of the next.
async fn page(client: &Client, pod: &Pod, params: Value) -> (Vec<String>, Option<String>) {
    let listed = client.request(&pod.server, 1, "tasks/list", params).await.json().await;
    fits_legacy("ListTasksResult", &listed["result"]);
    let tasks = listed["result"]["tasks"].as_array().expect("tasks").iter();
    let ids = tasks.map(|task| task["taskId"].as_str().expect("an id").to_owned()).collect();
    (ids, listed["result"]["nextCursor"].as_str().map(str::to_owned))
}

#[tokio::test(start_paused = true)]
async fn callers_list_what_is_theirs_page_by_page_on_any_pod() {
    let fleet = Fleet::new();
    let (one, other) = (fleet.pod(), fleet.pod());
    let mut limits = anypod_server::Limits::default();
    limits.page_items = 2;
    one.server.replace_limits(limits.clone());
    other.server.replace_limits(limits);
    let (of_alice, _) = session(&one, "2025-11-25", Some(alice())).await;
    let (of_bob, _) = session(&one, "2025-11-25", Some(bob())).await;
    let mut mine = Vec::new();
    for tool in ["only", "cannot", "asks", "slow", "only"] {
        mine.push(started(&of_alice, &one, tool).await);
        started(&of_bob, &one, "only").await;
        sleep(Duration::from_secs(60)).await;
    }
    started(&connect(&one).await, &one, "only").await;
    mine.reverse();
    let (mut listed, mut params, mut pages) = (Vec::new(), json!({}), 0);
    loop {
        let (ids, next) = page(&of_alice, if pages % 2 == 0 { &other } else { &one }, params).await;
        listed.extend(ids);
        pages += 1;
        let Some(next) = next else { break };
        params = json!({ "cursor": next });
    }
    assert_eq!((listed, pages), (mine.clone(), 3));
    // As each of them says of itself.
    let whole = of_alice.request(&one.server, 1, "tasks/list", json!({})).await.json().await;
    let first = &whole["result"]["tasks"];
    assert_eq!(first[0], task(&of_alice, &one, &mine[0]).await);
    assert_eq!(first[1], task(&of_alice, &one, &mine[1]).await);
    let cursor = whole["result"]["nextCursor"].clone();
    let rest = of_alice.request(&one.server, 1, "tasks/list", json!({ "cursor": cursor })).await.json().await;
    assert_eq!(rest["result"]["tasks"][1]["status"], "failed", "its tool has failed: {rest}");
}

#[tokio::test(start_paused = true)]
async fn a_cursor_is_good_for_its_caller_and_its_list() {
    let fleet = Fleet::new();
    let pod = fleet.pod();
    let mut limits = anypod_server::Limits::default();
    limits.page_items = 1;
    pod.server.replace_limits(limits);
    let (of_alice, _) = session(&pod, "2025-11-25", Some(alice())).await;
    let (of_bob, _) = session(&pod, "2025-11-25", Some(bob())).await;
    for client in [&of_alice, &of_alice, &of_bob, &of_bob] {
        started(client, &pod, "only").await;
    }
    let (_, cursor) = page(&of_alice, &pod, json!({})).await;
    let cursor = cursor.expect("there is more");
    let tools = of_alice.request(&pod.server, 1, "tools/list", json!({})).await.json().await;
    let of_tools = tools["result"]["nextCursor"].as_str().expect("there is more").to_owned();
    let list = async |client: &Client, cursor: Value| {
        client.request(&pod.server, 1, "tasks/list", json!({ "cursor": cursor })).await.json().await
    };
    assert_error(&list(&of_bob, json!(cursor)).await, -32602, "cursor");
    assert_error(&list(&of_alice, json!(of_tools)).await, -32602, "cursor");
    assert_error(&list(&of_alice, json!("x")).await, -32602, "cursor");
    assert_error(&list(&of_alice, json!(7)).await, -32602, "params");
    let swapped = of_alice.request(&pod.server, 1, "tools/list", json!({ "cursor": cursor })).await.json().await;
    assert_error(&swapped, -32602, "cursor");
    assert!(list(&of_alice, json!(cursor)).await["result"]["tasks"].is_array());
    fleet.world.advance(86_401);
    assert_error(&list(&of_alice, json!(cursor)).await, -32602, "cursor");
    let nobodys = connect(&pod).await;
    let unlisted = nobodys.request(&pod.server, 1, "tasks/list", json!({})).await.json().await;
    assert_error(&unlisted, -32601, "authenticated");
}
