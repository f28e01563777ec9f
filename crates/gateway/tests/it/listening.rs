//! Streams of changes: with whose credentials upstreams are listened to, what of it listeners are promised, and tasks.

use std::net::SocketAddr;
use std::time::Duration;

use anypod_gateway::Config;
use anypod_gateway::config::{Effect, EraChoice, Rule};
use anypod_testkit::script::{Expect, Received, Reply, Script, Server};
use http::StatusCode;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::{Value, json};

use anypod_server::Event;

use crate::support::{Pod, Replica, Scratch, Seen, Sent, config, modern, served, soon, token, upstream_at};

const TASKS: &str = "io.modelcontextprotocol/tasks";

/// A stream of events, message by message.
struct Events {
    body: Incoming,
    text: String,
}

impl Events {
    /// Opens a stream for this filter, as a client that knows tasks.
    async fn open(filter: &Value, bearing: Option<&str>, to: SocketAddr) -> Self {
        let answer = listen(filter, bearing).open(to).await;
        assert_eq!(answer.status(), StatusCode::OK, "{filter} {bearing:?}");
        Self { body: answer.into_body(), text: String::new() }
    }

    /// The next message; none at the end.
    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let data: Option<String> = event.lines().find_map(|line| line.strip_prefix("data:")).map(str::to_owned);
                self.text = rest.to_owned();
                match data {
                    Some(data) => return Some(serde_json::from_str(&data).unwrap()),
                    None => continue,
                }
            }
            let frame = soon(self.body.frame()).await?.unwrap();
            self.text.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
        }
    }

    /// What is acknowledged.
    async fn acknowledged(&mut self) -> Value {
        let message = self.next().await.unwrap();
        assert_eq!(message["method"], "notifications/subscriptions/acknowledged", "{message}");
        message["params"]["notifications"].clone()
    }

    /// Whether nothing comes for a moment.
    async fn is_silent(&mut self) -> bool {
        tokio::time::timeout(Duration::from_millis(300), self.next()).await.is_err()
    }
}

fn listen(filter: &Value, bearing: Option<&str>) -> Sent {
    let sent = Sent::modern("subscriptions/listen", json!({ "notifications": filter }))
        .written_with(r#""form":{}}"#, &format!(r#""form":{{}}}},"extensions":{{"{TASKS}":{{}}}}"#));
    match bearing {
        Some(token) => sent.bearing(token),
        None => sent,
    }
}

/// What a server says of itself that announces everything.
fn discovered() -> Reply {
    Reply::result(&json!({
        "resultType": "complete", "supportedVersions": ["2026-07-28"], "ttlMs": 60_000, "cacheScope": "public",
        "capabilities": {
            "tools": { "listChanged": true }, "prompts": { "listChanged": true },
            "resources": { "listChanged": true, "subscribe": true }, "extensions": { TASKS: {} },
        },
    }))
}

/// A stream that acknowledges this and says that, and then nothing.
fn stream(received: &Received, accepted: &Value, says: &[Value]) -> Reply {
    let id = received.id();
    let meta = json!({ "io.modelcontextprotocol/subscriptionId": id });
    let message = |method: &str, mut params: Value| {
        params["_meta"] = meta.clone();
        json!({ "jsonrpc": "2.0", "method": method, "params": params })
    };
    let acknowledged = message("notifications/subscriptions/acknowledged", json!({ "notifications": accepted }));
    let reply = says.iter().fold(Reply::events().event(&acknowledged), |reply, said| {
        reply.event(&message(said["method"].as_str().unwrap(), said["params"].clone()))
    });
    reply.bytes(": and so on\n\n").hangs()
}

fn asked(received: &Received) -> Value {
    received.json()["params"]["notifications"].clone()
}

async fn serve(listens: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Server {
    let listed = json!({ "resultType": "complete", "tools": [], "ttlMs": 60_000, "cacheScope": "public" });
    Script::new()
        .always(Expect::method("server/discover"), discovered())
        .always(Expect::method("subscriptions/listen"), listens)
        .always(Expect::method("tools/list"), Reply::result(&listed))
        .serve()
        .await
        .unwrap()
}

/// A server that tells of each task it is asked for, unless nobody knows it: that it has ended, with a link.
async fn of_tasks() -> Server {
    serve(|received| {
        let ids: Vec<_> = asked(received)["taskIds"].as_array().cloned().unwrap_or_default();
        let known: Vec<_> = ids.into_iter().filter(|id| id != "unknown").collect();
        let tell = |id: &Value| {
            let content = json!([{ "type": "resource_link", "uri": "note://one", "name": "one" }]);
            let params = json!({
                "taskId": id, "status": "completed", "createdAt": "2026-07-28T00:00:00Z", "ttlMs": null,
                "lastUpdatedAt": "2026-07-28T00:00:01Z", "result": { "resultType": "complete", "content": content },
            });
            json!({ "method": "notifications/tasks", "params": params })
        };
        stream(received, &json!({ "taskIds": known }), &known.iter().map(tell).collect::<Vec<_>>())
    })
    .await
}

fn before(servers: &[(&str, &Server)]) -> Config {
    config(servers.iter().map(|(name, server)| upstream_at(name, EraChoice::Modern, &[server.url()])))
}

#[tokio::test]
async fn what_becomes_of_tasks_is_told_by_the_ids_that_clients_know() {
    let (one, other) = (of_tasks().await, of_tasks().await);
    let federated = Replica::alone(before(&[("a", &one), ("b", &other)])).await;
    let ids = json!(["b+2", "a+1", "a+unknown", "c+1", "1"]);
    let mut events = Events::open(&json!({ "taskIds": ids }), None, federated.address).await;
    assert_eq!(events.acknowledged().await, json!({ "taskIds": ["b+2", "a+1"] }));
    let mut told = Vec::new();
    for _ in 0..2 {
        let message = events.next().await.unwrap();
        assert_eq!(message["method"], "notifications/tasks");
        assert_eq!(message["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], 1);
        let link = message["params"]["result"]["content"][0]["uri"].as_str().unwrap().to_owned();
        told.push((message["params"]["taskId"].as_str().unwrap().to_owned(), link));
    }
    told.sort();
    let expected = [("a+1", "a+note://one"), ("b+2", "b+note://one")];
    assert_eq!(told, expected.map(|(id, uri)| (id.to_owned(), uri.to_owned())));
    assert!(events.is_silent().await);
    // One that is alone knows them as they are.
    let alone = Replica::alone(before(&[("a", &one)])).await;
    let mut events = Events::open(&json!({ "taskIds": ["1"], "toolsListChanged": true }), None, alone.address).await;
    assert_eq!(events.acknowledged().await, json!({ "taskIds": ["1"] }));
    assert_eq!(events.next().await.unwrap()["params"]["taskId"], "1");
}

#[tokio::test]
async fn whoever_does_not_know_tasks_is_told_that_it_takes_that() {
    let server = of_tasks().await;
    let replica = Replica::alone(before(&[("a", &server)])).await;
    let sent = Sent::modern("subscriptions/listen", json!({ "notifications": { "taskIds": ["1"] } }));
    let answer = sent.to(replica.address).await;
    assert_eq!(answer.refusal(), (400, -32021), "{answer:?}");
    assert!(answer.json()["error"]["data"]["requiredCapabilities"]["extensions"][TASKS].is_object());
    let many: Vec<_> = (0..1001).map(|number| number.to_string()).collect();
    let answer = listen(&json!({ "taskIds": many }), None).to(replica.address).await;
    assert_eq!(answer.refusal(), (400, -32602), "{answer:?}");
}

#[tokio::test]
async fn a_task_that_changed_while_nobody_listened_is_told_of_afterwards() {
    let task = json!({
        "resultType": "complete", "taskId": "1", "status": "working", "createdAt": "2026-07-28T00:00:00Z", "ttlMs": null,
        "lastUpdatedAt": "2026-07-28T00:00:01Z", "statusMessage": "half",
    });
    let server = Script::new()
        .always(Expect::method("server/discover"), discovered())
        // Breaks off as soon as it is acknowledged, and stays the second time.
        .on(Expect::method("subscriptions/listen"), |received: &Received| {
            stream(received, &json!({ "taskIds": ["1"] }), &[]).breaks_off()
        })
        .always(Expect::method("subscriptions/listen"), |received: &Received| {
            stream(received, &json!({ "taskIds": ["1"] }), &[])
        })
        .always(Expect::method("tasks/get"), Reply::result(&task))
        .serve()
        .await
        .unwrap();
    let replica = Replica::alone(before(&[("a", &server)])).await;
    let mut events = Events::open(&json!({ "taskIds": ["1"] }), None, replica.address).await;
    events.acknowledged().await;
    let message = events.next().await.unwrap();
    assert_eq!((&message["params"]["taskId"], &message["params"]["statusMessage"]), (&json!("1"), &json!("half")));
}

/// A server of an extension that tells of hours, each of them, and of nothing else; and of changes of tools.
async fn of_hours() -> Server {
    serve(|received| {
        let asked = asked(received);
        let accepted: serde_json::Map<_, _> = ["hours", "toolsListChanged"]
            .into_iter()
            .filter_map(|field| Some((field.to_owned(), asked.get(field)?.clone())))
            .collect();
        let hour = json!({ "method": "notifications/example/hour", "params": { "hour": 12 } });
        let says = match asked.get("hours") {
            Some(Value::String(_)) => return Reply::error(400, -32602, "hours are a list"),
            Some(_) => vec![hour.clone(), hour],
            None => vec![json!({ "method": "notifications/tools/list_changed", "params": {} })],
        };
        stream(received, &accepted.into(), &says)
    })
    .await
}

#[tokio::test]
async fn fields_of_extensions_are_passed_on_to_the_only_upstream_and_what_it_tells_is_passed_back() {
    let server = of_hours().await;
    let replica = Replica::alone(before(&[("a", &server)])).await;
    let filter = json!({ "hours": [12], "minutes": true, "toolsListChanged": true });
    let mut events = Events::open(&filter, None, replica.address).await;
    // Not the minutes, which the upstream does not know.
    assert_eq!(events.acknowledged().await, json!({ "hours": [12], "toolsListChanged": true }));
    let mut told = Vec::new();
    for _ in 0..3 {
        let message = events.next().await.unwrap();
        assert_eq!(message["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], 1);
        told.push((message["method"].as_str().unwrap().to_owned(), message["params"]["hour"].clone()));
    }
    told.sort_by(|one, other| one.0.cmp(&other.0));
    let hour = ("notifications/example/hour".to_owned(), json!(12));
    assert_eq!(told, [hour.clone(), hour, ("notifications/tools/list_changed".to_owned(), Value::Null)]);
    assert!(events.is_silent().await);
    // By a stream of its own, which bears what the client says of itself.
    let received = server.received();
    let passed_on = received.iter().find(|received| asked(received).get("hours").is_some()).unwrap();
    assert_eq!(asked(passed_on), json!({ "hours": [12], "minutes": true }));
    let meta = &passed_on.json()["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"];
    assert!(meta["extensions"][TASKS].is_object(), "{meta}");
    // Of what it takes on nothing, nothing is promised; what it refuses is refused.
    let mut events = Events::open(&json!({ "minutes": true }), None, replica.address).await;
    assert_eq!(events.acknowledged().await, json!({}));
    let answer = listen(&json!({ "hours": "all", "toolsListChanged": true }), None).to(replica.address).await;
    assert_eq!(answer.refusal(), (400, -32602), "{answer:?}");
}

#[tokio::test]
async fn a_stream_with_fields_of_extensions_ends_when_the_upstream_is_heard_no_more() {
    let server = serve(|received| stream(received, &json!({ "hours": [12] }), &[]).breaks_off()).await;
    let replica = Replica::alone(before(&[("a", &server)])).await;
    let mut events = Events::open(&json!({ "hours": [12] }), None, replica.address).await;
    assert_eq!(events.acknowledged().await, json!({ "hours": [12] }));
    assert_eq!(events.next().await.unwrap()["result"]["resultType"], "complete");
    assert!(events.next().await.is_none());
    // So it does by a configuration by which it could not have been opened.
    let server = of_hours().await;
    let config = before(&[("a", &server)]);
    let replica = Replica::alone(config.clone()).await;
    let mut events = Events::open(&json!({ "hours": [12] }), None, replica.address).await;
    events.acknowledged().await;
    replica.gateway.reload(with_a_rule(config), None).unwrap();
    let mut last = None;
    while let Some(message) = events.next().await {
        last = Some(message);
    }
    assert_eq!(last.unwrap()["result"]["resultType"], "complete");
}

/// With a rule that forbids something else.
fn with_a_rule(mut config: Config) -> Config {
    let (effect, names) = (Effect::Deny, vec!["another".to_owned()]);
    let (principals, methods, arguments) = (Vec::new(), Vec::new(), std::collections::BTreeMap::new());
    config.route[0].rule = vec![Rule { effect, principals, methods, names, arguments }];
    config
}

#[tokio::test]
async fn fields_of_extensions_are_not_promised_where_nobody_knows_whose_they_are_or_what_they_name() {
    let (one, other) = (of_hours().await, of_hours().await);
    let ruled = with_a_rule(before(&[("a", &one)]));
    for config in [before(&[("a", &one), ("b", &other)]), ruled] {
        let replica = Replica::alone(config).await;
        let filter = json!({ "hours": [12], "toolsListChanged": true });
        let mut events = Events::open(&filter, None, replica.address).await;
        assert_eq!(events.acknowledged().await, json!({ "toolsListChanged": true }));
        assert_eq!(events.next().await.unwrap()["method"], "notifications/tools/list_changed");
    }
    assert!(one.received().iter().chain(&other.received()).all(|received| asked(received).get("hours").is_none()));
}

/// A server that tells of changes of tools to Alice, takes on nothing of Bob, and wants to know who listens.
async fn guarded() -> Server {
    serve(|received| match received.header("authorization") {
        Some("Bearer alice" | "Bearer gateway" | "Bearer changed") => {
            let changed = json!({ "method": "notifications/tools/list_changed", "params": {} });
            stream(received, &json!({ "toolsListChanged": true }), &[changed])
        }
        Some("Bearer bob") => stream(received, &json!({}), &[]),
        _ => Reply::empty(401).header("www-authenticate", "Bearer realm=\"upstream\""),
    })
    .await
}

fn lists() -> Value {
    json!({ "toolsListChanged": true, "promptsListChanged": true })
}

#[tokio::test]
async fn a_listener_hears_what_its_own_credential_lets_it_hear() {
    let server = guarded().await;
    let replica = Replica::alone(before(&[("server", &server)])).await;
    let mut bob = Events::open(&lists(), Some("bob"), replica.address).await;
    assert_eq!(bob.acknowledged().await, json!({}));
    let mut alice = Events::open(&lists(), Some("alice"), replica.address).await;
    assert_eq!(alice.acknowledged().await, json!({ "toolsListChanged": true }));
    assert_eq!(alice.next().await.unwrap()["method"], "notifications/tools/list_changed");
    assert!(bob.is_silent().await && alice.is_silent().await);
    // Two of one credential share a stream; what comes later comes for both.
    let streams = || server.methods().iter().filter(|method| *method == "subscriptions/listen").count();
    let opened = streams();
    let mut again = Events::open(&lists(), Some("alice"), replica.address).await;
    assert_eq!(again.acknowledged().await, json!({ "toolsListChanged": true }));
    assert_eq!(streams(), opened);
    // Nobody, and somebody else, is told what it takes.
    for bearing in [None, Some("eve")] {
        let answer = listen(&lists(), bearing).to(replica.address).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{bearing:?}");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"upstream\""), "{bearing:?}");
    }
}

#[tokio::test]
async fn a_legacy_client_hears_what_its_own_credential_lets_it_hear() {
    let server = guarded().await;
    let replica = Replica::alone(before(&[("server", &server)])).await;
    let opened = Sent::initialize().bearing("alice").to(replica.address).await;
    let session = opened.header("mcp-session-id").unwrap();
    let stream = Sent::empty(http::Method::GET).in_session(session).bearing("alice").open(replica.address).await;
    let mut events = Events { body: stream.into_body(), text: String::new() };
    assert_eq!(events.next().await.unwrap()["method"], "notifications/tools/list_changed");
}

#[tokio::test]
async fn a_stream_ends_when_its_credential_is_good_no_more() {
    let server = Script::new()
        .always(Expect::method("server/discover"), discovered())
        .on(Expect::method("subscriptions/listen"), |received: &Received| {
            stream(received, &json!({ "toolsListChanged": true }), &[]).breaks_off()
        })
        .always(Expect::method("subscriptions/listen"), Reply::empty(401).header("www-authenticate", "Bearer"))
        .serve()
        .await
        .unwrap();
    let replica = Replica::alone(before(&[("server", &server)])).await;
    let mut events = Events::open(&lists(), Some("alice"), replica.address).await;
    events.acknowledged().await;
    let mut last = None;
    while let Some(message) = events.next().await {
        last = Some(message);
    }
    assert_eq!(last.unwrap()["result"]["resultType"], "complete");
    assert_eq!(listen(&lists(), Some("alice")).to(replica.address).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_gateway_listens_with_a_credential_of_its_own_for_those_whom_it_knows() {
    let server = guarded().await;
    let scratch = Scratch::new();
    let mut config = before(&[("server", &server)]);
    config.route[0].token = vec![token("tester")];
    let replica = Replica::alone(config.clone()).await;
    // Without one, nothing is promised.
    let mut events = Events::open(&lists(), Some("tester"), replica.address).await;
    assert_eq!(events.acknowledged().await, json!({}));
    config.upstream[0].authorization_file = Some(scratch.holding("own", "Bearer gateway\n"));
    let replica = Replica::alone(config.clone()).await;
    let mut events = Events::open(&lists(), Some("tester"), replica.address).await;
    assert_eq!(events.acknowledged().await, json!({ "toolsListChanged": true }));
    assert_eq!(events.next().await.unwrap()["method"], "notifications/tools/list_changed");
    // What is in the file by the next configuration counts for the streams that are opened from then on.
    scratch.holding("own", "Bearer changed");
    replica.gateway.reload(config.clone(), None).unwrap();
    let mut others = Events::open(&json!({ "resourcesListChanged": true }), Some("tester"), replica.address).await;
    others.acknowledged().await;
    let last =
        |method: &str| server.received().into_iter().rfind(|received| received.method().as_deref() == Some(method));
    assert_eq!(last("subscriptions/listen").unwrap().header("authorization"), Some("Bearer changed"));
    // What clients ask does not bear it.
    Sent::modern("tools/list", json!({})).bearing("tester").to(replica.address).await.result();
    assert_eq!(last("tools/list").unwrap().header("authorization"), None);
    // Whoever keeps something follows it, with what there is by then.
    let kept = Replica::alone(before(&[("server", &server)])).await;
    Sent::modern("tools/list", json!({})).to(kept.address).await.result();
    let heard = || server.received().iter().filter(|one| one.header("authorization") == Some("Bearer changed")).count();
    let so_far = heard();
    let mut reloaded = (*kept.gateway.config()).clone();
    reloaded.upstream[0].authorization_file.clone_from(&config.upstream[0].authorization_file);
    kept.gateway.reload(reloaded, None).unwrap();
    soon(async {
        while heard() == so_far {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // Nor does it let anybody listen whom the gateway does not know.
    config.route[0].token.clear();
    let replica = Replica::alone(config).await;
    assert_eq!(listen(&lists(), None).to(replica.address).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn nobody_is_promised_what_an_upstream_has_not_acknowledged_or_a_rule_forbids() {
    let uris = ["note://one", "note://two", "note://three"];
    let server = serve(move |received| {
        let wanted = asked(received)["resourceSubscriptions"].as_array().cloned().unwrap_or_default();
        let accepted: Vec<_> = wanted.into_iter().filter(|uri| uri != "note://two").collect();
        let changed = json!({ "method": "notifications/resources/updated", "params": { "uri": "note://one" } });
        stream(received, &json!({ "resourceSubscriptions": accepted, "promptsListChanged": true }), &[changed])
    })
    .await;
    let mut config = before(&[("server", &server)]);
    let (effect, names) = (Effect::Deny, vec!["note://three".to_owned()]);
    let (principals, methods, arguments) = (Vec::new(), Vec::new(), std::collections::BTreeMap::new());
    config.route[0].rule = vec![Rule { effect, principals, methods, names, arguments }];
    let replica = Replica::alone(config.clone()).await;
    let filter = json!({ "resourceSubscriptions": uris, "toolsListChanged": true, "promptsListChanged": true });
    let mut events = Events::open(&filter, None, replica.address).await;
    let expected = json!({ "resourceSubscriptions": ["note://one"], "promptsListChanged": true });
    assert_eq!(events.acknowledged().await, expected);
    assert_eq!(events.next().await.unwrap()["params"]["uri"], "note://one");
    let asked_for: Vec<_> = server.received().iter().map(asked).filter(|asked| !asked.is_null()).collect();
    assert!(asked_for.iter().all(|asked| !asked.to_string().contains("three")), "{asked_for:?}");
    // Who may not listen at all is told that there is no such thing.
    config.route[0].rule[0].names.clear();
    config.route[0].rule[0].methods = vec!["subscriptions/*".to_owned()];
    let replica = Replica::alone(config).await;
    assert_eq!(listen(&filter, None).to(replica.address).await.refusal(), (404, -32601));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_while_the_last_listener_goes_misses_nothing() {
    let server = served(&Seen::default());
    let pod = Pod::start(server.clone()).await;
    let replica = Replica::alone(config([modern([&pod])])).await;
    let (prompts, both) =
        (json!({ "promptsListChanged": true }), json!({ "promptsListChanged": true, "toolsListChanged": true }));
    for round in 0..200 {
        let before = Events::open(if round % 2 == 0 { &prompts } else { &both }, None, replica.address).await;
        drop(before);
        // At any moment of what its going sets off.
        for _ in 0..round * 4 {
            tokio::task::yield_now().await;
        }
        let mut after = Events::open(&prompts, None, replica.address).await;
        assert_eq!(after.acknowledged().await["promptsListChanged"], true);
        server.announce(Event::PromptsChanged).await;
        assert_eq!(after.next().await.unwrap()["method"], "notifications/prompts/list_changed", "{round}");
    }
}
