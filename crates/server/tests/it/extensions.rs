//! Extensions that are written against the public parts of the crate alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anypod_server::proto::elicitation::{ElicitRequestFormParams, RequestedSchema};
use anypod_server::proto::jsonrpc::{JsonObject, ResultType};
use anypod_server::proto::tools::CallToolResult;
use anypod_server::proto::version::Version;
use anypod_server::{
    Args, BoxFuture, Cx, Error, Event, Extension, Intercept, Json, LegacyPart, Limits, Listener, MethodResult, Params,
    Result, Server, Subscribed, Told, Tool, ToolCall, Topic, Topics, Verdict,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::front::client::Client;
use crate::front::{accept, assert_error, question};
use crate::support::{alice, call, modern};

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
    fn fields(&self) -> &[&str] {
        &["hours"]
    }

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
    fn fields(&self) -> &[&str] {
        Hours.fields()
    }

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
    // Both extensions and the field are named.
    let other = || Extension::new("com.example/other").topics(Claims(&["minutes", "hours"]));
    assert_eq!(
        problem(base().extension(clock()).extension(other())),
        "extension `com.example/other`: its topics claim `hours` of the filter of `subscriptions/listen`, which the extension \
         `com.example/clock` has already"
    );
    assert!(base().extension(other()).build().is_ok());
    for field in ["toolsListChanged", "promptsListChanged", "resourcesListChanged", "resourceSubscriptions"] {
        let claims = Extension::new(ID).topics(Claims(Box::leak(Box::new([field]))));
        let found = problem(base().extension(claims));
        assert!(found.contains(field) && found.ends_with("which the specification has already"), "{found}");
    }
}

/// Honours its first field, and one that it never claimed.
struct Claims(&'static [&'static str]);

impl Topics for Claims {
    fn fields(&self) -> &[&str] {
        self.0
    }

    fn subscribe<'a>(&'a self, _: &'a Listener, _: &'a JsonObject) -> BoxFuture<'a, Result<Subscribed>> {
        let honoured = [self.0[0], "hours"].map(|field| (field.to_owned(), json!(true)));
        let subscribed = Subscribed { honoured: JsonObject::from_iter(honoured), topics: Vec::new() };
        Box::pin(async { Ok(subscribed) })
    }

    fn tell<'a>(&'a self, _: &'a Listener, _: &'a str) -> BoxFuture<'a, Result<Option<Told>>> {
        Box::pin(async { Ok(None) })
    }
}

#[tokio::test]
async fn a_field_is_honoured_by_the_extension_that_claims_it_only() {
    let claims = Extension::new("com.example/other").topics(Claims(&["minutes"]));
    let server = Server::new("clocks", "1.0.0").extension(clock()).extension(claims).build().expect("it builds");
    let filter = json!({ "notifications": { "hours": true, "seconds": true } });
    let mut listening = modern("subscriptions/listen", filter).open(&server).await;
    let acknowledged = listening.next().await.expect("the acknowledgement");
    // What nobody claims is not honoured, either.
    assert_eq!(acknowledged["params"]["notifications"], json!({ "minutes": true }));
}

/// What a handler sends on the stream of its request.
async fn ring_bell(cx: Cx) -> Result<&'static str> {
    let told =
        |method: &str| Told { method: method.to_owned(), params: JsonObject::from_iter([("bell".into(), json!(1))]) };
    for _ in 0..3 {
        cx.tell(ID, told("notifications/test/bell"))?;
    }
    for (extension, method) in [
        (ID, "notifications/progress"),
        (ID, "notifications/tools/list_changed"),
        (ID, "notifications/tasks"),
        (ID, "tools/call"),
        (ID, "elicitation/create"),
        ("com.example/missing", "notifications/test/bell"),
    ] {
        assert!(cx.tell(extension, told(method)).is_err(), "{method}");
    }
    Ok("done")
}

#[tokio::test]
async fn it_says_something_about_a_request_before_the_answer() {
    let clock = clock().method("test/ring", async |cx: Cx| ring_bell(cx).await.map(|_| ()));
    let server = Server::new("clocks", "1.0.0").extension(clock).tool(Tool::new("ring", ring_bell));
    let server = server.build().expect("it builds");
    let bell = json!({ "jsonrpc": "2.0", "method": "notifications/test/bell", "params": { "bell": 1 } });
    for request in [call("ring", json!({})), modern("test/ring", json!({}))] {
        let answer = request.capable(declared(json!({}))).send(&server).await;
        answer.result();
        assert_eq!(answer.notifications, [bell.clone(), bell.clone(), bell.clone()]);
    }
    // Who has not declared the extension cannot read what it says.
    let answer = call("ring", json!({})).send(&server).await;
    assert_eq!((answer.text(), answer.notifications.len()), ("done", 0));
    let mut limits = (*server.limits()).clone();
    limits.outbox_messages = 2;
    server.replace_limits(limits);
    let answer = call("ring", json!({})).capable(declared(json!({}))).send(&server).await;
    assert_eq!((answer.text(), answer.notifications.len()), ("done", 2));
}

/// What sessions of 2025-06-18 have of it.
fn sessions() -> LegacyPart {
    LegacyPart::of([Version::V2025_06_18])
        .capability("clock", |principal| Some(json!({ "caller": principal.map(|who| who.id().sub.as_str()) })))
        .capability("hidden", |_| None)
        .tool_members(|tool| match tool.mark::<Postponed>() {
            Some(_) => JsonObject::from_iter([("clock".to_owned(), json!("late")), ("name".to_owned(), json!("x"))]),
            None => JsonObject::new(),
        })
        .method("test/now", async |cx: Cx| Json(Time { text: format!("some time in {}", cx.revision()) }))
        .method("test/ask", async |cx: Cx| -> Result<Json<Time>> {
            let form = ElicitRequestFormParams::new("Which hour?", RequestedSchema::new());
            let meta = JsonObject::from_iter([("of".to_owned(), json!("clock"))]);
            let answer = cx.ask_on_stream("hour", form.into(), meta).await?;
            Ok(Json(Time { text: answer["action"].to_string() }))
        })
        .method("test/wait", async |cx: Cx| -> Json<Time> {
            cx.idle(cx.gone()).await;
            Json(Time { text: "nobody reads this".to_owned() })
        })
}

fn with_sessions() -> Server {
    let server = Server::new("clocks", "1.0.0").extension(clock().legacy(sessions()).intercept(Strict));
    let numbered = async |Args(_): Args<Numbered>| "done";
    let server = server.tool(Tool::new("numbered", numbered));
    server.tool(Tool::new("later", async || "done").needs_extension(ID).mark(Postponed)).build().expect("it builds")
}

#[derive(Deserialize, JsonSchema)]
struct Numbered {
    #[expect(dead_code, reason = "that it is there is what counts")]
    number: u8,
}

/// Refuses calls whose arguments are not in order, in sessions.
struct Strict;

impl Intercept for Strict {
    fn before<'a>(&'a self, _: &'a ToolCall) -> BoxFuture<'a, Result<Verdict>> {
        Box::pin(async { Ok(Verdict::GoOn) })
    }

    fn unfit(&self, call: &ToolCall, problem: &str) -> Result<()> {
        match call.cx().revision() {
            Version::V2025_06_18 => Err(Error::invalid_params(format_args!("{}: {problem}", call.name()))),
            _ => Ok(()),
        }
    }
}

async fn session(server: &Server, version: &'static str) -> (Client, Value) {
    let mut client = Client { principal: Some(alice()), ..Client::new(version) };
    let opened = client.initialize(server, json!({ "elicitation": {} })).await;
    (client, opened)
}

#[tokio::test]
async fn sessions_of_some_revisions_have_a_part_of_their_own() {
    let server = with_sessions();
    let (client, opened) = session(&server, "2025-06-18").await;
    assert_eq!(opened["capabilities"]["clock"], json!({ "caller": "alice" }));
    assert!(opened["capabilities"].get("hidden").is_none(), "{opened}");
    let listed = client.request(&server, 1, "tools/list", json!({})).await.json().await;
    let tools = &listed["result"]["tools"];
    assert_eq!((&tools[1]["clock"], &tools[1]["name"]), (&json!("late"), &json!("later")), "{listed}");
    assert!(tools[0].get("clock").is_none(), "{listed}");
    let told = client.request(&server, 1, "test/now", json!({})).await.json().await;
    assert_eq!(told["result"], json!({ "text": "some time in 2025-06-18" }));
    // What only modern requests have is unknown, as is everything to other revisions.
    assert_error(&client.request(&server, 1, "test/reset", json!({})).await.json().await, -32601, "test/reset");
    for version in ["2025-03-26", "2025-11-25"] {
        let (client, opened) = session(&server, version).await;
        assert!(opened["capabilities"].get("clock").is_none(), "{opened}");
        assert_error(&client.request(&server, 1, "test/now", json!({})).await.json().await, -32601, "test/now");
        let listed = client.request(&server, 1, "tools/list", json!({})).await.json().await;
        assert!(listed["result"]["tools"][1].get("clock").is_none(), "{listed}");
    }
    let now = modern("test/now", json!({ "zone": "UTC" })).header("mcp-name", "UTC").capable(declared(json!({})));
    assert_eq!(now.send(&server).await.result()["text"], "noon");
    modern("test/ask", json!({})).capable(declared(json!({}))).send(&server).await.assert_refused(404, -32601);
}

#[tokio::test(start_paused = true)]
async fn a_method_of_sessions_asks_while_it_works() {
    let server = with_sessions();
    let (client, _) = session(&server, "2025-06-18").await;
    let mut reply = client.request(&server, 1, "test/ask", json!({})).await;
    let asked = question(&mut reply).await;
    assert_eq!(
        (&asked["params"]["message"], &asked["params"]["_meta"]),
        (&json!("Which hour?"), &json!({ "of": "clock" }))
    );
    tokio::time::sleep(Limits::default().request_deadline * 3 / 2).await;
    client.answer(&server, &asked, accept("noon")).await;
    assert_eq!(reply.response().await["result"]["text"], r#""accept""#);
    let mut silent = Client::new("2025-06-18");
    silent.initialize(&server, json!({})).await;
    let refused = silent.request(&server, 1, "test/ask", json!({})).await.json().await;
    assert_error(&refused, -32021, "did not declare");
    let mut reply = client.request(&server, 1, "test/ask", json!({})).await;
    question(&mut reply).await;
    assert_eq!(reply.next().await.expect("a notification")["params"]["_meta"], json!({ "of": "clock" }));
    assert_error(&reply.response().await, -32603, "600 s are over");
}

#[tokio::test(start_paused = true)]
async fn a_method_of_sessions_that_waits_ends_when_its_client_goes_away() {
    let mut limits = Limits::default();
    (limits.concurrent_requests, limits.open_streams) = (1, 1);
    let server = with_sessions();
    server.replace_limits(limits.clone());
    let (client, _) = session(&server, "2025-06-18").await;
    for _ in 0..2 {
        let reply = client.request(&server, 1, "test/wait", json!({})).await;
        assert!(reply.streams(), "it was silent for a while");
        let told = client.request(&server, 1, "test/now", json!({})).await.json().await;
        assert_eq!(told["result"]["text"], "some time in 2025-06-18", "there is room for those who work");
        let full = client.request(&server, 1, "test/wait", json!({})).await;
        assert_eq!(full.status, 503);
        drop(reply);
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn an_extension_refuses_arguments_whose_caller_could_not_read_the_result() {
    let server = with_sessions();
    let unfit = call("numbered", json!({ "number": "x" })).send(&server).await;
    assert_eq!(unfit.result()["isError"], true);
    let (client, _) = session(&server, "2025-06-18").await;
    let refused = client.call(&server, "numbered").await.json().await;
    assert_error(&refused, -32602, "numbered: invalid arguments");
    let (client, _) = session(&server, "2025-11-25").await;
    assert_eq!(client.call(&server, "numbered").await.json().await["result"]["isError"], true);
}

#[test]
fn mistakes_about_sessions_are_found_while_building() {
    let part = || LegacyPart::of([Version::V2025_11_25]);
    let problem = |part: LegacyPart| {
        let extension = Extension::new(ID).legacy(part);
        Server::new("s", "1").extension(extension).build().expect_err("a mistake").to_string()
    };
    for taken in ["tools/call", "initialize"] {
        assert!(problem(part().method(taken, async || {})).contains("the specification has"), "{taken}");
    }
    assert!(problem(part().method("a", async || {}).method("a", async || {})).contains("two have this name"));
    assert!(problem(part().method("a", async |_: Args<Numbered>| {})).contains("`Args`"));
    assert!(problem(part().capability("tools", |_| None)).contains("capability `tools`"));
    let twice = part().capability("a", |_| None).capability("a", |_| None);
    assert!(problem(twice).contains("two have this name"));
}
