//! Extensions that are written against the public parts of the crate alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anypod_server::proto::jsonrpc::{JsonObject, ResultType};
use anypod_server::proto::tools::CallToolResult;
use anypod_server::{
    BoxFuture, Cx, Error, Event, Extension, Intercept, Json, Listener, MethodResult, Params, Result, Server,
    Subscribed, Told, Tool, ToolCall, Topic, Topics, Verdict,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::support::{call, modern};

const ID: &str = "com.example/clock";

#[derive(Serialize)]
struct Offers {
    zones: [&'static str; 1],
}

/// What a client may say of itself.
#[derive(Debug, Default, Deserialize)]
struct Wants {
    #[serde(default)]
    brief: bool,
}

#[derive(Deserialize)]
struct Now {
    zone: String,
}

#[derive(Serialize, JsonSchema)]
struct Time {
    text: String,
}

async fn now(Params(Now { zone }): Params<Now>, cx: Cx) -> Result<Json<Time>> {
    let brief = cx.extension::<Wants>(ID)?.unwrap_or_default().brief;
    if zone != "UTC" {
        return Err(Error::invalid_params(format_args!("no zone {zone}")));
    }
    Ok(Json(Time { text: if brief { "12" } else { "noon" }.to_owned() }))
}

/// Tools that are marked so answer with a result of the extension's own, for those who have it.
#[derive(Clone)]
struct Postponed;

struct Before;

impl Intercept for Before {
    fn before<'a>(&'a self, call: &'a ToolCall) -> BoxFuture<'a, Result<Verdict>> {
        Box::pin(async move {
            let declared = call.cx().extension::<Wants>(ID)?.is_some();
            match (call.mark::<Postponed>(), declared) {
                (Some(_), true) => {
                    let members = JsonObject::from_iter([("until".to_owned(), json!(call.name()))]);
                    Ok(Verdict::Answer(MethodResult::new(ResultType::Other("postponed".to_owned()), members)))
                }
                (Some(_), false) => Err(Error::missing_extension(ID)),
                (None, _) => Ok(Verdict::GoOn),
            }
        })
    }

    fn after(&self, _: &ToolCall, result: &mut CallToolResult) {
        result.extra.insert("clock".to_owned(), json!("seen"));
    }
}

struct Hours;

impl Topics for Hours {
    fn subscribe<'a>(&'a self, listener: &'a Listener, filter: &'a JsonObject) -> BoxFuture<'a, Result<Subscribed>> {
        Box::pin(async move {
            let declared = listener.extension::<Wants>(ID)?.is_some();
            match filter.get("hours").and_then(Value::as_bool) {
                Some(true) if declared => Ok(Subscribed {
                    honoured: JsonObject::from_iter([("hours".to_owned(), json!(true))]),
                    topics: vec!["hour".to_owned()],
                }),
                Some(_) | None => Ok(Subscribed::default()),
            }
        })
    }

    fn tell<'a>(&'a self, _: &'a Listener, topic: &'a str) -> BoxFuture<'a, Result<Option<Told>>> {
        let params = JsonObject::from_iter([("topic".to_owned(), json!(topic))]);
        Box::pin(async move { Ok(Some(Told { method: "notifications/test/hour".to_owned(), params })) })
    }
}

fn clock() -> Extension {
    Extension::new(ID)
        .settings(Offers { zones: ["UTC"] })
        .named_method("test/now", "zone", now)
        .method("test/reset", async || {})
        .intercept(Before)
        .topics(Hours)
}

fn server() -> Server {
    let server = Server::new("clocks", "1.0.0").extension(clock());
    let server = server.tool(Tool::new("plain", async || "done"));
    server.tool(Tool::new("later", async || "done").needs_extension(ID).mark(Postponed)).build().expect("it builds")
}

fn declared(settings: Value) -> Value {
    json!({ "extensions": { ID: settings } })
}

#[tokio::test]
async fn it_is_declared_with_its_settings() {
    let discovered = modern("server/discover", json!({})).send(&server()).await;
    assert_eq!(discovered.result()["capabilities"]["extensions"], json!({ ID: { "zones": ["UTC"] } }));
}

#[tokio::test]
async fn its_methods_answer_those_who_declare_it() {
    let server = server();
    let now = |zone: &str| modern("test/now", json!({ "zone": zone })).header("mcp-name", zone);
    let undeclared = now("UTC").send(&server).await;
    undeclared.assert_refused(400, -32021);
    assert_eq!(undeclared.data()["requiredCapabilities"]["extensions"], json!({ ID: {} }));
    let answer = now("UTC").capable(declared(json!({}))).send(&server).await;
    assert_eq!((&answer.result()["text"], &answer.result()["resultType"]), (&json!("noon"), &json!("complete")));
    assert_eq!(answer.result()["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "clocks");
    let brief = now("UTC").capable(declared(json!({ "brief": true }))).send(&server).await;
    assert_eq!(brief.result()["text"], "12");
    now("UTC").capable(declared(json!({ "brief": 7 }))).send(&server).await.assert_refused(200, -32602);
    now("CET").capable(declared(json!({}))).send(&server).await.assert_refused(200, -32602);
    now("UTC").header("mcp-name", "CET").capable(declared(json!({}))).send(&server).await.assert_refused(400, -32020);
    let reset = modern("test/reset", json!({})).capable(declared(json!({}))).send(&server).await;
    assert_eq!(reset.result()["resultType"], "complete");
    modern("test/other", json!({})).capable(declared(json!({}))).send(&server).await.assert_refused(404, -32601);
}

#[tokio::test]
async fn it_answers_calls_of_tools_and_adds_to_results() {
    let server = server();
    let plain = call("plain", json!({})).send(&server).await;
    assert_eq!((plain.text(), &plain.result()["clock"]), ("done", &json!("seen")));
    call("later", json!({})).send(&server).await.assert_refused(400, -32021);
}

#[tokio::test]
async fn it_tells_listeners_of_its_topics() {
    let server = server();
    let listen =
        modern("subscriptions/listen", json!({ "notifications": { "hours": true, "toolsListChanged": true } }));
    let mut stream = listen.clone().capable(declared(json!({}))).open(&server).await;
    let acknowledged = stream.next().await.expect("the acknowledgement");
    let honoured = json!({ "toolsListChanged": true, "hours": true });
    assert_eq!(acknowledged["params"]["notifications"], honoured);
    let told = async |stream: &mut crate::support::stream::Stream| {
        let message = stream.next().await.expect("a notification");
        assert_eq!(message["params"]["topic"], "hour");
        assert_eq!(message["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], 1);
    };
    // Once at the beginning, then whenever it changes.
    told(&mut stream).await;
    server.tell(ID, "hour");
    server.tell(ID, "another");
    told(&mut stream).await;
    let topic = Topic { extension: ID.to_owned(), topic: "hour".to_owned() };
    server.announce(Event::Topic(topic)).await;
    told(&mut stream).await;
    let mut undeclared = listen.open(&server).await;
    let acknowledged = undeclared.next().await.expect("the acknowledgement");
    assert_eq!(acknowledged["params"]["notifications"], json!({ "toolsListChanged": true }));
}

/// Has nothing to say at first, for a reason that passes or does not.
struct Late {
    asked: Arc<AtomicUsize>,
    passes: bool,
}

impl Topics for Late {
    fn subscribe<'a>(&'a self, listener: &'a Listener, filter: &'a JsonObject) -> BoxFuture<'a, Result<Subscribed>> {
        Hours.subscribe(listener, filter)
    }

    fn tell<'a>(&'a self, listener: &'a Listener, topic: &'a str) -> BoxFuture<'a, Result<Option<Told>>> {
        match (self.asked.fetch_add(1, Ordering::Relaxed), self.passes) {
            (0 | 1, true) => Box::pin(async { Err(Error::busy(Duration::from_secs(2))) }),
            (0, false) => Box::pin(async { Err(Error::internal("nobody knows")) }),
            (_, true | false) => Hours.tell(listener, topic),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_nothing_can_be_said_of_for_a_while_is_told_afterwards() {
    for (passes, asked_in_the_end) in [(true, 3), (false, 1)] {
        let asked = Arc::<AtomicUsize>::default();
        let late = Late { asked: Arc::clone(&asked), passes };
        let server = Server::new("clocks", "1.0.0").extension(Extension::new(ID).topics(late)).build().unwrap();
        let listen = modern("subscriptions/listen", json!({ "notifications": { "hours": true } }));
        let mut stream = listen.capable(declared(json!({}))).open(&server).await;
        stream.next().await.expect("the acknowledgement");
        let told = tokio::time::timeout(Duration::from_secs(60), stream.next()).await;
        assert_eq!(told.is_ok(), passes);
        assert_eq!(asked.load(Ordering::Relaxed), asked_in_the_end);
    }
}

#[test]
fn mistakes_are_found_while_building() {
    let problem = |server: anypod_server::ServerBuilder| server.build().expect_err("a mistake").to_string();
    let base = || Server::new("s", "1");
    assert!(problem(base().extension(Extension::new("clock"))).contains("reversed domain"));
    assert!(problem(base().extension(clock()).extension(clock())).contains("two have this name"));
    assert!(problem(base().extension(Extension::new(ID).settings(7))).contains("settings"));
    let taken = Extension::new(ID).method("tools/call", async || {});
    assert!(problem(base().extension(taken)).contains("the specification has a method of this name"));
    let misplaced = Tool::new("t", async |_: Params<Value>| "x");
    assert!(problem(base().tool(misplaced)).contains("`Params`"));
    let needs = Tool::new("t", async || "x").needs_extension(ID);
    assert!(problem(base().tool(needs)).contains(ID));
}
