//! Tasks: what clients see of them, and what becomes of them when pods come and go.

mod clock;
mod fleet;
mod legacy;
mod lives;
mod mortal;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anypod_server::store::{Memory, Store};
use anypod_server::{AsTask, Cx, Error, Outside, Result, Server, ServerBuilder, State, Tasks, Tool, form};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::support::{Answer, Modern, World, alice, call, modern, ring};

const EXTENSION: &str = "io.modelcontextprotocol/tasks";

/// How often effects happened, on whichever pod.
type Count = State<Arc<AtomicU64>>;

#[derive(Deserialize, JsonSchema)]
struct Name {
    #[schemars(length(min = 2))]
    name: String,
}

/// What pods share.
struct Fleet {
    store: Arc<Memory>,
    world: World,
    effects: Arc<AtomicU64>,
}

/// A pod that works until it is dropped, as if it had been killed.
struct Pod {
    server: Server,
    _work: JoinSet<()>,
}

impl Fleet {
    fn new() -> Self {
        Self { store: Arc::new(Memory::default()), world: World::default(), effects: Arc::default() }
    }

    /// A pod that has the usual tools.
    fn pod(&self) -> Pod {
        self.pod_with(tools(), |tasks| tasks)
    }

    fn pod_with(&self, tools: Vec<Tool>, change: impl FnOnce(Tasks) -> Tasks) -> Pod {
        self.pod_on(Arc::clone(&self.store) as Arc<dyn Store>, tools, change)
    }

    /// A pod that has the store in a way of its own.
    fn pod_on(&self, store: Arc<dyn Store>, tools: Vec<Tool>, change: impl FnOnce(Tasks) -> Tasks) -> Pod {
        let server = self.builder(store, tools, change).build().expect("it builds");
        let (mut work, worker) = (JoinSet::new(), server.clone());
        work.spawn(async move { worker.work().await });
        Pod { server, _work: work }
    }

    fn builder(&self, store: Arc<dyn Store>, tools: Vec<Tool>, change: impl FnOnce(Tasks) -> Tasks) -> ServerBuilder {
        let tasks = change(Tasks::new(Arc::clone(&store)).lease(Duration::from_secs(9)));
        let outside = Outside::new(self.world.clone(), self.world.clone());
        let server = Server::new("tasks", "1.0.0").outside(outside).keys(ring()).store(store).extension(tasks);
        let server = server.state(Arc::clone(&self.effects));
        tools.into_iter().fold(server, |server, tool| server.tool(tool))
    }

    /// A pod that others reach over the network.
    async fn reachable(&self) -> Pod {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/mcp", listener.local_addr().expect("an address"));
        let store = Arc::clone(&self.store) as Arc<dyn Store>;
        let server = self.builder(store, tools(), |tasks| tasks).advertise(url).build().expect("it builds");
        let (mut work, serves) = (JoinSet::new(), server.clone());
        work.spawn(async move { serves.serve(listener, std::future::pending()).await.expect("it serves") });
        Pod { server, _work: work }
    }

    fn effects(&self) -> u64 {
        self.effects.load(Ordering::Relaxed)
    }
}

async fn effect(count: &AtomicU64) -> Result<u64> {
    Ok(count.fetch_add(1, Ordering::Relaxed))
}

/// A step, a while, another step.
async fn slow(State(count): Count, cx: Cx) -> Result<String> {
    cx.step("first", || effect(&count)).await?;
    cx.progress(1.0, Some(2.0), Some("halfway"));
    sleep(Duration::from_secs(5)).await;
    cx.step("second", || effect(&count)).await?;
    Ok("done".to_owned())
}

/// Two questions at once, between two steps.
async fn asks(State(count): Count, cx: Cx) -> Result<String> {
    cx.step("before", || effect(&count)).await?;
    let (one, two) =
        tokio::try_join!(cx.ask("one", form::<Name>("Who are you?")), cx.ask("two", form::<Name>("And you?")))?;
    cx.step("after", || effect(&count)).await?;
    let name = |reply: anypod_server::Reply<Name>| reply.into_accepted().map_or("nobody".to_owned(), |name| name.name);
    Ok(format!("{} and {}", name(one), name(two)))
}

/// A question before it becomes a task.
async fn later(State(count): Count, cx: Cx) -> Result<String> {
    let name = cx.ask("name", form::<Name>("Who are you?")).await?.into_accepted().map(|name| name.name);
    cx.become_task().await?;
    cx.step("greet", || effect(&count)).await?;
    Ok(format!("Hello, {}", name.unwrap_or_default()))
}

fn tools() -> Vec<Tool> {
    vec![
        Tool::new("slow", slow).task(AsTask::when_declared()),
        Tool::new("asks", asks).task(AsTask::when_declared()),
        Tool::new("later", later).task(AsTask::when_declared().from_within()),
        Tool::new("only", async || "done").task(AsTask::always()),
        Tool::new("never", async || "done").task(AsTask::never()),
        Tool::new("refuses", async || -> Result<String> { Err(Error::invalid_params("not like that")) })
            .task(AsTask::when_declared()),
        Tool::new("cannot", async || -> Result<String> { Err(Error::tool("no such luck")) })
            .task(AsTask::when_declared()),
        Tool::new("breaks", async |State(count): Count| -> Result<String> {
            let tried = effect(&count).await?;
            if tried < 2 { Err(Error::internal("the disk is full")) } else { Ok(format!("at the {tried}rd")) }
        })
        .task(AsTask::when_declared().retries(2)),
        Tool::new("panics", async || -> Result<String> { panic!("as it should") }).task(AsTask::when_declared()),
    ]
}

/// The same request of a client that has the extension.
fn declared(request: Modern) -> Modern {
    request.capable(json!({ "elicitation": { "form": {} }, "extensions": { EXTENSION: {} } }))
}

/// Calls a tool that becomes a task, and gives its id.
async fn begin(pod: &Pod, tool: &str) -> String {
    let created = declared(call(tool, json!({}))).send(&pod.server).await;
    assert_eq!(created.result()["resultType"], "task", "{}", created.response());
    id_of(&created)
}

fn id_of(created: &Answer) -> String {
    created.result()["taskId"].as_str().expect("an id").to_owned()
}

fn about(method: &str, id: &str) -> Modern {
    declared(modern(method, json!({ "taskId": id })))
}

async fn get(pod: &Pod, id: &str) -> Value {
    about("tasks/get", id).send(&pod.server).await.result().clone()
}

async fn update(pod: &Pod, id: &str, responses: Value) -> Answer {
    about("tasks/update", id).param("inputResponses", responses).send(&pod.server).await
}

/// Waits until the task has that status.
async fn until(pod: &Pod, id: &str, status: &str) -> Value {
    for _ in 0..3000 {
        let task = get(pod, id).await;
        if task["status"] == status {
            return task;
        }
        sleep(Duration::from_millis(20)).await;
    }
    panic!("it does not become {status}: {}", get(pod, id).await);
}

fn named(name: &str) -> Value {
    json!({ "action": "accept", "content": { "name": name } })
}

#[tokio::test(start_paused = true)]
async fn a_call_becomes_a_task_whose_result_any_pod_has() {
    let fleet = Fleet::new();
    let (one, other) = (fleet.pod(), fleet.pod());
    let created = declared(call("slow", json!({}))).send(&one.server).await;
    let result = created.result();
    assert_eq!((&result["status"], &result["pollIntervalMs"]), (&json!("working"), &json!(1000)));
    assert_eq!(result["ttlMs"], 3_600_000);
    assert_eq!(id_of(&created).len(), 32);
    for member in ["task", "result", "error", "inputRequests", "requestState"] {
        assert!(result.get(member).is_none(), "{member}");
    }
    let id = id_of(&created);
    assert_eq!(get(&other, &id).await["status"], "working");
    let halfway = async {
        loop {
            let task = get(&other, &id).await;
            if let Some(message) = task.get("statusMessage") {
                return message.clone();
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    assert_eq!(halfway.await, "halfway (1 of 2)");
    let task = until(&other, &id, "completed").await;
    assert_eq!(task["result"]["content"][0]["text"], "done");
    assert!(task.get("statusMessage").is_none(), "{task}");
    assert_eq!(fleet.effects(), 2);
}

#[tokio::test(start_paused = true)]
async fn who_has_not_declared_the_extension_gets_no_task() {
    let fleet = Fleet::new();
    let pod = fleet.pod();
    assert_eq!(call("slow", json!({})).send(&pod.server).await.text(), "done");
    let refused = call("only", json!({})).send(&pod.server).await;
    refused.assert_refused(400, -32021);
    assert_eq!(refused.data()["requiredCapabilities"]["extensions"], json!({ EXTENSION: {} }));
    assert_eq!(declared(call("never", json!({}))).send(&pod.server).await.text(), "done");
    let id = begin(&pod, "only").await;
    for method in ["tasks/get", "tasks/update", "tasks/cancel"] {
        let undeclared = modern(method, json!({ "taskId": id, "inputResponses": {} }));
        undeclared.send(&pod.server).await.assert_refused(400, -32021);
    }
    let listen = modern("subscriptions/listen", json!({ "notifications": { "taskIds": [id] } }));
    listen.send(&pod.server).await.assert_refused(400, -32021);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_there_and_what_is_someone_elses_look_the_same() {
    let fleet = Fleet::new();
    let pod = fleet.pod();
    let created = declared(call("slow", json!({}))).principal(alice()).send(&pod.server).await;
    let id = id_of(&created);
    let mut texts = Vec::new();
    for id in [id.as_str(), "00000000000000000000000000000000", "x"] {
        for method in ["tasks/get", "tasks/cancel", "tasks/update"] {
            let answer = about(method, id).param("inputResponses", json!({})).send(&pod.server).await;
            answer.assert_refused(200, -32602);
            texts.push(answer.error().clone());
        }
    }
    assert!(texts.iter().all(|text| *text == texts[0]), "{texts:?}");
    assert_eq!(about("tasks/get", &id).principal(alice()).send(&pod.server).await.result()["status"], "working");
    for unknown in ["tasks/result", "tasks/list"] {
        declared(modern(unknown, json!({}))).send(&pod.server).await.assert_refused(404, -32601);
    }
}

#[tokio::test(start_paused = true)]
async fn the_name_header_says_which_task() {
    let fleet = Fleet::new();
    let pod = fleet.pod();
    let id = begin(&pod, "slow").await;
    about("tasks/get", &id).header("mcp-name", "x").send(&pod.server).await.assert_refused(400, -32020);
    about("tasks/get", &id).without("mcp-name").send(&pod.server).await.assert_refused(400, -32020);
    let nameless = declared(modern("tasks/get", json!({}))).header("mcp-name", &id);
    nameless.send(&pod.server).await.assert_refused(400, -32602);
}

#[tokio::test(start_paused = true)]
async fn a_task_asks_and_goes_on_once_all_is_answered() {
    let fleet = Fleet::new();
    let (one, other) = (fleet.pod(), fleet.pod());
    let id = begin(&one, "asks").await;
    let task = until(&other, &id, "input_required").await;
    assert_eq!(task["inputRequests"].as_object().expect("questions").keys().collect::<Vec<_>>(), ["one", "two"]);
    assert_eq!(task["inputRequests"]["one"]["method"], "elicitation/create");
    let invalid = update(&other, &id, json!({ "one": named("A") })).await;
    invalid.assert_refused(400, -32602);
    assert_eq!(invalid.data()["field"], "params.inputResponses.one", "{}", invalid.response());
    let partial = update(&other, &id, json!({ "one": named("Ann"), "zero": named("Nobody") })).await;
    let members: Vec<_> = partial.result().as_object().expect("an object").keys().collect();
    assert_eq!(members, ["_meta", "resultType"]);
    let task = get(&one, &id).await;
    assert_eq!(task["inputRequests"].as_object().expect("questions").keys().collect::<Vec<_>>(), ["two"]);
    update(&one, &id, json!({ "one": named("Bob"), "two": named("Cleo") })).await.result();
    let task = until(&other, &id, "completed").await;
    assert_eq!(task["result"]["content"][0]["text"], "Ann and Cleo");
    assert_eq!(fleet.effects(), 2);
    update(&one, &id, json!({ "one": named("Dan") })).await.result();
}

#[tokio::test(start_paused = true)]
async fn questions_before_a_task_are_asked_in_rounds() {
    let fleet = Fleet::new();
    let (one, other) = (fleet.pod(), fleet.pod());
    let round = declared(call("later", json!({}))).send(&one.server).await;
    assert_eq!(round.result()["resultType"], "input_required");
    assert!(round.result().get("taskId").is_none());
    let again = declared(call("later", json!({}))).resume(&round, json!({ "name": named("Alice") }));
    let created = again.send(&other.server).await;
    assert_eq!(created.result()["resultType"], "task", "{}", created.response());
    let task = until(&one, &id_of(&created), "completed").await;
    assert_eq!(task["result"]["content"][0]["text"], "Hello, Alice");
    assert_eq!(fleet.effects(), 1);
    // Without the extension, the same handler answers in the end.
    let capable = json!({ "elicitation": { "form": {} } });
    let round = call("later", json!({})).capable(capable.clone()).send(&one.server).await;
    let again = call("later", json!({})).capable(capable).resume(&round, json!({ "name": named("Bob") }));
    assert_eq!(again.send(&other.server).await.text(), "Hello, Bob");
}

#[tokio::test(start_paused = true)]
async fn errors_end_a_task_as_they_would_end_the_request() {
    let fleet = Fleet::new();
    let pod = fleet.pod();
    let refused = until(&pod, &begin(&pod, "refuses").await, "failed").await;
    assert_eq!(refused["error"], json!({ "code": -32602, "message": "not like that" }));
    assert!(refused.get("result").is_none());
    let failed = until(&pod, &begin(&pod, "cannot").await, "completed").await;
    assert_eq!(
        (&failed["result"]["isError"], &failed["result"]["content"][0]["text"]),
        (&json!(true), &json!("no such luck"))
    );
    let panicked = until(&pod, &begin(&pod, "panics").await, "failed").await;
    assert_eq!(panicked["error"]["code"], -32603);
    assert_eq!(fleet.effects(), 0);
    // What may be better another time is run again.
    let retried = until(&pod, &begin(&pod, "breaks").await, "completed").await;
    assert_eq!(retried["result"]["content"][0]["text"], "at the 2rd");
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_task_ends_on_whichever_pod_it_runs() {
    let fleet = Fleet::new();
    let (one, other) = (fleet.pod(), fleet.pod());
    let id = begin(&one, "slow").await;
    while fleet.effects() == 0 {
        sleep(Duration::from_millis(10)).await;
    }
    about("tasks/cancel", &id).send(&other.server).await.result();
    assert_eq!(get(&one, &id).await["status"], "cancelled");
    sleep(Duration::from_secs(60)).await;
    assert_eq!((get(&one, &id).await["status"].clone(), fleet.effects()), (json!("cancelled"), 1));
    about("tasks/cancel", &id).send(&other.server).await.result();
    let parked = begin(&one, "asks").await;
    until(&one, &parked, "input_required").await;
    about("tasks/cancel", &parked).send(&other.server).await.result();
    assert_eq!(get(&one, &parked).await["status"], "cancelled");
}

#[tokio::test(start_paused = true)]
async fn listeners_on_any_pod_are_told_what_becomes_of_a_task() {
    let fleet = Fleet::new();
    let (one, other) = (fleet.pod(), fleet.pod());
    let id = begin(&one, "asks").await;
    let listen = declared(modern("subscriptions/listen", json!({ "notifications": { "taskIds": [id, "unknown"] } })));
    let mut stream = listen.open(&other.server).await;
    let acknowledged = stream.next().await.expect("the acknowledgement");
    assert_eq!(acknowledged["params"]["notifications"], json!({ "taskIds": [id] }));
    let mut statuses = Vec::new();
    while statuses.last() != Some(&json!("completed")) {
        let message = stream.next().await.expect("a notification");
        assert_eq!((&message["method"], &message["params"]["taskId"]), (&json!("notifications/tasks"), &json!(id)));
        let status = message["params"]["status"].clone();
        if status == "input_required" && statuses.last() != Some(&status) {
            update(&one, &id, json!({ "one": named("Ann"), "two": named("Bob") })).await.result();
        }
        if status == "completed" {
            assert_eq!(message["params"]["result"]["content"][0]["text"], "Ann and Bob");
        }
        statuses.push(status);
    }
    assert!(statuses.contains(&json!("input_required")), "{statuses:?}");
}
